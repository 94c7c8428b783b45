"""Files that a sealed run holds no more as they were sealed, and what explains it (contracts, section 12).

A seal never changes, so what retention does to a sealed run stands in the ledger, before it is done:

1. **Deleted**: a tombstone names the path and the sealed sha256. Of a Tier-1 run a policy may delete the parts of the
   raw samples, and the lines of births, deaths and survivors where the run's sealed series says what they came to; no
   other file. A tombstone of lines stands for both their forms. A Tier-2 run goes as a whole, for an operator's reason.
2. **Compressed**: ``NAME.zst`` stands in for ``NAME``. The seal names the sha256 of both where the run was sealed so;
   otherwise an entry of the ledger does. Unpacked it must give the sealed bytes; where nothing here can unpack it, its
   own sha256 is checked, and the verdict is "could not check".

Standard library only: zstd is asked for by name where it happens to be installed, as a module or as the command.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.reading import open_regular, read_if_there
from prometheus.v10.evidence.chains.chain import BLOCK

PACKED_SUFFIX = ".zst"
_ZSTD_MODULES = ("compression.zstd", "zstandard")  # Python's own from 3.14 on, and the package
_ZSTD_COMMANDS = ("/usr/bin/zstd", "/bin/zstd")  # Debian's; never what a PATH leads to
_RAW_PART = re.compile(re.escape(str(Artifact.EXECUTION_RAW)).replace(re.escape("{part:04d}"), r"\d{4,}"))


@dataclass(frozen=True)
class Packing:
    """A compression that the ledger knows.

    Attributes:
        path: of the sealed file, relative to the installation's lib.
        sha256: of the sealed file, as ``bytes`` is its size.
        packed_sha256: of what stands in for it, as ``packed_bytes`` is its size.
    """

    path: str
    sha256: str
    bytes: int
    packed_sha256: str
    packed_bytes: int


class Codec(NamedTuple):
    """What can read zstd here: ``open(path, "rb")``, and the exception that it raises for what is none."""

    open: Callable[..., BinaryIO]
    error: type[Exception]


def is_raw_part(name: str) -> bool:
    """Whether a file of a run is a part of its raw samples: the only thing that a policy may delete of a Tier-1 run."""
    return _RAW_PART.fullmatch(name) is not None


EVENT_LINES = (Artifact.DEATHS.value, Artifact.BIRTHS.value, Artifact.SURVIVORS.value)
"""Files of lines that a policy may delete of a Tier-1 run that has its series."""


def lines_may_go(sealed: Container[str]) -> bool:
    """Whether a run's seal covers what stands for its event lines (`Artifact.POPULATION_SERIES`)."""
    return Artifact.POPULATION_SERIES.value in sealed


def packing_of(payload: Mapping[str, Any]) -> Packing | None:
    """A `LedgerEntryType.COMPRESSION` payload as a packing; None when it is none."""
    texts = [payload.get(key) for key in ("path", "sha256", "packed_sha256")]
    sizes = [payload.get(key) for key in ("bytes", "packed_bytes")]
    if not all(isinstance(text, str) for text in texts) or not all(type(size) is int for size in sizes):
        return None
    path, sha256, packed_sha256 = map(str, texts)
    return Packing(path, sha256, int(str(sizes[0])), packed_sha256, int(str(sizes[1])))


def find_codec() -> Codec | None:
    """What can read zstd here, if anything."""
    for name in _ZSTD_MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return Codec(module.open, module.ZstdError)
    command = next((name for name in _ZSTD_COMMANDS if os.access(name, os.X_OK)), None)
    return None if command is None else Codec(partial(_Unpacking, command), ValueError)


class _Unpacking(io.RawIOBase, BinaryIO):
    """What ``zstd -dc`` says to a file; it is at its end only when the command says that all was well."""

    def __init__(self, command: str, path: Path, mode: str) -> None:
        import subprocess  # noqa: PLC0415  (a module reads zstd where there is one)

        super().__init__()
        with path.open(mode) as source:
            self._child = subprocess.Popen(
                [command, "-dcq"], stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
            )

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        source = self._child.stdout
        block = source.read(len(buffer)) if source is not None else b""
        buffer[: len(block)] = block
        if not block and len(buffer) and (code := self._child.wait()) != 0:
            raise ValueError(f"zstd ended with {code}")
        return len(block)

    def close(self) -> None:
        if not self.closed:
            if self._child.stdout is not None:
                self._child.stdout.close()
            self._child.kill()
            self._child.wait()
        super().close()


def unpack(packed: Path, size: int, take: Callable[[bytes], object], codec: Codec) -> str:
    """Hand the unpacked bytes to ``take``, block by block in flat memory; returns their sha256.

    Args:
        packed: a ``.zst``.
        size: how many bytes there must be: a few bytes of zstd can stand for any number of them.
        take: hears each block.
        codec: see `find_codec`.

    Raises:
        ValueError: when it is no zstd, or holds another number of bytes.
        HostError: when it cannot be read.
    """
    digest, seen = hashlib.sha256(), 0
    for block in _blocks(packed, codec):
        seen += len(block)
        if seen > size:
            raise ValueError(f"it holds more than the {size} bytes that were sealed")
        digest.update(block)
        take(block)
    if seen != size:
        raise ValueError(f"it holds {seen} bytes, {size} were sealed")
    return digest.hexdigest()


def _blocks(packed: Path, codec: Codec) -> Iterator[bytes]:
    try:
        source = codec.open(packed, "rb")
    except OSError as error:
        raise host_error(error, f"cannot read {packed}") from error
    with source:
        while True:
            try:
                block = source.read(BLOCK)
            except OSError as error:
                raise host_error(error, f"cannot read {packed}") from error
            except (codec.error, EOFError) as error:
                raise ValueError(f"it cannot be unpacked: {error}") from error
            if not block:
                return
            yield block


def open_evidence(path: Path) -> BinaryIO:
    """Open a file of a run for reading, or what stands in for it when retention compressed it.

    Raises:
        EvidenceError: when only the compressed form is there, and nothing here can read it.
        HostError: when neither can be opened.
    """
    packed = path.with_name(path.name + PACKED_SUFFIX)
    try:
        if path.exists() or not packed.exists():
            return path.open("rb")
        codec = find_codec()
        if codec is None:
            raise EvidenceError(
                f"{path} is compressed, and nothing here reads zstd",
                hint="install zstandard, or `prometheus-quant retention restore RUN_ID`",
            )
        return codec.open(packed, "rb")
    except OSError as error:
        raise host_error(error, f"cannot read {path}") from error


def read_evidence(path: Path, *, at_most: int) -> bytes | None:
    """A file of a run as a whole, or what its compressed form holds; None where neither is there.

    Args:
        path: the file's own name.
        at_most: bytes that are read.

    Raises:
        EvidenceError: when it holds more, is no regular file, or is compressed and nothing here can read it.
        HostError: when it cannot be read.
    """
    packed = path.with_name(path.name + PACKED_SUFFIX)
    if (plain := read_if_there(path, at_most=at_most)) is not None or not packed.exists():
        return plain
    os.close(open_regular(packed))  # refuses what is no regular file
    pieces: list[bytes] = []
    codec = find_codec()
    if codec is None:
        raise EvidenceError(f"{path} is compressed, and nothing here reads zstd", hint="install zstandard")
    try:
        for block in _blocks(packed, codec):
            pieces.append(block)
            if (at_most := at_most - len(block)) < 0:
                raise EvidenceError(f"{packed} holds too many bytes", hint="no file of this kind is that large")
    except ValueError as error:
        raise EvidenceError(f"{packed}: {error}", hint="verify the run") from error
    return b"".join(pieces)
