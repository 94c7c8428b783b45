"""A download: piece after piece in order of time, each with its record, into a folder.

One command works in a folder at a time. A piece that is there with its record is left as it is. The record is durable
before the file gets its name, so a process that is killed anywhere leaves whole files with their records, and hidden
work in progress that the next one goes on with.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import EvidenceError, UsageError, host_error
from prometheus.v10.base.files import ASIDE_SUFFIX, Lock, make_directory, write_atomic
from prometheus.v10.base.kernel import FILES, Files
from prometheus.v10.base.text import printable
from prometheus.v10.market.download import binance_archive, okx_history
from prometheus.v10.market.download.brought import PAGES, PART, Brought, Errand, Source, hash_of, hidden
from prometheus.v10.market.download.download_plan import (
    TERMS,
    Asked,
    Exchange,
    Piece,
    month_piece,
    months_of,
    pieces_of,
    seconds_of,
    time_of,
)
from prometheus.v10.market.download.download_wire import AGAIN, PATIENCE, Patience, Wire
from prometheus.v10.market.download.row_times import few, ranges_said
from prometheus.v10.market.sources.received import (
    NOT_PUBLISHED,
    DownloadRecord,
    bytes_of,
    read_record,
    record_place,
    require_same,
)

FUNDING_FOLDER: Final = "funding"
LOCK: Final = ".download.lock"
NOT_YET_DAYS: Final = 4
"""Days after its own that a file may still come out."""
NO_STEP: Final = "funding rates have no bars"


@frozen(kw_only=True)
class Got:
    """One file of a download; ``fetched`` is false where it was there already."""

    path: Path
    record: DownloadRecord
    fetched: bool


@frozen(kw_only=True)
class Progress:
    """How far a download is: pieces done, pieces that are known of, the one that is next, bytes of finished files."""

    done: int
    of: int
    name: str
    bytes: int


@frozen(kw_only=True)
class Done:
    """What a download came to.

    Attributes:
        folder: where the bars lie.
        bars: their files, in order of time.
        funding: those of funding rates; in a folder of their own below.
        said: sentences about what the source does not have.
    """

    folder: Path
    bars: list[Got]
    funding: list[Got]
    said: list[str]


@frozen(kw_only=True)
class Means:
    """What a download works with; tests hand in their own.

    Attributes:
        base: scheme, host and port of the source.
        clock: for records, pace and patience.
        sleep: waits.
        patience: with the source.
        files: the layer that writes.
        tell: hears of progress.
    """

    base: str
    clock: Clock
    sleep: Callable[[float], None] = time.sleep
    patience: Patience = PATIENCE
    files: Files = FILES
    tell: Callable[[Progress], None] = lambda _: None


def download(asked: Asked, folder: Path, means: Means, *, funding: bool = False) -> Done:
    """Bring the bars of ``asked`` into ``folder``, and the funding rates where they are wanted.

    Raises:
        UsageError: for an instrument that the exchange does not know, or a file in the folder that nobody recorded.
        ExchangeError: when the exchange gives no usable answer.
        TryLaterError: when it asks to wait.
        EvidenceError: for what contradicts itself: a checksum, a zip file, rows; for bars that are missing; for a file
            in the folder that is not what its record says.
        LockHeldError: when another download works in the folder.
        HostError: when the disk is full, or otherwise at fault.
    """
    if funding and asked.product not in {"swap", "um", "cm"}:
        raise UsageError(
            f"{asked.instrument} ({asked.product}) books no funding", hint="leave --funding out, or name a swap"
        )
    _make(folder, means.files)
    with Lock(folder / LOCK, who="a download", files=means.files, mode=0o644):
        _clear(folder)
        pieces = list(pieces_of(asked.first, asked.end))
        bars = _Line(asked, means, funding=False, folder=folder)
        bars.bring(pieces, then=len(pieces) if funding else 0)
        found = bars.got
        if not found:
            raise UsageError(
                f"{asked.exchange} has no bars {asked.bar} of {asked.instrument} ({asked.product}) from {asked.first} "
                f"to {asked.end}",
                hint="check the name, the product and the days",
            )
        said = bars.said
        rates: list[Got] = []
        if funding:
            below = folder / FUNDING_FOLDER
            _make(below, means.files)
            _clear(below)
            line = _Line(asked, means, funding=True, folder=below)
            months = asked.exchange is Exchange.BINANCE
            line.bring(list(months_of(asked.first, asked.end)) if months else pieces, done=len(found))
            rates, said = line.got, [*said, *line.said]
    return Done(folder=folder, bars=found, funding=rates, said=said)


def source_of(asked: Asked, means: Means, *, funding: bool) -> Source:
    """Bars or funding rates of the exchange that is asked for."""
    okx = asked.exchange is Exchange.OKX
    pace = (okx_history.FUNDING_PACE_S if funding else okx_history.CANDLES_PACE_S) if okx else binance_archive.PACE_S
    wire = Wire(means.base, clock=means.clock, pace_s=pace, patience=means.patience, sleep=means.sleep)
    errand = Errand(asked=asked, wire=wire, clock=means.clock, files=means.files)
    if okx:
        return okx_history.OkxHistory(errand=errand, kind=okx_history.FUNDING if funding else okx_history.CANDLES)
    return binance_archive.BinanceArchive(
        errand=errand, kind=binance_archive.FUNDING if funding else binance_archive.KLINES
    )


@define
class _Line:
    """The pieces of bars or of funding rates, brought one after the other.

    Attributes:
        got: files so far.
        said: sentences.
        absent: pieces behind the last file that the source does not have.
        months: names of months that were asked for because a day was not there by itself.
    """

    asked: Asked
    means: Means
    funding: bool = field(kw_only=True)
    folder: Path = field(kw_only=True)
    got: list[Got] = field(init=False, factory=list)
    said: list[str] = field(init=False, factory=list)
    absent: list[Piece] = field(init=False, factory=list)
    months: set[str] = field(init=False, factory=set)
    source: Source = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.source = source_of(self.asked, self.means, funding=self.funding)

    def bring(self, pieces: Iterable[Piece], *, done: int = 0, then: int = 0) -> None:
        """Bring all pieces; ``done`` came before them and ``then`` will come behind, for the progress."""
        try:
            self._bring(deque(pieces), done, then)
        finally:
            self.source.errand.wire.close()
        self._close()

    def _bring(self, waiting: deque[Piece], done: int, then: int) -> None:
        while waiting:
            piece = waiting.popleft()
            size = sum(one.record.bytes for one in self.got)
            count = done + len(self.got) + len(self.absent)
            name = self.source.file_name(piece)
            self.means.tell(Progress(done=count, of=count + 1 + len(waiting) + then, name=name, bytes=size))
            if self._is_covered(piece):
                continue
            if piece.is_month and not self._has(piece) and all(map(self._has, piece.days())):
                waiting.extendleft(reversed(piece.days()))
                continue
            got = self._there(piece) or self._fetched(piece)
            if got is not None:
                self.got.append(got)
                self.absent.clear()
            elif piece.is_month:
                if piece.name not in self.months:  # as those are, whose days were asked for before
                    if self.source.as_days(piece):
                        waiting.extendleft(reversed(piece.days()))
                    else:
                        self.absent.append(piece)
            elif (month := month_piece(piece.first)).name not in self.months and self.source.in_month(piece):
                self.months.add(month.name)
                waiting.extendleft([piece, month])
            else:
                self.absent.append(piece)

    def _target(self, piece: Piece) -> Path:
        return self.folder / self.source.file_name(piece)

    def _has(self, piece: Piece) -> bool:
        return self._target(piece).exists()

    def _is_covered(self, piece: Piece) -> bool:
        """Whether a day lies in a month that is there."""
        if piece.is_month:
            return False
        month = month_piece(piece.first)
        if not self._has(month):
            return False
        if not any(one.path == self._target(month) for one in self.got) and (got := self._there(month)) is not None:
            self.got.append(got)
        return True

    def _there(self, piece: Piece) -> Got | None:
        """The file of a piece that was downloaded before; its bytes are compared with its record.

        Raises:
            UsageError: for a file without a record, or one of something else under the same name.
            EvidenceError: for one that is not what its record says.
        """
        target, files = self._target(piece), self.means.files
        if not os.path.lexists(target):
            return None
        record = read_record(target)
        if record is None:
            raise UsageError(
                f"{target}: is there, and nothing says where it came from", hint="move it away, or name another --into"
            )
        asked, step = self.asked, self.source.step_s
        of = (record.exchange, record.product, record.instrument, record.timeframe_s, record.holds)
        if of != (asked.exchange.value, asked.product, asked.instrument, step, self.source.holds):
            raise UsageError(
                f"{target}: was downloaded from {record.exchange} ({record.product}), and is not what is asked for now",
                hint="name another --into",
            )
        require_same(target, record, *hash_of(target, files))
        for word in (PART, PAGES):  # a process that was killed when all was done may have left it
            hidden(target, word).unlink(missing_ok=True)
        return Got(path=target, record=record, fetched=False)

    def _fetched(self, piece: Piece) -> Got | None:
        target = self._target(piece)
        brought = self.source.bring(piece, target)
        if brought is None:
            return None
        missing = self._missing(piece, brought)
        record = self._record(target, piece, brought, missing)
        files = self.means.files
        try:
            if brought.checksum is not None:
                write_atomic(target.with_name(f"{target.name}.CHECKSUM"), brought.checksum, mode=0o644, files=files)
            write_atomic(record_place(target), bytes_of(record), mode=0o444, files=files)
            files.rename(brought.file, target)
            files.fsync_dir(target.parent)
            if brought.pages is not None:
                files.unlink(brought.pages)
        except OSError as error:
            raise host_error(error, f"cannot write {target}") from error
        return Got(path=target, record=record, fetched=True)

    def _missing(self, piece: Piece, brought: Brought) -> list[str]:
        """Ranges that the source does not have, in words; before the first bar of all there is nothing to miss.

        Raises:
            EvidenceError: unless gaps are allowed; what was brought is removed.
        """
        step = self.source.step_s
        if step is None:
            return []
        ranges = list(brought.found.missing)
        if self.got:
            ranges = [*((one.begin_s, one.end_s) for one in self.absent), *ranges]
        elif ranges and ranges[0][0] == piece.begin_s:
            ranges = ranges[1:]
        first, end = seconds_of(self.asked.first), seconds_of(self.asked.end)
        said = ranges_said([one for one in ranges if one[1] > first and one[0] < end], step)
        if said and not self.asked.allow_gaps:
            for place in (brought.file, brought.pages):
                if place is not None:
                    place.unlink()
            raise EvidenceError(
                f"{self.source.file_name(piece)}: the source has no bars from {few(said)}",
                hint="--allow-gaps records them; market import then wants it, too",
            )
        return said

    def _record(self, target: Path, piece: Piece, brought: Brought, missing: list[str]) -> DownloadRecord:
        asked, found = self.asked, brought.found
        reasons = {} if self.source.step_s is not None else {"timeframe_s": NO_STEP}
        if brought.published_sha256 is None:
            reasons["published_sha256"] = NOT_PUBLISHED
        return DownloadRecord(
            file=target.name, bytes=brought.size, sha256=brought.sha256, holds=self.source.holds,
            exchange=asked.exchange.value, product=asked.product, instrument=asked.instrument,
            timeframe_s=self.source.step_s, begin_utc=time_of(piece.begin_s), end_utc=time_of(piece.end_s),
            rows=found.rows, first_utc=time_of(found.first_s), last_utc=time_of(found.last_s), missing=missing,
            published_sha256=brought.published_sha256, answers=brought.answers, terms=TERMS[asked.exchange],
            null_reasons=reasons,
        )  # fmt: skip

    def _close(self) -> None:
        """Say what the source does not have at either end.

        Raises:
            EvidenceError: when days are missing at the end that are out by now, unless gaps are allowed.
        """
        what = self.source.holds
        if not self.got:
            if self.funding:
                self.said.append(f"funding: {self.asked.exchange} has no rates of these days any more, or not yet")
            return
        first = self.got[0].record
        if first.first_utc > time_of(seconds_of(self.asked.first)) and not self.funding:
            self.said.append(f"{what}: {self.asked.exchange} has none before {first.first_utc}")
        if self.funding and first.begin_utc > time_of(seconds_of(self.asked.first)):
            self.said.append(f"{what}: {self.asked.exchange} has none of before {first.begin_utc}")
        if not self.absent:
            return
        begin, end = self.absent[0].first, self.absent[-1].end
        out = self.means.clock.now().date() - timedelta(days=NOT_YET_DAYS)
        if self.absent[0].end <= out and not self.asked.allow_gaps and not self.funding:
            raise EvidenceError(
                f"{self.asked.exchange} has no bars of {self.asked.instrument} from {begin} on, and was asked to {end}",
                hint=f"--to {begin}; or, if they come out later, {AGAIN}",
            )
        self.said.append(f"{what}: {self.asked.exchange} has none from {begin} on; {AGAIN}")


def _make(folder: Path, files: Files) -> None:
    """Make a folder that everybody may read, and what leads to it.

    Raises:
        HostError: when it cannot be made.
    """
    for part in [*reversed(folder.parents), folder]:
        make_directory(part, mode=0o755, files=files)


def _clear(folder: Path) -> None:
    """Remove what killed processes were about to write; nobody else works here now."""
    for place in folder.glob(f".*{ASIDE_SUFFIX}"):
        place.unlink(missing_ok=True)


def described(got: Got) -> dict[str, Any]:
    """A file of a download as plain values."""
    record = got.record
    return {
        "file": printable(record.file),
        "state": "fetched" if got.fetched else "there",
        "bytes": record.bytes,
        "sha256": record.sha256,
        "rows": record.rows,
        "first_utc": record.first_utc,
        "last_utc": record.last_utc,
        "missing": record.missing,
        "published_sha256": record.published_sha256,
        "address": record.answers[0].address,
    }
