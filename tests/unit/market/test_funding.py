"""A funding series laid over bars: sums at the right bars, and unknown where the series is silent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.market.sources.funding import lay_funding
from prometheus.v10.market.sources.importers import read_source
from prometheus.v10.market.sources.tables import Reading
from tests.unit.market.shapes import drawn, klines, zipped

EIGHT = 28_800
SOURCE = Path("funding.feather")


def lay(opens: list[int], step: int, booked: list[int], rates: list[float]) -> tuple[list[float], str | None]:
    funding, reason = lay_funding(
        np.array(opens, dtype=np.int64), step, np.array(booked, dtype=np.int64), np.array(rates), SOURCE
    )
    return funding.tolist(), reason


def test_a_rate_goes_to_the_bar_in_which_its_boundary_lies() -> None:
    funding, reason = lay([0, 14_400, 28_800, 43_200], 14_400, [0, 28_800], [1e-4, 2e-4])
    assert funding == [1e-4, 0.0, 2e-4, 0.0]
    assert reason is None


def test_a_day_bar_sums_its_three_bookings() -> None:
    funding, reason = lay([0, 86_400], 86_400, [k * EIGHT for k in range(6)], [1e-4, 2e-4, 3e-4, -1e-4, 0.0, 0.0])
    assert funding == [1e-4 + 2e-4 + 3e-4, -1e-4]
    assert reason is None


def test_a_day_bar_with_a_booking_missing_is_unknown() -> None:
    funding, reason = lay([0, 86_400], 86_400, [k * EIGHT for k in (0, 2, 3, 4, 5)], [1e-4] * 5)
    assert np.isnan(funding[0])
    assert funding[1] == pytest.approx(3e-4)
    assert reason is not None
    assert "1 of 2 bars" in reason


def test_outside_the_series_nothing_is_known() -> None:
    opens = list(range(0, 5 * EIGHT, 3600))
    funding, reason = lay(opens, 3600, [EIGHT, 2 * EIGHT], [1e-4, 1e-4])
    known = [o for o, f in zip(opens, funding, strict=True) if not np.isnan(f)]
    assert known == list(range(EIGHT, 3 * EIGHT, 3600))
    assert reason is not None


def test_a_booking_stamped_a_little_late_belongs_to_its_boundary() -> None:
    funding, _ = lay([0, 3600], 3600, [2], [1e-4])
    assert funding == [1e-4, 0.0]


@pytest.mark.parametrize(
    ("booked", "rates", "what"),
    [
        ([], [], "no funding rate"),
        ([3600], [1e-4], r"row 1 .* not on an 8 h boundary"),
        ([0, 0], [1e-4, 1e-4], "row 2 .* repeats"),
        ([EIGHT, 0], [1e-4, 1e-4], "row 2 .* precedes"),
        ([0, EIGHT], [1e-4, np.nan], "row 2 .* no number"),
        ([0], [1.0], "row 1 .* beyond 10 %"),
    ],
)
def test_a_series_that_cannot_be_one_is_refused(booked: list[int], rates: list[float], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        lay([0], 3600, booked, rates)


@given(
    first=st.integers(0, 50).map(lambda k: k * 3600),
    count=st.integers(1, 60),
    step=st.sampled_from([3600, 14_400, 28_800, 43_200, 86_400]),
    booked=st.sets(st.integers(0, 60), min_size=1),
)
def test_nothing_known_is_lost_and_nothing_unknown_is_made_up(
    first: int, count: int, step: int, booked: set[int]
) -> None:
    opens = [first // step * step + k * step for k in range(count)]
    bookings = sorted(b * EIGHT for b in booked)
    funding, _ = lay(opens, step, bookings, [1e-4 * (k + 1) / 100 for k in range(len(bookings))])
    rate = dict(zip(bookings, [1e-4 * (k + 1) / 100 for k in range(len(bookings))], strict=True))
    for open_time, found in zip(opens, funding, strict=True):
        wanted = range(-(-open_time // EIGHT) * EIGHT, open_time + step, EIGHT)
        if wanted and all(t in rate for t in wanted):
            assert found == pytest.approx(sum(rate[t] for t in wanted))
        elif wanted:
            assert np.isnan(found)
        else:
            assert found == 0.0 or np.isnan(found)


# ---- files of exchanges ----------------------------------------------------------------------------------------------

START = 1_704_067_200  # 2024-01-01 00:00:00Z


def _bars(place: Path, symbol: str = "BTCUSDT") -> Path:
    path = place / f"{symbol}-1h-2024-01.csv"
    path.write_text(klines(drawn(72, 3600, START)))
    return path


def _binance(late_ms: int = 7, hours: int = 8) -> str:
    rows = [f"{(START + hours * 3600 * k) * 1000 + late_ms},{hours},0.0001{k}" for k in range(72 // hours)]
    return "\n".join(["calc_time,funding_interval_hours,last_funding_rate", *rows, ""])


def _okx(symbol: str = "BTC-USDT-SWAP") -> str:
    rows = [f"{symbol},0.0001{k},{(START + 28_800 * k) * 1000 + 1_400}" for k in range(9)]
    return "\n".join(["instrument_name,funding_rate,funding_time", *rows, ""])


def _rest() -> str:
    rows = [
        {"instId": "BTC-USDT-SWAP", "fundingRate": f"0.0001{k}", "fundingTime": str((START + 28_800 * k) * 1000)}
        for k in range(9)
    ]
    return json.dumps({"code": "0", "data": rows[::-1]})


SERIES: dict[str, tuple[str, Callable[[], str | bytes]]] = {
    "binance": ("BTCUSDT-fundingRate-2024-01.csv", _binance),
    "binance, packed": ("a.zip", lambda: zipped("BTCUSDT-fundingRate-2024-01.csv", _binance(0))),
    "okx": ("BTC-USDT-SWAP-fundingrates-2024-01.csv", _okx),
    "okx, all swaps": ("allswap-fundingrates-2024-01.csv", lambda: _okx() + _okx("ETH-USDT-SWAP").partition("\n")[2]),
    "okx, live": ("funding.json", _rest),
    "a row twice": ("a.csv", lambda: _binance() + _binance().splitlines()[1] + "\n"),
}


@pytest.mark.parametrize("case", SERIES)
def test_a_series_of_an_exchange_is_laid_over_the_bars(tmp_path: Path, case: str) -> None:
    name, make = SERIES[case]
    content = make()
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    read = read_source(_bars(tmp_path), Reading(funding=tmp_path / name))
    wanted = pd.Series(0.0, index=range(72))
    wanted[::8] = [float(f"0.0001{k}") for k in range(9)]
    assert read.bars.funding.tolist() == wanted.tolist()
    assert any(said.startswith(f"funding: from {name}") for said in read.decisions)


NO_SERIES = {
    "of another instrument by its name": ("ETHUSDT-fundingRate-2024-01.csv", _binance(), "its name says ETHUSDT"),
    "of another instrument": ("a.csv", _okx("ETH-USDT-SWAP"), "holds no funding rate of BTCUSDT, but of ETH-USDT-SWAP"),
    "every four hours": ("a.csv", _binance(hours=4), "is not on an 8 h boundary .*books every 4 h"),
    "bars": ("a.csv", klines(drawn()), "holds no funding rates: its columns are open_time"),
    "a rate that is a word": ("a.csv", _binance().replace("0.00010", "high"), "are no booking time and rate"),
    "two rates of one time": ("a.csv", _binance() + _binance().splitlines()[1] + "9\n", "repeats or precedes"),
    "cut off": ("a.csv", _binance()[:-12], "cells where the header has 3|repeats or precedes"),
    "nothing": ("a.csv", "", "holds no funding rates"),
}


@pytest.mark.parametrize("case", NO_SERIES)
def test_a_series_that_is_not_the_bars_own_is_refused(tmp_path: Path, case: str) -> None:
    name, text, what = NO_SERIES[case]
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=what):
        read_source(_bars(tmp_path), Reading(funding=tmp_path / name))
