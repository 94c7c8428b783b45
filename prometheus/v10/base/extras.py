"""Modules that only an extra of the package installs: imported when they are needed, and missed in one line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import ConfigError

BUILT = (Path(__file__).parents[2] / "_build.json").is_file()
"""Whether this is an image, or a host's package: nobody installs anything into either."""
ON_A_HOST = "an image has it that this is not: prometheus-quant doctor says whether the release has one for the desk"


def hint_for(extra: str, on_a_host: str = ON_A_HOST) -> str:
    """What to do where a module of an extra is missing; ``on_a_host`` says it where nothing can be installed."""
    return on_a_host if BUILT else f"install the extra: pip install 'prometheus-quant[{extra}]'"


def hide_scipy() -> None:
    """Keep scipy from being found until `analysis_module` asks for it.

    numba loads scipy's linear algebra, where it is installed, as soon as it compiles or loads anything: 0.35 s of
    processor time in each process. The world has no linear algebra.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault("scipy", None)  # the import system's word for: not to be found


def analysis_module(module: str, who: str) -> Any:
    """A module of the extra ``analysis`` (scipy, matplotlib); ``who`` begins the sentence that misses it.

    Raises:
        ConfigError: when it is not installed.
    """
    if sys.modules.get("scipy", sys) is None:
        del sys.modules["scipy"]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"{who} needs {module.partition('.')[0]}", hint=hint_for("analysis")) from error
