"""The bootstrap: our resting orders cancelled item by item, positions closed reduce-only, settings made and read back.

Every order here goes through the chain as any other. What the account holds afterwards is the OPENING of the chain:
from there on each lot and each hundredth of a cent must be explained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, frozen

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.evidence.chains.exchanged.order_line import Kind
from prometheus.v10.execution.opening.account_plan import AccountPlan, Allotment, allotment
from prometheus.v10.execution.opening.preflight import (
    NET,
    AccountSnapshot,
    PreflightFacts,
    preflight,
    refuse_foreign,
    snapshot,
)
from prometheus.v10.execution.orders.client_ids import client_id
from prometheus.v10.execution.orders.order_chain import OrderChain, intent_of
from prometheus.v10.execution.orders.order_states import FLATTEN_BEFORE
from prometheus.v10.execution.ports.account_facts import Position
from prometheus.v10.execution.ports.contract_units import Instrument
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError, OrderRefusedError, OutcomeUnknownError
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.ports.order_terms import OrderRequest, OrderType, Side
from prometheus.v10.execution.truth.asking_again import Pause, patiently
from prometheus.v10.execution.truth.order_truth import OrderTruth
from prometheus.v10.execution.truth.sending_once import send_once

ROUNDS: Final = 10
FIRST_ATTEMPT: Final = 1000
"""Attempts of tick 0 from here on are those of the bootstrap, so that bar 0 has its own."""


@frozen(kw_only=True)
class Opened:
    """An account that was brought to nothing, and what it begins with."""

    facts: PreflightFacts
    after: AccountSnapshot
    allotment: Allotment


@define
class Opener:
    """Opens one account for one chain.

    Attributes:
        run_id: whose orders these are.
    """

    port: ExchangePort
    chain: OrderChain
    plan: AccountPlan
    run_id: str
    now_ms: Callable[[], int]
    pause: Pause

    def open(self) -> Opened:
        """Preflight, recovery of open orders, bootstrap, and the chain's OPENING, in this order.

        Raises:
            MisconfiguredError: settings that do not take, too little money for the population.
            ForeignActivityError: what is not ours.
            ExchangeError: answers are missing, or orders and positions do not go away.
            EvidenceError: the exchange contradicts the chain.
        """
        facts = preflight(self.port, self.plan, now_ms=self.now_ms, pause=self.pause)
        self._recover()
        self._cancel_ours(facts.before)
        self._flatten(facts.instrument)
        self._settings(facts)
        self.pause(1.0)  # no order of the bootstrap has the time of the opening
        after = snapshot(self.port, self.plan, self.pause)
        refuse_foreign(after, self.plan)
        if after.pending or after.positions:
            raise ExchangeError(
                f"after the bootstrap {len(after.pending)} orders and {len(after.positions)} positions are left",
                hint="look at the account on the exchange",
            )
        shares = allotment(after.balance.equity, self.plan)
        if shares.agents < self.plan.least_agents:
            least = self.plan.least_agents
            raise MisconfiguredError(
                f"equity {after.balance.equity} founds {shares.agents} agents; the profile wants {least}",
                hint="put more money on the account, or lower least_agents in the profile",
            )
        self._write(facts, after)
        return Opened(facts=facts, after=after, allotment=shares)

    def _recover(self) -> None:
        truth = OrderTruth(self.port, self.chain, self.now_ms, self.pause)
        if still := truth.recover():
            raise ExchangeError(
                f"order {still[0].client_id} is still not settled; no order is sent until it is",
                hint="start again: it is asked for first",
            )

    def _cancel_ours(self, before: AccountSnapshot) -> None:
        """Item by item; only the list of what rests proves that it worked."""
        resting = before.pending
        for _ in range(ROUNDS):
            if not resting:
                return
            for one in resting:
                try:
                    self.port.cancel(one.inst_id, one.order_id)
                except (OrderRefusedError, OutcomeUnknownError):
                    continue  # gone already, or not known: the list says it
            self.pause(0.5)
            resting = patiently(self.port.pending, self.pause)
        raise ExchangeError(f"order {resting[0].order_id} does not go away", hint="cancel it on the exchange")

    def _flatten(self, instrument: Instrument) -> None:
        used = {life.intent["attempt"] for life in self.chain.states.orders.values() if life.intent["tick"] == 0}
        attempt = max([FIRST_ATTEMPT - 1, *used]) + 1
        for _ in range(ROUNDS):
            held = patiently(self.port.positions, self.pause)
            if not held:
                return
            for one in held:
                self._close(one, instrument, attempt)
                attempt += 1
        raise ExchangeError("the positions do not close", hint="close them on the exchange")

    def _close(self, held: Position, instrument: Instrument, attempt: int) -> None:
        now = self.now_ms()
        lots = min(abs(held.lots), instrument.max_market_lots)
        prepared = self.port.prepare(OrderRequest(
            inst_id=held.inst_id, client_id=client_id(self.run_id, 0, held.inst_id, attempt),
            side=Side.SELL if held.lots > 0 else Side.BUY, order_type=OrderType.MARKET_IOC, lots=lots,
            price_ticks=None, reduce_only=True, margin_mode=held.margin_mode, stp_mode=self.plan.stp_mode,
            tag=self.plan.tag, expire_ms=now + self.plan.expire_after_ms,
        ))  # fmt: skip
        intent = intent_of(prepared, run_id=self.run_id, tick=0, attempt=attempt, purpose=FLATTEN_BEFORE, parts=[],
                           planned_ms=now)  # fmt: skip
        send_once(self.port, self.chain, prepared, intent, self.now_ms)
        life = OrderTruth(self.port, self.chain, self.now_ms, self.pause).settle(prepared.request.client_id)
        if life.state.is_open:
            raise ExchangeError(
                f"order {life.client_id}, which closes a position, is not settled",
                hint="start again: it is asked for first",
            )

    def _settings(self, facts: PreflightFacts) -> None:
        """Position mode and leverage: asked for where they differ, and believed only when read back."""
        if facts.config.position_mode != NET:
            self._ask(lambda: self.port.set_position_mode(NET))
            said = patiently(self.port.account_config, self.pause).position_mode
            if said != NET:
                raise MisconfiguredError(f"the position mode stays {said}", hint="set net mode on the exchange")
        inst_id, mode, wanted = self.plan.inst_id, self.plan.margin_mode, self.plan.leverage
        if patiently(lambda: self.port.leverage(inst_id, mode), self.pause).leverage != wanted:
            self._ask(lambda: self.port.set_leverage(inst_id, mode, wanted))
            found = patiently(lambda: self.port.leverage(inst_id, mode), self.pause).leverage
            if found != wanted:
                raise MisconfiguredError(
                    f"leverage of {inst_id} stays {found}, wanted {wanted}", hint="set it on the exchange"
                )

    @staticmethod
    def _ask(setting: Callable[[], None]) -> None:
        """A setting may be asked for at any time; whatever its call says, the account is read afterwards."""
        try:
            setting()
        except OutcomeUnknownError:
            return
        except OrderRefusedError as error:
            raise MisconfiguredError(error.message, code=error.code, hint=error.hint) from error

    def _write(self, facts: PreflightFacts, after: AccountSnapshot) -> None:
        bills = patiently(lambda: self.port.bills(after_bill=None, since_ms=after.taken_ms - WEEK_MS), self.pause)
        last = {"last_bill": bills[-1].bill_id} if bills else {}
        self.chain.append((Kind.OPENING, "", {
            "run_id": self.run_id, "inst_id": self.plan.inst_id, "uid": facts.config.uid, "opened_ms": after.taken_ms,
            "cash": format(after.balance.cash, "f"), "equity": format(after.balance.equity, "f"),
            "taker": format(facts.fee.taker, "f"), "maker": format(facts.fee.maker, "f"),
            "leverage": format(self.plan.leverage, "f"), "margin_mode": self.plan.margin_mode.value,
            "quantum": format(facts.instrument.money_quantum, "f"), **last,
        }))  # fmt: skip


WEEK_MS: Final = 7 * 86_400_000
