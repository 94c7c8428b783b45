"""Whether a run called an exchange. Kept apart from what follows from it, which other runs need not load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.derive.typed import table

FIDELITY = {"okx_demo": "demo_proxy", "okx_live": "live_calibrated"}
"""What a manifest says of its fidelity, by its mode."""
OWED = (Artifact.ORDER_CHAIN, Artifact.NETTING_ROUNDS)
"""Files that such a run owes beside those of its tier."""


def is_exchange(manifest: Mapping[str, Any]) -> bool:
    """Whether a run called an exchange: mode and configuration agree on it."""
    mode = manifest.get("mode")
    return isinstance(mode, str) and mode in FIDELITY and "exchange" in table(manifest.get("config"))


def plan_rules() -> Any:
    """`exchange_plan`: what a manifest must say of an exchange; other runs do not load it."""
    from prometheus.v10.evidence.derive.exchanged import exchange_plan  # noqa: PLC0415

    return exchange_plan
