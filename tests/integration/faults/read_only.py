"""What happens on a file system that becomes read-only: between two openings, or under a writer's hands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import HostError
from prometheus.v10.base.kernel import FILES
from prometheus.v10.base.modes import Stage
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.pools.pool import PoolWriter, iter_records
from prometheus.v10.evidence.verify.verify_chain import verify_pool
from tests.conftest import FakeClock
from tests.integration.faults.mounts import mount_tmpfs, remount, run
from tests.integration.faults.part import Part
from tests.integration.faults.parts import PARTS, try_work
from tests.integration.faults.support import entry, say, untold

IMAGE_BYTES = 32 << 20


def remounted(disk: Path) -> dict[str, Any]:
    """Every part: refused with one clear error, everything still readable and passing, and on it goes afterwards."""
    mount_tmpfs(disk, size=1 << 28)
    said = {}
    for name in PARTS:
        part = PARTS[name](disk / name)
        part.clear()
        part.renew()
        if name not in {"seal", "retention"}:  # those begin with something to be done
            acks, error = try_work(part, FILES, HostError)
            assert error is None, error
        remount(disk, ro="")
        acks, error = refused(part)
        assert acks == []
        said[name] = [error.message, error.hint, int(error.exit_code)]
        if part.layout.pool(Stage.STAGE1).exists():
            assert verify_pool(part.layout.pool(Stage.STAGE1)).exit_code == 0
            assert next(iter_records(part.layout.pool(Stage.STAGE1))).n == 0
        audit(part.layout)
        remount(disk, rw="")
        part.check(acks)
    return said


def refused(part: Part) -> tuple[list[str], HostError]:
    acks: list[str] = []
    try:
        part.work(FILES, acks.append)
    except HostError as error:
        return acks, error
    except OSError as error:  # a part whose preparation is a plain call of the test's own
        return acks, HostError(str(error), hint="the file system is read-only")
    raise AssertionError(f"{part.name} worked on a read-only file system")


def under_the_writers_hands(disk: Path) -> dict[str, Any]:
    """An ext4 that meets an error remounts itself read-only while the pool is open: no false acknowledgement."""
    image = disk.with_suffix(".img")
    image.write_bytes(b"")
    with image.open("r+b") as file:
        file.truncate(IMAGE_BYTES)
    run("mkfs.ext4", "-q", "-F", str(image))
    disk.mkdir()
    try:
        run("mount", "-o", "loop,errors=remount-ro", str(image), str(disk))
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"no loop device can be mounted here: {error.stderr.strip()}\n")
        raise SystemExit(77) from None
    device = Path(run("findmnt", "-no", "SOURCE", str(disk)).strip()).name
    trigger = Path("/sys/fs/ext4") / device / "trigger_fs_error"
    if not trigger.exists():
        sys.stderr.write("this kernel cannot be asked for a file system error\n")
        raise SystemExit(77)
    pool, acknowledged, errors = disk / "pool.jsonl", 0, []
    with PoolWriter(pool, clock=FakeClock(), on_torn=untold) as writer:
        for n in range(20):
            if n == 10:
                trigger.write_text("1\n")
            try:
                acknowledged += len(writer.append([entry(n)]))
            except HostError as error:
                errors.append([error.message, error.hint, int(error.exit_code)])
    verdict = verify_pool(pool)
    run("umount", str(disk))
    run("mount", "-o", "loop", str(image), str(disk))
    with PoolWriter(pool, clock=FakeClock(), on_torn=untold) as writer:
        survived = writer.link.n
        writer.append([entry(survived)])
    return {"acknowledged": acknowledged, "errors": errors, "survived": survived, "lines": verdict.lines()}


if __name__ == "__main__":
    work = {"remounted": remounted, "in_flight": under_the_writers_hands}[sys.argv[1]]
    say(work(Path(sys.argv[2])))
