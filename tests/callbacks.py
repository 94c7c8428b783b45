"""What tests hand over where the product asks for something to call."""

from __future__ import annotations

from typing import NoReturn

import pytest


def never(*given: object) -> NoReturn:
    """For what must not be called (a torn tail, a stop): the test fails, and says with what it was called."""
    pytest.fail(f"was called with {given}")
