"""What the world did to a run's population, from the run's own summary and events: who lived, who died, and of what.

Rules of the figures:

* Profit before costs (``gross``) is net profit + fees + slippage + funding paid: what the same fills would have made at
  the reference prices, for nothing. Rounding to the tick is in the slippage.
* A period is what lies between two reviews. Who is alive at its start follows from founders, births and deaths.
* Lifetime ROI is what an agent left over what it was given (`ExperimentStats`): the half that a parent hands to its
  child is gone from it, so whoever breeds looks poorer than it was. Period ROI, which reviews judge by, does not.
* Who is born at the last tick has not lived, and is left out of the share that never traded.
* Of an agent's own costs only the dead tell (a survivor's are in the pool). Where a return is split into profit before
  costs and costs, only those are counted whom a review removed and who had never bred: their period is their life.
* Two arms are compared by Cliff's delta: how much more often a run of the first lies above one of the second than
  below, over all pairs; 1 and -1 are complete separation, 0 is none.

These are audit figures; nothing reads them back into a world (contracts, section 9).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.reading import LARGE, read_whole
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.codec import from_json_bytes
from prometheus.v10.evidence.records.events import DeathReason
from prometheus.v10.evidence.records.summary import ExperimentStats, MultipleExperimentsSummary, quantiles
from prometheus.v10.evidence.writing.manifest import Status, read_manifest
from prometheus.v10.report.cliff import cliffs_delta
from prometheus.v10.report.experiment_figures import figures_by_name
from prometheus.v10.report.run_events import event_lines, is_there

Event = dict[str, Any]


@frozen(kw_only=True)
class Period:
    """One period over all experiments, and the review at its end.

    Attributes:
        tick: of the review.
        start: agents alive when it began.
        judged: those who reached the review; shares of the verdicts are of them.
    """

    number: int
    tick: int
    start: int
    liquidated: int
    depleted: int
    judged: int
    died: int
    bred: int

    @property
    def died_share(self) -> float | None:
        """Of the judged; None where nobody was."""
        return self.died / self.judged if self.judged else None

    @property
    def bred_share(self) -> float | None:
        """Of the judged; None where nobody was."""
        return self.bred / self.judged if self.judged else None


@frozen(kw_only=True)
class Reviewed:
    """Those whom a review removed and who had never bred, returns and costs as fractions of the capital at birth.

    Attributes:
        never_traded: share of them.
        spared_without_costs: share whose profit before costs alone would have passed the review.
    """

    count: int
    net: dict[str, float]
    gross: dict[str, float]
    costs: dict[str, float]
    trades: dict[str, float]
    never_traded: float
    spared_without_costs: float


@frozen(kw_only=True)
class Ecology:
    """One run as an ecologist sees it.

    Attributes:
        rules: what decides over life and death: founders, review length and both thresholds.
        figures: one value an experiment, by name, in the experiments' order.
        deaths: by reason, all experiments together.
        collapses: by reason; ``collapse_ticks`` are ticks from start to collapse.
        reviewed: None where no review removed anybody who had never bred.
    """

    run_id: str
    arm: str
    market: str
    market_sha256: str
    window: str
    experiments: int
    rules: dict[str, Any]
    figures: dict[str, tuple[float, ...]]
    periods: tuple[Period, ...]
    deaths: dict[str, int]
    collapses: dict[str, int]
    collapse_ticks: tuple[int, ...]
    reviewed: Reviewed | None

    @property
    def label(self) -> str:
        """What tells it from another run in a table or a picture: the arm, and the digits that end its id."""
        return f"{self.arm} {self.run_id[-4:]}"


def read_ecology(run: Path) -> Ecology:
    """Read one finished run.

    Args:
        run: its directory; not verified here (`prometheus-quant verify` does that).

    Raises:
        UsageError: when it is no run's directory, or the run did no experiment.
        EvidenceError: when a file is not what its name says.
        HostError: when one cannot be read.
    """
    if not (run / Artifact.MANIFEST).is_file():
        raise UsageError(f"there is no run at {run}", hint="give a run's directory")
    manifest = read_manifest(run)
    if manifest.status == Status.RUNNING.value:
        raise UsageError(f"{run} was cut off and has no summary", hint="give a run that completed or was stopped")
    place = run / Artifact.SUMMARY
    rows = from_json_bytes(
        read_whole(place, at_most=LARGE), MultipleExperimentsSummary, where=str(place)
    ).all_stats  # fmt: skip
    if not rows:
        raise UsageError(f"{run}: the run did no experiment")
    if not is_there(run, Artifact.DEATHS):
        raise EvidenceError(
            f"{run}: its event lines are gone",
            hint="retention deletes them after events_days; population_series.jsonl has what they came to",
        )
    deaths, births = list(_events(run, Artifact.DEATHS)), list(_events(run, Artifact.BIRTHS))
    world = manifest.world
    collapsed = [row for row in rows if row.collapse.detected]
    try:
        return Ecology(
            run_id=manifest.run_id,
            arm=manifest.arm,
            market=f"{manifest.market.symbol} {manifest.market.timeframe}, {manifest.market.source}",
            market_sha256=manifest.market.sha256,
            window=f"{manifest.window.name}: {manifest.window.len} bars from {manifest.window.start}",
            experiments=len(rows),
            rules={name: world[name] for name in ("founders", "review_ticks", "death_roi", "breed_roi")},
            figures=figures_by_name([asdict(row) for row in rows]),
            periods=tuple(_periods(rows, deaths, births, int(world["review_ticks"]))),
            deaths={reason.value: sum(row.deaths_by_reason[reason.value] for row in rows) for reason in DeathReason},
            collapses=dict(sorted(Counter(str(row.collapse.reason) for row in collapsed).items())),
            collapse_ticks=tuple(row.ticks for row in collapsed),
            reviewed=_reviewed(deaths, float(world["death_roi"])),
        )
    except KeyError as error:
        raise EvidenceError(f"{run}: a record has no {error}", hint="verify the run's directory") from error


def _events(run: Path, artifact: Artifact) -> Iterator[Event]:
    try:
        for line in event_lines(run, artifact):
            yield strict_loads(line)
    except ValueError as error:
        raise EvidenceError(f"{run / artifact}: {error}", hint="verify the run's directory") from error


# ---- reviews ---------------------------------------------------------------------------------------------------------


def _periods(rows: Sequence[ExperimentStats], deaths: list[Event], births: list[Event], every: int) -> Iterator[Period]:
    """Every review that some experiment reached; ticks count from 0, so review k falls at tick k * ``every`` - 1."""
    alive = sum(row.founders for row in rows)
    of_period: dict[int, Counter[str]] = {}
    for event in deaths:
        of_period.setdefault(event["tick"] // every, Counter())[event["death_reason"]] += 1
    bred = Counter(event["tick"] // every for event in births)
    for number in range(max(row.reviews for row in rows)):
        counts = of_period.get(number, Counter())
        liquidated, depleted = counts[DeathReason.LIQUIDATION.value], counts[DeathReason.CAPITAL_DEPLETED.value]
        died = counts[DeathReason.QUARTERLY_REVIEW.value]
        yield Period(
            number=number + 1,
            tick=(number + 1) * every - 1,
            start=alive,
            liquidated=liquidated,
            depleted=depleted,
            judged=alive - liquidated - depleted,
            died=died,
            bred=bred[number],
        )
        alive += bred[number] - liquidated - depleted - died


def _reviewed(deaths: list[Event], threshold: float) -> Reviewed | None:
    """See the head of the module: lives that were one single period, ended by a review."""
    whole = [
        event
        for event in deaths
        if event["death_reason"] == DeathReason.QUARTERLY_REVIEW.value and event["roi_period"] == event["roi_lifetime"]
    ]
    if not whole:
        return None
    net = [float(event["roi_lifetime"]) for event in whole]
    paid = [
        (event["fees_paid"] + event["slippage_paid"] + event["funding_paid"]) / event["initial_capital"]
        for event in whole
    ]
    gross = [profit + cost for profit, cost in zip(net, paid, strict=True)]
    trades = [float(event["trades"]) for event in whole]
    return Reviewed(
        count=len(whole),
        net=quantiles(net),
        gross=quantiles(gross),
        costs=quantiles(paid),
        trades=quantiles(trades),
        never_traded=trades.count(0.0) / len(whole),
        spared_without_costs=sum(roi >= threshold for roi in gross) / len(whole),
    )


# ---- two arms --------------------------------------------------------------------------------------------------------


def compare(first: Ecology, second: Ecology) -> Mapping[str, float]:
    """Cliff's delta of every figure, ``first`` against ``second``."""
    return {name: cliffs_delta(values, second.figures[name]) for name, values in first.figures.items()}
