"""The registry, the core and the document agree about what stands in an order's way."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus.v10.core import fences as core
from prometheus.v10.evidence.records.fence_registry import (
    REGISTRY,
    Category,
    Layer,
    core_counters,
    inventory_hash,
    inventory_markdown,
)

NAMED_BY_THE_RECORD = {
    "FENCE_I_POSITIONS_EMPTY_FALLBACK",
    "FENCE_M_NO_FILLS_SKIP_RECONSTRUCTION",
    "FENCE_RATE_LIMITER_BLOCK_ORDER",
    "FENCE_LIVE_AUTH_GUARD",
}


def test_the_document_is_the_registry(repository: Path) -> None:
    document = (repository / "docs" / "v10" / "fence_inventory.md").read_text(encoding="utf-8")
    assert document == inventory_markdown(), "write it anew: python -m prometheus.v10.evidence.records.fence_registry"
    assert inventory_hash() in document
    for fence in REGISTRY.values():
        assert f"## {fence.id}\n" in document


def test_the_core_counts_the_fences_of_the_registry_in_its_order() -> None:
    assert core_counters() == core.NAMES


def test_ids_say_where_a_fence_stands() -> None:
    assert REGISTRY.keys() >= NAMED_BY_THE_RECORD
    for fence in REGISTRY.values():
        assert re.fullmatch(r"FENCE_[A-Z0-9_]+", fence.id)
        assert fence.id.startswith("FENCE_CORE_") == (fence.layer is Layer.CORE)
        assert (fence.counter is None) == fence.required_telemetry.startswith("nothing to count")


def test_no_man_made_fence_of_the_core_is_on() -> None:
    for fence in REGISTRY.values():
        if fence.layer is Layer.CORE and fence.category is Category.MAN_MADE:
            assert not fence.on_by_default, fence.id
            assert fence.explanation is None, "a man-made fence has no standing excuse"


def test_counters_are_each_one_fence() -> None:
    counters = [fence.counter for fence in REGISTRY.values() if fence.counter is not None]
    assert len(counters) == len(set(counters))


def test_locations_exist(repository: Path) -> None:
    for fence in REGISTRY.values():
        place = repository / fence.location.split(",")[0]
        assert place.exists(), f"{fence.id}: {place}"


def test_the_hash_is_of_the_content() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", inventory_hash())
    assert inventory_hash() == inventory_hash()
