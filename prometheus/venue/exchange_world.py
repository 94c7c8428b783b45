"""The venue without its interface: two environments on one clock, their accounts and keys, moved by time alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import define, field, frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars
from prometheus.venue.accounts.holdings import Account
from prometheus.venue.floor.conservation import check
from prometheus.venue.floor.trading import Trading, market_of
from prometheus.venue.forced.liquidation import watch
from prometheus.venue.forced.settlement import settle_funding
from prometheus.venue.key_ring import READ, TRADE, Key, made_key
from prometheus.venue.market.instruments import HOUR_MS, Instrument, btc_swap, eth_swap
from prometheus.venue.market.tape import STEPS, Tape, units_of
from prometheus.venue.matching.execution_steps import pass_by
from prometheus.venue.matching.order_changes import fire_switches, next_switch
from prometheus.venue.matching.order_entry import tidy
from prometheus.venue.quanta import RATE, USDT
from prometheus.venue.venue_journal import SCHEMA, Journal

MINUTE_MS: Final = 60_000
DEPOSIT: Final = 100_000 * USDT
ENVIRONMENTS: Final = ("demo", "live")


@frozen(kw_only=True)
class WorldPlan:
    """What a venue is made of.

    Attributes:
        bars: one series for each instrument, BTC first, all of one timeframe and one beginning.
        seed: of books, paths and keys.
        warm_up: bars that are history when the venue opens.
        start_ms: the venue's clock when it opens; None takes the bars' own time.
        deposit: what each account begins with, pico-USDT.
        limits: whether request rates are limited.
        checked: whether conservation is checked after every step and request.
    """

    bars: Sequence[Bars]
    seed: int = 0
    warm_up: int = 1440
    start_ms: int | None = None
    deposit: int = DEPOSIT
    limits: bool = True
    checked: bool = True


@define(repr=False)
class World:
    """The venue's state. ``now`` is its clock in ms; only `advance` moves it."""

    plan: WorldPlan
    now: int
    step_ms: int
    next_step: int
    environments: dict[str, Trading]
    keys: dict[str, Key] = field(factory=dict)
    journal: Journal = field(factory=Journal)
    skew: int = 0
    """What a fault adds to the time that clients see, ms."""
    maintenance: dict[str, str] = field(factory=dict)
    """A status row while the venue is under maintenance; empty otherwise."""
    refusing_s: float = 0.0
    """Real seconds for which the server shall not listen; it takes them up and sets them back."""

    def advance(self, to_ms: int) -> None:
        """Let time pass until ``to_ms``: steps of the market, settlements, liquidations and switches in their order."""
        while True:
            switches = [due for due in map(next_switch, self.environments.values()) if due is not None]
            due = min([self.next_step, *switches])
            if due > to_ms:
                break
            self.now = max(self.now, due)
            if due == self.next_step:
                self._step()
            for state in self.environments.values():
                state.now = self.now
                for account in state.accounts.values():
                    if account.switches:
                        fire_switches(state, account)
        self.now = max(self.now, to_ms)
        for state in self.environments.values():
            state.now = self.now
            for market in state.markets.values():
                market.depth.now_ms = self.now

    def _step(self) -> None:
        now = self.next_step
        self.next_step += self.step_ms
        first = next(iter(self.environments.values()))
        for market in first.markets.values():
            market.tape.step()
        for state in self.environments.values():
            state.now = now
            self._step_of(state)

    def _step_of(self, state: Trading) -> None:
        for inst_id, market in state.markets.items():
            market.depth.now_ms = state.now
            market.depth.moved()
            market.reference.moved(state.now, MINUTE_MS)
            if market.instrument.changes:
                for change in market.instrument.take_effect(state.now):
                    state.note("changed", inst=inst_id, param=change.param, value=change.new_value)
            pass_by(state, inst_id)
            if state.touched:
                tidy(state, market.instrument)
            if state.now >= market.reference.funding_ms:
                settle_funding(state, market)
        for account in state.accounts.values():
            if account.positions:
                watch(state, account)
        if self.plan.checked:
            check(state)

    def check(self) -> None:
        """Check conservation in both environments when the plan asks for it."""
        if self.plan.checked:
            for state in self.environments.values():
                check(state)


def _recorded_funding(bars: Bars, shift_ms: int) -> list[tuple[int, int]]:
    """Funding that the bars know: time of the booking and rate in 1e-8, at 8 h boundaries inside the bars."""
    found = []
    for ts, rate in zip(bars.open_time.tolist(), bars.funding.tolist(), strict=True):
        boundary = -(-ts // 28_800) * 28_800
        if boundary < ts + bars.timeframe_s and not math.isnan(rate):
            found.append((boundary * 1000 + shift_ms, round(rate * RATE)))
    return found


def _instruments(count: int, *, live: bool) -> list[Instrument]:
    return [make(live=live) for make in (btc_swap, eth_swap)[:count]]


def _accounts(environment: str) -> Iterable[tuple[str, str, str]]:
    """User id, master's id and label of the accounts of an environment: a master, two sub-accounts, and a stranger."""
    base = 44_705_892_343_000_000 if environment == "demo" else 55_810_003_454_000_000
    for at, label in enumerate(("main", "sub1", "sub2")):
        yield str(base + at), str(base), label
    yield str(base + 900), str(base + 900), "other"


def open_world(plan: WorldPlan) -> World:
    """A venue at its first moment, with a master, two sub-accounts and an unrelated account in each environment.

    Raises:
        ConfigError: when there are too few bars, or series that do not fit together.
    """
    first = plan.bars[0]
    if not 1 <= len(plan.bars) <= 2 or any(
        one.timeframe_s != first.timeframe_s or one.first_open != first.first_open for one in plan.bars
    ):
        raise ConfigError("a venue plays one or two markets of one timeframe and one beginning")
    if first.timeframe_s % 60 or len(first) < 2:
        raise ConfigError(f"{first.symbol}: a venue plays at least two bars of whole minutes")
    warm_up = min(plan.warm_up, len(first) - 1)
    own_start = int(first.open_time[warm_up]) * 1000
    start = own_start if plan.start_ms is None else plan.start_ms // MINUTE_MS * MINUTE_MS
    bar_ms = first.timeframe_s * 1000
    environments = {}
    journal = Journal()
    tapes: list[Tape] = []
    for name in ENVIRONMENTS:
        state = Trading(name, start)
        for at, instrument in enumerate(_instruments(len(plan.bars), live=name == "live")):
            shift = start - own_start
            if len(tapes) <= at:
                bars = units_of(plan.bars[at], instrument, shift)
                tapes.append(Tape(instrument, bars, bar_ms, plan.seed, warm_up))
            interval = 8 * HOUR_MS
            recorded = _recorded_funding(plan.bars[at], shift)
            funding_ms = (start // interval + 1) * interval
            state.markets[instrument.inst_id] = market_of(tapes[at], instrument, plan.seed, recorded, funding_ms)
        environments[name] = state
    world = World(plan, start, bar_ms // STEPS, start + bar_ms // STEPS, environments, journal=journal)
    for state in environments.values():
        _people(world, state)
    journal.write(start, "opened", {
        "schema": SCHEMA, "seed": plan.seed, "bars": [one.sha256() for one in plan.bars],
        "rows": [len(one) for one in plan.bars], "warm_up": warm_up,
        "deposit": plan.deposit, "limits": plan.limits,
    })  # fmt: skip
    return world


def _people(world: World, state: Trading) -> None:
    def note(kind: str, /, **said: object) -> None:
        world.journal.write(state.now, kind, {"env": state.name, **said})

    for uid, main, label in _accounts(state.name):
        account = Account(uid=uid, main_uid=main, label=label)
        state.accounts[uid] = account
        state.books.deposit(account, state.now, world.plan.deposit)
        for permissions, word in (((READ, TRADE), label), ((READ,), f"{label}-read")):
            key = made_key(world.plan.seed, uid, state.name, word, permissions)
            world.keys[key.key] = key
    state.note = note
