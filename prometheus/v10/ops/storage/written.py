"""How much evidence a day brings now, and when a budget would be full at that pace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

RECORD_BYTES = 3_400
"""Of a pool record: most of it is the genome's base64."""
DAY = timedelta(days=1)
LEAST = timedelta(hours=1)
"""A shorter time tells nothing about a day."""
FAR = timedelta(days=36_500)


def bytes_of_run(run_dir: Path, manifest: Mapping[str, Any]) -> int:
    """What a run left: its files as they are on the disk, and about so much of the pool.

    Raises:
        ValueError, TypeError, AttributeError: for a manifest that does not say how many records it handed in.
        OSError: when the directory cannot be looked at.
    """
    appends = manifest.get("pool_appends") or {}
    own = sum(place.stat().st_size for place in run_dir.iterdir())
    return own + RECORD_BYTES * int(appends.get("appended", 0))


def ticks_a_byte(agent_ticks: int, nbytes: int) -> float | None:
    """Evolution for its evidence: agent-ticks lived for each byte left; None where nothing was left."""
    return round(agent_ticks / nbytes, 2) if nbytes > 0 else None


def written_a_day(runs: Iterable[tuple[datetime, int]], now: datetime) -> int | None:
    """Bytes a day, by the runs that began within the last day.

    Args:
        runs: when each began and what it left: the newest ones, which may reach less than a day back.
        now: UTC.

    Returns:
        None where no run tells.
    """
    known = sorted((began, size) for began, size in runs if began <= now)
    lately = [(began, size) for began, size in known if now - began <= DAY]
    if not known:
        return None
    if not lately:
        return 0
    reaches = DAY if len(lately) < len(known) else max(now - lately[0][0], LEAST)
    return round(sum(size for _, size in lately) * (DAY / reaches))


def full_at(used: int, budget: int, a_day: int, now: datetime) -> datetime | None:
    """When a budget would be full at this pace; None where that is not within a century."""
    if used >= budget:
        return now
    if a_day <= 0 or (budget - used) / a_day > FAR / DAY:
        return None
    return now + DAY * ((budget - used) / a_day)
