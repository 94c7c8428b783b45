"""Raw parts, their index and the fingerprint: whole, current in mid-run, adding up, and without secrets."""

from __future__ import annotations

import hashlib
import json

from attrs import evolve

from prometheus.v10.base.modes import Mode
from prometheus.v10.evidence.records.codec import from_json_bytes, to_json_bytes
from prometheus.v10.evidence.records.fingerprint import ExecutionFingerprint
from prometheus.v10.execution.kept.call_counts import CallCounts, quantile
from prometheus.v10.execution.kept.call_keeper import CallKeeper
from prometheus.v10.execution.ports.call_records import CallOutcome, CallRecord
from tests.execution.session import Session

STARTED = "2026-01-02T03:04:05.000000Z"


def call(number, **more):
    known = {
        "number": number, "library": "python-okx", "method": "GET", "path": "/api/v5/public/time", "query": "",
        "request_body": "", "outcome": CallOutcome.OK, "status": 200, "code": "0", "response": "{}", "started_ms": 1,
        "latency_ms": float(number),
    }  # fmt: skip
    return CallRecord(**{**known, **more})


def test_every_call_is_in_one_part_and_the_index_covers_them(tmp_path):
    keeper = CallKeeper(tmp_path, "HF_x", STARTED)
    for number in range(1, 451):
        keeper(call(number))
    keeper.flush()
    keeper.flush()
    index = json.loads((tmp_path / "m_execution_raw_index.json").read_bytes())
    assert [one["records_count"] for one in index["shards"]] == [200, 200, 50]
    found = []
    for one in index["shards"]:
        data = (tmp_path / one["filename"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (one["sha256"], one["bytes"])
        found += [record["number"] for record in json.loads(data)]
    assert found == list(range(1, 451))
    assert index["total_records"] == 450
    assert {one.name for one in tmp_path.iterdir()} == {"m_execution_raw_index.json",
                                                        *(one["filename"] for one in index["shards"])}  # fmt: skip


def test_a_call_without_an_answer_says_why_its_status_is_null(tmp_path):
    keeper = CallKeeper(tmp_path, "HF_x", STARTED)
    keeper(call(1, status=None, code="ReadTimeout", outcome=CallOutcome.UNKNOWN))
    keeper.flush()
    record = json.loads((tmp_path / "m_execution_raw_part_0001.json").read_bytes())[0]
    assert (record["status"], record["null_reasons"]) == (None, {"status": "no answer came: ReadTimeout"})


def test_the_fingerprint_counts_by_endpoint_outcome_and_kind_of_error():
    counts = CallCounts()
    order = {"method": "POST", "path": "/api/v5/trade/order"}
    for one in [
        call(1), call(2), call(3, **order),
        call(4, **order, status=None, code="ReadTimeout", outcome=CallOutcome.UNKNOWN),
        call(5, **order, code="50011", status=429, outcome=CallOutcome.REFUSED),
        call(6, code="HTTP 502", status=502, outcome=CallOutcome.UNAVAILABLE),
        call(7, code="ConnectError", status=None, outcome=CallOutcome.UNAVAILABLE),
        call(8, code="51603", outcome=CallOutcome.UNAVAILABLE),
    ]:  # fmt: skip
        counts(one)
    made = counts.fingerprint("HF_x", Mode.OKX_DEMO, "python-okx")
    assert (made.api_calls, made.orders_sent, made.rate_limit_hits, made.error_count) == (8, 3, 1, 4)
    assert sum(made.api_calls_by_class.values()) == made.api_calls
    assert made.errors_by_type == {"timeout": 1, "api_error": 1, "http_error": 1, "connection_error": 1}
    assert [one.type for one in made.error_events] == ["timeout", "api_error", "http_error", "connection_error"]
    ends = made.by_endpoint["POST /api/v5/trade/order"]
    assert ends.outcomes == {"ok": 1, "unknown": 1, "refused": 1}
    again = from_json_bytes(to_json_bytes(made), ExecutionFingerprint, where="fingerprint")
    assert to_json_bytes(again) == to_json_bytes(made)


def test_a_fingerprint_without_an_answer_has_no_latency():
    counts = CallCounts()
    counts(call(1, status=None, code="ConnectError", outcome=CallOutcome.UNAVAILABLE))
    made = counts.fingerprint("HF_x", Mode.OKX_DEMO, "python-okx")
    assert (made.latency_stats_ms, "latency_stats_ms" in made.null_reasons, made.api_calls) == (None, True, 1)


def test_quantiles_are_of_the_nearest_rank():
    assert [quantile([1.0, 2.0, 3.0, 4.0], share) for share in (0.5, 0.95, 0.25)] == [2.0, 4.0, 1.0]


def test_a_session_counts_what_the_venue_counted_and_keeps_no_secret(venue, tmp_path, fake_clock):
    keeper, counts = CallKeeper(tmp_path, "HF_kept", STARTED), CallCounts()
    session = Session(venue, tmp_path, fake_clock, "HF_kept")
    served = venue.admin(do="state")["served"]
    driver = session.driver()
    venue.inject("accepted.502", "/api/v5/trade/order", count=1)
    driver.trade(1, 5)
    for one in session.calls:
        keeper(one)
        counts(evolve(one))
    keeper.flush()
    made = counts.fingerprint("HF_kept", Mode.OKX_DEMO, "python-okx")
    assert made.api_calls == venue.admin(do="state")["served"] - served
    assert made.orders_sent == len(session.sends()) == 1
    session.end()
    secret = venue.credentials()
    for place in tmp_path.iterdir():
        data = place.read_bytes()
        assert not any(one.encode() in data for one in (secret.key, secret.secret, secret.passphrase)), place
