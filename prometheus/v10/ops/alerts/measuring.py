"""One measurement of an installation: what `status` sees and what was counted, as samples of `metric_table`.

What cannot be seen has no sample; a sample never stands for a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from attrs import define, evolve, field

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.alerts import metric_table as m
from prometheus.v10.ops.alerts.counted import AT_ONCE, Counted, count_on
from prometheus.v10.ops.alerts.open_metrics import Family, Sample
from prometheus.v10.ops.host.status import Look
from prometheus.v10.ops.host.systemd import Systemd

ONE_SHOTS = ("prometheus-audit", "prometheus-checkpoint", "prometheus-snapshot", "prometheus-retention",
             "prometheus-site", "prometheus-index", "prometheus-notify")  # fmt: skip
_UNIT_FACTS = ("ActiveState", "ExecMainStatus", "ExecMainExitTimestamp")


@define
class Measurement:
    """What was measured.

    Attributes:
        samples: in the order in which they are shown.
        counted: to be kept for the next time.
        blind: what could not be seen, a sentence each.
    """

    samples: list[Sample]
    counted: Counted
    blind: list[str] = field(factory=list)


def measure(
    layout: Layout, systemd: Systemd | None, clock: Clock, kept: Counted, *, at_most: int = AT_ONCE
) -> Measurement:
    """Look at an installation once.

    Args:
        layout: the installation.
        systemd: its manager, if it has one.
        clock: says when.
        kept: what was counted before.
        at_most: bytes of the ledger that are counted now.
    """
    look = Look(layout, systemd, clock)
    found = look.whole()
    blind = list(look.blind)
    counted = evolve(kept)
    try:
        counted = count_on(layout, counted, at_most=at_most)
    except PrometheusError as error:
        blind.append(f"the ledger: {error.message}")
    audit = found["last_audit"]
    if audit is not None:
        counted.audit = {"ended_at": audit["ended_at"], "passed": audit["passed"]}
    samples = [
        Sample(m.UP, 1),
        Sample(m.MEASURED, clock.now().timestamp()),
        *_host(found),
        *(sample for one in found["instances"] for sample in _instance(one)),
        *_counted(counted),
        *_files(layout, counted),
        *_audit(counted.audit),
        *(() if systemd is None else _units(systemd, found, blind)),
    ]
    blind = [what for what in blind if not what.startswith("units: ") or systemd is not None]
    return Measurement([*samples, Sample(m.BLIND, len(blind))], counted, blind)


def _host(found: Mapping[str, Any]) -> Iterator[Sample]:
    stop, disk = found["stop"], found["disk"]
    yield Sample(m.KILL_SWITCH, int(stop["pulled"]))
    yield from _moment(m.KILL_SWITCH_SINCE, stop["since"])
    for family, name in (
        (m.DISK_FREE, "free_bytes"),
        (m.DISK_KEEP_FREE, "keep_free_bytes"),
        (m.DISK_USED, "used_bytes"),
        (m.DISK_BUDGET, "budget_bytes"),
        (m.DISK_A_DAY, "written_a_day"),
    ):
        if disk[name] is not None:
            yield Sample(family, disk[name])
    yield from _moment(m.DISK_FULL, disk["budget_full_at"])
    kept, snapshot = found["last_checkpoint"], found["last_snapshot"]
    if kept is not None:
        yield Sample(m.CHECKPOINT_ENTRIES, kept["entries"])
        yield from _moment(m.CHECKPOINT, kept["taken_at"])
    if snapshot is not None:
        yield from _moment(m.SNAPSHOT, snapshot["created_at"])


def _instance(one: Mapping[str, Any]) -> Iterator[Sample]:
    who = (one["instance"],)
    if one["working"] is not None:
        yield Sample(m.WORKING, int(one["working"]), who)
    if one["restarts"] is not None:
        yield Sample(m.RESTARTS, one["restarts"], who)
    progress = one["progress"]
    if progress is not None:
        yield from _moment(m.BEAT, progress["ts_utc"], who)
        yield Sample(m.ALIVE, progress["alive"], who)
        yield Sample(m.SPEED, progress["agent_ticks_per_second"], who)
    if one["last_run"] is not None:
        yield from _moment(m.LAST_BEGUN, one["last_run"]["start_time"], who)


def _counted(counted: Counted) -> Iterator[Sample]:
    for family, sums in (
        (m.BEGUN, counted.begun),
        (m.RUNS, counted.runs),
        (m.COLLAPSES, counted.collapses),
        (m.DEATHS, counted.deaths),
        (m.BIRTHS, counted.births),
        (m.AGENT_TICKS, counted.agent_ticks),
        (m.LAST_SEAL, counted.last_seal),
    ):
        for key, value in sorted(sums.items()):
            labels = tuple(key.split(" "))
            if len(labels) == len(family.labels):
                yield Sample(family, value, labels)
    yield Sample(m.UNREAD, counted.unread)
    yield Sample(m.LEDGER, counted.n)


def _files(layout: Layout, counted: Counted) -> Iterator[Sample]:
    with suppress(OSError):
        yield Sample(m.BEHIND, max(0, layout.ledger.stat().st_size - counted.size))
    for stage in Stage:
        pool = layout.pool(stage)
        with suppress(OSError):
            yield Sample(m.POOL_BYTES, pool.stat().st_size, (stage.value,))
        if (records := counted.pool_records.get(str(pool.relative_to(layout.lib)))) is not None:
            yield Sample(m.POOL_RECORDS, records, (stage.value,))


def _audit(audit: Mapping[str, Any]) -> Iterator[Sample]:
    if isinstance(audit.get("ended_at"), str) and isinstance(audit.get("passed"), bool):
        yield from _moment(m.AUDIT, audit["ended_at"])
        yield Sample(m.AUDIT_PASSED, int(audit["passed"]))


def _units(systemd: Systemd, found: Mapping[str, Any], blind: list[str]) -> Iterator[Sample]:
    stages = [one["unit"] for one in found["instances"] if one["unit"] is not None]
    for unit in [*stages, *(f"{name}.service" for name in ONE_SHOTS)]:
        try:
            said = systemd.show(unit, *_UNIT_FACTS)
        except PrometheusError as error:
            blind.append(f"{unit}: {error.message}")
            continue
        yield Sample(m.UNIT_FAILED, int(said.get("ActiveState") == "failed"), (unit,))
        ended = said.get("ExecMainExitTimestamp", "").removeprefix("@")
        if ended.isdecimal() and int(ended) > 0:
            yield Sample(m.UNIT_ENDED, int(ended), (unit,))
            if (status := said.get("ExecMainStatus", "")).isdecimal():
                yield Sample(m.UNIT_EXIT, int(status), (unit,))


def _moment(family: Family, text: object, labels: tuple[str, ...] = ()) -> Iterator[Sample]:
    """A moment of our UTC text; nothing where it is none."""
    with suppress(ValueError, TypeError, OverflowError):
        if text is not None:
            yield Sample(family, datetime.fromisoformat(str(text)).timestamp(), labels)
