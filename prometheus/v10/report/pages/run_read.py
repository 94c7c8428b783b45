"""One run as its page needs it, whatever state it is in: completed, stopped, failed, cut off, or damaged.

Nothing here verifies. What is not there is None or empty; a line that is not what its kind must be is left out and
counted, so that a damaged run has a page that says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from attrs import field, frozen

from prometheus.v10.base.errors import PrometheusError, UsageError
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.reading import SMALL, read_if_there
from prometheus.v10.evidence.catalog import artifact_of
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.report.pages.exchange_read import ExchangeRead, read_exchange
from prometheus.v10.report.run_events import event_lines

Plain = dict[str, Any]
T = TypeVar("T")
_MODE_SIZE_NAME = re.compile(r"(\S{10}) +(\d+) (.+)")


class Death(NamedTuple):
    """A line of ``death_events.jsonl``; money is USDT, ``born`` is -1 for a founder."""

    experiment: int
    agent: str
    tick: int
    born: int
    age: int
    reason: str
    side: str | None
    trades: int
    initial: float
    roi: float
    roi_period: float
    costs: float


class Birth(NamedTuple):
    """A line of ``birth_events.jsonl``; ``founder`` is the agent that the line of descent begins with."""

    experiment: int
    agent: str
    tick: int
    founder: str
    parent: str


class Survivor(NamedTuple):
    """A line of ``survivors.jsonl``."""

    experiment: int
    agent: str
    founder: str
    born: int
    age: int
    trades: int
    wins: int
    roi: float
    final: float
    pooled: bool
    genome: str


class Pattern(NamedTuple):
    """A line of ``interesting_deaths.jsonl``."""

    experiment: int
    pattern: str
    first: int
    last: int
    deaths: int
    detail: str


class Listed(NamedTuple):
    """A sealed file: as FILELIST and SHA256SUMS name it, and whether it still lies there."""

    name: str
    bytes: int | None
    sha256: str
    there: bool


@frozen(kw_only=True)
class RunRead:
    """Everything that a run's page shows.

    Attributes:
        rows: of the summary, one an experiment; empty where there is no summary.
        series: of the population, by experiment.
        listed: the sealed files; empty where there is no seal.
        seal: sha256 of ``SHA256SUMS.txt``, as the ledger names it; None where there is no seal.
        odd: sentences about what could not be read.
        exchange: what it left of its trading; None where it was at no exchange.
    """

    path: Path
    run_id: str
    manifest: Plain
    rows: list[Plain]
    telemetry: Plain
    series: dict[int, Plain]
    deaths: list[Death]
    births: list[Birth]
    survivors: list[Survivor]
    patterns: list[Pattern]
    invariants: list[Plain]
    cut_off: Plain | None
    listed: list[Listed]
    seal: str | None = None
    odd: list[str] = field(factory=list)
    exchange: ExchangeRead | None = None

    def world(self, name: str) -> Any:
        """A number of the world; None where the manifest has none."""
        found = self.manifest.get("world")
        return found.get(name) if isinstance(found, dict) else None

    def table(self, name: str) -> Plain:
        """A table of the manifest; empty where it is none."""
        found = self.manifest.get(name)
        return found if isinstance(found, dict) else {}


def read_run(run: Path) -> RunRead:
    """Read one run.

    Raises:
        UsageError: when there is no run.
        EvidenceError: when its manifest is none.
        HostError: when it cannot be read.
    """
    manifest = artifact_of(run, Artifact.MANIFEST)
    if manifest is None:
        raise UsageError(f"there is no run at {run}", hint="give a run's directory")
    odd: list[str] = []
    summary = _document(run, Artifact.SUMMARY, odd)
    rows = summary.get("all_stats")
    series = list(_taken(run, Artifact.POPULATION_SERIES, _series, odd))
    invariants = summary.get("invariants")
    return RunRead(
        path=run,
        run_id=run.name,
        manifest=manifest,
        rows=[row for row in rows if _is_row(row)] if isinstance(rows, list) else [],
        telemetry=_document(run, Artifact.TELEMETRY, odd),
        series={one["experiment"]: one for one in series},
        deaths=list(_taken(run, Artifact.DEATHS, _death, odd)),
        births=list(_taken(run, Artifact.BIRTHS, _birth, odd)),
        survivors=list(_taken(run, Artifact.SURVIVORS, _survivor, odd)),
        patterns=list(_taken(run, Artifact.INTERESTING_DEATHS, _pattern, odd)),
        invariants=[one for one in invariants if isinstance(one, dict)] if isinstance(invariants, list) else [],
        cut_off=_document(run, Artifact.INTERRUPTED, odd) or None,
        listed=_listed(run, odd),
        seal=_seal(run),
        exchange=read_exchange(run, manifest, odd),
        odd=odd,
    )


def _document(run: Path, artifact: Artifact, odd: list[str]) -> Plain:
    try:
        return artifact_of(run, artifact) or {}
    except PrometheusError as error:
        odd.append(str(error))
        return {}


def _taken(run: Path, artifact: Artifact, take: Callable[[Plain], T], odd: list[str]) -> Iterator[T]:
    """What the lines of an event file say."""
    bad = 0
    try:
        for line in event_lines(run, artifact):
            try:
                yield take(strict_loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                bad += 1
    except PrometheusError as error:
        odd.append(str(error))
    if bad:
        odd.append(f"{artifact}: {bad} lines that cannot be read")


# ---- typed values of a line ------------------------------------------------------------------------------------------


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _real(value: object) -> float:
    if type(value) not in {int, float}:
        raise TypeError
    return float(value)  # type: ignore[arg-type]


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _death(line: Plain) -> Death:
    costs = _real(line["fees_paid"]) + _real(line["slippage_paid"]) + _real(line["funding_paid"])
    side = line["position_side"]
    return Death(
        _whole(line["experiment"]), _text(line["agent_id"]), _whole(line["tick"]), _whole(line["birth_tick"]),
        _whole(line["age_ticks"]), _text(line["death_reason"]), None if side is None else _text(side),
        _whole(line["trades"]), _real(line["initial_capital"]), _real(line["roi_lifetime"]), _real(line["roi_period"]),
        costs,
    )  # fmt: skip


def _birth(line: Plain) -> Birth:
    return Birth(
        _whole(line["experiment"]), _text(line["agent_id"]), _whole(line["tick"]), _text(line["founder_id"]),
        _text(line["parent_id"]),
    )  # fmt: skip


def _survivor(line: Plain) -> Survivor:
    return Survivor(
        _whole(line["experiment"]), _text(line["agent_id"]), _text(line["founder_id"]), _whole(line["birth_tick"]),
        _whole(line["age_ticks"]), _whole(line["trades"]), _whole(line["wins"]), _real(line["roi_lifetime"]),
        _real(line["final_capital"]), line["in_pool"] is True, _text(line["genome_sha256"]),
    )  # fmt: skip


def _pattern(line: Plain) -> Pattern:
    return Pattern(
        _whole(line["experiment"]), _text(line["pattern"]), _whole(line["tick_first"]), _whole(line["tick_last"]),
        _whole(line["deaths"]), _text(line["detail"]),
    )  # fmt: skip


def _series(line: Plain) -> Plain:
    count = len(line["ticks"])
    names = ("ticks", "alive", "births", "reserve", "total", "long", "short", "fees", "slippage", "funding")
    for name in names:
        if len(line[name]) != count or not all(type(value) in {int, float} for value in line[name]):
            raise ValueError(name)
    _whole(line["experiment"])
    return line


_ROW = ("experiment", "seed", "ticks", "alive_agents", "founders", "births", "deaths", "system_roi", "max_drawdown")


def _is_row(row: object) -> bool:
    """Whether a row of the summary has the figures that pages use, each of its kind."""
    if not isinstance(row, dict) or not all(type(row.get(name)) in {int, float} for name in _ROW):
        return False
    tables = [row.get(name) for name in ("costs", "capital_triplet", "collapse", "deaths_by_reason")]
    if not all(isinstance(one, dict) for one in tables):
        return False
    costs, triplet, _, _ = tables
    money = [*map(costs.get, ("fees", "slippage", "funding")), triplet.get("current_total")]  # type: ignore[union-attr]
    return all(type(value) in {int, float} for value in money)


def _seal(run: Path) -> str | None:
    try:
        sums = read_if_there(run / Artifact.SHA256SUMS, at_most=SMALL)
    except PrometheusError:
        return None
    return None if sums is None else hashlib.sha256(sums).hexdigest()


def _listed(run: Path, odd: list[str]) -> list[Listed]:
    try:
        sums = read_if_there(run / Artifact.SHA256SUMS, at_most=SMALL)
        sizes = read_if_there(run / Artifact.FILELIST, at_most=SMALL)
    except PrometheusError as error:
        odd.append(str(error))
        return []
    if sums is None:
        return []
    known = {}
    for line in (sizes or b"").decode("utf-8", "replace").splitlines():
        if found := _MODE_SIZE_NAME.fullmatch(line):
            known[found[3]] = int(found[2])
    pairs = [line.split("  ", 1) for line in sums.decode("utf-8", "replace").splitlines() if "  " in line]
    return [Listed(name, known.get(name), digest, (run / name).is_file()) for digest, name in pairs]
