"""The command's name, and the installation that is meant when nobody names one. Standard library only."""

from __future__ import annotations

from pathlib import Path

from prometheus.v10.base.extras import BUILT

COMMAND = "prometheus-quant"
COMPLETION = f"_{COMMAND.upper().replace('-', '_')}_COMPLETE"
"""Set by a shell that asks for completions; the words typed so far come in other variables."""
INSTALLED = Path("/usr/lib/prometheus-quant")
DEFAULT_ROOT = Path("/") if BUILT or INSTALLED in Path(__file__).parents else Path("var")
"""An installed command, and an image's, is about its host, a checkout's about its own tree."""
