"""Client order ids: derived from run, tick, instrument and attempt, so that the same order has one id and no other."""

from __future__ import annotations

import hashlib
from typing import Final

from prometheus.v10.base.errors import UsageError

PREFIX: Final = "pq"
"""What every id of ours begins with: an order at the exchange that begins so and is on no chain is an incident."""
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TICK_DIGITS: Final = 7
_RUN_DIGITS: Final = 8
_REST_DIGITS: Final = 13


def client_id(run_id: str, tick: int, inst_id: str, attempt: int) -> str:
    """32 letters and digits: ``pq``, eight of the run, seven of the tick (base 36), two of the attempt, a check.

    Raises:
        UsageError: for a tick or an attempt that has no place in it.
    """
    if not 0 <= tick < 36**_TICK_DIGITS or not 0 <= attempt < 36**2:
        raise UsageError(f"no client id for tick {tick}, attempt {attempt}")
    whole = hashlib.sha256(f"{run_id}|{tick}|{inst_id}|{attempt}".encode()).hexdigest()
    return f"{run_mark(run_id)}{_base36(tick, _TICK_DIGITS)}{_base36(attempt, 2)}{whole[:_REST_DIGITS]}"


def run_mark(run_id: str) -> str:
    """What every id of one run begins with."""
    return PREFIX + hashlib.sha256(run_id.encode()).hexdigest()[:_RUN_DIGITS]


def is_ours(text: str) -> bool:
    """Whether an id has our prefix and length."""
    return text.startswith(PREFIX) and len(text) == len(PREFIX) + _RUN_DIGITS + _TICK_DIGITS + 2 + _REST_DIGITS


def _base36(value: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        value, last = divmod(value, 36)
        digits = _DIGITS[last] + digits
    return digits
