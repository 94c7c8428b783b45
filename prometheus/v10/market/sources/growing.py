"""What a stored market gains from files: the bars behind its last one, after the others were found to be the same.

The rules: the instrument and the timeframe are the market's. A bar that both have must have the same numbers, to the
bit. A bar that would stand before the market's first one, or in one of its gaps, is refused: what is stored never
changes. Between the last stored bar and the first new one no bar may be missing, unless gaps are allowed. Funding of
stored bars stays what it was; where both know it, it must agree.
"""

from __future__ import annotations

import attrs
import numpy as np
from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import COLUMNS, Bars, bar_time
from prometheus.v10.market.sources.importers import Imported
from prometheus.v10.market.sources.native import MarketMeta
from prometheus.v10.market.sources.symbols import agree
from prometheus.v10.market.validate import Fault, Finding, gap_ranges, require_valid

HINT = "a stored market never changes: import these files under another name"


@frozen(kw_only=True)
class Growth:
    """What files add to a market.

    Attributes:
        whole: the stored bars and the new ones; None when there is nothing new.
        added: the new bars alone.
        overlap: bars that both have.
        gaps: gaps among the new bars and before them, which were allowed; rows are those of the whole.
        decisions: sentences.
    """

    whole: Bars | None
    added: Bars | None
    overlap: int
    gaps: list[Finding]
    decisions: list[str]


def growth_of(stored: Bars, meta: MarketMeta, read: Imported, *, allow_gaps: bool = False) -> Growth:
    """The bars of ``read`` that come behind the stored ones.

    Raises:
        ConfigError: when they contradict what is stored, naming both places; or when bars are missing between the two.
    """
    new = read.bars
    if new.timeframe_s != stored.timeframe_s:
        raise ConfigError(
            f"{new.source}: holds bars of {new.timeframe_s} s, market {meta.name!r} of {stored.timeframe_s} s"
        )
    _require_instrument(stored, meta, read)
    overlap = _require_same(stored, meta, read)
    behind = new.open_time > stored.last_open
    said = [f"overlap: {overlap} bars of the files are stored already, and are the same to the bit"]
    if not behind.any():
        return Growth(whole=None, added=None, overlap=overlap, gaps=[], decisions=said)
    added = _only(new, behind, meta.origin)
    columns = {name: np.concatenate([getattr(stored, name), getattr(added, name)]) for name, _ in COLUMNS}
    reasons = {"funding": _reason(stored, added)}
    whole = stored.with_columns(columns, null_reasons=reasons, symbol=stored.symbol, source=meta.origin)
    edge = attrs.evolve(added, source=new.source)
    gaps = _gaps(whole, edge, stored, allow_gaps=allow_gaps)
    said.append(f"added: {len(added)} bars from {bar_time(added.first_open)} to {bar_time(added.last_open)}")
    said.append(f"seam: the last stored close is {stored.close[-1]:g}, the first new open {added.open[0]:g}")
    if gaps:
        said.append(f"gaps: {len(gaps)} allowed; nothing was filled in")
    return Growth(whole=whole, added=added, overlap=overlap, gaps=gaps, decisions=said)


def _only(bars: Bars, chosen: object, source: str) -> Bars:
    return bars.with_columns({name: getattr(bars, name)[chosen] for name, _ in COLUMNS}, source=source)


def _reason(stored: Bars, added: Bars) -> str:
    """Why some funding of the whole is unknown."""
    reasons = dict.fromkeys(bars.null_reasons["funding"] for bars in (stored, added) if bars.null_reasons)
    return "; then ".join(reasons)


def _require_instrument(stored: Bars, meta: MarketMeta, read: Imported) -> None:
    """Refuse files that say, or whose names say, another instrument.

    Raises:
        ConfigError: naming both.
    """
    told = None if read.table is None else read.table.symbol or read.table.named
    if told is not None and not agree(told, stored.symbol):
        raise ConfigError(
            f"{read.bars.source}: holds {printable(told)}, market {meta.name!r} holds {stored.symbol}",
            hint="import these files under another name",
        )


def _require_same(stored: Bars, meta: MarketMeta, read: Imported) -> int:
    """How many bars both have.

    Raises:
        ConfigError: for one that differs, and for one that the market does not have before its end.
    """
    new = read.bars
    at = np.searchsorted(stored.open_time, new.open_time)
    inside = np.minimum(at, len(stored) - 1)
    both = (at < len(stored)) & (stored.open_time[inside] == new.open_time)
    foreign = np.flatnonzero(~both & (new.open_time < stored.last_open))
    if len(foreign):
        row = int(foreign[0])
        raise ConfigError(
            f"{_place(read, row)} ({bar_time(int(new.open_time[row]))}): market {meta.name!r} has no such bar before "
            f"its end, and it never changes (such bars: {len(foreign)})",
            hint=HINT,
        )
    for name, _ in COLUMNS:
        mine, theirs = getattr(stored, name)[inside], getattr(new, name)
        differ = both & (mine != theirs)
        if name == "funding":
            differ &= ~np.isnan(mine) & ~np.isnan(theirs)
        if differ.any():
            row = int(np.flatnonzero(differ)[0])
            said = (
                f"{theirs[row].item()!r}, and bar {int(at[row]) + 1} of market {meta.name!r} has {mine[row].item()!r}"
            )
            raise ConfigError(
                f"{_place(read, row)} ({bar_time(int(new.open_time[row]))}), column {name}: {said} "
                f"(bars that differ: {int(differ.sum())})",
                hint=HINT,
            )
    return int(both.sum())


def _place(read: Imported, row: int) -> str:
    if read.table is None:
        return f"{read.bars.source}: row {row + 1}"
    place = read.table.place(row)
    return place if read.table.file_of is not None else f"{read.bars.source}: {place}"


def _gaps(whole: Bars, added: Bars, stored: Bars, *, allow_gaps: bool) -> list[Finding]:
    """Gaps behind the last stored bar.

    Raises:
        ConfigError: when there are some and they are not allowed.
    """
    join = _only(whole, slice(len(stored) - 1, None), added.source)
    shift = len(stored) - 1
    found = require_valid(join, allow_gaps=True)
    gaps = [attrs.evolve(gap, row=gap.row + shift) for gap in found if gap.fault is Fault.GAP]
    if gaps and not allow_gaps and gaps[0].row == len(stored) + 1:
        raise ConfigError(
            f"{added.source}: bars are missing between the market and the files: {gap_ranges(join)}",
            hint="add the files in between first, or --allow-gaps",
        )
    return gaps
