"""Modules that only an extra of the package installs: imported when they are needed, and missed in one line."""

from __future__ import annotations

import importlib
from typing import Any

from prometheus.v10.base.errors import ConfigError


def analysis_module(module: str, who: str) -> Any:
    """A module of the extra ``analysis`` (scipy, matplotlib); ``who`` begins the sentence that misses it.

    Raises:
        ConfigError: when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{who} needs {module.partition('.')[0]}",
            hint="install the extra: pip install 'prometheus-quant[analysis]'",
        ) from error
