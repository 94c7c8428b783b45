"""A request for a promotion as a file: its id is drawn from its content, and recomputed whenever it is read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import QUEUES
from prometheus.v10.base.names import is_run_id
from prometheus.v10.base.reading import SMALL, read_whole
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.records.codec import from_json_bytes
from prometheus.v10.runs.promote.promote_run import Promotion


def request_id(asked: list[Any]) -> str:
    """The id of a request: 16 hexadecimal digits of the sha256 of instance, run, experiment, index, trigger, record."""
    return hashlib.sha256(canonical_bytes(asked)).hexdigest()[:16]


def own_ids(promotion: Promotion) -> tuple[str, str]:
    """The ids that a request's content may have: the present form, and that of the version before (record by id)."""
    record = promotion.record
    asked = [promotion.instance, promotion.from_run_id, promotion.experiment, promotion.genome_index, promotion.trigger]
    return request_id([*asked, record]), request_id([*asked, record.get("id") if record else None])


def read_request(place: Path) -> Promotion:
    """A request's file.

    Raises:
        EvidenceError: when it is none, or not one that its id, its name and its instance vouch for.
        HostError: when it cannot be read.
    """
    found = from_json_bytes(read_whole(place, at_most=SMALL), Promotion, where=str(place))
    problem = _problem(found, place.stem)
    if problem is not None:
        raise EvidenceError(f"{printable(str(place))}: {problem}", hint="ask for the promotion again")
    return found


def _problem(found: Promotion, name: str) -> str | None:
    record = found.record
    if found.instance not in QUEUES:
        return f"its instance is {printable(found.instance)}, not {' or '.join(QUEUES)}"
    if not is_run_id(found.from_run_id):
        return f"it names {printable(found.from_run_id)}, which is no run id"
    if found.experiment < 0 or (found.genome_index is not None and found.genome_index < 0):
        return "it counts experiments or genomes below 0"
    if record is not None and (
        not {"id", "genome_sha256", "metrics_summary"} <= record.keys()
        or not all(isinstance(record[key], str) for key in ("id", "genome_sha256"))
        or not isinstance(record["metrics_summary"], dict | None)
    ):
        return "its record is no pool record"
    if found.id != name or found.id not in own_ids(found):
        return f"its id {printable(found.id)} is not that of its content"
    return None
