"""Telemetry counts every fence, and explains what is above a fifth."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import Mode
from prometheus.v10.evidence.records.codec import to_plain
from prometheus.v10.evidence.records.fence_registry import REGISTRY, core_counters
from prometheus.v10.evidence.records.telemetry import NOTHING, OFF, WITHIN, Count, core_counts, gating_telemetry

NO_SIDE, REVIEW = "FENCE_CORE_NO_SIDE", "FENCE_CORE_REVIEW_DEATH"


def telemetry(counts: dict[str, Count], **more):
    return gating_telemetry("HF_x", Mode.OFFLINE, "0" * 64, counts, **more)


def test_every_fence_is_there_and_every_null_has_its_reason() -> None:
    made = telemetry({NO_SIDE: Count(100, 10, 1, 1)})
    assert made.counters.keys() == REGISTRY.keys()
    plain = to_plain(made)
    assert plain["null_reasons"][f"counters.{REVIEW}.block_rate"] == NOTHING
    counter = made.counters[NO_SIDE]
    assert (counter.trigger_rate, counter.block_rate, counter.explanation) == (0.01, 0.1, WITHIN)


@pytest.mark.parametrize("count", [Count(100, 4, 1, 1), Count(4, 100, 1, 1)])
def test_a_high_rate_without_an_explanation_is_refused(count: Count) -> None:
    with pytest.raises(EvidenceError, match=f"{NO_SIDE}.*nothing explains it"):
        telemetry({NO_SIDE: count})
    made = telemetry({NO_SIDE: count}, explanations={NO_SIDE: "a counterfactual arm"})
    assert made.counters[NO_SIDE].explanation == "a counterfactual arm"


def test_exactly_a_fifth_needs_no_explanation() -> None:
    assert telemetry({NO_SIDE: Count(100, 5, 1, 1)}).counters[NO_SIDE].explanation == WITHIN


def test_a_standing_explanation_serves() -> None:
    made = telemetry({REVIEW: Count(1000, 10, 9, 9)})
    assert made.counters[REVIEW].explanation == REGISTRY[REVIEW].explanation


def test_the_runs_own_explanation_goes_first() -> None:
    made = telemetry({REVIEW: Count(1000, 10, 9, 9)}, explanations={REVIEW: "the window held a crash"})
    assert made.counters[REVIEW].explanation == "the window held a crash"


@pytest.mark.parametrize(
    "count", [Count(-1, 0, 0, 0), Count(10, 1, 1, 2), Count(10, 0, 1, 1), Count(9, 1, 2, 0), Count(0, 0, 1, 0)]
)
def test_counts_that_cannot_be_true_are_refused(count: Count) -> None:
    with pytest.raises(EvidenceError, match=NO_SIDE):
        telemetry({NO_SIDE: count})


def test_a_fence_that_is_off_may_be_passed_but_not_trigger() -> None:
    gate = "FENCE_CORE_ENTRY_M7"
    assert telemetry({gate: Count(100, 10, 0, 0)}).counters[gate].explanation == OFF
    with pytest.raises(EvidenceError, match="off in this run"):
        telemetry({gate: Count(100, 10, 1, 1)})
    assert telemetry({gate: Count(100, 10, 1, 1)}, enabled={gate: True}).counters[gate].enabled


def test_an_unknown_fence_is_refused() -> None:
    with pytest.raises(EvidenceError, match="unknown fence FENCE_NEW"):
        telemetry({"FENCE_NEW": Count()})


def test_counters_of_the_core_add_up() -> None:
    rows = np.arange(4 * len(core_counters()), dtype=np.int64).reshape(-1, 4)
    counts = core_counts(rows)  # type: ignore[arg-type]
    assert counts["FENCE_CORE_MIN_ORDER"] == Count(4, 5, 6, 7)
    assert type(counts["FENCE_CORE_MIN_ORDER"].steps) is int
    assert Count(1, 2, 3, 4) + Count(10, 20, 30, 40) == Count(11, 22, 33, 44)
    with pytest.raises(ValueError, match="zip"):
        core_counts(rows[:-1])  # type: ignore[arg-type]


def test_a_fence_met_twice_a_step_is_not_mistaken_for_a_wrong_count() -> None:
    clip = "FENCE_CORE_FEATURE_CLIP"
    made = telemetry({clip: Count(100, 0, 150, 0)})
    assert made.counters[clip].trigger_rate == 1.5
    assert made.counters[clip].explanation == REGISTRY[clip].explanation


def test_many_steps_do_not_hide_triggers_that_are_many_of_the_attempts() -> None:
    breed = "FENCE_CORE_REVIEW_BREED"
    assert telemetry({breed: Count(1_000_000, 500, 210, 0)}).counters[breed].explanation == REGISTRY[breed].explanation
    with pytest.raises(EvidenceError, match="nothing explains it"):
        telemetry({NO_SIDE: Count(1_000_000, 500, 210, 0)})
