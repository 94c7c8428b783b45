"""Keys of the venue's clients: each belongs to one account and one environment, with permissions and addresses."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from attrs import define

READ: Final = "read_only"
TRADE: Final = "trade"


@define(kw_only=True)
class Key:
    """An API key. ``ips`` empty: any address may use it."""

    key: str
    secret: str
    passphrase: str
    uid: str
    environment: str
    label: str
    permissions: tuple[str, ...] = (READ, TRADE)
    ips: tuple[str, ...] = ()
    revoked: bool = False


def made_key(seed: int, uid: str, environment: str, label: str, permissions: tuple[str, ...]) -> Key:
    """A key whose texts follow from the venue's seed: the same venue gives the same keys. They open nothing else."""
    digest = hashlib.sha256(f"{seed}/{environment}/{uid}/{label}".encode()).hexdigest()
    key = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
    secret = base64.b16encode(bytes.fromhex(digest[32:])).decode()
    return Key(key=key, secret=secret, passphrase=f"venue-{label}", uid=uid, environment=environment, label=label,
               permissions=permissions)  # fmt: skip
