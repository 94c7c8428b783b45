"""Replay: run a sealed run again from its manifest, elsewhere, and compare every artifact that is a function of it.

1. The run is verified, against its tree's ledger: that it can be done again says nothing about its seal.
2. The manifest's config, seeds and code facts are taken over; the market is resolved again and must have the same
   sha256; the core must have the same hash, or be known to give the bits of that one. A file that a run names as its
   market is read only when it is given.
3. The run is done again under a scratch root, with the same identity. A run that was stopped is replayed to the ticks
   its experiments had reached.
4. Every artifact must have the same bytes, and so must its pool records but for their place in the chain; of the
   manifest everything but clocks, the journal and the pool's place. A compressed file is compared as what it holds. Of
   a file that retention took the ledger has the sha256, and the replay's bytes are held against that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import ConfigError, CoreInvarianceError, EvidenceError, HostError, UsageError
from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import SEAL_FILES, Artifact, Schema, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX, open_evidence
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.derive.judged.verdict_rules import LINEAGE
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.pools.pool_record import PoolRecord
from prometheus.v10.evidence.records.codec import from_json_bytes, structure_config
from prometheus.v10.evidence.records.findings import Level
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.summary import ExperimentStats, MultipleExperimentsSummary
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.manifest import (
    NOT_FAILED,
    NOT_STOPPED,
    RUNNING,
    RunManifest,
    Status,
    read_manifest,
)
from prometheus.v10.market.resolve import is_path
from prometheus.v10.runs.control import RunControl
from prometheus.v10.runs.founding.descents import descend_again, era_of
from prometheus.v10.runs.promote.promote_run import Tier2Work
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.request.ranges import unsound_numbers
from prometheus.v10.runs.run import Run
from prometheus.v10.runs.stage1 import Stage1Work
from prometheus.v10.runs.stage2.stage2_run import Stage2Work, Work
from prometheus.v10.runs.workers.invariance import check_core, repeats
from prometheus.v10.runs.workload import Surroundings, Workload

NOT_COMPARED = {Artifact.MANIFEST.value, Artifact.INTERRUPTED.value, *(seal.value for seal in SEAL_FILES)}
PLACE_AND_TIME = frozenset(
    ["schema", "status", "failure", "stop_detected", "stop_time", "stop_reason", "end_time", "duration_seconds",
     "timing", "journal", "null_reasons", "previous_run_id", "restart_time_seconds", "run_counter", "evidence_size",
     "internal_collapse_time", "time_to_first_internal_collapse_seconds"]
)  # fmt: skip
"""Fields of a manifest that say when, where and how it ended: no replay repeats them."""


@frozen(kw_only=True)
class Comparison:
    """One artifact: ``same``, or what is different."""

    name: str
    same: bool
    detail: str


@frozen(kw_only=True)
class Replay:
    """What a replay found; ``identical`` only if every artifact is, and the run as it lies there verifies."""

    run_id: str
    verified: Comparison
    comparisons: tuple[Comparison, ...]
    agent_ticks: int
    seconds: float

    @property
    def identical(self) -> bool:
        """Whether all bytes agree, and the run verifies."""
        return self.verified.same and all(one.same for one in self.comparisons)


def replay(
    run_dir: Path, layout: Layout, scratch: Path, *, clock: Clock, control: RunControl, workers: int = 0,
    bars: Path | None = None,
) -> Replay:  # fmt: skip
    """Replay a run.

    Args:
        run_dir: the sealed run.
        layout: root that the run's pool and market library lie in.
        scratch: an empty directory; the replay writes its own run there.
        clock: for durations.
        control: hears of progress.
        workers: processes; the result does not depend on it.
        bars: the file that the run's bars came from, where the run names a file.

    Raises:
        UsageError: for something that is not a run directory, a run that was cut off, or a file of bars that the run
            names and the caller does not.
        CoreInvarianceError: when this core is not the one that ran, nor known to give its bits.
        ConfigError: when the market is not the one it ran on.
        EvidenceError: when the run's own files cannot be read.
    """
    manifest = _manifest(run_dir)
    core = check_core()
    if not repeats(manifest.core_hash):
        raise CoreInvarianceError(
            f"{manifest.run_id} ran on core {manifest.core_hash}, this core is {core}",
            hint=f"check out {manifest.git_commit or 'the commit it ran on'} and replay there",
        )
    profile = evolve(structure_config(manifest.config, Profile, source=f"{run_dir}: config"), workers=workers)
    _require_sound(profile, run_dir, bars)
    elsewhere = Layout.under(scratch)
    elsewhere.prepare()
    silent = Journal(
        instance=manifest.instance, mode=profile.mode, stage=profile.stage, run_id=manifest.run_id, sender=None,
        absent_reason="a replay tells the journal nothing",
    )  # fmt: skip
    around = Surroundings(layout=elsewhere, clock=clock, control=control, journal=silent)
    outcome = Run(_as_started(manifest), around, _workload(run_dir, manifest, profile, layout)).go()
    return Replay(
        run_id=manifest.run_id,
        verified=_verified(run_dir, layout),
        comparisons=(
            _compare_manifests(manifest, _manifest(outcome.path)),
            *_compare_files(run_dir, outcome.path, _not_compared(manifest), _explained(run_dir, layout)),
            _compare_pool(manifest, layout, elsewhere, profile.stage),
        ),
        agent_ticks=outcome.agent_ticks,
        seconds=outcome.seconds,
    )


def _workload(run_dir: Path, manifest: RunManifest, profile: Profile, layout: Layout) -> Workload:
    """What the run did; errors as `replay`."""
    if manifest.stage == Stage.STAGE2.value:
        return Stage2Work(Work.again(manifest, profile, layout, len(_rows(run_dir))))
    world = setup.prepare(profile, layout, era_of(manifest), was=manifest.market)
    _require_market(manifest, world.market.sha256, profile)
    descent, limits = descend_again(manifest, profile, world, layout), _limits(run_dir, manifest)
    if manifest.meta.tier == Tier.TIER2_FULL.value:
        return Tier2Work(profile, world, manifest.core_hash, descent=descent, limits=limits)
    return Stage1Work(profile, world, manifest.core_hash, seeds=manifest.seeds, descent=descent, limits=limits)


def _require_market(manifest: RunManifest, found: str, profile: Profile) -> None:
    if found != manifest.market.sha256:
        raise ConfigError(
            f"{manifest.run_id} ran on bars {manifest.market.sha256}, {profile.market.source!r} has {found}",
            hint="import the same bars again, or give --root with the library it used",
        )


def _verified(run_dir: Path, layout: Layout) -> Comparison:
    """Whether `verify` finds nothing wrong with a run, against its tree's ledger."""
    found = verify_run(run_dir, ledger=ledger_now(layout.ledger) if layout.ledger.exists() else None)
    for one in found.findings:
        if one.level is not Level.NOTE:
            return Comparison(name="verify", same=False, detail=f"{one.where}: {one.what}")
    return Comparison(name="verify", same=True, detail="seal, ledger and every derived figure")


def _require_sound(profile: Profile, run_dir: Path, bars: Path | None) -> None:
    """Refuse to read or to do what only a stranger's run asks for.

    Raises:
        UsageError: when the run names a file of bars that the caller did not give.
        ConfigError: when its numbers are outside the ranges of a profile.
    """
    if unsound := unsound_numbers(profile):
        raise ConfigError(f"{run_dir}: config: {unsound[0]}", hint="no profile of this version could have asked for it")
    source = profile.market.source
    if is_path(source) and bars != Path(source):
        raise UsageError(
            f"{run_dir}: its bars came from the file {source!r}, which a replay reads only when it is given",
            hint=f"if you trust that file: replay {run_dir} --bars {source}",
        )


def _compare_manifests(before: RunManifest, after: RunManifest) -> Comparison:
    """Everything that a manifest says and that is no clock and no place."""
    differing = sorted(_differences(_timeless(before), _timeless(after), ""))
    name = Artifact.MANIFEST.value
    if not differing:
        return Comparison(name=name, same=True, detail="all but clocks, journal and places")
    return Comparison(name=name, same=False, detail=f"differs in {', '.join(differing[:5])}")


def _timeless(manifest: RunManifest) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(manifest), default=str))
    kept = {key: value for key, value in plain.items() if key not in PLACE_AND_TIME}
    for collapse in kept["internal_collapses"]:
        collapse.pop("detected_at", None)
        collapse.pop("seconds", None)
    kept["pool_appends"] = None  # the records themselves are compared
    return kept


def _differences(one: Any, other: Any, at: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _differences(one.get(key), other.get(key), f"{at}.{key}" if at else str(key))
    elif one != other:
        yield at


def _explained(run_dir: Path, layout: Layout) -> dict[str, str]:
    """Files of a run that retention took, by name: the sha256 that the ledger has of each."""
    if not layout.ledger.exists() or not run_dir.absolute().is_relative_to(layout.lib):
        return {}
    view, prefix = ledger_now(layout.ledger), f"{run_dir.absolute().relative_to(layout.lib)}/"
    taken = {path: sha256 for path, sha256 in view.deleted.items() if path.startswith(prefix)}
    return {path.removeprefix(prefix): sha256 for path, sha256 in taken.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="give the directory of a sealed run") from error


def _manifest(run_dir: Path) -> RunManifest:
    try:
        manifest = read_manifest(run_dir)
    except HostError as error:
        raise UsageError(error.message, hint="give the directory of a sealed run") from error
    path = run_dir / Artifact.MANIFEST
    if not is_run_id(manifest.run_id):
        raise EvidenceError(
            f"{path}: run_id is {printable(manifest.run_id)!r}", hint=f"prometheus-quant verify {run_dir}"
        )
    if manifest.mode != Mode.OFFLINE.value:
        raise UsageError(
            f"{run_dir} traded in mode {printable(manifest.mode)}: an exchange does not give the same answers again",
            hint=f"what it answered was kept, and is proved by: prometheus-quant verify {run_dir}",
        )
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
    return {row.experiment: row.ticks for row in _rows(run_dir)}


def _rows(run_dir: Path) -> list[ExperimentStats]:
    path = run_dir / Artifact.SUMMARY
    return list(from_json_bytes(_read(path), MultipleExperimentsSummary, where=str(path)).all_stats)


def _not_compared(manifest: RunManifest) -> set[str]:
    """What is no function of the manifest, or was not written yet by the version that wrote it."""
    return NOT_COMPARED | ({Artifact.SURVIVORS.value} if manifest.schema == Schema.MANIFEST_1.value else set())


def _compare_files(
    run_dir: Path, again: Path, left_out: set[str], explained: Mapping[str, str]
) -> Iterator[Comparison]:
    found = {path.name for place in (run_dir, again) for path in place.iterdir() if path.is_file()}
    for name in sorted({name.removesuffix(PACKED_SUFFIX) for name in found} - left_out):
        first, second = _either_form(run_dir / name), _either_form(again / name)
        if first is None and second is not None and name in explained:
            same = hashlib.sha256(second).hexdigest() == explained[name]
            yield Comparison(
                name=name, same=same, detail=f"taken since: {'' if same else 'not '}the bytes of the ledger"
            )
        elif first is None or second is None:
            yield Comparison(name=name, same=False, detail=f"only in {'the replay' if first is None else 'the run'}")
        else:
            yield _compare(name, first, second)


def _either_form(path: Path) -> bytes | None:
    """A file's bytes, compressed or not; None where it is not there."""
    if not path.exists() and not path.with_name(path.name + PACKED_SUFFIX).exists():
        return None
    with open_evidence(path) as file:
        return file.read()


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
    if not any(LINEAGE in _origin(record) for record in wanted):
        for record in found:
            _origin(record).pop(LINEAGE, None)  # a run of a version whose verdicts said none
    name = f"pool records of {manifest.run_id}"
    if wanted == found:
        return Comparison(name=name, same=True, detail=f"{len(found)} records")
    return Comparison(
        name=name, same=False, detail=f"{len(wanted)} in the pool, {len(found)} in the replay, or other content"
    )


def _records(pool: Path) -> Iterator[PoolRecord]:
    return iter_records(pool) if pool.exists() else iter(())


def _origin(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a verdict says of where its genome comes from; empty in stage 1."""
    origin: dict[str, Any] = content["metrics_summary"].get("origin", {})
    return origin


def _content(record: PoolRecord) -> dict[str, Any]:
    """A record without its place in the chain."""
    return {key: value for key, value in asdict(record).items() if key not in {"n", "prev"}}
