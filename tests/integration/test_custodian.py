"""The service writes nothing itself: its tree is mounted read-only, and a custodian does what its rules allow."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from prometheus.v10.base.custody import CustodianFiles
from prometheus.v10.base.errors import LockHeldError
from prometheus.v10.base.files import Lock
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.evidence.canonical import canonical_bytes, canonical_line
from prometheus.v10.evidence.chain import content_id
from prometheus.v10.evidence.ledger_line import entry_id
from prometheus.v10.evidence.pool import iter_records
from prometheus.v10.ops.custodian.server import MOST_OPEN
from tests.integration.conftest import Tree, small_profile
from tests.integration.test_stage2_service import STAGE2

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="a read-only mount needs root and unshare"
)

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


class Custodian:
    """A custodian of a stage's instance, as the socket unit starts it."""

    def __init__(self, root: Path, place: Path, whose: str = "stage1-HF") -> None:
        self.place, self.said = place, place.with_name("said")
        words = [
            sys.executable,
            "-m",
            "prometheus.cli",
            "custodian",
            whose,
            "--root",
            str(root),
            "--socket",
            str(place),
        ]
        with self.said.open("w") as to:
            self.process = subprocess.Popen(words, stderr=to)
        until = time.monotonic() + 60.0
        while not place.exists():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)

    def refusals(self) -> list[str]:
        """What it said so far."""
        return self.said.read_text().splitlines()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "var")
    made.write_profile(small_profile())
    return made


@pytest.fixture
def custodian(tree: Tree, tmp_path: Path):
    made = Custodian(tree.root, tmp_path / "socket")
    yield made
    made.process.terminate()
    made.process.wait()


@pytest.fixture
def files(custodian: Custodian):
    """What a payload calls."""
    made = CustodianFiles(custodian.place)
    yield made
    made.disconnect()


def words(tree: Tree, custodian: Custodian, *more: str, stage: str = "stage1", instance: str = "HF") -> list[str]:
    """A service that sees its evidence read-only."""
    return [
        "unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", str(tree.root),
        sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", stage,
        "--instance", instance, "--root", str(tree.root), "--custodian", str(custodian.place), *more,
    ]  # fmt: skip


def serve(tree: Tree, custodian: Custodian, *more: str, **whose: str) -> None:
    ended = subprocess.run(words(tree, custodian, *more, **whose), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def command(tree: Tree, *more: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "prometheus.cli", *more, "--root", str(tree.root)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def passes_the_audit(tree: Tree) -> None:
    command(tree, "audit")


def bytes_of(root: Path) -> dict[str, str]:
    """sha256 of every file below a root, locks left out."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def test_a_service_with_a_read_only_tree_leaves_sealed_runs_that_pass_the_audit(tree, custodian):
    serve(tree, custodian, "--max-runs", "2")
    assert len(tree.runs()) == 2
    tree.assert_in_order()
    passes_the_audit(tree)
    assert custodian.refusals() == []


def test_a_run_that_was_cut_off_is_closed_through_the_custodian(tree, custodian):
    tree.write_profile(small_profile(count=5000))
    payload = subprocess.Popen(words(tree, custodian))
    until = time.monotonic() + 60.0
    while not any((run / "run_manifest.json").exists() for run in tree.runs()):
        assert time.monotonic() < until
        time.sleep(0.05)
    payload.kill()
    payload.wait()
    (cut_off,) = tree.runs()
    tree.write_profile(small_profile())
    serve(tree, custodian, "--max-runs", "1")
    assert (cut_off / "interrupted.json").is_file()
    tree.assert_in_order()
    passes_the_audit(tree)
    assert custodian.refusals() == []


def test_stage_2_and_a_queue_of_promotions_work_through_custodians_of_their_own(tree, custodian, tmp_path):
    tree.write_profile(small_profile(count=2, extra="[pool]\nsnapshot_every_runs = 1\n"))
    tree.write_profile(STAGE2, "STAGE2")
    serve(tree, custodian, "--max-runs", "1")
    others = [Custodian(tree.root, tmp_path / whose, whose) for whose in ("stage2-STAGE2", "stage1-PROMOTE")]
    try:
        serve(tree, others[0], "--max-runs", "1", stage="stage2", instance="STAGE2")
        command(tree, "promote", "--top-k", "1", "--queue")
        serve(tree, others[1], "--max-runs", "1", instance="PROMOTE")
    finally:
        for one in others:
            one.process.terminate()
            one.process.wait()
    assert [one.refusals() for one in (custodian, *others)] == [[], [], []]
    assert sum(1 for _ in iter_records(tree.layout.pool(Stage.STAGE2))) > 0
    assert len(list(tree.layout.runs(Tier.TIER2_FULL).iterdir())) == 1
    assert not list((tree.layout.state / "promotions" / "PROMOTE").iterdir())
    passes_the_audit(tree)


class Past:
    """What a payload tries against a past that is there: two sealed runs, a snapshot, another instance and stage."""

    def __init__(self, tree: Tree, files: CustodianFiles) -> None:
        self.tree, self.files = tree, files
        self.run = tree.runs()[0]
        self.pool = tree.layout.pool(Stage.STAGE1)
        self.ledger = tree.layout.ledger
        self.state = tree.layout.state
        self.snapshot = next(iter(tree.layout.snapshots(Stage.STAGE1).glob("*.jsonl")))

    def write(self, path: Path, flags: int = os.O_WRONLY, data: bytes = b"{}\n") -> None:
        fd = self.files.open(path, flags)
        try:
            self.files.write(fd, data)
        finally:
            self.files.close(fd)

    def append(self, path: Path, data: bytes) -> None:
        lock = Lock(path.with_name(f"{path.name}.lock"), who="a test", files=self.files)
        with lock if path in {self.pool, self.ledger} else nullcontext():
            self.write(path, os.O_WRONLY | os.O_APPEND, data)

    def cut(self, path: Path, size: int) -> None:
        fd = self.files.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            self.files.ftruncate(fd, size)
        finally:
            self.files.close(fd)

    def replace(self, path: Path) -> None:
        """Prepare a file of its own, and give it another's name."""
        aside = self.state / "HF" / f".{path.name}.1.aside"
        self.write(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            self.files.rename(aside, path)
        finally:
            self.files.unlink(aside)

    def entry(self, like: str, **changed: object) -> bytes:
        """A line that continues the ledger, made as the suite makes it: the last of a type, with other content."""
        lines = self.ledger.read_bytes().splitlines(keepends=True)
        one = [json.loads(line) for line in lines if json.loads(line)["type"] == like][-1]
        entry = {**one, "n": len(lines), "prev": hashlib.sha256(lines[-1]).hexdigest(), **changed}
        entry.pop("id")
        return canonical_line({**entry, "id": entry_id(entry)})

    def record(self, **source: object) -> bytes:
        """A line that continues the pool: its last genome, as another run's."""
        last = self.pool.read_bytes().splitlines(keepends=True)[-1]
        plain = json.loads(last)
        plain["source"] |= source
        rest = {key: value for key, value in plain.items() if key not in {"id", "n", "prev", "genome_vector_342"}}
        plain["id"] = content_id(canonical_bytes(rest))
        return canonical_line({**plain, "n": plain["n"] + 1, "prev": hashlib.sha256(last).hexdigest()})


DELETION = {"kind": "run", "path": "runs_hf/x", "sha256": "0" * 64, "bytes": 1, "reason": "r", "policy": "p"}
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
ATTEMPTS = {
    "open a sealed run's file": lambda p: p.write(p.run / "run_manifest.json"),
    "append to a sealed run's events": lambda p: p.append(p.run / "death_events.jsonl", b"{}\n"),
    "make a file in a sealed run": lambda p: p.write(p.run / "more.json", NEW),
    "unlink a sealed run's file": lambda p: p.files.unlink(p.run / "run_summary.json"),
    "rename a sealed run": lambda p: p.files.rename(p.run, p.run.with_name("gone")),
    "rename a sealed run's file": lambda p: p.files.rename(p.run / "run_summary.json", p.run / "x.json"),
    "link into a sealed run": lambda p: p.files.link(p.run / ".x.1.aside", p.run / "x"),
    "make a directory in a sealed run": lambda p: p.files.mkdir(p.run / "sub"),
    "make a run that nobody began": lambda p: p.files.mkdir(p.run.with_name("HF_20260101T000000Z_abcdef0_0000")),
    "rewrite the pool": lambda p: p.write(p.pool),
    "open the pool for reading and writing": lambda p: p.write(p.pool, os.O_RDWR | os.O_APPEND),
    "cut the pool": lambda p: p.cut(p.pool, 100),
    "cut a byte from the pool": lambda p: p.cut(p.pool, p.pool.stat().st_size - 1),
    "empty the pool as it is opened": lambda p: p.write(p.pool, os.O_WRONLY | os.O_APPEND | os.O_TRUNC),
    "remove the pool": lambda p: p.files.unlink(p.pool),
    "replace the pool": lambda p: p.replace(p.pool),
    "append half a line to the pool": lambda p: p.append(p.pool, b"{"),
    "append what is no record to the pool": lambda p: p.append(p.pool, b"{}\n"),
    "append a sealed run's record to the pool": lambda p: p.append(p.pool, p.record()),
    "append an unknown run's record": lambda p: p.append(p.pool, p.record(run_id="HF_20260101T000000Z_abcdef0_0000")),
    "rewrite the ledger": lambda p: p.write(p.ledger),
    "cut the ledger": lambda p: p.cut(p.ledger, 0),
    "remove the ledger": lambda p: p.files.unlink(p.ledger),
    "replace the ledger": lambda p: p.replace(p.ledger),
    "enter what is no entry": lambda p: p.append(p.ledger, b"{}\n"),
    "enter a deletion": lambda p: p.append(
        p.ledger, p.entry("run_sealed", type="retention_deletion", payload=DELETION)
    ),
    "enter for another instance": lambda p: p.append(p.ledger, p.entry("run_started", instance="OTHER")),
    "begin a run again": lambda p: p.append(p.ledger, p.entry("run_started")),
    "enter a second seal of a run": lambda p: p.append(p.ledger, p.entry("run_sealed")),
    "rewrite a snapshot": lambda p: p.write(p.snapshot),
    "remove a snapshot": lambda p: p.files.unlink(p.snapshot),
    "replace a snapshot": lambda p: p.replace(p.snapshot),
    "append to another stage's pool": lambda p: p.write(p.tree.layout.pool(Stage.STAGE2), NEW | os.O_APPEND),
    "make a snapshot of another stage": lambda p: p.write(
        p.tree.layout.snapshots(Stage.STAGE2) / ".snapshot_x.jsonl.1.aside", NEW
    ),
    "write another instance's state": lambda p: p.write(p.state / "OTHER" / "counter.json"),
    "remove another instance's state": lambda p: p.files.unlink(p.state / "OTHER" / "counter.json"),
    "write what the host files": lambda p: p.write(p.state / "HF" / "service_results.jsonl", NEW),
    "cut the survival curve": lambda p: p.cut(p.state / "HF" / "collapse_intervals.jsonl", 0),
    "replace the survival curve": lambda p: p.replace(p.state / "HF" / "collapse_intervals.jsonl"),
    "write a release": lambda p: p.write(p.state / "releases" / "x.json", NEW),
    "write a market": lambda p: p.write(p.tree.layout.market / "x", NEW),
    "make a gate": lambda p: p.files.mkdir(p.tree.layout.gates / "x"),
    "climb out by two dots": lambda p: p.write(p.state / "HF" / ".." / "ledger.jsonl"),
    "climb through a link": lambda p: p.write(p.state / "HF" / "link" / "counter.json"),
    "let others write": lambda p: p.files.close(p.files.open(p.state / "HF" / "x.json", NEW, 0o666)),
    "lock the ledger itself": lambda p: p.files.flock(p.files.open(p.ledger, os.O_WRONLY | os.O_APPEND), fcntl.LOCK_EX),
    "append to the pool without its lock": lambda p: p.write(p.pool, os.O_WRONLY | os.O_APPEND, p.record()),
    "hold the lock of releases": lambda p: p.write(p.state / "release.lock", os.O_RDWR | os.O_CREAT),
    "remove a lock": lambda p: p.files.unlink(p.state / "ledger.jsonl.lock"),
}


def test_the_past_is_out_of_reach(tree, custodian, files):
    tree.write_profile(small_profile(extra="[pool]\nsnapshot_every_runs = 1\n"))
    serve(tree, custodian, "--max-runs", "2")
    (tree.layout.state / "OTHER").mkdir()
    (tree.layout.state / "OTHER" / "counter.json").write_text("{}")
    (tree.layout.state / "HF" / "link").symlink_to(tree.layout.state / "OTHER")
    past, before = Past(tree, files), bytes_of(tree.root)
    for name, attempt in ATTEMPTS.items():
        with pytest.raises(PermissionError, match="the custodian refuses"):
            attempt(past)
        assert bytes_of(tree.root) == before, name
    assert len(custodian.refusals()) == len(ATTEMPTS)


def test_a_file_that_was_opened_before_the_seal_is_written_no_more(tree, custodian, files):
    tree.write_profile(small_profile(extra="[pool]\nsnapshot_every_runs = 1\n"))
    serve(tree, custodian, "--max-runs", "1")
    past = Past(tree, files)
    run = tree.layout.runs(Tier.TIER1_HF) / "HF_20260101T000000Z_abcdef0_0000"
    began = next(e for e in map(json.loads, past.ledger.read_text().splitlines()) if e["type"] == "run_started")
    payload = {**began["payload"], "run_id": run.name, "run_dir": f"runs_hf/{run.name}", "run_counter": 1}
    past.append(past.ledger, past.entry("run_started", payload=payload))
    past.files.mkdir(run)
    held = past.files.open(run / "death_events.jsonl", NEW)
    past.files.write(held, b"{}\n")
    past.write(run / ".SHA256SUMS.txt.1.aside", NEW)
    past.files.rename(run / ".SHA256SUMS.txt.1.aside", run / "SHA256SUMS.txt")
    for attempt in (
        lambda: past.files.write(held, b"more\n"),
        lambda: past.files.ftruncate(held, 0),
        lambda: past.files.fchmod(held, 0o600),
        lambda: past.write(run / "SHA256SUMS.txt"),
        lambda: past.files.unlink(run / "SHA256SUMS.txt"),
    ):
        with pytest.raises(PermissionError, match="is sealed"):
            attempt()
    assert (run / "death_events.jsonl").read_bytes() == b"{}\n"


def test_a_large_write_goes_in_several_messages(tree, files, monkeypatch):
    monkeypatch.setattr("prometheus.v10.base.custody.MOST_WRITE", 1000)
    files.mkdir(tree.layout.state / "HF")
    place = tree.layout.state / "HF" / "large.json"
    data = b"".join(b"%d\n" % number for number in range(2000)) + b"x" * 2500
    fd = files.open(place, NEW | os.O_APPEND)
    assert files.write(fd, data) == len(data)
    assert files.write(fd, b"") == 0
    files.close(fd)
    assert place.read_bytes() == data


def test_a_lock_that_others_wait_for_is_taken_back(tree, custodian, files):
    serve(tree, custodian, "--max-runs", "1")
    held = Lock(tree.layout.ledger.with_name("ledger.jsonl.lock"), who="a payload that keeps it", files=files)
    held.acquire()
    other = Lock(held.path, who="somebody who waits")
    with pytest.raises(LockHeldError, match="a payload that keeps it"):
        other.acquire()
    other.acquire(attempts=1500)
    other.release()
    assert "takes back ledger.jsonl.lock" in custodian.refusals()[-1]


def test_noise_and_a_flood_of_files_leave_it_serving(tree, custodian, files):
    for noise in (b"\0", b"\xff" * 64, b"\0\0\0\x02{}", b'\0\0\0\x0b{"bytes":9}', b"\0\0\0\x14" + b"[" * 20):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(custodian.place))
            peer.sendall(noise)
    files.mkdir(tree.layout.state / "HF")
    for number in range(MOST_OPEN):
        files.open(tree.layout.state / "HF" / f"{number}.json", NEW)
    with pytest.raises(OSError, match="Too many open files"):
        files.open(tree.layout.state / "HF" / "more.json", NEW)
    serve(tree, custodian, "--max-runs", "1")
    passes_the_audit(tree)


def test_another_user_is_not_served(tree):
    """Its socket is its user's alone; were it open to all, the kernel would still say who connects."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        custodian = Custodian(tree.root, Path(folder, "socket"))
        try:
            connect = f"import socket as s; c = s.socket(s.AF_UNIX); c.connect('{folder}/socket'); print(c.recv(1))"
            command = ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", connect]
            assert "PermissionError" in subprocess.run(command, capture_output=True, text=True, check=False).stderr
            custodian.place.chmod(0o666)
            assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "b''\n"
            assert custodian.refusals()[-1].endswith("of user 65534")
        finally:
            custodian.process.terminate()
            custodian.process.wait()


def test_without_a_custodian_a_service_ends_in_one_line_and_74(tree, tmp_path):
    command = [
        sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage1",
        "--instance", "HF", "--root", str(tree.root), "--custodian", str(tmp_path / "nobody"),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 74
    assert re.fullmatch(r"error: no custodian answers at .*\nhint: .*\n", ended.stderr)
