"""``exchange`` of a run's manifest: the account that was opened, by which arithmetic, and how it was left.

Money is USDT and prices are as the exchange spells them, as text. What is not known is left out.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import asdict, field, frozen

from prometheus.v10.evidence.records.exchanged.order_payloads import MONEY, NAMED, POSITIVE
from prometheus.v10.evidence.schemas.shapes import A_RUN, COUNT, SHA256, absent, exactly, words

FEE_SOURCE: Final = "account/trade-fee"
ON_STOP: Final = ("flatten", "leave")
RULE: Final = "1000 USDT each, of four fifths of the equity"


@frozen(kw_only=True)
class LibraryClaim:
    """The library that sent: ``sha256`` is over its files."""

    name: str = field(metadata=NAMED)
    version: str = field(metadata=NAMED)
    sha256: str = field(metadata=SHA256)


@frozen(kw_only=True)
class AccountClaim:
    """Settings of account and key, as they were read.

    Attributes:
        stp_default: the account's own mode of self-trade prevention; each order says its own beside it.
        address_bound: whether the key is bound to addresses.
    """

    level: str = field(metadata=NAMED)
    position_mode: str = field(metadata=NAMED)
    stp_default: str | None = field(default=None, metadata=absent())
    stp_of_orders: str = field(metadata=NAMED)
    permissions: list[str]
    address_bound: bool


@frozen(kw_only=True)
class InstrumentClaim:
    """What was traded, by which units and fees; a fee is a share of notional, and negative is a charge."""

    inst_id: str = field(metadata=NAMED)
    settle_currency: str = field(metadata=NAMED)
    contract_value: str = field(metadata=MONEY)
    lot: str = field(metadata=MONEY)
    tick: str = field(metadata=MONEY)
    min_lots: int = field(metadata=POSITIVE)
    leverage: int = field(metadata=POSITIVE)
    margin_mode: str = field(metadata=NAMED)
    taker: str = field(metadata=MONEY)
    maker: str = field(metadata=MONEY)
    fee_group: str = field(metadata=NAMED)
    fee_source: str = field(default=FEE_SOURCE, metadata=exactly(FEE_SOURCE))


@frozen(kw_only=True)
class BootstrapClaim:
    """How the equity was divided: 115 411.43 gives 92 agents, 92 000 allotted and 23 411.43 in reserve."""

    equity: str = field(metadata=MONEY)
    agents: int = field(metadata=POSITIVE)
    allotted: str = field(metadata=MONEY)
    reserve: str = field(metadata=MONEY)
    rule: str = field(default=RULE, metadata=exactly(RULE))


@frozen(kw_only=True)
class EndClaim:
    """What the session came to, and what of it is still open.

    Attributes:
        positions: ``flat``; ``left``, as the profile wants it; ``open``, against it.
        open_orders: client ids of orders whose truth was not found.
        cut_bar: whether the last bar was cut by a stop.
        gross_lots: that agents traded, ``net_lots`` those of the account's orders.
        reserve: after the last round, the surplus of netting included.
        funding: sum of the bills.
        equity_after: left out where the exchange could not be asked any more.
    """

    trading_state: str = field(metadata=words("ACTIVE", "REDUCING", "HALTED"))
    reasons: list[str]
    positions: str = field(metadata=words("flat", "left", "open"))
    position_lots: int
    open_orders: list[str]
    cut_bar: bool
    bars: int = field(metadata=COUNT)
    orders: int = field(metadata=COUNT)
    fills: int = field(metadata=COUNT)
    rounds: int = field(metadata=COUNT)
    gross_lots: int = field(metadata=COUNT)
    net_lots: int = field(metadata=COUNT)
    crossed_lots: int = field(metadata=COUNT)
    surplus: str = field(metadata=MONEY)
    reserve: str = field(metadata=MONEY)
    reserve_without_surplus: str = field(metadata=MONEY)
    fees: str = field(metadata=MONEY)
    funding: str = field(metadata=MONEY)
    equity_after: str | None = field(default=None, metadata=absent(MONEY))
    chain_lines: int = field(metadata=COUNT)
    chain_head: str = field(metadata=SHA256)


@frozen(kw_only=True)
class WorldDifference:
    """The instance's run before went through another library: what was lived then is another world's.

    Attributes:
        library: of that run.
    """

    run_id: str = field(metadata=A_RUN)
    library: str = field(metadata=NAMED)


@frozen(kw_only=True)
class ExchangeClaim:
    """What a manifest says of the exchange; ``ended`` is left out until the end.

    Attributes:
        world_difference: left out where the run before went through the same library, and where there was none.
        site: ``practice`` is a venue on the loopback.
        clock_offset_ms: the exchange's clock less this machine's, at the opening.
        on_stop: what a stop does with positions, as the profile says.
    """

    site: str = field(metadata=NAMED)
    library: LibraryClaim
    account: AccountClaim
    instrument: InstrumentClaim
    bootstrap: BootstrapClaim
    clock_offset_ms: int
    on_stop: str = field(metadata=words(*ON_STOP))
    world_difference: WorldDifference | None = field(default=None, metadata=absent())
    ended: EndClaim | None = field(default=None, metadata=absent())

    def plain(self) -> dict[str, Any]:
        """What the manifest holds."""
        return asdict(self, filter=lambda _, value: value is not None)
