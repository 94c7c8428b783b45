"""What a run's files say, held against each other, the manifest and the ledger (contracts, sections 2 and 4).

The manifest says what it must; the files that the tier owes are there; event files and summary agree with each other
and with the manifest; the ledger knows the seal. A run that was cut off carries ``interrupted.json``, which must name
exactly what is missing. Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact, Schema, required
from prometheus.v10.evidence.chains.ledger_view import LedgerView, Started
from prometheus.v10.evidence.derive.eras.founded import ERA, era_number
from prometheus.v10.evidence.derive.exchanged.exchange_modes import OWED, is_exchange
from prometheus.v10.evidence.derive.orders import Orders
from prometheus.v10.evidence.derive.rows import FILES
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.derive.typed import same, shown
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.records.series.moments import SERIES
from prometheus.v10.evidence.records.verify_manifest import Say, check_manifest
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.evidence.verify.unpacking import RunFiles
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
from prometheus.v10.evidence.verify.verify_seal import CHANGED, SealedFiles

MOST_WRONG = 20
"""Sentences about the fields of one artifact."""
REPEATED = ("stage", "mode", "run_counter", "config_hash", "core_hash", "git_commit")
"""What a run says at its beginning in the ledger, and again in its manifest."""


def check_beginning(begun: Started, manifest: Mapping[str, Any], say: Say) -> None:
    """Hold a manifest against the entry that stands in the ledger since before its run had a directory.

    Args:
        begun: that entry. What it does not know, for example the count of a run that nobody counts, says nothing.
        manifest: of the run.
        say: hears what is wrong.
    """
    said = {"instance": begun.instance, "tier": begun.payload["tier"]}
    said |= {name: begun.payload[name] for name in REPEATED if begun.payload.get(name) is not None}
    meta = manifest.get("meta")
    own = {**manifest, "tier": meta.get("tier") if isinstance(meta, dict) else None}
    for name, value in said.items():
        if name in own and not same(own[name], value):
            say(f"{name} is {shown(own[name])}, the ledger began it with {shown(value)}")


class Contents:
    """One look at what a run's files say: what was read so far, and where to say what is wrong.

    Args:
        files: the run's files, held against their seal, and being unpacked.
    """

    def __init__(self, files: SealedFiles) -> None:
        self._files = files
        self.dir, self.report, self.present = files.dir, files.report, files.present
        self.explained, self.unpacked, self.cut_off = files.explained, files.unpacked, files.cut_off
        self.streams: dict[Artifact, Stream] = {}
        self.orders: Orders | None = None

    def check(self, ledger: LedgerView | None) -> None:
        """Everything that is not the seal's.

        Raises:
            OSError: when a file cannot be read.
        """
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
            from prometheus.v10.evidence.verify.exchanged.verify_exchange import check_exchange

            check_exchange(self.dir, files, manifest, self.report, ledger, cut_off=self.cut_off)
        self._check_ledger(ledger, manifest)
        self.report.facts.update(files=len(self.present), bytes=sum(s.st_size for s in self.present.values()))

    def _say_about(self, name: str) -> Any:
        return lambda what: self.report.fail(self.dir / name, what)

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
        self._files.check_unpacked()
        if manifest is not None and setting is not None:
            self._derive(setting, Documents(manifest, summary, telemetry, fingerprint))
        if setting is None or not setting.survivors:
            self._read_streams()
            if summary is not None:
                check_summary(summary, self.streams, self.report, self.dir / Artifact.SUMMARY)
        self._files.check_rest()
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
        if self._files.lines_gone:
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
            if digest is not None and self._files.unhashed.pop(artifact, digest) != digest:
                self.report.fail(self.dir / artifact, CHANGED)
            if self._files.progress is not None:
                self._files.progress(paths[artifact].stat().st_size)
        for artifact, rest in derived.lives.rest.items():
            if rest:
                say = self.report.note if self.cut_off else self.report.fail
                cut = ": the run was cut off there" if self.cut_off else ""
                say(self.dir / artifact, f"{rest} bytes without a newline at the end{cut}")
        if setting.survivors:
            self.streams = {a: Stream(lines=count) for a, count in derived.lives.lines.items() if a in STREAMS}

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
            rest = self._files.sealed_sizes()
            if (evidence.get("files"), evidence.get("bytes")) != (len(rest), sum(rest)):
                said = f"{evidence.get('files')} files and {evidence.get('bytes')} bytes"
                say(f"evidence says {said} beside the manifest, there are {len(rest)} and {sum(rest)}")

    def _check_ledger(self, ledger: LedgerView | None, manifest: dict[str, Any] | None) -> None:
        if ledger is None:
            return
        seal, entries = self._files.digest, ledger.seals.get(self.dir.name, [])
        begun, era = ledger.started.get(self.dir.name), era_number(manifest or {})
        if not entries:
            killed = begun is not None and ledger.is_newest(self.dir.name, begun.instance)
            then = f"; after a kill the next start of {begun.instance} enters it" if begun and killed else ""
            self.report.fail(self.dir, f"the ledger does not know this run's seal{then}")
        of_era = begun is not None and manifest is not None and self.dir.name.startswith("HF_")
        if begun is not None and of_era and begun.payload.get(ERA) != era:
            self._say_about(Artifact.MANIFEST)(f"era is {era}, the ledger began it as era {begun.payload.get(ERA)}")
        if begun is not None and manifest is not None:
            check_beginning(begun, manifest, self._say_about(Artifact.MANIFEST))
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
            files, nbytes = self._files.counted()
            if seal is not None and (entry.get("files"), entry.get("bytes")) != (files, nbytes):
                said = f"{entry.get('files')} files and {entry.get('bytes')} bytes"
                self.report.fail(self.dir, f"the ledger sealed {said}, the seal covers {files} and {nbytes}")

    def _object(self, artifact: Artifact, schema: Schema) -> dict[str, Any] | None:
        """One JSON artifact with its schema, run id and null rule checked; None when there is none to be read."""
        data = self._files.read(artifact)
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
        if artifact in self._files.sums and hashlib.sha256(data).hexdigest() != self._files.sums[artifact]:
            say("its sha256 is not the sealed one: it changed while it was verified")
        if not as_written(data, found):
            say("not spelt as records are (sorted keys, indent of 2, one spelling of each number)")
        if artifact is not Artifact.MANIFEST:
            if found.get("run_id") != self.dir.name:
                say(f"it belongs to {found.get('run_id')!r}")
            for broken in violations(found):
                say(f"null rule: {broken}")
        return found
