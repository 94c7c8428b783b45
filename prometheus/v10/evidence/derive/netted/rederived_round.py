"""A line of ``netting_rounds.jsonl`` derived again from its own bytes, and the lines of a run held against each other.

It shares no code with the netting that wrote the line: it reads wishes, book, fills and rates, works out sides, prices,
shares and money by the rule of docs/netting.md, and says where the line differs. Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

SCHEMA = "netting_round/1"
SETTLED, DEFERRED, UNPROVED = "settled", "deferred", "unproved"
NAMES = ["position", "trades", "money", "price", "equity", "order", "limits"]

MOST_PLACES = 100
"""Digits behind the point, at most: a fraction without an end is cut there."""
OF_A_RESULT = (
    "filled_lots", "mean_price", "buy_price", "sell_price", "allocation_sha256", "spread_quanta", "rounding_quanta",
    "fees", "fee_due", "fee_paid", "surplus", "holds",
)  # fmt: skip
"""What a round does not have while its order is not proved."""

Line = Mapping[str, Any]
Row = Sequence[int]


def misfits(line: Line) -> list[str]:
    """Everything in which a line is not what its own wishes, book and fills imply; empty when it is.

    The line must have the form of its schema; what is not of it is an exception, not a sentence.
    """
    found = _wishes(line)
    buy = sum(max(row[2], 0) for row in line["wishes"])
    sell = sum(max(-row[2], 0) for row in line["wishes"])
    net, small = buy - sell, abs(buy - sell) < line["min_lots"] and buy != sell
    wanted: dict[str, Any] = {
        "schema": SCHEMA, "deltas_sha256": _hashed(line["wishes"]), "buy_lots": buy, "sell_lots": sell,
        "crossed_lots": min(buy, sell), "net_lots": net,
    }  # fmt: skip
    if not 0 < line["bid_ticks"] <= line["ask_ticks"]:
        found.append("the book is crossed or empty")
    if (line["client_order_id"] is None) == (net != 0 and not small):
        found.append("an order is named where none was sent, or none where one was")
    if line["status"] == UNPROVED:
        wanted |= {"fills": [], "shares": [], "residuals": [], **dict.fromkeys(OF_A_RESULT)}
    else:
        wanted["status"] = DEFERRED if small else SETTLED
        sent = 0 if small else net
        wanted |= _settlement(line, sent)
        found += _fills(line, abs(sent)) + _residuals(line)
    wrong = [name for name, value in wanted.items() if line[name] != value]
    return found + [f"{name} is {str(line[name])[:80]}, not {str(wanted[name])[:80]}" for name in wrong]


def broken_order(lines: Iterable[Line]) -> list[str]:
    """Everything in which the lines of a run do not follow each other; empty when they do.

    Ticks do not fall, a round whose order is not proved is settled before the next one, no order is sent twice, no
    trade comes twice, an agent holds what its rounds left it with, and the sub-ledger is the sum of the surpluses. What
    the exchange closed by itself between two rounds is not known here: such a run's positions are told by its bills.
    """
    found: list[str] = []
    held: dict[int, int] = {}
    trades: set[str] = set()
    orders: set[str] = set()
    tick, waiting, surplus = -1, None, Fraction(0)
    for number, line in enumerate(lines, 1):
        where = f"line {number}"
        order = line["client_order_id"]
        if waiting is not None and (line["status"] == UNPROVED or order != waiting or line["tick"] != tick):
            found.append(f"{where}: the order {waiting} of tick {tick} was not proved before")
        if order in orders and order != waiting:
            found.append(f"{where}: the order {order} was sent before")
        if line["tick"] < tick:
            found.append(f"{where}: tick {line['tick']} comes after tick {tick}")
        tick, waiting = line["tick"], order if line["status"] == UNPROVED else None
        orders |= {order} - {None}
        for agent, has, _, _ in line["wishes"]:
            if agent in held and held[agent] != has:
                found.append(f"{where}: agent {agent} holds {has}, and was left with {held[agent]}")
            held[agent] = has
        for agent, lots, _ in line["shares"]:
            held[agent] += lots
        again = trades & {fill["trade_id"] for fill in line["fills"]}
        found += [f"{where}: trade {one} was booked before" for one in sorted(again)]
        trades |= {fill["trade_id"] for fill in line["fills"]}
        surplus += Fraction(line["surplus"] or 0)
        if Fraction(line["surplus_total"]) != surplus:
            found.append(f"{where}: surplus_total is {line['surplus_total']}, not {float(surplus)!r}")
    return found


def _wishes(line: Line) -> list[str]:
    agents = [row[0] for row in line["wishes"]]
    found = [] if agents == sorted(set(agents)) else ["the wishes are not in the order of their agents, each once"]
    for agent, held, lots, force in line["wishes"]:
        if lots == 0 or not 0 <= force <= 4:
            found.append(f"agent {agent} wishes for nothing, or by an unknown force")
        if force and not (lots * held < 0 and abs(lots) <= abs(held)):
            found.append(f"agent {agent} is forced to trade what it does not hold")
    return found


def _fills(line: Line, ordered: int) -> list[str]:
    ids = [fill["trade_id"] for fill in line["fills"]]
    found = [] if len(set(ids)) == len(ids) else ["a trade stands in it twice"]
    if line["filled_lots"] > ordered:
        found.append(f"{line['filled_lots']} lots are filled of an order for {ordered}")
    empty = [one for one in line["fills"] if one["lots"] < 1 or one["price_ticks"] < 1]
    return [*found, *("a fill has no lots or no price" for _ in empty)]


def _residuals(line: Line) -> list[str]:
    """Each is judged again, and those that follow from the line alone are none."""
    found = [] if [one["name"] for one in line["residuals"]] == NAMES else ["the residuals are not the seven"]
    for one in line["residuals"]:
        residual = one["residual"]
        holds = residual is None or abs(Fraction(residual)) <= Fraction(one["tolerance"])
        if one["holds"] != holds:
            found.append(f"{one['name']} says {one['holds']} of {residual} within {one['tolerance']}")
    if line["holds"] != all(one["holds"] for one in line["residuals"]):
        found.append(f"holds is {line['holds']}, and its residuals say otherwise")
    return found


def _settlement(line: Line, net: int) -> dict[str, Any]:
    """Fields that follow from wishes, book, fills and rates."""
    filled = sum(fill["lots"] for fill in line["fills"])
    outside = sum(fill["lots"] * fill["price_ticks"] for fill in line["fills"])
    crossed = 0 if line["status"] == DEFERRED else min(line["buy_lots"], line["sell_lots"])
    mean, buy, sell = _prices(line, net, Fraction(outside, filled) if filled else None)
    lots = _allocation(line, crossed + filled, 1 if net >= 0 else -1)
    quantum = Fraction(line["lot_btc"]) * Fraction(line["tick_usdt"])
    rate = Fraction(line["taker_rate"])
    shares, charged, gain = [], 0, -outside if net > 0 else outside
    for agent, got in lots:
        value = abs(got) * (buy if got > 0 else sell)
        above, below = -(-value // 1), value // 1
        charged += above
        gain += above if got > 0 else -below
        shares.append([agent, got, above if got > 0 else below])
    spread = crossed * (buy - sell) // 1
    fees, due = rate * charged * quantum, rate * outside * quantum
    paid = -sum((Fraction(fill["fee"]) for fill in line["fills"]), Fraction(0))
    return {
        "filled_lots": filled, "mean_price": _pair(mean), "buy_price": _pair(buy), "sell_price": _pair(sell),
        "shares": shares, "allocation_sha256": _hashed(shares), "spread_quanta": spread,
        "rounding_quanta": gain - spread, "fees": digits(fees), "fee_due": digits(due), "fee_paid": digits(paid),
        "surplus": digits(spread * quantum + fees - due),
    }  # fmt: skip


def _prices(line: Line, net: int, mean: Fraction | None) -> tuple[Fraction, Fraction, Fraction]:
    bid, ask = Fraction(line["bid_ticks"]), Fraction(line["ask_ticks"])
    if net == 0:
        return (bid + ask) / 2, ask, bid
    if net > 0:
        mean = ask if mean is None else mean
        return mean, mean, min(bid, mean)
    mean = bid if mean is None else mean
    return mean, max(ask, mean), mean


def _allocation(line: Line, lots: int, heavy: int) -> list[tuple[int, int]]:
    """The light side in full, the heavy side by largest remainders, forced closes first."""
    if line["status"] == DEFERRED:
        return [(row[0], 0) for row in line["wishes"]]
    got = {row[0]: row[2] if row[2] * heavy < 0 else 0 for row in line["wishes"]}
    for forced in (True, False):
        rows = [row for row in line["wishes"] if row[2] * heavy > 0 and bool(row[3]) == forced]
        wanted = sum(abs(row[2]) for row in rows)
        share = min(lots, wanted)
        lots -= share
        exact = {row[0]: Fraction(share * abs(row[2]), wanted) for row in rows}
        ties = {agent: f"{line['run_id']}:{line['tick']}:{agent}".encode() for agent in exact}
        queue = sorted(exact, key=lambda agent: (-(exact[agent] % 1), hashlib.sha256(ties[agent]).digest()))
        more = share - sum(value // 1 for value in exact.values())
        for place, agent in enumerate(queue):
            got[agent] = heavy * (exact[agent] // 1 + (place < more))
    return sorted(got.items())


def _hashed(rows: Iterable[Row]) -> str:
    return hashlib.sha256("".join(" ".join(map(str, row)) + "\n" for row in rows).encode("ascii")).hexdigest()


def _pair(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


def digits(value: Fraction) -> str:
    """A decimal fraction as its digits, without an exponent or zeros that say nothing."""
    places, scaled = 0, value
    while scaled.denominator != 1 and places < MOST_PLACES:
        scaled, places = scaled * 10, places + 1
    text = str(abs(scaled.numerator // scaled.denominator)).rjust(places + 1, "0")
    if places:
        text = f"{text[: len(text) - places]}.{text[len(text) - places :]}"
    return f"-{text}" if value < 0 else text
