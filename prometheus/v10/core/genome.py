"""The genome: 342 float32 loci (contracts, section 3).

====================  =========================================================================
loci                  meaning
====================  =========================================================================
``[0:170)``           OUT_MARKET net: W1 (33 inputs x 5 hidden, feature-major), then W2 (5)
``[170:340)``         IN_MARKET net, the same shape
``[340]``             entry threshold: **inert**, a dead gene; nothing reads it
``[341]``             exit threshold: **inert**, a dead gene; nothing reads it
====================  =========================================================================

``W1[feature, hidden]`` of the net at ``base`` is locus ``base + 5 * feature + hidden``. There are no biases. Founders
are drawn Xavier-normal per layer, OUT and IN independently. A child is a mutated copy of one parent: each locus moves
with probability 0.10 by N(0, 0.05); there is no clipping and no crossover. Every draw is keyed by (seed, birth), so
no birth depends on how many were drawn before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from prometheus.v10.core.numeric import normals, uniforms

Genomes = npt.NDArray[np.float32]

GENOME_SCHEMA = "v10/genome-342-float32/1"
FEATURES = 33
HIDDEN = 5
W1_LOCI = FEATURES * HIDDEN
NET_LOCI = W1_LOCI + HIDDEN
OUT_NET = 0
IN_NET = NET_LOCI
ENTRY_THRESHOLD = 2 * NET_LOCI
EXIT_THRESHOLD = ENTRY_THRESHOLD + 1
LOCI = ENTRY_THRESHOLD + 2
DEAD_GENES = (ENTRY_THRESHOLD, EXIT_THRESHOLD)

FOUNDER_ENTRY_THRESHOLD = np.float32(0.3)
FOUNDER_EXIT_THRESHOLD = np.float32(-0.3)


def xavier_scale() -> npt.NDArray[np.float64]:
    """Standard deviation of every locus at the founding, shape (340,): sqrt(2 / (fan_in + fan_out)) of its layer."""
    w1 = np.full(W1_LOCI, np.sqrt(2.0 / (FEATURES + HIDDEN)))
    w2 = np.full(HIDDEN, np.sqrt(2.0 / (HIDDEN + 1)))
    return np.concatenate([w1, w2, w1, w2])


def founders(seed: int, count: int) -> Genomes:
    """The founding population, shape (count, 342): births 0 .. count-1 of ``seed``, each a function of both alone."""
    population = np.empty((count, LOCI), dtype=np.float32)
    population[:, : 2 * NET_LOCI] = normals(uniforms(seed, range(count), 2 * NET_LOCI)) * xavier_scale()
    population[:, DEAD_GENES] = FOUNDER_ENTRY_THRESHOLD, FOUNDER_EXIT_THRESHOLD
    return population


def mutated(parents: Genomes, seed: int, births: Sequence[int], rate: float, scale: float) -> Genomes:
    """Children of ``parents`` (n, 342), row by row, the k-th keyed by (``seed``, ``births[k]``).

    Each locus moves with probability ``rate`` by N(0, ``scale``).
    """
    u = uniforms(seed, births, 2 * LOCI)
    moving = u[:, :LOCI] < rate
    moves = np.zeros(parents.shape, dtype=np.float32)
    moves[moving] = normals(u[:, LOCI:][moving]) * scale
    return parents + moves
