"""An audit beside retention: the ledger that it read first may be older than what retention did to a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.retention.retention_apply import apply
from prometheus.v10.ops.retention.retention_plan import RetentionPolicy, plan
from tests.callbacks import never
from tests.ledger_later import entered_later

from .conftest import do_run, profile


def compressed(layout: Layout) -> tuple[bytes, bytes]:
    """A run whose lines retention compressed: the ledger before, and what it has since."""
    do_run(layout, profile(evidence={"compress": False}))
    before = layout.ledger.read_bytes()
    journal = Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    made = plan(layout, RetentionPolicy(compress_days=1), datetime.now(UTC) + timedelta(days=9), free=1 << 40)
    apply(made, layout, ledger=InstallationLedger(layout, clock=SystemClock(), instance="T", on_torn=never),
          journal=journal)  # fmt: skip
    return before, layout.ledger.read_bytes().removeprefix(before)


def test_a_compression_that_the_ledger_gets_a_moment_later_is_no_finding(layout: Layout) -> None:
    before, since = compressed(layout)
    assert b".jsonl" in since
    layout.ledger.write_bytes(before)

    with entered_later(layout.ledger, since, 0.1):
        report = audit(layout)
    assert report.exit_code is ExitCode.DONE, report.lines()


def test_a_compression_that_the_ledger_never_gets_is_found(layout: Layout) -> None:
    before, _ = compressed(layout)
    layout.ledger.write_bytes(before)
    report = audit(layout)
    assert report.exit_code is ExitCode.VERIFY_FAILED
    assert any("the ledger does not know this compression of it" in line for line in report.lines())
