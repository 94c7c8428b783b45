"""The digest: once a day at its minute, in UTC, with what came since the one before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from attrs import evolve

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.ops.alerts import metric_table as m
from prometheus.v10.ops.alerts.channels import read_channels
from prometheus.v10.ops.alerts.digest import is_due, lines_of, sums_of
from prometheus.v10.ops.alerts.notifying import notify
from prometheus.v10.ops.alerts.open_metrics import Sample, parsed, rendered
from prometheus.v10.ops.alerts.telling import FILE
from tests.unit.ops.alerts.notify_house import DAY, HOUR, credential_text, texts

SEVEN = 7 * 60


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("before", "now", "due"),
    [
        ("2026-01-01T07:00:10", "2026-01-02T06:59:59", False),
        ("2026-01-01T07:00:10", "2026-01-02T07:00:00", True),
        ("2026-01-02T07:00:00", "2026-01-02T07:00:30", False),
        ("2026-01-01T07:00:10", "2026-01-02T23:59:59", True),  # the host was off at seven
        ("2026-01-02T06:00:00", "2026-01-02T07:30:00", True),
        ("2026-01-02T08:00:00", "2026-01-02T23:00:00", False),
        ("2026-01-03T08:00:00", "2026-01-02T09:00:00", False),  # the clock was set back
    ],
)
def test_it_is_due_once_a_day(before, now, due):
    assert is_due(SEVEN, moment(before), moment(now)) is due


def test_the_first_one_waits_for_its_minute():
    assert not is_due(SEVEN, 0.0, moment("2026-01-02T09:00:00"))


@pytest.fixture
def daily(house, sink):
    """A house whose credential asks for a digest at seven; its clock begins at 03:04:05."""
    place = house.job.state.parent / "daily.toml"
    place.write_text(credential_text(sink) + '[digest]\nat = "07:00"\n')
    place.chmod(0o600)
    house.job = evolve(house.job, channels=read_channels(place))
    return house


def counted(deaths: float, collapses: float, ticks: float) -> list[Sample]:
    return [
        Sample(m.DEATHS, deaths, ("HF",)), Sample(m.BIRTHS, 7, ("HF",)), Sample(m.AGENT_TICKS, ticks, ("HF",)),
        Sample(m.RUNS, 3, ("HF", "completed")), Sample(m.RUNS, 1, ("HF", "interrupted")),
        Sample(m.COLLAPSES, collapses, ("HF", "extinction")), Sample(m.ALIVE, 96, ("HF",)),
        Sample(m.DISK_USED, 12.5e9), Sample(m.DISK_BUDGET, 40e9), Sample(m.DISK_A_DAY, 480e6),
    ]  # fmt: skip


def test_a_day_is_told_in_one_message_with_what_came_since_the_one_before(daily, sink):
    daily.look(60.0, *counted(1000, 10, 5e6))
    assert texts(sink) == []
    daily.look(4 * HOUR, *counted(3500, 12, 9e6))
    (text,) = texts(sink)
    title, since, alive, deaths, collapses, audit, disk = text.splitlines()
    assert title.endswith(": the day")
    assert since == "since 2026-01-02T03:05:05Z"
    assert alive == "alive      HF runs, 96 agents alive 1 s ago"
    assert deaths == "deaths     HF: 2,500, and 0 births, in 0 runs"
    assert collapses == "collapses  HF: 2 in 4,000,000 agent-ticks, one in 2,000,000; a trend? prometheus-quant kpi HF"
    assert audit == "audit      passed at 2026-01-02T06:05:05Z"
    assert disk == "disk       12.5 GB used of 40.0, 480 MB in the last day, full at 2026-02-01T07:05:05Z at that pace"
    for _ in range(3):
        daily.look(HOUR, *counted(9999, 99, 9e9))
    assert len(texts(sink)) == 1
    daily.look(DAY, *counted(9999, 99, 9e9))
    assert [text.splitlines()[1] for text in texts(sink)] == [since, "since 2026-01-02T07:05:05Z"]


def test_a_host_that_was_off_at_its_minute_tells_it_later_and_once(daily, sink):
    daily.look(60.0)
    daily.look(9 * HOUR)
    daily.look(60.0)
    assert len(texts(sink)) == 1


def test_without_figures_it_says_so(daily, sink):
    daily.look(60.0)
    daily.clock.advance(5 * HOUR)
    daily.job.figures.unlink()
    notify(evolve(daily.job, journalctl=daily.journal.command))
    assert any("the day\nsince" in text and "no figures of this host" in text for text in texts(sink))


def test_figures_that_were_counted_anew_are_told_as_they_are():
    then = {"deaths HF": 500.0}
    figures = parsed(rendered([Sample(m.DEATHS, 30, ("HF",))]))
    assert sums_of(figures) == {"deaths HF": 30.0}
    assert "deaths     HF: 30, and 0 births, in 0 runs" in lines_of(figures, None, then, 0.0)


def test_whoever_asks_for_none_gets_none_and_may_ask_later(house, sink):
    house.look(60.0)
    house.look(2 * DAY)
    assert not any(": the day" in text for text in texts(sink))
    assert '"digested":0.0' in (house.job.state / FILE).read_text()


@pytest.mark.parametrize("at", ['"7:00"', '"24:00"', '"07:60"', "7", '"07:00Z"', '""'])
def test_a_time_that_is_none_is_refused(sink, tmp_path, at):
    place = tmp_path / "notify.toml"
    place.write_text(credential_text(sink) + f"[digest]\nat = {at}\n")
    with pytest.raises(ConfigError, match=r"digest\.at is no time of the day"):
        read_channels(place)


def test_a_digest_without_a_channel_that_takes_messages_is_refused(sink, tmp_path):
    place = tmp_path / "notify.toml"
    text = credential_text(sink)
    place.write_text(text[text.index("[healthchecks]") :] + '[digest]\nat = "07:00"\n')
    with pytest.raises(ConfigError, match="a digest needs a channel that takes messages"):
        read_channels(place)
