"""Gate 0 and Gate 4 as rungs: steps 1 to 3, and G4.1 to G4.7."""

from __future__ import annotations

from typing import Final

from prometheus.v10.base.names import Artifact
from prometheus.v10.report.rungs import rungs_of_gate as found
from prometheus.v10.report.rungs.ladder_evidence import DIFF_LOG, RUNBOOK, STARTS
from prometheus.v10.report.rungs.ladder_records import Kind
from prometheus.v10.report.rungs.rung_asks import (
    COMPLETED,
    DEMO,
    EIGHT_ARE_SEALED,
    NO_SPAM,
    NOT_ON_PRACTICE,
    ON_THE_WALL_CLOCK,
    Ask,
    RungAsks,
    of_session,
    sealed,
)
from prometheus.v10.report.rungs.rungs_of_accounts import PREFLIGHT
from prometheus.v10.report.rungs.rungs_of_gate import GATE_0, GATE_4, ONE_WAY_IN, ORDERS, TRACE, WINDOW, WINDOW_BAR_S
from prometheus.v10.report.rungs.rungs_of_incidents import BUNDLED, RUNBOOK_IS_THERE, SENT_ONCE
from prometheus.v10.report.rungs.rungs_of_sessions import (
    CALLS_MADE,
    COVERED,
    ENDED,
    FIVE,
    LIBRARY,
    MONOLITH,
    OTHER,
    SIZE,
)

TRUTH: Final = Ask(
    name="verify", says="every session that is judged verifies", file="(every run)", field="verify",
    wanted="PASS, each", look=found.all_verify, then="run prometheus-quant verify on it, and read its findings",
)  # fmt: skip
BUDGET: Final = Ask(
    name="raw_budget", says="raw evidence stays within its budget", file=Artifact.EXECUTION_RAW_INDEX.value,
    field="shards[].bytes", wanted="<= config.evidence.raw_budget_bytes", look=lambda session, _: found.budget(session),
)  # fmt: skip
FIGURES: Final = (
    Ask(
        name="fees", says="fees of fills are the rate that was read at the opening", file=Artifact.ORDER_CHAIN.value,
        field="FILL.fee", wanted="rate x notional, to the quantum", look=lambda session, _: found.fees(session),
    ),
    Ask(
        name="slippage", says="slippage against the touch is measured", file=Artifact.NETTING_ROUNDS.value,
        field="mean_price, bid_ticks, ask_ticks", wanted="a figure", look=lambda session, _: found.slippage(session),
    ),
    Ask(
        name="partial_fills", says="the share of orders that were filled in part is measured",
        file=Artifact.ORDER_CHAIN.value, field="TERMINAL.filled_lots", wanted="a figure",
        look=lambda session, _: found.partial(session),
    ),
    Ask(
        name="latency", says="latency is measured", file=Artifact.FINGERPRINT.value, field="latency_stats_ms",
        wanted="p50 <= p95 <= p99 <= max", look=lambda session, _: found.latency(session),
    ),
    Ask(
        name="confirmed", says="each acknowledged order has both ids and was asked for",
        file=Artifact.ORDER_CHAIN.value,
        field="ACK.order_id, QUERY", wanted="each", look=lambda session, _: found.confirmed(session),
    ),
)  # fmt: skip


def _bars(least: int, says: str) -> Ask:
    return Ask(
        name="bars", says=says, file=Artifact.DECISION_TRACE_INDEX.value, field="total_records", wanted=f">= {least}",
        look=of_session(lambda one: one.bars, lambda value: value >= least), kind=Kind.EXERCISED,
        then=f"run a session of {least} bars",
    )  # fmt: skip


BAR_S: Final = Ask(
    name="bar_seconds", says="a bar is a quarter of an hour", file=Artifact.MANIFEST.value, field="market.timeframe_s",
    wanted=str(WINDOW_BAR_S), look=of_session(lambda one: one.bar_seconds, lambda value: value == WINDOW_BAR_S),
    kind=Kind.EXERCISED, then="run it on bars of 900 s",
)  # fmt: skip
DRILLED: Final = tuple(
    Ask(name=name, says=says, file=file, field=field, wanted="one session", look=look, kind=Kind.EXERCISED, then=then)
    for name, says, file, field, look, then in (
        ("exchange_fault", "calls failed, the session went on, and it verifies", Artifact.FINGERPRINT.value,
         "error_count", found.exchange_fault, "disturb a session by a fault of the venue"),
        ("logic_fault", "the account said what the books exclude: halted with a reason, sealed as failed",
         Artifact.ORDER_CHAIN.value, "TRADING.reasons", found.logic_fault, "let the venue lie: lie.balance"),
        ("process_fault", "the process was killed: closed by the next start, which opened the account anew",
         Artifact.INTERRUPTED.value, "detected_at", found.process_fault, "kill a session, and start the next"),
        ("refused_start", "a profile that cannot be: exit code 78, one line, no order sent", f"{STARTS}/start_NN.json",
         "exit_code, stderr", found.refused, "start with a profile that asks for too much"),
    )
)  # fmt: skip

RUNGS: Final = (
    RungAsks(
        rung="G0", group=GATE_0, asks="What is judged counts at all: every session verifies.", conditions=(TRUTH,),
        of_several=True,
    ),
    RungAsks(
        rung="Step 1", group=GATE_4, asks="96 quarter hours on a host of its own, at the demo account, all artifacts.",
        conditions=(DEMO, _bars(WINDOW, "96 bars were traded"), BAR_S, EIGHT_ARE_SEALED, SENT_ONCE, ONE_WAY_IN, ORDERS,
                    NOT_ON_PRACTICE, ON_THE_WALL_CLOCK),
    ),
    RungAsks(
        rung="Step 2", group=GATE_4, of_several=True, conditions=DRILLED,
        asks="A drill each: the exchange, the system's own logic, the process, a start that is refused.",
        departure="errors.jsonl is the halt's line of the order chain and the manifest's failure. Full disks are a "
        "drill of tests/integration, a container that dies one of tests/host.",
    ),
    RungAsks(
        rung="Step 3", group=GATE_4, asks="Longer than a window; the population stays bounded; growth is measured.",
        conditions=(_bars(WINDOW + 1, "more than one window of 96 bars was traded"), Ask(
            name="population", says="the population stays bounded, and no genome of it enters a pool",
            file=Artifact.POPULATION_SERIES.value, field="alive; pool_appends.appended",
            wanted=f"<= {found.TIMES_THE_FOUNDERS} x founders at each tick; 0",
            look=lambda session, _: found.population(session),
        ), Ask(
            name="growth", says="growth on the disk is measured", file=Artifact.EXECUTION_RAW_INDEX.value,
            field="shards[].bytes", wanted="a figure", look=lambda session, _: found.growth(session),
        ), BUDGET, ON_THE_WALL_CLOCK),
    ),
    RungAsks(
        rung="G4.1", group=GATE_4, asks="Stable; no flood; no loop behind a collapse.",
        conditions=(*ENDED, *NO_SPAM),
    ),
    RungAsks(
        rung="G4.2", group=GATE_4, asks="Evidence can be handled: within its budget, in parts, of a known size.",
        conditions=(COMPLETED, BUDGET, COVERED, MONOLITH, SIZE),
    ),
    RungAsks(
        rung="G4.3", group=GATE_4, asks="Orders reach the exchange as meant: fees, slippage, partial fills, latency.",
        conditions=(DEMO, ORDERS, *PREFLIGHT, ONE_WAY_IN, SENT_ONCE, *FIGURES, NOT_ON_PRACTICE),
        departure="G4.3a to G4.3f are these conditions: preflight, one way in, ids and status of each order, schemas "
        "and the audit at the end by verify.",
    ),
    RungAsks(
        rung="G4.4", group=GATE_4, asks="Fences do not decide.", conditions=(COMPLETED, Ask(
            name="fences", says="no man-made fence acted on an order or a way in or out", file=Artifact.TELEMETRY.value,
            field="counters", wanted="block_count and trigger_count 0 of each man-made one",
            look=lambda session, _: found.fences(session),
        )),
    ),
    RungAsks(
        rung="G4.5", group=GATE_4, asks="The interface is aligned, and differences are logged.",
        conditions=(DEMO, COMPLETED, CALLS_MADE, FIVE, LIBRARY, OTHER, Ask(
            name="difference_log", says="both libraries were held together", file=DIFF_LOG, field="## Aligned:",
            wanted="a section with its run id", look=found.aligned, kind=Kind.PLACE,
            then="judge in a checkout, or run prometheus-quant execution align",
        )),
    ),
    RungAsks(
        rung="G4.6", group=GATE_4, asks="A runbook, and an incident's bundle.", conditions=(RUNBOOK_IS_THERE, *BUNDLED),
        departure=f"The runbook is {RUNBOOK}.",
    ),
    RungAsks(
        rung="G4.7", group=GATE_4, asks="A demo account of the real exchange, from a host, with every decision traced.",
        conditions=(DEMO, ORDERS, TRACE, sealed(
            "lifecycle", "births, deaths and survivors", Artifact.BIRTHS, Artifact.DEATHS, Artifact.SURVIVORS,
        ), ONE_WAY_IN, NOT_ON_PRACTICE, ON_THE_WALL_CLOCK),
    ),
)  # fmt: skip
