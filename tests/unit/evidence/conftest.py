"""Fixtures for pools, ledgers and runs: a clock that stands still, entries with real genomes, small pools."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.files import Files
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import SEAL_FILES, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger import Ledger
from prometheus.v10.evidence.pools.pool import PoolWriter
from prometheus.v10.evidence.pools.pool_record import PoolEntry, PoolSource, genome_bytes
from prometheus.v10.evidence.records.canonical import canonical_line, pretty_bytes
from prometheus.v10.evidence.writing.seal import seal_run
from tests.forger.house import do_run


class StillClock:
    """A clock that moves only when it is told to; its tokens count up."""

    def __init__(self) -> None:
        self.moment = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)
        self.tokens = 0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def token(self, n_hex: int) -> str:
        self.tokens += 1
        return f"{self.tokens:0{n_hex}x}"[:n_hex]

    def step(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


class UnsyncedFiles(Files):
    """The real file layer without its syncs, for tests that open a pool thousands of times."""

    def fsync(self, fd: int) -> None:
        pass

    def fdatasync(self, fd: int) -> None:
        pass

    def fsync_dir(self, path: Path) -> None:
        pass


@pytest.fixture
def unsynced() -> Files:
    return UnsyncedFiles()


def make_entry(i: int) -> PoolEntry:
    """Entry number ``i``: the same bytes every time."""
    genome = np.random.default_rng(i).standard_normal(342).astype(np.float32)
    source = PoolSource(
        git_commit="c" * 40,
        docker_image=None,
        run_id="HF_20250301T120000Z_ccccccc_0001",
        seed=7 + i,
        mode="offline",
        window={"name": "W1", "start": 0, "len": 8760},
        ablation=None,
        experiment=i // 10,
        genome_index=i,
        arm="A_real",
    )
    label = 'a "quoted" label \\ \u00e9'
    metrics = {"alive": i % 2 == 0, "roi_lifetime": 1.0 / (i + 3), "fees": 1e-7 * i, "label": label}
    return PoolEntry(
        genome=genome_bytes(genome),
        created_at="2025-03-01T12:00:00.000000Z",
        source=source,
        metrics_summary=metrics,
        fingerprint_ref="HF_20250301T120000Z_ccccccc_0001/execution_fingerprint.json",
        null_reasons={"source.docker_image": "not run in an image", "source.ablation": "nothing is ablated"},
    )


@pytest.fixture
def entry() -> Callable[[int], PoolEntry]:
    return make_entry


@pytest.fixture
def no_torn() -> Callable[[object], None]:
    def refuse(torn: object) -> None:
        raise AssertionError(f"no torn tail was expected, and {torn} was moved")

    return refuse


@pytest.fixture
def make_pool(tmp_path: Path, clock: StillClock, no_torn: Callable[[object], None]) -> Callable[..., Path]:
    """A pool of ``count`` records, written in groups of five."""

    def make(count: int, path: Path | None = None) -> Path:
        target = path or tmp_path / "pool.jsonl"
        with PoolWriter(target, clock=clock, on_torn=no_torn) as writer:
            for start in range(0, count, 5):
                writer.append([make_entry(i) for i in range(start, min(start + 5, count))])
        return target

    return make


RUN_ID = "HF_20260102T030405Z_0123456_0000"
COMMIT = b"0123456789abcdef0123456789abcdef01234567"


EXTINCT: dict[str, dict[str, Any]] = {
    "experiments": {"count": 2},
    "world": {"death_roi": 0.0099, "breed_roi": 0.01, "review_ticks": 50},
    "pool": {"best_of_the_dead": 0},
}
"""Nobody lives long enough to enter a pool: these tests have pools of their own."""


@cache
def real_run() -> dict[str, bytes]:
    """The files of one real run, made once a process, under the run id that these tests use."""
    with TemporaryDirectory() as root:
        made = do_run(Path(root), EXTINCT, clock=AtStart())
        files = {path.name: path.read_bytes() for path in made.iterdir() if path.name not in set(SEAL_FILES)}
    manifest = json.loads(files["run_manifest.json"])
    commit = str(manifest["git_commit"]).encode("ascii")
    renamed = {
        name: data.replace(made.name.encode("ascii"), RUN_ID.encode("ascii")).replace(commit, COMMIT)
        for name, data in files.items()
    }
    index = json.loads(renamed["m_execution_raw_index.json"])
    for part in index["shards"]:
        data = renamed[part["filename"]]
        digest = hashlib.sha256(data).hexdigest()
        part |= {"bytes": len(data), "sha256": digest, "sha256_16": digest[:16]}
    index["total_bytes"] = sum(part["bytes"] for part in index["shards"])
    renamed["m_execution_raw_index.json"] = pretty_bytes(index)
    return renamed


class AtStart(SystemClock):
    """The system's clock, set back to the moment that the run id names."""

    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def write_run(run_dir: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """A real run's files; ``change`` may spoil them before they are written: lines of records, and documents."""
    everything: dict[str, Any] = {}
    for name, data in real_run().items():
        if name.endswith(".jsonl"):
            everything[name] = [json.loads(line) for line in data.splitlines()]
        else:
            everything[name] = data if "_part_" in name else json.loads(data)
    as_made = everything["run_manifest.json"]["evidence"].copy()
    if change is not None:
        change(everything)
    run_dir.mkdir(parents=True)
    for name, value in everything.items():
        if name.endswith(".jsonl"):
            (run_dir / name).write_bytes(b"".join(map(canonical_line, value)))
        elif name != "run_manifest.json" and value is not None:
            (run_dir / name).write_bytes(value if isinstance(value, bytes) else pretty_bytes(value))
    if (manifest := everything["run_manifest.json"]) is not None:
        if manifest["evidence"] == as_made:
            sizes = [path.stat().st_size for path in run_dir.iterdir()]
            manifest["evidence"] = {"files": len(sizes), "bytes": sum(sizes)}
        (run_dir / "run_manifest.json").write_bytes(pretty_bytes(manifest))


@pytest.fixture(name="write_run")
def write_run_fixture() -> Callable[..., None]:
    return write_run


@pytest.fixture
def ledger(layout: Layout, clock: StillClock, no_torn: Callable[[object], None]) -> Ledger:
    return Ledger(layout.ledger, clock=clock, instance="HF", on_torn=no_torn)


@pytest.fixture
def sealed_run(layout: Layout, ledger: Ledger) -> Callable[..., Path]:
    """Make a sealed run that the ledger knows."""

    def make(change: Callable[[dict[str, Any]], None] | None = None, *, kind: str = "run_sealed") -> Path:
        run_dir = layout.runs(Tier.TIER1_HF) / RUN_ID
        write_run(run_dir, change)
        seal = seal_run(run_dir)
        ledger.append(LedgerEntryType(kind), seal.ledger_payload(run_dir=str(run_dir.relative_to(layout.lib))))
        return run_dir

    return make
