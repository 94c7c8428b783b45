"""One line of ``netting_rounds.jsonl``: a round as evidence, from which it can be derived again.

Exact money is text (Decimal), exact prices are numerator and denominator in ticks. `rederived_round` in
`prometheus/v10/evidence/derive/netted/` derives a line again from its own bytes with the standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.schemas.shapes import COUNT, NAME, SHA256, TEXT, absent, pattern, words
from prometheus.v10.execution.netting.net_round import RoundPlan, RoundResult, deltas_sha256
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import NAMES, NOT_ASKED, Invariant
from prometheus.v10.execution.netting.netting_terms import SentOrder

STATUS = ("settled", "deferred", "unproved")
NO_ORDER = "nothing was sent"
NOT_PROVED = "the outcome of the order is not proved"
MONEY = pattern("-?[0-9]+(?:[.][0-9]+)?")
ORDER_ID = pattern("[A-Za-z0-9]{1,32}")


@frozen(kw_only=True)
class NettingOrder:
    """One order of a round, with the signed lots that it asked for."""

    client_order_id: str = field(metadata=ORDER_ID)
    lots: int


@frozen(kw_only=True)
class NettingFill:
    """One fill of an order of the round; ``fee`` is USDT as the balance moved, negative is charged.

    Attributes:
        client_order_id: of its order; version 1, with one order a round, does not say it.
    """

    trade_id: str = field(metadata=TEXT)
    lots: int = field(metadata=COUNT)
    price_ticks: int = field(metadata=COUNT)
    fee: str = field(metadata=MONEY)
    client_order_id: str | None = field(default=None, metadata=absent(ORDER_ID))


@frozen(kw_only=True)
class NettingResidual:
    """One invariant of `netting_invariants`; ``residual`` is null where the exchange was not asked."""

    name: str = field(metadata=words(*NAMES))
    residual: str | None = field(metadata=MONEY)
    tolerance: str = field(metadata=MONEY)
    holds: bool


@frozen(kw_only=True)
class NettingRound:
    """One round of ``netting_rounds.jsonl``; in version 1 a round has one order at most.

    Attributes:
        client_order_id: of the first order; null when nothing was sent.
        orders: in the order in which they were sent; each asks for what those before it left.
        left_lots: signed lots of the net order that no order brought; left out while an order is not proved.
        lot_btc: base currency in one lot; ``tick_usdt``: USDT in one tick; ``taker_rate``: share of notional.
        wishes: one row an agent in ascending order: agent, lots held, lots wanted, force (0 none, 1 death,
            2 liquidation, 3 review, 4 stop).
        deltas_sha256: of these rows, as lines of numbers between blanks.
        buy_lots: B; ``sell_lots`` S, ``crossed_lots`` X = min(B, S), ``net_lots`` N = B - S.
        mean_price: of the fills, in ticks: numerator and denominator; so are ``buy_price`` and ``sell_price``.
        shares: one row an agent in the order of ``wishes``: agent, signed lots, notional in quanta.
        allocation_sha256: of these rows.
        spread_quanta: between what crossed buyers paid and crossed sellers got; ``rounding_quanta``: kept by the house.
        fees: USDT charged to agents; ``fee_due``: what the fills cost at the rate; ``fee_paid``: what was charged.
        surplus: USDT into the sub-ledger ``netting_surplus``; ``surplus_total`` is its balance after the round.
        reserve: USDT after the round, the sub-ledger included; ``reserve_without_surplus`` without it.
    """

    schema: str = field(
        default=Schema.NETTING_ROUND_2.value, metadata=words(Schema.NETTING_ROUND, Schema.NETTING_ROUND_2)
    )
    run_id: str = field(metadata=NAME)
    instrument: str = field(metadata=TEXT)
    tick: int = field(metadata=COUNT)
    status: str = field(metadata=words(*STATUS))
    client_order_id: str | None = field(metadata=ORDER_ID)
    orders: list[NettingOrder] | None = field(default=None, metadata=absent())
    lot_btc: str = field(metadata=MONEY)
    tick_usdt: str = field(metadata=MONEY)
    min_lots: int = field(metadata=COUNT)
    taker_rate: str = field(metadata=MONEY)
    book_sha256: str = field(metadata=SHA256)
    bid_ticks: int = field(metadata=COUNT)
    ask_ticks: int = field(metadata=COUNT)
    wishes: list[list[int]]
    deltas_sha256: str = field(metadata=SHA256)
    buy_lots: int = field(metadata=COUNT)
    sell_lots: int = field(metadata=COUNT)
    crossed_lots: int = field(metadata=COUNT)
    net_lots: int
    filled_lots: int | None
    left_lots: int | None = field(default=None, metadata=absent())
    fills: list[NettingFill]
    mean_price: list[int] | None
    buy_price: list[int] | None
    sell_price: list[int] | None
    shares: list[list[int]]
    allocation_sha256: str | None = field(metadata=SHA256)
    spread_quanta: int | None
    rounding_quanta: int | None
    fees: str | None = field(metadata=MONEY)
    fee_due: str | None = field(metadata=MONEY)
    fee_paid: str | None = field(metadata=MONEY)
    surplus: str | None = field(metadata=MONEY)
    surplus_total: str = field(metadata=MONEY)
    reserve: str = field(metadata=MONEY)
    reserve_without_surplus: str = field(metadata=MONEY)
    residuals: list[NettingResidual]
    holds: bool | None
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


OF_A_RESULT = (
    "filled_lots", "mean_price", "buy_price", "sell_price", "allocation_sha256", "spread_quanta", "rounding_quanta",
    "fees", "fee_due", "fee_paid", "surplus", "holds",
)  # fmt: skip
"""Fields that a round without a proved outcome does not have."""


def settled_record(
    instrument: str, orders: Sequence[SentOrder], account: NettedAccount, result: RoundResult,
    invariants: Iterable[Invariant],
) -> NettingRound:  # fmt: skip
    """The line of a settled or a deferred round.

    Args:
        instrument: e.g. ``BTC-USDT-SWAP``.
        orders: of the round, each proved; none when nothing was sent.
        account: after the round was booked.
        result: of the round.
        invariants: as they were found after it.
    """
    found, prices = list(invariants), result.prices
    reasons = {} if orders else {"client_order_id": NO_ORDER}
    owner = {trade.trade_id: one.client_id for one in orders for trade in one.trades or ()}
    for place, one in enumerate(found):
        if one.residual is None:
            reasons[f"residuals.{place}.residual"] = NOT_ASKED
    return NettingRound(
        **_planned(instrument, orders, account, result.plan),
        status="deferred" if result.plan.deferred else "settled",
        filled_lots=result.filled, left_lots=result.left,
        fills=[
            NettingFill(trade_id=one.trade_id, lots=one.lots, price_ticks=one.price, fee=plain(one.fee),
                        client_order_id=owner[one.trade_id])
            for one in result.trades
        ],
        mean_price=_pair(prices.mean), buy_price=_pair(prices.buy), sell_price=_pair(prices.sell),
        shares=[[one.agent, one.lots, one.notional] for one in result.shares],
        allocation_sha256=result.allocation_sha256, spread_quanta=result.spread, rounding_quanta=result.rounding,
        fees=plain(result.fees), fee_due=plain(result.fee_due), fee_paid=plain(result.fee_paid),
        surplus=plain(result.surplus), residuals=[_residual(one) for one in found],
        holds=all(one.holds for one in found), null_reasons=reasons,
    )  # fmt: skip


def unproved_record(
    instrument: str, orders: Sequence[SentOrder], account: NettedAccount, plan: RoundPlan
) -> NettingRound:
    """The line of a round while the outcome of its last order is not known: wishes and orders, no allocation."""
    unknown: dict[str, Any] = dict.fromkeys(OF_A_RESULT)
    return NettingRound(
        **_planned(instrument, orders, account, plan), status="unproved", fills=[], shares=[], residuals=[],
        **unknown, null_reasons=dict.fromkeys(OF_A_RESULT, NOT_PROVED),
    )  # fmt: skip


def plain(amount: Decimal) -> str:
    """Exact money as digits, without an exponent and without zeros that say nothing."""
    if amount == 0:
        return "0"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _planned(instrument: str, orders: Sequence[SentOrder], account: NettedAccount, plan: RoundPlan) -> dict[str, Any]:
    contract, house = plan.contract, account.house
    return {
        "run_id": plan.run_id, "instrument": instrument, "tick": plan.tick,
        "client_order_id": orders[0].client_id if orders else None,
        "orders": [NettingOrder(client_order_id=one.client_id, lots=one.lots) for one in orders],
        "lot_btc": plain(contract.lot_btc), "tick_usdt": plain(contract.tick), "min_lots": contract.min_lots,
        "taker_rate": plain(contract.taker_rate), "book_sha256": plan.touch.book_sha256,
        "bid_ticks": plan.touch.bid, "ask_ticks": plan.touch.ask,
        "wishes": [[one.agent, one.held, one.lots, int(one.force)] for one in plan.deltas],
        "deltas_sha256": deltas_sha256(plan.deltas), "buy_lots": plan.sides.buy, "sell_lots": plan.sides.sell,
        "crossed_lots": plan.sides.crossed, "net_lots": plan.sides.net, "surplus_total": plain(house.surplus),
        "reserve": plain(house.reserve(contract, with_surplus=True)),
        "reserve_without_surplus": plain(house.reserve(contract, with_surplus=False)),
    }  # fmt: skip


def _pair(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


def _residual(one: Invariant) -> NettingResidual:
    return NettingResidual(
        name=one.name, residual=None if one.residual is None else plain(one.residual),
        tolerance=plain(one.tolerance), holds=one.holds,
    )  # fmt: skip
