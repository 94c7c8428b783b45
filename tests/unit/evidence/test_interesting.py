"""Patterns among deaths: found when they reach the declared threshold, silent just below it, a handful in all."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.evidence.records.codec import from_json_bytes, structure_config
from prometheus.v10.evidence.records.event_lines import EventContext
from prometheus.v10.evidence.records.events import InterestingDeath
from prometheus.v10.evidence.records.interesting import (
    HANDFUL,
    DeathsSeen,
    InterestingTable,
    Surroundings,
    interesting_deaths,
    placed,
)
from prometheus.v10.evidence.records.raw_lines import Crossing

CONTEXT = EventContext(run_id="HF_20260102T030405Z_0123456_0000", experiment=2, seed=5, arm="A_real")
TICKS = 1000


def seen(ticks, *, review=False, trades=1, rejects=0, agents=None) -> DeathsSeen:
    """Deaths at ``ticks``; the other columns from one value or one a death."""
    n = len(ticks)
    return DeathsSeen(
        tick=np.array(ticks, dtype=np.int64),
        agent=np.arange(n) if agents is None else np.array(agents),
        by_review=np.broadcast_to(review, n).astype(bool),
        trades=np.broadcast_to(trades, n).astype(np.int64),
        rejects=np.broadcast_to(rejects, n).astype(np.int64),
    )


def around(*, founders=100, births=(), trend=None, friction=None, **more) -> Surroundings:
    return Surroundings(
        founders=founders,
        birth_tick=np.array(births, dtype=np.int64),
        closes=1_700_000_000 + 300 * np.arange(TICKS),
        trend=np.zeros(TICKS) if trend is None else trend,
        friction=np.ones(TICKS) if friction is None else friction,
        **more,
    )


def found(deaths: DeathsSeen, place: Surroundings | None = None, **thresholds) -> list[InterestingDeath]:
    return list(interesting_deaths(CONTEXT, deaths, place or around(), InterestingTable(**thresholds)))


def test_nobody_died() -> None:
    assert found(seen([])) == []


# ---- mass deaths ----------------------------------------------------------------------------------------------------


def test_a_share_of_the_living_within_the_window_is_a_cluster() -> None:
    (one,) = found(seen([100] * 10 + [111] * 10))
    assert (one.pattern, one.tick_first, one.tick_last, one.deaths) == ("mass_death_cluster", 100, 111, 20)
    assert (one.observed, one.threshold) == (0.2, 0.2)
    assert one.detail == "20 of 100 alive died within 12 ticks"
    assert one.agent_ids == [f"e0002a{i:06d}" for i in range(HANDFUL)]
    assert [(ref.file, ref.line_start, ref.line_end) for ref in one.evidence_refs] == [("death_events.jsonl", 1, 20)]
    assert one.ts_utc == "2023-11-15T07:28:20.000000Z"


@pytest.mark.parametrize("ticks", [[100] * 19, [100] * 10 + [112] * 10])
def test_fewer_or_further_apart_is_none(ticks) -> None:
    assert found(seen(ticks)) == []


def test_the_living_are_counted_with_births_and_earlier_deaths() -> None:
    early = [1] * 4 + [50] * 6  # two small groups, no clusters
    deaths = seen([*early, *[100] * 9])
    assert found(deaths, around(founders=56)) == []  # 9 of 46
    assert len(found(deaths, around(founders=54))) == 1  # 9 of 44
    (one,) = found(deaths, around(founders=40, births=[30] * 14 + [100] * 50))
    assert one.detail == "9 of 44 alive died within 1 ticks"


def test_windows_that_share_a_death_are_one_cluster() -> None:
    (one,) = found(seen(sorted([100] * 10 + [110] * 10 + [120] * 10)))
    assert (one.tick_first, one.tick_last, one.deaths) == (100, 120, 30)
    assert len(found(seen([100] * 20 + [500] * 20))) == 2


def test_a_review_has_a_threshold_of_its_own() -> None:
    assert found(seen([200] * 79, review=True)) == []
    (one,) = found(seen([200] * 80, review=True))
    assert (one.observed, one.threshold, one.detail) == (0.8, 0.8, "80 of 100 alive died by one review")


def test_a_review_does_not_count_as_a_window_and_few_deaths_are_no_pattern() -> None:
    mixed = seen([195] * 3 + [200] * 40, review=[False] * 3 + [True] * 40)
    assert found(mixed) == []
    assert found(seen([10] * 4), around(founders=4)) == []


def test_of_many_clusters_the_largest_are_kept() -> None:
    sizes = [20, 30, 20, 40, 25]
    ticks = [tick for place, size in enumerate(sizes) for tick in [100 * place] * size]
    kept = found(seen(ticks), around(founders=len(ticks)), mass_death_share=0.1)
    assert [one.deaths for one in kept] == [30, 40, 25]
    assert all(one.detail.endswith("(one of 5 in this experiment)") for one in kept)


# ---- the others -----------------------------------------------------------------------------------------------------


def test_deaths_without_a_trade() -> None:
    trades = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    ticks = [60 * i for i in range(10)]
    (one,) = found(seen(ticks, trades=trades))
    assert (one.pattern, one.deaths, one.observed) == ("no_trades_but_died", 5, 0.5)
    assert [(ref.line_start, ref.line_end) for ref in one.evidence_refs] == [(1, 1), (3, 3), (5, 5), (7, 7), (9, 9)]
    assert found(seen(ticks, trades=trades), no_trades_share=0.51) == []
    assert found(seen(ticks, trades=trades), deaths_at_least=6) == []


def test_repeated_rejects() -> None:
    (one,) = found(seen([10, 80, 150], rejects=[9, 10, 31]))
    assert (one.pattern, one.deaths, one.observed, one.threshold) == ("repeated_order_rejects", 2, 31.0, 10.0)
    assert one.agent_ids == ["e0002a000001", "e0002a000002"]
    assert found(seen([10, 80, 150], rejects=[9, 9, 9])) == []


def test_suspected_self_trades_need_a_count_of_all_orders() -> None:
    deaths = seen([10, 80], agents=[4, 9])
    crossing = Crossing(moments=7, gross_lots=100.0, net_lots=40.0, crossed_lots=30.0)
    (one,) = found(deaths, around(crossing=crossing, crossed_agents=[9, 11]))
    assert (one.pattern, one.deaths, one.observed, one.agent_ids) == ("suspected_self_trade", 1, 0.6, ["e0002a000009"])
    assert found(deaths, around(crossing=crossing, crossed_agents=[9]), crossed_share=0.61) == []
    assert found(deaths, around(crossing=crossing, crossed_agents=[3])) == []
    assert found(deaths, around(crossed_agents=[9])) == []


def test_resonance_is_trend_friction_and_mass_death_together() -> None:
    deaths = seen([100] * 20)
    trend, friction = np.zeros(TICKS), np.ones(TICKS)
    trend[95], friction[95] = -0.7, 3.5
    mass, one = found(deaths, around(trend=trend, friction=friction))
    assert (mass.pattern, one.pattern) == ("mass_death_cluster", "three_dimensional_resonance")
    assert (one.observed, one.threshold, one.deaths) == (3.5, 3.0, 20)
    assert "at tick 95 |trend| 0.70, friction 3.5 x its median" in one.detail


@pytest.mark.parametrize(
    ("trend_at", "friction_at", "value"), [(95, 96, 3.5), (80, 80, 3.5), (95, 95, 2.9), (101, 101, 3.5)]
)
def test_apart_in_time_or_too_weak_is_no_resonance(trend_at: int, friction_at: int, value: float) -> None:
    trend, friction = np.zeros(TICKS), np.ones(TICKS)
    trend[trend_at], friction[friction_at] = 0.7, value
    patterns = [one.pattern for one in found(seen([100] * 20), around(trend=trend, friction=friction))]
    assert patterns == ["mass_death_cluster"]


# ---- lines and thresholds -------------------------------------------------------------------------------------------


def test_lines_are_canonical_and_their_references_count_within_the_run() -> None:
    records = tuple(found(seen([100] * 20, trades=0)))
    lines = placed(records, 1000).splitlines(keepends=True)
    assert len(lines) == 2
    read = [from_json_bytes(line[:-1], InterestingDeath, where="a line") for line in lines]
    assert [(ref.line_start, ref.line_end) for one in read for ref in one.evidence_refs] == [(1001, 1020)] * 2
    assert placed(records, 0) == placed(tuple(found(seen([100] * 20, trades=0))), 0)
    assert placed((), 5) == b""


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"mass_death_share": 1.5}, "mass_death_share"),
        ({"at_most": 0}, "at_most"),
        ({"friction_spike": 0.5}, "friction_spike"),
        ({"mass_deaths_share": 0.5}, "did you mean 'mass_death_share'"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused(table, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        structure_config(table, InterestingTable, source="HF.toml")


def test_every_threshold_is_told() -> None:
    documented = InterestingTable.__doc__ or ""
    assert all(f"{one.name}:" in documented for one in attrs.fields(InterestingTable))
    assert "extra" not in {one.name for one in attrs.fields(InterestingTable)}
