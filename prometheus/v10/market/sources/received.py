"""The record of one downloaded file: where it came from, what it is, and what it was held against.

``NAME.download.json`` lies beside ``NAME``. It is sealed by a hash of itself, and is written before the file gets its
name: a file with its name always has its record. An import reads it and says it; a file that is not what its record
says is refused. No numpy: the downloader of an installed host writes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.base.text import printable

DOWNLOAD_SCHEMA: Final = "prometheus.download/1"
RECORD_SUFFIX: Final = ".download.json"
NOT_PUBLISHED: Final = "the source publishes no checksum of it"
HINT: Final = "download it again, or move the file away from its record"

_text = attrs.validators.instance_of(str)
_maybe_text = attrs.validators.optional(_text)
_number = attrs.validators.instance_of(int)
_texts = attrs.validators.deep_iterable(_text)


@attrs.frozen(kw_only=True)
class Received:
    """One answer that a file was made of.

    Attributes:
        address: what was asked for.
        bytes: of the answer's body.
        sha256: of the answer's body.
        at: when it was whole, UTC.
    """

    address: str = attrs.field(validator=_text)
    bytes: int = attrs.field(validator=_number)
    sha256: str = attrs.field(validator=_text)
    at: str = attrs.field(validator=_text)


def _answers(values: Sequence[Any]) -> list[Received]:
    return [one if isinstance(one, Received) else Received(**one) for one in values]


@attrs.frozen(kw_only=True)
class DownloadRecord:
    """See the module.

    Attributes:
        schema: version of this record.
        file: the file's name.
        bytes: its size.
        sha256: its hash.
        holds: ``bars`` or ``funding``.
        exchange: ``okx`` or ``binance``.
        product: which market of the exchange.
        instrument: as the exchange names it.
        timeframe_s: seconds a bar; None for funding.
        begin_utc: the first moment that was asked for.
        end_utc: the moment before which was asked for.
        rows: bars or rates in it.
        first_utc: time of the first one.
        last_utc: time of the last one.
        missing: ranges of bars that the source does not have.
        published_sha256: the hash that the source publishes of the file, which agrees; None where it publishes none.
        answers: what it was made of, in the order in which it came; that of the published hash is the last.
        terms: where the source's terms of use stand.
        null_reasons: why a null above is null.

    Its file has ``record_sha256`` as well: the hash of the canonical bytes of all that stands above.
    """

    schema: str = attrs.field(default=DOWNLOAD_SCHEMA, validator=attrs.validators.in_([DOWNLOAD_SCHEMA]))
    file: str = attrs.field(validator=_text)
    bytes: int = attrs.field(validator=_number)
    sha256: str = attrs.field(validator=_text)
    holds: str = attrs.field(validator=attrs.validators.in_(["bars", "funding"]))
    exchange: str = attrs.field(validator=_text)
    product: str = attrs.field(validator=_text)
    instrument: str = attrs.field(validator=_text)
    timeframe_s: int | None = attrs.field(validator=attrs.validators.optional(_number))
    begin_utc: str = attrs.field(validator=_text)
    end_utc: str = attrs.field(validator=_text)
    rows: int = attrs.field(validator=_number)
    first_utc: str = attrs.field(validator=_text)
    last_utc: str = attrs.field(validator=_text)
    missing: list[str] = attrs.field(validator=_texts)
    published_sha256: str | None = attrs.field(validator=_maybe_text)
    answers: list[Received] = attrs.field(converter=_answers, validator=attrs.validators.min_len(1))
    terms: str = attrs.field(validator=_text)
    null_reasons: dict[str, str] = attrs.field(validator=attrs.validators.deep_mapping(_text, _text))

    @property
    def verdict(self) -> str:
        """What the file was held against, in words."""
        return "no checksum is published" if self.published_sha256 is None else "the published checksum agrees"

    def sentence(self) -> str:
        """Where the file came from, for the record of a market."""
        first, count = self.answers[0], len(self.answers) - (self.published_sha256 is not None)
        pieces = f" and {count - 1} more answers" if count > 1 else ""
        return f"downloaded: {printable(first.address)}{pieces}, whole at {self.answers[-1].at}; {self.verdict}"


def bytes_of(record: DownloadRecord) -> bytes:
    """The bytes of a record's file, the hash of the record itself included."""
    plain = attrs.asdict(record)
    text = json.dumps({**plain, "record_sha256": _seal(plain)}, sort_keys=True, indent=1, allow_nan=False)
    return text.encode("ascii") + b"\n"


def record_place(path: Path) -> Path:
    """Where the record of a file lies."""
    return path.with_name(path.name + RECORD_SUFFIX)


def read_record(path: Path) -> DownloadRecord | None:
    """The record of a downloaded file; None where there is none.

    Raises:
        EvidenceError: when what lies there is no such record, was changed, or is of another file.
        HostError: when it cannot be read.
    """
    place = record_place(path)
    content = read_if_there(place, at_most=LARGE)
    if content is None:
        return None
    try:
        plain = json.loads(content)
        sealed = plain.pop("record_sha256")
        record = DownloadRecord(**plain)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise EvidenceError(f"{place}: is not a record of schema {DOWNLOAD_SCHEMA}", hint=HINT) from error
    if sealed != _seal(plain) or record.file != path.name:
        raise EvidenceError(f"{place}: was changed after it was written, or is of another file", hint=HINT)
    return record


def require_same(path: Path, record: DownloadRecord, size: int, sha256: str) -> None:
    """Refuse a file that is not what its record says.

    Raises:
        EvidenceError: naming both hashes.
    """
    if (record.bytes, record.sha256) != (size, sha256):
        raise EvidenceError(
            f"{path}: its sha256 is {sha256}, {printable(record_place(path).name)} says {record.sha256}", hint=HINT
        )


def _seal(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
