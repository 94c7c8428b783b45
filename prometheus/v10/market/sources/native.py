"""One stored market: ``bars.npy`` and the ``market.json`` that names it (hash, range, provenance, decisions).

``market.json`` is a record like any other: sorted keys, ASCII, no NaN, every null with its reason. Reading checks the
bars against it; a difference is damage (exit 65), never repaired.

A market that grew has its first version in these two files, which never change, and each later one in a directory of
its own, ``grown/0002`` and so on: the bars that were added, and a record of the whole. So every version that a run
named can be read again, to the bit.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs

from prometheus.v10.base.errors import ConfigError, EvidenceError
from prometheus.v10.base.paths import GROWN
from prometheus.v10.market.bars import Bars, from_npy
from prometheus.v10.market.validate import Fault, Finding

MARKET_SCHEMA_1 = "prometheus.market/1"
MARKET_SCHEMA = "prometheus.market/2"
BARS_FILE = "bars.npy"
META_FILE = "market.json"
VERSION = re.compile(r"[0-9]{4,}")
NOT_SAID = "version 1 of the record does not say it"
SEVERAL = "several files: sources names each"
FIRST = "it is the first version of this market"


def _findings(values: Any) -> list[Finding]:
    """Findings, or the objects that JSON made of them."""
    return [v if isinstance(v, Finding) else Finding(**{**v, "fault": Fault(v["fault"])}) for v in values]


def _strings(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise TypeError(f"{field.name} maps something other than text to text")


_text = attrs.validators.instance_of(str)
_number = attrs.validators.instance_of(int)
_maybe_text = attrs.validators.optional(_text)
_maybe_number = attrs.validators.optional(_number)
_reasons = attrs.validators.and_(attrs.validators.instance_of(dict), _strings)


@attrs.frozen(kw_only=True)
class SourceFile:
    """One file that bars were read from.

    Attributes:
        file: its name.
        bytes: its size.
        sha256: its hash.
        rows: bars that were read from it.
        first_open_utc: open of the first of them.
        last_open_utc: open of the last of them.
        decisions: what was decided in reading it, in sentences.
    """

    file: str = attrs.field(validator=_text)
    bytes: int = attrs.field(validator=_number)
    sha256: str = attrs.field(validator=_text)
    rows: int = attrs.field(validator=_number)
    first_open_utc: str = attrs.field(validator=_text)
    last_open_utc: str = attrs.field(validator=_text)
    decisions: list[str] = attrs.field(factory=list, validator=attrs.validators.deep_iterable(_text))


def _source_files(values: Any) -> list[SourceFile]:
    """Files, or the objects that JSON made of them."""
    return [v if isinstance(v, SourceFile) else SourceFile(**v) for v in values]


@attrs.frozen(kw_only=True)
class MarketMeta:
    """The record of a stored market; of one that grew, of each of its versions.

    Attributes:
        schema: version of this record.
        name: its name in the library.
        symbol: the instrument.
        timeframe_s: seconds per bar.
        version: 1 for what was imported, one more each time the market grew.
        rows: number of bars, all of them.
        added_rows: how many of them this version brought.
        first_open_utc: open of the first bar.
        last_open_utc: open of the last bar.
        grid_offset_s: seconds by which bars begin after the grid that counts from 1970 in steps of their length.
        zero_volume_rows: bars in which nobody traded.
        bars_sha256: `Bars.sha256` of all bars.
        previous_sha256: that of the version before.
        bars_null_reasons: ``{"funding": why}`` when some funding is unknown.
        sources: the files that this version's bars were read from.
        source_file: the name of the file, or of the first of several.
        source_bytes: their size.
        source_sha256: hash of the file, where there is one.
        funding_file: name of the funding series' file.
        funding_sha256: its hash.
        funding_unknown_rows: bars whose funding the series does not say.
        decisions: what was decided in reading, in sentences.
        findings: the gaps that were allowed.
        row_word: what ``row`` in a finding counts.
        imported_at: when, UTC.
        null_reasons: why a null above is null.
    """

    schema: str = attrs.field(default=MARKET_SCHEMA, validator=attrs.validators.in_([MARKET_SCHEMA_1, MARKET_SCHEMA]))
    name: str = attrs.field(validator=_text)
    symbol: str = attrs.field(validator=_text)
    timeframe_s: int = attrs.field(validator=_number)
    version: int = attrs.field(validator=_number)
    rows: int = attrs.field(validator=_number)
    added_rows: int = attrs.field(validator=_number)
    first_open_utc: str = attrs.field(validator=_text)
    last_open_utc: str = attrs.field(validator=_text)
    grid_offset_s: int | None = attrs.field(validator=_maybe_number)
    zero_volume_rows: int | None = attrs.field(validator=_maybe_number)
    bars_sha256: str = attrs.field(validator=_text)
    previous_sha256: str | None = attrs.field(validator=_maybe_text)
    bars_null_reasons: dict[str, str] = attrs.field(validator=_reasons)
    sources: list[SourceFile] = attrs.field(converter=_source_files)
    source_file: str = attrs.field(validator=_text)
    source_bytes: int = attrs.field(validator=_number)
    source_sha256: str | None = attrs.field(validator=_maybe_text)
    funding_file: str | None = attrs.field(validator=_maybe_text)
    funding_sha256: str | None = attrs.field(validator=_maybe_text)
    funding_unknown_rows: int = attrs.field(validator=_number)
    decisions: list[str] = attrs.field(validator=attrs.validators.deep_iterable(_text))
    findings: list[Finding] = attrs.field(converter=_findings)
    row_word: str = attrs.field(validator=_text)
    imported_at: str = attrs.field(validator=_text)
    null_reasons: dict[str, str] = attrs.field(validator=_reasons)

    def to_json(self) -> bytes:
        """The bytes of ``market.json``."""
        text = json.dumps(attrs.asdict(self), sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False)
        return text.encode("ascii") + b"\n"

    @property
    def origin(self) -> str:
        """Where the bars came from, as manifests say it."""
        return f"market {self.name} ({self.source_file if self.version == 1 else f'version {self.version}'})"


def read_meta(directory: Path) -> MarketMeta:
    """The record of a market's newest version.

    Raises:
        ConfigError: when the directory holds no market.
        EvidenceError: when a record cannot be read as one, or the versions do not follow one another.
    """
    return read_versions(directory)[-1]


def read_versions(directory: Path) -> list[MarketMeta]:
    """The records of a market's versions, the first one first; errors as `read_meta`."""
    found = [_record(directory / META_FILE)]
    for number, place in enumerate(_grown(directory), start=2):
        meta = _record(place / META_FILE)
        before = found[-1]
        follows = (meta.version, meta.previous_sha256, meta.rows) == (
            number, before.bars_sha256, before.rows + meta.added_rows
        )  # fmt: skip
        same = (meta.symbol, meta.timeframe_s) == (before.symbol, before.timeframe_s)
        if place.name != version_name(number) or not follows or not same:
            raise EvidenceError(
                f"{place / META_FILE}: does not follow version {number - 1} of market {before.name}",
                hint="the stored market was changed: import it again under another name",
            )
        found.append(meta)
    return found


def read_market(directory: Path, version: int | None = None) -> tuple[Bars, MarketMeta]:
    """Read a stored market and check it against its record.

    Args:
        directory: of the market.
        version: which; None is the newest.

    Raises:
        ConfigError: when the directory holds no market.
        EvidenceError: when the bars are not those that the record names.
    """
    metas = read_versions(directory)
    metas = metas[: len(metas) if version is None else version]
    meta = metas[-1]
    parts = [directory / BARS_FILE, *(place / BARS_FILE for place in _grown(directory))][: len(metas)]
    path = parts[-1]
    try:
        bars = from_npy(
            *parts, symbol=meta.symbol, timeframe_s=meta.timeframe_s, source=meta.origin,
            null_reasons=meta.bars_null_reasons,
        )  # fmt: skip
    except ConfigError as error:  # the bars contradict their record: damage here, not a mistake of configuration
        raise EvidenceError(f"{path}: {error.message}", hint="import the market again under another name") from error
    found = bars.sha256()
    if found != meta.bars_sha256:
        raise EvidenceError(
            f"{path}: sha256 of the bars is {found}, {META_FILE} says {meta.bars_sha256}",
            hint="the stored market was changed: import it again under another name",
        )
    return bars, meta


def version_name(number: int) -> str:
    """The directory of a version behind the first."""
    return f"{number:04d}"


def grown_place(directory: Path, number: int) -> Path:
    """Where a version behind the first lies."""
    return directory / GROWN / version_name(number)


def _grown(directory: Path) -> list[Path]:
    """Directories of the versions behind the first, in order."""
    place = directory / GROWN
    if place.is_symlink():
        raise EvidenceError(
            f"{place} is a symbolic link", hint="evidence is never read through links: look who made it"
        )
    if not place.is_dir():
        return []
    return sorted((one for one in place.iterdir() if VERSION.fullmatch(one.name)), key=lambda one: int(one.name))


def _record(path: Path) -> MarketMeta:
    try:
        record = json.loads(path.read_bytes())
        if record["schema"] == MARKET_SCHEMA_1:
            record = _as_second(record)
        return MarketMeta(**{field.name: record[field.name] for field in attrs.fields(MarketMeta)})
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{path}: no such market", hint="prometheus-quant market list shows what there is") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            f"{path}: is not a record of schema {MARKET_SCHEMA}: {type(error).__name__}: {error}",
            hint="import the market again under another name",
        ) from error


def _as_second(record: dict[str, Any]) -> dict[str, Any]:
    """A record of version 1 with what it does not say, each with its reason."""
    file = {
        "file": record["source_file"], "bytes": record["source_bytes"], "sha256": record["source_sha256"],
        "rows": record["rows"], "first_open_utc": record["first_open_utc"], "last_open_utc": record["last_open_utc"],
        "decisions": record["decisions"],
    }  # fmt: skip
    reasons = dict.fromkeys(("grid_offset_s", "zero_volume_rows"), NOT_SAID) | {"previous_sha256": FIRST}
    return {
        **record, "version": 1, "added_rows": record["rows"], "sources": [file],
        **dict.fromkeys(reasons), "null_reasons": {**record["null_reasons"], **reasons},
    }  # fmt: skip
