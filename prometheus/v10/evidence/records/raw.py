"""Raw execution evidence of a run: parts, their index, and the byte budget (contracts, section 10).

1. Records come in parts of 200, a JSON array with one record a line; a part is written whole and never modified.
2. A part holds event records alone or other records alone; both kinds share one sequence of part numbers. Event records
   are on the disk when their experiment is handed over; other records when a part is full, or the run ends.
3. The parts' bytes stay within the budget at every moment: before a part is written, the oldest parts without event
   records go. Event records are never dropped: when they alone exceed the budget, the index says by how much.
4. A deletion stands in the index before the file is unlinked. The index covers every part and nothing else; its entries
   are kept or move to ``dropped``, never vanish.
5. No wall clock is in it: the bytes are a function of the run alone, and a replay writes them again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.errors import EvidenceError, PrometheusError, host_error
from prometheus.v10.base.files import FILES, Files, discard, write_atomic, write_new
from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.records.codec import to_json_bytes
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.raw_lines import EVENT_FLAGS, Crossing, RawBlock, RawBlocks

RECORDS_A_PART = 200
INDEX_VERSION = 1
EVENTS, SAMPLES = "events", "samples"
ROTATED = "budget: the oldest part without event records made room for a newer one"
NO_ROOM = "budget: event records left no room for it, so it was not written"


@frozen(kw_only=True)
class RawPolicy:
    """What is kept (contracts, section 10).

    Attributes:
        threshold: records after which a part is closed.
        sample_one_in: N: of orders without any flag, those are kept whose number is a multiple of it; 0 keeps none.
        budget_bytes: of all parts together; the index itself is not counted.
        event_flags: a record with one of these is an event record, as are those of the tick of a collapse.
        in_full: flags of records that are all kept as long as the budget allows.
    """

    type: str = "records_count"
    threshold: int = RECORDS_A_PART
    sample_one_in: int
    budget_bytes: int
    event_flags: list[str] = field(factory=lambda: sorted(EVENT_FLAGS))
    in_full: list[str] = field(factory=lambda: ["partial"])
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class RawPart:
    """A part that is there; ``start`` and ``end`` are of its first and last record, times are market time."""

    filename: str
    kind: str
    records_count: int
    event_records: int
    bytes: int
    sha256: str
    sha256_16: str
    start_experiment: int
    start_tick: int
    start_ts: str
    end_experiment: int
    end_tick: int
    end_ts: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class DroppedPart:
    """A part that is gone, or never was written, and why."""

    filename: str
    records_count: int
    bytes: int
    sha256: str
    reason: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class SelfTrade:
    """Opposite orders of one moment in one experiment (`raw_lines.Crossing`), summed over the run's experiments."""

    complete: bool
    moments: int | None
    gross_lots: float | None
    net_lots: float | None
    crossed_lots: float | None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class RawIndex:
    """``m_execution_raw_index.json``.

    Attributes:
        created_at: the start of the run.
        total_records: of the parts listed, as are ``total_event_records`` and ``total_bytes``.
        over_budget_bytes: by how much event records alone exceed the budget; 0 otherwise.
    """

    schema: str = Schema.EXECUTION_RAW_INDEX.value
    version: int = INDEX_VERSION
    run_id: str
    created_at: str
    policy: RawPolicy
    shards: list[RawPart]
    total_shards: int
    total_records: int
    total_event_records: int
    total_bytes: int
    dropped: list[DroppedPart]
    dropped_records: int
    over_budget_bytes: int
    self_trade: SelfTrade
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Rotation:
    """What the budget did just now: parts that went, and by how much event records exceed it."""

    dropped: tuple[DroppedPart, ...]
    over_budget_bytes: int


@frozen
class _Waiting:
    """A record that is not in a part yet."""

    experiment: int
    tick: int
    ts_utc: str
    line: bytes


class RawWriter:
    """Writes the raw evidence of one run; experiments are handed over in their order.

    Args:
        run_dir: the run's directory, which exists.
        run_id: whose it is.
        created_at: the start of the run, as its manifest has it.
        policy: what is kept.
        on_rotation: hears of deletions after the files are gone, and of event records beyond the budget.
        files: the file layer.

    Raises:
        HostError: when the disk refuses.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        run_id: str,
        created_at: str,
        policy: RawPolicy,
        on_rotation: Callable[[Rotation], None],
        files: Files = FILES,
    ) -> None:
        self._dir, self._run_id, self._created_at = run_dir, run_id, created_at
        self._policy, self._on_rotation, self._files = policy, on_rotation, files
        self._waiting: dict[str, list[_Waiting]] = {EVENTS: [], SAMPLES: []}
        self._parts: dict[str, RawPart] = {}
        self._samples: deque[str] = deque()
        self._dropped: list[DroppedPart] = []
        self._bytes = self._records = 0
        self._next = 1
        self._crossings: list[Crossing] = []
        self._write_index()

    @property
    def records(self) -> int:
        """Records in the parts that the index names."""
        return self._records

    def add(self, experiment: int, blocks: RawBlocks) -> None:
        """Take one experiment's records; its event records are on the disk on return.

        Raises:
            EvidenceError: when a part of that name is there already.
            HostError: when the disk refuses.
        """
        self.add_all([(experiment, blocks)])

    def add_all(self, experiments: Iterable[tuple[int, RawBlocks]]) -> None:
        """As `add`, for experiments that are handed over together: one write of the index for all of them."""
        for experiment, blocks in experiments:
            if blocks.crossing is not None:
                self._crossings.append(blocks.crossing)
            self._queue(EVENTS, experiment, blocks.events)
            self._queue(SAMPLES, experiment, blocks.samples)
        self._store([*self._cut(EVENTS, rest=True), *self._cut(SAMPLES, rest=False)])

    def finish(self) -> None:
        """Write what waits for a full part, and the final index; errors as `add`."""
        self._store([*self._cut(EVENTS, rest=True), *self._cut(SAMPLES, rest=True)])
        self._write_index()

    # ---- from records to parts --------------------------------------------------------------------------------------

    def _queue(self, kind: str, experiment: int, block: RawBlock) -> None:
        self._waiting[kind] += [
            _Waiting(experiment, tick, ts_utc, line)
            for tick, ts_utc, line in zip(block.ticks, block.ts_utc, block.lines, strict=True)
        ]

    def _cut(self, kind: str, *, rest: bool) -> list[tuple[RawPart, bytes]]:
        """Full parts from the head of a queue, and the ``rest`` of it when asked."""
        queue, size = self._waiting[kind], self._policy.threshold
        full = len(queue) if rest else len(queue) - len(queue) % size
        made = [self._part(kind, queue[first : min(first + size, full)]) for first in range(0, full, size)]
        del queue[:full]
        return made

    def _part(self, kind: str, records: list[_Waiting]) -> tuple[RawPart, bytes]:
        data = b"[\n" + b",\n".join(record.line for record in records) + b"\n]\n"
        digest = hashlib.sha256(data).hexdigest()
        number, self._next = self._next, self._next + 1
        first, last = records[0], records[-1]
        part = RawPart(
            filename=Artifact.EXECUTION_RAW.file_name(part=number),
            kind=kind,
            records_count=len(records),
            event_records=len(records) if kind == EVENTS else 0,
            bytes=len(data),
            sha256=digest,
            sha256_16=digest[:16],
            start_experiment=first.experiment,
            start_tick=first.tick,
            start_ts=first.ts_utc,
            end_experiment=last.experiment,
            end_tick=last.tick,
            end_ts=last.ts_utc,
        )
        return part, data

    # ---- the budget -------------------------------------------------------------------------------------------------

    def _store(self, made: list[tuple[RawPart, bytes]]) -> None:
        """Decide what stays, then delete, then write: the parts never take more than the budget in between."""
        if not made:
            return
        there, over_before = set(self._parts), self._over_budget()
        data = {part.filename: content for part, content in made}
        gone = [dropped for part, _ in made for dropped in self._admit(part)]
        self._dropped += gone
        unlinked = [dropped.filename for dropped in gone if dropped.filename in there]
        if unlinked:
            self._write_index(without=data.keys())
        self._unlink(unlinked)
        self._write_parts({name: data[name] for name in self._parts if name in data})
        if gone or self._over_budget() > over_before:
            self._on_rotation(Rotation(dropped=tuple(gone), over_budget_bytes=self._over_budget()))

    def _admit(self, part: RawPart) -> list[DroppedPart]:
        """Let a new part in; returns what goes for it, which may be the part itself."""
        gone = []
        while self._samples and self._bytes + part.bytes > self._policy.budget_bytes:
            oldest = self._parts.pop(self._samples.popleft())
            self._bytes -= oldest.bytes
            gone.append(_dropped(oldest, ROTATED))
        if part.kind == SAMPLES and self._bytes + part.bytes > self._policy.budget_bytes:
            return [*gone, _dropped(part, NO_ROOM)]
        self._parts[part.filename] = part
        self._bytes += part.bytes
        if part.kind == SAMPLES:
            self._samples.append(part.filename)
        return gone

    def _over_budget(self) -> int:
        return max(0, self._bytes - self._policy.budget_bytes)

    # ---- the disk ---------------------------------------------------------------------------------------------------

    def _write_parts(self, parts: dict[str, bytes]) -> None:
        """Write parts, then the index; when the disk refuses, no part stays that the index does not name."""
        written = []
        try:
            for name, data in parts.items():
                written.append(name)
                try:
                    write_new(self._dir / name, data, files=self._files)
                except FileExistsError:
                    written.remove(name)  # it is not ours
                    hint = "a closed part is never modified"
                    raise EvidenceError(f"{self._dir / name} exists already", hint=hint) from None
            self._write_index()
        except PrometheusError:
            named = (self._dir / Artifact.EXECUTION_RAW_INDEX.file_name()).read_bytes()
            for name in written:
                if f'"{name}"'.encode("ascii") not in named:
                    discard(self._dir / name, files=self._files)
            raise

    def _unlink(self, names: list[str]) -> None:
        if not names:
            return
        try:
            for name in names:
                self._files.unlink(self._dir / name)
            self._files.fsync_dir(self._dir)
        except OSError as error:
            raise host_error(error, f"cannot delete raw parts in {self._dir}") from error

    def _write_index(self, *, without: Any = ()) -> None:
        """Write the index; ``without`` names parts that are not on the disk yet."""
        nulls = Nulls()
        parts = [part for name, part in self._parts.items() if name not in without]
        size = sum(part.bytes for part in parts)
        index = RawIndex(
            run_id=self._run_id,
            created_at=self._created_at,
            policy=self._policy,
            shards=parts,
            total_shards=len(parts),
            total_records=sum(part.records_count for part in parts),
            total_event_records=sum(part.event_records for part in parts),
            total_bytes=size,
            dropped=self._dropped,
            dropped_records=sum(dropped.records_count for dropped in self._dropped),
            over_budget_bytes=max(0, size - self._policy.budget_bytes),
            self_trade=self._self_trade(nulls),
            null_reasons=nulls.reasons,
        )
        write_atomic(self._dir / Artifact.EXECUTION_RAW_INDEX.file_name(), to_json_bytes(index), files=self._files)
        self._records = index.total_records

    def _self_trade(self, nulls: Nulls) -> SelfTrade:
        names = ("moments", "gross_lots", "net_lots", "crossed_lots")
        every = self._policy.sample_one_in == 1
        kept = f"one plain order in {self._policy.sample_one_in}" if self._policy.sample_one_in else "no plain order"
        why = f"{kept} is kept: opposite orders of one moment cannot be counted; a replay with every order kept can"
        values: dict[str, Any] = {}
        for name in names:
            total = sum(getattr(crossing, name) for crossing in self._crossings)
            values[name] = nulls.known(f"self_trade.{name}", total if every else None, why)
        return SelfTrade(complete=every, **values)


def _dropped(part: RawPart, reason: str) -> DroppedPart:
    return DroppedPart(
        filename=part.filename,
        records_count=part.records_count,
        bytes=part.bytes,
        sha256=part.sha256,
        reason=reason,
    )
