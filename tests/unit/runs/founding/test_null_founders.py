"""The control on shuffled returns that the inherited line's own ancestors found (ADR 0076)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.runs.replay import replay
from tests.unit.runs.conftest import Watcher
from tests.unit.runs.founding.test_eras import PROFILE, by_era, lines, pool

ERAS = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("null_founders") / "root"
    profile = root.parent / "ERA.toml"
    profile.write_text(PROFILE + 'null_founders = "inherit"\n')
    words = ["run", "--root", str(root), "--profile", str(profile), "--instance", "T", "--eras", str(ERAS)]
    assert cli.main(words) == ExitCode.DONE
    return root


def test_the_inherited_line_founds_the_populations_on_shuffled_returns(made):
    of_line = {record["id"]: record["source"]["lineage"]["line"] for record in pool(made)}
    for run in by_era(made)[1:]:
        for line in lines(run / "founders.jsonl"):
            found = {of_line[parent["record_id"]] for parent in line["parents"]}
            assert found == (set() if line["line"] == "fresh" else {"inherit"})
    assert "null" in of_line.values()


def test_every_check_passes(made, tmp_path):
    assert [one for run in by_era(made) for one in verify_run(run).findings if one.level.value != "note"] == []
    assert [one for one in audit(Layout.under(made)).findings if one.level.value != "note"] == []
    again = replay(
        by_era(made)[2], Layout.under(made), tmp_path / "again", clock=SystemClock(), control=Watcher(), workers=1
    )
    assert [one for one in (again.verified, *again.comparisons) if not one.same] == []


def test_an_ancestor_of_the_shuffled_line_is_found(made, tmp_path):
    root = Path(shutil.copytree(made, tmp_path / "root"))
    run = by_era(root)[2]
    place = run / "founders.jsonl"
    records = [one for one in pool(root) if one["source"]["lineage"]["era"] == 1]
    other = next(one for one in records if one["source"]["lineage"]["line"] == "null")
    written = lines(place)
    number, parent = next((k, line["parents"][0]) for k, line in enumerate(written) if line["line"] == "null")
    text = place.read_text().splitlines(keepends=True)
    text[number] = text[number].replace(parent["record_id"], other["id"])
    text[number] = text[number].replace(parent["genome_sha256"], other["genome_sha256"])
    place.chmod(0o640)
    place.write_text("".join(text))
    said = [one.what for one in audit(Layout.under(root)).findings]
    assert any(f"parent {other['id']} is of line null of T, not of line inherit of T" in what for what in said)


def test_the_pool_keeps_what_lived_on_shuffled_returns_apart(made):
    arms = {(one["source"]["lineage"]["line"], one["source"]["arm"]) for one in pool(made)}
    assert arms == {("inherit", "A_real"), ("fresh", "A_real"), ("null", "B2_shuffle_returns")}
    assert Layout.under(made).pool(Stage.STAGE1).exists()


def test_a_line_that_cannot_found_is_refused(tmp_path, capsys):
    profile = tmp_path / "X.toml"
    profile.write_text(PROFILE + 'null_founders = "fresh"\n')
    assert cli.main(["profile", "check", str(profile), "--root", str(tmp_path), "--json"]) == ExitCode.CONFIG
    assert "null_founders" in json.dumps(capsys.readouterr())
