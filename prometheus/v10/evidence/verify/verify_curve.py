"""Verification of a survival curve, ``state/<instance>/collapse_intervals.jsonl`` (contracts, section 11).

1. The file is a chain of canonical lines; its ticks and times add up from line to line.
2. With the installation at hand: each line is what its run's own files say, the ledger's places of it hold, and no
   sealed run of the instance is left out.

Standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import CURVE_FILE, Artifact, Schema, is_instance, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.chains.chain import START, Lines, after
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.chains.scan import open_for_reading
from prometheus.v10.evidence.records.canonical import is_canonical, strict_loads
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.records.verify_manifest import moment
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.evidence.verify.curve_strata import StratumTicks, wrong_strata

KINDS = frozenset(["collapse", "run", "reboot"])
MAX_WRONG = 20


@dataclass
class Curve:
    """What a curve's lines say: collapses and closing line by run, and the head at each count of lines.

    Attributes:
        strata: experiment and stratum of each collapse, by run.
        grown: ticks that each stratum grew by, by run.
    """

    collapses: dict[str, list[tuple[int, str, int]]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    strata: dict[str, list[tuple[int, object]]] = field(default_factory=dict)
    grown: dict[str, dict[str, int]] = field(default_factory=dict)
    lines: int = 0
    instances: set[str] = field(default_factory=set)


def verify_curve(path: Path) -> VerifyReport:
    """Verify a curve by itself."""
    report = VerifyReport(path, "curve")
    try:
        curve = read_curve(path, report)
    except PrometheusError as error:
        report.error(path, error.message)
        return report
    report.facts.update(records=curve.lines, runs=len(curve.runs))
    return report


def read_curve(path: Path, report: VerifyReport) -> Curve:
    """Read a curve, line by line, and say what is wrong with it.

    Raises:
        EvidenceError: when it is not a regular file.
        HostError: when it cannot be read.
    """
    curve, checker, link = Curve(heads={0: START.prev}), _Checker(), START
    wrong = 0
    fd = open_for_reading(path)
    try:
        lines = Lines(fd)
        for line in lines:
            record, what = _parse(line, link.n, link.prev)
            if what is None and record is not None:
                what = checker.wrong(record)
            if what is not None:
                wrong += 1
                if wrong <= MAX_WRONG:
                    report.fail(path, f"byte {lines.offset}, line {link.n + 1}: {what}")
            if record is not None:
                _take(curve, record)
            link = after(line, link.n)
            curve.heads[link.n] = link.prev
        if lines.size > lines.end:
            report.note(path, f"{lines.size - lines.end} bytes after the last whole line: an interrupted append")
    finally:
        os.close(fd)
    curve.lines, curve.grown = link.n, checker.grown
    return curve


def _parse(line: bytes, n: int, prev: str) -> tuple[dict[str, Any] | None, str | None]:  # noqa: PLR0911  (one a rule)
    try:
        record = strict_loads(line[:-1])
    except ValueError as error:
        return None, str(error)
    if not isinstance(record, dict) or not is_canonical(line[:-1], record):
        return None, "not a canonical object"
    kind = record.get("type")
    if kind not in KINDS or record.get("schema") != Schema.COLLAPSE_INTERVAL.value:
        return None, f"a {kind!r} of {record.get('schema')!r} is no line of a survival curve"
    if (what := schema_of(f"collapse_interval.{kind}").first(record)) is not None:
        return None, what
    if moment(record["ts_utc"]) is None:
        return None, f"ts_utc is {record['ts_utc']!r}, no moment"
    if (record.get("n"), record.get("prev")) != (n, prev):
        return record, "it does not follow the line before it"
    return record, None


def _take(curve: Curve, record: dict[str, Any]) -> None:
    curve.instances.add(record["instance"])
    if record["type"] == "collapse":
        found = (record["experiment"], record["reason"], record["tick"])
        curve.collapses.setdefault(record["run_id"], []).append(found)
        curve.strata.setdefault(record["run_id"], []).append((record["experiment"], record.get("stratum")))
    elif record["type"] == "run":
        curve.runs[record["run_id"]] = record


class _Checker:
    """Figures that follow from the lines before."""

    def __init__(self) -> None:
        self._total = 0
        self._previous: dict[str, Any] | None = None
        self._open = 0
        self._strata = StratumTicks()

    @property
    def grown(self) -> dict[str, dict[str, int]]:
        """Ticks that each stratum grew by, by run."""
        return self._strata.grown

    def wrong(self, record: dict[str, Any]) -> str | None:
        """What does not follow from the lines before; None when all does."""
        kind = record["type"]
        if kind == "collapse":
            self._open += 1
            what = self._wrong_collapse(record) or self._strata.wrong_collapse(record)
            self._previous = record
            return what
        if kind == "run":
            if (what := self._strata.wrong_run(record)) is not None:
                return what
            seen, self._open = self._open, 0
            total, self._total = self._total, record["ticks_total"]
            if record["collapses"] < seen:
                return f"the run has {record['collapses']} collapses, and {seen} lines before it"
            if record["ticks"] is not None and record["ticks_total"] != total + record["ticks"]:
                return f"ticks_total is {record['ticks_total']}, and {total} + {record['ticks']} is not that"
            return None if record["ticks_total"] >= total else "ticks_total falls"
        return self._wrong_reboot(record)

    def _wrong_collapse(self, record: dict[str, Any]) -> str | None:
        before, since = self._previous, record["ticks_since_previous"]
        if record["ticks_total"] <= self._total:
            return "ticks_total is not after the run before"
        if before is None:
            known = since is not None or record["seconds_since_previous"] is not None
            return "nothing collapsed before it, and it names an interval" if known else None
        if since != record["ticks_total"] - before["ticks_total"]:
            return f"ticks_since_previous is {since}, it is {record['ticks_total'] - before['ticks_total']}"
        return _wrong_seconds(record["seconds_since_previous"], before["ts_utc"], record["ts_utc"])

    def _wrong_reboot(self, record: dict[str, Any]) -> str | None:
        before = self._previous
        if before is None or before["run_id"] != record["after_run_id"]:
            return f"a reboot after {record['after_run_id']}, which did not collapse last"
        return None


def _wrong_seconds(said: float | None, earlier: str, later: str) -> str | None:
    begin, end = moment(earlier), moment(later)
    if begin is None or end is None:
        return None
    seconds = (end - begin).total_seconds()
    if said is None:
        return "seconds_since_previous is null, and the clock did not step back" if seconds >= 0 else None
    return None if said == seconds else f"seconds_since_previous is {said}, it is {seconds}"


# ---- against the installation ----------------------------------------------------------------------------------------


def audit_curves(
    layout: Layout,
    view: LedgerView | None,
    report: VerifyReport,
    *,
    is_alive: Callable[[str], bool] | None,
    again: Callable[[], LedgerView | None],
) -> None:
    """Hold every instance's curve against the ledger and against its runs.

    Args:
        layout: the installation.
        view: the ledger as it was read last.
        report: where findings go.
        is_alive: whether an instance is at work.
        again: reads the ledger anew; None when that was done often enough.
    """
    there = dict(_curves(layout))
    places: dict[str, list[tuple[str, int, str]]] = {}
    for run_id, begun in (view.started if view is not None else {}).items():
        said = begun.payload["curve"]
        if said is None:
            continue
        places.setdefault(begun.instance, []).append((run_id, said["records"], said["head"]))
    for instance in sorted({*there, *places}):
        path = there.get(instance, layout.state / instance / CURVE_FILE)
        try:
            quiet = VerifyReport(path, "curve")
            _audit_curve(path, instance, places.get(instance, []), layout, view, quiet, is_alive)
            while quiet.exit_code and (fresh := again()) is not None:  # a run may have been sealed in between
                view, quiet = fresh, VerifyReport(path, "curve")
                _audit_curve(path, instance, places.get(instance, []), layout, view, quiet, is_alive)
            report.findings += quiet.findings
        except PrometheusError as error:
            report.error(path, error.message)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            report.error(path, f"could not be compared with its runs: {error!r}")


def _curves(layout: Layout) -> Iterator[tuple[str, Path]]:
    if layout.state.is_dir():
        for folder in sorted(layout.state.iterdir()):
            path = folder / CURVE_FILE
            if is_instance(folder.name) and os.path.lexists(path):
                yield folder.name, path


def _audit_curve(
    path: Path, instance: str, places: list[tuple[str, int, str]], layout: Layout, view: LedgerView | None,
    report: VerifyReport, is_alive: Callable[[str], bool] | None,
) -> None:  # fmt: skip
    sealed = [run for run, begun in (view.started if view else {}).items() if begun.instance == instance and view
              and run in view.seals and begun.payload["curve"] is not None
              and begun.payload["tier"] == Tier.TIER1_HF.value]  # fmt: skip
    if not os.path.lexists(path):
        if places:
            report.fail(path, f"the survival curve of {instance} is gone")
        return
    curve = read_curve(path, report)
    for run_id, records, head in places:
        if curve.heads.get(records) != head:
            report.fail(path, f"its first {records} lines are not those that it had when {run_id} began")
            break
    if wrong := sorted(curve.instances - {instance}):
        report.fail(path, f"speaks of instance {wrong[0]!r}")
    for run_id, line in curve.runs.items():
        if (what := _wrong_run(run_id, line, curve, layout, view)) is not None:
            report.fail(path, f"{run_id}: {what}")
    at_work = is_alive is None or is_alive(instance)
    for run_id in sealed:
        if run_id not in curve.runs and not (at_work and run_id == sealed[-1]):
            after_a_kill = f"; after a kill the next start of {instance} enters it" if run_id == sealed[-1] else ""
            report.fail(path, f"{run_id} is sealed, and the survival curve leaves it out{after_a_kill}")


def _wrong_run(  # noqa: PLR0911  (one line a rule)
    run_id: str, line: dict[str, Any], curve: Curve, layout: Layout, view: LedgerView | None
) -> str | None:
    """What a run's own files say otherwise; None where they agree, or are gone with their tombstone."""
    if not is_run_id(run_id):
        return "that is no run id"
    if view is not None and view.installation is not None and run_id not in view.seals:
        return "the ledger does not know it as sealed" if run_id not in view.inherited else None
    seal = view.seals.get(run_id, [{}])[-1] if view is not None else {}
    if seal.get("status") not in {None, line["status"]}:
        return f"its status is {line['status']!r}, its seal says {seal['status']!r}"
    run_dir = next((place for place in layout.run_places(run_id) if place.is_dir()), None)
    if run_dir is None:
        return None
    events = sorted(_events(read_if_there(run_dir / Artifact.COLLAPSES, at_most=LARGE) or b""))
    if sorted(curve.collapses.get(run_id, [])) != events or line["collapses"] != len(events):
        return "its collapses are not those of the run's own file"
    data = read_if_there(run_dir / Artifact.SUMMARY, at_most=LARGE)
    lived = None if data is None else sum(row["ticks"] for row in strict_loads(data)["all_stats"])
    if (run_dir / Artifact.INTERRUPTED).exists():
        return None
    if line["ticks"] != lived:
        return f"ticks is {line['ticks']}, the run's experiments lived {lived}"
    return wrong_strata(run_dir, line, curve.grown.get(run_id, {}), curve.strata.get(run_id, []))


def _events(data: bytes) -> Iterator[tuple[int, str, int]]:
    for line in data.split(b"\n")[:-1]:
        if line.strip(b"\0"):
            event = json.loads(line)
            yield event["experiment"], event["reason"], event["tick"]
