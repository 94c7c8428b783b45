"""What is asked of lines that are appended to ledger, pool and survival curve: they go on with the chain, and are ours.

A line that does not continue the chain would be damage for every other writer; so it is refused before it is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import QUEUES
from prometheus.v10.base.names import CURVE_FILE, LedgerEntryType, is_run_id
from prometheus.v10.evidence.chains.chain import MAX_LINE, START, LineFormat, Link, after
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.records.canonical import is_deep
from prometheus.v10.ops.custodian.curve_line import CURVE_LINE
from prometheus.v10.ops.custodian.rules import RefusedError, Rules
from prometheus.v10.ops.custodian.truth import untrue

BLOCK = 1 << 16
MOST_RECORD, MOST_ENTRY, MOST_DEPTH = 1 << 18, 1 << 20, 32
"""Bytes of a line of a pool or curve, and of the ledger; how deep either is nested."""
_ENTERED = frozenset(
    [
        LedgerEntryType.INSTALLATION, LedgerEntryType.RUN_STARTED, LedgerEntryType.RUN_SEALED,
        LedgerEntryType.RUN_INTERRUPTED, LedgerEntryType.RUN_ADOPTED, LedgerEntryType.SNAPSHOT,
        LedgerEntryType.TORN_TAIL,
    ]
)  # fmt: skip
"""What a stage enters into the ledger. A deletion, a compression or a gate is entered by the host's own units."""


def whole_bytes(path: Path) -> int:
    """How many bytes of a file are whole lines.

    Raises:
        RefusedError: when its tail is longer than any line.
    """
    with path.open("rb") as reader:
        size = end = reader.seek(0, os.SEEK_END)
        while end > 0:
            if size - end > MAX_LINE:
                raise RefusedError(f"{path.name} ends in {size - end} bytes that are no line")
            begin = max(0, end - BLOCK)
            reader.seek(begin)
            last = reader.read(end - begin).rfind(b"\n")
            if last >= 0:
                return begin + last + 1
            end = begin
    return 0


def last_line(path: Path, end: int) -> bytes:
    """The line that ends before byte ``end``, with its newline; empty where there is none."""
    with path.open("rb") as reader:
        size = BLOCK
        while True:
            begin = max(0, end - size)
            reader.seek(begin)
            data = reader.read(end - begin)
            at = data.rfind(b"\n", 0, len(data) - 1)
            if at >= 0 or begin == 0 or size > MAX_LINE:
                return data[at + 1 :]
            size *= 4


def require_lines(rules: Rules, path: Path, data: bytes, size: int) -> None:
    """Refuse what does not continue the chain of a file, or speaks for somebody else.

    Args:
        rules: whose it must be.
        path: the chained file.
        data: what is to be appended.
        size: bytes that the file holds now.

    Raises:
        RefusedError: saying what is wrong with which line.
    """
    if not data.endswith(b"\n") or whole_bytes(path) != size:
        raise RefusedError(f"only whole lines are appended to {path.name}, behind whole lines")
    form = _form(rules, path)
    if form is LEDGER_LINE and data.count(b"\n") > 1:
        raise RefusedError("entries come one by one: each is held against those before it")
    link = _link(form, last_line(path, size), path)
    for line in _lines(data):
        what = _too_much(form, line) or form.problem(line, link) or _not_its_own(rules, form, line)
        if what is not None:
            raise RefusedError(f"line {link.n} of {path.name}: {what}")
        link = after(line, link.n)


def _form(rules: Rules, path: Path) -> LineFormat:
    if path == rules.layout.ledger:
        return LEDGER_LINE
    return CURVE_LINE if path.name == CURVE_FILE else POOL_LINE


def _link(form: LineFormat, last: bytes, path: Path) -> Link:
    if not last:
        return START
    found = form.link_of(last)
    if found is None:
        raise RefusedError(f"the last line of {path.name} is damaged: nothing is appended behind it")
    return after(last, found.n)


def _lines(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = data.index(b"\n", at) + 1
        yield data[at:end]
        at = end


def _too_much(form: LineFormat, line: bytes) -> str | None:
    """What no line of the suite comes near, and what would overtax whoever reads it."""
    most = MOST_ENTRY if form is LEDGER_LINE else MOST_RECORD
    if len(line) > most:
        return f"{len(line)} bytes, {most} at most"
    return f"nested deeper than {MOST_DEPTH}" if is_deep(_plain(line), line, MOST_DEPTH) else None


def _not_its_own(rules: Rules, form: LineFormat, line: bytes) -> str | None:
    plain = _plain(line)
    if form is POOL_LINE:
        run_id = str((plain.get("source") or {}).get("run_id"))
        ours = is_run_id(run_id) and rules.began(run_id) and not rules.is_sealed(run_id)
        return None if ours else f"{run_id} is no open run of instance {rules.instance}"
    if form is not LEDGER_LINE:
        return None
    kind, payload = plain.get("type"), plain.get("payload")
    allowed = _ENTERED | ({LedgerEntryType.PROMOTION} if rules.instance in QUEUES else frozenset())
    if kind not in allowed or plain.get("instance") != rules.instance or not isinstance(payload, dict):
        return f"instance {rules.instance} does not enter {kind!r} of {plain.get('instance')!r}"
    if kind in {LedgerEntryType.RUN_SEALED, LedgerEntryType.RUN_INTERRUPTED, LedgerEntryType.RUN_ADOPTED}:
        run_id = str(payload.get("run_id"))
        places = rules.layout.run_places(run_id) if is_run_id(run_id) else []
        if not any(rules.is_open(run_id, place) for place in places):
            return f"{run_id} is no open run of instance {rules.instance}"
    return ledger_now(rules.layout.ledger).problem_of(plain) or untrue(rules, LedgerEntryType(kind), payload)


def _plain(line: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}
