"""One population of the frozen core, stepped with fills that come from outside.

What happens at a tick is what stands at the head of `core.world`, in the same order and by the core's own functions,
but for one thing: where the core fills, a `Fills` says what was filled, and `fill_booking` writes it down. Funding is
paid by `exchange.pay_funding`; whose margin gave out is found by `exchange.margins_hold`; deaths, reviews, births and
collapse are `Experiment`'s own steps 4 to 6; `world.close_tick` marks, looks and decides.

The experiment within is the core's and stays so: nothing of it is replaced, and a session only calls its functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prometheus.v10.base.errors import ExchangeError
from prometheus.v10.core import capital, decision, exchange, lifecycle
from prometheus.v10.core.records import Result
from prometheus.v10.core.state import Array64, IntArray, by_slot, of_slots, order_log
from prometheus.v10.core.world import ORDERS_A_TICK, Experiment, close_tick
from prometheus.v10.execution.session import fill_booking
from prometheus.v10.execution.session.fills_port import AgentFill, AgentOrder, Fills, Succession


class WorldSession:
    """An experiment whose orders are filled by ``fills``.

    Args:
        experiment: a new one, of which no tick is done. From here on only the session steps it.
        fills: who fills.

    Raises:
        ValueError: when a tick of the experiment is done.
    """

    def __init__(self, experiment: Experiment, fills: Fills) -> None:
        if experiment.tick != 0:
            raise ValueError(f"a session begins with a new experiment, not with one at tick {experiment.tick}")
        self.experiment, self.fills = experiment, fills
        self._opened = False

    @property
    def done(self) -> bool:
        """Whether the window is over or the experiment has collapsed."""
        return self.experiment.done

    def step(self) -> bool:
        """Run one tick; returns whether there is more to do.

        Raises:
            ExchangeError: when a fill does not answer its order, or a forced close is not whole. What the fills raise
                comes through; the tick is then not done and the session is not to be stepped again.
        """
        if self.done:
            return False
        self.open_bar()
        return self.close_bar()

    def open_bar(self) -> None:
        """Step 1 of the next tick: what was decided at the last close is filled. Needs nothing of the tick's bar.

        Raises:
            ExchangeError: as `step`.
            ValueError: when the tick was opened before, or there is none.
        """
        world, tick = self.experiment, self.experiment.tick
        if self._opened or self.done:
            raise ValueError(f"tick {tick} cannot be opened: it is open, or the session is done")
        self._room_for(ORDERS_A_TICK * len(world.agents.trades))
        world.books.tally[capital.DYING] = 0
        if tick > 0:
            orders = self.wishes()
            slots = self._slots(orders)
            opening = self.fills.at_open(tick, orders)
            fill_booking.book_openings(
                _batch(tick, slots, orders, opening.fills, whole=False),
                exchange.lot_margin(opening.reference, world.config),
                world.agents,
                world.books,
                world.scratch,
                world.log,
                world.config,
            )
        self._opened = True

    def close_bar(self) -> bool:
        """Steps 2 to 9 of the tick that is open, when its bar is complete; returns whether there is more to do.

        Raises:
            ExchangeError: as `step`.
            ValueError: when the tick was not opened.
        """
        world, tick = self.experiment, self.experiment.tick
        if not self._opened:
            raise ValueError(f"tick {tick} cannot be closed before it is opened")
        if (funding := self.fills.funding(tick)) is not None:
            lot_btc = exchange.lot_quantity(world.config)
            exchange.pay_funding(funding.price, funding.rate, world.agents, world.books, lot_btc)
        self._liquidate(tick)
        if world.books.tally[capital.DYING] > 0 or lifecycle.review_due(tick, world.config):
            self._deaths_and_review(tick)
        world._take_orders()  # noqa: SLF001
        self._opened = False
        if world.collapse == lifecycle.NO_COLLAPSE:
            decision.environment_drive(world.environment.features, tick, tick + 1, world.agents.nets)
            close_tick(
                tick, world.market, world.environment, world.agents, world.books, world.scratch, world.mask,
                world.config,
            )  # fmt: skip
            world.tick = tick + 1
        return not self.done

    def wishes(self) -> list[AgentOrder]:
        """What the agents want at the next open, as decided at the last close; in the order of their slots."""
        world = self.experiment
        count = int(world.books.tally[capital.OPEN_ORDERS])
        slots = world.scratch.ordering[:count]
        wanted = of_slots(world.agents.accounts["order"], slots)
        slots = slots[wanted != 0.0]  # a review withdraws orders
        held = of_slots(world.agents.accounts["position"], slots)
        kinds = np.where(held == 0.0, exchange.ENTRY, exchange.EXIT)
        return self._orders(slots, kinds, wanted[wanted != 0.0])

    def result(self) -> Result:
        """Settle every position at the close of the last tick done, and hand over what the experiment leaves behind.

        Raises:
            ExchangeError: when a position is not closed whole.
        """
        world = self.experiment
        tick = world.tick if world.collapse != lifecycle.NO_COLLAPSE else world.tick - 1
        if tick >= 0:
            self._room_for(len(world.agents.trades))
            self._flatten(tick, exchange.SETTLEMENT)
        return world.result()

    # ------------------------------------------------------------------------------------------------ step 3

    def _liquidate(self, tick: int) -> None:
        world = self.experiment
        lot_btc, maintenance = exchange.lot_quantity(world.config), world.config.maintenance_margin
        if exchange.margins_hold(world.market.low[tick], world.market.high[tick], world.agents, lot_btc, maintenance):
            return
        slots = np.flatnonzero(by_slot(world.agents.accounts["margin"]) <= 0.0)
        orders = self._closing(slots, exchange.LIQUIDATION)
        batch = _batch(tick, slots, orders, self.fills.forced(tick, orders), whole=True)
        fill_booking.book_forced(batch, world.agents, world.books, world.scratch, world.log, world.config)

    # ------------------------------------------------------------------------------------------------ steps 4 to 6

    def _deaths_and_review(self, tick: int) -> None:
        """`Experiment`'s own steps, with the positions closed before its review would close them by itself."""
        world = self.experiment
        died, born = len(world.death_rows), len(world.birth_rows)
        world._remove_the_dead()  # noqa: SLF001
        if lifecycle.review_due(tick, world.config):
            self._flatten(tick, exchange.REVIEW_FLATTEN)
            world._review()  # noqa: SLF001
        dead = [int(row[1]) for row in world.death_rows[died:]]  # type: ignore[call-overload]
        births = [tuple(row[1:4]) for row in world.birth_rows[born:]]
        self.fills.succession(tick, Succession(dead, births))  # type: ignore[arg-type]
        kind = lifecycle.collapse(world.books)
        if kind != lifecycle.NO_COLLAPSE:
            world.collapse, world.collapse_tick = kind, tick

    def _flatten(self, tick: int, kind: int) -> None:
        world = self.experiment
        world.agents.accounts["order"] = 0.0
        slots = np.flatnonzero(by_slot(world.agents.accounts["position"]))
        if len(slots):
            orders = self._closing(slots, kind)
            batch = _batch(tick, slots, orders, self.fills.flat(tick, orders), whole=True)
            fill_booking.book_flat(batch, world.agents, world.books, world.log, world.config)

    # ------------------------------------------------------------------------------------------------- bookkeeping

    def _room_for(self, rows: int) -> None:
        """Let the log of orders have room for ``rows`` more."""
        world = self.experiment
        if len(world.log.ids) < rows:
            world.log = order_log(rows, world.keep_orders_one_in)

    def _closing(self, slots: IntArray, kind: int) -> list[AgentOrder]:
        held = of_slots(self.experiment.agents.accounts["position"], slots)
        return self._orders(slots, np.full(len(slots), kind), -held)

    def _orders(self, slots: IntArray, kinds: IntArray, lots: Array64) -> list[AgentOrder]:
        agents = self.experiment.agents
        columns = (
            agents.genome_index[slots], kinds, lots.astype(np.int64),
            of_slots(agents.accounts["position"], slots).astype(np.int64), of_slots(agents.accounts["cash"], slots),
            of_slots(agents.accounts["entry_price"], slots),
        )  # fmt: skip
        return [AgentOrder(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _slots(self, orders: Sequence[AgentOrder]) -> IntArray:
        index = self.experiment.agents.genome_index
        alive = self.experiment._living()  # noqa: SLF001
        place = dict(zip(index[alive].tolist(), alive.tolist(), strict=True))
        return np.array([place[order.agent] for order in orders], dtype=np.int64)


def _batch(
    tick: int, slots: IntArray, orders: Sequence[AgentOrder], fills: Sequence[AgentFill], *, whole: bool
) -> fill_booking.Batch:
    """Orders and their fills as `fill_booking` takes them.

    Raises:
        ExchangeError: when they do not belong together.
    """
    if [order.agent for order in orders] != [fill.agent for fill in fills]:
        raise ExchangeError(
            f"{len(fills)} fills came for {len(orders)} orders, or for other agents",
            hint="the fills of a bar are to name every agent that ordered, once, in its order",
        )
    for order, fill in zip(orders, fills, strict=True):
        wanted = abs(order.lots)
        if not 0 <= fill.filled <= fill.allowed <= wanted or (whole and fill.filled != wanted):
            raise ExchangeError(
                f"agent {order.agent} ordered {order.lots} lots and is told {fill.filled} of {fill.allowed}",
                hint="a forced close is whole, and no order gets more than it asked for",
            )
    who = np.zeros((len(orders), 2), dtype=np.int64)
    told = np.zeros((len(orders), fill_booking.COLUMNS))
    who[:, fill_booking.SLOT] = slots
    if orders:
        who[:, fill_booking.KIND] = [order.kind for order in orders]
        told[:, fill_booking.ORDERED] = [order.lots for order in orders]
        told[:, fill_booking.ALLOWED :] = [fill[1:] for fill in fills]
    return fill_booking.Batch(tick, who, told)
