"""Lifecycle: review, death, birth, collapse (contracts, section 3).

* Every ``review_ticks`` all positions are flattened; then an agent whose period ROI is below ``death_roi`` dies and
  one at or above ``breed_roi`` breeds: the parent keeps half, the child gets the other half and a mutated copy of the
  genome. Period ROI counts from birth or from the last breeding.
* At once, whenever it happens: ``liquidation`` (the position's margin gave out) and ``capital_depleted`` (flat, and not
  able to margin the smallest order).
* The experiment collapses, and ends, at the first tick with nobody alive (extinction) or a reserve at or below zero
  (financial), or both.

These thresholds are ecology. No decision reads them.
"""

from __future__ import annotations

from prometheus.v10.core import capital, exchange, fences, genome
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import LANES, Agents, Books, IntArray, Scratch, Tiles

REASONS = ("quarterly_review", "capital_depleted", "liquidation", "unknown")
DEAD_REVIEW = 0

NO_COLLAPSE, EXTINCTION, FINANCIAL, BOTH = range(4)
COLLAPSE_NAMES = (None, "extinction", "financial", "both")

# Verdicts of a review.
KEEP, DIES, BREEDS = range(3)


@compiled
def review_due(tick: int, config: WorldConfig) -> bool:
    """Whether the review falls at the close of ``tick`` (0-based)."""
    return (tick + 1) % config.review_ticks == 0


@compiled
def period_roi(agents: Agents, slot: int) -> float:
    """Return on capital since birth or last breeding, of a flat agent."""
    account, lane = agents.accounts[slot // LANES], slot % LANES
    return account["cash"][lane] / account["period_capital"][lane] - 1.0


@compiled
def judge(agents: Agents, books: Books, scratch: Scratch, verdicts: IntArray, config: WorldConfig) -> int:
    """Pass a verdict on every living (flat) agent; puts the dying on the list and returns how many breed."""
    breeders = 0
    for i in range(verdicts.shape[0]):
        verdicts[i] = KEEP
        if agents.nets[i // LANES]["alive"][i % LANES] == 0:
            continue
        books.fence[fences.REVIEW_DEATH, fences.ATTEMPTS] += 1
        books.fence[fences.REVIEW_BREED, fences.ATTEMPTS] += 1
        roi = period_roi(agents, i)
        if roi < config.death_roi:
            verdicts[i] = DIES
            books.fence[fences.REVIEW_DEATH, fences.TRIGGERS] += 1
            books.fence[fences.REVIEW_DEATH, fences.BLOCKS] += 1
            scratch.side[i] = 0.0
            exchange.add_death(books, scratch, i, DEAD_REVIEW)
        elif roi >= config.breed_roi:
            verdicts[i] = BREEDS
            breeders += 1
            books.fence[fences.REVIEW_BREED, fences.TRIGGERS] += 1
    return breeders


@compiled
def split_capital(agents: Agents, parent: int) -> float:
    """Halve a breeding parent's cash; returns the child's half. What the parent keeps is the exact rest."""
    account, lane = agents.accounts[parent // LANES], parent % LANES
    half = account["cash"][lane] * 0.5
    account["cash"][lane] -= half
    account["period_capital"][lane] = account["cash"][lane]
    return half


@compiled
def copy_genomes(was: Tiles, now: Tiles, slots: IntArray) -> None:
    """Copy the genomes in ``slots`` of ``was`` to the first slots of ``now``."""
    for place in range(slots.shape[0]):
        source, target = was[slots[place] // LANES]["loci"], now[place // LANES]["loci"]
        for locus in range(genome.LOCI):
            target[locus, place % LANES] = source[locus, slots[place] % LANES]


@compiled
def collapse(books: Books) -> int:
    """Which internal collapse holds now: none, extinction, financial, or both."""
    extinct = books.tally[capital.ALIVE] == 0
    broke = books.money[capital.RESERVE] <= 0.0
    books.fence[fences.EXTINCTION, fences.TRIGGERS] += extinct
    books.fence[fences.RESERVE_COLLAPSE, fences.TRIGGERS] += broke
    if extinct and broke:
        return BOTH
    if extinct:
        return EXTINCTION
    if broke:
        return FINANCIAL
    return NO_COLLAPSE


@compiled
def forget_old_deaths(books: Books, tick: int, window: int) -> None:
    """Keep the count of deaths within the last ``window`` ticks (C4)."""
    recent = books.tally[capital.RECENT_DEATHS] + books.deaths_by_tick[tick]
    if tick >= window:
        recent -= books.deaths_by_tick[tick - window]
    books.tally[capital.RECENT_DEATHS] = recent
