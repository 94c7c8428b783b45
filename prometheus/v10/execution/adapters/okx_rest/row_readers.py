"""Rows of the interface as types of ours; see `answer_rows` for what an empty field means."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from prometheus.v10.execution.adapters.okx_rest.answer_rows import (
    Row,
    count,
    digits,
    flag,
    maybe,
    maybe_count,
    named,
    number,
    text,
)
from prometheus.v10.execution.ports.account_facts import AccountConfig, Balance, Bill, Position, StatusNotice
from prometheus.v10.execution.ports.contract_units import (
    Candle,
    Instrument,
    InstrumentState,
    PositionTier,
    TopOfBook,
    whole,
)
from prometheus.v10.execution.ports.exchange_errors import AnswerError, EmptyBookError
from prometheus.v10.execution.ports.order_terms import Fill, MarginMode, OrderReport, Side, VenueState

CHANGES: Final = "upcChg"
CANDLE: Final = ("ts", "o", "h", "l", "c", "vol", "volCcy", "volCcyQuote", "confirm")


def instrument_of(row: Row) -> Instrument:
    """``public/instruments``.

    Raises:
        AnswerError: for what is no linear swap, or whose sizes are no whole lots.
    """
    name = named(row, "instId")
    if (text(row, "instType"), text(row, "ctType"), number(row, "ctMult")) != ("SWAP", "linear", Decimal(1)):
        raise AnswerError(f"{name} is no linear swap with multiplier 1")
    lot = number(row, "lotSz")
    changes = row.get(CHANGES) or []
    return Instrument(
        inst_id=name, family=named(row, "instFamily"), settle_currency=named(row, "settleCcy"),
        group_id=row.get("groupId") or None, contract_value=number(row, "ctVal"), lot=lot, tick=number(row, "tickSz"),
        min_lots=whole(number(row, "minSz"), lot, f"minSz of {name}"),
        max_market_lots=whole(number(row, "maxMktSz"), lot, f"maxMktSz of {name}"),
        max_limit_lots=whole(number(row, "maxLmtSz"), lot, f"maxLmtSz of {name}"),
        max_leverage=number(row, "lever"), state=_state(row),
        changes=tuple((named(one, "param"), named(one, "newValue"), count(one, "effTime")) for one in changes),
    )  # fmt: skip


def _state(row: Row) -> InstrumentState:
    said = named(row, "state")
    if said not in list(InstrumentState):
        raise AnswerError(f"an instrument is in state {said!r}, which is not known here"[:200])
    return InstrumentState(said)


def tier_of(row: Row) -> PositionTier:
    """``public/position-tiers``."""
    return PositionTier(tier=count(row, "tier"), max_contracts=number(row, "maxSz"), initial_margin=number(row, "imr"),
                        maintenance_margin=number(row, "mmr"), max_leverage=number(row, "maxLever"))  # fmt: skip


def book_of(row: Row, instrument: Instrument) -> TopOfBook:
    """``market/books``.

    Raises:
        EmptyBookError: when a side is empty.
        AnswerError: when it cannot be read, or the best prices cross.
    """
    sides = []
    for name in ("bids", "asks"):
        levels = row.get(name)
        if levels == []:
            raise EmptyBookError(f"the book of {instrument.inst_id} has no {name}")
        if not isinstance(levels, list) or not isinstance(levels[0], list) or len(levels[0]) < 2:
            raise AnswerError(f"the book of {instrument.inst_id} has no {name}")
        level = {"px": levels[0][0], "sz": levels[0][1]}
        sides.append((instrument.ticks(number(level, "px")), instrument.lots(number(level, "sz"))))
    (bid, bid_lots), (ask, ask_lots) = sides
    if bid >= ask:
        raise AnswerError(f"the book of {instrument.inst_id} crosses: bid {bid} and ask {ask} ticks")
    return TopOfBook(inst_id=instrument.inst_id, ts_ms=count(row, "ts"), bid_ticks=bid, bid_lots=bid_lots,
                     ask_ticks=ask, ask_lots=ask_lots)  # fmt: skip


def config_of(row: Row) -> AccountConfig:
    """``account/config``."""

    def listed(name: str) -> tuple[str, ...]:
        return tuple(one for one in text(row, name).split(",") if one)

    return AccountConfig(uid=named(row, "uid"), main_uid=named(row, "mainUid"), level=named(row, "acctLv"),
                         position_mode=named(row, "posMode"), stp_default=text(row, "acctStpMode") or None,
                         permissions=listed("perm"), addresses=listed("ip"), label=text(row, "label"))  # fmt: skip


def balance_of(row: Row, currency: str) -> Balance:
    """``account/balance``: one currency; one that the exchange leaves out has neither cash nor equity."""
    details = row.get("details")
    if not isinstance(details, list):
        raise AnswerError("a balance without details")
    total = maybe(row, "totalEq")
    for one in details:
        if text(one, "ccy") == currency:
            return Balance(currency=currency, equity=number(one, "eq"), cash=number(one, "cashBal"),
                           available=maybe(one, "availEq"), unrealised=maybe(one, "upl"), total_equity_usd=total,
                           ts_ms=count(one, "uTime"))  # fmt: skip
    zero = Decimal(0)
    return Balance(currency=currency, equity=zero, cash=zero, available=zero, unrealised=zero, total_equity_usd=total,
                   ts_ms=count(row, "uTime"))  # fmt: skip


def _mode(row: Row, name: str) -> MarginMode:
    said = named(row, name)
    if said not in list(MarginMode):
        raise AnswerError(f"{name} is {said!r}, neither cross nor isolated"[:200])
    return MarginMode(said)


def position_of(row: Row, instrument: Instrument) -> Position:
    """``account/positions``."""
    rank = maybe_count(row, "adl")
    return Position(
        inst_id=instrument.inst_id, position_id=digits(row, "posId"), margin_mode=_mode(row, "mgnMode"),
        position_side=named(row, "posSide"), lots=instrument.lots(number(row, "pos")),
        average_price=maybe(row, "avgPx"), mark_price=maybe(row, "markPx"), leverage=maybe(row, "lever"),
        unrealised=maybe(row, "upl"), realised=maybe(row, "realizedPnl"), fee=maybe(row, "fee"),
        funding=maybe(row, "fundingFee"), liquidation_penalty=maybe(row, "liqPenalty"),
        liquidation_price=maybe(row, "liqPx"), margin_ratio=maybe(row, "mgnRatio"), adl_rank=rank,
        updated_ms=count(row, "uTime"),
    )  # fmt: skip


def side_of(row: Row) -> Side:
    """``side``."""
    said = named(row, "side")
    if said not in list(Side):
        raise AnswerError(f"side is {said!r}"[:200])
    return Side(said)


def order_of(row: Row, instrument: Instrument) -> OrderReport:
    """An order's record."""
    said, name = named(row, "state"), instrument.inst_id
    if said not in list(VenueState):
        raise AnswerError(f"an order of {name} is in state {said!r}, which is not known here"[:200])
    lots = instrument.lots(number(row, "sz"))
    filled = instrument.lots(number(row, "accFillSz"))
    if not 0 <= filled <= lots:
        raise AnswerError(f"an order of {name} has {filled} lots filled of {lots}")
    average = maybe(row, "avgPx")
    return OrderReport(
        inst_id=name, order_id=digits(row, "ordId"), client_id=text(row, "clOrdId"), tag=text(row, "tag"),
        state=VenueState(said), side=side_of(row), order_type=named(row, "ordType"), lots=lots, filled_lots=filled,
        average_price=average if filled else None, reduce_only=flag(row, "reduceOnly"),
        cancel_source=text(row, "cancelSource") or None, category=named(row, "category"),
        stp_mode=text(row, "stpMode") or None, created_ms=count(row, "cTime"), updated_ms=count(row, "uTime"),
    )  # fmt: skip


def fill_of_row(row: Row, instrument: Instrument) -> Fill:
    """``trade/fills``."""
    kind = named(row, "execType")
    if kind not in {"T", "M"}:
        raise AnswerError(f"execType is {kind!r}"[:200])
    lots, price = instrument.lots(number(row, "fillSz")), number(row, "fillPx")
    if lots <= 0 or price <= 0:
        raise AnswerError(f"a fill of {instrument.inst_id} with {lots} lots at {price}")
    ticks = int(price / instrument.tick) if price % instrument.tick == 0 else None
    return Fill(
        inst_id=instrument.inst_id, trade_id=digits(row, "tradeId"), order_id=digits(row, "ordId"),
        client_id=text(row, "clOrdId"), bill_id=digits(row, "billId"), side=side_of(row), lots=lots,
        price=price,
        price_ticks=ticks, fee=number(row, "fee"), fee_currency=named(row, "feeCcy"), exec_type=kind,
        ts_ms=count(row, "ts"),
    )  # fmt: skip


def bill_of(row: Row) -> Bill:
    """``account/bills``."""
    return Bill(
        bill_id=digits(row, "billId"), kind=named(row, "type"), sub_kind=text(row, "subType"),
        currency=named(row, "ccy"), balance_change=number(row, "balChg"), balance=number(row, "bal"),
        fee=maybe(row, "fee"), pnl=maybe(row, "pnl"), inst_id=text(row, "instId"), order_id=text(row, "ordId"),
        client_id=text(row, "clOrdId"), trade_id=text(row, "tradeId"), ts_ms=count(row, "ts"),
    )  # fmt: skip


def candle_of(row: object) -> Candle:
    """A row of ``market/candles``: a list of texts.

    Raises:
        AnswerError: when it is no such list.
    """
    if not isinstance(row, list) or len(row) < len(CANDLE):
        raise AnswerError(f"a candle is {row!r}, not a list of {len(CANDLE)}"[:200])
    said = dict(zip(CANDLE, row, strict=False))
    if said["confirm"] not in {"0", "1"}:
        raise AnswerError(f"confirm of a candle is {said['confirm']!r}"[:200])
    return Candle(
        open_ms=count(said, "ts"), open=number(said, "o"), high=number(said, "h"), low=number(said, "l"),
        close=number(said, "c"), volume=number(said, "volCcy"), complete=said["confirm"] == "1",
    )  # fmt: skip


def notice_of(row: Row) -> StatusNotice:
    """``system/status``."""
    return StatusNotice(title=text(row, "title"), state=named(row, "state"), service=text(row, "serviceType"),
                        env=text(row, "env"), begin_ms=maybe_count(row, "begin"),
                        end_ms=maybe_count(row, "end"))  # fmt: skip
