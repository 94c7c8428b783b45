"""Sessions at an exchange that earlier commits wrote: verified, audited, compared by the code of today (README.md)."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.derive.netted.rederived_round import broken_order, misfits, order_ids
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.writing.seal import seal_run
from tests.execution.compare_records import differences

HERE = Path(__file__).parent
KEPT = sorted(place.parent.name for place in HERE.glob("*/exchanged.tar.xz"))
ROUNDS = Artifact.NETTING_ROUNDS.value


@pytest.fixture(scope="module", params=KEPT)
def root(request, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("kept") / "root"
    with tarfile.open(HERE / request.param / "exchanged.tar.xz") as packed:
        packed.extractall(place, filter="data")
    return place


@pytest.fixture
def run(root) -> Path:
    (found,) = (root / "runs").iterdir()
    return found


def rounds_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / ROUNDS).read_bytes().splitlines()]


def test_the_last_commit_with_one_order_a_round_is_kept():
    assert "4e8d912" in KEPT
    assert sum(place.stat().st_size for place in HERE.glob("*/exchanged.tar.xz")) < 300_000 * len(KEPT)


def test_a_session_was_written_by_the_commit_whose_name_it_has(run, request):
    manifest = json.loads((run / Artifact.MANIFEST).read_bytes())
    commit = request.node.callspec.params["root"]
    assert (manifest["git_commit"][: len(commit)], manifest["git_dirty"]) == (commit, False)


def test_a_session_verifies_and_audits(root, run):
    report = verify_path(run)
    assert report.exit_code is ExitCode.DONE, report.lines()
    assert audit(Layout.under(root)).exit_code is ExitCode.DONE


def test_its_rounds_are_of_version_1_and_follow_from_their_own_bytes(run):
    rounds = rounds_of(run)
    assert {one["schema"] for one in rounds} == {"netting_round/1"}
    assert [found for one in rounds for found in misfits(one)] + broken_order(rounds) == []
    assert [order_ids(one) for one in rounds] == [[one["client_order_id"]] for one in rounds]


def test_the_venues_journal_agrees_with_what_was_kept(root, run):
    assert differences(root / "practice" / run.name / "venue.jsonl", run) == []


@pytest.mark.parametrize("change", [{"net_lots": 1}, {"schema": "netting_round/2"}])
def test_a_changed_round_of_version_1_is_found(run, tmp_path, change):
    copy = tmp_path / "runs" / run.name
    copy.mkdir(parents=True)
    for place in run.iterdir():
        if place.name not in {"SHA256SUMS.txt", "FILELIST.ls.txt"}:
            (copy / place.name).write_bytes(place.read_bytes())
    rounds = rounds_of(run)
    rounds[0] |= change
    text = "".join(json.dumps(one, sort_keys=True, separators=(",", ":")) + "\n" for one in rounds)
    (copy / ROUNDS).write_text(text)
    seal_run(copy)
    report = verify_path(copy)
    assert report.exit_code is ExitCode.VERIFY_FAILED, report.lines()
