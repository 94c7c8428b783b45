"""What the benchmark found: one JSON document, and tables for people. Rates are one machine's, ratios last."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import asdict
from rich.console import RenderableType

from bench import bench_kernel as kernel
from bench import speed
from bench.bench_kernel import FULL, QUICK, Scale
from bench.durable import durable_rows
from bench.era_bytes import era_rows
from bench.memory import memory_row
from bench.verification import verification_rows
from prometheus.cli.report import facts, table
from prometheus.v10.base.clock import Clock, utc_stamp, utc_text
from prometheus.v10.base.files import write_atomic
from prometheus.v10.evidence.records.canonical import pretty_bytes
from prometheus.v10.evidence.writing.environment import probe

SCHEMA = "v10/bench/1"


class Part(StrEnum):
    """What can be measured by itself."""

    SPEED = "speed"
    MEMORY = "memory"
    DURABILITY = "durability"
    STAGE2 = "stage2"
    ERAS = "eras"


def steps(parts: Collection[Part], *, quick: bool) -> int:
    """How many times `measure` says that it goes on."""
    each = {Part.SPEED: speed.steps(QUICK if quick else FULL), Part.STAGE2: 2}
    return sum(each.get(part, 1) for part in parts)


def measure(
    scratch: Path, parts: Collection[Part], *, quick: bool, clock: Clock, said: Callable[[str], None]
) -> dict[str, Any]:
    """Measure, and return the document.

    Args:
        scratch: an empty directory on the disk that is to be measured; what is written stays for the caller to remove.
        parts: what is asked for; the others' rows are missing from the document.
        quick: a little of everything: shows that it works, not how fast.
        clock: time.
        said: hears what is going on.

    Raises:
        HostError: when the disk refuses, or a process that is measured dies.
    """
    scale = QUICK if quick else FULL
    began, load = utc_text(clock.now()), os.getloadavg()
    places = {part: scratch / part.value for part in Part if part in parts}
    rows: dict[str, list[dict[str, Any]]] = {}
    for part, place in places.items():
        place.mkdir(parents=True)
        if part is Part.SPEED:
            rows[part.value] = speed.speed_rows(speed.race(place, scale, said), scale, judged=not quick)
        elif part is Part.MEMORY:
            said("memory of one experiment")
            rows[part.value] = [memory_row(place, scale)]
        elif part is Part.DURABILITY:
            said("appends, verification, audit, recovery")
            rows[part.value] = [_known(row) for row in durable_rows(place, quick=quick)]
        elif part is Part.ERAS:
            said("eras of HF")
            rows[part.value] = era_rows(place, quick=quick)
        else:
            rows[part.value] = verification_rows(place, scale, said, quick=quick)
    return {
        "schema": SCHEMA,
        "quick": quick,
        "begun": began,
        "ended": utc_text(clock.now()),
        "load_average": {"begun": list(load), "ended": list(os.getloadavg())},
        "environment": _environment(),
        "definition": _definition(scale),
        **rows,
    }


def _known(row: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that do not apply."""
    return {name: value for name, value in row.items() if value is not None}


def _environment() -> dict[str, Any]:
    """Commit, versions and host, with a reason for everything unknown."""
    found = asdict(probe())
    for name in ("jax", "jaxlib"):
        try:
            found["versions"][name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found["versions"][name] = None
            found["null_reasons"][f"versions.{name}"] = "not installed"
    return found


def _definition(scale: Scale) -> dict[str, Any]:
    return {
        "scale": asdict(scale),
        "bars": f"{scale.ticks} synthetic bars of 1 h, seed {kernel.MARKET_SEED}",
        "ecology": {
            "reviews": kernel.REVIEWS,
            "review_ticks": scale.ticks // kernel.REVIEWS,
            "death_roi": kernel.DEATH_ROI,
            "breed_roi": kernel.BREED_ROI,
        },
        "contenders": speed.MEANS,
        "clocks": {
            "cpu": "processor time of the one process; best turn",
            "wall": "first start to last end; best turn",
            "share_of_kernel": "best turn over the kernel's best turn, both by wall time",
        },
    }


def save(document: dict[str, Any], folder: Path, clock: Clock) -> Path:
    """Write the document as ``bench_<utc>.json`` and return where it lies.

    Raises:
        HostError: when it cannot be written.
    """
    place = folder / f"bench_{utc_stamp(clock.now())}.json"
    write_atomic(place, pretty_bytes(document), mode=0o644)
    return place


# ---- for a person
# ----------------------------------------------------------------------------------------------------


def shown(document: dict[str, Any], place: Path) -> list[RenderableType]:
    """The tables, and where the document lies."""
    environment = document["environment"]
    versions = environment["versions"]
    head: dict[str, object] = {
        "commit": f"{environment['git_commit'] or '-'}{' (changed)' if environment['git_dirty'] else ''}",
        "processor": f"{environment['host']['cpu'] or '-'}, {environment['host']['cpus'] or '-'} of them",
        "python, numpy, numba, jax": ", ".join(
            [environment["python_version"], *(versions[name] or "-" for name in ("numpy", "numba", "jax"))]
        ),
        "load average": " -> ".join(f"{load[0]:.1f}" for load in document["load_average"].values()),
    }
    quick = " (quick: shows that it works, not how fast)" if document["quick"] else ""
    parts: list[RenderableType] = [facts(f"benchmark{quick}", head)]
    if Part.SPEED.value in document:
        parts += _speed_shown(document[Part.SPEED.value], document["definition"])
    others = [row for part in Part if part is not Part.SPEED for row in document.get(part.value, [])]
    if others:
        columns = ("figure", "value", "ratio", "bar")
        parts.append(table("memory, durability, stage 2, eras", columns, [_other_cells(row) for row in others]))
    return [*parts, f"written to {place}"]


def _speed_shown(rows: Sequence[dict[str, Any]], definition: dict[str, Any]) -> list[RenderableType]:
    columns = ("contender", "N", "p", "M/s", "x naive", "x JAX", "% kernel", "bars")
    alive = ", ".join(
        f"{row['mean_alive']:.1f} of {row['agents']}"
        for row in rows
        if row["contender"] == speed.KERNEL and row["processes"] == 1
    )
    notes = {
        "N, p": "founders of an experiment, processes",
        "M/s": "millions of agent-ticks a second: one process by processor time, two and evidence by wall time",
        "bars": f"kernel >= {speed.NAIVE_BAR:.0f} x naive, > JAX; evidence >= {speed.EVIDENCE_BAR:.0%} of the kernel",
        "experiment": definition["bars"],
        "alive": f"on average {alive}",
    }
    skipped = {speed.ABOUT[row["contender"]]: row["skipped"] for row in rows if "skipped" in row}
    return [table("speed", columns, [_speed_cells(row) for row in rows]), facts("", {**notes, **skipped})]


def _speed_cells(row: dict[str, Any]) -> Sequence[object]:
    rate, share = row.get("agent_ticks_per_second"), row.get("share_of_kernel")
    held = [bar["held"] for bar in row.get("bars", [])]
    return (
        speed.ABOUT[row["contender"]],
        row["agents"],
        row["processes"],
        _short(None if rate is None else rate / 1e6),
        _short(row.get("x_naive")),
        _short(row.get("x_jax")),
        _short(None if share is None else 100 * share),
        "skipped" if "skipped" in row else _verdict(held=all(held)) if held else "-",
    )


def _other_cells(row: dict[str, Any]) -> Sequence[object]:
    return (
        row["figure"].removeprefix("durable "),
        f"{_short(row['value']):,} {row['unit']}",
        _short(row.get("ratio")),
        f"{_verdict(held=row['held'])}: {row['bar']}" if "bar" in row else "-",
    )


def _verdict(*, held: bool) -> str:
    return "met" if held else "MISSED"


def _short(value: float | None) -> float | int | None:
    """Three digits are what a shared machine can stand for."""
    if value is None:
        return None
    return round(value) if abs(value) >= 100 else float(f"{value:.3g}")
