"""The rule: which figures pass. It is code, its text is locked with the design, and it has no free number.

An endpoint **holds** in a window when its corrected p is below alpha, A is the better arm, and the effect reaches the
smallest one; it **speaks against** when the same is true with A the worse arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from prometheus.v10.gate.compare import EXTINCTION, SYSTEM_ROI, Comparison, PathControl
from prometheus.v10.gate.design import ENDPOINTS, RuleTable

RULE = (
    "Primary endpoints: system ROI (Mann-Whitney U, two-sided, normal approximation with continuity and ties; effect: "
    "difference of medians) and extinction (Fisher's exact test, two-sided; effect: difference of shares).",
    "All primary tests, windows x endpoints, are one family, corrected by Holm.",
    "An endpoint holds in a window when its corrected p is below alpha, A is the better arm and the effect is at least "
    "minimum_effect_pp. It speaks against when the same is true with A the worse arm.",
    "Path control: an endpoint is beyond path luck when the rank of the real path among the shuffled ones has a p, "
    "corrected by Holm over the endpoints, below alpha.",
    "pass: an endpoint holds in every window and is beyond path luck, and no endpoint speaks against in any window.",
    "insufficient evidence: the design is too small to show anything; or an experiment is not finite or does not "
    "conserve capital; or, nothing speaking against, an endpoint is beyond path luck, favours A in every window and "
    "holds in some but not in all.",
    "fail: everything else.",
)
CONSERVATION_LIMIT = 1e-9  # of the total (contracts, section 3)


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    INSUFFICIENT = "insufficient evidence"


@frozen(kw_only=True)
class EndpointFinding:
    """What one endpoint says over all windows.

    Attributes:
        holds: windows in which it holds.
        against: windows in which it speaks against.
        favours: windows in which A is the better arm at all.
    """

    endpoint: str
    windows: int
    holds: list[str]
    against: list[str]
    favours: list[str]
    beyond_path_luck: bool
    extra: dict[str, Any] = field(factory=dict)

    @property
    def carries(self) -> bool:
        """Whether it alone would pass the gate."""
        return len(self.holds) == self.windows and self.beyond_path_luck

    @property
    def leans(self) -> bool:
        """Whether it holds in part of what it needs."""
        return 0 < len(self.holds) < self.windows == len(self.favours) and self.beyond_path_luck


@frozen(kw_only=True)
class Judgement:
    """The verdict and its reasons, in words."""

    verdict: Verdict
    reasons: list[str]
    endpoints: list[EndpointFinding]
    extra: dict[str, Any] = field(factory=dict)


def finding(endpoint: str, comparisons: Sequence[Comparison], control: PathControl, rule: RuleTable) -> EndpointFinding:
    """What one endpoint says."""
    holds, against, favours = [], [], []
    for one in comparisons:
        p, effect = (
            (one.p_holm, one.difference_pp) if endpoint == SYSTEM_ROI else (one.fisher_p_holm, one.extinction_pp)
        )
        better = effect > 0.0 and (endpoint == EXTINCTION or one.delta > 0.0)
        worse = effect < 0.0 and (endpoint == EXTINCTION or one.delta < 0.0)
        shown = p < rule.alpha and abs(effect) >= rule.minimum_effect_pp
        holds += [one.window] if shown and better else []
        against += [one.window] if shown and worse else []
        favours += [one.window] if better else []
    return EndpointFinding(
        endpoint=endpoint,
        windows=len(comparisons),
        holds=holds,
        against=against,
        favours=favours,
        beyond_path_luck=control.p_holm < rule.alpha,
    )


def judge(
    comparisons: Sequence[Comparison], controls: Sequence[PathControl], rule: RuleTable, broken: Sequence[str] = ()
) -> Judgement:
    """The verdict by `RULE`.

    Args:
        comparisons: the primary ones, corrected.
        controls: one an endpoint.
        rule: level and smallest effect.
        broken: experiments that are not finite or do not conserve capital.
    """
    by_endpoint = {control.endpoint: control for control in controls}
    found = [finding(endpoint, comparisons, by_endpoint[endpoint], rule) for endpoint in ENDPOINTS]
    against = [f"{one.endpoint} speaks against in {', '.join(one.against)}" for one in found if one.against]
    if broken:
        return Judgement(
            verdict=Verdict.INSUFFICIENT,
            reasons=[f"{len(broken)} experiments cannot be believed, the first: {broken[0]}"],
            endpoints=found,
        )
    if not against and (carrying := [one.endpoint for one in found if one.carries]):
        reasons = [f"{endpoint} holds in every window and is beyond path luck" for endpoint in carrying]
        return Judgement(verdict=Verdict.PASS, reasons=reasons, endpoints=found)
    if not against and (leaning := [one for one in found if one.leans]):
        reasons = [
            f"{one.endpoint} favours A in every window and is beyond path luck, but holds only in "
            f"{', '.join(one.holds)}: more seeds or another window would decide"
            for one in leaning
        ]
        return Judgement(verdict=Verdict.INSUFFICIENT, reasons=reasons, endpoints=found)
    return Judgement(verdict=Verdict.FAIL, reasons=against or _why_not(found), endpoints=found)


def _why_not(found: Sequence[EndpointFinding]) -> list[str]:
    """What each endpoint lacks."""
    reasons = []
    for one in found:
        lacks = []
        if len(one.holds) < one.windows:
            lacks.append(f"holds in {len(one.holds)} of {one.windows} windows")
        if not one.beyond_path_luck:
            lacks.append("a shuffled path does as well by luck")
        reasons.append(f"{one.endpoint}: {' and '.join(lacks)}")
    return reasons


def unbelievable(cells: Any) -> list[str]:
    """Experiments whose figures cannot be believed, by cell and seed."""
    return [
        f"{one.cell} seed {one.seed}"
        for found in cells.values()
        for one in found
        if not one.finite or one.residual > CONSERVATION_LIMIT
    ]
