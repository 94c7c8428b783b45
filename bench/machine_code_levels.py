"""What machine code for a level of the processor is worth: the same experiments by each, in processes of their own.

    python -m bench.machine_code_levels

Processor time of the process, the best of four turns; what is compiled is compiled before the first.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prometheus.v10.base.isolation import CACHE_DIR, CPU_FEATURES, CPU_NAME, levels_of, processor_flags, runs_on
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import capital
from prometheus.v10.core.world import Experiment
from prometheus.v10.runs.request.ablation import mask
from prometheus.v10.runs.request.profile import load_profile
from prometheus.v10.runs.request.setup import known_market, prepare

TURNS, SEEDS = 4, (2, 3, 4)
NATIVE = "native"


def rate() -> float:
    """Agent-ticks a second of the first era's experiments of HF, one processor, in this process."""
    layout = Layout.under(Path("var"))
    world = prepare(load_profile("HF", layout), layout, 0)
    known = known_market(world.bars, world.config, mask(world.ablation))

    def agent_ticks(seed: int) -> int:
        experiment = Experiment(
            known.market, world.config, seed, mask=known.mask, environment=known.environment
        )  # fmt: skip
        while experiment.step(512):
            pass
        return int(experiment.result().tally[capital.AGENT_TICKS])

    agent_ticks(1)
    best = 0.0
    for _ in range(TURNS):
        begun = time.process_time()
        ticks = sum(agent_ticks(seed) for seed in SEEDS)
        best = max(best, ticks / (time.process_time() - begun))
    return best


def main(words: list[str]) -> int:
    """Print the rate of each level that this processor can run, and of code for the processor itself."""
    if words:
        sys.stdout.write(f"{rate():.0f}\n")
        return 0
    levels = [level for level in reversed(levels_of(platform.machine())) if runs_on(level, processor_flags())]
    for level in (*levels, NATIVE):
        with tempfile.TemporaryDirectory(prefix="prometheus-levels-") as cache:
            steered = {**os.environ, CACHE_DIR: cache}
            if level != NATIVE:
                steered |= {CPU_NAME: level, CPU_FEATURES: ""}
            ended = subprocess.run(
                [sys.executable, "-m", "bench.machine_code_levels", level],
                env=steered, check=True, capture_output=True, text=True,
            )  # fmt: skip
        sys.stdout.write(f"{level:10} {float(ended.stdout) / 1e6:6.1f} M agent-ticks/s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
