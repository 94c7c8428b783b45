"""Gating telemetry and the offline fingerprint, computed again as far as lives, world and registry tell.

What the market's fences counted is asserted: it needs every order. All rates, explanations and switches follow, and the
counts of deaths, reviews and collapses are derived. Standard library only.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import Mode, Tier
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.derive.derived_world import OFF
from prometheus.v10.evidence.derive.eras.founded import FOUNDING
from prometheus.v10.evidence.derive.lives import Told
from prometheus.v10.evidence.derive.shares import CORE
from prometheus.v10.evidence.derive.typed import differing, is_count, table
from prometheus.v10.evidence.pools.descent import INHERIT
from prometheus.v10.evidence.records.canonical import canonical_line

RATE_LIMIT = 0.2
WITHIN = "not needed: at most 0.2 of steps and of attempts"
UNUSED = "off in this run"
ONE_EXPERIMENT = "one experiment of a run, promoted: the limit is for all experiments of that run together"
NOTHING = "none was counted at this fence"
NOT_CALLED = "offline: the world is simulated and no exchange was called"
FINGERPRINT = (
    "api_calls", "api_calls_by_class", "orders_sent", "error_count", "error_events", "latency_stats_ms",
    "rate_limit_hits",
)  # fmt: skip
REGISTRY = Path(__file__).parent.parent / "records" / "fences.toml"
COUNTS = ("steps", "attempts", "trigger_count", "block_count")


@cache
def registry(known_hash: str) -> dict[str, dict[str, Any]] | None:
    """The shipped fences by id, as far as the inventory with this hash has them; None where no inventory has it."""
    text = REGISTRY.read_text(encoding="utf-8")
    entries = [({"since": 1} | entry) for entry in tomllib.loads(text)["fence"]]
    for version in range(1, max(entry["since"] for entry in entries) + 1):
        fences = {
            entry["id"]: {key: value for key, value in entry.items() if key != "since"}
            for entry in entries
            if entry["since"] <= version
        }
        defaults = {"on_by_default": True, "counter": None, "explanation": None}
        lines = b"".join(canonical_line(defaults | entry) for entry in fences.values())
        if hashlib.sha256(lines).hexdigest() == known_hash:
            return fences
    return None


def telemetry_findings(
    telemetry: Mapping[str, Any], manifest: Mapping[str, Any], told: Mapping[int, Told], bars: int
) -> list[str]:
    """What is wrong with ``gating_telemetry.json``, one sentence each; ``bars`` is how many its world had."""
    fences = registry(str(manifest.get("fence_inventory_hash")))
    counters = table(telemetry.get("counters"))
    found: list[str] = []
    head = {
        "schema": Schema.TELEMETRY.value,
        "run_id": manifest.get("run_id"),
        "mode": manifest.get("mode"),
        "fence_inventory_hash": manifest.get("fence_inventory_hash"),
    }
    known, fences = fences is not None, fences or {}
    tier = table(manifest.get("meta")).get("tier")
    promoted = tier == Tier.TIER2_FULL.value and manifest.get("mode") == Mode.OFFLINE.value
    counts = _derived_counts(counters, manifest, told, bars)
    enabled = _enabled(manifest, fences)
    derived: dict[str, Any] = {}
    nulls: dict[str, str] = {}
    for name in fences if known else counters:
        said, count = table(counters.get(name)), counts.get(name)
        if count is None:
            count = (0, 0, 0, 0) if known else tuple(said.get(one) for one in COUNTS)
        if not all(map(is_count, count)):
            found.append(f"counters.{name}: not four counts")
            continue
        steps, attempts, triggers, blocks = (int(one or 0) for one in count)
        if blocks > min(triggers, attempts) or (attempts and triggers > attempts):
            found.append(f"counters.{name}: {triggers} triggers, {blocks} blocks in {attempts} attempts")
        rates = {
            "trigger_rate": triggers / steps if steps else None,
            "block_rate": blocks / attempts if attempts else None,
        }
        nulls |= {f"counters.{name}.{one}": NOTHING for one, rate in rates.items() if rate is None}
        on = enabled[name] if known else said.get("enabled")
        worst = max(triggers / attempts if attempts else 0.0, *((rate or 0.0) for rate in rates.values()))
        explanation = (WITHIN if on else UNUSED) if worst <= RATE_LIMIT else said.get("explanation")
        if worst > RATE_LIMIT and known:
            explanation = fences[name].get("explanation") or (ONE_EXPERIMENT if promoted else None)
        derived[name] = {
            "category": fences[name]["category"] if known else said.get("category"),
            "enabled": on,
            **dict(zip(COUNTS, (steps, attempts, triggers, blocks), strict=True)),
            **rates,
            "explanation": explanation,
        }
    found += differing(dict(telemetry), head | {"counters": derived, "null_reasons": nulls})
    return found


def _enabled(manifest: Mapping[str, Any], fences: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    world = table(manifest.get("world"))
    switched = {
        "FENCE_CORE_ENTRY_M7": world.get("entry_m7_below") != OFF,
        "FENCE_CORE_EXIT_M9": world.get("exit_m9_above") != OFF,
        "FENCE_CORE_EXIT_C4": world.get("exit_c4_above") != OFF,
        "FENCE_CORE_LONG_ONLY": world.get("long_only") != 0,
        "FENCE_RUNNER_ABLATION_MASK": table(manifest.get("ablation")).get("name") != "none",
        "FENCE_RUNNER_FOUNDING": table(manifest.get(FOUNDING)).get("policy") == INHERIT,
    }
    return {name: switched.get(name, fence.get("on_by_default", True)) for name, fence in fences.items()}


def _derived_counts(
    counters: Mapping[str, Any], manifest: Mapping[str, Any], told: Mapping[int, Told], bars: int
) -> dict[str, tuple[Any, ...]]:
    """Steps, attempts, triggers and blocks; asserted ones are taken from ``counters``."""

    def said(name: str, which: str) -> Any:
        return table(counters.get(f"FENCE_CORE_{name}")).get(which)

    def number(value: object) -> int:
        return int(value) if isinstance(value, int) and is_count(value) else 0

    lives = list(told.values())
    steps = sum(one.agent_ticks for one in lives)
    reviewed, births = sum(one.reviewed for one in lives), sum(one.births for one in lives)
    dead = {reason: sum(one.reasons[reason] for one in lives) for reason in (
        "quarterly_review", "capital_depleted", "liquidation",
    )}  # fmt: skip
    ends = [one.collapse[0] for one in lives if one.collapse is not None]
    world = table(manifest.get("world"))
    masked = len(lives) * (table(manifest.get("ablation")).get("name") != "none")

    no_side = (number(said("NO_SIDE", "attempts")), said("NO_SIDE", "trigger_count"))
    m7 = said("ENTRY_M7", "trigger_count") if world.get("entry_m7_below") != OFF else 0
    short = said("LONG_ONLY", "trigger_count") if world.get("long_only") != 0 else 0
    to_m7 = no_side[0] - number(no_side[1])
    to_long = to_m7 - number(m7)
    to_order = to_long - number(short)
    small = said("MIN_ORDER", "trigger_count")
    cells: dict[str, tuple[Any, Any, Any]] = {
        "MARGIN_CAP": tuple(said("MARGIN_CAP", name) for name in COUNTS[1:]),
        "MIN_ORDER": (to_order, small, small),
        "PARTICIPATION_CAP": tuple(said("PARTICIPATION_CAP", name) for name in COUNTS[1:]),
        "NO_SIDE": (said("NO_SIDE", "attempts"), no_side[1], no_side[1]),
        "LIQUIDATION": (said("LIQUIDATION", "attempts"), dead["liquidation"], dead["liquidation"]),
        "CAPITAL_DEPLETED": (said("CAPITAL_DEPLETED", "attempts"), dead["capital_depleted"], dead["capital_depleted"]),
        "REVIEW_DEATH": (reviewed, dead["quarterly_review"], dead["quarterly_review"]),
        "REVIEW_BREED": (reviewed, births, 0),
        "RESERVE_COLLAPSE": (0, sum(end in {"financial", "both"} for end in ends), 0),
        "EXTINCTION": (0, sum(end in {"extinction", "both"} for end in ends), 0),
        "FEATURE_CLIP": (0, said("FEATURE_CLIP", "trigger_count"), 0),
        "ENTRY_M7": (to_m7, m7, m7),
        "EXIT_M9": (0, said("EXIT_M9", "trigger_count") if world.get("exit_m9_above") != OFF else 0, 0),
        "EXIT_C4": (0, said("EXIT_C4", "trigger_count") if world.get("exit_c4_above") != OFF else 0, 0),
        "LONG_ONLY": (to_long, short, short),
    }
    derived: dict[str, tuple[Any, ...]] = {name: (steps, *cells[name.removeprefix("FENCE_CORE_")]) for name in CORE}
    derived["FENCE_RUNNER_ABLATION_MASK"] = (len(lives), len(lives), masked, masked)
    defaulted = table(counters.get("FENCE_RUNNER_FUNDING_DEFAULT")).get("trigger_count")
    if table(manifest.get("market")).get("funding") in {"known", "billed"}:
        defaulted = 0
    derived["FENCE_RUNNER_FUNDING_DEFAULT"] = (bars, bars, defaulted, 0)
    return derived


def fingerprint_findings(fingerprint: Mapping[str, Any], run_id: str) -> list[str]:
    """What is wrong with the fingerprint of an offline run: every figure is null, for one reason."""
    derived = {
        "schema": Schema.FINGERPRINT.value,
        "run_id": run_id,
        "mode": "offline",
        **dict.fromkeys(FINGERPRINT),
        "null_reasons": dict.fromkeys(FINGERPRINT, NOT_CALLED),
    }
    return differing(dict(fingerprint), derived)
