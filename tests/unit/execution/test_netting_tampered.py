"""Each invariant and each check of a line goes red when what it is about is broken, and only then."""

from __future__ import annotations

import ast
import copy
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from prometheus.v10.evidence.derive.netted import rederived_round
from prometheus.v10.evidence.derive.netted.rederived_round import broken_order, misfits, order_ids, unclosed
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.execution.netting.net_round import RoundResult
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import NAMES, AgentLimits, VenueTruth, invariants_of
from prometheus.v10.execution.netting.netting_record import OF_A_RESULT, settled_record, unproved_record
from prometheus.v10.execution.netting.netting_terms import Force, SentOrder

from .netting_desk import CONTRACT, RUN, TOUCH, trade

# Deposits 130 USDT. Bought outside: 4 lots at 102 and 2 at 105, 0.618 USDT and 0.00618 fee. 6 lots x 0.001 x 103.
TRUTH = VenueTruth(lots=6, equity=Decimal(130) - Decimal("0.62418") + Decimal("0.618"), mark=Decimal(103))


def settled_account() -> tuple[NettedAccount, RoundResult]:
    account = NettedAccount(RUN, CONTRACT, Decimal(100), dict.fromkeys((1, 2, 3), Decimal(10)))
    account.open_round(7, TOUCH, {1: (5, 0), 2: (-3, 0), 3: (4, 0)})
    return account, account.settle([trade("a", 4, 102), trade("b", 2, 105)])


def broken(
    account: NettedAccount, result: RoundResult, truth: VenueTruth = TRUTH, limits: AgentLimits | None = None
) -> dict[str, Decimal | None]:
    found = invariants_of(account, result, truth, limits or AgentLimits(most_lots=5, leverage=Decimal(1)))
    assert tuple(one.name for one in found) == NAMES
    return {one.name: one.residual for one in found if not one.holds}


def test_a_round_as_it_should_be_breaks_nothing() -> None:
    assert broken(*settled_account()) == {}


def test_a_lot_more_at_the_exchange_breaks_the_position_unless_a_fill_is_unconfirmed() -> None:
    assert broken(*settled_account(), evolve(TRUTH, lots=7)) == {"position": -1}
    assert broken(*settled_account(), evolve(TRUTH, lots=7, unconfirmed=True)) == {}
    assert broken(*settled_account(), evolve(TRUTH, lots=8, unconfirmed=True)) == {"position": -2}


def test_a_trade_that_is_not_allocated_once_breaks_the_trades() -> None:
    account, result = settled_account()
    assert broken(account, evolve(result, trades=result.trades[:1])) == {"trades": 2}
    first = result.trades[0]
    twice = (first._replace(lots=2), first._replace(lots=2), result.trades[1])
    assert broken(account, evolve(result, trades=twice)) == {"trades": 1}


@pytest.mark.parametrize("name", ["flow", "fees", "funding", "penalty", "realised", "basis"])
def test_money_that_an_agent_did_not_move_breaks_the_money(name: str) -> None:
    account, result = settled_account()
    setattr(account.accounts[2], name, getattr(account.accounts[2], name) + 1)
    assert broken(account, result, evolve(TRUTH, equity=None)).keys() == {"money"}


@pytest.mark.parametrize("name", ["surplus", "rounding", "fee_difference", "funding_rounding", "penalty_rounding"])
def test_money_that_the_house_did_not_get_breaks_money_and_equity(name: str) -> None:
    account, result = settled_account()
    setattr(account.house, name, getattr(account.house, name) + 1)
    assert broken(account, result).keys() == {"money", "equity"}


def test_a_better_price_than_the_exchange_gave_breaks_the_price() -> None:
    account, result = settled_account()
    cheap = tuple(
        share._replace(notional=share.notional - 4 * 2) if share.agent == 3 else share for share in result.shares
    )
    assert broken(account, evolve(result, shares=cheap)) == {
        "price": 1
    }  # 404 quanta for 4 lots: 101, below 102 and 103
    dear = tuple(share._replace(notional=310) if share.agent == 2 else share for share in result.shares)
    assert broken(account, evolve(result, shares=dear)) == {"price": 1}  # 310 quanta for 3 lots: above 103
    assert broken(account, evolve(result, surplus=Decimal("-0.1"))) == {"price": 1}
    assert broken(account, evolve(result, rounding=-1)) == {"price": 1}


def test_money_that_is_not_at_the_exchange_breaks_the_equity_beyond_the_stated_tolerance() -> None:
    short = evolve(TRUTH, equity=TRUTH.equity - Decimal("0.01"))
    assert broken(*settled_account(), short) == {"equity": Decimal("0.01")}
    assert broken(*settled_account(), evolve(short, equity_tolerance=Decimal("0.01"))) == {}


def test_an_allocation_by_another_rule_breaks_the_order() -> None:
    account, result = settled_account()
    other = tuple(share._replace(lots=share.lots + (share.agent == 1) - (share.agent == 3)) for share in result.shares)
    assert "order" in broken(account, evolve(result, shares=other))


def test_an_agent_beyond_a_limit_breaks_the_limits() -> None:
    assert broken(*settled_account(), limits=AgentLimits(most_lots=4)) == {"limits": 1}
    # 5 lots x 0.001 x 102 = 0.51 USDT and 4 lots 0.408 on 10 USDT.
    assert broken(*settled_account(), limits=AgentLimits(leverage=Decimal("0.045"))) == {"limits": 1}
    account, result = settled_account()
    fewer = evolve(result, plan=evolve(result.plan, sides=result.plan.sides._replace(crossed=2)))
    assert broken(account, fewer)["limits"] == 2


# ---- lines -----------------------------------------------------------------------------------------------------------


def lines() -> list[dict[str, Any]]:
    """Four lines: a settled round, one of two orders that is not proved, its settlement, and a deferred one."""
    account, result = settled_account()
    found = invariants_of(account, result, TRUTH, AgentLimits())
    orders = [SentOrder("one", 6, result.trades)]
    written = [to_line(settled_record("BTC-USDT-SWAP", orders, account, result, found))]
    plan = account.open_round(8, TOUCH, {1: (-5, Force.DEATH), 2: (2, 0), 3: (-1, 0)})
    first = SentOrder("two", -4, (trade("c", 1, 99),))
    written.append(to_line(unproved_record("BTC-USDT-SWAP", [first, SentOrder("more", -3, None)], account, plan)))
    second = SentOrder("more", -3, (trade("d", 2, 98),))
    result = account.settle([*first.trades, *second.trades])
    found = invariants_of(account, result, VenueTruth(), AgentLimits())
    written.append(to_line(settled_record("BTC-USDT-SWAP", [first, second], account, result, found)))
    account.contract = evolve(CONTRACT, min_lots=3)
    account.open_round(9, TOUCH, {1: (4, 0), 2: (-2, 0)})
    result = account.settle([])
    found = invariants_of(account, result, VenueTruth(), AgentLimits())
    written.append(to_line(settled_record("BTC-USDT-SWAP", [], account, result, found)))
    return [json.loads(line) for line in written]


FREE = {"book_sha256", "instrument", "surplus_total", "reserve", "reserve_without_surplus", "run_id", "null_reasons"}
"""What one line alone does not imply: names, sums over lines, and the bytes of a book that are kept elsewhere."""


def changed(value: Any) -> list[Any]:
    """Other values of the same kind."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, str):
        return [f"{value}1"]
    if isinstance(value, list):
        return [value[:-1]] if value else []
    return [0] if value is None else []


def test_every_field_that_follows_from_a_line_is_held_to_it() -> None:
    missed, tried = [], 0
    for number, line in enumerate(lines()):
        assert misfits(line) == []
        for name in sorted(line.keys() - FREE):
            for other in changed(line[name]):
                if name == "tick":  # free where it settles no tie
                    continue
                tried += 1
                bent = {**line, name: other}
                try:
                    found = misfits(bent)
                except (TypeError, ValueError):  # a settled line without a number, an unproved one with fills
                    found = ["cannot be read"]
                if not found:
                    missed.append((number, name))
    assert tried > 100
    # What plays no part in a line may be anything: rates and units where nothing is settled, a touch beside which
    # nobody traded, a smallest order that is smaller still. The order that is not proved is named by the next line.
    assert (1, "orders") in missed
    missed.remove((1, "orders"))
    assert {name for _, name in missed} <= {"ask_ticks", "bid_ticks", "lot_btc", "tick_usdt", "taker_rate", "min_lots"}
    assert not [one for one in missed if one[0] == 0 and one[1] not in {"ask_ticks", "min_lots"}]


@pytest.mark.parametrize(
    "place", [("wishes", 0, 2), ("shares", 0, 1), ("shares", 1, 2), ("fills", 0, "lots"), ("fills", 1, "price_ticks")]
)
def test_a_number_within_a_row_is_held_to_the_rest(place: tuple) -> None:
    line = copy.deepcopy(lines()[0])
    line[place[0]][place[1]][place[2]] += 1
    assert misfits(line) != []


def test_an_unproved_line_has_nothing_of_a_result() -> None:
    line = lines()[1]
    assert (line["status"], line["shares"], line["fills"]) == ("unproved", [], [])
    assert all(line[name] is None for name in OF_A_RESULT)


def test_lines_follow_each_other() -> None:
    assert broken_order(lines()) == []


def test_a_line_that_does_not_follow_is_named() -> None:
    one, two, three, four = lines()
    assert "line 2: the order more of tick 8 was not proved before" in broken_order([two, four])
    assert any("tick 7 comes after tick 8" in said for said in broken_order([three, one]))
    assert any("trade a was booked before" in said for said in broken_order([one, renamed(one, "x")]))
    assert any("the order one was sent before" in said for said in broken_order([one, one]))
    assert any("agent 1 holds 5, and was left with 0" in said for said in broken_order([one, two, three, two]))
    assert any("surplus_total is" in said for said in broken_order([one, {**two, "surplus_total": "0"}]))


def renamed(line: dict[str, Any], name: str) -> dict[str, Any]:
    """A line of one order under another name."""
    fills = [{**one, "client_order_id": name} for one in line["fills"]]
    return {**line, "client_order_id": name, "orders": [{**line["orders"][0], "client_order_id": name}], "fills": fills}


def of_version_1(line: dict[str, Any]) -> dict[str, Any]:
    """A line of at most one order as version 1 wrote it."""
    fills = [{name: value for name, value in one.items() if name != "client_order_id"} for one in line["fills"]]
    rest = {name: value for name, value in line.items() if name not in {"orders", "left_lots"}}
    return {**rest, "schema": "netting_round/1", "fills": fills}


def test_lines_of_version_1_are_read_as_they_were_written() -> None:
    one, *_, four = [of_version_1(line) for line in lines()]
    assert misfits(one) == misfits(four) == []
    assert [order_ids(one), order_ids(four), broken_order([one])] == [["one"], [], []]
    assert "it is of version 1, and says more than one order could" in misfits({**one, "left_lots": 0})
    assert "its lines are of two versions" in broken_order([one, lines()[1]])


def swapped(line: dict[str, Any]) -> None:
    one, two = line["fills"]
    one["client_order_id"], two["client_order_id"] = two["client_order_id"], one["client_order_id"]


BENT = {
    "the second order is dropped": (lambda line: line["orders"].pop(), "which is not its own"),
    "the second order and its fill are dropped": (
        lambda line: (line["orders"].pop(), line["fills"].pop()), "filled_lots is"
    ),
    "fills change their orders": (swapped, "the order more is for -3 lots, -2 were left"),
    "the second order is larger": (lambda line: line["orders"][1].update(lots=-4), "-4 lots, -3 were left"),
    "the second order buys": (lambda line: line["orders"][1].update(lots=3), "3 lots, -3 were left"),
    "the second order is smaller than its fill": (lambda line: line["orders"][1].update(lots=-1), "of the order more"),
    "the orders change places": (lambda line: line["orders"].reverse(), "client_order_id is not its first"),
    "nothing was forced": (
        lambda line: line["wishes"].__setitem__(0, [1, 5, -5, 0]), "2 orders, and no close that must be whole"
    ),
    "nothing is left": (lambda line: line.update(left_lots=0), "left_lots is 0, not -1"),
    "what is left is left out": (lambda line: line.pop("left_lots"), "left_lots is None, not -1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_a_round_of_two_orders_that_is_bent_is_named(name: str) -> None:
    bend, said = BENT[name]
    line = copy.deepcopy(lines()[2])
    bend(line)
    assert any(said in one for one in misfits(line)), misfits(line)


def test_nothing_follows_a_close_that_is_not_whole() -> None:
    account = NettedAccount(RUN, CONTRACT, Decimal(100), {1: Decimal(10)})
    account.open_round(7, TOUCH, {1: (5, 0)})
    account.settle([trade("a", 5, 102)])
    account.open_round(8, TOUCH, {1: (-5, Force.REVIEW)})
    result = account.settle([trade("b", 3, 99)])
    found = invariants_of(account, result, VenueTruth(), AgentLimits())
    line = json.loads(to_line(settled_record(
        "BTC-USDT-SWAP", [SentOrder("one", -5, result.trades)], account, result, found
    )))  # fmt: skip
    assert (misfits(line), broken_order([line]), unclosed(line), result.unclosed) == ([], [], 2, 2)
    after = {**lines()[3], "tick": 9, "wishes": [], "shares": [], "surplus_total": line["surplus_total"]}
    assert any("it follows a close that had to be whole" in said for said in broken_order([line, after]))


def test_the_check_of_lines_needs_the_standard_library_alone() -> None:
    tree = ast.parse(Path(rederived_round.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert len(names) >= 4
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
