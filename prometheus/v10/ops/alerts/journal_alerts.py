"""Alerts that the journal tells: events of ours, and units of ours that systemd calls failed.

journald itself writes the fields that begin with an underscore. An event is believed when root or a user of ours sent
it, a failed unit when process 1 said so. What a payload sends it can also invent: it can make an alert, and nothing
else. The journal is read from a cursor on; where the cursor is lost, from the time of the last look.
"""

from __future__ import annotations

import contextlib
import json
import pwd
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from prometheus.v10.base.names import Event, is_instance
from prometheus.v10.ops.alerts.alert import CRITICAL, WARNING, Alert, clean

MOST_ENTRIES = 20_000
"""Entries of one look; what is left is read at the next one."""
MOST_LINE = 1 << 18
SECONDS = 30.0
FIRST_LOOK = 15 * 60.0
"""How far back the first look reaches."""
USERS = ("root", "prometheus-quant", "prometheus-witness")
UNIT_FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
"""systemd's message id: "unit entered the 'failed' state" (systemd.journal-fields, sd-messages.h)."""
OUR_UNIT = re.compile(
    r"prometheus-(?:(?:stage1|stage2|close|custodian|download|podman|preflight)@[A-Za-z0-9_.:\\-]{1,100}|audit|checkpoint|metrics"
    r"|index|notify|retention|site|snapshot|stop)\.service"
)
"""Debian's own packages of another Prometheus have units whose names begin alike."""
FIELDS = ("MESSAGE", "MESSAGE_ID", "UNIT", "UNIT_RESULT", "_PID", "_UID", "_TRANSPORT", "PROMETHEUS_EVENT",
          "PROMETHEUS_INSTANCE", "PROMETHEUS_SEVERITY")  # fmt: skip

_LOOK = "journalctl -u 'prometheus-*' -p warning -n 50"
EVENTS: dict[Event, tuple[str, str]] = {
    Event.INCIDENT: (CRITICAL, _LOOK),
    Event.VERIFY_FAILED: (CRITICAL, "prometheus-quant audit"),
    Event.CORE_MISMATCH: (CRITICAL, "prometheus-quant doctor"),
    Event.TORN_TAIL: (CRITICAL, "prometheus-quant audit"),
    Event.WATCHDOG_STALL: (CRITICAL, _LOOK),
    Event.TRADING_STATE: (WARNING, "prometheus-quant execution state INSTANCE"),
    Event.RUN_INTERRUPTED_CLOSED: (WARNING, "prometheus-quant runs list --limit 20"),
    Event.DISK_BUDGET: (WARNING, "prometheus-quant retention --dry-run"),
    Event.STOP_REQUESTED: (WARNING, "prometheus-quant status"),
    Event.ROLLBACK: (WARNING, "prometheus-quant release list"),
}
"""Events that somebody is told of, how grave each is, and what to type."""
_BY_LABEL = {event.label: event for event in EVENTS}


@frozen
class JournalLook:
    """What one look at the journal gave.

    Attributes:
        alerts: in the order of the journal.
        cursor: behind the last entry that was read; None where none was.
        gap: why the place of the last look was lost; None where it was not.
        failed: why the journal could not be read at all; None where it was.
    """

    alerts: list[Alert]
    cursor: str | None
    gap: str | None = None
    failed: str | None = None


def trusted_users(names: Iterable[str] = USERS) -> frozenset[str]:
    """Numbers of the users whose events are believed, as the journal writes them."""
    found = set()
    for name in names:
        with contextlib.suppress(KeyError):
            found.add(str(pwd.getpwnam(name).pw_uid))
    return frozenset(found)


def look_at_journal(
    cursor: str | None, since: float, *, users: frozenset[str], command: Sequence[str] = ("journalctl",)
) -> JournalLook:
    """Read what came behind a cursor.

    Args:
        cursor: of the last look; None where there was none.
        since: seconds since 1970: where to read from when the cursor is lost.
        users: whose events are believed.
        command: how journalctl is called.
    """
    entries = _Entries([*command, *_words(), f"--after-cursor={cursor}" if cursor else f"--since=@{since:.0f}"])
    alerts = [alert for entry in entries if (alert := alert_of(entry, users=users)) is not None]
    if entries.failed is None:
        return JournalLook(alerts, entries.cursor or cursor)
    if cursor is None or entries.cursor is not None:
        return JournalLook(alerts, entries.cursor or cursor, failed=entries.failed)
    again = look_at_journal(None, since, users=users, command=command)
    if again.failed is not None:
        return JournalLook([], cursor, failed=again.failed)
    return JournalLook(again.alerts, again.cursor, gap=entries.failed)


def _words() -> list[str]:
    ids = [event.message_id for event in EVENTS]
    return ["--quiet", "--no-pager", "--output=json", f"--output-fields={','.join(FIELDS)}",
            *(f"MESSAGE_ID={one}" for one in [*ids, UNIT_FAILED])]  # fmt: skip


class _Entries:
    """Entries of one call of journalctl, as they come: bounded in number and in time.

    Attributes:
        cursor: of the last entry that was given out.
        failed: why the call failed; None where it did not, or was cut off by us.
    """

    def __init__(self, words: list[str]) -> None:
        self._words, self._cut = words, False
        self.cursor: str | None = None
        self.failed: str | None = None

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        try:
            reader = subprocess.Popen(
                self._words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            self.failed = f"journalctl cannot be started: {error.strerror}"
            return
        late = threading.Timer(SECONDS, self._end, (reader,))
        late.daemon = True
        late.start()
        with reader:
            lines, complaints = reader.stdout, reader.stderr
            assert lines is not None and complaints is not None  # noqa: S101, PT018  (they are pipes)
            for number, line in enumerate(iter(lambda: lines.readline(MOST_LINE), b""), 1):
                entry = _parsed(line)
                if entry is not None and isinstance(entry.get("__CURSOR"), str):
                    self.cursor = entry["__CURSOR"]
                    yield entry
                if number >= MOST_ENTRIES:
                    self._end(reader)
                    break
            late.cancel()
            said = b"" if self._cut else complaints.read(2000)
        if reader.returncode and not self._cut:
            words = said.decode("utf-8", "replace").strip() or f"it ended with {reader.returncode}"
            self.failed = clean(words.splitlines()[-1])

    def _end(self, reader: subprocess.Popen[bytes]) -> None:
        self._cut = True
        reader.kill()


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def alert_of(entry: Mapping[str, Any], *, users: frozenset[str]) -> Alert | None:
    """What an entry tells; None where it tells nothing, or nobody who is believed sent it."""
    said = {name: entry[name] for name in FIELDS if isinstance(entry.get(name), str)}
    time = entry.get("__REALTIME_TIMESTAMP")
    if not (isinstance(time, str) and time.isascii() and time.isdigit() and len(time) <= 17):
        return None
    since = int(time) / 1e6
    if said.get("MESSAGE_ID") == UNIT_FAILED:
        return _failed_unit(said, since)
    event = _BY_LABEL.get(said.get("PROMETHEUS_EVENT", ""))
    ours = said.get("_UID") in users and said.get("_TRANSPORT") == "journal"
    if event is None or not ours or said.get("MESSAGE_ID") != event.message_id:
        return None
    severity, command = EVENTS[event]
    if event is Event.INCIDENT and said.get("PROMETHEUS_SEVERITY") not in {None, CRITICAL}:
        severity = WARNING
    instance = said.get("PROMETHEUS_INSTANCE", "")
    where = instance if is_instance(instance) else "-"
    text = f"{event.label} of {where}: {clean(said.get('MESSAGE', ''), 200)}"
    return Alert(key=f"{event.label} {where}", severity=severity, text=text, since=since, command=command)


def _failed_unit(said: Mapping[str, str], since: float) -> Alert | None:
    unit, result = said.get("UNIT", ""), clean(said.get("UNIT_RESULT", "failed"), 40)
    if said.get("_PID") != "1" or not OUR_UNIT.fullmatch(unit):
        return None
    return Alert(
        key=f"unit {unit} {result}", severity=CRITICAL, text=f"{unit} failed: {result}", since=since,
        command=f"journalctl -u {unit} -x",
    )  # fmt: skip
