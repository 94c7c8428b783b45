"""A transport that replays kept calls: the same requests in the same order get the same answers; nothing is sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from attrs import define, field

from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestAnswer, RestRequest, TransportError
from prometheus.v10.execution.ports.call_records import CallRecord
from prometheus.v10.execution.ports.exchange_errors import AnswerError
from prometheus.v10.execution.ports.exchange_port import LibraryFacts


@define
class RecordedTransport:
    """See `RestTransport`. Kept bodies are text without secrets; a body with a replaced byte cannot be replayed."""

    library: LibraryFacts
    _calls: deque[CallRecord] = field()

    @classmethod
    def of(cls, calls: Iterable[CallRecord]) -> RecordedTransport:
        """A transport that answers from ``calls``."""
        return cls(LibraryFacts(name="recorded", version="1", sha256="0" * 64), deque(calls))

    @property
    def left(self) -> int:
        """Calls that were not replayed yet."""
        return len(self._calls)

    def exchange(self, request: RestRequest) -> RestAnswer:
        """See `RestTransport`.

        Raises:
            AnswerError: when the next kept call is another one.
            TransportError: when the kept call brought no answer.
        """
        if not self._calls:
            raise AnswerError(f"{request.method} {request.path}: no kept call is left")
        kept = self._calls.popleft()
        asked = (request.method, request.path, request.query, request.body.decode("ascii"))
        if asked != (kept.method, kept.path, kept.query, kept.request_body):
            raise AnswerError(f"call {kept.number}: kept is {kept.method} {kept.path}, asked is {asked[0]} {asked[1]}")
        if kept.status is None:
            raise TransportError("no answer was kept", sent=kept.code not in _NEVER_SENT, name=kept.code)
        return RestAnswer(status=kept.status, content_type=_kind(kept.response), body=kept.response.encode())

    def redacted(self, text: str) -> str:
        """See `RestTransport`: what was kept holds no secret."""
        return text

    def close(self) -> None:
        """See `RestTransport`: there is nothing to close."""


_NEVER_SENT = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "WrongHost", "OtherRequest"}
)


def _kind(body: str) -> str:
    """The content type is not kept: an answer that begins as an object was JSON."""
    return "application/json" if body.startswith("{") else "text/html"
