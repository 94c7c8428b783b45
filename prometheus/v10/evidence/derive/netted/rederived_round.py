"""A line of ``netting_rounds.jsonl`` derived again from its own bytes, and the lines of a run held against each other.

It shares no code with the netting that wrote the line: it reads wishes, book, fills and rates, works out sides, prices,
shares and money by the rule of docs/netting.md, and says where the line differs. Standard library only.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

SCHEMA, SCHEMA_2 = "netting_round/1", "netting_round/2"
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
        "schema": SCHEMA if is_first(line) else SCHEMA_2, "deltas_sha256": _hashed(line["wishes"]), "buy_lots": buy,
        "sell_lots": sell, "crossed_lots": min(buy, sell), "net_lots": net,
    }  # fmt: skip
    if not 0 < line["bid_ticks"] <= line["ask_ticks"]:
        found.append("the book is crossed or empty")
    if (line["client_order_id"] is None) == (net != 0 and not small):
        found.append("an order is named where none was sent, or none where one was")
    found += _of_version_1(line) if is_first(line) else _orders(line, 0 if small else net)
    if line["status"] == UNPROVED:
        wanted |= {"fills": [], "shares": [], "residuals": [], **dict.fromkeys(OF_A_RESULT)}
    else:
        wanted["status"] = DEFERRED if small else SETTLED
        sent = 0 if small else net
        wanted |= _settlement(line, sent)
        found += _fills(line, abs(sent)) + _residuals(line)
    wrong = [name for name, value in wanted.items() if line[name] != value]
    return found + [f"{name} is {str(line[name])[:80]}, not {str(wanted[name])[:80]}" for name in wrong]


def is_first(line: Line) -> bool:
    """Whether a line is of version 1, in which a round has one order at most."""
    return bool(line["schema"] == SCHEMA)


def order_ids(line: Line) -> list[str]:
    """Client ids of a round's orders, in the order in which they were sent."""
    if not is_first(line):
        return [one["client_order_id"] for one in line.get("orders", [])]
    return [] if line["client_order_id"] is None else [line["client_order_id"]]


def unclosed(line: Line) -> int:
    """Lots, unsigned, that forced closes of a settled or deferred line wanted and did not get."""
    got = {agent: lots for agent, lots, _ in line["shares"]}
    return sum(abs(row[2] - got.get(row[0], 0)) for row in line["wishes"] if row[3])


def broken_order(lines: Iterable[Line]) -> list[str]:
    """Everything in which the lines of a run do not follow each other; empty when they do.

    Ticks do not fall, a round whose order is not proved is settled before the next one, no order is sent twice, no
    trade comes twice, an agent holds what its rounds left it with, and the sub-ledger is the sum of the surpluses.
    Nothing follows a close that had to be whole and is not. All lines are of one version. What the exchange closed by
    itself between two rounds is not known here: such a run's positions are told by its bills.
    """
    found: list[str] = []
    held: dict[int, int] = {}
    trades: set[str] = set()
    orders: set[str] = set()
    versions: set[str] = set()
    waiting: list[str] = []
    tick, surplus, left_open = -1, Fraction(0), False
    for number, line in enumerate(lines, 1):
        where = f"line {number}"
        names, unproved = order_ids(line), line["status"] == UNPROVED
        versions.add(line["schema"])
        if waiting and (unproved or names != waiting or line["tick"] != tick):
            found.append(f"{where}: the order {waiting[-1]} of tick {tick} was not proved before")
        found += [f"{where}: the order {one} was sent before" for one in names if one in orders and one not in waiting]
        if left_open:
            found.append(f"{where}: it follows a close that had to be whole and is not: the session stops there")
        if line["tick"] < tick:
            found.append(f"{where}: tick {line['tick']} comes after tick {tick}")
        tick, waiting = line["tick"], names if unproved else []
        left_open = not is_first(line) and not unproved and unclosed(line) > 0
        orders |= set(names)
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
    return found if len(versions) < 2 else [*found, "its lines are of two versions"]


def _of_version_1(line: Line) -> list[str]:
    more = {"orders", "left_lots"} & line.keys() or any("client_order_id" in fill for fill in line["fills"])
    return ["it is of version 1, and says more than one order could"] if more else []


def _orders(line: Line, net: int) -> list[str]:
    """Each order asks for what those before it left; only a close that must be whole takes a second one."""
    names = order_ids(line)
    found = [] if line["client_order_id"] == (names[0] if names else None) else ["client_order_id is not its first"]
    if "orders" not in line:
        found.append("its orders are left out")
    if len(set(names)) != len(names):
        found.append("an order stands in it twice")
    if len(names) > 1 and not any(row[3] for row in line["wishes"]):
        found.append(f"{len(names)} orders, and no close that must be whole")
    filled: Counter[str] = Counter()
    for fill in line["fills"]:
        filled[fill.get("client_order_id", "")] += fill["lots"]
    found += [f"a fill is of the order {one!a}, which is not its own" for one in sorted(filled.keys() - set(names))]
    left, side = net, 1 if net > 0 else -1
    for one in line.get("orders", []):
        name, lots = one["client_order_id"], one["lots"]
        if not 0 < lots * side <= left * side:
            found.append(f"the order {name} is for {lots} lots, {left} were left")
        if filled[name] > abs(lots):
            found.append(f"{filled[name]} lots are filled of the order {name} for {lots}")
        left -= side * filled[name]
    proved = line["status"] != UNPROVED
    if line.get("left_lots") != (left if proved else None) or ("left_lots" in line) != proved:
        found.append(f"left_lots is {line.get('left_lots')}, not {left if proved else None}")
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
