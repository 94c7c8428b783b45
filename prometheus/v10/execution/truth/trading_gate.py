"""Whether orders may be sent: the trading state, latched in the chain.

No line of the chain takes it back. A run that is halted ends, and its instance begins no other before an operator has
released it in the ledger (`prometheus.v10.evidence.chains.exchanged.trading_halts`).
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from prometheus.v10.evidence.chains.exchanged.order_line import Kind
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.truth.stop_reasons import ASKS, Reason, TradingState

MACHINE = "program"


def _nobody(_state: TradingState, _reason: Reason, _detail: str) -> None:
    """Nobody hears of it."""


@define
class TradingGate:
    """Reads the state from the chain and writes every change into it, so that a restart finds it latched.

    Attributes:
        tell: hears of a reason once it is durable: the state that it made, the reason, and what was found.
    """

    chain: OrderChain
    tell: Callable[[TradingState, Reason, str], None] = _nobody

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
        said = detail[:500].encode("ascii", "replace").decode()
        reasons = [one.value for one in (*self.reasons, reason)]
        self.chain.append((Kind.TRADING, "", {"state": state.value, "reasons": reasons, "by": MACHINE, "detail": said}))
        self.tell(state, reason, said)
