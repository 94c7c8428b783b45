"""A server with history, and a person who downloads from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import define, evolve, field

from prometheus.v10.base.kernel import FILES, Files
from prometheus.v10.market.download.download_plan import Asked, Exchange, Product, asked_for
from prometheus.v10.market.download.download_run import Done, Means, download
from prometheus.v10.market.download.download_wire import Patience
from prometheus.v10.market.sources.reading.openings import file_identity, is_data
from prometheus.v10.market.sources.received import read_record, require_same
from tests.conftest import FakeClock
from tests.unit.market.download.history_house import House, history

PATIENCE = Patience(tries=3, idle_s=5.0)
NOW = datetime(2025, 3, 1, 7, tzinfo=UTC)


@pytest.fixture
def house() -> Iterator[House]:
    """Hours from 20 December 2024 to the end of February 2025; the archive is empty until something is published."""
    made = House(history("2024-12-20", "2025-03-01"))
    yield made
    made.close()


@define
class Desk:
    """Downloads from the house; waits cost no time, and are noted."""

    house: House
    folder: Path
    clock: FakeClock = field(factory=lambda: FakeClock(moment=NOW))
    waits: list[float] = field(factory=list)
    patience: Patience = PATIENCE
    files: Files = FILES

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.ticks += seconds

    def asked(
        self, exchange: str = "binance", first: str = "2024-12-30", end: str | None = "2025-01-03", **more
    ) -> Asked:
        instrument = {"okx": "BTC-USDT-SWAP", "binance": "BTCUSDT"}[exchange]
        product = more.pop("product", None)
        return asked_for(
            Exchange(exchange), more.pop("instrument", instrument), more.pop("bar", "1h"), first=first, end=end,
            product=None if product is None else Product(product), now=self.clock.now(), **more,
        )  # fmt: skip

    def fetch(self, exchange: str = "binance", *, funding: bool = False, tell: Callable | None = None, **more) -> Done:
        means = Means(
            base=self.house.base, clock=self.clock, sleep=self.sleep, patience=self.patience, files=self.files
        )
        means = means if tell is None else evolve(means, tell=tell)
        return download(self.asked(exchange, **more), self.folder, means, funding=funding)

    def visible(self) -> list[str]:
        """Names of data files in the folder, each of which has to be what its record says."""
        found = []
        for place in sorted(self.folder.rglob("*")):
            if place.is_file() and is_data(place):
                record = read_record(place)
                assert record is not None, place
                require_same(place, record, *file_identity(place))
                found.append(place.name)
        return found


@pytest.fixture
def desk(house: House, tmp_path: Path) -> Desk:
    return Desk(house, tmp_path / "fetched")
