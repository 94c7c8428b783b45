"""What OKX calls its sites and its bars, and which addresses are this machine itself.

For those who trade there and for those who download from there. Standard library only.
"""

from __future__ import annotations

import re
from typing import Final

OKX_SITES: Final = {
    "global": "https://www.okx.com",
    "eea": "https://eea.okx.com",
    "us": "https://us.okx.com",
}
OKX_BARS: Final = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1H", 7200: "2H", 14_400: "4H", 21_600: "6Hutc",
    43_200: "12Hutc", 86_400: "1Dutc",
}  # fmt: skip
"""Bars by their seconds; from six hours on the plain names have borders in another time zone."""
LOOPBACK_FORM: Final = "http://127.0.0.1:PORT"
_LOOPBACK: Final = re.compile(r"http://(?:127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]):([0-9]{1,5})")


def is_loopback(address: str) -> bool:
    """Whether an address is ``http://127.x.y.z:PORT`` or ``http://[::1]:PORT``: for practice and tests."""
    found = _LOOPBACK.fullmatch(address)
    return found is not None and 0 < int(found[1]) < 65536
