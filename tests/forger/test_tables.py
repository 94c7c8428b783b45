"""The verifier's own tables are those of the product: world, ablations, fences, reasons, invariants."""

from __future__ import annotations

import math

from prometheus.v10.core import fences
from prometheus.v10.core.config import WorldConfig, for_timeframe
from prometheus.v10.evidence.derive import derived_statistics as statistics
from prometheus.v10.evidence.derive import derived_telemetry as telemetry
from prometheus.v10.evidence.derive import derived_world as world
from prometheus.v10.evidence.derive import lines, orders, shares
from prometheus.v10.evidence.records import events, raw_lines
from prometheus.v10.evidence.records import fence_registry as registry
from prometheus.v10.runs import account
from prometheus.v10.runs.request.ablation import ABLATIONS
from prometheus.v10.runs.request.setup import world_numbers


def test_the_world_has_the_cores_defaults() -> None:
    assert world_numbers(WorldConfig()) == world.DEFAULTS
    for step in (60, 300, 3600, 86_400):
        assert world_numbers(for_timeframe(step, impact=2.0)) == world.world_of({"impact": 2.0}, step)
    assert world.world_of({"exit_m9_above": math.inf}, 3600) == world.DEFAULTS


def test_names_and_sentences_are_the_products() -> None:
    assert {name: detail for name, (detail, _) in ABLATIONS.items()} == world.ABLATIONS
    assert shares.CORE == fences.NAMES
    assert {reason.value: text for reason, text in events.REASON_SOURCES.items()} == lines.REASONS
    assert set(orders.EVENT_FLAGS) == raw_lines.EVENT_FLAGS
    assert orders.NOTHING_FILLED == raw_lines.NOTHING_FILLED
    for version in range(1, registry.LATEST + 1):
        known = registry.inventory_hash(version)
        assert list(telemetry.registry(known) or ()) == list(registry.inventory_of(known))
    assert telemetry.registry("0" * 64) is None
    assert account.CAPITAL_SEMANTICS == statistics.CAPITAL_SEMANTICS
    assert account.NULL_HYPOTHESIS == statistics.NULL_HYPOTHESIS
    assert account.CONSERVATION_LIMIT == statistics.CONSERVATION_LIMIT
    assert {one.name: one.detail for one in account.invariants([], 0.0)} == statistics.DETAILS
