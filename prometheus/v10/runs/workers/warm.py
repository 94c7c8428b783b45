"""Compile the world's code, or load what an earlier process compiled, before anything waits for a run to move.

The fork server does it too (`preload`), so that workers are born with the code and none spends its first second on it.
"""

from __future__ import annotations

import numpy as np

from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import Market
from prometheus.v10.core.world import Experiment
from prometheus.v10.runs.workers.known_answer import require_known_answer


def warm_up() -> None:
    """Pass through every compiled function: a world in which everyone breeds, and one in which everyone dies.

    Raises:
        CoreInvarianceError: when the machine code that came of it does not give the known answer.
    """
    price, volume = np.array([100.0, 101.0, 102.0]), np.full(3, 1e6)
    times = np.arange(3, dtype=np.int64) * 3600
    market = Market(times, price, price + 1.0, price - 1.0, price + 0.5, volume, np.full(3, 1e-4))
    tiny = WorldConfig(founders=2, review_ticks=1)
    for ecology in (tiny._replace(death_roi=-2.0, breed_roi=-1.0), tiny._replace(death_roi=2.0, breed_roi=3.0)):
        experiment = Experiment(market, ecology, 0, keep_orders_one_in=1)
        while experiment.step(1):
            pass
        experiment.result()
    require_known_answer()
