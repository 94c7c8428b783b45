"""What of an answer names a person or a machine, and an answer that is handed on without it."""

from __future__ import annotations

from typing import Any, Final

WHOSE: Final = frozenset({"uid", "mainUid", "label", "ip", "traderInsts", "opAuth"})
"""Fields of an answer that name a person or a machine; in what is handed on they read ``redacted``."""
REDACTED: Final = "redacted"


def without_whose(value: Any) -> Any:
    """A parsed answer with nobody's name in it."""
    if isinstance(value, dict):
        return {name: REDACTED if name in WHOSE else without_whose(one) for name, one in value.items()}
    return [without_whose(one) for one in value] if isinstance(value, list) else value
