"""Verification of a gate's directory: that it is whole, unchanged, and was locked before it was run.

In this order: the seal covers every file and nothing else, and every hash and size agrees; the lock's hash is that of
the design it holds; the experiments are as many as the design asks for; the verdict is of the same design; the ledger
knows the lock before it knows the seal, and both as they are. A gate that is not finished has no seal: that cannot be
checked yet, and is no failure. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import HostError, PrometheusError
from prometheus.v10.base.names import Artifact, GateFile, LedgerEntryType, Schema
from prometheus.v10.base.reading import LARGE, is_regular, open_regular, read_whole
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.chains.gate_chain import GateHead, batch_head, grown
from prometheus.v10.evidence.chains.ledger_view import GateEntry, LedgerView
from prometheus.v10.evidence.chains.own_ledger import ledger_of
from prometheus.v10.evidence.chains.scan import file_sha256
from prometheus.v10.evidence.derive.gate_derive import derive, differences
from prometheus.v10.evidence.records.canonical import canonical_bytes, is_canonical, strict_loads
from prometheus.v10.evidence.records.findings import Finding, Level, Progress, VerifyReport
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.evidence.writing.seal import is_plain_name, parse_filelist, parse_sums, walk

MOST_WRONG = 10
VERDICTS = frozenset(["pass", "fail", "insufficient evidence"])


def verify_gate(
    path: Path, *, progress: Progress | None = None, ledger: LedgerView | None = None, look_for_ledger: bool = True
) -> VerifyReport:
    """Verify one gate's directory.

    Args:
        path: its name is the gate's.
        progress: called with numbers of bytes hashed.
        ledger: what the ledger says, when the caller read it already.
        look_for_ledger: read ``../../state/ledger.jsonl`` when there is one and ``ledger`` was not given.
    """
    path = path.absolute()
    report = VerifyReport(path, "gate")
    try:
        view = ledger_of(path, report, ledger, look=look_for_ledger)
        seal = _check_seal(path, report, progress)
        lock = _check_lock(path, report)
        if seal is not None and lock is not None:
            _check_content(path, lock, report)
            _check_verdict(path, lock, report)
        if view is not None and lock is not None:
            _check_ledger(path, lock, seal, view.gates.get(path.name, []), report)
    except PrometheusError as error:
        report.error(path, error.message)
    except OSError as error:
        report.error(error.filename or path, f"cannot be read: {error.strerror}")
    return report


def _check_seal(path: Path, report: VerifyReport, progress: Progress | None) -> str | None:
    """Hashes, coverage and sizes; returns the sha256 of ``SHA256SUMS.txt``, None without one."""
    if not (path / Artifact.SHA256SUMS).exists():
        report.error(path, "not finished: it has no seal yet; the same `prometheus-quant gate` goes on with it")
        return None
    present = dict(walk(path))
    data = read_whole(path / Artifact.SHA256SUMS, at_most=LARGE)
    try:
        sums = parse_sums(data)
        listed = parse_filelist(read_whole(path / Artifact.FILELIST, at_most=LARGE))
    except HostError:
        report.fail(path / Artifact.FILELIST, "missing")
        return None
    except ValueError as error:
        report.fail(path, f"its seal cannot be read: {error}")
        return None
    for name in sorted(present.keys() - sums.keys() - {Artifact.SHA256SUMS.value}):
        report.fail(path / name, "not covered by the seal: it was added later")
    for name, digest in sums.items():
        if name not in present or not is_plain_name(name):
            report.fail(path / name, "sealed, and not there")
        elif file_sha256(path / name, progress=progress) != digest:
            report.fail(path / name, "its sha256 is not the sealed one: it was changed")
        elif name != Artifact.FILELIST and (name not in listed or listed[name].size != present[name].st_size):
            report.fail(path / name, "FILELIST does not name it with its size")
    for name in (GateFile.LOCK, GateFile.EXPERIMENTS, GateFile.SIGNS, GateFile.VERDICT, GateFile.PAGE):
        if name not in sums:
            report.fail(path / name, "a finished gate has it, and the seal does not")
    report.facts.update(files=len(present), bytes=sum(status.st_size for status in present.values()))
    return hashlib.sha256(data).hexdigest()


def _check_lock(path: Path, report: VerifyReport) -> dict[str, Any] | None:
    place = path / GateFile.LOCK
    lock = _object(place, Schema.GATE_LOCK, report)
    if lock is None:
        return None
    if lock.get("gate") != path.name:
        report.fail(place, f"it belongs to the gate {lock.get('gate')!r}")
    config = lock.get("config")
    found = hashlib.sha256(canonical_bytes(config)).hexdigest() if isinstance(config, dict) else None
    if found != lock.get("config_hash"):
        report.fail(place, f"its design has the hash {found}, it says {lock.get('config_hash')}")
    return lock


def _check_content(path: Path, lock: dict[str, Any], report: VerifyReport) -> None:
    """Experiments and verdict are of the locked design."""
    place = path / GateFile.EXPERIMENTS
    count = 0
    if is_regular(place):
        with os.fdopen(open_regular(place), "rb") as lines:
            for count, line in enumerate(lines, 1):
                if not _is_line(line):
                    report.fail(place, f"line {count} is not a canonical {Schema.GATE_EXPERIMENT.value}")
                    break
    if count != lock.get("experiments"):
        report.fail(place, f"{count} experiments, the design asks for {lock.get('experiments')}")
    report.facts["experiments"] = count
    for name, schema in ((GateFile.SIGNS, Schema.GATE_SIGNS), (GateFile.VERDICT, Schema.GATE_VERDICT)):
        found = _object(path / name, schema, report)
        if found is not None and found.get("config_hash") != lock.get("config_hash"):
            report.fail(path / name, f"it is of the design {found.get('config_hash')}")
    verdict = _object(path / GateFile.VERDICT, Schema.GATE_VERDICT, VerifyReport(path, "gate"))
    if verdict is not None:
        report.facts["verdict"] = str(verdict.get("verdict"))
        if verdict.get("verdict") not in VERDICTS:
            report.fail(path / GateFile.VERDICT, f"the verdict is {verdict.get('verdict')!r}")
        if any(verdict.get(key) != lock.get(key) for key in ("config", "core_hash", "rule")):
            report.fail(path / GateFile.VERDICT, "design, core or rule are not those of the lock")


def _check_verdict(path: Path, lock: dict[str, Any], report: VerifyReport) -> None:
    """The verdict is what lock and experiments give, its signs are those of the signs' file, and the page says it."""
    places = [path / name for name in (GateFile.EXPERIMENTS, GateFile.VERDICT, GateFile.SIGNS, GateFile.PAGE)]
    if not all(map(is_regular, places)):
        return  # the seal's own check says so
    experiments, verdict_place, signs_place, page_place = places
    try:
        with os.fdopen(open_regular(experiments), "rb") as lines:
            derived = derive(lock, map(strict_loads, lines))
        written = strict_loads(read_whole(verdict_place, at_most=LARGE))
        signs = strict_loads(read_whole(signs_place, at_most=LARGE))
        wrong = differences(derived, written)
        if written["signs"] != signs["audits"] or signs["gate"] != lock["gate"]:
            report.fail(verdict_place, f"its signs are not those of {GateFile.SIGNS.value}")
        head = f"# Gate {written['gate']}: {written['verdict']}\n"
        page = read_whole(page_place, at_most=LARGE).decode("utf-8")
        if not page.startswith(head) or f"**{written['verdict'].capitalize()}.**" not in page.splitlines()[2]:
            report.fail(page_place, "its head is not the verdict's")
        report.findings += [
            Finding(Level.FAIL, str(page_place), "it lacks a reason of the verdict")
            for reason in written["reasons"]
            if f"- {reason}\n" not in page
        ][:1]
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        report.fail(verdict_place, f"it cannot be derived: {printable(repr(error), longest=200)}")
        return
    for where in wrong[:MOST_WRONG]:
        report.fail(verdict_place, f"{printable(where.lstrip('.'))} is not what lock and experiments give")
    if len(wrong) > MOST_WRONG:
        report.fail(verdict_place, f"{len(wrong) - MOST_WRONG} more figures are not what lock and experiments give")


def _check_ledger(
    path: Path, lock: dict[str, Any], seal: str | None, entries: list[GateEntry], report: VerifyReport
) -> None:
    """The ledger knows the lock, and after it the seal, and neither of them otherwise."""
    kinds = [entry.kind for entry in entries]
    locked, sealed = LedgerEntryType.GATE_LOCKED.value, LedgerEntryType.GATE_SEALED.value
    batch = LedgerEntryType.GATE_BATCH.value
    if locked not in kinds:
        report.fail(path / GateFile.LOCK, "the ledger does not know this lock")
        return
    digest = file_sha256(path / GateFile.LOCK)
    for entry in entries:
        if entry.kind != batch and entry.payload.get("config_hash") != lock.get("config_hash"):
            report.fail(path, f"the ledger has another design: {entry.payload.get('config_hash')}")
        if entry.kind == locked and entry.payload.get("lock_sha256") != digest:
            report.fail(path / GateFile.LOCK, "it is not the lock that the ledger knows")
        if entry.kind == sealed and seal is not None and entry.payload.get("seal") != seal:
            report.fail(path, "its seal is not the one in the ledger: it was sealed again")
    if seal is None and sealed in kinds:
        report.fail(path, "the ledger has its seal, and the seal is gone")
    if seal is not None and sealed not in kinds:
        report.fail(path, "the ledger does not know its seal")
    if sealed in kinds and kinds.index(sealed) < kinds.index(locked):
        report.fail(path, "the ledger has its seal before its lock")
    _check_batches(path, entries, report, sealed=seal is not None)


def _check_batches(path: Path, entries: list[GateEntry], report: VerifyReport, *, sealed: bool) -> None:
    """Every head that the ledger entered is that of the first so many experiments, and the last is that of all.

    A gate that was locked before there were such entries says so by its ``gate_locked`` line, which lacks ``batches``.
    """
    place = path / GateFile.EXPERIMENTS
    asked = any(entry.payload.get("batches") is True for entry in entries if entry.kind == LedgerEntryType.GATE_LOCKED)
    said = [batch_head(entry.payload) for entry in entries if entry.kind == LedgerEntryType.GATE_BATCH]
    heads = [head for head in said if head is not None]
    if len(heads) < len(said):
        report.fail(path, "a gate_batch entry of the ledger holds no head")
    if any(after.records <= before.records for before, after in pairwise(heads)):
        report.fail(path, "the gate_batch entries of the ledger do not grow")
    if not asked and not heads:
        return
    wanted = {head.records: head for head in heads}
    now, missing = GateHead(), set(wanted)
    if is_regular(place):
        with os.fdopen(open_regular(place), "rb") as lines:
            for line in lines:
                now = grown(now, (line,))
                missing.discard(now.records)
                if now.records in wanted and wanted[now.records] != now:
                    report.fail(place, f"its first {now.records} lines are not those that the ledger entered")
                    return
    if missing:
        report.fail(place, f"the ledger entered {max(missing)} experiments, it holds {now.records}")
    elif sealed and (not heads or heads[-1] != now):
        report.fail(place, "the ledger's last gate_batch entry is not that of all its experiments")


def _object(place: Path, schema: Schema, report: VerifyReport) -> dict[str, Any] | None:
    """A JSON object of that schema, its nulls with reasons; None, with a failure in the report, otherwise."""
    try:
        if not is_regular(place):
            return None  # the seal's own check says so
        found = strict_loads(read_whole(place, at_most=LARGE))
    except ValueError as error:
        report.fail(place, f"not strict JSON: {error}")
        return None
    if not isinstance(found, dict) or found.get("schema") != schema.value:
        report.fail(place, f"not an object of schema {schema.value}")
        return None
    for wrong in [*schema_of(schema).wrong(found), *(f"null rule: {broken}" for broken in violations(found))]:
        report.fail(place, printable(wrong))
    return found


def _is_line(line: bytes) -> bool:
    try:
        found = strict_loads(line.rstrip(b"\n"))
    except ValueError:
        return False
    return (
        line.endswith(b"\n")
        and isinstance(found, dict)
        and schema_of(Schema.GATE_EXPERIMENT).first(found) is None
        and is_canonical(line[:-1], found)
    )
