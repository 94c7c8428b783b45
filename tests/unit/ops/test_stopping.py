"""The kill switch: pulled first and recorded after, latched, waited for, and released only with a record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest

from prometheus.cli.operate.stopping_command import report_of
from prometheus.v10.base.errors import EvidenceError, HostError, UsageError
from prometheus.v10.base.names import Event, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host import stopping
from prometheus.v10.ops.host.host_records import RELEASES, STOPS, HostRecords, as_owner_of, who_asks
from prometheus.v10.ops.host.systemd import Systemd
from prometheus.v10.ops.instance.alive import alive, holder, instances
from prometheus.v10.ops.instance.instance_lock import Instance
from tests.unit.ops.host_stand_in import FakeSystemd, JournalSocket


@pytest.fixture
def journal(tmp_path):
    listening = JournalSocket(tmp_path / "journal")
    yield listening
    listening.close()


@pytest.fixture
def records(layout, fake_clock, journal):
    return HostRecords(layout, fake_clock, journal.path)


@pytest.fixture
def stop(layout, records, fake_clock):
    return partial(
        stopping.stop_all, layout, records, None, reason="a drill", who="somebody", wait=5.0, pause=fake_clock.advance
    )


@pytest.fixture
def clear(layout, records, fake_clock):
    return partial(stopping.clear, layout, records, None, reason="over", who="somebody", pause=fake_clock.advance)


def steps(records) -> list[str]:
    return [entry.payload["step"] for entry in records.read(STOPS)]


# ---- pulled ----------------------------------------------------------------------------------------------------------


def test_the_switch_says_why_who_and_when(layout, stop):
    done = stop()
    assert json.loads(layout.stop_file.read_text()) == {
        "schema": "stop/1", "reason": "a drill", "who": "somebody", "since": "2026-01-02T03:04:05.000000Z",
    }  # fmt: skip
    assert (done.running, done.ended, done.latched_before) == ([], [], False)
    assert layout.stop_file.stat().st_mode & 0o777 == 0o644


def test_it_is_on_file_before_the_journal_hears_of_it(stop, records, journal):
    stop()
    (line,) = records.read(STOPS)
    assert line.type == LedgerEntryType.STOP.value
    assert line.payload == {
        "step": "pulled", "reason": "a drill", "who": "somebody", "latched_before": False, "instance": "all",
    }  # fmt: skip
    (entry,) = journal.entries()
    assert (entry["MESSAGE_ID"], entry["PROMETHEUS_REASON"]) == (Event.STOP_REQUESTED.message_id, "a drill")


def test_who_pulls_it_again_changes_nothing_and_is_recorded(layout, stop, records, fake_clock):
    stop()
    first = layout.stop_file.read_bytes()
    fake_clock.advance(60.0)
    again = stop(reason="another reason", who="somebody else")
    assert again.latched_before
    assert again.order.reason == "a drill"
    assert layout.stop_file.read_bytes() == first
    assert [(line.payload["who"], line.payload["latched_before"]) for line in records.read(STOPS)] == [
        ("somebody", False), ("somebody else", True),
    ]  # fmt: skip


def test_a_record_that_cannot_be_written_does_not_keep_it_from_stopping(layout, stop):
    (layout.state / STOPS).write_bytes(b"{}\nnot a chain\n")
    done = stop()
    assert layout.stop_file.exists()
    assert isinstance(done.error, EvidenceError)
    assert report_of(done, layout).code == 65
    assert any("not recorded" in problem for problem in done.problems)


def test_a_journal_that_is_not_there_is_said(layout, fake_clock, tmp_path):
    records = HostRecords(layout, fake_clock, tmp_path / "nobody")
    done = stopping.stop_all(
        layout, records, None, reason=None, who="x", wait=0.0, pause=fake_clock.advance
    )  # fmt: skip
    assert any("did not hear" in problem for problem in done.problems)
    assert done.order.reason == stopping.NO_REASON


def test_line_feeds_in_a_reason_begin_no_field_of_their_own(stop, journal):
    stop(reason="a\nPRIORITY=0\nb")
    (entry,) = journal.entries()
    assert entry["PRIORITY"] == "4"
    assert entry["PROMETHEUS_REASON"] == "a PRIORITY=0 b"


def test_a_tree_without_configuration_can_be_stopped_too(layout, stop):
    for folder in (layout.profiles, layout.etc):
        folder.rmdir()
    stop()
    assert layout.stop_file.is_file()


# ---- waited for ------------------------------------------------------------------------------------------------------


def test_what_still_runs_after_the_wait_is_named_and_the_code_says_try_again(layout, stop, fake_clock):
    with Instance(layout, "HF", fake_clock, print):
        done = stop(wait=2.0)
    assert done.running == ["HF"]
    assert done.seconds >= 2.0
    assert report_of(done, layout).code == 75


def test_what_ends_during_the_wait_is_named(layout, records, fake_clock):
    instance = Instance(layout, "HF", fake_clock, print)
    instance.__enter__()

    def pause(seconds: float) -> None:
        fake_clock.advance(seconds)
        if fake_clock.ticks > 1001.0 and instance is not None:
            instance.__exit__(None, None, None)

    done = stopping.stop_all(layout, records, None, reason=None, who="x", wait=30.0, pause=pause)
    assert (done.ended, done.running) == (["HF"], [])
    assert done.seconds == pytest.approx(1.0, abs=0.11)


def test_systemd_is_told_and_its_units_are_waited_for(layout, records, fake_clock):
    fake = FakeSystemd({"prometheus-stage1@HF.service": "active", "prometheus-stage2@OLD.service": "inactive"})
    done = stopping.stop_all(
        layout, records, fake.manager(root=True), reason=None, who="x", wait=30.0, pause=fake_clock.advance
    )  # fmt: skip
    assert ["stop", "--no-block", "prometheus.target", "prometheus-stage*@*.service"] in fake.commands()
    assert done.ended == ["prometheus-stage1@HF.service"]


def test_all_instances_are_asked_at_once_and_none_is_waited_for_before_another(layout, records, fake_clock):
    """The STOP file and one order to systemd reach every instance; what follows is one wait for all of them."""
    names = [f"prometheus-stage1@{name}.service" for name in ("A", "B", "C", "HF")]
    fake = FakeSystemd(dict.fromkeys(names, "active"), rests_after=1000)
    asked_before_a_wait = []

    def pause(seconds: float) -> None:
        asked_before_a_wait.append([words for words in fake.commands() if words[0] == "stop"])
        fake_clock.advance(seconds)

    done = stopping.stop_all(
        layout, records, fake.manager(root=True), reason=None, who="x", wait=1.0, pause=pause
    )  # fmt: skip
    assert done.running == names
    orders = [["stop", "--no-block", "prometheus.target", "prometheus-stage*@*.service"]]
    assert asked_before_a_wait
    assert all(orders == before for before in asked_before_a_wait)


def test_without_root_the_file_is_pulled_and_it_is_said_that_systemd_was_not_told(layout, records, fake_clock):
    fake = FakeSystemd({})
    done = stopping.stop_all(
        layout, records, fake.manager(root=False), reason=None, who="x", wait=1.0, pause=fake_clock.advance
    )  # fmt: skip
    assert layout.stop_file.exists()
    assert any("needs root" in problem for problem in done.problems)
    assert not any(words[0] == "stop" for words in fake.commands())


def test_not_knowing_what_runs_is_an_error_and_not_nothing(layout, records, fake_clock):
    fake = FakeSystemd({}, deaf=True)
    with pytest.raises(HostError, match="cannot ask systemd"):
        stopping.running(layout, fake.manager(root=True))


# ---- one instance ----------------------------------------------------------------------------------------------------

WORKER = """
import signal, sys, time
from pathlib import Path
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.instance.instance_lock import Instance
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with Instance(Layout.under(Path(sys.argv[1])), sys.argv[2], SystemClock(), print):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def worker(layout):
    started = []

    def begin(name: str) -> subprocess.Popen:
        words = [sys.executable, "-c", WORKER, str(layout.lib), name]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_one_instance_ends_and_the_other_goes_on(layout, records, fake_clock, worker):
    one, other = worker("ONE"), worker("OTHER")
    assert alive(layout) == ["ONE", "OTHER"]

    def pause(_seconds: float) -> None:
        one.wait(timeout=30)

    done = stopping.stop_one(layout, records, None, instance="ONE", reason="r", who="x", wait=30.0, pause=pause)
    assert (done.ended, done.running, done.order) == (["ONE"], [], None)
    assert one.wait(timeout=30) == 0
    assert other.poll() is None
    assert not layout.stop_file.exists()
    assert steps(records) == ["instance"]


def test_a_process_that_only_bears_the_number_is_never_signalled(layout, records, fake_clock, worker):
    """The text of the lock names a process that does not hold it: as after a container's end."""
    held = worker("ONE")
    lock = layout.state / "ONE" / "service.lock"
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        lock.write_text(lock.read_text().replace(f"pid {held.pid}", f"pid {innocent.pid}"))
        with pytest.raises(UsageError, match="cannot be asked from here"):
            stopping.stop_one(
                layout, records, None, instance="ONE", reason=None, who="x", wait=0.0, pause=fake_clock.advance
            )
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


@pytest.mark.parametrize("name", ["HF", "../x", ""])
def test_an_instance_that_does_not_run_is_a_mistake_of_the_command_line(layout, records, fake_clock, name):
    with pytest.raises(UsageError):
        stopping.stop_one(
            layout, records, None, instance=name, reason=None, who="x", wait=0.0, pause=fake_clock.advance
        )


def test_looking_leaves_no_trace_and_follows_no_link(layout, fake_clock, tmp_path):
    with Instance(layout, "HF", fake_clock, print):
        before = (layout.state / "HF/service.lock").read_bytes()
        assert holder(layout, "HF").startswith("instance HF, pid")
        assert (layout.state / "HF/service.lock").read_bytes() == before
    assert holder(layout, "HF") is None
    (layout.state / "LINK").mkdir()
    (layout.state / "LINK/service.lock").symlink_to(tmp_path / "elsewhere")
    assert instances(layout) == ["HF"]
    (tmp_path / "elsewhere").touch()
    with pytest.raises(OSError, match="symbolic"):
        holder(layout, "LINK")


# ---- released --------------------------------------------------------------------------------------------------------


def test_a_release_is_recorded_with_what_it_released(layout, stop, clear, records, journal):
    stop()
    order = clear()
    assert not layout.stop_file.exists()
    assert order.reason == "a drill"
    assert steps(records) == ["pulled", "cleared"]
    assert records.read(STOPS)[-1].payload["order"]["who"] == "somebody"
    assert journal.entries()[-1]["PROMETHEUS_EVENT"] == "stop_cleared"


def test_nothing_to_release_is_no_error_and_no_record(clear, records):
    assert clear() is None
    assert steps(records) == []


def test_a_switch_made_by_hand_is_released_and_what_it_does_not_say_is_null_with_its_reason(layout, clear, records):
    layout.stop_file.touch()
    order = clear()
    assert (order.reason, order.who) == (None, None)
    (line,) = records.read(STOPS)
    assert line.null_reasons["payload.order.who"] == stopping.BY_HAND


@pytest.mark.parametrize("content", [b"\xff\x00", b"{", b'{"schema":"stop/1","reason":3}', b"[]", b"x" * 100_000])
def test_whatever_it_holds_it_is_a_pulled_switch(layout, content):
    layout.stop_file.write_bytes(content)
    order = stopping.read_order(layout)
    assert (order.reason, order.who) == (None, None)


def test_a_release_that_cannot_be_recorded_does_not_happen(layout, stop, clear):
    stop()
    (layout.state / STOPS).write_bytes(b"{}\nnot a chain\n")
    with pytest.raises(EvidenceError):
        clear()
    assert layout.stop_file.exists()


def test_a_directory_of_that_name_stops_and_is_not_removed(layout, clear):
    layout.stop_file.mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        clear()
    assert layout.stop_file.is_dir()


def test_a_release_waits_for_the_guard_so_that_a_start_after_it_is_not_stopped_again(layout, records, fake_clock, stop):
    stop()
    fake = FakeSystemd({"prometheus-stop.service": "active"}, rests_after=3)
    stopping.clear(layout, records, fake.manager(root=True), reason=None, who="x", pause=fake_clock.advance)
    assert fake.active["prometheus-stop.service"] == "inactive"


# ---- who writes ------------------------------------------------------------------------------------------------------


def test_the_person_behind_sudo_is_named(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert who_asks({"SUDO_USER": "ada"}) == "ada through sudo"
    assert who_asks({}) == "root"


@pytest.fixture
def passable(tmp_path_factory):
    """A tree that another user can walk into, which pytest's own temporary directories are not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        Path(made).chmod(0o755)
        tree = Layout.under(Path(made) / "root")
        tree.prepare()
        yield tree


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_root_writes_records_as_the_owner_of_the_state_and_through_no_link(passable, fake_clock, journal):
    for folder in (passable.lib, passable.state):
        os.chown(folder, 12345, 12345)
    records = HostRecords(passable, fake_clock, journal.path)
    records.enter(STOPS, LedgerEntryType.STOP, {"step": "pulled"}, {})
    assert (passable.state / STOPS).stat().st_uid == 12345
    (passable.state / RELEASES).symlink_to(passable.etc / "only-root-may-write-here")
    with pytest.raises(UsageError, match="symbolic link"):
        records.enter(RELEASES, LedgerEntryType.RELEASE, {}, {})
    with as_owner_of(passable.state):
        assert os.geteuid() == 12345
        with pytest.raises(PermissionError):
            (passable.etc / "x").touch()
    assert os.geteuid() == 0


def test_systemd_is_asked_only_about_the_installed_tree(layout, tmp_path):
    assert Systemd.of(layout, booted=tmp_path) is None
