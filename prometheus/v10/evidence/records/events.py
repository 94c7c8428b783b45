"""What happened to agents and populations, one line each (contracts, section 4).

Deaths, births and collapses are functions of commit, config, seed, bars and run id alone: their ``ts_utc`` is the close
of the tick's bar (``ts_basis: "market"``), never the wall clock. One experiment's deaths and births arrive as columns
and leave as bytes (`encode_deaths`, `encode_births`); the classes are the same records for readers, and a test holds
both to the same bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.names import Schema

TS_BASIS = "market"
FOUNDER = "founder: drawn, not born"
FLAT = "flat: no position"
NO_API = "offline: there is no exchange API to fail"


class DeathReason(StrEnum):
    """Why an agent died. The world's reason codes index this list in its order (contracts, section 3)."""

    QUARTERLY_REVIEW = "quarterly_review"
    CAPITAL_DEPLETED = "capital_depleted"
    LIQUIDATION = "liquidation"
    UNKNOWN = "unknown"


REASON_SOURCES = {
    DeathReason.QUARTERLY_REVIEW: "lifecycle review: period ROI below the death threshold",
    DeathReason.CAPITAL_DEPLETED: "exchange: flat and not able to margin the smallest order",
    DeathReason.LIQUIDATION: "exchange: margin below maintenance within the bar",
    DeathReason.UNKNOWN: "no rule of the world named a reason",
}


class DeathPattern(StrEnum):
    """Deaths that are worth a second look (contracts, section 10)."""

    MASS_DEATH = "mass_death_cluster"
    NO_TRADES = "no_trades_but_died"
    ORDER_REJECTS = "repeated_order_rejects"
    SELF_TRADE = "suspected_self_trade"
    RESONANCE = "three_dimensional_resonance"


@frozen(kw_only=True)
class CapitalTriplet:
    """``current_total = allocated_capital + system_reserve``, USDT."""

    allocated_capital: float
    system_reserve: float
    current_total: float
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class FenceShare:
    """One fence's blocks since the last review; ``attempts`` is at least ``block_count``, which is above 0."""

    fence_id: str
    attempts: int
    block_count: int
    block_rate: float
    extra: dict[str, Any] = field(factory=dict)


def agent_id(experiment: int, agent: int) -> str:
    """An agent's name within its run: experiment and order of birth within it."""
    return f"e{experiment:04d}a{agent:06d}"


@frozen(kw_only=True)
class DeathEvent:
    """One line of ``death_events.jsonl``.

    Attributes:
        experiment: index of the experiment within the run.
        arm: ``A_real`` or ``B2_shuffle_returns``.
        tick: index of the bar at whose end the agent was dead; ``ts_utc`` is that bar's close.
        agent_id: see `agent_id`; ``parent_id`` is null for founders.
        genome_index: its row in ``genomes_run_<id>.npy``.
        birth_tick: index of the bar at whose end it was born; -1 for founders, who are there before the first bar.
        initial_capital: what it was given at birth, USDT; ``final_capital``: its equity at death, which may be a debt.
        roi_lifetime: final / initial - 1; ``roi_period`` counts from its last breeding.
        has_position: whether it died with a position; ``position_side`` is ``long``, ``short`` or null.
        fees_paid: USDT over its life, as are ``funding_paid`` and ``slippage_paid``.
        capital_triplet: the whole population's, after the burials of this tick.
        fence_block_rate_summary: the fences that blocked most since the last review, the population's, at most three.
    """

    schema: str = Schema.DEATH.value
    run_id: str
    experiment: int
    seed: int
    arm: str
    ts_utc: str
    ts_basis: str = TS_BASIS
    tick: int
    agent_id: str
    parent_id: str | None
    genome_index: int
    genome_sha256: str
    birth_tick: int
    age_ticks: int
    death_reason: str
    death_reason_source: str
    initial_capital: float
    final_capital: float
    roi_lifetime: float
    roi_period: float
    trades: int
    wins: int
    fees_paid: float
    funding_paid: float
    slippage_paid: float
    has_position: bool
    position_side: str | None
    last_signal: float
    state_final: str
    api_error_count_so_far: int | None
    capital_triplet: CapitalTriplet
    fence_block_rate_summary: list[FenceShare]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class BirthEvent:
    """One line of ``birth_events.jsonl``: a review at which a parent shared its capital. Founders are drawn, not born.

    Attributes:
        founder_id: the founder that both descend from.
        initial_capital: the child's half, USDT; the parent kept as much.
        parent_roi_period: the return that let the parent breed.
        mutated_loci: how many of the 342 loci differ from the parent's.
    """

    schema: str = Schema.BIRTH.value
    run_id: str
    experiment: int
    seed: int
    arm: str
    ts_utc: str
    ts_basis: str = TS_BASIS
    tick: int
    agent_id: str
    parent_id: str
    founder_id: str
    genome_index: int
    genome_sha256: str
    parent_genome_sha256: str
    mutated_loci: int
    initial_capital: float
    parent_roi_period: float
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Survivor:
    """One line of ``survivors.jsonl``: an agent that lived at the end of its experiment, in order of genome_index.

    With the deaths it makes every agent that ever lived appear exactly once, so that a summary's rows can be computed
    again from the run's directory alone.

    Attributes:
        founder_id: the founder that it descends from: itself for founders; ``parent_id`` is null for those.
        age_ticks: ticks lived, the last one included; ``tick`` is the last tick of its experiment.
        period_capital: capital at its last breeding, or at birth; what ``breed_roi`` and ``death_roi`` refer to.
        final_capital: equity after every position was settled, USDT; ``roi_lifetime`` is final / initial - 1.
        in_pool: whether the run handed its genome to the pool.
    """

    schema: str = Schema.SURVIVOR.value
    run_id: str
    experiment: int
    seed: int
    arm: str
    ts_utc: str
    ts_basis: str = TS_BASIS
    tick: int
    agent_id: str
    parent_id: str | None
    founder_id: str
    genome_index: int
    genome_sha256: str
    birth_tick: int
    age_ticks: int
    initial_capital: float
    period_capital: float
    final_capital: float
    roi_lifetime: float
    trades: int
    wins: int
    fees_paid: float
    funding_paid: float
    slippage_paid: float
    in_pool: bool
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class CollapseEvent:
    """One line of ``collapse_events.jsonl``: the end of an experiment (contracts, section 3).

    Attributes:
        reason: ``extinction``, ``financial`` or ``both``.
        tick: index of the bar at whose end it held; ``ticks_to_collapse`` is the number of ticks lived, ``tick + 1``.
        ticks_planned: length of the experiment's window.
        fence_block_rate_summary: the fences that blocked most since the last review, at most three.
    """

    schema: str = Schema.COLLAPSE.value
    run_id: str
    experiment: int
    seed: int
    arm: str
    ts_utc: str
    ts_basis: str = TS_BASIS
    tick: int
    ticks_to_collapse: int
    ticks_planned: int
    reason: str
    alive_agents: int
    total_agents_ever: int
    births: int
    deaths: int
    deaths_by_reason: dict[str, int]
    reviews: int
    capital_triplet: CapitalTriplet
    fence_block_rate_summary: list[FenceShare]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class EvidenceRef:
    """Lines of a file of the same run directory, counted from 1, both ends included."""

    file: str
    line_start: int
    line_end: int
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class InterestingDeath:
    """One line of ``interesting_deaths.jsonl``: a pattern among deaths that may promote a run to a full audit.

    Attributes:
        observed: the measured figure; ``threshold`` is the declared one that it reached.
        detail: what was seen, in a sentence.
        agent_ids: who died in it; at most a handful, ``deaths`` counts all.
    """

    schema: str = Schema.INTERESTING_DEATH.value
    run_id: str
    experiment: int
    seed: int
    arm: str
    ts_utc: str
    ts_basis: str = TS_BASIS
    pattern: str
    tick_first: int
    tick_last: int
    deaths: int
    agent_ids: list[str]
    observed: float
    threshold: float
    detail: str
    evidence_refs: list[EvidenceRef]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)
