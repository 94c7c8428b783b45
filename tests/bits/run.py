"""The digest of a small world on aarch64, by qemu's user emulation: ``make test-bits``.

1. A Debian of arm64 is unpacked under ``var/aarch64`` (mmdebstrap; none of its scripts is run, and nothing is installed
   outside that folder but mmdebstrap and qemu-user-static, where root may).
2. The locked packages come as aarch64 wheels, each held to its hash.
3. ``tests/unit/core/digest_of_world.py`` is run on this machine and on aarch64, as Python and compiled by Numba.

Ends with 0 when every digest is the golden one, with 1 when one differs, with 69 when the check cannot be done here.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "var" / "aarch64"
DEBIAN, WHEELS, SITE, CACHE = PLACE / "debian", PLACE / "wheels", PLACE / "site", PLACE / "numba"
QEMU = "qemu-aarch64-static"
SUITE, PYTHON = "bookworm", "3.11"
INTERPRETER = DEBIAN / "usr" / "bin" / f"python{PYTHON}"
NEEDED = ("numba", "llvmlite", "numpy", "attrs", "pytest", "pluggy", "iniconfig", "packaging", "pygments")
"""What the world needs, and what the tests' `conftest.py` beside it imports."""
SCRIPT = ROOT / "tests" / "unit" / "core" / "digest_of_world.py"
GOLDEN = re.search(r'^GOLDEN = "(\w{64})"', SCRIPT.with_name("test_same_bits.py").read_text(), re.MULTILINE)[1]
TICKS = "200"
CANNOT = 69


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def cannot(why: str) -> SystemExit:
    """What is to be raised when the check cannot be done here."""
    say(f"test-bits: not done: {why}")
    return SystemExit(CANNOT)


def do(what: str, *words: str | Path) -> None:
    """Run a program of the set-up; its failure ends the check, in one line."""
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        last = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()][-1:]
        raise cannot(f"{what} failed: {''.join(last)}")


def tools() -> None:
    missing = [
        package
        for command, package in ((QEMU, "qemu-user-static"), ("mmdebstrap", "mmdebstrap"))
        if shutil.which(command) is None
    ]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise cannot(f"Debian's {' and '.join(missing)} is not installed (sudo apt-get install {' '.join(missing)})")
    do("apt-get update", "apt-get", "-qq", "update")
    do("apt-get install", "apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing)


def debian() -> None:
    """An interpreter for aarch64 with its libraries; unpacked whole, or not at all."""
    if INTERPRETER.exists():
        return
    part = PLACE / "debian.part"
    shutil.rmtree(part, ignore_errors=True)
    include = f"python{PYTHON},libstdc++6,libgomp1"
    do(
        f"unpacking Debian {SUITE} for arm64",
        "mmdebstrap", "--architectures=arm64", "--variant=extract", f"--include={include}", SUITE, part,
    )  # fmt: skip
    part.rename(DEBIAN)


def locked() -> list[str]:
    """Requirements of NEEDED, with hashes, as an interpreter of this version on aarch64 Linux wants them."""
    printed = subprocess.run(
        [sys.executable, ROOT / "packaging" / "requirements.py", "--group", "dev"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    there = {
        "python_version": PYTHON, "python_full_version": f"{PYTHON}.2", "platform_machine": "aarch64",
        "sys_platform": "linux", "platform_system": "Linux", "implementation_name": "cpython",
        "platform_python_implementation": "CPython", "os_name": "posix",
    }  # fmt: skip
    wanted = []
    for line in printed.splitlines():
        pinned, _, hashes = line.partition(" --hash=")
        requirement, _, marker = pinned.partition(";")
        if requirement.split("==")[0] in NEEDED and (not marker or Marker(marker.strip()).evaluate(there)):
            wanted.append(f"{requirement.strip()} --hash={hashes}")
    if len(wanted) != len(NEEDED):
        raise cannot(f"poetry.lock has {len(wanted)} of {len(NEEDED)} packages for Python {PYTHON}")
    return wanted


def packages() -> None:
    """The locked packages, unpacked into SITE; again whenever the lock asks for others."""
    text = "\n".join(locked()) + "\n"
    stamp = PLACE / "requirements.txt"
    if SITE.exists() and stamp.exists() and stamp.read_text() == text:
        return
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.rmtree(WHEELS, ignore_errors=True)
    asked = PLACE / "requirements.part"
    asked.write_text(text)
    platforms = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
    do(
        "downloading wheels for aarch64",
        sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
        "--require-hashes", "--only-binary=:all:", "--python-version", PYTHON,
        *(word for name in platforms for word in ("--platform", f"{name}_aarch64")), "-d", WHEELS, "-r", asked,
    )  # fmt: skip
    SITE.mkdir()
    for wheel in WHEELS.iterdir():
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(SITE)
    asked.rename(stamp)


def digest(name: str, words: list[str | Path], *, jit: bool) -> bool:
    """Run the world and print its digest; whether it is the golden one."""
    environment = {
        "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(CACHE / name),
        "NUMBA_DISABLE_JIT": "0" if jit else "1",
    }  # fmt: skip
    if words[0] == QEMU:
        environment["PYTHONPATH"] = f"{SITE}:{ROOT}"
    began = time.monotonic()
    ended = subprocess.run(
        [*map(str, words), "-W", "ignore", str(SCRIPT), TICKS],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        say(f"{name:<8} failed: {ended.stderr.strip()[-400:]}")
        return False
    found, orders, how, numpy = ended.stdout.split()
    same = found == GOLDEN
    say(
        f"{name:<8} {how:<10} {found} {'as the golden one' if same else 'DIFFERS'} "
        f"({orders} orders, numpy {numpy}, {time.monotonic() - began:.0f} s)"
    )
    return same


def main() -> int:
    if platform.machine() == "aarch64":
        say("test-bits: this machine is aarch64 itself; make test checks its bits")
        return 0
    PLACE.mkdir(parents=True, exist_ok=True)
    tools()
    debian()
    packages()
    emulated: list[str | Path] = [QEMU, "-L", DEBIAN, INTERPRETER]
    same = [
        digest(platform.machine(), [sys.executable], jit=True),
        digest("aarch64", emulated, jit=False),
        digest("aarch64", emulated, jit=True),
    ]
    say("the same bits" if all(same) else "NOT the same bits")
    return 0 if all(same) else 1


if __name__ == "__main__":
    raise SystemExit(main())
