"""A pool's line (contracts, section 5): its layout in bytes, and every rule that a line must keep.

Canonical JSON sorts keys, so a line always reads ``created_at, fingerprint_ref, genome_sha256, genome_vector_342, id,
metrics_summary, n, null_reasons, prev, schema, source``. The genome is two thirds of the bytes and stands directly
before ``id``: the checks below cut both out, decode the genome by itself and parse only the small rest.
Standard library only.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from typing import Any

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.chains.chain import Link, content_id, wrong_link
from prometheus.v10.evidence.chains.pool_memo import Memo, collect_nulls
from prometheus.v10.evidence.records.canonical import TOO_DEEP, is_deep, spell, strict_loads
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.schema_file import schema_of

LOCI = 342
GENOME_BYTES = LOCI * 4
VECTOR_CHARS = GENOME_BYTES // 3 * 4  # 1368 is a multiple of 3: base64 without padding, one spelling only
VECTOR_KEY = b'"genome_vector_342":"'
ID_KEY = b'","id":"'
ID_CHARS = 36
CHANGED = "its id is not that of its content: the line was changed"

CUT_OUT = frozenset(["genome_vector_342", "id"])
"""Fields of a record that `split` takes out of its line."""


class PoolLine:
    """`LineFormat` of ``pool.jsonl`` and its snapshots."""

    name = "pool record"

    def links(self, line: bytes, link: Link) -> bool:
        """See `LineFormat`."""
        # Quotes inside JSON strings are escaped, so these tokens can only be keys with their values.
        return b',"n":%d,"null_reasons":{' % link.n in line and b'},"prev":"%b","schema":"' % link.prev.encode() in line

    def __init__(self) -> None:
        self._memo = Memo()

    def problem(self, line: bytes, link: Link | None) -> str | None:
        """See `LineFormat`."""
        try:
            vector, claimed_id, rest = split(line)
            digest = hashlib.sha256(genome_of(vector)).hexdigest()
            if link is not None and (content := self._memo.content(rest, link, digest)) is not None:
                return None if content_id(content) == claimed_id else CHANGED
            record = json.loads(rest)
        except ValueError as error:
            return str(error)
        except RecursionError:
            return TOO_DEEP
        if is_deep(record, rest):
            return TOO_DEEP
        if not isinstance(record, dict):
            return "not an object"
        what = (
            _wrong_fields(record)
            or _wrong_spelling(record, rest, claimed_id)
            or (None if digest == record["genome_sha256"] else "genome_sha256 is not that of genome_vector_342")
            or wrong_link(record, link)
        )
        if what is None and link is not None:
            self._memo.learn(rest, link, record)
        return what

    def link_of(self, line: bytes) -> Link | None:
        """See `LineFormat`."""
        try:
            record = strict_loads(split(line)[2])
        except ValueError:
            return None
        return claimed_link(record)


POOL_LINE = PoolLine()


def claimed_link(record: object) -> Link | None:
    """The ``n`` and ``prev`` of a parsed record; None when it has none that could be meant."""
    if not isinstance(record, dict):
        return None
    n, prev = record.get("n"), record.get("prev")
    if type(n) is not int or n < 0 or not isinstance(prev, str):
        return None
    return Link(n, prev)


def split(line: bytes) -> tuple[bytes, str, bytes]:
    """Cut a line into its genome's base64, its id, and the canonical bytes of everything else (without newline).

    Raises:
        ValueError: when the line is not laid out as a pool's line.
    """
    if line[:15] != b'{"created_at":"' or line[-2:] != b"}\n":
        raise ValueError("not a pool record")
    cut = line.find(VECTOR_KEY, 0, 4096)
    start = cut + len(VECTOR_KEY)
    end = start + VECTOR_CHARS
    id_start = end + len(ID_KEY)
    id_end = id_start + ID_CHARS
    if cut < 0 or line[end:id_start] != ID_KEY or line[id_end : id_end + 2] != b'",':
        raise ValueError("not a pool record: genome_vector_342 and id are not where they belong")
    claimed = line[id_start:id_end]
    if not claimed.isascii():
        raise ValueError("not ASCII")
    return line[start:end], claimed.decode("ascii"), line[:cut] + line[id_end + 2 : -1]


def genome_of(vector: bytes) -> bytes:
    """The 1368 bytes of a genome from its base64.

    Raises:
        ValueError: when it is not strict base64 of float32[342].
    """
    try:
        raw = binascii.a2b_base64(vector, strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"genome_vector_342 is not base64: {error}") from None
    if len(raw) != GENOME_BYTES:
        raise ValueError(f"genome_vector_342 holds {len(raw)} bytes, not {GENOME_BYTES}")
    return raw


def _wrong_spelling(record: dict[str, Any], rest: bytes, claimed_id: str) -> str | None:
    """Spell the record anew: other bytes mean it is not canonical (or a key stood there twice)."""
    try:
        ref, metrics = spell(record["fingerprint_ref"]), spell(record["metrics_summary"])
        head = f'{{"created_at":{spell(record["created_at"])},"fingerprint_ref":{ref},'
        head += f'"genome_sha256":"{record["genome_sha256"]}","metrics_summary":{metrics},'
        reasons = f'"null_reasons":{spell(record["null_reasons"])},'
        foot = f'"schema":{spell(record["schema"])},"source":{spell(record["source"])}}}'
    except (ValueError, TypeError, RecursionError) as error:
        return f"has no canonical form: {error}"
    if f'{head}"n":{record["n"]},{reasons}"prev":"{record["prev"]}",{foot}'.encode("ascii") != rest:
        return "not in canonical form (sorted keys, no spaces, one spelling of each number)"
    if content_id((head + reasons + foot).encode("ascii")) != claimed_id:
        return CHANGED
    return None


def _wrong_fields(record: dict[str, Any]) -> str | None:
    """Names, types and forms of every field but the genome and the id."""
    if record.keys() & CUT_OUT:
        return "genome_vector_342 or id stands there twice"
    return schema_of(Schema.POOL_RECORD).first(record, left_out=CUT_OUT) or _wrong_nulls(record)


def _wrong_nulls(record: dict[str, Any]) -> str | None:
    """The null rule: one quick look that settles the usual case, and the rule's own words for everything else."""
    reasons = record["null_reasons"]
    nulls: list[str] = []
    settled = collect_nulls(record, "", nulls) and reasons.keys() == set(nulls)
    if settled and all(type(why) is str and why.strip() for why in reasons.values()):
        return None
    broken = violations(record)
    return f"null rule: {broken[0]}" if broken else None
