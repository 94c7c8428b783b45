"""Modes, stages, arms and tiers: the words that name what kind of run this is (contracts, section 1)."""

from __future__ import annotations

from enum import StrEnum

from prometheus.v10.base.errors import UsageError


class Mode(StrEnum):
    """Which world a run lives in. There is no default anywhere."""

    OFFLINE = "offline"
    OKX_DEMO = "okx_demo"
    OKX_LIVE = "okx_live"


class Stage(StrEnum):
    """Which sandbox a service runs."""

    STAGE1 = "stage1"
    STAGE2 = "stage2"


class Tier(StrEnum):
    """How much evidence a run owes (contracts, section 10)."""

    TIER1_HF = "tier1_hf"
    TIER2_FULL = "tier2_full"

    @property
    def root_name(self) -> str:
        """The directory of its runs: ``runs_hf`` for Tier-1, ``runs`` for Tier-2."""
        return "runs_hf" if self is Tier.TIER1_HF else "runs"


class Arm(StrEnum):
    """The market's true order, or its null."""

    A_REAL = "A_real"
    B2_SHUFFLE_RETURNS = "B2_shuffle_returns"


class RunPrefix(StrEnum):
    """First word of a run_id; it decides the tier and the root a run lives in."""

    HF = "HF"
    STAGE2 = "STAGE2"
    PROMOTE = "PROMOTE"
    AUDIT = "AUDIT"

    @property
    def tier(self) -> Tier:
        """Tier-2 for promotions and audits, Tier-1 for everything else."""
        return Tier.TIER2_FULL if self in {RunPrefix.PROMOTE, RunPrefix.AUDIT} else Tier.TIER1_HF


QUEUES = (RunPrefix.PROMOTE.value, RunPrefix.AUDIT.value)
"""Instances that drain a queue of promotions."""

MODE_SPELLINGS = {
    "offline": Mode.OFFLINE,
    "okx_demo": Mode.OKX_DEMO,
    "okx_demo_api": Mode.OKX_DEMO,
    "okx_live": Mode.OKX_LIVE,
    "okx_live_api": Mode.OKX_LIVE,
}


def parse_mode(text: str | None) -> Mode:
    """Read a mode as an operator spells it.

    Raises:
        UsageError: for a missing or unknown mode, with the list of accepted spellings.
    """
    accepted = "accepted: " + ", ".join(MODE_SPELLINGS)
    if not text:
        raise UsageError("no mode given: --mode is required and has no default", hint=accepted)
    try:
        return MODE_SPELLINGS[text]
    except KeyError:
        raise UsageError(f"unknown mode {text!r}", hint=accepted) from None
