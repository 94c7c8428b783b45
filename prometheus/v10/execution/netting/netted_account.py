"""The account that all agents share: rounds are opened and settled, funding and forced closes are shared out.

While the outcome of an order is not proved, its round is open: nothing is allocated, and no other round is opened. A
round whose order was proved not to be placed is settled without trades.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.execution.netting.agent_accounts import ZERO, AgentAccount, HouseAccount
from prometheus.v10.execution.netting.allocation import proportional, tie_break
from prometheus.v10.execution.netting.net_round import RoundPlan, RoundResult, plan_round, settle_round
from prometheus.v10.execution.netting.netting_terms import (
    CENT_FRACTION,
    Contract,
    Delta,
    Force,
    Touch,
    VenueTrade,
    exactly,
)


class NettedAccount:
    """One account at an exchange, one instrument, many agents.

    Attributes:
        accounts: of every agent that ever held a stake.
        venue_lots: signed lots that the exchange's own trades come to.
        venue_flow: quanta that they moved, - bought + sold.
        venue_charges: USDT that the exchange took in fees, funding and penalties.
        deferred: wishes that the smallest order left undone at the last round.
        halted: why nothing may be opened any more; None while trading is allowed.
    """

    def __init__(self, run_id: str, contract: Contract, reserve: Decimal, stakes: Mapping[int, Decimal]) -> None:
        self.run_id, self.contract = run_id, contract
        self.house = HouseAccount(deposits=reserve)
        self.accounts = {agent: AgentAccount(deposits=stake) for agent, stake in sorted(stakes.items())}
        with exactly():
            self.deposits = reserve + sum(stakes.values(), ZERO)
        self.venue_lots = self.venue_flow = 0
        self.venue_charges = ZERO
        self.trade_ids: set[str] = set()
        self.pending: RoundPlan | None = None
        self.deferred: tuple[Delta, ...] = ()
        self.halted: str | None = None

    def open_round(self, tick: int, touch: Touch, wishes: Mapping[int, tuple[int, int]]) -> RoundPlan:
        """Make one order of a bar's wishes; the round stays open until `settle`.

        Args:
            tick: of the bar.
            touch: the book recorded before.
            wishes: by agent, signed lots and a `Force`.

        Raises:
            ExchangeError: while another round is open, or after trading was halted.
            ValueError: for an agent without an account, or a forced wish that closes nothing.
        """
        if self.pending is not None:
            raise ExchangeError(
                f"the order of tick {self.pending.tick} is not proved, so tick {tick} has none",
                hint="ask the exchange what became of it; nothing is sent before that is known",
            )
        forced = all(force != Force.NONE for lots, force in wishes.values() if lots)
        if self.halted is not None and not forced:
            raise ExchangeError(f"trading was halted: {self.halted}", hint="only forced closes are taken now")
        if strangers := sorted(set(wishes) - set(self.accounts)):
            raise ValueError(f"agent {strangers[0]} has no account")
        deltas = [Delta(agent, self.accounts[agent].lots, *wish) for agent, wish in wishes.items()]
        self.pending = plan_round(self.run_id, tick, self.contract, touch, deltas)
        return self.pending

    def settle(self, trades: Sequence[VenueTrade]) -> RoundResult:
        """Book the open round, whose order is proved to have been filled by ``trades`` and by no others.

        Raises:
            ExchangeError: when no round is open, a trade was booked before, or the trades cannot be the order's.
                Nothing is booked then.
        """
        if self.pending is None:
            raise ExchangeError("no round is open that fills could belong to", hint="reconcile the account")
        if again := sorted(trade.trade_id for trade in trades if trade.trade_id in self.trade_ids):
            raise ExchangeError(f"trade {again[0]} was booked before", hint="give each trade once, by its id")
        result = settle_round(self.pending, trades)
        for share in result.shares:
            self.accounts[share.agent].trade(share.lots, share.notional, share.fee)
        self._book_venue(1 if self.pending.order_lots > 0 else -1, result.trades)
        with exactly():
            self.house.surplus += result.surplus
            self.house.rounding += result.rounding
            self.house.fee_difference += result.fee_difference
        self.deferred = self.pending.deltas if self.pending.deferred else ()
        self.pending = None
        return result

    def fund(self, price: Decimal, rate: Decimal, balance_change: Decimal) -> dict[int, Decimal]:
        """Share a funding bill: each agent pays lots x lot x price x rate; returns what each paid, USDT.

        Args:
            price: USDT, the mark of the bill.
            rate: of the bill; longs pay a positive one.
            balance_change: USDT by which the bill moved the account.
        """
        with exactly():
            value = self.contract.lot_btc * price * rate
            paid = {agent: account.lots * value for agent, account in self.accounts.items() if account.lots}
            for agent, amount in paid.items():
                self.accounts[agent].funding += amount
            self.house.funding_rounding += sum(paid.values(), ZERO) + balance_change
            self.venue_charges -= balance_change
        return paid

    def venue_closed(
        self, tick: int, lots: int, trades: Sequence[VenueTrade], penalty: Decimal, reason: str
    ) -> dict[int, int]:
        """Share a liquidation or an auto-deleveraging that the exchange did by itself, and halt.

        The closed lots and the penalty are shared in proportion over the agents on the closed side, prices are rounded
        against them.

        Args:
            tick: of the bar, for ties.
            lots: signed, as the position moved: negative where a long was closed.
            trades: the exchange's own, which close exactly these lots.
            penalty: USDT as the balance moved: negative is charged.
            reason: becomes the reason of the halt.

        Returns:
            Signed lots that each agent lost.

        Raises:
            ExchangeError: when the trades are not these lots, are known, or close more than was held.
        """
        side = 1 if lots > 0 else -1
        holders = [(agent, abs(one.lots)) for agent, one in self.accounts.items() if one.lots * side < 0]
        if sum(trade.lots for trade in trades) != abs(lots) or abs(lots) > sum(held for _, held in holders):
            raise ExchangeError(f"the exchange closed {lots} lots, which its trades or the books do not bear out",
                                hint="reconcile the account")  # fmt: skip
        if any(trade.trade_id in self.trade_ids for trade in trades):
            raise ExchangeError("a trade of a forced close was booked before", hint="give each trade once, by its id")
        shares = proportional(abs(lots), holders, lambda agent: tie_break(self.run_id, tick, agent))
        outside = sum(trade.lots * trade.price for trade in trades)
        with exactly():
            charged = -sum((trade.fee for trade in trades), penalty)
            for agent, got in shares.items():
                notional, rest = divmod(outside * got, abs(lots))
                notional += side > 0 and rest > 0
                self.accounts[agent].trade(side * got, notional, ZERO)
                part = _part(charged, got, abs(lots))
                self.accounts[agent].penalty += part
                self.house.penalty_rounding += part
                self.house.rounding += side * notional
            self.house.rounding -= side * outside
            self.house.penalty_rounding -= charged
            self.venue_charges -= penalty
        self._book_venue(side, trades)
        self.halted = reason
        return {agent: side * got for agent, got in shares.items()}

    def move(self, source: int | None, target: int | None, amount: Decimal) -> None:
        """Move a deposit between agents, or the reserve (None): a death, a birth. A new agent gets its account here.

        Raises:
            ValueError: when the amount has more than eight decimals.
        """
        with exactly():
            if amount % CENT_FRACTION != 0:
                raise ValueError(f"{amount} USDT cannot be moved: it has more than eight decimals")
            self._side(source).deposits -= amount
            self._side(target).deposits += amount

    def bury(self, agent: int) -> Decimal:
        """Move all that a flat agent leaves, or owes, to the reserve; returns it, USDT.

        Raises:
            ValueError: when it holds a position.
        """
        account = self.accounts[agent]
        if account.lots:
            raise ValueError(f"agent {agent} holds {account.lots} lots and cannot be buried")
        left = account.cash(self.contract)
        with exactly():
            account.deposits -= left
            self.house.deposits += left
        return left

    def _side(self, agent: int | None) -> AgentAccount | HouseAccount:
        return self.house if agent is None else self.accounts.setdefault(agent, AgentAccount())

    def _book_venue(self, side: int, trades: Iterable[VenueTrade]) -> None:
        with exactly():
            for trade in trades:
                self.trade_ids.add(trade.trade_id)
                self.venue_lots += side * trade.lots
                self.venue_flow -= side * trade.lots * trade.price
                self.venue_charges -= trade.fee


def _part(amount: Decimal, lots: int, of: int) -> Decimal:
    """A share of a charge, cut up to eight decimals where it is not exact: never less than its share."""
    steps = int((amount * lots / CENT_FRACTION).to_integral_value(rounding=ROUND_CEILING))
    return -(-steps // of) * CENT_FRACTION
