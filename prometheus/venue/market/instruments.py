"""What is traded: sizes, ticks, limits, tiers and the changes that are announced. Facts of BTC-USDT-SWAP as recorded.

Recorded: contract value, lot, tick, smallest order, largest market order, tier 1. Tiers above the first are this
venue's own: the published table was not at hand.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from attrs import define, field, frozen

from prometheus.venue.quanta import MONEY_DP, RATE, text

HOUR_MS: Final = 3_600_000


@frozen
class Tier:
    """A step of the margin table: positions up to ``max_sz`` size units; rates in 1e-8."""

    number: int
    min_sz: int
    max_sz: int
    imr: int
    mmr: int
    max_lever: int
    """Hundredths: 7500 is 75 times."""


@frozen
class Change:
    """An announced change of ``tickSz``, ``minSz`` or ``maxMktSz`` (`upcChg`), in units of the instrument."""

    param: str
    new_value: int
    eff_ms: int


@define(kw_only=True)
class Instrument:
    """A linear swap with USDT as money. ``px_dp`` and ``sz_dp`` are one digit finer than tick and lot."""

    inst_id: str
    base: str
    code: int
    ct_val: str
    px_dp: int
    sz_dp: int
    tick: int
    lot: int
    min_sz: int
    max_lmt_sz: int
    max_mkt_sz: int
    max_lmt_usdt: int
    tiers: tuple[Tier, ...]
    lever: int = 100
    state: str = "live"
    group_id: str = "2"
    list_ms: int = 1_573_557_408_000
    float_limit: int = 2 * RATE // 100
    """Y of the price limits: how far from the index a price may be."""
    max_limit: int = 5 * RATE // 100
    """Z of the price limits: the outer bound."""
    changes: list[Change] = field(factory=list)
    unit: int = field(init=False)
    """Pico-USDT of one price unit times one size unit."""

    def __attrs_post_init__(self) -> None:
        """Fix the value of one unit."""
        exact = Decimal(self.ct_val).scaleb(MONEY_DP - self.px_dp - self.sz_dp)
        self.unit = int(exact)
        if self.unit != exact or self.unit == 0:
            raise AssertionError(f"{self.inst_id}: a unit of value is no whole number of pico-USDT")

    @property
    def family(self) -> str:
        """``BTC-USDT``: also the name of the index."""
        return f"{self.base}-USDT"

    def px(self, value: int) -> str:
        """A price as text."""
        return text(value, self.px_dp)

    def sz(self, value: int) -> str:
        """A size in contracts as text."""
        return text(value, self.sz_dp)

    def value(self, px: int, sz: int) -> int:
        """Notional in pico-USDT; signed as its factors."""
        return px * sz * self.unit

    def tier_of(self, sz: int) -> Tier:
        """The tier of a position of ``sz`` size units; the last one beyond the table."""
        size = abs(sz)
        return next((tier for tier in self.tiers if size <= tier.max_sz), self.tiers[-1])

    def most_at(self, lever_hundredths: int) -> int:
        """The largest position that the tiers allow at this leverage, in size units."""
        return max((tier.max_sz for tier in self.tiers if tier.max_lever >= lever_hundredths), default=0)

    def take_effect(self, now_ms: int) -> list[Change]:
        """Apply the announced changes whose time has come; a new smallest size of a swap is its new lot as well."""
        due = [change for change in self.changes if change.eff_ms <= now_ms]
        for change in due:
            if change.param == "tickSz":
                self.tick = change.new_value
            elif change.param == "minSz":
                self.min_sz = self.lot = change.new_value
            else:
                self.max_mkt_sz = change.new_value
        self.changes = [change for change in self.changes if change.eff_ms > now_ms]
        return due


_STEPS: Final = (  # up to contracts, imr 1e-8, mmr 1e-8, leverage in hundredths
    (1_000, 1_000_000, 400_000, 10_000),
    (5_000, 1_333_334, 500_000, 7_500),
    (10_000, 2_000_000, 650_000, 5_000),
    (25_000, 3_333_334, 1_000_000, 3_000),
    (50_000, 5_000_000, 1_500_000, 2_000),
    (100_000, 10_000_000, 3_000_000, 1_000),
)


def _tiers(sz_dp: int) -> tuple[Tier, ...]:
    floor, found = 0, []
    for number, (most, imr, mmr, lever) in enumerate(_STEPS, 1):
        found.append(Tier(number, floor, most * 10**sz_dp, imr, mmr, lever))
        floor = most * 10**sz_dp
    return tuple(found)


def btc_swap(*, live: bool = False) -> Instrument:
    """BTC-USDT-SWAP as recorded; its ``instIdCode`` differs between demo and production."""
    return Instrument(
        inst_id="BTC-USDT-SWAP", base="BTC", code=10459 if live else 110459, ct_val="0.01", px_dp=2, sz_dp=3, tick=10,
        lot=10, min_sz=10, max_lmt_sz=100_000_000_000, max_mkt_sz=35_000_000, max_lmt_usdt=20_000_000, tiers=_tiers(3),
    )  # fmt: skip


def eth_swap(*, live: bool = False) -> Instrument:
    """ETH-USDT-SWAP as recorded."""
    return Instrument(
        inst_id="ETH-USDT-SWAP", base="ETH", code=10461 if live else 110461, ct_val="0.1", px_dp=3, sz_dp=3, tick=10,
        lot=10, min_sz=10, max_lmt_sz=100_000_000_000, max_mkt_sz=20_000_000, max_lmt_usdt=20_000_000, tiers=_tiers(3),
    )  # fmt: skip
