"""One stored market: ``bars.npy`` and the ``market.json`` that names it (hash, range, provenance, decisions).

``market.json`` is a record like any other: sorted keys, ASCII, no NaN, every null with its reason. Reading checks the
bars against it; a difference is damage (exit 65), never repaired.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from prometheus.v10.base.errors import ConfigError, EvidenceError
from prometheus.v10.market.bars import Bars, from_npy
from prometheus.v10.market.validate import Fault, Finding

MARKET_SCHEMA = "prometheus.market/1"
BARS_FILE = "bars.npy"
META_FILE = "market.json"


def _findings(values: Any) -> list[Finding]:
    """Findings, or the objects that JSON made of them."""
    return [v if isinstance(v, Finding) else Finding(**{**v, "fault": Fault(v["fault"])}) for v in values]


def _strings(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise TypeError(f"{field.name} maps something other than text to text")


_text = attrs.validators.instance_of(str)
_number = attrs.validators.instance_of(int)
_maybe_text = attrs.validators.optional(_text)
_reasons = attrs.validators.and_(attrs.validators.instance_of(dict), _strings)


@attrs.frozen(kw_only=True)
class MarketMeta:
    """The record of a stored market.

    Attributes:
        schema: version of this record.
        name: its name in the library.
        symbol: the instrument.
        timeframe_s: seconds per bar.
        rows: number of bars.
        first_open_utc: open of the first bar.
        last_open_utc: open of the last bar.
        bars_sha256: `Bars.sha256`.
        bars_null_reasons: ``{"funding": why}`` when some funding is unknown.
        source_file: name of the file the bars were read from.
        source_bytes: its size.
        source_sha256: its hash.
        funding_file: name of the funding series' file.
        funding_sha256: its hash.
        funding_unknown_rows: bars whose funding the series does not say.
        decisions: what was decided in reading, in sentences.
        findings: the gaps that were allowed.
        row_word: what ``row`` in a finding counts.
        imported_at: when, UTC.
        null_reasons: why a null above is null.
    """

    schema: str = attrs.field(default=MARKET_SCHEMA, validator=attrs.validators.in_([MARKET_SCHEMA]))
    name: str = attrs.field(validator=_text)
    symbol: str = attrs.field(validator=_text)
    timeframe_s: int = attrs.field(validator=_number)
    rows: int = attrs.field(validator=_number)
    first_open_utc: str = attrs.field(validator=_text)
    last_open_utc: str = attrs.field(validator=_text)
    bars_sha256: str = attrs.field(validator=_text)
    bars_null_reasons: dict[str, str] = attrs.field(validator=_reasons)
    source_file: str = attrs.field(validator=_text)
    source_bytes: int = attrs.field(validator=_number)
    source_sha256: str = attrs.field(validator=_text)
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


def read_meta(directory: Path) -> MarketMeta:
    """Read ``market.json``.

    Raises:
        ConfigError: when the directory holds no market.
        EvidenceError: when the record cannot be read as one.
    """
    path = directory / META_FILE
    try:
        record = json.loads(path.read_bytes())
        known = {field.name: record[field.name] for field in attrs.fields(MarketMeta)}
        return MarketMeta(**known)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{path}: no such market", hint="prometheus-quant market list shows what there is") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            f"{path}: is not a record of schema {MARKET_SCHEMA}: {type(error).__name__}: {error}",
            hint="import the market again under another name",
        ) from error


def read_market(directory: Path) -> tuple[Bars, MarketMeta]:
    """Read a stored market and check it against its record.

    Raises:
        ConfigError: when the directory holds no market.
        EvidenceError: when the bars are not those that the record names.
    """
    meta = read_meta(directory)
    path = directory / BARS_FILE
    try:
        bars = from_npy(
            path,
            symbol=meta.symbol,
            timeframe_s=meta.timeframe_s,
            source=f"market {meta.name} ({meta.source_file})",
            null_reasons=meta.bars_null_reasons,
        )
    except ConfigError as error:  # the bars contradict their record: damage here, not a mistake of configuration
        raise EvidenceError(f"{path}: {error.message}", hint="import the market again under another name") from error
    found = bars.sha256()
    if found != meta.bars_sha256:
        raise EvidenceError(
            f"{path}: sha256 of the bars is {found}, {META_FILE} says {meta.bars_sha256}",
            hint="the stored market was changed: import it again under another name",
        )
    return bars, meta
