"""Write a small installation with the code of this checkout, and pack it: ``keep.py ROOT ARCHIVE`` (see README.md)."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from prometheus.v10.base.paths import Layout

STAGE1 = """
mode = "offline"
workers = 2
[market]
timeframe_s = 300
seed = 7
bars = 900
[experiments]
count = 2
[world]
founders = 12
breed_roi = 0.0005
review_ticks = 200
death_roi = -0.05
[service]
pause_seconds = 0.05
[disk]
keep_free_bytes = 1048576
"""
STAGE2 = """
mode = "offline"
stage = "stage2"
workers = 2
[market]
timeframe_s = 3600
seed = 9
bars = 500
[stage2]
timeframes_s = [3600, 14400]
seeds = [1]
crowd = 4
batch = 16
[disk]
keep_free_bytes = 1048576
[pool]
snapshot_every_runs = 0
"""
GATE = """
name = "g"
ablations = []
fences = ["FENCE_CORE_LONG_ONLY"]
[market]
source = "synthetic"
timeframe_s = 3600
bars = 360
[[windows]]
name = "W1"
start = 0
len = 180
[[windows]]
name = "W2"
start = 180
len = 180
[seeds]
count = 30
[world]
founders = 5
review_ticks = 60
death_roi = -0.05
breed_roi = 0.01
[paths]
count = 41
seeds = 2
[signs]
draws = 3
"""
FAILED_GATE = 1  # a gate of 30 seeds shows nothing, and says so


def type_in(*words: str, expected: int = 0) -> None:
    """Run a module as an operator does; ends the program when it ends otherwise than expected."""
    ended = subprocess.run([sys.executable, "-m", *words], check=False)
    if ended.returncode != expected:
        raise SystemExit(f"{' '.join(words)} ended {ended.returncode}")


def write(root: Path) -> None:
    """Two runs of stage 1, a snapshot, a run of stage 2, a promotion and a gate."""
    tree = Layout.under(root)
    tree.prepare()
    for name, text in (("HF.toml", STAGE1), ("STAGE2.toml", STAGE2), ("g.toml", GATE)):
        (tree.profiles / name).write_text(text)
    place = ("--root", str(root))
    service = ("prometheus.v10.ops.run_v10_service", "--mode", "offline", *place, "--max-runs", "1")
    command = "prometheus.cli"
    type_in(*service, "--stage", "stage1", "--instance", "HF")
    type_in(*service, "--stage", "stage1", "--instance", "HF")
    type_in(command, "snapshot", "create", *place)
    type_in(*service, "--stage", "stage2", "--instance", "STAGE2")
    type_in(command, "promote", "--top-k", "1", *place)
    type_in(command, "gate", "--config", str(tree.profiles / "g.toml"), *place, expected=FAILED_GATE)
    type_in(command, "audit", *place)


def pack(root: Path, archive: Path) -> None:
    """The installation as root.tar.xz, without its reserve files."""

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return None if Path(member.name).name == "reserve.bin" else member

    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(root, ".", filter=kept)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
