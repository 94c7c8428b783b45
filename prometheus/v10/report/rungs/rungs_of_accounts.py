"""C3.0 and C3.1: the account's money against the agents', and what was looked at before anything was sent."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.report.rungs.ladder_evidence import ORDER, Session
from prometheus.v10.report.rungs.ladder_records import Kind
from prometheus.v10.report.rungs.rung_asks import Ask, RungAsks, Seen, manifest_is, of_session

C3: Final = "C3"
STAKE: Final = Decimal(1000)
ALLOTTED: Final = Decimal("0.8")
FIELDS: Final = ("cash", "equity", "fees", "funding", "position_lots", "looked_ms", "last_bill", "last_fill")
INVARIANTS: Final = {"position", "trades", "money", "price", "equity", "order", "limits"}
READ_FIRST: Final = (
    "GET /api/v5/system/status", "GET /api/v5/public/time", "GET /api/v5/account/config",
    "GET /api/v5/public/instruments", "GET /api/v5/public/position-tiers", "GET /api/v5/account/trade-fee",
    "GET /api/v5/account/balance", "GET /api/v5/account/positions", "GET /api/v5/trade/orders-pending",
    "GET /api/v5/account/leverage-info",
)  # fmt: skip
OWED: Final = (
    "run_id", "mode", "env", "stage", "instance", "status", "start_time", "end_time", "duration_seconds", "git_commit",
    "config_hash", "core_hash", "python_version", "exchange_lib", "symbol_in_use", "positions_quality",
    "impedance_fidelity", "self_trade_prevention", "results_dir", "seeds", "market", "window", "world", "exchange",
    "fence_inventory_hash",
)  # fmt: skip


def _each_tick(session: Session) -> Seen:
    ticks = {one["tick"] for one in session.rounds}
    wanted = set(range(1, session.bars))
    return Seen(f"{len(session.rounds)} rounds, {session.bars} bars", bool(wanted) and wanted <= ticks)


def _residuals(session: Session) -> Seen:
    broken = [f"{one['tick']}:{part['name']}" for one in session.rounds for part in one["residuals"] or []
              if part["holds"] is not True]  # fmt: skip
    whole = all({part["name"] for part in one["residuals"]} == INVARIANTS for one in session.rounds)
    return Seen(", ".join(broken) or f"{len(INVARIANTS)} residuals in each of {len(session.rounds)} rounds",
                whole and not broken and bool(session.rounds))  # fmt: skip


def _reconciled(session: Session) -> Seen:
    lines = [line["payload"] for line in session.of_kind("RECONCILED")]
    whole = all(one.get(name) is not None for one in lines for name in FIELDS)
    times = [int(one["looked_ms"]) for one in lines]
    filled = {line["client_id"] for line in session.of_kind("FILL")}
    return Seen(f"{len(lines)} reconciliations, {len(filled)} orders with fills",
                whole and times == sorted(times) and len(lines) > 0)  # fmt: skip


def _reconciled_behind_each_fill(session: Session) -> Seen:
    """Behind the fills of an order and before the next order stands a reconciliation."""
    waiting, lacking = None, []
    for line in session.chain:
        if line["kind"] == "FILL":
            waiting = line["client_id"]
        elif line["kind"] == "RECONCILED":
            waiting = None
        elif line["kind"] == "INTENT" and waiting is not None:
            lacking.append(waiting)
    of_opening = {line["client_id"] for line in session.of_kind("INTENT") if line["payload"]["tick"] == 0}
    lacking = [one for one in [*lacking, *([waiting] if waiting else [])] if one not in of_opening]
    return Seen(f"{len(lacking)} orders without", holds=not lacking)


def _stable(session: Session) -> Seen:
    claim = session.claim["bootstrap"]
    allotted, agents = Decimal(claim["allotted"]), int(claim["agents"])
    founders = int(session.manifest["world"]["founders"])
    return Seen(f"{allotted} USDT for {agents} agents", allotted == STAKE * agents and founders == agents)


def _reserve(session: Session) -> Seen:
    """The reserve is what the equity leaves: at the opening, and after the last round."""
    claim, last = session.claim["bootstrap"], session.rounds[-1]
    opened = Decimal(claim["equity"]) - Decimal(claim["allotted"]) == Decimal(claim["reserve"])
    surplus = Decimal(last["reserve"]) - Decimal(last["reserve_without_surplus"]) == Decimal(last["surplus_total"])
    return Seen(f"{claim['reserve']} at the opening, {last['reserve']} at the end", opened and surplus)


def _bootstrap(session: Session) -> Seen:
    claim, most = session.claim["bootstrap"], int(session.manifest["config"]["exchange"]["most_agents"])
    equity, agents = Decimal(claim["equity"]), int(claim["agents"])
    wanted = min(int(equity * ALLOTTED // STAKE), most)
    opening = session.of_kind("OPENING")[0]["payload"]
    holds = (
        agents == wanted and Decimal(claim["allotted"]) == STAKE * agents
        and Decimal(claim["reserve"]) == equity - STAKE * agents and Decimal(opening["equity"]) == equity
    )  # fmt: skip
    return Seen(f"equity {equity}, {agents} agents, {claim['allotted']} allotted, {claim['reserve']} in reserve", holds)


def _read_before(session: Session) -> Seen:
    """Reads that were answered before the first order of the session's bars."""
    of_bars = {line["client_id"] for line in session.of_kind("INTENT") if line["payload"]["tick"] > 0}
    first = next((
        one["number"] for one in session.calls
        if one["path"] == ORDER and one["method"] == "POST" and json.loads(one["request_body"])["clOrdId"] in of_bars
    ), len(session.calls) + 1)  # fmt: skip
    before = {f"{one['method']} {one['path']}" for one in session.calls
              if one["number"] < first and one["outcome"] == "ok"}  # fmt: skip
    lacking = [one for one in READ_FIRST if one not in before]
    return Seen(f"not answered before the first order: {', '.join(lacking)}" if lacking else f"{len(before)} endpoints",
                holds=not lacking)  # fmt: skip


def _nothing_left(session: Session) -> Seen:
    """What the last look before the opening said: no order pending, no position."""
    opened = int(session.of_kind("OPENING")[0]["payload"]["opened_ms"])
    said: dict[str, Any] = {}
    for call in session.calls:
        ends = call["path"].rpartition("/")[2]
        if call["outcome"] == "ok" and call["started_ms"] <= opened and ends in {"orders-pending", "positions"}:
            said[ends] = strict_loads(call["response"].encode())["data"]
    held = [one for one in said["positions"] if Decimal(str(one.get("pos") or 0)) != 0]
    return Seen(f"{len(said['orders-pending'])} orders, {len(held)} positions", not said["orders-pending"] and not held)


def _whole(session: Session) -> Seen:
    manifest = session.manifest
    lacking = [name for name in OWED if manifest.get(name) is None]
    reasons = manifest["null_reasons"]
    silent = [name for name, value in manifest.items() if value is None and not reasons.get(name)]
    wrong = [*lacking, *silent]
    return Seen(f"lacks {', '.join(wrong)}" if wrong else f"{len(OWED)} fields", holds=not wrong)


PREFLIGHT: Final = (
    Ask(
        name="preflight", says="everything was read and answered before the first order",
        file="m_execution_raw_part_NNNN.json", field="number, path, outcome", wanted=f"{len(READ_FIRST)} endpoints",
        look=lambda session, _: _read_before(session),
    ),
    Ask(
        name="brought_to_nothing", says="the last look before the opening found neither order nor position",
        file="m_execution_raw_part_NNNN.json", field="orders-pending, positions", wanted="0 orders, 0 positions",
        look=lambda session, _: _nothing_left(session),
    ),
    Ask(
        name="bootstrap", says="agents, allotment and reserve follow from the equity", file=Artifact.MANIFEST.value,
        field="exchange.bootstrap", wanted="1000 USDT each, of four fifths of the equity, at most most_agents",
        look=lambda session, _: _bootstrap(session),
    ),
)  # fmt: skip
WHOLE_MANIFEST: Final = Ask(
    name="manifest_fields", says="the manifest says what it owes, and each null has its reason",
    file=Artifact.MANIFEST.value, field=", ".join(OWED[:6]) + ", ...", wanted=f"{len(OWED)} fields",
    look=lambda session, _: _whole(session),
)  # fmt: skip
SEVERAL_BARS: Final = Ask(
    name="bars", says="several bars were traded", file=Artifact.DECISION_TRACE_INDEX.value, field="total_records",
    wanted=">= 2", look=of_session(lambda one: one.bars, lambda value: value >= 2), kind=Kind.EXERCISED,
    then="run a longer session",
)  # fmt: skip

OVER: Final = manifest_is(
    "status", "completed", "interrupted", kind=Kind.EXERCISED, then="run a session to its end"
)  # fmt: skip

RUNGS: Final = (
    RungAsks(
        rung="C3.0", group=C3, asks="Reconciliation at each tick; the allotment is stable, the reserve follows equity.",
        conditions=(SEVERAL_BARS, OVER, Ask(
            name="each_tick", says="each tick has a round", file=Artifact.NETTING_ROUNDS.value, field="tick",
            wanted="1 to bars - 1, and what the end needs", look=lambda session, _: _each_tick(session),
        ), Ask(
            name="residuals", says="position, trades, money, price, equity, order and limits agree with the exchange",
            file=Artifact.NETTING_ROUNDS.value, field="residuals[].holds", wanted="true, each",
            look=lambda session, _: _residuals(session),
        ), Ask(
            name="reconciled", says="reconciliations have their fields, in the order of time",
            file=Artifact.ORDER_CHAIN.value, field="RECONCILED", wanted=", ".join(FIELDS),
            look=lambda session, _: _reconciled(session),
        ), Ask(
            name="behind_each_fill", says="behind the fills of an order stands a reconciliation",
            file=Artifact.ORDER_CHAIN.value, field="FILL, RECONCILED", wanted="before the next order",
            look=lambda session, _: _reconciled_behind_each_fill(session),
        ), Ask(
            name="allotted", says="each agent has 1000 USDT, and the allotment is what the world began with",
            file=Artifact.MANIFEST.value, field="exchange.bootstrap, world.founders", wanted="1000 USDT x agents",
            look=lambda session, _: _stable(session),
        ), Ask(
            name="reserve", says="the reserve is equity less allotment, and grows by the surplus of netting alone",
            file=Artifact.NETTING_ROUNDS.value, field="reserve, surplus_total", wanted="to the last digit",
            look=lambda session, _: _reserve(session),
        )),
        departure="The events of a reconciliation are lines of the order chain and residuals of each round; nothing is "
        "patched to make them close: what does not close halts.",
    ),
    RungAsks(
        rung="C3.1", group=C3, asks="Preflight, the arithmetic of the bootstrap, a complete manifest.",
        conditions=(OVER, *PREFLIGHT, WHOLE_MANIFEST),
        departure="startup_preflight.json is the first calls of the raw channel and the OPENING line of the chain.",
    ),
)  # fmt: skip
