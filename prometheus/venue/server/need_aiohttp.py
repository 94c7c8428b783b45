"""aiohttp, which only the extra `venue` installs: imported when a socket is opened, and missed in one line."""

from __future__ import annotations

import importlib
from typing import Any

from prometheus.v10.base.errors import ConfigError


def aiohttp_web() -> Any:
    """The module ``aiohttp.web``.

    Raises:
        ConfigError: when it is not installed.
    """
    try:
        return importlib.import_module("aiohttp.web")
    except ImportError as error:
        raise ConfigError(
            "the venue needs aiohttp", hint="install the extra: pip install 'prometheus-quant[venue]'"
        ) from error
