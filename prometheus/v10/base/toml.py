"""One way to parse TOML that somebody else wrote. Standard library only."""

from __future__ import annotations

import tomllib
from typing import Any

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable


def parse_toml(data: bytes, shown: str) -> dict[str, Any]:
    """The table that ``data`` holds; a byte order mark at its beginning is no part of it.

    Args:
        data: the whole file.
        shown: its name, fit for a terminal.

    Raises:
        ConfigError: for what is no TOML or no UTF-8, nested too deep, or holds a number of thousands of digits.
    """
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{shown}: not TOML: {printable(str(error))}", hint=f"correct {shown}") from error
