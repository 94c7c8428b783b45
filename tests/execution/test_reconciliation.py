"""Reconciliation against answers that are made up: each difference has its reason, and only what stays counts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest
from attrs import evolve

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.evidence.chains.exchanged.order_line import Kind
from prometheus.v10.execution.orders.client_ids import client_id
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.ports.account_facts import Balance, Bill, Position
from prometheus.v10.execution.ports.order_terms import Fill, MarginMode, OrderReport, Side, VenueState
from prometheus.v10.execution.truth.reconciliation import FILLS_KEPT_MS, Reconciler
from prometheus.v10.execution.truth.stop_reasons import Reason
from tests.callbacks import never
from tests.execution import making

OPENED = making.PLANNED - 1000
CASH, FEE = Decimal(1000), Decimal("-0.25")


def bill(number, kind="2", change=FEE, **more):
    known = {"bill_id": str(number), "kind": kind, "sub_kind": "1", "currency": "USDT", "balance_change": change,
             "balance": CASH + change, "fee": change if kind == "2" else Decimal(0), "pnl": Decimal(0),
             "inst_id": making.INST, "order_id": "9", "client_id": making.the_id(), "trade_id": "100",
             "ts_ms": making.PLANNED + 10}  # fmt: skip
    return Bill(**{**known, **more})


FILL = Fill(inst_id=making.INST, trade_id="100", order_id="9", client_id=making.the_id(), bill_id="5100", side=Side.BUY,
            lots=10, price=Decimal(50_000), price_ticks=500_000, fee=FEE, fee_currency="USDT", exec_type="T",
            ts_ms=making.PLANNED + 10)  # fmt: skip
REPORT = OrderReport(inst_id=making.INST, order_id="9", client_id=making.the_id(), tag="", state=VenueState.FILLED,
                     side=Side.BUY, order_type="optimal_limit_ioc", lots=10, filled_lots=10,
                     average_price=Decimal(50_000), reduce_only=False, cancel_source=None, category="normal",
                     stp_mode="cancel_maker", created_ms=making.PLANNED, updated_ms=making.PLANNED)  # fmt: skip
HELD = Position(inst_id=making.INST, position_id="3", margin_mode=MarginMode.CROSS, position_side="net", lots=10,
                average_price=None, mark_price=None, leverage=Decimal(3), unrealised=None, realised=None, fee=None,
                funding=None, liquidation_penalty=None, liquidation_price=None, margin_ratio=None, adl_rank=None,
                updated_ms=1)  # fmt: skip
MONEY = Balance(currency="USDT", equity=CASH + FEE, cash=CASH + FEE, available=None, unrealised=Decimal(0),
                total_equity_usd=None, ts_ms=1)  # fmt: skip


class Answers:
    """A port that says what a test gives it, look after look; the last goes on."""

    def __init__(self, *looks):
        self.looks, self.number, self.now = list(looks), -1, making.PLANNED + 1000
        self.cursors, self.asked = [], []

    def _said(self, name, usual):
        return self.looks[min(max(self.number, 0), len(self.looks) - 1)].get(name, usual) if self.looks else usual

    def server_time(self):
        self.number += 1
        return self.now

    def positions(self):
        return self._said("positions", (HELD,))

    def pending(self):
        return self._said("pending", ())

    def history(self, *, since_ms):
        self.asked.append(("history", since_ms))
        return self._said("history", (REPORT,))

    def fills(self, *, after_bill, since_ms):
        self.cursors.append((after_bill, since_ms))
        return self._said("fills", (FILL,) if after_bill is None else ())

    def bills(self, *, after_bill, since_ms):
        self.asked.append(("bills", since_ms))
        return self._said("bills", (bill(5100),) if after_bill == "5000" else ())

    def balance(self, currency):
        self.asked.append(("balance", currency))
        return self._said("balance", MONEY)


@pytest.fixture
def chain(tmp_path, fake_clock):
    with OrderChain(tmp_path / "c.jsonl", clock=fake_clock, on_torn=never) as made:
        made.append((Kind.OPENING, "", {
            "run_id": making.RUN, "inst_id": making.INST, "uid": "1", "opened_ms": OPENED, "cash": "1000",
            "equity": "1000", "taker": "-0.0005", "maker": "-0.0002", "leverage": "3", "margin_mode": "cross",
            "quantum": "0.00001", "last_bill": "5000",
        }))  # fmt: skip
        for entries in making.life(10, 1):
            made.append(*entries)
        yield made


def reconciler(port, chain):
    return Reconciler(cast("Any", port), chain, lambda _: None, "USDT")


def reconciled(chain, *looks):
    port = Answers(*looks)
    return reconciler(port, chain).reconcile(), port


def test_what_agrees_is_written_down_and_the_next_look_begins_there(chain):
    # 10 lots at 500 000 ticks are 50 USDT, and the taker pays 0.05 % of it.
    fee = Decimal("-0.025")
    chain.states.orders[making.the_id()].fills["100"]["fee"] = "-0.025"
    look, _ = reconciled(chain, {
        "fills": (evolve(FILL, fee=fee),), "bills": (bill(5100, change=fee),),
        "balance": evolve(MONEY, cash=CASH + fee, equity=CASH + fee),
    })  # fmt: skip
    assert look.findings == ()
    assert chain.states.reconciled["last_fill"] == "5100"
    entries = chain.entries
    again = Answers({"fills": (), "bills": (), "balance": evolve(MONEY, cash=CASH + fee, equity=CASH + fee)})
    assert reconciler(again, chain).reconcile().fees == fee
    assert again.cursors == [("5100", making.PLANNED + 1000)]
    assert chain.entries == entries, "nothing new, nothing written"
    again.now += FILLS_KEPT_MS
    reconciler(again, chain).reconcile()
    assert again.cursors[-1] == (None, making.PLANNED + 1000), "a mark that is not kept any more is not asked for"


FOREIGN = evolve(REPORT, client_id="sometool", order_id="10")
GHOST = client_id(making.RUN, 99, making.INST, 0)
RIGHT: dict[str, Any] = {
    "fills": (evolve(FILL, fee=Decimal("-0.025")),), "bills": (bill(5100, change=Decimal("-0.025")),),
    "balance": evolve(MONEY, cash=CASH - Decimal("0.025"), equity=CASH - Decimal("0.025")),
}  # fmt: skip


@pytest.mark.parametrize(("said", "reason"), [
    ({"positions": ()}, Reason.UNEXPLAINED_POSITION),
    ({"positions": (evolve(HELD, lots=11),)}, Reason.UNEXPLAINED_POSITION),
    ({"positions": (HELD, evolve(HELD, inst_id="ETH-USDT-SWAP"))}, Reason.FOREIGN_ACTIVITY),
    ({"positions": (evolve(HELD, position_side="long"),)}, Reason.FOREIGN_ACTIVITY),
    ({"positions": (evolve(HELD, leverage=Decimal(20)),)}, Reason.SETTINGS_CHANGED),
    ({"pending": (FOREIGN,)}, Reason.FOREIGN_ACTIVITY),
    ({"history": (REPORT, FOREIGN)}, Reason.FOREIGN_ACTIVITY),
    ({"history": (REPORT, evolve(FOREIGN, client_id=""))}, Reason.FOREIGN_ACTIVITY),
    ({"history": (evolve(FOREIGN, client_id=GHOST),)}, Reason.ORDER_WITHOUT_INTENT),
    ({"history": (evolve(FOREIGN, client_id="", category="full_liquidation"),)}, Reason.LIQUIDATION),
    ({"history": (evolve(FOREIGN, client_id="", category="adl"),)}, Reason.AUTO_DELEVERAGING),
    ({"history": (evolve(REPORT, cancel_source="3"),)}, Reason.FORCED_CANCEL),
    ({"fills": (*RIGHT["fills"], evolve(FILL, trade_id="101", client_id="x", order_id="10"))}, Reason.FOREIGN_ACTIVITY),
    ({"fills": (*RIGHT["fills"], evolve(FILL, trade_id="101"))}, Reason.UNEXPLAINED_FILL),
    ({"fills": ()}, Reason.TRUTH_CONTRADICTS),
    ({"fills": (evolve(RIGHT["fills"][0], price_ticks=499_999),)}, Reason.TRUTH_CONTRADICTS),
    ({"fills": (evolve(RIGHT["fills"][0], fee=Decimal("-0.035")),)}, Reason.FEE_DIFFERS),
    ({"bills": ()}, Reason.UNEXPLAINED_MONEY),
    ({"bills": (*RIGHT["bills"], bill(5101, "1", Decimal(5)))}, Reason.FOREIGN_ACTIVITY),
    ({"bills": (*RIGHT["bills"], bill(5101, "5", Decimal(-5)))}, Reason.LIQUIDATION),
    ({"bills": (*RIGHT["bills"], bill(5101, "7", Decimal(-5)))}, Reason.UNEXPLAINED_MONEY),
    ({"balance": evolve(RIGHT["balance"], cash=CASH)}, Reason.UNEXPLAINED_MONEY),
    ({"balance": evolve(RIGHT["balance"], equity=CASH + 5)}, Reason.UNEXPLAINED_MONEY),
])  # fmt: skip
def test_each_difference_that_stays_has_its_reason(chain, said, reason):
    chain.states.orders[making.the_id()].fills["100"]["fee"] = "-0.025"
    look, _ = reconciled(chain, {**RIGHT, **said})
    assert reason in {one.reason for one in look.findings}
    assert chain.states.reconciled is None
    # The same, seen once and gone in the next look, is no finding.
    look, _ = reconciled(chain, {**RIGHT, **said}, RIGHT)
    assert look.findings == ()


def test_answers_that_never_agree_are_no_truth(chain):
    chain.states.orders[making.the_id()].fills["100"]["fee"] = "-0.025"
    other, third = {**RIGHT, "positions": ()}, {**RIGHT, "bills": ()}
    look, _ = reconciled(chain, other, third, other, third, other, third)
    assert [one.reason for one in look.findings] == [Reason.TRUTH_INCOMPLETE]


def test_funding_is_explained_by_its_bill(chain):
    chain.states.orders[making.the_id()].fills["100"]["fee"] = "-0.025"
    paid = bill(5101, "8", Decimal("-0.5"), fee=None)
    money = evolve(RIGHT["balance"], cash=RIGHT["balance"].cash - Decimal("0.5"),
                   equity=RIGHT["balance"].equity - Decimal("0.5"))  # fmt: skip
    look, _ = reconciled(chain, {**RIGHT, "bills": (*RIGHT["bills"], paid), "balance": money})
    assert (look.findings, look.funding) == ((), Decimal("-0.5"))


def test_a_chain_that_is_not_opened_has_nothing_to_reconcile(tmp_path, fake_clock):
    with OrderChain(tmp_path / "d.jsonl", clock=fake_clock, on_torn=never) as empty, pytest.raises(ExchangeError):
        reconciler(Answers(), empty).reconcile()
