"""Each agent's account, and the house's, in exact arithmetic.

Two views of one account are kept, and agree to the quantum. ``flow`` is what trading moved as if notional were paid
in full: - bought + sold. ``realised`` is profit by average entry price. Always ``flow = realised - signed basis``,
where the basis is the notional at which the position was entered.

On a reduction the part of the basis that leaves is rounded down to a whole quantum, the rest stays with the position:
the last reduction takes all of it, so nothing is lost.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from attrs import define

from prometheus.v10.execution.netting.netting_terms import Contract, exactly

ZERO = Decimal(0)


@define
class AgentAccount:
    """What one agent holds and has paid. ``lots`` is signed; ``basis``, ``flow`` and ``realised`` are quanta.

    Attributes:
        basis: notional of the open position at entry, unsigned.
        fees: USDT charged so far; ``funding`` USDT paid so far (negative: received); ``penalty`` USDT.
        deposits: USDT moved in (stakes) less what was moved out.
    """

    lots: int = 0
    basis: int = 0
    flow: int = 0
    realised: int = 0
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    penalty: Decimal = ZERO
    deposits: Decimal = ZERO

    def trade(self, lots: int, notional: int, fee: Decimal) -> int:
        """Book a trade of signed ``lots`` for ``notional`` quanta; returns the profit it realised, in quanta.

        A trade through zero closes the old position and opens the other; its notional is split in proportion, the
        closing part rounded down.
        """
        if lots == 0:
            return 0
        with exactly():
            self.fees += fee
        self.flow += -notional if lots > 0 else notional
        if self.lots * lots >= 0:
            self.lots += lots
            self.basis += notional
            return 0
        closing = min(abs(lots), abs(self.lots))
        closed_for = notional if closing == abs(lots) else notional * closing // abs(lots)
        leaving = self.basis * closing // abs(self.lots)
        profit = closed_for - leaving if self.lots > 0 else leaving - closed_for
        self.realised += profit
        self.basis -= leaving
        self.lots += closing if lots > 0 else -closing
        if opened := abs(lots) - closing:
            self.lots = opened if lots > 0 else -opened
            self.basis = notional - closed_for
        return profit

    @property
    def entry_price(self) -> Fraction | None:
        """Average entry price in ticks; None when flat."""
        return Fraction(self.basis, abs(self.lots)) if self.lots else None

    @property
    def agrees(self) -> bool:
        """Whether both views of the account are one."""
        return self.flow == self.realised - (self.basis if self.lots > 0 else -self.basis)

    def cash(self, contract: Contract) -> Decimal:
        """USDT without unrealised profit."""
        with exactly():
            return self.deposits + self.realised * contract.quantum - self.fees - self.funding - self.penalty

    def equity(self, contract: Contract, mark: Decimal) -> Decimal:
        """USDT with the position valued at ``mark``."""
        with exactly():
            held = self.lots * contract.lot_btc * mark
            return self.deposits + self.flow * contract.quantum + held - self.fees - self.funding - self.penalty


@define
class HouseAccount:
    """The house: it holds no position, keeps what crossing saves and what rounding leaves, and is the reserve.

    Attributes:
        deposits: USDT of the reserve that came from stakes, deaths and births.
        surplus: the sub-ledger ``netting_surplus``, USDT, never negative.
        rounding: quanta kept because agents' shares are whole.
        fee_difference: USDT that the exchange charged less than its rate says.
        funding_rounding: USDT by which a funding bill was kinder than the sum of the agents' shares.
        penalty_rounding: USDT by which the agents' shares of penalties were above the exchange's.
    """

    deposits: Decimal = ZERO
    surplus: Decimal = ZERO
    rounding: int = 0
    fee_difference: Decimal = ZERO
    funding_rounding: Decimal = ZERO
    penalty_rounding: Decimal = ZERO

    def reserve(self, contract: Contract, *, with_surplus: bool) -> Decimal:
        """The reserve, USDT, with or without what netting saved."""
        with exactly():
            kept = self.rounding * contract.quantum + self.fee_difference
            kept += self.funding_rounding + self.penalty_rounding + self.deposits
            return kept + self.surplus if with_surplus else kept
