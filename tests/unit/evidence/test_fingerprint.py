"""Offline, the fingerprint says that there was no exchange, field by field."""

from __future__ import annotations

from prometheus.v10.evidence.records.codec import to_plain
from prometheus.v10.evidence.records.fingerprint import (
    OFFLINE,
    ErrorEvent,
    ExecutionFingerprint,
    Latency,
    offline_fingerprint,
)

FIGURES = (
    "api_calls",
    "api_calls_by_class",
    "error_count",
    "error_events",
    "latency_stats_ms",
    "orders_sent",
    "rate_limit_hits",
)


def test_offline_every_figure_is_null_with_that_reason() -> None:
    plain = to_plain(offline_fingerprint("HF_x"))
    assert all(plain[name] is None for name in FIGURES)
    assert plain["null_reasons"] == dict.fromkeys(FIGURES, OFFLINE)


def test_with_an_exchange_every_figure_is_a_figure() -> None:
    error = ErrorEvent(
        ts_utc="2026-01-02T03:04:05.000000Z",
        type="timeout",
        where="POST /api/v5/trade/order",
        message="read timed out",
        exception_type="ReadTimeout",
        url="https://www.okx.com/api/v5/trade/order",
    )
    made = ExecutionFingerprint(
        run_id="HF_x",
        mode="okx_demo",
        api_calls=3,
        api_calls_by_class={"trade": 2, "connect": 1},
        orders_sent=1,
        error_count=1,
        error_events=[error],
        latency_stats_ms=Latency(min=1, max=9, mean=4, p95=8),
        rate_limit_hits=0,
    )
    plain = to_plain(made)
    assert plain["null_reasons"] == {}
    assert plain["latency_stats_ms"] == {"min": 1.0, "max": 9.0, "mean": 4.0, "p95": 8.0}
