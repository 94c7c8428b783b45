"""What can go wrong between us and an exchange: one taxonomy, by what is known afterwards.

1. `OrderRefusedError`: it is proved that nothing was done.
2. `OutcomeUnknownError`: something was sent and nothing is proved. It is queried; it is never sent again.
3. `RateLimitedError`: our own bucket was empty, and nothing was sent.
4. `UnavailableError`: a read brought no answer. It says nothing about what is there. `NotSentError`: no connection
   came about, so that nothing left.
5. `AnswerError`: an answer came and cannot be believed or read. As with 4, nothing is known.
6. `MisconfiguredError`: keys, modes, hosts or settings are wrong; starting again would not help.
"""

from __future__ import annotations

from prometheus.v10.base.errors import ConfigError, ExchangeError, ExitCode, PrometheusError


class OrderRefusedError(ExchangeError):
    """The exchange said no to this request, and that is the proof that it did nothing.

    Args:
        message: one line, without secrets.
        code: the exchange's code, e.g. ``51008``.
        again: the same read, or a new order, may be tried later: a rate limit of the exchange, an expired request.
        halts: the reason is one after which no order may follow without an operator.
    """

    def __init__(
        self, message: str, *, code: str, again: bool = False, halts: bool = False, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.again = again
        self.halts = halts


class OutcomeUnknownError(ExchangeError):
    """A request that may have been worked on, and no proof either way; ``code`` is the exchange's, or ''."""

    def __init__(self, message: str, *, code: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint or "ask for the order by its client id; it is never sent again")
        self.code = code


class RateLimitedError(PrometheusError):
    """Our own bucket for an endpoint is empty: nothing was sent; ``wait_s`` seconds until it has a token."""

    exit_code = ExitCode.TRY_AGAIN

    def __init__(self, message: str, *, wait_s: float) -> None:
        super().__init__(message, hint="wait, then ask again")
        self.wait_s = wait_s


class UnavailableError(ExchangeError):
    """No answer to a read: refused connections, time-outs, pages of the edge, maintenance. ``code`` may be ''."""

    def __init__(self, message: str, *, code: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint or "look at the exchange's status page; it is asked again later")
        self.code = code


class NotSentError(UnavailableError):
    """No connection came about: for an order, the proof that nothing was sent."""


class ForeignActivityError(ExchangeError):
    """The account shows what is not ours: an order or a position of another tool or a person."""

    exit_code = ExitCode.CONFIG


class AnswerError(ExchangeError):
    """An answer that cannot be read as what it should be: another shape, a size between two lots, a hole in pages."""


class EmptyBookError(AnswerError):
    """A book without a bid or without an ask: nobody offers anything there now."""


class MisconfiguredError(ConfigError):
    """Keys, mode, host, library or account settings are at fault; ``code`` is the exchange's, or ''."""

    def __init__(self, message: str, *, code: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
