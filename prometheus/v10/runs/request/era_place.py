"""The bars of an era: a function of the profile, the era's number and how many bars there are."""

from __future__ import annotations

from attrs import frozen

from prometheus.v10.base.errors import ConfigError, ExitCode, PrometheusError
from prometheus.v10.evidence.derive.eras.era_rules import sampled, walked
from prometheus.v10.market.windows import Window
from prometheus.v10.runs.request.eras_table import AtEnd, WindowPolicy, WindowTable


class NoBarsLeftError(PrometheusError):
    """A walk has used every bar that there is."""

    exit_code = ExitCode.CONFIG


@frozen(kw_only=True)
class EraPlace:
    """Where an era lies.

    Attributes:
        number: of the era, counted from 0.
        cycle: how often the walk had begun again before it; the synthetic market goes on under the next seed then.
    """

    number: int
    cycle: int
    window: Window


def era_place(table: WindowTable, number: int, rows: int, *, seed: int, endless: bool) -> EraPlace:
    """Where era ``number`` lies.

    Args:
        table: ``[window]``.
        number: of the era.
        rows: bars of the market.
        seed: of the first experiment; draws the stretches of policy ``sample`` where the table has no seed.
        endless: whether the market has further bars when these are used: the synthetic one.

    Raises:
        NoBarsLeftError: when a walk has used all bars, and does not begin again.
        ConfigError: when the market has no room for one era.
    """
    if table.start + table.len > rows:
        raise ConfigError(
            f"window {table.name!r}: one era needs {table.start} + {table.len} bars, the market has {rows}",
            hint="give a shorter [window] len, or more bars",
        )
    cycle, start = 0, table.start
    if table.policy is WindowPolicy.WALK:
        stride = (table.len if table.step is None else table.step) + (table.embargo or 0)
        cycle, start = walked(number, rows, table.start, table.len, stride)
        if cycle and not endless and table.at_end is not AtEnd.AGAIN:
            raise NoBarsLeftError(
                f"window {table.name!r}: era {number} needs bars behind the last of {rows}",
                hint="import more bars, or set [window] at_end = again",
            )
    elif table.policy is WindowPolicy.SAMPLE:
        start = sampled(number, rows, table.start, table.len, seed if table.seed is None else table.seed)
    return EraPlace(number=number, cycle=cycle, window=Window(table.name, start, table.len))
