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

from prometheus.v10.evidence.codec import dump_config
from prometheus.v10.evidence.derive.cells import DEFINITIONS, VERDICT
from prometheus.v10.evidence.derive.stage2 import evaluation_hash
from prometheus.v10.evidence.findings import Progress
from prometheus.v10.evidence.manifest_parts import MarketSource
from prometheus.v10.evidence.nulls import Nulls
from prometheus.v10.evidence.pool import iter_records
from prometheus.v10.evidence.pool_record import PoolEntry, PoolRecord, PoolSource, genome_bytes
from prometheus.v10.runs.harvest import Identity
from prometheus.v10.runs.labels import Cell, labels, median
from prometheus.v10.runs.profile import Profile
from prometheus.v10.runs.stage2_batch import FIGURES, CellKey, Stretch
from prometheus.v10.runs.stage2_table import Stage2Table

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


def _cells(assessment: Assessment, figures: dict[CellKey, Array]) -> list[Cell]:
    """One genome's figures, the seeds of each cell taken together."""
    grouped: dict[tuple[int, str], list[Array]] = {}
    for key, row in figures.items():
        grouped.setdefault((key.stretch, key.company), []).append(row)
    return [
        Cell(
            window=assessment.stretches[number].window.name,
            timeframe=assessment.stretches[number].timeframe,
            company=company,
            experiments=len(rows),
            survived=sum(int(row[SURVIVED]) for row in rows),
            roi=median([float(row[ROI]) for row in rows]),
            drawdown=max(float(row[DRAWDOWN]) for row in rows),
            trades=min(int(row[TRADES]) for row in rows),
        )
        for (number, company), rows in grouped.items()
    ]


def _entry(
    assessment: Assessment, record: PoolRecord, figures: dict[CellKey, Array], first: Identity, row: int
) -> PoolEntry:
    cells = _cells(assessment, figures)
    rows = list(figures.values())
    total = [sum(float(one[column]) for one in rows) for column in range(len(FIGURES))]
    nulls = Nulls(first.null_reasons)
    origin = record.source
    commit = origin.get("git_commit")
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
        metrics_summary={
            "survived": int(total[SURVIVED]) == len(rows),
            "survival_share": total[SURVIVED] / len(rows),
            "roi_lifetime": median([float(one[ROI]) for one in rows]),
            "roi_worst": min(float(one[ROI]) for one in rows),
            "roi_best": max(float(one[ROI]) for one in rows),
            "drawdown_worst": max(float(one[DRAWDOWN]) for one in rows),
            "trades": int(total[TRADES]),
            "wins": int(total[WINS]),
            "experiments": len(rows),
            "costs": {"fees": total[FEES], "funding": total[FUNDING], "slippage": total[SLIPPAGE]},
            "sanity": {"finite": bool(np.isfinite(record.genome()).all()), "has_traded": total[TRADES] > 0},
            "origin": {
                "snapshot": assessment.snapshot,
                "n": record.n,
                "id": record.id,
                "run_id": origin["run_id"],
                "experiment": origin["experiment"],
                "genome_index": origin["genome_index"],
                "git_commit": commit,
            },
            "verdict": {
                "schema": VERDICT,
                "evaluation": assessment.evaluation,
                "definitions": DEFINITIONS,
                "labels": labels(cells, assessment.table.labels, accountable=commit is not None),
                "cells": {
                    f"{cell.window}/{cell.timeframe}/{cell.company}": {
                        "survived": cell.survived,
                        "roi": cell.roi,
                        "drawdown": cell.drawdown,
                        "trades": cell.trades,
                    }
                    for cell in cells
                },
            },
        },
        fingerprint_ref=first.fingerprint_ref,
        null_reasons=nulls.reasons,
    )
