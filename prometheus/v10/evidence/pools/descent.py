"""Lines of descent: experiments of one era that are compared with each other, and never exchange genomes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Line(StrEnum):
    """What an experiment of an era begins with, and what it lives on."""

    INHERIT = "inherit"
    """Founders from the line's own past; real bars."""
    FRESH = "fresh"
    """Founders at random; the same bars."""
    NULL = "null"
    """Founders from the inherited line's past, or from its own (ADR 0076); the same returns, shuffled."""


INHERIT: Final = Line.INHERIT.value
FRESH: Final = Line.FRESH.value
NULL: Final = Line.NULL.value
LINES: Final = (INHERIT, FRESH, NULL)
