"""What keys and JSON types an answer must have, by the recorded shapes; and what no answer may contain."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent / "recorded_shapes.toml"
KINDS = {"strings": "string", "booleans": "boolean", "lists": "list", "objects": "object", "integers": "integer"}
MAY_BE_NULL = frozenset({"instIdCode"})
IDENTITIES = frozenset({"ordId", "tradeId", "billId", "posId"})
NUMBERS = frozenset({"instIdCode", "code", "seqId", "prevSeqId", "checksum", "curPage"})
"""Keys whose values are numbers in JSON."""
PLAIN = re.compile(r"-?\d+(\.\d+)?")


def kind(value: object) -> str:
    """The JSON type of a decoded value."""
    names = {bool: "boolean", str: "string", int: "integer", float: "float", list: "list", dict: "object"}
    return names.get(type(value), "null")


def recorded() -> dict[tuple[str, str], dict[str, str]]:
    """(call, place) to the recorded keys and their types."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for shape in tomllib.loads(FILE.read_text(encoding="utf-8"))["shape"]:
        keys = {key: KINDS[group] for group in KINDS for key in shape.get(group, "").split()}
        found[shape["call"], shape["of"]] = keys | (found[shape["like"], shape["of"]] if "like" in shape else {})
    return found


def records_at(answer: dict[str, Any], place: str) -> list[dict[str, Any]]:
    """The records of an answer at ``data`` or at ``data.KEY``, where each record holds one or several."""
    records = answer.get("data", [])
    for key in place.split(".")[1:]:
        inner = [record[key] for record in records if key in record]
        records = [one for value in inner for one in (value if isinstance(value, list) else [value])]
    return [record for record in records if isinstance(record, dict)]


def misfits(call: str, answer: dict[str, Any]) -> list[str]:
    """What the answer lacks or has of another type than recorded; one line each."""
    wrong = []
    for (known, place), keys in recorded().items():
        if known != call:
            continue
        for record in records_at(answer, place):
            for key, wanted in keys.items():
                got = kind(record[key]) if key in record else "absent"
                if got != wanted and not (got == "null" and key in MAY_BE_NULL):
                    wrong.append(f"{call} {place}.{key}: {wanted} expected, {got}")
    return sorted(set(wrong))


def _walk(value: object, place: str) -> Iterator[tuple[str, object]]:
    yield place, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, f"{place}[]")


NUMERIC = re.compile(
    r"\.(px|sz|avgPx|fillPx|fillSz|accFillSz|fee|pnl|balChg|bal|eq|cashBal|availBal|availEq|pos|upl|markPx|lever|margin|mmr"
    r"|imr|ctVal|lotSz|minSz|tickSz|fundingRate|realizedRate|totalEq|liqPx|maker|taker|ts|uTime|cTime|fillTime)$"
)


def forms(answer: dict[str, Any]) -> list[str]:
    """Where an answer breaks the rules of form: numbers are strings, and plain decimals without exponent, or empty."""
    wrong = []
    for place, value in _walk(answer, ""):
        key = place.rpartition(".")[2]
        if kind(value) in {"float", "integer"} and key not in NUMBERS:
            wrong.append(f"{place}: a JSON number ({value})")
        if isinstance(value, str) and value and NUMERIC.search(place) and not PLAIN.fullmatch(value):
            wrong.append(f"{place}: {value!r} is no plain decimal")
        if key in IDENTITIES and not (isinstance(value, str) and re.fullmatch(r"\d*", value)):
            wrong.append(f"{place}: {value!r} is no string of digits")
    return wrong
