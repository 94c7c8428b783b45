"""The gateway: a request in, a reply out. No socket, no wall clock; the venue's clock stands where its owner put it.

A request passes, in this order: path and method, the format of the body, the key, permission, rate, expTime, and then
its endpoint. What is wrong ends as an answer of the venue, never as a failure of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any, Final, Protocol

import orjson
from attrs import define, field

from prometheus.venue.error_codes import Refused
from prometheus.venue.exchange_world import World
from prometheus.venue.gateway.endpoint_table import BY_PLACE, PATHS, SINGLE, Endpoint
from prometheus.venue.gateway.exchange_messages import Asked, Call, Envelope, Reply, packed, refusal
from prometheus.venue.gateway.rate_buckets import SUB_ACCOUNT, Buckets
from prometheus.venue.gateway.signatures import authenticated, is_demo
from prometheus.venue.key_ring import TRADE, Key

LARGEST_BODY: Final = 1 << 16
_NOT_FOUND: Final = {
    "code": 404, "data": {}, "detailMsg": "", "error_code": "404", "error_message": "Not Found", "msg": "Not Found",
}  # fmt: skip


class Mischief(Protocol):
    """What is done wrong on purpose, before and after a request is worked on."""

    def before(self, call: Call) -> Reply | None:
        """A reply in place of the endpoint's work; None to let it work."""
        ...

    def after(self, call: Call, reply: Reply) -> Reply:
        """The reply as it shall be."""
        ...

    def of_stream(self, call: Call) -> list[str]:
        """Ids of the faults that act on a push."""
        ...


class NoMischief:
    """An honest venue."""

    def before(self, call: Call) -> Reply | None:
        """Let it work."""
        del call
        return None

    def after(self, call: Call, reply: Reply) -> Reply:
        """Change nothing."""
        del call
        return reply

    def of_stream(self, call: Call) -> list[str]:
        """Let it pass."""
        del call
        return []


@define
class Gate:
    """The gateway of one world."""

    world: World
    mischief: Mischief = field(factory=NoMischief)
    buckets: Buckets = field(factory=Buckets)
    served: int = 0

    def handle(self, asked: Asked) -> Reply:
        """Answer one request at the venue's present moment, and write into the journal what was done."""
        self.served += 1
        state = self.world.environments["demo" if is_demo(asked) else "live"]
        call = Call(asked, self.world, state, None, None, {})
        reply = self._answer(call)
        self.world.check()
        self._note(call, reply)
        return reply

    def again(self, asked: Asked, key: Key | None) -> None:
        """Work on a request that was admitted before as one of ``key``, without its signature: for a replay."""
        state = self.world.environments["demo" if is_demo(asked) else "live"]
        call = Call(asked, self.world, state, None, None, {})
        reply = self._answer(call, key)
        self.world.check()
        self._note(call, reply)

    def _answer(self, call: Call, known: Key | None = None) -> Reply:
        try:
            endpoint = self._endpoint(call.asked)
            if endpoint is None:
                return Reply(404, orjson.dumps(_NOT_FOUND))
            self._read_body(call)
            if endpoint.private:
                key = known or authenticated(self.world, call.asked)
                call.key, call.account = key, call.state.accounts[key.uid]
                _permitted(endpoint, key)
            reply = self.mischief.before(call)
            if reply is None:
                self.limited(endpoint, call)
                in_time(endpoint, call, call.asked.headers.get("exptime", ""))
                answer = endpoint.answer(call)
                envelope = answer if isinstance(answer, Envelope) else Envelope(answer)
                reply = Reply(200, packed(envelope, self.world.now))
        except Refused as refused:
            reply = refusal(refused)
        return self.mischief.after(call, reply)

    @staticmethod
    def _endpoint(asked: Asked) -> Endpoint | None:
        """The endpoint; None for an unknown path.

        Raises:
            Refused: 50115 for another method.
        """
        found = BY_PLACE.get((asked.method, asked.path))
        if found is None and asked.path in PATHS:
            raise Refused("50115")
        return found

    @staticmethod
    def _read_body(call: Call) -> None:
        """Parameters from the query or the body.

        Raises:
            Refused: 50006 content type, 50000 empty, 50002 no JSON.
        """
        asked = call.asked
        if asked.method == "GET":
            call.params = dict(asked.query)
            return
        if "json" not in asked.headers.get("content-type", "").lower():
            raise Refused("50006")
        if not asked.body.strip():
            raise Refused("50000")
        try:
            body = orjson.loads(asked.body)
        except ValueError:
            raise Refused("50002") from None
        if isinstance(body, list):
            call.items = body
        elif isinstance(body, dict):
            call.params = body
        else:
            raise Refused("50002")

    def limited(self, endpoint: Endpoint, call: Call) -> None:
        """Count the request.

        Raises:
            Refused: 50011, 50061.
        """
        if not self.world.plan.limits:
            return
        now = self.world.now
        count = max(1, len(call.items)) if endpoint.batch else 1
        path, limit = endpoint.path.removeprefix("/api/v5/"), endpoint.limit
        if endpoint.batch and count == 1:
            path, limit = f"trade/{SINGLE[path.removeprefix('trade/')]}", 60
        counts = Counter(f"{endpoint.method} {path} {whose}" for whose in _whose(endpoint, call))
        if not self.buckets.take(counts, limit, endpoint.window_ms, now):
            raise Refused("50011")
        if endpoint.orders in {"new", "amend"} and not self.buckets.take(
            {f"orders {call.owner.uid}": count}, *SUB_ACCOUNT, now
        ):
            raise Refused("50061")

    def _note(self, call: Call, reply: Reply) -> None:
        asked = call.asked
        self.world.journal.write(self.world.now, "request", {
            "env": call.state.name, "key": call.key.label if call.key else "", "uid": call.key.uid if call.key else "",
            "peer": asked.peer, "expires": asked.headers.get("exptime", ""),
            "type": asked.headers.get("content-type", ""),
            "method": asked.method, "target": asked.target, "body": asked.body.decode("utf-8", "replace"),
            "status": reply.status, "wire": reply.wire.how, "reply": hashlib.sha256(reply.body).hexdigest(),
        })  # fmt: skip


def _permitted(endpoint: Endpoint, key: Key) -> None:
    if endpoint.live_only and key.environment == "demo":
        raise Refused("50038")
    if endpoint.trades and TRADE not in key.permissions:
        raise Refused("50120")


def _whose(endpoint: Endpoint, call: Call) -> list[str]:
    """What an endpoint's bucket counts, of this request; of a batch, of each of its items."""
    who = call.asked.peer if endpoint.by.startswith("ip") else call.owner.uid
    asked = [one if isinstance(one, dict) else {} for one in call.items] if endpoint.batch else []
    return [f"{who} {_detail(endpoint, call, one)}".rstrip() for one in asked or [call.params]]


def _detail(endpoint: Endpoint, call: Call, params: dict[str, Any]) -> str:
    """What an endpoint's bucket counts beside the account or the address; an instrument's code is its name."""
    name = {"type": "instType", "inst": "instId", "tag": "tag"}.get(endpoint.by.partition("+")[2], "")
    said = params.get(name, "")
    if name == "instId" and not said:
        code = params.get("instIdCode")
        said = next((inst_id for inst_id, one in call.state.markets.items() if one.instrument.code == code), "")
    return f"{said!s:.40}"


def in_time(endpoint: Endpoint, call: Call, said: str) -> None:
    """`expTime` of placing and amending, as ``said`` in a header, or in a field of an order over a stream.

    Raises:
        Refused: 50036 when it is past, 51000 when it is no time.
    """
    if not said or endpoint.orders not in {"new", "amend"}:
        return
    if not said.isascii() or not said.isdigit() or len(said) > 16:
        raise Refused("51000", "expTime")
    if int(said) < call.world.now + call.world.skew:
        raise Refused("50036")
