"""One population on one account, from its first bar to its last: opened, waited for, closed, looked at, recorded.

A bar is what the exchange's candles say of it once it is over. A stop ends the bar that is forming: its candle is read
as it stands, the tick is closed with it, and the position is closed or left as the profile says.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import numpy as np
from attrs import define, field, frozen

from prometheus.v10.base.errors import EvidenceError, ExchangeError, PrometheusError
from prometheus.v10.base.names import Artifact
from prometheus.v10.core.records import Result
from prometheus.v10.core.state import Array32
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.evidence.records.event_lines import utc_texts
from prometheus.v10.execution.desk.exchange_desk import ExchangeDesk, contract_of
from prometheus.v10.execution.exchange_run.exchange_means import Means, TradingHaltedError, release_hint
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import AgentLimits, VenueTruth
from prometheus.v10.execution.netting.netting_record import NettingRound
from prometheus.v10.execution.ports.account_facts import FeeRate
from prometheus.v10.execution.ports.contract_units import Candle
from prometheus.v10.execution.session.live_window import LiveBar, LiveWindow
from prometheus.v10.execution.session.netted_fills import NettedFills
from prometheus.v10.execution.session.world_session import WorldSession
from prometheus.v10.execution.trading.bar_driver import BarDriver
from prometheus.v10.execution.truth.asking_again import patiently
from prometheus.v10.execution.truth.stop_reasons import Reason, TradingState
from prometheus.v10.market.bars import Bars
from prometheus.v10.runs.promote.promote_files import OpenPositions, open_positions
from prometheus.v10.runs.promote.promote_trace import TraceWriter, trace_line
from prometheus.v10.runs.request.exchange_table import SOURCE, ExchangeTable
from prometheus.v10.runs.request.setup import World
from prometheus.v10.runs.run import Run
from prometheus.v10.runs.sampling import Sampler

CANDLES: Final = 3
"""Bars that are asked for at a time: the one that is over, and the one that is forming."""
POLLS: Final = 40
POLL_S: Final = 0.5


@frozen(kw_only=True)
class SessionParts:
    """What a window is traded with.

    Attributes:
        reserve: USDT that no agent was given.
        fee: as it was read at the opening.
        first_open: UTC epoch seconds of the first bar, which is forming when trading begins.
        mask: of the feature channels.
        kept: called at the end of each bar: what is in memory is written.
        last_call: number of the call that was made last.
    """

    run: Run
    world: World
    table: ExchangeTable
    means: Means
    driver: BarDriver
    fee: FeeRate
    reserve: Decimal
    seed: int
    mask: Array32
    first_open: int
    pause: Callable[[float], None]
    kept: Callable[[], None]
    last_call: Callable[[], int]


@define
class Reported:
    """What the exchange said at the close of the last tick, and in which calls."""

    truth: VenueTruth
    average_price: Decimal | None
    call: int
    equity_call: int


@define
class Tally:
    """What the rounds came to."""

    rounds: int = 0
    gross: int = 0
    net: int = 0
    crossed: int = 0
    last: NettingRound | None = None

    def take(self, one: NettingRound) -> None:
        """Count one line."""
        self.rounds += 1
        if one.status != "unproved":
            self.last = one
        if one.status == "settled":
            self.gross += sum(abs(share[1]) for share in one.shares)
            self.net += one.filled_lots or 0
            self.crossed += one.crossed_lots


@define
class TradedWindow:
    """See the module.

    Attributes:
        held: positions at the close of the last tick; None before the first.
        result: of the experiment; None until it is over, or when not one bar was.
        cut: whether the last bar was cut by a stop.
    """

    has: SessionParts
    window: LiveWindow = field(init=False)
    experiment: Experiment = field(init=False)
    account: NettedAccount = field(init=False)
    desk: ExchangeDesk = field(init=False)
    session: WorldSession = field(init=False)
    trace: TraceWriter = field(init=False)
    tally: Tally = field(factory=Tally, init=False)
    held: OpenPositions | None = field(default=None, init=False)
    reported: Reported | None = field(default=None, init=False)
    result: Result | None = field(default=None, init=False)
    cut: bool = field(default=False, init=False)
    _looked: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        has, config = self.has, self.has.world.config
        self.window = LiveWindow(has.world.window.len, config, has.mask)
        self.experiment = Experiment(
            self.window.market, config, has.seed, mask=has.mask, environment=self.window.environment,
            keep_orders_one_in=1,
        )  # fmt: skip
        stakes = {agent: Decimal(stake) for agent, stake in enumerate(self.experiment.initial_capital)}
        contract = contract_of(has.driver.instrument, has.fee)
        self.account = NettedAccount(has.run.manifest.run_id, contract, has.reserve, stakes)
        self.desk = ExchangeDesk(
            has.driver, equity_tolerance=Decimal(has.table.equity_tolerance), last_call=has.last_call
        )
        fills = NettedFills(has.driver.plan.inst_id, self.account, self.desk, self._record, AgentLimits())
        self.session, self.trace = WorldSession(self.experiment, fills), TraceWriter(has.run.directory)
        self._looked = has.run.clock.monotonic()

    @property
    def ticks(self) -> int:
        """How many bars came."""
        return self.window.known

    def closes(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """UTC epoch seconds of the close of each planned bar."""
        step = self.has.world.config.timeframe_s
        return self.has.first_open + step * (1 + np.arange(self.has.world.window.len, dtype=np.int64))

    def bars(self) -> Bars:
        """The bars that came; what funding fell due in them is in the exchange's bills."""
        count, market = self.ticks, self.window.market
        names = ("open", "high", "low", "close", "volume")
        columns: dict[str, Any] = {name: np.array(getattr(market, name)[:count]) for name in names}
        return Bars(
            symbol=self.has.table.instrument, timeframe_s=self.has.world.config.timeframe_s, source=SOURCE,
            open_time=np.array(market.open_time[:count]), funding=np.zeros(count), **columns,
        )  # fmt: skip

    def trade(self, sampler: Sampler) -> None:
        """Trade until the window is over, the population is, or somebody says stop; then close or leave the position.

        Raises:
            ExchangeError: when it cannot go on; what was done is in `result` all the same.
            EvidenceError: when the exchange contradicts the chain.
            HostError: when the disk refuses.
        """
        try:
            times = utc_texts(self.closes())
            while not self.session.done and not self.cut:
                self._bar(times, sampler)
                if self.has.run.stop is not None:
                    break
            self._settle()
        except (ExchangeError, EvidenceError) as error:
            self._latch_what_broke(error)
            self._as_it_stands()
            raise
        finally:
            self.trace.finish()

    # ---- a bar

    def _bar(self, times: list[str], sampler: Sampler) -> None:
        has, experiment, tick = self.has, self.experiment, self.experiment.tick
        self.session.open_bar()
        step = has.world.config.timeframe_s
        opened = has.first_open + tick * step
        whole = self._wait_until((opened + step) * 1000)
        candle = self._candle(opened * 1000, whole=whole)
        self.cut = not candle.complete
        self.window.add(LiveBar(
            opened, float(candle.open), float(candle.high), float(candle.low), float(candle.close),
            float(candle.volume), 0.0,
        ))  # fmt: skip
        self.session.close_bar()  # funding that was billed within the bar is shared out before anything else
        sampler.look(experiment)
        if experiment.tick > tick:
            line = trace_line(experiment, has.run.manifest.run_id, 0, has.world.market.symbol, times[tick])
            self.trace.add(line)
        has.run.table.rows[0][:] = experiment.figures()
        has.kept()
        has.run.look()
        self._refuse_a_halt()

    def _wait_until(self, moment_ms: int) -> bool:
        """Wait on the exchange's clock, and look at the account meanwhile; False when a stop came first."""
        has = self.has
        while (left := moment_ms - has.means.now_ms()) > 0:
            has.run.look()
            if has.run.stop is not None:
                return False
            has.pause(max(0.001, min(left / 1000, has.means.step_seconds)))
            if has.run.clock.monotonic() - self._looked >= has.table.look_seconds:
                self._look()
        return True

    def _look(self) -> None:
        """A reconciliation where there is a position, else a sign that the exchange is there."""
        driver = self.has.driver
        if driver.position_lots:
            driver.look()
            self._refuse_a_halt()
        else:
            patiently(driver.port.server_time, driver.pause)
        self._looked = self.has.run.clock.monotonic()

    def _refuse_a_halt(self) -> None:
        gate = self.has.driver.gate
        if gate.state is TradingState.HALTED:
            said = ", ".join(one.value for one in gate.reasons)
            raise TradingHaltedError(f"trading is halted: {said}", hint=release_hint(self.has.run.manifest.instance))

    def _latch_what_broke(self, error: PrometheusError) -> None:
        """A round that broke an invariant halts: the books and the exchange are not one any more."""
        last = self.tally.last
        if last is not None and last.holds is False:
            self.has.driver.gate.stop(Reason.TRUTH_CONTRADICTS, error.message)

    def why_not(self, error: PrometheusError) -> PrometheusError:
        """The error that ends the run: once trading is halted, nothing restarts it."""
        if isinstance(error, TradingHaltedError) or self.has.driver.gate.state is not TradingState.HALTED:
            return error
        hint = release_hint(self.has.run.manifest.instance)
        return TradingHaltedError(f"trading is halted: {error.message}", hint=hint)

    def _candle(self, open_ms: int, *, whole: bool) -> Candle:
        driver, seconds = self.has.driver, self.has.world.config.timeframe_s
        for _ in range(POLLS):
            found = patiently(lambda: driver.port.candles(driver.plan.inst_id, seconds, CANDLES), driver.pause)
            for one in found:
                if one.open_ms == open_ms and (one.complete or not whole):
                    return one
            self.has.pause(POLL_S)
        raise ExchangeError(
            f"the exchange has no bar of {seconds} s that opened at {open_ms}",
            hint="look at the raw calls to market/candles",
        )

    # ---- the end

    def _settle(self) -> None:
        """After the last bar: what was held, what the exchange says of it, and the position closed or left."""
        has, stopped = self.has, self.has.run.stop
        self.held = open_positions(self.experiment)
        if stopped is not None:
            has.driver.gate.stop(Reason.STOP, f"{stopped[0].value} at {stopped[1]}")
        self.reported = self._report()
        if stopped is not None and has.table.on_stop == "leave":
            self.result = self.experiment.result()
        else:
            self.result = self.session.result()

    def _as_it_stands(self) -> None:
        """What the bars that were done came to, when the session cannot go on."""
        if self.experiment.tick > 0 and self.result is None:
            self.held = self.held or open_positions(self.experiment)
            self.result = self.experiment.result()

    def _report(self) -> Reported:
        truth = self.desk.truth()
        position = self.desk.seen
        average = None if position is None or not position.lots else position.average_price
        equity_call = self.has.last_call()
        return Reported(truth=truth, average_price=average, call=self.desk.seen_in, equity_call=equity_call)

    def _record(self, one: NettingRound) -> None:
        self.tally.take(one)
        self.has.run.directory.append(Artifact.NETTING_ROUNDS, to_line(one))
        self.has.run.directory.commit()


def open_orders_of(driver: BarDriver) -> list[str]:
    """Client ids of orders whose truth was not found."""
    return [one.client_id for one in driver.chain.states.open_orders()]


def last_truth(desk: ExchangeDesk) -> VenueTruth | None:
    """What the exchange says at the very end; None where it does not say it any more."""
    try:
        return desk.truth()
    except PrometheusError:
        return None
