"""How core functions are compiled, in one place.

The same source runs compiled by numba and, with ``NUMBA_DISABLE_JIT=1``, as plain Python; both give the same bits.
That holds because nothing here lets the compiler rewrite arithmetic: no fastmath, so no re-association and no fused
multiply-add; sums run in index order; division follows IEEE 754 (``error_model="numpy"``) instead of raising.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from numba import njit

OPTIONS = {
    "error_model": "numpy",
    "fastmath": False,
    "boundscheck": False,
    "cache": True,
    # Rules are small and called in loops: inlining them spares the copying of their arguments.
    "forceinline": True,
    # No function here allocates; without the run-time's reference counts the loops are twice as fast.
    "_nrt": False,
}

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile ``function`` for exact, repeatable arithmetic, and keep the machine code beside the source."""
    result: Function = njit(
        function, error_model="numpy", fastmath=False, boundscheck=False, cache=True, forceinline=True
    )
    return result
