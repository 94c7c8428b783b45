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
class _Record:
    """What a pool's record says of its genome's descent; ``origin`` is the id of the record that a verdict judges."""

    n: int
    id: str
    sha256: str
    instance: str
    line: str
    era: int
    exposure: Exposure
    canonical: bool
    run_id: str
    experiment: object
    origin: str | None


@dataclass
class _Run:
    """An era, as its manifest and ``founders.jsonl`` say it; ``stage`` is that of the pool of its ancestors."""

    path: Path
    stage: Stage
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


class _Pool:
    """A stage's pool, read once: the records that somebody names as a parent, and the heads of the prefixes named."""

    def __init__(self, layout: Layout, stage: Stage, runs: Mapping[str, _Run]) -> None:
        own = [run for run in runs.values() if run.stage is stage]
        self.path = layout.pool(stage)
        self.stage = stage
        self.known: dict[str, _Record] = {}
        self.heads: dict[int, str] = {run.records: "" for run in own if run.head is not None}
        self.count = 0
        self._wanted = {record for run in own for each in run.parents for record, _ in each}

    def records(self) -> Iterator[_Record]:
        """Each record that says of which line it is."""
        if not self.path.exists():
            return
        fd = open_for_reading(self.path)
        try:
            for self.count, line in enumerate(Lines(fd), start=1):
                if self.count in self.heads:
                    self.heads[self.count] = hashlib.sha256(line).hexdigest()
                one = _record(line, self.count - 1, self.stage) if _MARK in line else None
                if one is not None:
                    if one.id in self._wanted:
                        self.known.setdefault(one.id, one)
                    yield one
        finally:
            os.close(fd)


def _record(line: bytes, n: int, stage: Stage) -> _Record | None:
    """None where the record does not say it as it must: the pool's own verification says what is wrong with it."""
    try:
        record = json.loads(line)
        origin = record["metrics_summary"]["origin"] if stage is Stage.STAGE2 else None
        place = record["source"] if origin is None else origin
        lineage = place["lineage"]
        exposure = union(lineage["exposure"])
        return _Record(
            n=n,
            id=str(record["id"]),
            sha256=str(record["genome_sha256"]),
            instance=str(lineage["instance"]),
            line=str(lineage["line"]),
            era=int(lineage["era"]),
            exposure=exposure,
            canonical=[list(interval) for interval in exposure] == lineage["exposure"],
            run_id=str(place["run_id"]),
            experiment=place["experiment"],
            origin=None if origin is None else str(origin["id"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def audit_descent(layout: Layout, report: VerifyReport) -> None:
    """Hold the founders of every era against the pools; what cannot be read is said where it is verified."""
    runs = {run.path.name: run for tier in Tier for run in _runs(layout.runs(tier))}
    if not runs or not layout.pool(Stage.STAGE1).exists():
        return
    say = _Sayer(report)
    pools = {stage: _Pool(layout, stage, runs) for stage in Stage}
    if any(run.stage is Stage.STAGE2 for run in runs.values()):
        for _ in pools[Stage.STAGE2].records():
            pass  # verdicts first: genomes of stage 1 may descend from judged ones
    verdicts: dict[str, list[_Record]] = defaultdict(list)
    for one in pools[Stage.STAGE2].known.values():
        verdicts[str(one.origin)].append(one)
    for one in pools[Stage.STAGE1].records():
        for what in _wrong_record(one, runs, pools):
            say(pools[Stage.STAGE1].path, f"record {one.n} {what}")
        for verdict in verdicts.pop(one.id, ()):
            for what in _wrong_verdict(verdict, one):
                say(pools[Stage.STAGE2].path, f"record {verdict.n} {what}")
    for verdict in (one for found in verdicts.values() for one in found):
        say(pools[Stage.STAGE2].path, f"record {verdict.n} founds an era, and stage 1 has no record {verdict.origin}")
    for run in runs.values():
        for what in [*_wrong_prefix(run, pools[run.stage]), *_wrong_parents(run, pools[run.stage].known)]:
            say(run.path, what)


def _wrong_prefix(run: _Run, pool: _Pool) -> Iterator[str]:
    if run.head is not None and run.records and run.head != pool.heads[run.records]:
        gone = run.records > pool.count
        has = "records are missing" if gone else f"the pool's have {pool.heads[run.records][:16]}"
        yield f"it was founded on {run.records} records of {run.stage.value} with head {run.head[:16]}: {has}"


def _wrong_verdict(verdict: _Record, lived: _Record) -> Iterator[str]:
    """What a verdict that founds an era says otherwise than the record of stage 1 that it judges."""
    for name in ("sha256", "instance", "line", "era", "run_id", "experiment"):
        if (said := getattr(verdict, name)) != (found := getattr(lived, name)):
            yield f"says {name} {said}; record {lived.n} of stage 1, which it judges, says {found}"
    if not verdict.canonical or union(verdict.exposure, lived.exposure) != verdict.exposure:
        yield f"has an exposure that is not canonical, or lacks bars of record {lived.n} of stage 1, which it judges"


def _wrong_parents(run: _Run, known: Mapping[str, _Record]) -> Iterator[str]:
    for experiment, parents in enumerate(run.parents):
        for record, sha256 in parents:
            if (what := _wrong_parent(run, experiment, known.get(record), sha256)) is not None:
                yield f"experiment {experiment}: parent {record} {what}"


def _wrong_parent(run: _Run, experiment: int, found: _Record | None, sha256: str) -> str | None:
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


def _wrong_record(one: _Record, runs: Mapping[str, _Run], pools: Mapping[Stage, _Pool]) -> Iterator[str]:
    """What is wrong with a record of stage 1, by its run; records of a run without its directory have their claims."""
    run = runs.get(one.run_id)
    if run is None:
        return
    if not is_count(one.experiment) or one.experiment >= len(run.lines):
        yield f"is of experiment {one.experiment} of {one.run_id}, which has {len(run.lines)}"
        return
    line = run.lines[one.experiment]
    if (one.instance, one.line, one.era) != (run.instance, line, run.era):
        yield (f"is of line {one.line} of {one.instance}, era {one.era}; its run says line {line} "
               f"of {run.instance}, era {run.era}")  # fmt: skip
    if not one.canonical:
        yield "has an exposure that is not canonical"
    if one.exposure not in _allowed(run, one.experiment, pools[run.stage].known):
        yield "has an exposure that is not that of its run's bars and of one of its experiment's parents"


def _allowed(run: _Run, experiment: int, known: Mapping[str, _Record]) -> set[Exposure]:
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
    stage = Stage.STAGE2 if rules.get("stage") == Stage.STAGE2.value else Stage.STAGE1
    counted = stage is Stage.STAGE1 and rules.get("snapshot") == "newest"
    eras = rules.get("eras", 0) if counted else era
    records = founding.get("records", 0)
    run = _Run(
        path=place,
        stage=stage,
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
