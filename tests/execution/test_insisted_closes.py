"""A close that must be whole at the driver: what is left is asked for again, under new ids, whatever comes between."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter

import pytest

from prometheus.v10.execution.orders.order_states import Ending, OrderState
from prometheus.v10.execution.trading.bar_driver import AGAIN_S
from prometheus.v10.execution.truth.stop_reasons import Reason, TradingState
from tests.execution.session import BEGUN_ELSEWHERE, Session

THIN = "0.005"
"""Of the usual depth, in percent: some ten to some hundred lots on each side, by the bar's volume."""
HELD = 3000
ORDER = "/api/v5/trade/order"


@pytest.fixture
def session(venue, tmp_path, fake_clock, request):
    made = Session(venue, tmp_path, fake_clock, f"HF_{request.node.name}")
    yield made
    made.end()


@pytest.fixture
def holding(session, venue):
    """A driver that holds `HELD` lots on a book that is thin from now on."""
    driver = session.driver()
    assert driver.trade(1, HELD).position_lots == HELD
    venue.inject("market.liquidity", percent=THIN)
    yield driver
    venue.inject("market.liquidity", percent="100")
    venue.pause(15)


def once_each(session) -> None:
    asked = Counter(json.loads(one["body"])["clOrdId"] for one in session.sends())
    assert asked
    assert max(asked.values()) == 1


def between_orders(driver, act, *, behind: int = 1) -> None:
    """Let ``act`` happen in the pause behind so many orders of a close."""
    pause, done = driver.pause, []

    def paused(seconds: float) -> None:
        if seconds == AGAIN_S[behind - 1] and not done:
            done.append(act())
        pause(seconds)

    driver.pause = paused


def refilled(venue, driver) -> None:
    """Let the book be whole again behind the second order of a close."""
    between_orders(driver, lambda: venue.inject("market.liquidity", percent="100"), behind=2)


def test_each_order_asks_for_what_those_before_it_left(session, venue, holding):
    refilled(venue, holding)
    bar = holding.trade(2, 0, [("a1", -HELD)], insist=True)
    lots = [sum(fill["lots"] for fill in one.fills.values()) for one in bar.orders]
    assert len(bar.orders) == 3
    assert [one.intent["lots"] for one in bar.orders] == [HELD - sum(lots[:place]) for place in range(len(lots))]
    assert (sum(lots), bar.position_lots, bar.look.findings) == (HELD, 0, ())
    assert {one.ending for one in bar.orders[:-1]} == {Ending.CANCELED}
    assert (bar.order.ending, holding.gate.state) == (Ending.FILLED, TradingState.ACTIVE)
    once_each(session)


def test_an_order_that_need_not_be_whole_is_sent_once(session, holding):
    bar = holding.trade(2, 0, [("a1", -HELD)])
    assert (len(bar.orders), 0 < bar.position_lots < HELD) == (1, True)
    once_each(session)


@pytest.mark.parametrize(("fault", "ending"), [
    ("load.50061", None), ("refused.reset", Ending.NOT_PLACED), ("accepted.502", Ending.CANCELED),
])  # fmt: skip
def test_what_befalls_the_second_order_changes_no_lot(session, venue, holding, fault, ending):
    target = {"path": ORDER, "method": "POST", "first": 2, "count": 1}
    venue.admin(do="inject", fault=fault, target=target, arguments={})
    refilled(venue, holding)
    bar = holding.trade(2, 0, [("a1", -HELD)], insist=True)
    second = bar.orders[1]
    assert (len(bar.orders), second.ending, second.state is OrderState.REJECTED) == (3, ending, ending is None)
    assert (bar.position_lots, bar.look.findings, holding.gate.state) == (0, (), TradingState.ACTIVE)
    once_each(session)


def test_a_refusal_for_good_ends_it_with_what_is_left(session, venue, holding):
    between_orders(holding, lambda: venue.inject("venue.frozen", code="50022"))
    bar = holding.trade(2, 0, [("a1", -HELD)], insist=True)
    venue.inject("venue.frozen", code="")
    assert (len(bar.orders), bar.order.state) == (2, OrderState.REJECTED)
    assert 0 < bar.position_lots < HELD
    assert bar.position_lots == holding.position_lots
    assert (holding.gate.state, holding.gate.reasons[0]) == (TradingState.HALTED, Reason.ACCOUNT_RESTRICTED)
    once_each(session)


PROGRAM = f"""
{BEGUN_ELSEWHERE}
import time
from tests.execution.test_insisted_closes import HELD, between_orders

between_orders(driver, lambda: (print("between", flush=True), time.sleep(600)))
driver.trade(2, 0, [("a1", -HELD)], insist=True)
"""


def test_a_kill_between_two_orders_ends_in_the_truth_and_the_close_goes_on(session, venue, holding):
    session.end()
    place = {"said": venue.said, "socket": str(venue.socket), "folder": str(session.folder), "run": session.run}
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(place)], stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        assert running.stdout.readline() == "between\n"
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait(60)
        running.stdout.close()
    session.open_chain(on_torn=lambda _: None)
    again = session.driver()
    look = again.start()
    assert (look.findings, again.gate.state) == ((), TradingState.ACTIVE)
    assert 0 < look.position_lots == again.position_lots < HELD
    before = set(again.chain.states.orders)
    venue.inject("market.liquidity", percent="100")
    bar = again.trade(2, 0, [("a1", -HELD)], insist=True)
    assert (bar.position_lots, bar.look.findings) == (0, ())
    assert not before & {one.client_id for one in bar.orders}
    once_each(session)
