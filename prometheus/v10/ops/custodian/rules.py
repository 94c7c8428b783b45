"""What the payload of one instance may change, by the place in the tree of the evidence. Standard library only.

| place | what is allowed |
|---|---|
| a run of the instance that has no seal | everything |
| the ledger, the pool of its stage, its survival curve | appending whole lines; cutting what was never whole |
| torn tails beside these, snapshots of its stage's pool | making new files, never over one that is there |
| locks of these files, and of the instance | taking them; one that others wait for is not held for long |
| its own state (``state/<instance>``), its queue of promotions | files; not what the host files of it |

Everything else is refused: sealed runs, old bytes of pool and ledger, other instances and stages, releases, market.
A name with ``..`` or a place that is reached through a symbolic link is refused as well.
"""

from __future__ import annotations

import errno
import json
import os
import re
from enum import StrEnum
from pathlib import Path

from prometheus.v10.base.files import ASIDE_SUFFIX
from prometheus.v10.base.modes import QUEUES, Stage, Tier
from prometheus.v10.base.names import CURVE_FILE, LEDGER_FILE, ORDER_LOCK, SNAPSHOT_PREFIX, Artifact, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.ops.instance.alive import LOCK_FILE

SERVICE_RESULTS_FILE = "service_results.jsonl"
"""What the host files of each end of the instance (``record-result``)."""
LOCK_SUFFIX = ".lock"
FILE_MODES = frozenset([0o600, 0o640, 0o440, 0o444])
FOLDER_MODES = frozenset([0o750, 0o700])
_SNAPSHOT = re.compile(re.escape(SNAPSHOT_PREFIX) + r"(?P<id>\d{12}-[0-9a-f]{8})\.(?P<kind>jsonl|json)")
MOST_INDEX = 1 << 16
_ASIDE = re.compile(r"\.(?P<name>.+)\.\d+" + re.escape(ASIDE_SUFFIX))
TORN = re.compile(r"(?P<name>.+)\.torn-[0-9A-Za-z:._-]+")


class RefusedError(PermissionError):
    """The rules do not allow it."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EPERM, f"the custodian refuses: {why}")


class Zone(StrEnum):
    """What a place is to the rules."""

    RUN = "an open run"
    CHAIN = "a file that is only appended to"
    NEW = "a file that is made once"
    LOCK = "a lock"
    STATE = "the instance's state"


class Rules:
    """The rules for one instance of one stage."""

    def __init__(self, layout: Layout, stage: Stage, instance: str) -> None:
        self.layout, self.stage, self.instance = layout, stage, instance
        self._runs = {tier.root_name for tier in Tier}
        self._own: set[str] = set()

    def place(self, text: str) -> Path:
        """A path below the evidence's root, in canonical spelling and without links on the way.

        Raises:
            RefusedError: for any other.
        """
        path, lib = Path(text), self.layout.lib
        if not path.is_absolute() or ".." in path.parts or "\0" in text or not path.is_relative_to(lib) or path == lib:
            raise RefusedError(f"{text!r} is no place below {lib}")
        for part in path.parents:
            if part == lib:
                return path
            if part.is_symlink():
                raise RefusedError(f"{part} is a symbolic link")
        raise RefusedError(f"{text!r} is no place below {lib}")

    def zone(self, path: Path) -> Zone:
        """What kind of place it is; what is prepared beside a file under another name counts as that file.

        Raises:
            RefusedError: for a place of somebody else.
        """
        aside = _ASIDE.fullmatch(path.name)
        named = path if aside is None else path.with_name(aside["name"])
        parts = named.relative_to(self.layout.lib).parts
        if parts[0] in self._runs and len(parts) >= 3:  # the run's own name is made by mkdir alone
            self.require_open(path, parts[0], parts[1])
            return Zone.RUN
        home = self._home(parts)
        if home is None:
            raise RefusedError(f"{path} is not this instance's to write")
        if named in self._locks():
            return Zone.LOCK
        torn = TORN.fullmatch(parts[-1])
        if home == "snapshots" or (torn is not None and self.is_chain(named.with_name(torn["name"]))):
            return Zone.NEW
        if self.is_chain(named):
            return Zone.CHAIN
        if home != "state":
            raise RefusedError(f"{path} is not this instance's to write")
        return Zone.STATE

    def _home(self, parts: tuple[str, ...]) -> str | None:
        """In which of the instance's folders a place lies; None where in none."""
        folder, name = parts[:-1], parts[-1]
        if folder == ("pools", self.stage.value):
            return "pool"
        if folder == ("pools", self.stage.value, "snapshots"):
            return "snapshots"
        if folder == ("state",):
            return "ledger" if name.startswith(LEDGER_FILE) else None
        if folder == ("state", self.instance):
            return None if name == SERVICE_RESULTS_FILE else "state"
        return "state" if self.instance in QUEUES and len(folder) == 3 and folder in self._queues() else None

    def _locks(self) -> set[Path]:
        """Every lock of the instance: of ledger, pool, order chain and its own state."""
        files = (self.layout.ledger, self.layout.pool(self.stage))
        own = self.layout.state / self.instance
        return {own / LOCK_FILE, own / ORDER_LOCK, *(file.with_name(f"{file.name}{LOCK_SUFFIX}") for file in files)}

    def is_chain(self, path: Path) -> bool:
        """Whether a file of the instance is only appended to."""
        curve = self.layout.state / self.instance / CURVE_FILE
        return path in {self.layout.ledger, self.layout.pool(self.stage), curve}

    def require_open(self, path: Path, root: str, run_id: str) -> None:
        """Refuse a run that the ledger does not have as begun by this instance, and one that has its seal.

        Raises:
            RefusedError: naming it.
            PrometheusError: when the ledger cannot be read.
        """
        if not is_run_id(run_id) or not self.began(run_id, self.layout.lib / root / run_id):
            raise RefusedError(f"{path} is no run that the ledger has as begun by instance {self.instance}")
        if self.is_sealed(run_id):
            raise RefusedError(f"{run_id} is sealed")

    def is_sealed(self, run_id: str) -> bool:
        """Whether a run has its seal."""
        places = self.layout.run_places(run_id)
        return any(os.path.lexists(place / Artifact.SHA256SUMS.value) for place in places)

    def began(self, run_id: str, place: Path | None = None) -> bool:
        """Whether the ledger has a run as begun by this instance; not one whose end it had when this was first asked.

        Args:
            run_id: the run.
            place: its directory, if it may be of a version that did not enter the beginning.

        Raises:
            PrometheusError: when the ledger cannot be read.
        """
        if run_id not in self._own and self.is_open(run_id, place):
            self._own.add(run_id)
        return run_id in self._own

    def is_open(self, run_id: str, place: Path | None = None) -> bool:
        """Whether the ledger, as it is now, has a run as begun by this instance and not as ended; errors as `began`."""
        view = ledger_now(self.layout.ledger)
        if run_id in view.seals:
            return False
        begun = view.started.get(run_id)
        if begun is not None:
            return begun.instance == self.instance
        if place is None or run_id not in view.inherited:
            return False
        # Begun by a version that did not enter it: its own manifest says whose it is.
        data = read_if_there(place / Artifact.MANIFEST.value, at_most=LARGE)
        try:
            return data is not None and json.loads(data)["instance"] == self.instance
        except (ValueError, KeyError, TypeError, RecursionError):
            return False

    def is_shared(self, lock: Path) -> bool:
        """Whether other processes wait for a lock: that of the ledger and that of the pool."""
        files = (self.layout.ledger, self.layout.pool(self.stage))
        return lock in {file.with_name(f"{file.name}{LOCK_SUFFIX}") for file in files}

    def open(self, path: Path, flags: int, mode: int) -> Zone:
        """Whether a file may be opened so.

        Raises:
            RefusedError: when not.
        """
        zone = self.zone(path)
        allowed = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        if flags & ~allowed:
            raise RefusedError(f"{path}: no file of {zone.value} is opened with the flags {flags:#x}")
        if zone is Zone.CHAIN and (flags & os.O_ACCMODE != os.O_WRONLY or not flags & os.O_APPEND):
            raise RefusedError(f"{path} is only appended to")
        if zone is Zone.NEW and not (flags & os.O_CREAT and flags & os.O_EXCL and _ASIDE.fullmatch(path.name)):
            raise RefusedError(f"{path} is made once, and never opened for writing again")
        self.mode(mode)
        return zone

    @staticmethod
    def mode(mode: int, allowed: frozenset[int] = FILE_MODES) -> None:
        """Refuse a mode that is none of the suite's: one that lets others write, or keeps its owner from reading.

        Raises:
            RefusedError: naming it.
        """
        if mode not in allowed:
            raise RefusedError(f"mode {mode:o} is none of {', '.join(f'{one:o}' for one in sorted(allowed))}")

    def rename(self, source: Path, target: Path) -> None:
        """Whether one name may replace another.

        Raises:
            RefusedError: when not.
        """
        zones = self.zone(source), self.zone(target)
        if zones not in {(Zone.RUN, Zone.RUN), (Zone.STATE, Zone.STATE)} or source.parent != target.parent:
            raise RefusedError(f"{source} is not renamed to {target}")

    def link(self, source: Path, target: Path) -> None:
        """Whether a prepared file may be given its name; the kernel refuses where the name is taken.

        Raises:
            RefusedError: when not.
        """
        zones = self.zone(source), self.zone(target)
        same = zones[0] is zones[1] and zones[0] in {Zone.RUN, Zone.NEW, Zone.STATE}
        if not same or source.parent != target.parent or not _ASIDE.fullmatch(source.name):
            raise RefusedError(f"{source} is not linked to {target}")
        if target.parent == self.layout.snapshots(self.stage):
            _require_snapshot(source, target)

    def unlink(self, path: Path) -> None:
        """Whether a name may go.

        Raises:
            RefusedError: when not.
        """
        zone = self.zone(path)
        if zone in {Zone.CHAIN, Zone.LOCK} or (zone is Zone.NEW and not _ASIDE.fullmatch(path.name)):
            raise RefusedError(f"{path} does not go")

    def mkdir(self, path: Path, mode: int) -> None:
        """Whether a directory may be made: a new run of the instance, or its own state.

        Raises:
            RefusedError: when not.
        """
        self.mode(mode, FOLDER_MODES)
        parts = path.relative_to(self.layout.lib).parts
        if parts[0] in self._runs and len(parts) >= 2:
            self.require_open(path, parts[0], parts[1])
        elif parts != ("state", self.instance) and not (self.instance in QUEUES and parts in self._queues()):
            raise RefusedError(f"{path} is not this instance's to make")

    def _queues(self) -> set[tuple[str, ...]]:
        """Folders of promotions that the instance works in."""
        top = ("state", "promotions")
        return {top, *((*top, name) for name in (self.instance, "done", "failed"))}


def _require_snapshot(source: Path, target: Path) -> None:
    """Refuse a snapshot's name for what is none, and an index that does not belong to its name."""
    named = _SNAPSHOT.fullmatch(target.name)
    if named is None:
        raise RefusedError(f"{target.name} is no name of a snapshot")
    if named["kind"] == "json":
        data = read_if_there(source, at_most=MOST_INDEX)
        try:
            said = json.loads(data or b"")
            good = said["id"] == named["id"] and all(type(said[name]) is int for name in ("count", "bytes"))
        except (ValueError, KeyError, TypeError, RecursionError):
            good = False
        if not good:
            raise RefusedError(f"{target.name} is not the index of snapshot {named['id']}")
