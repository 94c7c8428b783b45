"""The service's side of a run: it hears progress, speaks to the manager, and says when to stop.

One object joins what must agree: READY goes out when the run's directory exists, or when all but a long check of
evidence is done; pings follow the run's own counter, the sentence of STATUS says what the record of progress says (it
is there while a run evolves), the first reason to stop is the one that is told everywhere, and a
full disk stops the run but not the service.
"""

from __future__ import annotations

from pathlib import Path

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.names import Event
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.instance.collapse_intervals import CollapseIntervals
from prometheus.v10.ops.instance.progress_record import ProgressFile
from prometheus.v10.ops.service.liveness import Liveness, status_sentence
from prometheus.v10.ops.service.stop import StopWatch
from prometheus.v10.ops.storage.disk import DiskGuard, DiskLook, Room
from prometheus.v10.runs.control import Progress, StoppedError, StopReason


class ServiceControl:
    """A `RunControl` for one service; the same object serves run after run.

    Attributes:
        run_id: the run in progress, or None.
        disk_full: the sentence that stopped the run in progress for want of room, or None.
    """

    def __init__(
        self,
        *,
        stop: StopWatch,
        live: Liveness,
        disk: DiskGuard,
        intervals: CollapseIntervals,
        progress: ProgressFile,
        journal: Journal,
        profile: str,
    ) -> None:
        self.run_id: str | None = None
        self.disk_full: str | None = None
        self._stop = stop
        self._live = live
        self._disk = disk
        self._intervals = intervals
        self._progress = progress
        self._journal = journal
        self._profile = profile
        self._ready = False
        self._able = False
        self._told = False
        self._seal_steps = 0
        self._bytes_checked = 0

    def preparing(self, what: str) -> None:
        """Before a run: say what takes a while."""
        self._live.status(what, now=True)

    def able(self) -> None:
        """Nothing but evidence to be checked stands before the run."""
        self._able = True

    def checked(self, nbytes: int) -> None:
        """Evidence was looked at before a run: counts as work.

        What can be checked after READY does not hold it up: a service that is able to work says so at the first call,
        and the rest of the check is watched as all work is. Before that, a start asks for the time that it needs.

        Raises:
            StoppedError: when somebody says stop meanwhile.
        """
        self._bytes_checked += nbytes
        if self._able:
            self._live.ready()
        self._live.beat("checking", self._bytes_checked)
        self._live.starting()
        self._live.status(f"checking evidence before a run: {self._bytes_checked >> 20} MiB")
        if self._stop.stop_requested() is not None:
            self.tell_stop()
            raise StoppedError

    def run_opened(self, run_id: str, path: Path) -> None:
        """The run's directory and manifest exist: READY=1, and the end of a restart."""
        self.run_id, self.disk_full, self._bytes_checked = run_id, None, 0
        self._live.ready()
        self._live.status(f"{run_id}: opened", now=True)
        if not self._ready:
            self._ready = True
            self._journal.for_run(run_id).send(
                Event.SERVICE_READY, f"ready: {run_id} is open in {path}", profile=self._profile
            )
        reboot = self._intervals.record_opened(run_id)
        if reboot is not None:
            seconds = reboot.restart_time_seconds
            took = "an unknown time (the clock stepped back)" if seconds is None else f"{seconds:.3f} s"
            self._journal.for_run(run_id).send(
                Event.REBOOT,
                f"{run_id} is the reboot after the collapse in {reboot.after_run_id}, {took} later",
                after_run_id=reboot.after_run_id,
                restart_seconds=seconds,
            )

    def progress(self, progress: Progress) -> None:
        """The run worked, or only says that it is still there: the counter tells which."""
        self._live.beat(progress.run_id, progress.agent_ticks + progress.answered)
        record = self._progress.record(progress)
        self._live.status(status_sentence(record))
        self._progress.write(record)

    def sealing(self) -> None:
        """A step of sealing: counts as work, and while stopping asks for the time it needs."""
        self._seal_steps += 1
        self._progress.clear()
        self._live.beat("sealing", self._seal_steps)
        if self._stop.reason is not None:
            self.tell_stop()
            self._live.sealing()
        self._live.status(f"{self.run_id}: sealing", now=True)

    def stop_requested(self) -> StopReason | None:
        """Why to stop now, or None: an operator first, then the disk."""
        reason = self._stop.stop_requested()
        if reason is not None:
            self.tell_stop()
            return reason
        if self.disk_full is None:
            look = self._disk.look()
            if look.room is not Room.ENOUGH:
                self.disk_full = look.sentence()
                self._live.status(f"{self.run_id}: stopping for want of room: {self.disk_full}", now=True)
                tell_disk(self._journal, look, "the run stops")
        return None if self.disk_full is None else StopReason.DISK_BUDGET

    def run_closed(self) -> None:
        """The run is sealed or was given up."""
        self.run_id = None
        self._progress.clear()

    def idle(self, work: str, counter: int) -> None:
        """The main loop turned once between runs."""
        self._live.beat(work, counter)

    def tell_stop(self) -> None:
        """Tell manager and journal, once, that the service stops, and why."""
        if self._told or self._stop.reason is None or self._stop.since is None:
            return
        self._told = True
        self._live.stopping()
        reason, run = self._stop.reason.value, self.run_id or "no run in progress"
        self._live.status(f"stopping ({reason}): {run}", now=True)
        self._journal.send(
            Event.STOP_REQUESTED, f"stop requested by {reason} at {utc_text(self._stop.since)}; {run}", reason=reason
        )


def tell_disk(journal: Journal, look: DiskLook, consequence: str) -> None:
    """Tell the journal which bound of the disk is hurt, by how much, and what follows."""
    over = look.room is Room.OVER_BUDGET
    journal.send(
        Event.DISK_BUDGET,
        f"{consequence}: {look.sentence()}",
        path=str(look.place),
        bytes=look.used_bytes if over else look.free_bytes,
        budget=look.budget_bytes if over else look.keep_free_bytes,
    )


def enter_torn(layout: Layout, clock: Clock, instance: str, journal: Journal, tail: TornTail) -> None:
    """Enter the torn tail of an instance's survival curve into the ledger, and tell the journal.

    Pool and ledger enter theirs themselves, before anything is appended over them.

    Raises:
        PrometheusError: when the ledger cannot be written.
    """
    journal.send_torn(tail)
    InstallationLedger(layout, clock=clock, instance=instance, on_torn=journal.send_torn).enter_torn(tail)
