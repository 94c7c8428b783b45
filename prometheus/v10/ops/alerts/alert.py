"""An alert: what a person who is not looking should hear, and what he is to type."""

from __future__ import annotations

from datetime import UTC, datetime

from attrs import frozen

from prometheus.v10.base.text import printable

CRITICAL = "critical"
WARNING = "warning"
LONGEST = 300


@frozen(kw_only=True)
class Alert:
    """One thing that happened or holds.

    Attributes:
        key: what is the same thing again; never a run's id, so that there are few.
        severity: `CRITICAL` or `WARNING`.
        text: one line: what, and where.
        since: seconds since 1970.
        command: what to type.
        lasting: whether it holds until it is mended, and is looked at each time.
    """

    key: str
    severity: str
    text: str
    since: float
    command: str
    lasting: bool = False


def clean(text: object, longest: int = LONGEST) -> str:
    """Somebody else's text as part of a line."""
    return printable(" ".join(str(text).split()), longest=longest)


def moment_text(seconds: float) -> str:
    """A moment to the second; of one that no calendar has, its number."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s after 1970"
