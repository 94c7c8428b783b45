"""From what a profile says about its market to bars: the embedded market, a name in the library, or a file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import attrs

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.resample import resample
from prometheus.v10.market.sources.importers import SUFFIXES, read_source
from prometheus.v10.market.sources.library import load_market, load_version, load_versions
from prometheus.v10.market.sources.tables import LATEST_OPEN, Reading
from prometheus.v10.market.synthetic import DEFAULT_START, SYMBOL, synthetic

SYNTHETIC: Final = "synthetic"
DEFAULT_TIMEFRAME_S: Final = 300
DEFAULT_BARS: Final = 20_000


@attrs.frozen(kw_only=True)
class MarketSpec:
    """Which bars a run is to use.

    Attributes:
        source: ``synthetic``, a name in the library, or a path (it has a slash or a known suffix).
        symbol: the instrument; None takes what the source says.
        timeframe_s: seconds per bar; None takes the source's own (300 for the synthetic market). A stored market is
            aggregated when this is a multiple of its timeframe.
        seed: of the synthetic market; of no meaning to the others.
        bars: how many bars, from the beginning; None takes all there are (20 000 of the synthetic market).
        start: open time of the first bar, seconds UTC. None takes the source's first; a stored market begins at it.
    """

    source: str = SYNTHETIC
    symbol: str | None = None
    timeframe_s: int | None = None
    seed: int = 0
    bars: int | None = None
    start: int | None = None


def resolve_market(spec: MarketSpec, layout_market: Path, sha256: str | None = None, source: str | None = None) -> Bars:
    """The bars that ``spec`` means.

    Args:
        spec: what the profile says.
        layout_market: the library (``Layout.market``).
        sha256: `Bars.sha256` of what it meant once: of a market that grew since then, a version that has these bars is
            taken. Where none has them the newest is, and its hash is another one.
        source: `Bars.source` of what it meant once, which tells one of several such versions.

    Raises:
        ConfigError: when there is no such market, it is unsound, or it does not reach as far as asked.
        EvidenceError: when a stored market is damaged.
        UsageError: for a name that cannot be one, or a feather file without pyarrow.
    """
    if spec.source == SYNTHETIC:
        _require_dates(spec)
        return _latest_synthetic(
            spec.seed,
            synthetic_rows(spec),
            DEFAULT_TIMEFRAME_S if spec.timeframe_s is None else spec.timeframe_s,
            DEFAULT_START if spec.start is None else spec.start,
            spec.symbol or SYMBOL,
        )
    if is_path(spec.source):
        return _asked(read_source(Path(spec.source), Reading(symbol=spec.symbol)).bars, spec)
    newest = _asked(load_market(spec.source, layout_market), spec)
    if sha256 is None:
        return newest
    found = newest if newest.sha256() == sha256 else None
    for meta in reversed(load_versions(spec.source, layout_market)[:-1]):
        if found is not None and source in {None, found.source}:
            break
        if _is_whole(spec, meta.timeframe_s) and meta.bars_sha256 != sha256:
            continue  # the record says it without reading the bars
        try:
            bars = _asked(load_version(spec.source, layout_market, meta.version), spec)
        except ConfigError:
            continue  # too short at that time for what was asked
        if bars.sha256() == sha256 and (found is None or bars.source == source):
            found = bars
    return newest if found is None else found


def synthetic_rows(spec: MarketSpec) -> int:
    """How many bars the synthetic market has that ``spec`` means."""
    return DEFAULT_BARS if spec.bars is None else spec.bars


def _is_whole(spec: MarketSpec, timeframe_s: int) -> bool:
    """Whether a spec means stored bars as they are, all of them."""
    return spec.timeframe_s in {None, timeframe_s} and spec.start is None and spec.bars is None


def _asked(bars: Bars, spec: MarketSpec) -> Bars:
    """The bars of the timeframe and the stretch that a spec asks for."""
    if spec.symbol is not None and spec.symbol != bars.symbol:
        raise ConfigError(f"market {spec.source!r} holds {bars.symbol}, not {spec.symbol}")
    if spec.timeframe_s is not None and spec.timeframe_s != bars.timeframe_s:
        bars = resample(bars, spec.timeframe_s).bars
    return _stretch(bars, spec)


@lru_cache(maxsize=1)
def _latest_synthetic(seed: int, bars: int, timeframe_s: int, start: int, symbol: str) -> Bars:
    """The synthetic market; the latest is kept, for the eras of a service walk over one, and nobody can write to it."""
    return synthetic(seed, bars, timeframe_s, start, symbol=symbol)


def _require_dates(spec: MarketSpec) -> None:
    """Refuse a synthetic market that reaches past the years that records can carry."""
    begin = DEFAULT_START if spec.start is None else spec.start
    bars = synthetic_rows(spec)
    end = begin + bars * (DEFAULT_TIMEFRAME_S if spec.timeframe_s is None else spec.timeframe_s)
    if begin < 0 or end > LATEST_OPEN:
        raise ConfigError(f"[market] {bars} bars from {begin} s on reach beyond the years 1970 to 2200")


def is_path(source: str) -> bool:
    """Whether a market's source means a file rather than a name in the library."""
    return "/" in source or Path(source).suffix.lower() in SUFFIXES


def _stretch(bars: Bars, spec: MarketSpec) -> Bars:
    """The part of stored bars that ``start`` and ``bars`` ask for."""
    first = 0
    if spec.start is not None:
        at = (bars.open_time == spec.start).nonzero()[0]
        if len(at) == 0:
            raise ConfigError(f"market {spec.source!r}: no bar opens at {spec.start} s")
        first = int(at[0])
    count = len(bars) - first if spec.bars is None else spec.bars
    if count < 1 or first + count > len(bars):
        raise ConfigError(f"market {spec.source!r}: {count} bars from row {first} asked for, it has {len(bars)} in all")
    return bars if first == 0 and count == len(bars) else bars.slice(first, count)
