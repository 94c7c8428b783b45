"""The library of markets: imported bars by name, each version written once and checked at every load.

A market is ``<library>/<name>/bars.npy`` with ``market.json``. It is written aside, synced and renamed into place, so
that a name either holds a whole market or nothing; a name is never written over, because manifests refer to it. A
market only grows: `add_bars` writes what is new beside what is there, as another version (`native`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import LockHeldError, UsageError, host_error
from prometheus.v10.base.paths import GROWN, refuse_links_below
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import Bars, bar_time
from prometheus.v10.market.sources.funding_series import series_sha256
from prometheus.v10.market.sources.growing import Growth, growth_of
from prometheus.v10.market.sources.importers import SUFFIXES, Imported, read_sources
from prometheus.v10.market.sources.native import (
    BARS_FILE,
    FIRST,
    META_FILE,
    SEVERAL,
    MarketMeta,
    grown_place,
    read_market,
    read_meta,
    read_versions,
)
from prometheus.v10.market.sources.tables import AS_IT_IS, Reading
from prometheus.v10.market.validate import DAY_S

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
RESERVED = frozenset({"synthetic"})  # the word by which a profile asks for the embedded market
FILE_SUFFIXES = frozenset({".csv", ".feather", ".npy", ".parquet", ".json", ".jsonl", ".zip", ".gz", ".zst", ".toml"})


def import_bars(
    sources: Path | Sequence[Path],
    name: str,
    library: Path,
    *,
    clock: Clock,
    reading: Reading = AS_IT_IS,
) -> MarketMeta:
    """Read market files, refuse them unless they are sound, and store them under ``name``.

    Args:
        sources: one file or several of one instrument, or ``bars.npy`` of another library.
        name: letters, digits, ``_``, ``.``, ``-``; not taken yet.
        library: the directory of markets (``Layout.market``).
        clock: for the time of import.
        reading: what the files do not say themselves.

    Raises:
        ConfigError: naming what is wrong with a source.
        UsageError: for a name that cannot be one or is taken.
        HostError: when the library cannot be written.
    """
    place = market_place(name, library)
    if Path(name).suffix.lower() in FILE_SUFFIXES:  # a market of an earlier version may have such a name
        raise _unusable(name)
    if os.path.lexists(place):
        raise _taken(name, library)
    read = read_sources([sources] if isinstance(sources, Path) else sources, reading)
    meta = _describe(name, read, utc_text(clock.now()))
    try:
        library.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise host_error(error, f"cannot store market {name!r} in {library}") from error
    if not _stored(library / f".incoming-{name}-{clock.token(8)}", place, read.bars, meta):
        raise _taken(name, library)
    return meta


def add_bars(
    sources: Sequence[Path],
    name: str,
    library: Path,
    *,
    clock: Clock,
    reading: Reading = AS_IT_IS,
) -> tuple[MarketMeta, Growth]:
    """Add the later bars of market files to a stored market, as its next version. Nothing that is stored changes.

    Args:
        sources: files of the same instrument and timeframe.
        name: of the market.
        library: the directory of markets.
        clock: for the time of import.
        reading: what the files do not say themselves; the instrument and the timeframe are the market's.

    Returns:
        The record of the newest version, and what was found; where the files hold nothing later there is no new one.

    Raises:
        ConfigError: when there is no such market; for what is wrong with a source; for a bar that the market has
            otherwise, naming both; for bars missing between the two, unless gaps are allowed.
        EvidenceError: when the stored market is damaged.
        LockHeldError: when somebody else added bars meanwhile.
        HostError: when the library cannot be written.
    """
    place = market_place(name, library)
    stored, before = read_market(place)
    asked = attrs.evolve(
        reading, symbol=reading.symbol or stored.symbol, timeframe_s=reading.timeframe_s or stored.timeframe_s
    )
    read = read_sources(sources, asked)
    growth = growth_of(stored, before, read, allow_gaps=reading.allow_gaps)
    if growth.whole is None or growth.added is None:
        return before, growth
    meta = _described_growth(before, growth, read, utc_text(clock.now()))
    target = grown_place(place, meta.version)
    try:
        (place / GROWN).mkdir(mode=0o755, exist_ok=True)
        _sync_directory(place)
    except OSError as error:
        raise host_error(error, f"cannot add to market {name!r} in {library}") from error
    if not _stored(place / GROWN / f".incoming-{clock.token(8)}", target, growth.added, meta):
        raise LockHeldError(f"market {name!r} has grown meanwhile", hint="add the files again")
    return meta, growth


def list_markets(library: Path) -> list[MarketMeta]:
    """The records of all markets, by name.

    Raises:
        EvidenceError: when a record is damaged.
    """
    if not library.is_dir():
        return []
    return [
        read_meta(place) for place in sorted(library.iterdir()) if (place / META_FILE).is_file() and _is_name(place)
    ]


def load_market(name: str, library: Path) -> Bars:
    """The bars stored under ``name``, checked against their record.

    Raises:
        ConfigError: when there is no such market.
        EvidenceError: when the stored bars are not those that were imported.
        UsageError: for a name that cannot be one.
    """
    return read_market(market_place(name, library))[0]


def load_version(name: str, library: Path, version: int) -> Bars:
    """The bars of one version of a market; errors as `load_market`."""
    return read_market(market_place(name, library), version)[0]


def load_meta(name: str, library: Path) -> MarketMeta:
    """The record stored under ``name``; errors as `load_market`, the bars themselves unread."""
    return read_meta(market_place(name, library))


def load_versions(name: str, library: Path) -> list[MarketMeta]:
    """The records of all versions stored under ``name``, the first one first; errors as `load_meta`."""
    return read_versions(market_place(name, library))


def market_place(name: str, library: Path) -> Path:
    """The directory of a market.

    Raises:
        UsageError: for a name that could lead elsewhere or be mistaken for something else, or a symbolic link there.
    """
    if not NAME.fullmatch(name) or name in RESERVED or Path(name).suffix.lower() in SUFFIXES:
        raise _unusable(name)
    place = library / name
    refuse_links_below(library, place)
    return place


def _is_name(place: Path) -> bool:
    return NAME.fullmatch(place.name) is not None and not place.is_symlink()


def _unusable(name: str) -> UsageError:
    return UsageError(
        f"market name {name!r} cannot be used",
        hint="letters, digits, _ . - only, not beginning with . or -, at most 64, no file suffix, not 'synthetic'",
    )


def _taken(name: str, library: Path) -> UsageError:
    return UsageError(
        f"market {name!r} is already in {library}", hint="markets are never written over: choose another name"
    )


def _describe(name: str, read: Imported, imported_at: str) -> MarketMeta:
    """The record of an import."""
    bars, files, series = read.bars, read.files, read.funding_source
    reasons = {"previous_sha256": FIRST}
    reasons |= {} if series else dict.fromkeys(("funding_file", "funding_sha256"), "no funding series was read")
    reasons |= {} if len(files) == 1 else {"source_sha256": SEVERAL}
    return MarketMeta(
        name=name,
        symbol=bars.symbol,
        timeframe_s=bars.timeframe_s,
        version=1,
        rows=len(bars),
        added_rows=len(bars),
        first_open_utc=bar_time(bars.first_open),
        last_open_utc=bar_time(bars.last_open),
        grid_offset_s=bars.first_open % bars.timeframe_s if bars.timeframe_s >= DAY_S else 0,
        zero_volume_rows=int((bars.volume == 0).sum()),
        bars_sha256=bars.sha256(),
        previous_sha256=None,
        bars_null_reasons=dict(bars.null_reasons),
        sources=files,
        source_file=files[0].file if len(files) == 1 else f"{files[0].file} and {len(files) - 1} more",
        source_bytes=sum(file.bytes for file in files),
        source_sha256=files[0].sha256 if len(files) == 1 else None,
        funding_file=printable(series.name) if series else None,
        funding_sha256=series_sha256(series) if series else None,
        funding_unknown_rows=int(np.isnan(bars.funding).sum()),
        decisions=read.decisions,
        findings=read.gaps,
        row_word=read.row_word if read.table is None or read.table.file_of is None else "bar",
        imported_at=imported_at,
        null_reasons=reasons,
    )


def _described_growth(before: MarketMeta, growth: Growth, read: Imported, imported_at: str) -> MarketMeta:
    """The record of a market's next version."""
    whole, added = growth.whole, growth.added
    if whole is None or added is None:
        raise AssertionError("there is no growth to describe")
    described = _describe(before.name, attrs.evolve(read, bars=whole), imported_at)
    reasons = {name: why for name, why in described.null_reasons.items() if name != "previous_sha256"}
    return attrs.evolve(
        described,
        version=before.version + 1,
        added_rows=len(added),
        previous_sha256=before.bars_sha256,
        decisions=[*read.decisions, *growth.decisions],
        findings=growth.gaps,
        null_reasons=reasons,
    )


def _stored(aside: Path, place: Path, bars: Bars, meta: MarketMeta) -> bool:
    """Write bars and record aside, sync them and rename them into place; False when something is there already.

    Raises:
        HostError: when the library cannot be written.
    """
    try:
        _write_aside(aside, bars, meta)
        return _into_place(aside, place)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise host_error(error, f"cannot store market {meta.name!r} in {place.parent}") from error


def _write_aside(aside: Path, bars: Bars, meta: MarketMeta) -> None:
    """Write and sync both files and the directory that holds them."""
    aside.mkdir(mode=0o755)
    for name in (BARS_FILE, META_FILE):
        with (aside / name).open("xb") as handle:
            if name == BARS_FILE:
                bars.write_npy(handle)
            else:
                handle.write(meta.to_json())
            handle.flush()
            os.fsync(handle.fileno())
        (aside / name).chmod(0o444)
    _sync_directory(aside)


def _into_place(aside: Path, place: Path) -> bool:
    """Rename; what appeared in the meantime wins, since a rename onto a full directory fails."""
    try:
        aside.rename(place)
    except OSError:
        if place.exists():
            shutil.rmtree(aside, ignore_errors=True)
            return False
        raise
    _sync_directory(place.parent)
    return True


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
