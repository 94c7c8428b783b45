"""How a run reaches its exchange, and whose time it keeps: a process's own clock, or a venue that is stepped."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from prometheus.v10.base.errors import ExchangeError, ExitCode
from prometheus.v10.execution.ports.call_records import CallSink
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.truth.asking_again import Pause


@frozen(kw_only=True)
class Means:
    """See the module.

    Attributes:
        port: makes the adapter; the sink hears of every call.
        now_ms: the exchange's clock as it is known here, Unix ms.
        pause: lets so many seconds of it pass.
        site: a name of `exchange_table.SITES`.
        step_seconds: the longest pause at a time: a stop is looked for behind each.
    """

    port: Callable[[CallSink], ExchangePort]
    now_ms: Callable[[], int]
    pause: Pause
    site: str
    step_seconds: float


class StopOverdueError(ExchangeError):
    """A stop's time is over: what is not proved now is named as open."""


class TradingHaltedError(ExchangeError):
    """Trading is halted: an operator must look before anything is started again."""

    exit_code = ExitCode.CONFIG


def release_hint(instance: str) -> str:
    """What an operator does about a halt."""
    return f"look at the account; then prometheus-quant execution release {instance} --by NAME --why TEXT"
