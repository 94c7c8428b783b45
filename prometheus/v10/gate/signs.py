"""IN/OUT sign consistency, and what drift alone gives (contracts, section 14).

The historic audit took the loci in which a population of A differs most from that of B2 (largest |Cohen's d|), paired
the OUT and the IN weight of each (feature, hidden unit) that are both among them, and took equal signs in 80 % of at
least 20 pairs for a structure that selection had found. It is vacuous where the founders' two nets are alike: then
every pair agrees, whoever survives.

**The drift control** deals the founders' genomes anew among the founders of each experiment and passes them down the
very genealogy that there was, with the very mutations: same deaths, same births, same families, and genomes that had
no part in any of it. What the criterion finds there, drift alone gives. The audit is reported beside that, is called
vacuous where drift meets the criterion too often, and has no say in the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from prometheus.v10.base.names import Schema
from prometheus.v10.core import genome
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.gate.design import SignsTable
from prometheus.v10.gate.outcome import Census
from prometheus.v10.gate.statistics import rank_p
from prometheus.v10.market.philox import permutation

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LIVE = 2 * genome.NET_LOCI
DEAL_STREAM = 51  # second word of the Philox key; draws add to it
MOST_BY_DRIFT = 0.05
"""A criterion that drift meets more often than this says nothing."""


@frozen(kw_only=True)
class SignAudit:
    """One population of one window.

    Attributes:
        population: ``alive``, ``winner_absolute`` or ``winner_anchored``.
        a: agents in it in A, with ``b`` in B2.
        pairs: (feature, hidden unit) whose OUT and IN weights are both among the top loci; ``rate`` of equal signs.
        meets: whether the historic criterion is met.
        drift_rate_median: of the rates that drift gives; ``drift_q05`` and ``drift_q95`` bound nine tenths of them.
        drift_pairs_median: of its numbers of pairs.
        drift_meets: share of drift's draws that meet the criterion.
        p: one-sided: how often drift gives a rate at least as high.
        reading: what it says, in words.
    """

    window: str
    population: str
    a: int
    b: int
    pairs: int | None
    rate: float | None
    meets: bool | None
    drift_rate_median: float | None
    drift_q05: float | None
    drift_q95: float | None
    drift_pairs_median: float | None
    drift_meets: float | None
    p: float | None
    founder_correlation: float
    reading: str
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class GateSigns:
    """``gate_signs.json``."""

    schema: str = Schema.GATE_SIGNS.value
    gate: str
    config_hash: str
    audits: list[SignAudit]
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen
class Members:
    """One population within one experiment.

    Attributes:
        founders: (count, 340): genomes of the experiment's founders.
        line: (k,): founder of each member.
        moved: (k, 340): what mutation added on the way from there.
    """

    founders: Floats
    line: npt.NDArray[np.int64]
    moved: Floats

    def genomes(self, deal: npt.NDArray[np.int64] | None = None) -> Floats:
        """The members' genomes, (k, 340), with the founders' genomes dealt anew if asked."""
        line = self.line if deal is None else deal[self.line]
        return np.asarray(self.founders[line] + self.moved, dtype=np.float64)


def members(one: Census, chosen: Bools) -> Members:
    """The chosen of an experiment; founders come first in a census, in their order."""
    count = int(one.founder.max()) + 1 if len(one.founder) else 0
    founders = one.genomes[:count, :LIVE].astype(np.float64)
    line = one.founder[chosen].astype(np.int64)
    return Members(founders, line, one.genomes[chosen, :LIVE].astype(np.float64) - founders[line])


def cohens_d(a: Floats, b: Floats) -> Floats:
    """Cohen's d of every locus, with the pooled standard deviation; 0 where nothing varies."""
    n, m = len(a), len(b)
    pooled = ((n - 1) * a.var(axis=0, ddof=1) + (m - 1) * b.var(axis=0, ddof=1)) / (n + m - 2)
    scale = np.sqrt(pooled)
    difference = a.mean(axis=0) - b.mean(axis=0)
    return np.asarray(np.divide(difference, scale, out=np.zeros_like(scale), where=scale > 0.0), dtype=np.float64)


def agreement(d: Floats, top: int) -> tuple[int, float]:
    """Pairs among the ``top`` loci of largest |d|, and the share of them whose signs are equal (0 of none)."""
    among = np.zeros(LIVE, dtype=bool)
    among[np.argsort(-np.abs(d), kind="stable")[:top]] = True
    out = slice(genome.OUT_NET, genome.OUT_NET + genome.W1_LOCI)
    inn = slice(genome.IN_NET, genome.IN_NET + genome.W1_LOCI)
    paired = among[out] & among[inn]
    count = int(np.count_nonzero(paired))
    equal = int(np.count_nonzero(paired & (np.sign(d[out]) == np.sign(d[inn]))))
    return count, equal / count if count else 0.0


def audit(
    window: str, population: str, arms: tuple[Sequence[Members], Sequence[Members]], table: SignsTable
) -> SignAudit:
    """Sign consistency of one population, beside what drift gives."""
    correlation = founder_correlation(arms[0])
    sizes = [sum(len(one.line) for one in arm) for arm in arms]
    if min(sizes) < 2:
        return _unknown(window, population, sizes, correlation, "fewer than two agents in an arm")

    def measured(draw: int | None) -> tuple[int, float]:
        a, b = (_pooled(arm, draw, 2 * number) for number, arm in enumerate(arms))
        return agreement(cohens_d(a, b), table.top_loci)

    pairs, rate = measured(None)
    drift = [measured(draw) for draw in range(table.draws)]
    rates = np.array([one for _, one in drift])

    def meets(count: int, share: float) -> bool:
        return count >= table.least_pairs and share >= table.least_rate

    drift_meets = sum(meets(*one) for one in drift) / len(drift)
    # With few pairs a rate is coarse: what drift gives is compared at its face value, ties against us.
    p = rank_p(rate, rates.tolist())
    found = meets(pairs, rate)
    return SignAudit(
        window=window,
        population=population,
        a=sizes[0],
        b=sizes[1],
        pairs=pairs,
        rate=rate,
        meets=found,
        drift_rate_median=float(np.median(rates)),
        drift_q05=float(np.quantile(rates, 0.05)),
        drift_q95=float(np.quantile(rates, 0.95)),
        drift_pairs_median=float(np.median([count for count, _ in drift])),
        drift_meets=drift_meets,
        p=p,
        founder_correlation=correlation,
        reading=_reading(found=found, drift_meets=drift_meets, p=p),
    )


def _reading(*, found: bool, drift_meets: float, p: float) -> str:
    if drift_meets > MOST_BY_DRIFT:
        return f"vacuous: drift alone meets the historic criterion in {drift_meets:.0%} of its draws"
    if found:
        return "the historic criterion is met, and drift alone does not meet it"
    if p < MOST_BY_DRIFT:
        return "more agreement than drift gives, but the historic criterion is not met"
    return "nothing beyond drift"


def founder_correlation(arm: Sequence[Members]) -> float:
    """Pearson's correlation of the founders' OUT and IN weights; near 1 the audit cannot say anything."""
    founders = np.concatenate([one.founders for one in arm])
    out, inn = founders[:, : genome.NET_LOCI].ravel(), founders[:, genome.NET_LOCI :].ravel()
    out, inn = out - out.mean(), inn - inn.mean()
    scale = float(np.sqrt((out * out).sum() * (inn * inn).sum()))
    return float((out * inn).sum() / scale) if scale > 0.0 else 0.0


def _pooled(arm: Sequence[Members], draw: int | None, stream: int) -> Floats:
    """Genomes of a population over all experiments of an arm; dealt anew for ``draw``."""
    parts = []
    for number, one in enumerate(arm):
        deal = None
        if draw is not None:
            # One key a draw and arm, one seed an experiment: no deal depends on another.
            deal = permutation(number, DEAL_STREAM + 4 * draw + stream, len(one.founders))
        parts.append(one.genomes(deal))
    return np.concatenate(parts)


def _unknown(window: str, population: str, sizes: Sequence[int], correlation: float, why: str) -> SignAudit:
    nulls = Nulls()
    names = (
        "pairs", "rate", "meets", "drift_rate_median", "drift_q05", "drift_q95", "drift_pairs_median", "drift_meets",
        "p",
    )  # fmt: skip
    return SignAudit(
        window=window, population=population, a=sizes[0], b=sizes[1], founder_correlation=correlation,
        reading=f"not measurable: {why}", **{name: nulls.unknown(name, why) for name in names},
        null_reasons=nulls.reasons,
    )  # fmt: skip
