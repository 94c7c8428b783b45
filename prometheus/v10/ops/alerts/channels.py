"""Where messages go: a webhook, healthchecks, and everything that apprise knows. Each only sends.

Addresses and tokens stand in one credential, a TOML file that systemd hands to the unit (``LoadCredential=``). They are
in no other file, no environment, no command line, no line of the journal; apprise gets its addresses through an unnamed
file in memory.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from ssl import SSLContext
from typing import Any, Protocol

from attrs import field, frozen

from prometheus.v10.base.errors import ConfigError, EvidenceError, UsageError
from prometheus.v10.base.reading import SMALL, open_regular, read_whole
from prometheus.v10.base.text import printable
from prometheus.v10.ops.alerts.https_post import Address, NotTakenError, address_of, post, trust_of
from prometheus.v10.ops.alerts.telling import Message

CREDENTIAL = "notify.toml"
APPRISE_SECONDS = 30.0
_TABLES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "webhook": (frozenset({"url"}), frozenset({"token", "ca_pem"})),
    "healthchecks": (frozenset({"url"}), frozenset({"ca_pem"})),
    "apprise": (frozenset({"urls"}), frozenset()),
    "digest": (frozenset({"at"}), frozenset()),
}
"""Tables of the credential: keys that each must have, and those that it may have."""
_AT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class Channel(Protocol):
    """What takes messages."""

    @property
    def name(self) -> str:
        """Its table in the credential."""
        ...

    def send(self, message: Message) -> None:
        """Hand a message over.

        Raises:
            NotTakenError: when it was not taken.
        """
        ...


@frozen
class Webhook:
    """A POST of JSON: ``title``, ``text``, ``critical``."""

    address: Address = field(repr=False)
    trust: SSLContext = field(repr=False)
    token: str | None = field(repr=False)
    name: str = "webhook"

    def send(self, message: Message) -> None:
        """See `Channel`."""
        said = {"title": message.title, "text": f"{message.title}\n{message.text}", "critical": message.critical}
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        post(self.address, json.dumps(said).encode("ascii"), headers, self.trust)


@frozen
class Healthchecks:
    """Pings: success while there is life, ``/fail`` at a critical alert. Silence is the alarm, and others raise it."""

    address: Address = field(repr=False)
    trust: SSLContext = field(repr=False)
    name: str = "healthchecks"

    def ping(self, text: str, *, failed: bool = False) -> None:
        """One ping; errors as `Channel.send`."""
        to = self.address.below("fail") if failed else self.address
        post(to, text.encode("utf-8", "replace"), {"Content-Type": "text/plain; charset=utf-8"}, self.trust)


@frozen
class Apprise:
    """The program ``apprise``, which knows over a hundred services; its own package installs it."""

    urls: tuple[str, ...] = field(repr=False)
    name: str = "apprise"

    def send(self, message: Message) -> None:
        """See `Channel`."""
        beside = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
        program = shutil.which("apprise", path=beside)
        if program is None:
            raise NotTakenError("apprise is not installed: apt-get install apprise")
        held = os.memfd_create("notify")
        try:
            os.write(held, "\n".join([*self.urls, ""]).encode())
            words = [program, f"--config=/proc/self/fd/{held}", f"--title={message.title}", "--input-format=text"]
            ended = subprocess.run(
                words, input=message.text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                timeout=APPRISE_SECONDS, pass_fds=(held,), cwd="/", env={"LC_ALL": "C.UTF-8", "PATH": beside},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise NotTakenError(f"apprise did not end within {APPRISE_SECONDS:g} s") from None
        except OSError as error:
            raise NotTakenError(f"apprise cannot be started: {error.strerror}") from None
        finally:
            os.close(held)
        if ended.returncode:
            raise NotTakenError(f"apprise ended with {ended.returncode}")


@frozen
class Channels:
    """All that the credential names.

    Attributes:
        digest_minute: of the day in UTC at which a digest is sent; None for no digest.
    """

    messages: tuple[Channel, ...]
    healthchecks: Healthchecks | None
    digest_minute: int | None = None


def find_credential(given: Path | None, environ: Mapping[str, str]) -> Path:
    """The credential's place: what was named, or what systemd handed over.

    Raises:
        UsageError: when neither is there, or others than its owner may read it.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if given is None and not folder:
        raise UsageError(
            "no credential is named", hint=f"--credential FILE; the unit gets it as {CREDENTIAL} from LoadCredential="
        )
    place = given or Path(str(folder)) / CREDENTIAL
    fd = open_regular(place)
    try:
        mode = os.fstat(fd).st_mode
    finally:
        os.close(fd)
    if given is not None and stat.S_IMODE(mode) & 0o077:
        shown = printable(str(place))
        raise UsageError(f"others than its owner may read {shown}", hint=f"chmod 600 {shown}")
    return place


def read_channels(place: Path) -> Channels:
    """The channels of a credential.

    Raises:
        ConfigError: when it is not in its form; the words repeat no value of it.
        HostError: when it cannot be read.
    """
    try:
        said = tomllib.loads(read_whole(place, at_most=SMALL).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, EvidenceError):
        raise ConfigError("the credential is not TOML", hint="docs/operations.md shows one") from None
    for name, table in said.items():
        _refuse_odd(name, table)
    webhook, health, apprise = (said.get(name) for name in ("webhook", "healthchecks", "apprise"))
    messages: list[Channel] = []
    if webhook is not None:
        token = webhook.get("token")
        if token is not None and (not isinstance(token, str) or not token.isascii() or not token.isprintable()):
            raise ConfigError("webhook.token is no token", hint="visible characters of ASCII")
        messages.append(Webhook(*_reached(webhook, "webhook"), token))
    if apprise is not None:
        messages.append(Apprise(_urls(apprise["urls"])))
    if not messages and health is None:
        raise ConfigError("the credential names no channel", hint="one of webhook, healthchecks, apprise")
    return Channels(
        tuple(messages),
        None if health is None else Healthchecks(*_reached(health, "healthchecks")),
        _digest_minute(said.get("digest"), messages),
    )


def _digest_minute(table: Mapping[str, Any] | None, messages: list[Channel]) -> int | None:
    if table is None:
        return None
    found = _AT.fullmatch(str(table["at"]))
    if found is None:
        raise ConfigError("digest.at is no time of the day", hint='at = "07:00", in UTC')
    if not messages:
        raise ConfigError("a digest needs a channel that takes messages", hint="name a webhook or apprise as well")
    return 60 * int(found[1]) + int(found[2])


def _refuse_odd(name: str, table: Any) -> None:
    if name not in _TABLES or not isinstance(table, dict):
        known = ", ".join(f"[{one}]" for one in _TABLES)
        raise ConfigError("the credential has a table that is not known", hint=f"there are {known}")
    must, may = _TABLES[name]
    if not must <= table.keys() <= must | may:
        raise ConfigError(f"[{name}] of the credential has other keys", hint=f"it has {', '.join(sorted(must | may))}")


def _reached(table: Mapping[str, Any], name: str) -> tuple[Address, SSLContext]:
    return address_of(table["url"], f"{name}.url"), trust_of(table.get("ca_pem"), f"{name}.ca_pem")


def _urls(said: Any) -> tuple[str, ...]:
    if not isinstance(said, list) or not said or not all(isinstance(url, str) and url.isprintable() for url in said):
        raise ConfigError("apprise.urls is no list of addresses", hint='urls = ["tgram://TOKEN/CHAT"]')
    return tuple(said)
