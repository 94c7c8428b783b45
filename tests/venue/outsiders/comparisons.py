"""What a client said beside what the venue's books say: one claim a line.

Each function takes the record that a driver printed and the books of the same account, and yields (claim, what the
client said, what the books say). The books are read by the plain client, after the driver has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from attrs import define, field

from tests.venue.oracles.plain_client import PlainClient
from tests.venue.oracles.shapes import forms, misfits
from tests.venue.oracles.trader import Trader

Claim = tuple[str, object, object]


@define
class Books:
    """What the venue holds of one account."""

    trader: Trader
    orders: dict[str, dict[str, Any]] = field(init=False)
    fills: list[dict[str, Any]] = field(init=False)
    bills: list[dict[str, Any]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        client = self.trader.client
        ended = client.pages("trade/orders-history", "ordId", instType="SWAP")
        pending = client.pages("trade/orders-pending", "ordId", instType="SWAP")
        self.orders = {record["ordId"]: record for record in (*ended, *pending)}
        self.fills = list(client.pages("trade/fills", "billId", instType="SWAP"))
        self.bills = list(client.pages("account/bills", "billId"))

    @classmethod
    def of(cls, client: PlainClient) -> Books:
        """The books as the holder of a key sees them."""
        return cls(Trader(client))

    def named(self, name: str) -> dict[str, Any]:
        """The latest order of a client id."""
        return max((r for r in self.orders.values() if r["clOrdId"] == name), key=lambda r: int(r["ordId"]))

    def fills_of(self, identity: str) -> list[dict[str, Any]]:
        return [fill for fill in self.fills if fill["ordId"] == identity]

    @property
    def cash(self) -> Decimal:
        return Decimal(self.trader.usdt()["cashBal"])


def close(value: object) -> object:
    """A number rounded to what a double of nine digits keeps, for clients that count in floating point."""
    return None if value is None else float(f"{float(value):.9g}")  # type: ignore[arg-type]


def _ended_well(books: Books) -> Iterator[Claim]:
    """What must hold of the books themselves when a driver has ended."""
    yield "nothing is held at the end", books.trader.position(), Decimal(0)
    yield "nothing rests at the end", [r["ordId"] for r in books.orders.values() if r["state"] == "live"], []
    yield "the bills add up to the cash", Decimal(books.bills[0]["bal"]), books.cash


def python_okx(seen: dict[str, Any], books: Books) -> Iterator[Claim]:
    """Raw answers: shapes, states, codes, and the numbers themselves."""
    calls = {
        "instruments": "GET /api/v5/public/instruments",
        "config": "GET /api/v5/account/config",
        "balance": "GET /api/v5/account/balance",
        "fees": "GET /api/v5/account/trade-fee",
        "book": "GET /api/v5/market/books",
        "rest": "POST /api/v5/trade/order",
        "pending": "GET /api/v5/trade/orders-pending",
        "amended": "POST /api/v5/trade/amend-order",
        "cancelled": "POST /api/v5/trade/cancel-order",
        "bought_order": "GET /api/v5/trade/order",
        "fills": "GET /api/v5/trade/fills",
        "positions": "GET /api/v5/account/positions",
        "history": "GET /api/v5/trade/orders-history",
        "bills": "GET /api/v5/account/bills",
    }
    for part, call in calls.items():
        yield f"{part} has the recorded keys", misfits(call, seen[part]) + forms(seen[part]), []
        yield f"{part} is of code 0", seen[part]["code"], "0"
        yield f"{part} is not empty", bool(seen[part]["data"]), True
    lot = books.trader.lot
    buy, sell = books.named("pyBuy"), books.named("pyClose")
    rest = seen["rest"]["data"][0]["ordId"]
    yield "the resting order was pending", [r["ordId"] for r in seen["pending"]["data"]], [rest]
    yield "the amended size", Decimal(seen["amended_order"]["data"][0]["sz"]), lot * 3
    yield "the cancelled order", seen["cancelled_order"]["data"][0], books.orders[rest]
    yield "it was cancelled by the user", books.orders[rest]["cancelSource"], "1"
    yield "a second cancellation is refused", seen["cancelled_twice"]["data"][0]["sCode"] in {"51400", "51401"}, True
    yield "a size below the lot is refused", seen["below_minimum"]["data"][0]["sCode"] in {"51020", "51121"}, True
    yield "the purchase", seen["bought_order"]["data"][0], buy
    yield "the purchase filled", Decimal(buy["accFillSz"]), lot * 4
    yield "its fills", seen["fills"]["data"], books.fills_of(buy["ordId"])
    yield "the position", Decimal(seen["positions"]["data"][0]["pos"]), lot * 4
    yield "its price", seen["positions"]["data"][0]["avgPx"], buy["avgPx"]
    yield "reducing the wrong way is refused", seen["too_much_reduced"]["data"][0]["sCode"] in {"51170", "51169"}, True
    yield "a batch of one good and one bad", seen["batch"]["code"], "2"
    yield "its items", [item["sCode"] == "0" for item in seen["batch"]["data"]], [True, False]
    yield "its cancellation", seen["batch_cancelled"]["data"][0]["sCode"], "0"
    yield "the sale", seen["closed_order"]["data"][0], sell
    yield "nothing is held after it", [r for r in seen["positions_after"]["data"] if Decimal(r["pos"])], []
    yield "the bills", seen["bills"]["data"], [b for b in books.bills if b["instType"] == "SWAP"][:100]
    cash = Decimal(seen["balance_after"]["data"][0]["details"][0]["cashBal"])
    yield "the cash", cash, books.cash
    before = next(d for d in seen["balance"]["data"][0]["details"] if d["ccy"] == "USDT")
    traded = sum(
        Decimal(f["fee"]) + Decimal(f["fillPnl"]) for f in books.fills if f["ordId"] in {buy["ordId"], sell["ordId"]}
    )
    yield "the cash moved by fees and profit", cash - Decimal(before["cashBal"]), traded
    yield "a wrong secret", seen["wrong_secret"]["code"], "50113"
    yield "the other environment", seen["wrong_environment"]["code"], "50101"
    yield from _ended_well(books)


def ccxt(seen: dict[str, Any], books: Books) -> Iterator[Claim]:
    """Unified structures of the library, in floating point."""
    facts, lot = books.trader.facts, books.trader.lot
    market = seen["market"]
    yield "the contract", close(market["contractSize"]), close(books.trader.contract)
    yield "the lot", close(market["precision"]["amount"]), close(lot)
    yield "the tick", close(market["precision"]["price"]), close(facts["tickSz"])
    yield "the minimum", close(market["limits"]["amount"]["min"]), close(facts["minSz"])
    yield "linear, settled in", [market["linear"], market["settle"], market["active"]], [True, "USDT", True]
    buy, sell, rest = (books.named(name) for name in ("ccxtBuy", "ccxtClose", "ccxtRest"))
    yield "the resting order was open", [order["id"] for order in seen["open"]], [rest["ordId"]]
    yield (
        "its price and size",
        [close(seen["open"][0][k]) for k in ("price", "amount")],
        [close(rest["px"]), close(lot * 2)],
    )
    yield "it was cancelled", seen["cancelled_order"]["status"], "canceled"
    yield "a second cancellation", seen["cancelled_twice"][:1], ["OrderNotFound"]
    for name, ours, theirs in (("purchase", buy, seen["bought"]), ("sale", sell, seen["closed"])):
        yield f"the {name} is closed", [theirs["status"], theirs["id"]], ["closed", ours["ordId"]]
        yield f"the {name}'s size", close(theirs["filled"]), close(lot * 4)
        yield f"the {name}'s price", close(theirs["average"]), close(ours["avgPx"])
        yield f"the {name}'s fee", close(theirs["fee"]["cost"]), close(-Decimal(ours["fee"]))
    fills = books.fills_of(buy["ordId"])
    yield "the fills", {fill["id"] for fill in seen["fills"]}, {fill["tradeId"] for fill in fills}
    yield (
        "their fees",
        close(sum(f["fee"]["cost"] for f in seen["fills"])),
        close(-sum(Decimal(f["fee"]) for f in fills)),
    )
    (position,) = seen["positions"]
    yield "the position", [position["side"], close(position["contracts"])], ["long", close(lot * 4)]
    yield "its price", close(position["entryPrice"]), close(buy["avgPx"])
    yield "its leverage", close(position["leverage"]), 5.0
    yield "nothing is held after it", [p for p in seen["positions_after"] if p["contracts"]], []
    yield "reducing the wrong way is refused", bool(seen["wrong_side"]), True
    yield "closed orders", {buy["ordId"], sell["ordId"]} <= {order["id"] for order in seen["closed_orders"]}, True
    yield "cancelled orders", rest["ordId"] in {order["id"] for order in seen["canceled_orders"]}, True
    yield "the ledger", {e["id"] for e in seen["ledger"]} <= {b["billId"] for b in books.bills}, True
    yield "the balance", close(seen["balance_after"]["total"]), close(books.trader.usdt()["eq"])
    pushed, heard = seen["pushed"], books.named("ccxtPushed")
    yield "the pushed book is not crossed", pushed["top"][0] < pushed["top"][1], True
    yield "an order's push when it rests", pushed["opened"], [[pushed["opened_id"], "open"]]
    yield "an order's push when it is cancelled", pushed["closed"], [[pushed["opened_id"], "canceled"]]
    yield "the order that was pushed", books.named("ccxtHeard")["ordId"], pushed["opened_id"]
    sizes = {f["tradeId"]: [close(f["fillSz"]), close(f["fillPx"])] for f in books.fills_of(heard["ordId"])}
    yield "the pushed trades", {one[0]: [close(one[1]), close(one[2])] for one in pushed["trades"]}, sizes
    yield "a wrong secret", seen["wrong_secret"][:1], ["AuthenticationError"]
    yield "an order that is not there", seen["not_found"][:1], ["OrderNotFound"]
    yield "five levels a side", [len(seen["book"]["bids"]), len(seen["book"]["asks"])], [5, 5]
    yield "five candles", len(seen["candles"]), 5
    yield from _ended_well(books)


def nautilus(seen: dict[str, Any], books: Books) -> Iterator[Claim]:
    """Reports of a strict parser: that they were parsed at all is most of it."""
    lot, identity = books.trader.lot, books.trader.instrument + ".OKX"
    instrument = next(one for one in seen["instruments"] if identity in {one["id"], one.get("instrument_id")})
    yield "the lot", Decimal(instrument["size_increment"]), lot
    yield "the tick", Decimal(instrument["price_increment"]), books.trader.tick
    yield "the contract", Decimal(instrument["multiplier"]), books.trader.contract
    yield "the clock", abs(seen["time"] / 1000 - books.trader.client.now().timestamp()) < 300, True
    rest, buy, sell = (books.named(name) for name in ("nautilusRest", "nautilusBuy", "nautilusClose"))
    (opened,) = seen["open"]
    yield "the open order", [opened["venue_order_id"], opened["client_order_id"]], [rest["ordId"], "nautilusRest"]
    yield "its size", Decimal(opened["quantity"]), lot * 2
    orders = {order["venue_order_id"]: order for order in seen["orders"]}
    yield "every order is reported", {r["ordId"] for r in (rest, buy, sell)} <= set(orders), True
    for name, ours, status in (("cancelled", rest, "CANCELED"), ("purchase", buy, "FILLED"), ("sale", sell, "FILLED")):
        theirs = orders[ours["ordId"]]
        yield f"the {name} order's state", theirs["order_status"], status
        yield f"the {name} order's size", Decimal(theirs["filled_qty"]), Decimal(ours["accFillSz"])
    fills = {fill["trade_id"]: fill for fill in seen["fills"]}
    ours = {fill["tradeId"]: fill for fill in books.fills if fill["ordId"] in {buy["ordId"], sell["ordId"]}}
    yield "every fill is reported", set(ours) <= set(fills), True
    for trade, fill in ours.items():
        theirs = fills[trade]
        yield f"fill {trade}: size", Decimal(theirs["last_qty"]), Decimal(fill["fillSz"])
        yield f"fill {trade}: price", Decimal(theirs["last_px"]), Decimal(fill["fillPx"])
        charged = Decimal(theirs["commission"].split()[0])
        yield f"fill {trade}: fee", abs(charged + Decimal(fill["fee"])) < Decimal("0.00000001"), True
    (position,) = seen["positions"]
    yield "the position", [position["position_side"], Decimal(position["quantity"])], ["LONG", lot * 4]
    yield "nothing is held after it", [p for p in seen["positions_after"] if Decimal(p["quantity"])], []
    yield "a second cancellation is refused", bool(seen["cancelled_twice"]), True
    yield "reducing the wrong way is refused", bool(seen["wrong_side"]), True
    yield "a wrong secret is refused", "50113" in seen["wrong_secret"], True
    cash = {currency: Decimal(amount) for currency, amount, _ in seen["balances_after"]}
    yield "the cash", cash["USDT"], books.cash
    yield "bars were read", seen["bars"] > 0, True
    yield from _ended_well(books)


def freqtrade(seen: dict[str, Any], books: Books) -> Iterator[Claim]:
    """The exchange layer of a live bot: amounts in the base currency, isolated margin."""
    contract, lot = books.trader.contract, books.trader.lot
    made = books.orders[seen["created"]["id"]]
    yield "the pair", "BTC/USDT:USDT" in seen["markets"], True
    yield "the created order's size", close(seen["fetched"]["amount"]), close(lot * 2 * contract)
    yield "its margin mode", made["tdMode"], "isolated"
    yield "it was open", seen["fetched"]["status"], "open"
    yield "it was cancelled", [seen["cancelled"]["status"], made["state"]], ["canceled", "canceled"]
    buy, sell = books.orders[seen["bought"]["id"]], books.orders[seen["sold"]["id"]]
    for name, ours, theirs in (("purchase", buy, seen["bought"]), ("sale", sell, seen["sold"])):
        yield f"the {name} is closed", theirs["status"], "closed"
        yield f"the {name}'s size", close(theirs["filled"]), close(lot * 4 * contract)
        yield f"the {name}'s price", close(theirs["average"]), close(ours["avgPx"])
    yield "its trades", {t["id"] for t in seen["trades"]}, {f["tradeId"] for f in books.fills_of(buy["ordId"])}
    (position,) = [one for one in seen["positions"] if one["contracts"]]
    yield "the position", [position["side"], close(position["contracts"])], ["long", close(lot * 4)]
    yield "its mode and leverage", [position["marginMode"], close(position["leverage"])], ["isolated", 5.0]
    yield "nothing is held after it", [one for one in seen["positions_after"] if one["contracts"]], []
    yield "the balance", close(seen["balances_after"]["total"]), close(books.trader.usdt()["eq"])
    (tier, *_) = books.trader.client.get(
        "public/position-tiers", instType="SWAP", tdMode="isolated", instFamily="BTC-USDT"
    ).data
    yield "the largest leverage", close(seen["leverage"]), close(tier["maxLever"])
    yield "the maintenance margin", close(seen["maintenance"][0]), close(tier["mmr"])
    yield "the cancelled order is gone", bool(seen["gone"]), True
    yield from _ended_well(books)


COMPARISONS: dict[str, Callable[[dict[str, Any], Books], Iterator[Claim]]] = {
    "python-okx": python_okx,
    "ccxt": ccxt,
    "nautilus": nautilus,
    "freqtrade": freqtrade,
}
