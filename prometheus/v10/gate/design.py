"""A gate's design: one TOML file that says, before anything is run, what is compared with what and what would pass.

Unknown keys are refused. Everything that could be chosen after a look at the results stands here and is locked by its
hash (`store.py`): market, windows, seeds, physics, level, correction, smallest effect, thresholds of winners, number of
shuffled paths, ablations, fences. The level can be made stricter than the contract's, never laxer.

A design that could not show anything (fewer than 30 seeds, one window, too few shuffled paths for the level) is not an
error: its verdict is *insufficient evidence*, and it is given without a run (`shortcomings`).
"""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from attrs import Factory, field, frozen, validators

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.evidence.records.codec import load_config
from prometheus.v10.evidence.records.fence_registry import REGISTRY, Category
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.windows import Window, cut
from prometheus.v10.runs.request.ablation import ABLATIONS
from prometheus.v10.runs.request.profile import MarketTable, WorldTable

SHIPPED = files("prometheus.v10.gate") / "designs"
LEAST_SEEDS = 30  # contracts, section 14
LEAST_WINDOWS = 2
MOST_ALPHA = 0.05
LEAST_EFFECT_PP = 2.0
PATH_SEEDS_FROM = 1_000_000_000  # shuffles of the path control; seeds of experiments stay below it
ENDPOINTS = ("system_roi", "extinction")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,47}")

FENCE_SWITCHES: dict[str, dict[str, float]] = {
    "FENCE_CORE_ENTRY_M7": {"entry_m7_below": 0.5},
    "FENCE_CORE_EXIT_M9": {"exit_m9_above": 10.0},
    "FENCE_CORE_EXIT_C4": {"exit_c4_above": 0.5},
    "FENCE_CORE_LONG_ONLY": {"long_only": 1},
}
"""Man-made fences that the world can switch, with the value that the historic engine had (contracts, section 14).

They are off in every world, so the counterfactual arm switches one on.
"""

NOT_SWITCHABLE: dict[str, str] = {
    "FENCE_CORE_DEAD_GENE_ENTRY_THRESHOLD": "an inert locus: no rule reads it, so there is nothing to switch",
    "FENCE_CORE_DEAD_GENE_EXIT_THRESHOLD": "an inert locus: no rule reads it, so there is nothing to switch",
    "FENCE_I_POSITIONS_EMPTY_FALLBACK": "it acts on an exchange's position reports; an offline world has none",
    "FENCE_M_NO_FILLS_SKIP_RECONSTRUCTION": "it acts on reconstruction from an exchange's fills; an offline world "
    "keeps its own positions",
}
"""Man-made fences without a counterfactual arm, and why: the verdict says so."""


def man_made() -> tuple[str, ...]:
    """Every man-made fence of the registry."""
    return tuple(fence.id for fence in REGISTRY.values() if fence.category is Category.MAN_MADE)


@frozen(kw_only=True)
class SeedsTable:
    """``[seeds]``: the same for every arm; experiment k has seed ``first + k``, and so has its shuffle in B2."""

    first: int = field(default=1, validator=validators.ge(0))
    count: int = field(default=LEAST_SEEDS, validator=validators.ge(2))


@frozen(kw_only=True)
class RuleTable:
    """``[rule]``: what passes.

    Attributes:
        alpha: level of the corrected p-values.
        correction: over the family of primary tests (windows x endpoints).
        minimum_effect_pp: percentage points: of the medians of system ROI, and of the shares of extinct experiments.
        confidence: of every interval that is shown; no verdict depends on it.
    """

    alpha: float = field(default=MOST_ALPHA, validator=[validators.gt(0.0), validators.le(MOST_ALPHA)])
    correction: str = field(default="holm", validator=validators.in_(("holm",)))
    minimum_effect_pp: float = field(default=LEAST_EFFECT_PP, validator=validators.ge(LEAST_EFFECT_PP))
    confidence: float = field(default=0.95, validator=[validators.gt(0.5), validators.lt(1.0)])


@frozen(kw_only=True)
class PathsTable:
    """``[paths]``: the path control: shuffled paths that each take the real one's place, with the first seeds."""

    count: int = field(default=59, validator=validators.ge(1))
    seeds: int = field(default=10, validator=validators.ge(1))


@frozen(kw_only=True)
class WinnersTable:
    """``[winners]``: who counts as one (contracts, section 14).

    Attributes:
        absolute: lifetime ROI.
        anchor_quantiles: of A's lifetime ROI, tried in turn until one is above 0.
        positives_quantile: of A's positive lifetime ROI, where none was, if there are ``positives_least``; else
            the absolute threshold anchors.
    """

    absolute: float = field(default=0.05, validator=validators.gt(0.0))
    anchor_quantiles: tuple[float, ...] = (0.90, 0.95)
    positives_quantile: float = 0.90
    positives_least: int = 50


@frozen(kw_only=True)
class SignsTable:
    """``[signs]``: IN/OUT sign consistency (contracts, section 14) and its drift control.

    Attributes:
        draws: genealogies with the founders' genomes dealt anew; 0 leaves the audit out.
    """

    top_loci: int = field(default=80, validator=validators.ge(2))
    least_pairs: int = 20
    least_rate: float = 0.8
    draws: int = field(default=200, validator=validators.ge(0))


@frozen(kw_only=True)
class GateDesign:
    """One gate.

    Attributes:
        name: of its directory.
        windows: disjoint.
        world: physics and ecology, as in a profile; the man-made fences stay off.
        ablations: names of `runs.request.ablation.ABLATIONS`, each run in both arms.
        fences: ids of `FENCE_SWITCHES`, each run in both arms.
    """

    name: str
    market: MarketTable = Factory(MarketTable)
    windows: tuple[Window, ...]
    seeds: SeedsTable = Factory(SeedsTable)
    world: WorldTable = Factory(WorldTable)
    rule: RuleTable = Factory(RuleTable)
    paths: PathsTable = Factory(PathsTable)
    winners: WinnersTable = Factory(WinnersTable)
    signs: SignsTable = Factory(SignsTable)
    ablations: tuple[str, ...] = ("M_zeroed", "C_zeroed", "I_zeroed", "E_ob_only")
    fences: tuple[str, ...] = tuple(FENCE_SWITCHES)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be run as it is written."""
        self._check_names()
        self._check_windows()
        if self.paths.seeds > self.seeds.count:
            raise ConfigError(
                f"[paths] seeds = {self.paths.seeds}: a shuffled path cannot have more than the {self.seeds.count} "
                "seeds of the real one"
            )
        if self.seeds.first + self.seeds.count > PATH_SEEDS_FROM:
            raise ConfigError(f"[seeds] first = {self.seeds.first}: expected below {PATH_SEEDS_FROM}")
        if not self.winners.anchor_quantiles:
            raise ConfigError("[winners] anchor_quantiles: expected at least one")
        for quantile in (*self.winners.anchor_quantiles, self.winners.positives_quantile):
            if not 0.0 < quantile < 1.0:
                raise ConfigError(f"[winners] quantile {quantile}: expected a fraction between 0 and 1")
        for changes in FENCE_SWITCHES.values():
            for key in changes:
                if getattr(self.world, key) is not None:
                    raise ConfigError(
                        f"[world] {key}: a gate's world has no man-made fence",
                        hint="name the fence under `fences`: it is run as a counterfactual arm",
                    )

    def _check_names(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"name = {self.name!r}: expected letters, digits and _ . -, at most 48")
        for what, known, given in (
            ("ablations", [name for name in ABLATIONS if name != "none"], self.ablations),
            ("fences", list(FENCE_SWITCHES), self.fences),
            ("names of windows", None, tuple(window.name for window in self.windows)),
        ):
            if len(set(given)) != len(given):
                raise ConfigError(f"{what}: one is given twice in {', '.join(given)}")
            if known is not None and (odd := [name for name in given if name not in known]):
                raise ConfigError(f"{what}: {odd[0]!r} is none of {', '.join(known)}")
        for window in self.windows:
            if not _NAME.fullmatch(window.name):
                raise ConfigError(f"window name {window.name!r}: expected letters, digits and _ . -, at most 48")

    def _check_windows(self) -> None:
        placed = sorted(self.windows, key=lambda window: window.start)
        for before, after in pairwise(placed):
            if before.start + before.len > after.start:
                raise ConfigError(
                    f"windows {before.name!r} and {after.name!r} overlap: rows {before.start} to "
                    f"{before.start + before.len - 1} and {after.start} to {after.start + after.len - 1}",
                    hint="the same bars in two windows are one piece of evidence, not two",
                )

    @property
    def seed_list(self) -> list[int]:
        """Seeds of the experiments of an arm."""
        return list(range(self.seeds.first, self.seeds.first + self.seeds.count))


def shortcomings(design: GateDesign) -> list[str]:
    """Why this design cannot show anything, whatever comes out; empty when it can."""
    found = []
    if design.seeds.count < LEAST_SEEDS:
        found.append(f"{design.seeds.count} seeds an arm; at least {LEAST_SEEDS} are needed")
    if len(design.windows) < LEAST_WINDOWS:
        found.append(f"{len(design.windows)} window; at least {LEAST_WINDOWS} disjoint ones are needed")
    if len(ENDPOINTS) / (design.paths.count + 1) >= design.rule.alpha:
        found.append(
            f"{design.paths.count} shuffled paths cannot reach a corrected p below {design.rule.alpha}; more than "
            f"{len(ENDPOINTS) / design.rule.alpha - 1:.0f} are needed"
        )
    return found


def check_against(design: GateDesign, bars: Bars, config: WorldConfig) -> None:
    """Refuse windows that the bars do not hold, or that end before the first review.

    Raises:
        ConfigError: naming the window.
    """
    for window in design.windows:
        cut(bars, window)
        if window.len <= config.review_ticks:
            raise ConfigError(
                f"window {window.name!r}: {window.len} bars end before the first review ({config.review_ticks} ticks) "
                "can select anybody",
                hint="choose longer windows, or review more often",
            )


def load_design(name_or_path: str | Path) -> GateDesign:
    """A design from a file, or by the name of one that ships with the package.

    Raises:
        ConfigError: when there is none of that name, or it cannot be read as one.
    """
    text = str(name_or_path)
    place = Path(text)
    if "/" not in text and not text.endswith(".toml"):
        place = Path(str(SHIPPED)) / f"{text}.toml"
        if not place.is_file():
            known = sorted(path.stem for path in Path(str(SHIPPED)).glob("*.toml"))
            raise ConfigError(f"no gate design {text!r}", hint=f"there are: {', '.join(known)}; or give a path")
    return load_config(place, GateDesign)
