"""C2.0 to C2.4: what an operator does when something is wrong, and what the session does when the exchange is."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.catalog import manifest_bytes
from prometheus.v10.report.rungs.ladder_evidence import BUNDLE_RECORD, ORDER, RUNBOOK, Bundle, Gathered, Session
from prometheus.v10.report.rungs.ladder_records import Kind
from prometheus.v10.report.rungs.rung_asks import Ask, RungAsks, Seen, manifest_is, of_session
from prometheus.v10.report.rungs.rungs_of_sessions import STOPPED

C2: Final = "C2"
HARD_GATE: Final = ("timeout", "connection_error", "request_exception")
RUNBOOK_HEADINGS: Final = (
    "## The stop drill",
    "## What each alarm means",
    "## When an instance ends without being asked",
)


def _bundle(session: Session, gathered: Gathered) -> Bundle:
    """The bundle of a session.

    Raises:
        EvidenceError: when there is none.
    """
    for one in gathered.bundles:
        if one.record.get("run_id") == session.run_id:
            return one
    raise EvidenceError(f"no incident was packed of {session.run_id}")


def of_bundle(name: str, says: str, field: str, wanted: str, *values: Any) -> Ask:
    """A field of the bundle's record that must have one of some values."""

    def look(session: Session, gathered: Gathered) -> Seen:
        value = _bundle(session, gathered).record[field]
        return Seen(value, value in values)

    return Ask(name=name, says=says, file=BUNDLE_RECORD, field=field, wanted=wanted, look=look)


def _same_manifest(session: Session, gathered: Gathered) -> Seen:
    packed, there = _bundle(session, gathered).manifest, manifest_bytes(session.run)
    return Seen(hashlib.sha256(packed).hexdigest()[:16], packed == there)


def _sums(session: Session, gathered: Gathered) -> Seen:
    place = _bundle(session, gathered).place
    line = place.with_name(f"{place.name}.sha256").read_text("utf-8")
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    return Seen(digest[:16], f"{digest}  {place.name}" in line or f"{digest} *{place.name}" in line, file=place.name)


BUNDLED: Final = (
    Ask(
        name="bundle", says="an incident was packed of the session", file=BUNDLE_RECORD, field="run_id",
        wanted="the session's", kind=Kind.EXERCISED,
        look=lambda session, gathered: Seen(_bundle(session, gathered).record["run_id"], holds=True),
        then="pack one: prometheus-quant incident RUN --label drill",
    ),
    of_bundle("bundle_schema", "it is as defined", "schema", Schema.INCIDENT.value, Schema.INCIDENT.value),
    of_bundle("packaging", "it is complete", "packaging", "complete", "complete"),
    of_bundle("missing", "no required file is missing", "missing_required_files_count", "0", 0),
    of_bundle("verification", "the verification that was packed passed", "verification", "PASS", "PASS"),
    Ask(
        name="bundled_manifest", says="it holds the session's own manifest", file="run/run_manifest.json",
        field="sha256", wanted="the bytes of the run's", look=_same_manifest,
    ),
    Ask(
        name="bundle_sum", says="the archive's hash stands beside it", file="IEB_*.tar.gz.sha256", field="sha256",
        wanted="the archive's", look=_sums,
    ),
)  # fmt: skip


def _runbook(_: Session, gathered: Gathered) -> Seen:
    if gathered.checkout is None:
        raise EvidenceError("the documents are not here")
    text = (gathered.checkout / RUNBOOK).read_text("utf-8")
    lacking = [one for one in RUNBOOK_HEADINGS if one not in text]
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Seen(f"lacks {', '.join(lacking)}" if lacking else f"sha256 {digest}", holds=not lacking)


RUNBOOK_IS_THERE: Final = Ask(
    name="runbook", says="a runbook says what to do, by alarm", file=RUNBOOK,
    field="headings", wanted="stop drill, way back, alarms, unasked ends", look=_runbook, kind=Kind.PLACE,
    then="judge in a checkout: the runbook is docs/operations.md",
)  # fmt: skip


# ---- degradation -----------------------------------------------------------------------------------------------------


def _events_agree(session: Session) -> Seen:
    found = session.fingerprint
    events, by_type = found["error_events"], found["errors_by_type"]
    holds = len(events) == found["error_count"] == sum(by_type.values())
    return Seen(", ".join(f"{kind} {count}" for kind, count in sorted(by_type.items())) or "none", holds)


def _in_the_calls(session: Session) -> Seen:
    """Each error event is a call that is kept, with the same code."""
    kept = {(call["code"], f"{call['method']} {call['path']}") for call in session.calls if call["outcome"] != "ok"}
    events = [(one["exception_type"], one["where"]) for one in session.fingerprint["error_events"]]
    return Seen(f"{len(events)} events", all(one in kept for one in events))


def sent_once(session: Session) -> Seen:
    """Bodies of order requests that left, by client id."""
    sent = [json.loads(call["request_body"])["clOrdId"] for call in session.calls
            if call["method"] == "POST" and call["path"] == ORDER]  # fmt: skip
    lines = [line["client_id"] for line in session.of_kind("SENT")]
    holds = len(set(sent)) == len(sent) and sorted(lines) == sorted(sent)
    return Seen(f"{len(sent)} sent, {len(set(sent))} ids", holds)


def _each_order_ends(session: Session) -> Seen:
    ended = {line["client_id"] for line in session.of_kind("TERMINAL", "REFUSED")}
    named = set(session.ended["open_orders"])
    lost = [one["client_id"] for one in session.of_kind("INTENT") if one["client_id"] not in ended | named]
    return Seen(f"{len(ended)} ended, {len(named)} named as open, {len(lost)} lost", holds=not lost)


SENT_ONCE: Final = Ask(
    name="sent_once", says="no order was sent twice", file="m_execution_raw_part_NNNN.json",
    field="POST /api/v5/trade/order clOrdId", wanted="each client id once, each with its SENT line",
    look=lambda session, _: sent_once(session),
)  # fmt: skip
DEGRADED: Final = (
    Ask(
        name="error_count", says="calls went wrong", file=Artifact.FINGERPRINT.value, field="error_count", wanted="> 0",
        look=of_session(lambda one: one.fingerprint["error_count"], lambda value: value > 0), kind=Kind.EXERCISED,
        then="disturb a session: prometheus-quant venue faults lists what can go wrong",
    ),
    Ask(
        name="error_events", says="each is an event with its kind", file=Artifact.FINGERPRINT.value,
        field="error_events, errors_by_type", wanted="as many as error_count",
        look=lambda session, _: _events_agree(session),
    ),
    Ask(
        name="events_are_calls", says="each event is a call that was kept", file="m_execution_raw_part_NNNN.json",
        field="outcome, code", wanted="the same code and endpoint", look=lambda session, _: _in_the_calls(session),
    ),
    SENT_ONCE,
    Ask(
        name="each_order_ends", says="what became of each order is proved, or it is named as open",
        file=Artifact.ORDER_CHAIN.value, field="TERMINAL, REFUSED", wanted="none lost",
        look=lambda session, _: _each_order_ends(session),
    ),
    manifest_is("status", "completed", "interrupted", kind=Kind.EXERCISED, then="disturb it less: it is to go on"),
)  # fmt: skip


def _hard(session: Session) -> Seen:
    found = {kind: count for kind, count in session.fingerprint["errors_by_type"].items() if kind in HARD_GATE}
    return Seen(
        ", ".join(f"{kind} {count}" for kind, count in sorted(found.items())) or "none", sum(found.values()) > 0
    )


RUNGS: Final = (
    RungAsks(
        rung="C2.0", group=C2, asks="A runbook, and the definition of an incident's bundle.",
        conditions=(RUNBOOK_IS_THERE, *BUNDLED[:2]),
        departure="The bundle is defined by the schema of incident.json, and made by prometheus-quant incident.",
    ),
    RungAsks(rung="C2.1", group=C2, asks="A STOP drill with an incident's bundle.", conditions=(*STOPPED, *BUNDLED)),
    RungAsks(
        rung="C2.2/2.3", group=C2, asks="Degradation: errors are counted and kept, and the session goes on.",
        conditions=DEGRADED,
        departure="Both rungs are one: each failed call is an event, whatever its kind.",
    ),
    RungAsks(
        rung="C2.4", group=C2, asks="At least one time-out, lost connection or failed request.",
        conditions=(Ask(
            name="hard_gate", says=f"an error of kind {', '.join(HARD_GATE)}", file=Artifact.FINGERPRINT.value,
            field="errors_by_type", wanted=">= 1", look=lambda session, _: _hard(session), kind=Kind.EXERCISED,
            then="disturb a session by refused.timeout or refused.reset",
        ), *DEGRADED[1:]),
    ),
)  # fmt: skip
