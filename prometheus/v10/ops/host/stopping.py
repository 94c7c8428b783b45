"""The kill switch in an operator's hand (contracts, sections 2 and 7): pulled with a reason, waited for, released.

1. The STOP file comes first: whatever fails after it, everything stops. Its content says why, who and when; a file that
   somebody made with ``touch`` is as good, and says less.
2. It is latched: who pulls it again changes nothing, and nothing but `clear` (or ``rm``) releases it.
3. systemd is told as well: it stops what hangs, and works where the path unit is not enabled.
4. Each pull and each release is a line of ``state/stops.jsonl`` and an entry of the journal. A release that cannot be
   recorded does not happen; a pull that cannot be recorded does, and the command ends with the error's code.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.error_lines import one_line
from prometheus.v10.base.errors import HostError, PrometheusError, UsageError, host_error
from prometheus.v10.base.files import write_new
from prometheus.v10.base.names import Event, LedgerEntryType, is_instance
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.canonical import pretty_bytes, strict_loads
from prometheus.v10.evidence.writing.journal import Priority
from prometheus.v10.ops.host.host_records import STOPS, HostRecords
from prometheus.v10.ops.host.systemd import GUARD, STAGES, TARGET, Systemd
from prometheus.v10.ops.instance.alive import alive, ask_to_end, holder
from prometheus.v10.ops.service.stop import stop_file_present

SCHEMA = "stop/1"
MAX_STOP_BYTES = 64 * 1024
POLL_SECONDS = 0.1
NO_REASON = "no reason given"
BY_HAND = "the file was made by hand and does not say"


@frozen
class StopOrder:
    """A pulled kill switch; ``reason`` and ``who`` are None where the file does not say."""

    reason: str | None
    who: str | None
    since: str

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {"reason": self.reason, "who": self.who, "since": self.since}


@define
class Stopped:
    """What came of a stop.

    Attributes:
        order: the kill switch, or None when only one instance was asked to end.
        latched_before: the switch had been pulled already; its first reason stands.
        ended: what ran and runs no more.
        running: what still ran when the wait was over.
        seconds: how long that took.
        problems: what could not be done besides: record, journal, systemd.
        error: why the step could not be recorded.
    """

    order: StopOrder | None
    latched_before: bool = False
    ended: list[str] = Factory(list)
    running: list[str] = Factory(list)
    seconds: float = 0.0
    problems: list[str] = Factory(list)
    error: PrometheusError | None = None


def read_order(layout: Layout) -> StopOrder | None:
    """What the STOP file says; None when the kill switch is not pulled.

    Raises:
        HostError: when it is there and cannot be looked at.
    """
    place = layout.stop_file
    if not stop_file_present(place):
        return None
    try:
        found = place.lstat()
        since = utc_text(datetime.fromtimestamp(found.st_mtime, UTC))
        said = _content(place) if stat.S_ISREG(found.st_mode) and found.st_size <= MAX_STOP_BYTES else {}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise host_error(error, f"cannot look at {place}") from error
    reason, who, moment = (said.get(key) for key in ("reason", "who", "since"))
    if not (isinstance(reason, str) and isinstance(who, str) and isinstance(moment, str)):
        return StopOrder(None, None, since)
    return StopOrder(one_line(reason), one_line(who), moment)


def _content(place: Path) -> dict[str, Any]:
    try:
        said = strict_loads(place.read_bytes())
    except (ValueError, PermissionError):
        return {}
    return said if isinstance(said, dict) and said.get("schema") == SCHEMA else {}


def pull(layout: Layout, *, reason: str | None, who: str, clock: Clock) -> tuple[StopOrder, bool]:
    """Make the STOP file; returns what it says and whether it was there before.

    Raises:
        HostError: when it cannot be made.
    """
    order = StopOrder(one_line(reason or NO_REASON), who, utc_text(clock.now()))
    try:
        layout.etc.mkdir(parents=True, exist_ok=True)
        write_new(layout.stop_file, pretty_bytes({"schema": SCHEMA, **order.plain()}), mode=0o644)
    except FileExistsError:
        return read_order(layout) or order, True
    except OSError as error:
        raise host_error(error, f"cannot make {layout.stop_file}") from error
    return order, False


def running(layout: Layout, systemd: Systemd | None) -> list[str]:
    """What runs now: units that are not at rest, and instances whose lock is held.

    Raises:
        HostError: when systemd or the locks cannot be asked: not knowing is not the same as nothing.
    """
    units = [] if systemd is None else [unit.name for unit in systemd.stages() if not unit.at_rest]
    named = {name.partition("@")[2].removesuffix(".service") for name in units}
    try:
        return sorted([*units, *(name for name in alive(layout) if name not in named)])
    except PermissionError as error:
        raise HostError(
            f"cannot see who works under {layout.state}: {error.strerror}", hint="ask as root, or as the service's user"
        ) from error


def stop_all(
    layout: Layout,
    records: HostRecords,
    systemd: Systemd | None,
    *,
    reason: str | None,
    who: str,
    wait: float,
    pause: Callable[[float], None],
) -> Stopped:
    """Pull the kill switch, tell systemd, record it, and wait until nothing runs.

    Raises:
        HostError: when the switch cannot be pulled, or nobody can tell what runs.
    """
    order, before = pull(layout, reason=reason, who=who, clock=records.clock)
    done = Stopped(order, latched_before=before)
    try:
        seen = running(layout, systemd)
    except HostError:
        seen = []  # asked again below, when everything has been told to stop
    if systemd is not None:
        complaint = systemd.stop([TARGET, STAGES], wait=False) if systemd.may_command() else _NOT_ROOT
        done.problems += [] if complaint is None else [complaint]
    asked = reason or NO_REASON
    payload = {"step": "pulled", "reason": one_line(asked), "who": who, "latched_before": before, "instance": "all"}
    _record(done, records, LedgerEntryType.STOP, payload)
    records.tell(
        Event.STOP_REQUESTED, f"kill switch pulled by {who}: {asked}", priority=Priority.WARNING, reason=asked, who=who
    )
    _wait(done, seen, lambda: running(layout, systemd), records.clock, wait, pause)
    done.problems += records.unheard
    return done


def stop_one(
    layout: Layout,
    records: HostRecords,
    systemd: Systemd | None,
    *,
    instance: str,
    reason: str | None,
    who: str,
    wait: float,
    pause: Callable[[float], None],
) -> Stopped:
    """Ask one instance to end; the kill switch is not touched, so anybody may start it again.

    Raises:
        UsageError: when there is no such instance, or nobody works for it that could be asked.
        HostError: when nobody can tell what runs.
    """
    if not is_instance(instance):
        raise UsageError(f"{instance!r} cannot name an instance", hint="for example HF")
    units = [] if systemd is None else [unit.name for unit in systemd.stages() if unit.instance == instance]

    def still() -> list[str]:
        found = running(layout, systemd)
        return [name for name in found if name in {*units, instance}]

    seen = still()
    if not seen:
        raise UsageError(f"nothing runs for instance {instance}", hint="prometheus-quant status shows what does")
    done = Stopped(None)
    if systemd is not None and units:
        complaint = systemd.stop(units, wait=False) if systemd.may_command() else _NOT_ROOT
        done.problems += [] if complaint is None else [complaint]
    elif not _signal(layout, instance):
        raise UsageError(
            f"instance {instance} is worked for by {holder(layout, instance)}, which cannot be asked from here",
            hint="prometheus-quant stop --all reaches it through the STOP file",
        )
    asked = reason or NO_REASON
    payload = {"step": "instance", "reason": one_line(asked), "who": who, "latched_before": False, "instance": instance}
    _record(done, records, LedgerEntryType.STOP, payload)
    records.tell(
        Event.STOP_REQUESTED, f"instance {instance} stopped by {who}: {asked}", priority=Priority.WARNING,
        reason=asked, who=who,
    )  # fmt: skip
    _wait(done, seen, still, records.clock, wait, pause)
    done.problems += records.unheard
    return done


def clear(
    layout: Layout,
    records: HostRecords,
    systemd: Systemd | None,
    *,
    reason: str | None,
    who: str,
    pause: Callable[[float], None],
) -> StopOrder | None:
    """Record, then remove the STOP file; returns what it said, or None when it was not there.

    Raises:
        UsageError: when a directory bears its name: that is not ours to remove.
        EvidenceError: when the record is damaged; the switch stays pulled.
        HostError: when the disk refuses; the switch stays pulled.
    """
    order = read_order(layout)
    if order is None:
        return None
    place = layout.stop_file
    if place.is_dir() and not place.is_symlink():
        raise UsageError(f"{place} is a directory", hint="look into it, and remove it by hand")
    if not os.access(place.parent, os.W_OK):
        raise HostError(f"{place} cannot be removed by this user", hint="clear it as root")
    why = one_line(reason or NO_REASON)
    nulls = {f"order.{key}": BY_HAND for key in ("reason", "who") if getattr(order, key) is None}
    payload = {"step": "cleared", "reason": why, "who": who, "order": order.plain()}
    records.enter(STOPS, LedgerEntryType.STOP_CLEARED, payload, nulls)
    try:
        place.unlink()
        records_fd = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(records_fd)
        finally:
            os.close(records_fd)
    except OSError as error:
        raise host_error(error, f"cannot remove {place}") from error
    records.tell(Event.STOP_CLEARED, f"kill switch released by {who}: {why}", reason=why, who=who)
    _await_guard(systemd, records.clock, pause)
    return order


# ---- its parts -------------------------------------------------------------------------------------------------------

_NOT_ROOT = "systemd was not told: that needs root; the STOP file is seen by the services and by prometheus-stop.path"
GUARD_SECONDS = 10.0


def _signal(layout: Layout, instance: str) -> bool:
    try:
        return ask_to_end(layout, instance)
    except PermissionError as error:
        raise HostError(f"instance {instance} belongs to another user", hint="stop it as that user or root") from error


def _record(done: Stopped, records: HostRecords, kind: LedgerEntryType, payload: dict[str, Any]) -> None:
    """Enter a stop; one that cannot be entered is a stop all the same."""
    try:
        records.enter(STOPS, kind, payload, {})
    except PrometheusError as error:
        done.error = error
        done.problems.append(f"not recorded: {error.message}")
    except OSError as error:
        done.error = host_error(error, f"cannot record the stop in {records.layout.state}")
        done.problems.append(f"not recorded: {done.error.message}")


def _wait(
    done: Stopped,
    before: Sequence[str],
    still: Callable[[], Sequence[str]],
    clock: Clock,
    seconds: float,
    pause: Callable[[float], None],
) -> None:
    began = clock.monotonic()
    seen = set(before)
    while True:
        now = list(still())
        seen |= set(now)
        done.seconds = clock.monotonic() - began
        if not now or done.seconds >= seconds:
            break
        pause(POLL_SECONDS)
    done.running = now
    done.ended = sorted(seen - set(now))


def _await_guard(systemd: Systemd | None, clock: Clock, pause: Callable[[float], None]) -> None:
    """The guard looks once a second whether the file is gone; what is started before that would be stopped again."""
    if systemd is None:
        return
    until = clock.monotonic() + GUARD_SECONDS
    while clock.monotonic() < until and systemd.show(GUARD, "ActiveState").get("ActiveState") not in {"inactive", None}:
        pause(POLL_SECONDS)
