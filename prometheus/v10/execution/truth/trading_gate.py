"""Whether orders may be sent: the trading state, latched in the chain; only an operator's word releases it."""

from __future__ import annotations

from attrs import define

from prometheus.v10.base.errors import UsageError
from prometheus.v10.evidence.chains.exchanged.order_line import Kind
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.truth.stop_reasons import ASKS, Reason, TradingState

MACHINE = "program"


@define
class TradingGate:
    """Reads the state from the chain and writes every change into it, so that a restart finds it latched."""

    chain: OrderChain

    @property
    def state(self) -> TradingState:
        """The state now; a chain without a word about it is ACTIVE."""
        said = self.chain.states.trading
        return TradingState.ACTIVE if said is None else TradingState(said["state"])

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it is not ACTIVE, in the order in which they came."""
        said = self.chain.states.trading
        return () if said is None else tuple(map(Reason, said["reasons"]))

    def permits(self, *, reduces: bool) -> bool:
        """Whether an order may be sent; ``reduces``: it is reduce-only."""
        return self.state is TradingState.ACTIVE or (self.state is TradingState.REDUCING and reduces)

    def stop(self, reason: Reason, detail: str) -> None:
        """Latch a reason. The state never becomes milder here; a reason that stands is not written twice.

        Raises:
            HostError: when the disk refuses; whoever calls must then stop by itself.
        """
        if reason in self.reasons:
            return
        state = max(self.state, ASKS[reason], key=lambda one: one.rank)
        self._write(state, (*self.reasons, reason), MACHINE, detail)

    def release(self, by: str, detail: str) -> None:
        """Back to ACTIVE, on an operator's word.

        Raises:
            UsageError: when the word names no one or says nothing, or orders are open.
        """
        if not by.strip() or by == MACHINE or not detail.strip():
            raise UsageError("a release needs who and why", hint="name yourself and what you found")
        if waiting := self.chain.states.open_orders():
            raise UsageError(
                f"{len(waiting)} orders are not settled, first {waiting[0].client_id}",
                hint="start the instance: it asks the exchange for them before anything else",
            )
        self._write(TradingState.ACTIVE, (), by, detail)

    def _write(self, state: TradingState, reasons: tuple[Reason, ...], by: str, detail: str) -> None:
        payload = {"state": state.value, "reasons": [one.value for one in reasons], "by": by,
                   "detail": detail[:500].encode("ascii", "replace").decode()}  # fmt: skip
        self.chain.append((Kind.TRADING, "", payload))
