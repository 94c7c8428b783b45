"""A gate is locked first, loses nothing when it is stopped, and comes to the same bytes however it is run."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError, EvidenceError, LockHeldError, UsageError
from prometheus.v10.base.files import Lock
from prometheus.v10.base.names import GateFile
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.ledger import iter_entries
from prometheus.v10.evidence.records.canonical import canonical_bytes, pretty_bytes
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.gate.gate_replay import replay_gate

WITH_TIME = {GateFile.LOCK.value, "SHA256SUMS.txt"}  # the lock carries the time of locking, the seal covers it


def products(path) -> dict[str, bytes]:
    """Every file that is a function of the design."""
    return {place.name: place.read_bytes() for place in path.iterdir() if place.name not in WITH_TIME}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, gate_in, small):
    """One small gate, undisturbed, and where it lies."""
    layout = Layout.under(tmp_path_factory.mktemp("whole") / "root")
    outcome = gate_in(layout, small())
    return layout, outcome, products(layout.gates / "small")


def test_a_gate_is_sealed_verified_and_known_to_the_ledger(whole):
    layout, outcome, files = whole
    path = layout.gates / "small"
    assert outcome.verdict is not None
    assert (outcome.done, outcome.again) == (outcome.total, False)
    assert set(files) == {
        "FILELIST.ls.txt", "gate_effects.svg", "gate_equity.svg", "gate_experiments.jsonl", "gate_roi.svg",
        "gate_signs.json", "gate_survival.svg", "gate_verdict.json", "gate_verdict.md",
    }  # fmt: skip
    assert verify_path(path).verdict == "PASS"
    assert audit(layout).verdict == "PASS"
    checked = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS.txt"], cwd=path, check=False)
    assert checked.returncode == 0
    _, locked, *entered, sealed = iter_entries(layout.ledger)
    assert {entry.type for entry in entered} == {"gate_batch"}
    assert entered[-1].payload["records"] == outcome.total
    lock = json.loads((path / "gate_lock.json").read_bytes())
    assert (locked.type, sealed.type) == ("gate_locked", "gate_sealed")
    assert locked.payload["config_hash"] == hashlib.sha256(canonical_bytes(lock["config"])).hexdigest()
    assert sealed.payload["verdict"] == outcome.verdict.verdict
    assert lock["rule"] == outcome.verdict.rule


def test_the_lock_is_in_the_ledger_before_there_is_an_experiment(gate_in, small, tmp_path):
    layout = Layout.under(tmp_path / "root")
    assert gate_in(layout, small(), stop_after=0).verdict is None
    assert [entry.type for entry in iter_entries(layout.ledger)] == ["installation", "gate_locked"]
    assert (layout.gates / "small" / GateFile.EXPERIMENTS).read_bytes() == b""
    report = verify_path(layout.gates / "small")
    assert report.verdict == "COULD NOT CHECK"
    assert audit(layout).verdict == "PASS"  # a gate that waits is no failure


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 520), min_size=1, max_size=3), st.booleans())
def test_a_gate_stopped_anywhere_goes_on_to_the_same_bytes(whole, gate_in, small, tmp_path_factory, stops, tear):
    layout = Layout.under(tmp_path_factory.mktemp("stopped") / "root")
    for stop in sorted(stops):
        stopped = gate_in(layout, small(), stop_after=stop)
        assert stopped.verdict is None
        if tear:
            with (layout.gates / "small" / GateFile.EXPERIMENTS).open("ab") as file:
                file.write(b'{"agents":6,"cell":"W1')
    outcome = gate_in(layout, small())
    assert outcome.cut_off == (22 if tear else 0)
    assert products(layout.gates / "small") == whole[2]


def test_two_workers_come_to_the_same_bytes(whole, gate_in, small, tmp_path):
    layout = Layout.under(tmp_path / "root")
    gate_in(layout, small(), workers=2, ahead=6)
    assert products(layout.gates / "small") == whole[2]


def test_another_design_is_refused_in_the_same_directory(do_gate, small, layout):
    do_gate(small(), stop_after=0)
    before = (layout.gates / "small" / GateFile.LOCK).read_bytes()
    with pytest.raises(ConfigError, match="locked for another design"):
        do_gate(small(rule={"minimum_effect_pp": 3.0}))
    with pytest.raises(ConfigError, match="locked for another design"):
        do_gate(small(market={"seed": 5}))
    assert (layout.gates / "small" / GateFile.LOCK).read_bytes() == before


def test_a_changed_lock_is_found_before_anything_is_run(do_gate, small, layout):
    do_gate(small(), stop_after=0)
    place = layout.gates / "small" / GateFile.LOCK
    data = place.read_bytes()
    place.chmod(0o640)
    place.write_bytes(data.replace(b'"git_dirty"', b'"git_dirtY"').replace(b"2026", b"2025"))
    with pytest.raises(EvidenceError, match="not the lock that the ledger knows"):
        do_gate(small())


def test_experiments_without_a_lock_in_the_ledger_prove_nothing(do_gate, small, layout):
    do_gate(small(), stop_after=1)
    layout.ledger.unlink()
    with pytest.raises(EvidenceError, match="a ledger is never begun where there is a past"):
        do_gate(small())


def test_an_experiment_that_does_not_belong_there_is_refused(do_gate, small, layout):
    do_gate(small(), stop_after=30)
    place = layout.gates / "small" / GateFile.EXPERIMENTS
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    with pytest.raises(EvidenceError, match="last gate_batch entry"):
        do_gate(small())


def raise_a_figure(data):
    """One experiment of A does better than it did: no hash and no ledger line is touched."""
    lines = data.splitlines(keepends=True)
    one = json.loads(lines[0])
    lines[0] = canonical_bytes({**one, "system_roi": one["system_roi"] + 0.5}) + b"\n"
    return b"".join(lines)


def drop_the_last(data):
    return b"".join(data.splitlines(keepends=True)[:-1])


@pytest.mark.parametrize("forge", [raise_a_figure, drop_the_last], ids=lambda f: f.__name__)
def test_experiments_edited_while_a_gate_was_stopped_are_refused_and_found(do_gate, small, layout, forge):
    do_gate(small(), stop_after=30)
    place = layout.gates / "small" / GateFile.EXPERIMENTS
    place.write_bytes(forge(place.read_bytes()))
    with pytest.raises(EvidenceError, match="last gate_batch entry"):
        do_gate(small())
    assert audit(layout).verdict == "FAIL"


def test_experiments_that_no_entry_vouches_for_are_kept_aside_and_done_again(do_gate, small, layout, whole):
    do_gate(small(), stop_after=30)
    place = layout.gates / "small" / GateFile.EXPERIMENTS
    held = place.read_bytes()
    added = whole[2][GateFile.EXPERIMENTS].splitlines(keepends=True)[len(held.splitlines())]
    forged = raise_a_figure(added)
    place.write_bytes(held + forged)
    outcome = do_gate(small())
    assert outcome.cut_off == len(forged)
    assert products(layout.gates / "small") == whole[2]
    (torn,) = [entry.payload for entry in iter_entries(layout.ledger) if entry.type == "torn_tail"]
    assert (layout.lib / torn["kept"]).read_bytes() == forged
    assert (torn["offset"], torn["bytes"]) == (len(held), len(forged))


def test_two_at_once_is_one_too_many(do_gate, small, layout):
    with Lock(layout.state / "gate-small.lock", who="another gate"), pytest.raises(LockHeldError):
        do_gate(small())


# ---- a sealed gate ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sealed(whole, tmp_path):
    """A copy of the undisturbed gate's tree, to damage."""
    root = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(whole[0].lib), str(root)], check=True)
    return Layout.under(root)


def test_a_sealed_gate_is_judged_again_to_the_same_bytes(sealed, gate_in, small):
    before = {place.name: place.stat().st_mtime_ns for place in (sealed.gates / "small").iterdir()}
    outcome = gate_in(sealed, small())
    assert outcome.again
    assert {place.name: place.stat().st_mtime_ns for place in (sealed.gates / "small").iterdir()} == before
    assert [entry.type for entry in iter_entries(sealed.ledger)].count("gate_sealed") == 1


def change_verdict(path):
    place = path / "gate_verdict.json"
    place.write_bytes(place.read_bytes().replace(b'"verdict": "fail"', b'"verdict": "pass"'))


def change_design(path):
    place = path / "gate_lock.json"
    place.chmod(0o640)
    place.write_bytes(place.read_bytes().replace(b'"minimum_effect_pp": 2.0', b'"minimum_effect_pp": 2.5'))


def drop_an_experiment(path):
    place = path / "gate_experiments.jsonl"
    place.write_bytes(b"".join(place.read_bytes().splitlines(keepends=True)[:-1]))


def seal_again(path):
    """Whoever rewrites a gate whole, seal included, still differs from the ledger."""
    change_verdict(path)
    (path / "SHA256SUMS.txt").unlink()
    (path / "FILELIST.ls.txt").unlink()
    from prometheus.v10.evidence.writing.seal import seal_run

    seal_run(path)


def add_a_file(path):
    (path / "more.txt").write_text("x")


def remove_the_page(path):
    (path / "gate_verdict.md").unlink()


def break_the_seal(path):
    (path / "SHA256SUMS.txt").unlink()


def judge_it_otherwise(path):
    """Verdict and page say pass and the seal is redone; the caller's ledger is left out."""
    change_verdict(path)
    page = path / "gate_verdict.md"
    page.write_text(page.read_text().replace(": fail", ": pass").replace("**Fail.**", "**Pass.**"))
    reseal(path)


def change_a_figure(path):
    tree = json.loads((path / "gate_verdict.json").read_bytes())
    tree["explored"][0]["a"]["extinct"] += 1
    (path / "gate_verdict.json").write_bytes(pretty_bytes(tree))
    reseal(path)


def change_an_experiment(path):
    place = path / "gate_experiments.jsonl"
    place.write_bytes(raise_a_figure(place.read_bytes()))
    reseal(path)


def change_the_signs(path):
    tree = json.loads((path / "gate_signs.json").read_bytes())
    tree["audits"][0]["a"] += 1
    (path / "gate_signs.json").write_bytes(pretty_bytes(tree))
    reseal(path)


def change_the_page(path):
    page = path / "gate_verdict.md"
    page.write_text(page.read_text().replace(": fail", ": pass", 1))
    reseal(path)


def reseal(path):
    (path / "SHA256SUMS.txt").unlink()
    (path / "FILELIST.ls.txt").unlink()
    from prometheus.v10.evidence.writing.seal import seal_run

    seal_run(path)


FORGERIES = [judge_it_otherwise, change_a_figure, change_an_experiment, change_the_signs, change_the_page]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda f: f.__name__)
def test_a_forged_verdict_is_found_without_any_ledger(sealed, forge):
    sealed.ledger.unlink()
    forge(sealed.gates / "small")
    report = verify_path(sealed.gates / "small")
    assert report.verdict == "FAIL", report.lines()


DAMAGES = [change_verdict, change_design, drop_an_experiment, seal_again, add_a_file, remove_the_page, break_the_seal]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_a_sealed_gate_that_was_touched_is_found_by_verify_and_audit(sealed, damage):
    damage(sealed.gates / "small")
    assert verify_path(sealed.gates / "small").verdict == "FAIL"
    assert audit(sealed).verdict == "FAIL"


def test_a_deleted_gate_is_found_by_the_audit(sealed):
    subprocess.run(["rm", "-r", str(sealed.gates / "small")], check=True)
    report = audit(sealed)
    assert report.verdict == "FAIL"
    assert "it is gone: no policy may delete a gate" in report.findings[0].what


def test_a_ledger_that_lost_a_gate_is_found(sealed):
    sealed.ledger.unlink()
    assert audit(sealed).verdict == "FAIL"
    assert verify_path(sealed.gates / "small").verdict == "COULD NOT CHECK"
    assert verify_path(sealed.gates / "small", alone=True).verdict == "PASS"


def test_a_seal_that_the_ledger_missed_is_entered_by_the_next_start(sealed, gate_in, small):
    lines = sealed.ledger.read_bytes().splitlines(keepends=True)
    sealed.ledger.write_bytes(b"".join(lines[:-1]))
    assert audit(sealed).verdict == "FAIL"
    assert gate_in(sealed, small()).again
    assert audit(sealed).verdict == "PASS"


# ---- replay ----------------------------------------------------------------------------------------------------------


def test_a_replayed_gate_is_identical_and_a_forged_experiment_differs(sealed):
    honest = replay_gate("small", sealed, sample=4, seed=1)
    assert (honest.compared, honest.differing) == (4, ())
    place = sealed.gates / "small" / GateFile.EXPERIMENTS
    total = honest.total
    place.write_bytes(raise_a_figure(place.read_bytes()))
    assert replay_gate("small", sealed, sample=total, seed=0).differing == ("W1/A_real seed 1",)


def test_a_gate_that_is_not_there_cannot_be_replayed(sealed):
    for name in ("nobody", "../gates/small"):
        with pytest.raises(UsageError, match="there is no gate"):
            replay_gate(name, sealed, sample=1, seed=0)
