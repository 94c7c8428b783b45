"""Inputs for a parser: known ones, changed a little at random, with the tokens that parsers trip over.

An input that makes the parser fail in a new place becomes a parent of further ones, so the search goes deeper than its
seeds. The same seed gives the same inputs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

TOKENS = [
    b"\x00", b"\n", b"\r\n", b"\x1b[2J", b"\xff", b"\xef\xbb\xbf", b'"', b"\\", b"\\u0000", b"\\ud800", b"{", b"}",
    b"[", b"]", b"[" * 200, b'{"a":' * 200, b"null", b"true", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0.0",
    b"-0", b"1e-400", b"9" * 5000, b"18446744073709551616", b"-1", b"0", b"0.1", b"2147483648", b"../../etc/passwd",
    b"/dev/zero", b"HF_20260101T000000Z_nocommit_0000", b"2026-01-01T00:00:00.000000Z",
    b"9999-12-31T23:59:59.999999Z", b"schema", b"null_reasons", b" " * 1000, b",", b";", b":", b"=", b"inf", b"nan",
    b"\xe2\x80\xae", b"0x10", b"1_000", b"[[a]]",
]  # fmt: skip
LONGEST = 1 << 20


class Mutator:
    """Makes inputs from ``parents``; `learn` adds one."""

    def __init__(self, parents: Sequence[bytes], seed: int) -> None:
        self.parents = [*parents] or [b""]
        self._random = random.Random(seed)

    def learn(self, data: bytes) -> None:
        """Let ``data`` be a parent of later inputs."""
        self.parents.append(data)

    def next(self) -> bytes:
        """One input."""
        data = self._random.choice(self.parents)
        for _ in range(self._random.choice((1, 1, 1, 2, 3, 8))):
            data = self._changed(data)
        return data[:LONGEST]

    def _changed(self, data: bytes) -> bytes:  # noqa: PLR0911  (one line a kind of change)
        pick = self._random
        at = pick.randrange(len(data) + 1)
        end = min(len(data), at + pick.choice((1, 1, 2, 4, 16, 64, 1024)))
        kind = pick.randrange(9)
        if kind == 0:  # a bit flips
            return data[:at] + bytes([data[at] ^ (1 << pick.randrange(8))]) + data[at + 1 :] if at < len(data) else data
        if kind == 1:  # cut off
            return data[:at]
        if kind == 2:  # a piece goes
            return data[:at] + data[end:]
        if kind == 3:  # a piece twice
            return data[:end] + data[at:]
        if kind == 4:  # a token comes in
            return data[:at] + pick.choice(TOKENS) + data[at:]
        if kind == 5:  # a token in the place of a piece
            return data[:at] + pick.choice(TOKENS) + data[end:]
        if kind == 6:  # the rest of another one
            other = pick.choice(self.parents)
            return data[:at] + other[pick.randrange(len(other) + 1) :]
        return self._value_changed(data, pick.choice(TOKENS) if kind == 7 else None)

    def _value_changed(self, data: bytes, token: bytes | None) -> bytes:
        """A whole JSON or TOML value becomes another one, so that the text stays well formed."""
        starts = [at for at in (data.find(b":", self._random.randrange(len(data) + 1)), data.find(b":")) if at >= 0]
        if not starts:
            return data
        start = starts[0] + 1
        end = min((at for at in (data.find(mark, start) for mark in (b",", b"}", b"\n")) if at >= 0), default=len(data))
        values = (b"null", b"[]", b"{}", b'""', b"-1", b"1e308", b"[1]", b'"x"', b"true", b"123456789012345678901")
        return data[:start] + (token or self._random.choice(values)) + data[end:]
