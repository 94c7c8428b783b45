"""Every record of the evidence with its class: their schemas are written by ``python -m`` of this module.

The schemas lie in ``prometheus/v10/evidence/schemas/``, one file a record; a test fails where one is not what its class
gives. The verifier reads the files and knows none of the classes.
"""

from __future__ import annotations

import json
from pathlib import Path

from prometheus.v10.base.files import write_atomic
from prometheus.v10.evidence import schemas
from prometheus.v10.evidence.chains.ledger import LedgerEntry
from prometheus.v10.evidence.chains.ledger_table import schema_name
from prometheus.v10.evidence.pools.founders import Founders
from prometheus.v10.evidence.pools.pool_record import PoolRecord
from prometheus.v10.evidence.pools.snapshot import SnapshotIndex
from prometheus.v10.evidence.records import events, tier2
from prometheus.v10.evidence.records.exchanged.exchange_calls import CallsIndex, ExchangeCall
from prometheus.v10.evidence.records.exchanged.exchange_claim import ExchangeClaim
from prometheus.v10.evidence.records.exchanged.order_payloads import PAYLOAD_OF, OrderChainLine
from prometheus.v10.evidence.records.fingerprint import ExecutionFingerprint
from prometheus.v10.evidence.records.raw import RawIndex
from prometheus.v10.evidence.records.raw_lines import RawOrder
from prometheus.v10.evidence.records.series.population_series import PopulationSeries
from prometheus.v10.evidence.records.summary import MultipleExperimentsSummary
from prometheus.v10.evidence.records.telemetry import GatingTelemetry
from prometheus.v10.evidence.schemas.json_schema import json_schema
from prometheus.v10.evidence.schemas.schema_file import SUFFIX
from prometheus.v10.evidence.writing.ledger_payloads import PAYLOADS
from prometheus.v10.evidence.writing.manifest import RunManifest
from prometheus.v10.execution.netting.netting_record import NettingRound
from prometheus.v10.gate.outcome import GateExperiment
from prometheus.v10.gate.signs import GateSigns
from prometheus.v10.gate.store import GateLock
from prometheus.v10.gate.verdict import GateVerdict
from prometheus.v10.ops.incident.incident_record import IncidentRecord
from prometheus.v10.ops.instance.collapse_intervals import CollapseLine, RebootLine, RunLine
from prometheus.v10.ops.instance.interrupted import Interrupted
from prometheus.v10.report.rungs.ladder_records import LadderStart, LadderVerdict
from prometheus.v10.runs.promote.promote_run import Promotion, PromotionClaim

RECORDS: dict[str, type] = {
    "run_manifest": RunManifest,
    "multiple_experiments_summary": MultipleExperimentsSummary,
    "execution_fingerprint": ExecutionFingerprint,
    "gating_telemetry": GatingTelemetry,
    "death_event": events.DeathEvent,
    "birth_event": events.BirthEvent,
    "survivor": events.Survivor,
    "collapse_event": events.CollapseEvent,
    "interesting_death": events.InterestingDeath,
    "m_execution_raw": RawOrder,
    "m_execution_raw_index": RawIndex,
    "interrupted": Interrupted,
    "behavior": tier2.Behavior,
    "positions_snapshot": tier2.PositionsSnapshot,
    "positions_reconstruction_raw": tier2.RebuiltPosition,
    "alignment_report": tier2.AlignmentReport,
    "alignment_raw_samples": tier2.AlignmentSamples,
    "decision_trace": tier2.TraceLine,
    "parts_index": tier2.PartsIndex,
    "promotion_request": Promotion,
    "promotion_claim": PromotionClaim,
    "founders": Founders,
    "population_series": PopulationSeries,
    "pool_record": PoolRecord,
    "pool_snapshot": SnapshotIndex,
    "ledger_entry": LedgerEntry,
    **{schema_name(kind): cls for kind, cls in PAYLOADS.items()},
    "collapse_interval.collapse": CollapseLine,
    "collapse_interval.run": RunLine,
    "collapse_interval.reboot": RebootLine,
    "incident": IncidentRecord,
    "gate_lock": GateLock,
    "gate_experiment": GateExperiment,
    "gate_signs": GateSigns,
    "gate_verdict": GateVerdict,
    "netting_round": NettingRound,
    "order_chain": OrderChainLine,
    **{f"order_chain.{kind.lower()}": cls for kind, cls in PAYLOAD_OF.items()},
    "exchange_call": ExchangeCall,
    "exchange_calls_index": CallsIndex,
    "exchange_claim": ExchangeClaim,
    "ladder_verdict": LadderVerdict,
    "ladder_start": LadderStart,
}
"""Name of the file, and the class that it is made from."""

FOLDER = Path(schemas.__file__).parent


def texts() -> dict[str, bytes]:
    """Every schema by the name of its file."""
    return {
        f"{name}{SUFFIX}": (json.dumps(json_schema(cls, name), indent=1) + "\n").encode("ascii")
        for name, cls in RECORDS.items()
    }


def main() -> None:
    """Write every schema, and delete those whose record is gone."""
    wanted = texts()
    for place in FOLDER.glob(f"*{SUFFIX}"):
        if place.name not in wanted:
            place.unlink()
    for name, data in wanted.items():
        write_atomic(FOLDER / name, data)


if __name__ == "__main__":
    main()
