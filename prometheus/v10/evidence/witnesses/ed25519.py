"""Ed25519 (RFC 8032) for checkpoints: a few signatures an hour, checked by whoever has this file and a Python.

Why not a library: the host's command and the verifier have the standard library only, and the note that is signed has a
raw Ed25519 signature, which ``ssh-keygen`` does not make. Signing takes time that depends on the key's bits, as all
arithmetic of Python does. It is used by one unit of its own user, once an hour, where nobody else can measure it to the
microsecond; do not use it for anything that answers requests. Standard library only.
"""

from __future__ import annotations

import functools
import hashlib
from typing import cast

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_WINDOW = 4

_Point = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T: x = X/Z, y = Y/Z, x*y = T/Z (RFC 8032, section 5.1.4)."""

_Table = tuple[_Point, ...]
_NEUTRAL: _Point = (0, 1, 1, 0)


def public_key(seed: bytes) -> bytes:
    """The public key of a 32-byte secret.

    Raises:
        ValueError: when the secret has another length.
    """
    scalar, _ = _expand(seed)
    return _encode(_times((scalar, _base_table())))


def sign(seed: bytes, message: bytes) -> bytes:
    """The signature of ``message``, 64 bytes; the same for the same message.

    Raises:
        ValueError: when the secret has another length than 32 bytes.
    """
    scalar, prefix = _expand(seed)
    key = _encode(_times((scalar, _base_table())))
    r = _number(prefix, message) % _L
    commitment = _encode(_times((r, _base_table())))
    s = (r + _number(commitment, key, message) * scalar) % _L
    return commitment + s.to_bytes(32, "little")


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is one of ``message`` by ``key``. Never raises: what has a wrong form is no signature."""
    if len(key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    point = _decode(key)
    s = int.from_bytes(signature[32:], "little")
    if point is None or s >= _L:
        return False
    x, y, z, t = point
    negative = (_P - x if x else 0, y, z, _P - t if t else 0)
    challenge = _number(signature[:32], key, message) % _L
    found = _times((s, _base_table()), (challenge, _table(negative)))
    return _encode(found) == signature[:32]


def _expand(seed: bytes) -> tuple[int, bytes]:
    if len(seed) != KEY_BYTES:
        raise ValueError(f"a secret has {KEY_BYTES} bytes, not {len(seed)}")
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ((1 << 254) - 8) | (1 << 254), digest[32:]


def _number(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def _add(one: _Point, other: _Point) -> _Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = 2 * t1 * t2 * _D % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(point: _Point) -> _Point:
    x, y, z, _ = point
    a, b, c = x * x % _P, y * y % _P, 2 * z * z % _P
    h = a + b
    e = h - (x + y) * (x + y) % _P
    g = a - b
    f = c + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _table(point: _Point) -> _Table:
    """0 to 15 times the point."""
    found = [_NEUTRAL]
    for _ in range((1 << _WINDOW) - 1):
        found.append(_add(found[-1], point))
    return tuple(found)


def _times(*terms: tuple[int, _Table]) -> _Point:
    """The sum of each scalar, below 2**256, times the point that its table is of."""
    point = _NEUTRAL
    for shift in range(256 - _WINDOW, -_WINDOW, -_WINDOW):
        for _ in range(_WINDOW):
            point = _double(point)
        for scalar, table in terms:
            point = _add(point, table[scalar >> shift & 15])
    return point


def _encode(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _decode(data: bytes) -> _Point | None:
    """The point of its 32 bytes; None when they are no point's, or not the one spelling of it."""
    number = int.from_bytes(data, "little")
    sign_bit, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if x * x % _P != square or (x == 0 and sign_bit):
        return None
    if x & 1 != sign_bit:
        x = _P - x
    return x, y, 1, x * y % _P


@functools.cache
def _base_table() -> _Table:
    base = cast("_Point", _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little")))
    return _table(base)
