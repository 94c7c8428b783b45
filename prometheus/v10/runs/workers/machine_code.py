"""An image's compiled code is sealed with the image: what numba loads must be the files that the build left there.

Numba unpickles its cache, so a file in it is code like any other. The build of an image compiles the world for each
level of its architecture, and then writes the sha256 of every file beside the package. A process of the image chooses
one level (`base.isolation`), and compares the files of all levels before it loads one.
Outside an image there is no such list: there the cache is private to the user and bound to the sources
(`base.isolation`), and the known answer is computed with whatever was loaded (`runs.workers.known_answer`).
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path

import prometheus
from prometheus.v10.base.errors import CoreInvarianceError
from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.isolation import LIST
from prometheus.v10.base.text import printable

SUMS = Path(prometheus.__file__).with_name(LIST)
"""The list: names below the directory of all levels, each beginning with its level, and their sha256."""
SUFFIXES = (".nbi", ".nbc")


def sums_of(directory: Path) -> dict[str, str]:
    """Name below ``directory`` to sha256, of every file of machine code in it.

    Raises:
        OSError: when one cannot be read.
    """
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.suffix in SUFFIXES or path.is_symlink()
    }


def seal_machine_code(directory: Path, sums: Path = SUMS) -> int:
    """Write the list for all levels below ``directory``, as a build does; returns how many files it names."""
    found = sums_of(directory)
    write_atomic(sums, json.dumps(found, sort_keys=True, indent=1).encode() + b"\n", mode=0o644)
    return len(found)


@cache
def check_machine_code(sums: Path = SUMS) -> int:
    """Compare the cache with the list, once a process and before anything of it is loaded.

    Returns:
        How many files were compared; 0 where there is no list.

    Raises:
        CoreInvarianceError: naming a file that differs, is missing, or is not on the list.
    """
    hint = "start a fresh container of the image; if that fails too, the image was changed: install it again"
    try:
        listed = json.loads(sums.read_bytes())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        raise CoreInvarianceError(f"{sums} cannot be read: {error}", hint=hint) from error
    place = os.environ.get("NUMBA_CACHE_DIR", "")
    directory, level = Path(place).parent, Path(place).name
    if not place.startswith("/") or not any(name.startswith(f"{level}/") for name in listed):
        raise CoreInvarianceError(
            f"NUMBA_CACHE_DIR is {printable(place)!r}, and the image lists no compiled code there", hint=hint
        )
    try:
        found = sums_of(directory)
    except OSError as error:
        raise CoreInvarianceError(f"compiled code in {directory} cannot be read: {error}", hint=hint) from error
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            raise CoreInvarianceError(
                f"compiled code {directory / name} is not what the image was built with: the list says "
                f"{listed.get(name, 'nothing of it')}, the file {found.get(name, 'is missing')}",
                hint=hint,
            )
    return len(found)
