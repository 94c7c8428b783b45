"""What a run is asked to do, and what does it: request, surroundings, workload.

A workload alone knows its stage, its mode and its world. What opens, files and seals is the same for all of them
(`prometheus.v10.runs.run`), so a further world is a further workload.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.files import FILES, Files
from prometheus.v10.base.modes import Mode, RunPrefix
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.fingerprint import ExecutionFingerprint
from prometheus.v10.evidence.records.manifest_parts import ExchangeFacts, Window
from prometheus.v10.evidence.records.raw_lines import RawBlocks
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.runs.control import RunControl
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.request.setup import World, market_arrays

if TYPE_CHECKING:
    from prometheus.v10.runs.run import Run


@frozen(kw_only=True)
class Surroundings:
    """Where a run lies, and who hears of it.

    Attributes:
        layout: where everything lies; must have been prepared.
        clock: time and ids.
        control: hears of progress, and says when to stop.
        journal: the second witness.
        files: the file layer of everything that the run writes.
        cluster: address of a Dask scheduler whose workers do the experiments; the evidence is written here.
    """

    layout: Layout
    clock: Clock
    control: RunControl
    journal: Journal
    files: Files = FILES
    cluster: str | None = None


@frozen(kw_only=True)
class RunRequest:
    """One run that somebody asks for.

    Attributes:
        profile: what to run.
        mode: as asked on the command line; the workload refuses one that it cannot run in.
        instance: whose run it is.
        run_counter: how many runs of this instance went before: the seeds of stage 1 go on where theirs ended. None
            where nobody counts them: the seeds are the profile's own.
        era: number of the era, where runs are eras.
        prefix: decides tier and root.
        previous_run_id: the run whose collapse this one is the reboot of; ``restart_seconds`` since then.
    """

    profile: Profile
    mode: Mode
    instance: str
    prefix: RunPrefix = RunPrefix.HF
    run_counter: int | None = None
    era: int | None = None
    previous_run_id: str | None = None
    restart_seconds: float | None = None


@frozen(kw_only=True)
class Facts:
    """What a workload says of itself in the manifest.

    Attributes:
        seeds: one an experiment.
        run_counter: which the seeds follow from; None where they follow from none.
        exchange: what is known of the exchange, or why nothing is.
        extra: further keys of the manifest.
    """

    seeds: Sequence[int]
    window: Window
    core_hash: str
    exchange: ExchangeFacts
    run_counter: int | None = None
    extra: Mapping[str, Any] = field(factory=dict)


class RawEvidence(Protocol):
    """What takes a run's raw execution evidence."""

    @property
    def records(self) -> int:
        """How many records are kept."""
        ...

    def add_all(self, harvested: Iterable[tuple[int, RawBlocks]]) -> None:
        """Take the simulated orders of experiments that are done."""
        ...

    def finish(self) -> object:
        """Write what is not written yet, and the index."""
        ...


class Workload(ABC):
    """What a run does.

    Attributes:
        profile: as the manifest's config shows it.
        world: whose numbers the manifest and telemetry show.
    """

    profile: Profile
    world: World

    @abstractmethod
    def facts(self) -> Facts:
        """What the manifest says of it."""

    @abstractmethod
    def work(self, run: Run) -> None:
        """Do the work: hand every experiment to ``run.file``, in order, and end soon once the run is asked to stop."""

    @abstractmethod
    def fingerprint(self, run_id: str) -> ExecutionFingerprint:
        """How it dealt with the exchange."""

    def raw(self, run: Run) -> RawEvidence | None:  # noqa: ARG002 - a workload may have its own
        """Raw evidence of its own, when the directory is there; None for the sampled orders of a simulated world."""
        return None

    def open(self, run: Run) -> None:  # noqa: B027 - most have nothing to open
        """What must be done before the run counts as open, with its directory and manifest there.

        Raises:
            PrometheusError: when it cannot be done; the run is sealed as ``failed``.
        """

    def funding_defaulted(self) -> tuple[int, int]:
        """How many bars its window has, and how many of them took the default funding rate."""
        bars, config = self.world.bars, self.world.config
        return len(bars), market_arrays(bars, config)[1]
