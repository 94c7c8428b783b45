"""One process at work for an instance: its lock, its room on the disk, and no run that an earlier process left open.

The service, a run in the foreground, promotions in the foreground and the closing of runs all begin the same way:

1. The STOP file was looked at, and the profile was read.
2. The tree is there, and its disk can be looked at.
3. The instance's lock is held, and its survival curve is open.
4. Runs that were cut off are closed as interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from attrs import frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import PrometheusError, UsageError
from prometheus.v10.base.names import Event
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.instance.instance_lock import Instance
from prometheus.v10.ops.instance.interrupted import Closed, close_interrupted
from prometheus.v10.ops.instance.progress_record import ProgressFile
from prometheus.v10.ops.instance.survival import collapses_of, strata_of_run
from prometheus.v10.ops.service.liveness import Liveness
from prometheus.v10.ops.service.service_control import ServiceControl, enter_torn
from prometheus.v10.ops.service.stop import CLEAR_HINT, StopWatch, stop_file_present
from prometheus.v10.ops.storage.disk import DiskGuard
from prometheus.v10.ops.storage.reserve import ReserveFiles
from prometheus.v10.runs.control import RunControl, RunOutcome
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.workload import RunRequest, Surroundings


@frozen(kw_only=True)
class Site:
    """Whose work it is, and where.

    Attributes:
        instance: a name, for example ``HF``.
        profile: its settings; ``profile_name`` is what it was asked for by.
        journal: of the instance, for entries of no run.
    """

    layout: Layout
    clock: Clock
    instance: str
    profile: Profile
    profile_name: str
    journal: Journal

    @classmethod
    def of(cls, layout: Layout, clock: Clock, instance: str, profile: Profile, profile_name: str) -> Site:
        """The site, with the machine's journal."""
        journal = Journal.open(instance=instance, mode=profile.mode, stage=profile.stage, run_id=None)
        return cls(
            layout=layout, clock=clock, instance=instance, profile=profile, profile_name=profile_name, journal=journal
        )


class Session:
    """What is held while an instance is at work.

    Attributes:
        own: the instance, locked.
        control: hears the runs, and says when to stop.
        disk: how much room there is.
    """

    def __init__(self, site: Site, own: Instance, control: ServiceControl, disk: DiskGuard) -> None:
        self.site, self.own, self.control, self.disk = site, own, control, disk

    def around(self, control: RunControl | None = None, cluster: str | None = None) -> Surroundings:
        """Where the next run lies; ``control`` hears of it in place of the session's own."""
        site = self.site
        return Surroundings(
            layout=site.layout,
            clock=site.clock,
            control=control or self.control,
            journal=site.journal,
            files=ReserveFiles(self.disk.reserve),
            cluster=cluster,
        )

    def next_run(self, *, counted: bool) -> RunRequest:
        """The request of the next run, which the instance's counter has from now on.

        Args:
            counted: whether its seeds go on where those of the run before ended.
        """
        number = self.own.begin_run()
        follows, since = self.own.intervals.pending_restart() or (None, None)
        return RunRequest(
            profile=self.site.profile,
            mode=self.site.profile.mode,
            instance=self.own.name,
            run_counter=number if counted else None,
            era=self.next_era(),
            previous_run_id=follows,
            restart_seconds=since,
        )

    def next_era(self) -> int | None:
        """Number of the era that is due; None where the profile's runs are no eras."""
        if not self.site.profile.has_eras:
            return None
        return ledger_now(self.site.layout.ledger).eras.get(self.own.name, 0)

    def ended(self, outcome: RunOutcome) -> None:
        """A run was sealed: its collapses go into the survival curve, and the journal hears of each interval."""
        self.control.run_closed()
        added = self.own.intervals.record_run(
            outcome.run_id, outcome.status, collapses_of(outcome.path), outcome.lived, strata_of_run(outcome.path)
        )  # fmt: skip
        for line in added:
            since = line.ticks_since_previous
            self.site.journal.for_run(line.run_id).send(
                Event.COLLAPSE_INTERVAL,
                f"internal collapse ({line.reason}) in experiment {line.experiment} at tick {line.tick}, "
                + ("the first of this instance" if since is None else f"{since} ticks after the one before"),
                interval_seconds=line.seconds_since_previous,
                interval_ticks=since,
                reason=line.reason,
            )


@contextmanager
def locked(layout: Layout, clock: Clock, instance: str, journal: Journal) -> Iterator[Instance]:
    """Exclusive use of an instance's state; a torn tail of its survival curve is entered into the ledger.

    Raises:
        LockHeldError: when another process is at work for it.
    """
    with Instance(layout, instance, clock, partial(enter_torn, layout, clock, instance, journal)) as own:
        yield own


@contextmanager
def session(site: Site, stop: StopWatch, live: Liveness) -> Iterator[Session]:
    """Begin to work for an instance; ``stop`` and ``live`` must be attached already.

    Raises:
        LockHeldError: when another process is at work for it.
        StoppedError: when somebody says stop while the ledger is read.
        PrometheusError: for a disk that cannot be looked at, or a cut-off run that cannot be closed.
    """
    site.layout.prepare()
    disk = DiskGuard.of(site.layout, site.instance, site.profile.disk, site.clock)
    disk.require()
    with locked(site.layout, site.clock, site.instance, site.journal) as own:
        control = ServiceControl(
            stop=stop, live=live, disk=disk, intervals=own.intervals,
            progress=ProgressFile(site.layout, own.name, site.clock), journal=site.journal, profile=site.profile_name,
        )  # fmt: skip
        ledger_now(site.layout.ledger, progress=control.checked)
        live.status("closing runs that were cut off", now=True)
        close_cut_off(site.layout, own, site.clock, site.journal)
        try:
            yield Session(site, own, control, disk)
        except PrometheusError:
            with suppress(PrometheusError):  # what ended the work is what is told
                close_cut_off(site.layout, own, site.clock, site.journal)  # a run that failed is sealed and not counted
            raise


def close_cut_off(layout: Layout, own: Instance, clock: Clock, journal: Journal) -> list[Closed]:
    """Close the runs that an earlier process of the instance left open; errors as `close_interrupted`."""
    return close_interrupted(layout, own, clock, journal, journal.send_torn)


def refuse_a_stop_file(layout: Layout) -> None:
    """Refuse to begin while the kill switch is pulled.

    Raises:
        UsageError: when the STOP file is there.
    """
    if stop_file_present(layout.stop_file):
        raise UsageError(f"{layout.stop_file} exists, so nothing is started", hint=CLEAR_HINT)
