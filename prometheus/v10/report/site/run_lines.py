"""One line a run, for the lists of a site: what its manifest and summary say, and what `verify` said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import RunPlace, artifact_of, manifest_of, runs, was_cut_off
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.scales import number, percent


@frozen(kw_only=True)
class RunLine:
    """A run in a list.

    Attributes:
        status: completed, interrupted, failed, running, cut off, or unreadable.
        alive: median over its experiments at their end; ``roi`` likewise, a fraction.
        mode: offline, or the environment of an exchange.
        deaths_by_reason: over all experiments; None where there is no summary, or another run lived these lives before.
    """

    run_id: str
    instance: str
    stage: str
    status: str
    started: str
    experiments: int | None
    collapses: int | None
    deaths: int | None
    alive: float | None
    roi: float | None
    mode: str = "offline"
    deaths_by_reason: dict[str, int] | None = None


def run_lines(layout: Layout, most: int) -> Iterator[RunLine]:
    """The newest runs, the newest first.

    Raises:
        HostError: when the runs cannot be listed.
    """
    for place, _ in zip(runs(layout), range(most), strict=False):
        yield run_line(place)


def run_line(place: RunPlace) -> RunLine:
    """One run's line, whatever can be read of it."""
    try:
        manifest = manifest_of(place.path) or {}
        summary = artifact_of(place.path, Artifact.SUMMARY) or {}
        status = "cut off" if was_cut_off(place.path) else _text(manifest, "status")
    except PrometheusError:
        manifest, summary, status = {}, {}, "unreadable"
    counts = _table({} if status in {"running", "cut off"} else manifest, "counts")
    figures = _table(summary, "summary_stats")
    return RunLine(
        run_id=place.run_id,
        instance=_text(manifest, "instance"),
        stage=_text(manifest, "stage"),
        status=status,
        started=_text(manifest, "start_time"),
        experiments=_whole(counts, "experiments"),
        collapses=_whole(counts, "collapses"),
        deaths=_whole(counts, "deaths"),
        alive=_real(_table(figures, "alive_agents"), "median"),
        roi=_real(_table(figures, "system_roi"), "median"),
        mode=_text(manifest, "mode"),
        deaths_by_reason=None if _table(manifest, "promotion") else _deaths(summary),
    )


def _deaths(summary: Mapping[str, Any]) -> dict[str, int] | None:
    rows, found = summary.get("all_stats"), Counter[str]()
    if not isinstance(rows, list):
        return None
    for row in rows:
        reasons = _table(row, "deaths_by_reason") if isinstance(row, dict) else {}
        found.update({name: count for name, count in reasons.items() if type(count) is int})
    return dict(sorted(found.items()))


def line_again(said: Mapping[str, Any]) -> RunLine | None:
    """A line from its plain values; None where they are none."""
    texts = ("run_id", "instance", "stage", "status", "started", "mode")
    counts, reals = ("experiments", "collapses", "deaths"), ("alive", "roi")
    deaths = said.get("deaths_by_reason")
    if set(said) != {*texts, *counts, *reals, "deaths_by_reason"} or not all(
        isinstance(said[name], str) for name in texts
    ):
        return None
    if not all(said[name] is None or type(said[name]) is int for name in counts):
        return None
    if not all(said[name] is None or type(said[name]) is float for name in reals):
        return None
    if deaths is not None and not (isinstance(deaths, dict) and all(type(one) is int for one in deaths.values())):
        return None
    return RunLine(**said)


def status_said(status: str, _: Phrases) -> str:
    """A run's status in the page's language."""
    known = {
        "completed": _("completed"),
        "interrupted": _("stopped"),
        "failed": _("failed"),
        "running": _("running"),
        "cut off": _("cut off"),
        "unreadable": _("unreadable"),
    }
    return known.get(status, status)


def cells_of(line: RunLine, word: str, _: Phrases) -> tuple[str, ...]:
    """The cells of a run's line behind its id."""
    return (
        line.instance, status_said(line.status, _), word, line.started[:19].replace("T", " "), number(line.experiments),
        number(line.collapses), number(line.alive), percent(line.roi, 2), number(line.deaths),
    )  # fmt: skip


def columns_of(_: Phrases) -> tuple[str, ...]:
    """The names of the columns of a list of runs."""
    return (
        _("run"), _("instance"), _("status"), "verify", _("started, UTC"), _("experiments"), _("collapses"),
        _("alive, median"), _("return, median"), _("deaths"),
    )  # fmt: skip


def site_menu(_: Phrases, up: str = "") -> list[tuple[str, str]]:
    """Address and title of each page of a site; ``up`` leads to its directory."""
    pages = {
        "index.html": _("Overview"), "kpi.html": _("Survival"), "progress.html": _("Evolution"),
        "runs/index.html": _("Runs"), "exchange.html": _("Exchange"), "gates.html": _("Gates"),
        "markets.html": _("Markets"), "evidence.html": _("Evidence"),
    }  # fmt: skip
    return [(f"{up}{name}", title) for name, title in pages.items()]


def _table(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def _text(tree: Mapping[str, Any], name: str) -> str:
    found = tree.get(name)
    return found if isinstance(found, str) else "–"


def _whole(tree: Mapping[str, Any], name: str) -> int | None:
    found = tree.get(name)
    return found if type(found) is int else None


def _real(tree: Mapping[str, Any], name: str) -> float | None:
    found = tree.get(name)
    return float(found) if type(found) in {int, float} else None  # type: ignore[arg-type]
