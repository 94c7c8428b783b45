"""The pace of a service: how long it rests between runs, so that a day's evidence is what the profile allows."""

from __future__ import annotations

from pathlib import Path

from attrs import define

from prometheus.v10.base.clock import Clock

DAY_SECONDS = 86_400.0


@define
class Pace:
    """What a day's evidence may take, and when the next run may begin.

    Each run pays for its bytes with time, from its own beginning on. So the runs that this process began within any
    day take at most one run more than a day's bytes.

    Attributes:
        bytes_a_day: what a day may take; None sets no pace.
        least_seconds: pause between two runs in any case.
    """

    clock: Clock
    bytes_a_day: int | None
    least_seconds: float
    _free_at: float = 0.0
    _began: float = 0.0

    def begin(self) -> None:
        """A run begins now."""
        self._began = max(self.clock.monotonic(), self._free_at)

    def rest(self, nbytes: int) -> float:
        """The run that began last took ``nbytes``: how long to rest before the next one, seconds."""
        now = self.clock.monotonic()
        if self.bytes_a_day is None:
            return self.least_seconds
        self._free_at = self._began + nbytes * DAY_SECONDS / self.bytes_a_day
        return max(self.least_seconds, self._free_at - now)

    def why(self, seconds: float) -> str:
        """What STATUS says while the service rests."""
        if self.bytes_a_day is None or seconds <= self.least_seconds:
            return "pausing"
        return f"resting {_span(seconds)} to keep to {self.bytes_a_day / 1e6:,.0f} MB of evidence a day"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def bytes_of(run: Path, pool: Path, pool_before: int) -> int:
    """What a run left on the disk: its directory, and what the pool has grown by since ``pool_before`` bytes."""
    own = sum(place.stat().st_size for place in run.iterdir())
    return own + max(0, size_of(pool) - pool_before)


def size_of(file: Path) -> int:
    """Bytes of a file that may not be there yet."""
    return file.stat().st_size if file.exists() else 0
