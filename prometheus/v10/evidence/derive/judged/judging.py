"""What a manifest of stage 2 settles for each of its experiments: a cell of its own, and the batch that lives in it.

Cells follow from the configuration, the market's identity, the snapshot's size and the numbers of the batches. Where
the market has gaps the length of a stretch does not; it is then asserted by ``stage2.stretches`` (ADR 0056).
Standard library only.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus.v10.evidence.derive.derived_world import OFF, timeframe_name, world_of
from prometheus.v10.evidence.derive.judged import cell_rules as cells
from prometheus.v10.evidence.derive.judged.philox_draws import permutation, words
from prometheus.v10.evidence.derive.setting import MOST_TICKS, Columns, Heard, MarketTime, Setting, utc
from prometheus.v10.evidence.derive.typed import is_count, is_int, is_real, is_text, table

SNAPSHOT_ID = re.compile(r"(\d{12})-([0-9a-f]{8})")
MOST_EXPERIMENTS = 1 << 22
"""More experiments than this are not looked at: each has a line in the manifest's list of seeds."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnsettledError(Exception):
    """What the manifest does not settle; ``excused`` where no run of its kind could."""

    def __init__(self, what: str, *, excused: bool = False) -> None:
        super().__init__(what)
        self.what, self.excused = what, excused


@dataclass(frozen=True)
class Stretch:
    """The bars of one window in one timeframe: how many, when the first opens, how long each experiment on it is."""

    number: int
    window: str
    timeframe_s: int
    bars: int
    first_open: datetime
    ticks: int
    world: Mapping[str, Any]

    @property
    def timeframe(self) -> str:
        """The timeframe's name."""
        return timeframe_name(self.timeframe_s)


@dataclass(frozen=True)
class Place:
    """Where an experiment stands: its batch, the cell, and which crowd (None: alone)."""

    batch: int
    stretch: int
    seed: int
    crowd: int | None


@dataclass(frozen=True)
class CellSetting(Setting):
    """The setting of the experiments of one cell.

    Attributes:
        groups: rows of an experiment whose founders are told as one, beside all of them.
    """

    groups: tuple[tuple[int, ...], ...] = ()

    def founders_told(self, sha256: Sequence[str | None]) -> tuple[bytes, ...]:
        """See `Setting`."""
        every = list(sha256[: self.founders])
        if None in every:
            return ()
        return told([str(one) for one in every], self.groups)

    def figures_told(self, book: Columns) -> array[float]:
        """See `Setting`: `FIGURES` of each agent, one after the other."""
        found = array("d")
        for died, initial, final, trades, costs in zip(
            book.death_tick, book.initial, book.final, book.trades, book.costs, strict=True
        ):
            found.extend((died < 0, final / initial - 1.0, final, trades, *costs))
        return found


FIGURES = 7
"""Kept of each agent: survived, ROI, final capital, trades, fees, funding, slippage."""


def told(genomes: Sequence[str], groups: Sequence[Sequence[int]]) -> tuple[bytes, ...]:
    """One digest over all genomes in order, then one for each group."""
    return tuple(
        hashlib.sha256("".join(genomes[row] for row in rows).encode()).digest()
        for rows in (range(len(genomes)), *groups)
    )


@dataclass(frozen=True)
class Judging(Setting):
    """The setting of a run of stage 2. What it shares with `Setting` is of its first cell; `at` has each experiment's.

    Attributes:
        batches: numbers of the batches, in order.
        sizes: how many genomes each has.
        size: of a whole batch.
    """

    stretches: tuple[Stretch, ...] = ()
    batches: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    size: int = 1
    cell_seeds: tuple[int, ...] = ()
    crowd: int = 0
    stake_each: float = 0.0
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    gapless: bool = True
    _ends: tuple[int, ...] = ()
    _last: dict[int, Setting] = field(default_factory=dict)
    _times: dict[tuple[int, int], MarketTime] = field(default_factory=dict)
    _groups: dict[tuple[int, int], tuple[tuple[int, ...], ...]] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[int, ...]:
        """How many experiments there are up to the end of each batch."""
        return self._ends

    @property
    def experiments(self) -> int:
        """How many experiments all batches take."""
        return self._ends[-1] if self._ends else 0

    def whole(self, experiments: int) -> int | None:
        """How many batches ``experiments`` are; None where they end within one."""
        if experiments == 0:
            return 0
        return self._ends.index(experiments) + 1 if experiments in self._ends else None

    def place(self, experiment: int) -> Place:
        """Where an experiment of the run stands; ``batch`` counts the run's own batches."""
        batch = bisect_right(self._ends, experiment)
        left = experiment - (self._ends[batch - 1] if batch else 0)
        cell, crowd = divmod(left, 1 + cells.crowds_of(self.sizes[batch], self.crowd))
        stretch, seed = divmod(cell, len(self.cell_seeds))
        return Place(batch, stretch, self.cell_seeds[seed], crowd - 1 if crowd else None)

    def groups(self, batch: int, seed: int) -> tuple[tuple[int, ...], ...]:
        """Rows of each crowd that the seed deals a batch into."""
        known = self._groups.get((batch, seed))
        if known is None:
            count = self.sizes[batch]
            crowds = cells.crowds_of(count, self.crowd)
            order = permutation(seed, cells.CROWD_STREAM + self.batches[batch], count) if crowds else []
            known = self._groups[batch, seed] = cells.dealt(order, crowds)
        return known

    @property
    def bars(self) -> int:
        """See `Setting`."""
        return self.stretches[0].bars

    def at(self, experiment: int) -> Setting:
        """See `Setting`; the one asked for last is kept, because raw orders ask for each again and again."""
        if experiment not in self._last:
            self._last.clear()
            self._last[experiment] = self._setting(experiment)
        return self._last[experiment]

    def _setting(self, experiment: int) -> Setting:
        place = self.place(experiment)
        stretch, groups = self.stretches[place.stretch], self.groups(place.batch, place.seed)
        count = self.sizes[place.batch] if place.crowd is None else len(groups[place.crowd])
        total = cells.numbers_of(self.stake_each, count)["initial_total"]
        stake = total * cells.ALLOCATED / count
        return CellSetting(
            run_id=self.run_id,
            arm=self.arm,
            seeds=self.seeds,
            ticks=stretch.ticks,
            founders=count,
            initial_total=total,
            stake=stake,
            reserve=total - stake * count,
            review_ticks=stretch.world["review_ticks"],
            death_roi=stretch.world["death_roi"],
            breed_roi=float("inf"),
            best_of_the_dead=0,
            for_pool=False,
            survivors=True,
            time=self._time(stretch, place.seed),
            world=stretch.world,
            interesting=self.interesting,
            groups=groups if place.crowd is None else (),
        )

    def heard(self) -> Heard:
        """See `Setting`."""
        return {key: moments for key, time in self._times.items() if (moments := time.heard())}

    def _time_of(self, key: tuple[int, int]) -> MarketTime:
        number, seed = key
        return self._time(self.stretches[number], seed)

    def _time(self, stretch: Stretch, seed: int) -> MarketTime:
        known = self._times.get((stretch.number, seed))
        if known is None:
            room = stretch.bars - stretch.ticks + 1
            delay = words(seed, cells.DELAY_STREAM + stretch.number, 1)[0] % room
            first = stretch.first_open + delay * timedelta(seconds=stretch.timeframe_s)
            known = MarketTime(first, stretch.timeframe_s, gapless=self.gapless)
            self._times[stretch.number, seed] = known
        return known


def judging_of(manifest: Mapping[str, Any]) -> Judging:
    """The setting of a run of stage 2.

    Raises:
        UnsettledError: saying what the manifest does not settle.
    """
    try:
        return _judging(manifest)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise UnsettledError("it does not settle market, windows, seeds and batches as it must") from error


def _judging(manifest: Mapping[str, Any]) -> Judging:
    config, said = table(manifest.get("config")), table(manifest.get("stage2"))
    rules, market, seeds = table(config.get("stage2")), table(manifest.get("market")), manifest.get("seeds")
    size, crowd, cell_seeds, frames = (rules[name] for name in ("batch", "crowd", "seeds", "timeframes_s"))
    numbers = {"stake": rules["stake"], "stagger": rules["stagger"], **table(rules["friction"])}
    stake = rules["stake"]
    if wrong := [name for name, value in numbers.items() if not is_real(value)]:
        raise UnsettledError(f"config.stage2: {', '.join(wrong)} is no number")
    if not (is_count(size) and size and is_count(crowd) and _counts(cell_seeds) and _counts(frames) and _counts(seeds)):
        raise UnsettledError("config.stage2 or seeds: batch, crowd, seeds or timeframes_s are no counts")
    if not (is_text(manifest.get("run_id")) and is_text(manifest.get("arm")) and min(frames) > 0):
        raise UnsettledError("run_id, arm or a timeframe is not what it must be")
    batches, sizes = _batches(said, size)
    gapless, stretches = _stretches(config, rules, market, said)
    places = len(stretches), len(cell_seeds), crowd
    ends, end = [], 0
    for count in sizes:
        end += cells.experiments_of(count, *places)
        ends.append(end)
    if end > MOST_EXPERIMENTS:
        raise UnsettledError(f"its batches take {end} experiments: more than any run has")
    expected = [
        seed
        for count in sizes
        for _ in stretches
        for seed in cell_seeds
        for _ in range(cells.experiments_of(count, 1, 1, crowd))
    ]
    if seeds != expected:
        raise UnsettledError(f"seeds are not the {end} that config.stage2 and its batches make")
    first = stretches[0]
    total = cells.numbers_of(stake, size)["initial_total"]
    return Judging(
        run_id=manifest["run_id"],
        arm=manifest["arm"],
        seeds=expected,
        ticks=first.ticks,
        founders=size,
        initial_total=total,
        stake=stake,
        reserve=total - stake * size,
        review_ticks=first.world["review_ticks"],
        death_roi=first.world["death_roi"],
        breed_roi=float("inf"),
        best_of_the_dead=0,
        for_pool=False,
        survivors=True,
        time=MarketTime(first.first_open, first.timeframe_s, gapless=gapless),
        world=first.world,
        interesting=table(config.get("interesting")),
        stretches=tuple(stretches),
        batches=tuple(batches),
        sizes=tuple(sizes),
        size=size,
        cell_seeds=tuple(cell_seeds),
        crowd=crowd,
        stake_each=stake,
        snapshot=said,
        gapless=gapless,
        _ends=tuple(ends),
    )


def _counts(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(map(is_count, values))


def _batches(said: Mapping[str, Any], size: int) -> tuple[list[int], list[int]]:
    """Numbers and sizes of the batches: all are whole but the snapshot's last."""
    found, count = said.get("batches"), said.get("count")
    named = SNAPSHOT_ID.fullmatch(str(said.get("id")))
    if named is None or not is_count(count) or int(named[1]) != count:
        raise UnsettledError("stage2: id and count are not those of a snapshot")
    whole = -(-int(count) // size)
    if not isinstance(found, list) or not _counts(found) or found != sorted(set(found)) or found[-1] >= whole:
        raise UnsettledError(f"stage2.batches are not some of the snapshot's {whole}, in order")
    return found, [min(size, int(count) - number * size) for number in found]


def _stretches(
    config: Mapping[str, Any], rules: Mapping[str, Any], market: Mapping[str, Any], said: Mapping[str, Any]
) -> tuple[bool, list[Stretch]]:
    """Every window in every timeframe, windows first."""
    step, rows = market["timeframe_s"], market["rows"]
    first, last = utc(market.get("first_time")), utc(market.get("last_time"))
    if first is None or last is None or not (is_count(step) and 0 < step <= 10**9 and is_count(rows)):
        raise UnsettledError("market: timeframe_s, rows, first_time or last_time is not what it must be")
    gapless = (rows - 1) * step == round((last - first).total_seconds())
    asserted: Any = said.get("stretches")
    if not gapless and asserted is None:
        gaps = "the market has gaps, and the manifest of this version does not say how long its stretches are"
        raise UnsettledError(gaps, excused=table(config.get("market")).get("source") != "synthetic")
    found: list[Stretch] = []
    for window in windows_of(rules, rows):
        start, length = window["start"], window["len"]
        if not (is_count(start) and is_count(length) and is_text(window.get("name")) and start + length <= MOST_TICKS):
            raise UnsettledError("config.stage2.windows: a name, a start or a length is not what it must be")
        for frame in rules["timeframes_s"]:
            begin = first + start * timedelta(seconds=step)
            bars, opens = bars_of(begin, int(length), int(step), int(frame))
            if not gapless:
                bars, opens = _asserted(table(asserted[len(found)]), length * step // frame, begin)
            ticks = cells.ticks_of(bars, rules["stagger"])
            if not 0 < ticks <= bars:
                raise UnsettledError(f"window {window['name']!r} has {bars} bars of {frame} s")
            opens + (bars + 1) * timedelta(seconds=frame)  # OverflowError is no moment
            world = cell_world(config, rules, int(frame), ticks)
            found.append(Stretch(len(found), window["name"], int(frame), bars, opens, ticks, world))
    return gapless, found


def _asserted(said: Mapping[str, Any], most: int, earliest: datetime) -> tuple[int, datetime]:
    """Length and beginning of a stretch of a market with gaps, as the manifest says them, within what is possible."""
    bars, opens = said.get("bars"), utc(said.get("first_time"))
    if not is_count(bars) or opens is None or not bars <= most or opens < earliest:
        raise UnsettledError("stage2.stretches: bars or first_time is not possible")
    return int(bars), opens


def windows_of(rules: Mapping[str, Any], rows: int) -> list[Mapping[str, Any]]:
    """The windows that are judged on: those of ``[stage2]``, or the whole market."""
    named = rules.get("windows")
    return list(named) if named else [{"name": "all", "start": 0, "len": rows}]


def bars_of(first: datetime, count: int, step: int, timeframe_s: int) -> tuple[int, datetime]:
    """How many whole bars of ``timeframe_s`` lie in ``count`` bars of ``step`` seconds without gaps, from when on."""
    if timeframe_s == step:
        return count, first
    start = round((first - EPOCH).total_seconds())
    last = start + (count - 1) * step
    head, tail = start // timeframe_s, last // timeframe_s
    head += start - step >= head * timeframe_s
    tail -= last + step < (tail + 1) * timeframe_s
    if timeframe_s % step:
        raise UnsettledError(f"{timeframe_s} s is no multiple of the market's {step} s")
    return tail - head + 1, EPOCH + timedelta(seconds=head * timeframe_s)


def cell_world(config: Mapping[str, Any], rules: Mapping[str, Any], timeframe_s: int, ticks: int) -> dict[str, Any]:
    """Every number of a stretch's world, with as many agents as a whole batch; as a manifest has them."""
    world = world_of(table(config.get("world")), timeframe_s)
    odd = [name for name, value in world.items() if not (is_real(value) or is_int(value) or value == OFF)]
    if odd:
        raise UnsettledError(f"config.world: {', '.join(odd)} is no number")
    changes = cells.stricter(world, table(rules.get("friction")), rules.get("review_days"), timeframe_s, ticks)
    changes |= cells.numbers_of(rules["stake"], rules["batch"])
    return world | changes | {"breed_roi": OFF}
