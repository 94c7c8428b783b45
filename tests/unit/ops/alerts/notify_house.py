"""A notifier with a real sink, a journal that stands in for journald, and figures of a host in order."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import evolve

from prometheus.v10.base.names import Event
from prometheus.v10.ops.alerts import metric_table as m
from prometheus.v10.ops.alerts.channels import read_channels
from prometheus.v10.ops.alerts.notifying import Notifier, notify
from prometheus.v10.ops.alerts.open_metrics import Sample, rendered
from tests.unit.ops.alerts.sink import JournalStandIn, Sink

SECRETS = {"path": "S3cretPathAAAA", "token": "S3cretTokenBBBB", "ping": "S3cretPingCCCC", "apprise": "S3cretUrlDDDD"}
HOUR, DAY = 3600.0, 86400.0


def credential_text(sink: Sink, *, health: bool = True) -> str:
    text = f'[webhook]\nurl = "{sink.url(SECRETS["path"])}"\ntoken = "{SECRETS["token"]}"\nca_pem = """{sink.pem}"""\n'
    if health:
        text += f'[healthchecks]\nurl = "{sink.url(SECRETS["ping"])}"\nca_pem = """{sink.pem}"""\n'
    return text


def write_figures(place: Path, now: float, *more: Sample) -> None:
    """Figures of a host on which everything is in order, but for ``more``."""
    good = [
        Sample(m.MEASURED, now), Sample(m.KILL_SWITCH, 0), Sample(m.LEDGER, 9), Sample(m.AUDIT, now - HOUR),
        Sample(m.AUDIT_PASSED, 1), Sample(m.CHECKPOINT, now - HOUR), Sample(m.DISK_FULL, now + 30 * 86400),
        Sample(m.WORKING, 1, ("HF",)), Sample(m.BEAT, now - 1, ("HF",)), Sample(m.LAST_SEAL, now - 60, ("HF",)),
    ]  # fmt: skip
    named = {(one.family.name, one.labels) for one in more}
    place.write_text(rendered([*(one for one in good if (one.family.name, one.labels) not in named), *more]))


class House:
    def __init__(self, folder: Path, credential: Path, clock) -> None:
        self.journal = JournalStandIn(folder)
        self.said: list[str] = []
        self.clock = clock
        (folder / "state").mkdir()
        self.job = Notifier(
            state=folder / "state", figures=folder / "x.prom", channels=read_channels(credential), clock=clock,
            say=self.said.append, users=frozenset({"0"}),
        )  # fmt: skip
        self.figures()

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    def figures(self, *more: Sample) -> None:
        write_figures(self.job.figures, self.now, *more)

    def look(self, after: float = 60.0, *figures: Sample):
        self.clock.advance(after)
        self.figures(*figures)
        return notify(evolve(self.job, journalctl=self.journal.command))

    def event(self, event: Event = Event.INCIDENT, **more) -> None:
        self.journal.event(event, self.now, **more)


def texts(sink: Sink) -> list[str]:
    return [json.loads(one.body)["text"] for one in sink.heard if SECRETS["path"] in one.path]


def pings(sink: Sink) -> list[str]:
    return [one.path.rpartition(SECRETS["ping"])[2] for one in sink.heard if SECRETS["ping"] in one.path]
