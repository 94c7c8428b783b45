"""A line of the ledger of seals (contracts, sections 2 and 5): the same chain as a pool's, around any payload.

Fields: ``id, instance, n, null_reasons, payload, prev, schema, ts_utc, type``. Standard library only.
"""

from __future__ import annotations

from typing import Any

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.chains.chain import Link, content_id
from prometheus.v10.evidence.chains.pool_line import claimed_link
from prometheus.v10.evidence.records.canonical import canonical_bytes, is_canonical, strict_loads
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.schema_file import schema_of

_PLACE = {"id", "n", "prev"}


class LedgerLine:
    """`LineFormat` of ``state/ledger.jsonl``."""

    name = "ledger entry"

    def links(self, line: bytes, link: Link) -> bool:
        """See `LineFormat`."""
        return b',"n":%d,"null_reasons":{' % link.n in line and b'},"prev":"%b","schema":"' % link.prev.encode() in line

    def problem(self, line: bytes, link: Link | None) -> str | None:
        """See `LineFormat`."""
        try:
            entry = parse(line)
        except ValueError as error:
            return str(error)
        return _wrong_fields(entry) or _wrong_link(entry, link)

    def link_of(self, line: bytes) -> Link | None:
        """See `LineFormat`."""
        try:
            return claimed_link(parse(line))
        except ValueError:
            return None


LEDGER_LINE = LedgerLine()


def parse(line: bytes) -> dict[str, Any]:
    """One ledger line as its entry.

    Raises:
        ValueError: when it is not one canonical JSON object and a newline.
    """
    if line[-1:] != b"\n":
        raise ValueError("no newline at the end")
    entry = strict_loads(line[:-1])
    if not isinstance(entry, dict) or not is_canonical(line[:-1], entry):
        raise ValueError("not in canonical form (sorted keys, no spaces, one spelling of each number)")
    return entry


def entry_id(entry: dict[str, Any]) -> str:
    """The id that belongs to an entry's content (see `chain.content_id`)."""
    return content_id(canonical_bytes({key: value for key, value in entry.items() if key not in _PLACE}))


def _wrong_fields(entry: dict[str, Any]) -> str | None:
    if (what := schema_of(Schema.LEDGER_ENTRY).first(entry)) is not None:
        return what
    broken = violations(entry)
    if broken:
        return f"null rule: {broken[0]}"
    return None if entry_id(entry) == entry["id"] else "its id is not that of its content: the line was changed"


def _wrong_link(entry: dict[str, Any], link: Link | None) -> str | None:
    if link is None:
        return None
    if entry["n"] != link.n:
        return f"n is {entry['n']}, expected {link.n}"
    if entry["prev"] != link.prev:
        return "prev is not the hash of the line before"
    return None
