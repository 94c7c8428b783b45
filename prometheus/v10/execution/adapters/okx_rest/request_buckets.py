"""Our own rate limits, a bucket for each endpoint and what its limit counts: what has no token is not sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, field

from prometheus.v10.execution.ports.exchange_errors import RateLimitedError

SHARE: Final = 0.8
"""Of the exchange's limit that we use; the rest is for clocks that differ."""
_BY_INSTRUMENT: Final = "instId"
_BY_TYPE: Final = "instType"

LIMITS: Final[dict[tuple[str, str], tuple[int, int, str]]] = {
    ("GET", "public/time"): (10, 2000, ""),
    ("GET", "system/status"): (1, 5000, ""),
    ("GET", "public/instruments"): (20, 2000, _BY_TYPE),
    ("GET", "public/position-tiers"): (10, 2000, ""),
    ("GET", "market/books"): (40, 2000, ""),
    ("GET", "market/candles"): (40, 2000, ""),
    ("GET", "account/config"): (5, 2000, ""),
    ("GET", "account/balance"): (10, 2000, ""),
    ("GET", "account/positions"): (10, 2000, ""),
    ("GET", "account/bills"): (5, 1000, ""),
    ("GET", "account/trade-fee"): (5, 2000, ""),
    ("GET", "account/leverage-info"): (20, 2000, ""),
    ("POST", "account/set-leverage"): (20, 2000, ""),
    ("POST", "account/set-position-mode"): (5, 2000, ""),
    ("POST", "trade/order"): (60, 2000, _BY_INSTRUMENT),
    ("POST", "trade/cancel-order"): (60, 2000, _BY_INSTRUMENT),
    ("GET", "trade/order"): (60, 2000, _BY_INSTRUMENT),
    ("GET", "trade/orders-pending"): (60, 2000, ""),
    ("GET", "trade/orders-history"): (40, 2000, ""),
    ("GET", "trade/fills"): (60, 2000, ""),
}
"""The closed list of what is called: (method, path below ``/api/v5/``) to (requests, window in ms, counted by)."""


@define
class RequestBuckets:
    """Counts requests of the last window; time is the exchange's clock in Unix ms."""

    now_ms: Callable[[], int]
    _sent: dict[tuple[str, str, str], deque[int]] = field(factory=dict)

    def take(self, method: str, path: str, parameters: Mapping[str, object]) -> None:
        """Count one request.

        Raises:
            RateLimitedError: when the window is full; nothing is counted.
        """
        limit, window, by = LIMITS[method, path]
        allowed = max(1, int(limit * SHARE))
        now = self.now_ms()
        sent = self._sent.setdefault((method, path, str(parameters.get(by, "")) if by else ""), deque())
        while sent and (sent[0] <= now - window or sent[0] > now):  # a clock that went back starts anew
            sent.popleft()
        if len(sent) >= allowed:
            wait = (sent[0] + window - now) / 1000
            raise RateLimitedError(f"{method} {path}: {allowed} requests in {window} ms are sent", wait_s=wait)
        sent.append(now)
