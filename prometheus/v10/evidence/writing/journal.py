"""The journal as second witness (contracts, section 8).

1. Files first: callers write an event to its file, then send it here. The journal decides nothing.
2. Every entry is structured: message id, event, run, instance, mode, stage, and the fields that the catalog text names.
3. libsystemd reports success when journald's socket is not there, so the socket is looked at, at start and before
   every entry. Where library or socket are absent the manifest says so, with the reason.
4. What was sent is counted by event, and so is what could not be sent: the manifest carries both counts.
"""

from __future__ import annotations

import stat
import sys
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from attrs import field, frozen

from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import EVENT_FIELDS, Event
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.records.nulls import Nulls

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "prometheus-quant"

Sender = Callable[..., object]
"""``systemd.journal.send`` or what stands in for it: message first, then fields by keyword."""


class Priority(IntEnum):
    """syslog levels. journald writes CRITICAL to disk at once, everything below within minutes."""

    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


_PRIORITIES = {
    Event.CORE_MISMATCH: Priority.CRITICAL,
    Event.TORN_TAIL: Priority.CRITICAL,
    Event.VERIFY_FAILED: Priority.CRITICAL,
    Event.INCIDENT: Priority.CRITICAL,
    Event.LEDGER_CHECKPOINT: Priority.CRITICAL,
    Event.WATCHDOG_STALL: Priority.ERROR,
    Event.RUN_INTERRUPTED_CLOSED: Priority.WARNING,
    Event.WORLD_DIFFERENCE: Priority.WARNING,
    Event.STOP_REQUESTED: Priority.WARNING,
    Event.DISK_BUDGET: Priority.WARNING,
    Event.TRADING_STATE: Priority.WARNING,
    Event.INTERESTING_DEATH: Priority.WARNING,
    Event.REVIEW_DEATHS: Priority.INFO,
}


@frozen(kw_only=True)
class JournalState:
    """What the manifest says about the journal.

    Attributes:
        socket: where journald listens.
        sent: entries handed to journald, by event; ``failed`` those that it did not take. Both
            count up to the moment the manifest was last written.
        last_error: why the last failed entry failed.
        invocation_id: systemd's id of this start of the unit, to match file and journal.
    """

    present: bool
    socket: str
    sent: dict[str, int]
    failed: dict[str, int]
    last_error: str | None
    invocation_id: str | None
    absent_reason: str | None
    extra: dict[str, Any] = field(factory=dict)


class Journal:
    """The sink of one run or of the service between runs.

    Args:
        instance: the unit's instance (``HF``).
        mode: the run's mode.
        stage: the sandbox.
        run_id: the run, or None for entries of the service itself.
        sender: what takes an entry; None where the journal is absent.
        absent_reason: why it is absent; None where it is present.
        socket: where journald listens.
    """

    def __init__(
        self,
        *,
        instance: str,
        mode: Mode,
        stage: Stage,
        run_id: str | None,
        sender: Sender | None,
        absent_reason: str | None = None,
        socket: Path = SOCKET,
    ) -> None:
        if (sender is None) == (absent_reason is None):
            raise ValueError("a journal has either a sender or a reason to be absent")
        self.instance, self.mode, self.stage, self.run_id = instance, mode, stage, run_id
        self.absent_reason = absent_reason
        self._sender, self._socket = sender, socket
        self._sent: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._last_error: str | None = None
        self._runs: WeakValueDictionary[str, Journal] = WeakValueDictionary()

    @classmethod
    def open(cls, *, instance: str, mode: Mode, stage: Stage, run_id: str | None, socket: Path = SOCKET) -> Journal:
        """The machine's journal if the library and the socket are there, else one that is absent and says why."""
        sender, reason = _find_sender(socket)
        return cls(
            instance=instance,
            mode=mode,
            stage=stage,
            run_id=run_id,
            sender=sender,
            absent_reason=reason,
            socket=socket,
        )

    def for_run(self, run_id: str) -> Journal:
        """The same journal for one run, with counts of its own.

        As long as anybody holds a run's journal, all who ask for it share it: what the service says about a run that is
        at work counts among what its manifest says was sent.
        """
        if (held := self._runs.get(run_id)) is not None:
            return held
        made = self._runs[run_id] = Journal(
            instance=self.instance,
            mode=self.mode,
            stage=self.stage,
            run_id=run_id,
            sender=self._sender,
            absent_reason=self.absent_reason,
            socket=self._socket,
        )
        return made

    def send(self, event: Event, message: str, **facts: str | float | bool | None) -> bool:
        """Send one entry; returns whether journald took it.

        Args:
            event: what happened; it decides message id and priority.
            message: one line that a human reads.
            facts: further fields, lower case: ``reason="extinction"`` is sent as ``PROMETHEUS_REASON=extinction``.

        Raises:
            ValueError: when a field that the event's catalog text names is missing. That is a bug of the caller, found
                whether a journal is present or not.
        """
        if missing := [name for name in EVENT_FIELDS[event] if name not in facts]:
            raise ValueError(f"{event}: the field {missing[0]!r} is missing")
        if self._sender is None:
            return False
        fields: dict[str, str] = {
            "MESSAGE_ID": event.message_id,
            "PRIORITY": str(int(_PRIORITIES.get(event, Priority.NOTICE))),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "PROMETHEUS_EVENT": event.label,
            "PROMETHEUS_INSTANCE": self.instance,
            "PROMETHEUS_MODE": self.mode.value,
            "PROMETHEUS_STAGE": self.stage.value,
        }
        if self.run_id is not None:
            fields["PROMETHEUS_RUN_ID"] = self.run_id
        fields |= {f"PROMETHEUS_{name.upper()}": _text(value) for name, value in facts.items()}
        try:
            if not _listens(self._socket):  # libsystemd would report success
                raise FileNotFoundError(f"{self._socket} is gone")
            self._sender(message, **fields)
        except OSError as error:  # the file has the event; the manifest will say that the journal has not
            self._failed[event.label] += 1
            self._last_error = str(error)
            return False
        self._sent[event.label] += 1
        return True

    def send_torn(self, tail: TornTail) -> None:
        """Tell that an interrupted append was moved aside; on standard error where nobody else can hear of it."""
        message = f"{tail.path}: {tail.length} bytes after byte {tail.offset} moved to {tail.moved_to.name}"
        heard = self.send(
            Event.TORN_TAIL, message, path=str(tail.path), kept=str(tail.moved_to), offset=tail.offset,
            bytes=tail.length,
        )  # fmt: skip
        if not heard:
            sys.stderr.write(f"warning: {printable(message)}\n")

    def state(self, nulls: Nulls, invocation_id: str | None) -> JournalState:
        """What the manifest says, with reasons under ``journal.`` put into the manifest's ``nulls``.

        Args:
            nulls: of the manifest.
            invocation_id: ``INVOCATION_ID`` of the environment, if systemd started this process.
        """
        paths = ("last_error", "invocation_id", "absent_reason")
        nulls.forget(*(f"journal.{path}" for path in paths))
        not_started = "not started by systemd: INVOCATION_ID is not set"
        return JournalState(
            present=self._sender is not None,
            socket=str(self._socket),
            sent=dict(sorted(self._sent.items())),
            failed=dict(sorted(self._failed.items())),
            last_error=nulls.known("journal.last_error", self._last_error, "no entry failed"),
            invocation_id=nulls.known("journal.invocation_id", invocation_id or None, not_started),
            absent_reason=nulls.known("journal.absent_reason", self.absent_reason, "the journal is present"),
        )


def _find_sender(socket: Path) -> tuple[Sender | None, str | None]:
    """systemd-python's ``send``, or why there is none."""
    try:
        from systemd import journal  # noqa: PLC0415  (a C extension that not every host has)
    except ImportError as error:
        return None, f"systemd-python is not installed: {error}"
    if not _listens(socket):
        return None, f"{socket} is not there: no journald in this place"
    send: Sender = journal.send
    return send, None


def _listens(socket: Path) -> bool:
    try:
        return stat.S_ISSOCK(socket.stat().st_mode)
    except OSError:
        return False


def _text(value: str | float | bool | None) -> str:  # noqa: FBT001
    """A field's value as text: numbers as Python spells them, truth as JSON does."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
