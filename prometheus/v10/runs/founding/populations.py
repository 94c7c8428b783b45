"""The founders of one experiment: a function of its line's ancestors, of ``[founding]`` and of its seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen

from prometheus.v10.core import genome
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.evidence.pools.descent import FRESH
from prometheus.v10.evidence.pools.exposure import Exposure
from prometheus.v10.evidence.pools.founders import FounderParent, Founders
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.runs.founding.ancestors import Ancestor, Ancestry
from prometheus.v10.runs.founding.parents import Candidates, candidates_of, choose
from prometheus.v10.runs.request.eras_table import FoundingTable


@frozen(kw_only=True, eq=False)
class Plan:
    """Who founds one experiment; small enough to be sent to a worker, which makes the genomes.

    Attributes:
        line: of the experiment.
        parents: those that are used, each once.
        elites: index into ``parents``, one an elite; ``offspring`` likewise.
    """

    line: str
    parents: tuple[Ancestor, ...] = ()
    elites: np.ndarray[tuple[int], np.dtype[np.int64]] = field(factory=lambda: np.zeros(0, np.int64))
    offspring: np.ndarray[tuple[int], np.dtype[np.int64]] = field(factory=lambda: np.zeros(0, np.int64))

    def genomes(self, config: WorldConfig, seed: int) -> genome.Genomes:
        """The founding population, float32 (founders, 342).

        A founder that is no elite is keyed by the seed and its own number, as every birth is: an offspring by the
        core's mutation, a newcomer by the core's founding.
        """
        count, first, then = config.founders, len(self.elites), len(self.elites) + len(self.offspring)
        if then == 0:
            return genome.founders(seed, count)
        found = np.empty((count, genome.LOCI), dtype=np.float32)
        lines = np.stack([one.genome for one in self.parents])
        found[:first] = lines[self.elites]
        if then > first:
            births = list(range(first, then))
            rate, scale = config.mutation_rate, config.mutation_scale
            found[first:then] = genome.mutated(lines[self.offspring], seed, births, rate, scale)
        if count > then:
            found[then:] = genome.founders(seed, count)[then:]
        return found

    def exposures(self, founders: int) -> list[Exposure]:
        """What each founder's line of ancestors has lived through."""
        inherited = [self.parents[k].exposure for k in (*self.elites.tolist(), *self.offspring.tolist())]
        return [*inherited, *[()] * (founders - len(inherited))]

    def record(self, run_id: str, experiment: int, seed: int, arm: str, founders: int) -> bytes:
        """The experiment's line of ``founders.jsonl``."""
        line = Founders(
            run_id=run_id,
            experiment=experiment,
            seed=seed,
            arm=arm,
            line=self.line,
            parents=[FounderParent(record_id=one.id, genome_sha256=one.sha256) for one in self.parents],
            elites=self.elites.tolist(),
            offspring=self.offspring.tolist(),
            newcomers=founders - len(self.elites) - len(self.offspring),
        )
        return to_line(line)


def plans(
    ancestry: Ancestry, table: FoundingTable, config: WorldConfig, lines: Sequence[str], seeds: Sequence[int]
) -> list[Plan]:
    """The plan of each experiment of a run.

    Args:
        ancestry: what `ancestors` found.
        table: ``[founding]``.
        config: physics.
        lines: of each experiment.
        seeds: of each experiment.
    """
    of_line: dict[str, Candidates] = {line: candidates_of(found) for line, found in ancestry.items()}
    return [
        Plan(line=line) if line == FRESH else _plan(line, of_line[table.ancestral(line)], table, config.founders, seed)
        for line, seed in zip(lines, seeds, strict=True)
    ]


def _plan(line: str, candidates: Candidates, table: FoundingTable, founders: int, seed: int) -> Plan:
    choice = choose(candidates, table, founders, seed)
    used = sorted({*choice.elites.tolist(), *choice.offspring.tolist()})
    place = {row: k for k, row in enumerate(used)}
    return Plan(
        line=line,
        parents=tuple(candidates.latest[row] for row in used),
        elites=np.array([place[row] for row in choice.elites.tolist()], dtype=np.int64),
        offspring=np.array([place[row] for row in choice.offspring.tolist()], dtype=np.int64),
    )
