"""Counts calls for ``execution_fingerprint.json``: one call is one request that left, or tried to; whatever its end."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import define, field

from prometheus.v10.base.clock import utc_text
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.fingerprint import EndpointFigures, ErrorEvent, ExecutionFingerprint, Latency
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.execution.ports.call_records import CallOutcome, CallRecord

RATE_LIMITED: Final = frozenset({"50011", "50061"})
ORDER_PATHS: Final = frozenset({"/api/v5/trade/order"})
ABSENT: Final = "51603"
"""The answer that an order is not known is an answer, and no error."""
NOTHING_CAME: Final = "no call was answered"
_CONNECTION: Final = frozenset({
    "ConnectError", "ReadError", "WriteError", "RemoteProtocolError", "CutShort", "TooLarge", "WrongHost",
})  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@define
class CallCounts:
    """Counts calls of one run as a `CallSink`. Every figure follows from what `call_keeper` keeps of the calls."""

    _outcomes: dict[str, Counter[str]] = field(factory=dict)
    _codes: dict[str, Counter[str]] = field(factory=dict)
    _latencies: dict[str, list[float]] = field(factory=dict)
    _errors: list[ErrorEvent] = field(factory=list)
    _orders: int = 0
    _limited: int = 0

    def __call__(self, call: CallRecord) -> None:
        """Count one call."""
        where = f"{call.method} {call.path}"
        self._outcomes.setdefault(where, Counter())[call.outcome.value] += 1
        self._codes.setdefault(where, Counter())[call.code] += 1
        if call.status is not None:
            self._latencies.setdefault(where, []).append(call.latency_ms)
        self._orders += call.method == "POST" and call.path in ORDER_PATHS
        self._limited += call.code in RATE_LIMITED
        if call.outcome is not CallOutcome.OK and call.code != ABSENT:
            self._errors.append(ErrorEvent(
                ts_utc=utc_text(_EPOCH + timedelta(milliseconds=call.started_ms)), type=kind_of_error(call),
                where=where, message=f"{call.outcome.value}: {call.code}", exception_type=call.code, url=call.path,
            ))  # fmt: skip

    def fingerprint(self, run_id: str, mode: Mode, library: str) -> ExecutionFingerprint:
        """The figures so far; latencies are null while no answer came.

        Args:
            run_id: whose they are.
            mode: of the run.
            library: that sent.
        """
        nulls = Nulls()
        every = sorted(one for some in self._latencies.values() for one in some)
        latency = None
        if every:
            latency = Latency(
                min=every[0], max=every[-1], mean=math.fsum(every) / len(every), p50=quantile(every, 0.5),
                p95=quantile(every, 0.95), p99=quantile(every, 0.99),
            )  # fmt: skip
        by_class = {where: sum(counted.values()) for where, counted in sorted(self._outcomes.items())}
        return ExecutionFingerprint(
            schema=Schema.FINGERPRINT_3.value, run_id=run_id, mode=mode.value, api_calls=sum(by_class.values()),
            api_calls_by_class=by_class, orders_sent=self._orders, error_count=len(self._errors),
            error_events=list(self._errors), latency_stats_ms=nulls.known("latency_stats_ms", latency, NOTHING_CAME),
            rate_limit_hits=self._limited, null_reasons=nulls.reasons,
            by_endpoint={where: self._endpoint(where) for where in sorted(self._outcomes)},
            errors_by_type=dict(Counter(one.type for one in self._errors)), exchange_lib=library,
        )  # fmt: skip

    def _endpoint(self, where: str) -> EndpointFigures:
        times = sorted(self._latencies.get(where, []))
        quantiles = {f"p{share}": quantile(times, share / 100) for share in (50, 95, 99)} if times else {}
        return EndpointFigures(
            outcomes=dict(self._outcomes[where]), codes=dict(self._codes[where]), latency_ms=quantiles
        )


def kind_of_error(call: CallRecord) -> str:
    """``timeout``, ``connection_error``, ``http_error``, ``api_error``, or ``request_exception``."""
    if "Timeout" in call.code or call.code == "TooSlow":
        return "timeout"
    if call.code in _CONNECTION:
        return "connection_error"
    if call.code.startswith("HTTP "):
        return "http_error"
    return "api_error" if call.code.isdigit() else "request_exception"


def quantile(ordered: list[float], share: float) -> float:
    """The nearest-rank quantile of sorted values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
