"""A line of the ledger of seals (contracts, sections 2 and 5): the same chain as a pool's, around any payload.

Fields: ``id, instance, n, null_reasons, payload, prev, schema, ts_utc, type``. Standard library only.
"""

from __future__ import annotations

import re
from typing import Any

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.chains.chain import Link, content_id
from prometheus.v10.evidence.chains.pool_line import claimed_link
from prometheus.v10.evidence.records.canonical import canonical_bytes, is_canonical, strict_loads
from prometheus.v10.evidence.records.nulls import violations

_TYPES: dict[str, type] = {
    "id": str,
    "instance": str,
    "n": int,
    "null_reasons": dict,
    "payload": dict,
    "prev": str,
    "schema": str,
    "ts_utc": str,
    "type": str,
}
_PLACE = {"id", "n", "prev"}
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


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
    if entry.keys() != _TYPES.keys():
        return (
            f"fields missing: {sorted(_TYPES.keys() - entry.keys())}, unknown: {sorted(entry.keys() - _TYPES.keys())}"
        )
    for name, kind in _TYPES.items():
        if type(entry[name]) is not kind:
            return f"{name} is not of its type"
    if entry["schema"] != Schema.LEDGER_ENTRY.value:
        return f"schema is {entry['schema']!r}, this version reads {Schema.LEDGER_ENTRY.value!r}"
    if not _UTC.fullmatch(entry["ts_utc"]):
        return "ts_utc is not UTC with microseconds and a Z"
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
