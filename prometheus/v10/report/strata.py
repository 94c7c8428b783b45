"""Lives of experiments from sealed runs, in strata that never mix.

1. A stratum is one instance, stage, configuration, core, arm, line of descent and market. Runs without eras have the
   bars of one sha256. Eras have other bars each, by one rule: one market and one policy of the window. Runs at an
   exchange have the bars that come, and one library through which they traded. Runs of Tier 2 count only there: a
   promotion repeats what is counted already.
2. An experiment that collapsed is an event after the ticks that it lived. One that reached the end of its window, or
   that a stop cut, is censored there. So runs that a stop interrupted count, once they are sealed.
3. An experiment that repeats another one (same stratum, seed and stretch of bars) is no new observation: a world has no
   luck beyond its seed. The first that was not cut counts.
4. What does not count is said with its reason.

Nothing is verified here beyond what the figures need, and nothing is written. A run of stage 2 does not count: it
judges genomes in cells of several bar lengths, where no population lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from prometheus.v10.base.errors import EvidenceError, PrometheusError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.catalog import RunPlace, artifact_of
from prometheus.v10.evidence.derive.eras.stratum import shared_by, table_in, text_in
from prometheus.v10.evidence.derive.exchanged.exchange_modes import is_exchange
from prometheus.v10.evidence.pools.descent import Line
from prometheus.v10.report.eras import (
    COMPLETED,
    NOT_ENDED,
    NOT_SEALED,
    RUNNING,
    UNREADABLE,
    LeftOut,
    era_number,
    experiment_lines,
    experiment_rows,
    runs_of_instances,
)
from prometheus.v10.report.lifetimes import Life

INTERRUPTED = "interrupted"
CUT_OFF = "was cut off before it had a summary"
JUDGES = "judges genomes in cells of stage 2"
REPEATS = "repeats experiments that are there already"
DONE_AGAIN = "was cut by a stop, and its experiments were done again"

Origin = tuple[object, ...]
"""What makes an experiment the same as another one of its stratum: seed and stretch of bars."""


@frozen
class Stratum:
    """What lives must share to be counted together.

    Attributes:
        line: of descent; None for a run without eras.
        market: its source, instrument and timeframe, as people call them.
        bars: their sha256, for a run without eras; None for eras.
        policy: what moves the window from era to era; None for a run without eras.
        library: through which a run traded at an exchange; None for every other run.
    """

    instance: str
    stage: str
    arm: str
    line: Line | None
    config_hash: str
    core_hash: str
    market: str
    bars: str | None
    policy: str | None
    library: str | None = None


@define
class Census:
    """Every life that counts, by stratum, in the order of runs and experiments; and the runs that do not count.

    Attributes:
        strata: in the order of their first runs.
        left_out: by instance.
        unknown: runs that do not say whose they are.
    """

    strata: dict[Stratum, dict[Origin, Life]] = field(factory=dict)
    left_out: dict[str, list[LeftOut]] = field(factory=dict)
    unknown: list[LeftOut] = field(factory=list)

    def take(self, place: RunPlace, instance: str, manifest: Mapping[str, Any]) -> None:
        """Add a run that began after all that were taken before; whatever is wrong with it is kept as a reason."""
        left_out = self.left_out.setdefault(instance, [])
        number = None
        try:
            number = era_number(manifest) if manifest.get("era") is not None else None
            why = _unfit(place, manifest)
            found = [] if why else lives_of(place.run_id, manifest, artifact_of(place.path, Artifact.SUMMARY))
        except PrometheusError as error:
            why, found = f"{UNREADABLE}: {error}", []
        if why is not None:
            left_out.append(LeftOut(place.run_id, number, why))
        again = set()
        for stratum, origin, life in found:
            lives = self.strata.setdefault(stratum, {})
            earlier = lives.get(origin)
            if earlier is None or (earlier.cut and not life.cut):
                lives.pop(origin, None)  # the place in the order is that of the one that counts
                lives[origin] = life
                if earlier is not None:
                    again.add((earlier.run, DONE_AGAIN))
            else:
                again.add((life.run, REPEATS))
        for run_id, reason in sorted(again):
            one = LeftOut(run_id, number, reason)
            if one not in left_out:
                left_out.append(one)


def read_census(layout: Layout) -> Census:
    """Read every Tier-1 run and every run at an exchange; a run that cannot be read is left out and said.

    Raises:
        HostError: when the directory of runs cannot be listed.
    """
    census = Census()
    for place, instance, manifest in runs_of_instances(layout, census.unknown, Tier.TIER2_FULL):
        if place.tier is Tier.TIER1_HF or is_exchange(manifest):
            census.take(place, instance, manifest)
    return census


def _unfit(place: RunPlace, manifest: Mapping[str, Any]) -> str | None:
    """Why a run does not count, before its summary is read; None where it does."""
    status = manifest.get("status")
    sealed = (place.path / Artifact.SHA256SUMS).is_file()
    if status == RUNNING:
        return CUT_OFF if sealed else NOT_ENDED
    if status not in (COMPLETED, INTERRUPTED):
        return f"ended as {printable(str(status))}"
    if not sealed:
        return NOT_SEALED
    return JUDGES if manifest.get("stage") == Stage.STAGE2 else None


def lives_of(
    run_id: str, manifest: Mapping[str, Any], summary: Mapping[str, Any] | None
) -> list[tuple[Stratum, Origin, Life]]:
    """The life of every experiment of a run, with its stratum and what a repetition of it would share.

    Args:
        run_id: of the run.
        manifest: of the run, as plain values.
        summary: of the same run.

    Raises:
        EvidenceError: when they do not fit each other, or are not what they should be.
    """
    given = summary.get("all_stats") if summary is not None else None
    count = len(given) if isinstance(given, list) else 0
    lines: list[Line] | list[None] = [None] * count
    if manifest.get("era") is not None:
        lines = experiment_lines(manifest)
        # a stop leaves no row of an experiment that it kept from beginning
        lines = lines[:count] if manifest.get("status") == INTERRUPTED else lines
    rows = experiment_rows(summary, len(lines), "its rows" if lines and lines[0] is None else "its lines")
    shared: dict[str, Any] = dict(shared_by(manifest))
    stretch = _stretch(manifest)
    found = []
    for line, row in zip(lines, rows, strict=True):
        arm, seed = row.get("arm"), row.get("seed")
        if not isinstance(arm, str) or type(seed) is not int:
            raise EvidenceError("an experiment of its summary has no arm or no seed")
        found.append((Stratum(arm=arm, line=line, **shared), (seed, *stretch), life_of(run_id, row)))
    return found


def _stretch(manifest: Mapping[str, Any]) -> tuple[object, ...]:
    window = table_in(manifest, "window")
    first, length = window.get("start"), window.get("len")
    if type(first) is not int or type(length) is not int:
        raise EvidenceError("its manifest has a window without start or length")
    number = None if manifest.get("era") is None else era_number(manifest)
    return (text_in(table_in(manifest, "market"), "sha256"), first, length, number)


def life_of(run_id: str, row: Mapping[str, Any]) -> Life:
    """The life that a row of a summary tells.

    Raises:
        EvidenceError: when it does not tell one.
    """
    ticks, completed, collapse = row.get("ticks"), row.get("completed"), row.get("collapse")
    detected, tick = (collapse.get("detected"), collapse.get("tick")) if isinstance(collapse, Mapping) else (None, None)
    if type(ticks) is not int or ticks < 0 or not isinstance(completed, bool) or not isinstance(detected, bool):
        raise EvidenceError("an experiment of its summary does not say how long it lived")
    if detected and (not completed or tick != ticks - 1):
        raise EvidenceError("an experiment of its summary lived on after its collapse")
    return Life(run_id, row["experiment"], ticks, detected, cut=not completed)
