"""A run's directory while it is being written (contracts, sections 2 and 4).

1. Created once, never reopened: a run id that is taken is refused.
2. Every event file exists from the start; with no event it stays empty.
3. One experiment is one batch: its lines are appended whole and are on the disk before `commit` returns.
4. Artifacts appear whole or not at all, and are never written twice; only the manifest, and the fingerprint of a run at
   an exchange, are rewritten, atomically.
5. `seal` closes everything, refuses a completed run that lacks a file it owes, and enters the seal into the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from prometheus.v10.base.errors import EvidenceError, UsageError, host_error
from prometheus.v10.base.files import FILES, AppendFile, Files, write_atomic, write_new
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import EVENT_STREAMS, SEAL_FILES, Artifact, LedgerEntryType, required
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.exchanged.trading_halts import halt_of_run
from prometheus.v10.evidence.chains.ledger import Ledger
from prometheus.v10.evidence.records.codec import json_pieces, to_json_bytes
from prometheus.v10.evidence.records.manifest_parts import EvidenceSize
from prometheus.v10.evidence.writing.manifest import RunManifest, read_manifest
from prometheus.v10.evidence.writing.packing import pack_beside
from prometheus.v10.evidence.writing.seal import Seal, list_files, seal_run


class RunDirectory:
    """The open directory of one run; made by `create`.

    Attributes:
        path: the directory; its name is the run id.
        tier: decides what the run owes.
        lines: lines appended so far, by file name.
    """

    def __init__(self, layout: Layout, tier: Tier, run_id: str, files: Files) -> None:
        self.path = layout.runs(tier) / run_id
        self.tier, self.run_id = tier, run_id
        self.lines: dict[str, int] = {}
        self._layout, self._files = layout, files
        self._streams: dict[str, AppendFile] = {}
        self._unsynced: set[str] = set()
        self._closed = False

    @classmethod
    def create(cls, layout: Layout, tier: Tier, run_id: str, *, files: Files = FILES) -> RunDirectory:
        """Make the directory and its empty event files, durable on return.

        Raises:
            EvidenceError: when the run id is taken: a run is never reopened.
            HostError: when the disk refuses.
        """
        run = cls(layout, tier, run_id, files)
        try:
            files.mkdir(run.path)
            files.fsync_dir(run.path.parent)
        except FileExistsError:
            raise EvidenceError(
                f"{run.path} exists already", hint="a run is never reopened: start again, with a new run id"
            ) from None
        except OSError as error:
            raise host_error(error, f"cannot create {run.path}") from error
        for stream in EVENT_STREAMS:
            run._open(stream.file_name())
        return run

    def write_manifest(self, manifest: RunManifest) -> None:
        """Write or rewrite ``run_manifest.json``: a reader sees the old one or the new one.

        Raises:
            EvidenceError: when it is another run's, or breaks a rule of writing.
            HostError: when the disk refuses.
        """
        self._refuse_if_closed()
        if manifest.run_id != self.run_id:
            raise EvidenceError(f"the manifest of {manifest.run_id} does not belong into {self.path}")
        write_atomic(self.path / Artifact.MANIFEST.file_name(), to_json_bytes(manifest), files=self._files)

    def write_artifact(self, artifact: Artifact, record: attrs.AttrsInstance, *, part: int | None = None) -> Path:
        """Write one artifact, whole and durable, under its name; returns where.

        Raises:
            EvidenceError: when it is there already, or the record breaks a rule of writing.
            HostError: when the disk refuses.
        """
        return self._write_new(artifact, json_pieces(record), part)

    def write_fingerprint(self, record: attrs.AttrsInstance) -> None:
        """Write ``execution_fingerprint.json``; a run at an exchange keeps it current, so it may be rewritten.

        Raises:
            EvidenceError: when the record breaks a rule of writing.
            HostError: when the disk refuses.
        """
        self._refuse_if_closed()
        write_atomic(self.path / Artifact.FINGERPRINT.file_name(), to_json_bytes(record), files=self._files)

    def write_bytes(self, artifact: Artifact, data: bytes, *, part: int | None = None) -> Path:
        """As `write_artifact`, for an artifact whose bytes are made elsewhere (``genomes_run_<id>.npy``).

        Raises:
            EvidenceError: when it is there already.
            HostError: when the disk refuses.
        """
        return self._write_new(artifact, [data], part)

    def _write_new(self, artifact: Artifact, data: Iterable[bytes], part: int | None) -> Path:
        self._refuse_if_closed()
        path = self.path / artifact.file_name(run_id=self.run_id, part=part)
        try:
            write_new(path, data, files=self._files)
        except FileExistsError:
            raise EvidenceError(f"{path} exists already", hint="an artifact is written once") from None
        return path

    def append(self, stream: Artifact, lines: bytes, *, part: int | None = None) -> int:
        """Append whole lines to an event file or to a part of a sharded one; durable after the next `commit`.

        Returns:
            How many lines were appended.

        Raises:
            EvidenceError: for bytes that do not end in a newline, or a file that another process changed.
            HostError: when the disk refuses; the file is then as before.
        """
        self._refuse_if_closed()
        name = stream.file_name(run_id=self.run_id, part=part)
        if lines and not lines.endswith(b"\n"):
            raise EvidenceError(f"{name}: lines end in a newline")
        file = self._streams.get(name) or self._open(name)
        if lines:
            file.append(lines)
            self._unsynced.add(name)
        count = lines.count(b"\n")
        self.lines[name] += count
        return count

    def commit(self) -> None:
        """Put everything appended so far on the disk: called once an experiment.

        Raises:
            HostError: when the disk refuses.
        """
        for name in sorted(self._unsynced):
            self._streams[name].sync()
        self._unsynced.clear()

    def size(self) -> EvidenceSize:
        """Files and bytes in the directory now, manifest and seal left out."""
        left_out = {Artifact.MANIFEST.file_name(), *(seal.file_name() for seal in SEAL_FILES)}
        found = [listed for listed in list_files(self.path) if listed.name not in left_out]
        return EvidenceSize(files=len(found), bytes=sum(listed.size for listed in found))

    def close(self) -> None:
        """Commit and close the event files; nothing is appended after that. Closing twice is harmless."""
        if not self._closed:
            try:
                self.commit()
            finally:
                self._closed = True
                for file in self._streams.values():
                    file.close()

    def seal(
        self, ledger: Ledger, *, complete: bool = True, compress: bool = False,
        on_file: Callable[[str], None] | None = None, **more: Any,
    ) -> Seal:  # fmt: skip
        """Close and seal the run, and enter the seal into the ledger; durable on return.

        Args:
            ledger: the installation's.
            complete: whether the run owes every file of its tier; False for a run that failed.
            compress: whether event files stay only in their compressed form.
            on_file: called with each name before it is hashed.
            more: further plain values for the ledger's payload (``status``).

        Raises:
            EvidenceError: when a file is missing that the run owes, or the manifest still says ``running``.
            HostError: when the disk refuses.
        """
        self.close()
        owed = [artifact.file_name(run_id=self.run_id) for artifact in required(self.tier)]
        if complete and (missing := [name for name in owed if not (self.path / name).is_file()]):
            raise EvidenceError(f"{self.path} lacks {', '.join(missing)}", hint="write it, or seal the run as failed")
        self._refuse_running()
        seal = seal_run(self.path, files=self._files, on_file=on_file, pack=pack_beside if compress else None)
        where = str(self.path.relative_to(self._layout.lib))
        said = {**more, **halt_of_run(self.path)}
        ledger.append(LedgerEntryType.RUN_SEALED, seal.ledger_payload(run_dir=where, tier=self.tier.value, **said))
        return seal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.close()

    def _open(self, name: str) -> AppendFile:
        self._streams[name] = AppendFile(self.path / name, files=self._files)
        self.lines[name] = 0
        return self._streams[name]

    def _refuse_running(self) -> None:
        """A sealed manifest is final."""
        if read_manifest(self.path).status == "running":
            path = self.path / Artifact.MANIFEST.file_name()
            raise EvidenceError(f"{path} still says running", hint="rewrite the manifest with its final status first")

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise UsageError(f"{self.path} is closed")
