"""A helper of `shards`: checks pieces of chained files in an interpreter of its own.

A request is one line, and so is its answer. It is started as ``python -I`` with this module alone, so nothing of the
asking program runs in it again. It ends when its input ends. Standard library only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.evidence.chains.chain import LineFormat
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.pool_line import POOL_LINE
from prometheus.v10.evidence.chains.shards import check_piece

FORMS: dict[str, LineFormat] = {form.name: form for form in (LEDGER_LINE, POOL_LINE)}


def answer(line: bytes) -> bytes:
    """One answer: null when something is wrong in the piece; the file is then passed over once more by one process."""
    asked = json.loads(line)
    try:
        found = check_piece(
            Path(asked["path"]), FORMS[asked["form"]], asked["start"], asked["end"], frozenset(asked["heads"])
        )
    except PrometheusError:
        found = None
    if found is None:
        return b"null\n"
    first, scan = found
    tail = None if scan.tail is None else [scan.tail.offset, scan.tail.length, scan.tail.zeroed]
    plain = {
        "first": first, "link": scan.link, "good": scan.good, "size": scan.size, "tail": tail, "heads": scan.heads,
    }  # fmt: skip
    return json.dumps(plain).encode() + b"\n"


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(line))
        sys.stdout.buffer.flush()
