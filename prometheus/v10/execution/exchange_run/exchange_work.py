"""A session at an exchange as the workload of a run.

1. Before there is a run: preflight, which reads everything and changes nothing. What it refuses leaves no trace.
2. Opening, with directory and manifest there: the chain, the bootstrap, the numbers that it settles. Then READY.
3. Work: bars (`traded_window`). Calls, rounds, chain and fingerprint are on the disk at the end of each.
4. End: everything that a Tier-2 run owes, also where the session could not go on: the run is then ``failed``, and what
   is not proved is named in its manifest as open.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from functools import partial

from attrs import define, evolve

from prometheus.v10.base.errors import EvidenceError, ExchangeError, HostError, host_error
from prometheus.v10.base.modes import RunPrefix
from prometheus.v10.base.names import ORDER_LOCK, Artifact, Event
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.exchanged.trading_halts import standing_halt
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.records.event_lines import utc_texts
from prometheus.v10.evidence.records.exchanged.exchange_claim import ExchangeClaim, WorldDifference
from prometheus.v10.evidence.records.fingerprint import ExecutionFingerprint
from prometheus.v10.evidence.records.manifest_parts import Window
from prometheus.v10.evidence.records.raw_lines import RawBlocks
from prometheus.v10.evidence.records.series.moments import SERIES, TIER_2, moments_in
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.execution.adapters.library_choice import sender_of
from prometheus.v10.execution.exchange_run.exchange_claims import (
    account_of,
    bootstrap_claim,
    ended_claim,
    exchange_facts,
    instrument_claim,
    library_claim,
    quality_of,
    stp_of,
)
from prometheus.v10.execution.exchange_run.exchange_files import FirstCalls, positions_of
from prometheus.v10.execution.exchange_run.exchange_means import (
    Means,
    StopOverdueError,
    TradingHaltedError,
    release_hint,
)
from prometheus.v10.execution.exchange_run.exchange_setting import (
    market_of,
    plan_of,
    planned_world,
    settled_config,
    table_of,
)
from prometheus.v10.execution.exchange_run.stp_seen import StpSeen
from prometheus.v10.execution.exchange_run.traded_window import SessionParts, TradedWindow
from prometheus.v10.execution.exchange_run.world_change import world_difference
from prometheus.v10.execution.kept.call_counts import CallCounts
from prometheus.v10.execution.kept.call_keeper import CallKeeper
from prometheus.v10.execution.opening.bring_to_nothing import Opened, Opener
from prometheus.v10.execution.opening.preflight import preflight
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.ports.call_records import CallRecord
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.execution.trading.bar_driver import BarDriver
from prometheus.v10.execution.truth.stop_reasons import Reason, TradingState
from prometheus.v10.runs.control import RunOutcome
from prometheus.v10.runs.harvest import harvest
from prometheus.v10.runs.identity import identity
from prometheus.v10.runs.observe import Scene
from prometheus.v10.runs.promote import promote_files as made
from prometheus.v10.runs.promote.promote_run import require_named_code
from prometheus.v10.runs.request import setup
from prometheus.v10.runs.request.ablation import mask
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.run import Run, open_run
from prometheus.v10.runs.sampling import Sampler
from prometheus.v10.runs.workers.invariance import check_core
from prometheus.v10.runs.workload import Facts, RawEvidence, RunRequest, Surroundings, Workload


def run_exchange(request: RunRequest, around: Surroundings, means: Means) -> RunOutcome:
    """Do one run at an exchange.

    Raises:
        PrometheusError: whatever stood in the way. What preflight refuses leaves no run; afterwards it is sealed.
    """
    refuse_a_halt(around.layout, request.instance)
    core, environment = check_core(), probe()
    require_named_code(environment)
    work = ExchangeWork(request.profile, means, core)
    try:
        work.preflight()
        return open_run(evolve(request, prefix=RunPrefix.AUDIT), around, work, environment).go()
    finally:
        work.port.close()


def refuse_a_halt(layout: Layout, instance: str) -> None:
    """Refuse to begin while trading of the instance is halted.

    Raises:
        TradingHaltedError: naming the run and the reasons.
    """
    if (halt := standing_halt(layout, instance)) is not None:
        what = f"trading of instance {instance} is halted: {halt.sentence()}"
        raise TradingHaltedError(what, hint=release_hint(instance))


@define
class KeptCalls:
    """`RawEvidence` whose records are calls; simulated orders have no place in it: the rounds have what agents got."""

    keeper: CallKeeper

    @property
    def records(self) -> int:
        """See `RawEvidence`."""
        return self.keeper.records

    def add_all(self, harvested: Iterable[tuple[int, RawBlocks]]) -> None:
        """See `RawEvidence`."""

    def finish(self) -> None:
        """See `RawEvidence`."""
        self.keeper.finish()


class ExchangeWork(Workload):
    """See the module."""

    chain: OrderChain
    claim: ExchangeClaim

    def __init__(self, profile: Profile, means: Means, core: str) -> None:
        self.profile, self.means, self.core = profile, means, core
        self.table, self.plan = table_of(profile), plan_of(profile)
        self.counts, self.seen, self.firsts = CallCounts(), StpSeen(), FirstCalls("")
        self._waiting: list[CallRecord] = []
        self._keeper: CallKeeper | None = None
        self._run: Run | None = None
        self._overdue_at: float | None = None
        self._last_call = 0
        self.port = means.port(self._hear)
        refuse_another(self.port.library.name, self.table.library)
        self.world = planned_world(profile, self._first_open())

    def _first_open(self) -> int:
        """The open of the bar that is forming now."""
        step = self.profile.market.timeframe_s or 1
        return self.means.now_ms() // 1000 // step * step

    def _hear(self, call: CallRecord) -> None:
        self._last_call = call.number
        if self._run is not None and call.status is not None:
            self._run.answered += 1
        for sink in (self.counts, self.seen, self.firsts):
            sink(call)
        if self._keeper is None:
            self._waiting.append(call)
        else:
            self._keeper(call)

    # ---- Workload

    def facts(self) -> Facts:
        """One seed, the planned bars, and what is known of the exchange before the account is opened."""
        window = self.world.window
        return Facts(
            seeds=[self.profile.experiments.seed],
            window=Window(name=window.name, start=window.start, len=window.len),
            core_hash=self.core,
            exchange=exchange_facts(self.profile.mode, self.port.library.name, self.plan),
            extra={SERIES: {"moments": TIER_2}},
        )

    def fingerprint(self, run_id: str) -> ExecutionFingerprint:
        """See `Workload`."""
        return self.counts.fingerprint(run_id, self.profile.mode, self.port.library.name)

    def funding_defaulted(self) -> tuple[int, int]:
        """See `Workload`: funding is billed, never assumed."""
        return self.world.window.len, 0

    def raw(self, run: Run) -> RawEvidence:
        """See `Workload`: calls that were made before there was a directory are its first ones."""
        keeper = self._keeper = CallKeeper(run.directory.path, run.manifest.run_id, run.manifest.start_time, run.files)
        self.firsts.run_id = run.manifest.run_id
        for call in self._waiting:
            keeper(call)
        self._waiting.clear()
        return KeptCalls(keeper)

    def preflight(self) -> None:
        """What must hold before there is a run; errors as `opening.preflight`."""
        preflight(self.port, self.plan, now_ms=self.means.now_ms, pause=self.means.pause)

    def open(self, run: Run) -> None:
        """Bring the account to nothing, and settle the world by what it holds.

        An order of an earlier run may be on its way until it expires, so that time passes first.
        """
        self._run = run
        state = run.layout.state / run.manifest.instance
        self.chain = OrderChain(
            run.directory.path / Artifact.ORDER_CHAIN, clock=run.clock, on_torn=_untorn, files=run.files,
            lock=state / ORDER_LOCK,
        )  # fmt: skip
        try:
            run.directory.append(Artifact.NETTING_ROUNDS, b"")
            self._pause(self.plan.expire_after_ms / 1000)
            run_id = run.manifest.run_id
            opener = Opener(self.port, self.chain, self.plan, run_id, self.means.now_ms, self._pause)
            self._opened = opener.open()
            self._settle(run, self._opened)
            self._keep()
        except BaseException:
            self._let_go()
            raise

    def work(self, run: Run) -> None:
        """Trade the window and file it; what could not be done raises when everything is filed."""
        try:
            window = self._window(run)
            who = identity(run.manifest, self.world, 0)
            sampler = Sampler(who, self.world.config, window.window.market.close, moments_in(run.manifest.extra))
            began, failed = run.clock.monotonic(), None
            try:
                window.trade(sampler)
            except (ExchangeError, EvidenceError) as error:
                failed = error
            self._file(run, window, sampler, began, ask=not isinstance(failed, StopOverdueError))
            if failed is not None and not (isinstance(failed, StopOverdueError) and run.stop is not None):
                raise window.why_not(failed)
        finally:
            self._let_go()

    # ---- opening

    def _settle(self, run: Run, opened: Opened) -> None:
        facts = opened.facts
        instrument, bootstrap = instrument_claim(facts, self.plan), bootstrap_claim(opened)
        self._first = self._first_open()
        config = settled_config(self.world.config, instrument, bootstrap)
        self.world = evolve(self.world, config=config, market=market_of(self.world.bars, self.profile, self._first))
        self.claim = ExchangeClaim(
            site=self.means.site, library=library_claim(self.port.library), account=account_of(facts.config, self.plan),
            instrument=instrument, bootstrap=bootstrap, clock_offset_ms=facts.clock_offset_ms,
            on_stop=self.table.on_stop, world_difference=self._told_difference(run),
        )  # fmt: skip
        run.say("exchange", self.claim.plain())
        run.settle(world=setup.world_numbers(config), market=self.world.market)

    def _told_difference(self, run: Run) -> WorldDifference | None:
        """What differs from the run before; the journal hears of it."""
        library = self.port.library.name
        found = world_difference(run.layout, run.manifest.instance, run.manifest.run_id, library)
        if found is not None:
            run.journal.send(
                Event.WORLD_DIFFERENCE, f"{run.manifest.run_id} goes through {library}, {found.run_id} went through "
                f"{found.library}: they are counted apart",
                before_run=found.run_id, before_library=found.library, library=library,
            )  # fmt: skip
        return found

    def _window(self, run: Run) -> TradedWindow:
        facts = self._opened.facts
        driver = BarDriver(self.port, self.chain, self.plan, run.manifest.run_id, facts.instrument, self.means.now_ms,
                           self._pause)  # fmt: skip
        driver.gate.tell = partial(_tell, run.journal)
        return TradedWindow(SessionParts(
            run=run, world=self.world, table=self.table, means=self.means, driver=driver, fee=facts.fee,
            reserve=Decimal(self.claim.bootstrap.reserve), seed=self.profile.experiments.seed,
            mask=mask(self.world.ablation), first_open=self._first, pause=self._pause, kept=self._keep,
            last_call=lambda: self._last_call,
        ))  # fmt: skip

    # ---- while it works

    def _pause(self, seconds: float) -> None:
        """Let time pass, in steps; a stop that has taken its time ends the wait.

        Raises:
            StopOverdueError: when a stop's time is over.
        """
        run, left = self._run, seconds
        while left > 0.0:
            self._refuse_overdue()
            step = min(left, self.means.step_seconds)
            self.means.pause(step)
            left -= step
            if run is not None and hasattr(run, "directory"):
                run.look()

    def _refuse_overdue(self) -> None:
        run = self._run
        if run is None or run.stop is None:
            return
        now = run.clock.monotonic()
        if self._overdue_at is None:
            self._overdue_at = now + self.table.stop_seconds
        if now >= self._overdue_at:
            raise StopOverdueError(
                f"the stop took more than {self.table.stop_seconds:g} s", hint="the manifest names what is open"
            )

    def _keep(self) -> None:
        """Everything that is in memory goes to the disk; the fingerprint is current."""
        run = self._run
        if run is not None and self._keeper is not None:
            self._keeper.flush()
            run.directory.write_fingerprint(self.fingerprint(run.manifest.run_id))

    def _let_go(self) -> None:
        with suppress(HostError):
            self._keep()
        if self._keeper is not None:
            with suppress(HostError):
                self._keeper.finish()
        self.chain.close()

    # ---- the end

    def _file(self, run: Run, window: TradedWindow, sampler: Sampler, began: float, *, ask: bool) -> None:
        directory, run_id = run.directory, run.manifest.run_id
        if window.result is not None and window.held is not None:
            self._file_lives(run, window, sampler, began)
            times = utc_texts(window.closes())
            lots = self.world.config.lot_contracts, self.world.config.lot_contracts * self.world.config.contract_btc
            snapshot = positions_of(window.held, window.reported, run_id, times.__getitem__, *lots)
            directory.write_bytes(Artifact.POSITIONS_SNAPSHOT, snapshot)
            made.write_rebuilt(directory, made.reconstruction(window.result, window.held, run_id, 0))
        ended = ended_claim(window, self.chain, on_stop=self.table.on_stop, ask=ask)
        self.claim = evolve(self.claim, ended=ended)
        for name, data in self.firsts.bundle(self.port.library.name).items():
            directory.write_bytes(name, data)
        self._settle_end(run, window)

    def _file_lives(self, run: Run, window: TradedWindow, sampler: Sampler, began: float) -> None:
        result, world, run_id = window.result, self.world, run.manifest.run_id
        assert result is not None  # noqa: S101 - the caller looked
        who = identity(run.manifest, world, 0)
        scene = Scene(
            symbol=world.market.symbol, environment=window.window.environment, close=window.window.market.close,
            config=world.config, keep_orders_one_in=1, interesting=self.profile.interesting,
        )  # fmt: skip
        opens = window.closes() - world.config.timeframe_s
        span = (began, run.clock.monotonic())
        harvested = harvest(result, who, opens, scene, span, for_pool=False)
        run.file([evolve(harvested, series=sampler.line(result))], ())
        run.directory.write_bytes(Artifact.GENOMES, made.genomes_npy(result))
        run.directory.write_bytes(Artifact.BEHAVIORS, made.behaviors_json(result, run_id, 0))

    def _settle_end(self, run: Run, window: TradedWindow) -> None:
        """The manifest's last words on market, positions and self-trades."""
        run.say("exchange", self.claim.plain())
        quality = quality_of(window)
        reasons = {name: why for name, why in run.manifest.null_reasons.items() if name != "positions_quality"}
        run.settle(
            market=market_of(window.bars(), self.profile, self._first), positions_quality=quality,
            self_trade_prevention=stp_of(self.plan, self.seen.capability), null_reasons=reasons,
        )  # fmt: skip


def refuse_another(found: str, library: str) -> None:
    """Refuse a sender that is not the one of the profile's library.

    Raises:
        MisconfiguredError: naming both.
    """
    if found != sender_of(library):
        raise MisconfiguredError(f"the profile's library is {library}, and {found} would send")


def _tell(journal: Journal, state: TradingState, reason: Reason, detail: str) -> None:
    said = f"trading is {state.value}: {reason.value}: {detail}"
    journal.send(Event.TRADING_STATE, said, state=state.value, reason=reason.value, detail=detail)


def _untorn(torn: TornTail) -> None:
    raise host_error(OSError(), f"{torn.path} was torn while it was new")
