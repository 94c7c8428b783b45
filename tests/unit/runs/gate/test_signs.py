"""The sign audit beside its drift control: vacuous where the founders' nets are alike, and able to see selection."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.v10.core import genome
from prometheus.v10.gate.design import SignsTable
from prometheus.v10.gate.outcome import Census
from prometheus.v10.gate.signs import LIVE, agreement, audit, cohens_d, members

FOUNDERS = 40
LINES = 8  # whose line survives
TABLE = SignsTable(draws=40)


def population(seed, *, copied, select=None):
    """One experiment: founders, then children of some of them; ``select`` says whose line survives."""
    draw = np.random.default_rng(seed)
    founders = genome.founders(seed, FOUNDERS).copy()
    if copied:
        founders[:, genome.IN_NET : genome.ENTRY_THRESHOLD] = founders[:, : genome.NET_LOCI]
    worth = draw.normal(size=FOUNDERS) if select is None else select(founders)
    chosen = np.argsort(worth)[-LINES:]
    parents = np.concatenate([chosen, chosen])
    births = list(range(FOUNDERS, FOUNDERS + len(parents)))
    children = genome.mutated(founders[parents], seed, births, 0.1, 0.05)
    alive = np.zeros(FOUNDERS + len(parents), dtype=bool)
    alive[chosen] = alive[FOUNDERS:] = True
    return Census(
        np.concatenate([founders, children]),
        np.concatenate([np.arange(FOUNDERS), parents]),
        alive,
        np.zeros(len(alive)),
    )


def arms(*, copied=False, select=None):
    """Thirty experiments an arm; A may select, B2 drifts. Both arms have the same founders, seed by seed."""
    a = [population(seed, copied=copied, select=select) for seed in range(30)]
    b = []
    for seed in range(30):
        other = population(seed, copied=copied)
        line = np.random.default_rng(1000 + seed).permutation(FOUNDERS)
        alive = np.zeros_like(other.alive)
        alive[line[:LINES]] = True
        b.append(Census(other.genomes, other.founder, alive, other.roi))
    return tuple([members(one, one.alive) for one in arm] for arm in (a, b))


def test_where_the_two_nets_are_copies_every_sign_agrees_and_the_audit_calls_itself_vacuous():
    """The published audits' perfect agreement, from drift and copied founders alone."""
    found = audit("W1", "alive", arms(copied=True), TABLE)
    assert found.pairs >= TABLE.least_pairs
    assert found.rate > 0.9
    assert found.meets
    assert found.founder_correlation > 0.99
    assert found.drift_meets > 0.9
    assert found.reading.startswith("vacuous")


def test_drift_alone_agrees_in_about_half_of_the_pairs_when_the_nets_are_drawn_apart():
    found = audit("W1", "alive", arms(), TABLE)
    assert abs(found.founder_correlation) < 0.02
    assert 0.3 < found.drift_rate_median < 0.7
    assert found.drift_meets == 0.0
    assert found.drift_q05 <= found.rate <= found.drift_q95
    assert found.reading == "nothing beyond drift"


def test_selection_of_equal_signs_stands_out_of_drift():
    """Whoever has high OUT and high IN weights at the first forty loci survives in A: equal signs, above drift's."""

    def worth(founders):
        return founders[:, :40].sum(axis=1) + founders[:, genome.IN_NET : genome.IN_NET + 40].sum(axis=1)

    found = audit("W1", "alive", arms(select=worth), TABLE)
    assert found.rate > found.drift_q95
    assert found.p < 0.05
    assert found.reading != "nothing beyond drift"
    assert not found.reading.startswith("vacuous")


def test_the_deal_keeps_every_family_and_every_mutation():
    one = population(3, copied=False)
    held = members(one, one.alive)
    assert np.allclose(held.genomes(), one.genomes[one.alive, :LIVE], atol=1e-7)
    deal = np.random.default_rng(0).permutation(FOUNDERS)
    dealt = held.genomes(deal)
    assert np.allclose(dealt - held.moved, held.founders[deal[held.line]])
    for founder in set(held.line.tolist()):
        family = np.flatnonzero(held.line == founder)
        assert len({tuple(row) for row in (dealt[family] - held.moved[family]).round(9).tolist()}) == 1


def test_cohens_d_by_hand():
    a, b = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[0.0, 5.0], [2.0, 5.0]])
    assert cohens_d(a, b) == pytest.approx([1.0 / np.sqrt(2.0), 0.0])


def test_pairs_are_of_the_same_feature_and_hidden_unit():
    d = np.zeros(LIVE)
    d[[0, 1, 2]] = 1.0, -1.0, 1.0
    d[[genome.IN_NET, genome.IN_NET + 1, genome.IN_NET + 3]] = 1.0, 1.0, 1.0
    d[genome.W1_LOCI] = d[genome.IN_NET + genome.W1_LOCI] = 9.0  # W2 has no feature to pair by
    assert agreement(d, 8) == (2, 0.5)


def test_too_few_agents_is_not_measurable_and_says_why():
    one = population(1, copied=False)
    nobody = members(one, np.zeros_like(one.alive))
    found = audit("W1", "winner_absolute", ([nobody], [nobody]), TABLE)
    assert found.rate is None
    assert set(found.null_reasons) >= {"pairs", "rate", "meets", "p"}
    assert found.reading.startswith("not measurable")
