"""All experiments of a run, from their lines to what they came to, by one process or two. Standard library only."""

from __future__ import annotations

import gc
import json
import os
from array import array
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.derive.book import Book
from prometheus.v10.evidence.derive.patterns import Patterns
from prometheus.v10.evidence.derive.rows import FILES, collapse_findings, row_findings
from prometheus.v10.evidence.derive.series.series_findings import fits
from prometheus.v10.evidence.derive.series.series_of import series_of
from prometheus.v10.evidence.derive.setting import Heard, Setting
from prometheus.v10.evidence.derive.sharing import MOST_SHARES, Share, can_share, cut, hashed, in_processes
from prometheus.v10.evidence.derive.streams import EventFile, Part, as_bytes, lines_between
from prometheus.v10.evidence.derive.typed import is_count

LARGE = 2 * 1024 * 1024
"""Bytes of event files from which on a second process pays."""
SHARES_EACH = 8
"""Shares for each process: so many that none waits long for the others' last."""
MOST_SAID = 20
"""Findings of one file that are spelt out; the rest is counted."""


@dataclass
class Told:
    """What one experiment came to, for the checks of the run as a whole.

    Attributes:
        spans: first and last tick at whose close the agent may have sent an order, by genome_index, interleaved.
        liquidated: tick and side of the position of each liquidation, by genome_index.
        founders: digests of the founders' genomes (`Setting.founders_told`).
        figures: of each agent (`Setting.figures_told`).
        series: what the population's series must say, where the run keeps one (`series_of`).
    """

    reasons: Counter[str]
    reviewed: int
    births: int
    deaths: int
    in_pool: int
    traded_dead: int
    agent_ticks: int
    collapse: tuple[str, int] | None
    close: str | None
    ticks: int
    completed: bool
    whole: bool
    spans: array[int]
    liquidated: dict[int, tuple[int, str]]
    founders: tuple[bytes, ...] = ()
    figures: array[float] = field(default_factory=lambda: array("d"))
    series: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Lives:
    """Everything that the event files say.

    Attributes:
        findings: file, line counted from 0 (None for the file as a whole), and what is wrong.
        lines: of each file; ``rest`` the bytes behind its last newline.
        sha256: of a file's bytes as they were parsed, unless it was hashed before (`read_lives`).
        series: whether each line of the population's series was held against its experiment, and is right.
    """

    findings: list[tuple[Artifact | str, int | None, str]] = field(default_factory=list)
    told: dict[int, Told] = field(default_factory=dict)
    lines: dict[Artifact, int] = field(default_factory=dict)
    sha256: dict[Artifact, str] = field(default_factory=dict)
    rest: dict[Artifact, int] = field(default_factory=dict)
    too_much: list[Artifact] = field(default_factory=list)
    hidden: Counter[str] = field(default_factory=Counter)
    series: bool = False

    def say(self, where: Artifact | str, line: int | None, what: str) -> None:
        """Add a finding, unless its file has many already."""
        if sum(1 for one in self.findings if one[0] == where) < MOST_SAID:
            self.findings.append((where, line, what))
        else:
            self.hidden[str(where)] += 1


def read_lives(
    setting: Setting, paths: Mapping[Artifact, Path], rows: Mapping[int, Mapping[str, Any]] | None, *,
    unfinished: bool = False, processes: int | None = None, own: Container[str] = (),
) -> Lives:  # fmt: skip
    """Read all event files of a run.

    Args:
        setting: what the manifest settles.
        paths: where each file lies; one that is missing is said elsewhere. The population's series may be among them:
            several processes hold it against what they read, one process leaves that to others (`Lives.series`).
        rows: of the summary, by experiment; None where there is no summary.
        unfinished: the run was cut off, or failed: its last experiment may be filed in part.
        processes: at most so many; None takes as many as there are processors, where the files are large.
        own: files that nobody else can change, and that were hashed: their sha256 is not taken again.

    Raises:
        OSError: when a file cannot be read.
        PrometheusError: when one is no regular file.
    """
    size = sum(path.stat().st_size for path in paths.values())
    count = processes or (len(os.sched_getaffinity(0)) if size >= LARGE else 1)
    alone = {artifact: path for artifact, path in paths.items() if artifact in FILES}
    foreign = {artifact for artifact in paths if artifact not in own}
    if count > 1 and can_share():
        shared = paths if setting.moments and not unfinished else alone
        shares = cut(shared, min(count * SHARES_EACH, MOST_SHARES))
        found = None
        if len(shares) > 1:
            found = _by_several(setting, shared, rows, shares, count, foreign, unfinished=unfinished)
        if found is not None:
            return found
    return _read(setting, alone, rows, foreign, unfinished=unfinished)


def _by_several(
    setting: Setting, paths: Mapping[Artifact, Path], rows: Mapping[int, Mapping[str, Any]] | None,
    shares: Sequence[Share], count: int, foreign: Set[str], *, unfinished: bool,
) -> Lives | None:  # fmt: skip
    """Everything, by ``count`` processes; None when anything asks for one that reads all of it.

    Whatever is wrong is found again and said by one process, so that no finding depends on where the cuts fell.
    """
    sums: list[tuple[dict[Artifact, str], list[dict[Artifact, str]]]] = []

    counted = [(0, 0)]

    def work(number: int) -> tuple[Lives, Heard]:
        share = shares[number]
        counted[0] = _deaths_before(paths, share, *counted[0])
        mine = None if rows is None else {at: row for at, row in rows.items() if share.has(at)}
        last = unfinished and number == len(shares) - 1
        found = _read(setting, paths, mine, foreign, unfinished=last, share=share, before=counted[0][1])
        return found, setting.heard()

    asked = {artifact: path for artifact, path in paths.items() if artifact in foreign}
    answers = in_processes(count, len(shares), work, lambda: sums.append(hashed(asked, shares)))
    if answers is None:
        return None
    digests, parts = sums[0]
    whole = Lives(sha256=digests, series=Artifact.POPULATION_SERIES in paths)
    for (part, heard), share, said in zip(answers, shares, parts, strict=True):
        whole.told.update(part.told)
        cut_short = any(part.rest.values()) and (share.past is not None or part.rest.get(Artifact.POPULATION_SERIES))
        odd = part.findings or part.too_much or part.hidden or cut_short or part.sha256 != said
        if odd or not all(map(share.has, part.told)) or not setting.hear(heard):
            return None
        for artifact in paths:
            whole.lines[artifact] = whole.lines.get(artifact, 0) + part.lines[artifact]
            whole.rest[artifact] = part.rest[artifact]
    return whole


def _read(
    setting: Setting, paths: Mapping[Artifact, Path], rows: Mapping[int, Mapping[str, Any]] | None,
    foreign: Set[str], *, unfinished: bool, share: Share | None = None, before: int = 0,
) -> Lives:  # fmt: skip
    """All experiments, or those of a share; ``before``: deaths that the run filed before it."""
    found = Lives()
    collecting = gc.isenabled()
    gc.disable()  # parsed lines hold no cycles: looking for some in them costs a quarter of the time
    files: dict[Artifact, EventFile] = {}
    try:
        for artifact, path in paths.items():
            span = None if share is None else share.spans[artifact]
            files[artifact] = EventFile(path, span, hashing=artifact in foreign)
        for experiment in _experiments(files, rows, found):
            parts = {artifact: file.part(experiment) for artifact, file in files.items()}
            last = unfinished and _next(files) is None
            _experiment(setting, experiment, parts, rows, found, before, last=last)
        for artifact, file in files.items():
            digest = file.finish()
            if artifact in foreign:
                found.sha256[artifact] = digest
            found.lines[artifact], found.rest[artifact] = file.count, file.rest
            if file.too_much:
                found.too_much.append(artifact)
            for line, what in file.wrong:
                found.say(artifact, line, what)
    finally:
        if collecting:
            gc.enable()
        for file in files.values():
            file.close()
    return found


def _deaths_before(paths: Mapping[Artifact, Path], share: Share, at: int, count: int) -> tuple[int, int]:
    """Where a share's deaths begin, and how many there are before, where patterns refer to their lines.

    Args:
        paths: of the files.
        share: whose deaths are meant.
        at: a place before them.
        count: how many deaths are before that.
    """
    start, end = share.spans.get(Artifact.INTERESTING_DEATHS, (0, 0))
    if start == end or Artifact.DEATHS not in paths:
        return at, count
    there = share.spans[Artifact.DEATHS][0]
    return there, count + lines_between(paths[Artifact.DEATHS], at, there)


def _experiments(files: Mapping[Artifact, EventFile], rows: Mapping[int, Any] | None, found: Lives) -> Iterator[int]:
    """Those of the files, in order; then rows that no line speaks of: nobody was born, died or lived, which cannot be.

    Each comes once, told or not: a row may name any number.
    """
    while (experiment := _next(files)) is not None:
        yield experiment
    yield from [one for one in sorted(rows or ()) if one not in found.told]


def _next(files: Mapping[Artifact, EventFile]) -> int | None:
    return min((one for file in files.values() if (one := file.next_experiment()) is not None), default=None)


def _experiment(  # noqa: C901  (what is known decides what is checked)
    setting: Setting, experiment: int, parts: Mapping[Artifact, Any],
    rows: Mapping[int, Mapping[str, Any]] | None, found: Lives, before: int, *, last: bool,
) -> None:  # fmt: skip
    if experiment >= len(setting.seeds):
        for artifact, part in parts.items():
            if part.lines:
                found.say(artifact, part.first, f"experiment {experiment}: the manifest has {len(setting.seeds)} seeds")
        return

    said: list[tuple[str, int, str]] = []
    lines = {artifact: parts[artifact].lines if artifact in parts else [] for artifact in FILES}
    setting = setting.at(experiment)
    book = Book(setting, experiment, lambda name, line, what: said.append((name, line, what)))
    book.live(lines[Artifact.BIRTHS], lines[Artifact.DEATHS])
    row = None if rows is None else rows.get(experiment)
    if rows is not None and row is None:
        found.say(Artifact.SUMMARY, None, f"experiment {experiment} is in the event files and has no row")
    ticks = _ticks(book, row, lines[Artifact.SURVIVORS])
    completed = book.totals.collapse is not None or ticks == setting.ticks
    filed = not last or _wholly_filed(book, lines)
    known = setting.survivors and Artifact.SURVIVORS in parts and filed
    if known:
        book.survive(lines[Artifact.SURVIVORS], ticks, completed=completed)
    book.close(ticks)
    for name, line, what in said if filed else ():
        found.say(name, parts[Artifact(name)].first + line, what)
    if filed and Artifact.COLLAPSES in parts:
        for what in collapse_findings(book, [*map(as_bytes, lines[Artifact.COLLAPSES])]):
            found.say(Artifact.COLLAPSES, parts[Artifact.COLLAPSES].first, f"experiment {experiment}: {what}")
    if book.totals.whole and Artifact.INTERESTING_DEATHS in parts and not last:
        part = parts[Artifact.INTERESTING_DEATHS]
        for line, what in Patterns(book, before + parts[Artifact.DEATHS].first).findings([*map(as_bytes, part.lines)]):
            found.say(Artifact.INTERESTING_DEATHS, part.first + line, what)
    if row is not None and known and book.totals.whole:
        for what in row_findings(book, row, ticks):
            found.say(Artifact.SUMMARY, None, f"experiment {experiment}: {what}")
    told = found.told[experiment] = _told(book, ticks, completed=completed)
    _hold_series(parts.get(Artifact.POPULATION_SERIES), setting, told, row, found)


def _hold_series(
    part: Part | None, setting: Setting, told: Told, row: Mapping[str, Any] | None, found: Lives
) -> None:  # fmt: skip
    """Hold an experiment's line of the population's series against its events; nothing else needs those figures."""
    if part is None:
        return
    if len(part.lines) != 1 or not fits(part.lines[0], setting, part.experiment, told.series, row):
        found.say(Artifact.POPULATION_SERIES, part.first, "it is not what the experiment's events make of it")
    told.series = {}


def _wholly_filed(book: Book, lines: Mapping[Artifact, list[str]]) -> bool:
    """Whether the last experiment of an unfinished run has all its lines.

    Its files are written one after the other, and a failure cuts any of them at any place. What is derived from lines
    that may be missing says nothing about those that are there, so such an experiment is read for its form only. It
    has all its lines when everyone who was born has a line of a death or of a survivor.
    """
    living = sum(tick < 0 for tick in book.death_tick)
    told = len(lines[Artifact.SURVIVORS])
    return told == living and (told > 0 or bool(lines[Artifact.COLLAPSES]))


def _ticks(book: Book, row: Mapping[str, Any] | None, survivors: list[str]) -> int:
    """How long the experiment lived: to its collapse, else as its row says, within what lives show."""
    if book.totals.collapse is not None:
        return book.totals.collapse[1] + 1
    latest = max((book.deaths[-1][0] if book.deaths else -1), (book.birth_ticks[-1] if book.birth_ticks else -1)) + 1
    said = row.get("ticks") if row is not None else None
    if row is None and survivors:
        said = _last_tick(as_bytes(survivors[0]))
    if is_count(said) and max(latest, 1) <= int(said or 0) <= book.setting.ticks:
        return int(said or 0)
    return book.setting.ticks


def _last_tick(line: bytes) -> int | None:
    """The number of ticks that a survivor's line names; None where it names none."""
    try:
        tick = json.loads(line).get("tick")
    except (ValueError, RecursionError, AttributeError):
        return None
    return int(tick) + 1 if is_count(tick) else None


def _told(book: Book, ticks: int, *, completed: bool) -> Told:
    totals = book.totals
    ends = [
        (born if born > 0 else 0, died if died >= 0 else ticks - 1)
        for born, died in zip(book.born, book.death_tick, strict=True)
    ]
    spans = array("q", chain.from_iterable(ends))
    return Told(
        reasons=totals.reasons,
        reviewed=totals.reviewed,
        births=totals.births,
        deaths=totals.deaths,
        in_pool=totals.in_pool,
        traded_dead=sum(trades > 0 for _, _, _, trades in book.deaths),
        agent_ticks=totals.agent_ticks,
        collapse=totals.collapse,
        close=book.setting.time.close(totals.collapse[1]) if totals.collapse else None,
        ticks=ticks,
        completed=completed,
        whole=totals.whole,
        spans=spans,
        liquidated=book.liquidated,
        founders=book.setting.founders_told(book.sha256),
        figures=book.setting.figures_told(book),
        series=series_of(book, ticks),
    )
