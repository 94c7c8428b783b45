"""How fast stage 2 judges: ten thousand genomes by the shipped profile, end to end, beside the kernel.

A pool of founders, its snapshot, and one run of the service as an operator would start it: imports, verification of
the snapshot, every window x timeframe x seed alone and in crowds, events, verdicts, pool, seal. The rate is by wall
time, and beside it stands the kernel's with as many processes. Memory is the largest resident size of any process;
beside it stands that for an eighth of the genomes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import evolve

from bench.bench_kernel import Kernel, Scale
from bench.durable import Watched, entries, no_tail, run_watched
from bench.lanes import PROCESSES, Lane
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.modes import RunPrefix, Stage
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.core.genome import founders
from prometheus.v10.evidence.chains.ledger import Ledger
from prometheus.v10.evidence.pools.pool import PoolWriter
from prometheus.v10.evidence.pools.pool_record import genome_bytes
from prometheus.v10.evidence.pools.snapshot import create_snapshot
from prometheus.v10.evidence.writing.manifest import read_manifest

GENOMES, QUICK_GENOMES = 10_000, 64
EIGHTH = 8
AGENTS = 100  # of the kernel's experiments
RATE_BAR, MEMORY_BAR = 0.50, 1.25
PROFILE = files("prometheus.v10.runs") / "profiles" / "STAGE2.toml"
SERVICE = ("-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage2", "--instance", "STAGE2")


def verification_rows(scratch: Path, scale: Scale, said: Callable[[str], None], *, quick: bool) -> list[dict[str, Any]]:
    """Measure; rows with ``figure``, ``value``, ``unit``, ``beside``, ``ratio``, ``bar``, ``held``, ``detail``.

    Args:
        scratch: an empty directory; what is written stays for the caller to remove.
        scale: of the kernel beside.
        said: hears what is going on.
        quick: a few genomes: shows that it works, not how fast.

    Raises:
        HostError: when a process that is measured fails.
    """
    genomes, processes = QUICK_GENOMES if quick else GENOMES, max(PROCESSES)
    said("the kernel, to hold stage 2 against")
    with Lane("kernel", [partial(Kernel, scale)] * processes) as lane:
        lane.prepare(AGENTS)
        turns = [lane.turn(AGENTS, processes) for _ in range(1 if quick else 2)]
    kernel = max(turn.agent_ticks / turn.wall for turn in turns)
    said(f"stage 2, {genomes:,} genomes")
    _, an_eighth = _judged(scratch / "eighth", genomes // EIGHTH, processes)
    agent_ticks, watched = _judged(scratch / "all", genomes, processes)
    rate, growth = agent_ticks / watched.seconds, watched.rss_mb / an_eighth.rss_mb
    return [
        {
            "figure": f"stage 2, {genomes:,} genomes, {processes} processes", "value": rate / 1e6, "unit": "M/s",
            "beside": kernel / 1e6, "ratio": rate / kernel, "bar": f">= {RATE_BAR:.0%} of the kernel",
            "held": rate / kernel >= RATE_BAR,
            "detail": f"{agent_ticks:,} agent-ticks in {watched.seconds:.0f} s by the wall; beside: the kernel",
        },
        {
            "figure": "stage 2, largest process", "value": watched.rss_mb, "unit": "MB",
            "beside": an_eighth.rss_mb, "ratio": growth, "bar": f"<= {MEMORY_BAR} x an eighth of the genomes",
            "held": growth <= MEMORY_BAR, "detail": "beside: the same for an eighth of the genomes",
        },
    ]  # fmt: skip


def _judged(root: Path, genomes: int, processes: int) -> tuple[int, Watched]:
    """Let the service judge so many founders in a tree of its own: agent-ticks, and what its process took."""
    layout = Layout.under(root)
    layout.prepare()
    _freeze(layout, genomes, SystemClock())
    profile = layout.profiles / "STAGE2.toml"
    profile.parent.mkdir(parents=True, exist_ok=True)
    profile.write_text(f"workers = {processes}\n{PROFILE.read_text()}")
    watched = run_watched([sys.executable, *SERVICE, "--root", str(root), "--max-runs", "1"], [])
    found = [run for run in layout.lib.glob(f"runs*/{RunPrefix.STAGE2.value}_*") if run.is_dir()]
    if len(found) != 1:
        raise HostError(f"{root}: stage 2 left {len(found)} runs where one was to be measured")
    manifest = read_manifest(found[0])
    if manifest.timing is None:
        raise HostError(f"{found[0] / Artifact.MANIFEST} does not say how much was done")
    return manifest.timing.agent_ticks, watched


def _freeze(layout: Layout, genomes: int, clock: Clock) -> None:
    """A pool of founders, and its snapshot, which the ledger knows."""
    pool = layout.pool(Stage.STAGE1)
    made = zip(entries(1, genomes, 1, clock), founders(1, genomes), strict=True)
    with PoolWriter(pool, clock=clock, on_torn=no_tail) as writer:
        writer.append([evolve(entry, genome=genome_bytes(row)) for entry, row in made])
    snapshot = create_snapshot(pool, layout.snapshots(Stage.STAGE1), clock=clock, git_commit=None)
    ledger = Ledger(layout.ledger, clock=clock, instance="BENCH", on_torn=no_tail)
    ledger.append(LedgerEntryType.SNAPSHOT, snapshot.ledger_payload())
