"""``state/<instance>/progress.json``: how far the run is that an instance works on now.

1. The process that evolves writes it, at most once a second, whole and by replacing it. It is not synced: it is no
   evidence, and a kill leaves the last whole one. What cannot be written is counted, and the run goes on.
2. It is there while a run evolves: it is taken away before the run is sealed, and before an instance begins to work.
3. A reader gets every field in its form, or one line that says what is wrong. A record of another instance, with one
   field more or less, with a control character or of more than `MOST_BYTES` is none.

On a host the payload writes it through its custodian, like all files of its own state. Standard library and attrs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import asdict, fields, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError, HostError
from prometheus.v10.base.files import FILES, Files, discard, write_atomic
from prometheus.v10.base.names import is_instance, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import read_if_there
from prometheus.v10.evidence.records.canonical import canonical_line, is_canonical, strict_loads
from prometheus.v10.runs.control import Progress

PROGRESS_FILE = "progress.json"
PROGRESS_SCHEMA = "progress/1"
MOST_BYTES = 4096
MOST_TEXT = 200
MOST_NUMBER = 1 << 62
WRITE_SECONDS = 1.0
NO_COLLAPSE = "none"
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@frozen(kw_only=True)
class ProgressRecord:
    """One look at a run's work; ``status`` and the STATUS sentence show the same one.

    Attributes:
        ts_utc: when it was looked at.
        experiment: the number of the one that is worked on, from 1.
        tick: done by the experiment that is furthest behind.
        alive: agents alive in the experiments that are running.
        last_collapse: the last one of this run, in words; ``none`` before the first.
    """

    instance: str
    ts_utc: str
    run_id: str
    experiment: int
    experiments: int
    tick: int
    ticks: int
    alive: int
    agent_ticks_per_second: int
    births: int
    deaths: int
    last_collapse: str
    schema: str = PROGRESS_SCHEMA

    @classmethod
    def of(cls, look: Progress, instance: str, clock: Clock) -> ProgressRecord:
        """What a run of an instance reports, as the record of now."""
        text = (look.last_collapse or NO_COLLAPSE).encode("ascii", "replace").decode("ascii")
        return cls(
            instance=instance,
            ts_utc=utc_text(clock.now()),
            run_id=look.run_id,
            experiment=min(look.experiments_done + 1, look.experiments_total),
            experiments=look.experiments_total,
            tick=look.tick,
            ticks=look.ticks_total,
            alive=look.alive,
            agent_ticks_per_second=round(look.agent_ticks / look.seconds) if look.seconds > 0 else 0,
            births=look.births,
            deaths=look.deaths,
            last_collapse=" ".join(text.split())[:MOST_TEXT],
        )

    def plain(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def progress_place(layout: Layout, instance: str) -> Path:
    """Where the record of an instance lies."""
    return layout.state / instance / PROGRESS_FILE


def read_progress(layout: Layout, instance: str) -> ProgressRecord | None:
    """The record of an instance; None where there is none.

    Raises:
        EvidenceError: when what lies there is no such record; in one line that repeats nothing of it.
        HostError: when it cannot be read.
    """
    place = progress_place(layout, instance)
    data = read_if_there(place, at_most=MOST_BYTES)
    if data is None:
        return None
    try:
        said = strict_loads(data)
        wrong = None if is_canonical(data.removesuffix(b"\n"), said) else "it is not canonical JSON"
    except ValueError:
        said, wrong = None, "it is not strict JSON"
    if wrong is None:
        wrong = _wrong(said, instance)
    if wrong is not None:
        hint = "the service writes it anew while it works"
        raise EvidenceError(f"{place} is no record of progress: {wrong}", hint=hint)
    return ProgressRecord(**said)


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_NUMBER


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MOST_TEXT and value.isascii() and value.isprintable()


_FORMS: dict[str, Callable[[Any], bool]] = {
    "schema": lambda value: value == PROGRESS_SCHEMA,
    "instance": lambda value: isinstance(value, str) and is_instance(value),
    "run_id": lambda value: isinstance(value, str) and is_run_id(value),
    "ts_utc": lambda value: isinstance(value, str) and _UTC.fullmatch(value) is not None,
    "last_collapse": _text,
}


def _wrong(said: object, instance: str) -> str | None:
    """What is wrong with a record; None when nothing is."""
    if not isinstance(said, dict):
        return "it is not an object"
    names = [field.name for field in fields(ProgressRecord)]
    if said.keys() != set(names):
        return "it has other fields"
    bad = [name for name in names if not _FORMS.get(name, _count)(said[name])]
    if bad:
        return f"{bad[0]} is not in its form"
    return None if said["instance"] == instance else "it is another instance's"


class ProgressFile:
    """Writes the record of one instance.

    Attributes:
        failed: how often it could not be written.
    """

    def __init__(self, layout: Layout, instance: str, clock: Clock, files: Files = FILES) -> None:
        """Take away what an earlier process left."""
        self.failed, self._instance = 0, instance
        self._place, self._clock, self._files = progress_place(layout, instance), clock, files
        self._written_at = -WRITE_SECONDS
        self._there = os.path.lexists(self._place)
        self.clear()

    def record(self, look: Progress) -> ProgressRecord:
        """What a run of the instance reports, as the record of now."""
        return ProgressRecord.of(look, self._instance, self._clock)

    def write(self, record: ProgressRecord) -> None:
        """Replace the record, unless that was done within the last second."""
        moment = self._clock.monotonic()
        if moment - self._written_at < WRITE_SECONDS:
            return
        self._written_at = moment
        try:
            write_atomic(self._place, canonical_line(record.plain()), files=self._files, durable=False)
        except HostError:
            self.failed += 1
        else:
            self._there = True

    def clear(self) -> None:
        """No run evolves now."""
        if self._there:
            self._there, self._written_at = False, -WRITE_SECONDS
            discard(self._place, files=self._files)
