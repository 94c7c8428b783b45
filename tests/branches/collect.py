"""Note which outcomes of the package's branches a process takes. Each process of the environment loads this.

`run.py` makes the table of branches and the file of outcomes, two bytes a branch, which all processes map into their
memory: what a process took is noted whatever ends it. Standard library only; Python 3.12 or newer (``sys.monitoring``).
"""

from __future__ import annotations

import marshal
import mmap
import sys
from pathlib import Path
from types import CodeType
from typing import Any

TABLE, OUTCOMES = "table", "outcomes"
ENOUGH = 10_000
"""A branch that went one way so often in one process is watched no longer there: it would cost time."""

_rows: dict[int, dict[int, list[int]]] = {}
_codes: list[CodeType] = []  # kept, so that no other code ever has the id of one of them


def key(code: CodeType) -> tuple[str, int, str, bytes]:
    """What names one code object in the table and in a process."""
    return code.co_filename, code.co_firstlineno, code.co_qualname, code.co_code


def begin(place: str) -> None:
    """Watch this process, and those that it forks; nothing where the files of ``place`` are gone."""
    try:
        table = marshal.loads(Path(place, TABLE).read_bytes())  # noqa: S302  (run.py wrote it)
        with Path(place, OUTCOMES).open("r+b") as file:
            outcomes = mmap.mmap(file.fileno(), 0)
        watch = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        watch.use_tool_id(watch.COVERAGE_ID, "branches")
    except (OSError, ValueError, AttributeError):
        return

    def started(code: CodeType, _offset: int) -> Any:
        if code.co_filename in table["files"]:
            rows = table["rows"].get(key(code))
            if rows is not None and id(code) not in _rows:
                _codes.append(code)
                _rows[id(code)] = {offset: [index, after, ENOUGH] for offset, index, after in rows}
                watch.set_local_events(watch.COVERAGE_ID, code, watch.events.BRANCH)
        return watch.DISABLE

    def branched(code: CodeType, offset: int, destination: int) -> Any:
        row = _rows[id(code)].get(offset)
        if row is None:
            return watch.DISABLE
        index, after, left = row
        outcomes[2 * index + (destination != after)] = 1
        row[2] = left - 1
        return watch.DISABLE if left == 0 or outcomes[2 * index + (destination == after)] else None

    watch.register_callback(watch.COVERAGE_ID, watch.events.PY_START, started)
    watch.register_callback(watch.COVERAGE_ID, watch.events.BRANCH, branched)
    watch.set_events(watch.COVERAGE_ID, watch.events.PY_START)
