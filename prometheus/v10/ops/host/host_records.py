"""What an operator did to the host, on file and in the journal (contracts, sections 2 and 8).

``state/stops.jsonl`` and ``state/releases.jsonl`` are chained like the ledger of seals, so that no step can be taken
out unnoticed. A file is written before the journal hears of it. Where root gives the command, files are written as the
owner of the state: what root follows in a directory that is not root's own could be a link. Standard library and attrs.
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import Factory, define

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.error_lines import one_line
from prometheus.v10.base.errors import host_error
from prometheus.v10.base.names import EVENT_FIELDS, Event, LedgerEntryType
from prometheus.v10.base.paths import Layout, make_directories, refuse_links_below
from prometheus.v10.evidence.catalog import entries
from prometheus.v10.evidence.chains.ledger import Ledger, LedgerEntry
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.writing.journal import IDENTIFIER, SOCKET, Priority

STOPS = "stops.jsonl"
RELEASES = "releases.jsonl"
HOST = "host"
"""The instance in whose name these lines are entered: they concern all of them."""


def who_asks(environ: Mapping[str, str]) -> str:
    """The person behind this process, as far as the system can tell."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    before = environ.get("SUDO_USER", "")
    return one_line(f"{before} through sudo") if before and os.getuid() == 0 else name


@contextmanager
def as_owner_of(place: Path) -> Iterator[None]:
    """As root: do what follows as the owner of ``place``. As anybody else: as oneself."""
    owner = place.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@define
class HostRecords:
    """Enters an operator's steps.

    Attributes:
        unheard: why the journal did not hear of a step; the file has it all the same.
    """

    layout: Layout
    clock: Clock
    socket: Path = SOCKET
    unheard: list[str] = Factory(list)

    def enter(self, file: str, kind: LedgerEntryType, payload: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
        """Append one line; durable on return.

        Args:
            file: `STOPS` or `RELEASES`.
            kind: what the step was.
            payload: plain JSON values.
            reasons: of its nulls, by path within the payload.

        Raises:
            EvidenceError: when the file is damaged: no line is added to what cannot be believed.
            HostError: when the disk refuses.
        """
        state = self.layout.state
        refuse_links_below(self.layout.lib, state)
        if not state.is_dir():
            try:
                make_directories(state)
            except OSError as error:
                raise host_error(error, f"cannot create {state}") from error
        nulls = {f"payload.{path}": reason for path, reason in reasons.items()}
        with as_owner_of(state):
            refuse_links_below(self.layout.lib, state / file)
            Ledger(state / file, clock=self.clock, instance=HOST, on_torn=self._tell_torn).append(
                kind, payload, null_reasons=nulls
            )

    def read(self, file: str) -> list[LedgerEntry]:
        """Every line, checked; none when there is no file. Errors as `entries`."""
        place = self.layout.state / file
        refuse_links_below(self.layout.lib, place)
        return list(entries(place))

    def _tell_torn(self, tail: TornTail) -> None:
        self.tell(
            Event.TORN_TAIL,
            f"{tail.path}: {tail.length} bytes after byte {tail.offset} moved to {tail.moved_to.name}",
            priority=Priority.CRITICAL,
            path=str(tail.path), kept=str(tail.moved_to), offset=tail.offset, bytes=tail.length,
        )  # fmt: skip

    def tell(
        self, event: Event, message: str, *, priority: Priority = Priority.NOTICE, **facts: str | int | None
    ) -> None:
        """One structured entry to the journal, in its native protocol: the host's Python may lack libsystemd's module.

        Raises:
            ValueError: when a field that the event's catalog text names is missing.
        """
        if missing := [name for name in EVENT_FIELDS[event] if name not in facts]:
            raise ValueError(f"{event}: the field {missing[0]!r} is missing")
        fields: dict[str, object] = {
            "MESSAGE": message,
            "MESSAGE_ID": event.message_id,
            "PRIORITY": int(priority),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "PROMETHEUS_EVENT": event.label,
            "PROMETHEUS_INSTANCE": HOST,
            **{f"PROMETHEUS_{name.upper()}": "null" if value is None else value for name, value in facts.items()},
        }
        # a line feed in a value would begin a new field
        text = "".join(f"{name}={one_line(str(value))}\n" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
                to.sendto(text.encode(), str(self.socket))
        except OSError as error:
            self.unheard.append(f"the journal did not hear of {event}: {self.socket}: {error.strerror or error}")
