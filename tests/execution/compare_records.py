"""Compares a venue's journal with what a session kept: order chain, raw calls, netting rounds. Imports neither side.

    python tests/execution/compare_records.py JOURNAL FOLDER

Standard library only. Prints one line for each difference; exit 0 only if there is none.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ORDER = "/api/v5/trade/order"
PER_TICK = PER_LOT = 10
"""The journal counts prices in hundredths and sizes in thousandths of a contract, BTC-USDT-SWAP has 0.1 and 0.01."""


def lines(place: Path) -> list[dict[str, Any]]:
    """Objects of a JSONL file."""
    return [json.loads(line) for line in place.read_bytes().splitlines()]


def differences(journal: Path, folder: Path) -> list[str]:
    """What the two sides do not agree on, in words."""
    venue, chain = lines(journal), lines(folder / "order_chain.jsonl")
    kept = [
        call for part in sorted(folder.glob("m_execution_raw_part_*.json")) for call in json.loads(part.read_bytes())
    ]
    requests = [one["data"] for one in venue if one["kind"] == "request"]
    found = _calls(requests, kept)
    found += _orders(requests, venue, chain)
    rounds = folder / "netting_rounds.jsonl"
    if rounds.exists():
        found += _rounds(requests, venue, lines(rounds))
    return found


def _calls(requests: list[dict[str, Any]], kept: list[dict[str, Any]]) -> list[str]:
    """Each request of the venue's journal is a kept call, and the other way round."""
    theirs = Counter((one["method"], one["target"], one["body"]) for one in requests)
    ours: Counter[tuple[str, str, str]] = Counter()
    for one in kept:
        target = f"{one['path']}?{one['query']}" if one["query"] else one["path"]
        ours[one["method"], target, one["request_body"]] += 1
    keys = sorted(theirs.keys() | ours.keys())
    return [
        f"the venue had {theirs[key]} times {key}, kept are {ours[key]}" for key in keys if theirs[key] != ours[key]
    ]


def _orders(requests: list[dict[str, Any]], venue: list[dict[str, Any]], chain: list[dict[str, Any]]) -> list[str]:
    found = []
    intents = {one["client_id"]: one["payload"] for one in chain if one["kind"] == "INTENT"}
    sent = {one["client_id"] for one in chain if one["kind"] == "SENT"}
    placed = [one for one in requests if one["method"] == "POST" and one["target"] == ORDER]
    bodies = Counter(one["body"] for one in placed)
    for name, intent in intents.items():
        times = bodies.pop(intent["body"], 0)
        if times != (name in sent):
            found.append(
                f"order {name}: {times} times at the venue, on the chain {'sent' if name in sent else 'not sent'}"
            )
    found += [f"an order without an intent: {body}" for body in bodies]
    by_id = {one["payload"]["order_id"]: one["client_id"] for one in chain if one["kind"] == "FILL"}
    matched = [row["data"] for row in venue if row["kind"] == "match"]
    matches = {str(one["trade"]): [one["px"], one["sz"]] for one in matched}
    for one in (row["payload"] for row in chain if row["kind"] == "FILL"):
        there, here = matches.get(one["trade_id"]), [one["price_ticks"] * PER_TICK, one["lots"] * PER_LOT]
        if there != here:
            found.append(f"trade {one['trade_id']}: {there} at the venue, {here} on the chain")
    booked = Counter(row["payload"]["trade_id"] for row in chain if row["kind"] == "FILL")
    found += [f"trade {trade} is booked {times} times" for trade, times in booked.items() if times > 1]
    if len(by_id) > len(intents):
        found.append(f"{len(by_id)} orders have fills, and {len(intents)} were meant")
    return found


def _rounds(requests: list[dict[str, Any]], venue: list[dict[str, Any]], rounds: list[dict[str, Any]]) -> list[str]:
    """Each order of a round was placed once, with its size and side, and has the venue's own trades of that order."""
    found = []
    placed = [json.loads(one["body"]) for one in requests if one["method"] == "POST" and one["target"] == ORDER]
    by_name = {one["clOrdId"]: one for one in placed}
    traded: dict[str, dict[str, list[int]]] = {}
    for one in (row["data"] for row in venue if row["kind"] == "match"):
        traded.setdefault(str(one["taker"]), {})[str(one["trade"])] = [one["px"], one["sz"]]
    numbers = {row["data"]["client"]: str(row["data"]["order"]) for row in venue if row["kind"] == "order"}
    for line in rounds:
        if line["status"] == "unproved":
            continue
        one_order = [] if line["client_order_id"] is None else [[line["client_order_id"], line["net_lots"]]]
        orders = [[one["client_order_id"], one["lots"]] for one in line.get("orders", [])] or one_order
        told: dict[str, dict[str, list[int]]] = {name: {} for name, _ in orders}
        for fill in line["fills"]:
            owner = fill.get("client_order_id", line["client_order_id"])
            numbers_of = [fill["price_ticks"] * PER_TICK, fill["lots"] * PER_LOT]
            told.setdefault(owner, {})[fill["trade_id"]] = numbers_of
        for name, lots in orders:
            body, there = by_name.get(name, {}), traded.get(numbers.get(name, ""), {})
            side = "buy" if lots > 0 else "sell"
            if (body.get("side"), round(float(body.get("sz", 0)) * 100)) != (side, abs(lots)):
                found.append(f"round of tick {line['tick']}: order {name} is not {side} {abs(lots)} at the venue")
            if told[name] != there:
                found.append(f"round of tick {line['tick']}: order {name} has {told[name]}, at the venue {there}")
    return found


if __name__ == "__main__":
    said = differences(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write("".join(f"{one}\n" for one in said) or "no difference\n")
    raise SystemExit(bool(said))
