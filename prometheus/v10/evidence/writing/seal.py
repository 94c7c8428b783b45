"""The seal of a run (contracts, section 4): a listing, the hashes of every file, and nothing written after.

1. ``FILELIST.ls.txt``: mode, size and name of every file but the two seal files, sorted by name.
2. ``SHA256SUMS.txt``: the sha256 of every file, FILELIST included, itself not; plain ``sha256sum -c`` passes. An event
   file that is compressed at the seal stands there twice, as ``NAME`` and as ``NAME.zst``, and only ``NAME.zst`` stays:
   ``sha256sum -c --ignore-missing`` passes at once, ``sha256sum -c`` after ``zstd -d *.zst``.
3. The manifest is final before the seal: it names the files and bytes it knew, but the seal's own hash cannot stand in
   a file that it covers; it goes to the ledger of seals, and that is where `verify` and `audit` look for it.
4. Everything is on the disk before the seal appears, and the seal is on the disk before this returns.

Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.files import FILES, Files, aside_name, write_atomic, write_new
from prometheus.v10.base.names import SEAL_FILES, Artifact
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX, open_evidence
from prometheus.v10.evidence.chains.scan import file_sha256

_BLOCK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+=@,-]*")
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_LISTED = re.compile(r"(-[rwxsStT-]{9}) +(\d+) (.+)")


@dataclass(frozen=True)
class Seal:
    """A sealed run: what the ledger keeps.

    Attributes:
        sha256: of ``SHA256SUMS.txt``, which covers everything else.
        files: how many names ``SHA256SUMS.txt`` covers (FILELIST included).
        bytes: sizes of those that stay on the disk, summed.
    """

    run_id: str
    sha256: str
    files: int
    bytes: int

    def ledger_payload(self, *, run_dir: str, **more: Any) -> dict[str, Any]:
        """What the ledger keeps (`LedgerEntryType.RUN_SEALED`); ``run_dir`` is relative to the installation's lib."""
        return {
            "run_id": self.run_id,
            "run_dir": run_dir,
            "seal": self.sha256,
            "files": self.files,
            "bytes": self.bytes,
            **more,
        }


@dataclass(frozen=True)
class Listed:
    """A file of a run directory: name relative to it, size, and mode as ``ls`` writes it."""

    name: str
    size: int
    mode: str

    @property
    def mode_bits(self) -> int:
        """``-rw-r-----`` as its number."""
        return sum(1 << (8 - place) for place, letter in enumerate(self.mode[1:]) if letter not in "-ST") & 0o777


Pack = Callable[[Path, Listed, Files], str | None]
"""Writes ``NAME.zst`` beside a file; returns the file's sha256, or None for one that is not to be compressed."""


def seal_run(
    run_dir: Path, *, files: Files = FILES, on_file: Callable[[str], None] | None = None, pack: Pack | None = None
) -> Seal:
    """Seal a run directory whose every file, the manifest too, is final.

    A file that ``pack`` compressed goes before the seal appears: a sealed run is never changed. Cut off in between, the
    run has no seal, and `undo_packing` gives it its files back.

    Args:
        run_dir: the directory; its name is the run id.
        files: the file layer.
        on_file: called with each name before it is hashed, so that a long seal can show that it moves.
        pack: compresses files of events (`prometheus.v10.evidence.writing.packing`).

    Raises:
        EvidenceError: when it is sealed already, or holds a link, a device, or a name that tools could misread.
        HostError: when a call to the kernel fails; without ``SHA256SUMS.txt`` the run is not sealed.
    """
    if (run_dir / Artifact.SHA256SUMS).exists():
        raise EvidenceError(f"{run_dir} is sealed already", hint="a sealed run is never changed; verify it")
    # A process that was killed while it sealed may have had our process id, as the first of every container has: what
    # it left aside under our names goes when we write there.
    passing = {aside_name(run_dir / name).name for name in SEAL_FILES} | {Artifact.FILELIST.value}
    digests = {} if pack is None else _packed(run_dir, pack, files, on_file)
    covered = [listed for listed in list_files(run_dir) if listed.name not in passing]
    text = "".join(f"{item.mode} {item.size:>12} {item.name}\n" for item in covered)
    write_atomic(run_dir / Artifact.FILELIST, text.encode("ascii"), files=files)
    names = sorted([item.name for item in covered] + [Artifact.FILELIST.value])
    sums = []
    for name in names:
        if name not in digests:
            if on_file is not None:
                on_file(name)
            _sync(run_dir / name, files)
        sums.append(f"{digests.get(name) or file_sha256(run_dir / name)}  {name}\n")
    _sync_directories(run_dir, names, files)
    data = "".join(sums).encode("ascii")
    _drop([run_dir / name for name in digests], files)
    write_atomic(run_dir / Artifact.SHA256SUMS, data, files=files)
    size = sum(item.size for item in covered if item.name not in digests) + len(text)
    return Seal(run_dir.name, hashlib.sha256(data).hexdigest(), len(names), size)


def _packed(run_dir: Path, pack: Pack, files: Files, on_file: Callable[[str], None] | None) -> dict[str, str]:
    """Compress what is to be compressed; the sha256 of each such file, by its name."""
    digests = {}
    for item in list_files(run_dir):
        if on_file is not None:
            on_file(item.name)
        if (digest := pack(run_dir, item, files)) is not None:
            digests[item.name] = digest
    return digests


def undo_packing(run_dir: Path, *, files: Files = FILES) -> None:
    """Give a run whose seal was cut off its event files back as they were, and remove their compressed forms.

    Raises:
        EvidenceError: as `list_files`, or when a compressed form cannot be unpacked.
        HostError: when the disk refuses.
    """
    there = {item.name: item for item in list_files(run_dir)}
    packed = [item for name, item in sorted(there.items()) if name.endswith(PACKED_SUFFIX)]
    for item in packed:
        plain = run_dir / item.name.removesuffix(PACKED_SUFFIX)
        if plain.name not in there:
            with open_evidence(plain) as source:
                write_new(plain, iter(partial(source.read, _BLOCK), b""), mode=item.mode_bits, files=files)
    _drop([run_dir / item.name for item in packed], files)


def _drop(places: Iterable[Path], files: Files) -> None:
    try:
        gone = [place for place in places if place.exists()]
        for place in gone:
            files.unlink(place)
        for folder in sorted({place.parent for place in gone}):
            files.fsync_dir(folder)
    except OSError as error:
        raise host_error(error, "cannot remove what a compressed file replaces") from error


def read_seal(run_dir: Path) -> Seal | None:
    """The seal that a run directory carries, for a ledger that missed it; None when it has none.

    Raises:
        EvidenceError: when ``SHA256SUMS.txt`` cannot be read as such.
        HostError: when a file cannot be read.
    """
    data = _seal_bytes(run_dir)
    if data is None:
        return None
    sums = _sums(run_dir, data)
    present = {listed.name: listed.size for listed in list_files(run_dir)}
    size = sum(present.get(name, 0) for name in sums)
    return Seal(run_dir.name, hashlib.sha256(data).hexdigest(), len(sums), size)


def _seal_bytes(run_dir: Path) -> bytes | None:
    try:
        return (run_dir / Artifact.SHA256SUMS).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise host_error(error, f"cannot read {run_dir / Artifact.SHA256SUMS}") from error


def _sums(run_dir: Path, data: bytes) -> dict[str, str]:
    try:
        return parse_sums(data)
    except ValueError as error:
        raise EvidenceError(f"{run_dir / Artifact.SHA256SUMS}: {error}", hint="verify the run") from error


def list_files(run_dir: Path) -> list[Listed]:
    """Every file of a run directory but ``SHA256SUMS.txt``, sorted by name; sub-directories are walked.

    Raises:
        EvidenceError: for a link, a device, or a name that a tool could misread.
        HostError: when a directory cannot be read.
    """
    found = []
    for name, status in walk(run_dir):
        if not stat.S_ISREG(status.st_mode):
            raise EvidenceError(
                f"{run_dir / name} is not a regular file", hint="a run holds plain files only; move it away"
            )
        if not is_plain_name(name):
            raise EvidenceError(
                f"{run_dir}: the name {name!r} cannot be sealed", hint="letters, digits and _.+=@,- only"
            )
        if name != Artifact.SHA256SUMS:
            found.append(Listed(name, status.st_size, stat.filemode(status.st_mode)))
    return found


def walk(run_dir: Path) -> list[tuple[str, os.stat_result]]:
    """Everything below a run directory that is not a directory, sorted by relative name; links are not followed.

    Raises:
        HostError: when a directory cannot be read.
    """
    try:
        return sorted(_walk(run_dir, ""))
    except OSError as error:
        raise host_error(error, f"cannot list {run_dir}") from error


def is_plain_name(name: str) -> bool:
    """Whether a relative name is one that ``sha256sum``, shells and tar all read alike."""
    return all(_NAME.fullmatch(part) and part not in {".", ".."} for part in name.split("/"))


def parse_sums(data: bytes) -> dict[str, str]:
    """The lines of ``SHA256SUMS.txt``: name to sha256.

    Raises:
        ValueError: for a line of another form, a name twice, or a name that leads elsewhere.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(_text_lines(data), 1):
        match = _SUM.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is not '<sha256>  <name>'")
        digest, name = match.groups()
        if not is_plain_name(name) or name in sums:
            raise ValueError(f"line {number}: the name {name!r} is given twice or cannot be meant")
        sums[name] = digest
    return sums


def parse_filelist(data: bytes) -> dict[str, Listed]:
    """The lines of ``FILELIST.ls.txt`` by name.

    Raises:
        ValueError: for a line of another form, or a name twice.
    """
    listed: dict[str, Listed] = {}
    for number, line in enumerate(_text_lines(data), 1):
        match = _LISTED.fullmatch(line)
        if match is None or match[3] in listed:
            raise ValueError(f"line {number} is not '<mode> <size> <name>', or its name is given twice")
        listed[match[3]] = Listed(match[3], int(match[2]), match[1])
    return listed


def _text_lines(data: bytes) -> list[str]:
    if data and not data.endswith(b"\n"):
        raise ValueError("no newline at the end")
    try:
        return data.decode("ascii").split("\n")[:-1]
    except UnicodeDecodeError:
        raise ValueError("not ASCII") from None


def _walk(top: Path, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(top / prefix if prefix else top) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield from _walk(top, f"{name}/")
            else:
                yield name, status


def _sync(path: Path, files: Files) -> None:
    try:
        fd = files.open(path, os.O_RDONLY)
        try:
            files.fsync(fd)
        finally:
            files.close(fd)
    except OSError as error:
        raise host_error(error, f"cannot sync {path}") from error


def _sync_directories(run_dir: Path, names: list[str], files: Files) -> None:
    try:
        for folder in sorted({(run_dir / name).parent for name in names} | {run_dir, run_dir.parent}):
            files.fsync_dir(folder)
    except OSError as error:
        raise host_error(error, f"cannot sync {run_dir}") from error
