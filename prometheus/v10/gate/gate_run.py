"""A gate from design to seal.

1. Settle the world, check the core, lock the design (`store`). A design that cannot show anything ends here.
2. Run what is not there yet, in the gate's order, on any number of workers; each batch is on the disk before the next
   is counted. A stop ends this step between batches, and the same command goes on later.
3. Take the census of the primary cells by running them again (genomes are not kept), for the audit of signs.
4. Judge, draw, write the page, seal. A gate that is sealed already is judged again from its own experiments instead,
   and must come to the same bytes.
"""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.base.files import Lock
from prometheus.v10.base.modes import Arm, Mode
from prometheus.v10.base.names import GateFile
from prometheus.v10.base.paths import Layout
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.evidence.records.codec import config_hash, dump_config, from_json_bytes, to_json_bytes
from prometheus.v10.evidence.records.fence_registry import inventory_hash
from prometheus.v10.evidence.records.manifest_parts import MarketSource
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.gate import page, plots, signs, winners
from prometheus.v10.gate.cells import batches, cell_name, experiments
from prometheus.v10.gate.design import GateDesign, check_against
from prometheus.v10.gate.outcome import Census, GateExperiment, run_batch, take_census
from prometheus.v10.gate.rule import RULE
from prometheus.v10.gate.statistics import extra
from prometheus.v10.gate.store import GateDirectory, GateLock, locked_market
from prometheus.v10.gate.verdict import GateVerdict, by_cell, give_verdict
from prometheus.v10.market.bars import Bars
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.workers.cluster import in_order
from prometheus.v10.runs.workers.hands import Hands, Progress
from prometheus.v10.runs.workers.invariance import check_core
from prometheus.v10.runs.workers.warm import warm_up


@frozen(kw_only=True)
class GateOutcome:
    """How a gate ended.

    Attributes:
        verdict: None where it was stopped.
        done: experiments on the disk, of ``total``.
        again: whether it was sealed before, and judged again.
        cut_off: bytes after the experiments that the ledger vouches for, moved aside and done again.
    """

    directory: str
    verdict: GateVerdict | None
    done: int
    total: int
    again: bool
    cut_off: int


def require_analysis() -> None:
    """Refuse before anything is run when the statistics or the plots could not be made.

    Raises:
        ConfigError: naming the extra.
    """
    extra("scipy.stats")
    extra("matplotlib.figure")


def settle(design: GateDesign, layout: Layout, was: MarketSource | None = None) -> tuple[setup.World, GateLock]:
    """The world of a design and the lock that it asks for (not yet dated).

    ``was`` is the market that a gate is locked for; one that grew since is cut to what it was.

    Raises:
        ConfigError: for a market, a window or a number of the world that cannot be.
        EvidenceError: when a stored market is damaged.
    """
    profile = Profile(mode=Mode.OFFLINE.value, market=design.market, world=design.world)
    world = setup.prepare(profile, layout, was=was)
    check_against(design, world.bars, world.config)
    environment, nulls = probe(), Nulls()
    config = dump_config(design)
    return world, GateLock(
        gate=design.name,
        config=config,
        config_hash=config_hash(config),
        rule=list(RULE),
        core_hash=check_core(),
        fence_inventory_hash=inventory_hash(),
        market=world.market,
        world=setup.world_numbers(world.config),
        experiments=len(experiments(design)),
        locked_at="",
        git_commit=nulls.known("git_commit", environment.git_commit, _why(environment.null_reasons, "git_commit")),
        docker_image=nulls.known(
            "docker_image", environment.docker_image, _why(environment.null_reasons, "docker_image")
        ),
        null_reasons=nulls.reasons,
    )


def _why(reasons: dict[str, str], name: str) -> str:
    return reasons.get(name, "the environment does not say")


def run_gate(
    design: GateDesign, layout: Layout, *, clock: Clock, ledger: InstallationLedger, hands: Hands
) -> GateOutcome:
    """Do a gate, or what is left of it.

    Raises:
        ConfigError: for a design that cannot be run, or a directory that is locked for another.
        LockHeldError: when the same gate is being run.
        EvidenceError: when what is there is not what it should be.
        HostError: when the disk refuses.
    """
    require_analysis()
    world, wanted = settle(design, layout, locked_market(layout, design.name))
    wanted = evolve(wanted, locked_at=utc_text(clock.now()))
    with Lock(layout.state / f"gate-{design.name}.lock", who="a gate"):
        directory = GateDirectory(layout, design.name, ledger)
        directory.take(wanted)
        return _Gate(design, directory, world.bars, world.config, hands).go()


class _Gate:
    """One gate at work."""

    def __init__(
        self, design: GateDesign, directory: GateDirectory, bars: Bars, config: WorldConfig, hands: Hands
    ) -> None:
        self.design, self.directory, self.bars, self.config, self.hands = design, directory, bars, config, hands
        self.planned = experiments(design)
        self.cut_off = 0
        self.agent_ticks = 0

    def go(self) -> GateOutcome:
        """Steps 2 to 4 (see the head of the module)."""
        if self.directory.sealed() is not None:
            return self._judge_again()
        self.hands.told(self._progress("loading the world's compiled code", 0))
        warm_up()
        done = self._run()
        if done < len(self.planned) or self.hands.stop():
            return self._outcome(None, done)
        found = self.directory.experiments(self.planned)
        audit = self._audit_signs(found)
        if audit is None:
            return self._outcome(None, done)
        self.hands.told(self._progress("drawing and sealing", done))
        verdict = give_verdict(self.design, self.directory.lock, found, audit)
        self.directory.write(GateFile.SIGNS, to_json_bytes(audit))
        for name, data in plots.draw(self.design, verdict, by_cell(found)).items():
            self.directory.write(name, data)
        self.directory.write(GateFile.VERDICT, to_json_bytes(verdict))
        self.directory.write(GateFile.PAGE, page.markdown(verdict).encode("utf-8"))
        self.directory.seal(verdict.verdict)
        return self._outcome(verdict, done)

    def _run(self) -> int:
        """Run what is missing; returns how many experiments are there."""
        file, found, self.cut_off = self.directory.open_experiments(self.planned)
        done = len(found)
        work = batches(self.design, self.bars, self.config, done=done)
        hands = self.hands
        with file:
            for batch in in_order(hands.executor, run_batch, work, ahead=hands.ahead, stop=hands.stop):
                self.directory.append(file, batch.lines)
                done += batch.experiments
                self.agent_ticks += batch.agent_ticks
                hands.told(self._progress("experiments", done))
            self.directory.enter_batch()
        return done

    def _audit_signs(self, found: list[GateExperiment]) -> signs.GateSigns | None:
        """Step 3; None when it was stopped."""
        audits: list[signs.SignAudit] = []
        if self.design.signs.draws:
            anchors = {one.window: one.threshold for one in winners.winners(self.design, by_cell(found))[1::2]}
            for window in self.design.windows:
                arms = []
                for arm in Arm:
                    cell = cell_name(window.name, arm)
                    self.hands.told(self._progress(f"census of {cell}", len(found)))
                    arms.append(self._census(cell))
                    if self.hands.stop():
                        return None
                for population, least in (
                    ("alive", None), ("winner_absolute", self.design.winners.absolute),
                    ("winner_anchored", anchors[window.name]),
                ):  # fmt: skip
                    self.hands.told(self._progress(f"signs of {population} in {window.name}", len(found)))
                    chosen = (_members(arms[0], least), _members(arms[1], least))
                    audits.append(signs.audit(window.name, population, chosen, self.design.signs))
                    if self.hands.stop():
                        return None
        return signs.GateSigns(gate=self.design.name, config_hash=self.directory.lock.config_hash, audits=audits)

    def _census(self, cell: str) -> list[Census]:
        work = batches(self.design, self.bars, self.config, only=(cell,))
        hands = self.hands
        found = in_order(hands.executor, take_census, work, ahead=hands.ahead, stop=hands.stop)
        return [one for batch in found for one in batch]

    def _judge_again(self) -> GateOutcome:
        """A sealed gate's verdict from its own experiments; it must be the one that is written.

        Raises:
            EvidenceError: when it is another.
        """
        found = self.directory.experiments(self.planned)
        path = self.directory.path
        try:
            told = (path / GateFile.SIGNS).read_bytes()
            written = (path / GateFile.VERDICT).read_bytes()
        except OSError as error:
            raise host_error(error, f"cannot read {path}") from error
        audit = from_json_bytes(told, signs.GateSigns, where=str(path / GateFile.SIGNS))
        if len(found) < len(self.planned):
            raise EvidenceError(f"{path} is sealed with {len(found)} of {len(self.planned)} experiments")
        verdict = give_verdict(self.design, self.directory.lock, found, audit)
        if to_json_bytes(verdict) != written:
            raise EvidenceError(
                f"{path / GateFile.VERDICT} is not what its experiments give",
                hint="it was written by another version, or changed: run prometheus-quant verify on the directory",
            )
        self.directory.seal(verdict.verdict)
        return self._outcome(verdict, len(found), again=True)

    def _progress(self, what: str, done: int) -> Progress:
        return Progress(what=what, done=done, total=len(self.planned), agent_ticks=self.agent_ticks)

    def _outcome(self, verdict: GateVerdict | None, done: int, *, again: bool = False) -> GateOutcome:
        return GateOutcome(
            directory=str(self.directory.path),
            verdict=verdict,
            done=done,
            total=len(self.planned),
            again=again,
            cut_off=self.cut_off,
        )


def _members(arm: list[Census], least: float | None) -> list[signs.Members]:
    """A population of an arm: the living, or whoever's lifetime ROI reached ``least``."""
    return [
        signs.members(one, np.asarray(one.alive if least is None else one.roi >= least, dtype=np.bool_)) for one in arm
    ]
