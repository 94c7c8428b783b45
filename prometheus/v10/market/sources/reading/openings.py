"""Opens a file by what it holds, whatever it is called: plain, gzip, zstd or zip; text, JSON, feather or parquet.

A zip file is read when it holds one file. A ``.CHECKSUM`` that lies beside a file, as exchanges publish them, and the
record of a download are held against it: a difference is refused.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import zstandard
from attrs import frozen

from prometheus.v10.base.errors import ConfigError, EvidenceError, HostError, host_error
from prometheus.v10.base.text import printable
from prometheus.v10.market.sources.received import RECORD_SUFFIX, read_record, require_same

NAME_ONE = "name a file of bars, or a market of the library"
HEAD = 4096
CHUNK = 1 << 20
MOST_BYTES = 256 << 20  # of a compressed table or of JSON, which are held in memory
SHA256 = re.compile(r"\b([0-9a-fA-F]{64})\b")
GZIP, ZSTD, ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
FAULTS = (zlib.error, EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zstandard.ZstdError, RuntimeError)


class Kind(StrEnum):
    """What a file holds once it is unpacked."""

    TEXT = "text"
    JSON = "JSON"
    FEATHER = "feather"
    PARQUET = "parquet"


@frozen(kw_only=True)
class Source:
    """A file of bars, opened as often as it is asked for.

    Attributes:
        path: the file.
        kind: what it holds.
        names: of the file and of the file inside it, without the suffix of a compression: what names may say.
        stream: gives the unpacked bytes from the beginning.
        packed: whether they are not the file's own.
        decisions: sentences about packing and checksum.
    """

    path: Path
    kind: Kind
    names: tuple[str, ...]
    stream: Callable[[], IO[bytes]]
    packed: bool
    decisions: list[str]

    def __str__(self) -> str:
        return str(self.path)


def is_data(path: Path) -> bool:
    """Whether a file of a folder is one of its data: not hidden, no published checksum, no record of a download."""
    name = path.name
    return not name.startswith(".") and path.suffix.upper() != ".CHECKSUM" and not name.endswith(RECORD_SUFFIX)


def source_of(path: Path) -> Source:
    """Find out what a file is.

    Raises:
        ConfigError: when it is none, is damaged, holds several files, or is not what its checksum says.
        HostError: when it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: is not a regular file", hint=NAME_ONE)
    with reading(path):
        with path.open("rb") as handle:
            head = handle.read(HEAD)
        said = [*_checksum(path), *_downloaded(path)]
        names: tuple[str, ...] = (path.name,)
        stream: Callable[[], IO[bytes]] = lambda: path.open("rb")  # noqa: E731
        if head.startswith(GZIP):
            said.append("packing: gzip")
            names, stream = (_bare(path.name, ".gz"),), lambda: io.BufferedReader(gzip.open(path, "rb"))  # noqa: SIM115
        elif head.startswith(ZSTD):
            said.append("packing: zstd")
            names, stream = (_bare(path.name, ".zst", ".zstd"),), lambda: io.BufferedReader(_Zstd(path))
        elif head.startswith(ZIP):
            member = _only_member(path)
            said.append(f"packing: zip, {printable(member)} in it")
            names, stream = (Path(member).name, path.name), lambda: _in_zip(path, member)
        packed = bool(said and said[-1].startswith("packing"))
        if packed:
            with stream() as inner:
                head = inner.read(HEAD)
            if head.startswith((GZIP, ZSTD, ZIP)):
                raise ConfigError(f"{path}: holds a packed file inside a packed file", hint="unpack it once")
    return Source(path=path, kind=_kind(path, head), names=names, stream=stream, packed=packed, decisions=said)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Faults of reading ``path`` in our own words.

    Raises:
        ConfigError: when there is no such file, or its bytes are not what they should be.
        HostError: when the machine cannot read it.
    """
    try:
        yield
    except FAULTS as error:
        raise ConfigError(
            f"{path}: is damaged or was cut off: {printable(str(error))}", hint="download it again"
        ) from error
    except OSError as error:
        raise _cannot_read(error, path) from error
    except UnicodeError as error:
        hint = "save it as UTF-8 text"
        raise ConfigError(f"{path}: is not CSV text: it is not UTF-8 ({error})", hint=hint) from error
    except csv.Error as error:
        raise ConfigError(f"{path}: is not CSV text: {error}") from error


def whole(source: Source) -> bytes:
    """All bytes of a source.

    Raises:
        ConfigError: when there are more than fit.
    """
    with reading(source.path), source.stream() as handle:
        content = handle.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{source.path}: holds more than {MOST_BYTES >> 20} MiB", hint="bring it as CSV, or in parts")
    return content


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


def _checksum(path: Path) -> Iterator[str]:
    """The sentence about a published checksum that lies beside the file."""
    beside = path.with_name(f"{path.name}.CHECKSUM")
    if not beside.is_file():
        return
    with beside.open("rb") as handle:
        said = SHA256.search(handle.read(HEAD).decode("ascii", "replace"))
    if said is None:
        raise ConfigError(f"{beside}: holds no sha256", hint="download it again, or remove it")
    found = file_identity(path)[1]
    if said[1].lower() != found:
        raise ConfigError(
            f"{path}: its sha256 is {found}, {printable(beside.name)} says {said[1].lower()}", hint="download it again"
        )
    yield f"checksum: the sha256 is the one of {printable(beside.name)}"


def _downloaded(path: Path) -> Iterator[str]:
    """The sentence about the file's download, where it has a record of one."""
    try:
        record = read_record(path)
        if record is not None:
            require_same(path, record, *file_identity(path))
            yield record.sentence()
    except EvidenceError as error:  # a file that somebody named is no evidence yet
        raise ConfigError(error.message, hint=error.hint) from error


def _bare(name: str, *suffixes: str) -> str:
    return next((name[: -len(suffix)] for suffix in suffixes if name.lower().endswith(suffix)), name)


def _only_member(path: Path) -> str:
    """The one file in a zip file."""
    with zipfile.ZipFile(path) as archive:
        files = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
    if len(files) != 1:
        named = ", ".join(printable(one.filename, longest=40) for one in files[:5])
        raise ConfigError(
            f"{path}: holds {len(files)} files{': ' if named else ''}{named}", hint="unpack it, and name the files"
        )
    if files[0].flag_bits & 1:
        raise ConfigError(f"{path}: is locked with a password", hint="unpack it first")
    return files[0].filename


def _in_zip(path: Path, member: str) -> IO[bytes]:
    """The bytes of one file in a zip file; closing them closes the archive."""
    archive = zipfile.ZipFile(path)
    handle = archive.open(member)
    close = handle.close

    def close_both() -> None:
        close()
        archive.close()

    handle.close = close_both  # type: ignore[method-assign]
    return handle


def _kind(path: Path, head: bytes) -> Kind:
    if head.startswith(b"ARROW1"):
        return Kind.FEATHER
    if head.startswith(b"PAR1"):
        return Kind.PARQUET
    if head.startswith(b"FEA1"):
        raise ConfigError(f"{path}: is feather of version 1, which is not read", hint="write it as version 2 or as CSV")
    if head.startswith(b"\x89HDF"):
        raise ConfigError(f"{path}: is HDF5, which is not read", hint="write it as feather, parquet or CSV")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return Kind.JSON if text[:1] in {b"[", b"{"} else Kind.TEXT


def _cannot_read(error: OSError, path: Path) -> ConfigError | HostError:
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return ConfigError(f"{path}: no such file", hint=NAME_ONE)
    return host_error(error, f"cannot read {path}")


class _Zstd(io.RawIOBase):
    """The bytes of a zstd file of one or more frames; a frame that was cut off is an error, not an end."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._frame: Any = None
        self._left, self._ready = b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._more():
            pass
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _more(self) -> bool:
        """Unpack another piece; False at the end."""
        piece = self._left or self._file.read(CHUNK >> 4)
        self._left = b""
        if not piece:
            if self._frame is not None:
                raise EOFError("the last zstd frame has no end")
            return False
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._ready = self._frame.decompress(piece)
        if self._frame.eof:
            self._left, self._frame = self._frame.unused_data, None
        return True

    def close(self) -> None:
        self._file.close()
        super().close()
