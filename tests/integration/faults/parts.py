"""The parts that failures are tried on: `check` compares every verdict with what each acknowledged."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.files import ASIDE_SUFFIX
from prometheus.v10.base.kernel import Files
from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.ledger import Ledger
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.pools.pool import PoolWriter
from prometheus.v10.evidence.pools.snapshot import create_snapshot, list_snapshots
from prometheus.v10.evidence.records.canonical import object_of_line
from prometheus.v10.evidence.verify.verify_chain import verify_ledger, verify_pool, verify_snapshot
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.seal import seal_run
from tests.beginnings import enter_beginning, untouched_pool
from tests.conftest import FakeClock
from tests.integration.faults.part import Ack, Part, expected_bytes, silent_journal
from tests.integration.faults.support import UnsyncedFiles, entry, reopen, untold
from tests.unit.ops.old_runs import RUN_ID, write_old_run

if TYPE_CHECKING:
    from tests.unit.ops.retention_house import House

# Parts import what only they need when they need it: a rig that forks thousands of children must be a small process.


class PoolPart(Part):
    """Appends of groups, acknowledged by their last number."""

    name = "pool"
    groups = (1, 2, 9, 40, 1)

    def renew(self) -> None:
        pool = self.layout.pool(Stage.STAGE1)
        if not pool.exists() or pool.stat().st_size > len(expected_bytes()) // 6:
            self.clear()

    def work(self, files: Files, ack: Ack) -> None:
        with PoolWriter(self.layout.pool(Stage.STAGE1), clock=self.clock, on_torn=untold, files=files) as pool:
            following = pool.link.n
            for size in self.groups:
                numbers = pool.append([entry(following + k) for k in range(size)])
                ack(str(numbers[-1]))
                following = numbers[-1] + 1
            ahead = ([entry(following + 3 * g + k) for k in range(3)] for g in range(6))
            for numbers in pool.append_groups(list(ahead)):
                ack(str(numbers[-1]))

    def check(self, acks: Sequence[str]) -> None:
        pool = self.layout.pool(Stage.STAGE1)
        if not pool.exists():
            assert not acks
            return
        data = pool.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        count = whole.count(b"\n")
        kept = data.rstrip(b"\0")  # a file may have grown on the device before its last bytes came
        assert expected_bytes().startswith(kept), "the pool holds other bytes than were appended"
        assert count > max(map(int, acks), default=-1), "an acknowledged record is not there"
        what = "zeros" if len(kept) < len(data) else "bytes without a newline"
        torn = [f"{len(data) - len(whole)} {what}"] if len(data) > len(whole) else []
        self.says(verify_pool(pool), torn)
        found, moved = reopen(pool)
        assert (found, pool.read_bytes()) == (count, whole)
        assert [tail.moved_to.read_bytes() for tail in moved] == ([data[len(whole) :]] if torn else [])
        for tail in moved:
            tail.moved_to.unlink()
            self.says(verify_pool(pool), [])


class SnapshotPart(Part):
    """A pool that grows, frozen again and again; acknowledged by the snapshot's id."""

    name = "snapshot"

    def renew(self) -> None:
        if len(list(self.layout.snapshots(Stage.STAGE1).glob("snapshot_*.jsonl"))) in {0, *range(6, 99)}:
            self.clear()
            self._grow(30)

    def _grow(self, by: int) -> None:
        pool = self.layout.pool(Stage.STAGE1)
        with PoolWriter(pool, clock=self.clock, on_torn=untold) as writer:
            following = writer.link.n
            writer.append([entry(following + k) for k in range(by)])

    def work(self, files: Files, ack: Ack) -> None:
        for _ in range(4):
            self._grow(3)
            ack(self._freeze(files))

    def _freeze(self, files: Files) -> str:
        return create_snapshot(
            self.layout.pool(Stage.STAGE1), self.layout.snapshots(Stage.STAGE1), clock=self.clock,
            git_commit="c" * 40, files=files,
        ).id  # fmt: skip

    def check(self, acks: Sequence[str]) -> None:
        folder, pool = self.layout.snapshots(Stage.STAGE1), self.layout.pool(Stage.STAGE1)
        reopen(pool)
        data = pool.read_bytes()
        there = sorted(folder.glob("snapshot_*.jsonl"))
        names = {path.stem.removeprefix("snapshot_") for path in there}
        assert set(acks) <= names, "an acknowledged snapshot is not there"
        for path in there:
            frozen, index = path.read_bytes(), path.with_suffix(".json").exists()
            assert data.startswith(frozen), f"{path.name} is no prefix of its pool"
            assert frozen.endswith(b"\n")
            assert frozen.count(b"\n") == int(path.stem.split("_")[1].split("-")[0])
            assert stat.S_IMODE(path.stat().st_mode) == 0o444
            assert index or path.stem.removeprefix("snapshot_") not in acks
            self.says(verify_snapshot(path), [] if index else ["No such file"])
        assert {path.stem for path in folder.glob("snapshot_*.json")} <= {path.stem for path in there}
        before = {path: path.read_bytes() for path in there}
        self._grow(1)
        newest = self._freeze(UnsyncedFiles())
        assert {path: path.read_bytes() for path in there} == before, "a published snapshot was changed"
        self.says(verify_snapshot(folder / f"snapshot_{newest}.jsonl"), [])
        assert list_snapshots(folder)[-1].id == newest
        for left in folder.glob(".*"):
            left.unlink()


def incident(label: str) -> dict[str, Any]:
    """A payload that the ledger takes, of any size."""
    return {
        "run_id": RUN_ID, "label": label, "bundle": "incidents/x.tar.gz", "sha256": "0" * 64, "bytes": 0,
        "missing_required_files_count": 0, "verification": "PASS",
    }  # fmt: skip


class LedgerPart(Part):
    """Entries of the ledger; acknowledged by their number."""

    name = "ledger"

    def renew(self) -> None:
        if not self.layout.state.exists() or self._bytes().count(b"\n") > 60:
            self.clear()

    def _bytes(self) -> bytes:
        return self.layout.ledger.read_bytes() if self.layout.ledger.exists() else b""

    def _ledger(self, files: Files) -> Ledger:
        return Ledger(self.layout.ledger, clock=self.clock, instance="HF", on_torn=untold, files=files)

    def work(self, files: Files, ack: Ack) -> None:
        ledger = self._ledger(files)
        for number in range(5):
            ack(str(ledger.append(LedgerEntryType.INCIDENT, incident("x" * 300 * number)).n))

    def check(self, acks: Sequence[str]) -> None:
        data = self._bytes()
        whole = data[: data.rfind(b"\n") + 1]
        assert whole.count(b"\n") > max(map(int, acks), default=-1), "an acknowledged entry is not there"
        if self.layout.ledger.exists():
            self.says(verify_ledger(self.layout.ledger), ["an interrupted append"] if len(data) > len(whole) else [])
        self._ledger(UnsyncedFiles()).append(LedgerEntryType.INCIDENT, incident("one more"))
        assert self._bytes().startswith(whole)
        self.says(verify_ledger(self.layout.ledger), [])


def sealed_in(entry: dict[str, Any]) -> set[str]:
    """The run that an entry of the ledger seals."""
    return {entry["payload"]["run_id"]} if "seal" in entry["payload"] else set()


def renamed(run_id: str, files: dict[str, Any]) -> None:
    """Make the golden run another one: its id everywhere."""
    for name, value in files.items():
        files[name] = json.loads(json.dumps(value).replace(RUN_ID, run_id))


class SealPart(Part):
    """Runs that are finished and become sealed; acknowledged when their seal is in the ledger."""

    name = "seal"

    def renew(self) -> None:
        if not self.layout.ledger.exists() or len(list(self.layout.runs(Tier.TIER1_HF).iterdir())) > 5:
            self.clear()
        self.staged = self.root / "log" / "staged"
        shutil.rmtree(self.staged, ignore_errors=True)
        self.before = {run.name for run in self.layout.runs(Tier.TIER1_HF).iterdir()}
        first = len(ledger_now(self.layout.ledger).started)  # an id that was begun is never used again
        for number in range(first, first + 3):
            run_id = f"{RUN_ID[:-4]}{number:04x}"
            write_old_run(self.staged / run_id, functools.partial(renamed, run_id))

    def work(self, files: Files, ack: Ack) -> None:
        ledger = InstallationLedger(self.layout, clock=self.clock, instance="HF", on_torn=untold, files=files)
        for staged in sorted(self.staged.iterdir()):
            run = self.layout.runs(Tier.TIER1_HF) / staged.name
            manifest = json.loads((staged / Artifact.MANIFEST).read_bytes())
            enter_beginning(self.layout, run.name, clock=self.clock, files=files, manifest=manifest)
            staged.rename(run)
            seal = seal_run(run, files=files)
            where = str(run.relative_to(self.layout.lib))
            said = {"tier": "tier1_hf", "status": "completed", "pool": untouched_pool(self.layout)}
            ledger.append(LedgerEntryType.RUN_SEALED, seal.ledger_payload(run_dir=where, **said))
            ack(run.name)

    def check(self, acks: Sequence[str]) -> None:
        entered: set[str] = set()
        if self.layout.ledger.exists():
            found = scan(
                self.layout.ledger, LEDGER_LINE, close=True,
                each=lambda line: entered.update(sealed_in(object_of_line(line))),
            )  # fmt: skip
            assert found.damages == []
            self.says(verify_ledger(self.layout.ledger), ["an interrupted append"] if found.tail else [])
        assert set(acks) <= entered, "an acknowledged seal is not in the ledger"
        for run in sorted(self.layout.runs(Tier.TIER1_HF).iterdir()):
            if run.name in self.before:
                continue  # the audit below looks at it
            sealed = (run / Artifact.SHA256SUMS).exists()
            # The listing that was being written aside is one file more than the manifest counts.
            more = ["evidence says"] if any(run.glob(f".*{ASIDE_SUFFIX}")) and not sealed else []
            if not self.layout.ledger.exists():
                self.says(verify_run(run), [] if sealed else ["not sealed", *more])
                continue
            unknown = [] if run.name in entered else ["the ledger does not know this run's seal"]
            self.says(verify_run(run), unknown if sealed else ["not sealed", *more, *unknown])
        self.next_start()
        self.says(audit(self.layout), [])

    def next_start(self) -> None:
        """What the service does before its first run."""
        from prometheus.v10.ops.instance.instance_lock import Instance
        from prometheus.v10.ops.instance.interrupted import close_interrupted

        with Instance(self.layout, "HF", self.clock, untold) as instance:
            close_interrupted(self.layout, instance, self.clock, silent_journal(), untold)


class RetentionPart(Part):
    """A pass of retention: tombstones, unlinking, compression; acknowledged when it ends."""

    name = "retention"
    bounds: ClassVar[dict[str, int]] = {"raw_days": 14, "snapshot_days": 14, "compress_days": 14}

    def renew(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.house = _retention_template().again_in(self.root)

    def work(self, files: Files, ack: Ack) -> None:
        result = self.house.apply(self.house.plan(**self.bounds), files)
        assert result.done
        assert not result.refused
        ack("done")

    def check(self, acks: Sequence[str]) -> None:
        from tests.unit.ops.retention_house import contents

        assert not acks or self.house.plan(**self.bounds).items == []
        self.house.assert_in_order(torn=True)
        self.house.apply(self.house.plan(**self.bounds))
        self.house.assert_in_order()
        self.verdicts += 2
        left = {name: data for name, (data, _) in contents(self.root).items() if name.startswith(("runs", "pools"))}
        assert {name: data for name, data in left.items() if not name.endswith(".lock")} == _after_retention()


@functools.cache
def _retention_template() -> House:
    """A house that is built once, and copied for each trial."""
    from tests.unit.ops.retention_house import House

    place = Path(tempfile.mkdtemp(prefix="pq-house-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)  # forked children end without it
    clock = FakeClock()
    layout = Layout.under(place / "root")
    layout.prepare()
    house = House(layout, clock)
    house.run(1, parts=(300, 300), lines=6)
    house.snapshot(1)
    house.snapshot(1)
    house.days_pass(20)
    return house


@functools.cache
def _after_retention() -> dict[str, bytes]:
    """What one undisturbed pass leaves."""
    from tests.unit.ops.retention_house import contents

    house = _retention_template()
    done = house.again_in(house.layout.lib.with_name("undisturbed"))
    done.apply(done.plan(**RetentionPart.bounds))
    return {
        name: data for name, (data, _) in contents(done.layout.lib).items()
        if name.startswith(("runs", "pools")) and not name.endswith(".lock")
    }  # fmt: skip


PROFILE = """
mode = "offline"
workers = 1
evidence = { order_sample_one_in = 20, compress = false }
[market]
timeframe_s = 300
seed = 7
bars = 400
[experiments]
count = 2
[world]
founders = 20
review_ticks = 100
death_roi = -0.05
"""


class RunPart(Part):
    """A small whole run of stage 1, evolution and all; acknowledged by its outcome's run id."""

    name = "run"

    def renew(self) -> None:
        self.clear()
        self.layout.profiles.mkdir(parents=True, exist_ok=True)
        (self.layout.profiles / "HF.toml").write_text(PROFILE)

    def work(self, files: Files, ack: Ack) -> None:
        from prometheus.v10.runs.control import Undisturbed
        from prometheus.v10.runs.request.profile import load_profile
        from prometheus.v10.runs.stage1 import run_stage1
        from prometheus.v10.runs.workload import RunRequest, Surroundings

        around = Surroundings(
            layout=self.layout, clock=SystemClock(), control=Undisturbed(), journal=silent_journal(), files=files
        )
        profile = load_profile("HF", self.layout)
        outcome = run_stage1(RunRequest(profile=profile, mode=Mode.OFFLINE, instance="HF"), around)
        ack(outcome.run_id)

    def check(self, acks: Sequence[str]) -> None:
        runs = sorted(self.layout.runs(Tier.TIER1_HF).iterdir())
        for run in runs:
            if run.name in acks:
                self.says(verify_run(run), [])
        assert set(acks) <= {run.name for run in runs}
        SealPart.next_start(self)  # type: ignore[arg-type]
        if self.layout.pool(Stage.STAGE1).exists():
            reopen(self.layout.pool(Stage.STAGE1))  # as its next run does
        self.says(audit(self.layout), [] if self.layout.ledger.exists() else ["nothing was audited"])
        for run in runs:
            assert claimed(self.layout, run), f"{run.name} claims records that the pool does not hold"


def claimed(layout: Layout, run: Path) -> bool:
    """Whether the pool holds exactly the records that a run's manifest claims, and they are this run's."""
    if (run / Artifact.INTERRUPTED).exists():
        return True
    said = json.loads((run / Artifact.MANIFEST).read_bytes())["pool_appends"]
    if said["first_n"] is None:
        return True
    owners = [json.loads(line)["source"]["run_id"] for line in layout.pool(Stage.STAGE1).read_bytes().splitlines()]
    return set(owners[said["first_n"] : said["last_n"] + 1]) == {run.name}


PARTS: dict[str, type[Part]] = {
    part.name: part for part in (PoolPart, SnapshotPart, LedgerPart, SealPart, RetentionPart, RunPart)
}


def try_work(part: Part, files: Files, expected: type[BaseException]) -> tuple[list[str], BaseException | None]:
    """Do the part's work; what it acknowledged, and the error that ended it, which must be of the expected kind."""
    acks: list[str] = []
    try:
        part.work(files, acks.append)
    except expected as error:
        return acks, error
    return acks, None
