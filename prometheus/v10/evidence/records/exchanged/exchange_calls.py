"""Raw execution evidence of a run at an exchange: every call in a part, and the parts' index (contracts, section 10).

Parts are JSON arrays with one canonical record a line; a part is written whole and never modified. Nothing is sampled
and nothing dropped. Keys, secrets and passphrases are in no header that is kept, and are replaced wherever else they
turn up.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import field, frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.schemas.shapes import A_RUN, COUNT, SHA256, UTC, exactly, pattern, shape, words

OUTCOMES: Final = ("ok", "refused", "unknown", "unavailable", "unreadable", "misconfigured")
RECORDS_A_PART: Final = 200


@frozen(kw_only=True)
class ExchangeCall:
    """One request that left, or tried to, and what came back.

    Attributes:
        number: counts the calls of a run from 1.
        query: what stands behind ``?``, as sent.
        request_body: '' for a read.
        status: of HTTP; null when no answer came.
        code: the exchange's top code or the first item's, or the name of the transport's error.
        response: the body as text.
        started_ms: Unix ms on the exchange's clock.
        latency_ms: until the last byte or the failure.
    """

    schema: str = Schema.EXCHANGE_CALL.value
    run_id: str
    number: int = field(metadata=shape(minimum=1))
    library: str
    method: str = field(metadata=words("GET", "POST"))
    path: str = field(metadata=pattern("/[a-z0-9/-]+"))
    query: str
    request_body: str
    outcome: str = field(metadata=words(*OUTCOMES))
    status: int | None
    code: str
    response: str
    started_ms: int = field(metadata=COUNT)
    latency_ms: float
    null_reasons: dict[str, str] = field(factory=dict)


@frozen(kw_only=True)
class CallsPart:
    """A part: ``first_call`` and ``last_call`` are numbers of calls."""

    filename: str
    records_count: int = field(metadata=shape(minimum=1))
    bytes: int = field(metadata=COUNT)
    sha256: str = field(metadata=SHA256)
    sha256_16: str = field(metadata=pattern("[0-9a-f]{16}"))
    first_call: int = field(metadata=shape(minimum=1))
    last_call: int = field(metadata=shape(minimum=1))


@frozen(kw_only=True)
class CallsPolicy:
    """A part is closed after so many records, and at every bar."""

    type: str = field(default="records_count", metadata=exactly("records_count"))
    threshold: int = field(default=RECORDS_A_PART, metadata=exactly(RECORDS_A_PART))


@frozen(kw_only=True)
class CallsIndex:
    """``m_execution_raw_index.json`` of a run at an exchange; ``created_at`` is the start of the run."""

    schema: str = Schema.EXCHANGE_CALLS_INDEX.value
    version: int = field(default=1, metadata=exactly(1))
    run_id: str = field(metadata=A_RUN)
    created_at: str = field(metadata=UTC)
    policy: CallsPolicy
    shards: list[CallsPart]
    total_shards: int = field(metadata=COUNT)
    total_records: int = field(metadata=COUNT)
    total_bytes: int = field(metadata=COUNT)
    extra: dict[str, Any] = field(factory=dict)
