"""Most of a pool's line repeats: reasons and source of one run's records differ in one number. This remembers them.

A line's small rest (`pool_line.split`) is ``A,"n":N,"null_reasons":R,"prev":"P",F``, with ``F`` from ``"schema"`` on.
When ``R`` and ``F`` were found good in an earlier line, and ``A`` is three plain fields and a canonical object, the
whole is canonical too, and only that object has to be parsed. ``genome_index`` may differ: a whole number in the place
of another changes nothing that is checked. What this does not accept, the close check of `pool_line` decides; it never
refuses anything. Standard library only.
"""

from __future__ import annotations

import json
import re
from typing import Any

from prometheus.v10.evidence.chains.chain import Link
from prometheus.v10.evidence.records.canonical import is_deep, spell

_INDEX = re.compile(rb'"genome_index":(?:0|[1-9][0-9]{0,17}),')
_HEAD = re.compile(
    rb'\{"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",'
    rb'"fingerprint_ref":(null|"[ !#-\[\]-~]*"),'  # text in which nothing has to be escaped
    rb'"genome_sha256":"([0-9a-f]{64})","metrics_summary":'
)
_READ = json.JSONDecoder().raw_decode
MAX_KNOWN = 1024


class Memo:
    """Reasons and sources that were found good."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], frozenset[str]] = {}

    def __reduce__(self) -> tuple[type[Memo], tuple[()]]:
        """Another process begins with nothing known."""
        return Memo, ()

    def content(self, rest: bytes, link: Link, genome_sha256: str) -> bytes | None:
        """What a line's id is drawn from, when every rule for ``rest`` holds; None when that is not certain."""
        parts = _parts(rest, link)
        if parts is None:
            return None
        front, reasons, foot = parts
        nulls = self._known.get((reasons, _INDEX.sub(b"", foot, 1)))
        if nulls is None or not _good_front(front, nulls, genome_sha256):
            return None
        return b'%b,"null_reasons":%b,%b' % (front, reasons, foot)

    def learn(self, rest: bytes, link: Link, record: dict[str, Any]) -> None:
        """Remember reasons and source of a line that the close check found good."""
        parts = _parts(rest, link)
        if parts is None or _INDEX.search(parts[2]) is None:
            return
        _, reasons, foot = parts
        if reasons != spell(record["null_reasons"]).encode("ascii"):
            return
        if foot != f'"schema":{spell(record["schema"])},"source":{spell(record["source"])}}}'.encode("ascii"):
            return
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        in_front = frozenset(path for path in record["null_reasons"] if not path.startswith("source."))
        self._known[reasons, _INDEX.sub(b"", foot, 1)] = in_front


def _parts(rest: bytes, link: Link) -> tuple[bytes, bytes, bytes] | None:
    """``A``, ``R`` and ``F`` of a rest that carries ``link``."""
    prev = b',"prev":"%b",' % link.prev.encode("ascii")
    before, found, foot = rest.rpartition(prev)
    front, found_n, reasons = before.rpartition(b',"n":%d,"null_reasons":' % link.n)
    return (front, reasons, foot) if found and found_n else None


def _good_front(front: bytes, nulls: frozenset[str], genome_sha256: str) -> bool:
    """Whether ``front`` is the opening of a canonical object, its first four fields, with exactly these nulls."""
    head = _HEAD.match(front)
    if head is None or head[2] != genome_sha256.encode("ascii"):
        return False
    try:
        data = front[head.end() :]
        text = data.decode("ascii")
        metrics, end = _READ(text)
        if type(metrics) is not dict or end != len(text) or is_deep(metrics, data) or spell(metrics) != text:
            return False
    except (ValueError, RecursionError):
        return False
    found = ["fingerprint_ref"] if head[1] == b"null" else []
    return collect_nulls(metrics, "metrics_summary.", found) and nulls == set(found)


def collect_nulls(tree: dict[str, Any], prefix: str, nulls: list[str]) -> bool:
    """Paths of nulls in nested objects; False when a list or a nested ``null_reasons`` asks for the closer look."""
    for key, value in tree.items():
        if value is None:
            nulls.append(prefix + key)
        elif type(value) is dict:
            if key == "null_reasons":
                if prefix:
                    return False
            elif not collect_nulls(value, f"{prefix}{key}.", nulls):
                return False
        elif type(value) is list and not all(type(item) in {str, int, float, bool} for item in value):
            return False
    return True
