"""Raw execution records of one experiment: which orders are kept, and their bytes (contracts, section 10).

1. Event records are kept in full: errors, rejects (unfilled, below the lot, capped by margin), timeouts, forced
   liquidations, and every order that the log holds of the tick in which the experiment collapsed.
2. Of the rest, partial fills are kept in full and plain orders one in N, by the order's own number. So a record without
   flags stands for N like it, and a record with flags for itself.
3. A record's ``ts_utc`` is market time, the close of its tick's bar. Its bytes depend on the experiment alone.
4. Opposite orders of one moment would meet if one account held them. They are counted when every order was logged;
   under sampling that is not known, and not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.records.event_lines import utc_texts
from prometheus.v10.evidence.records.events import TS_BASIS

Ints = npt.NDArray[np.integer[Any]]
Reals = npt.NDArray[np.floating[Any]]

NOTHING_FILLED = "nothing was filled: there is no price"
EVENT_FLAGS = frozenset(["unfilled", "below_lot", "margin_capped", "forced", "error", "timeout"])
"""What makes a record an event record; ``partial`` does not."""


@frozen(kw_only=True)
class RawOrder:
    """One line of ``m_execution_raw_part_NNNN.json``, for readers; `encode_orders` writes the same bytes from columns.

    Attributes:
        order: number of the order within its experiment, counted from 0 over all orders, kept or not.
        kind: what sent it: ``entry``, ``exit``, ``review_flatten``, ``liquidation``, ``settlement``.
        ordered_lots: unsigned, as is ``filled_lots``; ``side`` is ``buy`` or ``sell``.
        price: USDT, null when nothing was filled; ``expected_price`` is what was known when it was decided.
        fee: USDT; ``realised`` is the profit of what it closed, before fees.
        impact: fraction by which the order moved the price against itself.
        position_after: signed lots that the agent held afterwards.
    """

    schema: str = Schema.EXECUTION_RAW.value
    run_id: str
    experiment: int
    seed: int
    arm: str
    symbol: str
    ts_utc: str
    ts_basis: str = TS_BASIS
    tick: int
    order: int
    agent_id: str
    kind: str
    side: str
    ordered_lots: float
    filled_lots: float
    price: float | None
    expected_price: float
    fee: float
    impact: float
    realised: float
    position_after: float
    flags: list[str]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class OrderContext:
    """What all orders of one experiment have in common.

    Attributes:
        kinds: names of the log's kinds, in the order of their codes.
        flags: name of each flag bit of the log.
        at_close: kinds that fill at the bar's close; the others fill at its open, and forced ones on their own.
        forced: kinds that no other order can meet.
        sample_one_in: N of the log; 0 where it kept eventful orders only, 1 where it kept all.
        collapse_tick: -1 where the experiment did not collapse.
    """

    run_id: str
    experiment: int
    seed: int
    arm: str
    symbol: str
    kinds: Sequence[str]
    flags: Mapping[int, str]
    at_close: frozenset[str]
    forced: frozenset[str]
    sample_one_in: int
    collapse_tick: int = -1


@frozen(kw_only=True)
class Crossing:
    """Opposite orders of one moment (a tick's open, or its close), in lots; each agent has at most one in a moment.

    Attributes:
        moments: with orders on both sides.
        gross_lots: filled on both sides, over all moments.
        net_lots: sum over moments of |bought - sold|.
        crossed_lots: sum over moments of the smaller side: what would have met itself in one account.
    """

    moments: int
    gross_lots: float
    net_lots: float
    crossed_lots: float


@frozen(kw_only=True, eq=False)
class RawBlock:
    """Records of one class in the order of their numbers.

    Attributes:
        lines: one record each, canonical, without a newline.
        ticks: shape (records,).
        ts_utc: market time of each.
    """

    lines: Sequence[bytes]
    ticks: Sequence[int]
    ts_utc: Sequence[str]


@frozen(kw_only=True, eq=False)
class RawBlocks:
    """What one experiment hands to the raw evidence of its run; ``crossing`` is None where only a sample was logged."""

    events: RawBlock
    samples: RawBlock
    crossing: Crossing | None


def encode_orders(context: OrderContext, ids: Ints, values: Reals, closes: Ints) -> RawBlocks:
    """The raw records of one experiment.

    Args:
        context: whose orders they are.
        ids: shape (orders, 5): tick, genome_index, kind, flags, order number.
        values: shape (orders, 8): ordered and filled (signed lots), price, expected price, fee, impact, realised,
            position after.
        closes: UTC epoch seconds of every bar's close, shape (ticks,).

    Raises:
        EvidenceError: for columns of different length, an unknown kind or flag, or a value that is not finite.
    """
    _look_at(context, ids, values)
    event = (ids[:, 3] & _event_mask(context)) != 0
    event |= ids[:, 0] == context.collapse_tick
    lines = np.array(_lines(context, ids, values, closes), dtype=object)
    ts_utc = np.array(utc_texts(closes[ids[:, 0]]), dtype=object)
    parts = [
        RawBlock(lines=lines[rows].tolist(), ticks=ids[rows, 0].tolist(), ts_utc=ts_utc[rows].tolist())
        for rows in (event, ~event)
    ]
    crossing = _crossing(context, ids, values) if context.sample_one_in == 1 else None
    return RawBlocks(events=parts[0], samples=parts[1], crossing=crossing)


def crossing(moments: Ints, filled: Reals) -> Crossing:
    """Count what opposite fills of one moment would have met of each other.

    Args:
        moments: key of the moment of each fill, shape (orders,).
        filled: signed lots, same shape.
    """
    _, place = np.unique(moments, return_inverse=True)
    bought: Reals = np.bincount(place, weights=np.maximum(filled, 0.0)).astype(np.float64)
    sold: Reals = np.bincount(place, weights=np.maximum(-filled, 0.0)).astype(np.float64)
    smaller = np.minimum(bought, sold)
    return Crossing(
        moments=int(np.count_nonzero(smaller > 0.0)),
        gross_lots=_in_order(bought) + _in_order(sold),
        net_lots=_in_order(np.abs(bought - sold)),
        crossed_lots=_in_order(smaller),
    )


def _crossing(context: OrderContext, ids: Ints, values: Reals) -> Crossing:
    free = np.array([kind not in context.forced for kind in context.kinds])[ids[:, 2]]
    late = np.array([kind in context.at_close for kind in context.kinds])[ids[:, 2]]
    return crossing((2 * ids[:, 0] + late)[free], values[free, 1])


def _in_order(values: Reals) -> float:
    return float(np.cumsum(values)[-1]) if len(values) else 0.0


def _event_mask(context: OrderContext) -> int:
    return sum(bit for bit, name in context.flags.items() if name in EVENT_FLAGS)


def _look_at(context: OrderContext, ids: Ints, values: Reals) -> None:
    if ids.shape[1:] != (5,) or values.shape != (len(ids), 8):
        raise EvidenceError(f"orders come as (n, 5) and (n, 8), not {ids.shape} and {values.shape}")
    if not len(ids):
        return
    known = sum(context.flags)
    if ids[:, 2].min() < 0 or ids[:, 2].max() >= len(context.kinds) or (ids[:, 3] & ~known).any():
        raise EvidenceError("an order has a kind or a flag without a name")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise EvidenceError(f"order {int(ids[row, 4])} holds {values[row].tolist()}, which no record may carry")


def _lines(context: OrderContext, ids: Ints, values: Reals, closes: Ints) -> list[bytes]:
    """Canonical lines: what is the same in all of them is spelled once, and ``repr`` spells each number."""
    experiment = context.experiment
    fixed = {name: _spelled(getattr(context, name)) for name in ("arm", "run_id", "symbol")}
    kinds = [_spelled(kind) for kind in context.kinds]
    flags = _flag_texts(context.flags, ids[:, 3])
    reasons = ("{}", _spelled({"price": NOTHING_FILLED}))
    schema, basis = _spelled(Schema.EXECUTION_RAW.value), _spelled(TS_BASIS)
    sides, null = ("sell", "buy"), "null"
    rows: Iterable[Any] = zip(ids.tolist(), values.tolist(), utc_texts(closes[ids[:, 0]]), strict=True)
    return [
        (
            f'{{"agent_id":"e{experiment:04d}a{agent:06d}","arm":{fixed["arm"]},"expected_price":{expected!r},'
            f'"experiment":{experiment},"fee":{fee!r},"filled_lots":{abs(filled)!r},"flags":{flags[flag]},'
            f'"impact":{impact!r},"kind":{kinds[kind]},"null_reasons":{reasons[filled == 0.0]},"order":{number},'
            f'"ordered_lots":{abs(ordered)!r},"position_after":{after!r},"price":{repr(price) if filled else null},'
            f'"realised":{realised!r},"run_id":{fixed["run_id"]},"schema":{schema},"seed":{context.seed},'
            f'"side":"{sides[ordered > 0.0]}","symbol":{fixed["symbol"]},"tick":{tick},'
            f'"ts_basis":{basis},"ts_utc":"{ts_utc}"}}'
        ).encode("ascii")
        for (tick, agent, kind, flag, number), (
            ordered, filled, price, expected, fee, impact, realised, after,
        ), ts_utc in rows
    ]  # fmt: skip


def _spelled(value: object) -> str:
    return canonical_bytes(value).decode("ascii")


def _flag_texts(names: Mapping[int, str], found: Ints) -> dict[int, str]:
    """Every combination of flags that occurs, as its list of names in the order of their bits."""
    return {
        flags: _spelled([names[bit] for bit in sorted(names) if flags & bit]) for flags in np.unique(found).tolist()
    }
