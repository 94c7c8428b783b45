"""Does a journal again: a new venue on the same bars is asked and disturbed in the same way at the same moments.

A venue is a function of its seed, its bars, and what was done to it when. If the new journal has the lines of the old
one, byte for byte, then the old one tells the truth about a venue of this code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen

from prometheus.v10.base.errors import EvidenceError, host_error
from prometheus.v10.market.bars import Bars
from prometheus.venue.exchange_world import World, WorldPlan, open_world
from prometheus.venue.faults.fault_catalogue import BY_ID
from prometheus.venue.faults.injections import Target
from prometheus.venue.faults.mischief_maker import MischiefMaker
from prometheus.venue.gateway.exchange_messages import Asked
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.gateway.stream_session import Session
from prometheus.venue.key_ring import Key
from prometheus.venue.venue_journal import SCHEMA


@frozen
class Opening:
    """The first line of a journal: what the venue was made of."""

    seed: int
    bars: tuple[str, ...]
    """Hashes of the series."""
    rows: tuple[int, ...]
    warm_up: int
    deposit: int
    limits: bool
    start_ms: int


def opening_of(place: Path) -> Opening:
    """What a journal says about its venue.

    Raises:
        EvidenceError: when the first line is no opening.
        HostError: when the file cannot be read.
    """
    try:
        with place.open("rb") as lines:
            first = orjson.loads(lines.readline())
        data = first["data"]
        known = first["kind"] == "opened" and data["schema"] == SCHEMA
        opening = Opening(int(data["seed"]), tuple(data["bars"]), tuple(data["rows"]), int(data["warm_up"]),
                       int(data["deposit"]), bool(data["limits"]), int(first["ts"]))  # fmt: skip
    except OSError as error:
        raise host_error(error, f"cannot read {place}") from error
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise EvidenceError(f"{place}: the first line opens no venue", hint=f"a journal of {SCHEMA}")
    return opening


class _Compared:
    """Takes the lines of a new journal, and holds each to the line of the old one."""

    def __init__(self, lines: Iterator[bytes], where: str) -> None:
        self._lines = lines
        self._where = where
        self.count = 0

    def write(self, line: bytes) -> None:
        """Compare a line.

        Raises:
            EvidenceError: when it is another.
        """
        self.count += 1
        if next(self._lines, b"") != line:
            raise EvidenceError(
                f"{self._where}: line {self.count} comes out otherwise", hint="another code, or an edited journal"
            )

    def close(self) -> None:
        """The new journal is complete.

        Raises:
            EvidenceError: when the old one goes on.
        """
        if next(self._lines, None) is not None:
            raise EvidenceError(f"{self._where}: line {self.count + 1} does not come out again", hint="another code?")


def replay(place: Path, bars: list[Bars]) -> int:
    """Do a journal again and compare every line; returns how many lines agree: all.

    Raises:
        EvidenceError: at the first line that comes out otherwise, for other bars than those of the journal, and for
            disturbed streams, whose pushes follow the moments of the machine.
        HostError: when the file cannot be read.
    """
    opening = opening_of(place)
    if tuple(one.sha256() for one in bars) != opening.bars:
        raise EvidenceError(f"{place}: its venue played other bars", hint="name its market with --market")
    world = open_world(WorldPlan(
        bars=bars, seed=opening.seed, warm_up=opening.warm_up, start_ms=opening.start_ms, deposit=opening.deposit,
        limits=opening.limits,
    ))  # fmt: skip
    with place.open("rb") as old, place.open("rb") as plan:
        compared = _Compared(iter(old), str(place))
        for line in world.journal.tail:
            compared.write(line)
        world.journal.stream = compared
        again = _Again(world, str(place))
        last = opening.start_ms
        for line in plan:
            entry = orjson.loads(line)
            again.do(entry)
            last = int(entry["ts"])
        world.advance(last)
        compared.close()
    return compared.count


class _Again:
    """Does to a venue what a journal says was done: requests, faults, deposits, at their moments."""

    def __init__(self, world: World, where: str) -> None:
        self._world = world
        self._where = where
        self._mischief = MischiefMaker(world)
        self._gate = Gate(world, self._mischief)
        self._keys = {(key.environment, key.label): key for key in world.keys.values()}

    def do(self, entry: dict[str, Any]) -> None:
        """Do what an entry tells of; what follows from it comes by itself."""
        kind, data, ts = entry["kind"], entry["data"], int(entry["ts"])
        if kind == "fault" and data["what"] == "injected":
            jumped = int(data["arguments"]["ms"]) if data["fault"] == "time.jump" else 0
            self._world.advance(ts - jumped)
            self._inject(data)
        elif kind == "fault" and data["what"] == "cleared":
            self._world.advance(ts)
            self._mischief.clear(int(data["number"]))
        elif kind == "deposit":
            self._world.advance(ts)
            state = self._world.environments[data["env"]]
            state.books.deposit(state.accounts[data["uid"]], ts, int(data["amount"]))
            state.note("deposit", uid=data["uid"], amount=int(data["amount"]))
        elif kind == "request":
            self._world.advance(ts)
            self._ask(data, ts)

    def _inject(self, data: dict[str, Any]) -> None:
        if BY_ID[data["fault"]].stage == "stream":
            raise EvidenceError(f"{self._where}: {data['fault']} disturbed its streams: it cannot be done again")
        self._mischief.inject(data["fault"], Target(**data["target"]), data["arguments"])

    def _ask(self, data: dict[str, Any], ts: int) -> None:
        if data["method"] == "WS":
            session = Session(self._gate, demo=data["env"] == "demo", private=True, number=0)
            session.key = self._key(data)
            session.receive(data["body"])
            return
        if not data["key"] and (data["status"] == 401 or "\ufffd" in data["body"]):
            self._world.journal.write(ts, "request", data)
            return
        headers = {"content-type": data["type"], "exptime": data["expires"]}
        if data["env"] == "demo":
            headers["x-simulated-trading"] = "1"
        sent = {name: value for name, value in headers.items() if value}
        asked = Asked(method=data["method"], target=data["target"], headers=sent, body=data["body"].encode(),
                      peer=data["peer"])  # fmt: skip
        self._gate.again(asked, self._key(data) if data["key"] else None)

    def _key(self, data: dict[str, Any]) -> Key:
        return self._keys[data["env"], data["key"]]
