"""A line of the ledger of seals (contracts, sections 2 and 5): the same chain as a pool's, around any payload.

Fields: ``id, instance, n, null_reasons, payload, prev, schema, ts_utc, type``. Standard library only.
"""

from __future__ import annotations

from typing import Any

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.chains.chain import Link, content_id, wrong_link
from prometheus.v10.evidence.chains.pool_line import claimed_link
from prometheus.v10.evidence.records.canonical import canonical_bytes, object_of_line
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
            entry = object_of_line(line)
        except ValueError as error:
            return str(error)
        return _wrong_fields(entry) or wrong_link(entry, link)

    def link_of(self, line: bytes) -> Link | None:
        """See `LineFormat`."""
        try:
            return claimed_link(object_of_line(line))
        except ValueError:
            return None


LEDGER_LINE = LedgerLine()


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
