"""What one finished experiment hands to the pool: a pure function, run where the experiment ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import evolve

from prometheus.v10.core import capital, lifecycle
from prometheus.v10.core.records import Result
from prometheus.v10.evidence.pools.exposure import Exposure, plain, union
from prometheus.v10.evidence.pools.handed import handed
from prometheus.v10.evidence.pools.pool_columns import PoolColumns, PoolContext, encode_pool
from prometheus.v10.evidence.pools.pool_record import Encoded, Lineage, PoolSource
from prometheus.v10.runs.who import Descent, Identity

SURVIVED = "the agent survived the experiment"


def handed_over(result: Result, who: Identity) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which agents are survivors that are handed to the pool, shape (agents,).

    Who was born at the last tick has not lived: of it nothing is known but its parent.
    """
    lives = result.lives
    chosen = (lives.death_tick < 0) & (lives.birth_tick < result.ticks - 1)
    index = np.flatnonzero(chosen)
    roi = lives.final_capital[index] / lives.initial_capital[index] - 1.0
    rows = zip(index.tolist(), roi.tolist(), lives.trades[index].tolist(), strict=True)
    found = np.zeros(len(chosen), dtype=np.bool_)
    found[sorted(handed(who.handing, who.seed, rows))] = True
    return found


def pool_entries(
    result: Result, who: Identity, sha256: list[str], exposures: Sequence[Exposure]
) -> tuple[Encoded, ...]:
    """Survivors in order of birth, then the best of the dead that traded, best first."""
    lives = result.lives
    roi = lives.final_capital / lives.initial_capital - 1.0
    survivors = np.flatnonzero(handed_over(result, who))
    dead = np.flatnonzero((lives.death_tick >= 0) & (lives.trades > 0))
    best = dead[np.argsort(-roi[dead], kind="stable")][: who.best_of_the_dead]
    chosen = np.concatenate([survivors, best])
    own = PoolSource(
        git_commit=who.git_commit,
        docker_image=who.docker_image,
        run_id=who.run_id,
        seed=who.seed,
        mode=who.mode,
        window=who.window,
        ablation=who.ablation,
        experiment=who.experiment,
        genome_index=0,
        arm=who.arm,
    )
    sources, of_founder = _sources(own, who.descent, exposures)
    context = PoolContext(
        created_at=who.created_at,
        sources=sources,
        fingerprint_ref=who.fingerprint_ref,
        system_roi=float(result.money[capital.TOTAL] / result.money[capital.INITIAL] - 1.0),
        survived=SURVIVED,
        null_reasons=who.null_reasons,
    )
    columns = PoolColumns(
        genomes=lives.genomes[chosen],
        sha256=[sha256[i] for i in chosen],
        source=of_founder[lives.founder[chosen]] if len(of_founder) else np.zeros(len(chosen), dtype=np.int64),
        agent=chosen,
        birth_tick=lives.birth_tick[chosen],
        death_tick=lives.death_tick[chosen],
        reason=[lifecycle.REASONS[reason] for reason in lives.reason[chosen]],
        initial_capital=lives.initial_capital[chosen],
        final_capital=lives.final_capital[chosen],
        roi_lifetime=roi[chosen],
        trades=lives.trades[chosen],
        wins=lives.wins[chosen],
        costs=lives.costs[chosen],
    )
    return encode_pool(context, columns)


def _sources(
    own: PoolSource, descent: Descent | None, exposures: Sequence[Exposure]
) -> tuple[list[PoolSource], np.ndarray[Any, Any]]:
    """The sources that records of one experiment have, and which one the descendants of each founder have."""
    if descent is None:
        return [own], np.zeros(0, dtype=np.int64)
    lived = [union(exposure, [descent.interval]) for exposure in exposures]
    places = {exposure: place for place, exposure in enumerate(dict.fromkeys(lived))}
    sources = [
        evolve(
            own,
            lineage=Lineage(
                instance=descent.instance, line=descent.line, era=descent.era, exposure=plain(exposure)
            ),
        )
        for exposure in places
    ]  # fmt: skip
    return sources, np.array([places[exposure] for exposure in lived], dtype=np.int64)
