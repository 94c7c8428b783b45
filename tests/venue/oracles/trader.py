"""A person's moves over the plain client: place, look, cancel; each answer as the venue gave it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import define, field

from tests.venue.oracles.plain_client import Answer, PlainClient

INSTRUMENT = "BTC-USDT-SWAP"


@define
class Trader:
    """One key; ``lot`` and ``tick`` are the instrument's."""

    client: PlainClient
    instrument: str = INSTRUMENT
    facts: dict[str, Any] = field(init=False)

    def __attrs_post_init__(self) -> None:
        (self.facts,) = self.client.get("public/instruments", instType="SWAP", instId=self.instrument).data

    @property
    def lot(self) -> Decimal:
        return Decimal(self.facts["lotSz"])

    @property
    def tick(self) -> Decimal:
        return Decimal(self.facts["tickSz"])

    @property
    def contract(self) -> Decimal:
        """Base currency of one contract."""
        return Decimal(self.facts["ctVal"]) * Decimal(self.facts["ctMult"] or 1)

    def top(self) -> tuple[Decimal, Decimal]:
        """Best bid and best ask."""
        (book,) = self.client.get("market/books", instId=self.instrument, sz=1).data
        return Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0])

    def levels(self, side: str, count: int = 5) -> list[tuple[Decimal, Decimal]]:
        """Price and size of the best levels of ``bids`` or ``asks``."""
        (book,) = self.client.get("market/books", instId=self.instrument, sz=count).data
        return [(Decimal(level[0]), Decimal(level[1])) for level in book[side]]

    def far_below(self) -> Decimal:
        """A price at which a purchase rests, within the price limits."""
        bid, _ = self.top()
        return (bid * Decimal("0.99") // self.tick) * self.tick

    def request(
        self, side: str, kind: str, lots: Decimal | int | str, price: Decimal | None = None, **more: Any
    ) -> Answer:
        """POST trade/order; ``lots`` are lots unless given as text, which is sent as the size."""
        size = lots if isinstance(lots, str) else str(self.lot * lots)
        body = {"instId": self.instrument, "tdMode": "cross", "side": side, "ordType": kind, "sz": size}
        if price is not None:
            body["px"] = str(price)
        headers = {"expTime": more.pop("expTime")} if "expTime" in more else {}
        return self.client.post("trade/order", body | more, **headers)

    def place(self, side: str, kind: str, lots: Decimal | int | str, price: Decimal | None = None, **more: Any) -> str:
        """An order that must be accepted; returns its ordId."""
        answer = self.request(side, kind, lots, price, **more)
        if answer.item["sCode"] != "0":
            raise AssertionError(answer.body.decode())
        identity: str = answer.item["ordId"]
        return identity

    def refusal(
        self, side: str, kind: str, lots: Decimal | int | str, price: Decimal | None = None, **more: Any
    ) -> str:
        """The sCode of an order that must be refused; fails where it was accepted."""
        answer = self.request(side, kind, lots, price, **more)
        code: str = answer.item["sCode"]
        if code == "0":
            raise AssertionError(f"accepted: {answer.body.decode()}")
        return code

    def order(self, identity: str) -> dict[str, Any]:
        """GET trade/order."""
        (record,) = self.client.get("trade/order", instId=self.instrument, ordId=identity).data
        return record

    def fills(self, identity: str) -> list[dict[str, Any]]:
        """Fills of an order, newest first."""
        return list(self.client.pages("trade/fills", "billId", instType="SWAP", ordId=identity))

    def cancel(self, identity: str) -> Answer:
        """POST trade/cancel-order."""
        return self.client.post("trade/cancel-order", {"instId": self.instrument, "ordId": identity})

    def position(self) -> Decimal:
        """Signed contracts in net mode; 0 where nothing is held."""
        records = self.client.get("account/positions", instType="SWAP").data
        return sum((Decimal(r["pos"]) for r in records if r["instId"] == self.instrument), Decimal(0))

    def flatten(self) -> None:
        """Close what is held, and cancel what rests."""
        for record in self.client.get("trade/orders-pending", instType="SWAP").data:
            self.cancel(record["ordId"])
        held = self.position()
        if held:
            side = "sell" if held > 0 else "buy"
            self.place(side, "optimal_limit_ioc", str(abs(held)), reduceOnly=True)

    def usdt(self) -> dict[str, Any]:
        """The balance record of USDT."""
        (balance,) = self.client.get("account/balance", ccy="USDT").data
        (record,) = [detail for detail in balance["details"] if detail["ccy"] == "USDT"]
        return record
