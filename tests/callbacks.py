"""What tests hand over where the product asks for something to call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

import pytest

T = TypeVar("T")


def never(*given: object) -> NoReturn:
    """For what must not be called (a torn tail, a stop): the test fails, and says with what it was called."""
    pytest.fail(f"was called with {given}")


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread with a loop of its own: a browser's driver may have one in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
