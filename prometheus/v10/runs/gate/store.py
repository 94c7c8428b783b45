"""A gate's directory: locked before the first experiment, appended to, sealed at the end, never changed after.

1. ``gate_lock.json`` holds the whole design, its hash, the rule's text, the core and the bars. It is written once,
   read-only, and its hash goes into the ledger before anything is run. Whoever comes with another design, core or
   market to the same directory is refused.
2. ``gate_experiments.jsonl`` holds the experiments in the gate's order, whole batches at a time, each durable before
   the next. Where it ends is where a gate that was stopped goes on; an unterminated last line is cut off, said, and
   its experiment done again.
3. Plots, signs, verdict and page are functions of these two. The seal is that of a run; its hash goes into the ledger.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.clock import Clock, utc_stamp
from prometheus.v10.base.errors import ConfigError, EvidenceError, host_error
from prometheus.v10.base.files import ASIDE_SUFFIX, AppendFile, discard, write_atomic, write_new
from prometheus.v10.base.names import GateFile, LedgerEntryType, Schema
from prometheus.v10.base.paths import Layout, refuse_links_below
from prometheus.v10.evidence.codec import from_json_bytes, to_json_bytes
from prometheus.v10.evidence.installation import InstallationLedger
from prometheus.v10.evidence.ledger import iter_entries
from prometheus.v10.evidence.manifest_parts import MarketSource
from prometheus.v10.evidence.seal import Seal, read_seal, seal_run
from prometheus.v10.runs.gate.cells import Cell
from prometheus.v10.runs.gate.outcome import GateExperiment


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
        self.lock: GateLock
        self._lines = hashlib.sha256()

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
            self.path.mkdir(parents=True, exist_ok=True)
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
        }
        self._ledger.append(LedgerEntryType.GATE_LOCKED, payload)

    def open_experiments(
        self, planned: Sequence[tuple[Cell, int]], *, clock: Clock
    ) -> tuple[AppendFile, list[GateExperiment], int]:
        """Open the experiments for appending: those that the ledger vouches for; the others are done again.

        What was appended and not entered any more, a torn line or the last batch of a killed process, is moved aside.

        Returns:
            The file, the experiments that it holds, and how many bytes were moved aside.

        Raises:
            EvidenceError: when experiments that the ledger vouches for are missing or were changed, or for a line that
                is not the experiment that belongs there.
            HostError: when the disk refuses.
        """
        place = self.path / GateFile.EXPERIMENTS
        file = AppendFile(place)
        data = self._read(GateFile.EXPERIMENTS)
        vouched = self._vouched(data)
        if vouched < len(data):
            aside = f"{GateFile.EXPERIMENTS}.torn-{utc_stamp(clock.now())}-{secrets.token_hex(2)}"
            write_new(self._layout.state / f"{self.name}.{aside}", data[vouched:], mode=0o440)
            file.truncate(vouched)
        self._lines = hashlib.sha256(data[:vouched])
        return file, self.parse(data[:vouched], planned), len(data) - vouched

    def _vouched(self, data: bytes) -> int:
        """How many bytes of the experiments the ledger vouches for.

        Raises:
            EvidenceError: when they are not there as they were entered.
        """
        known = self._entries(LedgerEntryType.GATE_BATCH)
        if not known:
            return 0
        said = known[-1]
        end = 0
        for _ in range(said["experiments"]):
            end = data.find(b"\n", end) + 1
            if end == 0:
                break
        if end == 0 or hashlib.sha256(data[:end]).hexdigest() != said["lines_sha256"]:
            raise EvidenceError(
                f"{self.path / GateFile.EXPERIMENTS}: its first {said['experiments']} experiments are not those that "
                "the ledger has",
                hint="somebody changed them: run prometheus-quant audit, and move the directory away",
            )
        return end

    def count(self, lines: bytes) -> None:
        """Take in lines that were appended: the next `enter_batch` vouches for them."""
        self._lines.update(lines)

    def enter_batch(self, done: int) -> None:
        """Enter how many experiments there are now, and the hash of all their lines.

        Raises:
            PrometheusError: when the ledger cannot be written.
        """
        payload = {
            "gate": self.name,
            "gate_dir": self._where(),
            "experiments": done,
            "lines_sha256": self._lines.hexdigest(),
        }
        self._ledger.append(LedgerEntryType.GATE_BATCH, payload)

    def experiments(self, planned: Sequence[tuple[Cell, int]]) -> list[GateExperiment]:
        """All experiments of a gate that is complete; errors as `open_experiments`."""
        return self.parse(self._read(GateFile.EXPERIMENTS), planned)

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
        if not self._ledger.path.exists():
            return []
        return [
            entry.payload
            for entry in iter_entries(self._ledger.path)
            if entry.type == kind.value and entry.payload.get("gate") == self.name
        ]

    def _where(self) -> str:
        return str(self.path.relative_to(self._layout.lib))

    def _read(self, name: str) -> bytes:
        place: Path = self.path / name
        try:
            return place.read_bytes()
        except OSError as error:
            raise host_error(error, f"cannot read {place}") from error
