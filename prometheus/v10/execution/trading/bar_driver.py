"""One net order a bar: the state is asked, the intent chained, the order sent once, its truth found, all reconciled.

A close that must be whole goes on with a new order for what is left, until it is whole or its limit is reached.

The driver is told the position that is wanted, in lots, and which agents' parts make it; how those parts are netted
and how fills are given back is not its matter. Whatever it cannot prove latches a reason in the chain, and no order
follows in this run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, field, frozen

from prometheus.v10.base.errors import EvidenceError, ExchangeError, PrometheusError
from prometheus.v10.execution.opening.account_plan import AccountPlan
from prometheus.v10.execution.orders.client_ids import client_id
from prometheus.v10.execution.orders.order_chain import OrderChain, intent_of
from prometheus.v10.execution.orders.order_states import Ending, OrderLife, OrderState
from prometheus.v10.execution.ports.contract_units import Instrument, InstrumentState
from prometheus.v10.execution.ports.exchange_errors import ForeignActivityError, OrderRefusedError
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.ports.order_terms import OrderRequest, OrderType, Side
from prometheus.v10.execution.truth.asking_again import Pause, patiently
from prometheus.v10.execution.truth.order_truth import OrderTruth
from prometheus.v10.execution.truth.reconciliation import Look, Reconciler
from prometheus.v10.execution.truth.sending_once import send_once
from prometheus.v10.execution.truth.stop_reasons import Reason, TradingState
from prometheus.v10.execution.truth.trading_gate import TradingGate

REFUSALS_IN_A_ROW: Final = 3
AGAIN_S: Final = (1.1, 2.2, 4.4, 8.8, 8.8, 8.8, 8.8)
"""Pauses before a close that must be whole goes on with a new order: eight orders within some 45 s. The exchange
settles funding for about a second; a book that was eaten, or is empty, may take longer."""
ROUNDS: Final = 36
"""Of one bar at most; what is asked for again has a number of its own beyond them."""
COOL_OFF_CODE: Final = "54094"
NET: Final = "net"
STOPPING: Final = "stop"


@frozen(kw_only=True)
class BarResult:
    """What became of a bar.

    Attributes:
        orders: of the bar, in the order in which they were sent; several only of a close that must be whole.
        deferred_lots: signed lots that were wanted and not asked for: below the smallest order, or not permitted.
        position_lots: by the fills that are booked.
        look: the reconciliation; None when it could not be made.
    """

    tick: int
    orders: tuple[OrderLife, ...]
    deferred_lots: int
    position_lots: int
    look: Look | None

    @property
    def order(self) -> OrderLife | None:
        """The last order; None when none was sent."""
        return self.orders[-1] if self.orders else None


@define
class BarDriver:
    """Drives one account; its chain is opened (`opening.bring_to_nothing`)."""

    port: ExchangePort
    chain: OrderChain
    plan: AccountPlan
    run_id: str
    instrument: Instrument
    now_ms: Callable[[], int]
    pause: Pause
    gate: TradingGate = field(init=False)
    truth: OrderTruth = field(init=False)
    reconciler: Reconciler = field(init=False)
    _refused: int = field(default=0, init=False)
    _later: bool = field(default=False, init=False)  # what is still missing may be asked for by a new order

    def __attrs_post_init__(self) -> None:
        self.gate = TradingGate(self.chain)
        self.truth = OrderTruth(self.port, self.chain, self.now_ms, self.pause)
        self.reconciler = Reconciler(self.port, self.chain, self.pause, self.plan.currency)

    def start(self) -> Look | None:
        """After a restart with an opened chain: the truth about every open order, then a reconciliation."""
        try:
            if still := self.truth.recover():
                self.gate.stop(Reason.ORDER_UNKNOWN, f"order {still[0].client_id} is not settled")
        except EvidenceError as error:
            self.gate.stop(Reason.TRUTH_CONTRADICTS, error.message)
        return self.look()

    @property
    def position_lots(self) -> int:
        """The position by the fills that are booked."""
        return self.chain.states.position(self.plan.inst_id)

    def trade(
        self, tick: int, target_lots: int, parts: Sequence[tuple[str, int]] = (), *, attempt: int = 0,
        insist: bool = False,
    ) -> BarResult:  # fmt: skip
        """Bring the position to ``target_lots`` with one order, find out what became of it, and reconcile.

        A bar with several rounds (an open, forced closes, a review) numbers them by ``attempt``. With ``insist`` what
        is missing once the truth about an order is proved is asked for again, after each pause of `AGAIN_S`: a new
        order under an id of its own. It ends when nothing is missing, and where the exchange refused for good.

        Raises:
            ExchangeError: when the pause does, because a stop's time is over; what was sent stands in the chain.
            HostError: when the disk refuses; the process must end, and a restart finds the truth.
        """
        orders: list[OrderLife] = []
        for pause in (0.0, *(AGAIN_S if insist else ())):
            if pause:
                self.pause(pause)
            number = self._unused(tick, attempt) if insist else attempt
            missing = target_lots - self.position_lots
            order, deferred = self._order(tick, missing, list(parts), NET, attempt=number)
            if order is not None:
                orders.append(order)
            if not self._later or self.position_lots == target_lots:
                break
        look = self.look()
        return BarResult(tick=tick, orders=tuple(orders), deferred_lots=deferred, position_lots=self.position_lots,
                         look=look)  # fmt: skip

    def flatten(self, tick: int, *, attempts: int = 10) -> BarResult:
        """Close the position reduce-only, for a stop; what could not be closed stands in ``position_lots``."""
        orders: list[OrderLife] = []
        pauses = iter(AGAIN_S)
        for attempt in range(1, attempts + 1):
            if self.position_lots == 0:
                break
            if orders and self._later:
                self.pause(next(pauses, 0.0))
            order, _ = self._order(tick, -self.position_lots, [], STOPPING, attempt=attempt)
            if order is None:
                break
            orders.append(order)
            if order.state.is_open:
                break
        look = self.look()
        return BarResult(tick=tick, orders=tuple(orders), deferred_lots=-self.position_lots,
                         position_lots=self.position_lots, look=look)  # fmt: skip

    def look(self) -> Look | None:
        """Reconcile; every finding latches its reason. None, and TRUTH_INCOMPLETE, when answers are missing."""
        try:
            look = self.reconciler.reconcile()
        except ForeignActivityError as error:
            self.gate.stop(Reason.FOREIGN_ACTIVITY, error.message)
            return None
        except ExchangeError as error:
            self.gate.stop(Reason.TRUTH_INCOMPLETE, error.message)
            return None
        for one in look.findings:
            self.gate.stop(one.reason, one.detail)
        return look

    def _order(
        self, tick: int, missing: int, parts: list[tuple[str, int]], purpose: str, *, attempt: int = 0
    ) -> tuple[OrderLife | None, int]:
        """The bar's order and what was not asked for."""
        position, self._later = self.position_lots, False
        if self.gate.state is TradingState.REDUCING and position * (position + missing) < 0:
            missing = -position  # what would turn the position closes it, and no more
        reduces = missing != 0 and abs(position + missing) < abs(position) and position * (position + missing) >= 0
        lots = min(abs(missing), self.instrument.max_market_lots)
        if lots < self.instrument.min_lots or not self.gate.permits(reduces=reduces) or self.chain.states.open_orders():
            return None, missing
        if not self._live():
            self._later = True
            return None, missing
        asked = lots if missing > 0 else -lots
        now = self.now_ms()
        prepared = self.port.prepare(OrderRequest(
            inst_id=self.plan.inst_id, client_id=client_id(self.run_id, tick, self.plan.inst_id, attempt),
            side=Side.BUY if missing > 0 else Side.SELL, order_type=OrderType.MARKET_IOC, lots=lots, price_ticks=None,
            reduce_only=reduces, margin_mode=self.plan.margin_mode, stp_mode=self.plan.stp_mode, tag=self.plan.tag,
            expire_ms=now + self.plan.expire_after_ms,
        ))  # fmt: skip
        intent = intent_of(prepared, run_id=self.run_id, tick=tick, attempt=attempt, purpose=purpose, parts=parts,
                           planned_ms=now)  # fmt: skip
        life, failed = send_once(self.port, self.chain, prepared, intent, self.now_ms)
        life = self._settled(life)
        self._judge(life, failed)
        return life, missing - asked

    def _unused(self, tick: int, attempt: int) -> int:
        """The first number from ``attempt`` on, in steps of `ROUNDS`, whose client id is on no line of the chain."""
        while client_id(self.run_id, tick, self.plan.inst_id, attempt) in self.chain.states.orders:
            attempt += ROUNDS
        return attempt

    def _live(self) -> bool:
        """Whether the instrument takes orders; read anew after a refusal. Missing answers send nothing."""
        if self._refused == 0 and self.instrument.state is InstrumentState.LIVE:
            return True
        try:
            self.instrument = patiently(lambda: self.port.instrument(self.plan.inst_id), self.pause)
        except ExchangeError:
            return False
        return self.instrument.state is InstrumentState.LIVE

    def _settled(self, life: OrderLife) -> OrderLife:
        try:
            life = self.truth.settle(life.client_id)
        except EvidenceError as error:
            self.gate.stop(Reason.TRUTH_CONTRADICTS, error.message)
            return self.chain.states.orders[life.client_id]
        if life.state.is_open:
            self.gate.stop(Reason.ORDER_UNKNOWN, f"order {life.client_id}: {life.state.value}, nothing is proved")
        elif life.ending is Ending.NO_POSITION_EFFECT:
            self.gate.stop(Reason.ORDER_UNKNOWN, f"order {life.client_id}: no position came of it, acceptance unknown")
        return life

    def _judge(self, life: OrderLife, failed: PrometheusError | None) -> None:
        """What a refusal asks for, and whether another order may follow: only behind one that is proved."""
        refused = life.state is OrderState.REJECTED
        proved = not life.state.is_open and life.ending is not Ending.NO_POSITION_EFFECT
        self._later = proved and (not refused or (isinstance(failed, OrderRefusedError) and failed.again))
        if not refused or not isinstance(failed, OrderRefusedError):
            self._refused = 0
            return
        self._refused += 1
        if failed.code == COOL_OFF_CODE:
            self.gate.stop(Reason.COOL_OFF, failed.message)
        elif failed.halts:
            self.gate.stop(Reason.ACCOUNT_RESTRICTED, failed.message)
        elif self._refused >= REFUSALS_IN_A_ROW:
            self.gate.stop(Reason.REPEATED_REFUSALS, failed.message)
