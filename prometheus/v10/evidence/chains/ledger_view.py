"""What a ledger of seals says, taken in line by line: the one model that verification, audit and writers ask.

Standard library only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.evidence.chains.absences import Packing, packing_of
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.ledger_table import problem
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.records.canonical import object_of_line
from prometheus.v10.evidence.records.findings import VerifyReport

SEALS = frozenset([LedgerEntryType.RUN_SEALED, LedgerEntryType.RUN_INTERRUPTED, LedgerEntryType.RUN_ADOPTED])
GATES = frozenset([LedgerEntryType.GATE_LOCKED, LedgerEntryType.GATE_BATCH, LedgerEntryType.GATE_SEALED])
MOST_PROBLEMS = 20


@dataclass(frozen=True)
class GateEntry:
    """What the ledger has of a gate: that it was locked, how many experiments it had, that it was sealed."""

    kind: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Started:
    """A run that was begun: the entry that stands before its directory was made."""

    n: int
    instance: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class SealedHalt:
    """A halt that the ledger has: whose run, its seal, the line that halted it, and when it was sealed."""

    run_id: str
    seal: str
    halt: dict[str, Any]
    at: str


@dataclass(frozen=True)
class Released:
    """A release that the ledger has: its payload, and when it was entered."""

    payload: dict[str, Any]
    at: str


@dataclass
class LedgerView:
    """What a ledger says.

    Attributes:
        seals: payloads of seals by run id, in order.
        sealed_by: the instance in whose name each run was sealed.
        sealed_at: when the first seal of each run was entered.
        adopted: runs that had sealed themselves, and were entered by a later process.
        started: the beginning of each run by run id.
        after_installation: run ids whose seal stands after the installation's entry: more is owed of them.
        deleted: sha256 by the path of a tombstone; ``tombstones`` has the payloads.
        snapshots: payloads, in order; ``snapshots_at`` says when each was entered.
        packed: what was compressed, by path.
        counters: the highest run counter that each instance has begun.
        eras: number of the next era of each instance: the one behind the last that a completed run was.
        halts: of each instance whose trading stands halted, and ``releases`` the last one of each instance.
        inherited: runs that were open when this version found the ledger; it did not begin them.
        problems: entries that the closed table does not allow, in words.
        entries: how many lines there are.
    """

    seals: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sealed_by: dict[str, str] = field(default_factory=dict)
    sealed_at: dict[str, str] = field(default_factory=dict)
    adopted: set[str] = field(default_factory=set)
    started: dict[str, Started] = field(default_factory=dict)
    after_installation: set[str] = field(default_factory=set)
    deleted: dict[str, str] = field(default_factory=dict)
    tombstones: list[dict[str, Any]] = field(default_factory=list)
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    snapshots_at: list[str] = field(default_factory=list)
    packed: dict[str, list[Packing]] = field(default_factory=dict)
    gates: dict[str, list[GateEntry]] = field(default_factory=dict)
    promotions: list[dict[str, Any]] = field(default_factory=list)
    torn: list[dict[str, Any]] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    eras: dict[str, int] = field(default_factory=dict)
    halts: dict[str, SealedHalt] = field(default_factory=dict)
    releases: dict[str, Released] = field(default_factory=dict)
    problems: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_PROBLEMS))
    installation: str | None = None
    inherited: set[str] = field(default_factory=set)
    entries: int = 0

    def is_newest(self, run_id: str, instance: str) -> bool:
        """Whether no later run of its instance is on record: an instance has one run at work, its newest."""
        own = {name: begun.n for name, begun in self.started.items() if begun.instance == instance}
        return run_id not in own or own[run_id] == max(own.values())

    def add(self, line: bytes) -> None:
        """Take one line of the ledger in."""
        self.take(object_of_line(line))

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take one parsed entry in; its payload's types are checked before anything is read from it."""
        kind, payload, n = str(entry["type"]), dict(entry["payload"]), self.entries
        wrong = self.problem_of(entry)
        self.entries += 1
        if wrong is not None:
            self.problems.append(f"entry {n}: {wrong}")
            return
        if kind == LedgerEntryType.INSTALLATION:
            self.installation = payload["installation_id"]
            self.inherited = set(payload["open_runs"])
        elif kind == LedgerEntryType.RUN_STARTED:
            self.started[payload["run_id"]] = Started(n, str(entry["instance"]), payload)
            if payload["run_counter"] is not None:
                self.counters[str(entry["instance"])] = payload["run_counter"]
        elif kind in SEALS:
            self.seals.setdefault(payload["run_id"], []).append(payload)
            self.sealed_by[payload["run_id"]] = str(entry["instance"])
            self._end_era(payload)
            self.sealed_at.setdefault(payload["run_id"], str(entry.get("ts_utc")))
            self._halt(payload, entry)
            if kind == LedgerEntryType.RUN_ADOPTED:
                self.adopted.add(payload["run_id"])
            if self.installation is not None:
                self.after_installation.add(payload["run_id"])
        elif kind == LedgerEntryType.TRADING_RELEASED:
            del self.halts[str(entry["instance"])]
            self.releases[str(entry["instance"])] = Released(payload, str(entry.get("ts_utc")))
        else:
            self._take_other(kind, payload, str(entry.get("ts_utc")))

    def _halt(self, payload: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
        """The seal of a halted run halts the instance that began it."""
        if "halt" in payload:
            begun = self.started.get(payload["run_id"])
            instance = str(entry["instance"]) if begun is None else begun.instance
            self.halts[instance] = SealedHalt(
                payload["run_id"], payload["seal"], payload["halt"], str(entry.get("ts_utc"))
            )

    def _end_era(self, payload: Mapping[str, Any]) -> None:
        """A completed run ends its era; an era that was cut off is done again."""
        begun = self.started.get(payload["run_id"])
        era = None if begun is None else begun.payload.get("era")
        if begun is not None and era is not None and payload.get("status") == "completed":
            self.eras[begun.instance] = era + 1

    def problem_of(self, entry: Mapping[str, Any]) -> str | None:
        """What would be wrong with an entry that came next; None when nothing would be."""
        kind, payload = str(entry["type"]), dict(entry["payload"])
        installed = self.installation is not None
        return problem(kind, payload, installed=installed) or self._misplaced(kind, payload, entry)

    def _take_other(self, kind: str, payload: dict[str, Any], at: str) -> None:
        if kind == LedgerEntryType.RETENTION_DELETION:
            self.deleted[payload["path"]] = payload["sha256"]
            self.tombstones.append(payload)
        elif kind == LedgerEntryType.COMPRESSION:
            if (packing := packing_of(payload)) is not None:
                self.packed.setdefault(packing.path, []).append(packing)
        elif kind == LedgerEntryType.SNAPSHOT:
            self.snapshots.append(payload)
            self.snapshots_at.append(at)
        elif kind == LedgerEntryType.PROMOTION:
            self.promotions.append(payload)
        elif kind == LedgerEntryType.TORN_TAIL:
            self.torn.append(payload)
        elif kind in GATES:
            self.gates.setdefault(payload["gate"], []).append(GateEntry(kind, payload))

    def _misplaced(  # noqa: PLR0911  (one line a rule)
        self, kind: str, payload: Mapping[str, Any], entry: Mapping[str, Any]
    ) -> str | None:
        """What is wrong with an entry where it stands: order is part of what a ledger says."""
        if kind == LedgerEntryType.INSTALLATION:
            if self.installation is not None:
                return "a second installation entry: a ledger has one"
            if payload["entries_before"] != self.entries:
                return f"installation says that {payload['entries_before']} entries stand before it"
        if kind == LedgerEntryType.TRADING_RELEASED:
            return self._wrong_release(str(entry["instance"]), payload)
        if self.installation is None:
            return None
        run = payload.get("run_id")
        if kind == LedgerEntryType.RUN_STARTED:
            if run in self.started or run in self.seals:
                return f"{run} was begun before"
            counter, instance = payload["run_counter"], str(entry["instance"])
            if payload["mode"] != Mode.OFFLINE and instance in self.halts:
                return f"{run}: instance {instance} is halted by {self.halts[instance].run_id}, and not released"
            if counter is not None and counter <= self.counters.get(instance, -1):
                return f"{run}: instance {instance} began run {counter} of its count again: its seeds repeat"
            era, due = payload.get("era"), self.eras.get(instance, 0)
            if era is not None and era != due:
                return f"{run}: instance {instance} began era {era}, and era {due} is due"
        if kind in SEALS:
            return self._wrong_seal(str(run), payload)
        return None

    def _wrong_release(self, instance: str, payload: Mapping[str, Any]) -> str | None:
        """A release names the halt that stands: run, seal, line and reasons."""
        stands = self.halts.get(instance)
        if stands is None:
            return f"a release of instance {instance}, which is not halted"
        if (payload["run_id"], payload["seal"], payload["halt"]) != (stands.run_id, stands.seal, stands.halt):
            return f"a release of another halt than that of {stands.run_id}, for which instance {instance} is halted"
        return None

    def _wrong_seal(self, run: str, payload: Mapping[str, Any]) -> str | None:
        begun = self.started.get(run)
        if begun is None and run in self.inherited:
            return f"{run} is sealed twice" if run in self.seals else None
        if begun is None:
            return f"{run} is sealed, and no entry before says that it was begun"
        for name in ("run_dir", "tier"):
            if begun.payload[name] != payload[name]:
                return f"{run}: {name} is {payload[name]!r}, it was begun with {begun.payload[name]!r}"
        before, said = begun.payload["pool"], payload["pool"]
        if said["path"] != before["path"] or said["before"]["records"] < before["records"]:
            return f"{run}: its pool is not the one that it was begun with"
        return f"{run} is sealed twice" if run in self.seals else None

    def unsealed(self) -> set[str]:
        """Runs that were begun and have no seal: at work, or cut off."""
        return self.started.keys() - self.seals.keys()


def read_ledger(path: Path, report: VerifyReport) -> LedgerView | None:
    """The ledger's view of things; None, with an error in the report, when it cannot be believed."""
    view = LedgerView()
    try:
        damages = scan(path, LEDGER_LINE, close=True, each=view.add).damages
    except PrometheusError as error:
        report.error(path, error.message)
        return None
    if damages:
        report.error(path, f"the ledger is damaged at byte {damages[0].offset}: seals were not compared with it")
        return None
    return view
