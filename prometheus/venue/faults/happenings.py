"""Faults that change the venue itself, at the moment at which they are injected: its state, its market, an account."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from attrs import evolve

from prometheus.v10.base.errors import UsageError
from prometheus.venue.accounts.holdings import NET, Account
from prometheus.venue.accounts.tickets import CancelSource, Kind
from prometheus.venue.error_codes import CODES, Refused
from prometheus.venue.exchange_world import World
from prometheus.venue.faults.injections import Injection
from prometheus.venue.floor.trading import Market, Trading
from prometheus.venue.forced.liquidation import deleverage, watch
from prometheus.venue.market.instruments import HOUR_MS, Change
from prometheus.venue.matching.execution_steps import end
from prometheus.venue.matching.order_entry import Wish, place
from prometheus.venue.quanta import RATE, RATE_DP, parsed

Happening: TypeAlias = Callable[[World, Injection], None]
MINUTE_MS: Final = 60_000


def account_of(world: World, uid: str) -> tuple[Trading, Account]:
    """The account that a fault names; the demo master when it names none.

    Raises:
        UsageError: when there is no such account.
    """
    for state in world.environments.values():
        if not uid:
            return state, next(iter(state.accounts.values()))
        if uid in state.accounts:
            return state, state.accounts[uid]
    raise UsageError(f"no account {uid}", hint="the admin command dump names the accounts")


def _markets(world: World) -> list[Market]:
    return [market for state in world.environments.values() for market in state.markets.values()]


def _percent(one: Injection) -> int:
    return int(one.decimal("percent") * RATE / 100)


def _units(one: Injection, name: str, dp: int) -> int:
    found = parsed(one.arguments[name], dp)
    if found is None or not found[1] or found[0] <= 0:
        raise UsageError(f"{one.fault.id}: {name} is {one.arguments[name]!r}", hint="a positive number on the lot")
    return found[0]


def _skew(world: World, one: Injection) -> None:
    world.skew = int(one.arguments["ms"])


def _jump(world: World, one: Injection) -> None:
    world.advance(world.now + max(0, int(one.arguments["ms"])))


def _maintenance(world: World, one: Injection) -> None:
    if not one.arguments["on"]:
        world.maintenance = {}
        return
    end_ms = world.now + int(one.arguments["minutes"]) * MINUTE_MS
    world.maintenance = {
        "title": "Venue maintenance", "state": "ongoing", "begin": str(world.now), "end": str(end_ms),
        "preOpenBegin": "", "href": "", "serviceType": "5", "system": "unified", "scheDesc": "", "maintType": "2",
        "env": "2",
    }  # fmt: skip


def _state(world: World, one: Injection) -> None:
    for market in _markets(world):
        market.instrument.state = str(one.arguments["state"])


def _change(world: World, one: Injection) -> None:
    param, due = str(one.arguments["param"]), world.now + int(one.arguments["after_ms"])
    for market in _markets(world):
        inst = market.instrument
        if param not in {"tickSz", "minSz", "maxMktSz"}:
            raise UsageError(f"venue.change: param is {param!r}", hint="tickSz, minSz or maxMktSz")
        inst.changes.append(Change(param, _units(one, "value", inst.px_dp if param == "tickSz" else inst.sz_dp), due))


def _fee(world: World, one: Injection) -> None:
    _, account = account_of(world, one.target.uid)
    account.taker, account.maker = (int(one.decimal(name).scaleb(RATE_DP)) for name in ("taker", "maker"))


def _interval(world: World, one: Injection) -> None:
    for market in _markets(world):
        market.reference.next_interval_ms = int(one.arguments["hours"]) * HOUR_MS


def _tiers(world: World, one: Injection) -> None:
    factor = int(one.arguments["factor"])
    for market in _markets(world):
        market.instrument.tiers = tuple(evolve(tier, mmr=tier.mmr * factor) for tier in market.instrument.tiers)


def _cool_off(world: World, one: Injection) -> None:
    _, account = account_of(world, one.target.uid)
    account.cool_off_until = world.now + int(one.arguments["minutes"]) * MINUTE_MS


def _frozen(world: World, one: Injection) -> None:
    code = str(one.arguments["code"])
    if code and code not in CODES:
        raise UsageError(f"venue.frozen: no error code {code}", hint="for example 50022; empty ends it")
    account_of(world, one.target.uid)[1].frozen = code


def _revoked(world: World, one: Injection) -> None:
    _, account = account_of(world, one.target.uid)
    for key in world.keys.values():
        if key.uid == account.uid:
            key.revoked = True


def _address(world: World, one: Injection) -> None:
    _, account = account_of(world, one.target.uid)
    for key in world.keys.values():
        if key.uid == account.uid:
            key.ips = (str(one.arguments["ip"]),)


def _pos_mode(world: World, one: Injection) -> None:
    _, account = account_of(world, one.target.uid)
    if account.pending or account.positions:
        raise UsageError("venue.pos_mode: the account has positions or orders", hint="inject venue.manual_close first")
    account.pos_mode = str(one.arguments["mode"])


def by_hand(world: World, one: Injection) -> None:
    """A person places a market order on an account."""
    state, account = account_of(world, one.target.uid)
    market = next(iter(state.markets.values()))
    side = 1 if one.arguments["side"] == "buy" else -1
    pos_side = "net" if account.pos_mode == NET else ("long" if side > 0 else "short")
    sz = _units(one, "sz", market.instrument.sz_dp)
    wish = Wish(instrument=market.instrument, side=side, kind=Kind.OPTIMAL, sz=sz, pos_side=pos_side)
    try:
        place(state, account, wish)
    except Refused as refused:
        state.note("by_hand", uid=account.uid, refused=refused.code)


def _close_by_hand(world: World, one: Injection) -> None:
    state, account = account_of(world, one.target.uid)
    for order in list(account.pending.values()):
        end(state, order, CancelSource.USER)
    for position in list(account.open_positions()):
        wish = Wish(
            instrument=position.instrument, side=-1 if position.pos > 0 else 1, kind=Kind.OPTIMAL,
            sz=abs(position.pos), td_mode=position.mgn_mode, pos_side=position.pos_side, reduce_only=True,
        )  # fmt: skip
        place(state, account, wish)


def _gap(world: World, one: Injection) -> None:
    for tape in {id(market.tape): market.tape for market in _markets(world)}.values():
        tape.shift = (RATE + tape.shift) * (RATE + _percent(one)) // RATE - RATE


def _limit_hit(world: World, one: Injection) -> None:
    """The path jumps while the index stays where it was."""
    _gap(world, one)
    held = int((Decimal(RATE) / (1 + one.decimal("percent") / 100)) - RATE)
    for market in _markets(world):
        market.reference.index_shift = held


def _liquidity(world: World, one: Injection) -> None:
    for market in _markets(world):
        market.depth.scale = max(0, int(one.decimal("percent") * RATE / 100))
        market.depth.version += 1


def _mark_away(world: World, one: Injection) -> None:
    for market in _markets(world):
        market.reference.mark_shift = _percent(one)


def _index_away(world: World, one: Injection) -> None:
    for market in _markets(world):
        market.reference.index_shift = _percent(one)


def _limits(world: World, one: Injection) -> None:
    for market in _markets(world):
        market.reference.enabled = bool(one.arguments["on"])


def _liquidate(world: World, one: Injection) -> None:
    """Move the mark against the account's first position, per cent by per cent, until it is liquidated."""
    state, account = account_of(world, one.target.uid)
    position = next(account.open_positions(), None)
    if position is None:
        raise UsageError(f"market.liquidation: account {account.uid} has no position", hint="trade first")
    reference = state.market(position.instrument).reference
    before, size = reference.mark_shift, abs(position.pos)
    for percent in range(1, 99):
        reference.mark_shift = -percent * RATE // 100 if position.pos > 0 else percent * RATE // 100
        watch(state, account)
        if abs(position.pos) < size:
            break
    reference.mark_shift = before


def _adl(world: World, one: Injection) -> None:
    state, account = account_of(world, one.target.uid)
    position = next(account.open_positions(), None)
    if position is None:
        raise UsageError(f"market.adl: account {account.uid} has no position", hint="trade first")
    sz = min(abs(position.pos), _units(one, "sz", position.instrument.sz_dp))
    deleverage(state, account, position.instrument.inst_id, sz)


def _refused(world: World, one: Injection) -> None:
    world.refusing_s = min(600.0, max(0.0, float(one.arguments["seconds"])))


HAPPENINGS: Final[dict[str, Happening]] = {
    "time.skew": _skew,
    "time.jump": _jump,
    "venue.maintenance": _maintenance,
    "venue.state": _state,
    "venue.change": _change,
    "venue.fee": _fee,
    "venue.funding_interval": _interval,
    "venue.tiers": _tiers,
    "venue.cool_off": _cool_off,
    "venue.frozen": _frozen,
    "venue.key_revoked": _revoked,
    "venue.ip_refused": _address,
    "venue.pos_mode": _pos_mode,
    "venue.manual_order": by_hand,
    "venue.manual_close": _close_by_hand,
    "load.refused": _refused,
    "market.gap": _gap,
    "market.liquidity": _liquidity,
    "market.limit_hit": _limit_hit,
    "market.mark_away": _mark_away,
    "market.index_away": _index_away,
    "market.limits_off": _limits,
    "market.liquidation": _liquidate,
    "market.adl": _adl,
}
