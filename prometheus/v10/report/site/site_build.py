"""Builds the site of an installation: static files that a browser opens from the disk, without a server.

1. A page that follows from the same basis (the ledger's last line, version, language) is not built again.
2. The page of a run is built when the run is sealed, and again when its seal or its files change. One build makes a
   bounded number of them, the newest first; later builds make the rest.
3. What was read of a run stands in ``made.json``, so that a build reads only runs that are new. The pages over all
   lives and eras read every summary: where there are many runs, they are built once an hour, by the ledger's own time.
4. Nothing is written but below the site's directory, and nothing there is read back as truth.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout, make_directories
from prometheus.v10.evidence.catalog import RunPlace, runs
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.report.eras import read_histories
from prometheus.v10.report.gain import gains
from prometheus.v10.report.lifetimes import figures_of
from prometheus.v10.report.pages.figures_made import Page
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.run_page import run_page
from prometheus.v10.report.pages.run_read import read_run
from prometheus.v10.report.pages.run_verified import verified
from prometheus.v10.report.pages.templating import render
from prometheus.v10.report.site.evolution_page import evolution_page
from prometheus.v10.report.site.exchange_page import exchange_page
from prometheus.v10.report.site.index_page import index_page
from prometheus.v10.report.site.record_pages import evidence_page, gates_page, markets_page, runs_page
from prometheus.v10.report.site.run_lines import RunLine, run_line
from prometheus.v10.report.site.site_place import Known, Made, read_made, write_made
from prometheus.v10.report.site.survival_page import Named, survival_page
from prometheus.v10.report.strata import read_census

FEW = 100
"""Runs up to which every page is built each time."""
SLOW_SECONDS = 3600.0
TAIL = 1 << 16
BEFORE = "1970-01-01T00:00:00.000000Z"


@frozen(kw_only=True)
class Wish:
    """What is asked for.

    Attributes:
        most: pages of runs that this build makes at most.
        version: of this suite.
        again: whether everything is built again.
    """

    layout: Layout
    out: Path
    words: Phrases
    most: int
    version: str
    again: bool = False


@define
class Built:
    """What a build did; ``waiting`` runs have no page yet, and ``unchanged`` says that there was nothing to do."""

    written: list[str] = field(factory=list)
    waiting: int = 0
    unchanged: bool = False


def build_site(wish: Wish, status: Callable[[str], Mapping[str, Any]]) -> Built:
    """Build what has changed.

    Args:
        wish: what is asked for.
        status: called where pages are built, with the moment of the ledger's last entry: what ``status --json`` says of
            the installation then.

    Raises:
        PrometheusError: when the ledger is damaged, or the disk refuses.
    """
    layout, out = wish.layout, wish.out
    built, before = Built(), read_made(out)
    basis = basis_of(wish)
    there = list(runs(layout))
    owed = {one.run_id: key for one in there if (key := key_of(one, wish)) is not None}
    stale = [one for one in there if one.run_id in owed and _is_stale(one, owed, before, wish)]
    if before.basis == basis and not stale and not wish.again and (out / "index.html").is_file():
        built.unchanged = True
        return built
    make_directories(out / "runs")
    known = {name: entry for name, entry in before.runs.items() if name in owed}
    for place in stale[: wish.most]:
        word = _run(place, wish, built)
        known[place.run_id] = Known(key=owed[place.run_id], word=word, line=run_line(place))
    built.waiting = len(stale[wish.most :])
    for name in sorted(before.runs.keys() - owed.keys()):  # its run is gone
        (out / "runs" / f"{os.path.basename(name)}.html").unlink(missing_ok=True)  # noqa: PTH119  (a name of ours)
    lines = [known[one.run_id].line if one.run_id in known else run_line(one) for one in there]
    site = _Site(wish, basis["moment"], lines, {name: entry.word for name, entry in known.items()}, built)
    slow = wish.again or len(lines) <= FEW or _hour_past(before.slow, basis["moment"]) or not site.is_whole()
    site.build(status(basis["moment"]), slow=slow)
    moment = basis["moment"] if slow else before.slow
    write_made(out, Made(basis=basis, slow=moment, runs=dict(sorted(known.items()))))
    return built


def basis_of(wish: Wish) -> dict[str, Any]:
    """What all pages follow from: where the ledger stands, this version, and the language."""
    ledger, last, size = wish.layout.ledger, b"", 0
    if ledger.is_file():
        size = ledger.stat().st_size
        with ledger.open("rb") as stream:
            stream.seek(max(0, size - TAIL))
            last = stream.read(TAIL).rstrip(b"\n").rpartition(b"\n")[2]
    return {
        "ledger_bytes": size,
        "moment": _moment(last),
        "last_line": hashlib.sha256(last).hexdigest(),
        "version": wish.version,
        "language": wish.words.language.value,
    }


def _moment(line: bytes) -> str:
    """When the ledger's last entry was made; the beginning of time where there is none."""
    try:
        said = strict_loads(line).get("ts_utc")
    except (ValueError, AttributeError):
        said = None
    return said if isinstance(said, str) else BEFORE


def key_of(place: RunPlace, wish: Wish) -> str | None:
    """What a run's page follows from: seal, version, language, and its files with their sizes; None before its seal."""
    try:
        sums = (place.path / Artifact.SHA256SUMS).read_bytes()
        with os.scandir(place.path) as found:
            files = sorted((one.name, one.stat(follow_symlinks=False)) for one in found)
    except OSError:
        return None
    digest = hashlib.sha256(sums + f"{wish.version} {wish.words.language.value}".encode())
    for name, status in files:
        digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _is_stale(place: RunPlace, owed: Mapping[str, str], before: Made, wish: Wish) -> bool:
    entry = before.runs.get(place.run_id)
    same = entry is not None and entry.key == owed[place.run_id]
    return wish.again or not same or not (wish.out / "runs" / f"{place.run_id}.html").is_file()


def _run(place: RunPlace, wish: Wish, built: Built) -> str:
    """Build a run's page; returns the word of `verify`."""
    said = verified(place.path)
    page = run_page(read_run(place.path), said, wish.words, home="../index.html", version=wish.version)
    _write(wish, f"runs/{place.run_id}.html", page, built)
    return said.word


def _hour_past(before: str, now: str) -> bool:
    """Whether an hour of the ledger's time lies between two moments; also where one of them is none."""
    try:
        first, last = (datetime.fromisoformat(one.removesuffix("Z") + "+00:00") for one in (before, now))
    except ValueError:
        return True
    return (last - first).total_seconds() >= SLOW_SECONDS


@frozen
class _Site:
    """The pages over all runs, as of one moment of the ledger."""

    wish: Wish
    moment: str
    lines: list[RunLine]
    said: Mapping[str, str]
    built: Built

    def is_whole(self) -> bool:
        """Whether the pages that read every run are there."""
        return all((self.wish.out / name).is_file() for name in ("kpi.html", "progress.html"))

    def build(self, status: Mapping[str, Any], *, slow: bool) -> None:
        """Build them; ``slow``: also those that read every run."""
        layout, words = self.wish.layout, self.wish.words
        view = ledger_now(layout.ledger)
        as_of = words("as of ledger entry {count}, {moment}", count=f"{view.entries:,}", moment=self.moment[:19])
        lines, said = self.lines, self.said
        pages = {
            "index.html": index_page(status, lines, said, as_of, words),
            "runs/index.html": runs_page(lines, said, as_of, words),
            "exchange.html": exchange_page(layout, lines, said, as_of, words),
            "gates.html": gates_page(layout, as_of, words),
            "markets.html": markets_page(layout, as_of, words),
            "evidence.html": evidence_page(layout, view, status, lines, said, as_of, words),
        }
        for name, page in (pages | (self._slow(as_of) if slow else {})).items():
            _write(self.wish, name, page, self.built)

    def _slow(self, as_of: str) -> dict[str, Page]:
        layout, words = self.wish.layout, self.wish.words
        found = sorted(read_histories(layout).by_instance.items())
        histories = [(name, gains(history.eras)) for name, history in found if history.found]
        strata = enumerate(read_census(layout).strata.items(), 1)
        named = [Named(place, one, own := list(lives.values()), figures_of(own)) for place, (one, lives) in strata]
        return {
            "kpi.html": survival_page(named, as_of, words),
            "progress.html": evolution_page(histories, as_of, words),
        }


def _write(wish: Wish, name: str, page: Page, built: Built) -> None:
    data, place = render(page, wish.words), wish.out / name
    if place.is_file() and place.read_bytes() == data:
        return
    write_atomic(place, data, mode=0o644, durable=False)
    built.written.append(name)
