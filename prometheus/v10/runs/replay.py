"""Replay: run a sealed run again from its manifest, elsewhere, and compare every artifact that is a function of it.

1. The manifest's config, seeds and code facts are taken over; the market is resolved again and must have the same
   sha256; the core must have the same hash.
2. The run is done again under a scratch root, with the same identity. A run that was stopped is replayed to the ticks
   its experiments had reached.
3. Every artifact but the manifest (which carries wall-clock time) and the seal must have the same bytes, and so must
   its pool records but for their place in the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import ConfigError, CoreInvarianceError, UsageError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import SEAL_FILES, Artifact, Schema
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.codec import from_json_bytes, structure_config
from prometheus.v10.evidence.journal import Journal
from prometheus.v10.evidence.manifest import NOT_FAILED, NOT_STOPPED, RUNNING, RunManifest, Status
from prometheus.v10.evidence.nulls import Nulls
from prometheus.v10.evidence.pool import iter_records
from prometheus.v10.evidence.pool_record import PoolRecord
from prometheus.v10.evidence.summary import MultipleExperimentsSummary
from prometheus.v10.runs import setup
from prometheus.v10.runs.control import RunControl
from prometheus.v10.runs.invariance import check_core
from prometheus.v10.runs.profile import Profile
from prometheus.v10.runs.promote import Tier2Run
from prometheus.v10.runs.stage1 import Stage1Run

NOT_COMPARED = {Artifact.MANIFEST.value, Artifact.INTERRUPTED.value, *(seal.value for seal in SEAL_FILES)}


@frozen(kw_only=True)
class Comparison:
    """One artifact: ``same``, or what is different."""

    name: str
    same: bool
    detail: str


@frozen(kw_only=True)
class Replay:
    """What a replay found; ``identical`` only if every artifact is."""

    run_id: str
    comparisons: tuple[Comparison, ...]
    agent_ticks: int
    seconds: float

    @property
    def identical(self) -> bool:
        """Whether all bytes agree."""
        return all(one.same for one in self.comparisons)


def replay(
    run_dir: Path, layout: Layout, scratch: Path, *, clock: Clock, control: RunControl, workers: int = 0
) -> Replay:
    """Replay a run.

    Args:
        run_dir: the sealed run.
        layout: root that the run's pool and market library lie in.
        scratch: an empty directory; the replay writes its own run there.
        clock: for durations.
        control: hears of progress.
        workers: processes; the result does not depend on it.

    Raises:
        UsageError: for something that is not a run directory, or a run that was cut off.
        CoreInvarianceError: when this core is not the one that ran.
        ConfigError: when the market is not the one it ran on.
        EvidenceError: when the run's own files cannot be read.
    """
    manifest = _manifest(run_dir)
    if manifest.stage == Stage.STAGE2.value:
        raise UsageError(
            f"{manifest.run_id} judged a snapshot; it is not replayed by itself",
            hint="judge the snapshot again under another root: the same evaluation gives the same verdicts",
        )
    core = check_core()
    if core != manifest.core_hash:
        raise CoreInvarianceError(
            f"{manifest.run_id} ran on core {manifest.core_hash}, this core is {core}",
            hint=f"check out {manifest.git_commit or 'the commit it ran on'} and replay there",
        )
    profile = evolve(structure_config(manifest.config, Profile, source=f"{run_dir}: config"), workers=workers)
    world = setup.prepare(profile, layout)
    if world.market.sha256 != manifest.market.sha256:
        raise ConfigError(
            f"{manifest.run_id} ran on bars {manifest.market.sha256}, "
            f"{profile.market.source!r} has {world.market.sha256}",
            hint="import the same bars again, or give --root with the library it used",
        )
    elsewhere = Layout.under(scratch)
    elsewhere.prepare()
    silent = Journal(
        instance=manifest.instance, mode=profile.mode, stage=profile.stage, run_id=manifest.run_id, sender=None,
        absent_reason="a replay tells the journal nothing",
    )  # fmt: skip
    kind = Tier2Run if manifest.meta.tier == Tier.TIER2_FULL.value else Stage1Run
    run = kind(
        _as_started(manifest), profile, world, elsewhere, clock, control, silent, limits=_limits(run_dir, manifest)
    )
    outcome = run.go()
    return Replay(
        run_id=manifest.run_id,
        comparisons=(
            *_compare_files(run_dir, outcome.path, _not_compared(manifest)),
            _compare_pool(manifest, layout, elsewhere, profile.stage),
        ),
        agent_ticks=outcome.agent_ticks,
        seconds=outcome.seconds,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="give the directory of a sealed run") from error


def _manifest(run_dir: Path) -> RunManifest:
    path = run_dir / Artifact.MANIFEST
    manifest = from_json_bytes(_read(path), RunManifest, where=str(path))
    if manifest.status == Status.RUNNING.value:
        raise UsageError(
            f"{run_dir} was cut off and has no summary to compare with",
            hint="replay a run that completed or was stopped",
        )
    return manifest


def _as_started(manifest: RunManifest) -> RunManifest:
    """The manifest as it was before anybody asked the run to stop."""
    nulls = Nulls(manifest.null_reasons)
    nulls.forget("stop_time", "stop_reason", "failure", "timing.stop_seconds")
    nulls.forget("pool_appends.first_n", "pool_appends.last_n")
    nulls.known("run_counter", manifest.run_counter, "manifest version 1 does not say it")
    return evolve(
        manifest,
        status=Status.RUNNING.value,
        stop_detected=False,
        stop_time=nulls.unknown("stop_time", NOT_STOPPED),
        stop_reason=nulls.unknown("stop_reason", NOT_STOPPED),
        failure=nulls.unknown("failure", NOT_FAILED),
        timing=nulls.unknown("timing", RUNNING),
        pool_appends=nulls.known("pool_appends", None, nulls.reasons.get("pool_appends", RUNNING)),
        null_reasons=nulls.reasons,
    )


def _limits(run_dir: Path, manifest: RunManifest) -> Mapping[int, int] | None:
    """Which experiments the run did, and to which tick, if it was stopped; None for a run that did all of them."""
    if manifest.status == Status.COMPLETED.value:
        return None
    path = run_dir / Artifact.SUMMARY
    summary = from_json_bytes(_read(path), MultipleExperimentsSummary, where=str(path))
    return {row.experiment: row.ticks for row in summary.all_stats}


def _not_compared(manifest: RunManifest) -> set[str]:
    """What is no function of the manifest, or was not written yet by the version that wrote it."""
    return NOT_COMPARED | ({Artifact.SURVIVORS.value} if manifest.schema == Schema.MANIFEST_1.value else set())


def _compare_files(run_dir: Path, again: Path, left_out: set[str]) -> Iterator[Comparison]:
    names = {path.name for place in (run_dir, again) for path in place.iterdir() if path.is_file()} - left_out
    for name in sorted(names):
        first, second = run_dir / name, again / name
        if not first.exists() or not second.exists():
            yield Comparison(name=name, same=False, detail=f"only in {'the replay' if second.exists() else 'the run'}")
            continue
        yield _compare(name, first.read_bytes(), second.read_bytes())


def _compare(name: str, before: bytes, after: bytes) -> Comparison:
    if before == after:
        return Comparison(name=name, same=True, detail=f"{len(before)} bytes")
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    line = before.count(b"\n", 0, at) + 1
    return Comparison(
        name=name, same=False, detail=f"differs from byte {at} (line {line}): {len(before)} bytes, {len(after)}"
    )


def _compare_pool(manifest: RunManifest, layout: Layout, again: Layout, stage: Stage) -> Comparison:
    appends = manifest.pool_appends
    if appends is None or appends.first_n is None or appends.last_n is None:
        wanted: list[dict[str, Any]] = []
    else:
        first, last = appends.first_n, appends.last_n
        wanted = [
            _content(record)
            for record in _records(layout.pool(stage))
            if first <= record.n <= last and record.source["run_id"] == manifest.run_id  # others write in between
        ]
    found = [_content(record) for record in _records(again.pool(stage))]
    name = f"pool records of {manifest.run_id}"
    if wanted == found:
        return Comparison(name=name, same=True, detail=f"{len(found)} records")
    return Comparison(
        name=name, same=False, detail=f"{len(wanted)} in the pool, {len(found)} in the replay, or other content"
    )


def _records(pool: Path) -> Iterator[PoolRecord]:
    return iter_records(pool) if pool.exists() else iter(())


def _content(record: PoolRecord) -> dict[str, Any]:
    """A record without its place in the chain."""
    return {key: value for key, value in asdict(record).items() if key not in {"n", "prev"}}
