"""Applies injected faults to requests and answers, and writes each act into the venue's journal."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import orjson
from attrs import asdict, define, field

from prometheus.venue.error_codes import CODES, Refused
from prometheus.venue.exchange_world import World
from prometheus.venue.faults.altered_answers import CURSORS, LIES, forgets
from prometheus.venue.faults.happenings import HAPPENINGS, by_hand
from prometheus.venue.faults.injections import Injection, Target, injection
from prometheus.venue.gateway.exchange_messages import Call, Reply, Wire, refusal
from prometheus.venue.quanta import mixed

HTML: Final = "text/html"
_CODES: Final = {
    "time.50102": "50102", "time.expired": "50036", "time.expired_later": "50037", "load.50011": "50011",
    "load.50013": "50013", "load.50026": "50026", "load.50001": "50001", "load.50061": "50061",
    "lie.order_unknown": "51603",
}  # fmt: skip
_WIRES: Final = {"reset": "reset", "timeout": "silent", "cut": "cut", "length": "short"}


def face(name: str, reply: Reply) -> Reply:
    """The same outcome under another face: what a client sees of an unknown outcome."""
    if name in _WIRES:
        return Reply(reply.status, reply.body, reply.content_type, Wire(_WIRES[name]))
    if name == "50004":
        return refusal(Refused("50004"))
    if name == "empty":
        return Reply(200, b"")
    page = f"<html><head><title>{name}</title></head><body><h1>{name}</h1></body></html>\n".encode()
    return Reply(int(name), page, HTML)


@define
class MischiefMaker:
    """The venue's faults. Implements `Mischief` of the gate."""

    world: World
    active: list[Injection] = field(factory=list)
    count: int = 0

    def inject(self, name: str, target: Target, arguments: dict[str, Any]) -> Injection:
        """Inject a fault; one that changes the venue acts at once.

        Raises:
            UsageError: as `injection`, and when the fault cannot act now.
        """
        one = injection(self.count + 1, name, target, arguments)
        if one.fault.stage == "world":
            HAPPENINGS[name](self.world, one)
            one.acted = 1
        else:
            self.active.append(one)
        self.count += 1
        self._note(one, "injected", "")
        return one

    def clear(self, number: int | None = None) -> int:
        """End one injection, or all; returns how many."""
        gone = [one for one in self.active if number is None or one.number == number]
        self.active = [one for one in self.active if one not in gone]
        for one in gone:
            self._note(one, "cleared", "")
        return len(gone)

    def before(self, call: Call) -> Reply | None:
        """See `Mischief`: what answers in place of the endpoint."""
        if self.world.maintenance and call.account is not None:
            return refusal(Refused("50001"))
        for one in self.active:
            if one.fault.stage == "refuse" or one.fault.id in CURSORS:
                reply = self._refuse(one, call)
                if reply is not None:
                    return reply
        return None

    def _refuse(self, one: Injection, call: Call) -> Reply | None:
        name = one.fault.id
        if not _applies(name, call) or not one.acts(call, self.world.plan.seed):
            return None
        self._note(one, "acted", call.asked.path)
        if name in CURSORS:
            forgets(name, call)
        elif name == "venue.second_writer":
            by_hand(self.world, Injection(one.number, one.fault, Target(uid=call.owner.uid), one.arguments))
        else:
            return self._in_place(name, call)
        return None

    @staticmethod
    def _in_place(name: str, call: Call) -> Reply | None:
        """The answer in place of the endpoint's work."""
        if name == "load.50011_200":
            return Reply(200, refusal(Refused("50011")).body)
        if name == "client_id.remembered":
            return _remembered(call)
        if name in _CODES:
            return _coded(call, _CODES[name])
        return face(name.partition(".")[2], Reply(200, orjson.dumps({"code": "0", "data": [], "msg": ""})))

    def after(self, call: Call, reply: Reply) -> Reply:
        """See `Mischief`: lies first, then what happens to the answer on its way."""
        for one in self.active:
            name = one.fault.id
            known = call.key is not None or name.startswith("page.")
            if one.fault.stage == "lie" and name in LIES and reply.status == 200 and known:
                if one.acts(call, self.world.plan.seed):
                    reply = self._lie(one, call, reply)
            elif one.fault.stage == "lose" and call.key is not None and one.acts(call, self.world.plan.seed):
                self._note(one, "acted", call.asked.path)
                reply = self._lose(one, reply)
        return reply

    def _lie(self, one: Injection, call: Call, reply: Reply) -> Reply:
        body = orjson.loads(reply.body)
        before = orjson.dumps(body.get("data"))
        rows = LIES[one.fault.id](one, call, body["data"]) if isinstance(body.get("data"), list) else None
        if rows is None or orjson.dumps(rows) == before:
            return reply
        self._note(one, "acted", call.asked.path)
        body["data"] = rows
        return Reply(reply.status, orjson.dumps(body), reply.content_type, reply.wire)

    def _lose(self, one: Injection, reply: Reply) -> Reply:
        name = one.fault.id
        if name == "accepted.late":
            reply.wire.delay_s += float(one.arguments["seconds"])
        elif name == "load.latency":
            random = Random(mixed(self.world.plan.seed, one.number, one.seen))
            reply.wire.delay_s += float(one.arguments["median_s"]) * random.lognormvariate(
                0.0, float(one.arguments["sigma"])
            )
        elif name == "load.slow_body":
            reply.wire.slow_s = float(one.arguments["pause_s"])
        else:
            return face(name.partition(".")[2], reply)
        return reply

    def of_stream(self, call: Call) -> list[str]:
        """What is done to a push that ``call`` stands for: ids of faults."""
        acting = [one for one in self.active if one.fault.stage == "stream" and one.acts(call, self.world.plan.seed)]
        for one in acting:
            self._note(one, "acted", call.asked.path)
        return [one.fault.id for one in acting]

    def _note(self, one: Injection, what: str, path: str) -> None:
        self.world.journal.write(self.world.now, "fault", {
            "fault": one.fault.id, "number": one.number, "what": what, "path": path, "seen": one.seen,
            "acted": one.acted, "target": asdict(one.target), "arguments": one.arguments,
        })  # fmt: skip


def _applies(name: str, call: Call) -> bool:
    """Whether a fault that answers in place of the work concerns this kind of request at all."""
    path = call.asked.path
    if name in CURSORS:
        return call.asked.method == "GET"
    if name == "lie.order_unknown":
        return call.asked.method == "GET" and path.endswith("trade/order")
    if name in {"client_id.remembered", "time.expired", "time.expired_later", "load.50061"}:
        return call.asked.method == "POST" and path.endswith(("order", "orders")) and "cancel" not in path
    return call.key is not None or name.startswith(("load.", "refused."))


def _remembered(call: Call) -> Reply | None:
    """51016 for an order whose client id a terminal order had."""
    said = call.text("clOrdId")
    known = any(one.cl_ord_id == said for kept in (call.owner.void, call.owner.done) for one in kept) if said else False
    return _coded(call, "51016") if known else None


def _coded(call: Call, code: str) -> Reply:
    """A refusal with a code: of an order as the code of its item, of anything else as the code of the answer."""
    if call.asked.method == "POST" and code >= "51":
        row = {"clOrdId": call.text("clOrdId"), "ordId": "", "sCode": code, "sMsg": CODES[code].text, "subCode": "",
               "tag": call.text("tag"), "ts": str(call.now)}  # fmt: skip
        return Reply(200, orjson.dumps({"code": "1", "data": [row], "msg": "All operations failed"}))
    return refusal(Refused(code))
