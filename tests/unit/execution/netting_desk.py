"""Round numbers for netting: one lot is 0.001 BTC, one tick 1 USDT, so one quantum is 0.001 USDT; the fee is 1 %."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from prometheus.v10.execution.netting.net_round import RoundPlan, RoundResult, plan_round, settle_round
from prometheus.v10.execution.netting.netting_terms import Contract, Delta, Force, SentOrder, Touch, VenueTrade

RUN = "HF_20260102T030405Z_abcdef0_0001"
CONTRACT = Contract(lot_btc=Decimal("0.001"), tick=Decimal(1), min_lots=1, taker_rate=Decimal("0.01"))
TOUCH = Touch(bid=100, ask=102, book_sha256="0" * 64)


def trade(trade_id: str, lots: int, price: int, contract: Contract = CONTRACT) -> VenueTrade:
    """A fill with the fee that the contract's rate gives."""
    return VenueTrade(trade_id, lots, price, -contract.taker_rate * lots * price * contract.quantum)


def plan(*wishes: tuple[int, int] | tuple[int, int, int, int], contract: Contract = CONTRACT) -> RoundPlan:
    """A round of (agent, lots) or (agent, held, lots, force)."""
    deltas = [Delta(one[0], 0, one[1]) if len(one) == 2 else Delta(*one) for one in wishes]
    return plan_round(RUN, 7, contract, TOUCH, deltas)


def lots_of(result: RoundResult) -> dict[int, int]:
    return {share.agent: share.lots for share in result.shares}


def settled(*wishes: Any, trades: Any = (), **options: Any) -> RoundResult:
    return settle_round(plan(*wishes, **options), [trade(f"t{k}", *one) for k, one in enumerate(trades)])


@st.composite
def rounds(draw: st.DrawFn) -> tuple[RoundPlan, list[VenueTrade]]:
    """Any book, wishes, forced closes, smallest order, fee, lot and tick, and any part fill of the order."""
    bid = draw(st.integers(1, 2_000_000))
    touch = Touch(bid=bid, ask=bid + draw(st.integers(0, 50)), book_sha256="0" * 64)
    contract = Contract(
        lot_btc=draw(st.decimals("1e-6", "1", places=6)), tick=draw(st.sampled_from([Decimal("0.1"), Decimal(1)])),
        min_lots=draw(st.sampled_from([1, 1, 3, 40])), taker_rate=draw(st.decimals(0, "0.01", places=6)),
    )  # fmt: skip
    deltas = []
    for agent in draw(st.lists(st.integers(0, 10**6), unique=True, max_size=25)):
        lots = draw(st.integers(-60, 60))
        closing = draw(st.booleans())
        held = -lots * draw(st.integers(1, 3)) if closing else draw(st.integers(-60, 60))
        force = draw(st.sampled_from(Force)) if closing and lots else Force.NONE
        deltas.append(Delta(agent, held, lots, force))
    made = plan_round(RUN, draw(st.integers(0, 10**6)), contract, touch, deltas)
    return made, draw(fills_of(made))


@st.composite
def fills_of(draw: st.DrawFn, made: RoundPlan) -> list[VenueTrade]:
    """Any fills of an order, at prices on both sides of the touch."""
    left, trades = draw(st.integers(0, abs(made.order_lots))), []
    while left:
        lots = draw(st.integers(1, left))
        price = max(1, made.touch.bid + draw(st.integers(-40, 90)))
        trades.append(trade(f"{made.tick}-{len(trades)}", lots, price, made.contract))
        left -= lots
    return trades


@st.composite
def orders_of(draw: st.DrawFn, made: RoundPlan, trades: list[VenueTrade], *, several: bool) -> list[SentOrder]:
    """The orders that brought these fills: one, or with ``several`` any number, each for what was left."""
    orders, left, rest = [], made.order_lots, list(trades)
    while left:
        count = draw(st.integers(0, len(rest))) if several and len(orders) < len(trades) + 2 else len(rest)
        got, rest = tuple(rest[:count]), rest[count:]
        orders.append(SentOrder(f"o{made.tick}x{len(orders)}", left, got))
        filled = sum(one.lots for one in got)
        left -= filled if left > 0 else -filled
        if not rest and (not several or draw(st.booleans())):
            break
    return orders
