"""What tests of the venue share: small markets, a venue without sockets, and a client that signs its requests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from attrs import define, field

from prometheus.v10.market.bars import Bars
from prometheus.venue.accounts.holdings import Account
from prometheus.venue.exchange_world import World, WorldPlan, open_world
from prometheus.venue.faults.injections import Injection, Target
from prometheus.venue.faults.mischief_maker import MischiefMaker
from prometheus.venue.floor.trading import Market, Trading
from prometheus.venue.gateway.exchange_messages import Asked, Reply
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.gateway.signatures import signature
from prometheus.venue.key_ring import Key
from prometheus.venue.quanta import USDT

BTC = "BTC-USDT-SWAP"
START = 1_704_067_200
"""2024-01-01 00:00 UTC."""
OPENED = START + 2 * 60


def bars(rows: Sequence[tuple[float, float, float, float, float]], funding: float = 0.0, start: int = START) -> Bars:
    """Minutes of (open, high, low, close, volume in BTC)."""
    table = np.array(rows, dtype=float)
    times = start + 60 * np.arange(len(rows), dtype=np.int64)
    return Bars(
        symbol=BTC, timeframe_s=60, open_time=times, open=table[:, 0], high=table[:, 1], low=table[:, 2],
        close=table[:, 3], volume=table[:, 4], funding=np.full(len(rows), funding), source="test",
    )  # fmt: skip


def flat(count: int = 30, price: float = 50_000.0, volume: float = 6.0, start: int = START) -> Bars:
    """Minutes in which the price stands still."""
    return bars([(price, price, price, price, volume)] * count, start=start)


def walk(prices: Sequence[float], volume: float = 6.0) -> Bars:
    """Minutes that go from one price to the next; two quiet ones before them."""
    steps = [prices[0], prices[0], *prices]
    rows = [(a, max(a, b), min(a, b), b, volume) for a, b in zip(steps, [*steps[1:], steps[-1]], strict=True)]
    return bars(rows)


@define(repr=False)
class Client:
    """A client with a key. ``demo`` says whether it sends the header of the demo environment."""

    gate: Gate
    key: Key
    demo: bool = True
    late_ms: int = 0
    headers: dict[str, str] = field(factory=dict)

    @property
    def account(self) -> Account:
        """The account behind the key, as the venue has it."""
        return self.gate.world.environments[self.key.environment].accounts[self.key.uid]

    def raw(self, method: str, target: str, body: bytes = b"", **changed: str) -> Reply:
        """Send a signed request; ``changed`` replaces or (empty) drops headers, underscores for dashes."""
        moment = self.gate.world.now + self.late_ms
        stamp = datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{moment % 1000:03d}Z"
        headers = {
            "ok-access-key": self.key.key, "ok-access-passphrase": self.key.passphrase, "ok-access-timestamp": stamp,
            "ok-access-sign": signature(self.key.secret, stamp, method, target, body),
            "content-type": "application/json", **self.headers,
        }  # fmt: skip
        if self.demo:
            headers["x-simulated-trading"] = "1"
        for name, value in changed.items():
            headers[name.replace("_", "-")] = value
        sent = {name: value for name, value in headers.items() if value}
        return self.gate.handle(Asked(method=method, target=target, headers=sent, body=body))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The body of a GET."""
        target = f"/api/v5/{path}" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
        return json.loads(self.raw("GET", target).body)

    def rows(self, path: str, **query: Any) -> list[Any]:
        """The data of a GET that must succeed."""
        body = self.get(path, **query)
        assert body["code"] == "0", body
        return body["data"]

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """The body of a POST."""
        reply = self.raw("POST", f"/api/v5/{path}", json.dumps(body).encode())
        return json.loads(reply.body) if "json" in reply.content_type else {"code": str(reply.status)}

    def order(self, side: str, sz: str, px: str | None = None, **more: Any) -> dict[str, Any]:
        """Place an order, a limit order where it has a price; returns the item's result."""
        kind = {"ordType": "limit", "px": px} if px is not None else {"ordType": "optimal_limit_ioc"}
        answer = self.post("trade/order", {"instId": BTC, "tdMode": "cross", "side": side, "sz": sz, **kind, **more})
        return answer["data"][0] if answer.get("data") else {"sCode": answer["code"], "sMsg": "", "ordId": ""}

    def placed(self, side: str, sz: str, px: str | None = None, **more: Any) -> str:
        """Place an order that must be accepted; returns its id."""
        result = self.order(side, sz, px, **more)
        assert result["sCode"] == "0", result
        return result["ordId"]

    def refused(self, side: str, sz: str, px: str | None = None, **more: Any) -> str:
        """The code with which an order is refused."""
        result = self.order(side, sz, px, **more)
        assert result["sCode"] != "0", result
        return result["sCode"]

    def record(self, ord_id: str) -> dict[str, Any]:
        """The order as the venue reports it."""
        return self.rows("trade/order", instId=BTC, ordId=ord_id)[0]

    def state(self, ord_id: str) -> tuple[str, str]:
        """State and cancelSource."""
        row = self.record(ord_id)
        return row["state"], row["cancelSource"]

    def position(self, **query: Any) -> dict[str, Any]:
        """The only position."""
        (row,) = self.rows("account/positions", **query)
        return row


@define(repr=False)
class Desk:
    """A venue without sockets."""

    world: World
    mischief: MischiefMaker
    gate: Gate

    def client(self, label: str = "main", environment: str = "demo") -> Client:
        """A client of an account."""
        key = next(one for one in self.world.keys.values() if one.label == label and one.environment == environment)
        return Client(self.gate, key, demo=environment == "demo")

    @property
    def demo(self) -> Trading:
        """The demo environment."""
        return self.world.environments["demo"]

    @property
    def market(self) -> Market:
        """BTC in the demo environment."""
        return self.demo.markets[BTC]

    def pass_time(self, seconds: float = 1.0) -> None:
        """Let the venue's clock run."""
        self.world.advance(self.world.now + round(seconds * 1000))

    def alone(self) -> Desk:
        """Take the strangers out of the book: clients trade with clients only."""
        for state in self.world.environments.values():
            for market in state.markets.values():
                market.depth.scale = 0
        return self

    def inject(self, fault: str, *, target: Target | None = None, **arguments: Any) -> Injection:
        """Inject a fault."""
        return self.mischief.inject(fault, target or Target(), arguments)


def desk(market: Bars | None = None, *, seed: int = 7, limits: bool = False, deposit: int = 100_000 * USDT,
         warm_up: int = 2) -> Desk:  # fmt: skip
    """A venue on a small market, two minutes after its first bar; conservation is checked after every step and call."""
    plan = WorldPlan(bars=[market if market is not None else flat()], seed=seed, limits=limits, deposit=deposit,
                     warm_up=warm_up)  # fmt: skip
    world = open_world(plan)
    mischief = MischiefMaker(world)
    made = Desk(world, mischief, Gate(world, mischief))
    made.pass_time()
    return made
