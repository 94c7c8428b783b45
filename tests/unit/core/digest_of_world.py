"""Print the digest of a small world, in a process of its own (so that its environment can be chosen)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numba
import numpy as np

spec = importlib.util.spec_from_file_location("conftest", Path(__file__).with_name("conftest.py"))
worlds = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worlds)


def main() -> None:
    """``digest_of_world.py TICKS [FEATURE]...``: refuse to run if numpy still uses one of the features."""
    from numpy._core._multiarray_umath import __cpu_features__  # the only place that says what is really in use

    ticks, masked = int(sys.argv[1]), sys.argv[2:]
    used = [name for name in masked if __cpu_features__.get(name)]
    if used:
        raise SystemExit(f"numpy still uses {used}")
    config = worlds.small(breed_roi=0.005, death_roi=-0.02)
    market = worlds.wild(worlds.make_market(9, ticks, config), 4.0)
    result = worlds.run(market, config, 77, keep_orders_one_in=3)
    jit = "uncompiled" if numba.config.DISABLE_JIT else "compiled"  # type: ignore[attr-defined]
    sys.stdout.write(f"{worlds.digest(result)} {len(result.order_ids)} {jit} {np.__version__}\n")


if __name__ == "__main__":
    main()
