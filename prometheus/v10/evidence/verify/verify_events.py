"""What a run's event files and summary must hold, line by line and against each other (contracts, sections 3 and 4).

Every line is a strict, canonical object of the run and of its schema; every count that manifest and summary give is the
number of lines that are there; and nobody is lost: founders + births - deaths = alive, in each experiment. Standard
library only.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.chains.chain import Lines
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.evidence.records.canonical import is_canonical
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.records.verify_manifest import moment
from prometheus.v10.evidence.schemas.schema_file import RecordSchema, schema_of

STREAMS: dict[Artifact, tuple[Schema, str]] = {
    Artifact.DEATHS: (Schema.DEATH, "deaths"),
    Artifact.BIRTHS: (Schema.BIRTH, "births"),
    Artifact.COLLAPSES: (Schema.COLLAPSE, "collapses"),
    Artifact.INTERESTING_DEATHS: (Schema.INTERESTING_DEATH, "interesting_deaths"),
}
"""Schema of each event file, and the name of its count in the manifest."""

MAX_LINES = 20
TOLERANCE = 1e-9
"""Of the total: how exactly the capital triplet closes (contracts, section 3)."""


@dataclass
class Stream:
    """What one event file holds."""

    lines: int = 0
    by_experiment: Counter[int] = field(default_factory=Counter)
    by_reason: dict[int, Counter[str]] = field(default_factory=dict)
    whole: bool = True


def read_stream(
    path: Path, artifact: Artifact, run_id: str, report: VerifyReport, *, cut_off: bool, source: Path | None = None
) -> Stream:
    """Check every line of an event file and count what it holds.

    Args:
        path: what findings are about.
        artifact: which stream it is.
        run_id: whose it must be.
        report: where findings go.
        cut_off: an unterminated last line is what the end of its writer left.
        source: where the bytes lie, when not in ``path`` itself: a compressed file, unpacked.

    Raises:
        OSError: when it cannot be read.
    """
    schema = schema_of(STREAMS[artifact][0])
    found = Stream()
    wrong = 0
    fd = open_for_reading(source or path)
    try:
        lines = Lines(fd)
        for line in lines:
            what, record = _event(line, schema, run_id)
            if what is not None:
                wrong += 1
                if wrong <= MAX_LINES:
                    report.fail(path, f"byte {lines.offset}, line {found.lines + 1}: {what}")
            _count(found, record)
        rest = lines.size - lines.end
    finally:
        os.close(fd)
    if wrong > MAX_LINES:
        report.fail(path, f"{wrong - MAX_LINES} more lines are wrong")
    found.whole = rest == 0
    if rest:
        say = report.note if cut_off else report.fail
        say(path, f"{rest} bytes without a newline at the end" + (": the run was cut off there" if cut_off else ""))
    return found


def _count(found: Stream, record: dict[str, Any] | None) -> None:
    found.lines += 1
    if record is None:
        return
    experiment = record.get("experiment")
    if type(experiment) is int:
        found.by_experiment[experiment] += 1
        if isinstance(reason := record.get("death_reason"), str):
            found.by_reason.setdefault(experiment, Counter())[reason] += 1


def _event(line: bytes, schema: RecordSchema, run_id: str) -> tuple[str | None, dict[str, Any] | None]:
    """What is wrong with one line, and the record if it is one."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}", None
    if not isinstance(record, dict) or not is_canonical(line[:-1], record):
        return "not a canonical object (sorted keys, no spaces, every key once, one spelling of each number)", None
    if record.get("run_id") != run_id:
        return f"it is a {record.get('schema')!r} of {record.get('run_id')!r}", record
    if (what := schema.first(record)) is not None:
        return what, record
    if moment(record["ts_utc"]) is None:
        return f"ts_utc is {record['ts_utc']!r}", record
    broken = violations(record) if b"null" in line.replace(b'"null_reasons":{}', b"", 1) else []
    return (f"null rule: {broken[0]}" if broken else None), record


def check_summary(summary: dict[str, Any], streams: dict[Artifact, Stream], report: VerifyReport, path: Path) -> None:
    """Check the summary's rows against themselves and against the event files."""
    rows = summary.get("all_stats")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        report.fail(path, "all_stats is missing or not a list of rows")
        return
    _check_invariants(summary.get("invariants"), report, path)
    seen = Counter(row.get("experiment") for row in rows)
    for experiment, times in seen.items():
        if times > 1:
            report.fail(path, f"experiment {experiment} has {times} rows")
    for row in rows:
        _check_row(row, streams, report, path)
    for artifact in (Artifact.DEATHS, Artifact.BIRTHS, Artifact.COLLAPSES):
        stream = streams.get(artifact)
        if stream is not None and (odd := sorted(stream.by_experiment.keys() - seen.keys())):
            report.fail(path, f"{artifact} speaks of experiments that have no row: {odd[:5]}")


def _check_invariants(invariants: object, report: VerifyReport, path: Path) -> None:
    if not isinstance(invariants, list) or not invariants:
        report.fail(path, "invariants are missing")
        return
    for one in invariants:
        if not isinstance(one, dict) or one.get("passed") is not True:
            name = one.get("name") if isinstance(one, dict) else one
            report.fail(path, f"the invariant {name!r} did not hold")


def _check_row(row: dict[str, Any], streams: dict[Artifact, Stream], report: VerifyReport, path: Path) -> None:
    experiment = row.get("experiment")
    where = f"experiment {experiment}"
    names = ("experiment", "founders", "births", "deaths", "alive_agents", "total_agents_ever")
    if wrong := [name for name in names if type(row.get(name)) is not int]:
        report.fail(path, f"{where}: {', '.join(wrong)} missing or not a whole number")
        return
    alive = row["founders"] + row["births"] - row["deaths"]
    if alive != row["alive_agents"]:
        said = f"{row['founders']} founders + {row['births']} births - {row['deaths']} deaths"
        report.fail(path, f"{where}: {said} = {alive}, and {row['alive_agents']} are alive")
    if row["founders"] + row["births"] != row["total_agents_ever"]:
        report.fail(path, f"{where}: total_agents_ever is {row['total_agents_ever']}, not founders and births")
    _check_reasons(row, streams.get(Artifact.DEATHS), where, report, path)
    _check_triplet(row.get("capital_triplet"), where, report, path)
    collapsed = int(bool((row.get("collapse") or {}).get("detected")))
    for artifact, count in (
        (Artifact.DEATHS, row["deaths"]),
        (Artifact.BIRTHS, row["births"]),
        (Artifact.COLLAPSES, collapsed),
    ):
        stream = streams.get(artifact)
        if stream is not None and stream.by_experiment[row["experiment"]] != count:
            there = stream.by_experiment[row["experiment"]]
            report.fail(path, f"{where}: {count} by its row, {there} lines in {artifact}")


def _check_reasons(row: dict[str, Any], deaths: Stream | None, where: str, report: VerifyReport, path: Path) -> None:
    said = row.get("deaths_by_reason")
    if not isinstance(said, dict):
        report.fail(path, f"{where}: deaths_by_reason is missing")
        return
    if sum(said.values()) != row["deaths"]:
        report.fail(path, f"{where}: deaths_by_reason adds up to {sum(said.values())}, deaths is {row['deaths']}")
    if deaths is not None:
        there = deaths.by_reason.get(row["experiment"], Counter())
        if {reason: count for reason, count in said.items() if count} != dict(there):
            report.fail(path, f"{where}: deaths_by_reason differs from {Artifact.DEATHS}")


def _check_triplet(triplet: object, where: str, report: VerifyReport, path: Path) -> None:
    try:
        parts = [float(triplet[name]) for name in ("allocated_capital", "system_reserve", "current_total")]  # type: ignore[index]
    except (TypeError, KeyError, ValueError):
        report.fail(path, f"{where}: capital_triplet is missing or not three numbers")
        return
    residual = abs(parts[0] + parts[1] - parts[2])
    if not math.isfinite(residual) or residual > TOLERANCE * max(1.0, abs(parts[2])):
        report.fail(path, f"{where}: allocated + reserve differs from the total by {residual:.3g}")
