"""What `verify` says of a run, for its page."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from prometheus.v10.base.errors import ExitCode, PrometheusError
from prometheus.v10.evidence.records.findings import Level
from prometheus.v10.evidence.verify.verify_run import verify_run

WORDS = {ExitCode.DONE: "PASS", ExitCode.VERIFY_FAILED: "FAIL"}
MOST_FINDINGS = 12


@frozen(kw_only=True)
class Verified:
    """What `verify` said when the page was made: its word (PASS, FAIL, ERROR) and its first findings."""

    word: str
    findings: tuple[str, ...] = ()


def verified(run: Path) -> Verified:
    """What `verify` says of a run; ERROR where it could not be checked."""
    try:
        report = verify_run(run)
    except PrometheusError as error:
        return Verified(word="ERROR", findings=(str(error),))
    found = [one for one in report.findings if one.level is not Level.NOTE]
    lines = [f"{Path(one.where).name}: {one.what}" for one in found[:MOST_FINDINGS]]
    if len(found) > MOST_FINDINGS:
        lines.append(f"+ {len(found) - MOST_FINDINGS}")
    return Verified(word=WORDS.get(report.exit_code, "ERROR"), findings=tuple(lines))
