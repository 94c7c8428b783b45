"""Deaths and births of one experiment, from columns to canonical lines at the pace of the tick loop.

orjson writes the same bytes as `canonical_line` for ASCII text, whole numbers, and real numbers between 1e-4 and 1e16;
outside of that its spelling of reals differs from ``repr``, so such lines are written again by the canonical encoder.
orjson also turns NaN into null without a word, so every real column is looked at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from attrs import fields, frozen

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.canonical import canonical_bytes, canonical_line
from prometheus.v10.evidence.records.codec import CONVERTER
from prometheus.v10.evidence.records.events import (
    FLAT,
    FOUNDER,
    NO_API,
    REASON_SOURCES,
    TS_BASIS,
    DeathReason,
    FenceShare,
    agent_id,
)

Ints = npt.NDArray[np.integer[Any]]
Reals = npt.NDArray[np.floating[Any]]

_SIDES = ("short", None, "long")
_STATES = ("IN_MARKET", "OUT_MARKET", "IN_MARKET")
_REASONS = tuple(reason.value for reason in DeathReason)
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e16


@frozen(kw_only=True)
class EventContext:
    """What all events of one experiment have in common.

    Attributes:
        genome_offset: row of this experiment's first agent in ``genomes_run_<id>.npy``.
        api_error_count: errors of the exchange API so far; None offline, where there is none.
    """

    run_id: str
    experiment: int
    seed: int
    arm: str
    genome_offset: int = 0
    api_error_count: int | None = None


@frozen(kw_only=True, eq=False)
class FenceBlocks:
    """The fences that blocked most since the last review, one row an event, shape (events, k) each.

    Attributes:
        names: fence ids; ``fence`` indexes them, -1 where fewer than k blocked anything.
    """

    names: Sequence[str]
    fence: Ints
    blocks: Ints
    attempts: Ints

    def shares(self) -> list[list[FenceShare]]:
        """One list an event, most blocks first."""
        rows = zip(self.fence.tolist(), self.blocks.tolist(), self.attempts.tolist(), strict=True)
        return [
            [
                FenceShare(fence_id=self.names[f], attempts=tried, block_count=blocked, block_rate=blocked / tried)
                for f, blocked, tried in zip(fences, blocks, attempts, strict=True)
                if f >= 0
            ]
            for fences, blocks, attempts in rows
        ]


@frozen(kw_only=True, eq=False)
class DeathColumns:
    """Deaths in the order in which they happened; a column has shape (deaths,) unless said otherwise.

    Attributes:
        tick: index of the bar at whose end the agent was dead.
        market_time: that bar's close, UTC epoch seconds.
        agent: order of birth within the experiment; ``parent`` is -1 for founders.
        genome_sha256: hexadecimal, of the little-endian float32[342].
        reason: index into `DeathReason`.
        costs: shape (deaths, 3): fees, funding, slippage over its life, USDT.
        side: -1, 0, 1: the position it died with.
        triplet: shape (deaths, 3): allocated, reserve, total after the burials of the tick, USDT.
        fences: the population's, since the last review.
    """

    tick: Ints
    market_time: Ints
    agent: Ints
    parent: Ints
    genome_sha256: Sequence[str]
    birth_tick: Ints
    age_ticks: Ints
    reason: Ints
    initial_capital: Reals
    final_capital: Reals
    roi_lifetime: Reals
    roi_period: Reals
    trades: Ints
    wins: Ints
    costs: Reals
    side: Ints
    last_signal: Reals
    triplet: Reals
    fences: FenceBlocks


@frozen(kw_only=True, eq=False)
class BirthColumns:
    """Births in the order in which they happened; every column has shape (births,). See `DeathColumns`."""

    tick: Ints
    market_time: Ints
    agent: Ints
    parent: Ints
    founder: Ints
    genome_sha256: Sequence[str]
    parent_genome_sha256: Sequence[str]
    mutated_loci: Ints
    initial_capital: Reals
    parent_roi_period: Reals


def utc_texts(epoch_seconds: Ints) -> list[str]:
    """UTC epoch seconds as the text that records carry."""
    moments = np.asarray(epoch_seconds, dtype=np.int64).astype("datetime64[s]")
    return [f"{text}.000000Z" for text in np.datetime_as_string(moments, unit="s").tolist()]


def encode_deaths(context: EventContext, columns: DeathColumns) -> bytes:
    """The lines of `DeathEvent` for one experiment.

    Raises:
        EvidenceError: for columns of different length, a value that is not finite, or a reason or side that is not one.
    """
    c = columns
    if not len(c.tick):
        return b""
    plain = look_at(c, "death", len(c.tick))
    _in_range(c.reason, 0, len(_REASONS) - 1, "death column reason")
    _in_range(c.side, -1, 1, "death column side")
    shares = _fence_fragments(c.fences)
    why = [_death_nulls(context, founder=f, flat=p) for f in (False, True) for p in (False, True)]
    sources = [REASON_SOURCES[reason] for reason in DeathReason]
    experiment, offset, arm, run_id, seed = (
        context.experiment,
        context.genome_offset,
        context.arm,
        context.run_id,
        context.seed,
    )
    schema, errors, dumps = Schema.DEATH.value, context.api_error_count, orjson.dumps
    lines = [
        dumps({  # keys in canonical order
            "age_ticks": age,
            "agent_id": f"e{experiment:04d}a{agent:06d}",
            "api_error_count_so_far": errors,
            "arm": arm,
            "birth_tick": born,
            "capital_triplet": {"allocated_capital": allocated, "current_total": total, "system_reserve": reserve},
            "death_reason": _REASONS[reason],
            "death_reason_source": sources[reason],
            "experiment": experiment,
            "fees_paid": fees,
            "fence_block_rate_summary": blocked,
            "final_capital": final,
            "funding_paid": funding,
            "genome_index": offset + agent,
            "genome_sha256": sha256,
            "has_position": side != 0,
            "initial_capital": initial,
            "last_signal": signal,
            "null_reasons": why[2 * (parent < 0) + (side == 0)],
            "parent_id": f"e{experiment:04d}a{parent:06d}" if parent >= 0 else None,
            "position_side": _SIDES[side + 1],
            "roi_lifetime": roi_lifetime,
            "roi_period": roi_period,
            "run_id": run_id,
            "schema": schema,
            "seed": seed,
            "slippage_paid": slippage,
            "state_final": _STATES[side + 1],
            "tick": tick,
            "trades": trades,
            "ts_basis": TS_BASIS,
            "ts_utc": ts_utc,
            "wins": wins,
        })
        for (
            tick, ts_utc, agent, parent, sha256, born, age, reason, initial, final, roi_lifetime, roi_period,
            trades, wins, (fees, funding, slippage), side, signal, (allocated, reserve, total), blocked,
        ) in zip(
            c.tick.tolist(), utc_texts(c.market_time), c.agent.tolist(), c.parent.tolist(), c.genome_sha256,
            c.birth_tick.tolist(), c.age_ticks.tolist(), c.reason.tolist(), c.initial_capital.tolist(),
            c.final_capital.tolist(), c.roi_lifetime.tolist(), c.roi_period.tolist(), c.trades.tolist(),
            c.wins.tolist(), c.costs.tolist(), c.side.tolist(), c.last_signal.tolist(), c.triplet.tolist(), shares,
            strict=True,
        )
    ]  # fmt: skip
    return joined(lines, plain)


def encode_births(context: EventContext, columns: BirthColumns) -> bytes:
    """The lines of `BirthEvent` for one experiment.

    Raises:
        EvidenceError: for columns of different length, or a value that is not finite.
    """
    c = columns
    if not len(c.tick):
        return b""
    plain = look_at(c, "birth", len(c.tick))
    lines = [
        orjson.dumps({  # keys in canonical order
            "agent_id": agent_id(context.experiment, agent),
            "arm": context.arm,
            "experiment": context.experiment,
            "founder_id": agent_id(context.experiment, founder),
            "genome_index": context.genome_offset + agent,
            "genome_sha256": sha256,
            "initial_capital": initial,
            "mutated_loci": mutated,
            "null_reasons": {},
            "parent_genome_sha256": parent_sha256,
            "parent_id": agent_id(context.experiment, parent),
            "parent_roi_period": roi,
            "run_id": context.run_id,
            "schema": Schema.BIRTH.value,
            "seed": context.seed,
            "tick": tick,
            "ts_basis": TS_BASIS,
            "ts_utc": ts_utc,
        })
        for tick, ts_utc, agent, parent, founder, sha256, parent_sha256, mutated, initial, roi in zip(
            c.tick.tolist(), utc_texts(c.market_time), c.agent.tolist(), c.parent.tolist(), c.founder.tolist(),
            c.genome_sha256, c.parent_genome_sha256, c.mutated_loci.tolist(), c.initial_capital.tolist(),
            c.parent_roi_period.tolist(), strict=True,
        )
    ]  # fmt: skip
    return joined(lines, plain)


def _death_nulls(context: EventContext, *, founder: bool, flat: bool) -> orjson.Fragment:
    """The reasons of a death line, encoded once for each combination."""
    reasons: dict[str, str] = {}
    if context.api_error_count is None:
        reasons["api_error_count_so_far"] = NO_API
    if founder:
        reasons["parent_id"] = FOUNDER
    if flat:
        reasons["position_side"] = FLAT
    return orjson.Fragment(canonical_bytes(reasons))


def _fence_fragments(fences: FenceBlocks) -> list[orjson.Fragment]:
    """The summary of each event; those who died together share theirs, so each is encoded once."""
    known: dict[bytes, orjson.Fragment] = {}
    rows = np.hstack([fences.fence, fences.blocks, fences.attempts]).astype(np.int64)
    keys = [row.tobytes() for row in rows]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    for key, i in first.items():
        one = FenceBlocks(
            names=fences.names,
            fence=fences.fence[i : i + 1],
            blocks=fences.blocks[i : i + 1],
            attempts=fences.attempts[i : i + 1],
        )
        known[key] = orjson.Fragment(canonical_bytes(CONVERTER.unstructure(one.shares()[0])))
    return [known[key] for key in keys]


def look_at(columns: Any, what: str, n: int) -> npt.NDArray[np.bool_]:
    """Check that columns have ``n`` rows and are finite; returns which rows orjson spells canonically."""
    plain = np.ones(n, dtype=bool)
    for column in fields(type(columns)):
        values = getattr(columns, column.name)
        if isinstance(values, FenceBlocks):
            values = values.fence
        if isinstance(values, int | str):
            continue
        if len(values) != n:
            raise EvidenceError(f"{what} column {column.name} has {len(values)} rows, of {n}")
        if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
            continue
        size = np.abs(values.astype(np.float64)).reshape(n, -1)  # in float32, 1e-4 is not what will be written
        if not np.isfinite(size).all():
            row = int(np.flatnonzero(~np.isfinite(size).all(axis=1))[0])
            raise EvidenceError(f"{what} column {column.name} is {values[row]} in row {row}, which no record may carry")
        plain &= ((size == 0) | ((size >= _PLAIN_FROM) & (size < _PLAIN_TO))).all(axis=1)
    return plain


def _in_range(values: Ints, low: int, high: int, what: str) -> None:
    """Refuse codes outside [low, high]."""
    if len(values) and (values.min() < low or values.max() > high):
        raise EvidenceError(f"{what} holds {int(values.min())} to {int(values.max())}, allowed is {low} to {high}")


def joined(lines: list[bytes], plain: npt.NDArray[np.bool_]) -> bytes:
    """The lines as one text, those that orjson spells otherwise written again."""
    rewritten: Iterable[int] = np.flatnonzero(~plain).tolist()
    for row in rewritten:
        lines[row] = canonical_line(orjson.loads(lines[row]))[:-1]
    text = b"\n".join(lines) + b"\n"
    return text if text.isascii() else b"".join(canonical_line(orjson.loads(line)) for line in lines)
