"""What the exchange's rows let be seen of self-trades: by the fields that were really there, and kept."""

from __future__ import annotations

import json
from typing import Final

from attrs import define

from prometheus.v10.execution.ports.call_records import CallRecord

OF_FILLS: Final = frozenset({"tradeId", "execType", "ordId"})
OF_ORDERS: Final = frozenset({"stpMode", "cancelSource", "ordId"})
FILLS: Final = "/api/v5/trade/fills"
ORDERS: Final = frozenset({"/api/v5/trade/order", "/api/v5/trade/orders-history"})


@define
class StpSeen:
    """A `CallSink` that looks at the rows of fills and orders."""

    rows: int = 0
    lacking: int = 0

    def __call__(self, call: CallRecord) -> None:
        """Look at one call."""
        wanted = OF_FILLS if call.path == FILLS else OF_ORDERS if call.path in ORDERS else None
        if wanted is None or call.method != "GET" or call.code != "0":
            return
        for row in json.loads(call.response)["data"]:
            self.rows += 1
            self.lacking += not wanted <= row.keys()

    @property
    def capability(self) -> str:
        """``strong`` while every row had what a self-trade is known by; ``weak`` when one lacked it, or none came."""
        return "strong" if self.rows and not self.lacking else "weak"
