"""The long-lived service: run after run for one instance, until it is told to stop.

    python -m prometheus.v10.ops.run_v10_service --mode offline --stage stage1 --instance HF [--root DIR]

set-up: STOP file, core, profile, room on the disk, the instance's lock, cut-off runs closed as interrupted
cycle:  a new number for the seeds, one run (opened, evolved, sealed), its collapses into the ledger, a pause
stop:   SIGTERM, SIGINT or the STOP file, honoured between ticks; whatever is open is sealed; exit 0

The mode comes from the command line and from nowhere else: the environment variable MODE is never read, and there is
no default (contracts, section 1). Exit codes are those of contracts, section 6.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import attrs
from attrs import frozen

from prometheus.v10.base import early
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.custody import OPTION, await_custodian
from prometheus.v10.base.error_lines import as_host_error, error_lines
from prometheus.v10.base.errors import CoreInvarianceError, ExitCode, PrometheusError, UsageError
from prometheus.v10.base.files import tighten_umask
from prometheus.v10.base.modes import MODE_SPELLINGS, Mode, Stage, parse_mode
from prometheus.v10.base.names import Event
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.findings import Progress
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.liveness import Liveness
from prometheus.v10.ops.service.pace import Pace, bytes_of, size_of
from prometheus.v10.ops.service.promotion import QUEUES, run_next, waits_in
from prometheus.v10.ops.service.service_control import ServiceControl, tell_disk
from prometheus.v10.ops.service.session import Session, Site, session
from prometheus.v10.ops.service.snapshotting import take_if_grown
from prometheus.v10.ops.service.stage1_runs import Runs, stage1_in
from prometheus.v10.ops.service.stop import CLEAR_HINT, StopWatch, stop_file_present
from prometheus.v10.ops.storage.disk import LOOK_SECONDS, DiskGuard, Room
from prometheus.v10.runs.control import StoppedError
from prometheus.v10.runs.request.eras_table import AtEnd
from prometheus.v10.runs.request.profile import Profile, load_profile
from prometheus.v10.runs.request.setup import bars_left
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.stage2.stage2_run import WorkWaits, run_stage2
from prometheus.v10.runs.workers.invariance import check_core

IDLE_SECONDS = 0.1  # how long the loop sleeps at a time; STOP is looked at each time it wakes
ROOM_LOOK_SECONDS = 10.0  # counting all bytes under the root is a walk, and making a reserve in vain is work

NOTHING_TO_DO_SECONDS = 5.0  # between two looks for work, where work is not made by the run itself

Waits = Callable[[Profile, Layout, Progress], bool]
"""Whether there is work; hears of the bytes of evidence that it looks at."""
"""Does one run."""


@frozen
class Request:
    """What the command line asks for."""

    mode: Mode
    stage: Stage
    instance: str
    layout: Layout
    profile: str
    max_runs: int | None
    snapshot: str | None = None
    cluster: str | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit 64 instead of argparse's 2, through the one way errors take."""
        raise UsageError(message, hint=f"{self.prog} --help")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def parse(arguments: Sequence[str]) -> Request:
    """Read the command line.

    Raises:
        UsageError: for anything on it that cannot be meant.
    """
    parser = _Parser(prog="python -m prometheus.v10.ops.run_v10_service", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--mode", help=f"required, no default: {', '.join(MODE_SPELLINGS)}")
    parser.add_argument("--stage", choices=[stage.value for stage in Stage], required=True, help="stage to run")
    parser.add_argument(
        "--instance",
        required=True,
        help="instance, for example HF; also the profile's name unless --profile is given",
    )
    parser.add_argument("--root", type=Path, help="installation to work in; by default the system's own places")
    parser.add_argument("--profile", help="name or file of a profile")
    parser.add_argument("--snapshot", metavar="ID", help="stage2: snapshot to judge; by default the newest")
    parser.add_argument(
        "--cluster", metavar="tcp://…", help="address of a Dask scheduler; its workers do the experiments"
    )
    parser.add_argument(
        OPTION,
        metavar="SOCKET",
        help="socket of the custodian that writes the evidence; by default this process writes it",
    )
    parser.add_argument("--max-runs", type=_positive, metavar="N", help="stop after N runs")
    asked = parser.parse_args(arguments)
    return Request(
        mode=parse_mode(asked.mode),
        stage=Stage(asked.stage),
        instance=asked.instance,
        layout=Layout.system() if asked.root is None else Layout.under(asked.root),
        profile=asked.profile or asked.instance,
        max_runs=asked.max_runs,
        snapshot=asked.snapshot,
        cluster=asked.cluster,
    )


def always(_profile: Profile, _layout: Layout, _progress: Progress) -> bool:
    """Stage 1 makes its own work: there is always a next run."""
    return True


def work_of(request: Request) -> tuple[Runs, Waits]:
    """What does one run of what the command line asks for, and what says whether there is work.

    Instances PROMOTE and AUDIT drain the queue of promotions; the others do runs of their stage, at an exchange where
    their mode has one.
    """
    if request.instance in QUEUES:
        return run_next, waits_in(request.instance)
    if request.stage is Stage.STAGE2:
        return run_stage2, WorkWaits()
    return stage1_in(request.mode), always


class Service:
    """One service process: set-up, cycles, shutdown."""

    def __init__(self, request: Request, clock: Clock, stop: StopWatch, live: Liveness, journal: Journal) -> None:
        self._request = request
        self._layout = request.layout
        self._clock = clock
        self._stop = stop
        self._live = live
        self._journal = journal
        self._turns = 0

    def run(self) -> None:
        """Work until stopped, or until the asked number of runs is done.

        Raises:
            PrometheusError: whatever makes going on wrong; everything that can be sealed is sealed then.
        """
        self._runs, self._waits = work_of(self._request)
        self._check_core()
        request, profile = self._request, self._load_profile()
        site = Site(
            layout=self._layout, clock=self._clock, instance=request.instance, profile=profile,
            profile_name=request.profile, journal=self._journal,
        )  # fmt: skip
        with suppress(StoppedError), session(site, self._stop, self._live) as at_work:
            with suppress(StoppedError):  # before there was a run: nothing is to be sealed
                self._cycles(at_work)
            at_work.control.tell_stop()
        self._shutdown()

    def _check_core(self) -> None:
        try:
            check_core()
        except CoreInvarianceError as error:
            self._journal.send(Event.CORE_MISMATCH, error.message, expected="CORE.lock", found=error.message)
            raise

    def _load_profile(self) -> Profile:
        request = self._request
        profile = load_profile(request.profile, self._layout)
        for name, asked, said in (("mode", request.mode, profile.mode), ("stage", request.stage, profile.stage)):
            if asked != said:
                raise UsageError(
                    f"profile {request.profile} is for {name} {said}, the command line says {asked}",
                    hint=f"give --{name} {said}, or another --profile",
                )
        if request.snapshot is None:
            return profile
        if profile.stage2 is None:
            raise UsageError(f"--snapshot: profile {request.profile} judges no snapshot", hint="give --stage stage2")
        return attrs.evolve(profile, stage2=attrs.evolve(profile.stage2, snapshot=request.snapshot))

    def _cycles(self, at_work: Session) -> None:
        profile, control, done = at_work.site.profile, at_work.control, 0
        pace = Pace(self._clock, profile.service.bytes_a_day, profile.service.pause_seconds)
        pool = self._layout.pool(profile.stage)
        counted = self._runs is run_stage1
        while self._stop.stop_requested() is None and self._wait_for_room(at_work.disk, control):
            if not self._bars_left(at_work):
                if profile.window is None or profile.window.at_end is not AtEnd.WAIT:
                    return
                self._pause(NOTHING_TO_DO_SECONDS, control, "no bars are left; waiting until the market grows")
                continue
            if not self._waits(profile, self._layout, control.checked):
                if self._request.max_runs is not None:
                    return
                self._live.ready()  # it works as it should: there is nothing to open a run for
                self._pause(NOTHING_TO_DO_SECONDS, control, "nothing waits to be done")
                continue
            pace.begin()
            before = size_of(pool)
            outcome = self._runs(at_work.next_run(counted=counted), at_work.around(cluster=self._request.cluster))
            at_work.ended(outcome)
            done += 1
            table = profile.pool
            if table.snapshot_every_runs and done % table.snapshot_every_runs == 0:
                take_if_grown(
                    self._layout, profile.stage, table.snapshot_growth,
                    instance=at_work.own.name, clock=self._clock, journal=self._journal, progress=control.checked,
                )  # fmt: skip
            if done == self._request.max_runs:
                return
            seconds = pace.rest(bytes_of(outcome.path, pool, before))
            self._pause(seconds, control, f"{outcome.run_id} {outcome.status}; {pace.why(seconds)}")

    def _bars_left(self, at_work: Session) -> bool:
        """Whether the market has bars for the next era; a service that waits for them works as it should."""
        era = at_work.next_era()
        if era is None or bars_left(at_work.site.profile, self._layout, era):
            return True
        self._live.ready()
        self._live.status(f"no bars are left for era {era}", now=True)
        return False

    # ---- waiting -----------------------------------------------------------------------------------------------------

    def _turn(self, control: ServiceControl, work: str) -> bool:
        """Sleep a little and show life; False when somebody says stop."""
        self._turns += 1
        control.idle(work, self._turns)
        if self._stop.stop_requested() is not None:
            return False
        time.sleep(IDLE_SECONDS)
        return True

    def _pause(self, seconds: float, control: ServiceControl, sentence: str) -> None:
        self._live.status(sentence, now=True)
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until and self._turn(control, "pause"):
            pass

    def _wait_for_room(self, disk: DiskGuard, control: ServiceControl) -> bool:
        """Wait until both bounds of the disk hold and the reserve is made; False when somebody says stop first."""
        told = False
        while True:
            found = disk.before_run()
            if found.room is Room.ENOUGH:
                return True
            if not told:
                told = True
                tell_disk(self._journal, found, "no run is begun")
            self._live.status(f"waiting for room: {found.sentence()}", now=True)
            cheap = found.room is Room.BELOW_KEEP_FREE
            until = self._clock.monotonic() + (LOOK_SECONDS if cheap else ROOM_LOOK_SECONDS)
            while self._clock.monotonic() < until:
                if not self._turn(control, "waiting for room"):
                    return False

    def _shutdown(self) -> None:
        self._live.stopping()
        reason = self._stop.reason.value if self._stop.reason else "the asked number of runs is done"
        self._live.status(f"stopped ({reason}); everything is sealed", now=True)
        self._journal.send(Event.SERVICE_STOPPING, f"stopped: {reason}", reason=reason)


# ---- the entry: the only place that turns errors into a message and a code -------------------------------------------


def say(text: str) -> None:
    """One line on standard error, which the journal keeps."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def serve(request: Request, clock: Clock, environ: Mapping[str, str]) -> ExitCode:
    """Run the service for ``request`` with signals and manager attached.

    Raises:
        PrometheusError: whatever ended it before its time.
    """
    stop_file = request.layout.stop_file
    if stop_file_present(stop_file):
        say(f"stopped: {stop_file} exists, so nothing is started; {CLEAR_HINT}")
        return ExitCode.DONE
    with StopWatch(stop_file, clock) as stop:
        live = Liveness(environ, clock)
        try:
            journal = Journal.open(instance=request.instance, mode=request.mode, stage=request.stage, run_id=None)
            Service(request, clock, stop, live, journal).run()
        except PrometheusError as error:
            live.status(f"failed: {error.message}", now=True)
            raise
        finally:
            live.close()
    return ExitCode.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    tighten_umask()
    try:
        request = parse(sys.argv[1:] if arguments is None else arguments)
        if not await_custodian(lambda: early.came() is not None):
            say("stopped before the custodian of the evidence answered; nothing was written")
            return ExitCode.DONE
        return serve(request, SystemClock(), os.environ)
    except PrometheusError as error:
        say("\n".join(error_lines(error)))
        return error.exit_code
    except Exception as error:  # noqa: BLE001  (the last resort, and it says everything it knows)
        fault = as_host_error(error) if isinstance(error, OSError) else None
        if fault is not None:
            say("\n".join(error_lines(fault)))
            return fault.exit_code
        traceback.print_exc()
        return ExitCode.BUG
