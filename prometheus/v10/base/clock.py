"""Time and identity enter the suite through one object (architecture, section 4). Tests hand in their own."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall clock for what is written, monotonic clock for what is measured, and random tokens for ids."""

    def now(self) -> datetime:
        """The present moment, timezone-aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps backwards."""
        ...

    def token(self, n_hex: int) -> str:
        """``n_hex`` random lower-case hexadecimal digits."""
        ...


class SystemClock:
    """The machine's own clock and entropy."""

    def now(self) -> datetime:
        """The present moment, timezone-aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since boot, unaffected by clock steps."""
        return time.monotonic()

    def token(self, n_hex: int) -> str:
        """``n_hex`` random lower-case hexadecimal digits."""
        return secrets.token_hex((n_hex + 1) // 2)[:n_hex]


def utc_text(moment: datetime) -> str:
    """ISO 8601 UTC with microseconds and a ``Z``: the one form in which records carry time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def utc_stamp(moment: datetime) -> str:
    """``yyyymmddThhmmssZ``: the form that file names and run ids carry."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def new_run_id(prefix: str, clock: Clock, git_commit: str | None) -> str:
    """``<PREFIX>_<UTC>_<first 7 of git commit>_<4 hex>`` (contracts, section 2); 'nocommit' where none is known."""
    return (
        f"{prefix}_{utc_stamp(clock.now())}_{(git_commit or 'nocommit')[: 8 if not git_commit else 7]}_{clock.token(4)}"
    )
