"""The simulated exchange as a `Fills`: what the core's own rules would have filled, told as fills from outside.

A session on it gives the bits of `Experiment`. So it is the reference that shows that the seam loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.v10.core import exchange
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.state import Environment, Market
from prometheus.v10.execution.session.fills_port import AgentFill, AgentOrder, FundingRate, Opening, Succession


class SimulatedFills:
    """Fills by the rules of `core.exchange`, from a window of bars and what is known of them."""

    def __init__(self, market: Market, environment: Environment, config: WorldConfig) -> None:
        self.market, self.environment, self.config = market, environment, config
        self.lot_btc = exchange.lot_quantity(config)

    def at_open(self, tick: int, orders: Sequence[AgentOrder]) -> Opening:
        """Fill at the open of ``tick``: margin, then the bar's volume, then spread and impact."""
        terms = exchange.terms_of(tick, self.market, self.environment, self.config)
        return Opening(terms.reference, [self._taken(order, terms) for order in orders])

    def funding(self, tick: int) -> FundingRate | None:
        """The window's own rate, at the open."""
        rate = self.market.funding[tick]
        return None if rate == 0.0 else FundingRate(self.market.open[tick], rate)

    def forced(self, tick: int, orders: Sequence[AgentOrder]) -> list[AgentFill]:
        """Close at the price where margin gave out, or at the open when the bar opened beyond it."""
        return [self._liquidated(tick, order) for order in orders]

    def flat(self, tick: int, orders: Sequence[AgentOrder]) -> list[AgentFill]:
        """Close at the close, with spread and impact."""
        market, environment, config = self.market, self.environment, self.config
        reference, fills = market.close[tick], []
        for order in orders:
            lots = float(abs(order.lots))
            impact = exchange.impact_fraction(
                lots * self.lot_btc, environment.volatility[tick], environment.mean_volume[tick], config
            )
            half_spread = 0.5 * environment.spread[tick]
            price = exchange.fill_price(reference, float(order.lots), half_spread, impact, config.tick_size)
            slippage = abs(price - reference) * lots * self.lot_btc
            fills.append(self._fill(order, lots, price, reference, config.taker_fee, impact, slippage))
        return fills

    def succession(self, tick: int, change: Succession) -> None:
        """The core's own accounts are all that there are."""

    def _taken(self, order: AgentOrder, terms: exchange.Terms) -> AgentFill:
        wanted, config = float(abs(order.lots)), self.config
        allowed = wanted
        if order.position == 0:
            allowed = min(wanted, exchange.largest_order(order.cash, terms.margin_per_lot))
        filled = min(allowed, terms.most_lots)
        if filled <= 0.0:
            return AgentFill(order.agent, int(allowed), 0, 0.0, terms.expected, 0.0, config.taker_fee, 0.0, 0.0)
        quantity = filled * self.lot_btc
        impact = exchange.impact_fraction(quantity, terms.volatility, terms.mean_volume, config)
        side = 1.0 if order.lots > 0 else -1.0
        price = exchange.fill_price(terms.reference, side, terms.half_spread, impact, config.tick_size)
        slippage = abs(price - terms.reference) * quantity
        return self._fill(order, filled, price, terms.expected, config.taker_fee, impact, slippage)._replace(
            allowed=int(allowed)
        )

    def _liquidated(self, tick: int, order: AgentOrder) -> AgentFill:
        config, position = self.config, float(order.position)
        limit = exchange.liquidation_price(
            order.cash, position, order.entry_price, self.lot_btc, config.maintenance_margin
        )
        opened = self.market.open[tick]
        price = max(min(limit, opened) if position > 0.0 else max(limit, opened), config.tick_size)
        return self._fill(order, abs(position), price, limit, config.liquidation_fee, 0.0, 0.0)

    def _fill(
        self, order: AgentOrder, lots: float, price: float, expected: float, fee_rate: float, impact: float,
        slippage: float,
    ) -> AgentFill:  # fmt: skip
        fee = lots * self.lot_btc * price * fee_rate
        return AgentFill(order.agent, abs(order.lots), int(lots), price, expected, fee, fee_rate, impact, slippage)
