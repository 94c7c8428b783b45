"""Survivors of one experiment, from columns to canonical lines (see `prometheus.v10.evidence.records.event_lines`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import orjson
from attrs import frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.records.event_lines import EventContext, Ints, Reals, joined, look_at
from prometheus.v10.evidence.records.events import FOUNDER, TS_BASIS


@frozen(kw_only=True, eq=False)
class SurvivorColumns:
    """Who lives at the end, in order of genome_index; a column has shape (survivors,) unless said otherwise.

    Attributes:
        tick: last tick of the experiment, the same for all; ``ts_utc`` is the close of its bar.
        agent: genome_index; ``parent`` is -1 for founders.
        costs: shape (survivors, 3): fees, funding, slippage over its life, USDT.
    """

    tick: int
    ts_utc: str
    agent: Ints
    parent: Ints
    founder: Ints
    genome_sha256: Sequence[str]
    birth_tick: Ints
    initial_capital: Reals
    period_capital: Reals
    final_capital: Reals
    roi_lifetime: Reals
    trades: Ints
    wins: Ints
    costs: Reals
    in_pool: npt.NDArray[np.bool_]


def encode_survivors(context: EventContext, columns: SurvivorColumns) -> bytes:
    """The lines of `Survivor` for one experiment.

    Raises:
        EvidenceError: for columns of different length, or a value that is not finite.
    """
    c = columns
    if not len(c.agent):
        return b""
    plain = look_at(c, "survivor", len(c.agent))
    why = [orjson.Fragment(canonical_bytes(reasons)) for reasons in ({}, {"parent_id": FOUNDER})]
    experiment, arm, run_id, seed = context.experiment, context.arm, context.run_id, context.seed
    offset, schema, dumps = context.genome_offset, Schema.SURVIVOR.value, orjson.dumps
    lines = [
        dumps({  # keys in canonical order
            "age_ticks": c.tick - max(born, 0) + 1,
            "agent_id": f"e{experiment:04d}a{agent:06d}",
            "arm": arm,
            "birth_tick": born,
            "experiment": experiment,
            "fees_paid": fees,
            "final_capital": final,
            "founder_id": f"e{experiment:04d}a{founder:06d}",
            "funding_paid": funding,
            "genome_index": offset + agent,
            "genome_sha256": sha256,
            "in_pool": pooled,
            "initial_capital": initial,
            "null_reasons": why[parent < 0],
            "parent_id": f"e{experiment:04d}a{parent:06d}" if parent >= 0 else None,
            "period_capital": period,
            "roi_lifetime": roi,
            "run_id": run_id,
            "schema": schema,
            "seed": seed,
            "slippage_paid": slippage,
            "tick": c.tick,
            "trades": trades,
            "ts_basis": TS_BASIS,
            "ts_utc": c.ts_utc,
            "wins": wins,
        })
        for agent, parent, founder, sha256, born, initial, period, final, roi, trades, wins, (
            fees, funding, slippage,
        ), pooled in zip(
            c.agent.tolist(), c.parent.tolist(), c.founder.tolist(), c.genome_sha256, c.birth_tick.tolist(),
            c.initial_capital.tolist(), c.period_capital.tolist(), c.final_capital.tolist(), c.roi_lifetime.tolist(),
            c.trades.tolist(), c.wins.tolist(), c.costs.tolist(), c.in_pool.tolist(), strict=True,
        )
    ]  # fmt: skip
    return joined(lines, plain)
