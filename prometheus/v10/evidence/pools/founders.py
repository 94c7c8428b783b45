"""``founders.jsonl``: who founded each experiment of a run that has eras, a line an experiment (ADR 0070)."""

from __future__ import annotations

from attrs import field, frozen

from prometheus.v10.base.modes import Arm
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.pools.descent import LINES
from prometheus.v10.evidence.schemas.shapes import A_RUN, COUNT, SHA256, exactly, listed, words


@frozen(kw_only=True)
class FounderParent:
    """An ancestor that founders come from: the record in the pool that the founding names, and its genome."""

    record_id: str
    genome_sha256: str = field(metadata=SHA256)


@frozen(kw_only=True)
class Founders:
    """The founders of one experiment, in the order of their ``genome_index``: elites, offspring, newcomers.

    Attributes:
        line: ``inherit``, ``fresh`` or ``null``.
        parents: each once, in the order in which the others name them by their place in this list.
        elites: the parent that each elite is a copy of.
        offspring: the parent that each offspring is a mutated copy of.
        newcomers: how many the experiment's seed drew.
    """

    schema: str = field(default=Schema.FOUNDERS.value, metadata=exactly(Schema.FOUNDERS.value))
    run_id: str = field(metadata=A_RUN)
    experiment: int = field(metadata=COUNT)
    seed: int = field(metadata=COUNT)
    arm: str = field(metadata=words(*Arm))
    line: str = field(metadata=words(*LINES))
    parents: list[FounderParent]
    elites: list[int] = field(metadata=listed(COUNT))
    offspring: list[int] = field(metadata=listed(COUNT))
    newcomers: int = field(metadata=COUNT)
    null_reasons: dict[str, str] = field(factory=dict)
