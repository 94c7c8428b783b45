"""An audit of a long history: a thousand runs by one service, a gigabyte of pool, and every witness of them.

``PQ_HISTORY_RUNS`` runs (none by default: ``make history`` and ``make torture`` ask for 1 000). Everything was written
by the service itself. The audit is asked as an operator asks it, by the installed command, and by a program that has
no main guard: work that the audit hands to other processes must not run the asking program again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.durable import run_watched
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit_bytes
from tests.integration.faults.support import how_many

RUNS = how_many("HISTORY_RUNS", 0)
PROFILE = """
mode = "offline"
workers = 2
[market]
timeframe_s = 300
seed = 7
bars = 400
[window]
name = "H"
start = 20
len = 300
[experiments]
count = 1
[world]
founders = 320
review_ticks = 100
death_roi = -0.2
[evidence]
order_sample_one_in = 20
[service]
pause_seconds = 0.0
[disk]
keep_free_bytes = 1048576
"""
UNGUARDED = """
import sys
from pathlib import Path
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
with open(sys.argv[2], "a") as log:
    log.write("began\\n")
sys.exit(audit(Layout.under(Path(sys.argv[1]))).exit_code)
"""


@pytest.mark.skipif(RUNS == 0, reason="PQ_HISTORY_RUNS is not set: `make history` audits 1 000 runs")
def test_an_audit_of_a_long_history_passes_and_says_what_it_takes(tmp_path: Path, record_property) -> None:
    layout = Layout.under(tmp_path / "root")
    layout.prepare()
    layout.profiles.mkdir(parents=True, exist_ok=True)
    (layout.profiles / "HF.toml").write_text(PROFILE)
    service = [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage1"]
    subprocess.run(
        [*service, "--instance", "HF", "--root", str(layout.lib), "--max-runs", str(RUNS)],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pool = layout.pool(Stage.STAGE1).stat().st_size
    nbytes = audit_bytes(layout)
    command = str(Path(sys.executable).with_name("prometheus-quant"))
    script, log = tmp_path / "unguarded.py", tmp_path / "log"
    script.write_text(UNGUARDED)
    everything = [path for path in layout.lib.rglob("*") if path.is_file()]
    lines = [f"audit of {RUNS} runs, {nbytes / 1e6:,.0f} MB, {pool / 1e6:,.0f} MB of them the pool, out of the cache:"]
    for name, asked in (
        ("the installed command", [command, "audit", "--root", str(layout.lib), "--json"]),
        ("a program without a main guard", [sys.executable, str(script), str(layout.lib), str(log)]),
    ):
        watched = run_watched(asked, everything)
        speed = nbytes / 1e6 / watched.seconds
        lines.append(f"  {name}: {watched.seconds:.1f} s, {speed:.0f} MB/s, largest process {watched.rss_mb:.0f} MB")
    record_property("figure", "\n".join(lines))
    assert log.read_text() == "began\n", "the audit's helpers ran the asking program again"
    told = subprocess.run([command, "audit", "--root", str(layout.lib), "--json"], capture_output=True, check=True)
    (report,) = json.loads(told.stdout)["reports"]
    assert report["facts"]["runs"] == RUNS
