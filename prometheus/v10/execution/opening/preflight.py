"""What must hold before anything is changed or sent: one read after the other, and one line for what does not hold.

Exit codes: 78 where an operator must act (keys, modes, permissions, foreign orders), 75 where waiting may help
(maintenance, a suspended instrument, a clock that is off), 69 where the exchange does not answer or does not say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from prometheus.v10.base.errors import ExchangeError, ExitCode
from prometheus.v10.base.modes import Mode
from prometheus.v10.execution.opening.account_plan import AccountPlan
from prometheus.v10.execution.orders.client_ids import is_ours
from prometheus.v10.execution.ports.account_facts import AccountConfig, Balance, FeeRate, Position
from prometheus.v10.execution.ports.contract_units import Instrument, InstrumentState, PositionTier
from prometheus.v10.execution.ports.exchange_errors import ForeignActivityError, MisconfiguredError
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.ports.order_terms import OrderReport
from prometheus.v10.execution.truth.asking_again import Pause, patiently

LEVELS: Final = {"2": "futures", "3": "multi-currency"}
NET: Final = "net_mode"
TRADING_SERVICES: Final = frozenset({"5", "8", "9", "99"})
WAY_OUT: Final = (
    "this account is for one instance alone: look at it on the exchange, close what is not its own, start again"
)


class NotYetError(ExchangeError):
    """The exchange or this machine's clock is not ready; waiting may help."""

    exit_code = ExitCode.TRY_AGAIN


@frozen(kw_only=True)
class AccountSnapshot:
    """Money, positions and resting orders of a moment."""

    taken_ms: int
    balance: Balance
    positions: tuple[Position, ...]
    pending: tuple[OrderReport, ...]


@frozen(kw_only=True)
class PreflightFacts:
    """What was found; the manifest and the opening repeat it."""

    clock_offset_ms: int
    config: AccountConfig
    instrument: Instrument
    fee: FeeRate
    tiers: tuple[PositionTier, ...]
    before: AccountSnapshot


def preflight(port: ExchangePort, plan: AccountPlan, *, now_ms: Callable[[], int], pause: Pause) -> PreflightFacts:
    """Read everything, change nothing.

    Args:
        port: the exchange.
        plan: what is wanted.
        now_ms: this machine's idea of the exchange's clock, Unix ms.
        pause: waits.

    Raises:
        NotYetError: maintenance, clock, instrument not live.
        MisconfiguredError: key, permissions, address, account level, leverage, money.
        ForeignActivityError: an order that is not ours, or a position that the plan does not let be closed.
        ExchangeError: an answer is missing, or does not say what must be known: fees, money.
    """
    _refuse_maintenance(port, plan, pause)
    offset = _offset(port, plan, now_ms, pause)
    config = patiently(port.account_config, pause)
    refuse_config(config, plan)
    instrument = patiently(lambda: port.instrument(plan.inst_id), pause)
    refuse_instrument(instrument, plan)
    fee = patiently(lambda: port.fee(instrument), pause)
    tiers = patiently(lambda: port.tiers(instrument, plan.margin_mode), pause)
    before = snapshot(port, plan, pause)
    refuse_foreign(before, plan)
    return PreflightFacts(clock_offset_ms=offset, config=config, instrument=instrument, fee=fee, tiers=tiers,
                          before=before)  # fmt: skip


def snapshot(port: ExchangePort, plan: AccountPlan, pause: Pause) -> AccountSnapshot:
    """The account now; every part is read, or nothing is known.

    Raises:
        ExchangeError: when a part is missing.
    """
    return AccountSnapshot(
        balance=patiently(lambda: port.balance(plan.currency), pause), positions=patiently(port.positions, pause),
        pending=patiently(port.pending, pause), taken_ms=patiently(port.server_time, pause),
    )  # fmt: skip


def refuse_config(config: AccountConfig, plan: AccountPlan) -> None:
    """What is wrong with key and account.

    Raises:
        MisconfiguredError: the first thing that is wrong.
    """
    said = set(config.permissions)
    if "trade" not in said:
        raise MisconfiguredError("the key may not trade", hint="make a key with read and trade, without withdrawal")
    if "withdraw" in said:
        raise MisconfiguredError("the key may withdraw money", hint="make a key with read and trade alone")
    if plan.mode is Mode.OKX_LIVE and not config.addresses:
        raise MisconfiguredError("the key is bound to no address", hint="bind the key to this machine's address")
    if config.level not in LEVELS:
        raise MisconfiguredError(
            f"account level {config.level} is not one of " + ", ".join(f"{k} ({v})" for k, v in LEVELS.items()),
            hint="change the account mode on the exchange",
        )


def refuse_instrument(instrument: Instrument, plan: AccountPlan) -> None:
    """What is wrong with the instrument.

    Raises:
        NotYetError: when it is not live.
        MisconfiguredError: when it settles in another currency or does not have the leverage.
    """
    if instrument.state is not InstrumentState.LIVE:
        raise NotYetError(f"{instrument.inst_id} is {instrument.state.value}, not live", hint="start when it is live")
    if instrument.settle_currency != plan.currency:
        raise MisconfiguredError(f"{instrument.inst_id} settles in {instrument.settle_currency}, not {plan.currency}")
    if not 1 <= plan.leverage <= instrument.max_leverage:
        raise MisconfiguredError(
            f"leverage {plan.leverage} of {instrument.inst_id} is not between 1 and {instrument.max_leverage}",
            hint="correct the profile",
        )


def refuse_foreign(found: AccountSnapshot, plan: AccountPlan) -> None:
    """Orders that are not ours are never cancelled, positions are closed only where the plan says so.

    Raises:
        ForeignActivityError: naming the first.
    """
    for one in found.pending:
        if not is_ours(one.client_id):
            raise ForeignActivityError(
                f"FOREIGN_ACTIVITY: order {one.order_id} on {one.inst_id} is not ours; nothing was changed",
                hint=WAY_OUT,
            )
    for place in found.positions:
        if place.inst_id != plan.inst_id:
            raise ForeignActivityError(
                f"FOREIGN_ACTIVITY: a position of {place.lots} lots {place.inst_id}; nothing was changed", hint=WAY_OUT
            )
        if not plan.flatten_at_start:
            raise ForeignActivityError(
                f"FOREIGN_ACTIVITY: a position of {place.lots} lots {place.inst_id} at the start; nothing was changed",
                hint="close it on the exchange, or let the profile close it: flatten_at_start",
            )


def _refuse_maintenance(port: ExchangePort, plan: AccountPlan, pause: Pause) -> None:
    env = "2" if plan.mode is Mode.OKX_DEMO else "1"
    for one in patiently(port.status, pause):
        if one.state == "ongoing" and one.service in TRADING_SERVICES and one.env in {env, ""}:
            raise NotYetError(f"the exchange is in maintenance: {one.title}"[:200], hint="start when it is over")


def _offset(port: ExchangePort, plan: AccountPlan, now_ms: Callable[[], int], pause: Pause) -> int:
    before = now_ms()
    theirs = patiently(port.server_time, pause)
    after = now_ms()
    offset = theirs - (before + after) // 2
    if abs(offset) > plan.clock_tolerance_ms + (after - before) // 2:
        raise NotYetError(
            f"this machine's clock is {-offset} ms ahead of the exchange's; {plan.clock_tolerance_ms} ms are allowed",
            hint="let NTP set the clock, then start again",
        )
    return offset
