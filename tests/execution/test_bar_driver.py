"""Bars on the practice venue: one order each, its truth whatever the venue does, and nothing sent twice."""

from __future__ import annotations

import json
import os
from collections import Counter
from decimal import Decimal

import pytest

from prometheus.v10.base.errors import HostError
from prometheus.v10.execution.orders.order_chain import followed
from prometheus.v10.execution.orders.order_states import Ending, OrderState
from prometheus.v10.execution.truth.stop_reasons import Reason, TradingState
from tests.drills import part_of
from tests.execution.session import Session
from tests.faulty import CutOffError, Fault, FaultyFiles


@pytest.fixture
def session(venue, tmp_path, fake_clock, request):
    made = Session(venue, tmp_path, fake_clock, f"HF_{request.node.name}")
    yield made
    made.end()


def test_a_compressed_day(session, venue):
    """Targets up, down, through zero and back, over a funding: venue and chain agree at every bar, to the last lot."""
    driver = session.driver()
    opened = Decimal(driver.chain.states.opening["cash"])
    for tick, target in enumerate([40, 40, 15, -25, -25, 0, 7, -7, 60, 0]):
        venue.pause(30_000 if tick == 4 else 870)
        bar = driver.trade(tick, target, [("a1", target)])
        assert (bar.position_lots, bar.look.position_lots, bar.deferred_lots) == (target, target, 0)
        assert (bar.look.findings, driver.gate.state) == ((), TradingState.ACTIVE)
    orders = driver.chain.states.orders
    assert [one.intent["tick"] for one in orders.values()] == [0, 2, 3, 5, 6, 7, 8, 9]
    assert all(one.ending is Ending.FILLED for one in orders.values())
    # What was sent is what was chained, byte for byte, each once.
    assert [one["body"] for one in session.sends()] == [one.intent["body"] for one in orders.values()]
    # Money: what the fills say is what the account has.
    paid = sum(
        one["lots"] * one["price_ticks"] * (-1 if one["side"] == "buy" else 1)
        for life in orders.values() for one in life.fills.values()
    ) * Decimal("0.00001")  # fmt: skip
    fees = sum((life.fees for life in orders.values()), Decimal(0))
    assert bar.look.funding != 0
    assert bar.look.cash == opened + paid + fees + bar.look.funding
    assert followed(driver.chain.path).position("BTC-USDT-SWAP") == 0


FACES = ["reset", "50004", "502", "empty", "cut"]


@pytest.mark.parametrize("face", FACES)
def test_an_accepted_order_without_an_answer_is_found_and_booked(session, venue, face):
    driver = session.driver()
    venue.inject(f"accepted.{face}", "/api/v5/trade/order", count=1)
    bar = driver.trade(1, 10)
    assert (bar.order.ending, bar.position_lots, bar.look.findings) == (Ending.FILLED, 10, ())
    assert (len(session.sends()), driver.gate.state) == (1, TradingState.ACTIVE)


@pytest.mark.parametrize("face", FACES)
def test_an_order_that_never_arrived_is_proved_absent_and_not_sent_again(session, venue, face):
    driver = session.driver()
    venue.inject(f"refused.{face}", "/api/v5/trade/order", count=1)
    bar = driver.trade(1, 10)
    assert (bar.order.ending, bar.position_lots, bar.look.findings) == (Ending.NOT_PLACED, 0, ())
    assert len(session.sends()) == 1
    assert driver.trade(2, 10).position_lots == 10
    assert Counter(one["body"] for one in session.sends()).most_common(1)[0][1] == 1


NOTHING_DONE = [
    ("load.50011", {}),
    ("load.50061", {}),
    ("time.expired", {}),
    ("refused.reset", {}),
    ("refused.502", {}),
]


@pytest.mark.parametrize(("fault", "arguments"), NOTHING_DONE)
def test_a_close_that_must_be_whole_is_asked_for_again_by_a_new_order(session, venue, fault, arguments):
    driver = session.driver()
    driver.trade(1, 10)
    venue.inject(fault, "/api/v5/trade/order", count=1)
    bar = driver.trade(2, 0, [("a1", -10)], insist=True)
    assert (bar.order.ending, bar.position_lots, bar.look.findings) == (Ending.FILLED, 0, ())
    assert driver.gate.state is TradingState.ACTIVE
    asked = [one["body"] for one in session.sends()]
    assert len(asked) == len(set(asked))
    tried = [one for one in driver.chain.states.orders.values() if one.intent["tick"] == 2]
    assert [sum(fill["lots"] for fill in one.fills.values()) for one in tried] == [0, 10]
    assert tried[0].intent["parts"] == tried[1].intent["parts"]


def test_a_close_is_not_asked_for_again_where_the_exchange_says_no_for_good(session, venue):
    driver = session.driver()
    driver.trade(1, 10)
    venue.inject("venue.cool_off", minutes=1)
    try:
        bar = driver.trade(2, 20, insist=True)
        assert (bar.position_lots, len(driver.chain.states.orders)) == (10, 2)
    finally:
        venue.pause(61)


@pytest.mark.parametrize("fault", ["lie.order_unknown", "lie.fills_late", "order.state_before_fill", "double.fill",
                                   "double.fill_new_bill", "order.fills_shuffled"])  # fmt: skip
def test_lies_about_an_order_delay_the_truth_and_do_not_change_it(session, venue, monkeypatch, fault):
    driver = session.driver()
    if fault == "lie.order_unknown":  # the lie begins when the order is placed
        tell = driver.port.send

        def then_lie(prepared):
            ack = tell(prepared)
            venue.inject(fault, "/api/v5/trade/order", count=3)
            return ack

        monkeypatch.setattr(type(driver.port), "send", lambda _, prepared: then_lie(prepared))
    else:
        venue.inject(fault, "/api/v5/trade/fills", count=2)
    bar = driver.trade(1, 10)
    venue.clear()
    look = driver.look()
    life = bar.order
    assert (life.filled_lots, life.ending, len(session.sends())) == (10, Ending.FILLED, 1)
    assert (look.position_lots, driver.position_lots) == (10, 10)
    assert look.findings == ()


@pytest.mark.parametrize(("fault", "arguments", "reason"), [
    ("venue.manual_order", {"side": "buy", "sz": "1"}, Reason.FOREIGN_ACTIVITY),
    ("venue.manual_close", {}, Reason.FOREIGN_ACTIVITY),
    ("market.adl", {"sz": "0.01"}, Reason.AUTO_DELEVERAGING),
])  # fmt: skip
def test_what_is_not_ours_halts_and_is_neither_absorbed_nor_undone(session, venue, fault, arguments, reason):
    driver = session.driver()
    driver.trade(1, 20)
    venue.inject(fault, **arguments)
    driver.look()
    assert driver.gate.state is TradingState.HALTED
    assert reason in driver.gate.reasons, driver.chain.states.trading
    before = len(session.sends())
    bar = driver.trade(2, 40)
    assert (bar.order, bar.deferred_lots, len(session.sends())) == (None, 20, before)
    assert driver.position_lots == 20, "only a fill of ours is booked"


def test_a_liquidation_halts_with_its_name(venue, tmp_path, fake_clock):
    session = Session(venue, tmp_path, fake_clock, "HF_liquidated", who="demo sub1")
    venue.admin(do="deposit", uid=venue.uid("demo sub1"), usdt="20000")
    driver = session.driver()
    equity = driver.look().equity
    price = driver.port.top_of_book("BTC-USDT-SWAP").ask_ticks
    lots = int(equity * Decimal("2.5") / (price * driver.instrument.money_quantum))
    assert driver.trade(1, lots).look.findings == ()
    venue.admin(do="inject", fault="market.liquidation", target={"uid": venue.uid("demo sub1")}, arguments={})
    driver.look()
    assert driver.gate.state is TradingState.HALTED
    assert {Reason.LIQUIDATION, Reason.UNEXPLAINED_POSITION} <= set(driver.gate.reasons), driver.chain.states.trading
    assert driver.trade(2, 0).order is None
    session.end()


def test_a_halt_is_latched_in_its_chain_whatever_is_started_again(session, venue):
    driver = session.driver()
    driver.gate.stop(Reason.OPERATOR, "a drill")
    session.end()
    driver = session.driver()
    driver.start()
    assert (driver.gate.state, driver.gate.reasons) == (TradingState.HALTED, (Reason.OPERATOR,))
    driver.gate.stop(Reason.STOP, "what asks for less changes nothing")
    assert driver.gate.state is TradingState.HALTED
    assert driver.trade(1, 5).order is None


def test_reducing_closes_and_opens_nothing(session):
    driver = session.driver()
    driver.trade(1, 20)
    driver.gate.stop(Reason.STOP, "the STOP file")
    assert driver.gate.state is TradingState.REDUCING
    assert driver.trade(2, 30).order is None
    assert driver.trade(3, 12).position_lots == 12
    assert driver.trade(4, -12).position_lots == 0, "what would turn the position closes it"
    assert driver.trade(5, 4).order is None


def test_a_stop_flattens(session):
    driver = session.driver()
    driver.trade(1, 25)
    bar = driver.flatten(2)
    assert (bar.position_lots, bar.look.position_lots, bar.look.findings) == (0, 0, ())
    assert json.loads(bar.order.intent["body"])["reduceOnly"] is True


def test_three_refusals_in_a_row_halt(session, venue):
    driver = session.driver()
    venue.inject("load.50061", "/api/v5/trade/order")
    for tick in range(3):
        assert driver.trade(tick, 5).order.state is OrderState.REJECTED
    assert driver.gate.reasons == (Reason.REPEATED_REFUSALS,)


def test_no_truth_no_order(session, venue):
    driver = session.driver()
    venue.inject("load.50001", "/api/v5/account/positions")
    driver.look()
    assert driver.gate.reasons == (Reason.TRUTH_INCOMPLETE,)


def test_too_little_to_trade_is_deferred(session):
    driver = session.driver()
    bar = driver.trade(1, 0)
    assert (bar.order, bar.deferred_lots) == (None, 0)


def calls_of_a_bar(session):
    """The file layer's calls of one bar, counted on a session that works."""
    driver = session.driver(FaultyFiles())
    files = driver.chain._file._files
    before = len(files.trace)
    driver.trade(1, 10)
    until = len(files.trace)
    driver.flatten(2)
    return before, [(place, name) for place, name in enumerate(files.trace) if before <= place < until]


def test_a_cut_at_any_write_ends_in_the_truth_after_restarts(session, venue, tmp_path, fake_clock):
    _, calls = calls_of_a_bar(session)
    points = [place for place, name in calls if name in {"write", "fdatasync"}]
    assert len(points) >= 8
    session.end()
    for number, place in enumerate(part_of(points, 3)):
        folder = tmp_path / f"cut{number}"
        folder.mkdir()
        cut = Session(venue, folder, fake_clock, f"HF_cut{number}")
        driver = cut.driver(FaultyFiles(Fault.CUT_OFF, place))
        with pytest.raises((CutOffError, HostError)):
            driver.trade(1, 10)
        _drop(cut.chain)
        cut.chain = None
        cut.open_chain(on_torn=lambda _: None)
        driver = cut.driver()
        look = driver.start()
        assert look.findings == (), (number, look.findings)
        assert look.position_lots == driver.position_lots in {0, 10}
        assert driver.chain.states.open_orders() == []
        driver.flatten(2)  # the next account begins with nothing, as this one did
        lines = driver.chain.path.read_bytes()
        assert len(cut.sends()) == len({one["body"] for one in cut.sends()}) <= 2
        cut.end()
        for _ in range(2):
            cut.open_chain()
            cut.driver().start()
            cut.end()
        assert (folder / "order_chain.jsonl").read_bytes() == lines, "a restart that finds all settled writes nothing"
        venue.pause(6)


def _drop(chain):
    """What the kernel does with a killed process: its descriptors close, its lock is gone."""
    os.close(chain._lock._fd)
    chain._lock._fd = -1
    os.close(chain._file._fd)
    chain._file._fd = -1
