"""An interpreter of its own for every process that makes or judges evidence. Standard library only.

What runs must be what the sources say. ``PYTHONPATH``, ``sitecustomize``, the working directory, bytecode that somebody
left beside a source, and variables that steer numba or the loader can each put other code in their place. So the
programs' entries call `isolate` before they import anything else:

1. The process is replaced by ``python -I``: no ``PYTHON*`` variable, no user site, no working directory on the path.
2. The environment is a closed list of names; everything else is dropped.
3. Bytecode and machine code are kept in one private directory of this user, mode 0700, never beside the sources.

An image and an installed host start the interpreter isolated themselves; there only the image's machine code is chosen.
It holds the world's code for several levels of its architecture, each in a directory of its own, and a list of every
file (`runs.workers.machine_code`). A process takes the highest level that its processor has, before it imports numba.
Results are the same bits on every level.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

PASSED = frozenset(
    ["HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR",
     "FORCE_COLOR", "TZ", "TMPDIR", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "INVOCATION_ID", "JOURNAL_STREAM",
     "DBUS_SESSION_BUS_ADDRESS", "PROMETHEUS_DATA", "MPLBACKEND", "SSH_AUTH_SOCK"]
)  # fmt: skip
"""Variables that reach an isolated process under their own names."""
PASSED_PREFIXES = ("LC_", "PQ_", "XDG_", "COMP_", "_PROMETHEUS_QUANT_")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PRIVATE = 0o700
BOOT = "import sys; sys.path[:0] = [sys.argv.pop(1)]; import runpy; runpy.run_module(sys.argv.pop(1), {}, '__main__', alter_sys=True)"  # noqa: E501
_CODE_DIRECTORY = "prometheus-quant"


def environment(given: Mapping[str, str], code: Path) -> dict[str, str]:
    """The environment of an isolated process: what the closed list names, and where machine code is kept."""
    kept = {name: value for name, value in given.items() if name in PASSED or name.startswith(PASSED_PREFIXES)}
    return {**kept, "PATH": PATH, "NUMBA_CACHE_DIR": str(code / "numba")}


def code_directory(given: Mapping[str, str]) -> Path:
    """A private directory for bytecode and machine code: the user's cache, or a new one where that cannot be trusted.

    A directory is trusted that is no link, belongs to this user, and that nobody else can write to.
    """
    home = given.get("HOME", "")
    if home.startswith("/") and (made := _private(Path(home) / ".cache" / _CODE_DIRECTORY)) is not None:
        return made
    import tempfile  # noqa: PLC0415  (every command passes here and hardly any needs it: 20 ms)

    return Path(tempfile.mkdtemp(prefix=f"{_CODE_DIRECTORY}-"))


def _private(place: Path) -> Path | None:
    try:
        place.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return None
        if stat.S_IMODE(found.st_mode) != PRIVATE:
            place.chmod(PRIVATE)
        return place if os.access(place, os.W_OK) else None
    except OSError:
        return None


def isolate(module: str, arguments: Sequence[str] | None = None) -> None:
    """Go on as an isolated process, unless this one is isolated already; does not return where it replaces it.

    Args:
        module: what the new interpreter runs as its main module.
        arguments: of the program; those of this process by default.
    """
    if sys.flags.isolated:
        from prometheus.v10.base.extras import hide_scipy  # noqa: PLC0415  (not needed by what is replaced below)

        hide_scipy()
        choose_machine_code(os.environ, Path(__file__).resolve().parents[2])
        return
    code = code_directory(os.environ)
    root = Path(__file__).resolve().parents[3]
    words = [sys.executable, "-I", "-X", f"pycache_prefix={code / 'bytecode'}", "-c", BOOT, str(root), module]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(  # noqa: S606  (no shell: this very interpreter again)
        sys.executable, [*words, *(sys.argv[1:] if arguments is None else arguments)], environment(os.environ, code)
    )


# ---- the machine code of an image -----------------------------------------------------------------------------------

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
ASKED = "PQ_MACHINE_CODE"


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

    The image's own environment names the generic level, for programs that do not choose. ``PQ_MACHINE_CODE`` asks for a
    level.

    Args:
        environ: the environment of this process; changed.
        package: directory of the ``prometheus`` package.
        cpuinfo: where the kernel describes the processor.
        machine: the architecture; None asks the kernel.

    Returns:
        The level; None outside an image, where numba compiles for the processor at hand, and for a list that cannot be
        read, which the check of machine code reports.
    """
    if not (package / LIST).exists():
        return None
    import json  # noqa: PLC0415  (an image alone has the list)
    import platform  # noqa: PLC0415  (likewise)

    try:
        listed = json.loads((package / LIST).read_bytes())
    except (OSError, ValueError):
        return None
    place = Path(environ.get(CACHE_DIR, ""))
    if not isinstance(listed, dict) or not place.is_absolute():
        return None
    levels = {str(name).partition("/")[0] for name in listed}
    there = [one for one in levels_of(machine or platform.machine()) if one in levels]
    flags, asked = processor_flags(cpuinfo), environ.get(ASKED)
    level = asked if asked in there else next((one for one in there if runs_on(one, flags)), None)
    if level is not None:
        above = place.parent if place.name in levels else place
        environ.update({CPU_NAME: level, CPU_FEATURES: "", CACHE_DIR: str(above / level)})
    return level
