"""``status``: what runs, since when, on which image, and how it fares. Exit 0 whatever it finds: it only looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host.status import Look
from prometheus.v10.ops.host.systemd import Systemd
from prometheus.v10.ops.storage.sizes import sized

STATUS_EXAMPLES = examples("status --root /", "status --root var --json")
_COLUMNS = ("instance", "stage", "state", "since", "run", "experiment", "tick", "alive", "deaths", "collapses", "image")


def look(layout: Layout, systemd: Systemd | None, clock: Clock) -> Report:
    """Everything that can be seen of an installation."""
    found = Look(layout, systemd, clock).whole()
    shown: list[RenderableType] = [
        table("instances", _COLUMNS, [_row(instance) for instance in found["instances"]])
        if found["instances"]
        else "no instance has ever run here",
        *(f"{one['instance']}: {one['status']}" for one in found["instances"] if one["status"]),
        *(halted(one) for one in found["instances"] if one["halt"]),
        facts("host", _host(found)),
        *(f"cannot see {what}" for what in found["cannot_see"]),
    ]
    return Report(found, shown)


def halted(one: Mapping[str, Any]) -> str:
    """That trading of an instance is halted, by which run and why."""
    name, halt = one["instance"], one["halt"]
    said = f"{name}: trading is HALTED since {halt['since']} by {halt['run_id']}: {', '.join(halt['reasons'])}"
    return f"{said}; prometheus-quant execution state {name}"


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    run, progress, collapses = (one[name] or {} for name in ("last_run", "progress", "collapses"))
    experiment = f"{progress['experiment']} of {progress['experiments']}" if progress else run.get("experiments")
    tick = f"{progress['tick']} of {progress['ticks']}" if progress else None
    deaths = progress.get("deaths", run.get("deaths"))
    image = (run.get("image_digest") or "").removeprefix("sha256:")[:12] or None
    run_id = progress.get("run_id", run.get("run_id"))
    alive = progress.get("alive")
    service = (one[name] for name in ("instance", "stage", "state", "since"))
    return (*service, run_id, experiment, tick, alive, deaths, collapses.get("count"), image)


def _host(found: Mapping[str, Any]) -> dict[str, object]:
    stop, release, disk = found["stop"], found["release"], found["disk"]
    pulled = f"PULLED by {stop['who'] or 'hand'}, since {stop['since']}: {stop['reason'] or 'no reason given'}"
    said = {
        "kill switch": pulled if stop["pulled"] else "not pulled",
        "release": "-" if release is None else f"{release['id']} (commit {(release['git_commit'] or '-')[:12]})",
        "release since": None if release is None else release["since"],
        "disk": _disk(disk),
    }
    for one in found["instances"]:
        if curve := one["collapses"]:
            said[f"collapses of {one['instance']}"] = _collapses(curve)
    snapshot, audit = found["last_snapshot"], found["last_audit"]
    said["last snapshot"] = (
        None if snapshot is None else f"{snapshot['id']} of {snapshot['stage']}, {snapshot['created_at']}"
    )
    said["last audit"] = (
        f"- ({found['null_reasons']['last_audit']})"
        if audit is None
        else f"{'passed' if audit['passed'] else 'FAILED'}, {audit['ended_at']}"
    )
    kept = found["last_checkpoint"]
    said["last checkpoint"] = (
        f"- ({found['null_reasons']['last_checkpoint']})"
        if kept is None
        else f"{kept['entries']} entries, {kept['taken_at'] or 'of an unknown time'}"
    )
    return said


def _collapses(curve: Mapping[str, Any]) -> str:
    """How many there were, the last one, and what usually lies between two in its stratum, where that is known."""
    if not curve["count"]:
        return "none"
    last, why = curve["last_utc"] or "at an unknown time", curve["last_reason"] or "for an unknown reason"
    said = f"{curve['count']}, the last {last} ({why})"
    ticks = curve["median_interval_ticks"]
    return said if ticks is None else f"{said}, median interval {_number(ticks)} ticks in its stratum"


def _disk(disk: Mapping[str, Any]) -> str:
    def size(name: str) -> str:
        number = disk[name]
        return "-" if number is None else sized(number)

    return (
        f"{size('used_bytes')} used of a budget of {size('budget_bytes')}; "
        f"{size('free_bytes')} free, {size('keep_free_bytes')} must stay free; "
        f"{size('written_a_day')} a day now, {_full(disk)}; "
        f"{_number(disk['agent_ticks_a_byte'])} agent-ticks for each byte"
    )


def _full(disk: Mapping[str, Any]) -> str:
    """The day on which the budget would be full."""
    if disk["budget_bytes"] is None or disk["written_a_day"] is None:
        return "no pace is known"
    return f"budget full on {disk['budget_full_at'][:10]}" if disk["budget_full_at"] else "never full at this pace"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.6g}"


# ---- on the command line ---------------------------------------------------------------------------------------------


def status_command(*, root: Root = DEFAULT_ROOT, as_json: AsJson = False, as_csv: AsCsv = False) -> Report:
    """Show what runs, since when, on which image, and its state; needs neither root nor systemd."""
    layout = existing(Layout.under(root))
    return look(layout, Systemd.of(layout), SystemClock()).asked(as_json=as_json, as_csv=as_csv)
