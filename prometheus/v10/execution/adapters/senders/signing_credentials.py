"""What signs requests, and how it is kept out of everything that is written or shown."""

from __future__ import annotations

import base64
import json
from html import escape
from urllib.parse import quote, quote_plus

from attrs import define, field

from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError


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
