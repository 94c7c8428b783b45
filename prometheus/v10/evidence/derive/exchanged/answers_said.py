"""What an exchange said in a run's calls, gathered so that chain, rounds and manifest can be held against it.

Only what was answered counts, and only rows of the instrument that was traded. Standard library only.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from prometheus.v10.evidence.derive.exchanged.call_stream import Call, rows_of
from prometheus.v10.evidence.derive.exchanged.exact_text import exact, whole
from prometheus.v10.evidence.derive.exchanged.questions_asked import Asking
from prometheus.v10.evidence.derive.typed import is_count, plain_json, table
from prometheus.v10.evidence.records.canonical import canonical_bytes

BASE = "/api/v5/"
FUNDING = "8"
TRADED = ("fillSz", "fillPx", "side", "ordId", "clOrdId", "instId")
"""Fields of a trade that are the same however often it is told."""
OK = 200
CANDLE = 9
"""Fields of a candle."""


@dataclass
class Posted:
    """One request that places an order, and what came of it."""

    number: int
    started_ms: int
    body: str
    outcome: str
    code: str
    order_id: str
    ts: str


@dataclass
class Looked:
    """Position and equity, read one right after the other; ``mark`` is None when flat."""

    call: int
    equity_call: int
    lots: int
    average: str | None
    mark: str | None
    equity: str


@dataclass
class Touched:
    """A book, and the first look behind it.

    Attributes:
        funded: what funding had moved when the book was read; ``funded_then`` when the look was made.
    """

    number: int
    bid: int
    ask: int
    sha256: str
    looked: Looked | None = None
    funded: Fraction = Fraction(0)
    funded_then: Fraction = Fraction(0)


@dataclass
class Units:
    """An instrument as it was read first, and the fees of its group."""

    contract: str = ""
    lot: str = ""
    tick: str = ""
    min_lots: int = 0
    settles: str = ""
    group: str = ""
    taker: str = ""
    maker: str = ""

    @property
    def size(self) -> Fraction:
        """Contracts in one lot."""
        return exact(self.lot)

    @property
    def lot_btc(self) -> Fraction:
        """Base currency in one lot."""
        return exact(self.contract) * self.size

    @property
    def quantum(self) -> Fraction:
        """Settlement currency of one lot and one tick."""
        return self.lot_btc * exact(self.tick)


@dataclass
class Answers:
    """Takes calls one by one.

    Attributes:
        orders: rows about an order, by its client id: the exchange's id, state, filled lots, cancelling source, mean.
        asked: when an order was asked for by its client id; ``denied`` how often it was not known.
        fills: rows of trades by their id, as told first; ``told_again`` those that came with other words, e.g. another
            bill. ``bills`` are rows of money by their id.
        largest: lots of an order at market at most, each number that was told.
        times: what the exchange's clock said.
        balances: pairs of cash and equity; ``since`` is the last bill before trading began.
        touched: books, in order, each with the look behind it; ``looked`` is every look.
        bars: open, high, low, close, volume of complete bars from ``first_ms`` on; ``forming`` the last that was not.
        wrong: number of a call, and what is wrong with it.
    """

    inst_id: str
    currency: str
    first_ms: int
    step_ms: int
    since: int = -1
    units: Units = field(default_factory=Units)
    posted: dict[str, list[Posted]] = field(default_factory=dict)
    orders: dict[str, set[tuple[str, str, int, str, str]]] = field(default_factory=dict)
    asked: dict[str, list[int]] = field(default_factory=dict)
    denied: dict[str, int] = field(default_factory=dict)
    fills: dict[str, dict[str, Any]] = field(default_factory=dict)
    told_again: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bills: dict[int, dict[str, Any]] = field(default_factory=dict)
    largest: set[int] = field(default_factory=set)
    times: set[int] = field(default_factory=set)
    balances: set[tuple[Fraction, Fraction]] = field(default_factory=set)
    leverages: list[str] = field(default_factory=list)
    account: dict[str, Any] = field(default_factory=dict)
    touched: list[Touched] = field(default_factory=list)
    looked: list[Looked] = field(default_factory=list)
    bars: list[list[str]] = field(default_factory=list)
    forming: list[str] | None = None
    wrong: list[tuple[int, str]] = field(default_factory=list)
    asking: Asking = field(init=False)
    _funded: Fraction = Fraction(0)
    _position: tuple[int, int, str | None, str | None] | None = None

    def take(self, call: Call) -> None:
        """Take one call."""
        path = call["path"].removeprefix(BASE)
        self._check_code(call)
        self.asking.look(call, path)
        before, self._position = self._position, None
        try:
            if call["method"] == "POST":
                self._post(call, path)
                return
            if path == "trade/order":
                self._asked(call)
            for row in rows_of(call):
                self._row(path, row, call, before)
            if path == "account/positions" and call["code"] == "0" and self._position is None:
                self._position = (call["number"], 0, None, None)
            elif call["code"] != "0":
                self._position = before  # a call that brought nothing stands between no two looks
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.wrong.append((call["number"], f"its answer cannot be read: {ascii(str(error))[:120]}"))

    def __post_init__(self) -> None:
        self.asking = Asking(self.inst_id, self.currency, self.step_ms, self.wrong)

    # ---- calls

    def _check_code(self, call: Call) -> None:
        """Code and outcome are what the answer says."""
        ok = call["outcome"] == "ok"
        if ok != (call["code"] == "0") or (ok and call["status"] != OK):
            what = f"outcome is {call['outcome']}, with the code {call['code']!a} and the status {call['status']}"
            self.wrong.append((call["number"], what))
        said = plain_json(call["response"])
        if call["status"] is None or not isinstance(said, dict) or not isinstance(said.get("code"), str):
            if call["code"].isdigit():
                self.wrong.append((call["number"], f"its code is {call['code']}, and no answer says so"))
            return
        code, rows = said["code"], said.get("data")
        if call["method"] == "POST" and isinstance(rows, list) and len(rows) == 1 and "sCode" in table(rows[0]):
            code = str(rows[0]["sCode"])
        if call["code"] != code and not call["code"].startswith("HTTP "):
            self.wrong.append((call["number"], f"its code is {call['code']!a}, the answer says {code!a}"))

    def _post(self, call: Call, path: str) -> None:
        if path != "trade/order":
            return
        name = str(table(plain_json(call["request_body"])).get("clOrdId"))
        said = table(plain_json(call["response"])).get("data")
        row = table(said[0]) if isinstance(said, list) and said else {}
        self.posted.setdefault(name, []).append(Posted(
            call["number"], call["started_ms"], call["request_body"], call["outcome"], call["code"],
            str(row.get("ordId", "")), str(row.get("ts", "")),
        ))  # fmt: skip

    def _asked(self, call: Call) -> None:
        name = next((one[8:] for one in call["query"].split("&") if one.startswith("clOrdId=")), "")
        self.asked.setdefault(name, []).append(call["started_ms"])
        if call["code"] in {"51600", "51601", "51602", "51603"}:
            self.denied[name] = self.denied.get(name, 0) + 1

    # ---- rows

    def _row(self, path: str, row: Any, call: Call, before: tuple[int, int, str | None, str | None] | None) -> None:
        if path == "market/candles":
            self._candle(row)
        elif path == "public/time":
            self.times.add(int(row["ts"]))
        elif path in {"trade/order", "trade/orders-pending", "trade/orders-history"}:
            self._order(row)
        elif path == "trade/fills" and row["instId"] == self.inst_id:
            self._fill(row, call)
        elif path == "account/bills":
            self._bill(int(row["billId"]), row, call)
        elif path == "market/books":
            self._book(row, call)
        elif path == "account/positions" and row["instId"] == self.inst_id:
            lots = whole(row["pos"], self.units.size)
            if lots:
                self._position = (call["number"], lots, row["avgPx"], row["markPx"])
        elif path == "account/balance":
            self._balance(row, call, before)
        else:
            self._setting(path, row)

    def _setting(self, path: str, row: Mapping[str, Any]) -> None:
        """What the opening reads; the first answer counts, but for leverage and account, where the last does."""
        units = self.units
        if path == "public/instruments" and row["instId"] == self.inst_id:
            self.largest.add(whole(row["maxMktSz"], exact(row["lotSz"])))
        if path == "public/instruments" and row["instId"] == self.inst_id and not units.lot:
            units.contract, units.lot, units.tick = row["ctVal"], row["lotSz"], row["tickSz"]
            units.min_lots = whole(row["minSz"], units.size)
            units.settles, units.group = row["settleCcy"], row["groupId"]
        elif path == "account/trade-fee" and not units.taker:
            (fees,) = [one for one in row["feeGroup"] if one["groupId"] == units.group]
            units.taker, units.maker = fees["taker"], fees["maker"]
        elif path == "account/leverage-info" and row["instId"] == self.inst_id:
            self.leverages.append(row["lever"])
        elif path == "account/config":
            self.account = dict(row)

    def _fill(self, row: dict[str, Any], call: Call) -> None:
        """A trade may come again under another bill; what was traded must not have changed."""
        first = self.fills.setdefault(row["tradeId"], row)
        if first == row:
            return
        if any(first[name] != row[name] for name in TRADED):
            self.wrong.append((call["number"], f"trade {row['tradeId']} is not as it was told before"))
        self.told_again.setdefault(row["tradeId"], []).append(row)

    def _bill(self, number: int, row: dict[str, Any], call: Call) -> None:
        if number not in self.bills and number > self.since and row["type"] == FUNDING:
            self._funded += exact(row["balChg"])
        if self.bills.setdefault(number, row) != row:
            self.wrong.append((call["number"], f"bill {number} is not as it was told before"))

    def _order(self, row: Mapping[str, Any]) -> None:
        if row["instId"] != self.inst_id:
            return
        filled = whole(row["accFillSz"], self.units.size)
        said = (row["ordId"], row["state"], filled, row["cancelSource"] or "", row["avgPx"] if filled else "")
        self.orders.setdefault(row["clOrdId"], set()).add(said)

    def _balance(
        self, row: Mapping[str, Any], call: Call, before: tuple[int, int, str | None, str | None] | None
    ) -> None:
        for one in row["details"]:
            if one["ccy"] == self.currency:
                self.balances.add((exact(one["cashBal"]), exact(one["eq"])))
                if before is not None:
                    look = Looked(before[0], call["number"], before[1], before[2], before[3], one["eq"])
                    self.looked.append(look)
                    if self.touched and self.touched[-1].looked is None:
                        self.touched[-1].looked, self.touched[-1].funded_then = look, self._funded

    def _book(self, row: Mapping[str, Any], call: Call) -> None:
        if not row["bids"] or not row["asks"]:
            return  # nobody offers anything: no touch
        tick = exact(self.units.tick)
        (bid, bid_size), (ask, ask_size) = row["bids"][0][:2], row["asks"][0][:2]
        prices = whole(bid, tick), whole(ask, tick)
        said = {
            "inst_id": self.inst_id, "ts_ms": int(row["ts"]), "bid": [prices[0], whole(bid_size, self.units.size)],
            "ask": [prices[1], whole(ask_size, self.units.size)],
        }  # fmt: skip
        digest = hashlib.sha256(canonical_bytes(said)).hexdigest()
        self.touched.append(Touched(call["number"], *prices, digest, funded=self._funded))

    def _candle(self, row: list[str]) -> None:
        if len(row) < CANDLE or int(row[0]) != self.first_ms + len(self.bars) * self.step_ms:
            return
        kept = [row[1], row[2], row[3], row[4], row[6]]
        if row[8] == "1":
            self.bars.append(kept)
            self.forming = None
        else:
            self.forming = kept

    def sums(self) -> Sums:
        """The bills since trading began, added up in their order."""
        made = Sums()
        for number in sorted(key for key in self.bills if key > self.since):
            row = self.bills[number]
            made.numbers.append(number)
            change = exact(row["balChg"])
            made.moved.append(made.moved[-1] + (change if row["ccy"] == self.currency else 0))
            made.funded.append(made.funded[-1] + (change if row["type"] == FUNDING else 0))
        return made


@dataclass
class Sums:
    """Bills since trading began, and what they moved up to each: one more sum than bills."""

    numbers: list[int] = field(default_factory=list)
    moved: list[Fraction] = field(default_factory=lambda: [Fraction(0)])
    funded: list[Fraction] = field(default_factory=lambda: [Fraction(0)])

    def until(self, bill: int) -> tuple[Fraction, Fraction]:
        """What all bills moved, and those of funding, up to a bill."""
        place = bisect_right(self.numbers, bill)
        return self.moved[place], self.funded[place]


def opening_bill(chain_opening: Mapping[str, Any]) -> int:
    """The number of the last bill before trading began; -1 where there was none."""
    said = chain_opening.get("last_bill")
    return int(said) if isinstance(said, str) and said.isdigit() and is_count(len(said)) else -1
