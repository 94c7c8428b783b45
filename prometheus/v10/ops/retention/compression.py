"""Compression of long-closed files of sealed runs, and the way back to the identical bytes (contracts, section 12).

1. Only files of lines that nobody opens at a start are compressed; the seal stays as it is, and `verify` looks inside.
2. The stand-in is made beside the runs, where no verifier looks, unpacked again and compared with the seal.
3. Its sha256 is entered into the ledger, then it gets its name, then the original goes. Cut off in between, a run has
   the original, or both; the next pass goes on where this one ended.
4. The way back needs no entry: the original's sha256 is the seal's. ``sha256sum -c`` passes again afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import EvidenceError, UsageError, host_error
from prometheus.v10.base.files import Files, discard, write_all
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX, unpack
from prometheus.v10.evidence.chains.ledger import Ledger
from prometheus.v10.evidence.chains.scan import file_sha256
from prometheus.v10.evidence.writing.packing import CODEC, LEVEL, pack
from prometheus.v10.evidence.writing.seal import Listed
from prometheus.v10.ops.retention.history import History, SealedFiles, SealedRun, read_history, read_sealed


@frozen
class Packed:
    """A file that was compressed: its name, and its size before and after."""

    name: str
    bytes: int
    packed_bytes: int


def pack_file(
    layout: Layout, run: SealedRun, sealed: SealedFiles, name: str, *,
    policy: str, history: History, ledger: Ledger, files: Files,
) -> Packed:  # fmt: skip
    """Compress one file of a sealed run; where an earlier pass was cut off, go on.

    Raises:
        EvidenceError: when the file is not as it was sealed: damage is not packed away.
        HostError: when the disk refuses; the original is there then.
    """
    place = layout.lib / run.path / name
    digest, size = sealed.sums[name], sealed.listed[name].size
    aside = _aside(layout, run, name + PACKED_SUFFIX)
    try:
        _pack_aside(place, aside, sealed.listed[name], digest, files)
        payload: dict[str, Any] = {
            "kind": "file",
            "run_id": run.run_id,
            "path": f"{run.path}/{name}",
            "sha256": digest,
            "bytes": size,
            "packed_path": f"{run.path}/{name}{PACKED_SUFFIX}",
            "packed_sha256": file_sha256(aside),
            "packed_bytes": aside.stat().st_size,
            "codec": f"zstd level {LEVEL}",
            "policy": policy,
        }
        known = {entry.packed_sha256 for entry in history.packed.get(payload["path"], []) if entry.sha256 == digest}
        if payload["packed_sha256"] not in known:
            ledger.append(LedgerEntryType.COMPRESSION, payload)
        files.rename(aside, place.with_name(name + PACKED_SUFFIX))
        files.fsync_dir(place.parent)
        files.unlink(place)
        files.fsync_dir(place.parent)
    except OSError as error:
        discard(aside, files=files)
        raise host_error(error, f"cannot compress {place}") from error
    except Exception:
        discard(aside, files=files)
        raise
    return Packed(name, size, int(payload["packed_bytes"]))


def restore_run(layout: Layout, run_id: str, *, files: Files) -> list[Packed]:
    """Unpack every compressed file of a run into its identical bytes, and remove what stood in for it.

    Raises:
        UsageError: when the ledger knows no such run.
        EvidenceError: when a stand-in does not hold the sealed bytes; it stays then.
        HostError: when the disk refuses.
    """
    run = read_history(layout).runs.get(run_id)
    if run is None:
        raise UsageError(f"the ledger knows no run {run_id}", hint="prometheus-quant ledger show")
    sealed = read_sealed(layout, run)
    folder = layout.lib / run.path
    names = [name for name in sorted(sealed.sums) if (folder / (name + PACKED_SUFFIX)).exists()]
    return [_restore(layout, run, sealed, name, files) for name in names if name + PACKED_SUFFIX not in sealed.sums]


def leftovers(run_root: Path) -> list[Path]:
    """Stand-ins that a pass was making when it was cut off; none is of use to a later one."""
    return sorted(run_root.glob(f".*{_ASIDE}")) if run_root.is_dir() else []


_ASIDE = ".retention"


def _aside(layout: Layout, run: SealedRun, name: str) -> Path:
    """Beside the runs: nothing in a sealed directory is ever half there."""
    root = (layout.lib / run.path).parent
    return root / f".{run.run_id}.{name.replace('/', '+')}.{os.getpid()}{_ASIDE}"


def _pack_aside(place: Path, aside: Path, item: Listed, digest: str, files: Files) -> None:
    """Compress to ``aside``, and look into it again."""
    if pack(place, aside, size=item.size, mode=item.mode_bits, files=files) != digest:
        raise _changed(place)
    if _unpack(aside, item.size, lambda _: None) != digest:
        raise EvidenceError(f"{place}: what was compressed does not unpack to it", hint="check memory and disk")


def _restore(layout: Layout, run: SealedRun, sealed: SealedFiles, name: str, files: Files) -> Packed:
    place = layout.lib / run.path / name
    packed = place.with_name(name + PACKED_SUFFIX)
    size, aside = packed.stat().st_size, _aside(layout, run, name)
    item = sealed.listed[name]
    try:
        if place.exists():
            _refuse_changed(place, sealed.sums[name])
        else:
            _unpack_to(aside, packed, item, sealed.sums[name], files)
            files.rename(aside, place)
            files.fsync_dir(place.parent)
        files.unlink(packed)
        files.fsync_dir(place.parent)
    except OSError as error:
        discard(aside, files=files)
        raise host_error(error, f"cannot restore {place}") from error
    except Exception:
        discard(aside, files=files)
        raise
    return Packed(name, item.size, size)


def _unpack_to(aside: Path, packed: Path, item: Listed, digest: str, files: Files) -> None:
    target = files.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        found = _unpack(packed, item.size, lambda block: write_all(files, target, block))
        if found != digest:
            raise _changed(packed)
        files.fchmod(target, item.mode_bits)
        files.fsync(target)
    finally:
        files.close(target)


def _unpack(packed: Path, size: int, take: Any) -> str:
    try:
        return unpack(packed, size, take, CODEC)
    except ValueError as error:
        raise EvidenceError(f"{packed}: {error}", hint="verify the run") from error


def _refuse_changed(place: Path, digest: str) -> None:
    if file_sha256(place) != digest:
        raise _changed(place)


def _changed(place: Path) -> EvidenceError:
    return EvidenceError(f"{place} is not as it was sealed", hint="verify the run; damaged evidence is left as it is")
