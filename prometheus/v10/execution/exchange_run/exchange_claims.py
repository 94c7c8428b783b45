"""What a manifest says of the exchange, made from what was read, traded and kept."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from prometheus.v10.base.modes import Mode
from prometheus.v10.evidence.records.exchanged.exchange_claim import (
    AccountClaim,
    BootstrapClaim,
    EndClaim,
    InstrumentClaim,
    LibraryClaim,
)
from prometheus.v10.evidence.records.manifest_parts import ExchangeFacts, SelfTradePrevention
from prometheus.v10.execution.exchange_run.traded_window import TradedWindow, last_truth, open_orders_of
from prometheus.v10.execution.netting.netting_record import plain
from prometheus.v10.execution.opening.account_plan import AccountPlan
from prometheus.v10.execution.opening.bring_to_nothing import Opened
from prometheus.v10.execution.opening.preflight import PreflightFacts
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.orders.order_states import FLATTEN_BEFORE
from prometheus.v10.execution.ports.account_facts import AccountConfig
from prometheus.v10.execution.ports.exchange_port import LibraryFacts

NOT_OVER: Final = "the session is not over"
STP_NOTE: Final = (
    "each order names the exchange's own prevention; agents are netted before anything is sent; detection by tradeId, "
    "execType, cancelSource and stpMode of the rows that were kept"
)
REPORTED, DIFFERS, UNKNOWN = "exchange_reported", "unreliable", "unknown"
FIDELITY: Final = {Mode.OKX_DEMO: "demo_proxy", Mode.OKX_LIVE: "live_calibrated"}


def exchange_facts(mode: Mode, library: str, plan: AccountPlan) -> ExchangeFacts:
    """What is known before the account is opened."""
    return ExchangeFacts(
        exchange_lib=library, env=mode.value, positions_quality=None, impedance_fidelity=FIDELITY[mode],
        self_trade_prevention=stp_of(plan, "weak"), null_reasons={"positions_quality": NOT_OVER},
    )  # fmt: skip


def stp_of(plan: AccountPlan, capability: str) -> SelfTradePrevention:
    """How self-trades are prevented, and by what was kept how well one would be seen."""
    return SelfTradePrevention(
        stp_supported=True, stp_enabled=True, execution_netting_enabled=True, self_trade_policy="forbid",
        self_trade_detection_capability=capability, note=f"{plan.stp_mode.value}: {STP_NOTE}",
    )  # fmt: skip


def library_claim(library: LibraryFacts) -> LibraryClaim:
    """The library that sends."""
    return LibraryClaim(name=library.name, version=library.version, sha256=library.sha256)


def account_of(config: AccountConfig, plan: AccountPlan) -> AccountClaim:
    """Settings of account and key; the position mode is the one that the bootstrap proved."""
    return AccountClaim(
        level=config.level, position_mode="net_mode", stp_default=config.stp_default,
        stp_of_orders=plan.stp_mode.value, permissions=list(config.permissions), address_bound=bool(config.addresses),
    )  # fmt: skip


def instrument_claim(facts: PreflightFacts, plan: AccountPlan) -> InstrumentClaim:
    """Units and fees, as they were read."""
    found, fee = facts.instrument, facts.fee
    return InstrumentClaim(
        inst_id=found.inst_id, settle_currency=found.settle_currency, contract_value=plain(found.contract_value),
        lot=plain(found.lot), tick=plain(found.tick), min_lots=found.min_lots, leverage=int(plan.leverage),
        margin_mode=plan.margin_mode.value, taker=plain(fee.taker), maker=plain(fee.maker), fee_group=fee.group_id,
    )  # fmt: skip


def bootstrap_claim(opened: Opened) -> BootstrapClaim:
    """The arithmetic of the opening."""
    shares = opened.allotment
    return BootstrapClaim(
        equity=plain(opened.after.balance.equity), agents=shares.agents, allotted=plain(shares.allotted),
        reserve=plain(shares.reserve),
    )  # fmt: skip


def quality_of(window: TradedWindow) -> str:
    """Whether the exchange's own report of the position is what the agents' fills make."""
    if window.reported is None or window.held is None:
        return UNKNOWN
    return REPORTED if window.reported.truth.lots == int(sum(window.held.lots)) else DIFFERS


def ended_claim(window: TradedWindow, chain: OrderChain, *, on_stop: str, ask: bool) -> EndClaim:
    """What the session came to, and what of it is open; with ``ask`` the exchange is asked for the last time."""
    driver, tally, states = window.has.driver, window.tally, chain.states
    truth = last_truth(window.desk) if ask else None
    waiting, lots = open_orders_of(driver), driver.position_lots
    left = window.has.run.stop is not None and on_stop == "leave" and not waiting
    since = [one for one in states.orders.values() if one.intent["purpose"] != FLATTEN_BEFORE]
    last = tally.last
    reserve = plain(window.has.reserve)
    return EndClaim(
        trading_state=driver.gate.state.value, reasons=[one.value for one in driver.gate.reasons],
        positions="flat" if not lots and not waiting else "left" if left else "open", position_lots=lots,
        open_orders=waiting, cut_bar=window.cut, bars=window.ticks, orders=len(states.orders),
        fills=sum(len(one.fills) for one in states.orders.values()), rounds=tally.rounds, gross_lots=tally.gross,
        net_lots=tally.net, crossed_lots=tally.crossed, surplus="0" if last is None else last.surplus_total,
        reserve=reserve if last is None else last.reserve,
        reserve_without_surplus=reserve if last is None else last.reserve_without_surplus,
        fees=plain(sum((one.fees for one in since), Decimal(0))),
        funding=plain(Decimal((states.reconciled or {}).get("funding", "0"))),
        equity_after=None if truth is None or truth.equity is None else plain(truth.equity),
        chain_lines=chain.entries, chain_head=chain.head,
    )  # fmt: skip
