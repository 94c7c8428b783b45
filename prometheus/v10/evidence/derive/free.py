"""The asserted fields of a run: what `verify` cannot derive from other sealed bytes, and why.

A field is named as file and dotted path, ``*`` for a place in a list or a name in a table, ``**`` for everything below.
Everything that is not named here is derived, bound or held to a closed form; a generated test changes one leaf after
another and holds this list to reality. `replay` proves those marked ``replay``; the others are facts about the place in
which the run took place. Standard library only.
"""

from __future__ import annotations

import re
from functools import cache

REPLAY = "replay"
PLACE = "place"

FREE: dict[str, tuple[str, str]] = {
    "gating_telemetry.json:counters.*.attempts": (REPLAY, "of market fences: needs every order; rates follow"),
    "run_manifest.json:results_dir": (PLACE, "where the root lay; tier and run id are derived"),
    "death_events.jsonl:last_signal": (REPLAY, "needs the genome and the market; held to [-1, 1]"),
    "death_events.jsonl:wins": (REPLAY, "needs every order; at most trades"),
    "death_events.jsonl:genome_sha256": (REPLAY, "of a founder without a child: drawn from the seed"),
    "birth_events.jsonl:mutated_loci": (REPLAY, "needs both genomes; 0 exactly when the hashes are equal"),
    "survivors.jsonl:wins": (REPLAY, "needs every order; at most trades"),
    "survivors.jsonl:genome_sha256": (REPLAY, "of a founder without a child: drawn from the seed"),
    "interesting_deaths.jsonl:observed": (REPLAY, "of a resonance or of rejects: needs the market, or every order"),
    "interesting_deaths.jsonl:detail": (REPLAY, "of a resonance or of rejects: figures of the market or of orders"),
    "multiple_experiments_summary.json:all_stats.*.max_drawdown": (REPLAY, "needs every tick; deaths bound it below"),
    "multiple_experiments_summary.json:all_stats.*.founder_out_in_correlation": (REPLAY, "needs the founders' genomes"),
    "multiple_experiments_summary.json:all_stats.*.gene_diversity": (REPLAY, "needs the survivors' genomes"),
    "multiple_experiments_summary.json:invariants.*.residual": (REPLAY, "of capital: every tick; at most its limit"),
    "m_execution_raw_part.json:expected_price": (REPLAY, "a price of the market"),
    "m_execution_raw_part.json:impact": (REPLAY, "needs the market's volume; at most 0.1"),
    "m_execution_raw_part.json:realised": (REPLAY, "needs the price of the entry"),
    "m_execution_raw_part.json:side": (REPLAY, "of an order that closes: needs the entry"),
    "m_execution_raw_part.json:ordered_lots": (REPLAY, "of an order that was not filled whole"),
    "m_execution_raw_part.json:order": (REPLAY, "within the numbers around it and the grid of the sample"),
    "m_execution_raw_part.json:agent_id": (REPLAY, "another agent that lived then"),
    "m_execution_raw_index.json:self_trade.*": (REPLAY, "needs every order, some of which the budget may drop"),
    "m_execution_raw_index.json:dropped.*.**": (REPLAY, "of a part that is gone: its bytes are not there"),
    "founders.jsonl:parents.*.record_id": (PLACE, "a record of the pool; audit holds it against the pool"),
    "founders.jsonl:parents.*.genome_sha256": (PLACE, "of an offspring's parent: as its record; of an elite derived"),
    "founders.jsonl:offspring.*": (REPLAY, "which parent each has: needs the figures of all ancestors"),
    "population_series.jsonl:total.*": (REPLAY, "needs every price; the last is the row's, max_drawdown bounds falls"),
    "population_series.jsonl:long.*": (REPLAY, "needs every order; none is open behind a review, nor at the end"),
    "population_series.jsonl:short.*": (REPLAY, "as long"),
    "population_series.jsonl:fees.*": (REPLAY, "needs every order; never falls, and the last is the row's"),
    "population_series.jsonl:slippage.*": (REPLAY, "as fees"),
    "population_series.jsonl:funding.*": (REPLAY, "needs every position; the last is the row's"),
    "run_manifest.json:founding.records": (PLACE, "where the pool stood; audit holds it against the pool"),
    "run_manifest.json:founding.head": (PLACE, "as records; its first digits stand in the snapshot's id"),
    "run_manifest.json:core_hash": (PLACE, "which code ran; held against CORE.lock where it starts, and by replay"),
    "run_manifest.json:git_commit": (PLACE, "which commit; its first digits stand in the run's id"),
    "run_manifest.json:git_dirty": (PLACE, "whether the checkout was changed"),
    "run_manifest.json:python_version": (PLACE, "on which interpreter"),
    "run_manifest.json:versions.**": (PLACE, "with which libraries"),
    "run_manifest.json:host.**": (PLACE, "on which machine"),
    "run_manifest.json:code_identity.**": (PLACE, "which code ran"),
    "run_manifest.json:package_hash": (PLACE, "which code ran"),
    "run_manifest.json:runtime.**": (PLACE, "which code ran"),
    "run_manifest.json:instance": (PLACE, "which instance; the ledger's run_started names it"),
    "run_manifest.json:end_time": (PLACE, "a clock; never before start, stop and collapses"),
    "run_manifest.json:stop_time": (PLACE, "a clock; within the run"),
    "run_manifest.json:stop_reason": (PLACE, "who asked"),
    "run_manifest.json:timing.stop_seconds": (PLACE, "a clock; behind the start and before the end of what it cut"),
    "run_manifest.json:internal_collapses.*.detected_at": (PLACE, "a clock; within the run"),
    "run_manifest.json:internal_collapses.*.seconds": (PLACE, "a clock; within the run, in order"),
    "run_manifest.json:restart_time_seconds": (PLACE, "a clock; null exactly when no collapse went before"),
    "run_manifest.json:previous_run_id": (PLACE, "another run of the instance"),
    "run_manifest.json:failure.error": (PLACE, "the error in words"),
    "run_manifest.json:journal.socket": (PLACE, "where journald listens"),
    "run_manifest.json:journal.present": (PLACE, "whether a journal was there"),
    "run_manifest.json:journal.absent_reason": (PLACE, "why no journal was there"),
    "run_manifest.json:journal.invocation_id": (PLACE, "systemd's name of the start"),
    "run_manifest.json:journal.last_error": (PLACE, "why an entry was not taken"),
    "run_manifest.json:journal.sent.*": (PLACE, "of torn tails, deletions and budgets; the others are counted"),
    "run_manifest.json:market.sha256": (PLACE, "the bars themselves are not in the run; replay resolves them"),
    "run_manifest.json:pool_appends.before.head": (PLACE, "the ledger's seal repeats it; the audit holds it"),
    "run_manifest.json:pool_appends.after.head": (PLACE, "as before"),
    "run_manifest.json:pool_appends.before.records": (PLACE, "as before, where other runs appended between"),
    "run_manifest.json:pool_appends.records_sha256": (PLACE, "as before"),
    "run_manifest.json:null_reasons.*": (PLACE, "why the environment could not tell"),
    "run_manifest.json:null_reasons.host.*": (PLACE, "why the machine could not tell"),
}
"""Field to what proves it and why it cannot be derived."""

GROUPED: dict[str, tuple[str, str]] = {
    "death_events.jsonl:trades": (REPLAY, "within a group whose sum stays: none alone, listed for pairs"),
    "death_events.jsonl:capital_triplet.allocated_capital": (REPLAY, "equity of open positions; total follows from it"),
    "death_events.jsonl:position_side": (REPLAY, "of a liquidation whose forced order the raw evidence has not"),
    "death_events.jsonl:fence_block_rate_summary.*.fence_id": (REPLAY, "which market fence it was needs every order"),
    "collapse_events.jsonl:fence_block_rate_summary.*.fence_id": (REPLAY, "as in deaths"),
    "birth_events.jsonl:genome_sha256": (REPLAY, "of a child that neither the pool nor another line names"),
    "gating_telemetry.json:counters.*.trigger_count": (REPLAY, "of market fences: needs every order; rates follow"),
    "gating_telemetry.json:counters.*.block_count": (REPLAY, "of market fences: needs every order; rates follow"),
    "m_execution_raw_part.json:kind": (REPLAY, "exit, or flattening at a review's close"),
    "m_execution_raw_part.json:flags": (REPLAY, "of an order that was not filled whole: which of them"),
    "m_execution_raw_part.json:flags.*": (REPLAY, "of an order that was not filled whole: which of them"),
    "m_execution_raw_part.json:tick": (REPLAY, "never alone: ts_utc follows from it"),
    "m_execution_raw_part.json:position_after": (REPLAY, "of an exit of which nothing was filled"),
    "m_execution_raw_index.json:dropped_records": (REPLAY, "the sum over parts that are gone"),
    "run_manifest.json:docker_image": (PLACE, "in which image"),
    "run_manifest.json:image_digest": (PLACE, "in which image"),
    "run_manifest.json:start_time": (PLACE, "a clock; the run's id bounds it, and raw evidence repeats it"),
    "run_manifest.json:duration_seconds": (PLACE, "a clock; the rate follows from it"),
    "run_manifest.json:market.funding": (PLACE, "of an imported market"),
    "run_manifest.json:market.rows": (PLACE, "of an imported market with gaps"),
    "run_manifest.json:market.source": (PLACE, "of an imported market"),
    "run_manifest.json:market.last_time": (PLACE, "of an imported market with gaps"),
    "run_manifest.json:market.symbol": (PLACE, "never alone: symbol_in_use repeats it"),
    "run_manifest.json:stage2.head_hash": (PLACE, "of a run without its snapshot; its first digits stand in the id"),
    "run_manifest.json:stage2.sha256": (PLACE, "of a run without its snapshot; its index and the ledger have it"),
    "run_manifest.json:stage2.bytes": (PLACE, "as before"),
    "run_manifest.json:stage2.pool_path": (PLACE, "where the root lay when the snapshot was taken; its index has it"),
    "run_manifest.json:stage2.stretches.**": (PLACE, "of a market with gaps; replay resolves it"),
    "run_manifest.json:config.**": (PLACE, "settings of service, disk and retention, with their copy in the summary"),
}
"""Found when changed alone; asserted when everything that repeats or follows from it is changed with it."""


@cache
def _patterns() -> list[re.Pattern[str]]:
    return [re.compile(re.escape(name).replace(r"\*\*", ".*").replace(r"\*", r"[^.]+")) for name in FREE]


def is_free(field: str) -> bool:
    """Whether a field (``file:dotted.path``, ``*`` for places) is on the list of asserted ones."""
    return any(pattern.fullmatch(field) for pattern in _patterns())
