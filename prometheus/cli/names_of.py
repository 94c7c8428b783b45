"""One way to name a run, a genome, a snapshot and a release, for every command that takes one.

A run is named by

* its id, or the beginning of one that no other run has;
* the four digits that end its id, as tables show them;
* its directory;
* ``latest``, ``latest~2`` (the third newest), ``HF/latest``: the newest of an instance, or of a first word of ids.

A genome is named by its record's number in the pool, by at least four digits of its id or of its SHA-256, or by
``latest``; a snapshot by its id, the beginning of one, its file or ``latest``; a release by the beginning of its id, of
a digest or of its commit, or by ``latest``. What fits several is refused with the candidates, and what fits none with
what is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.modes import RunPrefix, Stage, Tier
from prometheus.v10.base.names import SNAPSHOT_PREFIX, Artifact, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.catalog import RunPlace, manifest_of, runs, snapshots
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo, read_index

if TYPE_CHECKING:
    from prometheus.v10.evidence.pools.pool_record import PoolRecord
    from prometheus.v10.ops.host.release import Releases
    from prometheus.v10.ops.host.release_env import Release

LATEST = re.compile(r"(?:(?P<whose>[A-Za-z0-9][A-Za-z0-9_.]*)/)?latest(?:~(?P<back>\d{1,9}))?")
MOST_NAMED = 6
"""Candidates or things that a hint lists before it only counts the rest."""
SHORTEST = 4
"""Digits that name a genome at least."""
LIST_RUNS = "prometheus-quant runs list"


def existing(layout: Layout) -> Layout:
    """``layout`` itself, when it is an installation.

    Raises:
        UsageError: when the root holds nothing of ours: it was mistyped, is not mounted, or nothing ran there yet.
    """
    places = [*(layout.runs(tier) for tier in Tier), layout.state, layout.lib / "pools", layout.market, layout.profiles]
    if layout == Layout.system() or any(place.is_dir() for place in places):
        return layout
    what = "is no directory" if not layout.lib.is_dir() else "is no installation: it holds no runs, pools or state"
    raise UsageError(
        f"{printable(str(layout.lib))} {what}",
        hint="name another --root; a first run makes one: prometheus-quant run --root DIR",
    )


# ---- runs ------------------------------------------------------------------------------------------------------------


def run_of(text: str | Path, layout: Layout) -> RunPlace:
    """The run that ``text`` names.

    Raises:
        UsageError: when it names none, or more than one.
        HostError: when runs cannot be listed.
        EvidenceError: when a manifest that must be read to know an instance is damaged.
    """
    text = str(text)
    if not text.strip():
        raise UsageError("an empty text names no run", hint=LIST_RUNS)
    if (match := LATEST.fullmatch(text)) is not None:
        return _latest(layout, match["whose"], int(match["back"] or 0), text)
    place = Path(text)
    if place.is_dir():
        return _directory(place)
    if "/" in text and not is_run_id(place.name):
        raise UsageError(f"there is no directory {printable(text)}", hint=_there(layout))
    found = list(runs(existing(layout)))
    wanted = place.name
    hits = [run for run in found if run.run_id == wanted] or [run for run in found if _begins(run, wanted)]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise UsageError(f"{len(hits):,} runs are called {printable(wanted)}", hint=_some(run.run_id for run in hits))
    raise UsageError(f"no run {printable(text)} lies under {layout.lib}", hint=_there(layout))


def run_in(text: str | Path, layout: Layout) -> RunPlace:
    """`run_of`, for a command that works on runs of its installation alone.

    Raises:
        UsageError: also for a run that lies elsewhere.
    """
    run = run_of(text, layout)
    if run.path.resolve() not in {place.resolve() for place in layout.run_places(run.run_id)}:
        raise UsageError(f"{printable(str(run.path))} does not lie under {layout.lib}", hint="name its --root")
    return run


def layout_around(text: str | Path, root: Path | None, fallback: Path) -> Layout:
    """The installation that a command means: ``root``, the one around a run's directory, or the usual one."""
    if root is None and LATEST.fullmatch(str(text)) is None and Path(text).is_dir():
        return Layout.under(Path(text).resolve().parent.parent)
    return Layout.under(fallback if root is None else root)


def is_latest(text: str) -> bool:
    """Whether a word is one of the ``latest`` forms."""
    return LATEST.fullmatch(text) is not None


def _begins(run: RunPlace, wanted: str) -> bool:
    if re.fullmatch(r"[0-9a-f]{4}", wanted):
        return run.run_id.endswith(f"_{wanted}")
    return run.run_id.lower().startswith(wanted.lower())


def _directory(place: Path) -> RunPlace:
    real = place if is_run_id(place.name) else place.resolve()
    if is_run_id(real.name) or (place / Artifact.MANIFEST).is_file():
        prefix = real.name.partition("_")[0]
        tier = RunPrefix(prefix).tier if prefix in RunPrefix.__members__ else Tier.TIER1_HF
        return RunPlace(real, tier)
    inside = sorted(one.name for one in place.iterdir() if is_run_id(one.name))
    if inside:
        newest = max(inside, key=lambda name: name.split("_")[1:])
        raise UsageError(
            f"{printable(str(place))} holds {_count(len(inside), 'run')} and is none itself",
            hint=f"the newest is {place / newest}",
        )
    raise UsageError(f"there is no run at {printable(str(place))}", hint=LIST_RUNS)


def _latest(layout: Layout, whose: str | None, back: int, text: str) -> RunPlace:
    found = runs(existing(layout))
    if whose is not None:
        found = (run for run in found if run.run_id.partition("_")[0] == whose or _said(run, "instance") == whose)
    hit = next(islice(found, back, None), None)
    if hit is None:
        of = f" of {whose}" if whose else ""
        raise UsageError(f"{printable(text)}: there are not that many runs{of} under {layout.lib}", hint=_there(layout))
    return hit


def _said(run: RunPlace, key: str) -> str | None:
    """What a run's manifest says under a key; None where it cannot be read."""
    try:
        return str((manifest_of(run.path) or {}).get(key))
    except EvidenceError:
        return None


def _there(layout: Layout) -> str:
    found = list(runs(layout))
    if not found:
        return "there are no runs yet: prometheus-quant run makes one"
    return f"there are {_count(len(found), 'run')}, the newest {found[0].run_id}; {LIST_RUNS}"


# ---- genomes ---------------------------------------------------------------------------------------------------------


def genome_of(text: str, pool: Path) -> PoolRecord:
    """The record of a pool that ``text`` names; a genome that was put in more than once is its first record.

    Raises:
        UsageError: when there is no pool, or no record or several different ones are meant.
        EvidenceError: when the pool is damaged.
    """
    from prometheus.v10.evidence.pools.pool import iter_records  # noqa: PLC0415  (numpy, which most commands do without)

    if not pool.is_file():
        raise UsageError(f"there is no pool at {pool}", hint="do a run first, or give --root and --stage")
    wanted = text.strip().lower()
    number = int(wanted) if wanted.isdecimal() and len(wanted) < 12 else None
    if number is None and wanted != "latest" and not re.fullmatch(rf"[0-9a-f][0-9a-f-]{{{SHORTEST - 1},}}", wanted):
        raise UsageError(
            f"{printable(text)!r} names no genome",
            hint=f"a record's number, at least {SHORTEST} digits of an id or a SHA-256, latest, or a .npy file",
        )
    hits: dict[str, PoolRecord] = {}
    last: PoolRecord | None = None
    for record in iter_records(pool):
        last = record
        if number is not None and record.n == number:
            return record
        if record.id.startswith(wanted) or record.genome_sha256.startswith(wanted):
            hits.setdefault(record.genome_sha256, record)
    if wanted == "latest" and last is not None:
        return last
    if len(hits) == 1 and (number is None or len(wanted) >= SHORTEST):
        return next(iter(hits.values()))
    if hits and len(wanted) >= SHORTEST:
        listed = (f"{one.id[:13]} (n {one.n})" for one in hits.values())
        raise UsageError(f"{len(hits):,} genomes of {pool} are called {printable(text)}", hint=_some(listed))
    there = "it is empty" if last is None else f"its records are 0 to {last.n}; prometheus-quant pool show lists them"
    raise UsageError(f"no record of {pool} is called {printable(text)}", hint=there)


# ---- snapshots and releases ------------------------------------------------------------------------------------------


def snapshot_of(text: str, layout: Layout, stage: Stage) -> SnapshotInfo:
    """The snapshot of a stage that ``text`` names.

    Raises:
        UsageError: when there is none, or more than one.
        EvidenceError: when its index cannot be read.
    """
    place = Path(text)
    if place.suffix in {".json", ".jsonl"}:
        if not place.is_file():
            raise UsageError(f"there is no file {printable(text)}", hint="prometheus-quant snapshot list")
        return read_index(place.with_suffix(".json"))
    known = {info.id: info for info in snapshots(layout, stage)}
    if text in known:
        return known[text]
    if text == "latest" and known:
        return max(known.values(), key=lambda info: (info.created_at, info.count))
    hits = [one for one in known if one.startswith(text.removeprefix(SNAPSHOT_PREFIX))] if text else []
    if len(hits) == 1:
        return known[hits[0]]
    what = f"{len(hits):,} snapshots of {stage.value} are" if hits else f"no snapshot of {stage.value} is"
    raise UsageError(f"{what} called {printable(text)!r}", hint=f"there are: {_some(hits or sorted(known))}")


def release_of(text: str, releases: Releases) -> Release:
    """The loaded release that ``text`` names; errors as `Releases.find`."""
    known = releases.known()
    if text == "latest" and known:
        return max(known, key=lambda one: one.at or "").release
    return releases.find(text)


# ---- what is said ----------------------------------------------------------------------------------------------------


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def _some(names: Iterable[str]) -> str:
    listed: Sequence[str] = list(names)
    rest = len(listed) - MOST_NAMED
    return (", ".join(listed[:MOST_NAMED]) or "none") + (f" and {rest:,} more" if rest > 0 else "")
