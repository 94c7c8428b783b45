"""Lines of descent: experiments of one era that are compared with each other, and never exchange genomes."""

from __future__ import annotations

from typing import Final

INHERIT: Final = "inherit"
"""Founded by ancestors of its own line, on the bars as they were."""
FRESH: Final = "fresh"
"""Founded at random, on the same bars."""
NULL: Final = "null"
"""Founded by ancestors of its own line, on shuffled returns."""
LINES: Final = (INHERIT, FRESH, NULL)
