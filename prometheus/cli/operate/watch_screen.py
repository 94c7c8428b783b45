"""One frame of ``watch``: lines for a screen of any size, in sixteen colours. A pure function of the scene.

A line is made of parts, the most telling first. A part may have shorter forms; one of which none fits is left out as a
whole, so no number is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from prometheus.cli.operate.watch_scene import PRIORITIES, Said, Scene
from prometheus.v10.base.text import printable
from prometheus.v10.ops.host.status import NO_SYSTEMD
from prometheus.v10.ops.instance.progress_record import ProgressRecord
from prometheus.v10.report.pages.scales import bytes_text, number, percent
from prometheus.v10.report.site.run_lines import RunLine

STALE_SECONDS = 15.0
BARS = "▁▂▃▄▅▆▇█"
GAP = "  "
GOOD, BAD, WARN, DIM, LOUD = "green", "red", "yellow", "dim", "bold"
SPARK = 20
NAME = 8
Part = tuple[str | Sequence[str], str]
"""Text, or forms of it from the longest on, and its style."""


def frame(scene: Scene, width: int, height: int, *, paused: bool = False) -> list[Text]:
    """The lines of a screen, ``height`` of them at most, none wider than ``width``."""
    head = [_line(_head(scene), width)]
    foot = _line([("q quit", DIM), ("p go on" if paused else "p pause", WARN if paused else DIM),
                  (f"root {printable(scene.root)}", DIM)], width)  # fmt: skip
    fixed = [_line(_evidence(scene), width), _line(_disk(scene), width)]
    room = max(0, height - len(head) - len(fixed) - 1)
    blocks = [_instance(one, scene, width) for one in _in_order(scene)] or [[Text("no instance has run here yet")]]
    shown: list[Text] = []
    for place, block in enumerate(blocks):
        rest = len(blocks) - place
        if len(shown) + len(block) + (rest > 1) > room:
            shown.append(_line([(f"and {rest} more instances", WARN)], width))
            break
        shown += block
    lines = [*head, *shown[:room], *fixed]
    more = [*_said(scene, width), *_blind(scene, width), *_runs(scene, width)]
    lines += more[: max(0, height - len(lines) - 1)]
    return [*lines[: max(0, height - 1)], foot][:height]


def _line(parts: Iterable[Part], width: int) -> Text:
    """Parts beside each other, as far as they fit."""
    made, used = Text(no_wrap=True, overflow="crop"), 0
    for forms, style in parts:
        gap = GAP if used else ""
        room = width - used - len(gap)
        text = next((one for one in ([forms] if isinstance(forms, str) else forms) if cell_len(one) <= room), "")
        if not text:
            continue
        made.append(gap)
        made.append(text, style=style)
        used += len(gap) + cell_len(text)
    return made


def _head(scene: Scene) -> list[Part]:
    stop, release = scene.status.get("stop") or {}, scene.status.get("release")
    switch = ("switch PULLED", f"{BAD} bold") if stop.get("pulled") else ("switch not pulled", GOOD)
    images = f"release {str(release.get('id'))[:12]}" if isinstance(release, dict) else ""
    return [
        ("prometheus-quant", LOUD), (scene.now.astimezone(UTC).strftime("%H:%M:%SZ"), ""), switch,
        (printable(scene.host), DIM), (images, DIM),
    ]  # fmt: skip


def _in_order(scene: Scene) -> list[Mapping[str, Any]]:
    """Who works first, then by name."""
    instances = [one for one in scene.status.get("instances", []) if isinstance(one, dict)]
    return sorted(instances, key=lambda one: (one["instance"] not in scene.progress, one["instance"]))


def _instance(one: Mapping[str, Any], scene: Scene, width: int) -> list[Text]:
    name, record = str(one["instance"]), scene.progress.get(str(one["instance"]))
    state = str(one.get("state") or ("active" if one.get("working") else "inactive"))
    tone = GOOD if one.get("working") else BAD if "failed" in state else DIM
    head: list[Part] = [(printable(name).ljust(NAME), LOUD), (printable(state), tone)]
    lines = []
    if record is not None:
        lines.append(_line([*head, *_at_work(record, scene.now)], width))
        lines.append(_line(_living(record, scene.history.get(name, ())), width))
    else:
        lines.append(_line([*head, *_at_rest(one, scene.now)], width))
    own = [line for line in scene.runs if line.instance == name]
    lines.append(_line(_past(own, one), width))
    if isinstance(halt := one.get("halt"), dict):
        lines.append(_line([(f"  trading HALTED: {printable(', '.join(halt['reasons']))}", f"{BAD} bold")], width))
    return [line for line in lines if line.plain.strip()]


def _at_work(record: ProgressRecord, now: datetime) -> list[Part]:
    age = (now - _moment(record.ts_utc)).total_seconds()
    beat = (f"beat {_span(age)} ago", f"{BAD} bold" if age > STALE_SECONDS else DIM)
    return [
        (f"exp {number(record.experiment)}/{number(record.experiments)}", ""),
        (f"tick {number(record.tick)}/{number(record.ticks)}", ""), beat, (f"run {record.run_id[-4:]}", DIM),
    ]  # fmt: skip


def _living(record: ProgressRecord, history: Sequence[int]) -> list[Part]:
    rate = record.agent_ticks_per_second
    pace = f"{rate / 1e6:.1f} M" if rate >= 1e5 else number(rate)
    speed = [f"{pace} agent-ticks/s", f"{pace}/s"]
    collapse = ("", "") if record.last_collapse == "none" else (f"collapse: {record.last_collapse}", BAD)
    return [
        (f"  alive {number(record.alive)}", ""), (spark(history[-SPARK:]), GOOD),
        (f"deaths {number(record.deaths)}", ""), (f"births {number(record.births)}", ""), (speed, DIM), collapse,
    ]  # fmt: skip


def _at_rest(one: Mapping[str, Any], now: datetime) -> list[Part]:
    last = one.get("last_run")
    if not isinstance(last, dict):
        return [("no run yet", DIM)]
    ended = last.get("end_time")
    when = f"ended {_span((now - _moment(ended)).total_seconds())} ago" if isinstance(ended, str) else "not ended"
    status = str(last.get("status"))
    return [
        (when, ""), (printable(status), "" if status == "completed" else WARN),
        (f"last {printable(str(last.get('run_id')))}", DIM),
    ]  # fmt: skip


def _past(own: Sequence[RunLine], one: Mapping[str, Any]) -> list[Part]:
    returns = [line.roi for line in reversed(own[:SPARK]) if line.roi is not None]
    curve = one.get("collapses")
    parts: list[Part] = []
    if returns:
        middle = sorted(returns)[len(returns) // 2]
        runs = "1 run" if len(returns) == 1 else f"{len(returns)} runs"
        parts += [(f"  median return of {runs} {percent(middle)}", ""), (spark(returns), "cyan")]
    if isinstance(curve, dict):
        count = curve.get("count") or 0
        parts.append((f"{'' if parts else '  '}collapses {number(count)}", BAD if count else GOOD))
        if curve.get("median_interval_ticks") is not None:
            parts.append((f"median {number(curve['median_interval_ticks'])} ticks apart", DIM))
    return parts


def _evidence(scene: Scene) -> list[Part]:
    audit, snapshot, kept = (scene.status.get(f"last_{name}") for name in ("audit", "snapshot", "checkpoint"))
    parts: list[Part] = [("evidence", LOUD)]
    if isinstance(audit, dict):
        word, tone = ("audit PASS", GOOD) if audit.get("passed") else ("audit FAIL", f"{BAD} bold")
        parts.append((f"{word} {_since(audit.get('ended_at'), scene.now)}", tone))
    else:
        parts.append(("audit none seen", WARN))
    ended = [line for line in scene.runs if line.status != "running"]
    lost = sum(line.status in {"failed", "cut off", "unreadable"} for line in ended)
    if lost:
        parts.append((f"{lost} of the last {len(ended)} runs lost", BAD))
    if isinstance(snapshot, dict):
        parts.append((f"snapshot {_since(snapshot.get('created_at'), scene.now)}", ""))
    if isinstance(kept, dict):
        parts.append((f"checkpoint {_since(kept.get('taken_at'), scene.now)}", ""))
    return parts


def _disk(scene: Scene) -> list[Part]:
    disk = scene.status.get("disk") or {}
    used, budget, a_day, full = (disk.get(f"{n}") for n in ("used_bytes", "budget_bytes", "written_a_day",
                                                            "budget_full_at"))  # fmt: skip
    parts: list[Part] = [("disk", LOUD)]
    if used is not None:
        of = "" if budget is None else f" of {bytes_text(budget)}"
        parts.append((f"{bytes_text(used)}{of}", ""))
    if a_day is not None:
        parts.append((f"+{bytes_text(a_day)} a day", ""))
    if isinstance(full, str):
        days = (_moment(full) - scene.now).total_seconds() / 86_400
        parts.append((f"full in {days:,.1f} days", f"{BAD} bold" if days < 3 else WARN if days < 14 else ""))
    if disk.get("free_bytes") is not None:
        parts.append((f"{bytes_text(disk['free_bytes'])} free", DIM))
    return parts


def _said(scene: Scene, width: int) -> list[Text]:
    return [] if scene.journal is None else [_line(_entry(one), width) for one in scene.journal]


def _entry(one: Said) -> list[Part]:
    when = "" if one.at is None else one.at.astimezone(UTC).strftime("%H:%M:%S")
    tone = f"{BAD} bold" if one.priority <= 3 else WARN if one.priority == 4 else DIM
    return [(when, DIM), (PRIORITIES.get(one.priority, "debug"), tone), (_shorter(one.text), "")]


def _shorter(text: str) -> list[str]:
    """A sentence and ever shorter beginnings of it, whole words each."""
    words = text.split(" ")
    return [text, *(f"{' '.join(words[:count])} …" for count in range(len(words) - 1, 0, -1))]


def _blind(scene: Scene, width: int) -> list[Text]:
    said = [one for one in scene.blind if NO_SYSTEMD not in one]
    return [_line([("cannot see", WARN), (_shorter(printable(one)), "")], width) for one in said[:3]]


def _runs(scene: Scene, width: int) -> list[Text]:
    lines = []
    for one in scene.runs[:8]:
        tone = "" if one.status == "completed" else WARN if one.status in {"interrupted", "running"} else BAD
        parts: list[Part] = [
            (one.run_id, DIM), (one.status, tone), (percent(one.roi, 2) if one.roi is not None else "", ""),
            (f"collapses {number(one.collapses)}" if one.collapses else "", BAD), (printable(one.instance), DIM),
        ]  # fmt: skip
        lines.append(_line(parts, width))
    return lines


# ---- small things ----------------------------------------------------------------------------------------------------


def spark(values: Sequence[float]) -> str:
    """A line of bars, one a value."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(BARS[min(len(BARS) - 1, int((value - low) / span * len(BARS)))] for value in values)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.removesuffix("Z") + "+00:00")
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _since(text: object, now: datetime) -> str:
    return f"{_span((now - _moment(text)).total_seconds())} ago" if isinstance(text, str) else "at an unknown time"


def _span(seconds: float) -> str:
    """A time in its largest unit."""
    seconds = max(0.0, seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"
