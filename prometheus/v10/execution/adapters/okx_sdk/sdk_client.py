"""python-okx's client with nothing left to its defaults: host, demo flag, time, time-outs, size, proxies, body.

The SDK signs and sends. Its constructor is not called: it would take proxies and certificates from the environment and
would leave the time-outs to its HTTP library. This module imports ``okx`` and ``httpx``; `sdk_transport` imports it
when an adapter is made.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import httpx
from okx import utils
from okx.okxclient import OkxClient

from prometheus.v10.execution.adapters.okx_rest.okx_sites import Site
from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestAnswer, RestRequest, TransportError
from prometheus.v10.execution.adapters.senders.whole_answer import CONNECT_S, READ_S, whole_answer

NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class PolicedClient(OkxClient):  # type: ignore[misc]
    """An SDK client that sends a `RestRequest` once and reads the whole answer within limits."""

    def __init__(self, site: Site, key: str, secret: str, passphrase: str, now_ms: Callable[[], int]) -> None:
        httpx.Client.__init__(
            self, base_url=site.base, http2=False, trust_env=False, follow_redirects=False, verify=True,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S, pool=CONNECT_S),
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=10.0),
        )  # fmt: skip
        self.API_KEY, self.API_SECRET_KEY, self.PASSPHRASE = key, secret, passphrase
        self.use_server_time, self.debug = False, False  # debug would log key, secret and passphrase
        self.flag = "1" if site.demo else "0"
        self.domain = site.base
        self._site = site
        self._now_ms = now_ms

    def exchange(self, asked: RestRequest) -> RestAnswer:
        """See `RestTransport`."""
        moment = datetime.fromtimestamp(self._now_ms() / 1000, tz=UTC)
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
        if asked.signed:
            said = utils.pre_hash(stamp, asked.method, asked.target, asked.body.decode("ascii"), self.debug)
            sign = utils.sign(said, self.API_SECRET_KEY)
            header = utils.get_header(self.API_KEY, sign, stamp, self.PASSPHRASE, self.flag, self.debug)
        else:
            header = utils.get_header_no_sign(self.flag, self.debug)
        if not self._site.demo:
            del header["x-simulated-trading"]
        if asked.expire_ms is not None:
            header["expTime"] = str(asked.expire_ms)
        header["Accept-Encoding"] = "identity"
        request = self.build_request(asked.method, asked.target, content=asked.body or None, headers=header)
        if f"{request.url.scheme}://{request.url.netloc.decode()}" != self._site.base:
            raise TransportError(f"the request would go to {request.url.host}", sent=False, name="WrongHost")
        try:
            return self._read(request)
        except httpx.HTTPError as error:
            sent = not isinstance(error, NOT_SENT)
            raise TransportError(
                f"{type(error).__name__}: {error}"[:200], sent=sent, name=type(error).__name__
            ) from error

    def _read(self, request: httpx.Request) -> RestAnswer:
        answer = self.send(request, stream=True)
        try:
            return whole_answer(answer.status_code, answer.headers, answer.iter_raw())
        finally:
            answer.close()
