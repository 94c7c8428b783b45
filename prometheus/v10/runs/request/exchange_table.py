"""``[exchange]`` of a profile: which account is opened, and how it is left. Nothing that trades has a default."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from attrs import field, frozen, validators

from prometheus.v10.evidence.records.exchanged.exchange_claim import ON_STOP

MARGIN_MODES = ("cross", "isolated")
STP_MODES = ("cancel_maker", "cancel_taker", "cancel_both")
SITES = ("global", "eea", "us", "practice")
SOURCE = "exchange"
"""``[market] source`` of a run whose bars come from the exchange."""


class Library(StrEnum):
    """The adapters that have a library behind them."""

    OKX_SDK = "okx_sdk"
    CCXT = "ccxt"


LIBRARIES = tuple(one.value for one in Library)


def _money(_: object, __: object, value: str) -> None:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and amount >= 0):
        raise ValueError("expected an amount of money as text, e.g. '0.01'")


def _form(expression: str, wanted: str) -> Any:
    form = re.compile(expression)

    def check(_: object, __: object, value: str) -> None:
        if form.fullmatch(value) is None:
            raise ValueError(f"expected {wanted}")

    return check


@frozen(kw_only=True)
class ExchangeTable:
    """``[exchange]``.

    Attributes:
        site: where the key was made; ``practice`` is a venue on the loopback.
        instrument: a linear swap, e.g. ``BTC-USDT-SWAP``; ``currency`` is what it settles in.
        leverage: of the instrument; set and read back.
        stp_mode: what each order says about meeting another one of the account.
        tag: of each order; '' for none.
        clock_tolerance_ms: largest distance of this machine's clock from the exchange's.
        flatten_at_start: close positions that the account holds at the start; otherwise they refuse it.
        expire_after_ms: how long after its intent the exchange may still take an order.
        least_agents: fewer refuse the start.
        most_agents: more are not founded.
        equity_tolerance: USDT by which books and exchange may differ at a round.
        look_seconds: between two looks at the account within a bar.
        on_stop: ``flatten`` closes the position, ``leave`` lets it be.
        stop_seconds: what a stop may take before the run is sealed; what is not proved by then is named as open.
        library: which adapter sends. Another one is another world: what was lived in it is counted apart.
    """

    site: str = field(validator=validators.in_(SITES))
    instrument: str = field(validator=_form("[A-Z0-9]+-[A-Z0-9]+-SWAP", "a swap, e.g. BTC-USDT-SWAP"))
    currency: str = field(validator=_form("[A-Z0-9]{2,10}", "a currency, e.g. USDT"))
    margin_mode: str = field(validator=validators.in_(MARGIN_MODES))
    leverage: int = field(validator=validators.ge(1))
    stp_mode: str = field(validator=validators.in_(STP_MODES))
    tag: str = field(validator=_form("[A-Za-z0-9]{0,16}", "at most 16 letters and digits"))
    clock_tolerance_ms: int = field(validator=validators.ge(1))
    flatten_at_start: bool
    expire_after_ms: int = field(validator=validators.ge(100))
    least_agents: int = field(validator=validators.ge(1))
    most_agents: int = field(validator=validators.ge(1))
    equity_tolerance: str = field(validator=_money)
    look_seconds: float = field(validator=validators.ge(1.0))
    on_stop: str = field(validator=validators.in_(ON_STOP))
    stop_seconds: float = field(validator=validators.ge(0.0))
    library: str = field(default=LIBRARIES[0], validator=validators.in_(LIBRARIES))
