"""Pool records of one experiment, from columns to canonical lines at the pace of the tick loop.

A `PoolEntry` is encoded value by value. The genomes of one experiment differ in a few figures only, so here what they
have in common is encoded once, and each line is put together from a template. The bytes are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.chains.pool_line import LOCI
from prometheus.v10.evidence.pools.pool_record import Encoded, PoolSource, encode_pieces
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.records.nulls import violations

Ints = npt.NDArray[np.integer[Any]]
Reals = npt.NDArray[np.floating[Any]]

DEATH = ("metrics_summary.death_reason", "metrics_summary.death_tick")
"""Null for who survived."""


@frozen(kw_only=True)
class PoolContext:
    """What all records of one experiment have in common.

    Attributes:
        sources: what records' sources can be; their ``genome_index`` is not looked at. Those of one run without eras
            have one; with eras, one for each exposure.
        system_roi: return of the whole experiment.
        survived: why a survivor has neither reason nor tick of death.
        null_reasons: of the source's nulls.
    """

    created_at: str
    sources: Sequence[PoolSource]
    fingerprint_ref: str
    system_roi: float
    survived: str
    null_reasons: Mapping[str, str]


@frozen(kw_only=True, eq=False)
class PoolColumns:
    """Genomes in the order in which the pool gets them; a column has shape (entries,) unless said otherwise.

    Attributes:
        genomes: float32, shape (entries, 342).
        sha256: hexadecimal, of each genome's little-endian bytes.
        source: index into the context's sources.
        agent: order of birth within the experiment.
        death_tick: -1 for who survived; ``reason`` is not looked at then.
        reason: name of the reason of death.
        costs: shape (entries, 3): fees, funding, slippage over its life, USDT.
    """

    genomes: npt.NDArray[np.float32]
    sha256: Sequence[str]
    source: Ints
    agent: Ints
    birth_tick: Ints
    death_tick: Ints
    reason: Sequence[str | None]
    initial_capital: Reals
    final_capital: Reals
    roi_lifetime: Reals
    trades: Ints
    wins: Ints
    costs: Reals


def encode_pool(context: PoolContext, columns: PoolColumns) -> tuple[Encoded, ...]:
    """The entries of one experiment.

    Raises:
        EvidenceError: for genomes of another form, a number that is not finite, or a null without its reason.
    """
    if not len(columns.agent):
        return ()
    _look_at(context, columns)
    around = [_around_the_index(source) for source in context.sources]
    schemas = [source.schema for source in context.sources]
    lived, died = _reasons(context, DEATH), _reasons(context, ())
    created_at, reference = canonical_bytes(context.created_at), canonical_bytes(context.fingerprint_ref)
    genomes = [row.tobytes() for row in columns.genomes.astype("<f4", copy=False)]
    survived = (columns.death_tick < 0).tolist()
    rows = zip(
        genomes, columns.sha256, columns.source.tolist(), columns.agent.tolist(), survived, _metrics(context, columns),
        strict=True,
    )  # fmt: skip
    return tuple(
        encode_pieces(
            genome, sha256,
            created_at=created_at, fingerprint_ref=reference, metrics=metrics.encode("ascii"),
            null_reasons=lived if alive else died, source=b"%b%d%b" % (around[kind][0], agent, around[kind][1]),
            schema=schemas[kind],
        )
        for genome, sha256, kind, agent, alive, metrics in rows
    )  # fmt: skip


def _look_at(context: PoolContext, columns: PoolColumns) -> None:
    genomes = columns.genomes
    if genomes.dtype != np.float32 or genomes.shape != (len(columns.agent), LOCI):
        raise EvidenceError(f"a genome is float32[{LOCI}], not {genomes.dtype}{list(genomes.shape)}")
    for name in ("genomes", "initial_capital", "final_capital", "roi_lifetime", "costs"):
        if not np.isfinite(getattr(columns, name)).all():
            raise EvidenceError(f"pool column {name} has values that are not finite")
    if not np.isfinite(context.system_roi):
        raise EvidenceError("the return of the experiment is not finite")
    for source in context.sources:
        said = {"source": source.plain(), "fingerprint_ref": context.fingerprint_ref}
        if broken := violations({**said, "null_reasons": dict(context.null_reasons)}):
            raise EvidenceError(f"pool entry: {broken[0]}", hint="unknown is null plus a reason")


def _reasons(context: PoolContext, more: Sequence[str]) -> bytes:
    return canonical_bytes({**context.null_reasons, **dict.fromkeys(more, context.survived)})


def _around_the_index(source: PoolSource) -> tuple[bytes, bytes]:
    """The source's canonical bytes before and after the genome's index."""
    values = sorted(source.plain().items())
    key = "genome_index"
    before = b"".join(b'"%b":%b,' % (name.encode(), canonical_bytes(value)) for name, value in values if name < key)
    after = b"".join(b',"%b":%b' % (name.encode(), canonical_bytes(value)) for name, value in values if name > key)
    return b'{%b"%b":' % (before, key.encode()), after + b"}"


def _metrics(context: PoolContext, columns: PoolColumns) -> Iterator[str]:
    """``metrics_summary`` of each entry, keys in canonical order."""
    c, system = columns, repr(float(context.system_roi))
    reasons = {name: f'"{name}"' for name in set(c.reason) - {None}}
    for born, died, reason, initial, final, roi, trades, wins, (fees, funding, slippage) in zip(
        c.birth_tick.tolist(), c.death_tick.tolist(), c.reason, c.initial_capital.tolist(), c.final_capital.tolist(),
        c.roi_lifetime.tolist(), c.trades.tolist(), c.wins.tolist(), c.costs.tolist(), strict=True,
    ):  # fmt: skip
        alive = died < 0
        yield (
            f'{{"birth_tick":{born},"costs":{{"fees":{fees!r},"funding":{funding!r},"slippage":{slippage!r}}},'
            f'"death_reason":{"null" if alive else reasons[reason]},"death_tick":{"null" if alive else died},'
            f'"final_capital":{final!r},"initial_capital":{initial!r},"roi_lifetime":{roi!r},'
            f'"sanity":{{"finite":true,"has_traded":{"true" if trades > 0 else "false"}}},'
            f'"survived":{"true" if alive else "false"},"system_roi":{system},"trades":{trades},"wins":{wins}}}'
        )
