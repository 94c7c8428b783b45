"""Everything in the core that can block or change entering, leaving, sizing or staying alive, as counters.

Each fence has one row of counters: (steps, attempts, triggers, blocks). The registry outside the core gives each row
its id, category and explanation; a test holds the two lists together. Counting never changes what is counted.
"""

from __future__ import annotations

MARGIN_CAP = 0
MIN_ORDER = 1
PARTICIPATION_CAP = 2
NO_SIDE = 3
LIQUIDATION = 4
CAPITAL_DEPLETED = 5
REVIEW_DEATH = 6
REVIEW_BREED = 7
RESERVE_COLLAPSE = 8
EXTINCTION = 9
FEATURE_CLIP = 10
ENTRY_M7 = 11
EXIT_M9 = 12
EXIT_C4 = 13
LONG_ONLY = 14

NAMES = (
    "FENCE_CORE_MARGIN_CAP",
    "FENCE_CORE_MIN_ORDER",
    "FENCE_CORE_PARTICIPATION_CAP",
    "FENCE_CORE_NO_SIDE",
    "FENCE_CORE_LIQUIDATION",
    "FENCE_CORE_CAPITAL_DEPLETED",
    "FENCE_CORE_REVIEW_DEATH",
    "FENCE_CORE_REVIEW_BREED",
    "FENCE_CORE_RESERVE_COLLAPSE",
    "FENCE_CORE_EXTINCTION",
    "FENCE_CORE_FEATURE_CLIP",
    "FENCE_CORE_ENTRY_M7",
    "FENCE_CORE_EXIT_M9",
    "FENCE_CORE_EXIT_C4",
    "FENCE_CORE_LONG_ONLY",
)

STEPS = 0
ATTEMPTS = 1
TRIGGERS = 2
BLOCKS = 3
COLUMNS = 4
