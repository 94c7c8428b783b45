"""The audit of descent: who founded the eras, held against the pool (ADR 0070). Standard library only.

1. The prefix that a run names is the pool's: its last record has the hash that the run says.
2. Each parent is a record of that prefix, with that genome, of the run's own instance and of the line that the
   configuration founds its experiment from, of an era before.
3. Each record of an era says its run's instance, era and line, and has lived through its run's bars and, beside them,
   through those of one of its experiment's parents, or of none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE
from prometheus.v10.evidence.auditing.manifests import manifest_there
from prometheus.v10.evidence.chains.absences import read_evidence
from prometheus.v10.evidence.chains.chain import Lines
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.evidence.derive.eras.era_rules import ancestral_line
from prometheus.v10.evidence.derive.eras.founded import ERA, FOUNDING, OF_EACH, era_number
from prometheus.v10.evidence.derive.typed import is_count, table
from prometheus.v10.evidence.pools.exposure import Exposure, Interval, interval_of, union
from prometheus.v10.evidence.records.findings import VerifyReport

MOST_SAID = 20
"""Findings of one run that are spelt out; the rest is counted."""
_MARK = b'"lineage":{'


@dataclass(frozen=True)
class _Known:
    """A record that somebody names as a parent."""

    n: int
    sha256: str
    instance: str
    line: str
    era: int
    exposure: Exposure


@dataclass
class _Run:
    """An era, as its manifest and ``founders.jsonl`` say it."""

    path: Path
    instance: str
    era: int
    eras: int
    lines: list[str]
    records: int
    head: str | None
    interval: Interval | None
    null_founders: object
    parents: list[list[tuple[str, str]]] = field(default_factory=list)  # of each experiment: id, genome
    allowed: dict[int, set[Exposure]] = field(default_factory=dict)


class _Sayer:
    def __init__(self, report: VerifyReport) -> None:
        self._report = report
        self._said: dict[Path, int] = defaultdict(int)

    def __call__(self, path: Path, what: str) -> None:
        self._said[path] += 1
        if self._said[path] <= MOST_SAID:
            self._report.fail(path, what)
        elif self._said[path] == MOST_SAID + 1:
            self._report.fail(path, "and more of this kind")


def audit_descent(layout: Layout, report: VerifyReport) -> None:
    """Hold the founders of every era against the pool of stage 1; what cannot be read is said where it is verified."""
    runs = {run.path.name: run for tier in Tier for run in _runs(layout.runs(tier))}
    pool = layout.pool(Stage.STAGE1)
    if not runs or not pool.exists():
        return
    say = _Sayer(report)
    wanted = {record for run in runs.values() for each in run.parents for record, _ in each}
    known: dict[str, _Known] = {}
    heads: dict[int, str] = {run.records: "" for run in runs.values() if run.head is not None}
    count = 0
    for count, line in enumerate(_lines(pool), start=1):
        if count in heads:
            heads[count] = hashlib.sha256(line).hexdigest()
        if _MARK in line:
            _take(line, count - 1, runs, wanted, known, lambda what: say(pool, what))
    for run in runs.values():
        if run.head is not None and run.records and run.head != heads[run.records]:
            has = "records are missing" if run.records > count else f"the pool's have {heads[run.records][:16]}"
            say(run.path, f"it was founded on {run.records} records with head {run.head[:16]}: {has}")
        for what in _wrong_parents(run, known):
            say(run.path, what)


def _wrong_parents(run: _Run, known: Mapping[str, _Known]) -> Iterator[str]:
    for experiment, parents in enumerate(run.parents):
        for record, sha256 in parents:
            if (what := _wrong_parent(run, experiment, known.get(record), sha256)) is not None:
                yield f"experiment {experiment}: parent {record} {what}"


def _wrong_parent(run: _Run, experiment: int, found: _Known | None, sha256: str) -> str | None:
    if found is None:
        return "is no record of an era in the pool"
    line = run.lines[experiment] if experiment < len(run.lines) else None
    if found.sha256 != sha256:
        return f"has genome {found.sha256[:16]} in the pool, not {sha256[:16]}"
    if found.n >= run.records:
        return f"is record {found.n} of the pool, behind the {run.records} that it was founded on"
    wanted = None if line is None else ancestral_line(line, run.null_founders)
    if (found.instance, found.line) != (run.instance, wanted):
        return f"is of line {found.line} of {found.instance}, not of line {wanted} of {run.instance}"
    if not run.era - run.eras <= found.era < run.era:
        return f"lived in era {found.era}, and era {run.era} inherits from the {run.eras} before it"
    return None


def _lines(pool: Path) -> Iterator[bytes]:
    fd = open_for_reading(pool)
    try:
        yield from Lines(fd)
    finally:
        os.close(fd)


def _take(line: bytes, n: int, runs: Mapping[str, _Run], wanted: set[str], known: dict[str, _Known], say: Any) -> None:
    """Take in one record of an era, and hold it against its run."""
    try:
        record = json.loads(line)
        source = record["source"]
        lineage, experiment = source["lineage"], source["experiment"]
        exposure = union(lineage["exposure"])
        said = str(lineage["instance"]), str(lineage["line"]), int(lineage["era"])
        one = _Known(n, str(record["genome_sha256"]), *said, exposure)
        name, run_id = str(record["id"]), str(source["run_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # the pool's own verification says what is wrong with it
    if name in wanted:
        known.setdefault(name, one)
    run = runs.get(run_id)
    if run is None:
        return  # records of a run without its directory are found by their claims
    if not is_count(experiment) or experiment >= len(run.lines):
        say(f"record {n} is of experiment {experiment} of {run_id}, which has {len(run.lines)}")
        return
    if said != (run.instance, run.lines[experiment], run.era):
        say(f"record {n} is of line {said[1]} of {said[0]}, era {said[2]}; its run says line {run.lines[experiment]} "
            f"of {run.instance}, era {run.era}")  # fmt: skip
    if [list(interval) for interval in exposure] != lineage["exposure"]:
        say(f"record {n}: its exposure is not canonical")
    if exposure not in _allowed(run, experiment, known):
        say(f"record {n}: its exposure is not that of its run's bars and of one of its experiment's parents")


def _allowed(run: _Run, experiment: int, known: Mapping[str, _Known]) -> set[Exposure]:
    """What a record of an experiment can have lived through: its parents stand before it in the pool."""
    if run.interval is None:
        return set()
    if experiment not in run.allowed:
        parents = run.parents[experiment] if experiment < len(run.parents) else []
        inherited = [known[record].exposure for record, _ in parents if record in known]
        run.allowed[experiment] = {union(one, [run.interval]) for one in [(), *inherited]}
    return run.allowed[experiment]


def _runs(folder: Path) -> Iterator[_Run]:
    if not folder.is_dir():
        return
    for place in sorted(folder.iterdir()):
        try:
            founders = read_evidence(place / Artifact.FOUNDERS, at_most=LARGE)
            manifest = None if founders is None else manifest_there(place)
            if manifest is not None and (run := _run(place, manifest, founders or b"")) is not None:
                yield run
        except (PrometheusError, OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # verification of the run says what is wrong with it


def _run(place: Path, manifest: Mapping[str, Any], founders: bytes) -> _Run | None:
    era, founding, lines = era_number(manifest), table(manifest.get(FOUNDING)), manifest.get(OF_EACH)
    if era is None or not isinstance(lines, list):
        return None
    rules = table(table(manifest.get("config")).get("founding"))
    eras = rules.get("eras", 0) if rules.get("snapshot") == "newest" else era
    records = founding.get("records", 0)
    run = _Run(
        path=place,
        instance=str(table(manifest.get(ERA)).get("instance")),
        era=era,
        eras=eras if is_count(eras) else 0,
        lines=[str(line) for line in lines],
        records=records if is_count(records) else 0,
        head=str(founding["head"]) if "head" in founding else None,
        interval=interval_of(manifest),
        null_founders=rules.get("null_founders"),
    )
    for line in founders.splitlines():
        parents = json.loads(line)["parents"]
        run.parents.append([(str(one["record_id"]), str(one["genome_sha256"])) for one in parents])
    return run
