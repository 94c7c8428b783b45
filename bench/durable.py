"""What durability costs: appends beside a bare loop of the same bytes, verification, audit, and opening after a cut.

1. ``append`` and ``append_groups`` of a pool stand beside the least that anybody can do for the same promise: one
   ``write`` and one ``fdatasync`` of bytes that are ready. All three take turns within one run, because a disk is not
   twice the same; the ratio is the median of the turns' ratios. A record cannot be hashed before the one in front of it
   is, so ``append`` of many pays for its hashes while the disk is idle; a stream of groups does not, and what it wrote
   while a sync ran shares the next.
2. Verification, audit and opening run as a stranger would run them: a new process, and the pool out of the page cache.
   Their memory is the largest resident size of any process; beside it stands that for an eighth of the bytes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from prometheus.v10.base.clock import Clock, SystemClock, utc_text
from prometheus.v10.base.errors import EvidenceError, HostError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit_bytes
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX
from prometheus.v10.evidence.chains.ledger import Ledger
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.pools.pool import PoolWriter
from prometheus.v10.evidence.pools.pool_record import PoolEntry, PoolSource, genome_bytes
from prometheus.v10.evidence.pools.snapshot import create_snapshot
from prometheus.v10.evidence.writing.seal import parse_filelist

GROUPS = {1: 100, 10: 60, 100: 8, 1000: 4}
"""Group size, and how many groups one turn appends: few, so that entries are in the processor's cache when their turn
comes, as those are that a run has just made. A turn is measured from its first call to its last acknowledgement."""
BARS = {("append", 1): 0.80, ("append_groups", 100): 0.90}
WAYS = {
    "append": "one group after the other, each acknowledged before the next is begun",
    "append_groups": "a stream: the next groups are hashed and written while the disk takes this one",
}
READ_BAR = 150.0  # MB/s, of pools
RUN_BAR = 100.0  # MB/s, of runs
RECOVERY_BAR = 10.0  # seconds for 1 GB
MEMORY_BAR = 1.25  # times what an eighth of the bytes needs
FULL_BYTES, QUICK_BYTES = 1_000_000_000, 120_000_000
RECORDS_A_RUN = 100
MB = 1e6


@frozen
class Watched:
    """One process that ended: seconds from its start, and the largest resident size of it or of its children.

    Attributes:
        processor: seconds of processor time, its children's included: what other work on the machine moves less.
    """

    seconds: float
    rss_mb: float
    processor: float


def durable_rows(scratch: Path, *, quick: bool) -> list[dict[str, Any]]:
    """Measure; every row has ``figure``, ``value``, ``unit``, ``beside``, ``ratio``, ``bar``, ``held``, ``detail``.

    ``beside`` is what the value is compared with, in the same unit, and what that is stands in ``detail``; ``bar`` is a
    text, and ``held`` says whether it is met; all four are None where there is nothing to compare with.

    Args:
        scratch: an empty directory on the disk that is to be measured; what is written stays for the caller to remove.
        quick: fewer turns, and a pool of an eighth of a GB.

    Raises:
        HostError: when the disk refuses, or a process that is measured fails.
    """
    clock = SystemClock()
    rows = [row for size in GROUPS for row in _append_rows(scratch, size, 5 if quick else 40, clock)]
    rows += _reading_rows(scratch / "root", QUICK_BYTES if quick else FULL_BYTES, clock)
    return [*rows, _run_row(scratch / "run", 16 if quick else 160)]


# ---- appending -------------------------------------------------------------------------------------------------------


def _append_rows(scratch: Path, size: int, turns: int, clock: Clock) -> list[dict[str, Any]]:
    groups = [list(entries(1, size, 1 + number, clock)) for number in range(GROUPS[size])]
    data = [b"".join(entry.encoded.line(n, "0" * 64) for n, entry in enumerate(group)) for group in groups]
    seconds: dict[str, list[float]] = {"append": [], "append_groups": [], "bare": []}
    fd = os.open(scratch / f"bare_{size}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        with (
            PoolWriter(scratch / f"one_by_one_{size}.jsonl", clock=clock, on_torn=no_tail) as plain,
            PoolWriter(scratch / f"in_groups_{size}.jsonl", clock=clock, on_torn=no_tail) as ahead,
        ):
            work: dict[str, Callable[[], Iterator[object]]] = {
                "append": lambda: _append(plain, groups),
                "append_groups": lambda: ahead.append_groups(groups),
                "bare": lambda: _bare(fd, data),
            }
            for turn in range(turns + 1):
                # In another order each time: what a disk does first and last in a turn is not the same.
                for name, do in [*work.items()][turn % 3 :] + [*work.items()][: turn % 3]:
                    taken = _whole(do())
                    if turn:  # the first one warms up
                        seconds[name].append(taken)
    finally:
        os.close(fd)
    records = size * GROUPS[size]
    return [_append_row(name, size, records, seconds) for name in ("append", "append_groups")]


def _append_row(name: str, size: int, records: int, seconds: dict[str, list[float]]) -> dict[str, Any]:
    ratio = statistics.median(bare / ours for ours, bare in zip(seconds[name], seconds["bare"], strict=True))
    least = BARS.get((name, size))
    return _row(
        f"durable appends, groups of {size}, {name}",
        records / statistics.median(seconds[name]),
        "records/s",
        beside=records / statistics.median(seconds["bare"]),
        ratio=ratio,
        bar=None if least is None else f">= {least:.0%} of the bare loop",
        held=None if least is None else ratio >= least,
        detail=f"{WAYS[name]}; beside: one write and one fdatasync a group, of bytes that are ready",
    )


def _whole(acknowledged: Iterator[object]) -> float:
    """Seconds from the first call to the last acknowledgement: what a stream has written ahead is not given to it."""
    started = time.perf_counter()
    for _ in acknowledged:
        pass
    return time.perf_counter() - started


def _append(writer: PoolWriter, groups: Sequence[Sequence[PoolEntry]]) -> Iterator[list[int]]:
    for group in groups:
        yield writer.append(group)


def _bare(fd: int, data: Sequence[bytes]) -> Iterator[None]:
    for piece in data:
        os.write(fd, piece)
        os.fdatasync(fd)
        yield None


# ---- reading ---------------------------------------------------------------------------------------------------------


def _reading_rows(root: Path, size: int, clock: Clock) -> list[dict[str, Any]]:
    layout = Layout.under(root)
    layout.prepare()
    pool = layout.pool(Stage.STAGE1)
    small = _write_pool(layout, size // 8, size, clock)
    nbytes = pool.stat().st_size
    said = f"pool of {nbytes / MB:,.0f} MB, cold, a new process"
    python, verify = sys.executable, "prometheus.v10.evidence.verify"
    an_eighth = run_watched([python, "-m", verify, str(small)], [small])
    verified = run_watched([python, "-m", verify, str(pool)], [pool])
    everything = [path for path in root.rglob("*") if path.is_file()]
    audited = run_watched([python, "-c", _AUDIT, str(root)], everything)
    opened = run_watched([python, "-c", _OPEN, str(pool)], [pool])
    growth = verified.rss_mb / an_eighth.rss_mb
    return [
        _speed("verify", nbytes, verified, said),
        _speed("audit", audit_bytes(layout), audited, f"{said}, with a snapshot and the ledger"),
        _row(
            "verify, largest process", verified.rss_mb, "MB", beside=an_eighth.rss_mb, ratio=growth,
            bar=f"<= {MEMORY_BAR} x an eighth of the bytes", held=growth <= MEMORY_BAR,
            detail="beside: the same for an eighth of the bytes",
        ),
        _row(
            "opening after a cut (recovery)", opened.seconds, "s", bar=f"< {RECOVERY_BAR:.0f} s for 1 GB",
            held=opened.seconds < RECOVERY_BAR * nbytes / FULL_BYTES, detail=said,
        ),
    ]  # fmt: skip


def _run_row(root: Path, experiments: int) -> dict[str, Any]:
    """Verification of one run of the profile HF, every derived figure included.

    What counts are the bytes of its evidence as the run wrote them: event files are compressed at the seal, and the
    verifier unpacks them.
    """
    asked = [sys.executable, "-m", "prometheus.cli", "run", "--root", str(root), "--experiments", str(experiments)]
    subprocess.run(asked, stdout=subprocess.DEVNULL, check=True)
    (run,) = Layout.under(root).runs(Tier.TIER1_HF).iterdir()
    files = [path for path in run.iterdir() if path.is_file()]
    on_disk = sum(path.stat().st_size for path in files)
    listed = parse_filelist((run / Artifact.FILELIST).read_bytes())
    nbytes = sum(one.size for name, one in listed.items() if not name.endswith(PACKED_SUFFIX))
    watched = run_watched([sys.executable, "-m", "prometheus.v10.evidence.verify", str(run)], files)
    speed = nbytes / MB / watched.seconds
    return _row(
        "verify, a run", speed, "MB/s", bar=f">= {RUN_BAR:.0f} MB/s", held=speed >= RUN_BAR,
        detail=f"{experiments} experiments, {nbytes / MB:,.0f} MB of evidence, {on_disk / MB:,.0f} MB on disk, cold, a "
        f"new process of {watched.rss_mb:.0f} MB; {watched.processor:.2f} s of processor time",
    )  # fmt: skip


_AUDIT = """
import sys
from pathlib import Path
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
if __name__ == "__main__":
    sys.exit(audit(Layout.under(Path(sys.argv[1]))).exit_code)
"""
_OPEN = """
import sys
from pathlib import Path
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.evidence.pools.pool import PoolWriter
with PoolWriter(Path(sys.argv[1]), clock=SystemClock(), on_torn=print) as writer:
    sys.exit(0 if writer.link.n else 1)
"""


def _write_pool(layout: Layout, snapshot_at: int, size: int, clock: Clock) -> Path:
    """A pool of ``size`` bytes, and a snapshot of its first ``snapshot_at``, which the ledger knows."""
    pool, snapshot = layout.pool(Stage.STAGE1), None
    ledger = Ledger(layout.ledger, clock=clock, instance="BENCH", on_torn=no_tail)
    with PoolWriter(pool, clock=clock, on_torn=no_tail) as writer:
        groups = (list(entries(10, RECORDS_A_RUN, seed, clock)) for seed in range(10**9))
        while writer.size < size:
            for _ in writer.append_groups(group for group, _ in zip(groups, range(8), strict=False)):
                pass
            if snapshot is None and writer.size >= snapshot_at:
                snapshot = create_snapshot(pool, layout.snapshots(Stage.STAGE1), clock=clock, git_commit=None)
                ledger.append(LedgerEntryType.SNAPSHOT, snapshot.ledger_payload())
    if snapshot is None:
        raise EvidenceError(f"{pool} is too small to be measured")
    return snapshot.path


def entries(experiments: int, each: int, seed: int, clock: Clock) -> Iterator[PoolEntry]:
    """Entries as a run hands them in: ``each`` of every experiment, random genomes, metrics of a usual size."""
    run_id = f"HF_20260101T000000Z_0123456_{seed % 65536:04x}"
    reasons = {"source.docker_image": "not run in an image", "metrics_summary.death_reason": "it survived"}
    for experiment in range(experiments):
        rng = np.random.Generator(np.random.Philox(key=[seed, experiment]))
        for index, genome in enumerate(rng.standard_normal((each, 342), dtype=np.float32)):
            yield PoolEntry(
                genome=genome_bytes(genome),
                created_at=utc_text(clock.now()),
                source=PoolSource(
                    git_commit="0123456789abcdef0123456789abcdef01234567", docker_image=None, run_id=run_id,
                    seed=seed * experiments + experiment, mode="offline",
                    window={"name": "HF4W", "start": 0, "len": 8064}, ablation={"name": "none", "detail": "all"},
                    experiment=experiment, genome_index=index, arm="A_real",
                ),
                metrics_summary={
                    "survived": True, "death_reason": None, "birth_tick": index, "trades": index * 7,
                    "initial_capital": 80.0, "final_capital": 80.0 + float(genome[0]), "roi_lifetime": float(genome[1]),
                    "costs": {"fees": abs(float(genome[2])), "funding": float(genome[3]), "slippage": float(genome[4])},
                },
                fingerprint_ref=f"{run_id}/execution_fingerprint.json",
                null_reasons=reasons,
            )  # fmt: skip


_WATCH = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, seconds, used.ru_maxrss, used.ru_utime + used.ru_stime]))
"""
"""A small process stands between, because the kernel counts a forking parent's pages as its child's."""


def run_watched(command: list[str], cold: Sequence[Path]) -> Watched:
    """Run a command with these files out of the page cache; its output is not wanted."""
    for path in cold:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
    watched = subprocess.run([sys.executable, "-c", _WATCH, *command], stdout=subprocess.PIPE, check=True)
    code, seconds, kib, processor = json.loads(watched.stdout)
    if code != 0:
        raise HostError(f"{' '.join(command[:3])} ended {code}: nothing was measured")
    return Watched(seconds, kib * 1024 / MB, processor)


def _speed(what: str, nbytes: int, child: Watched, detail: str) -> dict[str, Any]:
    speed = nbytes / MB / child.seconds
    return _row(what, speed, "MB/s", bar=f">= {READ_BAR:.0f} MB/s", held=speed >= READ_BAR, detail=detail)


def _row(
    figure: str, value: float, unit: str, *, beside: float | None = None, ratio: float | None = None,
    bar: str | None = None, held: bool | None = None, detail: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "figure": figure, "value": value, "unit": unit, "beside": beside, "ratio": ratio, "bar": bar, "held": held,
        "detail": detail,
    }  # fmt: skip


def no_tail(torn: TornTail) -> None:
    """A torn tail cannot be here: refuse."""
    raise EvidenceError(f"{torn.path}: a torn tail in a file that was made just now")
