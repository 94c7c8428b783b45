"""Reading an answer whole, within limits that are ours: the same for every library."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestAnswer, TransportError

CONNECT_S: Final = 2.0
READ_S: Final = 8.0
WHOLE_S: Final = 10.0
"""The longest time from the first byte of an answer to its last."""
LARGEST: Final = 8 * 1024 * 1024


def whole_answer(status: int, headers: Mapping[str, str], pieces: Iterable[bytes]) -> RestAnswer:
    """The answer that a library hands out piece by piece, as it came over the wire.

    Args:
        status: of HTTP.
        headers: by name, whatever its case.
        pieces: of the body.

    Raises:
        TransportError: when it is too large, takes too long, or is shorter than it says.
    """
    body, until = bytearray(), time.monotonic() + WHOLE_S
    for piece in pieces:
        body += piece
        if len(body) > LARGEST:
            raise TransportError(f"an answer of more than {LARGEST} bytes", sent=True, name="TooLarge")
        if time.monotonic() > until:
            raise TransportError(f"an answer that takes more than {WHOLE_S} s", sent=True, name="TooSlow")
    length = headers.get("content-length")
    if length is not None and length != str(len(body)):
        raise TransportError(f"{len(body)} bytes of {length}", sent=True, name="CutShort")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return RestAnswer(status=status, content_type=kind, body=bytes(body))
