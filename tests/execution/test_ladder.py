"""The C ladder: its drills at a small size, verdicts from files alone, and each condition without its evidence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prometheus.cli.main import main
from prometheus.cli.research.practice.ladder_command import checkout
from prometheus.v10.evidence.schemas.schema_file import compiled, schema_of
from prometheus.v10.report.rungs.ladder_evidence import Bundle, Gathered, Session, gather_ladder
from prometheus.v10.report.rungs.ladder_judging import LADDER, asks_of, judge, rung_of
from prometheus.v10.report.rungs.ladder_records import Condition, LadderVerdict
from tests.execution.sealed_run_copies import CASES, Case, SealedCopy
from tests.integration.test_outputs import shipped

pytest.importorskip("aiohttp")
pytest.importorskip("okx")
pytest.importorskip("jinja2")
SMALL = ("--agents", "8", "--bars", "7", "--bar-seconds", "14400")
NOT_HERE = {"Step 1", "Step 3", "G4.3", "G4.7"}
"""A small ladder on our own venue cannot show these."""


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, Any]:
    """What a small ladder printed; its installation lies below ``root``."""
    root = tmp_path_factory.mktemp("ladder")
    command = [sys.executable, "-m", "prometheus.cli", "execution", "ladder", "--root", str(root), *SMALL, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return {**json.loads(ended.stdout), "root": str(root)}


@pytest.fixture(scope="module")
def own(said) -> Path:
    """The installation of the drills."""
    return Path(said["record"]).parent


@pytest.fixture(scope="module")
def verdict(own) -> LadderVerdict:
    return judge(gather_ladder(own, checkout()))


# ---- the ladder ------------------------------------------------------------------------------------------------------


@pytest.mark.drill
def test_every_rung_passes_that_our_own_venue_can_show(said):
    found = {one["rung"]: one["verdict"] for one in said["rungs"]}
    assert {name for name, one in found.items() if one != "pass"} == NOT_HERE
    assert {found[name] for name in NOT_HERE} == {"insufficient"}
    assert (said["verdict"], said["counts"]["fail"]) == ("insufficient", 0)


def test_the_verdict_says_both_times_and_that_compressed_time_proves_no_day(said):
    longest = next(one for one in said["rungs"] if one["rung"] == "C1.3")
    assert longest["venue_seconds"] == 7 * 14_400 > longest["wall_seconds"]
    assert "does not prove 24 hours of wall time" in said["time"]


def test_nothing_lies_in_the_installation_but_the_ladders_own_folder(said, own):
    root = Path(said["root"])
    assert [one.name for one in root.iterdir()] == ["practice"]
    assert own.parent == root / "practice"


def test_the_verdict_comes_from_the_files_alone(said, own, capsys):
    """Another process, which drove nothing, comes to the same bytes."""
    record, page = own / "again.json", own / "again.html"
    code = main(["execution", "judge", str(own), "--record", str(record), "--page", str(page), "--json"])
    again = json.loads(capsys.readouterr().out)
    assert (code, again["rungs"]) == (0, said["rungs"])
    assert record.read_bytes() == (own / "ladder_verdict.json").read_bytes()
    assert page.read_bytes() == (own / "ladder.html").read_bytes()


def test_outputs_and_records_are_as_their_schemas_say(said, own):
    printed = {name: value for name, value in said.items() if name != "root"}
    assert compiled("execution_ladder", shipped("execution_ladder")).wrong(printed) == []
    assert schema_of("ladder_verdict").wrong(json.loads((own / "ladder_verdict.json").read_bytes())) == []
    for place in sorted((own / "starts").iterdir()):
        assert schema_of("ladder_start").wrong(json.loads(place.read_bytes())) == []


def test_the_page_names_file_field_value_and_run_of_each_condition_and_loads_nothing(own, verdict):
    text = (own / "ladder.html").read_text()
    for rung in verdict.rungs:
        assert f"{rung.rung}: {rung.verdict}." in text
        assert all(one.file in text and one.run_id in {None, *_ids(verdict)} for one in rung.conditions)
    assert not any(word in text for word in ("<script", "http://", "https://", "src="))


def _ids(verdict: LadderVerdict) -> set[str]:
    return {one.run_id for one in verdict.sessions}


def test_a_network_that_was_cut_is_in_the_evidence_and_its_session_verifies(own):
    start = next(one for _, one in gather_ladder(own, None).starts if "network" in one.drill)
    (run,) = start.runs
    session = Session(own / "runs" / run)
    assert session.verified == "PASS"
    assert session.fingerprint["errors_by_type"]["connection_error"] >= 1
    assert (session.manifest["status"], start.exit_code in {69, 78}) == ("failed", True)


def test_one_session_alone_is_judged_and_what_it_does_not_show_is_insufficient(own, verdict, capsys):
    run = rung_of(verdict, "C1.3").run_id
    assert main(["execution", "judge", str(own / "runs" / run), "--root", str(own), "--json"]) == 0
    found = {one["rung"]: one["verdict"] for one in json.loads(capsys.readouterr().out)["rungs"]}
    assert (found["C1.3"], found["C1.0-STOP"], found["C2.1"], found["Step 2"]) == ("pass", *["insufficient"] * 3)


def test_a_session_that_does_not_verify_fails_the_ladder(own, verdict, tmp_path, capsys):
    copy = SealedCopy(own / "runs" / rung_of(verdict, "C1.3").run_id, tmp_path)
    copy.document("run_manifest.json", lambda found: found["exchange"]["bootstrap"].update(agents=9))
    copy.seal()
    assert main(["execution", "judge", str(copy.run), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["rungs"][0]["verdict"]) == ("fail", "fail")


@pytest.mark.parametrize("given", [["/nowhere"], []])
def test_what_is_no_run_is_refused_with_one_line(given, capsys):
    assert main(["execution", "judge", *given]) == 64
    assert capsys.readouterr().out == ""


def test_without_a_session_nothing_passes_but_what_documents_show():
    assert {one.verdict for one in judge(Gathered([])).rungs} <= {"insufficient", "fail"}


# ---- each condition without its evidence -----------------------------------------------------------------------------


def asked(name: str) -> Callable[[Session | None, Gathered], Condition]:
    """A condition by its name, in the first rung that has it."""
    rung, condition = name.split(":")
    (found,) = [one for one in asks_of(rung) if one.name == condition]
    return found.answered


@pytest.fixture(scope="module")
def gathered(own) -> Gathered:
    return gather_ladder(own, checkout())


def session_of(case: Case, verdict: LadderVerdict, gathered: Gathered) -> Session:
    """The session that a case changes: that of its rung, or of another one that it names."""
    run_id = rung_of(verdict, case.session or case.rung).run_id
    return next(one for one in gathered.sessions if one.run_id == run_id)


def copied(one: Bundle, place: Path) -> Bundle:
    """A bundle whose archive and sum lie elsewhere."""
    for file in (one.place, one.place.with_name(f"{one.place.name}.sha256")):
        shutil.copy2(file, place / file.name)
    return Bundle(place / one.place.name, dict(one.record), one.manifest)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_condition_turns_when_its_evidence_does(case, verdict, gathered, tmp_path):
    ask, session = asked(case.name), session_of(case, verdict, gathered)
    assert ask(session, gathered).holds is case.holds, ask(session, gathered)
    copy = SealedCopy(session.run, tmp_path)
    bundles = [copied(one, tmp_path) for one in gathered.bundles if one.record["run_id"] == copy.run.name]
    around = Gathered([Session(copy.run)], bundles, list(gathered.starts), gathered.venue, gathered.checkout)
    case.change(copy, around, tmp_path)
    copy.seal(case.keep_sums)
    found = ask(Session(copy.run), around)
    assert found.holds is not case.holds, found


def every_condition() -> Iterator[str]:
    for rung in LADDER:
        yield from (one.name for one in rung.all_conditions)


def test_every_condition_has_a_case():
    of_all_sessions = {"exchange_fault", "logic_fault", "process_fault"}
    assert {case.name.split(":")[1] for case in CASES} | of_all_sessions == set(every_condition())


@pytest.mark.parametrize("name", ["exchange_fault", "logic_fault", "process_fault"])
def test_a_drill_without_its_session_is_not_shown(name, gathered):
    ask = asked(f"Step 2:{name}")
    shown = ask(None, gathered)
    assert shown.holds
    others = [one for one in gathered.sessions if one.run_id != shown.run_id]
    left = [one for one in others if name != "exchange_fault" or not one.fingerprint["error_count"]]
    assert not ask(None, Gathered(left)).holds
