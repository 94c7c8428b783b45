"""A genome's record in a pool (contracts, section 5): what a run hands in, and what is read back.

The run knows everything but the record's place in the chain: only ``n`` and ``prev`` are given when it is appended. A
`PoolEntry` therefore encodes itself once, ahead of the append, and hashes what stands before ``n`` (the genome, and
most of the bytes); the append hashes the small rest and joins.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from attrs import Factory, asdict, field, frozen
from numpy.typing import NDArray

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.chains.chain import content_id
from prometheus.v10.evidence.chains.pool_line import GENOME_BYTES, LOCI, genome_of
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.shapes import COUNT, SHA256, UTC, absent, spelt_as, words


@frozen
class Lineage:
    """Which line of ancestors a genome belongs to (record version 2).

    Attributes:
        instance: whose eras they are.
        line: ``inherit``, ``fresh`` or ``null``; lines never exchange genomes.
        era: number of the era that it lived in.
        exposure: what it and its ancestors have lived through (`prometheus.v10.evidence.pools.exposure`).
    """

    instance: str
    line: str
    era: int
    exposure: list[list[Any]]


@frozen
class PoolSource:
    """Where a genome comes from: enough to run its experiment again (contracts, section 5).

    Attributes:
        window: name, start and len of the bars it was evolved on; None with a reason when there was none.
        ablation: name and details; None with a reason when nothing was ablated.
        genome_index: its row in the run's ``genomes_run_<id>.npy``.
        lineage: of a run that has eras; the record then has version 2. Left out otherwise.
    """

    git_commit: str | None
    docker_image: str | None
    run_id: str
    seed: int
    mode: str
    window: dict[str, Any] | None
    ablation: dict[str, Any] | None
    experiment: int
    genome_index: int
    arm: str
    lineage: Lineage | None = field(default=None, metadata=absent())

    def plain(self) -> dict[str, Any]:
        """As the record carries it."""
        found = asdict(self)
        if self.lineage is None:
            del found["lineage"]
        return found

    @property
    def schema(self) -> Schema:
        """Version of the record that carries it."""
        return Schema.POOL_RECORD if self.lineage is None else Schema.POOL_RECORD_2


@frozen
class Encoded:
    """A line's canonical bytes around its place in the chain: ``before_n`` n ``before_prev`` prev ``after_prev``.

    Attributes:
        begun: the sha256 of ``before_n``, to be copied and gone on with.
    """

    id: str
    before_n: bytes
    before_prev: bytes
    after_prev: bytes
    begun: Any = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Hash what does not depend on the place."""
        object.__setattr__(self, "begun", hashlib.sha256(self.before_n))

    def __reduce__(self) -> tuple[type[Encoded], tuple[str, bytes, bytes, bytes]]:
        """A begun hash cannot travel between processes; whoever receives the entry begins it anew."""
        return Encoded, (self.id, self.before_n, self.before_prev, self.after_prev)

    @property
    def encoded(self) -> Encoded:
        """This entry is encoded already (`Entry`)."""
        return self

    def line(self, n: int, prev: str) -> bytes:
        """The line at its place, newline included."""
        return b"".join(place_all([self], n, prev.encode("ascii"))[0])


def place_all(group: Iterable[Encoded], n: int, prev: bytes) -> tuple[list[bytes], bytes]:
    """Lines that follow each other from ``n`` and ``prev`` on, two pieces a line, and the hash of the last (hex).

    This is the loop that an append waits for: the second piece alone is hashed, and nothing is called for each.
    """
    pieces: list[bytes] = []
    add = pieces.append
    for number, one in enumerate(group, n):
        rest = b"%d%b%b%b" % (number, one.before_prev, prev, one.after_prev)
        digest = one.begun.copy()
        digest.update(rest)
        prev = digest.hexdigest().encode("ascii")
        add(one.before_n)
        add(rest)
    return pieces, prev


class Entry(Protocol):
    """What a pool appends: a `PoolEntry`, or one that was encoded from columns (`pool_columns`)."""

    @property
    def id(self) -> str:
        """The record's id."""

    @property
    def encoded(self) -> Encoded:
        """Its bytes but for its place."""


@frozen
class PoolEntry:
    """A genome to be appended.

    Attributes:
        genome: 1368 bytes, little-endian float32[342] (`genome_bytes` makes them).
        created_at: UTC, from the clock (`base.clock.utc_text`).
        metrics_summary: a small object: survival and death flags, costs summary, two checks (contracts, section 5).
        fingerprint_ref: path of the run's execution_fingerprint.json, or its run_id.
        null_reasons: dotted path to reason, for every null in source, metrics_summary and fingerprint_ref.
    """

    genome: bytes
    created_at: str
    source: PoolSource
    metrics_summary: dict[str, Any]
    fingerprint_ref: str | None
    null_reasons: dict[str, str] = Factory(dict)
    encoded: Encoded = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Check the entry and encode its share, so that a wrong entry never reaches the pool.

        Raises:
            EvidenceError: for a genome of another size or with values that are not finite, a null without its reason,
                or a value that has no canonical form.
        """
        object.__setattr__(self, "encoded", _encode(self))

    @property
    def id(self) -> str:
        """The record's id, known before it is appended: it is drawn from the content, not from the place."""
        return self.encoded.id


@frozen
class PoolRecord:
    """A record as read from a pool or a snapshot; fields as in `PoolEntry`, and its place in the chain."""

    id: str
    n: int = field(metadata=COUNT)
    prev: str = field(metadata=SHA256)
    schema: str = field(metadata=words(Schema.POOL_RECORD, Schema.POOL_RECORD_2))
    created_at: str = field(metadata=UTC)
    source: dict[str, Any] = field(metadata=spelt_as(PoolSource))
    genome_vector_342: str
    genome_sha256: str = field(metadata=SHA256)
    metrics_summary: dict[str, Any]
    fingerprint_ref: str | None
    null_reasons: dict[str, str]

    def genome(self) -> NDArray[np.float32]:
        """The genome, float32[342], read-only, in the machine's byte order.

        Raises:
            EvidenceError: when it is not base64 of float32[342].
        """
        try:
            raw = genome_of(self.genome_vector_342.encode("ascii"))
        except ValueError as error:
            raise EvidenceError(f"record {self.n} ({self.id}): {error}") from error
        return np.frombuffer(raw, dtype="<f4").astype(np.float32, copy=False)


def genome_bytes(vector: NDArray[np.float32]) -> bytes:
    """A genome as its 1368 little-endian bytes.

    Raises:
        EvidenceError: unless it is float32[342] with finite values: nothing is converted silently.
    """
    if vector.dtype != np.float32 or vector.shape != (LOCI,):
        raise EvidenceError(f"a genome is float32[{LOCI}], not {vector.dtype}{list(vector.shape)}")
    if not np.isfinite(vector).all():
        raise EvidenceError(f"a genome has {int((~np.isfinite(vector)).sum())} values that are not finite")
    return vector.astype("<f4", copy=False).tobytes()


def record_of(line: bytes) -> PoolRecord:
    """A line that was checked before, as its record."""
    return PoolRecord(**json.loads(line))


def _encode(entry: PoolEntry) -> Encoded:
    if len(entry.genome) != GENOME_BYTES:
        raise EvidenceError(f"a genome has {GENOME_BYTES} bytes (float32[{LOCI}]), not {len(entry.genome)}")
    if not np.isfinite(np.frombuffer(entry.genome, dtype="<f4")).all():
        raise EvidenceError("a genome has values that are not finite")
    source = entry.source.plain()
    broken = violations(
        {
            "source": source,
            "metrics_summary": entry.metrics_summary,
            "fingerprint_ref": entry.fingerprint_ref,
            "null_reasons": entry.null_reasons,
        }
    )
    if broken:
        raise EvidenceError(f"pool entry: {broken[0]}", hint="unknown is null plus a reason")
    try:
        return encode_pieces(
            entry.genome,
            hashlib.sha256(entry.genome).hexdigest(),
            created_at=canonical_bytes(entry.created_at),
            fingerprint_ref=canonical_bytes(entry.fingerprint_ref),
            metrics=canonical_bytes(entry.metrics_summary),
            null_reasons=canonical_bytes(entry.null_reasons),
            source=canonical_bytes(source),
            schema=entry.source.schema,
        )
    except (TypeError, ValueError) as error:
        raise EvidenceError(
            f"pool entry: {error}", hint="a record holds finite numbers, text, lists and objects"
        ) from error


def encode_pieces(
    genome: bytes, genome_sha256: str, *, created_at: bytes, fingerprint_ref: bytes, metrics: bytes,
    null_reasons: bytes, source: bytes, schema: Schema,
) -> Encoded:  # fmt: skip
    """An entry from the canonical bytes of its values, in the order that canonical JSON gives them (`pool_line`).

    Args:
        genome: 1368 bytes, little-endian float32[342]; they were looked at.
        genome_sha256: theirs, hexadecimal.
        created_at: of the entry, as the other arguments.
        fingerprint_ref: see `PoolEntry`.
        metrics: ``metrics_summary``.
        null_reasons: see `PoolEntry`.
        source: see `PoolEntry`.
        schema: version of the record.
    """
    head = b'{"created_at":%b,"fingerprint_ref":%b,"genome_sha256":"%b",' % (
        created_at, fingerprint_ref, genome_sha256.encode(),
    )  # fmt: skip
    summary = b'"metrics_summary":%b,' % metrics
    reasons = b'"null_reasons":%b,' % null_reasons
    foot = b'"schema":"%b","source":%b}' % (schema.value.encode(), source)
    identity = content_id(head + summary + reasons + foot)
    vector = binascii.b2a_base64(genome, newline=False)
    return Encoded(
        id=identity,
        before_n=b'%b"genome_vector_342":"%b","id":"%b",%b"n":' % (head, vector, identity.encode(), summary),
        before_prev=b"," + reasons + b'"prev":"',
        after_prev=b'",' + foot + b"\n",
    )
