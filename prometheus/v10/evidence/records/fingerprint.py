"""How a run dealt with the exchange: calls, orders, errors, latencies (contracts, section 4).

Offline there is no exchange: every figure is null with that reason, never 0.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.schemas.shapes import absent, words

OFFLINE = "offline: the world is simulated and no exchange was called"


@frozen(kw_only=True)
class Latency:
    """Round-trip times of the exchange's API, milliseconds; quantiles are of the nearest rank."""

    min: float
    max: float
    mean: float
    p95: float
    p50: float | None = field(default=None, metadata=absent())
    p99: float | None = field(default=None, metadata=absent())
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class ErrorEvent:
    """One failed call.

    Attributes:
        type: ``timeout``, ``connection_error``, ``request_exception``, ``http_error`` or ``api_error``.
        where: method and path; ``url`` without query and without anything secret.
    """

    ts_utc: str
    type: str
    where: str
    message: str
    exception_type: str
    url: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class EndpointFigures:
    """The calls of one endpoint: how they ended, with which codes, and how long answers took.

    Attributes:
        latency_ms: ``p50``, ``p95``, ``p99``; empty while no answer came.
    """

    outcomes: dict[str, int]
    codes: dict[str, int]
    latency_ms: dict[str, float]


@frozen(kw_only=True)
class ExecutionFingerprint:
    """``execution_fingerprint.json``; version 2 is of a run at an exchange, version 3 names its library.

    Attributes:
        api_calls: every request that left, or tried to, whatever its end; ``api_calls_by_class`` adds up to it.
        error_count: length of ``error_events``; ``errors_by_type`` adds up to it.
        by_endpoint: by method and path.
        exchange_lib: the library that sent.
    """

    schema: str = field(
        default=Schema.FINGERPRINT.value,
        metadata=words(Schema.FINGERPRINT, Schema.FINGERPRINT_2, Schema.FINGERPRINT_3),
    )
    run_id: str
    mode: str
    api_calls: int | None
    api_calls_by_class: dict[str, int] | None
    orders_sent: int | None
    error_count: int | None
    error_events: list[ErrorEvent] | None
    latency_stats_ms: Latency | None
    rate_limit_hits: int | None
    by_endpoint: dict[str, EndpointFigures] | None = field(default=None, metadata=absent())
    errors_by_type: dict[str, int] | None = field(default=None, metadata=absent())
    exchange_lib: str | None = field(default=None, metadata=absent())
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


def offline_fingerprint(run_id: str) -> ExecutionFingerprint:
    """The fingerprint of a run that called no exchange."""
    nulls = Nulls()
    return ExecutionFingerprint(
        run_id=run_id,
        mode=Mode.OFFLINE.value,
        api_calls=nulls.unknown("api_calls", OFFLINE),
        api_calls_by_class=nulls.unknown("api_calls_by_class", OFFLINE),
        orders_sent=nulls.unknown("orders_sent", OFFLINE),
        error_count=nulls.unknown("error_count", OFFLINE),
        error_events=nulls.unknown("error_events", OFFLINE),
        latency_stats_ms=nulls.unknown("latency_stats_ms", OFFLINE),
        rate_limit_hits=nulls.unknown("rate_limit_hits", OFFLINE),
        null_reasons=nulls.reasons,
    )
