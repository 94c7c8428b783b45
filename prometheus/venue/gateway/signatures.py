"""Who asks: the headers of a private request, its signature byte for byte, its time, its environment, its permission.

sign = base64(HMAC-SHA256(secret, timestamp + METHOD + requestPath + body)), where requestPath is the path with its
query exactly as sent. The timestamp may be 30 s from the venue's clock: for REST an assumption.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime
from typing import Final

from prometheus.venue.error_codes import Refused
from prometheus.venue.exchange_world import World
from prometheus.venue.gateway.exchange_messages import Asked
from prometheus.venue.key_ring import Key

WINDOW_MS: Final = 30_000
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z")
_HEADERS: Final = (
    ("ok-access-key", "50103"), ("ok-access-passphrase", "50104"), ("ok-access-sign", "50106"),
    ("ok-access-timestamp", "50107"),
)  # fmt: skip


def signature(secret: str, timestamp: str, method: str, target: str, body: bytes) -> str:
    """The signature that a request must carry."""
    message = (timestamp + method + target).encode() + body
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def moment_ms(timestamp: str) -> int | None:
    """``YYYY-MM-DDTHH:MM:SS.mmmZ`` as ms; None for anything else."""
    found = _TIME.fullmatch(timestamp)
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat(f"{found[1]}+00:00")
    except ValueError:
        return None
    return int(whole.timestamp()) * 1000 + int(found[2])


def is_demo(asked: Asked) -> bool:
    """Whether the request is for the demo environment."""
    return asked.headers.get("x-simulated-trading", "") == "1"


def authenticated(world: World, asked: Asked) -> Key:
    """The key that signed a request.

    Raises:
        Refused: 50103 to 50107 a header is missing or the passphrase is wrong, 50119 no such key, 50112 and 50102 the
            time, 50113 the signature, 50101 the other environment, 50110 the address.
    """
    for header, code in _HEADERS:
        if not asked.headers.get(header):
            raise Refused(code)
    key = world.keys.get(asked.headers["ok-access-key"])
    if key is None or key.revoked:
        raise Refused("50119")
    timestamp = asked.headers["ok-access-timestamp"]
    moment = moment_ms(timestamp)
    if moment is None:
        raise Refused("50112")
    if abs(moment - (world.now + world.skew)) > WINDOW_MS:
        raise Refused("50102")
    wanted = signature(key.secret, timestamp, asked.method, asked.target, asked.body)
    if not hmac.compare_digest(wanted.encode(), asked.headers["ok-access-sign"].encode("utf-8", "replace")):
        raise Refused("50113")
    if not hmac.compare_digest(
        key.passphrase.encode(), asked.headers["ok-access-passphrase"].encode("utf-8", "replace")
    ):
        raise Refused("50105")
    if (key.environment == "demo") != is_demo(asked):
        raise Refused("50101")
    if key.ips and asked.peer not in key.ips:
        raise Refused("50110", asked.peer)
    return key
