"""Alerts against a real HTTPS server: refused, slow, 500, a flood; what is told, and how often."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest
from attrs import evolve

from prometheus.v10.base.names import Event
from prometheus.v10.ops.alerts import https_post
from prometheus.v10.ops.alerts import metric_table as m
from prometheus.v10.ops.alerts.channels import read_channels
from prometheus.v10.ops.alerts.journal_alerts import EVENTS, OUR_UNIT, alert_of
from prometheus.v10.ops.alerts.notifying import MOST_AT_ONCE, notify
from prometheus.v10.ops.alerts.open_metrics import Family, Sample
from prometheus.v10.ops.alerts.telling import AN_HOUR, FILE, MOST_WAITING, QUIET, REMIND
from tests.unit.ops.alerts.notify_house import DAY, HOUR, SECRETS, credential_text, pings, texts

# ---- what is told ----------------------------------------------------------------------------------------------------


def test_a_failed_unit_is_told_with_what_to_type_and_pings_fail(house, sink):
    house.journal.unit_failed("prometheus-stage1@HF.service", house.now, result="watchdog")
    house.look()
    (text,) = texts(sink)
    assert "CRITICAL  prometheus-stage1@HF.service failed: watchdog" in text
    assert "journalctl -u prometheus-stage1@HF.service -x" in text
    assert pings(sink) == ["/fail"]
    assert sink.heard[0].headers["Authorization"] == f"Bearer {SECRETS['token']}"


@pytest.mark.parametrize("event", list(EVENTS))
def test_every_event_of_the_table_is_told(house, sink, event):
    house.event(event)
    house.look()
    assert event.label in texts(sink)[0]


@pytest.mark.parametrize("event", [Event.RUN_SEALED, Event.COLLAPSE, Event.INTERESTING_DEATH, Event.SNAPSHOT])
def test_what_happens_every_hour_wakes_nobody(house, sink, event):
    house.event(event)
    assert house.look().message is None
    assert texts(sink) == []


def test_every_service_of_ours_is_one_whose_failure_is_told(repository):
    names = [path.name.replace("@.", "@HF.") for path in (repository / "units").glob("*.service")]
    assert len(names) > 10
    assert [name for name in names if not OUR_UNIT.fullmatch(name)] == []


def test_nobody_but_root_and_our_users_is_believed(house, sink):
    house.event(uid="1000")
    house.event(_TRANSPORT="syslog")
    house.journal.unit_failed("prometheus-stage1@HF.service", house.now, pid="4711")
    for foreign in ("ssh.service", "prometheus-node-exporter.service", "prometheus-stage1@HF.service\nx"):
        house.journal.unit_failed(foreign, house.now)
    assert house.look().message is None
    assert texts(sink) == []


@pytest.mark.parametrize(
    "change",
    [
        {"MESSAGE": None},
        {"MESSAGE": [27, 91]},
        {"MESSAGE": "\x1b[2J\u202e\nCRITICAL lie"},
        {"PROMETHEUS_INSTANCE": "a/../b"},
        {"PROMETHEUS_INSTANCE": ["HF", "HF"]},
        {"__REALTIME_TIMESTAMP": "x"},
        {"PROMETHEUS_EVENT": 3},
    ],
)
def test_an_entry_in_another_form_is_no_fault_and_moves_no_terminal(change):
    entry = {
        "__REALTIME_TIMESTAMP": "1767323045000000", "MESSAGE": "x", "MESSAGE_ID": Event.INCIDENT.message_id,
        "_UID": "0", "PROMETHEUS_EVENT": "incident", "_TRANSPORT": "journal", "PROMETHEUS_INSTANCE": "HF", **change,
    }  # fmt: skip
    found = alert_of(entry, users=frozenset({"0"}))
    assert found is None or (found.text.isprintable() and "../" not in found.key)


def at(family: Family, seconds: float, *labels: str) -> Callable[[float], Sample]:
    """A moment, so many seconds from now."""
    return lambda now: Sample(family, now + seconds, labels)


def fixed(family: Family, value: float, *labels: str) -> Callable[[float], Sample]:
    return lambda _now: Sample(family, value, labels)


FORGOTTEN = {
    "the last audit ended": [at(m.AUDIT, -27 * HOUR)],
    "the ledger is not witnessed": [at(m.CHECKPOINT, -8 * DAY)],
    "the disk budget is full": [at(m.DISK_FULL, 2 * DAY)],
    "are free on the disk": [fixed(m.DISK_FREE, 5), fixed(m.DISK_KEEP_FREE, 4)],
    "the kill switch has been pulled": [fixed(m.KILL_SWITCH, 1), at(m.KILL_SWITCH_SINCE, -25 * HOUR)],
    "the last audit did not pass": [fixed(m.AUDIT_PASSED, 0)],
    "is still failed": [fixed(m.UNIT_FAILED, 1, "prometheus-site.service")],
    "no progress": [at(m.BEAT, -HOUR, "HF")],
    "sealed no run": [at(m.LAST_SEAL, -2 * DAY, "HF")],
    "no figures of this host": [at(m.MEASURED, -HOUR)],
}


@pytest.mark.parametrize("words", FORGOTTEN)
def test_what_is_forgotten_is_told_once_a_day_until_it_is_mended(house, sink, words):
    def figures(now: float) -> list[Sample]:
        return [make(now) for make in FORGOTTEN[words]]

    for _ in range(3):
        house.look(60, *figures(house.now + 60))
    assert len([text for text in texts(sink) if words in text]) == 1
    house.look(REMIND, *figures(house.now + REMIND))
    assert len([text for text in texts(sink) if words in text]) == 2
    house.look()  # mended
    house.look(QUIET)
    house.look(60, *figures(house.now + 60))
    assert len([text for text in texts(sink) if words in text]) == 3


def test_figures_that_are_gone_or_no_figures_are_silence(house, sink):
    house.look()
    for content in (None, b"", b"\xff", b"pq_up 1\n"):
        house.job.figures.unlink(missing_ok=True)
        if content is not None:
            house.job.figures.write_bytes(content)
        house.clock.advance(REMIND)
        done = notify(evolve(house.job, journalctl=house.journal.command))
        assert "no figures of this host" in done.message.text


# ---- how often -------------------------------------------------------------------------------------------------------


def test_ten_thousand_events_a_minute_are_one_message_and_then_a_count(house, sink):
    for _ in range(10_000):
        house.event()
    house.look()
    for _ in range(10_000):
        house.event()
    house.look()
    (text,) = texts(sink)
    assert "10,000 times" in text
    house.look(QUIET)
    assert len(texts(sink)) == 2
    assert "10,000 times" in texts(sink)[1]
    house.look(QUIET)
    assert len(texts(sink)) == 2


def test_more_entries_than_one_look_reads_are_read_at_the_next(house, sink, monkeypatch):
    monkeypatch.setattr("prometheus.v10.ops.alerts.journal_alerts.MOST_ENTRIES", 50)
    for _ in range(120):
        house.event()
    for _ in range(3):
        house.look()
    house.look(QUIET)
    assert ["50 times" in texts(sink)[0], "70 times" in texts(sink)[1]] == [True, True]


def test_many_things_at_once_are_one_short_message(house, sink):
    for number in range(1000):
        house.event(instance=f"I{number}")
    house.look()
    (text,) = texts(sink)
    assert len(text.splitlines()) < 25
    assert "more: journalctl" in text
    assert len(json.loads((house.job.state / FILE).read_text())["heard"]) <= 300


def test_without_anything_critical_there_are_six_messages_an_hour_and_nothing_is_lost(house, sink):
    for number in range(10):
        house.event(Event.ROLLBACK, instance=f"I{number}")
        house.look()
    assert len(texts(sink)) == AN_HOUR
    house.event(Event.INCIDENT)  # something critical is told whatever was told before
    house.look()
    assert len(texts(sink)) == AN_HOUR + 1
    assert all(f"rollback of I{number}" in "".join(texts(sink)) for number in range(10))


def test_healthchecks_hears_of_life_and_silence_is_silence(house, sink):
    house.look()
    assert pings(sink) == [""]
    still = [Sample(m.BEAT, house.now, ("HF",)), Sample(m.LAST_SEAL, house.now - 60, ("HF",))]
    house.look(60, *still)
    house.look(60, *still)
    assert pings(sink) == ["", ""]  # the one new sign, and none after it


# ---- channels that do not work ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["refused", "500", "slow", "drip", "redirect", "garbage", "stranger"])
def test_a_channel_that_fails_is_told_once_retried_and_loses_nothing(house, sink, mode, monkeypatch, tmp_path):
    good = house.job
    text = credential_text(sink)
    if mode == "refused":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            text = text.replace(f":{sink.port}/", f":{free.getsockname()[1]}/")
    elif mode == "stranger":
        text = "\n".join(line for line in text.replace(sink.pem, "").splitlines() if "ca_pem" not in line)
    else:
        sink.mode = mode
    bad = tmp_path / "bad.toml"
    bad.write_text(text)
    house.job = evolve(good, channels=read_channels(bad))
    house.event()
    with monkeypatch.context() as hurry:
        hurry.setattr(https_post.post, "__kwdefaults__", {"seconds": 0.3 if mode in {"slow", "drip"} else 10.0})
        done = house.look()
        assert (done.sent, sorted(done.failed), done.waiting) == ([], ["healthchecks", "webhook"], 1)
        looks = [house.look(300) for _ in range(10)]
    assert sum("webhook" in look.failed for look in looks) == 5  # they wait 1, 2, 4, 8, 16 and 32 minutes
    assert [line.split()[1] for line in house.said] == ["webhook", "healthchecks"]  # once each
    sink.mode = "ok"
    sink.let_go.set()
    sink.let_go.clear()
    sink.heard.clear()
    house.job = good
    house.look(HOUR)
    assert "incident of HF" in texts(sink)[0]
    assert [line.split()[:2] for line in house.said[2:]] == [["notice:", "webhook"], ["notice:", "healthchecks"]]
    assert not any(secret in line for line in house.said for secret in SECRETS.values())
    assert "elsewhere" not in {one.path.strip("/") for one in sink.heard}


def test_messages_that_nobody_takes_are_bounded_and_counted(house, sink):
    sink.mode = "500"
    for number in range(MOST_WAITING + 5):
        house.event(instance=f"I{number}")
        house.look()
    kept = json.loads((house.job.state / FILE).read_text())
    assert (len(kept["waiting"]), kept["lost"]) == (MOST_WAITING, 1)  # each message tells how many were lost before it
    assert sum("earlier messages that reached nobody: 1" in one["text"] for one in kept["waiting"]) == 4
    sink.mode = "ok"
    sink.heard.clear()
    house.look(HOUR)
    assert len(texts(sink)) == MOST_AT_ONCE  # a slow channel must not hold a look for ever
    for _ in range(MOST_WAITING):
        house.look(1)
    assert len(texts(sink)) == MOST_WAITING
    house.event(instance="LAST")
    house.look()
    assert "earlier messages that reached nobody: 1" in texts(sink)[-1]


def test_what_a_sink_answers_changes_nothing(house, sink, tmp_path):
    before = {path.name for path in tmp_path.rglob("*")}
    house.event()
    house.look()
    kept = (house.job.state / FILE).read_text()
    assert "stop" not in kept.replace("stop_requested", "")
    assert {path.name for path in tmp_path.rglob("*")} - before == {FILE, "journalctl.py", "journal.json", "lock"}
