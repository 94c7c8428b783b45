"""A part's work on a tmpfs that is full after k more pages (or k more files), for k = 0, 1, 2 ... until it has room."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.kernel import FILES
from tests.integration.faults.mounts import mount_tmpfs, remount
from tests.integration.faults.parts import PARTS, try_work
from tests.integration.faults.support import say

PAGE = 4096
PLENTY = {"size": 1 << 28, "nr_inodes": 1 << 16}


def used(disk: Path, what: str) -> int:
    figures = os.statvfs(disk)
    if what == "files":
        return figures.f_files - figures.f_ffree
    return (figures.f_blocks - figures.f_bfree) * figures.f_frsize


def main(part_name: str, what: str, disk: Path) -> None:
    mount_tmpfs(disk, **PLENTY)
    refused, room, acknowledged = 0, 0, 0
    while True:
        part = PARTS[part_name](disk / "root")
        part.clear()
        part.renew()
        if what == "files":
            remount(disk, nr_inodes=used(disk, what) + room)
        else:
            remount(disk, size=used(disk, what) + room * PAGE or PAGE)
        acks, error = try_work(part, FILES, HostError)
        remount(disk, **PLENTY)
        part.check(acks)
        acknowledged += len(acks)
        if error is None:
            break
        assert re.search(r"No space left|only \d+ were taken", str(error)), error
        refused, room = refused + 1, room + 1
    say({"refused": refused, "acknowledged": acknowledged, "room": room})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
