"""The rounds of netting held against chain, books and looks: each trade once, and all agents together the exchange.

A round's orders are those of the chain, in their order, each for what those before it left.

Standard library only.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Schema
from prometheus.v10.base.reading import open_regular
from prometheus.v10.evidence.derive.exchanged.answers_said import Answers, Touched
from prometheus.v10.evidence.derive.exchanged.exact_text import exact
from prometheus.v10.evidence.derive.exchanged.order_lives import BEFORE_OPENING, Chain
from prometheus.v10.evidence.derive.netted.rederived_round import (
    SETTLED,
    UNPROVED,
    broken_order,
    digits,
    is_first,
    misfits,
    order_ids,
    unclosed,
)
from prometheus.v10.evidence.derive.typed import differing
from prometheus.v10.evidence.records.canonical import is_canonical, strict_loads
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.schema_file import schema_of

LONGEST = 16 << 20
STOP = 4
"""The force of a round that closes everything at the end."""
INCOMPLETE = "CLOSE_INCOMPLETE"
"""Why trading is reduced behind a close that had to be whole and is not."""
ZERO_AT_ALL_TIMES = ("trades", "money", "price", "order", "limits")
Say = Callable[[str], None]
Line = dict[str, Any]


@dataclass
class Booked:
    """What the rounds come to.

    Attributes:
        bought: lots by agent before the settlement, ``sold`` likewise, and ``trades``: how many; ``last`` tick of one.
        fees: USDT that each agent was charged, the settlement included.
        held: lots by agent now.
        asked: hash of the wishes at the open of each tick.
        orders: client ids of all rounds' orders, in their order; of version 1 those of settled rounds alone.
        unasked: whether the exchange was not asked after the last round.
    """

    lines: int = 0
    gross: int = 0
    net: int = 0
    crossed: int = 0
    bought: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    sold: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    trades: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    last: dict[int, int] = field(default_factory=dict)
    fees: dict[int, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    held: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    orders: dict[str, None] = field(default_factory=dict)
    unasked: bool = False
    asked: dict[int, str] = field(default_factory=dict)
    flow: int = 0
    charged: Fraction = Fraction(0)
    end: Line | None = None


def lines_of(path: Path, say: Say) -> Iterator[Line]:
    """Every line that has its form.

    Raises:
        OSError: when it cannot be read.
        PrometheusError: when it is no regular file.
    """
    schema = schema_of(Schema.NETTING_ROUND)
    with os.fdopen(open_regular(path), "rb") as file:
        number = 0
        while text := file.readline(LONGEST):
            number += 1
            try:
                line = strict_loads(text)
            except ValueError as error:
                say(f"line {number}: {error}")
                continue
            wrong = schema.first(line) or next(iter(violations(line)), None)
            if wrong is None and not is_canonical(text.removesuffix(b"\n"), line):
                wrong = "not canonical"
            if wrong is not None:
                say(f"line {number}: {wrong}")
                continue
            yield line


class Rounds:
    """One pass over the lines."""

    def __init__(
        self, run_id: str, chain: Chain, said: Answers, equity: Fraction, tolerance: str, say: Say, *, failed: bool
    ) -> None:
        self.run_id, self.chain, self.said, self.equity, self.tolerance = run_id, chain, said, equity, tolerance
        self.failed, self.say, self.booked, self._first = failed, say, Booked(), True

    def check(self, lines: Iterator[Line]) -> Booked:
        """Hold every line against the rest; what is behind the last line is the chain's."""
        for what in broken_order(self._each(lines)):
            self.say(what)
        booked, own = self.booked, self.chain.since_opening()
        for life in own:
            if life.client_id not in booked.orders and (life.fills or not self._first):
                self.say(f"order {life.client_id} was {'filled' if life.fills else 'meant'}, and no round has it")
        if not self._first and list(booked.orders) != [one.client_id for one in own if one.client_id in booked.orders]:
            self.say("the orders of the rounds are not in the order of the chain")
        reasons = (self.chain.trading or {}).get("reasons", [])
        if booked.end is not None and not self._first and unclosed(booked.end) and INCOMPLETE not in reasons:
            self.say(f"the last close had to be whole and is not, and the chain does not say {INCOMPLETE}")
        return booked

    def _each(self, lines: Iterator[Line]) -> Iterator[Line]:
        touched = iter(self.said.touched)
        book: Touched | None = None
        for line in lines:
            self.booked.lines += 1
            if book is None:
                book = next(touched, None)
            for what in self._wrong(line, book):
                self.say(f"line {self.booked.lines}: {what}")
            if line["status"] != UNPROVED:
                book = None
            yield line

    def _wrong(self, line: Line, book: Touched | None) -> list[str]:
        found = misfits(line)
        if self.booked.end is not None and not self.booked.end["holds"]:
            found.append("it follows a round that breaks an invariant: the session stops there")
        if self.booked.unasked:
            found.append("it follows a round after which the exchange was not asked: the session stops there")
        units = self.said.units
        head = {
            "run_id": self.run_id, "instrument": self.said.inst_id, "lot_btc": digits(units.lot_btc),
            "tick_usdt": digits(exact(units.tick)), "min_lots": units.min_lots,
            "taker_rate": digits(-exact(units.taker)),
        }  # fmt: skip
        if book is None:
            found.append("no book was read before it")
        else:
            head |= {"book_sha256": book.sha256, "bid_ticks": book.bid, "ask_ticks": book.ask}
        found += differing({name: line[name] for name in head}, head)
        if digits(exact(line["reserve"]) - exact(line["surplus_total"])) != line["reserve_without_surplus"]:
            found.append("the reserve is not the one without the surplus, and the surplus")
        self._first = is_first(line)
        found += self._order(line) if self._first else self._orders(line)
        if not self._first:
            self.booked.orders |= dict.fromkeys(order_ids(line))
        if line["status"] != UNPROVED and not found:
            self._book(line)
            if book is not None:
                found += self._residuals(line, book)
        return found

    def _order(self, line: Line) -> list[str]:
        """The round's order is on the chain: as many lots, for the same agents, with the same trades."""
        name = line["client_order_id"]
        if name is None:
            return []
        life = self.chain.lives.get(name)
        if life is None or life.intent["purpose"] == BEFORE_OPENING:
            return [f"its order {name} is not on the chain"]
        lots = line["net_lots"]
        meant = {
            "tick": line["tick"], "side": "buy" if lots > 0 else "sell", "lots": abs(lots),
            "parts": [[f"a{row[0]}", row[2]] for row in line["wishes"]],
        }  # fmt: skip
        found = differing({key: life.intent[key] for key in meant}, meant, f"order {name}")
        if line["status"] == UNPROVED:
            return found
        if life.is_open:
            found.append(f"it is settled, and its order {name} is open")
        fills = {one["trade_id"]: (one["lots"], one["price_ticks"], exact(one["fee"])) for one in line["fills"]}
        told = {key: (one["lots"], one["price_ticks"], exact(one["fee"])) for key, one in life.fills.items()}
        if fills != told:
            found.append(f"its fills are not those of its order {name}")
        return found

    def _orders(self, line: Line) -> list[str]:
        """The round's orders are on the chain: for the same agents, with the same trades, each for what was left."""
        found: list[str] = []
        left, proved = line["net_lots"], line["status"] != UNPROVED
        trades: dict[str, dict[str, Any]] = defaultdict(dict)
        for one in line["fills"]:
            numbers = (one["lots"], one["price_ticks"], exact(one["fee"]))
            trades[one.get("client_order_id", "")][one["trade_id"]] = numbers
        orders = line.get("orders", [])
        for one in orders:
            name, lots = one["client_order_id"], one["lots"]
            life = self.chain.lives.get(name)
            if life is None or life.intent["purpose"] == BEFORE_OPENING:
                return [*found, f"its order {name} is not on the chain"]
            meant = {
                "tick": line["tick"], "side": "buy" if lots > 0 else "sell", "lots": abs(lots), "purpose": "net",
                "parts": [[f"a{row[0]}", row[2]] for row in line["wishes"]],
            }  # fmt: skip
            found += differing({key: life.intent[key] for key in meant}, meant, f"order {name}")
            closes = abs(life.before) if life.intent["reduce_only"] else 0
            if abs(lots) not in {min(abs(left), most) for most in (abs(left), closes, *self.said.largest) if most}:
                found.append(f"order {name} is for {lots} lots, {left} were left")
            told = {key: (fill["lots"], fill["price_ticks"], exact(fill["fee"])) for key, fill in life.fills.items()}
            if proved and trades[name] != told:
                found.append(f"its fills are not those of its order {name}")
            if life.is_open and (proved or one is not orders[-1]):
                found.append(f"it is settled, and its order {name} is open")
            left -= life.sign * life.lots
        return found

    def _book(self, line: Line) -> None:
        booked, quantum = self.booked, self.said.units.quantum
        booked.end = line
        sign, rate = (1 if line["net_lots"] > 0 else -1), exact(line["taker_rate"])
        for one in line["fills"]:
            booked.flow -= sign * one["lots"] * one["price_ticks"]
            booked.charged -= exact(one["fee"])
        booked.orders |= dict.fromkeys(order_ids(line))
        if not any(row[3] for row in line["wishes"]):
            wishes = [(row[0], row[2]) for row in line["wishes"]]
            booked.asked.setdefault(line["tick"], wishes_sha256(wishes))
        force = {row[0]: row[3] for row in line["wishes"]}
        for agent, lots, _ in line["shares"]:
            booked.held[agent] += lots
            value = abs(lots) * Fraction(*line["buy_price" if lots > 0 else "sell_price"])
            if not line["holds"] or unclosed(line):
                continue  # the session stopped there: the lives of its agents know nothing of it
            booked.fees[agent] += rate * -(-value // 1) * quantum
            if lots and force[agent] != STOP:
                (booked.bought if lots > 0 else booked.sold)[agent] += abs(lots)
                booked.trades[agent] += 1
                booked.last[agent] = max(line["tick"], booked.last.get(agent, -1))
        if line["status"] == SETTLED:
            booked.gross += sum(abs(lots) for _, lots, _ in line["shares"])
            booked.net += line["filled_lots"]
            booked.crossed += line["crossed_lots"]

    def _residuals(self, line: Line, book: Touched) -> list[str]:
        """Position and equity by what the exchange said right after the round; the other five are 0."""
        look, booked, units = book.looked, self.booked, self.said.units
        found = {one["name"]: one for one in line["residuals"]}
        wrong = [f"{name} is {found[name]['residual']}, not 0" for name in ZERO_AT_ALL_TIMES
                 if found[name]["residual"] != "0"]  # fmt: skip
        if found["equity"]["residual"] is None and not self._first and (look is None or self.failed):
            booked.unasked = True  # the books stand for the exchange, and nothing follows
            return wrong if found["position"]["residual"] == "0" else [*wrong, "the residual of position is not 0"]
        if look is None:
            return [*wrong, "the exchange was not looked at after it"]
        lots = sum(booked.held.values())
        mark = exact(look.mark) if look.mark and look.lots else Fraction(1)
        within = len(order_ids(line)) > 1  # funding that came between two orders is the house's
        funded = book.funded_then if within else book.funded
        worth = self.equity + booked.flow * units.quantum - booked.charged + funded + lots * mark * units.lot_btc
        derived = {"position": digits(Fraction(lots - look.lots)), "equity": digits(worth - exact(look.equity))}
        for name, value in derived.items():
            if found[name]["residual"] != value:
                wrong.append(f"the residual of {name} is {found[name]['residual']}, by the exchange's word {value}")
        tolerances = {"position": "0", "trades": "0", "money": "0.00000001", "price": "0", "order": "0", "limits": "0",
                      "equity": digits(exact(self.tolerance))}  # fmt: skip
        wrong += [f"the tolerance of {name} is {found[name]['tolerance']}, not {value}"
                  for name, value in tolerances.items() if found[name]["tolerance"] != value]  # fmt: skip
        return wrong


def wishes_sha256(wishes: list[tuple[int, int]]) -> str:
    """A hash over agents and lots, in the order of agents: what an open was for takes no more room than that."""
    return hashlib.sha256("".join(f"{agent} {lots}\n" for agent, lots in wishes).encode("ascii")).hexdigest()


def end_of(booked: Booked, chain: Chain) -> Mapping[str, Any]:
    """What a manifest says of the rounds."""
    end = booked.end
    return {
        "rounds": booked.lines, "gross_lots": booked.gross, "net_lots": booked.net, "crossed_lots": booked.crossed,
        "orders": len(chain.lives), "fills": sum(len(one.fills) for one in chain.lives.values()),
        **({} if end is None else {
            "surplus": end["surplus_total"], "reserve": end["reserve"],
            "reserve_without_surplus": end["reserve_without_surplus"],
        }),
    }  # fmt: skip
