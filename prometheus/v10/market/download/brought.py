"""What a source hands over for one piece: a prepared file, what it holds, and the answers that it was made of."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Protocol

from attrs import frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import host_error
from prometheus.v10.base.kernel import FILES, Files
from prometheus.v10.base.reading import open_regular
from prometheus.v10.market.download.download_plan import Asked, Piece
from prometheus.v10.market.download.download_wire import Wire
from prometheus.v10.market.download.row_times import Found
from prometheus.v10.market.sources.received import Received

BLOCK: Final = 1 << 20
PART: Final = "part"
"""A file that is not whole, or not yet under its name."""
PAGES: Final = "pages"
"""Pages of a file that came so far."""


@frozen(kw_only=True)
class Brought:
    """See the module.

    Attributes:
        file: the prepared file, durable, under a hidden name beside its later place.
        size: in bytes.
        sha256: its hash.
        found: the times of its rows.
        answers: what it was made of.
        published_sha256: the hash that the source publishes of it, which agrees.
        checksum: the bytes that said so, to be kept beside the file.
        pages: what the work in progress was kept in, to be removed when the file has its name.
    """

    file: Path
    size: int
    sha256: str
    found: Found
    answers: list[Received]
    published_sha256: str | None = None
    checksum: bytes | None = None
    pages: Path | None = None


@frozen(kw_only=True)
class Errand:
    """Where a source works, and with what.

    Attributes:
        asked: what is downloaded.
        wire: to the source.
        clock: for the times in records.
        files: the layer that writes.
    """

    asked: Asked
    wire: Wire
    clock: Clock
    files: Files = FILES

    def now(self) -> str:
        """The present moment as records have it."""
        return utc_text(self.clock.now())


class Source(Protocol):
    """Bars or funding rates of one exchange."""

    @property
    def errand(self) -> Errand:
        """What it works with."""
        ...

    @property
    def holds(self) -> str:
        """``bars`` or ``funding``."""
        ...

    @property
    def step_s(self) -> int | None:
        """Seconds between two rows; None where there is no such rule."""
        ...

    def file_name(self, piece: Piece) -> str:
        """The name of a piece's file."""
        ...

    def as_days(self, month: Piece) -> bool:
        """Whether a month that the source does not have is there as days."""
        ...

    def in_month(self, day: Piece) -> bool:
        """Whether a day that the source does not have may be there in its month."""
        ...

    def bring(self, piece: Piece, target: Path) -> Brought | None:
        """Prepare the file of a piece beside ``target``; None where the source has none.

        Raises:
            ExchangeError: when there is no usable answer.
            EvidenceError: when what came contradicts itself; nothing of it is kept.
            HostError: when it cannot be written.
        """
        ...


def hidden(target: Path, word: str) -> Path:
    """A name beside ``target`` that no import takes for data."""
    return target.with_name(f".{target.name}.{word}")


def hash_of(path: Path, files: Files) -> tuple[int, str]:
    """Size and sha256 of a file, which is no link.

    Raises:
        EvidenceError: when it is not a regular file.
        HostError: when it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    fd = open_regular(path)
    try:
        try:
            while block := files.read(fd, BLOCK):
                digest.update(block)
                size += len(block)
        finally:
            files.close(fd)
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error
    return size, digest.hexdigest()
