"""The venue's journal, read by a program that knows its format from its description alone.

One JSON object a line; ``hash`` is the SHA-256 of the line's object without it, which carries the hash of the line
before as ``prev``; the first line's is 64 zeros.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def entries(journal: Path) -> list[dict[str, Any]]:
    """Every entry of a journal whose chain holds.

    Raises:
        ValueError: at the first line that does not follow from the one before.
    """
    found, last = [], "0" * 64
    for number, line in enumerate(journal.read_bytes().splitlines()):
        body, mark, rest = line.rpartition(b',"hash":"')
        entry = json.loads(line)
        digest = hashlib.sha256(body + b"}").hexdigest()
        if not mark or rest != digest.encode() + b'"}' or entry["prev"] != last or entry["n"] != number:
            raise ValueError(f"line {number + 1} does not follow")
        found.append(entry)
        last = digest
    return found


def traded(found: list[dict[str, Any]], orders: set[str]) -> set[str]:
    """The tradeIds of matches in which one of the orders took part."""
    matches = [entry["data"] for entry in found if entry["kind"] == "match"]
    return {str(one["trade"]) for one in matches if {str(one["taker"]), str(one["maker"])} & orders}


def asked(found: list[dict[str, Any]], uid: str, method: str, path: str) -> int:
    """How many requests of an account to a path the venue answered."""
    requests = [entry["data"] for entry in found if entry["kind"] == "request" and entry["data"]["uid"] == uid]
    return sum(one["method"] == method and one["target"].partition("?")[0] == path for one in requests)
