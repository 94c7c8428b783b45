"""The exact datagrams a manager hears, on a real socket, and nothing more."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.ops.instance.progress_record import ProgressRecord
from prometheus.v10.ops.service.liveness import (
    EXTEND_CAP_SECONDS,
    Liveness,
    ascii_sentence,
    status_sentence,
    watchdog_seconds,
)
from prometheus.v10.runs.control import Progress


def a_record(clock, **changes):
    return ProgressRecord.of(a_look(**changes), "HF", clock)


def a_look(**changes):
    figures = {
        "run_id": "HF_20260102T030405Z_abcdef0_0000", "experiments_total": 20, "experiments_done": 2, "tick": 4100,
        "ticks_total": 8760, "agent_ticks": 3_000_000, "alive": 87, "deaths": 13, "births": 5, "seconds": 1.5,
        "last_collapse": None,
    }  # fmt: skip
    return Progress(**{**figures, **changes})


@pytest.fixture
def live(notify_socket, fake_clock):
    speaker = Liveness({"NOTIFY_SOCKET": str(notify_socket.path), "WATCHDOG_USEC": "3000000"}, fake_clock)
    yield speaker
    speaker.close()


def test_a_whole_life_is_these_datagrams_and_nothing_more(live, notify_socket, fake_clock):
    live.status("opening")
    live.ready()
    live.ready()
    heard = []
    for step in range(1, 5):
        fake_clock.advance(1.0)
        live.beat("run", step)
        live.status(f"step {step}")
        heard += notify_socket.datagrams()  # a socket's queue may hold ten
    live.stopping()
    live.stopping()
    live.sealing()
    live.beat("run", 99)
    assert heard + notify_socket.datagrams() == [
        "STATUS=opening",
        "READY=1",
        "WATCHDOG=1",
        "WATCHDOG=1",
        "STATUS=step 1",
        "WATCHDOG=1",
        "STATUS=step 2",
        "WATCHDOG=1",
        "STATUS=step 3",
        "WATCHDOG=1",
        "STATUS=step 4",
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=20000000",
    ]
    assert live.sent == {"STATUS": 5, "READY": 1, "WATCHDOG": 5, "STOPPING": 1, "EXTEND_TIMEOUT_USEC": 1}
    assert (live.unsent, live.failed) == (0, 0)


def test_the_datagrams_come_from_this_process(live, notify_socket):
    live.ready()
    assert {pid for _text, pid in notify_socket.read()} == {os.getpid()}


def test_no_ping_while_the_work_stands_still(live, notify_socket, fake_clock):
    live.ready()
    fake_clock.advance(1.0)
    live.beat("run", 7)
    notify_socket.read()
    for _ in range(100):
        fake_clock.advance(1.0)
        live.beat("run", 7)
    assert notify_socket.datagrams() == []
    live.beat("run", 8)
    assert notify_socket.datagrams() == ["WATCHDOG=1"]


def test_no_ping_before_a_third_of_the_time(live, notify_socket, fake_clock):
    live.ready()
    notify_socket.read()
    for step in range(1, 100):  # 0.99 s of work, the watchdog is 3 s
        fake_clock.advance(0.01)
        live.beat("run", step)
    assert notify_socket.datagrams() == []
    fake_clock.advance(0.011)
    live.beat("run", 100)
    assert notify_socket.datagrams() == ["WATCHDOG=1"]


def test_no_ping_before_ready_and_none_without_a_watchdog(notify_socket, fake_clock):
    early = Liveness({"NOTIFY_SOCKET": str(notify_socket.path), "WATCHDOG_USEC": "3000000"}, fake_clock)
    early.beat("run", 1)
    early.close()
    unwatched = Liveness({"NOTIFY_SOCKET": str(notify_socket.path)}, fake_clock)
    unwatched.ready()
    fake_clock.advance(100.0)
    unwatched.beat("run", 1)
    unwatched.close()
    assert notify_socket.datagrams() == ["READY=1"]


def test_the_same_counter_of_the_next_run_is_new_work(live, notify_socket, fake_clock):
    live.ready()
    fake_clock.advance(1.0)
    live.beat("first run", 5)
    fake_clock.advance(1.0)
    live.beat("second run", 5)
    assert notify_socket.datagrams().count("WATCHDOG=1") == 3


def test_the_environment_is_left_as_it_was(notify_socket, fake_clock, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Liveness({"NOTIFY_SOCKET": str(notify_socket.path)}, fake_clock).close()
    assert "NOTIFY_SOCKET" not in os.environ
    monkeypatch.setenv("NOTIFY_SOCKET", "before")
    Liveness({"NOTIFY_SOCKET": str(notify_socket.path)}, fake_clock).close()
    assert os.environ["NOTIFY_SOCKET"] == "before"


def test_without_a_socket_it_is_silent_and_counts(fake_clock):
    speaker = Liveness({}, fake_clock)
    speaker.ready()
    speaker.status("nobody hears")
    speaker.stopping()
    assert not speaker.connected
    assert (speaker.unsent, speaker.failed, dict(speaker.sent)) == (3, 0, {})


def test_a_socket_that_is_not_there_is_named(fake_clock, tmp_path):
    speaker = Liveness({"NOTIFY_SOCKET": str(tmp_path / "gone")}, fake_clock)
    speaker.ready()
    assert speaker.unsent == 1
    assert speaker.last_error is not None
    assert "gone" in speaker.last_error


def test_a_manager_that_went_away_is_counted_not_raised(live, notify_socket):
    live.ready()
    notify_socket.close()
    live.stopping()
    assert live.failed == 1
    assert live.last_error is not None
    assert live.last_error.startswith("STOPPING not delivered")


def test_a_manager_that_does_not_read_does_not_hold_us_up(live):
    live.ready()
    for step in range(2000):  # more than any queue holds
        live.status(f"sentence {step}", now=True)
        if live.failed:
            break
    assert live.failed == 1


def test_extensions_stop_at_the_cap(live, notify_socket, fake_clock):
    live.ready()
    live.sealing()  # not stopping: nothing to extend
    live.stopping()
    notify_socket.read()
    asked = []
    for _ in range(1000):
        live.sealing()
        asked += [(fake_clock.ticks, int(text.split("=")[1]) / 1e6) for text in notify_socket.datagrams()]
        fake_clock.advance(1.0)
    assert asked
    assert max(moment + more for moment, more in asked) == 1000.0 + EXTEND_CAP_SECONDS


def test_before_ready_each_step_asks_for_more_time_but_not_too_often(live, notify_socket, fake_clock):
    asked = []
    for _ in range(20):
        live.starting()
        fake_clock.advance(1.0)
        asked += notify_socket.datagrams()
    assert asked == ["EXTEND_TIMEOUT_USEC=20000000"] * 4
    live.ready()
    notify_socket.datagrams()
    fake_clock.advance(100.0)
    live.starting()  # it has started
    assert notify_socket.datagrams() == []


def test_status_says_what_a_human_wants_to_know(fake_clock):
    assert status_sentence(a_record(fake_clock)) == (
        "HF_20260102T030405Z_abcdef0_0000: experiment 3 of 20, tick 4100 of 8760, 87 alive, 2,000,000 agent-ticks/s, "
        "5 births, 13 deaths, last collapse: none"
    )
    assert "experiment 20 of 20" in status_sentence(a_record(fake_clock, experiments_done=20))
    assert ", 0 agent-ticks/s, " in status_sentence(a_record(fake_clock, seconds=0.0))


@pytest.mark.parametrize(
    ("text", "heard"),
    [("READY=1", "READY:1"), ("a\nWATCHDOG=1", "a WATCHDOG:1"), ("héß", "h??"), ("  two   words ", "two words")],
)
def test_no_text_can_be_taken_for_an_assignment(text, heard):
    assert ascii_sentence(text) == heard


@pytest.mark.parametrize("value", ["0", "-5", "abc", "1.5", "٣", "0x10"])
def test_an_unreadable_watchdog_time_is_refused(value):
    with pytest.raises(ConfigError, match="WATCHDOG_USEC"):
        watchdog_seconds({"WATCHDOG_USEC": value})


def test_a_watchdog_time_is_in_microseconds():
    assert watchdog_seconds({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}) == 2.5
    assert watchdog_seconds({"WATCHDOG_USEC": ""}) is None


def test_a_hang_leaves_its_stack(notify_socket):
    program = textwrap.dedent(
        """
        import os, time
        from prometheus.v10.base.clock import SystemClock
        from prometheus.v10.ops.service.liveness import Liveness

        def the_place_that_hangs():
            time.sleep(1.0)

        live = Liveness(os.environ, SystemClock())
        live.ready()
        the_place_that_hangs()
        live.stopping()
        time.sleep(0.5)
        """
    )
    environment = {**os.environ, "NOTIFY_SOCKET": str(notify_socket.path), "WATCHDOG_USEC": "400000"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stderr.count("the_place_that_hangs") == 1  # once in the stack, and never again after STOPPING=1
    assert notify_socket.datagrams() == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
