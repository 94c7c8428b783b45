"""What a run's files imply of each other, held against what they say (`prometheus.v10.evidence.derive`).

Standard library only.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import RunPrefix, Tier
from prometheus.v10.base.names import EVENT_STREAMS, Artifact, Schema, required
from prometheus.v10.evidence.derive.derived_run import Say, check_outcome, check_plan, check_summary, pooled_of
from prometheus.v10.evidence.derive.derived_telemetry import fingerprint_findings, telemetry_findings
from prometheus.v10.evidence.derive.eras.founded import ERA, check_founders
from prometheus.v10.evidence.derive.exchanged.exchange_modes import is_exchange
from prometheus.v10.evidence.derive.lives import Lives, read_lives
from prometheus.v10.evidence.derive.orders import Orders
from prometheus.v10.evidence.derive.rows import FILES
from prometheus.v10.evidence.derive.series.series_findings import check_series, check_series_alone
from prometheus.v10.evidence.derive.setting import Setting, setting_of
from prometheus.v10.evidence.derive.typed import is_count
from prometheus.v10.evidence.records.canonical import pretty_bytes
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.schemas.schema_file import schema_of

MOST_SAID = 40
"""Findings of one artifact that are spelt out."""


@dataclass
class Documents:
    """The JSON artifacts that were read; None where one is missing or no object."""

    manifest: dict[str, Any]
    summary: dict[str, Any] | None = None
    telemetry: dict[str, Any] | None = None
    fingerprint: dict[str, Any] | None = None


@dataclass
class Derivation:
    """What was derived of one run.

    Attributes:
        orders: to hold the raw records against; None where lives are not known whole.
    """

    lives: Lives = field(default_factory=Lives)
    orders: Orders | None = None


def derive(
    run_dir: Path, setting: Setting, documents: Documents, paths: Mapping[Artifact, Path], report: VerifyReport, *,
    unfinished: bool, own: Container[str] = (),
) -> Derivation:  # fmt: skip
    """Derive what can be, and say everything that differs.

    Args:
        run_dir: the run.
        setting: of its experiments.
        documents: its JSON artifacts.
        paths: where its files of lines lie: unpacked where they are compressed.
        report: where findings go.
        unfinished: the run was cut off, or failed: its last experiment may be filed in part.
        own: files that this process unpacked, and hashed as it did.

    Raises:
        OSError: when a file cannot be read.
        PrometheusError: when one is no regular file.
    """
    manifest = documents.manifest
    rows = rows_of(documents.summary, report, run_dir / Artifact.SUMMARY)
    files = {name: paths[name] for name in (*FILES, Artifact.POPULATION_SERIES) if name in paths}
    lives = read_lives(setting, files, rows, unfinished=unfinished, own=own)
    for where, line, what in lives.findings:
        report.fail(run_dir / where, what if line is None else f"line {line + 1}: {what}")
    for name, count in lives.hidden.items():
        report.fail(run_dir / name, f"{count} more findings of this kind")
    for artifact in lives.too_much:
        report.error(run_dir / artifact, "one experiment takes more than 1 GiB: the rest was not looked at")
    if not setting.survivors:
        report.note(run_dir, "manifest version 1: it filed no survivors, so less of it can be derived")
        return Derivation(lives)
    say = _Sayer(report, run_dir / Artifact.MANIFEST)
    if is_stage2(manifest, run_dir.name):
        from prometheus.v10.evidence.verify import verify_judged as judged

        judged.check_judged(setting, manifest, lives.told, run_dir, say)
    else:
        check_plan(manifest, say)
        if Artifact.FOUNDERS in paths and ERA in manifest:
            told = _Sayer(report, run_dir / Artifact.FOUNDERS)
            check_founders(paths[Artifact.FOUNDERS], manifest, setting, lives.told, told, unfinished=unfinished)
    if Artifact.POPULATION_SERIES in paths and not lives.series:
        told = _Sayer(report, run_dir / Artifact.POPULATION_SERIES)
        series = {experiment: one.series for experiment, one in lives.told.items()}
        check_series(paths[Artifact.POPULATION_SERIES], setting, series, rows, told, unfinished=unfinished)
    whole = not lives.findings and not lives.too_much
    if manifest.get("status") != "running" and not unfinished and whole:
        _check_results(run_dir, setting, documents, lives, report, say, rows=rows is not None)
    at_exchange = is_exchange(manifest)
    if documents.fingerprint is not None and not at_exchange:
        said = _Sayer(report, run_dir / Artifact.FINGERPRINT)
        for what in fingerprint_findings(documents.fingerprint, run_dir.name):
            said(what)
    whole = whole and all(one.whole for one in lives.told.values())
    simulated = whole and not unfinished and not at_exchange
    return Derivation(lives, Orders(setting, manifest, lives.told) if simulated else None)


def derive_without_lines(
    run_dir: Path, setting: Setting, documents: Documents, series: Path | None, report: VerifyReport
) -> None:
    """What is left to hold against each other once retention took the event lines: the sealed series and the summary.

    Args:
        run_dir: the run.
        setting: of its experiments.
        documents: its JSON artifacts.
        series: where ``population_series.jsonl`` lies; None where it is not there, which is said elsewhere.
        report: where findings go.

    Raises:
        OSError: when a file cannot be read.
        PrometheusError: when one is no regular file.
    """
    report.note(run_dir, "its event lines are deleted: its series is held against its summary, and replay proves it")
    check_plan(documents.manifest, _Sayer(report, run_dir / Artifact.MANIFEST))
    rows = rows_of(documents.summary, report, run_dir / Artifact.SUMMARY)
    if series is not None and rows is not None:
        check_series_alone(series, setting, rows, _Sayer(report, run_dir / Artifact.POPULATION_SERIES))


def setting_in(manifest: dict[str, Any], run_id: str, report: VerifyReport, run_dir: Path) -> Setting | None:
    """What a manifest settles for its experiments; None where that is too little, which is said here."""
    # A manifest of the version before promised less; what it does not settle cannot be derived.
    old = manifest.get("schema") == Schema.MANIFEST_1.value
    what, excused = "it does not settle world, window, market and seeds as it must", old
    setting: Setting | None = None
    if not is_stage2(manifest, run_id):
        setting = setting_of(manifest)
    elif old:
        what = "stage 2, manifest version 1: it filed no survivors, so less can be derived"
    else:
        from prometheus.v10.evidence.derive.judged.judging import UnsettledError, judging_of

        try:
            setting = judging_of(manifest)
        except UnsettledError as error:
            what, excused = f"stage 2: {error.what}", error.excused
    if setting is None:
        say = report.note if excused else report.fail
        say(run_dir / Artifact.MANIFEST, what)
    return setting


def _check_results(
    run_dir: Path, setting: Setting, documents: Documents, lives: Lives, report: VerifyReport, say: Say, *, rows: bool
) -> None:
    """What the run came to, by its documents, against what its event files hold."""
    manifest = documents.manifest
    if is_stage2(manifest, run_dir.name):
        from prometheus.v10.evidence.verify import verify_judged as judged

        pooled = judged.check_judged_results(setting, manifest, lives.told, run_dir, say)
    else:
        pooled = pooled_of(manifest, lives.told)
    check_outcome(manifest, lives, setting, pooled, say)
    if documents.summary is not None and rows:
        check_summary(manifest, documents.summary, lives, _Sayer(report, run_dir / Artifact.SUMMARY))
    if documents.telemetry is not None:
        said = _Sayer(report, run_dir / Artifact.TELEMETRY)
        for what in telemetry_findings(documents.telemetry, manifest, lives.told, setting.bars):
            said(what)


def rows_of(summary: Mapping[str, Any] | None, report: VerifyReport, path: Path) -> dict[int, Mapping[str, Any]] | None:
    """The summary's rows by experiment; None where there is no summary with rows."""
    if summary is None:
        return None
    rows = summary.get("all_stats")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and is_count(row.get("experiment")) for row in rows):
        report.fail(path, "all_stats is missing or not a list of rows with their experiments")
        return None
    found = {row["experiment"]: row for row in rows}
    if len(found) != len(rows):
        report.fail(path, "an experiment has two rows")
    if summary.keys() != schema_of(Schema.SUMMARY).fields or summary.get("schema") != Schema.SUMMARY.value:
        report.fail(path, f"its fields are not those of {Schema.SUMMARY.value}")
    if summary.get("null_reasons") != {}:
        report.fail(path, "null_reasons is not empty: each row answers for its own nulls")
    return found


class _Sayer:
    """Says what is wrong with one artifact, up to a number of sentences."""

    def __init__(self, report: VerifyReport, path: Path) -> None:
        self.report, self.path, self.said = report, path, 0

    def __call__(self, what: str) -> None:
        self.said += 1
        if self.said <= MOST_SAID:
            self.report.fail(self.path, what)
        elif self.said == MOST_SAID + 1:
            self.report.fail(self.path, "and more of this kind")


def is_stage2(manifest: dict[str, Any], run_id: str) -> bool:
    """Whether a run judged a snapshot: manifest and name of the run agree on it."""
    return manifest.get("stage") == "stage2" and run_id.startswith(f"{RunPrefix.STAGE2}_")


def as_written(data: bytes, found: dict[str, Any]) -> bool:
    """Whether an artifact's bytes are the one spelling of what it holds."""
    try:
        return pretty_bytes(found) == data
    except (ValueError, TypeError, RecursionError):
        return False


def excused_files(manifest: dict[str, Any], run_id: str) -> set[str]:
    """Files that a failed run may lack: never an event file, and in version 2 only those that it names."""
    if manifest.get("status") != "failed":
        return set()
    artifacts = {artifact.file_name(run_id=run_id) for artifact in required(Tier.TIER2_FULL)}
    may = artifacts - {*EVENT_STREAMS, Artifact.MANIFEST.value}
    if manifest.get("schema") == Schema.MANIFEST_1.value:
        return may
    failure = manifest.get("failure")
    named = failure.get("missing") if isinstance(failure, dict) else None
    return may & {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()
