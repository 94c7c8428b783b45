"""Run a command, and print by room which share of the branches its processes took both ways.

    .venv/bin/python tests/branches/run.py .venv/bin/pytest -n 2 tests/unit

A branch is a conditional jump or a loop of the package's bytecode; it has two outcomes. Processes that the command
starts count too: while it runs, a line in this environment's site-packages makes each load `collect`. What Numba
compiled (most of `core`) is no bytecode; `make mutants` measures the examples of it. Ends with the command's own code.
"""

from __future__ import annotations

import dis
import marshal
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import CodeType

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import collect  # noqa: E402

LINE = "import importlib.util as u; s = u.spec_from_file_location('_branches', {collect!r}); m = u.module_from_spec(s); s.loader.exec_module(m); m.begin({place!r})\n"  # noqa: E501
DEEP = {"cli", "evidence", "ops"}
"""Rooms with rooms inside."""


def room(source: Path) -> str:
    """The room of a module: ``evidence/verify``, ``market``, ``cli``."""
    parts = [part for part in source.relative_to(ROOT / "prometheus").parts[:-1] if part != "v10"]
    return "/".join(parts[: 2 if parts and parts[0] in DEEP else 1]) or "prometheus"


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes(inner)


def branches(code: CodeType) -> Iterator[tuple[int, int]]:
    """Offsets of a code's branches, each with the offset of what follows when it does not jump."""
    listed = list(dis.get_instructions(code, show_caches=False))
    for one, following in pairwise(listed):
        if one.opname.startswith("POP_JUMP_IF_") or one.opname == "FOR_ITER":
            yield one.offset, following.offset


def table(sources: list[Path]) -> tuple[dict, list[str]]:
    """The table that `collect` reads, and the room of each branch."""
    rows, rooms = {}, []
    for source in sources:
        for code in codes(compile(source.read_bytes(), str(source), "exec", dont_inherit=True)):
            rows[collect.key(code)] = [
                (offset, len(rooms) + number, after) for number, (offset, after) in enumerate(branches(code))
            ]
            rooms += [room(source)] * len(rows[collect.key(code)])
    return {"files": frozenset(map(str, sources)), "rows": rows}, rooms


def told(rooms: list[str], outcomes: bytes) -> Iterator[str]:
    """The table by room."""
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for index, name in enumerate(rooms):
        taken = outcomes[2 * index] + outcomes[2 * index + 1]
        for row in (counted[name], counted["all rooms"]):
            row[0] += 1
            row[1] += taken == 2
            row[2] += taken
    yield f"{'room':<22} {'branches':>8} {'both ways':>9} {'outcomes taken':>15}"
    for name, (number, both, taken) in sorted(counted.items(), key=lambda item: (item[0] == "all rooms", item[0])):
        yield f"{name:<22} {number:>8} {both:>9} {taken / (2 * number):>14.1%}"


def main(command: list[str]) -> int:
    if not hasattr(sys, "monitoring"):
        sys.stdout.write("branches are not counted: that needs Python 3.12\n")
        return subprocess.run(command, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="branches-") as place:
        seen, rooms = table(sorted((ROOT / "prometheus").rglob("*.py")))
        (Path(place) / collect.TABLE).write_bytes(marshal.dumps(seen))
        (Path(place) / collect.OUTCOMES).write_bytes(bytes(2 * len(rooms)))
        Path(place).chmod(0o711)
        line = Path(sysconfig.get_path("purelib")) / f"branches-{os.getpid()}.pth"
        try:
            line.write_text(LINE.format(collect=str(HERE / "collect.py"), place=place))
            code = subprocess.run(command, check=False).returncode
        finally:
            line.unlink(missing_ok=True)
        sys.stdout.write("\n".join(told(rooms, (Path(place) / collect.OUTCOMES).read_bytes())) + "\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
