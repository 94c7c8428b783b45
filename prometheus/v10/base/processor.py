"""Which machine code of an image a processor can run. Standard library only.

An image holds the world's machine code for several levels of its architecture, each in a directory of its own, and a
list of every file (`runs.workers.machine_code`). A process of the image chooses the highest level that its processor
has before it imports numba. Results are the same bits on every level.
"""

from __future__ import annotations

import json
import platform
from collections.abc import MutableMapping
from pathlib import Path

LIST = "_machine_code.json"
"""Beside the package in an image: every file of machine code, ``LEVEL/…``, and its sha256."""
GENERIC = "generic"
"""Code for every processor of the architecture."""
X86_64_V3 = "x86-64-v3"
_NEEDS = {
    X86_64_V3: frozenset(
        ["cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm",
         "movbe"]
    ),
}  # fmt: skip
"""What a level needs beside `GENERIC`, as the kernel calls it (levels: System V ABI, AMD64 supplement)."""
CPU_NAME, CPU_FEATURES, CACHE_DIR = "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR"


def levels_of(machine: str) -> tuple[str, ...]:
    """The levels that an image of this architecture holds, the highest first.

    Args:
        machine: as ``uname -m`` says it.
    """
    return (X86_64_V3, GENERIC) if machine == "x86_64" else (GENERIC,)


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The flags that all processors of this machine have; none where the kernel does not say."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = [frozenset(line.partition(":")[2].split()) for line in lines if line.split(":")[0].strip() == "flags"]
    return frozenset.intersection(*found) if found else frozenset()


def runs_on(level: str, flags: frozenset[str]) -> bool:
    """Whether a processor with these flags can run code of a level."""
    return level == GENERIC or _NEEDS.get(level, frozenset([level])) <= flags


def choose_machine_code(
    environ: MutableMapping[str, str], package: Path, cpuinfo: Path = Path("/proc/cpuinfo"),
    machine: str | None = None,
) -> str | None:  # fmt: skip
    """Point numba to the machine code of the highest level that this processor can run.

    A level that ``NUMBA_CPU_NAME`` names already is kept: somebody asked for it.

    Args:
        environ: the environment of this process; changed.
        package: directory of the ``prometheus`` package.
        cpuinfo: where the kernel describes the processor.
        machine: the architecture; None asks the kernel.

    Returns:
        The level; None outside an image, where numba compiles for the processor at hand, and for a list that cannot be
        read, which the check of machine code reports.
    """
    try:
        listed = json.loads((package / LIST).read_bytes())
    except (OSError, ValueError):
        return None
    place = environ.get(CACHE_DIR, "")
    if not isinstance(listed, dict) or not place.startswith("/"):
        return None
    levels = {str(name).partition("/")[0] for name in listed}
    asked = environ.get(CPU_NAME)
    if asked in levels and Path(place).name == asked:
        return asked  # the process that began this one chose
    flags = processor_flags(cpuinfo)
    there = [one for one in levels_of(machine or platform.machine()) if one in levels]
    level = asked if asked in there else next((one for one in there if runs_on(one, flags)), None)
    if level is not None:
        environ.update({CPU_NAME: level, CPU_FEATURES: "", CACHE_DIR: f"{place}/{level}"})
    return level
