"""Exposure: canonical, bounded, and never less than what was lived through."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.evidence.pools.exposure import MOST, Exposure, MarketSpan, market_key, meets, stretch, union

MARKETS = ("A", "B", "synthetic/1 seed=1")
INTERVAL = st.tuples(st.sampled_from(MARKETS), st.integers(0, 400), st.integers(1, 30)).map(
    lambda one: (one[0], one[1], one[1] + one[2])
)
SOME = st.lists(INTERVAL, max_size=60)


def seconds(intervals: Exposure | list[tuple[str, int, int]]) -> set[tuple[str, int]]:
    return {(market, second) for market, first, end in intervals for second in range(first, end)}


@given(SOME, SOME)
def test_a_union_holds_every_second_of_both(one, other):
    assert seconds(union(one, other)) >= seconds(one) | seconds(other)


@given(st.lists(INTERVAL, max_size=10))
def test_a_union_of_few_intervals_holds_nothing_else(few):
    assert seconds(union(few)) == seconds(few)


@given(SOME)
def test_a_union_is_sorted_parted_and_bounded(some):
    found = union(some)
    assert list(found) == sorted(found)
    assert len(found) <= max(MOST, len({market for market, _, _ in some}))
    assert all(a[0] != b[0] or a[2] < b[1] for a, b in pairwise(found))


@given(SOME, SOME)
def test_a_union_is_the_same_in_any_order_and_of_itself(one, other):
    assert union(one, other) == union(other, one)
    assert union(union(one)) == union(one)


@given(SOME, INTERVAL)
def test_what_was_lived_through_meets_its_window(some, window):
    lived = seconds(some) & seconds([window])
    assert meets(union(some), window) or not lived
    assert meets(union([window]), window)


@given(st.lists(INTERVAL, max_size=10), INTERVAL)
def test_few_intervals_meet_only_what_they_share_a_second_with(few, window):
    assert meets(union(few), window) == bool(seconds(few) & seconds([window]))


def test_an_instrument_is_one_market_whatever_its_file_and_each_synthetic_seed_one_of_its_own():
    assert market_key("import of a.csv", "BTC-USDT") == market_key("import of b.feather", "BTC-USDT") == "BTC-USDT"
    assert market_key("synthetic/1 seed=1", "SYNTH") != market_key("synthetic/1 seed=2", "SYNTH")


def test_a_stretch_ends_at_the_close_of_its_last_bar():
    assert stretch("A", MarketSpan(1000, 1000 + 9 * 60, 10, 60), 2, 3) == ("A", 1120, 1300)


def test_the_stretch_of_a_market_with_gaps_is_long_enough_wherever_they_lie():
    market = MarketSpan(1000, 1000 + 9 * 60, 7, 60)  # three bars are missing somewhere
    assert stretch("A", market, 2, 3) == ("A", 1120, 1300 + 3 * 60)
    assert stretch("A", market, 4, 3) == ("A", 1240, 1600)  # never behind the market's end
