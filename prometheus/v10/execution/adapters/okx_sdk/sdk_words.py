"""python-okx in its own words: the order that its ``place_order`` makes, and rows as they came. Nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okx.Trade import TradeAPI

from prometheus.v10.execution.adapters.okx_rest.answer_rows import Row
from prometheus.v10.execution.adapters.okx_rest.call_judging import BASE
from prometheus.v10.execution.ports.contract_units import Instrument


class _Unsent(TradeAPI):  # type: ignore[misc]
    """A `TradeAPI` that keeps what it would send; its constructor, which opens connections, is not called."""

    def __init__(self) -> None:
        self.made: tuple[str, Any] = ("", {})

    def _request_with_params(self, method: str, request_path: str, params: Any) -> None:  # noqa: ARG002 - the library's
        self.made = (request_path.removeprefix(BASE), params)

    def __del__(self) -> None:
        """There is no connection to close."""


class SdkWords:
    """See `OwnWords`."""

    def learn(self, row: Row, found: Instrument) -> None:
        """See `OwnWords`: it knows no instruments."""

    def order(self, asked: Mapping[str, Any]) -> tuple[str, Any]:
        """See `OwnWords`: what it demands and is not given is ''."""
        needed = dict.fromkeys(("instId", "tdMode", "side", "ordType", "sz"), "")
        caller = _Unsent()
        caller.place_order(**{**needed, **asked})
        return caller.made

    def reading(self, path: str, row: Any) -> Mapping[str, Any]:  # noqa: ARG002 - the protocol's
        """See `OwnWords`: it hands rows on as they came."""
        return dict(row)
