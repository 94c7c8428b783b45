"""What a library would say by itself: its own order of an intent, its own reading of a row. Nothing of it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from prometheus.v10.execution.adapters.okx_rest.answer_rows import Row
from prometheus.v10.execution.ports.contract_units import Instrument


class OwnWords(Protocol):
    """See the module."""

    def learn(self, row: Row, found: Instrument) -> None:
        """Hear of an instrument."""
        ...

    def order(self, asked: Mapping[str, Any]) -> tuple[str, Any]:
        """The path below ``/api/v5/`` and the body, parsed, of the order that its own call makes of these fields."""
        ...

    def reading(self, path: str, row: Any) -> Mapping[str, Any]:
        """What it makes of a row of an answer of ``path``; a field of a field is named with a dot."""
        ...
