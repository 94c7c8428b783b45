"""How long an instance stays alive: the ledger of its internal collapses (contracts, sections 3 and 11).

``state/<instance>/collapse_intervals.jsonl`` outlives runs and restarts. Three kinds of line, hash-chained like a pool:

- ``collapse``: one for each internal collapse, with the time and the ticks since the one before;
- ``run``: closes a run and carries the instance's tick counter on, also when nothing collapsed;
- ``reboot``: the next run has its first valid artifact; the time since the collapse was detected is the restart time.

Lines carry in ``extra`` what holds within the stratum of an experiment (`prometheus.v10.evidence.derive.eras.stratum`):
``stratum`` and, of a collapse, ``stratum_ticks`` (lived in it up to the collapse) and ``stratum_ticks_since_previous``
(unless it is the first in it); of a run, ``strata`` (ticks lived in each that it has) and the ``stratum`` of its first
experiment. Medians are of one stratum: those of different profiles, arms and lines never mix.

All lines of one run are written with one ``write`` and are durable before the next run begins, its ``run`` line last:
a run without one was cut off here and is recorded again by the next start. A torn tail is moved aside and reported as
a pool's is, anything else that is wrong refuses (exit 65). Nothing here is read by a decision: this is an audit figure.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Self

from attrs import define, field, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.files import FILES
from prometheus.v10.base.names import CURVE_FILE, Schema
from prometheus.v10.evidence.chains.chain import GENESIS, Link, after, line_hash
from prometheus.v10.evidence.chains.tail import OnTornTail, open_chain
from prometheus.v10.evidence.records.canonical import canonical_line, is_canonical, strict_loads
from prometheus.v10.evidence.records.codec import from_plain, to_plain

FILE_NAME = CURVE_FILE

CLOCK_WENT_BACK = "the wall clock stepped backwards in between"
FIRST = "first internal collapse of this instance"


@frozen
class CollapseSeen:
    """One internal collapse as a run reports it.

    Attributes:
        tick: index of the bar in its experiment at whose close it was found.
        reason: ``extinction``, ``financial`` or ``both``.
        detected: wall-clock time (UTC); None when only the end of its run is known.
    """

    experiment: int
    reason: str
    tick: int
    detected: datetime | None = None


@define
class CollapseLine:
    """One internal collapse. Ticks are the instance's: those of all its experiments, in order, since its first run."""

    n: int
    prev: str
    ts_utc: str
    instance: str
    run_id: str
    experiment: int
    reason: str
    tick: int
    ticks_total: int
    ticks_since_previous: int | None
    seconds_since_previous: float | None
    null_reasons: dict[str, str] = field(factory=dict)
    type: str = "collapse"
    schema: str = Schema.COLLAPSE_INTERVAL.value
    extra: dict[str, Any] = field(factory=dict)


@define
class RunLine:
    """A run is over; ``ticks`` is None when it was cut off before it could say."""

    n: int
    prev: str
    ts_utc: str
    instance: str
    run_id: str
    status: str
    collapses: int
    ticks: int | None
    ticks_total: int
    null_reasons: dict[str, str] = field(factory=dict)
    type: str = "run"
    schema: str = Schema.COLLAPSE_INTERVAL.value
    extra: dict[str, Any] = field(factory=dict)


@define
class RebootLine:
    """The first valid artifact after a collapse exists again."""

    n: int
    prev: str
    ts_utc: str
    instance: str
    run_id: str
    after_run_id: str
    restart_time_seconds: float | None
    null_reasons: dict[str, str] = field(factory=dict)
    type: str = "reboot"
    schema: str = Schema.COLLAPSE_INTERVAL.value
    extra: dict[str, Any] = field(factory=dict)


Line = CollapseLine | RunLine | RebootLine
_KINDS: dict[str, type[Line]] = {"collapse": CollapseLine, "run": RunLine, "reboot": RebootLine}


@frozen
class IntervalFigures:
    """The survival curve in a few numbers; None where there is nothing to take them from.

    Attributes:
        runs: of the instance; ``collapses`` and ``ticks_total`` likewise.
        stratum: of the first experiment of the latest run; None where its lines do not say.
        stratum_ticks: ticks lived in it.
        median_interval_ticks: between two collapses in it, and ``longest_interval_ticks``.
    """

    runs: int
    collapses: int
    ticks_total: int
    last_collapse_utc: str | None
    last_reason: str | None
    stratum: str | None
    stratum_ticks: int | None
    median_interval_ticks: float | None
    longest_interval_ticks: int | None
    last_restart_seconds: float | None


@define
class _Stratum:
    """What is known of one stratum: ticks lived in it, those at its last collapse, and the intervals between two."""

    ticks: int = 0
    last: int | None = None
    intervals: array[int] = field(factory=lambda: array("q"))


class CollapseIntervals:
    """The ledger of one instance; one writer (the instance's lock). Holds figures in memory, never all the lines.

    Attributes:
        last_collapse: the newest internal collapse, or None.
        ticks_total: ticks this instance has lived.
    """

    def __init__(self, path: Path, instance: str, clock: Clock, on_torn: OnTornTail) -> None:
        """Open and check every line; ``on_torn`` hears of a torn tail that was moved aside.

        Raises:
            EvidenceError: when anything but a torn tail is wrong, with its byte offset.
            HostError: when the file cannot be read or written.
        """
        self.path = path
        self.last_collapse: CollapseLine | None = None
        self.ticks_total = 0
        self._instance = instance
        self._clock = clock
        self._n = 0
        self._prev = GENESIS
        self._rebooted = True
        self._last_restart: float | None = None
        self._collapses = 0
        self._runs: set[str] = set()
        self._unfinished: dict[str, set[int]] = {}
        self._strata: dict[str, _Stratum] = {}
        self._latest: str | None = None
        self._file, _ = open_chain(path, _FORMAT, clock=clock, files=FILES, on_torn=on_torn)
        try:
            for line, text in _read(path):
                self._note(line)
                self._n, self._prev = self._n + 1, line_hash(text)
        except BaseException:
            self._file.close()
            raise

    def _note(self, line: Line) -> None:
        match line:
            case CollapseLine():
                self.last_collapse, self._rebooted = line, False
                self._collapses += 1
                self._unfinished.setdefault(line.run_id, set()).add(line.experiment)
                if (name := line.extra.get("stratum")) is not None:
                    stratum = self._strata.setdefault(name, _Stratum())
                    stratum.last = line.extra["stratum_ticks"]
                    if (since := line.extra.get("stratum_ticks_since_previous")) is not None:
                        stratum.intervals.append(since)
            case RunLine():
                self._latest = line.extra.get("stratum")
                for name, ticks in line.extra.get("strata", {}).items():
                    self._strata.setdefault(name, _Stratum()).ticks = ticks
                self._runs.add(line.run_id)
                self._unfinished.pop(line.run_id, None)
                self.ticks_total = line.ticks_total
            case RebootLine():
                self._rebooted, self._last_restart = True, line.restart_time_seconds

    # ---- what is known -----------------------------------------------------------------------------------------------

    def has_run(self, run_id: str) -> bool:
        """Whether the run was recorded to its end."""
        return run_id in self._runs

    def pending_restart(self) -> tuple[str, float | None] | None:
        """The run whose collapse the next run follows, and the seconds since it was detected; None without one."""
        last = self.last_collapse
        if last is None or self._rebooted:
            return None
        return last.run_id, _seconds_between(last.ts_utc, self._clock.now())

    def figures(self) -> IntervalFigures:
        """The curve in a few numbers."""
        last = self.last_collapse
        stratum = None if self._latest is None else self._strata.get(self._latest)
        intervals = array("q") if stratum is None else stratum.intervals
        return IntervalFigures(
            runs=len(self._runs),
            collapses=self._collapses,
            ticks_total=self.ticks_total,
            last_collapse_utc=last.ts_utc if last else None,
            last_reason=last.reason if last else None,
            stratum=self._latest,
            stratum_ticks=None if stratum is None else stratum.ticks,
            median_interval_ticks=median(intervals) if intervals else None,
            longest_interval_ticks=max(intervals, default=None),
            last_restart_seconds=self._last_restart,
        )

    # ---- what is added -----------------------------------------------------------------------------------------------

    def record_run(
        self, run_id: str, status: str, collapses: Sequence[CollapseSeen], ticks: Mapping[int, int] | None,
        strata: Mapping[int, str] | None = None,
    ) -> list[CollapseLine]:  # fmt: skip
        """Record a run that is over; does nothing when that was done before.

        Args:
            run_id: the run.
            status: its manifest's status.
            collapses: its internal collapses.
            ticks: ticks that each of its experiments lived, by experiment; None when it was cut off and cannot say.
            strata: the stratum of each of its experiments; None when it was cut off and cannot say.

        Returns:
            The lines that were added for its collapses.

        Raises:
            HostError: when they cannot be made durable; nothing is recorded then.
        """
        if self.has_run(run_id):
            return []
        already = self._unfinished.get(run_id, set())  # a cut went through this very append
        now = self._clock.now()
        lived = dict(ticks) if ticks is not None else {c.experiment: c.tick + 1 for c in collapses}
        total, starts = self.ticks_total, {}
        of_stratum = {name: self._strata[name].ticks if name in self._strata else 0 for name in (strata or {}).values()}
        in_stratum: dict[int, int] = {}
        for experiment in sorted(lived):
            starts[experiment] = total
            total += lived[experiment]
            if strata is not None:
                in_stratum[experiment] = of_stratum[strata[experiment]]
                of_stratum[strata[experiment]] += lived[experiment]
        last = {name: None if name not in self._strata else self._strata[name].last for name in of_stratum}
        batch = _Batch(self._n, self._prev)
        previous = self.last_collapse
        for seen in sorted(collapses, key=lambda c: c.experiment):
            if seen.experiment not in already:
                at = starts.get(seen.experiment, self.ticks_total) + seen.tick + 1
                previous = self._collapse_line(batch, run_id, seen, at, seen.detected or now, previous)
                if strata is not None and seen.experiment in in_stratum:
                    name, lived_in = strata[seen.experiment], in_stratum[seen.experiment] + seen.tick + 1
                    previous.extra = {"stratum": name, "stratum_ticks": lived_in}
                    if (before := last[name]) is not None:
                        previous.extra["stratum_ticks_since_previous"] = lived_in - before
                    last[name] = lived_in
                batch.add(previous)
        known = None if ticks is None else sum(ticks.values())
        batch.add(
            RunLine(
                n=batch.n, prev=batch.prev, ts_utc=utc_text(now), instance=self._instance, run_id=run_id, status=status,
                collapses=len(collapses), ticks=known, ticks_total=total,
                null_reasons={} if known is not None else {"ticks": "the run was cut off before it could say"},
                extra={} if not strata else {"stratum": strata[min(strata)], "strata": of_stratum},
            )
        )  # fmt: skip
        self._append(batch)
        return [line for line in batch.lines if isinstance(line, CollapseLine)]

    def _collapse_line(
        self,
        batch: _Batch,
        run_id: str,
        seen: CollapseSeen,
        ticks_total: int,
        moment: datetime,
        previous: CollapseLine | None,
    ) -> CollapseLine:
        reasons: dict[str, str] = {}
        if previous is None:
            seconds, since = None, None
            reasons = {"seconds_since_previous": FIRST, "ticks_since_previous": FIRST}
        else:
            since = ticks_total - previous.ticks_total
            seconds = _seconds_between(previous.ts_utc, moment)
            if seconds is None:
                reasons["seconds_since_previous"] = CLOCK_WENT_BACK
        return CollapseLine(
            n=batch.n, prev=batch.prev, ts_utc=utc_text(moment), instance=self._instance, run_id=run_id,
            experiment=seen.experiment, reason=seen.reason, tick=seen.tick, ticks_total=ticks_total,
            ticks_since_previous=since, seconds_since_previous=seconds, null_reasons=reasons,
        )  # fmt: skip

    def record_opened(self, run_id: str) -> RebootLine | None:
        """A run has its first valid artifact: record the restart time when a collapse preceded it.

        Raises:
            HostError: when the line cannot be made durable.
        """
        pending = self.pending_restart()
        if pending is None:
            return None
        after_run_id, seconds = pending
        batch = _Batch(self._n, self._prev)
        line = RebootLine(
            n=batch.n, prev=batch.prev, ts_utc=utc_text(self._clock.now()), instance=self._instance, run_id=run_id,
            after_run_id=after_run_id, restart_time_seconds=seconds,
            null_reasons={} if seconds is not None else {"restart_time_seconds": CLOCK_WENT_BACK},
        )  # fmt: skip
        batch.add(line)
        self._append(batch)
        return line

    def _append(self, batch: _Batch) -> None:
        self._file.append_durable(b"".join(batch.written))
        self._n, self._prev = batch.n, batch.prev
        for line in batch.lines:
            self._note(line)

    def close(self) -> None:
        """Close the file; everything recorded is durable already."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Batch:
    """Lines that are written together, each chained to the one before."""

    def __init__(self, n: int, prev: str) -> None:
        self.lines: list[Line] = []
        self.written: list[bytes] = []
        self.n, self.prev = n, prev

    def add(self, line: Line) -> None:
        text = canonical_line(to_plain(line))
        self.lines.append(line)
        self.written.append(text)
        self.n, self.prev = self.n + 1, line_hash(text)


def _seconds_between(earlier: str, later: datetime) -> float | None:
    seconds = (later - datetime.fromisoformat(earlier)).total_seconds()
    return seconds if seconds >= 0 else None


def read_lines(path: Path) -> Iterator[Line]:
    """Every whole line, oldest first; what follows the last line feed is not looked at.

    Raises:
        EvidenceError: when a line is wrong, with its byte offset.
        HostError: when the file cannot be read.
    """
    return (line for line, _text in _read(path))


def _read(path: Path) -> Iterator[tuple[Line, bytes]]:
    offset, link = 0, Link()
    try:
        with path.open("rb") as reader:
            for text in reader:
                if not text.endswith(b"\n"):
                    return
                if what := _FORMAT.problem(text, link):
                    raise EvidenceError(f"{path}: damaged at byte {offset}: {what}", hint="keep it for the audit")
                yield _parse(text), text
                offset, link = offset + len(text), after(text, link.n)
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error


def _parse(text: bytes) -> Line:
    tree = strict_loads(text)
    if not is_canonical(text.rstrip(b"\n"), tree):
        raise ValueError("not in canonical form")
    return from_plain(tree, _KINDS[tree["type"]], where="line")


class _Format:
    """What the chain checker asks of a line of this ledger."""

    name = "collapse interval"

    def link_of(self, line: bytes) -> Link | None:
        try:
            found = _parse(line)
        except (ValueError, KeyError, TypeError, EvidenceError):
            return None
        return Link(found.n, found.prev)

    def links(self, line: bytes, link: Link) -> bool:
        return self.link_of(line) == link

    def problem(self, line: bytes, link: Link | None) -> str | None:
        found = self.link_of(line)
        if found is None:
            return "not a line of this ledger"
        return None if link is None or found == link else "does not continue the line before it"


_FORMAT = _Format()
