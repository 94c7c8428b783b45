"""What calls come to: the fingerprint, the alignment bundle, and how well a self-trade would be seen.

It shares no code with what counted while the run went on. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.derive.exchanged.call_stream import Call, rows_of
from prometheus.v10.evidence.derive.typed import plain_json
from prometheus.v10.evidence.records.canonical import pretty_bytes

ORDER = "/api/v5/trade/order"
FILLS = "/api/v5/trade/fills"
OF_ORDERS = (ORDER, "/api/v5/trade/orders-history")
LIMITED = ("50011", "50061")
ABSENT = "51603"
NOTHING_CAME = "no call was answered"
ONE_LIBRARY = "one library took part in this run, so there is no other to compare it with"
WHOSE = ("uid", "mainUid", "label", "ip", "traderInsts", "opAuth")
LOST = ("ConnectError", "ReadError", "WriteError", "RemoteProtocolError", "CutShort", "TooLarge", "WrongHost")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Figures:
    """Takes calls one by one."""

    def __init__(self) -> None:
        self.count = 0
        self.library = ""
        self._ends: dict[str, Counter[str]] = {}
        self._codes: dict[str, Counter[str]] = {}
        self._times: dict[str, list[float]] = {}
        self._errors: list[dict[str, Any]] = []
        self._first: dict[str, Call] = {}
        self._rows = self._lacking = 0

    def take(self, call: Call) -> None:
        """Count one call."""
        where = f"{call['method']} {call['path']}"
        self.count += 1
        self.library = self.library or call["library"]
        self._ends.setdefault(where, Counter())[call["outcome"]] += 1
        self._codes.setdefault(where, Counter())[call["code"]] += 1
        if call["status"] is not None:
            self._times.setdefault(where, []).append(call["latency_ms"])
            self._first.setdefault(where, call)
        if call["outcome"] != "ok" and call["code"] != ABSENT:
            moment = EPOCH + timedelta(milliseconds=call["started_ms"])
            self._errors.append({
                "ts_utc": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "type": _kind(call["code"]), "where": where,
                "message": f"{call['outcome']}: {call['code']}", "exception_type": call["code"], "url": call["path"],
            })  # fmt: skip
        self._look_for_self_trades(call)

    def fingerprint(self, run_id: str, mode: object, library: str | None) -> dict[str, Any]:
        """``execution_fingerprint.json``; ``library`` is what the configuration names, None where it names none."""
        every = sorted(one for some in self._times.values() for one in some)
        latency = {
            "min": every[0], "max": every[-1], "mean": math.fsum(every) / len(every), **_quantiles(every)
        } if every else None  # fmt: skip
        by_class = {where: sum(ends.values()) for where, ends in self._ends.items()}
        codes = [code for counted in self._codes.values() for code in counted.elements()]
        schema = Schema.FINGERPRINT_2 if library is None else Schema.FINGERPRINT_3
        return {
            "schema": schema.value, "run_id": run_id, "mode": mode, "api_calls": self.count,
            "api_calls_by_class": by_class, "orders_sent": by_class.get(f"POST {ORDER}", 0),
            "error_count": len(self._errors), "error_events": self._errors, "latency_stats_ms": latency,
            "rate_limit_hits": sum(code in LIMITED for code in codes),
            "by_endpoint": {
                where: {"outcomes": dict(ends), "codes": dict(self._codes[where]),
                        "latency_ms": _quantiles(sorted(self._times[where])) if where in self._times else {}}
                for where, ends in self._ends.items()
            },
            "errors_by_type": dict(Counter(one["type"] for one in self._errors)),
            "null_reasons": {} if every else {"latency_stats_ms": NOTHING_CAME},
            **({} if library is None else {"exchange_lib": library}),
        }  # fmt: skip

    def bundle(self, run_id: str) -> dict[str, bytes]:
        """Both files of the alignment bundle."""
        mapping = {
            where: {"calls": sum(ends.values()), "fields": _fields(self._first.get(where))}
            for where, ends in self._ends.items()
        }
        report = {
            "schema": Schema.ALIGNMENT_REPORT.value, "run_id": run_id, "execution_alignment_lib": self.library,
            "execution_alignment_ok": None, "mapping": mapping,
            "null_reasons": {"execution_alignment_ok": ONE_LIBRARY},
        }  # fmt: skip
        samples = {
            "schema": Schema.ALIGNMENT_RAW_SAMPLES.value, "run_id": run_id, "exchange_lib": self.library,
            "samples": [_sample(call) for _, call in sorted(self._first.items())], "null_reasons": {},
        }  # fmt: skip
        return {str(Artifact.ALIGNMENT_REPORT): pretty_bytes(report),
                str(Artifact.ALIGNMENT_RAW_SAMPLES): pretty_bytes(samples)}  # fmt: skip

    @property
    def capability(self) -> str:
        """How well a self-trade would be seen."""
        return "strong" if self._rows and not self._lacking else "weak"

    def _look_for_self_trades(self, call: Call) -> None:
        if call["method"] != "GET":
            return
        wanted: tuple[str, ...] = ()
        if call["path"] == FILLS:
            wanted = ("tradeId", "execType", "ordId")
        elif call["path"] in OF_ORDERS:
            wanted = ("stpMode", "cancelSource", "ordId")
        for row in rows_of(call) if wanted else ():
            self._rows += 1
            self._lacking += not (isinstance(row, dict) and all(name in row for name in wanted))


def _quantiles(times: list[float]) -> dict[str, float]:
    return {f"p{share}": times[max(0, math.ceil(share / 100 * len(times)) - 1)] for share in (50, 95, 99)}


def _kind(code: str) -> str:
    if "Timeout" in code or code == "TooSlow":
        return "timeout"
    if code in LOST:
        return "connection_error"
    if code.startswith("HTTP "):
        return "http_error"
    return "api_error" if code.isdigit() else "request_exception"


def _fields(call: Call | None) -> list[str]:
    said = None if call is None else plain_json(call["response"])
    rows = said.get("data") if isinstance(said, dict) else None
    return sorted(rows[0]) if isinstance(rows, list) and rows and isinstance(rows[0], dict) else []


def _sample(call: Mapping[str, Any]) -> dict[str, Any]:
    said = plain_json(call["response"])
    if said is None:
        return dict(call)
    return {**call, "response": json.dumps(_hidden(said), separators=(",", ":"))}


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "redacted" if name in WHOSE else _hidden(one) for name, one in value.items()}
    return [_hidden(one) for one in value] if isinstance(value, list) else value
