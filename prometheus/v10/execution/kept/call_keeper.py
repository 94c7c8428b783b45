"""Keeps every call as evidence: `m_execution_raw_part_NNNN.json`, 200 records each, and their index.

A part is written whole and never modified; the index covers every part and nothing else, and counts up. Calls of a
part that is not full are in memory: `flush` writes them, and is called at every bar.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define, field

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.files import FILES, Files, write_atomic, write_new
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.records.canonical import canonical_bytes, pretty_bytes
from prometheus.v10.execution.ports.call_records import CallRecord

RECORDS_A_PART: Final = 200
RECORD_SCHEMA: Final = "exchange_call/1"
INDEX_SCHEMA: Final = "exchange_calls_index/1"


@define
class CallKeeper:
    """Takes calls as a `CallSink` and files them in ``directory``."""

    directory: Path
    run_id: str
    clock: Clock
    files: Files = FILES
    _waiting: list[CallRecord] = field(factory=list)
    _parts: list[dict[str, Any]] = field(factory=list)

    def __call__(self, call: CallRecord) -> None:
        """Take a call; a full part is on the disk on return.

        Raises:
            HostError: when the disk refuses.
        """
        self._waiting.append(call)
        if len(self._waiting) >= RECORDS_A_PART:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a part of its own, and the index; both durable on return.

        Raises:
            HostError: when the disk refuses; what waits goes on waiting.
        """
        if not self._waiting:
            return
        number = len(self._parts) + 1
        name = Artifact.EXECUTION_RAW.file_name(part=number)
        lines = [canonical_bytes({"schema": RECORD_SCHEMA, "run_id": self.run_id, **_plain(one)})
                 for one in self._waiting]  # fmt: skip
        data = b"[\n" + b",\n".join(lines) + b"\n]\n"
        write_new(self.directory / name, data, files=self.files)
        digest = hashlib.sha256(data).hexdigest()
        self._parts.append({
            "filename": name, "records_count": len(lines), "bytes": len(data), "sha256": digest,
            "sha256_16": digest[:16], "first_call": self._waiting[0].number, "last_call": self._waiting[-1].number,
        })  # fmt: skip
        self._waiting = []
        index = {
            "schema": INDEX_SCHEMA, "version": 1, "run_id": self.run_id, "created_at": utc_text(self.clock.now()),
            "policy": {"type": "records_count", "threshold": RECORDS_A_PART}, "parts": self._parts,
            "total_parts": len(self._parts), "total_records": sum(one["records_count"] for one in self._parts),
        }  # fmt: skip
        write_atomic(self.directory / Artifact.EXECUTION_RAW_INDEX.file_name(), pretty_bytes(index), files=self.files)


def _plain(call: CallRecord) -> dict[str, Any]:
    """A record as JSON; where no answer came, its status is null with the reason."""
    said = asdict(call)
    said["outcome"] = call.outcome.value
    said["latency_ms"] = round(call.latency_ms, 3)
    reasons = {} if call.status is not None else {"status": f"no answer came: {call.code}"}
    return {**said, "null_reasons": reasons}
