"""What comes in and what goes out: requests as bytes, replies with what the wire is to do to them, envelopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from attrs import define, field, frozen

from prometheus.venue.accounts.holdings import Account
from prometheus.venue.error_codes import CODES, Refused
from prometheus.venue.exchange_world import World
from prometheus.venue.floor.trading import Market, Trading
from prometheus.venue.key_ring import Key

JSON = "application/json"
TYPES: Final = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS"})
"""The interface's types of instruments; this venue has swaps alone."""


@frozen(kw_only=True)
class Asked:
    """A request as it came: ``target`` is the path with its query, byte for byte; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    peer: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query's pairs; empty values are absent ones, the last of a name holds."""
        return {name: value for name, value in parse_qsl(self.target.partition("?")[2]) if value}


@define
class Wire:
    """What is done to a reply on its way. ``delay_s`` and ``slow_s`` are seconds of real time."""

    how: str = "sent"
    """sent, reset (cut without an answer), silent (never an answer), cut (half of the body), short (wrong length)."""
    delay_s: float = 0.0
    slow_s: float = 0.0
    """Pause after each sixteenth of the body."""


@define
class Reply:
    """A reply as bytes."""

    status: int
    body: bytes
    content_type: str = JSON
    wire: Wire = field(factory=Wire)


@frozen
class Envelope:
    """``code``, ``msg`` and ``data``; ``timed`` adds the gateway's times, as on orders."""

    data: Any
    code: str = "0"
    msg: str = ""
    timed: bool = False


@define
class Call:
    """One request on its way through the venue."""

    asked: Asked
    world: World
    state: Trading
    account: Account | None
    key: Key | None
    params: dict[str, Any]
    """Query of a GET; body of a POST that is an object."""
    items: list[Any] = field(factory=list)
    """Body of a POST that is an array."""

    @property
    def now(self) -> int:
        """The venue's time, ms."""
        return self.world.now

    @property
    def owner(self) -> Account:
        """The account of the key."""
        if self.account is None:
            raise Refused("50103")
        return self.account

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text; numbers that should have been texts are taken as such."""
        value = self.params.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refused("51000", name)
        return str(value)

    def needed(self, name: str) -> str:
        """A parameter that must be there.

        Raises:
            Refused: 50014.
        """
        value = self.text(name)
        if not value:
            raise Refused("50014", name)
        return value

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A whole number.

        Raises:
            Refused: 51000.
        """
        value = self.text(name)
        if not value:
            return default
        if not value.isascii() or not value.isdigit() or len(value) > 25:
            raise Refused("51000", name)
        return int(value)

    def flag(self, name: str) -> bool:
        """A boolean: a real one, or its text.

        Raises:
            Refused: 51000.
        """
        value = self.params.get(name, False)
        if isinstance(value, bool):
            return value
        if value in (None, "", "false"):  # a tuple: what came may not be hashable
            return False
        if value == "true":
            return True
        raise Refused("51000", name)

    def of_swaps(self) -> bool:
        """Whether `instType`, where it is given, is that of swaps: the other types have no rows here.

        Raises:
            Refused: 51000 for what is no type.
        """
        said = self.text("instType", "SWAP")
        if said not in TYPES:
            raise Refused("51000", "instType")
        return said == "SWAP"

    def market(self, name: str = "instId") -> Market:
        """The market that a parameter names.

        Raises:
            Refused: 50014, 51001.
        """
        found = self.state.markets.get(self.needed(name))
        if found is None:
            raise Refused("51001")
        return found


def packed(envelope: Envelope, now: int) -> bytes:
    """An envelope as bytes; the gateway's times follow from the venue's clock."""
    body: dict[str, Any] = {"code": envelope.code, "data": envelope.data, "msg": envelope.msg}
    if envelope.timed:
        body |= {"inTime": str(now * 1000 + 100), "outTime": str(now * 1000 + 900)}
    return orjson.dumps(body)


def refusal(refused: Refused) -> Reply:
    """A refused request; what the gateway itself refuses has no data."""
    code = CODES[refused.code]
    body: dict[str, Any] = {"msg": refused.message, "code": refused.code}
    if refused.code >= "51":
        body = {"code": refused.code, "data": [], "msg": refused.message}
    return Reply(code.status, orjson.dumps(body))
