"""Leaves of a run at an exchange that `verify` cannot derive: they are asserted, and each says why.

A field is named as file and dotted path, as in `prometheus.v10.evidence.derive.free`; what that module and `free_tier2`
list holds here as well. Everything else is derived, bound or held to a closed form; a generated test changes one leaf
after another and holds this list to reality. Standard library only.
"""

from __future__ import annotations

import re
from functools import cache

FREE: dict[str, str] = {
    "order_chain.jsonl:ts_utc": "a clock: the order of the lines is proved, not their moments",
    "order_chain.jsonl:payload.detail": "an error or a reason in words",
    "order_chain.jsonl:payload.asked_ms": "a clock; not before the first call that asks for the order",
    "order_chain.jsonl:payload.started_ms": "a clock; between the intent and the request",
    "m_execution_raw_part.json:response": "the exchange signs nothing; what of it is used is held against all else",
    "m_execution_raw_part.json:started_ms": "a clock; of an order's request not before its intent",
    "m_execution_raw_part.json:status": "of an answer that is no success",
    "m_execution_raw_part.json:request_body": "of a setting; the account is read back, and that is held",
    "run_manifest.json:exchange.library.version": "which files of the library were there",
    "run_manifest.json:exchange.library.sha256": "which files of the library were there",
    "run_manifest.json:exchange.world_difference.run_id": "another run of the instance",
    "run_manifest.json:exchange.clock_offset_ms": "two clocks; the exchange's alone is kept",
}
"""Field to why it cannot be derived."""


@cache
def _patterns() -> list[re.Pattern[str]]:
    return [re.compile(re.escape(name).replace(r"\*\*", ".*").replace(r"\*", r"[^.]+")) for name in FREE]


def is_free_at_exchange(field: str) -> bool:
    """Whether a field (``file:dotted.path``, ``*`` for places) is on the list."""
    return any(pattern.fullmatch(field) for pattern in _patterns())
