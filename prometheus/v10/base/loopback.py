"""Addresses of this machine itself, where practice and tests happen. Standard library only."""

from __future__ import annotations

import re

_LOOPBACK = re.compile(r"http://(127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]):([0-9]{1,5})")
LOOPBACK_FORM = "http://127.0.0.1:PORT"


def loopback_of(address: str) -> tuple[str, int] | None:
    """Host and port of ``http://127.x.y.z:PORT`` or ``http://[::1]:PORT``; None for every other address."""
    found = _LOOPBACK.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 65536:
        return None
    return found[1].strip("[]"), int(found[2])
