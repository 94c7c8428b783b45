"""A gate's directory: locked before the first experiment, appended to, sealed at the end, never changed after.

1. ``gate_lock.json`` holds the whole design, its hash, the rule's text, the core and the bars. It is written once,
   read-only, and its hash goes into the ledger before anything is run. Whoever comes with another design, core or
   market to the same directory is refused.
2. ``gate_experiments.jsonl`` holds the experiments in the gate's order, whole batches at a time, each durable before
   the next. The ledger gets the head of their chain (`chains.gate_chain`) with the batches, and a gate that goes
   on must find the lines that the last head vouches for. What follows them, an unterminated line or experiments that
   no entry vouches for, is moved to ``state/gate_tails``, entered as a torn tail, and done again.
3. Plots, signs, verdict and page are functions of these two. The seal is that of a run; its hash goes into the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.errors import ConfigError, EvidenceError, host_error
from prometheus.v10.base.files import ASIDE_SUFFIX, AppendFile, discard, write_atomic, write_new
from prometheus.v10.base.names import GateFile, LedgerEntryType, Schema
from prometheus.v10.base.paths import Layout, make_directories, refuse_links_below
from prometheus.v10.base.reading import LARGE, read_whole
from prometheus.v10.evidence.catalog import entries
from prometheus.v10.evidence.chains.gate_chain import GateHead, batch_head, grown
from prometheus.v10.evidence.records.codec import from_json_bytes, to_json_bytes
from prometheus.v10.evidence.records.manifest_parts import MarketSource
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.seal import Seal, read_seal, seal_run
from prometheus.v10.gate.cells import Cell
from prometheus.v10.gate.outcome import GateExperiment

BATCHES_AN_ENTRY = 8
"""Batches between two entries of the ledger: what a crash can make a gate do again, a few seconds of work."""
MOST_BYTES = 16 * LARGE


@frozen(kw_only=True)
class GateLock:
    """``gate_lock.json``.

    Attributes:
        config_hash: sha256 of the canonical JSON of ``config``.
        experiments: how many the design asks for.
        locked_at: wall-clock time; nothing that follows from the lock carries it.
    """

    schema: str = Schema.GATE_LOCK.value
    gate: str
    config: dict[str, Any]
    config_hash: str
    rule: list[str]
    core_hash: str
    fence_inventory_hash: str
    market: MarketSource
    world: dict[str, Any]
    experiments: int
    locked_at: str
    git_commit: str | None
    docker_image: str | None
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


def locked_market(layout: Layout, name: str) -> MarketSource | None:
    """The market that a gate is locked for; None for a gate that is not locked yet.

    Raises:
        EvidenceError: when its lock cannot be read as one.
    """
    place = layout.gates / name / GateFile.LOCK
    if not place.is_file():
        return None
    return from_json_bytes(read_whole(place, at_most=LARGE), GateLock, where=str(place)).market


class GateDirectory:
    """One gate's directory, opened for going on with it.

    Attributes:
        path: ``gates/<name>`` under the root.
        lock: the lock that holds, which is the one on the disk where there was one.
    """

    def __init__(self, layout: Layout, name: str, ledger: InstallationLedger) -> None:
        self.path = layout.gates / name
        self.name = name
        self._layout, self._ledger = layout, ledger
        self._head = self._entered = GateHead()
        self._batches = 0
        self.lock: GateLock

    def take(self, wanted: GateLock) -> None:
        """Lock the directory, or go on under the lock that it has.

        Raises:
            ConfigError: when it is locked for another design, core or market.
            EvidenceError: when its lock is not the one in the ledger.
            HostError: when the disk refuses.
        """
        refuse_links_below(self._layout.lib, self.path)
        self._ledger.begin()
        place = self.path / GateFile.LOCK
        try:
            make_directories(self.path)
            write_new(place, to_json_bytes(wanted), mode=0o440)
        except FileExistsError:
            pass
        except OSError as error:
            raise host_error(error, f"cannot create {self.path}") from error
        data = self._read(GateFile.LOCK)
        self.lock = from_json_bytes(data, GateLock, where=str(place))
        for what, locked, asked in (
            ("design", self.lock.config_hash, wanted.config_hash),
            ("core", self.lock.core_hash, wanted.core_hash),
            ("market", self.lock.market.sha256, wanted.market.sha256),
            ("rule", "".join(self.lock.rule), "".join(wanted.rule)),
        ):
            if locked != asked:
                raise ConfigError(
                    f"{self.path} is locked for another {what}: {locked[:12]}, not {asked[:12]}",
                    hint="what a gate compares is fixed before it runs: give the new design another name",
                )
        self._enter_lock(hashlib.sha256(data).hexdigest())

    def _enter_lock(self, digest: str) -> None:
        """The ledger knows the lock before there is an experiment."""
        known = self._entries(LedgerEntryType.GATE_LOCKED)
        if known:
            if known[-1].get("lock_sha256") != digest:
                raise EvidenceError(
                    f"{self.path / GateFile.LOCK} is not the lock that the ledger knows",
                    hint="somebody changed it after it was locked: run prometheus-quant audit",
                )
            return
        if (self.path / GateFile.EXPERIMENTS).exists():
            raise EvidenceError(
                f"{self.path} has experiments, and the ledger does not know its lock",
                hint="evidence made before its design was locked proves nothing: move the directory away",
            )
        payload = {
            "gate": self.name,
            "gate_dir": self._where(),
            "config_hash": self.lock.config_hash,
            "lock_sha256": digest,
            "core_hash": self.lock.core_hash,
            "batches": True,
        }
        self._ledger.append(LedgerEntryType.GATE_LOCKED, payload)

    def open_experiments(self, planned: Sequence[tuple[Cell, int]]) -> tuple[AppendFile, list[GateExperiment], int]:
        """Open the experiments for appending.

        Returns:
            The file, the experiments that it holds, and how many bytes after them were moved aside.

        Raises:
            EvidenceError: when the lines that the ledger vouches for are not there as they were, or when a line is not
                the experiment that belongs there.
            HostError: when the disk refuses.
        """
        place = self.path / GateFile.EXPERIMENTS
        file = AppendFile(place)
        try:
            data = self._read(GateFile.EXPERIMENTS)
            vouched = self._vouched(data)
            if vouched < len(data):
                self._move_aside(data[vouched:], vouched)
                file.truncate(vouched)
            return file, self.parse(data[:vouched], planned), len(data) - vouched
        except BaseException:
            file.close()
            raise

    def _vouched(self, data: bytes) -> int:
        """Bytes of the lines that the last ``gate_batch`` entry vouches for; errors as `open_experiments`."""
        known = self._entries(LedgerEntryType.GATE_BATCH)
        wanted = batch_head(known[-1]) if known else GateHead()
        lines = data.splitlines(keepends=True)[: wanted.records] if wanted is not None else []
        self._head = self._entered = grown(GateHead(), lines)
        if self._head != wanted:
            raise EvidenceError(
                f"{self.path / GateFile.EXPERIMENTS} is not the file that the ledger's last gate_batch entry speaks of",
                hint="experiments were changed or removed after they were entered: run prometheus-quant audit",
            )
        return sum(map(len, lines))

    def _move_aside(self, tail: bytes, offset: int) -> None:
        """Keep what nothing vouches for below ``state/gate_tails``, and enter that; errors as `open_experiments`."""
        digest = hashlib.sha256(tail).hexdigest()
        kept = self._layout.state / "gate_tails" / f"{self.name}-{offset}-{digest[:16]}.torn"
        refuse_links_below(self._layout.lib, kept.parent)
        try:
            make_directories(kept.parent)
        except OSError as error:
            raise host_error(error, f"cannot create {kept.parent}") from error
        write_atomic(kept, tail)
        payload = {
            "path": f"{self._where()}/{GateFile.EXPERIMENTS.value}",
            "kept": str(kept.relative_to(self._layout.lib)),
            "offset": offset,
            "bytes": len(tail),
            "records_before": self._entered.records,
        }
        self._ledger.append(LedgerEntryType.TORN_TAIL, payload)

    def append(self, file: AppendFile, lines: bytes) -> None:
        """Append one batch durably, and enter the head into the ledger once every `BATCHES_AN_ENTRY` batches.

        Raises:
            HostError: when the disk refuses.
        """
        file.append_durable(lines)
        self._head = grown(self._head, lines.splitlines(keepends=True))
        self._batches += 1
        if self._batches % BATCHES_AN_ENTRY == 0:
            self.enter_batch()

    def enter_batch(self) -> None:
        """Enter the head of the experiments, unless the ledger has it; errors as `append`."""
        if self._head == self._entered:
            return
        payload = {
            "gate": self.name,
            "gate_dir": self._where(),
            "records": self._head.records,
            "head": self._head.head,
        }
        self._ledger.append(LedgerEntryType.GATE_BATCH, payload)
        self._entered = self._head

    def experiments(self, planned: Sequence[tuple[Cell, int]]) -> list[GateExperiment]:
        """All experiments of a gate that is complete; errors as `open_experiments`."""
        data = self._read(GateFile.EXPERIMENTS)
        if self._entries(LedgerEntryType.GATE_BATCH) and self._vouched(data) != len(data):
            raise EvidenceError(
                f"{self.path / GateFile.EXPERIMENTS} holds experiments that no gate_batch entry of the ledger has",
                hint="they were added after the last batch: run prometheus-quant audit",
            )
        return self.parse(data, planned)

    def parse(self, data: bytes, planned: Sequence[tuple[Cell, int]]) -> list[GateExperiment]:
        """Experiments from their lines, each held against its place in the gate's order."""
        place = self.path / GateFile.EXPERIMENTS
        found = []
        for number, line in enumerate(data.splitlines()):
            one = from_json_bytes(line, GateExperiment, where=f"{place}: line {number + 1}")
            if number >= len(planned) or (one.cell, one.seed) != (planned[number][0].name, planned[number][1]):
                raise EvidenceError(
                    f"{place}: line {number + 1} is {one.cell} seed {one.seed}, which does not belong there",
                    hint="the file is damaged or of another design: move the directory away",
                )
            found.append(one)
        return found

    def write(self, name: str, data: bytes) -> None:
        """Write a file that follows from the experiments; one that is there from an earlier try is replaced.

        Raises:
            HostError: when the disk refuses.
        """
        write_atomic(self.path / name, data)

    def sealed(self) -> Seal | None:
        """The seal, if there is one; errors as `read_seal`."""
        return read_seal(self.path)

    def seal(self, verdict: str) -> Seal:
        """Seal the directory and enter the seal into the ledger, unless both is done.

        Raises:
            EvidenceError: when the ledger has another seal.
            HostError: when the disk refuses.
        """
        seal = self.sealed()
        if seal is None:
            self._clear_asides()
            seal = seal_run(self.path)
        known = self._entries(LedgerEntryType.GATE_SEALED)
        if not known:
            payload = {
                "gate": self.name,
                "gate_dir": self._where(),
                "config_hash": self.lock.config_hash,
                "seal": seal.sha256,
                "files": seal.files,
                "bytes": seal.bytes,
                "verdict": verdict,
            }
            self._ledger.append(LedgerEntryType.GATE_SEALED, payload)
        elif known[-1].get("seal") != seal.sha256:
            raise EvidenceError(
                f"{self.path}: its seal is not the one in the ledger", hint="run prometheus-quant audit"
            )
        return seal

    def _clear_asides(self) -> None:
        """Remove what a killed process left half-written under a hidden name."""
        for place in self.path.glob(f".*{ASIDE_SUFFIX}"):
            discard(place)

    def _entries(self, kind: LedgerEntryType) -> list[dict[str, Any]]:
        """What the ledger says of this gate."""
        own = entries(self._ledger.path, kind, where=lambda payload: payload.get("gate") == self.name)
        return [entry.payload for entry in own]

    def _where(self) -> str:
        return str(self.path.relative_to(self._layout.lib))

    def _read(self, name: str) -> bytes:
        return read_whole(self.path / name, at_most=MOST_BYTES)
