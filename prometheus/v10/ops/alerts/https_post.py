"""One POST over HTTPS that takes a bounded time and hands back nothing but whether it was taken.

The answer's words are thrown away unread: nothing that comes from outside changes anything here. No redirect is
followed, no proxy of the environment is asked, and no error quotes the address, which may hold a secret. Standard
library only.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from prometheus.v10.base.errors import ConfigError

SECONDS = 10.0
"""For all of it: name, connection, request and answer."""
MOST_ANSWER = 1 << 16
MOST_BODY = 100_000
"""Bytes of a body that healthchecks takes."""
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class NotTakenError(Exception):
    """A channel did not take what was sent; the words hold no secret."""


@dataclass(frozen=True, repr=False)
class Address:
    """Where a POST goes. It has no ``repr``: a path may be a secret."""

    host: str
    port: int
    path: str

    def below(self, word: str) -> Address:
        """The address of ``word`` below this one."""
        path, mark, query = self.path.partition("?")
        return Address(self.host, self.port, f"{path.rstrip('/')}/{word}{mark}{query}")


def address_of(url: object, where: str) -> Address:
    """An address as it stands in the credential.

    Raises:
        ConfigError: when it is none, or not HTTPS; the words repeat nothing of it.
    """
    hint = "https://HOST/PATH, in the credential alone"
    if not isinstance(url, str) or not _VISIBLE.fullmatch(url):
        raise ConfigError(f"{where} is no address", hint=hint)
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise ConfigError(f"{where} is no address", hint=hint) from None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment:
        raise ConfigError(f"{where} is not https://HOST/PATH without a user and a #", hint=hint)
    return Address(parts.hostname, port, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}")


def trust_of(ca_pem: object, where: str) -> ssl.SSLContext:
    """Whom to believe: this host's own authorities, or the given ones alone.

    Raises:
        ConfigError: when they are none.
    """
    try:
        if ca_pem is None:
            return ssl.create_default_context()
        return ssl.create_default_context(cadata=str(ca_pem))
    except (ssl.SSLError, ValueError):
        raise ConfigError(f"{where} is no certificate", hint="-----BEGIN CERTIFICATE----- and its lines") from None


def post(
    to: Address, body: bytes, headers: Mapping[str, str], trust: ssl.SSLContext, *, seconds: float = SECONDS
) -> None:
    """Send ``body``; returns when the other side took it (a status of 200 to 299).

    Raises:
        NotTakenError: saying why, in words of ours.
    """
    work = _Work(http.client.HTTPSConnection(to.host, to.port, timeout=seconds, context=trust))
    thread = threading.Thread(target=work.do, args=(to.path, body[:MOST_BODY], headers), daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        work.cut()
        thread.join(1.0)
        raise NotTakenError(f"no answer within {seconds:g} s")
    if work.why is not None:
        raise NotTakenError(work.why)


class _Work:
    """The request, done in a thread of its own: a name that nobody resolves must not hold up the caller."""

    def __init__(self, connection: http.client.HTTPSConnection) -> None:
        self._connection = connection
        self.why: str | None = None

    def do(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            self._connection.request("POST", path, body=body, headers=dict(headers))
            answer = self._connection.getresponse()
            answer.read(MOST_ANSWER)
            if not 200 <= answer.status <= 299:
                self.why = f"it answered {answer.status}"
        except ssl.SSLCertVerificationError:
            self.why = "its certificate is not one that is believed"
        except ssl.SSLError:
            self.why = "no TLS could be agreed on"
        except ConnectionRefusedError:
            self.why = "the connection was refused"
        except socket.gaierror:
            self.why = "its name is not known"
        except TimeoutError:
            self.why = "no answer in time"
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.why = f"the connection broke ({type(error).__name__})"
        finally:
            self._connection.close()

    def cut(self) -> None:
        """End what still waits."""
        if (sock := self._connection.sock) is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
