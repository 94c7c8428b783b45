"""The exchange's signature, computed from its published formula and from the definition of HMAC (RFC 2104).

Written apart from every other signer in this checkout; of the standard library it uses the hash function alone.
"""

from __future__ import annotations

import base64
import hashlib

BLOCK = 64
"""Bytes of a block of SHA-256."""


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """H((K xor opad) . H((K xor ipad) . message)), a longer key than a block being hashed first."""
    padded = (hashlib.sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner).digest()


def sign(secret: str, timestamp: str, method: str, path: str, body: str = "") -> str:
    """base64(HMAC-SHA256(secret, timestamp + method + path + body)).

    Args:
        secret: the key's secret.
        timestamp: the very string of the header, ``YYYY-MM-DDTHH:MM:SS.mmmZ``.
        method: ``GET`` or ``POST``.
        path: from ``/api/v5`` on, with the query exactly as sent.
        body: exactly as sent, and empty for GET.
    """
    digest = hmac_sha256(secret.encode(), (timestamp + method + path + body).encode())
    return base64.b64encode(digest).decode("ascii")
