"""From the figures of all cells to a genome's record in the stage-2 pool: the schema of stage 1, and the verdict.

1. ``source`` says where the verdict comes from (the stage-2 run, the batch's first experiment, the row in the batch);
   ``metrics_summary.origin`` says where the genome comes from: its record in the snapshot, and that one's run.
2. ``metrics_summary.verdict`` names the evaluation it was judged under. An evaluation is the hash of everything that
   decides a verdict: ``[stage2]`` without the choice of snapshot, the world's numbers, the market, arm, ablation and
   core. Under one evaluation a genome is judged once.
3. A verdict is a function of the evaluation and of the batch. Only ``created_at``, the run and its experiment's number
   differ when a batch that was cut off is judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

from prometheus.v10.evidence.derive.judged.judged_run import evaluation_hash
from prometheus.v10.evidence.derive.judged.verdict_rules import CellName, Figures, intervals_of, metrics_of, origin_of
from prometheus.v10.evidence.pools.exposure import Interval
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.pools.pool_record import PoolEntry, PoolRecord, PoolSource, genome_bytes
from prometheus.v10.evidence.records.codec import dump_config, to_plain
from prometheus.v10.evidence.records.findings import Progress
from prometheus.v10.evidence.records.manifest_parts import MarketSource
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.request.stage2_table import Stage2Table
from prometheus.v10.runs.stage2.stage2_batch import FIGURES, CellKey, Stretch
from prometheus.v10.runs.who import Identity

Array = np.ndarray[Any, Any]

SURVIVED, ROI, DRAWDOWN, TRADES, WINS, FEES, FUNDING, SLIPPAGE = range(len(FIGURES))


@frozen(kw_only=True)
class Assessment:
    """What all verdicts of a run have in common.

    Attributes:
        evaluation: rule 2.
        snapshot: id of the snapshot that is judged.
    """

    evaluation: str
    snapshot: str
    table: Stage2Table
    stretches: tuple[Stretch, ...]
    market: MarketSource

    @property
    def windows(self) -> list[tuple[str, Interval]]:
        """What genomes are judged on, as an exposure names it."""
        return intervals_of(
            to_plain(self.market),
            [(one.window.name, one.bars.first_open, len(one.bars), one.bars.timeframe_s) for one in self.stretches],
        )


def evaluation_of(profile: Profile, table: Stage2Table, market: MarketSource, core: str) -> str:
    """The hash that names an evaluation (rule 2)."""
    dump = dump_config(evolve(profile, stage2=evolve(table, snapshot="", batches_a_run=0)))
    return evaluation_hash(dump, market.sha256, core)


def judged(pool: Path, evaluation: str, progress: Progress | None = None, *, before: int | None = None) -> set[str]:
    """Ids of the stage-1 records that the stage-2 pool holds a verdict of, under this evaluation.

    Args:
        pool: of stage 2.
        evaluation: see `evaluation_of`.
        progress: hears of bytes read.
        before: only records with a smaller number count; None counts all.
    """
    if not pool.exists():
        return set()
    found = set()
    for record in iter_records(pool, progress=progress):
        if before is not None and record.n >= before:
            break
        metrics = record.metrics_summary
        if metrics.get("verdict", {}).get("evaluation") == evaluation:
            found.add(str(metrics["origin"]["id"]))
    return found


def verdicts(
    assessment: Assessment, batch: Sequence[PoolRecord], figures: dict[CellKey, Array], first: Identity,
    leave_out: set[str],
) -> list[PoolEntry]:  # fmt: skip
    """The records of one batch, in its order, without those that were judged before.

    Args:
        assessment: of the run.
        batch: the snapshot's records.
        figures: of every cell, float64 (n, len(FIGURES)).
        first: identity of the batch's first experiment.
        leave_out: ids of records that have their verdict.
    """
    return [
        _entry(assessment, record, {key: table[row] for key, table in figures.items()}, first, row)
        for row, record in enumerate(batch)
        if record.id not in leave_out
    ]


def _rows(assessment: Assessment, figures: dict[CellKey, Array]) -> list[tuple[CellName, Figures]]:
    """One genome's figures, experiment by experiment."""
    return [
        (
            CellName(assessment.stretches[key.stretch].window.name, assessment.stretches[key.stretch].timeframe,
                     key.company),
            Figures(int(row[SURVIVED]), float(row[ROI]), float(row[DRAWDOWN]), int(row[TRADES]), int(row[WINS]),
                    float(row[FEES]), float(row[FUNDING]), float(row[SLIPPAGE])),
        )
        for key, row in figures.items()
    ]  # fmt: skip


def _entry(
    assessment: Assessment, record: PoolRecord, figures: dict[CellKey, Array], first: Identity, row: int
) -> PoolEntry:
    nulls = Nulls(first.null_reasons)
    origin = origin_of(
        assessment.snapshot, {"n": record.n, "id": record.id, "source": record.source}, assessment.windows
    )
    commit = origin["git_commit"]
    nulls.known("metrics_summary.origin.git_commit", commit, "the commit of the genome's own run is not known")
    return PoolEntry(
        genome=genome_bytes(record.genome()),
        created_at=first.created_at,
        source=PoolSource(
            git_commit=first.git_commit,
            docker_image=first.docker_image,
            run_id=first.run_id,
            seed=first.seed,
            mode=first.mode,
            window=first.window,
            ablation=first.ablation,
            experiment=first.experiment,
            genome_index=row,
            arm=first.arm,
        ),
        metrics_summary=metrics_of(
            _rows(assessment, figures),
            assessment.table.labels,
            assessment.evaluation,
            origin,
            finite=bool(np.isfinite(record.genome()).all()),
        ),
        fingerprint_ref=first.fingerprint_ref,
        null_reasons=nulls.reasons,
    )
