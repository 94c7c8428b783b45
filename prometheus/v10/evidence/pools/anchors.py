"""What others vouch for of a pool: the hash chain shows that it fits together, an anchor that it is still the same one.

1. A run's beginning and its seal enter the pool's place into the ledger, how many records and the head hash; the seal
   also says which records are the run's own. A record that no run claims so is no record.
2. A snapshot's entry does the same, also after the snapshot itself was deleted by retention.
3. A sealed manifest says which records the run appended, so the pool holds at least those.

Whole records that were cut off, and a tail that was rewritten with a chain of its own, are found by nothing else.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_whole
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.chains.chain import Link
from prometheus.v10.evidence.chains.ledger_view import LedgerView, Started
from prometheus.v10.evidence.pools.pool_claims import Claim
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.findings import VerifyReport


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
        if self.head is not None and self.records and heads.get(self.records) != self.head:
            return f"its first {self.records} records are not those of {self.who}: the pool was rewritten"
        return None


def pool_state(layout: Layout, stage: Stage, before: Link, after: Link, claim: Claim) -> dict[str, Any]:
    """What a run's seal enters into the ledger of the pool that it appended to (payload ``pool``).

    Args:
        layout: the installation.
        stage: whose pool.
        before: the place that the pool had when the run was opened.
        after: the place behind the last record that the run appended.
        claim: the run's own records.
    """
    return {
        "path": str(layout.pool(stage).relative_to(layout.lib)),
        "before": {"records": before.n, "head": before.prev},
        "after": {"records": after.n, "head": after.prev},
        "appended": claim.appended,
        "records_sha256": claim.records_sha256,
    }


def check_claims(
    pool: Path, name: str, claims: Mapping[str, Claim], view: LedgerView, report: VerifyReport, *, live: Set[str],
    complete: bool = True,
) -> None:  # fmt: skip
    """Hold every record of a pool against the run that claims it, and every seal against the records.

    Args:
        pool: the pool's file, for findings.
        name: its path under the installation's lib, as seals name it.
        claims: what the pool holds (`claims_of`).
        view: the ledger.
        report: where findings go.
        live: runs that were begun and may be at work now.
        complete: whether the pool was read after the ledger, so that all records of sealed runs were seen.
    """
    for run, claim in sorted(claims.items(), key=lambda item: item[1].first):
        seals = view.seals.get(run)
        if seals is None:
            if run in live:
                report.note(pool, f"{claim.appended} records of {run}, which is not sealed yet")
            else:
                what = f"{claim.appended} records name {printable(run)}, and the ledger knows no such run as sealed"
                report.fail(pool, what)
        elif not _agrees(seals[-1].get("pool"), name, claim, complete=complete):
            report.fail(pool, f"its records of {run} are not those that its seal names: the pool was rewritten")
    for run, payloads in sorted(view.seals.items()):
        said = payloads[-1].get("pool")
        there = complete and isinstance(said, dict) and said.get("path") == name and said["appended"]
        if there and isinstance(said, dict) and run not in claims:
            report.fail(pool, f"the {said['appended']} records of {run} are gone, and its seal names them")


def _agrees(said: Mapping[str, Any] | None, name: str, claim: Claim, *, complete: bool) -> bool:
    if said is None or said.get("path") != name:
        return said is None  # of a run of the version before; or a run that appended to another pool
    if not complete and claim.appended < said["appended"]:
        return True
    return (said["appended"], said["records_sha256"]) == (claim.appended, claim.records_sha256)


def vouched_records(layout: Layout, stage: Stage, view: LedgerView) -> int:
    """How many records of a stage's pool the ledger vouches for."""
    name = str(layout.pool(stage).relative_to(layout.lib))
    anchors = (*_of_seals(name, view.seals), *_of_started(name, view.started), *_of_snapshots(stage, view.snapshots))
    return max((anchor.records for anchor in anchors), default=0)


def pool_anchors(layout: Layout, stage: Stage, view: LedgerView) -> list[Anchor]:
    """Every anchor of a stage's pool.

    Args:
        layout: the installation.
        stage: whose pool.
        view: what the ledger says.

    Raises:
        OSError: when a directory of runs cannot be read.
    """
    name = str(layout.pool(stage).relative_to(layout.lib))
    found = [
        *_of_seals(name, view.seals),
        *_of_started(name, view.started),
        *_of_snapshots(stage, view.snapshots),
        *_of_manifests(layout, name),
    ]
    return sorted(found, key=lambda anchor: (anchor.records, anchor.who))


def _of_seals(name: str, seals: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Anchor]:
    for run_id, payloads in seals.items():
        for payload in payloads:
            said = payload.get("pool")
            if isinstance(said, dict) and said.get("path") == name:
                for place in (said["before"], said["after"]):
                    yield Anchor(f"the seal of {run_id} in the ledger", place["records"], place["head"])


def _of_started(name: str, started: Mapping[str, Started]) -> Iterator[Anchor]:
    for run_id, begun in started.items():
        said = begun.payload["pool"]
        if said["path"] == name:
            yield Anchor(f"the beginning of {run_id} in the ledger", said["records"], said["head"])


def _of_snapshots(stage: Stage, snapshots: Sequence[Mapping[str, Any]]) -> Iterator[Anchor]:
    for payload in snapshots:
        if Path(str(payload.get("pool_path"))).parent.name == stage.value and type(payload.get("count")) is int:
            yield Anchor(f"the ledger's snapshot {payload.get('id')}", payload["count"], str(payload.get("head_hash")))


def _of_manifests(layout: Layout, name: str) -> Iterator[Anchor]:
    for tier in Tier:
        for place in sorted(layout.runs(tier).glob(f"*/{Artifact.MANIFEST}")):
            try:
                said = strict_loads(read_whole(place, at_most=LARGE))["pool_appends"]
                last = said["last_n"] if said["pool"] == name else None
            except (PrometheusError, ValueError, KeyError, TypeError):
                continue  # verification of the run says what is wrong with its manifest
            if type(last) is int:
                yield Anchor(f"the manifest of {place.parent.name}", last + 1)
