"""Promotion: the experiment that made a genome, run again as a Tier-2 run with its whole chain (contracts, section 10).

1. The source run must verify; its core, its bars (by sha256) and its config are taken over. The one experiment is run
   with its own seed; every order is logged, every tick is traced.
2. **Proof.** The replay must give the same genome, bit for bit, and the figure by which it was chosen, as the pool's
   record says; and the experiment's deaths, births, survivors and row must be those that the source run filed. What was
   compared, and what came of it, stands in the manifest (``promotion.proof``); without a comparison there is no proof
   (ADR 0049).
3. A replay that differs is sealed as it is: it is evidence, too. The promotion then fails.
4. Code that cannot be named is not promoted: without a commit no Tier-2 run begins, and a built package must know its
   image's digest. A git checkout has no image, and its manifest says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen

import prometheus
from prometheus.v10.base.errors import (
    ConfigError,
    CoreInvarianceError,
    EvidenceError,
    ExitCode,
    PrometheusError,
    UsageError,
)
from prometheus.v10.base.modes import Arm, RunPrefix, Tier
from prometheus.v10.base.names import Artifact, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.records.event_lines import utc_texts
from prometheus.v10.evidence.records.manifest_parts import Window
from prometheus.v10.evidence.records.series.moments import SERIES, TIER_2, moments_in
from prometheus.v10.evidence.schemas.shapes import A_RUN, COUNT, SHA256, absent, pattern, words
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.environment import BUILD_FILE, Environment, probe
from prometheus.v10.evidence.writing.manifest import RunManifest, Status, read_manifest
from prometheus.v10.runs.control import RunOutcome
from prometheus.v10.runs.founding.descents import RunDescent, descend_again, era_of
from prometheus.v10.runs.harvest import harvest
from prometheus.v10.runs.identity import identity
from prometheus.v10.runs.observe import Scene
from prometheus.v10.runs.offline import OfflineWorkload
from prometheus.v10.runs.promote import promote_files as made
from prometheus.v10.runs.promote.promote_proof import Proof, prove
from prometheus.v10.runs.promote.promote_trace import TraceWriter, trace_line
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.ablation import mask
from prometheus.v10.runs.request.eras_table import WindowPolicy
from prometheus.v10.runs.request.profile import MIB, Profile
from prometheus.v10.runs.run import Run, open_run
from prometheus.v10.runs.sampling import Sampler
from prometheus.v10.runs.workers.invariance import check_core
from prometheus.v10.runs.workload import Facts, RunRequest, Surroundings

INSTANCES = (RunPrefix.PROMOTE.value, RunPrefix.AUDIT.value)
COMPARED_FIGURES = (
    "survived", "death_tick", "death_reason", "birth_tick", "initial_capital", "final_capital", "roi_lifetime",
    "trades", "wins", "costs",
)  # fmt: skip
"""What a manifest repeats of a promoted record: what the proof compares (`promote_proof.figures`)."""
RAW_BUDGET = 1024 * MIB  # of raw orders: all of them are kept, 0.5 KiB each
LOOK_TICKS = 32


class ReplayDiffersError(PrometheusError):
    """The replay of a promoted experiment is not what its source run filed."""

    exit_code = ExitCode.VERIFY_FAILED


@frozen(kw_only=True)
class Promotion:
    """One request: which experiment, for which genome, and why.

    Attributes:
        genome_index: None where the whole experiment is promoted (a pattern among deaths).
        record: the pool's record of the genome as plain values (id, genome_sha256, metrics_summary), if there is one.
        trigger: ``genome_id``, ``top_survival``, ``top_roi``, or a pattern's name.
        detail: of the trigger, in words.
    """

    id: str
    instance: str
    from_run_id: str
    experiment: int
    genome_index: int | None
    record: dict[str, Any] | None
    trigger: str
    detail: str
    requested_at: str
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class PromotionClaim:
    """``promotion`` of a Tier-2 manifest: the request, without what it does not name, and the proof.

    Attributes:
        record_id: of the pool's record, with ``genome_sha256``.
        metrics_summary: the figures of the record that the proof compares (`COMPARED_FIGURES`).
        proof: left out where a stop came before the end.
    """

    id: str = field(metadata=pattern("[0-9a-f]{16}"))
    instance: str = field(metadata=words(*INSTANCES))
    from_run_id: str = field(metadata=A_RUN)
    experiment: int = field(metadata=COUNT)
    genome_index: int | None = field(default=None, metadata=absent(COUNT))
    trigger: str
    detail: str
    requested_at: str
    record_id: str | None = field(default=None, metadata=absent())
    genome_sha256: str | None = field(default=None, metadata=absent(SHA256))
    metrics_summary: dict[str, Any] | None = field(default=None, metadata=absent())
    proof: Proof | None = field(default=None, metadata=absent())

    def plain(self) -> dict[str, Any]:
        """What the manifest holds."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@frozen(kw_only=True)
class Source:
    """The run that a promotion goes back to."""

    path: Path
    manifest: RunManifest
    profile: Profile
    world: setup.World


def open_source(promotion: Promotion, layout: Layout) -> Source:
    """The source run, verified, with its world.

    Raises:
        UsageError: when there is no such run or experiment.
        EvidenceError: when the run is not as it was sealed.
        CoreInvarianceError: when this core is not the one that ran.
        ConfigError: when its market data is gone, or another now.
    """
    if not is_run_id(promotion.from_run_id) or not promotion.from_run_id.startswith(f"{RunPrefix.HF.value}_"):
        raise UsageError(
            f"{printable(promotion.from_run_id)} is not the id of a Tier-1 run", hint="a pool record names its run"
        )
    if promotion.instance not in INSTANCES:
        raise UsageError(f"instance {printable(promotion.instance)}: expected {' or '.join(INSTANCES)}")
    path = layout.runs(Tier.TIER1_HF) / promotion.from_run_id
    if not (path / Artifact.MANIFEST).is_file():
        raise UsageError(
            f"there is no run {promotion.from_run_id} in {path.parent}", hint="a pool record names its run"
        )
    report = verify_run(path)
    if report.exit_code != ExitCode.DONE:
        bad = next(finding for finding in report.findings if finding.level.value != "note")
        raise EvidenceError(f"{path} does not verify: {bad.where}: {bad.what}", hint=f"prometheus-quant verify {path}")
    manifest = read_manifest(path)
    if not 0 <= promotion.experiment < len(manifest.seeds):
        raise UsageError(f"{promotion.from_run_id} has no experiment {promotion.experiment}")
    core = check_core()
    if core != manifest.core_hash:
        raise CoreInvarianceError(
            f"{manifest.run_id} ran on core {manifest.core_hash}, this core is {core}",
            hint=f"check out {manifest.git_commit or 'the commit it ran on'} and promote there",
        )
    profile = structure_config(manifest.config, Profile, source=f"{path}: config")
    if profile.stage2 is not None:
        raise UsageError(f"{manifest.run_id} judged genomes and made none", hint="promote from the genome's own run")
    try:
        world = setup.prepare(profile, layout, era_of(manifest), was=manifest.market)
    except ConfigError as error:
        raise ConfigError(
            f"the market data of {manifest.run_id} is gone: {error.message}", hint="import the same bars again"
        ) from error
    if world.market.sha256 != manifest.market.sha256:
        raise ConfigError(
            f"{manifest.run_id} ran on bars {manifest.market.sha256}, {profile.market.source!r} has "
            f"{world.market.sha256} now",
            hint="import the same bars again",
        )
    return Source(path=path, manifest=manifest, profile=profile, world=world)


def require_named_code(environment: Environment) -> None:
    """Refuse to begin a Tier-2 run with code that cannot be named (rule 4).

    Raises:
        ConfigError: saying what is not known.
    """
    package = Path(prometheus.__file__).parent
    if environment.git_commit is None:
        raise ConfigError(
            f"a Tier-2 run needs the code's commit: {environment.null_reasons['git_commit']}",
            hint="run the built image, or a git checkout",
        )
    built = (package / BUILD_FILE).exists() or not (package.parent / ".git").exists()
    if built and environment.image_digest is None:
        raise ConfigError(
            f"a Tier-2 run needs the image's digest: {environment.null_reasons['image_digest']}",
            hint="run the built image, or set PQ_IMAGE_DIGEST to the digest of the image that this is",
        )


def run_promotion(promotion: Promotion, around: Surroundings) -> tuple[RunOutcome, Proof | None]:
    """Do the Tier-2 run of a promotion.

    Returns:
        How the run ended, and the proof; None where a stop came before the end.

    Raises:
        PrometheusError: as `open_source` and `require_named_code`, and whatever stands in a run's way.
    """
    around.control.preparing("verifying the source run")
    source = open_source(promotion, around.layout)
    environment = probe()
    require_named_code(environment)
    old = source.manifest
    window, drawn_by = source.profile.window, source.profile.experiments.seed
    if window is not None and window.policy is WindowPolicy.SAMPLE and window.seed is None:
        window = evolve(window, seed=drawn_by)
    profile = evolve(
        source.profile,
        workers=1,
        window=window,
        experiments=evolve(source.profile.experiments, count=1, seed=old.seeds[promotion.experiment]),
        evidence=evolve(source.profile.evidence, order_sample_one_in=1, raw_budget_bytes=RAW_BUDGET),
    )
    descent = descend_again(old, source.profile, source.world, around.layout, of=promotion.experiment)
    work = Tier2Work(profile, source.world, old.core_hash, promotes=(promotion, source.path), descent=descent)
    request = RunRequest(
        profile=profile, mode=profile.mode, instance=promotion.instance, prefix=RunPrefix(promotion.instance)
    )
    return open_run(request, around, work, environment).go(), work.proof


def claim_of(promotion: Promotion) -> PromotionClaim:
    """What the manifest says of a request, before there is a proof."""
    record = promotion.record or {}
    figures = record.get("metrics_summary")
    if figures is not None:
        figures = {name: figures[name] for name in COMPARED_FIGURES if figures.get(name) is not None}
    return PromotionClaim(
        id=promotion.id,
        instance=promotion.instance,
        from_run_id=promotion.from_run_id,
        experiment=promotion.experiment,
        genome_index=promotion.genome_index,
        trigger=promotion.trigger,
        detail=promotion.detail,
        requested_at=promotion.requested_at,
        record_id=record.get("id"),
        genome_sha256=record.get("genome_sha256"),
        metrics_summary=figures,
    )


class Tier2Work(OfflineWorkload):
    """One experiment with every artifact of Tier 2.

    ``promotes`` are a promotion and its source run, where there is something to prove; ``descent`` says who founds it;
    ``limits`` (replay only) is the number of ticks that the run came to.
    """

    def __init__(
        self, profile: Profile, world: setup.World, core: str, *, promotes: tuple[Promotion, Path] | None = None,
        descent: RunDescent | None = None, limits: Mapping[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.profile, self.world, self.core, self.promotes = profile, world, core, promotes
        self.descent, self.limits = descent, limits
        self.proof: Proof | None = None

    def facts(self) -> Facts:
        """Seed and window of the one experiment, and what is promoted."""
        window = self.world.window
        return Facts(
            seeds=[self.profile.experiments.seed],
            window=Window(name=window.name, start=window.start, len=window.len),
            core_hash=self.core,
            exchange=self.exchange,
            extra={
                SERIES: {"moments": TIER_2},
                **({} if self.descent is None else self.descent.facts()),
                **({} if self.promotes is None else {"promotion": claim_of(self.promotes[0]).plain()}),
            },
        )

    def work(self, run: Run) -> None:
        """Run it tick by tick, file everything, and prove that it is the experiment of its source."""
        world, directory, run_id = self.world, run.directory, run.manifest.run_id
        who = identity(run.manifest, world, 0)
        bars = setup.arm_bars(world, Arm(who.arm), who.seed)
        market, _ = setup.market_arrays(bars, world.config)
        began = run.clock.monotonic()
        plan, count = None if self.descent is None else self.descent.plans[0], world.config.founders
        experiment = Experiment(
            market, world.config, who.seed, mask=mask(world.ablation), keep_orders_one_in=1,
            founding=None if plan is None else plan.genomes(world.config, who.seed),
        )  # fmt: skip
        times = utc_texts(bars.open_time + world.config.timeframe_s)
        sampler = Sampler(who, world.config, market.close, moments_in(run.manifest.extra))
        self._trace(run, experiment, times, sampler)
        held = made.open_positions(experiment)
        result = experiment.result()
        scene = Scene(
            symbol=world.market.symbol,
            environment=experiment.environment,
            close=market.close,
            config=world.config,
            keep_orders_one_in=1,
            interesting=self.profile.interesting,
        )
        harvested = harvest(
            result, who, bars.open_time, scene, (began, run.clock.monotonic()), for_pool=False,
            founders=b"" if plan is None else plan.record(run_id, 0, who.seed, who.arm, count),
        )  # fmt: skip
        run.file([evolve(harvested, series=sampler.line(result))], ())
        directory.write_bytes(Artifact.GENOMES, made.genomes_npy(result))
        directory.write_bytes(Artifact.BEHAVIORS, made.behaviors_json(result, run_id, 0))
        lots = world.config.lot_contracts, world.config.lot_btc
        positions = made.positions_json(held, run_id, 0, times[held.tick], *lots)
        directory.write_bytes(Artifact.POSITIONS_SNAPSHOT, positions)
        rebuilt = made.reconstruction(result, held, run_id, 0)
        made.write_rebuilt(directory, rebuilt)
        for name, data in made.alignment(run_id).items():
            directory.write_bytes(name, data)
        run.look()
        if self.promotes is not None and run.stop is None:
            promotion, source = self.promotes
            self.proof = prove(
                source, promotion.experiment, promotion.genome_index, promotion.record, result, harvested
            )
            run.say("promotion", evolve(claim_of(promotion), proof=self.proof).plain())

    def _trace(self, run: Run, experiment: Experiment, times: list[str], sampler: Sampler) -> None:
        """Run the experiment to its end (or to the limit of a replay), tick by tick, and write its trace."""
        last = experiment.total_ticks if self.limits is None else self.limits.get(0, 0)
        row, symbol, run_id = run.table.rows[0], self.world.market.symbol, run.manifest.run_id
        trace = TraceWriter(run.directory)
        while experiment.tick < last and not experiment.done and not (run.table.stopped and self.limits is None):
            before = experiment.tick
            experiment.step(1)
            sampler.look(experiment)
            if experiment.tick > before:
                trace.add(trace_line(experiment, run_id, 0, symbol, times[before]))
            if experiment.tick % LOOK_TICKS == 0 or experiment.done:
                row[:] = experiment.figures()
                run.look()
        trace.finish()


def refuse_a_false_proof(outcome: RunOutcome, proof: Proof | None) -> None:
    """Raise unless the proof holds; a run that was stopped has none, and is no failure.

    Raises:
        ReplayDiffersError: saying what differs.
    """
    if proof is not None and not proof.same:
        hint = "compare the two runs; the machine, the core, the bars or the source's files are not what they were"
        if not proof.differences:
            hint = "nothing differs; [retention] events_days may have taken the lines: promote before they go"
        raise ReplayDiffersError(f"{outcome.run_id}: not proven: {proof.why_not}", hint=hint)
    if outcome.status == Status.FAILED.value:
        raise EvidenceError(f"{outcome.run_id} failed", hint="see its manifest and the journal")
