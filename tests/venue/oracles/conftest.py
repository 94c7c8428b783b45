"""A venue behind its gateway, without a socket: requests as bytes in, replies as bytes out, time by steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

import pytest
from attrs import define, field

from prometheus.v10.market.bars import Bars
from prometheus.v10.market.synthetic import synthetic
from prometheus.venue.exchange_world import World, WorldPlan, open_world
from prometheus.venue.gateway.exchange_messages import Asked
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.quanta import USDT
from tests.venue.oracles.plain_client import Answer, PlainClient
from tests.venue.oracles.trader import Trader

WARM_UP = 120
BARS = 6 * 1440


@cache
def minutes() -> Bars:
    """Six days of one-minute bars of the built-in market."""
    return synthetic(20260901, BARS, 60)


@define
class Stepped:
    """A venue whose clock moves when a test says so."""

    world: World
    gate: Gate = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.gate = Gate(self.world)

    def send(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> Answer:
        """One request to the gateway, as the server would hand it over."""
        lower = {name.lower(): value for name, value in headers.items()}
        reply = self.gate.handle(Asked(method=method, target=path, headers=lower, body=body.encode()))
        return Answer(reply.status, {"content-type": reply.content_type}, reply.body)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.world.now / 1000, UTC)

    def step(self, seconds: float) -> None:
        """Let time pass."""
        self.world.advance(self.world.now + round(seconds * 1000))

    def trader(self, environment: str, label: str) -> Trader:
        """The holder of the key of that label."""
        keys = self.world.keys.values()
        (key,) = [key for key in keys if key.environment == environment and key.label == label]
        return Trader(PlainClient(self.send, key.key, key.secret, key.passphrase, environment == "demo", self.now))


def opened(*, limits: bool = False, deposit: int = 100_000) -> Stepped:
    """A venue; ``deposit`` is what each account begins with, USDT."""
    plan = WorldPlan(bars=[minutes()], seed=11, warm_up=WARM_UP, limits=limits, deposit=deposit * USDT)
    return Stepped(open_world(plan))


@pytest.fixture
def venue() -> Stepped:
    """A new venue without rate limits; conservation is checked after every step and request."""
    return opened()


@pytest.fixture
def limited() -> Stepped:
    """A new venue that limits rates."""
    return opened(limits=True)


@pytest.fixture
def one(venue) -> Trader:
    """A sub-account of the demo's master."""
    return venue.trader("demo", "sub1")


@pytest.fixture
def two(venue) -> Trader:
    """Another sub-account of the same master."""
    return venue.trader("demo", "sub2")


@pytest.fixture
def stranger(venue) -> Trader:
    """An account of another master."""
    return venue.trader("demo", "other")


@pytest.fixture
def reader(venue) -> Trader:
    """A key of the first sub-account that may read alone."""
    return venue.trader("demo", "sub1-read")


@pytest.fixture
def live(venue) -> Trader:
    """A key of production."""
    return venue.trader("live", "sub1")
