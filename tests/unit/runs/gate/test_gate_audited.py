"""An audit beside a gate that is being sealed: the ledger that it read first may be older than the seal."""

from __future__ import annotations

from pathlib import Path

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from tests.ledger_later import entered_later
from tests.unit.runs.gate.conftest import do_gate, small


def test_a_seal_that_the_ledger_gets_a_moment_later_is_no_finding(tmp_path: Path) -> None:
    layout = Layout.under(tmp_path / "root")
    do_gate(layout, small())
    whole = layout.ledger.read_bytes()
    sealed = whole.splitlines(keepends=True)[-1]
    assert b'"gate_sealed"' in sealed
    layout.ledger.write_bytes(whole.removesuffix(sealed))

    with entered_later(layout.ledger, sealed, 0.3):
        report = audit(layout)
    assert report.exit_code is ExitCode.DONE, report.lines()


def test_a_seal_that_the_ledger_never_gets_is_found(tmp_path: Path) -> None:
    layout = Layout.under(tmp_path / "root")
    do_gate(layout, small())
    whole = layout.ledger.read_bytes()
    layout.ledger.write_bytes(whole.removesuffix(whole.splitlines(keepends=True)[-1]))
    report = audit(layout)
    assert report.exit_code is ExitCode.VERIFY_FAILED
    assert any("the ledger does not know its seal" in line for line in report.lines())
