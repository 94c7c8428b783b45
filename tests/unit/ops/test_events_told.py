"""Moments that no other test hears: the service's begin and end, reviews, intervals, a foreign core, a checkpoint."""

from __future__ import annotations

import functools
import socket
from pathlib import Path

import pytest

from prometheus.cli.operate import ledger_command
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import CoreInvarianceError
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import EVENT_FIELDS, Event, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.host.host_records import HostRecords
from prometheus.v10.ops.service.liveness import Liveness
from prometheus.v10.ops.service.serving import Request, Service
from prometheus.v10.ops.service.stop import StopWatch
from prometheus.v10.runs.workers import invariance

PROFILE = """
mode = "offline"
evidence.compress = false
workers = 1
[market]
timeframe_s = 3600
seed = 20260101
bars = 1200
[experiments]
count = 1
[world]
leverage_cap = 100.0
review_ticks = 60
founders = 12
[disk]
keep_free_bytes = 1048576
"""
"""So few founders at so high a leverage that nobody is left before the window ends."""


@pytest.fixture
def serve(layout: Layout, tmp_path: Path, notify_socket):
    """Runs the service once in this process; returns what the journal was told."""
    place = tmp_path / "HF.toml"
    place.write_text(PROFILE)
    said: list[dict[str, str]] = []

    def once() -> list[dict[str, str]]:
        clock = SystemClock()
        journal = Journal(
            instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None, socket=notify_socket.path,
            sender=lambda message, **fields: said.append({"MESSAGE": message, **fields}),
        )  # fmt: skip
        request = Request(
            mode=Mode.OFFLINE, stage=Stage.STAGE1, instance="HF", layout=layout, profile=str(place), max_runs=1
        )
        with StopWatch(layout.stop_file, clock) as stop:
            Service(request, clock, stop, Liveness({}, clock), journal).run()
        return said

    once.said = said  # type: ignore[attr-defined]
    return once


def of(said: list[dict[str, str]], event: Event) -> list[dict[str, str]]:
    return [fields for fields in said if fields["PROMETHEUS_EVENT"] == str(event)]


def test_a_service_tells_of_its_begin_its_reviews_its_collapses_and_its_end(serve) -> None:
    said = serve()
    order = [fields["PROMETHEUS_EVENT"] for fields in said]
    for event in (Event.SERVICE_READY, Event.RUN_STARTED, Event.RUN_ENDED, Event.RUN_SEALED, Event.SERVICE_STOPPING):
        (told,) = of(said, event)
        assert {f"PROMETHEUS_{name.upper()}" for name in EVENT_FIELDS[event]} <= told.keys()
        assert told["MESSAGE_ID"] == event.message_id
    assert order[-1] == "service_stopping"
    assert of(said, Event.SERVICE_STOPPING)[0]["PROMETHEUS_REASON"] == "the asked number of runs is done"
    deaths = [int(fields["PROMETHEUS_DEATHS"]) for fields in of(said, Event.REVIEW_DEATHS)]
    assert deaths
    assert sum(deaths) <= int(of(said, Event.RUN_ENDED)[0]["PROMETHEUS_DEATHS"])
    collapses, intervals = of(said, Event.COLLAPSE), of(said, Event.COLLAPSE_INTERVAL)
    assert len(collapses) == len(intervals) == 1
    assert collapses[0]["PROMETHEUS_REASON"] == intervals[0]["PROMETHEUS_REASON"] == "extinction"


def test_a_core_that_is_not_the_locked_one_is_told_and_starts_nothing(serve, layout, tmp_path, monkeypatch) -> None:
    locked = invariance.LOCK.read_text()
    (tmp_path / "CORE.lock").write_text("0" * 64 + locked[64:])
    monkeypatch.setattr(invariance, "LOCK", tmp_path / "CORE.lock")
    with pytest.raises(CoreInvarianceError):
        serve()
    (told,) = serve.said
    assert told["PROMETHEUS_EVENT"] == str(Event.CORE_MISMATCH)
    assert "0" * 64 in told["PROMETHEUS_FOUND"]
    assert not layout.ledger.exists()


def test_a_checkpoint_of_the_ledger_is_told_to_the_journal(layout, tmp_path, fake_clock, monkeypatch) -> None:
    ledger = InstallationLedger(layout, clock=fake_clock, instance="HF", on_torn=lambda _: None)
    ledger.begin()
    heard = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(heard))
        listener.setblocking(False)
        monkeypatch.setattr(ledger_command, "HostRecords", functools.partial(HostRecords, socket=heard))
        kept = tmp_path / "kept"
        kept.mkdir()
        report = ledger_command.witness(layout, directory=kept)
        lines = listener.recv(1 << 16).decode().splitlines()
    assert f"PROMETHEUS_EVENT={Event.LEDGER_CHECKPOINT}" in lines
    assert f"MESSAGE_ID={Event.LEDGER_CHECKPOINT.message_id}" in lines
    assert "PROMETHEUS_ENTRIES=1" in lines
    assert report.data["new"] is True
    assert f'"type":"{LedgerEntryType.INSTALLATION}"' in layout.ledger.read_text()
