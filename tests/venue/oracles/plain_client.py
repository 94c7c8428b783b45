"""A client of a few lines over http.client: it reads the venue's books, and sends what no library would send."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from attrs import define, field

from tests.venue.oracles.signing import sign


@define(frozen=True)
class Answer:
    """What came back: status, headers in lower case, body as sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def data(self) -> list[dict[str, Any]]:
        """The records; fails with the whole body where the envelope is not of code 0."""
        if self.json.get("code") != "0":
            raise AssertionError(self.body.decode(errors="replace")[:600])
        records: list[dict[str, Any]] = self.json["data"]
        return records

    @property
    def item(self) -> dict[str, Any]:
        """The first record whatever the code: the result of one order."""
        first: dict[str, Any] = self.json["data"][0]
        return first


def stamp(moment: datetime) -> str:
    """The form of OK-ACCESS-TIMESTAMP, in UTC and to the millisecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _now() -> datetime:
    return datetime.now(UTC)


Transport = Callable[[str, str, str, Mapping[str, str]], Answer]
"""Method, path with query, body and headers to what came back."""


def _directly(work: Callable[[], Answer]) -> Answer:
    return work()


def over_http(url: str, within: Callable[[Callable[[], Answer]], Answer] = _directly) -> Transport:
    """Requests to ``url``; ``within`` runs each where the venue can be reached (in a network namespace)."""
    place = urlsplit(url)

    def send(method: str, path: str, body: str, headers: Mapping[str, str]) -> Answer:
        def work() -> Answer:
            with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)) as connection:
                connection.request(method, path, body.encode() if body else None, dict(headers))
                reply = connection.getresponse()
                names = {name.lower(): value for name, value in reply.getheaders()}
                return Answer(reply.status, names, reply.read())

        return within(work)

    return send


@define
class PlainClient:
    """One key at one venue; without a key it asks what is public."""

    raw: Transport
    key: str = ""
    secret: str = ""
    passphrase: str = ""
    demo: bool = True
    now: Callable[[], datetime] = field(default=_now)

    def signed(self, method: str, path: str, body: str) -> dict[str, str]:
        """The headers of a private request."""
        moment = stamp(self.now())
        return {
            "OK-ACCESS-KEY": self.key,
            "OK-ACCESS-SIGN": sign(self.secret, moment, method, path, body),
            "OK-ACCESS-TIMESTAMP": moment,
            "OK-ACCESS-PASSPHRASE": self.passphrase,
        }

    def _send(self, method: str, path: str, body: str, more: Mapping[str, str]) -> Answer:
        headers = self.signed(method, path, body) if self.key else {}
        if self.demo:
            headers["x-simulated-trading"] = "1"
        if method == "POST":
            headers["Content-Type"] = "application/json"
        return self.raw(method, path, body, headers | dict(more))

    def get(self, call: str, **query: str | int) -> Answer:
        """GET /api/v5/``call`` with the query in the order given."""
        asked = "?" + urlencode(query, safe=",") if query else ""
        return self._send("GET", f"/api/v5/{call}{asked}", "", {})

    def post(self, call: str, record: object, **headers: str) -> Answer:
        """POST the record as JSON to /api/v5/``call``; other headers are given as ``expTime=...``."""
        return self._send("POST", f"/api/v5/{call}", json.dumps(record), headers)

    def pages(self, call: str, identity: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """Every record of a paged call, newest first: ``after`` the last identity until a page is empty."""
        after: dict[str, str | int] = {}
        while page := self.get(call, **query, **after).data:
            yield from page
            after = {"after": page[-1][identity]}
