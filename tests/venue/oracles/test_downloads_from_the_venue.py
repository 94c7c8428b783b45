"""The downloader against an exchange that was written by others from the same documentation, limits and all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from prometheus.v10.market.download.download_plan import Exchange, asked_for
from prometheus.v10.market.download.download_run import Means, download
from prometheus.v10.market.sources.importers import read_sources
from prometheus.v10.market.sources.tables import Reading
from tests.conftest import FakeClock
from tests.unit.market.download.history_house import House, Reply, history

DAY_S = 86_400


@pytest.fixture
def served(limited):
    """The venue two days after its first midnight, behind a socket; it counts requests by its own clock."""
    now = limited.now()
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    limited.step((midnight - now).total_seconds() + 2 * DAY_S)
    house = House(history("2025-01-01", "2025-01-02"))

    def answered(path: str, _number: int) -> Reply:
        said = limited.send("GET", path, "", {})
        return Reply(said.status, said.body, {"Content-Type": "application/json"})

    house.twist = answered
    yield limited, house, midnight
    house.close()


def test_two_days_of_minutes_and_their_rates_come_whole_and_within_the_limits(served, tmp_path):
    venue, house, midnight = served
    clock = FakeClock(moment=venue.now())
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.ticks += seconds
        venue.step(seconds)

    first, end = (f"{midnight + timedelta(days=k):%Y-%m-%d}" for k in (0, 2))
    asked = asked_for(Exchange.OKX, "BTC-USDT-SWAP", "1m", first=first, end=end, product=None, now=clock.now())
    done = download(asked, tmp_path / "fetched", Means(base=house.base, clock=clock, sleep=sleep), funding=True)
    assert [one.record.rows for one in done.bars + done.funding] == [1440, 1440, 3, 3]
    assert len(house.heard) == 30 + 2
    assert max(waits) < 1  # the venue, which allows 20 in 2 s, refused none of them
    read = read_sources([one.path for one in done.bars], Reading(funding=tmp_path / "fetched/funding"))
    assert (len(read.bars), read.bars.symbol, read.bars.timeframe_s) == (2880, "BTC-USDT-SWAP", 60)
    after = 1000 * round((midnight + timedelta(days=2)).timestamp())
    query = f"instId=BTC-USDT-SWAP&bar=1m&limit=100&after={after}"
    said = json.loads(venue.send("GET", f"/api/v5/market/history-candles?{query}", "", {}).body)
    assert read.bars.close[:-101:-1].tolist() == [float(row[4]) for row in said["data"]]
    assert read.bars.volume[:-101:-1].tolist() == [float(row[6]) for row in said["data"]]
