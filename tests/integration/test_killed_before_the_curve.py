"""The machine died between a run's ledger line and its lines of the survival curve."""

from __future__ import annotations

import json
from pathlib import Path

from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.records.findings import Level
from tests.integration.conftest import Tree, small_profile
from tests.integration.test_forged_history import runs, serve


def test_the_audit_names_the_run_and_the_next_start_completes_the_curve(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")
    tree.write_profile(small_profile(workers=1, count=1, bars=600, pause=0.0))
    assert serve(tree.root, 2).returncode == 0
    curve, last = tree.layout.state / "HF" / "collapse_intervals.jsonl", runs(tree.layout)[-1].name
    lines = curve.read_bytes().splitlines(keepends=True)
    curve.write_bytes(b"".join(line for line in lines if json.loads(line)["run_id"] != last))
    report = audit(tree.layout, is_alive=lambda _: False)
    (said,) = [one.what for one in report.findings if one.level is not Level.NOTE]
    left_out = f"{last} is sealed, and the survival curve leaves it out"
    assert said == f"{left_out}; after a kill the next start of HF enters it"
    assert serve(tree.root).returncode == 0
    assert audit(tree.layout).exit_code == 0
