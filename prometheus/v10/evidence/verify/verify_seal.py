"""The seal of a run's directory: it covers every file and nothing else, and the files are what it says of them.

Every hash, size and mode agrees, and what is not there as it was sealed is explained (`evidence.chains.absences`).
Compressed files are unpacked on the way, in a thread, so this module loads nothing that only a look inside needs.
Standard library only, but for ``zstd`` where lines are compressed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from prometheus.v10.base.names import EVENT_STREAMS, SEAL_FILES, Artifact
from prometheus.v10.evidence.chains.absences import (
    EVENT_LINES,
    PACKED_SUFFIX,
    find_codec,
    is_raw_part,
    lines_may_go,
)
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.chains.scan import file_sha256
from prometheus.v10.evidence.records.findings import Progress, VerifyReport
from prometheus.v10.evidence.verify.unpacking import Unpacking
from prometheus.v10.evidence.writing.seal import Listed, is_plain_name, parse_filelist, parse_sums, walk

GONE = "sealed, and not there"
CHANGED = "its sha256 is not the sealed one: it was changed"
WRITE_BITS = (5, 8)
"""Where ``-rw-rw-rw-`` says that group and others may write."""
_UNHASHED = {seal.value for seal in SEAL_FILES} | {Artifact.MANIFEST.value}


class SealedFiles:
    """A run's files, held against their seal.

    Attributes:
        present: the regular files that are there.
        sums: what the seal covers, by name.
        digest: the sha256 of the seal itself; None of a run without one.
        explained: names of files that are not there as they were sealed, and whose absence is accounted for.
        unpacked: where compressed files lie once `check_unpacked` has returned.
        unhashed: the sealed sha256 of event files, which whoever parses them hashes and takes out of here.
        cut_off: the run carries ``interrupted.json``.
        lines_gone: retention deleted event lines.
    """

    def __init__(self, run_dir: Path, report: VerifyReport, progress: Progress | None, unpacking: Unpacking) -> None:
        self.dir = run_dir
        self.report = report
        self.progress = progress
        self.present: dict[str, os.stat_result] = {}
        self.sums: dict[str, str] = {}
        self.digest: str | None = None
        self.explained: set[str] = set()
        self.unpacked: dict[str, Path] = {}
        self.unhashed: dict[str, str] = {}
        self.lines_gone = False
        self.cut_off = False
        self._listed: dict[str, Listed] = {}
        self._unpacking = unpacking

    def check(self, ledger: LedgerView | None) -> None:
        """Hashes, coverage, sizes and modes; compressed files are being unpacked when this returns.

        Raises:
            OSError: when a file cannot be read.
        """
        self._look_around()
        self.cut_off = Artifact.INTERRUPTED in self.present
        data = self.read(Artifact.SHA256SUMS)
        if data is None:
            self.report.fail(self.dir, "not sealed: there is no SHA256SUMS.txt")
            return
        try:
            sums = parse_sums(data)
        except ValueError as error:
            self.report.fail(self.dir / Artifact.SHA256SUMS, str(error))
            return
        self.sums, self.digest = sums, hashlib.sha256(data).hexdigest()
        self._check_filelist(sums)
        for name in sums:
            if name + PACKED_SUFFIX in self.present:
                self._check_packed(name, sums[name], ledger)
        self._unpacking.begin()
        for name, digest in sums.items():
            self._check_file(name, digest, ledger)
        for name in sorted(self.present.keys() - sums.keys() - {Artifact.SHA256SUMS.value}):
            if name.removesuffix(PACKED_SUFFIX) not in sums:
                self.report.fail(self.dir / name, "not covered by the seal: it was added later")

    def check_unpacked(self) -> None:
        """Wait until everything is unpacked, and hold it against the seal."""
        for place, found in self._unpacking.end().items():
            if isinstance(found, ValueError):
                self.report.fail(place, str(found))
            elif found != self.sums[place.name.removesuffix(PACKED_SUFFIX)]:
                self.report.fail(place, "unpacked, its sha256 is not the sealed one: it was changed")

    def check_rest(self) -> None:
        """Event files that nothing parsed to their end."""
        for name, digest in self.unhashed.items():
            if file_sha256(self.dir / name, progress=self.progress) != digest:
                self.report.fail(self.dir / name, CHANGED)

    def sealed_sizes(self) -> list[int]:
        """Sizes of the files that were sealed beside the manifest, those included whose absence is explained."""
        absent = self.explained - self.present.keys()
        there = [one.st_size for name, one in self.present.items() if name not in _UNHASHED and not self._packs(name)]
        return there + [self._listed[name].size for name in absent if name in self._listed]

    def counted(self) -> tuple[int, int]:
        """How many files the seal covers, and the bytes of those that stayed when they were sealed."""
        kept = sum(one.size for name, one in self._listed.items() if name + PACKED_SUFFIX not in self._listed)
        own = self.present.get(Artifact.FILELIST)
        return len(self.sums), kept + (0 if own is None else own.st_size)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where it is not there."""
        return (self.dir / name).read_bytes() if name in self.present else None

    def _look_around(self) -> None:
        for name, status in walk(self.dir):
            if not stat.S_ISREG(status.st_mode):
                self.report.fail(self.dir / name, "not a regular file")
            elif not is_plain_name(name):
                self.report.fail(self.dir, f"the name {name!r} cannot be sealed")
            else:
                self.present[name] = status

    def _tell_mode(self, name: str, found: str, listed: str) -> None:
        """A copy changes modes, and the seal is about bytes; a file that others can write to now is another matter."""
        what = f"mode {found}, listed {listed}"
        if any(found[at] == "w" != listed[at] for at in WRITE_BITS):
            self.report.fail(self.dir / name, f"{what}: others than its owner can write to it")
        else:
            self.report.note(self.dir / name, f"{what}: its bytes are what is sealed")

    def _check_file(self, name: str, digest: str, ledger: LedgerView | None) -> None:
        packed = name + PACKED_SUFFIX in self.present
        if name in self.present and name in EVENT_STREAMS:
            self.unhashed[name] = digest
        elif name in self.present:
            if file_sha256(self.dir / name, progress=self.progress) != digest:
                self.report.fail(self.dir / name, CHANGED)
        elif ledger is not None and ledger.deleted.get(self._ledger_name(name)) == digest:
            self._check_deleted(name)
        elif not packed and not self._went_with(name, ledger):
            self.report.fail(self.dir / name, GONE)

    def _check_deleted(self, name: str) -> None:
        self.explained.add(name)
        self.report.note(self.dir / name, "deleted by retention, as its tombstone in the ledger says")
        if name in EVENT_LINES and lines_may_go(self.sums):
            self.lines_gone = True
        elif not is_raw_part(name):
            what = "raw samples may go, lines of a run with its series, and whole Tier-2 runs"
            self.report.fail(self.dir / name, f"no policy may delete this: {what}")

    def _went_with(self, name: str, ledger: LedgerView | None) -> bool:
        """Whether this is the compressed form of lines whose tombstone the ledger has: one stands for both forms."""
        plain = name.removesuffix(PACKED_SUFFIX)
        if ledger is None or plain == name or plain not in EVENT_LINES or plain not in self.sums:
            return False
        return ledger.deleted.get(self._ledger_name(plain)) == self.sums[plain]

    def _check_packed(self, name: str, digest: str, ledger: LedgerView | None) -> None:
        """What stands in for a compressed file: as seal or ledger names it, and the sealed bytes when unpacked."""
        place = self.dir / (name + PACKED_SUFFIX)
        self.explained.add(name)
        known = at_the_seal = place.name in self.sums
        if ledger is not None and not at_the_seal:
            found = file_sha256(place, progress=self.progress)
            entries = ledger.packed.get(self._ledger_name(name), [])
            known = any((entry.sha256, entry.packed_sha256) == (digest, found) for entry in entries)
            if not known:
                self.report.fail(place, "the ledger does not know this compression of it")
        codec = find_codec()
        if codec is None:
            where = "seal" if at_the_seal else "ledger"
            held = f"its own sha256 is the one in the {where}" if known else "no ledger vouches for it"
            self.report.error(place, f"could not look inside: nothing here reads zstd; {held}")
            return
        size = self._listed[name].size if name in self._listed else 0
        self.unpacked[name] = self._unpacking.ask(place, size, codec)

    def _ledger_name(self, name: str) -> str:
        return f"{self.dir.parent.name}/{self.dir.name}/{name}"

    def _check_filelist(self, sums: dict[str, str]) -> None:
        path = self.dir / Artifact.FILELIST
        data = self.read(Artifact.FILELIST)
        if data is None:
            self.report.fail(path, "missing")
            return
        try:
            listed = self._listed = parse_filelist(data)
        except ValueError as error:
            self.report.fail(path, str(error))
            return
        covered = sums.keys() - {Artifact.FILELIST.value}
        for name in sorted(covered ^ listed.keys()):
            self.report.fail(path, f"{name} is in only one of FILELIST and SHA256SUMS")
        for name in sorted(covered & listed.keys() & self.present.keys()):
            status = self.present[name]
            if listed[name].size != status.st_size:
                self.report.fail(self.dir / name, f"{status.st_size} bytes, listed with {listed[name].size}")
            if listed[name].mode != stat.filemode(status.st_mode):
                self._tell_mode(name, stat.filemode(status.st_mode), listed[name].mode)

    def _packs(self, name: str) -> bool:
        return name.endswith(PACKED_SUFFIX) and name.removesuffix(PACKED_SUFFIX) in self.explained
