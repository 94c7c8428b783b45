"""How core functions are compiled, in one place.

The same source runs compiled by numba and, with ``NUMBA_DISABLE_JIT=1``, as plain Python; both give the same bits.
That holds because nothing here lets the compiler rewrite arithmetic: no fastmath, so no re-association and no fused
multiply-add; sums run in index order; division follows IEEE 754 (``error_model="numpy"``) instead of raising.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import config, njit
from numba.core.codegen import get_host_cpu_features, ll  # type: ignore[attr-defined]

# LLVM avoids 512-bit vectors on processors that have them, for the sake of mixed code; a tick is long enough to gain an
# eighth from them. This chooses instructions, not arithmetic, and yields to features that numba was given by name.
SETTINGS: Any = config
HOST: str = get_host_cpu_features()  # type: ignore[no-untyped-call]
if SETTINGS.CPU_FEATURES is None and "+avx512f" in HOST:
    SETTINGS.CPU_FEATURES = HOST + ",-prefer-256-bit"

# A loop over the sixteen lanes of a tile must reach LLVM's vectoriser as a loop. LLVM would unroll it before, and much
# of what is unrolled stays scalar. The option holds for all that this process compiles from here on, and the core has
# compiled nothing yet. It chooses instructions, not arithmetic. It needs no record beside CORE.lock: machine code that
# numba keeps belongs to the sources that it was compiled from, and this line is one of them.
ll.set_option("", "-unroll-full-max-count=4")

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": False,
    "boundscheck": False,
    "cache": True,
    # Rules are small and called in loops: inlining them spares the copying of their arguments.
    "forceinline": True,
    # No function here allocates; without the run-time's reference counts the loops are twice as fast. Hence also: copy
    # an array to an array element by element, for slice assignment would allocate.
    "_nrt": False,
}

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile ``function`` for exact, repeatable arithmetic, and keep the machine code beside the source."""
    result: Function = njit(function, **OPTIONS)
    return result
