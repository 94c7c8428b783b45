"""An interpreter of its own for every process that makes or judges evidence. Standard library only.

What runs must be what the sources say. ``PYTHONPATH``, ``sitecustomize``, the working directory, bytecode that somebody
left beside a source, and variables that steer numba or the loader can each put other code in their place. So the
programs' entries call `isolate` before they import anything else:

1. The process is replaced by ``python -I``: no ``PYTHON*`` variable, no user site, no working directory on the path.
2. The environment is a closed list of names; everything else is dropped.
3. Bytecode and machine code are kept in one private directory of this user, mode 0700, never beside the sources.

An image and an installed host start the interpreter isolated themselves; there only the image's machine code is chosen.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus.v10.base.processor import choose_machine_code

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
