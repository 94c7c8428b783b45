"""Who each experiment of a run is, read from the run's manifest: a replay that is given the same reads the same."""

from __future__ import annotations

from pathlib import Path

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.pools.handed import EVERYONE
from prometheus.v10.evidence.writing.manifest import RunManifest
from prometheus.v10.runs.founding.descents import arm_of, line_of_descent
from prometheus.v10.runs.request.profile import PoolTable
from prometheus.v10.runs.request.setup import World
from prometheus.v10.runs.who import Identity


def identities(manifest: RunManifest, world: World, table: PoolTable) -> list[Identity]:
    """Who each experiment of a run is; a replay reads the same from the same manifest."""
    return [identity(manifest, world, number, table) for number in range(len(manifest.seeds))]


def identity(manifest: RunManifest, world: World, number: int, table: PoolTable | None = None) -> Identity:
    """Who experiment ``number`` of a run is; ``table`` is ``[pool]``, where its genomes are handed over."""
    reasons = {
        f"source.{name}": manifest.null_reasons[name]
        for name in ("git_commit", "docker_image")
        if getattr(manifest, name) is None
    }
    return Identity(
        run_id=manifest.run_id,
        experiment=number,
        seed=manifest.seeds[number],
        arm=arm_of(manifest, number),
        mode=manifest.mode,
        git_commit=manifest.git_commit,
        docker_image=manifest.docker_image,
        created_at=manifest.start_time,
        window={"name": manifest.window.name, "start": manifest.window.start, "len": manifest.window.len},
        ablation={"name": manifest.ablation.name, "detail": manifest.ablation.detail},
        fingerprint_ref=f"{Path(manifest.results_dir).parent.name}/{manifest.run_id}/{Artifact.FINGERPRINT}",
        ticks_planned=manifest.window.len,
        timeframe_s=world.config.timeframe_s,
        best_of_the_dead=0 if table is None else table.best_of_the_dead,
        handing=EVERYONE if table is None else table.handing,
        null_reasons=reasons,
        descent=line_of_descent(manifest, number, world),
        cut_counts=manifest.schema == Schema.MANIFEST_1.value,
    )
