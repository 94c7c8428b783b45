"""Compressing a file of event lines (contracts, sections 4 and 12): once, in a way that is checked before it counts.

One level and one thread, so that the same bytes give the same bytes. What was written is unpacked again and compared:
nothing replaces a file on the word of a compressor.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import zstandard

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.files import Files, write_all
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX, Codec, unpack
from prometheus.v10.evidence.chains.chain import BLOCK
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.evidence.writing.seal import Listed

LEVEL = 9
"""Beyond it, a percent fewer bytes cost twice the time (measured over the events of a run of HF)."""
SMALLEST = 4096
"""Bytes below which compressing frees no block."""
CODEC = Codec(zstandard.open, zstandard.ZstdError)
_NEVER = frozenset([Artifact.COLLAPSES.value])  # read at every start, and tiny


def may_be_packed(item: Listed) -> bool:
    """Whether a file of a run is one that compression is for: lines of events, and worth it."""
    return item.name.endswith(".jsonl") and item.name not in _NEVER and item.size >= SMALLEST


def pack_beside(run_dir: Path, item: Listed, files: Files) -> str | None:
    """Write ``NAME.zst`` beside a file that is about to be sealed, whole and durable; the file itself stays.

    Args:
        run_dir: the run.
        item: the file, as it was listed.
        files: the file layer.

    Returns:
        The sha256 of the file; None where it is not one to be compressed.

    Raises:
        EvidenceError: when the file changes while it is read.
        HostError: when the disk refuses.
    """
    if not may_be_packed(item):
        return None
    place = run_dir / item.name
    packed = place.with_name(place.name + PACKED_SUFFIX)
    try:
        digest = pack(place, packed, size=item.size, mode=item.mode_bits, files=files)
        if digest is None or unpack(packed, item.size, lambda _: None, CODEC) != digest:
            raise EvidenceError(f"{place} changed while it was sealed", hint="another process writes into this run")
    except OSError as error:
        raise host_error(error, f"cannot compress {place}") from error
    return digest


def pack(place: Path, target: Path, *, size: int, mode: int, files: Files) -> str | None:
    """Write the compressed form of a file, synced.

    Args:
        place: the file.
        target: where its compressed form goes; what stands there is replaced.
        size: how many bytes the file must have.
        mode: of the compressed file.
        files: the file layer.

    Returns:
        The sha256 of what was read; None where the file has another size.

    Raises:
        OSError: when the disk refuses.
    """
    seen = hashlib.sha256()
    packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj(size=size)
    source = open_for_reading(place)
    try:
        if target.exists():  # an attempt before this one was cut off
            files.unlink(target)
        fd = files.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            while block := os.read(source, BLOCK):
                seen.update(block)
                write_all(files, fd, packer.compress(block))
            write_all(files, fd, packer.flush())
            files.fchmod(fd, mode)
            files.fsync(fd)
        finally:
            files.close(fd)
    except zstandard.ZstdError:  # more or fewer bytes than were told
        return None
    finally:
        os.close(source)
    return seen.hexdigest()
