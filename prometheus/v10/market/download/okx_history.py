"""OKX's history over REST: pages of 100 rows, the newest first, walked backward through the days of one piece.

Each page is kept in a file of work in progress as it comes, so that a cut loses one page. A page in which rows are
missing is asked for twice; two different answers to one question are refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define, field, frozen

from prometheus.v10.base.errors import EvidenceError, ExchangeError, UsageError
from prometheus.v10.base.files import AppendFile, write_atomic
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.base.text import printable
from prometheus.v10.market.download.brought import PAGES, PART, Brought, Errand, hash_of, hidden
from prometheus.v10.market.download.download_plan import Piece, time_of
from prometheus.v10.market.download.download_wire import AGAIN, AgainError, Answer, refused
from prometheus.v10.market.download.row_times import found_of, stamp_s
from prometheus.v10.market.exchange_words import OKX_BARS
from prometheus.v10.market.sources.received import Received

LIMIT: Final = 100
MOST_BODY: Final = 1 << 20
CANDLES_PACE_S: Final = 0.11
"""20 requests in 2 s are allowed."""
FUNDING_PACE_S: Final = 0.22
"""10 requests in 2 s are allowed."""
BUSY: Final = frozenset({"50011", "50061"})
NOT_NOW: Final = frozenset({"50001", "50004", "50013", "50026"})
UNKNOWN_INSTRUMENT: Final = frozenset({"51001", "51014"})
LIAR: Final = "look at who answers there"
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?")

Row = Any
"""A list of nine texts, or an object with names: as OKX gives it."""


@frozen(kw_only=True)
class Kind:
    """What distinguishes candles from funding rates.

    Attributes:
        holds: ``bars`` or ``funding``.
        path: of the endpoint.
        checked: gives a row's stamp in milliseconds, or says what is wrong.
    """

    holds: str
    path: str
    checked: Callable[[Row, str, str], int]


def candle_stamp(row: Row, _instrument: str, where: str) -> int:
    """The open time of a candle, milliseconds.

    Raises:
        EvidenceError: when it is no candle.
        AgainError: when it is unfinished: days that are over have no such bar for long.
    """
    if not isinstance(row, list) or len(row) != 9 or not all(isinstance(cell, str) for cell in row):
        raise EvidenceError(f"{where}: is no row of nine texts", hint=LIAR)
    for cell in row[1:8]:
        if not _NUMBER.fullmatch(cell):
            raise EvidenceError(f"{where}: {printable(cell, longest=40)!r} is no number", hint=LIAR)
    stamp = 1000 * stamp_s(row[0], where)
    if row[8] == "0":
        raise AgainError(f"the bar of {time_of(stamp // 1000)} is said to be unfinished")
    if row[8] != "1":
        raise EvidenceError(f"{where}: confirm is {printable(row[8], longest=20)!r}, expected 0 or 1", hint=LIAR)
    return stamp


def funding_stamp(row: Row, instrument: str, where: str) -> int:
    """The time of a booking, milliseconds.

    Raises:
        EvidenceError: when it is no rate of the instrument.
    """
    if not isinstance(row, dict) or row.get("instId") != instrument:
        raise EvidenceError(f"{where}: is no funding rate of {instrument}", hint=LIAR)
    for name in ("fundingRate", "realizedRate"):
        if not isinstance(row.get(name), str) or not _NUMBER.fullmatch(row[name]):
            raise EvidenceError(f"{where}: its {name} is no number", hint=LIAR)
    stamp_s(str(row.get("fundingTime")), where, late=True)
    return int(row["fundingTime"])


CANDLES: Final = Kind(holds="bars", path="/api/v5/market/history-candles", checked=candle_stamp)
FUNDING: Final = Kind(holds="funding", path="/api/v5/public/funding-rate-history", checked=funding_stamp)


@define(kw_only=True)
class Walk:
    """The way backward through one piece.

    Attributes:
        begin_ms: no row before it is wanted.
        end_ms: every row that is wanted is before it.
        step_ms: between two rows; None where there is no such rule.
        where: the piece's file, for messages.
        cursor_ms: rows before this are asked for next.
        rows: what came so far, by time.
        over: nothing is left to be asked.
    """

    begin_ms: int
    end_ms: int
    step_ms: int | None
    where: str
    cursor_ms: int = field(init=False)
    rows: dict[int, Row] = field(factory=dict)
    over: bool = False

    def __attrs_post_init__(self) -> None:
        self.cursor_ms = self.end_ms

    def has_holes(self, stamps: Sequence[int]) -> bool:
        """Whether a page leaves out rows between the cursor and its oldest row."""
        if self.step_ms is None:
            return False
        wanted = [one for one in stamps if self.begin_ms <= one < self.cursor_ms]
        lowest = max(self.begin_ms, stamps[-1]) if stamps else self.begin_ms
        return len(wanted) < (self.cursor_ms - lowest) // self.step_ms

    def take(self, page: Sequence[Row], stamps: Sequence[int]) -> None:
        """Take a page; an empty one says that there is nothing older.

        Raises:
            EvidenceError: when it is out of order, contradicts what came before, or does not lead on.
        """
        asked = f"{self.where}: rows before {time_of(self.cursor_ms // 1000)} were asked for"
        for newer, older in pairwise(stamps):
            if older >= newer:
                said = f"{time_of(older // 1000)} stands behind {time_of(newer // 1000)}"
                raise EvidenceError(f"{asked}: {said}, and the newest should be first", hint=LIAR)
        if stamps and stamps[-1] >= self.cursor_ms:
            raise EvidenceError(f"{asked}, and none of those that came is", hint=LIAR)
        for row, stamp in zip(page, stamps, strict=True):
            if self.rows.get(stamp, row) != row:
                raise EvidenceError(f"{asked}: the row of {time_of(stamp // 1000)} comes again, and differs", hint=LIAR)
            if self.begin_ms <= stamp < self.end_ms:
                self.rows[stamp] = row
        self.cursor_ms = stamps[-1] if stamps else self.begin_ms
        self.over = self.cursor_ms <= self.begin_ms


@frozen(kw_only=True)
class OkxHistory:
    """See `Source`."""

    errand: Errand
    kind: Kind

    @property
    def holds(self) -> str:
        """See `Source`."""
        return self.kind.holds

    @property
    def step_s(self) -> int | None:
        """See `Source`."""
        return self.errand.asked.step_s if self.kind is CANDLES else None

    def file_name(self, piece: Piece) -> str:
        """See `Source`."""
        asked = self.errand.asked
        return f"{asked.instrument}-{asked.bar if self.kind is CANDLES else 'fundingRate'}-{piece.name}.json"

    def as_days(self, _month: Piece) -> bool:
        """See `Source`: a month and its days are the same rows here."""
        return False

    def in_month(self, _day: Piece) -> bool:
        """See `Source`."""
        return False

    def bring(self, piece: Piece, target: Path) -> Brought | None:
        """See `Source`."""
        step_ms = None if self.step_s is None else 1000 * self.step_s
        pages, files = hidden(target, PAGES), self.errand.files
        walk = Walk(begin_ms=1000 * piece.begin_s, end_ms=1000 * piece.end_s, step_ms=step_ms, where=target.name)
        answers, good = self._kept(pages, walk)
        try:
            with AppendFile(pages, mode=0o644, files=files) as log:
                if log.size > good:
                    log.truncate(good)
                while not walk.over:
                    after = walk.cursor_ms
                    page, stamps, answer = self._page(after, target.name)
                    if walk.has_holes(stamps):
                        page, stamps, answer = self._same_again(after, target.name, page)
                    walk.take(page, stamps)
                    answers.append(answer)
                    line = json.dumps({"after": after, "answer": asdict(answer), "rows": page}, separators=(",", ":"))
                    log.append(line.encode("ascii") + b"\n")
            if not walk.rows:
                pages.unlink()
                return None
            order = sorted(walk.rows)
            times = ((f"row {k}", stamp // 1000) for k, stamp in enumerate(order, start=1))
            found = found_of(times, begin_s=piece.begin_s, end_s=piece.end_s, step_s=self.step_s, where=target.name)
        except EvidenceError:
            pages.unlink()
            raise
        finally:
            if pages.exists() and not pages.stat().st_size:
                pages.unlink()
        ready = hidden(target, PART)
        text = ",\n".join(json.dumps(walk.rows[stamp], separators=(",", ":")) for stamp in order)
        write_atomic(ready, f"[\n{text}\n]\n".encode("ascii"), mode=0o644, files=files)
        size, sha256 = hash_of(ready, files)
        return Brought(file=ready, size=size, sha256=sha256, found=found, answers=answers, pages=pages)

    def _kept(self, pages: Path, walk: Walk) -> tuple[list[Received], int]:
        """Take the pages that an earlier command kept, up to the first that cannot be; and how many bytes they are."""
        content = read_if_there(pages, at_most=LARGE) or b""
        answers: list[Received] = []
        good = 0
        for line in content.split(b"\n")[:-1]:
            try:
                kept = json.loads(line)
                answer, rows = Received(**kept["answer"]), kept["rows"]
                if kept["after"] != walk.cursor_ms or walk.over:
                    break
                walk.take(rows, self._stamps(rows, walk.where))
            except (ValueError, TypeError, KeyError, EvidenceError, AgainError):
                break
            answers.append(answer)
            good += len(line) + 1
        return answers, good

    def _stamps(self, rows: Sequence[Row], where: str) -> list[int]:
        instrument = self.errand.asked.instrument
        return [self.kind.checked(row, instrument, f"{where}: row {k} of a page") for k, row in enumerate(rows, 1)]

    def _same_again(self, after: int, where: str, before: Sequence[Row]) -> tuple[list[Row], list[int], Received]:
        """Ask for a page in which rows are missing once more.

        Raises:
            EvidenceError: when the answer is another one.
        """
        page, stamps, answer = self._page(after, where)
        if page != before:
            raise EvidenceError(
                f"{where}: rows before {time_of(after // 1000)} were asked for twice, and the answers differ",
                hint=f"nothing of it was kept; {AGAIN}",
            )
        return page, stamps, answer

    def _page(self, after: int, where: str) -> tuple[list[Row], list[int], Received]:
        """The rows before a moment, their stamps, and the answer that they came in."""
        asked, wire = self.errand.asked, self.errand.wire
        bar = f"&bar={OKX_BARS[asked.step_s]}" if self.kind is CANDLES else ""
        path = f"{self.kind.path}?instId={asked.instrument}{bar}&after={after}&limit={LIMIT}"
        address = f"{wire.base}{path}"

        def judge(answer: Answer) -> tuple[list[Row], list[int], Received]:
            rows = _rows_of(answer, address, asked.instrument)
            received = Received(
                address=address, bytes=len(answer.body), sha256=hashlib.sha256(answer.body).hexdigest(),
                at=self.errand.now(),
            )  # fmt: skip
            return rows, self._stamps(rows, where), received

        return wire.ask(path, judge, most=MOST_BODY)


def _rows_of(answer: Answer, address: str, instrument: str) -> list[Row]:
    """The rows of an envelope.

    Raises:
        AgainError: when another try may help.
        UsageError: when the exchange does not know the instrument.
        ExchangeError: when it refuses.
        EvidenceError: when the envelope is none.
    """
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise AgainError(f"answers {answer.status} with {answer.kind}, which is no JSON") from None
    code, message = (said.get("code"), said.get("msg")) if isinstance(said, dict) else (None, None)
    code = code if isinstance(code, str) else f"{code!r}, which is no text"
    if code in UNKNOWN_INSTRUMENT:
        raise UsageError(f"OKX knows no instrument {instrument}", hint="such as BTC-USDT-SWAP, or BTC-USDT for spot")
    if code in BUSY or code in NOT_NOW:
        raise AgainError(f"answers {code}: {printable(str(message), longest=120)}", busy=code in BUSY)
    if code != "0":
        if answer.status != 200:
            raise refused(address, answer.status)
        told = f"code {printable(str(code), longest=20)}: {printable(str(message), longest=120)}"
        raise ExchangeError(f"{address}: answers {told}", hint=LIAR)
    rows = said.get("data")
    if answer.status != 200 or not isinstance(rows, list) or len(rows) > LIMIT:
        raise EvidenceError(f"{address}: its data is no list of at most {LIMIT} rows", hint=LIAR)
    return rows
