"""Verification of a run's directory (contracts, sections 2 and 4): that it is whole, unchanged, and agrees with itself.

In this order: the seal covers every file and nothing else; every hash, size and mode agrees, and what is not there as
it was sealed is explained (`evidence.chains.absences`); the manifest says what it must; the files that the tier
owes are there; event files and summary agree with each other and with the manifest; the ledger knows the seal. A run
that was cut off carries ``interrupted.json``, which must name exactly what is missing.

Standard library only: a stranger runs this with nothing installed, but for ``zstd`` where lines are compressed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import EVENT_STREAMS, SEAL_FILES, Artifact, Schema, required
from prometheus.v10.evidence.chains.absences import (
    EVENT_LINES,
    PACKED_SUFFIX,
    find_codec,
    is_raw_part,
    lines_may_go,
)
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.chains.own_ledger import ledger_of
from prometheus.v10.evidence.chains.scan import file_sha256
from prometheus.v10.evidence.derive.eras.founded import ERA, era_number
from prometheus.v10.evidence.derive.exchanged.exchange_modes import OWED, is_exchange
from prometheus.v10.evidence.derive.orders import Orders
from prometheus.v10.evidence.derive.rows import FILES
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.findings import Progress, VerifyReport
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.records.series.moments import SERIES
from prometheus.v10.evidence.records.verify_manifest import check_manifest
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.evidence.verify.unpacking import RunFiles, Unpacking
from prometheus.v10.evidence.verify.verify_derived import (
    Documents,
    as_written,
    derive,
    derive_without_lines,
    excused_files,
    is_stage2,
    setting_in,
)
from prometheus.v10.evidence.verify.verify_events import STREAMS, Stream, check_summary, read_stream
from prometheus.v10.evidence.verify.verify_parts import check_parts
from prometheus.v10.evidence.writing.seal import Listed, is_plain_name, parse_filelist, parse_sums, walk

GONE = "sealed, and not there"
CHANGED = "its sha256 is not the sealed one: it was changed"
MOST_WRONG = 20
"""Sentences about the fields of one artifact."""
WRITE_BITS = (5, 8)
"""Where ``-rw-rw-rw-`` says that group and others may write."""
_UNHASHED = {seal.value for seal in SEAL_FILES} | {Artifact.MANIFEST.value}


def verify_run(
    run_dir: Path, *, progress: Progress | None = None, ledger: LedgerView | None = None, look_for_ledger: bool = True
) -> VerifyReport:
    """Verify one run's directory.

    Args:
        run_dir: its name is the run id.
        progress: called with numbers of bytes hashed.
        ledger: what the ledger says, when the caller read it already.
        look_for_ledger: read ``../../state/ledger.jsonl`` when there is one and ``ledger`` was not given.
    """
    run_dir = run_dir.absolute()
    report = VerifyReport(run_dir, "run")
    try:
        with closing(Unpacking()) as unpacking:
            view = ledger_of(run_dir, report, ledger, look=look_for_ledger)
            _Run(run_dir, report, progress, unpacking).verify(view)
    except PrometheusError as error:
        report.error(run_dir, error.message)
    except OSError as error:
        report.error(error.filename or run_dir, f"cannot be read: {error.strerror}")
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        report.error(run_dir, f"could not be understood: {type(error).__name__}: {ascii(str(error))[:200]}")
    return report


class _Run:
    """One verification: what was read so far, and where to say what is wrong."""

    def __init__(self, run_dir: Path, report: VerifyReport, progress: Progress | None, unpacking: Unpacking) -> None:
        self.dir = run_dir
        self._unpacking = unpacking
        self.report = report
        self.progress = progress
        self.present: dict[str, os.stat_result] = {}
        self.streams: dict[Artifact, Stream] = {}
        self.listed: dict[str, Listed] = {}
        self.explained: set[str] = set()
        self.unpacked: dict[str, Path] = {}
        self.cut_off = False
        self.lines_gone = False  # retention deleted event lines
        self.sums: dict[str, str] = {}
        self.unhashed: dict[str, str] = {}  # event files: hashed when they are parsed
        self.orders: Orders | None = None

    def verify(self, ledger: LedgerView | None) -> None:
        self._look_around()
        self.cut_off = Artifact.INTERRUPTED in self.present
        seal = self._check_seal(ledger)
        manifest = self._object(Artifact.MANIFEST, Schema.MANIFEST)
        if manifest is not None:
            check_manifest(manifest, self.dir.name, self._say_about(Artifact.MANIFEST), cut_off=self.cut_off)
        missing = self._missing(manifest)
        if self.cut_off:
            self._check_interrupted(missing)
        self._read_artifacts(manifest)
        self._check_counts(manifest)
        unfinished = self.cut_off or (manifest or {}).get("status") == "failed"
        files = RunFiles(self.dir, self.unpacked)
        check_parts(self.dir, files, self.report, explained=self.explained, cut_off=unfinished, orders=self.orders)
        if self.dir.name.startswith(("PROMOTE_", "AUDIT_")) and not unfinished:
            from prometheus.v10.evidence.verify.verify_promotion import check_claim
            from prometheus.v10.evidence.verify.verify_tier2 import check_tier2

            check_tier2(self.dir, files, self.report, at_exchange=is_exchange(manifest or {}))
            check_claim(manifest or {}, self.dir, self._say_about(Artifact.MANIFEST))
        if manifest is not None and is_exchange(manifest):
            from prometheus.v10.evidence.verify.verify_exchange import check_exchange

            check_exchange(self.dir, files, manifest, self.report, ledger, cut_off=self.cut_off)
        self._check_ledger(seal, ledger, manifest)
        self.report.facts.update(files=len(self.present), bytes=sum(s.st_size for s in self.present.values()))

    def _say_about(self, name: str) -> Any:
        return lambda what: self.report.fail(self.dir / name, what)

    def _look_around(self) -> None:
        for name, status in walk(self.dir):
            if not stat.S_ISREG(status.st_mode):
                self.report.fail(self.dir / name, "not a regular file")
            elif not is_plain_name(name):
                self.report.fail(self.dir, f"the name {name!r} cannot be sealed")
            else:
                self.present[name] = status

    def _check_seal(self, ledger: LedgerView | None) -> str | None:
        """Hashes, coverage, sizes and modes; returns the sha256 of ``SHA256SUMS.txt``."""
        data = self._bytes(Artifact.SHA256SUMS)
        if data is None:
            self.report.fail(self.dir, "not sealed: there is no SHA256SUMS.txt")
            return None
        try:
            sums = parse_sums(data)
        except ValueError as error:
            self.report.fail(self.dir / Artifact.SHA256SUMS, str(error))
            return None
        self.sums = sums
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
        return hashlib.sha256(data).hexdigest()

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
        size = self.listed[name].size if name in self.listed else 0
        self.unpacked[name] = self._unpacking.ask(place, size, codec)

    def _check_unpacked(self) -> None:
        for place, found in self._unpacking.end().items():
            if isinstance(found, ValueError):
                self.report.fail(place, str(found))
            elif found != self.sums[place.name.removesuffix(PACKED_SUFFIX)]:
                self.report.fail(place, "unpacked, its sha256 is not the sealed one: it was changed")

    def _ledger_name(self, name: str) -> str:
        return f"{self.dir.parent.name}/{self.dir.name}/{name}"

    def _check_filelist(self, sums: dict[str, str]) -> None:
        path = self.dir / Artifact.FILELIST
        data = self._bytes(Artifact.FILELIST)
        if data is None:
            self.report.fail(path, "missing")
            return
        try:
            listed = self.listed = parse_filelist(data)
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

    def _missing(self, manifest: dict[str, Any] | None) -> set[str]:
        """Files that the run owes and does not have; said here, unless ``interrupted.json`` is to say it."""
        tier = Tier.TIER2_FULL if self.dir.name.startswith(("PROMOTE_", "AUDIT_")) else Tier.TIER1_HF
        found = manifest or {}
        owed = {artifact.file_name(run_id=self.dir.name) for artifact in required(tier)}
        if found.get("schema") == Schema.MANIFEST_1.value:
            owed -= {Artifact.SURVIVORS.value}
        elif found.get("status") in {"completed", "interrupted"}:
            owed |= {Artifact.INTERESTING_DEATHS.value, Artifact.EXECUTION_RAW_INDEX.value}
            owed |= {Artifact.FOUNDERS.value} if ERA in found else set()
            owed |= {Artifact.POPULATION_SERIES.value} if SERIES in found else set()
            owed |= {one.value for one in OWED} if is_exchange(found) else set()
        missing = owed - self.present.keys() - self.explained
        excused = excused_files(found, self.dir.name)
        for name in sorted(missing):
            if name in excused:
                said = f": the run {manifest['status']}" if manifest else ""
                self.report.note(self.dir / name, f"not there{said}")
            elif not self.cut_off:
                self.report.fail(self.dir / name, f"missing: a {tier} run owes it")
        return missing

    def _check_interrupted(self, missing: set[str]) -> None:
        say = self._say_about(Artifact.INTERRUPTED)
        sidecar = self._object(Artifact.INTERRUPTED, Schema.INTERRUPTED)
        if sidecar is None:
            return
        if schema_of(Schema.INTERRUPTED).first(sidecar) is not None:
            sidecar = {"missing": [], "found": []}  # it excuses nothing; `_object` says what is wrong with it
        names = {name.replace("{run_id}", self.dir.name) for name in sidecar["missing"]}
        for name in sorted(missing - names):
            self.report.fail(self.dir / name, "missing, and interrupted.json does not name it")
        for name in sorted(names & self.present.keys()):
            say(f"{name} is there, and named as missing")
        for found in sidecar["found"]:
            name = found["name"]
            if name in self.present and self.present[name].st_size != found["bytes"]:
                say(f"{name} had {found['bytes']} bytes when the run was closed, now {self.present[name].st_size}")

    def _read_artifacts(self, manifest: dict[str, Any] | None) -> None:
        summary = self._object(Artifact.SUMMARY, Schema.SUMMARY)
        fingerprint = self._object(Artifact.FINGERPRINT, Schema.FINGERPRINT)
        telemetry = self._object(Artifact.TELEMETRY, Schema.TELEMETRY)
        setting = None if manifest is None else setting_in(manifest, self.dir.name, self.report, self.dir)
        self._check_unpacked()
        if manifest is not None and setting is not None:
            self._derive(setting, Documents(manifest, summary, telemetry, fingerprint))
        if setting is None or not setting.survivors:
            self._read_streams()
            if summary is not None:
                check_summary(summary, self.streams, self.report, self.dir / Artifact.SUMMARY)
        self._check_hashes()
        if telemetry is not None and not telemetry.get("counters"):
            self.report.fail(self.dir / Artifact.TELEMETRY, "no fence is counted")
        for name, found in ((Artifact.FINGERPRINT, fingerprint), (Artifact.TELEMETRY, telemetry)):
            if found is not None and manifest is not None and found.get("mode") != manifest.get("mode"):
                self.report.fail(self.dir / name, f"mode is {found.get('mode')!r}, the manifest's is another")

    def _derive(self, setting: Setting, documents: Documents) -> None:
        """Everything that the run's files imply of each other."""
        paths = {
            artifact: self.unpacked.get(artifact, self.dir / artifact)
            for artifact in (*FILES, Artifact.FOUNDERS, Artifact.POPULATION_SERIES)
            if artifact in self.present or artifact in self.unpacked
        }
        if self.lines_gone:
            derive_without_lines(self.dir, setting, documents, paths.get(Artifact.POPULATION_SERIES), self.report)
            self._read_streams()
            return
        failed = documents.manifest.get("status") == "failed" and documents.summary is None
        unfinished = self.cut_off or failed
        derived = derive(
            self.dir, setting, documents, paths, self.report, unfinished=unfinished, own=self.unpacked.keys()
        )
        self.orders = derived.orders
        for artifact in derived.lives.lines:
            digest = derived.lives.sha256.get(artifact)  # None of what was hashed when it was unpacked
            if digest is not None and self.unhashed.pop(artifact, digest) != digest:
                self.report.fail(self.dir / artifact, CHANGED)
            if self.progress is not None:
                self.progress(paths[artifact].stat().st_size)
        for artifact, rest in derived.lives.rest.items():
            if rest:
                say = self.report.note if self.cut_off else self.report.fail
                cut = ": the run was cut off there" if self.cut_off else ""
                say(self.dir / artifact, f"{rest} bytes without a newline at the end{cut}")
        if setting.survivors:
            self.streams = {a: Stream(lines=count) for a, count in derived.lives.lines.items() if a in STREAMS}

    def _check_hashes(self) -> None:
        """Event files that nothing parsed to their end."""
        for name, digest in self.unhashed.items():
            if file_sha256(self.dir / name, progress=self.progress) != digest:
                self.report.fail(self.dir / name, CHANGED)

    def _read_streams(self) -> None:
        for artifact in STREAMS:
            if artifact in self.present or artifact in self.unpacked:
                self.streams[artifact] = read_stream(
                    self.dir / artifact,
                    artifact,
                    self.dir.name,
                    self.report,
                    cut_off=self.cut_off,
                    source=None if artifact in self.present else self.unpacked[artifact],
                )

    def _check_counts(self, manifest: dict[str, Any] | None) -> None:
        if manifest is None or manifest.get("status") == "running":
            return
        say = self._say_about(Artifact.MANIFEST)
        counts = manifest.get("counts")
        for artifact, stream in self.streams.items():
            name = STREAMS[artifact][1]
            said = counts.get(name) if isinstance(counts, dict) else None
            if said != stream.lines:
                say(f"counts.{name} is {said!r}, {artifact} has {stream.lines} lines")
        evidence = manifest.get("evidence")
        if isinstance(evidence, dict) and not self.cut_off:
            rest = self._sealed_sizes()
            if (evidence.get("files"), evidence.get("bytes")) != (len(rest), sum(rest)):
                said = f"{evidence.get('files')} files and {evidence.get('bytes')} bytes"
                say(f"evidence says {said} beside the manifest, there are {len(rest)} and {sum(rest)}")

    def _sealed_sizes(self) -> list[int]:
        """Sizes of the files that were sealed beside the manifest, those included whose absence is explained."""
        absent = self.explained - self.present.keys()
        there = [one.st_size for name, one in self.present.items() if name not in _UNHASHED and not self._packs(name)]
        return there + [self.listed[name].size for name in absent if name in self.listed]

    def _packs(self, name: str) -> bool:
        return name.endswith(PACKED_SUFFIX) and name.removesuffix(PACKED_SUFFIX) in self.explained

    def _check_ledger(self, seal: str | None, ledger: LedgerView | None, manifest: dict[str, Any] | None) -> None:
        if ledger is None:
            return
        entries = ledger.seals.get(self.dir.name, [])
        if not entries:
            self.report.fail(self.dir, "the ledger does not know this run's seal")
        begun, era = ledger.started.get(self.dir.name), era_number(manifest or {})
        of_era = begun is not None and manifest is not None and self.dir.name.startswith("HF_")
        if begun is not None and of_era and begun.payload.get(ERA) != era:
            self._say_about(Artifact.MANIFEST)(f"era is {era}, the ledger began it as era {begun.payload.get(ERA)}")
        if manifest is not None and is_stage2(manifest, self.dir.name):
            from prometheus.v10.evidence.verify.verify_judged import check_entry

            check_entry(manifest, ledger, self._say_about(Artifact.MANIFEST))
        status = "interrupted" if self.cut_off else (manifest or {}).get("status")
        for entry in entries:
            if isinstance(entry.get("status"), str) and entry["status"] != status:
                self.report.fail(self.dir, f"the ledger sealed it as {entry['status']!r}, it says {status!r}")
            if seal is not None and entry.get("seal") != seal:
                what = f"the ledger has the seal {entry.get('seal')}, the run's is {seal}: rewritten"
                self.report.fail(self.dir, what)

    def _bytes(self, name: str) -> bytes | None:
        return (self.dir / name).read_bytes() if name in self.present else None

    def _object(self, artifact: Artifact, schema: Schema) -> dict[str, Any] | None:
        """One JSON artifact with its schema, run id and null rule checked; None when there is none to be read."""
        data = self._bytes(artifact)
        if data is None:
            return None
        say = self._say_about(artifact)
        try:
            found = strict_loads(data)
        except ValueError as error:
            say(f"not strict JSON: {error}")
            return None
        if not isinstance(found, dict):
            say("not an object")
            return None
        for wrong in schema_of(schema).wrong(found)[:MOST_WRONG]:
            say(wrong)
        if artifact in self.sums and hashlib.sha256(data).hexdigest() != self.sums[artifact]:
            say("its sha256 is not the sealed one: it changed while it was verified")
        if not as_written(data, found):
            say("not spelt as records are (sorted keys, indent of 2, one spelling of each number)")
        if artifact is not Artifact.MANIFEST:
            if found.get("run_id") != self.dir.name:
                say(f"it belongs to {found.get('run_id')!r}")
            for broken in violations(found):
                say(f"null rule: {broken}")
        return found
