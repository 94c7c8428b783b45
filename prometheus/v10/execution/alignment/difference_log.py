"""The log of differences, a document that only grows: each section begins with the hash of all that stands above it.

So an edit of anything above a section breaks that section, and a cut is seen by the next. The last section is held by
nothing in the file: whoever keeps an earlier copy, as a repository does, holds it to that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.files import AppendFile
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.execution.alignment.differences import Difference

MARK: Final = re.compile(rb"^<!-- above: ([0-9]+) bytes, sha256 ([0-9a-f]{64}) -->$", re.MULTILINE)
ROW: Final = re.compile(r"^\| (DIFF-[0-9]{8}-[0-9]{2,}) \| .* <!-- key: (.+?) --> \|", re.MULTILINE)
NUMBERED: Final = re.compile(r"^\| DIFF-([0-9]{8})-([0-9]{2,}) \|", re.MULTILINE)
HEAD: Final = "| id | what differs | CCXT | native (python-okx) | severity | what an adapter must do |\n"
RULE: Final = "|---|---|---|---|---|---|\n"


def wrong_marks(data: bytes) -> list[str]:
    """What is wrong with the sections of a log; nothing where it was only appended to."""
    wrong = []
    for mark in MARK.finditer(data):
        above, line = data[: mark.start()], data.count(b"\n", 0, mark.start()) + 1
        if (len(above), hashlib.sha256(above).hexdigest()) != (int(mark[1]), mark[2].decode()):
            wrong.append(f"line {line}: what stands above is not what stood there when this section was appended")
    return wrong


def sections_of(data: bytes) -> int:
    """How many sections were appended by a program."""
    return len(MARK.findall(data))


def known_keys(text: str) -> dict[str, str]:
    """Key to id of each difference that the log has."""
    return {key: name for name, key in ROW.findall(text)}


def read_log(path: Path) -> bytes:
    """A log that was only appended to.

    Raises:
        EvidenceError: when it is not there, is no text, or something above a section was changed.
    """
    data = read_if_there(path, at_most=LARGE)
    if data is None:
        raise EvidenceError(f"there is no log {path}", hint="name it with --log; in a checkout it is below docs/v10")
    if wrong := wrong_marks(data):
        raise EvidenceError(f"{path}, {wrong[0]}", hint="restore it from the repository: it is never edited")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EvidenceError(f"{path} is no text: {error}") from error
    return data


def numbered(found: Sequence[Difference], text: str, day: str) -> dict[str, Difference]:
    """Ids for the differences that the log has not: the next free ones of the day."""
    last = max((int(number) for at, number in NUMBERED.findall(text) if at == day), default=0)
    known = known_keys(text)
    new = [one for one in found if one.key not in known]
    return {f"DIFF-{day}-{last + place:02d}": one for place, one in enumerate(new, 1)}


def section(title: str, said: Sequence[str], rows: Mapping[str, Difference], again: Sequence[str]) -> str:
    """The text of a section, without its mark.

    Args:
        title: with the run id.
        said: lines of facts.
        rows: the new differences, by id.
        again: ids of those that were seen before, and are there still.
    """
    parts = [f"## {title}\n", *(f"- {line}" for line in said)]
    parts.append(f"- seen before, and seen again: {', '.join(again) or 'none'}\n")
    if rows:
        lines = [
            f"| {name} | {_cell(one.what)} <!-- key: {one.key} --> | {_cell(one.ccxt)} | {_cell(one.native)} | "
            f"{one.severity} | {_cell(one.done)} |\n" for name, one in rows.items()
        ]  # fmt: skip
        parts.append(HEAD + RULE + "".join(lines))
        parts.append("Samples, python-okx first:\n")
        shown: dict[tuple[str, str], list[str]] = {}
        for name, one in rows.items():
            shown.setdefault(one.samples, []).append(name)
        for (native, ccxt), names in shown.items():
            parts.append(f"{', '.join(names)}:\n\n```text\n{native}\n```\n\n```text\n{ccxt}\n```\n")
    else:
        parts.append("No difference that is not above.\n")
    return "\n".join(parts)


def append_section(path: Path, before: bytes, text: str) -> None:
    """Append a section in one durable write.

    Args:
        path: of the log.
        before: what it held when it was read.
        text: as `section` makes it.

    Raises:
        EvidenceError: when it holds something else now.
        HostError: when the disk refuses; the log is as before.
    """
    gap = b"" if before.endswith(b"\n\n") else b"\n" if before.endswith(b"\n") else b"\n\n"
    above = before + gap
    mark = f"<!-- above: {len(above)} bytes, sha256 {hashlib.sha256(above).hexdigest()} -->\n\n"
    log = AppendFile(path)
    try:
        if log.size != len(before) or read_if_there(path, at_most=LARGE) != before:
            raise EvidenceError(f"{path} was changed meanwhile", hint="align again")
        log.append_durable([gap, mark.encode(), text.encode()])
    finally:
        log.close()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
