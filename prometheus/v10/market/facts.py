"""Stylised facts of a market: the figures by which the synthetic market is held against real bars.

These are descriptions for people and tests. Nothing here feeds a decision, so library functions whose last bit differs
between machines are allowed, unlike in `synthetic` and `null_arm`.
"""

from __future__ import annotations

import attrs
import numpy as np

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.bars import Bars, Floats, Ints

DAY_S = 86_400
LAGS = (1, 2, 6, 12)  # in bars; a day, two days and a week are added in the timeframe's own bars
NORMAL_MEAN_ABS = 0.7978845608028654  # E|z| of a standard normal: sqrt(2 / pi)


@attrs.frozen(kw_only=True)
class StylisedFacts:
    """What the bars look like; returns are simple close-to-close returns.

    Attributes:
        bars: how many bars were looked at.
        std_bp: standard deviation of returns, basis points.
        excess_kurtosis: 0 for a normal distribution.
        acf_abs: autocorrelation of |return| by lag in bars, |return| capped at its 99.9 % quantile.
        acf_return_1: autocorrelation of the return itself at lag 1.
        abs_volume_correlation: correlation of |return| with volume.
        range_volume_correlation: correlation of (high - low) / open with volume.
        range_ratio: mean of (high - low) / open over mean |return|; about 2 for a diffusion.
        season_volatility: float64[24], mean |return| by UTC hour over the overall mean.
        season_volume: float64[24], mean volume by UTC hour over the overall mean.
        jump_share: share of returns beyond five times the previous day's own scale.
        volume_tail: 99 % quantile of volume over its median.
        calm_to_wild: weekly volatility, 95 % quantile over 5 % quantile.
        directness: 90 % quantile of |week's return| in units of what a random walk of that week would do.
        max_drawdown: deepest fall of the close from its running maximum, as a fraction.
    """

    bars: int
    std_bp: float
    excess_kurtosis: float
    acf_abs: dict[int, float]
    acf_return_1: float
    abs_volume_correlation: float
    range_volume_correlation: float
    range_ratio: float
    season_volatility: Floats
    season_volume: Floats
    jump_share: float
    volume_tail: float
    calm_to_wild: float
    directness: float
    max_drawdown: float


def stylised_facts(bars: Bars) -> StylisedFacts:
    """Measure ``bars``.

    Raises:
        ConfigError: when there are fewer than four weeks of bars, too few to say anything.
    """
    day = max(1, DAY_S // bars.timeframe_s)
    if len(bars) < 28 * day:
        raise ConfigError(f"{bars.symbol}: {len(bars)} bars are fewer than four weeks, too few for stylised facts")
    returns = bars.close[1:] / bars.close[:-1] - 1.0
    size = np.abs(returns)
    capped = np.minimum(size, np.quantile(size, 0.999))
    centred = returns - returns.mean()
    spread = (bars.high - bars.low) / bars.open
    hours = (bars.open_time[1:] // 3600) % 24
    week_sd, directness = _weeks(returns, 7 * day)
    return StylisedFacts(
        bars=len(bars),
        std_bp=float(returns.std() * 1e4),
        excess_kurtosis=float((centred**4).mean() / returns.var() ** 2 - 3.0),
        acf_abs={lag: _correlation(capped[:-lag], capped[lag:]) for lag in sorted({*LAGS, day, 2 * day, 7 * day})},
        acf_return_1=_correlation(returns[:-1], returns[1:]),
        abs_volume_correlation=_correlation(size, bars.volume[1:]),
        range_volume_correlation=_correlation(spread, bars.volume),
        range_ratio=float(spread.mean() / size.mean()),
        season_volatility=_by_hour(size, hours),
        season_volume=_by_hour(bars.volume[1:], hours),
        jump_share=_jump_share(size, day),
        volume_tail=float(np.quantile(bars.volume, 0.99) / np.median(bars.volume)),
        calm_to_wild=float(np.quantile(week_sd, 0.95) / np.quantile(week_sd, 0.05)),
        directness=float(np.quantile(directness, 0.9)),
        max_drawdown=float((1.0 - bars.close / np.maximum.accumulate(bars.close)).max()),
    )


def _correlation(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def _by_hour(values: Floats, hours: Ints) -> Floats:
    """float64[24]: mean of ``values`` by hour over the overall mean; 1 where an hour has no bar."""
    overall = values.mean()
    return np.array([values[hours == hour].mean() / overall if (hours == hour).any() else 1.0 for hour in range(24)])


def _jump_share(size: Floats, day: int) -> float:
    """Share of |returns| beyond five standard deviations as the day before would have it."""
    sums = np.cumsum(np.concatenate(([0.0], size)))
    scale = (sums[day:-1] - sums[: -day - 1]) / day / NORMAL_MEAN_ABS
    later = size[day:]
    return float((later > 5.0 * scale)[scale > 0].mean())


def _weeks(returns: Floats, week: int) -> tuple[Floats, Floats]:
    """Per whole week: standard deviation of returns, and |sum| over what such a random walk would do."""
    table = returns[: len(returns) // week * week].reshape(-1, week)
    deviation = table.std(axis=1)
    return deviation, np.abs(table.sum(axis=1)) / (deviation * np.sqrt(week))
