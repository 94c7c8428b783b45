"""The transport of python-okx, imported when it is made; one clear line when it is missing."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

from attrs import define, field

from prometheus.v10.execution.adapters.okx_rest.call_judging import Caller
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.okx_rest.okx_sites import Site
from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestAnswer, RestRequest
from prometheus.v10.execution.adapters.okx_sdk.sdk_ownership import sdk_facts
from prometheus.v10.execution.ports.call_records import CallSink
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.execution.ports.exchange_port import LibraryFacts


@define(kw_only=True)
class Credentials:
    """What signs requests; none of it is ever shown."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        if not (self.key and self.secret and self.passphrase):
            raise MisconfiguredError("a key, a secret or a passphrase is empty", hint="give all three")
        if not all(one.isascii() and one.isprintable() for one in (self.key, self.secret, self.passphrase)):
            raise MisconfiguredError("a key, a secret or a passphrase has characters that no header carries",
                                     hint="copy them again, without spaces at the ends")  # fmt: skip

    def hidden(self, text: str) -> str:
        """``text`` with each of them replaced, in whichever spelling an answer or an error gives it back."""
        for name, value in (("secret", self.secret), ("passphrase", self.passphrase), ("key", self.key)):
            for spelt in spellings(value):
                text = text.replace(spelt, f"<{name}>")
        return text


def spellings(value: str) -> list[str]:
    """A secret as texts carry it: as it is, within JSON, a query or markup, and in base64; the longest first."""
    raw = value.encode("ascii")
    found = {
        value, json.dumps(value)[1:-1], quote(value, safe=""), quote_plus(value), escape(value),
        escape(value, quote=False), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(),
    }  # fmt: skip
    return sorted(found, key=len, reverse=True)


@define
class SdkTransport:
    """See `RestTransport`."""

    library: LibraryFacts
    _client: Any = field(repr=False)
    _credentials: Credentials = field(repr=False)

    def exchange(self, request: RestRequest) -> RestAnswer:
        """See `RestTransport`."""
        answer: RestAnswer = self._client.exchange(request)
        return answer

    def redacted(self, text: str) -> str:
        """See `RestTransport`."""
        return self._credentials.hidden(text)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def okx_sdk_port(site: Site, credentials: Credentials, *, now_ms: Callable[[], int], sink: CallSink) -> OkxRestPort:
    """The exchange through python-okx.

    Raises:
        MisconfiguredError: when the SDK is missing, changed, of another version, or not the owner of its name.
    """
    facts = sdk_facts()
    client = importlib.import_module("prometheus.v10.execution.adapters.okx_sdk.sdk_client").PolicedClient(
        site, credentials.key, credentials.secret, credentials.passphrase, now_ms
    )
    return OkxRestPort(Caller(SdkTransport(facts, client, credentials), now_ms, sink))
