"""Room on the disk: two bounds that hold together, the machine's and ours (contracts, sections 6 and 7).

``keep_free_bytes`` belongs to the file system: below it nothing new is started, and a run in flight is sealed and
stopped. ``budget_bytes`` belongs to us: what lies under the installation's root may not exceed it. Both are looked at
before a start; in flight only the first, which costs one ``statvfs``. A reserve (`ops.storage.reserve`) is given
up when keep-free is reached in flight, and made anew before the next run: until there is room for it, none begins.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from attrs import evolve, frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.storage.reserve import FILE_NAME, Reserve
from prometheus.v10.ops.storage.sizes import bytes_under, free_bytes, sized
from prometheus.v10.runs.request.profile import DiskTable

LOOK_SECONDS = 1.0

__all__ = ["LOOK_SECONDS", "DiskGuard", "DiskLook", "Room", "bytes_under", "free_bytes", "look", "require_room"]


class Room(StrEnum):
    """What a look at the disk found."""

    ENOUGH = "enough"
    BELOW_KEEP_FREE = "below_keep_free"
    OVER_BUDGET = "over_budget"
    REFUSED = "refused"


@frozen
class DiskLook:
    """One look at the disk; all figures in bytes.

    Attributes:
        used_bytes: bytes allocated under the root, or None when they were not counted.
        refusal: why the disk refused a write although the bounds hold (a quota, no inodes, a burst), or None.
    """

    place: Path
    free_bytes: int
    keep_free_bytes: int
    used_bytes: int | None
    budget_bytes: int | None
    refusal: str | None = None

    @property
    def room(self) -> Room:
        """The verdict; keep-free first, because it is the machine's and not only ours."""
        if self.free_bytes < self.keep_free_bytes:
            return Room.BELOW_KEEP_FREE
        if self.used_bytes is not None and self.budget_bytes is not None and self.used_bytes > self.budget_bytes:
            return Room.OVER_BUDGET
        return Room.ENOUGH if self.refusal is None else Room.REFUSED

    def sentence(self) -> str:
        """The verdict in words, with its figures."""
        if self.room is Room.BELOW_KEEP_FREE:
            return f"{self.place} has {sized(self.free_bytes)} free, and {sized(self.keep_free_bytes)} must stay free"
        if self.room is Room.OVER_BUDGET:
            return f"{self.place} holds {sized(self.used_bytes or 0)}, the budget is {sized(self.budget_bytes or 0)}"
        free = f"{self.place} has {sized(self.free_bytes)} free"
        return free if self.refusal is None else f"{free}, and yet: {self.refusal}"


def look(root: Path, *, keep_free_bytes: int, budget_bytes: int | None) -> DiskLook:
    """Look at both bounds; walks everything under ``root`` when there is a budget.

    Raises:
        HostError: when the disk cannot be looked at.
    """
    used = None if budget_bytes is None else bytes_under(root)
    return DiskLook(root, free_bytes(root), keep_free_bytes, used, budget_bytes)


def require_room(root: Path, *, keep_free_bytes: int, budget_bytes: int | None) -> DiskLook:
    """Refuse to start without room.

    Raises:
        HostError: saying which bound is hurt and by how much.
    """
    return refuse_without_room(look(root, keep_free_bytes=keep_free_bytes, budget_bytes=budget_bytes))


def refuse_without_room(found: DiskLook) -> DiskLook:
    """Turn a look that found no room into an error.

    Raises:
        HostError: saying which bound is hurt and by how much.
    """
    if found.room is not Room.ENOUGH:
        raise HostError(
            f"no room on the disk: {found.sentence()}",
            hint="free disk space, run retention, or change [disk] in the profile",
        )
    return found


class DiskGuard:
    """The looks of one service at its disk, and what it does with its reserve about them.

    Attributes:
        reserve: given up when keep-free is reached in flight; `ReserveFiles` gives it up when a write is refused.
    """

    def __init__(
        self,
        root: Path,
        keep_free_bytes: int,
        clock: Clock,
        *,
        budget_bytes: int | None = None,
        reserve: Reserve | None = None,
    ) -> None:
        self.reserve = Reserve(root / FILE_NAME, 0) if reserve is None else reserve
        self._root = root
        self._keep_free_bytes = keep_free_bytes
        self._budget_bytes = budget_bytes
        self._clock = clock
        self._looked_at: float | None = None
        self._last: DiskLook | None = None

    @classmethod
    def of(cls, layout: Layout, instance: str, bounds: DiskTable, clock: Clock) -> DiskGuard:
        """The guard of one instance, its reserve in ``state/<instance>``."""
        reserve = Reserve(layout.state / instance / FILE_NAME, bounds.reserve_bytes)
        keep_free, budget = bounds.keep_free_bytes, bounds.budget_bytes
        return cls(layout.lib, keep_free, clock, budget_bytes=budget, reserve=reserve)

    def look(self) -> DiskLook:
        """In flight: the newest look at keep-free, at most one second old, and whether the disk refused a write.

        The reserve is given up when keep-free is reached.

        Raises:
            HostError: when the disk cannot be looked at.
        """
        moment = self._clock.monotonic()
        if self._last is None or self._looked_at is None or moment - self._looked_at >= LOOK_SECONDS:
            self._looked_at = moment
            self._last = look(self._root, keep_free_bytes=self._keep_free_bytes, budget_bytes=None)
        if self._last.room is Room.BELOW_KEEP_FREE:
            self.reserve.give_up(self._last.sentence())
        elif self._last.refusal != self.reserve.spent:
            self._last = evolve(self._last, refusal=self.reserve.spent)
        return self._last

    def require(self) -> None:
        """Refuse to start without room, for the reserve as well; nothing is made yet.

        Raises:
            HostError: saying which bound is hurt and by how much.
        """
        refuse_without_room(self._room())

    def before_run(self) -> DiskLook:
        """Between runs: both bounds, with room for the reserve, which is made when it is missing.

        Raises:
            HostError: when the disk cannot be looked at.
        """
        self._last = None
        found = self._room()
        if found.room is Room.ENOUGH:
            try:
                self.reserve.make()
            except HostError as error:
                return evolve(found, refusal=error.message)
        return found

    def _room(self) -> DiskLook:
        """Both bounds; the walk that counts our bytes only when the cheap look finds room.

        However little is to stay free, no run is begun with less than the reserve's size: the first writes of a run
        and what the service notes between two runs must not be what fills the disk.
        """
        needed = max(self._keep_free_bytes, self.reserve.size) + self.reserve.missing
        found = look(self._root, keep_free_bytes=needed, budget_bytes=None)
        if found.room is Room.ENOUGH and self._budget_bytes is not None:
            return look(self._root, keep_free_bytes=needed, budget_bytes=self._budget_bytes)
        return found
