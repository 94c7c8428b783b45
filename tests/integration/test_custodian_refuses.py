"""What a hostile payload asks of its custodian, and is refused: byte by byte nothing of the past changes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from prometheus.v10.base.custody import CustodianFiles
from prometheus.v10.base.errors import LockHeldError
from prometheus.v10.base.files import Lock
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.evidence.chains.chain import content_id
from prometheus.v10.evidence.chains.ledger_line import entry_id
from prometheus.v10.evidence.records.canonical import canonical_bytes, canonical_line
from prometheus.v10.ops.custodian.server import MOST_OPEN
from tests.integration.conftest import Tree, small_profile
from tests.integration.custodians import (
    NEEDS_ROOT,
    Custodian,
    bytes_of,
    custodian,
    files,
    passes_the_audit,
    serve,
    tree,
)

__all__ = ["custodian", "files", "tree"]  # fixtures
pytestmark = NEEDS_ROOT


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
        if path in {self.pool, self.ledger}:
            lock.acquire(attempts=200)  # whoever held it for long leaves it to others for a moment
        try:
            self.write(path, os.O_WRONLY | os.O_APPEND, data)
        finally:
            lock.release()

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

    def record(self, metrics: object = None, **source: object) -> bytes:
        """A line that continues the pool: its last genome, as another run's."""
        last = self.pool.read_bytes().splitlines(keepends=True)[-1]
        plain = json.loads(last)
        plain["source"] |= source
        if metrics is not None:
            plain["metrics_summary"]["x"] = metrics
        rest = {key: value for key, value in plain.items() if key not in {"id", "n", "prev", "genome_vector_342"}}
        plain["id"] = content_id(canonical_bytes(rest))
        return canonical_line({**plain, "n": plain["n"] + 1, "prev": hashlib.sha256(last).hexdigest()})

    def begun(self, **changed: object) -> None:
        """Begin a run that is not what the entry says."""
        one = [json.loads(line) for line in self.ledger.read_text().splitlines() if '"run_started"' in line][-1]
        name = "HF_20260101T000000Z_abcdef0_0001"
        payload = {**one["payload"], "run_id": name, "run_dir": f"runs_hf/{name}", "run_counter": 99, **changed}
        self.append(self.ledger, self.entry("run_started", payload=payload))

    def place(self, path: str, records: int) -> dict[str, object]:
        return {"path": path, "records": records, "head": "a" * 64}

    def mode(self, path: Path, mode: int) -> None:
        fd = self.files.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            self.files.fchmod(fd, mode)
        finally:
            self.files.close(fd)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


TORN = {"path": "state/ledger.jsonl", "kept": "state/OTHER/counter.json", "offset": 1, "bytes": 2, "sha256": "0" * 64}
SNAPSHOT = {"id": "000000000009-aaaaaaaa", "file": "snapshot_000000000009-aaaaaaaa.jsonl", "pool_path": "x", "count": 9,
            "head_hash": "a" * 64, "sha256": "0" * 64, "bytes": 1}  # fmt: skip
DELETION = {"kind": "run", "path": "runs_hf/x", "sha256": "0" * 64, "bytes": 1, "reason": "r", "policy": "p"}
AUDIT = "AUDIT_20260101T000000Z_abcdef0_0001"
HALT = {"line": 1, "line_id": "aaaaaaaa-aaaa-8aaa-8aaa-aaaaaaaaaaaa", "reasons": ["OPERATOR"]}
RELEASED = {"run_id": AUDIT, "seal": "0" * 64, "halt": HALT, "by": "payload", "why": "it wants to go on"}
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
    "let the pool grow by cutting": lambda p: p.cut(p.pool, 1 << 40),
    "let the ledger grow by cutting": lambda p: p.cut(p.ledger, p.ledger.stat().st_size + 1),
    "take the ledger's mode away": lambda p: p.mode(p.ledger, 0o600),
    "make a file that nobody reads": lambda p: p.files.open(p.state / "HF" / "y.json", NEW, 0),
    "append a record without measure": lambda p: p.append(p.pool, p.record("x" * (1 << 20))),
    "append a record that is nested deep": lambda p: p.append(p.pool, p.record(nested(100))),
    "release a halt": lambda p: p.append(p.ledger, p.entry("run_sealed", type="trading_released", payload=RELEASED)),
    "begin a run at an exchange under an offline run's name": lambda p: p.begun(mode="okx_demo"),
    "begin an offline run under an audit's name": lambda p: p.begun(
        run_id=AUDIT, run_dir=f"runs/{AUDIT}", tier="tier2_full"
    ),
    "begin a run of another stage": lambda p: p.begun(stage="stage2"),
    "begin a run in another's directory": lambda p: p.begun(run_dir=f"runs_hf/{p.run.name}"),
    "begin a run with a pool that never was": lambda p: p.begun(pool=p.place("pools/stage1/pool.jsonl", 10**9)),
    "begin a run with another head": lambda p: p.begun(pool=p.place("pools/stage1/pool.jsonl", 3)),
    "begin a run with another stage's pool": lambda p: p.begun(pool=p.place("pools/stage2/pool.jsonl", 0)),
    "begin a run with another's curve": lambda p: p.begun(curve=p.place("state/OTHER/collapse_intervals.jsonl", 1)),
    "enter a snapshot that is not there": lambda p: p.append(
        p.ledger, p.entry("run_sealed", type="snapshot", payload=SNAPSHOT)
    ),
    "enter a torn tail of somebody else": lambda p: p.append(
        p.ledger, p.entry("run_sealed", type="torn_tail", payload=TORN)
    ),
    "share the ledger's lock": lambda p: p.files.flock(
        p.files.open(p.state / "ledger.jsonl.lock", os.O_RDWR), fcntl.LOCK_SH | fcntl.LOCK_NB
    ),
    "write another instance's progress": lambda p: p.write(p.state / "OTHER" / "progress.json", NEW),
    "replace another instance's progress": lambda p: p.replace(p.state / "OTHER" / "progress.json"),
    "write progress beside the instances": lambda p: p.write(p.state / "progress.json", NEW),
    "make a run's file the progress": lambda p: p.files.rename(
        p.run / "run_summary.json", p.state / "HF" / "progress.json"
    ),
    "make the progress a run's file": lambda p: p.files.rename(
        p.state / "HF" / "counter.json", p.run / "run_summary.json"
    ),
    "reach another's progress through a link": lambda p: p.write(p.state / "HF" / "link" / "progress.json", NEW),
    "progress that everybody may write": lambda p: p.files.open(p.state / "HF" / "progress.json", NEW, 0o666),
    "make a lock of another name": lambda p: p.write(p.pool.with_name("x.lock"), NEW),
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


def test_what_others_appended_is_never_cut(tree, files):
    """Not by whoever opened the file before, and not without its lock."""
    tree.write_profile(small_profile(extra="[pool]\nsnapshot_every_runs = 1\n"))
    run = [sys.executable, "-m", "prometheus.cli", "run", "--root", str(tree.root), "--profile", "HF"]
    assert subprocess.run(run, capture_output=True, check=False).returncode == 0
    held = {
        path: files.open(path, os.O_WRONLY | os.O_APPEND)
        for path in (tree.layout.ledger, tree.layout.pool(Stage.STAGE1))
    }
    before = {path: path.stat().st_size for path in held}
    assert subprocess.run(run, capture_output=True, check=False).returncode == 0
    after = bytes_of(tree.root)
    for path, fd in held.items():
        with pytest.raises(PermissionError, match="while its lock is held"):
            files.ftruncate(fd, before[path])
        lock = Lock(path.with_name(f"{path.name}.lock"), who="a test", files=files)
        with lock, pytest.raises(PermissionError, match="acknowledged lines"):
            files.ftruncate(fd, before[path])
    assert bytes_of(tree.root) == after
    passes_the_audit(tree)


def test_what_was_left_unsynced_is_not_cut_once_others_may_append(tree, custodian, files):
    """The bytes of one's own that were never synced stop being one's own to cut when the lock is given back."""
    tree.write_profile(small_profile(extra="[pool]\nsnapshot_every_runs = 1\n"))
    serve(tree, custodian, "--max-runs", "1")
    past, ledger = Past(tree, files), tree.layout.ledger
    run = "HF_20260101T000000Z_abcdef0_0002"
    one = [json.loads(line) for line in ledger.read_text().splitlines() if '"run_started"' in line][-1]
    payload = {**one["payload"], "run_id": run, "run_dir": f"runs_hf/{run}", "run_counter": 1}
    lock = Lock(ledger.with_name("ledger.jsonl.lock"), who="a test", files=files)
    fd, before = files.open(ledger, os.O_WRONLY | os.O_APPEND), ledger.stat().st_size
    with lock:
        files.write(fd, past.entry("run_started", payload=payload))
    lock.acquire(attempts=200)
    with pytest.raises(PermissionError, match="acknowledged lines"):
        files.ftruncate(fd, before)
    lock.release()
    assert ledger.stat().st_size > before


def test_a_snapshot_that_has_its_name_is_written_no_more(tree, custodian, files):
    tree.write_profile(small_profile(extra="[pool]\nsnapshot_every_runs = 1\n"))
    serve(tree, custodian, "--max-runs", "1")
    folder = tree.layout.snapshots(Stage.STAGE1)
    aside, named = (
        folder / ".snapshot_000000000001-aaaaaaaa.jsonl.1.aside",
        folder / "snapshot_000000000001-aaaaaaaa.jsonl",
    )
    fd = files.open(aside, NEW, 0o600)
    files.write(fd, b"one\n")
    for name in ("snapshot_zz.json", "snapshot_000000000001-aaaaaaaa.json", "x.jsonl"):
        with pytest.raises(PermissionError, match="snapshot"):
            files.link(aside, folder / name)
    files.link(aside, named)
    files.unlink(aside)
    for attempt in (lambda: files.ftruncate(fd, 0), lambda: files.write(fd, b"other\n")):
        with pytest.raises(PermissionError, match="written no more"):
            attempt()
    assert named.read_bytes() == b"one\n"


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
    sealed = [json.loads(line) for line in past.ledger.read_text().splitlines() if '"run_sealed"' in line][-1]
    false = {**sealed["payload"], "run_id": run.name, "run_dir": payload["run_dir"], "seal": "0" * 64}
    with pytest.raises(PermissionError, match="the seal is not that of"):
        past.append(past.ledger, past.entry("run_sealed", payload=false))
    with pytest.raises(PermissionError, match=r"not renamed|is not this instance"):
        past.files.rename(run, run.with_name("HF_20260101T000000Z_abcdef0_0009"))
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


def test_a_custodian_that_fails_before_it_answers_ends_a_service_in_one_line_and_74(tree, tmp_path):
    """systemd listens for the custodian, so that the connection is made and then closed without an answer."""
    place = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(place))
        listening.listen()
        command = [
            sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage1",
            "--instance", "HF", "--root", str(tree.root), "--custodian", str(place),
        ]  # fmt: skip
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
            listening.accept()[0].close()
            said = started.communicate()[1]
    assert started.returncode == 74
    assert re.fullmatch(r"error: no custodian answers at .*\nhint: .*\n", said)
