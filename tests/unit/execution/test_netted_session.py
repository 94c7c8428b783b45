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
from prometheus.v10.evidence.derive.netted.rederived_round import broken_order, misfits
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import AgentLimits, VenueTruth
from prometheus.v10.execution.netting.netting_terms import Contract, Touch, VenueTrade, exactly
from prometheus.v10.execution.session.netted_fills import FundingBill, NettedFills, mirror_gap
from prometheus.v10.execution.session.world_session import WorldSession
from tests.unit.core.conftest import make_market, small, wild

from .netting_desk import RUN

CONTRACT = Contract(lot_btc=Decimal("0.0001"), tick=Decimal("0.1"), min_lots=1, taker_rate=Decimal("0.0005"))


class Exchange:
    """One account: cash, position, fills at two levels of a thin book, part fills of orders that may be part filled."""

    def __init__(self, market: Market, equity: Decimal, *, unproved_every: int = 0, part_every: int = 0) -> None:
        self.market, self.flow, self.lots = market, equity, 0
        self.unproved_every, self.part_every = unproved_every, part_every
        self.now = self.sent = 0
        self.hidden: list[VenueTrade] = []
        self.lie = 0

    def touch(self, tick: int) -> Touch:
        self.now = round(self.market.open[tick] * 10)
        return Touch(bid=self.now - 2, ask=self.now + 3, book_sha256="b" * 64)

    def take(self, plan: Any) -> tuple[str, list[VenueTrade] | None]:
        self.sent += 1
        size, side = abs(plan.order_lots), 1 if plan.order_lots > 0 else -1
        if self.part_every and self.sent % self.part_every == 0 and all(not one.force for one in plan.deltas):
            size //= 3
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
        self.hidden = trades
        unknown = self.unproved_every and self.sent % self.unproved_every == 0
        return f"order{self.sent}", None if unknown else trades

    def prove(self, plan: Any) -> list[VenueTrade]:
        assert plan.order_lots
        return self.hidden

    def funding(self, tick: int) -> FundingBill | None:
        if self.market.funding[tick] == 0.0:
            return None
        price, rate = Decimal(round(self.market.open[tick] * 10)) / 10, Decimal(repr(float(self.market.funding[tick])))
        with exactly():
            change = (-self.lots * CONTRACT.lot_btc * price * rate).quantize(Decimal("1e-25"))
            self.flow += change
        return FundingBill(price, rate, change)

    def truth(self) -> VenueTruth:
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
    session, fills, lines = begun(config, market, unproved_every=5, part_every=3)
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

    def never(plan: Any) -> list[VenueTrade]:
        raise ExchangeError("the exchange does not say")

    fills.desk.prove = never  # type: ignore[method-assign]
    with pytest.raises(ExchangeError, match="does not say"):
        to_the_end(session)
    assert json.loads(lines[-1])["status"] == "unproved"
    with pytest.raises(ExchangeError, match="is not proved"):
        fills.at_open(session.experiment.tick + 1, [])
