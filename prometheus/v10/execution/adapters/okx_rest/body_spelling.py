"""How a library spells the body of a request: what is asked is decided above, and no library may change it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from prometheus.v10.execution.adapters.okx_rest.answer_rows import Row
from prometheus.v10.execution.ports.contract_units import Instrument


class BodySpelling(Protocol):
    """Makes bodies of what is asked. The bytes are chained before they are sent, so nothing here sends."""

    def learn(self, row: Row, found: Instrument) -> None:
        """Hear of an instrument as the exchange describes it, and as we read it.

        Raises:
            MisconfiguredError: when the library reads other units in the same row.
        """
        ...

    def body(self, path: str, asked: Mapping[str, object]) -> bytes:
        """The body of a POST to ``path`` (below ``/api/v5/``): every field of ``asked``, and no other.

        Raises:
            MisconfiguredError: when the library would send something else.
        """
        ...


@frozen
class SpacedJson:
    """As python-okx spells: JSON with a space behind each comma and colon, fields in the order of the asking."""

    def learn(self, row: Row, found: Instrument) -> None:
        """See `BodySpelling`: this spelling has no units."""

    def body(self, path: str, asked: Mapping[str, object]) -> bytes:  # noqa: ARG002 - the protocol's
        """See `BodySpelling`."""
        return json.dumps(asked).encode("ascii")
