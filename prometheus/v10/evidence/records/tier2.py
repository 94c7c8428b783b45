"""Records that a Tier-2 run adds to Tier 1 (contracts, sections 4 and 10): lives, positions, trace, alignment."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.records.events import TS_BASIS, DeathReason
from prometheus.v10.evidence.records.summary import Costs
from prometheus.v10.evidence.schemas.shapes import COUNT, SHA256, absent, exactly, words

POLICY = "genome + features -> action"
AT_CLOSE = "close of the last tick, before the settlement"
FROM_FILLS = "reconstructed_from_fills"
SIDES = ("long", "short")


@frozen(kw_only=True)
class Behavior:
    """One life of ``behaviors_run_<id>.json``: row i is ``genome_index`` i.

    Attributes:
        birth_time: the tick after the one at whose end it was born; 0 for founders, as the historic files have it.
        win_rate: wins / total_trades; null for who closed no trade.
        children: how many were born of it.
    """

    schema: str = Schema.BEHAVIOR.value
    run_id: str
    genome_index: int = field(metadata=COUNT)
    agent_id: str
    genome_sha256: str = field(metadata=SHA256)
    parent_id: str | None
    founder_id: str
    birth_time: int = field(metadata=COUNT)
    age_ticks: int
    is_alive: bool
    death_tick: int | None
    death_reason: str | None = field(metadata=words(*DeathReason))
    initial_capital: float
    final_capital: float
    roi_lifetime: float
    total_trades: int = field(metadata=COUNT)
    wins: int = field(metadata=COUNT)
    win_rate: float | None
    children: int = field(metadata=COUNT)
    costs: Costs
    last_signal: float
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Position:
    """An open position of one agent; ``lots`` is unsigned, ``unrealised`` is USDT at the mark."""

    agent_id: str
    genome_index: int = field(metadata=COUNT)
    side: str = field(metadata=words(*SIDES))
    lots: float
    entry_price: float
    unrealised: float
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class ReportedPosition:
    """The account as an exchange reported it at the close of the last tick; money is USDT, as text.

    Attributes:
        call: number of the raw call that says it, ``equity_call`` of the one that says the equity.
        lots: signed, 0 when flat.
        average_price: left out when flat, as ``mark_price`` is.
    """

    call: int = field(metadata=COUNT)
    equity_call: int = field(metadata=COUNT)
    lots: int
    average_price: str | None = field(default=None, metadata=absent())
    mark_price: str | None = field(default=None, metadata=absent())
    equity: str


@frozen(kw_only=True)
class PositionsSnapshot:
    """``positions_snapshot.json``: the account as one, and every open position; version 2 is of an exchange.

    Attributes:
        contracts: of the net position, unsigned; ``gross_lots`` counts both sides, ``net_lots`` is signed.
        reported: what the exchange said; left out where it was not asked.
    """

    schema: str = field(
        default=Schema.POSITIONS_SNAPSHOT.value,
        metadata=words(Schema.POSITIONS_SNAPSHOT, Schema.POSITIONS_SNAPSHOT_2),
    )
    run_id: str
    tick: int = field(metadata=COUNT)
    ts_utc: str
    ts_basis: str = TS_BASIS
    source: str = field(default=FROM_FILLS, metadata=exactly(FROM_FILLS))
    moment: str = field(default=AT_CLOSE, metadata=exactly(AT_CLOSE))
    mark_price: float
    has_position: bool
    position_side: str | None = field(metadata=words(*SIDES))
    contracts: float
    avg_entry_price: float | None
    gross_lots: float
    net_lots: float
    positions: list[Position]
    reported: ReportedPosition | None = field(default=None, metadata=absent())
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class RebuiltPosition:
    """One record of ``positions_reconstruction_raw_part_NNNN.json``: a position from its fills alone.

    Attributes:
        residual_lots: what the reconstruction differs from the snapshot by: 0.
    """

    schema: str = Schema.POSITIONS_RAW.value
    run_id: str
    agent_id: str
    evidence_type: str = field(default="fills", metadata=exactly("fills"))
    fills: int = field(metadata=COUNT)
    bought_lots: float
    sold_lots: float
    position_lots: float
    snapshot_lots: float
    residual_lots: float
    last_fill_tick: int
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class AlignmentReport:
    """``alignment_report.json``: how an exchange library's words map to ours; offline there is none."""

    schema: str = Schema.ALIGNMENT_REPORT.value
    run_id: str
    execution_alignment_lib: str | None
    execution_alignment_ok: bool | None
    mapping: dict[str, Any] | None
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class AlignmentSamples:
    """``alignment_raw_samples.json``: what the library answered, word for word; offline there is none."""

    schema: str = Schema.ALIGNMENT_RAW_SAMPLES.value
    run_id: str
    exchange_lib: str | None
    samples: list[dict[str, Any]] | None
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class PartEntry:
    """A part that an index names."""

    filename: str
    bytes: int = field(metadata=COUNT)
    records_count: int = field(metadata=COUNT)
    sha256: str = field(metadata=SHA256)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class PartsIndex:
    """``decision_trace_index.json`` and ``positions_reconstruction_raw_index.json``: the parts that are there."""

    schema: str = Schema.PARTS_INDEX.value
    run_id: str
    shards: list[PartEntry]
    total_shards: int = field(metadata=COUNT)
    total_records: int = field(metadata=COUNT)
    total_bytes: int = field(metadata=COUNT)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Decision:
    """What one agent wanted for the next open, and why."""

    agent_id: str
    intent_action: str = field(metadata=words("exit", "enter_long", "enter_short"))
    reason_code: str = field(metadata=words("signal_out_above_0", "signal_in_against_side"))
    signal_out: float
    signal_in: float
    lots: float
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class TraceLine:
    """One line of ``decision_trace_part_NNNN.jsonl``: a tick, what every agent saw and wanted.

    Attributes:
        market_context_hash: sha256 of the E channels of the tick, float32.
        signals_sha256: sha256 of both signals of every living agent, float32, in order of ``genome_index``.
        community: the C channels.
        agent_detail: who sent an order for the next open.
    """

    schema: str = Schema.DECISION_TRACE.value
    run_id: str
    experiment: int = field(metadata=COUNT)
    tick: int = field(metadata=COUNT)
    ts_utc: str
    ts_basis: str = TS_BASIS
    inst_id_used: str
    mark_price_used: float
    policy_version: str = field(default=POLICY, metadata=exactly(POLICY))
    market_context_hash: str = field(metadata=SHA256)
    signals_sha256: str = field(metadata=SHA256)
    community: list[float]
    alive: int = field(metadata=COUNT)
    long: int = field(metadata=COUNT)
    short: int = field(metadata=COUNT)
    entering: int = field(metadata=COUNT)
    leaving: int = field(metadata=COUNT)
    agent_detail: list[Decision]
    extra: dict[str, Any] = field(factory=dict)
