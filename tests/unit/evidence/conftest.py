"""Fixtures for pools, ledgers and runs: a clock that stands still, entries with real genomes, small pools."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus.v10.base.files import Files
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.canonical import canonical_line, pretty_bytes
from prometheus.v10.evidence.ledger import Ledger
from prometheus.v10.evidence.pool import PoolWriter
from prometheus.v10.evidence.pool_record import PoolEntry, PoolSource, genome_bytes
from prometheus.v10.evidence.seal import seal_run


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


GOLDENS = Path(__file__).parent / "goldens"
RUN_ID = "HF_20260102T030405Z_0123456_0000"


def write_run(run_dir: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """A run's files from the goldens, made to agree with each other; ``change`` may spoil them before."""
    tree: dict[str, Any] = {path.name: path.read_bytes() for path in GOLDENS.iterdir() if path.suffix == ".jsonl"}
    lines = {name: [json.loads(line) for line in data.splitlines()] for name, data in tree.items()}
    for records in lines.values():
        for record in records:
            record["experiment"] = 0
    lines["collapse_events.jsonl"] = []
    manifest = json.loads((GOLDENS / "run_manifest.completed.json").read_bytes())
    manifest["counts"] |= {name.split("_")[0] + "s": len(records) for name, records in lines.items()}
    manifest["counts"]["interesting_deaths"] = manifest["counts"].pop("interestings")
    artifacts = {
        name: json.loads((GOLDENS / name).read_bytes())
        for name in ("multiple_experiments_summary.json", "execution_fingerprint.json", "gating_telemetry.json")
    }
    everything: dict[str, Any] = {**lines, **artifacts, "run_manifest.json": manifest}
    if change is not None:
        change(everything)
    run_dir.mkdir(parents=True)
    for name, value in everything.items():
        if name.endswith(".jsonl"):
            (run_dir / name).write_bytes(b"".join(map(canonical_line, value)))
        elif name != "run_manifest.json" and value is not None:
            (run_dir / name).write_bytes(pretty_bytes(value))
    if (manifest := everything["run_manifest.json"]) is not None:
        if manifest["evidence"] == {"bytes": 123456, "files": 8}:
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
