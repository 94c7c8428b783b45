"""Status shows what can be seen, and says of everything else why it cannot."""

from __future__ import annotations

import io
import json
import os
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from prometheus.cli.operate.status_command import look
from prometheus.v10.base.clock import utc_text
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.canonical import canonical_line
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.witnesses.witness import take
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.ops.host.host_records import RELEASES, HostRecords
from prometheus.v10.ops.host.release_env import Release, env_file, write_release
from prometheus.v10.ops.host.status import NO_WITNESS, NOT_WORKING, OLD_PROGRESS, Look, interval_figures
from prometheus.v10.ops.host.stopping import running
from prometheus.v10.ops.instance.collapse_intervals import CollapseSeen
from prometheus.v10.ops.instance.instance_lock import Instance
from prometheus.v10.ops.instance.progress_record import ProgressRecord, progress_place
from prometheus.v10.ops.service.liveness import status_sentence
from prometheus.v10.runs.control import Progress
from tests.callbacks import never
from tests.unit.ops.host_stand_in import FakeSystemd

RUN = "HF_20260102T030405Z_0123456_0000"
UNIT = "prometheus-stage1@HF.service"
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def golden(repository):
    """A manifest as a run writes it: ``completed`` or ``running``."""

    def read(status: str) -> dict:
        return json.loads((repository / f"tests/unit/evidence/goldens/run_manifest.{status}.json").read_text())

    return read


@pytest.fixture
def write_run(layout, golden):
    def write(run_id: str = RUN, status: str = "completed", **changes) -> None:
        folder = layout.runs(Tier.TIER1_HF) / run_id
        folder.mkdir()
        (folder / "run_manifest.json").write_text(json.dumps({**golden(status), "run_id": run_id, **changes}))

    return write


@pytest.fixture
def whole(layout, fake_clock):
    """Everything that status says; its nulls all have their reasons, whatever the test is about."""

    def look_now(systemd=None) -> dict:
        found = Look(layout, systemd, fake_clock).whole()
        assert violations(found) == []
        json.dumps(found, allow_nan=False)
        return found

    return look_now


def record(clock, instance="HF", **changes) -> ProgressRecord:
    values = {
        "run_id": RUN, "experiments_total": 24, "experiments_done": 3, "tick": 5000, "ticks_total": 8064,
        "agent_ticks": 123_456_789, "alive": 187, "births": 1200, "deaths": 1313, "last_collapse": None,
        "seconds": 10.0,
    }  # fmt: skip
    return ProgressRecord.of(Progress(**{**values, **changes}), instance, clock)


# ---- without systemd -------------------------------------------------------------------------------------------------


def test_an_empty_tree_has_nothing_to_show_and_says_so(whole, layout, fake_clock):
    found = whole()
    assert found["instances"] == []
    assert found["stop"]["pulled"] is False
    assert found["release"] is None
    assert "no instance has ever run here" in look(layout, None, fake_clock).shown


def test_an_instance_that_works_is_seen_by_its_lock(whole, layout, fake_clock, write_run):
    write_run(status="running")
    with Instance(layout, "HF", fake_clock, print):
        (one,) = whole()["instances"]
    assert (one["instance"], one["state"], one["working"]) == ("HF", "active", True)
    assert one["last_run"]["status"] == "running"
    assert one["last_run"]["deaths"] is None
    (after,) = whole()["instances"]
    assert (after["state"], after["working"], after["holder"]) == ("inactive", False, None)


def test_the_newest_run_of_each_instance_is_shown(whole, layout, fake_clock, write_run):
    for name in ("HF", "OTHER"):
        with Instance(layout, name, fake_clock, print):
            pass
    write_run("HF_20260102T030405Z_0123456_0000")
    write_run("HF_20260103T030405Z_0123456_0000")
    write_run("HF_20260104T030405Z_0123456_0000", instance="OTHER")
    found = {one["instance"]: one for one in whole()["instances"]}
    assert found["HF"]["last_run"]["run_id"] == "HF_20260103T030405Z_0123456_0000"
    assert found["OTHER"]["last_run"]["run_id"] == "HF_20260104T030405Z_0123456_0000"
    assert found["HF"]["last_run"]["deaths"] == 150


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"instance":"HF"}'])
def test_a_torn_manifest_is_named_and_hides_nothing_else(whole, layout, fake_clock, write_run, content):
    with Instance(layout, "HF", fake_clock, print):
        pass
    write_run()
    torn = layout.runs(Tier.TIER1_HF) / "HF_20260109T030405Z_0123456_0000"
    torn.mkdir()
    (torn / "run_manifest.json").write_bytes(content)
    found = whole()
    assert found["instances"][0]["last_run"]["run_id"] == RUN
    assert any(torn.name in what for what in found["cannot_see"])


def test_collapse_intervals_agree_with_their_ledger(whole, layout, fake_clock):
    with Instance(layout, "HF", fake_clock, print) as instance:
        for number, tick in enumerate((10, 400, 90)):
            run = f"HF_2026010{number + 1}T000000Z_0123456_0000"
            fake_clock.advance(100.0)
            instance.intervals.record_run(run, "completed", [CollapseSeen(0, "extinction", tick)], {0: tick + 1})
            fake_clock.advance(1.5)
            instance.intervals.record_opened(run)
        expected = instance.intervals.figures()
    (one,) = whole()["instances"]
    assert one["collapses"]["count"] == expected.collapses == 3
    assert one["collapses"]["median_interval_ticks"] == expected.median_interval_ticks
    assert one["collapses"]["stratum"] == expected.stratum
    assert one["collapses"]["last_utc"] == expected.last_collapse_utc
    assert one["collapses"]["last_restart_seconds"] == expected.last_restart_seconds == 1.5


def test_a_torn_last_line_of_the_intervals_is_not_looked_at(layout, fake_clock):
    with Instance(layout, "HF", fake_clock, print) as instance:
        instance.intervals.record_run("r", "completed", [CollapseSeen(0, "both", 3)], {0: 4})
    place = layout.state / "HF/collapse_intervals.jsonl"
    place.write_bytes(place.read_bytes() + b'{"n":2,')
    assert interval_figures(place)["count"] == 1


def test_disk_bounds_are_those_of_the_newest_runs(whole, write_run):
    assert whole()["disk"]["budget_bytes"] is None
    write_run(config={"disk": {"keep_free_bytes": 5, "budget_bytes": 1000, "reserve_bytes": 1}})
    disk = whole()["disk"]
    assert (disk["keep_free_bytes"], disk["budget_bytes"]) == (5, 1000)
    assert disk["used_bytes"] > 0
    assert disk["free_bytes"] > 0


def test_the_release_in_force_is_shown_with_its_beginning(whole, layout, fake_clock, tmp_path):
    release = Release(dict.fromkeys(Stage, f"localhost/prometheus-quant@{DIGEST}"), None)
    write_release(env_file(layout), release)
    found = whole()["release"]
    assert (found["id"], found["since"]) == (DIGEST[7:19], None)
    records = HostRecords(layout, fake_clock, tmp_path / "nobody")
    records.enter(RELEASES, LedgerEntryType.RELEASE, {"step": "in_force", "in_force": release.id}, {})
    assert whole()["release"]["since"] == utc_text(fake_clock.now())


def test_a_release_by_tag_is_refused_aloud(whole, layout):
    env_file(layout).write_text("PQ_IMAGE_STAGE1=localhost/prometheus-quant:latest\n")
    found = whole()
    assert found["release"] is None
    assert any("names no image by its digest" in what for what in found["cannot_see"])


def test_the_pulled_switch_is_shown(whole, layout):
    layout.stop_file.touch()
    assert whole()["stop"]["pulled"] is True


def test_what_cannot_be_seen_is_named(whole, layout):
    layout.runs(Tier.TIER1_HF).rmdir()
    layout.runs(Tier.TIER1_HF).write_text("not a directory")
    assert any("runs_hf" in what for what in whole()["cannot_see"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look through another user's eyes")
def test_a_user_who_may_not_look_is_told_so_and_never_told_that_nothing_runs(fake_clock):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        Path(made).chmod(0o755)
        tree = Layout.under(Path(made) / "root")
        tree.prepare()
        tree.lib.chmod(0o700)
        os.seteuid(12345)
        try:
            found = Look(tree, None, fake_clock).whole()
            with pytest.raises(HostError, match="cannot see who works"):
                running(tree, None)
        finally:
            os.seteuid(0)
    assert violations(found) == []
    for part in ("instances", "runs in", "snapshots", "bytes under", "the kill switch"):
        assert any(what.startswith(part) for what in found["cannot_see"]), part


# ---- progress --------------------------------------------------------------------------------------------------------


def unit(sentence: str, since: str) -> FakeSystemd:
    said = {"ActiveEnterTimestamp": since, "MainPID": "77", "StatusText": sentence}
    return FakeSystemd({UNIT: "active"}, properties={UNIT: said})


@pytest.fixture
def at_work(layout, fake_clock):
    """HF is at work; hands out what writes its record of progress."""
    with Instance(layout, "HF", fake_clock, print):
        yield progress_place(layout, "HF").write_bytes


def test_the_record_of_an_instance_at_work_is_shown_with_and_without_systemd(whole, layout, at_work, fake_clock):
    said = record(fake_clock)
    at_work(canonical_line(said.plain()))
    (one,) = whole()["instances"]
    assert one["progress"] == said.plain()
    (one,) = whole(unit(status_sentence(said), "@1").manager())["instances"]
    assert one["progress"] == said.plain()
    shown = look(layout, None, fake_clock)
    assert "4 of 24" in rendered(shown)


def test_no_sentence_is_taken_for_progress(whole, at_work, fake_clock):
    sentence = status_sentence(record(fake_clock))
    (one,) = whole(unit(sentence, "@1").manager())["instances"]
    assert (one["progress"], one["null_reasons"]["progress"]) == (None, NOT_WORKING)
    assert one["status"] == sentence


def test_what_a_killed_process_left_is_not_taken_for_progress(whole, layout, fake_clock):
    with Instance(layout, "HF", fake_clock, print):
        progress_place(layout, "HF").write_bytes(canonical_line(record(fake_clock).plain()))
    (one,) = whole()["instances"]
    assert (one["progress"], one["null_reasons"]["progress"]) == (None, NOT_WORKING)


def test_a_record_older_than_the_last_start_of_the_unit_counts_for_nothing(whole, at_work, fake_clock):
    at_work(canonical_line(record(fake_clock).plain()))
    started = int(fake_clock.now().timestamp())
    (one,) = whole(unit("closing runs that were cut off", f"@{started + 1}").manager())["instances"]
    assert one["progress"] is None
    assert one["null_reasons"]["progress"].startswith(OLD_PROGRESS)
    assert one["status"] == "closing runs that were cut off"
    (one,) = whole(unit("working", f"@{started}").manager())["instances"]
    assert one["progress"]["alive"] == 187


@pytest.mark.parametrize(
    "change", [{"last_collapse": "\x1b[2J\x1b]0;owned\x07"}, {"tick": [[[1]]]}, {"alive": "187"}, {"run_id": "\u202ex"},
               {"instance": "OTHER"}, {"padding": "x" * 100_000}, {"births": 10**4000}],
)  # fmt: skip
def test_a_hostile_record_is_named_in_one_line_and_never_shown(whole, layout, at_work, fake_clock, change):
    plain = {**record(fake_clock).plain(), **change}
    at_work(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())
    found = whole()
    (one,) = found["instances"]
    (said,) = [what for what in found["cannot_see"] if what.startswith("progress of HF: ")]
    assert one["progress"] is None
    assert one["null_reasons"]["progress"] in said
    assert said.isprintable()
    assert len(said) < 400
    shown = rendered(look(layout, None, fake_clock))
    assert "\x1b" not in shown
    assert "owned" not in shown


def rendered(report) -> str:
    """What a wide terminal gets."""
    text = io.StringIO()
    to = Console(file=text, width=300)
    for part in report.shown:
        to.print(part, markup=False)
    return text.getvalue()


# ---- with systemd ----------------------------------------------------------------------------------------------------


def test_units_say_since_when_and_how_it_fares(whole, write_run):
    write_run(status="running")
    sentence = "checking evidence before a run: 3 MiB"
    fake = FakeSystemd(
        {UNIT: "active"},
        properties={
            UNIT: {
                "ActiveEnterTimestamp": "@1767323045", "MainPID": "77", "NRestarts": "2", "Result": "success",
                "StatusText": sentence,
            },
            "prometheus-audit.service": {"ExecMainExitTimestamp": "@1767323000", "Result": "exit-code",
                                         "ExecMainStatus": "1"},
        },
    )  # fmt: skip
    found = whole(fake.manager())
    (one,) = found["instances"]
    assert (one["unit"], one["state"], one["since"]) == (UNIT, "active (running)", "2026-01-02T03:04:05.000000Z")
    assert (one["main_pid"], one["restarts"], one["status"]) == (77, 2, sentence)
    assert found["last_audit"] == {"ended_at": "2026-01-02T03:03:20.000000Z", "passed": False, "exit_status": 1}


def test_a_unit_that_never_started_has_no_beginning(whole):
    fake = FakeSystemd({UNIT: "inactive"}, properties={UNIT: {"ActiveEnterTimestamp": ""}})
    (one,) = whole(fake.manager())["instances"]
    assert one["since"] is None


def test_a_systemd_that_does_not_answer_is_named(whole, layout, fake_clock):
    with Instance(layout, "HF", fake_clock, print):
        pass
    found = whole(FakeSystemd({}, deaf=True).manager())
    assert [one["instance"] for one in found["instances"]] == ["HF"]
    assert any(what.startswith("units: cannot ask systemd") for what in found["cannot_see"])


def test_the_last_checkpoint_says_when_it_was_taken_and_of_how_many_entries(layout, tmp_path, fake_clock):
    place = tmp_path / "witness"
    place.mkdir()
    look = Look(layout, None, fake_clock, witness=place)
    found = look.whole()
    assert found["last_checkpoint"] is None
    assert found["null_reasons"]["last_checkpoint"] == "no checkpoint was taken yet"
    InstallationLedger(layout, clock=fake_clock, instance="HF", on_torn=never).begin()
    taken = take(layout, place, clock=fake_clock)
    found = look.whole()
    moment = utc_text(fake_clock.now().replace(microsecond=0))
    assert found["last_checkpoint"] == {"file": taken.file.name, "entries": 1, "taken_at": moment}
    (place / "checkpoint.pub").unlink()
    found = look.whole()
    assert found["last_checkpoint"]["taken_at"] is None
    assert "last_checkpoint.taken_at" in found["null_reasons"]


def test_only_a_host_has_a_last_checkpoint(whole):
    assert whole()["null_reasons"]["last_checkpoint"] == NO_WITNESS
