"""How parents are chosen: by worked examples, and what holds of every policy."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from prometheus.v10.runs.founding import parents
from prometheus.v10.runs.founding.ancestors import Ancestor
from prometheus.v10.runs.founding.parents import candidates_of, champions, choose, sifted
from prometheus.v10.runs.request.eras_table import FoundingTable, Parents


def lived(name: str, roi: float, *, era: int = 0, n: int = 0, trades: int = 10, wins: int = 5, span: int = 100):
    genome = np.full(342, len(name), dtype=np.float32)
    return Ancestor(
        id=f"{name}-{era}", n=n, sha256=hashlib.sha256(name.encode()).hexdigest(), genome=genome, era=era,
        experiment=0, genome_index=n, roi=roi, trades=trades, wins=wins, span=span, cases={era: roi}, exposure=(),
    )  # fmt: skip


def names(candidates, rows) -> list[str]:
    return [candidates.latest[row].id.partition("-")[0] for row in rows]


def test_candidates_are_ordered_by_the_return_of_their_latest_era():
    found = candidates_of([lived("a", 0.5, era=0, n=1), lived("b", 0.2, era=1, n=2), lived("a", 0.1, era=1, n=3)])
    assert names(found, range(2)) == ["b", "a"]
    assert found.roi.tolist() == [0.2, 0.1]
    assert found.by_case.tolist()[1] == [0.5, 0.1]
    assert np.isnan(found.by_case[0, 0])


def test_who_never_traded_is_no_candidate():
    assert names(candidates_of([lived("idle", 0.9, trades=0), lived("b", -0.2)]), [0]) == ["b"]


def test_equal_returns_stand_in_the_order_of_their_records():
    assert names(candidates_of([lived("z", 0.1, n=5), lived("a", 0.1, n=7)]), [0, 1]) == ["z", "a"]


TEN = candidates_of([lived(f"g{k}", 0.1 * k, n=k, wins=k, trades=10 + k) for k in range(10)])


@pytest.mark.parametrize("policy", Parents)
def test_every_policy_is_a_function_of_its_seed(policy):
    table = FoundingTable(parents=policy)
    first, again, other = (choose(TEN, table, 40, seed) for seed in (1, 1, 2))
    assert first.offspring.tolist() == again.offspring.tolist()
    assert first.offspring.tolist() != other.offspring.tolist()
    assert len(first.offspring) == 20
    assert 0 < len(first.elites) <= 10
    assert len(set(first.elites.tolist())) == len(first.elites)


@pytest.mark.parametrize("policy", Parents)
def test_without_candidates_there_are_neither_elites_nor_offspring(policy):
    nobody = candidates_of([])
    found = choose(nobody, FoundingTable(parents=policy), 40, 1)
    assert len(found.elites) == len(found.offspring) == 0


def test_truncation_draws_from_the_best_alone():
    found = choose(TEN, FoundingTable(keep=3), 40, 1)
    assert names(TEN, found.elites) == ["g9", "g8", "g7"]
    assert set(names(TEN, found.offspring)) == {"g9", "g8", "g7"}


def test_a_tournament_of_all_is_won_by_the_best():
    found = choose(TEN, FoundingTable(parents=Parents.TOURNAMENT, tournament=500), 40, 1)
    assert set(names(TEN, found.offspring)) == {"g9"}


def test_a_tournament_of_one_is_a_draw():
    found = choose(TEN, FoundingTable(parents=Parents.TOURNAMENT, tournament=1), 400, 1)
    assert set(names(TEN, found.offspring)) == {f"g{k}" for k in range(10)}


def test_lexicase_takes_specialists_of_every_era_and_never_the_mediocre():
    lives = [
        lived("first", 0.9, era=0, n=0), lived("first", -0.5, era=1, n=3),
        lived("second", -0.5, era=0, n=1), lived("second", 0.9, era=1, n=4),
        lived("middle", 0.1, era=0, n=2), lived("middle", 0.1, era=1, n=5),
    ]  # fmt: skip
    candidates = candidates_of(lives)
    found = choose(candidates, FoundingTable(parents=Parents.LEXICASE), 400, 1)
    assert set(names(candidates, found.offspring)) == {"first", "second"}


def test_in_lexicase_a_missed_era_counts_as_one_without_a_trade():
    candidates = candidates_of([lived("loser", -0.4, era=0, n=0), lived("new", 0.1, era=1, n=1),
                                lived("loser", 0.1, era=1, n=2)])  # fmt: skip
    found = choose(candidates, FoundingTable(parents=Parents.LEXICASE), 400, 1)
    assert set(names(candidates, found.offspring)) == {"new"}


def test_niches_keep_the_best_of_each_way_of_living():
    slow = [lived(f"slow{k}", 0.1 + k / 100, n=k, trades=1, wins=1) for k in range(5)]
    fast = [lived(f"fast{k}", 0.5 + k / 100, n=9 + k, trades=90, wins=9) for k in range(5)]
    candidates = candidates_of([*slow, *fast])
    assert names(candidates, champions(candidates)) == ["fast4", "slow4"]
    found = choose(candidates, FoundingTable(parents=Parents.NICHES), 40, 1)
    assert names(candidates, found.elites) == ["fast4", "slow4"]
    assert set(names(candidates, found.offspring)) == {"fast4", "slow4"}


def test_shares_of_nothing_found_nothing():
    found = choose(TEN, FoundingTable(elites=0.0, offspring=0.0, newcomers=1.0), 40, 1)
    assert len(found.elites) == len(found.offspring) == 0


def one_by_one(values, draws):
    """Lexicase as its paper says it: a child at a time, a case at a time."""
    spread = [np.median(np.abs(column - np.median(column))) for column in values.T]
    chosen = []
    for *order, last in draws:
        left = list(range(len(values)))
        for case in sorted(range(len(order)), key=lambda case: order[case]):
            best = max(values[one, case] for one in left)
            left = [one for one in left if values[one, case] >= best - spread[case]]
        chosen.append(left[min(int(last * len(left)), len(left) - 1)])
    return chosen


@pytest.mark.parametrize("seed", range(20))
def test_lexicase_takes_whom_a_child_at_a_time_would_take(seed):
    random = np.random.default_rng(seed)
    candidates, cases, children = random.integers(1, 40), random.integers(1, 9), random.integers(0, 50)
    values = np.round(random.normal(size=(candidates, cases)), random.integers(0, 3))
    draws = random.random((children, cases + 1))
    assert sifted(values, draws).tolist() == one_by_one(values, draws)


def test_lexicase_takes_the_same_of_many_as_of_few_at_once(monkeypatch):
    table = FoundingTable(parents=Parents.LEXICASE)
    at_once = choose(TEN, table, 400, 1).offspring.tolist()
    monkeypatch.setattr(parents, "MOST_AT_ONCE", 3 * len(TEN))
    assert choose(TEN, table, 400, 1).offspring.tolist() == at_once
