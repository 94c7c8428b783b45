"""The genome's layout, founders and mutation (contracts, section 3)."""

from __future__ import annotations

import numpy as np

from prometheus.v10.core import decision, genome


def test_layout_is_the_published_one() -> None:
    assert (genome.LOCI, genome.NET_LOCI, genome.W1_LOCI) == (342, 170, 165)
    assert genome.DEAD_GENES == (340, 341)
    # Indices that the public record names: OUT E1->h1, IN E1->h1, OUT C3->h0, IN C5->h3.
    assert decision.locus(1, 0) == 1
    assert decision.locus(genome.HIDDEN + 1, 0) == 171
    assert decision.locus(0, 30) == 150
    assert decision.locus(genome.HIDDEN + 3, 32) == 333


def test_founders_are_drawn_by_birth_and_out_and_in_are_independent() -> None:
    population = genome.founders(5, 200)
    assert population.shape == (200, 342)
    assert population.dtype == np.float32
    assert (population[:17] == genome.founders(5, 17)).all()
    out, inside = population[:, :170].ravel(), population[:, 170:340].ravel()
    assert abs(np.corrcoef(out, inside)[0, 1]) < 0.02
    assert abs(population[:, :165].std() - np.sqrt(2 / 38)) < 0.003
    assert abs(population[:, 165:170].std() - np.sqrt(2 / 6)) < 0.05
    assert (population[:, 340] == np.float32(0.3)).all()
    assert (population[:, 341] == np.float32(-0.3)).all()


def test_mutation_moves_a_tenth_of_the_loci_by_a_twentieth() -> None:
    parent = genome.founders(1, 1)[0]
    children = genome.mutated(np.tile(parent, (400, 1)), 1, range(100, 500), 0.10, 0.05)
    moved = children != parent
    assert abs(moved.mean() - 0.10) < 0.005
    assert abs((children - parent)[moved].std() - 0.05) < 0.001
    assert (genome.mutated(parent[None], 1, [103], 0.10, 0.05) == children[3]).all()


def test_dead_genes_are_inert(market, config) -> None:
    from .conftest import digest, run

    founding = genome.founders(1, 12)
    changed = founding.copy()
    changed[:, list(genome.DEAD_GENES)] = 9.0
    before, after = run(market, config, founding=founding), run(market, config, founding=changed)
    same = before.lives._replace(genomes=after.lives.genomes)
    assert digest(before._replace(lives=same)) == digest(after)
