"""What each library would say by itself of the same intents and the same rows: defaults, units, signs, names.

Our adapters leave none of it to them; this is why. Orders are made and not sent; rows are those that came in the
alignment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from prometheus.v10.execution.adapters.senders.own_words import OwnWords
from prometheus.v10.execution.alignment.aligned_intents import INSTRUMENT
from prometheus.v10.execution.alignment.differences import COSMETIC, DATA, MONEY, ORDERS, Difference, sample
from prometheus.v10.execution.alignment.wire_differences import Heard

CANDLE: Final = ("ts", "o", "h", "l", "c", "vol", "volCcy", "volCcyQuote", "confirm")
READINGS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "GET public/instruments": (
        ("ctVal", "contractSize", MONEY), ("lotSz", "precision.amount", MONEY), ("tickSz", "precision.price", MONEY),
        ("minSz", "limits.amount.min", MONEY), ("maxMktSz", "limits.amount.max", MONEY),
        ("lever", "limits.leverage.max", DATA), ("state", "active", DATA), ("groupId", "", MONEY),
    ),
    "GET market/candles": (("ts", "timestamp", DATA), ("vol", "volume", MONEY), ("confirm", "", MONEY)),
    "GET public/position-tiers": (
        ("maxSz", "maxNotional", MONEY), ("mmr", "maintenanceMarginRate", MONEY), ("imr", "", MONEY),
    ),
    "GET account/balance": (("eq", "total", MONEY), ("cashBal", "", MONEY), ("availBal", "free", MONEY)),
    "GET account/trade-fee": (("taker", "taker", MONEY), ("maker", "maker", MONEY)),
    "POST trade/order": (("sCode", "status", DATA), ("ts", "timestamp", DATA), ("clOrdId", "clientOrderId", MONEY)),
    "GET trade/order": (
        ("state", "status", MONEY), ("sz", "amount", MONEY), ("accFillSz", "filled", MONEY),
        ("avgPx", "average", MONEY), ("fee", "fee.cost", MONEY), ("cTime", "timestamp", DATA),
        ("uTime", "lastUpdateTimestamp", DATA), ("ordType", "type", DATA),
        ("reduceOnly", "reduceOnly", ORDERS), ("stpMode", "", DATA),
        ("cancelSource", "", MONEY), ("category", "", MONEY), ("tdMode", "", MONEY),
    ),
    "GET trade/fills": (
        ("fillSz", "amount", MONEY), ("fillPx", "price", MONEY), ("fee", "fee.cost", MONEY), ("ts", "timestamp", DATA),
        ("tradeId", "id", MONEY), ("execType", "takerOrMaker", COSMETIC), ("billId", "", MONEY), ("clOrdId", "", MONEY),
    ),
    "GET account/positions": (
        ("pos", "contracts", MONEY), ("posSide", "side", MONEY), ("avgPx", "entryPrice", MONEY),
        ("uTime", "timestamp", DATA), ("mgnRatio", "marginRatio", MONEY), ("lever", "leverage", MONEY),
        ("upl", "unrealizedPnl", MONEY), ("posId", "id", DATA), ("adl", "", DATA),
    ),
    "GET account/bills": (
        ("balChg", "amount", MONEY), ("bal", "after", MONEY), ("type", "type", COSMETIC), ("ts", "timestamp", DATA),
        ("pnl", "", MONEY), ("fee", "fee.cost", MONEY),
    ),
}  # fmt: skip
"""By endpoint: the exchange's field, ccxt's unified name for it ('' where it has none), what a mistake would cost."""
ASKED: Final = {
    "instId": INSTRUMENT, "tdMode": "cross", "side": "buy", "posSide": "net", "ordType": "optimal_limit_ioc",
    "sz": "0.05", "reduceOnly": False, "stpMode": "cancel_maker", "clOrdId": "pqaligned1",
}  # fmt: skip
DEMANDED: Final = {name: ASKED[name] for name in ("instId", "side", "ordType", "sz")}
LIMIT: Final = {**ASKED, "ordType": "limit", "px": "50000.1"}
ORDERS_ASKED: Final[dict[str, dict[str, Any]]] = {
    "given every field": ASKED,
    "given only what an order cannot be without": DEMANDED,
    "with a size between two lots": {**ASKED, "sz": "0.019"},
    "with a price between two ticks": {**LIMIT, "px": "50000.19"},
}
RANDOM_ID: Final = re.compile(r"6b9ad766b55dBCDE[0-9a-f]{16}")
EMPTY: Final = frozenset(["", None])
RAW_ROWS: Final = "rows are read as the exchange wrote them; the unified ones are not used"
HELD: Final = "every field is given, and the order that a library makes is held against it before it is chained"


def own_orders(native: OwnWords, ccxt: OwnWords) -> Iterator[Difference]:
    """How the orders differ that the libraries make by themselves of the same fields."""
    for case, asked in ORDERS_ASKED.items():
        (path, ours), (other_path, theirs) = native.order(asked), ccxt.order(asked)
        texts = sample(json.dumps(ours)), sample(RANDOM_ID.sub("6b9ad766b55dBCDE<random>", json.dumps(theirs)))
        row = theirs[0] if isinstance(theirs, list) else theirs
        if path != other_path:
            yield Difference(
                key="own.order.path", what="path of an order, by the library's own call", ccxt=f"`POST {other_path}`",
                native=f"`POST {path}`", severity=DATA, done="both adapters send to `trade/order`", samples=texts,
            )  # fmt: skip
        blank = sorted(name for name in ours if ours[name] in EMPTY and name not in row)
        if blank:
            yield Difference(
                key="own.order.blank", what="fields that are not given", ccxt="left out",
                native=f"sent as '' or null: {', '.join(blank)}", severity=DATA, done=HELD, samples=texts,
            )  # fmt: skip
        for name in sorted((ours.keys() | row.keys()) - set(blank)):
            one, other = ours.get(name), row.get(name)
            if one != other:
                shown = RANDOM_ID.sub("6b9ad766b55dBCDE<random>", json.dumps(other))
                yield Difference(
                    key=f"own.order.{name}.{case}", what=f"`{name}` of an order {case}",
                    ccxt="left out" if name not in row else f"`{shown}`",
                    native="left out" if name not in ours else f"`{json.dumps(one)}`", severity=ORDERS, done=HELD,
                    samples=texts,
                )  # fmt: skip


def own_readings(words: OwnWords, heard: list[Heard]) -> Iterator[Difference]:
    """Where ccxt's unified reading of a row says otherwise than the row, which python-okx hands on as it came."""
    seen: set[str] = set()
    for one in heard:
        where = f"{one.method} {one.path.removeprefix('/api/v5/')}"
        told_rows = isinstance(one.answer, dict) and one.answer.get("code") == "0"
        for row in one.answer["data"] if told_rows and where in READINGS else []:
            told = words.reading(where.partition(" ")[2], row)
            for raw, name, severity in READINGS[where]:
                key = f"own.reading.{where.replace(' ', '.')}.{raw}"
                value, own = _raw(where, row).get(raw), told.get(name) if name else None
                if key in seen or _same(value, own):
                    continue
                seen.add(key)
                yield Difference(
                    key=key, what=f"`{raw}` of `{where}`",
                    ccxt=f"`{name}` is `{own}`" if name else "only within `info`", native=f"`{value}`",
                    severity=severity, done=RAW_ROWS,
                    samples=(sample(json.dumps(row)), sample(json.dumps(_told(told), default=str))),
                )  # fmt: skip


def _raw(where: str, row: Any) -> Mapping[str, Any]:
    """The fields of a row that a reading is about."""
    if where.endswith("market/candles"):
        return dict(zip(CANDLE, row, strict=True))
    if where.endswith("account/balance"):
        return next((one for one in row["details"] if one["ccy"] == "USDT"), {})
    if where.endswith("account/trade-fee"):
        return next(iter(row.get("feeGroup") or [{}]), {})
    return dict(row)


def _told(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a reading says, without what it leaves open."""
    return {name: value for name, value in told.items() if value is not None}


def _same(raw: Any, own: Any) -> bool:
    if raw in EMPTY and own in EMPTY:
        return True
    try:
        return Decimal(str(raw)) == Decimal(str(own))
    except InvalidOperation:
        return str(raw).lower() == str(own).lower()
