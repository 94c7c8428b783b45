"""Event lines that retention lets go: the run still verifies, and what is left must agree with itself."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.absences import EVENT_LINES
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.retention.retention_apply import RetentionResult, apply
from prometheus.v10.ops.retention.retention_plan import RetentionPolicy, plan
from prometheus.v10.report.ecology import read_ecology
from prometheus.v10.runs.replay import replay
from tests.callbacks import never
from tests.evidence_kept.test_kept import KEPT, unpacked

from .conftest import Watcher, do_run, profile

NOW = datetime.now(UTC)
SERIES = Artifact.POPULATION_SERIES.value


def clear(layout: Layout, days: float, events_days: int | None = 14) -> RetentionResult:
    """One pass of retention, so many days from now."""
    journal = Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    made = plan(layout, RetentionPolicy(events_days=events_days), NOW + timedelta(days=days), free=1 << 40)
    ledger = InstallationLedger(layout, clock=SystemClock(), instance="T", on_torn=never)
    return apply(made, layout, ledger=ledger, journal=journal)


@pytest.fixture(params=[None, False], ids=["compressed", "as they are"])
def run(request: pytest.FixtureRequest, layout: Layout) -> Path:
    return do_run(layout, profile(evidence={"compress": request.param})).path


def lines_of(run: Path) -> list[str]:
    return [path.name for path in run.iterdir() if path.name.removesuffix(".zst") in EVENT_LINES]


def test_lines_go_when_they_are_old_enough_and_the_run_still_verifies(run: Path, layout: Layout) -> None:
    assert lines_of(run)
    clear(layout, days=13)
    assert len(lines_of(run)) == len(EVENT_LINES)
    result = clear(layout, days=15)
    assert not lines_of(run)
    assert len(result.done) == len(EVENT_LINES)
    assert result.freed_bytes > 0
    found = verify_path(run)
    assert found.exit_code == 0, found.findings
    assert sum("deleted by retention" in one.what for one in found.findings) == len(EVENT_LINES)
    assert audit(layout).exit_code == 0


def test_without_the_policy_they_stay(run: Path, layout: Layout) -> None:
    clear(layout, days=10_000, events_days=None)
    assert len(lines_of(run)) == len(EVENT_LINES)


def test_replay_gives_the_bytes_that_the_tombstones_name(run: Path, layout: Layout, tmp_path: Path) -> None:
    clear(layout, days=15)
    found = replay(run, layout, tmp_path / "scratch", clock=SystemClock(), control=Watcher(), workers=1)
    assert found.identical, found.comparisons
    taken = {one.name for one in found.comparisons if one.detail.startswith("taken since")}
    assert taken == set(EVENT_LINES)


def test_without_their_tombstone_the_run_fails(run: Path, layout: Layout) -> None:
    for name in lines_of(run):
        (run / name).unlink()
    assert verify_path(run).exit_code == 1
    assert audit(layout).exit_code == 1


def test_lines_of_a_run_without_a_series_never_go(tmp_path: Path) -> None:
    """Of what an earlier version wrote: nothing sealed says what its lines came to."""
    layout = Layout.under(unpacked(KEPT[0], tmp_path / "root"))
    result = clear(layout, days=10_000)
    assert not result.done
    assert audit(layout).exit_code == 0


def test_a_report_says_that_the_lines_are_gone(run: Path, layout: Layout) -> None:
    clear(layout, days=15)
    with pytest.raises(EvidenceError, match="its event lines are gone"):
        read_ecology(run)


def test_a_damaged_file_is_refused_and_stays(run: Path, layout: Layout) -> None:
    name = next(name for name in lines_of(run) if name.startswith("death"))
    data = bytearray((run / name).read_bytes())
    data[len(data) // 2] ^= 1
    (run / name).write_bytes(data)
    result = clear(layout, days=15)
    assert [kept.path.rsplit("/", 1)[-1] for kept in result.refused] == [Artifact.DEATHS]
    assert (run / name).exists()


FORGED: dict[str, Any] = {
    "more alive": lambda one: one["alive"].__setitem__(3, one["alive"][3] + 1),
    "another death": lambda one: one["deaths"]["liquidation"].__setitem__(-1, one["deaths"]["liquidation"][-1] + 1),
    "fewer births": lambda one: one.__setitem__("births", [0] * len(one["births"])),
    "another moment": lambda one: one["ticks"].__setitem__(0, one["ticks"][0] + 1),
    "another end": lambda one: one["lives"][0].__setitem__("end", "liquidation"),
    "more agents": lambda one: one["lives"][0].__setitem__("agents", one["lives"][0]["agents"] + 1),
    "lives out of order": lambda one: one["lives"].reverse(),
    "another total": lambda one: one["total"].__setitem__(-1, one["total"][-1] + 1.0),
}


@pytest.mark.parametrize("name", sorted(FORGED))
def test_a_series_that_its_summary_contradicts_is_found(layout: Layout, name: str) -> None:
    run = do_run(layout, profile(evidence={"compress": False})).path
    clear(layout, days=15)
    packed = run / f"{SERIES}.zst"
    place = run / SERIES
    before = place.read_bytes() if place.exists() else zstandard.decompress(packed.read_bytes())
    first, rest = before.split(b"\n", 1)
    record = json.loads(first)
    FORGED[name](record)
    after = canonical_bytes(record) + b"\n" + rest
    place.write_bytes(after)
    sums = (run / Artifact.SHA256SUMS).read_text()
    forged = sums.replace(hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest())
    (run / Artifact.SHA256SUMS).write_text(forged)
    found = verify_path(run)
    assert any(one.where.endswith(SERIES) for one in found.findings), found.findings
