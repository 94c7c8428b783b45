"""Leaves of a Tier-2 run's own artifacts that `verify` cannot derive: they are asserted, and `replay` proves them.

Paths name a leaf within one record; an index of a list is left out. Standard library only.
"""

from __future__ import annotations

from prometheus.v10.base.names import Artifact

FREE: dict[Artifact, frozenset[str]] = {
    Artifact.BEHAVIORS: frozenset(
        [
            # Of agents that were alive at the end: no event speaks of them.
            "costs.fees", "costs.funding", "costs.slippage", "last_signal", "null_reasons",
        ]
    ),
    Artifact.POSITIONS_SNAPSHOT: frozenset(
        [
            "ts_utc", "mark_price", "contracts", "avg_entry_price", "positions.entry_price", "positions.unrealised",
            "null_reasons",
        ]
    ),
    Artifact.POSITIONS_RAW: frozenset(["null_reasons"]),
    Artifact.DECISION_TRACE: frozenset(
        [
            "ts_utc", "inst_id_used", "mark_price_used", "market_context_hash", "signals_sha256", "community", "alive",
            "long", "short", "agent_detail.agent_id", "agent_detail.reason_code", "agent_detail.signal_out",
            "agent_detail.signal_in", "agent_detail.lots", "agent_detail.intent_action",
        ]
    ),
}  # fmt: skip
