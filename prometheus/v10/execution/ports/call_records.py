"""One API call as evidence: everything that is counted, sampled and kept of it. Secrets never enter this record."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from attrs import frozen


class CallOutcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    UNREADABLE = "unreadable"
    MISCONFIGURED = "misconfigured"


@frozen(kw_only=True)
class CallRecord:
    """One request that left this process, and what came back. A request that a bucket held back is none.

    Attributes:
        number: counts the calls of one adapter from 1.
        query: what stands after ``?``, as sent.
        request_body: '' for a read.
        status: of HTTP; None when no answer came.
        code: the exchange's top code or the first item's, or the name of the transport's error.
        response: the body as text (replacement characters where it is no UTF-8), cut at the adapter's largest size.
        started_ms: Unix ms.
        latency_ms: until the last byte or the failure, in whole microseconds.
    """

    number: int
    library: str
    method: str
    path: str
    query: str
    request_body: str
    outcome: CallOutcome
    status: int | None
    code: str
    response: str
    started_ms: int
    latency_ms: float


CallSink: TypeAlias = Callable[[CallRecord], None]
