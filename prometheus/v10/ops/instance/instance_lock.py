"""One instance (HF, PROMOTE, ...) and what it remembers between processes, in ``state/<instance>/``.

- ``service.lock``: one process at a time works for an instance; who is refused ends with 75 and may try again.
- ``counter.json``: how many runs the instance ever began. It is durable before a run begins, so that no restart, kill
  or power cut makes two runs share their seeds.
- ``collapse_intervals.jsonl``: see `prometheus.v10.ops.instance.collapse_intervals` (contracts, sections 2 and 11).
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import EvidenceError, UsageError, host_error
from prometheus.v10.base.files import Lock, make_directory, write_atomic
from prometheus.v10.base.names import is_instance
from prometheus.v10.base.paths import Layout, refuse_links_below
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.tail import OnTornTail
from prometheus.v10.evidence.records.canonical import pretty_bytes, strict_loads
from prometheus.v10.ops.instance.alive import LOCK_FILE
from prometheus.v10.ops.instance.collapse_intervals import FILE_NAME, CollapseIntervals

COUNTER_FILE = "counter.json"
COUNTER_SCHEMA = "run_counter/1"
LOCK_ATTEMPTS = 25  # half a second: the process before us may be in its last moments


class Instance:
    """Exclusive use of one instance's state; a context manager.

    Attributes:
        name: the instance.
        folder: ``state/<instance>``.
        intervals: its ledger of collapse intervals, open while the block lasts.
    """

    intervals: CollapseIntervals

    def __init__(self, layout: Layout, name: str, clock: Clock, on_torn: OnTornTail) -> None:
        """Name the instance; nothing is touched yet. ``on_torn`` hears of a torn tail in its ledger.

        Raises:
            UsageError: for a name that cannot be an instance's.
        """
        if not is_instance(name):
            raise UsageError(
                f"{name!r} cannot name an instance",
                hint="letters, digits, '_' and '.', at most 32, beginning with a letter or digit, "
                "no name of a file in state/; for example HF",
            )
        self.name = name
        self.folder = layout.state / name
        self._layout = layout
        self._clock = clock
        self._on_torn = on_torn
        self._lock = Lock(self.folder / LOCK_FILE, who=f"instance {name}")

    def __enter__(self) -> Self:
        refuse_links_below(self._layout.lib, self.folder)
        make_directory(self.folder)
        self._lock.acquire(attempts=LOCK_ATTEMPTS)
        try:
            self.intervals = CollapseIntervals(self.folder / FILE_NAME, self.name, self._clock, self._on_torn)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.intervals.close()
        self._lock.release()

    @property
    def counter_file(self) -> Path:
        """Where the number of runs begun is kept."""
        return self.folder / COUNTER_FILE

    def runs_begun(self) -> int:
        """How many runs this instance ever began.

        Raises:
            EvidenceError: when the counter cannot be read as one: guessing it could repeat seeds.
            HostError: when the file cannot be read.
        """
        try:
            data = self.counter_file.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise host_error(error, f"cannot read {self.counter_file}") from error
        try:
            tree = strict_loads(data)
            count, schema = tree["runs_begun"], tree["schema"]
        except (ValueError, KeyError, TypeError) as error:
            raise EvidenceError(f"{self.counter_file}: no counter: {error}", hint=_COUNTER_HINT) from error
        if schema != COUNTER_SCHEMA or type(count) is not int or count < 0:
            raise EvidenceError(f"{self.counter_file}: {data[:80]!r} is no counter", hint=_COUNTER_HINT)
        return count

    def begin_run(self) -> int:
        """The number of the run that begins now, counted from 0; durable on return.

        The ledger says which number the last run began with: a counter that was lost or set back repeats no seeds.

        Raises:
            EvidenceError: see `runs_begun`.
            HostError: when it cannot be written.
        """
        number = max(self.runs_begun(), ledger_now(self._layout.ledger).counters.get(self.name, -1) + 1)
        write_atomic(self.counter_file, pretty_bytes({"runs_begun": number + 1, "schema": COUNTER_SCHEMA}))
        return number


_COUNTER_HINT = "write the number of runs of this instance into it, so that no two runs share their seeds"
