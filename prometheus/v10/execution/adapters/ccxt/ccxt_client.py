"""ccxt's client for OKX with nothing left to its defaults: host, demo flag, time, time-outs, size, proxies, body.

ccxt signs, spells headers and bodies, and its HTTP session sends. Three things of it are not used, each for a reason:

1. Its ``request`` and ``fetch``: they wait and raise by classes of their own, in which a refused order and an unknown
   outcome can be the same. Buckets, time-outs and verdicts are ours.
2. ``load_markets``: it asks for every instrument on its own. The market is made from the row that we read anyway.
3. ``create_order``: it takes another endpoint, and its answer leaves out what the exchange said. The request that it
   would send is made by its own ``create_order_request``, and sent only where it says what was asked, field by field.

This module imports ``ccxt`` and ``requests``; `ccxt_adapter` imports it when an adapter is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import ccxt
import requests
import urllib3.exceptions as below

from prometheus.v10.execution.adapters.okx_rest.answer_rows import Row
from prometheus.v10.execution.adapters.okx_rest.call_judging import BASE
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import ORDER
from prometheus.v10.execution.adapters.okx_rest.okx_sites import Site
from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestAnswer, RestRequest, TransportError
from prometheus.v10.execution.adapters.senders.whole_answer import CONNECT_S, READ_S, whole_answer
from prometheus.v10.execution.ports.contract_units import Instrument
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError

PIECE: Final = 65_536
DEMO: Final = "x-simulated-trading"
OWN_NAMES: Final = {"posSide": "positionSide"}
"""Fields of an order that ccxt takes under a name of its own."""
ARGUMENTS: Final = frozenset({"instId", "ordType", "side", "sz", "px"})
"""Fields of an order that ccxt takes as arguments."""


class PolicedClient:
    """A ccxt client that sends a `RestRequest` once and reads the whole answer within limits; also a `BodySpelling`."""

    def __init__(self, site: Site, key: str, secret: str, passphrase: str, now_ms: Callable[[], int]) -> None:
        self._site = site
        made = self._ccxt = ccxt.okx({"apiKey": key, "secret": secret, "password": passphrase, "verbose": False})
        place = {"rest": site.base}
        made.urls = {"api": dict(place), "test": dict(place)}  # it knows no other host
        made.set_sandbox_mode(site.demo)
        made.milliseconds = now_ms
        made.options = {**made.options, "timeDifference": 0, "brokerId": None}
        self._http = made.session
        self._http.trust_env = False

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    # ---- what is asked, in ccxt's words

    def learn(self, row: Row, found: Instrument) -> None:
        """See `BodySpelling`: ccxt's market is made from the row, and must have our units."""
        try:
            market = self._ccxt.parse_market(dict(row))
            markets = {**(self._ccxt.markets or {}), market["symbol"]: market}
            self._ccxt.set_markets(list(markets.values()))
            read = {
                "instId": market["id"], "settleCcy": market["settle"], "linear": market["linear"],
                "ctVal": _spelt(market["contractSize"]), "lotSz": _spelt(market["precision"]["amount"]),
                "tickSz": _spelt(market["precision"]["price"]),
            }  # fmt: skip
        except (ccxt.BaseError, LookupError, TypeError, ValueError) as error:
            raise MisconfiguredError(f"ccxt cannot read the row of {found.inst_id}: {error}"[:300]) from error
        ours = {
            "instId": found.inst_id, "settleCcy": found.settle_currency, "linear": True,
            "ctVal": _spelt(found.contract_value), "lotSz": _spelt(found.lot), "tickSz": _spelt(found.tick),
        }  # fmt: skip
        _refuse_difference(f"of {found.inst_id} ccxt reads", read, ours)

    def body(self, path: str, asked: Mapping[str, object]) -> bytes:
        """See `BodySpelling`."""
        made = self.order_of(asked) if path == ORDER else dict(asked)
        _refuse_difference("ccxt would send", made, asked)
        return str(self._ccxt.json(made)).encode("ascii")

    def order_of(self, asked: Mapping[str, object]) -> dict[str, Any]:
        """The order that ccxt makes of what is asked, before anybody compared the two.

        Raises:
            MisconfiguredError: when it makes none.
        """
        given = {OWN_NAMES.get(name, name): value for name, value in asked.items() if name not in ARGUMENTS}
        try:
            symbol = self._ccxt.markets_by_id[asked["instId"]][0]["symbol"]
            made: dict[str, Any] = self._ccxt.create_order_request(
                symbol, asked["ordType"], asked["side"], asked["sz"], asked.get("px"), given
            )
        except (ccxt.BaseError, LookupError, TypeError) as error:
            raise MisconfiguredError(f"ccxt makes no order of what is asked: {error}"[:300]) from error
        return made

    # ---- sending

    def exchange(self, asked: RestRequest) -> RestAnswer:
        """See `RestTransport`."""
        request = self._signed(asked)
        try:
            return self._read(request)
        except (requests.RequestException, below.HTTPError) as error:
            name, sent = fate_of(error)
            raise TransportError(f"{name}: {error}"[:200], sent=sent, name=name) from error

    def _signed(self, asked: RestRequest) -> requests.PreparedRequest:
        """The request as ccxt signs it, which must be what was asked, byte for byte.

        Raises:
            TransportError: when it is another one, or would go to another host; nothing was sent.
        """
        given = json.loads(asked.body) if asked.body else dict(parse_qsl(asked.query, keep_blank_values=True))
        made = self._ccxt.sign(
            asked.path.removeprefix(BASE), ["private" if asked.signed else "public"], asked.method, given
        )
        headers = self._ccxt.prepare_request_headers(made["headers"])
        headers["Accept-Encoding"] = "identity"
        if asked.expire_ms is not None:
            headers["expTime"] = str(asked.expire_ms)
        body = (made["body"] or "").encode("ascii")
        request: requests.PreparedRequest = self._http.prepare_request(
            requests.Request(asked.method, made["url"], headers=headers, data=body or None)
        )
        if made["url"] != f"{self._site.base}{asked.target}" or request.url != made["url"]:
            raise TransportError("ccxt would ask for another address", sent=False, name="WrongHost")
        if body != asked.body or headers.get(DEMO, "0") != ("1" if self._site.demo else "0"):
            raise TransportError("ccxt would send another request", sent=False, name="OtherRequest")
        return request

    def _read(self, request: requests.PreparedRequest) -> RestAnswer:
        answer = self._http.send(
            request, stream=True, timeout=(CONNECT_S, READ_S), allow_redirects=False, verify=True, proxies={}, cert=None
        )
        self._http.cookies.clear()
        try:
            pieces = iter(partial(answer.raw.read1, PIECE, decode_content=False), b"")
            return whole_answer(answer.status_code, answer.headers, pieces)
        finally:
            answer.close()


def fate_of(error: Exception) -> tuple[str, bool]:
    """The name of a failure in the words of `TransportError`, and whether the request may have left."""
    chain: list[BaseException] = [error]
    while (cause := _below(chain[-1])) is not None and cause not in chain:
        chain.append(cause)
    for kinds, name, sent in (
        ((below.NewConnectionError,), "ConnectError", False),  # a kind of the next one
        ((requests.ConnectTimeout, below.ConnectTimeoutError), "ConnectTimeout", False),
        ((requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL), "UnsupportedProtocol", False),
        ((requests.ReadTimeout, below.ReadTimeoutError), "ReadTimeout", True),
        ((below.ProtocolError, requests.exceptions.ChunkedEncodingError), "RemoteProtocolError", True),
    ):
        if any(isinstance(one, kinds) for one in chain):
            return name, sent
    return "ReadError", True


def _below(error: BaseException) -> BaseException | None:
    """What an error of requests wraps: the reason of its retries, its first argument, its context."""
    inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return inner if isinstance(inner, BaseException) else error.__context__


def _spelt(number: object) -> str:
    """A number of ccxt's or ours as one text: ccxt reads them as floats."""
    return f"{float(str(number)):.12g}"


def _refuse_difference(what: str, made: Mapping[str, object], asked: Mapping[str, object]) -> None:
    names = sorted(name for name in made.keys() | asked.keys() if made.get(name) != asked.get(name))
    if names:
        said = ", ".join(f"{name} {made.get(name)!r} for {asked.get(name)!r}" for name in names)
        raise MisconfiguredError(f"{what} {said}"[:300], hint="use library = 'okx_sdk', or the version in the lock")
