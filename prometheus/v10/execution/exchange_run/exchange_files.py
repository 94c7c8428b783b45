"""What a run at an exchange owes beside chain, rounds and calls: positions as reported, and the alignment bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from attrs import define, evolve, field

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.records.codec import from_json_bytes, to_json_bytes, to_plain
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.tier2 import (
    AlignmentReport,
    AlignmentSamples,
    PositionsSnapshot,
    ReportedPosition,
)
from prometheus.v10.execution.exchange_run.traded_window import Reported
from prometheus.v10.execution.kept.call_keeper import kept
from prometheus.v10.execution.kept.whose_account import without_whose
from prometheus.v10.execution.netting.netting_record import plain
from prometheus.v10.execution.ports.call_records import CallRecord
from prometheus.v10.runs.promote.promote_files import OpenPositions, positions_json

ONE_LIBRARY: Final = "one library took part in this run, so there is no other to compare it with"


@define
class FirstCalls:
    """A `CallSink` that keeps the first answered call of each endpoint."""

    run_id: str
    counts: dict[str, int] = field(factory=dict)
    first: dict[str, CallRecord] = field(factory=dict)

    def __call__(self, call: CallRecord) -> None:
        """Look at one call."""
        where = f"{call.method} {call.path}"
        self.counts[where] = self.counts.get(where, 0) + 1
        if call.status is not None:
            self.first.setdefault(where, call)

    def bundle(self, library: str) -> dict[Artifact, bytes]:
        """Both files of the alignment bundle: what the library answered, and what its rows hold."""
        samples = [sanitised(to_plain(kept(one, self.run_id))) for _, one in sorted(self.first.items())]
        mapping = {
            where: {"calls": count, "fields": fields_of(self.first[where].response) if where in self.first else []}
            for where, count in sorted(self.counts.items())
        }
        nulls = Nulls()
        report = AlignmentReport(
            run_id=self.run_id, execution_alignment_lib=library,
            execution_alignment_ok=nulls.unknown("execution_alignment_ok", ONE_LIBRARY), mapping=mapping,
            null_reasons=nulls.reasons,
        )  # fmt: skip
        told = AlignmentSamples(run_id=self.run_id, exchange_lib=library, samples=samples)
        return {Artifact.ALIGNMENT_REPORT: to_json_bytes(report), Artifact.ALIGNMENT_RAW_SAMPLES: to_json_bytes(told)}


def sanitised(sample: dict[str, Any]) -> dict[str, Any]:
    """A raw call as it may be handed on: whose account it is is not in it."""
    try:
        said = json.loads(sample["response"])
    except ValueError:
        return sample
    return {**sample, "response": json.dumps(without_whose(said), separators=(",", ":"))}


def fields_of(response: str) -> list[str]:
    """Names of the fields of an answer's first row, in order; of a row that is a list, nothing."""
    try:
        rows = json.loads(response)["data"]
    except (ValueError, LookupError, TypeError):
        return []
    return sorted(rows[0]) if isinstance(rows, list) and rows and isinstance(rows[0], dict) else []


def positions_of(
    held: OpenPositions, reported: Reported | None, run_id: str, when: Callable[[int], str], contract: float, lot: float
) -> bytes:
    """``positions_snapshot.json``: by agents as their fills make it, and as the exchange reported it.

    Args:
        held: by agent, before the settlement.
        reported: by the exchange at the same moment; None where it was not asked.
        run_id: whose it is.
        when: market time of a tick's close.
        contract: contracts in a lot.
        lot: BTC in a lot.
    """
    data = positions_json(held, run_id, 0, when(held.tick), contract, lot)
    if reported is None or reported.truth.lots is None or reported.truth.equity is None:
        return data
    truth, average = reported.truth, reported.average_price
    snapshot = from_json_bytes(data, PositionsSnapshot, where=Artifact.POSITIONS_SNAPSHOT)
    said = ReportedPosition(
        call=reported.call, equity_call=reported.equity_call, lots=truth.lots or 0, equity=plain(reported.truth.equity),
        average_price=None if average is None else plain(average),
        mark_price=plain(truth.mark) if truth.lots and truth.mark is not None else None,
    )  # fmt: skip
    return to_json_bytes(evolve(snapshot, schema=Schema.POSITIONS_SNAPSHOT_2.value, reported=said))
