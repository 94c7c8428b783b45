"""What OKX calls its sites and its bars: for those who trade there, and for those who download from there."""

from __future__ import annotations

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
