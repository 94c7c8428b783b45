"""Fill numba's cache by running one small experiment for each level, and make its bytes the same in every build.

Runs inside the image while it is built, on a processor that has every level of the architecture. The index of the cache
holds hashes of the sources, not times, so it is stable by itself. Its data files hold, in a listing for humans,
addresses of Python functions as they were in the building process; those are overwritten with zeros of the same length,
which changes nothing that is executed. Last, the sha256 of every file is written beside the package, and processes of
the image compare it (`runs.workers.machine_code`).
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from prometheus.v10.base.isolation import levels_of, processor_flags, runs_on
from prometheus.v10.runs.workers.machine_code import seal_machine_code

# Every rule of the world at work: reviews, deaths, births, fills, funding, both arms' bars alike.
PROFILE = """\
mode = "offline"
stage = "stage1"
workers = 1
[market]
source = "synthetic"
timeframe_s = 300
seed = 1
bars = 1200
[window]
name = "WARM"
start = 0
len = 1200
[experiments]
count = 1
[world]
review_ticks = 288
community_ticks = 288
[disk]
keep_free_bytes = 0
"""
ADDRESS = re.compile(rb"(?<= at 0x)[0-9a-f]{12}(?=>)")


def main() -> int:
    """Fill the cache of each level and seal all of them; returns the exit code."""
    levels = levels_of(platform.machine())
    lacking = [level for level in levels if not runs_on(level, processor_flags())]
    if lacking:
        sys.stderr.write(f"this processor cannot run {lacking[0]} code: build the image on one that can\n")
        return 69
    directory = Path(os.environ["NUMBA_CACHE_DIR"]).parent
    if not all(fill(directory / level) for level in levels):
        return 70
    seal_machine_code(directory)
    return 0


def fill(cache: Path) -> bool:
    """Run the experiment and blank the addresses; False, said, where numba left nothing."""
    cache.mkdir(parents=True, exist_ok=True)
    steered = {**os.environ, "NUMBA_CPU_NAME": cache.name, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(cache)}
    with tempfile.TemporaryDirectory() as place:
        profile = Path(place, "warm.toml")
        profile.write_text(PROFILE)
        # Not isolated: an isolated interpreter ignores PYTHONHASHSEED, and the cache must be the same in every build.
        start = "import sys; from prometheus.cli.main import main; sys.exit(main())"
        command = [sys.executable, "-c", start, "run", "--root", f"{place}/var", "--profile", str(profile)]
        subprocess.run([*command, "--instance", "WARM", "--json"], check=True, stdout=subprocess.DEVNULL, env=steered)
    files = sorted(cache.rglob("*.nbc"))
    if not files:
        sys.stderr.write(f"numba left nothing in {cache}\n")
        return False
    for file in files:
        data = file.read_bytes()
        file.write_bytes(ADDRESS.sub(b"0" * 12, data))
    return True


if __name__ == "__main__":
    raise SystemExit(main())
