"""One WebSocket connection without its socket: texts in, texts out. Login, subscriptions, orders, pushes.

The environment of a private connection is that of its key; of a public one, demo where the address or a header says so.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import orjson
from attrs import define, field

from prometheus.venue.accounts.holdings import Fill
from prometheus.venue.accounts.tickets import Order
from prometheus.venue.error_codes import CODES, Refused
from prometheus.venue.gateway.calls.market_calls import SIZES
from prometheus.venue.gateway.endpoint_table import BY_PLACE
from prometheus.venue.gateway.exchange_messages import Asked, Call, Envelope
from prometheus.venue.gateway.http_gate import Gate, in_time
from prometheus.venue.gateway.signatures import WINDOW_MS, signature
from prometheus.venue.gateway.stream_rows import (
    BOOKS,
    PRIVATE,
    PUBLIC,
    WHOLE_BOOKS,
    WHOLE_VENUE,
    BookChain,
    order_push,
)
from prometheus.venue.key_ring import TRADE, Key

OPS: Final = {
    "order": "order", "batch-orders": "batch-orders", "cancel-order": "cancel-order",
    "batch-cancel-orders": "cancel-batch-orders", "amend-order": "amend-order",
    "batch-amend-orders": "amend-batch-orders",
}  # fmt: skip
MOST_REQUESTS: Final = 480
HOUR_MS: Final = 3_600_000
REPEAT_MS: Final = 5_000
"""Positions and account are pushed again after this long."""
CANDLE: Final = "candle"


@define
class Subscription:
    """A channel that a connection hears."""

    arg: dict[str, str]
    book: BookChain | None = None
    last: bytes = b""
    at: int = -(1 << 60)
    began: bool = False


@define
class Session:
    """A connection. ``outbox`` holds what is to be sent; ``ended`` is a close code."""

    gate: Gate
    demo: bool
    private: bool
    number: int
    key: Key | None = None
    subscriptions: dict[bytes, Subscription] = field(factory=dict)
    outbox: deque[bytes] = field(factory=deque)
    ended: int = 0
    _asked: deque[int] = field(init=False, factory=deque)

    def receive(self, said: str) -> None:
        """Take one text of the client."""
        if said == "ping":
            self.outbox.append(b"pong")
            return
        try:
            body = orjson.loads(said)
        except ValueError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("args"), list):
            self._error(Refused("60012", said[:200]), {})
            return
        try:
            self._do(body)
        except Refused as refused:
            self._error(refused, body)

    def fail(self) -> None:
        """Say that the venue itself is wrong, and end (4006)."""
        self._error(Refused("63999"), {})
        self.ended = 4006

    def _do(self, body: dict[str, Any]) -> None:
        op = str(body.get("op"))
        if op in OPS:
            self._order(body, f"/api/v5/trade/{OPS[op]}")
            return
        now = self.gate.world.now
        while self._asked and self._asked[0] <= now - HOUR_MS:
            self._asked.popleft()
        if len(self._asked) >= MOST_REQUESTS:
            raise Refused("60014")
        self._asked.append(now)
        work: Callable[[dict[str, Any], dict[str, Any]], None] | None = {
            "login": self._login, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe,
        }.get(op)  # fmt: skip
        if work is None:
            raise Refused("60012", op)
        for arg in body["args"]:
            if not isinstance(arg, dict) or not all(isinstance(value, str | int | float) for value in arg.values()):
                raise Refused("60012", str(arg)[:200])
            work(arg, body)

    def _send(self, body: dict[str, Any]) -> None:
        self.outbox.append(orjson.dumps(body))

    def _error(self, refused: Refused, body: dict[str, Any]) -> None:
        said = {"event": "error", "code": refused.code, "msg": refused.message, "connId": f"{self.number:08x}"}
        self._send(said | ({"id": body["id"]} if "id" in body else {}))

    def _login(self, arg: dict[str, Any], body: dict[str, Any]) -> None:
        del body
        if self.key is not None:
            raise Refused("60031")
        key = self.gate.world.keys.get(str(arg.get("apiKey", "")))
        if key is None or key.revoked:
            raise Refused("60005")
        stamp = str(arg.get("timestamp", ""))
        try:
            moment = int(float(stamp) * 1000)
        except (ValueError, OverflowError):
            raise Refused("60004") from None
        if abs(moment - self.gate.world.now - self.gate.world.skew) > WINDOW_MS:
            raise Refused("60006")
        wanted = signature(key.secret, stamp, "GET", "/users/self/verify", b"")
        if not hmac.compare_digest(wanted.encode(), str(arg.get("sign", "")).encode()):
            raise Refused("60007")
        if key.passphrase != arg.get("passphrase"):
            raise Refused("60024")
        self.key, self.demo = key, key.environment == "demo"
        self._send({"event": "login", "code": "0", "msg": "", "connId": f"{self.number:08x}"})

    def call(self, params: dict[str, Any], path: str = "") -> Call:
        """A request that this connection stands for."""
        world = self.gate.world
        state = world.environments["demo" if self.demo else "live"]
        account = state.accounts[self.key.uid] if self.key is not None else None
        return Call(Asked(method="WS", target=path, headers={}), world, state, account, self.key, dict(params))

    def _subscribe(self, arg: dict[str, Any], body: dict[str, Any]) -> None:
        channel = str(arg.get("channel", ""))
        if channel == "fills":
            raise Refused("64003")
        owned = channel in PRIVATE or channel == "orders"
        candles = channel.startswith(CANDLE) and channel.removeprefix(CANDLE) in SIZES
        if not owned and channel not in PUBLIC and channel not in BOOKS and not candles:
            raise Refused("60018", channel)
        if owned and self.key is None:
            raise Refused("60011")
        if not owned and (channel not in WHOLE_VENUE or "instId" in arg):
            self._known(arg, channel)
        book = BookChain(BOOKS[channel], channel in WHOLE_BOOKS) if channel in BOOKS else None
        self.subscriptions[orjson.dumps(arg, option=orjson.OPT_SORT_KEYS)] = Subscription(dict(arg), book)
        self._told("subscribe", arg, body)
        self.pump()

    def _known(self, arg: dict[str, Any], channel: str) -> None:
        """Whether the channel's instrument is there.

        Raises:
            Refused: 60018.
        """
        call = self.call(arg)
        names = {*call.state.markets, *(one.instrument.family for one in call.state.markets.values()), "ANY"}
        if str(arg.get("instId", "")) not in names:
            raise Refused("60018", channel)

    def _unsubscribe(self, arg: dict[str, Any], body: dict[str, Any]) -> None:
        self.subscriptions.pop(orjson.dumps(arg, option=orjson.OPT_SORT_KEYS), None)
        self._told("unsubscribe", arg, body)

    def _told(self, event: str, arg: dict[str, Any], body: dict[str, Any]) -> None:
        said = {"event": event, "arg": arg, "connId": f"{self.number:08x}"}
        self._send(said | ({"id": body["id"]} if "id" in body else {}))

    def _order(self, body: dict[str, Any], path: str) -> None:
        """An order over this connection: the rules, buckets and results of the call of the same name."""
        if self.key is None:
            raise Refused("60011")
        if TRADE not in self.key.permissions:
            raise Refused("50120")
        endpoint = BY_PLACE["POST", path]
        first = body["args"][0] if body["args"] and isinstance(body["args"][0], dict) else {}
        call = self.call({} if endpoint.batch else first, path)
        call.items = body["args"] if endpoint.batch else []
        try:
            self.gate.limited(endpoint, call)
            in_time(endpoint, call, str(body.get("expTime", "")))
            answer = endpoint.answer(call)
        except Refused as refused:
            answer = Envelope([], refused.code, refused.message, timed=True)
        envelope = answer if isinstance(answer, Envelope) else Envelope(answer)
        now = call.now
        said = {"id": body.get("id", ""), "op": body["op"], "code": envelope.code, "msg": envelope.msg,
                "data": envelope.data, "inTime": str(now * 1000 + 100), "outTime": str(now * 1000 + 900)}  # fmt: skip
        self.gate.world.check()
        sent = orjson.dumps(said)
        self.gate.world.journal.write(now, "request", {
            "env": self.key.environment, "key": self.key.label, "uid": self.key.uid, "method": "WS", "target": path,
            "body": orjson.dumps(body).decode(), "status": 200, "wire": "sent",
            "reply": hashlib.sha256(sent).hexdigest(),
        })  # fmt: skip
        self.outbox.append(sent)

    # ---- pushes ------------------------------------------------------------------------------------------------------

    def hear(self, order: Order, fill: Fill | None) -> None:
        """Push a change of an order to who subscribed to the account's orders."""
        if self.key is None or order.account.uid != self.key.uid:
            return
        for one in self.subscriptions.values():
            wanted = one.arg.get("instId", "") in {"", order.instrument.inst_id}
            family = one.arg.get("instFamily", "") in {"", order.instrument.family}
            kind = one.arg.get("instType", "ANY") in {"ANY", "SWAP"}
            if one.arg["channel"] == "orders" and wanted and family and kind:
                market = self.call({}).state.market(order.instrument)
                self._push(one, {"data": [order_push(order, fill, market.tape.quote.last)]})

    def pump(self) -> None:
        """Push what changed since the last time."""
        for one in list(self.subscriptions.values()):
            channel = one.arg["channel"]
            if one.book is not None:
                said = one.book.push(self.call(one.arg))
                if said is not None:
                    self._push(one, said)
            elif channel in PRIVATE:
                self._private(one, channel)
            elif channel.startswith(CANDLE):
                self._changed(one, self._candle(one))
            elif channel in PUBLIC:
                self._changed(one, self._rows(one, PUBLIC[channel]))

    def _candle(self, one: Subscription) -> list[Any]:
        endpoint = BY_PLACE["GET", "/api/v5/market/candles"]
        params = {"instId": one.arg["instId"], "bar": one.arg["channel"].removeprefix(CANDLE), "limit": "1"}
        return self._rows(one, endpoint.answer, params)

    def _rows(
        self, one: Subscription, answer: Callable[[Call], Any], params: dict[str, str] | None = None
    ) -> list[Any]:
        call = self.call(one.arg if params is None else params)
        if one.arg["channel"] in {"mark-price", "instruments"}:
            call.params.setdefault("instType", "SWAP")
        try:
            rows: list[Any] = answer(call)
        except Refused:
            return []
        return rows

    def _private(self, one: Subscription, channel: str) -> None:
        call = self.call(one.arg)
        stamp = str(call.owner.version).encode()
        changed = stamp != one.last
        if not changed and (channel == "balance_and_position" or call.now - one.at < REPEAT_MS):
            return
        rows = PRIVATE[channel](call)
        if channel == "positions" and one.began:
            rows = [row for row in rows if row["pos"] != "0" or changed]
        event = "event_update" if one.began and changed else "snapshot"
        one.last, one.at, one.began = stamp, call.now, True
        head: dict[str, Any] = {}
        if channel != "balance_and_position":
            head = {"eventType": event, "curPage": 1, "lastPage": True}
        elif event != "snapshot":
            rows[0]["eventType"] = "filled"
        self._push(one, head | {"data": rows})

    def _changed(self, one: Subscription, rows: list[Any]) -> None:
        plain = [({**row, "ts": ""} if isinstance(row, dict) else row) for row in rows]
        stamp = orjson.dumps(plain)
        if rows and stamp != one.last:
            one.last = stamp
            self._push(one, {"data": rows})

    def _push(self, one: Subscription, said: dict[str, Any]) -> None:
        faults = self.gate.mischief.of_stream(self.call(one.arg, f"stream/{one.arg['channel']}"))
        if "stream.silence" in faults or "stream.gap" in faults:
            return
        if "stream.page_missing" in faults and said.get("eventType") == "snapshot":
            rows = said["data"]
            said = {**said, "curPage": 2, "data": rows[(len(rows) + 1) // 2 :]}
        owned = one.arg["channel"] == "orders" or one.arg["channel"] in PRIVATE
        whose = {"uid": self.key.uid} if owned and self.key is not None else {}
        sent = orjson.dumps({"arg": one.arg | whose, **said})
        self.outbox.extend([sent] * (2 if "stream.twice" in faults else 1))
        if "stream.notice" in faults:
            code = CODES["64008"]
            self._send({"event": "notice", "code": "64008", "msg": code.text, "connId": f"{self.number:08x}"})
            self.ended = 1000
        if "stream.cut" in faults:
            self.ended = 1006
