"""What is asked of both libraries: every read, every kind of order, and calls that are refused, lost or held back.

Each step is done on a venue whose time stands still but for the pauses here, so that the same seed, the same requests
and the same pauses bring the same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, Final, Protocol

from attrs import evolve, frozen

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.execution.alignment.wire_tap import Spoken, WireTap
from prometheus.v10.execution.orders.client_ids import client_id
from prometheus.v10.execution.ports.exchange_port import ExchangePort
from prometheus.v10.execution.ports.order_terms import MarginMode, OrderRequest, OrderType, Side, StpMode

INSTRUMENT: Final = "BTC-USDT-SWAP"
CROSS: Final = MarginMode.CROSS
ORDER: Final = "/api/v5/trade/order"
BETWEEN_S: Final = 1.0
"""Of the venue's time between two steps, so that no bucket is empty."""
LATER_MS: Final = 60_000
LOW: Final = 300_000
"""Ticks: a price at which a buyer rests."""


class Bench(Protocol):
    """A fresh venue, and one of its accounts behind a wire that is tapped."""

    @property
    def address(self) -> str:
        """Where the venue listens."""
        ...

    def through(self, library: str, address: str) -> ExchangePort:
        """The account through a library, by way of ``address``."""
        ...

    def now_ms(self) -> int:
        """Its clock, Unix ms."""
        ...

    def pause(self, seconds: float) -> None:
        """Let its time pass."""
        ...

    def disturb(self, fault: str, path: str) -> None:
        """Do one thing wrong, at the next request of a path."""
        ...


Benches = Callable[[str], AbstractContextManager[Bench]]
"""Makes a fresh bench for a library; each of one seed."""


@frozen(kw_only=True)
class StepSaid:
    """What one step came to: the bytes, and what our types say of them.

    Attributes:
        meaning: the typed result, or the error with its code.
    """

    name: str
    spoken: list[Spoken]
    meaning: str


class Asking:
    """One pass through all steps with one library."""

    def __init__(self, bench: Bench, library: str, run_id: str, tap: WireTap) -> None:
        self.bench, self.run_id, self.tap = bench, run_id, tap
        self.port = bench.through(library, tap.address)
        self.said: list[StepSaid] = []
        self._orders = 0

    def step(self, name: str, do: Callable[[], Any]) -> Any:
        """Do one thing; what came of it is kept. Returns the result, None after an error."""
        found: Any = None
        try:
            found = do()
            meaning = repr(found)
        except PrometheusError as error:
            meaning = f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
        self.said.append(StepSaid(name=name, spoken=self.tap.take(), meaning=meaning))
        self.bench.pause(BETWEEN_S)
        return found

    def order(self, lots: int, **more: Any) -> OrderRequest:
        """An order of this pass, with a client id that no other one of it has; both passes have the same ids."""
        self._orders += 1
        known: dict[str, Any] = {
            "inst_id": INSTRUMENT, "client_id": client_id(self.run_id, self._orders, INSTRUMENT, 0), "side": Side.BUY,
            "order_type": OrderType.MARKET_IOC, "lots": lots, "price_ticks": None, "reduce_only": False,
            "margin_mode": CROSS, "stp_mode": StpMode.CANCEL_MAKER, "tag": "",
            "expire_ms": self.bench.now_ms() + LATER_MS,
        }  # fmt: skip
        return OrderRequest(**{**known, **more})

    def send(self, name: str, request: OrderRequest, *, fault: str = "") -> None:
        """One order, and what the exchange knows of it afterwards."""
        if fault:
            self.bench.disturb(fault, ORDER)
        self.step(f"send {name}", lambda: self.port.send(self.port.prepare(request)))
        self.step(f"ask for {name}", lambda: self.port.order(INSTRUMENT, request.client_id))


def ask_everything(bench: Bench, library: str, run_id: str) -> list[StepSaid]:
    """Every step through one library; what each came to."""
    with WireTap(bench.address) as tap:
        asking = Asking(bench, library, run_id, tap)
        try:
            _reads(asking)
            _orders(asking)
            _what_goes_wrong(asking)
            _ends(asking)
        finally:
            asking.port.close()
    return asking.said


def _reads(asking: Asking) -> None:
    port, step = asking.port, asking.step
    step("clock", port.server_time)
    step("notices", port.status)
    units = port.instrument(INSTRUMENT)
    step("instrument", lambda: port.instrument(INSTRUMENT))
    step("top of book", lambda: port.top_of_book(INSTRUMENT))
    step("candles", lambda: port.candles(INSTRUMENT, 300, 3))
    step("tiers", lambda: port.tiers(units, CROSS))
    step("account", lambda: evolve(port.account_config(), uid="", main_uid="", label=""))  # whose it is stays out
    step("balance", lambda: port.balance("USDT"))
    step("fees", lambda: port.fee(units))
    step("set leverage", lambda: port.set_leverage(INSTRUMENT, CROSS, Decimal(3)))
    step("leverage", lambda: port.leverage(INSTRUMENT, CROSS))


def _orders(asking: Asking) -> None:
    port = asking.port
    asking.send("a buy at market", asking.order(12))
    resting = asking.order(3, order_type=OrderType.POST_ONLY, price_ticks=LOW)
    asking.send("an order that rests", resting)
    found = asking.step("resting orders", port.pending)
    order_id = found[0].order_id if found else "0"
    asking.step("cancel it", lambda: port.cancel(INSTRUMENT, order_id))
    asking.step("ask for the cancelled order", lambda: port.order(INSTRUMENT, resting.client_id))
    asking.send("a limit order", asking.order(2, order_type=OrderType.LIMIT, price_ticks=LOW))
    asking.send("a limit, immediate or cancelled", asking.order(2, order_type=OrderType.LIMIT_IOC, price_ticks=LOW))
    asking.send("a limit, whole or cancelled", asking.order(2, order_type=OrderType.FOK, price_ticks=LOW))
    asking.send("a reducing sell with a tag", asking.order(5, side=Side.SELL, reduce_only=True, tag="aligned"))
    asking.send("the taker gives way", asking.order(4, stp_mode=StpMode.CANCEL_TAKER))


def _what_goes_wrong(asking: Asking) -> None:
    port = asking.port
    asking.send("more than the account can carry", asking.order(3_000_000))
    asking.send("a reducing order the wrong way", asking.order(1, reduce_only=True))
    asking.send("an order that is too late", asking.order(1, expire_ms=asking.bench.now_ms() - 1))
    asking.step("an order that nobody sent", lambda: port.order(INSTRUMENT, "nobody1"))
    for fault in ("accepted.reset", "refused.reset", "accepted.502", "load.50013", "load.50011", "load.50061"):
        asking.send(f"an order met by {fault}", asking.order(1), fault=fault)
    asking.bench.disturb("refused.502", "/api/v5/account/positions")
    asking.step("positions met by refused.502", port.positions)


def _ends(asking: Asking) -> None:
    port, step = asking.port, asking.step
    held = step("positions", port.positions)
    step("fills", lambda: port.fills(after_bill=None, since_ms=1))
    step("bills", lambda: port.bills(after_bill=None, since_ms=1))
    lots = sum(one.lots for one in held or ())
    asking.send("a sell of all", asking.order(max(1, lots), side=Side.SELL, reduce_only=True))
    asking.send("a sell that opens", asking.order(3, side=Side.SELL))
    step("a short position", port.positions)
    asking.send("a buy that closes it", asking.order(3, reduce_only=True))
    step("history", lambda: port.history(since_ms=1))
    step("balance at the end", lambda: port.balance("USDT"))
    step("positions at the end", port.positions)
