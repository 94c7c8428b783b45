"""A day of high-frequency evolution in minutes: run after run by one service process, and nothing grows but evidence.

``PQ_SOAK_RUNS`` short runs (none by default: ``make soak`` and ``make torture`` ask for them). After a warm-up of a
fifth of them, open files, processes and resident memory stay where they are, every run takes as many files and bytes
as the one before, and all snapshots together stay within what their profile allows. The table is printed, and written
to ``$PQ_SOAK_TABLE`` when that names a file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import frozen

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.paths import Layout
from tests.integration.faults.support import how_many

RUNS = how_many("SOAK_RUNS", 0)
SAMPLES = 20
MIB = 1 << 20
PROFILE = """
mode = "offline"
workers = 2
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
[evidence]
order_sample_one_in = 20
[service]
pause_seconds = 0.0
[disk]
keep_free_bytes = 1048576
"""


@frozen
class Sample:
    """What was seen after so many runs; memory and files of the service process itself."""

    runs: int
    seconds: float
    fds: int
    processes: int
    rss_mib: float
    files: int
    tree_mib: float
    snapshots_mib: float
    pool_mib: float


def look(pid: int, layout: Layout, runs: int, seconds: float) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    frozen = layout.snapshots(Stage.STAGE1)
    sizes = [path.stat().st_size for path in layout.lib.rglob("*") if path.is_file() and path.parent != frozen]
    copies = sum(path.stat().st_size for path in frozen.iterdir()) / MIB if frozen.exists() else 0.0
    pool = layout.pool(Stage.STAGE1).stat().st_size / MIB
    fds = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(runs, seconds, fds, descendants(pid), rss / 1024, len(sizes), sum(sizes) / MIB, copies, pool)


def descendants(pid: int) -> int:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, frontier = 0, {pid}
    while frontier := {child for child, parent in parents.items() if parent in frontier}:
        found += len(frontier)
    return found


def soak(layout: Layout, runs: int) -> list[Sample]:
    """Let the service do ``runs`` runs, and look at it about `SAMPLES` times, wherever in a run it is."""
    command = [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage1"]
    service = subprocess.Popen([*command, "--instance", "HF", "--root", str(layout.lib), "--max-runs", str(runs + 1)])
    started, samples, every = time.monotonic(), [], max(1, runs // SAMPLES)
    try:
        while len(samples) * every < runs:
            assert service.poll() is None, f"the service ended {service.returncode}"
            done = sum(1 for run in layout.runs(Tier.TIER1_HF).glob("*/SHA256SUMS.txt"))
            if done > len(samples) * every:
                service.send_signal(signal.SIGSTOP)
                samples.append(look(service.pid, layout, done, time.monotonic() - started))
                service.send_signal(signal.SIGCONT)
            time.sleep(0.02)
        assert service.wait(timeout=600) == 0
    finally:
        if service.poll() is None:
            service.send_signal(signal.SIGCONT)
            service.kill()
            service.wait()
    return samples


def table(samples: list[Sample]) -> str:
    head = (
        "runs",
        "seconds",
        "open files",
        "processes",
        "resident MiB",
        "files",
        "MiB",
        "files a run",
        "KiB a run",
        "pool",
        "snapshots",
    )
    rows = [f"| {' | '.join(head)} |", "|" + "---:|" * len(head)]
    for before, now in zip([None, *samples], samples, strict=False):
        since = now.runs - (before.runs if before else 0)
        more = (now.files - (before.files if before else 0), now.tree_mib - (before.tree_mib if before else 0.0))
        rows.append(
            f"| {now.runs} | {now.seconds:.0f} | {now.fds} | {now.processes} | {now.rss_mib:.1f} | {now.files} "
            f"| {now.tree_mib:.1f} | {more[0] / since:.2f} | {more[1] * 1024 / since:.0f} "
            f"| {now.pool_mib:.1f} | {now.snapshots_mib:.1f} |"
        )
    return "\n".join(rows)


@pytest.mark.skipif(RUNS == 0, reason="PQ_SOAK_RUNS is not set: `make soak` lets the service do 500 runs")
def test_run_after_run_nothing_grows_but_the_evidence(tmp_path, record_property):
    layout = Layout.under(tmp_path / "root")
    layout.prepare()
    layout.profiles.mkdir(parents=True, exist_ok=True)
    (layout.profiles / "HF.toml").write_text(PROFILE)
    samples = soak(layout, RUNS)
    text = table(samples)
    record_property("figure", f"soak, {RUNS} runs:\n{text}")
    if place := os.environ.get("PQ_SOAK_TABLE"):
        Path(place).write_text(text + "\n")
    warm = [sample for sample in samples if sample.runs > RUNS / 5]
    first_half, second_half = warm[: len(warm) // 2], warm[len(warm) // 2 :]
    # Where in a run a sample falls is chance; what a run opens it closes, so the fewest seen must not become more.
    assert min(s.fds for s in second_half) <= min(s.fds for s in first_half) + 1, "open files grow"
    assert max(sample.processes for sample in warm) <= max(sample.processes for sample in samples[:3]) + 1
    early, late = warm[0], warm[-1]
    assert late.rss_mib - early.rss_mib < 0.05 * early.rss_mib + 2.0, "resident memory grows"
    a_run = (late.files - early.files) / (late.runs - early.runs)
    assert abs(a_run - (early.files - samples[0].files) / (early.runs - samples[0].runs)) < 2.0, "files a run grow"
    grown = (late.tree_mib - early.tree_mib) / (late.runs - early.runs)
    assert grown < 1.25 * (early.tree_mib - samples[0].tree_mib) / (early.runs - samples[0].runs), "bytes a run grow"
    assert late.snapshots_mib <= 5.2 * late.pool_mib, "snapshots take more than their share"
