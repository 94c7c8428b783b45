"""Survival figures: worked examples from the literature and by hand, and how often the intervals hold.

Simulations are seeded. A share of 2 000 histories that is 95 % is off by at most 1.5 % (three standard errors).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from prometheus.v10.report.lifetimes import (
    FEWEST,
    Figures,
    Interval,
    Life,
    Word,
    collapse_times,
    dispersion,
    figures_of,
    inverse,
    power_law,
    rate_bounds,
    releases,
    watched,
    word_of,
)
from prometheus.v10.report.survival_curve import kaplan_meier, product_limit

HISTORIES = 2000
MARGIN = 3.0 * math.sqrt(0.05 * 0.95 / HISTORIES)


def life(ticks: int, collapsed: bool = True, run: str = "run") -> Life:
    return Life(run, 0, ticks, collapsed)


def holds(bounds: Interval, value: float) -> bool:
    return bounds.lower <= value and (bounds.upper is None or value <= bounds.upper)


# ---- worked examples -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "lower", "upper"),
    [(0, 0.0, 3.689), (1, 0.025, 5.572), (2, 0.242, 7.225), (5, 1.623, 11.668), (10, 4.795, 18.390),
     (30, 20.241, 42.827)],
)  # fmt: skip
def test_poisson_bounds_are_those_of_the_tables(count, lower, upper):
    """Garwood's table, as printed in E. S. Pearson and H. O. Hartley, Biometrika tables, table 40."""
    found = rate_bounds(count, 1.0)
    assert found.upper is not None
    assert (round(found.lower, 3), round(found.upper, 3)) == (lower, upper)


def test_rates_scale_with_the_exposure_and_turn_into_means():
    one, thousand = rate_bounds(7, 1.0), rate_bounds(7, 1000.0)
    assert thousand.lower == pytest.approx(one.lower / 1000.0)
    assert inverse(Interval(0.02, 0.5)) == Interval(2.0, 50.0)
    assert inverse(Interval(0.0, 0.5)) == Interval(2.0, None)


@pytest.mark.parametrize(("count", "exposure"), [(-1, 1.0), (0, 0.0), (3, -2.0), (3, math.nan)])
def test_a_rate_needs_an_exposure(count, exposure):
    with pytest.raises(ValueError, match="expected events"):
        rate_bounds(count, exposure)


REMISSION = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
"""Weeks in remission under 6-MP; + is censored. E. J. Freireich and others, Blood 21 (1963) 699-716."""


def test_the_product_limit_curve_of_the_remission_data():
    """As in D. R. Cox and D. Oakes, Analysis of survival data, 1984, section 1.2 and table 4.1."""
    lives = [life(int(one.rstrip("+")), not one.endswith("+")) for one in REMISSION.split()]
    curve = {at: round(share, 3) for at, share, *_ in product_limit(*watched(lives))}
    assert curve == {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    found = figures_of(lives)
    assert (found.experiments, found.collapses, found.ticks, found.median, found.longest) == (21, 9, 359, 23, 35)
    assert found.alive_at_longest == pytest.approx(0.448, abs=5e-4)


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")  # where everybody is gone
@pytest.mark.parametrize("seed", range(12))
def test_curve_and_band_are_those_of_scipy(seed):
    """Ties, censoring at the time of an event, and everybody gone at the end included."""
    stats = pytest.importorskip("scipy.stats")
    draw = random.Random(seed)
    ended = [draw.randint(1, 12) for _ in range(draw.randint(1, 60))]
    censored = [draw.randint(1, 14) for _ in range(draw.randint(0, 40))]
    curve = stats.ecdf(stats.CensoredData(uncensored=ended, right=censored)).sf
    interval = curve.confidence_interval(method="log-log")
    said = {int(time): place for place, time in enumerate(curve.quantiles)}
    for time, share, lower, upper in product_limit(ended, censored):
        place = said[time]
        assert share == pytest.approx(curve.probabilities[place], rel=1e-12, abs=1e-15)
        if 0.0 < share < 1.0:
            assert lower == pytest.approx(interval.low.probabilities[place], rel=1e-9)
            assert upper == pytest.approx(interval.high.probabilities[place], rel=1e-9)


def test_a_curve_of_many_steps_is_thinned_and_keeps_its_ends():
    curve = kaplan_meier(list(range(1, 5001)), [6000])
    assert len(curve.times) < 250
    assert (curve.times[0], curve.share[0], curve.times[-1], curve.count) == (0, 1.0, 6000, 5001)
    assert curve.share[-1] == pytest.approx(1 / 5001)


def test_releases_stand_where_the_first_run_of_each_begins():
    ids = [f"HF_20260101T00000{n}Z_{commit}_0000" for n, commit in enumerate(["aaaaaaa", "aaaaaaa", "bbbbbbb"])]
    lives = [life(10, run=ids[0]), life(20, False, ids[0]), life(5, run=ids[1]), life(7, run=ids[2])]
    assert releases(lives) == [(0, "aaaaaaa"), (35, "bbbbbbb")]


DEVELOPMENT = (
    2.7, 10.3, 12.5, 30.6, 57.0, 61.3, 80.0, 109.5, 125.0, 128.6, 143.8, 167.9, 229.2, 296.7, 320.6, 328.2, 366.2,
    396.7, 421.1, 438.2, 501.2, 620.0,
)  # fmt: skip
"""Hours of 22 failures in a development test that ended with the last; ReliaSoft's example of Crow-AMSAA."""


def test_the_power_law_of_a_development_test():
    """Published: beta 0.6142, lambda 0.4239, and 45.9 hours between failures at the end."""
    found = power_law(DEVELOPMENT, 620.0)
    assert (round(found.beta, 4), round(found.scale, 4), round(found.now, 1)) == (0.6142, 0.4239, 45.9)
    assert found.bounds.upper is not None
    # 42 degrees of freedom: chi-square 25.999 and 61.777 (printed tables), over 2 * 22 / 0.6142
    assert found.bounds.lower == pytest.approx(25.999 * 0.6142 / 44.0, abs=2e-4)
    assert found.bounds.upper == pytest.approx(61.777 * 0.6142 / 44.0, abs=2e-4)
    assert word_of(found) is Word.LENGTHENING


def test_a_watch_that_ends_without_a_collapse_has_two_degrees_more():
    """By hand: five collapses at T / e, so beta is 1; chi-square of 10 degrees: 3.247 and 20.483."""
    found = power_law([1.0] * 5, math.e)
    assert found.beta == pytest.approx(1.0)
    assert found.now == pytest.approx(math.e / 5.0)
    assert found.bounds.upper is not None
    assert (round(found.bounds.lower, 4), round(found.bounds.upper, 4)) == (0.3247, 2.0483)


@pytest.mark.parametrize(
    ("times", "end"), [([1.0], 2.0), ([], 2.0), ([0.0, 1.0], 2.0), ([1.0, 3.0], 2.0), ([2.0, 2.0], 2.0)]
)
def test_what_has_no_power_law_is_refused(times, end):
    with pytest.raises(ValueError, match="expected"):
        power_law(times, end)


def test_lives_are_laid_end_to_end():
    assert collapse_times([life(5), life(10, False), life(3), life(0, False), life(4)]) == (5, 18, 22)


def test_a_handful_of_lives_by_hand():
    """Three collapses in 30 ticks; alive after tick 4: 3/4, after 6: 3/8, after 10: 0; 10 ticks to a collapse."""
    found = figures_of([life(4), life(10), life(6), life(10, False)])
    assert (found.collapses, found.ticks, found.rate, found.mean) == (3, 30, 0.1, 10.0)
    steps = product_limit(*watched([life(4), life(10), life(6), life(10, False)]))
    assert [step[:2] for step in steps] == [(4, 0.75), (6, 0.5), (10, 0.25)]
    assert (found.median, found.alive_at_longest) == (6, 0.25)
    assert (found.trend, found.word) == (None, Word.TOO_FEW)


def test_nothing_lived_and_nothing_collapsed():
    for lives in ([], [life(0, False)]):
        found = figures_of(lives)
        assert (found.rate, found.mean, found.median, found.dispersion) == (None, None, None, None)
        assert (found.alive_at_longest, found.word) == (1.0, Word.TOO_FEW)
    found = figures_of([life(100, False), life(0, False)])
    assert found.mean_bounds is not None
    assert found.mean_bounds.lower == pytest.approx(100.0 / 3.6889, rel=1e-4)
    assert found.mean_bounds.upper is None


@pytest.mark.parametrize(("collapses", "word"), [(4, Word.TOO_FEW), (5, Word.NO_TREND)])
def test_five_collapses_are_enough(collapses, word):
    assert FEWEST == 5
    assert figures_of([life(100, number % 2 == 0) for number in range(2 * collapses)]).word is word


def test_words_follow_the_interval():
    longer = figures_of([life(2**n) for n in range(12)] + [life(2**13, False)])
    assert longer.word is Word.LENGTHENING
    shorter = figures_of([life(2**12, False)] + [life(2**n) for n in range(11, -1, -1)] + [life(1, False)])
    assert shorter.word is Word.SHORTENING


# ---- how often the intervals hold ------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [0.5, 1.0, 3.0, 5.0, 10.0, 30.0])
def test_the_rate_interval_holds_in_95_of_100_cases(expected):
    """Exact, by summing the Poisson probabilities of the counts whose interval has the true rate."""
    held = math.fsum(
        math.exp(-expected + count * math.log(expected) - math.lgamma(count + 1))
        for count in range(90)
        if holds(rate_bounds(count, 1.0), expected)
    )
    assert 0.95 <= held < 1.0


def histories(seed: int, runs: int, experiments: int, mean: float, window: int | None) -> Iterator[Figures]:
    """Experiments of one constant rate; each is censored at its window."""
    rng = random.Random(seed)
    for _ in range(HISTORIES):
        lives = []
        for run in range(runs):
            for number in range(experiments):
                ticks = 1 + int(rng.expovariate(1.0 / mean))
                cut = window is not None and ticks > window
                lives.append(Life(f"{run}", number, window if cut and window else ticks, not cut))
        yield figures_of(lives)


@pytest.mark.parametrize(
    ("runs", "experiments", "mean", "window"),
    [(10, 4, 1000.0, 1000), (5, 10, 5000.0, 1000), (10, 3, 500.0, 1000), (3, 5, 1000.0, None)],
    ids=["six of ten collapse", "two of ten", "nine of ten", "all"],
)
def test_of_a_constant_rate_all_intervals_hold_and_no_trend_is_shown(runs, experiments, mean, window):
    rate, one, words, clusters, trends = 0, 0, dict.fromkeys(Word, 0), 0, 0
    for found in histories(11, runs, experiments, mean, window):
        assert found.rate_bounds is not None
        rate += holds(found.rate_bounds, 1.0 / (mean + 0.5))  # 1 + int of an exponential has this mean
        words[found.word] += 1
        clusters += found.clustered
        if found.trend is not None:
            trends += 1
            one += holds(found.trend.bounds, 1.0)
    assert rate / HISTORIES >= 0.95 - MARGIN
    assert abs(one / trends - 0.95) <= MARGIN + 0.01
    assert words[Word.LENGTHENING] / HISTORIES <= 0.025 + MARGIN
    assert words[Word.SHORTENING] / HISTORIES <= 0.025 + MARGIN
    assert clusters / HISTORIES <= 0.02


def power_law_times(rng: random.Random, beta: float, expected: float) -> list[float]:
    """Collapses of a power law on a clock that ends at 1."""
    count, at = 0, rng.expovariate(1.0)
    while at < expected:
        count, at = count + 1, at + rng.expovariate(1.0)
    return sorted(rng.random() ** (1.0 / beta) for _ in range(count))


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.8])
def test_the_interval_of_beta_holds_in_95_of_100_cases(beta):
    rng, held, fits = random.Random(7), 0, 0
    for _ in range(HISTORIES):
        times = power_law_times(rng, beta, 15.0)
        if len(times) >= FEWEST:
            fits += 1
            held += holds(power_law(times, 1.0).bounds, beta)
    assert abs(held / fits - 0.95) <= MARGIN


@pytest.mark.parametrize(("beta", "word"), [(0.5, Word.LENGTHENING), (2.0, Word.SHORTENING)])
def test_a_strong_trend_of_thirty_collapses_is_seen_nine_times_in_ten(beta, word):
    rng = random.Random(8)
    fits = [power_law(power_law_times(rng, beta, 30.0), 1.0) for _ in range(400)]
    assert sum(word_of(fit) is word for fit in fits) / len(fits) >= 0.9


# ---- experiments of one run are not alone ----------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [20, 60])
def test_runs_that_share_their_fate_are_seen_and_their_intervals_widened(runs):
    """Every run has ten experiments, and bars that kill all of them or none. Unaware, half of them show a trend."""
    rng, clustered, trends, unaware, rate = random.Random(9), 0, 0, 0, 0
    for _ in range(400):
        lives = []
        for run in range(runs):
            deadly = rng.random() < 0.4
            lives += [Life(f"{run}", number, rng.randint(1, 1000) if deadly else 1000, deadly) for number in range(10)]
        found = figures_of(lives)
        clustered += found.clustered
        trends += found.word in {Word.LENGTHENING, Word.SHORTENING}
        unaware += word_of(power_law(found.times, found.ticks)) in {Word.LENGTHENING, Word.SHORTENING}
        assert found.rate_bounds is not None
        rate += holds(found.rate_bounds, 0.4 / (0.4 * 500.5 + 0.6 * 1000))
    assert clustered / 400 >= 0.99
    assert unaware / 400 >= 0.4
    assert trends / 400 <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / 400)
    assert rate / 400 >= 0.92


def test_the_dispersion_by_hand():
    """Rate 4 / 40; residuals 4 times 0.5, and -2; (2^2 / 4 + 2^2 / 1) / (5 / 4) over one degree of freedom."""
    one = [life(5, True, "a")] * 4 + [life(20, False, "b")]
    found, clustered = dispersion(one, None)
    assert found == pytest.approx(4.0)
    assert not clustered  # fewer than five collapses
    assert dispersion([life(5, True, "a")] * 5, None) == (None, False)
    assert dispersion([life(5, False, "a"), life(5, False, "b")], None) == (None, False)


def test_weak_clusters_are_not_always_seen():
    """What the document admits: rates of runs spread by a factor of 1.6, and nothing lengthens."""
    rng, trends = random.Random(3), 0
    for _ in range(400):
        lives = []
        for run in range(20):
            mean = 3000.0 * math.exp(rng.gauss(0.0, 0.5))
            for number in range(10):
                ticks = 1 + int(rng.expovariate(1.0 / mean))
                lives.append(Life(f"{run}", number, min(ticks, 1000), ticks <= 1000))
        trends += figures_of(lives).word in {Word.LENGTHENING, Word.SHORTENING}
    assert 0.05 < trends / 400 <= 0.14


def test_lives_that_are_all_alike_are_no_clusters():
    """What little varies among them is how the curve fits, and that differs from run to run."""
    found = figures_of([life(60, True, f"{n // 4}") for n in range(40)])
    assert not found.clustered
    assert found.dispersion is not None
    assert found.dispersion < 0.5
