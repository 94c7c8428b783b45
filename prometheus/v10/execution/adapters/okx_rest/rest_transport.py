"""What a transport is: it sends one signed request as bytes and gives back what came. It decides nothing."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from prometheus.v10.execution.ports.exchange_port import LibraryFacts


@frozen(kw_only=True)
class RestRequest:
    """One request. ``query`` stands after the path as it is, ``body`` is sent byte for byte ('' for a read).

    Attributes:
        expire_ms: the header ``expTime``; None where the interface knows none.
        signed: whether the endpoint is private.
    """

    method: str
    path: str
    query: str
    body: bytes
    expire_ms: int | None
    signed: bool

    @property
    def target(self) -> str:
        """Path and query, as signed."""
        return f"{self.path}?{self.query}" if self.query else self.path


@frozen(kw_only=True)
class RestAnswer:
    """What came back, whole. ``content_type`` is lower case and without parameters."""

    status: int
    content_type: str
    body: bytes


class TransportError(Exception):
    """No whole answer came. ``sent`` is False only when it is certain that no byte of the request left.

    Args:
        what: one line without secrets.
        sent: whether the request may have left.
        name: a short word for the kind, e.g. ``ReadTimeout``.
    """

    def __init__(self, what: str, *, sent: bool, name: str) -> None:
        super().__init__(what)
        self.sent = sent
        self.name = name


class RestTransport(Protocol):
    """See the module."""

    @property
    def library(self) -> LibraryFacts:
        """The library that sends."""
        ...

    def exchange(self, request: RestRequest) -> RestAnswer:
        """Send once, without a retry, and read the answer.

        Raises:
            TransportError: when no whole answer came.
        """
        ...

    def redacted(self, text: str) -> str:
        """``text`` without anything secret."""
        ...

    def close(self) -> None:
        """Close connections; closing twice is harmless."""
        ...
