"""The order chain held against what the exchange said: nothing is booked that it did not say, and nothing is left out.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from prometheus.v10.evidence.derive.exchanged.answers_said import Answers, Posted, Sums
from prometheus.v10.evidence.derive.exchanged.exact_text import exact, whole
from prometheus.v10.evidence.derive.exchanged.order_lives import Chain, Life
from prometheus.v10.evidence.derive.typed import differing, plain_json, table

Say = Callable[[str], None]
WEEK_MS, MARGIN_MS = 7 * 86_400_000, 60_000
"""How far before the opening bills are asked for, and how far before an order's intent its records are."""
NOT_SENT = "unavailable"
"""Outcome of a request of which no byte left."""


def check_orders(chain: Chain, said: Answers, expire_after: object, say: Say) -> None:
    """Every order of the chain against its request, its answers and its trades, and the other way round.

    Args:
        chain: as it was read.
        said: by the exchange.
        expire_after: of the configuration: ms after its intent at which an order expires.
        say: hears what is wrong.
    """
    for life in chain.lives.values():
        if life.intent["expire_ms"] - life.intent["planned_ms"] != expire_after:
            say(f"order {life.client_id} does not expire when the configuration says")
        for what in _wrong(life, said):
            say(f"order {life.client_id}: {what}")
    for name in sorted(said.posted.keys() - chain.lives.keys()):
        say(f"order {name} was sent, and is not on the chain")
    for trade, row in said.fills.items():
        owner = chain.lives.get(row.get("clOrdId", ""))
        if owner is not None and trade not in owner.fills:
            say(f"order {owner.client_id}: trade {trade} was told by the exchange, and is not booked")


def _wrong(life: Life, said: Answers) -> list[str]:
    posts = said.posted.get(life.client_id, [])
    found = _request(life, posts, said)
    if life.sent is not None and life.answer is not None and posts:
        found += _answer(life, posts[0])
    rows, asked = said.orders.get(life.client_id, set()), said.asked.get(life.client_id, [])
    for query in life.queries:
        if not asked or query["asked_ms"] < min(asked):
            found.append("a query without a call that asks")
        if query["found"]:
            found += _told(query, rows)
    silent = sum(not one["found"] for one in life.queries)
    if silent > said.denied.get(life.client_id, 0):
        found.append(f"{silent} queries found nothing, the exchange said so {said.denied.get(life.client_id, 0)} times")
    for trade, fill in life.fills.items():
        found += _fill(trade, fill, life, said)
    ended = life.ended
    if ended is not None and ended["state"] in {"filled", "canceled", "mmp_canceled"}:
        words = (ended.get("order_id"), ended["state"], ended["filled_lots"], ended.get("cancel_source", ""))
        if not any((one[0], one[1], one[2], one[3]) == words for one in rows):
            found.append(f"ended as {ended['state']} with {ended['filled_lots']} lots, which no answer says")
    return found


def _request(life: Life, posts: list[Posted], said: Answers) -> list[str]:
    """One request at most, with the bytes that were meant, behind the intent; they say what the intent does."""
    found = []
    if len(posts) > 1:
        found.append(f"it was sent {len(posts)} times")
    left = [one for one in posts if one.outcome != NOT_SENT]
    if (life.sent is not None) != bool(left) and not (life.is_open and life.sent is None):
        found.append(f"{'sent' if life.sent else 'not sent'} by the chain, by the calls {len(left)} requests left")
    for one in posts:
        if one.body != life.intent["body"]:
            found.append("its request has another body than its intent")
        if one.started_ms < life.intent["planned_ms"]:
            found.append("its request began before it was meant")
        if life.sent is not None and one.started_ms < life.sent["started_ms"]:
            found.append("its request began before it was sent")
    return found + differing(dict(table(plain_json(life.intent["body"]))), _body(life, said), "body")


def _body(life: Life, said: Answers) -> dict[str, Any]:
    """What the bytes of an intent must say: every field that shapes the order, none left to a default."""
    intent = life.intent
    size = float(intent["lots"] * said.units.size)
    spelt = plain_json(intent["body"])
    sz = table(spelt).get("sz")
    right = isinstance(sz, str) and _same(sz, intent["lots"] * said.units.size)
    made = {
        "instId": intent["inst_id"], "tdMode": intent["margin_mode"], "side": intent["side"], "posSide": "net",
        "ordType": intent["order_type"], "sz": sz if right else f"{size:g}", "reduceOnly": intent["reduce_only"],
        "stpMode": intent["stp_mode"], "clOrdId": life.client_id,
    }  # fmt: skip
    if intent["tag"]:
        made["tag"] = intent["tag"]
    return made


def _same(text: str, value: Fraction) -> bool:
    try:
        return exact(text) == value
    except ValueError:
        return False


def _answer(life: Life, post: Posted) -> list[str]:
    kind, payload = life.answer or ("", {})
    if kind == "ACK":
        right = post.outcome == "ok" and payload["order_id"] == post.order_id
        right = right and ("ts_ms" not in payload or str(payload["ts_ms"]) == post.ts)
    elif kind == "REFUSED":
        right = post.outcome == "refused" and payload["code"] == post.code
    else:
        right = post.outcome not in {"ok", "refused"} and payload["code"] in {post.code, ""}
    return [] if right else [f"{kind} is not what the answer to its request says"]


def _told(query: Mapping[str, Any], rows: set[tuple[str, str, int, str, str]]) -> list[str]:
    words = (query["order_id"], query.get("state", ""), query["filled_lots"], query.get("cancel_source", ""))
    means = [one[4] for one in rows if one[:4] == words]
    if not means:
        return [f"a query says {query.get('state')} with {query['filled_lots']} lots, which no answer does"]
    mean = query.get("average_price")
    if not any((mean is None and not one) or (mean is not None and one and exact(mean) == exact(one)) for one in means):
        return [f"a query says the mean price {mean}, which no answer does"]
    return []


def _fill(trade: str, fill: Mapping[str, Any], life: Life, said: Answers) -> list[str]:
    row = said.fills.get(trade)
    if row is None:
        return [f"trade {trade} is booked, and no answer tells of it"]
    again = (one for one in said.told_again.get(trade, []) if one["billId"] == fill["bill_id"])
    row, units = next(again, row), said.units
    told = {
        "inst_id": row["instId"], "trade_id": row["tradeId"], "order_id": row["ordId"], "bill_id": row["billId"],
        "side": row["side"], "lots": whole(row["fillSz"], units.size),
        "price_ticks": whole(row["fillPx"], exact(units.tick)), "fee": fill["fee"], "fee_currency": row["feeCcy"],
        "exec_type": row["execType"], "ts_ms": int(row["ts"]),
    }  # fmt: skip
    wrong = differing(dict(fill), told, f"trade {trade}")
    if exact(fill["fee"]) != exact(row["fee"]):
        wrong.append(f"trade {trade}: fee is {fill['fee']}, the exchange says {row['fee']}")
    if row["clOrdId"] != life.client_id:
        wrong.append(f"trade {trade} is of the order {row['clOrdId']!a}")
    return wrong


# ---- the account -----------------------------------------------------------------------------------------------------


def check_account(chain: Chain, said: Answers, claim: Mapping[str, Any], say: Say) -> None:
    """The opening and each reconciliation against balances, bills, times and settings that were told."""
    opening = chain.opening
    if opening is None:
        return
    units = said.units
    derived = {
        **opening, "inst_id": said.inst_id, "uid": said.account.get("uid"),
        "margin_mode": table(claim.get("instrument")).get("margin_mode", opening["margin_mode"]),
    }  # fmt: skip
    for what in differing(dict(opening), derived, "OPENING"):
        say(what)
    numbers = (
        ("taker", exact(units.taker)), ("maker", exact(units.maker)), ("quantum", units.quantum),
        ("leverage", exact(said.leverages[-1]) if said.leverages else Fraction(0)),
    )  # fmt: skip
    for name, value in numbers:
        if exact(opening[name]) != value:
            say(f"OPENING.{name} is {opening[name]}, by the calls {float(value):g}")
    if opening["opened_ms"] not in said.times:
        say("OPENING.opened_ms is no time that the exchange told")
    if (exact(opening["cash"]), exact(opening["equity"])) not in said.balances:
        say("OPENING: the exchange told of no such balance")
    sums = said.sums()
    for look, position, trades in chain.looks:
        _check_look(look, position, trades, chain, said, sums, say)


def _check_look(
    look: Mapping[str, Any], position: int, trades: list[str], chain: Chain, said: Answers, sums: Sums, say: Say
) -> None:
    opening = chain.opening or {}
    fees = sum((exact(chain.lives[chain.trades[one]].fills[one]["fee"]) for one in trades), Fraction(0))
    bill = int(look.get("last_bill", opening.get("last_bill", "-1")))
    moved, funded = sums.until(bill)
    where = f"RECONCILED at {look['looked_ms']}"
    for name, found, derived in (
        ("position_lots", Fraction(look["position_lots"]), Fraction(position)), ("fees", exact(look["fees"]), fees),
        ("funding", exact(look["funding"]), funded), ("cash", exact(look["cash"]), exact(opening["cash"]) + moved),
    ):  # fmt: skip
        if found != derived:
            say(f"{where}: {name} is {look[name]}, by fills and bills {float(derived):g}")
    if (exact(look["cash"]), exact(look["equity"])) not in said.balances:
        say(f"{where}: the exchange told of no such balance")
    if look["looked_ms"] not in said.times or look["inst_id"] != said.inst_id:
        say(f"{where}: another instrument, or no time that the exchange told")
    if "last_bill" in look and bill >= 0 and bill != int(opening.get("last_bill", "-1")):
        row = said.bills.get(bill)
        if row is None or int(row["ts"]) != look.get("last_bill_ms"):
            say(f"{where}: no answer tells of bill {bill} at that time")
    if "last_fill" in look:
        every = [*said.fills.values(), *(one for more in said.told_again.values() for one in more)]
        told = {(one["billId"], int(one["ts"])) for one in every}
        if (look["last_fill"], look.get("last_fill_ms")) not in told:
            say(f"{where}: no answer tells of that last fill")


def check_begins(chain: Chain, said: Answers, say: Say) -> None:
    """A list is asked for from a moment on that the exchange told, or that an order was meant at."""
    meant = {one.intent["planned_ms"] for one in chain.lives.values()}
    for number, begin in said.asking.begins.items():
        if not (begin in said.times or begin + WEEK_MS in said.times or begin + MARGIN_MS in meant):
            say(f"call {number} asks from {begin} on, which is no moment of this run")


def check_positions(chain: Chain, said: Answers, say: Say, *, asked: bool) -> None:
    """The last look at the account shows the position that the booked trades make.

    Not where an order is open, nor where trading was halted: what halts it may be that very difference. ``asked``:
    whether the exchange was asked after the last round.
    """
    halted = (chain.trading or {}).get("state") == "HALTED"
    if said.looked and asked and not halted and not any(one.is_open for one in chain.lives.values()):
        last = said.looked[-1].lots
        if last != chain.position:
            say(f"the exchange holds {last} lots at the end, the booked trades make {chain.position}")
