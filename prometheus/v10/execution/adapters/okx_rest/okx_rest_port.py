"""`ExchangePort` over OKX's REST interface, whatever sends: bodies, parameters, pages and rows are decided here.

Every field that shapes an order is sent, none is left to a default: size, margin mode, position side, self-trade
prevention, reduce-only, price amendment, client id. A library spells the body, and may change nothing of it.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from attrs import define, field

from prometheus.v10.execution.adapters.okx_rest.answer_rows import Row, count, digits, named, number, plain, text
from prometheus.v10.execution.adapters.okx_rest.body_spelling import BodySpelling, SpacedJson
from prometheus.v10.execution.adapters.okx_rest.call_judging import BASE, Caller, one_row
from prometheus.v10.execution.adapters.okx_rest.okx_codes import REACTIONS, Reaction
from prometheus.v10.execution.adapters.okx_rest.page_walk import PageWalks
from prometheus.v10.execution.adapters.okx_rest.row_readers import (
    balance_of,
    bill_of,
    book_of,
    candle_of,
    config_of,
    fill_of_row,
    instrument_of,
    notice_of,
    order_of,
    position_of,
    tier_of,
)
from prometheus.v10.execution.ports.account_facts import (
    AccountConfig,
    Balance,
    Bill,
    FeeRate,
    LeverageFact,
    Position,
    StatusNotice,
)
from prometheus.v10.execution.ports.contract_units import Candle, Instrument, PositionTier, TopOfBook
from prometheus.v10.execution.ports.exchange_errors import (
    AnswerError,
    ForeignActivityError,
    MisconfiguredError,
    OutcomeUnknownError,
    UnavailableError,
)
from prometheus.v10.execution.ports.exchange_port import LibraryFacts
from prometheus.v10.execution.ports.order_terms import (
    Ack,
    Fill,
    MarginMode,
    OrderReport,
    OrderRequest,
    PreparedOrder,
)
from prometheus.v10.market.exchange_words import OKX_BARS

SWAP: Final = "SWAP"
LIMIT: Final = "100"
NET: Final = "net"
ORDER: Final = "trade/order"
COMING: Final = frozenset({"scheduled", "ongoing", "pre_open"})


@define
class OkxRestPort:
    """See `ExchangePort` and the module."""

    caller: Caller
    spelling: BodySpelling = field(factory=SpacedJson)
    instruments: dict[str, Instrument] = field(factory=dict)
    _walks: PageWalks = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._walks = PageWalks(self.caller.now_ms)

    @property
    def library(self) -> LibraryFacts:
        """See `ExchangePort`."""
        return self.caller.transport.library

    def close(self) -> None:
        """See `ExchangePort`."""
        self.caller.transport.close()

    # ---- public ------------------------------------------------------------------------------------------------------

    def server_time(self) -> int:
        """See `ExchangePort`."""
        return count(one_row(self.caller.read("public/time"), "public/time"), "ts")

    def status(self) -> tuple[StatusNotice, ...]:
        """See `ExchangePort`."""
        found = tuple(map(notice_of, self.caller.read("system/status")))
        return tuple(one for one in found if one.state in COMING)

    def instrument(self, inst_id: str) -> Instrument:
        """See `ExchangePort`."""
        row = one_row(self.caller.read("public/instruments", instType=SWAP, instId=inst_id), f"instrument {inst_id}")
        found = instrument_of(row)
        if found.inst_id != inst_id:
            raise AnswerError(f"asked for {inst_id}, and told of {found.inst_id}")
        self.spelling.learn(row, found)
        self.instruments[inst_id] = found
        return found

    def top_of_book(self, inst_id: str) -> TopOfBook:
        """See `ExchangePort`."""
        row = one_row(self.caller.read("market/books", instId=inst_id, sz="1"), f"book of {inst_id}")
        return book_of(row, self._units(inst_id))

    def candles(self, inst_id: str, seconds: int, most: int) -> tuple[Candle, ...]:
        """See `ExchangePort`."""
        if seconds not in OKX_BARS:
            known = ", ".join(map(str, OKX_BARS))
            raise MisconfiguredError(f"the exchange has no bars of {seconds} s", hint=f"it has those of {known} s")
        rows = self.caller.read("market/candles", instId=inst_id, bar=OKX_BARS[seconds], limit=str(most))
        found = tuple(map(candle_of, reversed(rows)))
        for before, after in pairwise(found):
            if after.open_ms <= before.open_ms:
                raise AnswerError(f"candles of {inst_id} are out of order at {after.open_ms}")
        return found

    def tiers(self, instrument: Instrument, mode: MarginMode) -> tuple[PositionTier, ...]:
        """See `ExchangePort`."""
        rows = self.caller.read("public/position-tiers", instType=SWAP, tdMode=mode.value, instFamily=instrument.family)
        found = sorted(map(tier_of, rows), key=lambda one: one.tier)
        if not found or [one.tier for one in found] != list(range(1, len(found) + 1)):
            raise AnswerError(f"position tiers of {instrument.family}: numbers are not 1, 2, 3 ...")
        return tuple(found)

    # ---- account -----------------------------------------------------------------------------------------------------

    def account_config(self) -> AccountConfig:
        """See `ExchangePort`."""
        return config_of(one_row(self.caller.read("account/config"), "account/config"))

    def balance(self, currency: str) -> Balance:
        """See `ExchangePort`."""
        return balance_of(one_row(self.caller.read("account/balance", ccy=currency), "account/balance"), currency)

    def positions(self) -> tuple[Position, ...]:
        """See `ExchangePort`."""
        found = [position_of(row, self._of(row)) for row in self.caller.read("account/positions")]
        return tuple(one for one in found if one.lots)

    def fee(self, instrument: Instrument) -> FeeRate:
        """See `ExchangePort`."""
        row = one_row(self.caller.read("account/trade-fee", instType=SWAP), "account/trade-fee")
        groups = row.get("feeGroup")
        if instrument.group_id is None or not isinstance(groups, list):
            raise AnswerError(f"fees of {instrument.inst_id} are not told by group")
        for one in groups:
            if text(one, "groupId") == instrument.group_id:
                return FeeRate(group_id=instrument.group_id, taker=number(one, "taker"), maker=number(one, "maker"),
                               level=text(row, "level"))  # fmt: skip
        raise AnswerError(f"fees of {instrument.inst_id}: no group {instrument.group_id}")

    def leverage(self, inst_id: str, mode: MarginMode) -> LeverageFact:
        """See `ExchangePort`."""
        row = one_row(self.caller.read("account/leverage-info", instId=inst_id, mgnMode=mode.value), "leverage-info")
        if (text(row, "instId"), text(row, "mgnMode")) != (inst_id, mode.value):
            raise AnswerError(f"asked for the leverage of {inst_id} {mode.value}, and told of another")
        return LeverageFact(inst_id=inst_id, margin_mode=mode, leverage=number(row, "lever"))

    def set_leverage(self, inst_id: str, mode: MarginMode, leverage: Decimal) -> None:
        """See `ExchangePort`."""
        self._set("account/set-leverage", {"instId": inst_id, "lever": plain(leverage), "mgnMode": mode.value})

    def set_position_mode(self, mode: str) -> None:
        """See `ExchangePort`."""
        self._set("account/set-position-mode", {"posMode": mode})

    # ---- orders ------------------------------------------------------------------------------------------------------

    def prepare(self, request: OrderRequest) -> PreparedOrder:
        """See `ExchangePort`."""
        units = self._units(request.inst_id)
        asked: dict[str, object] = {
            "instId": request.inst_id, "tdMode": request.margin_mode.value, "side": request.side.value,
            "posSide": NET, "ordType": request.order_type.value, "sz": plain(units.contracts(request.lots)),
            "reduceOnly": request.reduce_only, "stpMode": request.stp_mode.value, "clOrdId": request.client_id,
        }  # fmt: skip
        if request.price_ticks is not None:
            asked |= {"px": plain(units.price(request.price_ticks)), "pxAmendType": "0"}
        if request.tag:
            asked["tag"] = request.tag
        return PreparedOrder(request=request, path=BASE + ORDER, body=self.spelling.body(ORDER, asked))

    def send(self, prepared: PreparedOrder) -> Ack:
        """See `ExchangePort`."""
        asked = prepared.request
        row = self.caller.post(ORDER, prepared.body, expire_ms=asked.expire_ms)
        try:
            said = text(row, "clOrdId")
            ack = Ack(client_id=said, order_id=digits(row, "ordId"), ts_ms=_time_of(row))
        except AnswerError as error:
            raise OutcomeUnknownError(f"an order was taken, and its answer cannot be read: {error}") from error
        if said != asked.client_id:
            raise OutcomeUnknownError(f"sent order {asked.client_id}, and the answer is about {said!r}"[:200])
        return ack

    def cancel(self, inst_id: str, order_id: str) -> None:
        """See `ExchangePort`."""
        self._set("trade/cancel-order", {"instId": inst_id, "ordId": order_id})

    def order(self, inst_id: str, client_id: str) -> OrderReport | None:
        """See `ExchangePort`."""
        try:
            rows = self.caller.read(ORDER, instId=inst_id, clOrdId=client_id)
        except UnavailableError as error:
            if REACTIONS.get(error.code) is Reaction.ABSENT:
                return None
            raise
        found = order_of(one_row(rows, "trade/order"), self._units(inst_id))
        if found.client_id != client_id:
            raise AnswerError(f"asked for order {client_id}, and told of {found.client_id!r}"[:200])
        return found

    def pending(self) -> tuple[OrderReport, ...]:
        """See `ExchangePort`."""
        rows = self._pages("trade/orders-pending", "ordId")
        return tuple(order_of(row, self._of(row)) for row in rows)

    def history(self, *, since_ms: int) -> tuple[OrderReport, ...]:
        """See `ExchangePort`."""
        rows = self._pages("trade/orders-history", "ordId", instType=SWAP, begin=str(since_ms))
        return tuple(order_of(row, self._of(row)) for row in rows)

    def fills(self, *, after_bill: str | None, since_ms: int) -> tuple[Fill, ...]:
        """See `ExchangePort`."""
        begin = "" if after_bill else str(since_ms)
        rows = self._pages("trade/fills", "billId", until=after_bill, instType=SWAP, begin=begin)
        found: dict[tuple[str, str], Fill] = {}
        for row in reversed(rows):
            one = fill_of_row(row, self._of(row))
            before = found.setdefault(one.key, one)
            if (before.lots, before.price, before.side, before.order_id) != (
                one.lots, one.price, one.side, one.order_id,
            ):  # fmt: skip
                raise AnswerError(f"trade {one.trade_id} of {one.inst_id} comes with two contents")
        return tuple(found.values())

    def bills(self, *, after_bill: str | None, since_ms: int) -> tuple[Bill, ...]:
        """See `ExchangePort`."""
        begin = "" if after_bill else str(since_ms)
        return tuple(map(bill_of, reversed(self._pages("account/bills", "billId", until=after_bill, begin=begin))))

    def _pages(self, path: str, key: str, *, until: str | None = None, **asked: str) -> list[dict[str, Any]]:
        """All rows of a paged read, newest first; errors as `PageWalk.go`."""

        def fetch(after: str | None) -> list[dict[str, Any]]:
            return self.caller.read(path, **asked, limit=LIMIT, after=after or "")

        return self._walks.walk((path, until, *sorted(asked.items())), fetch, key, until=until)

    def _set(self, path: str, asked: dict[str, object]) -> None:
        self.caller.post(path, self.spelling.body(path, asked))

    # ---- instruments -------------------------------------------------------------------------------------------------

    def _units(self, inst_id: str) -> Instrument:
        return self.instruments.get(inst_id) or self.instrument(inst_id)

    def _of(self, row: Row) -> Instrument:
        """The instrument of a row of the account.

        Raises:
            ForeignActivityError: for another kind of instrument than swaps: nothing here trades those.
        """
        if text(row, "instType") != SWAP:
            what = f"{text(row, 'instType')} {named(row, 'instId')}"
            raise ForeignActivityError(
                f"the account has an order, a fill or a position of {what}, which nothing here trades",
                hint="this account is for one instance alone: close what is not its own, then start again",
            )
        return self._units(named(row, "instId"))


def _time_of(row: Row) -> int | None:
    return count(row, "ts") if row.get("ts") else None
