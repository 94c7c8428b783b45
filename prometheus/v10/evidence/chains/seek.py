"""A line of a chained file by its number, without reading those before it. Standard library only.

Numbers grow with the offset, so halving finds it. The chain is not checked on the way: what is found is what the file
says of itself.
"""

from __future__ import annotations

from pathlib import Path

from prometheus.v10.base.errors import host_error
from prometheus.v10.evidence.chains.chain import MAX_LINE, LineFormat


def line_of(path: Path, form: LineFormat, n: int) -> tuple[int, bytes] | None:
    """Where line number ``n`` begins, and its bytes; None where the file has no such line.

    Raises:
        HostError: when it cannot be read.
    """
    low = 0
    try:
        with path.open("rb") as reader:
            high = reader.seek(0, 2)
            while low < high:  # lines that begin in [low, high) are looked at
                middle = (low + high) // 2
                reader.seek(middle)
                if middle:
                    reader.seek(middle - 1)
                    reader.readline(MAX_LINE)
                at = reader.tell()
                line = reader.readline(MAX_LINE)
                found = form.link_of(line) if line.endswith(b"\n") else None
                if found is None or found.n > n:
                    high = middle
                elif found.n < n:
                    low = at + len(line)
                else:
                    return at, line
    except FileNotFoundError:
        return None
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    return None
