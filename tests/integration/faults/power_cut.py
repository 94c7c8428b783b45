"""The power goes: what a disk holds at that moment is copied away, and opened as after a boot.

An ext4 lies on a loop device. A writer appends, acknowledges, freezes snapshots. At a random moment it is halted, and
the bytes that have reached the device are copied: what was written and not synced is still in the page cache of the
file system, and is not among them. The copy is mounted (its journal is replayed) and checked like any other part.
``--lying`` takes the syncs away from the writer: then records must get lost, or this rig would prove nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from prometheus.v10.base.kernel import FILES, Files
from tests.integration.faults.mounts import run
from tests.integration.faults.parts import PARTS
from tests.integration.faults.support import UnsyncedFiles, say, some_entries

IMAGE_BYTES = 24 << 20
TURNS = {"pool": 10, "ledger": 100, "snapshot": 2}
OPTIONS = "loop,commit=300"  # the journal is not to be written every five seconds by itself: only when we sync


def work_until_killed(part_name: str, disk: Path, files: Files, writer: int) -> None:
    """Never returns; says each acknowledgement once it has been made."""
    part = PARTS[part_name](disk / "root")
    os.write(writer, b"go\n")
    for _ in range(TURNS[part_name]):
        part.work(files, lambda ack: os.write(writer, f"{ack}\n".encode()) and None)
    time.sleep(3600)


def cut_once(part_name: str, place: Path, files: Files, after: float) -> list[str]:
    """One cut; returns what had been acknowledged before it. Raises what the check raises."""
    image, disk, copy = place / "disk.img", place / "disk", place / "copy.img"
    prepare(image, disk, part_name)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            work_until_killed(part_name, disk, files, writer)
        finally:
            os._exit(1)
    os.close(writer)
    with open(reader, "rb", buffering=0) as pipe:  # noqa: PTH123  (a descriptor)
        assert pipe.read(3) == b"go\n"
        time.sleep(after)
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
        os.set_blocking(reader, False)
        acks = (pipe.read(1 << 20) or b"").decode().split("\n")[:-1]
        shutil.copyfile(image, copy)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    run("umount", str(disk))
    run("mount", "-o", OPTIONS, str(copy), str(disk))
    try:
        part = PARTS[part_name](disk / "root")
        part.check(acks)
    finally:
        run("umount", str(disk))
    return acks


def prepare(image: Path, disk: Path, part_name: str) -> None:
    """A fresh file system with the part's beginnings, all of it on the device."""
    template = image.with_name("template.img")
    if not template.exists():
        with template.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        run("mkfs.ext4", "-q", "-F", str(template))
        disk.mkdir(exist_ok=True)
        try:
            run("mount", "-o", OPTIONS, str(template), str(disk))
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"no loop device can be mounted here: {error.stderr.strip()}\n")
            raise SystemExit(77) from None
        PARTS[part_name](disk / "root").renew()
        run("umount", str(disk))
    shutil.copyfile(template, image)
    run("mount", "-o", OPTIONS, str(image), str(disk))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["pool", "ledger", "snapshot"])
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lying", action="store_true", help="the writer does not sync")
    parser.add_argument("--scratch", type=Path, required=True)
    asked = parser.parse_args()
    chance, lost, acknowledged, kinds = random.Random(asked.seed), 0, 0, set()
    asked.scratch.mkdir(parents=True, exist_ok=True)
    some_entries()  # once, and not in every child
    started = time.perf_counter()
    for _ in range(asked.cuts):
        try:
            acknowledged += len(
                cut_once(asked.part, asked.scratch, UnsyncedFiles() if asked.lying else FILES, chance.uniform(0, 0.25))
            )
        except (AssertionError, FileNotFoundError) as error:
            if not asked.lying:
                raise
            lost += 1
            kinds.add(str(error).split("\n")[0][:80])
    seconds = round(time.perf_counter() - started, 1)
    say({"cuts": asked.cuts, "acknowledged": acknowledged, "lost": lost, "kinds": sorted(kinds), "seconds": seconds})


if __name__ == "__main__":
    main()
