"""A population of the frozen core on one account of a small exchange that knows nothing of agents."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.core import capital, exchange
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import Market
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.derive.netted.rederived_round import broken_order, misfits, unclosed
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import AgentLimits, VenueTruth
from prometheus.v10.execution.netting.netting_terms import Contract, SentOrder, Touch, VenueTrade, exactly
from prometheus.v10.execution.session.netted_fills import FundingBill, NettedFills, mirror_gap
from prometheus.v10.execution.session.world_session import WorldSession
from tests.unit.core.conftest import make_market, small, wild

from .netting_desk import RUN

CONTRACT = Contract(lot_btc=Decimal("0.0001"), tick=Decimal("0.1"), min_lots=1, taker_rate=Decimal("0.0005"))


class Exchange:
    """One account: cash, position, fills at two levels of a thin book, part fills of orders that may be part filled.

    A forced close takes up to ``most_orders``, each for what is left, and each but the last gets half of it.
    """

    def __init__(
        self, market: Market, equity: Decimal, *, unproved_every: int = 0, part_every: int = 0, most_orders: int = 1
    ) -> None:
        self.market, self.flow, self.lots = market, equity, 0
        self.unproved_every, self.part_every, self.most_orders = unproved_every, part_every, most_orders
        self.now = self.sent = 0
        self.hidden: list[SentOrder] = []
        self.lie = 0
        self.whole = True
        self.silent: ExchangeError | None = None
        self.latched: list[tuple[int, int, int]] = []
        self.bill: FundingBill | None = None

    def touch(self, tick: int) -> Touch:
        self.now = round(self.market.open[tick] * 10)
        return Touch(bid=self.now - 2, ask=self.now + 3, book_sha256="b" * 64)

    def take(self, plan: Any) -> list[SentOrder]:
        forced, left, orders = any(one.force for one in plan.deltas), plan.order_lots, []
        for number in range(self.most_orders if forced else 1, 0, -1):
            size = abs(left)
            if forced and (number > 1 or not self.whole):
                size = -(-size // 2)
            elif not forced and self.part_every and (self.sent + 1) % self.part_every == 0:
                size //= 3
            orders.append(self.order(plan, left, size))
            left -= size if left > 0 else -size
            if not left:
                break
        self.hidden = orders
        unknown = self.unproved_every and self.sent % self.unproved_every == 0
        return [*orders[:-1], orders[-1]._replace(trades=None)] if unknown else orders

    def order(self, plan: Any, asked: int, size: int) -> SentOrder:
        self.sent += 1
        side = 1 if asked > 0 else -1
        best = plan.touch.ask if side > 0 else plan.touch.bid
        trades = []
        with exactly():
            for level, lots in enumerate([size - size // 4, size // 4]):
                if lots:
                    price = best + side * 7 * level
                    fee = -CONTRACT.taker_rate * lots * price * CONTRACT.quantum
                    trades.append(VenueTrade(f"{self.sent}x{level}", lots, price, fee))
                    self.flow += fee - side * lots * price * CONTRACT.quantum
        self.lots += side * size
        return SentOrder(f"order{self.sent}", asked, tuple(trades))

    def prove(self, plan: Any) -> list[SentOrder]:
        assert plan.order_lots
        return self.hidden

    def left_open(self, tick: int, lots: int, orders: int) -> None:
        self.latched.append((tick, lots, orders))

    def billed_within(self) -> FundingBill | None:
        if self.bill is not None:
            self.flow += self.bill.balance_change
        return self.bill

    def funding(self, tick: int) -> FundingBill | None:
        if self.market.funding[tick] == 0.0:
            return None
        price, rate = Decimal(round(self.market.open[tick] * 10)) / 10, Decimal(repr(float(self.market.funding[tick])))
        with exactly():
            change = (-self.lots * CONTRACT.lot_btc * price * rate).quantize(Decimal("1e-25"))
            self.flow += change
        return FundingBill(price, rate, change)

    def truth(self) -> VenueTruth:
        if self.silent is not None:
            raise self.silent
        mark = Decimal(self.now) / 10
        with exactly():
            equity = self.flow + self.lots * CONTRACT.lot_btc * mark
        return VenueTruth(lots=self.lots + self.lie, equity=equity, mark=mark)


def begun(config: WorldConfig, market: Market, **options: Any) -> tuple[WorldSession, NettedFills, list[bytes]]:
    experiment = Experiment(market, config, 5, keep_orders_one_in=1)
    stake = Decimal(experiment.initial_capital[0])
    equity = Decimal(config.initial_total)
    account = NettedAccount(
        RUN, CONTRACT, equity - stake * config.founders, dict.fromkeys(range(config.founders), stake)
    )
    lines: list[bytes] = []
    fills = NettedFills(
        "BTC-USDT-SWAP", account, Exchange(market, equity, **options), lambda line: lines.append(to_line(line)),
        AgentLimits(leverage=Decimal(100)),
    )  # fmt: skip
    return WorldSession(experiment, fills), fills, lines


def to_the_end(session: WorldSession) -> None:
    while session.step():
        pass


@pytest.mark.parametrize("factor", [1.0, 15.0])
def test_a_population_trades_through_one_account_and_every_lot_and_quantum_is_accounted_for(factor: float) -> None:
    config = small(founders=48, leverage_cap=10.0, death_roi=-0.02, breed_roi=0.0, initial_total=48_000.0)
    market = wild(make_market(3, 200, config), factor)
    session, fills, lines = begun(config, market, unproved_every=5, part_every=3, most_orders=3)
    while session.step():
        assert mirror_gap(session.experiment, fills.account) < 1e-4
    result = session.result()
    read = [json.loads(line) for line in lines]
    assert [found for line in read for found in misfits(line)] == []
    assert broken_order(read) == []
    assert all(line["holds"] for line in read if line["status"] == "settled")
    assert {line["tick"] for line in read} >= set(range(1, result.ticks))
    statuses = [line["status"] for line in read]
    assert statuses.count("unproved") > 5
    assert sum(line["crossed_lots"] for line in read) > 0
    assert any(line["status"] == "settled" and line["filled_lots"] < abs(line["net_lots"]) for line in read)
    assert max(len(line["orders"]) for line in read) == 3
    assert fills.account.house.surplus > 0
    assert fills.account.venue_lots == 0
    assert (exchange.DEAD_LIQUIDATION in result.deaths.reason) == (factor > 1.0)
    assert len(result.deaths.tick) > 0
    assert len(result.births.child) > 0
    account = fills.account
    assert [account.accounts[agent].cash(CONTRACT) for agent in result.deaths.genome_index.tolist()] == [
        Decimal(0) for _ in result.deaths.genome_index
    ]
    assert float(account.house.deposits) == pytest.approx(result.money[capital.RESERVE], abs=1e-3)
    # Everything ended at the same money on all three books: the core's, the exact ones, the exchange's.
    exact = sum((one.equity(CONTRACT, Decimal(0)) for one in account.accounts.values()), Decimal(0))
    with exactly():
        whole = exact + account.house.reserve(CONTRACT, with_surplus=True)
        core = exact + account.house.reserve(CONTRACT, with_surplus=False) - account.house.rounding * CONTRACT.quantum
    assert abs(whole - fills.desk.truth().equity) < Decimal("1e-8")
    assert float(core) == pytest.approx(result.total_by_tick[-1], abs=1e-3)


def test_a_position_that_is_not_the_exchanges_is_recorded_and_stops_the_session() -> None:
    config = small(founders=12)
    session, fills, lines = begun(config, make_market(3, 60, config))
    for _ in range(5):
        session.step()
    fills.desk.lie = 1  # type: ignore[attr-defined]
    with pytest.raises(ExchangeError, match="the round of tick 5 breaks position by -1"):
        session.step()
    last = json.loads(lines[-1])
    assert (last["tick"], last["holds"]) == (5, False)
    assert misfits(last) == []


def test_an_order_that_cannot_be_proved_leaves_its_line_and_nothing_after_it() -> None:
    config = small(founders=12)
    session, fills, lines = begun(config, make_market(3, 60, config), unproved_every=1)

    def never(plan: Any) -> list[SentOrder]:
        raise ExchangeError("the exchange does not say")

    fills.desk.prove = never  # type: ignore[method-assign]
    with pytest.raises(ExchangeError, match="does not say"):
        to_the_end(session)
    assert json.loads(lines[-1])["status"] == "unproved"
    with pytest.raises(ExchangeError, match="is not proved"):
        fills.at_open(session.experiment.tick + 1, [])


def before_a_review(**options: Any) -> tuple[WorldSession, NettedFills, list[bytes], Exchange]:
    """A population that holds positions, in whose next tick every one of them is closed for a review."""
    config = small(founders=12, leverage_cap=10.0, review_ticks=20)
    session, fills, lines = begun(config, make_market(3, 60, config), **options)
    while session.experiment.tick < 19:
        session.step()
    return session, fills, lines, fills.desk  # type: ignore[return-value]


def test_a_close_that_stays_open_is_shared_out_recorded_and_latched_and_ends_the_session() -> None:
    session, fills, lines, desk = before_a_review(most_orders=2)
    desk.whole = False
    with pytest.raises(ExchangeError, match="the close of tick 19 must be whole, and leaves"):
        session.step()
    last = json.loads(lines[-1])
    left = abs(last["left_lots"])
    assert (last["status"], last["holds"], misfits(last), broken_order(map(json.loads, lines))) == (
        "settled", True, [], [],
    )  # fmt: skip
    assert left > 0
    assert unclosed(last) == left
    assert desk.latched == [(19, left, 2)]
    assert abs(fills.account.venue_lots) == left == abs(sum(one.lots for one in fills.account.accounts.values()))


def test_a_round_after_which_the_exchange_is_silent_is_on_record() -> None:
    session, _, lines, desk = before_a_review(most_orders=2)
    desk.silent = ExchangeError("nobody answers")
    with pytest.raises(ExchangeError, match="nobody answers"):
        session.step()
    last = json.loads(lines[-1])
    asked = {one["name"]: one["residual"] for one in last["residuals"]}
    assert (last["status"], asked["position"], asked["equity"], misfits(last)) == ("settled", "0", None, [])


def test_funding_that_is_billed_between_two_orders_is_the_houses() -> None:
    session, fills, lines, desk = before_a_review(most_orders=3)
    before = fills.account.house.funding_rounding
    desk.bill = FundingBill(Decimal(1), Decimal(0), Decimal("-0.25"))
    session.step()
    assert fills.account.house.funding_rounding == before - Decimal("0.25")
    closing = [json.loads(line) for line in lines if b'"tick":19' in line][-1]
    assert (len(closing["orders"]), closing["left_lots"], closing["holds"]) == (3, 0, True)
