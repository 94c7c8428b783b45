"""Funding: at a funding time every position pays or gets position value times rate; a long pays a positive rate."""

from __future__ import annotations

from prometheus.venue.accounts.entries import FUNDING
from prometheus.venue.accounts.holdings import Account, Position
from prometheus.venue.accounts.margin import standing
from prometheus.venue.accounts.tickets import CancelSource
from prometheus.venue.floor.trading import SETTLING_MS, Market, Trading
from prometheus.venue.matching.execution_steps import end
from prometheus.venue.quanta import RATE


def settle_funding(state: Trading, market: Market) -> None:
    """Settle the funding that is due in one instrument; orders are refused for a second (51030)."""
    rate = market.reference.settle().realized
    market.settling_until = state.now + SETTLING_MS
    inst_id, mark = market.instrument.inst_id, market.reference.mark
    paid = 0
    for account in state.accounts.values():
        for position in list(account.open_positions()):
            if position.instrument.inst_id == inst_id:
                paid += _settle(state, account, position, mark, rate)
    state.note("funding", inst=inst_id, rate=rate, mark=mark, paid=paid)


def _settle(state: Trading, account: Account, position: Position, mark: int, rate: int) -> int:
    """Book one position's funding; the amount is rounded down, in the venue's favour."""
    amount = -(position.instrument.value(mark, position.pos) * rate) // RATE
    if amount == 0:
        return 0
    position.funding_fee += amount
    position.u_time = state.now
    from_margin = min(position.margin, max(0, -amount - max(0, account.cash)))
    position.margin -= from_margin
    state.books.bill(
        account, state.now, FUNDING, "173" if amount < 0 else "174", amount + from_margin, inst=position.instrument,
        mgn_mode=position.mgn_mode, sz=position.instrument.sz(abs(position.pos)), px=position.instrument.px(mark),
        pnl=amount, pos_bal_chg=-from_margin, pos_bal=position.margin,
    )  # fmt: skip
    state.books.other.funding -= amount
    now = standing(account, state.mark)
    if now.cross_equity - now.cross_imr - now.ordered < 0:
        for order in [one for one in account.pending.values() if not one.closes]:
            end(state, order, CancelSource.AFTER_FUNDING)
    return -amount
