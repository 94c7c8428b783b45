"""Keeps every call as evidence: `m_execution_raw_part_NNNN.json`, 200 records each, and their index.

A part is written whole and never modified; the index covers every part and nothing else, and counts up. Calls of a
part that is not full are in memory: `flush` writes them, and is called at every bar.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from attrs import define, field

from prometheus.v10.base.files import FILES, Files, write_atomic, write_new
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.records.codec import to_json_bytes, to_line
from prometheus.v10.evidence.records.exchanged.exchange_calls import (
    RECORDS_A_PART,
    CallsIndex,
    CallsPart,
    CallsPolicy,
    ExchangeCall,
)
from prometheus.v10.execution.ports.call_records import CallRecord


@define
class CallKeeper:
    """Takes calls as a `CallSink` and files them in ``directory``; ``created_at`` is the start of the run."""

    directory: Path
    run_id: str
    created_at: str
    files: Files = FILES
    _waiting: list[CallRecord] = field(factory=list)
    _parts: list[CallsPart] = field(factory=list)

    @property
    def records(self) -> int:
        """How many calls are in parts."""
        return sum(one.records_count for one in self._parts)

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
        name = Artifact.EXECUTION_RAW.file_name(part=len(self._parts) + 1)
        lines = [to_line(kept(one, self.run_id))[:-1] for one in self._waiting]
        data = b"[\n" + b",\n".join(lines) + b"\n]\n"
        write_new(self.directory / name, data, files=self.files)
        digest = hashlib.sha256(data).hexdigest()
        self._parts.append(CallsPart(
            filename=name, records_count=len(lines), bytes=len(data), sha256=digest, sha256_16=digest[:16],
            first_call=self._waiting[0].number, last_call=self._waiting[-1].number,
        ))  # fmt: skip
        self._waiting = []
        self._write_index()

    def finish(self) -> None:
        """As `flush`; a run without a call has its index, too."""
        self.flush()
        if not self._parts:
            self._write_index()

    def _write_index(self) -> None:
        index = CallsIndex(
            run_id=self.run_id, created_at=self.created_at, policy=CallsPolicy(), shards=self._parts,
            total_shards=len(self._parts), total_records=self.records,
            total_bytes=sum(one.bytes for one in self._parts),
        )  # fmt: skip
        write_atomic(self.directory / Artifact.EXECUTION_RAW_INDEX.file_name(), to_json_bytes(index), files=self.files)


def kept(call: CallRecord, run_id: str) -> ExchangeCall:
    """A call as it is kept; where no answer came, its status is null with the reason."""
    reasons = {} if call.status is not None else {"status": f"no answer came: {call.code}"}
    return ExchangeCall(
        run_id=run_id, number=call.number, library=call.library, method=call.method, path=call.path, query=call.query,
        request_body=call.request_body, outcome=call.outcome.value, status=call.status, code=call.code,
        response=call.response, started_ms=call.started_ms, latency_ms=call.latency_ms, null_reasons=reasons,
    )  # fmt: skip
