"""The library of markets: imported bars by name, each written once and checked at every load.

A market is ``<library>/<name>/bars.npy`` with ``market.json``. It is written aside, synced and renamed into place, so
that a name either holds a whole market or nothing; a name is never written over, because manifests refer to it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

import numpy as np
from attrs import asdict, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import UsageError, host_error
from prometheus.v10.base.paths import refuse_links_below
from prometheus.v10.base.text import printable
from prometheus.v10.market.bars import Bars, bar_time
from prometheus.v10.market.sources.importers import SUFFIXES, Imported, read_source
from prometheus.v10.market.sources.native import BARS_FILE, META_FILE, MarketMeta, read_market, read_meta

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
RESERVED = frozenset({"synthetic"})  # the word by which a profile asks for the embedded market
CHUNK = 1 << 20


@frozen(kw_only=True)
class Reading:
    """What a file of bars does not say itself.

    Attributes:
        symbol: the instrument.
        timeframe_s: seconds per bar; by default the commonest step between rows.
        funding: a funding series; by default the one beside a feather file.
        allow_gaps: let missing bars pass, and record them.
        base_volume: the column of a CSV file that holds base volume.
    """

    symbol: str | None = None
    timeframe_s: int | None = None
    funding: Path | None = None
    allow_gaps: bool = False
    base_volume: str | None = None


AS_IT_IS = Reading()


def import_bars(
    source: Path,
    name: str,
    library: Path,
    *,
    clock: Clock,
    reading: Reading = AS_IT_IS,
) -> MarketMeta:
    """Read a market file, refuse it unless it is sound, and store it under ``name``.

    Args:
        source: a ``.csv`` or ``.feather`` file, or ``bars.npy`` of another library.
        name: letters, digits, ``_``, ``.``, ``-``; not taken yet.
        library: the directory of markets (``Layout.market``).
        clock: for the time of import.
        reading: what the file does not say itself.

    Raises:
        ConfigError: naming what is wrong with the source.
        UsageError: for a name that cannot be one or is taken.
        HostError: when the library cannot be written.
    """
    place = market_place(name, library)
    if os.path.lexists(place):
        raise _taken(name, library)
    read = read_source(source, **asdict(reading, recurse=False))
    meta = _describe(source, name, read, utc_text(clock.now()))
    aside = library / f".incoming-{name}-{clock.token(8)}"
    try:
        library.mkdir(parents=True, exist_ok=True)
        _write_aside(aside, {BARS_FILE: read.bars.to_npy(), META_FILE: meta.to_json()})
        _into_place(aside, place, name, library)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise host_error(error, f"cannot store market {name!r} in {library}") from error
    return meta


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


def load_meta(name: str, library: Path) -> MarketMeta:
    """The record stored under ``name``; errors as `load_market`, the bars themselves unread."""
    return read_meta(market_place(name, library))


def market_place(name: str, library: Path) -> Path:
    """The directory of a market.

    Raises:
        UsageError: for a name that could lead elsewhere or be mistaken for something else, or a symbolic link there.
    """
    if not NAME.fullmatch(name) or name in RESERVED or Path(name).suffix.lower() in SUFFIXES:
        raise UsageError(
            f"market name {name!r} cannot be used",
            hint="letters, digits, _ . - only, not beginning with . or -, at most 64, no file suffix, not 'synthetic'",
        )
    place = library / name
    refuse_links_below(library, place)
    return place


def _is_name(place: Path) -> bool:
    return NAME.fullmatch(place.name) is not None and not place.is_symlink()


def _taken(name: str, library: Path) -> UsageError:
    return UsageError(
        f"market {name!r} is already in {library}", hint="markets are never written over: choose another name"
    )


def _describe(source: Path, name: str, read: Imported, imported_at: str) -> MarketMeta:
    """The record of an import."""
    size, digest = file_identity(source)
    series = read.funding_source
    reasons = {} if series else dict.fromkeys(("funding_file", "funding_sha256"), "no funding series was read")
    return MarketMeta(
        name=name,
        symbol=read.bars.symbol,
        timeframe_s=read.bars.timeframe_s,
        rows=len(read.bars),
        first_open_utc=bar_time(read.bars.first_open),
        last_open_utc=bar_time(read.bars.last_open),
        bars_sha256=read.bars.sha256(),
        bars_null_reasons=dict(read.bars.null_reasons),
        source_file=printable(source.name),
        source_bytes=size,
        source_sha256=digest,
        funding_file=printable(series.name) if series else None,
        funding_sha256=file_identity(series)[1] if series else None,
        funding_unknown_rows=int(np.isnan(read.bars.funding).sum()),
        decisions=read.decisions,
        findings=read.gaps,
        row_word=read.row_word,
        imported_at=imported_at,
        null_reasons=reasons,
    )


def file_identity(path: Path) -> tuple[int, str]:
    """Size in bytes and sha256 of a file.

    Raises:
        HostError: when it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as handle:
            while block := handle.read(CHUNK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    return size, digest.hexdigest()


def _write_aside(aside: Path, files: dict[str, bytes]) -> None:
    """Write and sync every file and the directory that holds them."""
    aside.mkdir(mode=0o755)
    for name, content in files.items():
        with (aside / name).open("xb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        (aside / name).chmod(0o444)
    _sync_directory(aside)


def _into_place(aside: Path, place: Path, name: str, library: Path) -> None:
    """Rename; a market that appeared in the meantime wins, since a rename onto a full directory fails."""
    try:
        aside.rename(place)
    except OSError as error:
        if place.exists():
            shutil.rmtree(aside, ignore_errors=True)
            raise _taken(name, library) from error
        raise
    _sync_directory(library)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
