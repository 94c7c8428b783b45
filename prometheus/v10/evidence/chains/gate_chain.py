"""The chain of a gate's experiments: one head for the first n lines, which the ledger keeps with every batch.

The head of no line is 64 zeros. The head after a line is the sha256 of the head before it, as 32 bytes, and of the
line's bytes, newline included. So one head vouches for every line up to it and for their order. A ``gate_batch`` entry
of the ledger holds ``{gate, gate_dir, records, head}``. Standard library only: the verifier imports this.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus.v10.evidence.chains.chain import GENESIS

_HEAD = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class GateHead:
    """Where the experiments of a gate stand: how many lines, and the head after the last of them."""

    records: int = 0
    head: str = GENESIS


def grown(head: GateHead, lines: Iterable[bytes]) -> GateHead:
    """The head after more lines, each with its newline."""
    records, at = head.records, bytes.fromhex(head.head)
    for line in lines:
        at = hashlib.sha256(at + line).digest()
        records += 1
    return GateHead(records, at.hex())


def batch_head(payload: Mapping[str, Any]) -> GateHead | None:
    """The head that a ``gate_batch`` payload vouches for; None when it holds none."""
    records, head = payload.get("records"), payload.get("head")
    if type(records) is not int or records < 0 or not isinstance(head, str) or not _HEAD.fullmatch(head):
        return None
    return GateHead(records, head)
