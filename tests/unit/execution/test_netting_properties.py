"""Conservation and fairness of netting over random books, wishes, forced closes, part fills, fees, lots and ticks."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.evidence.derive.netted.rederived_round import broken_order, misfits
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.execution.netting.net_round import RoundResult, plan_round, settle_round
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import NAMES, AgentLimits, VenueTruth, invariants_of
from prometheus.v10.execution.netting.netting_record import settled_record, unproved_record
from prometheus.v10.execution.netting.netting_terms import Contract, Delta, Force, Touch, exactly

from .netting_desk import RUN, fills_of, orders_of, rounds, trade

CASES = settings(max_examples=150)


@CASES
@given(rounds())
def test_what_agents_and_house_moved_is_what_the_exchange_did(made):
    plan, trades = made
    result = settle_round(plan, trades)
    side = 1 if plan.order_lots > 0 else -1
    assert sum(share.lots for share in result.shares) == side * sum(one.lots for one in trades)
    moved = sum(share.notional if share.lots > 0 else -share.notional for share in result.shares)
    outside = side * sum(one.lots * one.price for one in trades)
    assert moved - result.spread - result.rounding == outside
    with exactly():
        assert result.fees == sum((share.fee for share in result.shares), Decimal(0))
        saved = result.spread * plan.contract.quantum + result.fees - result.fee_due
        assert result.surplus == saved
        assert result.fee_difference == 0
    assert sum(abs(delta.lots) for delta in plan.deltas) == 2 * plan.sides.crossed + abs(plan.sides.net)


@CASES
@given(rounds())
def test_no_agent_trades_better_than_the_exchange_and_the_house_never_pays(made):
    plan, trades = made
    result = settle_round(plan, trades)
    mean, touch = result.prices.mean, plan.touch
    for share in result.shares:
        assert share.lots <= 0 or Fraction(share.notional, share.lots) >= min(mean, Fraction(touch.ask))
        assert share.lots >= 0 or Fraction(share.notional, -share.lots) <= max(mean, Fraction(touch.bid))
        assert share.fee >= 0
    assert result.surplus >= 0
    assert 0 <= result.rounding <= len(result.shares)


@CASES
@given(rounds())
def test_every_share_is_within_one_lot_of_its_part_and_within_its_wish(made):
    plan, trades = made
    lots = {share.agent: share.lots for share in settle_round(plan, trades).shares}
    if plan.deferred:
        assert set(lots.values()) <= {0}
        return
    heavy = 1 if plan.sides.net >= 0 else -1
    left = plan.sides.crossed + sum(one.lots for one in trades)
    for forced in (True, False):
        group = [one for one in plan.deltas if one.lots * heavy > 0 and (one.force != Force.NONE) == forced]
        wanted = sum(abs(one.lots) for one in group)
        part = min(left, wanted)
        for one in group:
            assert abs(abs(lots[one.agent]) - Fraction(part * abs(one.lots), wanted)) < 1
        left -= part
    assert left == 0
    for one in plan.deltas:
        assert 0 <= lots[one.agent] * (1 if one.lots > 0 else -1) <= abs(one.lots)
        assert one.lots * heavy > 0 or lots[one.agent] == one.lots


@CASES
@given(rounds(), st.randoms(use_true_random=False))
def test_permuting_agents_and_fills_changes_no_bit(made, shuffler: random.Random):
    plan, trades = made
    deltas, mixed = list(plan.deltas), list(trades)
    shuffler.shuffle(deltas)
    shuffler.shuffle(mixed)
    again = plan_round(plan.run_id, plan.tick, plan.contract, plan.touch, deltas)
    assert again == plan
    assert settle_round(again, mixed) == settle_round(plan, trades)
    assert settle_round(again, mixed).allocation_sha256 == settle_round(plan, trades).allocation_sha256


def test_ten_thousand_agents_net_in_one_order():
    contract = Contract(lot_btc=Decimal("0.0001"), tick=Decimal("0.1"), min_lots=1, taker_rate=Decimal("0.0005"))
    touch = Touch(bid=999_990, ask=1_000_010, book_sha256="0" * 64)
    draw = random.Random(5)
    deltas = [Delta(agent, 0, draw.choice([-1, 1]) * draw.randint(1, 300)) for agent in range(10_000)]
    plan = plan_round(RUN, 3, contract, touch, deltas)
    assert len(plan.deltas) == 10_000
    size = abs(plan.order_lots)
    assert size == abs(sum(delta.lots for delta in deltas)) > 0
    parts = [size // 3, size - size // 3 - size // 4]
    result = settle_round(plan, [trade(f"t{k}", lots, 1_000_000 + k, contract) for k, lots in enumerate(parts)])
    assert abs(sum(share.lots for share in result.shares)) == sum(parts)
    assert result.surplus > 0


# ---- accounts over many rounds ---------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> tuple[NettedAccount, list[RoundResult], list[bytes], Decimal]:
    """Several rounds, fundings and closes by the exchange on one account; what it should hold at the exchange."""
    contract = Contract(
        lot_btc=draw(st.decimals("1e-5", "0.01", places=5)), tick=Decimal("0.1"),
        min_lots=draw(st.sampled_from([1, 4])), taker_rate=draw(st.decimals(0, "0.002", places=5)),
    )  # fmt: skip
    stakes = {agent: Decimal(1000 + agent) for agent in range(draw(st.integers(1, 8)))}
    account = NettedAccount(RUN, contract, Decimal(500), stakes)
    results, lines = [], []
    for tick in range(draw(st.integers(1, 5))):
        bid = draw(st.integers(500, 1500))
        touch = Touch(bid=bid, ask=bid + draw(st.integers(0, 9)), book_sha256="a" * 64)
        wishes = {agent: (draw(st.integers(-30, 30)), 0) for agent in stakes}
        for agent, one in account.accounts.items():
            if one.lots and draw(st.integers(0, 4)) == 0:
                wishes[agent] = (-one.lots, int(Force.LIQUIDATION))
        plan = account.open_round(tick, touch, wishes)
        trades = draw(fills_of(plan))
        forced = any(one.force for one in plan.deltas)
        sent = draw(orders_of(plan, trades, several=forced))
        asked_again = draw(st.booleans())
        if sent and asked_again:
            unproved = [*sent[:-1], sent[-1]._replace(trades=None)]
            lines.append(to_line(unproved_record("BTC-USDT-SWAP", unproved, account, plan)))
        results.append(account.settle(trades))
        truth = VenueTruth(lots=account.venue_lots, equity=equity_at(account, Decimal(100)), mark=Decimal(100))
        found = invariants_of(account, results[-1], truth, AgentLimits())
        assert [one.name for one in found if not one.holds or one.residual != 0] == []
        lines.append(to_line(settled_record("BTC-USDT-SWAP", sent, account, results[-1], found)))
        if results[-1].unclosed:
            break  # a session stops there
        if draw(st.booleans()):
            bill = draw(st.decimals("-0.00000001", "0.00000001", places=8))
            rate = draw(st.decimals("-0.01", "0.01", places=9))
            with exactly():
                account.fund(Decimal(100), rate, -account.venue_lots * contract.lot_btc * 100 * rate + bill)
    if account.venue_lots and draw(st.booleans()):
        lots = draw(st.integers(1, abs(account.venue_lots))) * (-1 if account.venue_lots > 0 else 1)
        penalty = draw(st.decimals("-9", 0, places=9))
        account.venue_closed(99, lots, [trade("liq", abs(lots), 950, contract)], penalty, "liquidation")
    return account, results, lines, Decimal(100)


def equity_at(account: NettedAccount, mark: Decimal) -> Decimal:
    """What an exchange that knows nothing of agents says: deposits, its trades, its charges, its position."""
    contract = account.contract
    with exactly():
        held = account.venue_lots * contract.lot_btc * mark
        return account.deposits + account.venue_flow * contract.quantum - account.venue_charges + held


@CASES
@given(histories())
def test_over_many_rounds_nothing_is_lost_and_nothing_is_made(history):
    account, _, _, mark = history
    with exactly():
        agents = sum((one.equity(account.contract, mark) for one in account.accounts.values()), Decimal(0))
        whole = agents + account.house.reserve(account.contract, with_surplus=True)
        assert whole == equity_at(account, mark)
    assert sum(one.lots for one in account.accounts.values()) == account.venue_lots
    assert all(one.agrees for one in account.accounts.values())
    assert account.house.surplus >= 0


# ---- the record ------------------------------------------------------------------------------------------------------


@CASES
@given(histories())
def test_every_line_is_of_its_schema_and_is_derived_again_from_its_own_bytes(history):
    lines = [json.loads(line) for line in history[2]]
    for line in lines:
        assert schema_of("netting_round").wrong(line) == []
        assert misfits(line) == []
        assert line["status"] == "unproved" or [one["name"] for one in line["residuals"]] == list(NAMES)
    assert broken_order(lines) == []
