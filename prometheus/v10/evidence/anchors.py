"""What others vouch for of a pool: the hash chain shows that it fits together, an anchor that it is still the same one.

1. A run's seal enters the pool's state at that moment into the ledger: how many records, and the head hash.
2. A snapshot's entry does the same, also after the snapshot itself was deleted by retention.
3. A sealed manifest says which records the run appended, so the pool holds at least those.

Whole records that were cut off, and a tail that was rewritten with a chain of its own, are found by nothing else.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.canonical import strict_loads


@dataclass(frozen=True)
class Anchor:
    """``who`` says that the pool held ``records`` records; ``head`` is the hash of the last of them, if known."""

    who: str
    records: int
    head: str | None = None

    def problem(self, count: int, heads: Mapping[int, str]) -> str | None:
        """What is wrong with a pool that holds ``count`` records and has these heads; None when nothing is."""
        if count < self.records:
            return f"holds {count} records, and {self.who} says that it held {self.records}: records are missing"
        if self.head is not None and heads.get(self.records) != self.head:
            return f"its first {self.records} records are not those of {self.who}: the pool was rewritten"
        return None


def pool_state(layout: Layout, stage: Stage, records: int, head: str) -> dict[str, Any]:
    """What a run's seal enters into the ledger of the pool that it appended to (payload ``pool``)."""
    return {"path": str(layout.pool(stage).relative_to(layout.lib)), "records": records, "head": head}


def pool_anchors(
    layout: Layout,
    stage: Stage,
    seals: Mapping[str, Sequence[Mapping[str, Any]]],
    snapshots: Sequence[Mapping[str, Any]],
) -> list[Anchor]:
    """Every anchor of a stage's pool.

    Args:
        layout: the installation.
        stage: whose pool.
        seals: payloads of the ledger's seals by run id.
        snapshots: payloads of its snapshots.

    Raises:
        OSError: when a directory of runs cannot be read.
    """
    name = str(layout.pool(stage).relative_to(layout.lib))
    found = [*_of_seals(name, seals), *_of_snapshots(stage, snapshots), *_of_manifests(layout, name)]
    return sorted(found, key=lambda anchor: (anchor.records, anchor.who))


def _of_seals(name: str, seals: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Anchor]:
    for run_id, payloads in seals.items():
        for payload in payloads:
            said = payload.get("pool")
            if isinstance(said, dict) and said.get("path") == name and type(said.get("records")) is int:
                yield Anchor(f"the seal of {run_id} in the ledger", said["records"], str(said.get("head")))


def _of_snapshots(stage: Stage, snapshots: Sequence[Mapping[str, Any]]) -> Iterator[Anchor]:
    for payload in snapshots:
        if Path(str(payload.get("pool_path"))).parent.name == stage.value and type(payload.get("count")) is int:
            yield Anchor(f"the ledger's snapshot {payload.get('id')}", payload["count"], str(payload.get("head_hash")))


def _of_manifests(layout: Layout, name: str) -> Iterator[Anchor]:
    for tier in Tier:
        for place in sorted(layout.runs(tier).glob(f"*/{Artifact.MANIFEST}")):
            try:
                said = strict_loads(place.read_bytes())["pool_appends"]
                last = said["last_n"] if said["pool"] == name else None
            except (ValueError, KeyError, TypeError):
                continue  # verification of the run says what is wrong with its manifest
            if type(last) is int:
                yield Anchor(f"the manifest of {place.parent.name}", last + 1)
