"""The transport of a library: its client sends, and nothing that it says leaves with a secret in it."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestAnswer, RestRequest
from prometheus.v10.execution.adapters.senders.signing_credentials import Credentials
from prometheus.v10.execution.ports.exchange_port import LibraryFacts


@define
class LibraryTransport:
    """See `RestTransport`."""

    library: LibraryFacts
    _client: Any = field(repr=False)
    _credentials: Credentials = field(repr=False)

    def exchange(self, request: RestRequest) -> RestAnswer:
        """See `RestTransport`."""
        answer: RestAnswer = self._client.exchange(request)
        return answer

    def redacted(self, text: str) -> str:
        """See `RestTransport`."""
        return self._credentials.hidden(text)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()
