"""What the journal says was sealed: the second witness, read back.

journald itself writes the fields that begin with an underscore: which user sent an entry, and from which unit. Only
entries that a unit of ours sent are believed, and on a host only those of the user that the evidence belongs to. What
that user sends it can also invent; it cannot take back what the journal has. An entry names the installation whose
ledger has the seal: what the journal has of another, or of a version that did not name it, is passed over.
Standard library only.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.names import Event, is_run_id
from prometheus.v10.base.reading import open_regular

FIELDS = ("__REALTIME_TIMESTAMP", "_UID", "_SYSTEMD_UNIT", "_TRANSPORT", "PROMETHEUS_EVENT", "PROMETHEUS_RUN_ID",
          "PROMETHEUS_SEAL", "PROMETHEUS_INSTALLATION")  # fmt: skip
_UNIT = re.compile(r"prometheus-[A-Za-z0-9_.@\\:-]{1,200}\.service")
_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_LINE = 1 << 20


@dataclass(frozen=True)
class JournalSeal:
    """The journal's entry of a sealed run.

    Attributes:
        run_id: the run.
        seal: sha256 of its ``SHA256SUMS.txt``.
        installation: whose ledger it was entered into before.
        unit: the unit that sent it.
        time: when journald got it, in microseconds since 1970.
    """

    run_id: str
    seal: str
    installation: str
    unit: str
    time: int

    def when(self) -> str:
        """The time, to the second."""
        return f"{datetime.fromtimestamp(self.time / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True)
class HostJournal:
    """This machine's journal.

    Attributes:
        uid: the user whose entries are believed.
        since: what it heard before is of a past that the operator gave up; in microseconds since 1970.
    """

    uid: int
    since: int = 0

    def seals(self) -> Iterator[JournalSeal]:
        """Every sealed run that the journal still has, oldest first.

        Raises:
            HostError: when the journal cannot be read: there is none, or this user may not.
        """
        words = ["journalctl", "--quiet", "--no-pager", "--output=json", f"--output-fields={','.join(FIELDS)}",
                 f"MESSAGE_ID={Event.RUN_SEALED.message_id}", f"_UID={self.uid}"]  # fmt: skip
        try:
            with subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as reader:
                assert reader.stdout is not None  # noqa: S101  (it is a pipe)
                yield from (seal for seal in parse_entries(reader.stdout, uid=self.uid) if seal.time >= self.since)
        except OSError as error:
            raise HostError(f"journalctl cannot be started: {error.strerror}") from error


@dataclass(frozen=True)
class JournalFile:
    """What ``journalctl -o json`` wrote into a file, e.g. on the host that the evidence comes from."""

    path: Path

    def seals(self) -> Iterator[JournalSeal]:
        """Every sealed run in the file.

        Raises:
            EvidenceError: when it is no regular file.
            HostError: when it cannot be read.
        """
        with open(open_regular(self.path, follow=True), "rb") as lines:  # noqa: PTH123  (a descriptor)
            yield from parse_entries(iter(lambda: lines.readline(_MOST_LINE), b""), uid=None)


def parse_entries(lines: Iterable[bytes], *, uid: int | None) -> Iterator[JournalSeal]:
    """Entries of ``journalctl -o json`` that are believed and tell of a sealed run; all others are passed over."""
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and (seal := believed(entry, uid=uid)) is not None:
            yield seal


def believed(entry: Mapping[str, Any], *, uid: int | None) -> JournalSeal | None:
    """The sealed run that an entry tells of; None when it tells of none, or was not sent by a unit of ours.

    Args:
        entry: as ``journalctl -o json`` prints it. A field that is there twice, or was too long, is no string.
        uid: of the sender; any when it is None.
    """
    if not all(isinstance(entry.get(name), str) for name in FIELDS):
        return None
    time, sender, unit, transport, event, run_id, seal, installation = (str(entry[name]) for name in FIELDS)
    ours = _UNIT.fullmatch(unit) is not None and transport == "journal" and (uid is None or sender == str(uid))
    told = event == Event.RUN_SEALED.label and _ID.fullmatch(installation) is not None
    if not ours or not told or not is_run_id(run_id) or _SHA256.fullmatch(seal) is None:
        return None
    if not (time.isascii() and time.isdigit() and len(time) <= 16):
        return None
    return JournalSeal(run_id, seal, installation, unit, int(time))
