"""Binance's public archive: a zip file a month or a day, with its published sha256 beside it.

A file is kept when it is the one that the checksum names, and holds one CSV file of its own name with the rows of its
month or day. A file that was cut off is gone on with by a range; the checksum decides about the whole.
"""

from __future__ import annotations

import errno
import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from attrs import frozen

from prometheus.v10.base.errors import EvidenceError, ExchangeError, PrometheusError, host_error
from prometheus.v10.base.text import printable
from prometheus.v10.market.download.brought import PART, Brought, Errand, hash_of, hidden
from prometheus.v10.market.download.download_plan import Piece, Product, month_piece
from prometheus.v10.market.download.download_wire import AGAIN, Answer, refused
from prometheus.v10.market.download.row_times import Found, found_of, stamp_s
from prometheus.v10.market.sources.received import Received

PACE_S: Final = 0.05
MOST_CHECKSUM: Final = 4096
LONGEST_ROW: Final = 400
"""Bytes of a row of twelve numbers."""
SLACK: Final = 1 << 16
HEADS: Final = ("data/spot", "data/futures/um", "data/futures/cm")
BARS_HEADER: Final = "open_time"
FUNDING_HEADER: Final = "calc_time"
HOUR_S: Final = 3600
SUM = re.compile(rb"([0-9a-fA-F]{64})[ \t]+\*?([^\s]{1,200})\s*")
FAULTS: Final = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)


@frozen(kw_only=True)
class Kind:
    """What distinguishes the archive's bars from its funding rates.

    Attributes:
        folder: of the archive.
        columns: of a row.
        header: the name of the first column, where a file names its columns.
        late: times are some milliseconds late.
    """

    folder: str
    columns: int
    header: str
    late: bool


KLINES: Final = Kind(folder="klines", columns=12, header=BARS_HEADER, late=False)
FUNDING: Final = Kind(folder="fundingRate", columns=3, header=FUNDING_HEADER, late=True)


@frozen(kw_only=True)
class BinanceArchive:
    """See `Source`."""

    errand: Errand
    kind: Kind

    @property
    def holds(self) -> str:
        """See `Source`."""
        return "bars" if self.kind is KLINES else "funding"

    @property
    def step_s(self) -> int | None:
        """See `Source`."""
        return self.errand.asked.step_s if self.kind is KLINES else None

    def file_name(self, piece: Piece) -> str:
        """See `Source`."""
        asked = self.errand.asked
        return f"{asked.instrument}-{asked.bar if self.kind is KLINES else self.kind.folder}-{piece.name}.zip"

    def as_days(self, month: Piece) -> bool:
        """See `Source`: days come a day later, months some days after their end; rates by the month alone."""
        return self.kind is KLINES and self._checksum(month.days()[-1]) is not None

    def in_month(self, day: Piece) -> bool:
        """See `Source`: not every old day is there by itself."""
        return month_piece(day.first).end <= self.errand.clock.now().date()

    def bring(self, piece: Piece, target: Path) -> Brought | None:
        """See `Source`."""
        part = hidden(target, PART)
        path, wire = self._path(piece), self.errand.wire
        address = f"{wire.base}{path}"
        most = self._most_rows(piece) * LONGEST_ROW + SLACK
        for last in (False, True):
            if not wire.save(path, part, most=most, files=self.errand.files):
                part.unlink(missing_ok=True)
                return None
            whole_at = self.errand.now()
            published = self._checksum(piece)
            size, sha256 = hash_of(part, self.errand.files)
            if published is not None and published[0] == sha256:
                break
            is_zip = _begins_as_zip(part)
            if published is None and is_zip:
                break
            part.unlink()  # a part that was gone on with may be of another version: once more, from the beginning
            if last and not is_zip:
                raise ExchangeError(f"{address}: answers something else than a zip file", hint=AGAIN)
            if last and published is not None:
                raise EvidenceError(
                    f"{address}: its sha256 is {sha256}, the published one is {published[0]}",
                    hint=f"nothing of it was kept; {AGAIN}",
                )
        try:
            found = self._looked_at(part, piece, target.name, most)
        except PrometheusError:
            part.unlink()
            raise
        answers = [Received(address=address, bytes=size, sha256=sha256, at=whole_at)]
        if published is None:
            return Brought(file=part, size=size, sha256=sha256, found=found, answers=answers)
        text = published[1]
        sum_of_text = hashlib.sha256(text).hexdigest()
        answers.append(
            Received(address=f"{address}.CHECKSUM", bytes=len(text), sha256=sum_of_text, at=self.errand.now())
        )
        return Brought(
            file=part, size=size, sha256=sha256, found=found, answers=answers, published_sha256=published[0],
            checksum=text,
        )  # fmt: skip

    def _path(self, piece: Piece) -> str:
        asked = self.errand.asked
        head = HEADS[list(Product).index(Product(asked.product))]
        often = "monthly" if piece.is_month else "daily"
        bar = f"/{asked.bar}" if self.kind is KLINES else ""
        return f"/{head}/{often}/{self.kind.folder}/{asked.instrument}{bar}/{self.file_name(piece)}"

    def _most_rows(self, piece: Piece) -> int:
        return (piece.end_s - piece.begin_s) // (self.step_s or HOUR_S) + 1

    def _checksum(self, piece: Piece) -> tuple[str, bytes] | None:
        """The published hash and the bytes that say it; None where none is published."""
        path, name = f"{self._path(piece)}.CHECKSUM", self.file_name(piece)
        address = f"{self.errand.wire.base}{path}"

        def judge(answer: Answer) -> tuple[str, bytes] | None:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise refused(address, answer.status)
            said = SUM.fullmatch(answer.body)
            if said is None or said[2] != name.encode("ascii"):
                raise EvidenceError(f"{address}: holds no sha256 of {name}", hint=f"nothing of it was kept; {AGAIN}")
            return said[1].decode("ascii").lower(), answer.body

        return self.errand.wire.ask(path, judge, most=MOST_CHECKSUM)

    def _looked_at(self, part: Path, piece: Piece, name: str, most: int) -> Found:
        """The rows of the one CSV file in a zip file.

        Raises:
            EvidenceError: when the zip file is damaged, holds something else, or unpacks to more than its rows can be.
        """
        wanted = f"{name.removesuffix('.zip')}.csv"
        try:
            with zipfile.ZipFile(part) as archive:
                inside = archive.infolist()
                if [one.filename for one in inside] != [wanted]:
                    named = ", ".join(printable(one.filename, longest=60) for one in inside[:3]) or "nothing"
                    raise EvidenceError(
                        f"{name}: holds {named}, and should hold {wanted} alone", hint="look at who answers there"
                    )
                with archive.open(inside[0]) as handle:
                    times = self._times(_lines(handle, most, name), name)
                    return found_of(times, begin_s=piece.begin_s, end_s=piece.end_s, step_s=self.step_s, where=name)
        except FAULTS as error:
            if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
                raise host_error(error, f"cannot read {part}") from error
            raise EvidenceError(
                f"{name}: is damaged or was cut off: {printable(str(error), longest=120)}",
                hint=f"nothing of it was kept; {AGAIN}",
            ) from error

    def _times(self, lines: Iterator[str], name: str) -> Iterator[tuple[str, int]]:
        before = ""
        for number, line in enumerate(lines, start=1):
            row = line.rstrip("\r\n")
            if row == before:  # published twice: the same row
                continue
            before = row
            cells = row.split(",")
            place = f"line {number}"
            if len(cells) != self.kind.columns:
                raise EvidenceError(
                    f"{name}: {place}: {len(cells)} cells, a row has {self.kind.columns}",
                    hint="look at who answers there",
                )
            if number == 1 and cells[0] == self.kind.header:
                continue
            yield place, stamp_s(cells[0], f"{name}: {place}", late=self.kind.late)


def _lines(handle: IO[bytes], most: int, name: str) -> Iterator[str]:
    """Lines of unpacked text, of which there may be ``most`` bytes and no more."""
    text, got = io.BufferedReader(cast("io.RawIOBase", handle), 1 << 16), 0
    while line := text.readline(LONGEST_ROW + 1):
        got += len(line)
        if len(line) > LONGEST_ROW or got > most:
            raise EvidenceError(
                f"{name}: unpacks to more than the rows of its days can be", hint="look at who answers there"
            )
        yield line.decode("ascii")


def _begins_as_zip(part: Path) -> bool:
    with part.open("rb") as handle:
        return handle.read(4) == b"PK\x03\x04"
