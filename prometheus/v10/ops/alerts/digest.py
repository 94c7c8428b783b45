"""The digest: once a day, where the credential asks for it, one line each about what a person would ask in the morning.

It is made from the file of figures alone, like every alert about what holds; `kpi` says what the intervals between
collapses come to, and the line about them says how to ask.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus.v10.ops.alerts.alert import clean, moment_text
from prometheus.v10.ops.alerts.forgotten import Figures, rows_of
from prometheus.v10.ops.alerts.open_metrics import one

DAY = 86400.0
SUMMED = {
    "deaths": "pq_deaths_total", "births": "pq_births_total", "runs": "pq_runs_total",
    "collapses": "pq_collapses_total", "agent-ticks": "pq_agent_ticks_total",
}  # fmt: skip
"""What a digest counts since the one before."""


def is_due(minute: int, before: float, now: float) -> bool:
    """Whether a digest is to be made: its minute of the day came since the last one.

    Args:
        minute: of the day in UTC.
        before: when the last one was made, seconds since 1970; 0 for never, which waits for the first minute to come.
        now: seconds since 1970.
    """
    if before == 0.0:
        return False
    newest = (now - 60.0 * minute) // DAY * DAY + 60.0 * minute
    return before < newest <= now


def sums_of(figures: Figures) -> dict[str, float]:
    """What has been counted so far, by ``what instance``."""
    found: dict[str, float] = {}
    for what, name in SUMMED.items():
        for instance, value in rows_of(figures, name, "pq_instance"):
            found[f"{what} {instance}"] = found.get(f"{what} {instance}", 0.0) + value
    return found


def lines_of(figures: Figures, missing: str | None, then: dict[str, float], now: float) -> list[str]:
    """The lines of a digest.

    Args:
        figures: what was read.
        missing: why there are none.
        then: what `sums_of` said at the digest before.
        now: seconds since 1970.
    """
    if missing is not None or not figures:
        return [f"no figures of this host: {missing or 'the file is empty'}"]
    came = {}
    for key, value in sums_of(figures).items():
        before = then.get(key, 0.0)
        came[key] = value - (before if before <= value else 0.0)  # less than before: counted anew
    instances = sorted({key.partition(" ")[2] for key in came})
    lines = [f"alive      {'; '.join(_alive(figures, now)) or 'no instance has ever worked'}"]
    for name in instances:
        runs, deaths, births, collapses, ticks = (
            came.get(f"{what} {name}", 0.0) for what in ("runs", "deaths", "births", "collapses", "agent-ticks")
        )
        lines.append(f"deaths     {name}: {deaths:,.0f}, and {births:,.0f} births, in {runs:,.0f} runs")
        per = f", one in {ticks / collapses:,.0f}" if collapses else ""
        asked = f"a trend? prometheus-quant kpi {name}"
        lines.append(f"collapses  {name}: {collapses:,.0f} in {ticks:,.0f} agent-ticks{per}; {asked}")
    return [*lines, f"audit      {_audit(figures)}", f"disk       {_disk(figures)}"]


def _alive(figures: Figures, now: float) -> Iterator[str]:
    working = dict(rows_of(figures, "pq_instance_working", "pq_instance"))
    alive = dict(rows_of(figures, "pq_alive", "pq_instance"))
    beats = dict(rows_of(figures, "pq_beat_timestamp_seconds", "pq_instance"))
    for name, at_work in sorted(working.items()):
        if not at_work:
            yield f"{name} does not run"
        elif name in beats:
            yield f"{name} runs, {alive.get(name, 0.0):,.0f} agents alive {max(0.0, now - beats[name]):,.0f} s ago"
        else:
            yield f"{name} runs"


def _audit(figures: Figures) -> str:
    ended = one(figures, "pq_audit_timestamp_seconds")
    if ended is None:
        return "none is on record"
    passed = one(figures, "pq_audit_passed") == 1
    return f"{'passed' if passed else 'DID NOT PASS'} at {moment_text(ended)}"


def _disk(figures: Figures) -> str:
    used, budget = one(figures, "pq_disk_used_bytes"), one(figures, "pq_disk_budget_bytes")
    a_day, full = one(figures, "pq_disk_written_per_day_bytes"), one(figures, "pq_disk_full_timestamp_seconds")
    said = [] if used is None else [f"{used / 1e9:,.1f} GB used" + ("" if not budget else f" of {budget / 1e9:,.1f}")]
    said += [] if a_day is None else [f"{a_day / 1e6:,.0f} MB in the last day"]
    said += [] if full is None else [f"full at {moment_text(full)} at that pace"]
    return clean(", ".join(said) or "not measured")
