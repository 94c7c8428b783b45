"""What Gate 4 looks for in the evidence of one session, and of all sessions together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.names import Artifact
from prometheus.v10.report.rungs.ladder_evidence import DIFF_LOG, Gathered, Plain, Session
from prometheus.v10.report.rungs.ladder_records import Kind, LadderStart
from prometheus.v10.report.rungs.rung_asks import Ask, Seen, of_session

GATE_0, GATE_4 = "Gate 0", "Gate 4"
WINDOW: Final = 96
WINDOW_BAR_S: Final = 900
MISCONFIGURED: Final = 78
CONTRADICTED: Final = frozenset({
    "TRUTH_CONTRADICTS", "UNEXPLAINED_POSITION", "UNEXPLAINED_FILL", "UNEXPLAINED_MONEY", "FEE_DIFFERS",
    "ORDER_WITHOUT_INTENT",
})  # fmt: skip
"""Reasons of a halt that say that account and books are not one."""
TIMES_THE_FOUNDERS: Final = 2


# ---- one session -----------------------------------------------------------------------------------------------------


def fees(session: Session) -> Seen:
    """Fees of fills against the rate that was read at the opening, in the account's quantum."""
    claim, opening = session.claim["instrument"], session.of_kind("OPENING")[0]["payload"]
    units = Decimal(claim["contract_value"]) * Decimal(claim["lot"]) * Decimal(claim["tick"])
    rates = {"T": Decimal(claim["taker"]), "M": Decimal(claim["maker"])}
    fills = [line["payload"] for line in session.of_kind("FILL")]
    odd = [one["trade_id"] for one in fills if abs(
        Decimal(one["fee"]) - rates[one["exec_type"]] * units * int(one["lots"]) * int(one["price_ticks"])
    ) > Decimal(opening["quantum"])]  # fmt: skip
    return Seen(f"{len(fills)} fills, {len(odd)} with another fee", bool(fills) and not odd)


def slippage(session: Session) -> Seen:
    """Ticks between the touch that a round saw and the mean price of its order, over all rounds with an order."""
    ticks = []
    for one in session.rounds:
        if one["net_lots"] and one["filled_lots"]:
            mean = Decimal(one["mean_price"][0]) / one["mean_price"][1]
            ticks.append(mean - one["ask_ticks"] if one["net_lots"] > 0 else one["bid_ticks"] - mean)
    worst = max(ticks)
    return Seen(f"{len(ticks)} orders, mean {float(sum(ticks)) / len(ticks):.3f}, worst {float(worst):.3f} ticks",
                bool(ticks))  # fmt: skip


def partial(session: Session) -> Seen:
    """Orders that were filled in part, of all that ended."""
    ends = session.of_kind("TERMINAL")
    lots = {line["client_id"]: line["payload"]["lots"] for line in session.of_kind("INTENT")}
    partly = [
        line for line in session.of_kind("TERMINAL") if 0 < line["payload"]["filled_lots"] < lots[line["client_id"]]
    ]
    return Seen(f"{len(partly)} of {len(ends)}", bool(ends))


def latency(session: Session) -> Seen:
    """Quantiles of all round trips."""
    found = session.fingerprint["latency_stats_ms"]
    return Seen(f"p50 {found['p50']}, p95 {found['p95']}, p99 {found['p99']} ms",
                0 < found["p50"] <= found["p95"] <= found["p99"] <= found["max"])  # fmt: skip


def one_way_in(session: Session) -> Seen:
    """Every order request left with the bytes that its intent has."""
    bodies = {line["client_id"]: line["payload"]["body"] for line in session.of_kind("INTENT")}
    posts = [
        call["request_body"] for call in session.calls if call["method"] == "POST" and call["path"].endswith("/order")
    ]
    odd = [body for body in posts if bodies.get(json.loads(body)["clOrdId"]) != body]
    return Seen(f"{len(posts)} order requests, {len(odd)} without an intent", not odd)


def confirmed(session: Session) -> Seen:
    """Acknowledged orders with both ids, each asked for."""
    acks = session.of_kind("ACK")
    nameless = [line["client_id"] for line in acks if not line["payload"]["order_id"] or not line["client_id"]]
    asked = {line["client_id"] for line in session.of_kind("QUERY")}
    silent = [line["client_id"] for line in acks if line["client_id"] not in asked]
    return Seen(f"{len(acks)} acknowledged, {len(nameless)} without id, {len(silent)} never asked for",
                not nameless and not silent)  # fmt: skip


def fences(session: Session) -> Seen:
    """Man-made fences that stood in an order's way."""
    counters = session.document(Artifact.TELEMETRY)["counters"]
    made = {name: one for name, one in counters.items() if one["category"] == "man_made"}
    acted = [name for name, one in made.items() if one["block_count"] or one["trigger_count"]]
    return Seen(f"of {len(made)} man-made fences acted: {', '.join(acted) or 'none'}", bool(made) and not acted)


def budget(session: Session) -> Seen:
    """Bytes of all calls against the profile's budget."""
    raw = session.document(Artifact.EXECUTION_RAW_INDEX)
    used = sum(one["bytes"] for one in raw["shards"])
    budget = session.manifest["config"]["evidence"]["raw_budget_bytes"]
    return Seen(f"{used} of {budget} B, {session.manifest['evidence']['files']} files", used <= budget)


def growth(session: Session) -> Seen:
    """Bytes a bar, and of calls in both halves of the session."""
    parts = [one["bytes"] for one in session.parts(Artifact.EXECUTION_RAW_INDEX)]
    half = len(parts) // 2
    first, second = sum(parts[:half]), sum(parts[half:])
    per_bar = sum(session.sizes().values()) / max(1, session.bars)
    return Seen(f"{per_bar:.0f} B a bar; calls {first} B in the first half, {second} B in the second", half >= 1)


def population(session: Session) -> Seen:
    """The largest population of the session, and genomes that it gave to a pool."""
    (series,) = list(session.lines(Artifact.POPULATION_SERIES))
    most, founders = max(series["alive"]), int(session.manifest["world"]["founders"])
    appended = session.manifest["pool_appends"]["appended"]
    return Seen(f"{most} alive at most, {founders} founders, {appended} genomes to the pool",
                most <= TIMES_THE_FOUNDERS * founders and appended == 0)  # fmt: skip


def trace(session: Session) -> Seen:
    """Lines of the decision trace, one a bar."""
    lines = session.records(Artifact.DECISION_TRACE_INDEX)
    whole = all(one["agent_detail"] is not None and one["run_id"] == session.run_id for one in lines)
    return Seen(f"{len(lines)} ticks", whole and len(lines) == session.bars > 0)


ORDERS: Final = Ask(
    name="orders", says="orders were filled: fees and slippage are exercised", file=Artifact.ORDER_CHAIN.value,
    field="FILL", wanted="> 0", look=of_session(lambda one: len(one.of_kind("FILL")), lambda value: value > 0),
    kind=Kind.EXERCISED, then="a session without a trade says nothing of fees: run a longer one",
)  # fmt: skip
TRACE: Final = Ask(
    name="decision_trace", says="each tick's decisions are kept", file="decision_trace_part_NNNN.jsonl",
    field="agent_detail", wanted="one line a bar", look=lambda session, _: trace(session),
)  # fmt: skip
ONE_WAY_IN: Final = Ask(
    name="one_way_in", says="each order request has the bytes of its intent", file=Artifact.ORDER_CHAIN.value,
    field="INTENT.body", wanted="each, and no other", look=lambda session, _: one_way_in(session),
)  # fmt: skip
# ---- all sessions ----------------------------------------------------------------------------------------------------


def all_verify(_: Session, gathered: Gathered) -> Seen:
    """Sessions that do not verify."""
    failing = [one.run_id for one in gathered.sessions if one.verified != "PASS"]
    return Seen(
        ", ".join(failing) or f"{len(gathered.sessions)} sessions pass", not failing and bool(gathered.sessions)
    )


def _first(found: Iterator[Seen], none: str) -> Seen:
    """The first session that shows it; without one, what was looked for."""
    return next(found, Seen(none, holds=False))


def exchange_fault(_: Session, gathered: Gathered) -> Seen:
    """A session that went on behind failed calls, and verifies."""

    def found() -> Iterator[Seen]:
        for one in gathered.sessions:
            went_on = _status(one) in {"completed", "interrupted"} and one.is_sealed(Artifact.FINGERPRINT.value)
            if went_on and one.fingerprint["error_count"] and one.verified == "PASS":
                yield Seen(f"{one.fingerprint['error_count']} failed calls", holds=True, run_id=one.run_id)

    return _first(found(), "no session that went on behind a failed call")


def logic_fault(_: Session, gathered: Gathered) -> Seen:
    """A session that halted because the account contradicts the books, sealed as failed."""

    def found() -> Iterator[Seen]:
        for one in gathered.sessions:
            halts = [line["payload"] for line in _chain(one) if line["kind"] == "TRADING" and
                     line["payload"]["state"] == "HALTED"]  # fmt: skip
            against = halts and CONTRADICTED & set(halts[-1]["reasons"])
            if against and _status(one) == "failed" and one.manifest["failure"] and one.verified == "PASS":
                yield Seen(", ".join(halts[-1]["reasons"]), holds=True, run_id=one.run_id)

    return _first(found(), "no session that halted")


def process_fault(_: Session, gathered: Gathered) -> Seen:
    """A session whose process was gone, closed by a later one that opened the account anew."""

    def found() -> Iterator[Seen]:
        for one in gathered.sessions:
            if not one.is_sealed(Artifact.INTERRUPTED.value) or one.verified != "PASS":
                continue
            began, instance = one.manifest["start_time"], one.manifest["instance"]
            later = [other for other in gathered.sessions if other.manifest["start_time"] > began
                     and other.manifest["instance"] == instance and _chain(other)]  # fmt: skip
            opened = next((other for other in later if other.of_kind("OPENING")), None)
            if opened is not None:
                closed = one.document(Artifact.INTERRUPTED)["detected_at"]
                yield Seen(f"closed {closed}; {opened.run_id} opened behind it", holds=True, run_id=one.run_id)

    return _first(found(), "no session that was killed and closed by the next")


def refused(_: Session, gathered: Gathered) -> Seen:
    """A start that was refused: its exit code, its one line, and no order in the venue's journal."""

    def found() -> Iterator[Seen]:
        for file, start in gathered.starts:
            if start.exit_code == MISCONFIGURED and _sent_nothing(start, gathered):
                yield Seen(_line_of(start), _line_of(start) != "", file=file)

    return _first(found(), "no start that was refused before anything was sent")


def _sent_nothing(start: LadderStart, gathered: Gathered) -> bool:
    return gathered.orders_between(start.venue_from_ms, start.venue_to_ms)[1] == 0


def _line_of(start: LadderStart) -> str:
    """The one line that it ended with; empty where it printed none, or more."""
    try:
        return str(json.loads(start.stderr)["error"])
    except (ValueError, KeyError, TypeError):
        return ""


def _status(session: Session) -> str:
    return str(session.manifest.get("status"))


def _chain(session: Session) -> list[Plain]:
    try:
        return session.chain
    except EvidenceError:
        return []


def aligned(_: Session, gathered: Gathered) -> Seen:
    """The last alignment of both libraries in the log of differences."""
    if gathered.checkout is None:
        raise EvidenceError("the documents are not here")
    text = (gathered.checkout / DIFF_LOG).read_text("utf-8")
    sections = [line for line in text.splitlines() if line.startswith("## Aligned: ALIGN_")]
    return Seen(sections[-1].removeprefix("## ") if sections else "no alignment", bool(sections))
