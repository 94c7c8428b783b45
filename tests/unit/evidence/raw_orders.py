"""Orders of one experiment as the world logs them, for tests of raw evidence."""

from __future__ import annotations

import json

import numpy as np

from prometheus.v10.evidence.records.raw_lines import OrderContext, RawBlock

RUN_ID = "HF_20260102T030405Z_0123456_0000"
FLAGS = {1: "partial", 2: "unfilled", 4: "margin_capped", 8: "below_lot", 16: "forced"}
CLOSES = 1_700_000_000 + 300 * np.arange(100)


def context(**changes) -> OrderContext:
    values = {
        "run_id": RUN_ID, "experiment": 3, "seed": 11, "arm": "A_real", "symbol": "BTC-USDT-SWAP",
        "kinds": ["entry", "exit", "review_flatten", "liquidation", "settlement"], "flags": FLAGS,
        "at_close": frozenset(["review_flatten", "settlement"]), "forced": frozenset(["liquidation"]),
        "sample_one_in": 1,
    }  # fmt: skip
    return OrderContext(**{**values, **changes})


def log(*orders: tuple[int, int, int, int, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """A log of (tick, agent, kind, flags, ordered, filled)."""
    ids = [(tick, agent, kind, flags, number) for number, (tick, agent, kind, flags, _, _) in enumerate(orders)]
    values = [(o, f, 40_000.1 if f else 0.0, 40_000.0, 0.02 * abs(f), 1e-6, 0.0, f) for *_, o, f in orders]
    return np.array(ids, dtype=np.int64).reshape(-1, 5), np.array(values, dtype=np.float64).reshape(-1, 8)


def records(block: RawBlock) -> list[dict]:
    return [json.loads(line) for line in block.lines]
