"""Entries in an account's books: every change of cash is a bill, and nothing else changes cash."""

from __future__ import annotations

from typing import Any, Final

from attrs import define, field

from prometheus.venue.accounts.holdings import LONG_SHORT, TRADE, Account, Bill, Closing, Done, Fill, Position
from prometheus.venue.accounts.margin import initial
from prometheus.venue.accounts.tickets import Order
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.quanta import share

DAY_MS: Final = 86_400_000
LONGEST: Final = 92 * DAY_MS
"""Three months."""
FILLS_KEPT: Final = 366 * DAY_MS
LIQUIDATION, ADL, FUNDING, TRANSFER, MARGIN = "5", "9", "8", "1", "6"


@define
class Ids:
    """Order, bill and position ids: 19 digits, rising, from the venue's clock and a counter."""

    last: int = 0

    def next(self, now_ms: int) -> int:
        """A new id."""
        self.last = max(self.last + 1, (now_ms - 1_200_000_000_000) << 21)
        return self.last


@define
class Counterparty:
    """Whoever is not a client: strangers of the book, and the venue with its fees and its insurance fund.

    Strangers' own result is never settled: ``flow`` is the sum of what they paid and got, ``pos`` what they hold.
    """

    pos: dict[str, int] = field(factory=dict)
    flow: int = 0
    fees: int = 0
    insurance: int = 0
    funding: int = 0
    deposits: int = 0

    def trade(self, instrument: Instrument, px: int, signed: int) -> None:
        """Strangers bought (``signed`` > 0) or sold."""
        self.pos[instrument.inst_id] = self.pos.get(instrument.inst_id, 0) + signed
        self.flow -= instrument.value(px, signed)


@define
class Books:
    """Writes into accounts and keeps the counterparty; times in ms."""

    ids: Ids = field(factory=Ids)
    other: Counterparty = field(factory=Counterparty)

    def bill(self, account: Account, now: int, kind: str, sub_type: str, change: int, **more: Any) -> Bill:
        """Change cash by ``change`` and write the bill that says so."""
        account.cash += change
        account.u_time = now
        account.version += 1
        made = Bill(
            bill_id=self.ids.next(now), ts=now, kind=kind, sub_type=sub_type, bal_chg=change, bal=account.cash, **more
        )
        account.bills.append(made)
        oldest = now - LONGEST
        while account.bills[0].ts < oldest:
            account.bills.popleft()
        return made

    def deposit(self, account: Account, now: int, amount: int) -> None:
        """Money from outside; a negative amount leaves."""
        self.bill(account, now, TRANSFER, "11" if amount >= 0 else "12", amount)
        self.other.deposits += amount

    def position(self, account: Account, order: Order, now: int) -> Position:
        """The position that an order works on; made when there is none."""
        key = (order.instrument.inst_id, order.td_mode, order.pos_side)
        found = account.positions.get(key)
        if found is None:
            found = account.held.pop(key, None) or Position(
                pos_id=self.ids.next(now), instrument=order.instrument, mgn_mode=order.td_mode, pos_side=order.pos_side
            )
            account.positions[key] = found
        return found

    def fill(self, order: Order, done: Done) -> Fill:
        """Enter a fill: position, cash, bill, order record and fill record."""
        account, inst = order.account, order.instrument
        px, sz, now, fee, trade_id, kind = done.px, done.sz, done.ts, done.fee, done.trade_id, done.kind
        position = self.position(account, order, now)
        signed = order.side * sz
        closing = min(sz, abs(position.pos)) if position.pos * signed < 0 else 0
        pnl = margin = 0
        if closing:
            long = position.pos > 0
            pnl, margin = self._close(position, px, closing)
            position.pnl += pnl
            position.fee += share(fee, closing, sz)
            position.trade_id, position.u_time = trade_id, now
            _closing_row(account, position, now, kind, long=long)
        if sz > closing:
            margin += self._open(order, position, px, sz - closing, now)
            position.fee += fee - share(fee, closing, sz)
        position.trade_id, position.u_time = trade_id, now
        sub_type = done.sub_types[0 if order.side > 0 else 1] if done.sub_types else _sub_type(account, order)
        bill = self.bill(
            account, now, kind, sub_type, pnl + fee - margin, inst=inst, mgn_mode=order.td_mode, sz=inst.sz(sz),
            px=inst.px(px), pos_bal_chg=margin, pos_bal=position.margin, pnl=pnl, fee=fee, ord_id=str(order.ord_id),
            cl_ord_id=order.cl_ord_id, tag=order.tag, trade_id=str(trade_id), exec_type="T" if done.taker else "M",
            fill_time=str(now),
        )  # fmt: skip
        self.other.fees -= fee
        order.filled += sz
        order.paid += px * sz
        order.fee += fee
        order.pnl += pnl
        order.fill_px, order.fill_sz, order.fill_time, order.trade_id = px, sz, now, trade_id
        order.u_time = now
        made = Fill(bill.bill_id, order, done, pnl, sub_type)
        account.fills.append(made)
        oldest = now - FILLS_KEPT
        while account.fills[0].done.ts < oldest:
            account.fills.popleft()
        if position.pos == 0:
            self._flat(account, position)
        return made

    def _open(self, order: Order, position: Position, px: int, sz: int, now: int) -> int:
        """Grow a position; returns the margin that moves into it."""
        signed = order.side * sz
        if position.pos == 0:
            position.c_time, position.lever = now, order.lever
            position.pnl = position.fee = position.funding_fee = position.liq_penalty = 0
            position.opened = position.opened_cost = position.closed = position.closed_cost = position.largest = 0
        position.pos += signed
        position.cost += px * signed
        position.opened += sz
        position.opened_cost += px * sz
        position.largest = max(position.largest, abs(position.pos))
        moved = initial(order.instrument.value(px, sz), position.lever) if position.mgn_mode == "isolated" else 0
        position.margin += moved
        return moved

    @staticmethod
    def _close(position: Position, px: int, sz: int) -> tuple[int, int]:
        """Shrink a position by ``sz``; returns the result and the (negative) margin that moves out of it."""
        size = abs(position.pos)
        signed = sz if position.pos > 0 else -sz
        cost = share(position.cost, sz, size)
        pnl = (px * signed - cost) * position.instrument.unit
        margin = share(position.margin, sz, size)
        position.pos -= signed
        position.cost -= cost
        position.margin -= margin
        position.closed += sz
        position.closed_cost += px * sz
        return pnl, -margin

    @staticmethod
    def _flat(account: Account, position: Position) -> None:
        """Put a flat position aside: it is shown only to who asks for its instrument."""
        key = (position.instrument.inst_id, position.mgn_mode, position.pos_side)
        account.held[key] = account.positions.pop(key)


def _sub_type(account: Account, order: Order) -> str:
    if account.pos_mode == LONG_SHORT:
        opens = order.side > 0 if order.pos_side == "long" else order.side < 0
        return ("3" if order.pos_side == "long" else "4") if opens else ("5" if order.pos_side == "long" else "6")
    return "1" if order.side > 0 else "2"


_CLOSE_TYPES: Final = {TRADE: ("1", "2"), LIQUIDATION: ("4", "3"), ADL: ("5", "5")}
"""Part and whole."""


def _closing_row(account: Account, position: Position, now: int, kind: str, *, long: bool) -> None:
    """Begin or continue the row of the positions history that tells of this position since it was last flat."""
    kinds = _CLOSE_TYPES.get(kind, _CLOSE_TYPES[TRADE])
    row = next((one for one in reversed(account.closings) if one.position is position and not one.whole), None)
    if row is None:
        row = Closing(position=position, long=long, c_time=position.c_time)
        account.closings.append(row)
        while account.closings[0].c_time < now - LONGEST and account.closings[0].whole:
            account.closings.popleft()
    row.whole = position.pos == 0
    row.kind = kinds[1] if row.whole else kinds[0]
    row.trigger_px = 0
    row.take(now)
