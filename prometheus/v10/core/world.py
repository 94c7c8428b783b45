"""One experiment: a population of genomes in one window of bars, from the first tick to the last or to its collapse.

Time is the index of a bar. What happens at tick t, in this order, for every agent before the next thing begins:

    1. fills        orders decided at the close of t-1 fill at the open of t             exchange.fill_orders
    2. funding      positions pay or receive it, if t's bar holds a funding boundary     exchange.pay_funding
    3. marks        every position is marked at the bar's worst price for it,            exchange.liquidate
       liquidation  and closed where its margin gives out
    4. deaths       the liquidated and the depleted are removed: what they leave, and     capital.remove_agent
                    what they owe, goes to the reserve
    5. review       every review_ticks: flatten all, judge, remove, breed                lifecycle.judge
    6. collapse     nobody alive, or no reserve: the experiment ends here                lifecycle.collapse
    7. mark         equity at the close, the triplet, and the conservation check         capital.mark_to_market
    8. features     what is known at the close of t, and nothing later                   community.community,
                                                                                         features.own_features
    9. decision     both nets of every agent; orders for the open of t+1                 decision.signals, intents

After the last tick everything is settled at its close. Steps 1-3 and 7-9 are compiled loops over agents; 4-6 are rare
and happen between them. Nothing here reads a clock, a file, a mode or a name, and nothing calls out: the caller asks
for a number of ticks (`Experiment.step`) and looks at the arrays afterwards.

The same commit, config, seed and bars give the same bits on any machine, compiled or not, however the ticks are
grouped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prometheus.v10.core import capital, community, decision, exchange, features, fences, genome, lifecycle
from prometheus.v10.core.compiled import compiled
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.core.records import TOP_FENCES, Births, Deaths, Lives, Result, Reviews, TopFences, columns
from prometheus.v10.core.state import (
    DRIVE_TICKS,
    LANES,
    Agents,
    Array32,
    Array64,
    Books,
    Environment,
    IntArray,
    Market,
    OrderLog,
    Scratch,
    by_slot,
    carry_over,
    empty_agents,
    empty_books,
    empty_scratch,
    of_slots,
    order_log,
    padded,
)

WORLD_VERSION = "v10/world/1"
NO_MASK = np.ones(genome.FEATURES, dtype=np.float32)

# A tick fills, liquidates and flattens each agent at most once. The log of orders has room for LOG_TICKS such ticks and
# is emptied when another might not fit.
LOG_TICKS = 16
ORDERS_A_TICK = 3


@compiled
def open_tick(
    tick: int, market: Market, environment: Environment, agents: Agents, books: Books, scratch: Scratch, log: OrderLog,
    config: WorldConfig,
) -> int:  # fmt: skip
    """Steps 1-3; returns how many are dying."""
    books.tally[capital.DYING] = 0
    if tick > 0:
        exchange.fill_orders(tick, market, environment, agents, books, log, scratch, config)
    if market.funding[tick] != 0.0:
        exchange.pay_funding(market.open[tick], market.funding[tick], agents, books, exchange.lot_quantity(config))
    exchange.liquidate(tick, market, agents, books, log, scratch, config)
    return books.tally[capital.DYING]


@compiled
def close_tick(
    tick: int, market: Market, environment: Environment, agents: Agents, books: Books, scratch: Scratch, mask: Array32,
    config: WorldConfig,
) -> None:  # fmt: skip
    """Steps 7-9."""
    capital.mark_to_market(agents, books, market.close[tick], exchange.lot_quantity(config), tick)
    lifecycle.forget_old_deaths(books, tick, config.community_ticks)
    bar = features.bar_at(tick, market, environment, config)
    features.narrow_all(agents, bar)
    community.community(agents, books, scratch, config, mask)
    decision.decide(agents, books, scratch, bar, mask, config)
    decision.count_steps(books)
    books.tally[capital.AGENT_TICKS] += books.tally[capital.ALIVE]


@compiled
def advance(
    first: int, last: int, resume: bool, market: Market, environment: Environment, agents: Agents,  # noqa: FBT001
    books: Books, scratch: Scratch, log: OrderLog, mask: Array32, config: WorldConfig,
) -> tuple[int, bool]:  # fmt: skip
    """Run ticks ``first`` .. ``last`` - 1.

    Stops in the middle of a tick that has steps 4-6 to do, and before one whose orders might not fit the log.
    ``resume`` says that steps 1-6 of ``first`` are done. Returns the tick reached and whether it waits for steps 4-6.
    """
    fresh = True
    most_rows = log.ids.shape[0] - ORDERS_A_TICK * agents.trades.shape[0]
    for tick in range(first, last):
        if log.state[0] > most_rows:
            return tick, False
        if not (resume and tick == first):
            dying = open_tick(tick, market, environment, agents, books, scratch, log, config)
            if dying > 0 or lifecycle.review_due(tick, config):
                return tick, True
        if fresh or tick % DRIVE_TICKS == 0:
            next_block = (tick // DRIVE_TICKS + 1) * DRIVE_TICKS
            decision.environment_drive(environment.features, tick, min(next_block, market.close.shape[0]), agents.nets)
            fresh = False
        close_tick(tick, market, environment, agents, books, scratch, mask, config)
    return last, False


class Experiment:
    """One population over one window with one seed.

    Args:
        market: bars of the window; ``funding`` must hold no NaN (see ``exchange.funding_by_tick``).
        seed: keys every random draw together with the number of the birth.
        mask: (33,) of 0 and 1; ablated channels read 0.
        keep_orders_one_in: sample of plain orders to keep; eventful orders are always kept. 0 keeps only those.
        founding: genomes (count, 342) in place of the seed's own founders.
        environment: `features.environment` of this market, config and mask, where the caller has it from before.
    """

    def __init__(
        self,
        market: Market,
        config: WorldConfig,
        seed: int,
        *,
        mask: Array32 = NO_MASK,
        keep_orders_one_in: int = 0,
        founding: genome.Genomes | None = None,
        environment: Environment | None = None,
    ) -> None:
        self.market, self.config, self.seed, self.mask = market, config, seed, mask
        self.environment = features.environment(market, config, mask) if environment is None else environment
        self.total_ticks = len(market.close)
        self.tick = 0
        self.collapse, self.collapse_tick = lifecycle.NO_COLLAPSE, -1
        self.keep_orders_one_in = keep_orders_one_in
        self.genomes = list(genome.founders(seed, config.founders) if founding is None else founding)
        count = len(self.genomes)
        stake = config.initial_total * config.allocation_ratio / count
        self.parent, self.founder, self.birth_tick = [-1] * count, list(range(count)), [-1] * count
        self.initial_capital = [stake] * count
        self.books = empty_books(self.total_ticks, capital.MONEY_ROWS, capital.COUNT_ROWS)
        self.books.money[capital.INITIAL] = config.initial_total
        self.books.money[capital.RESERVE] = config.initial_total - stake * count
        self.books.money[capital.PEAK] = config.initial_total
        self.books.tally[capital.ALIVE] = count
        self.agents = empty_agents(padded(count))
        self._settle_in(self.agents, 0, range(count))
        self.scratch = empty_scratch(len(self.agents.trades))
        self.fence_at_review = self.books.fence.copy()
        self.death_rows: list[tuple[object, ...]] = []
        self.birth_rows: list[tuple[object, ...]] = []
        self.review_rows: list[tuple[object, ...]] = []
        self.final_figures: dict[int, tuple[object, ...]] = {}
        self.orders: list[tuple[IntArray, Array64]] = []
        self.log = order_log(0, keep_orders_one_in)

    @property
    def done(self) -> bool:
        """Whether the window is over or the experiment has collapsed."""
        return self.tick >= self.total_ticks or self.collapse != lifecycle.NO_COLLAPSE

    @property
    def alive(self) -> int:
        """Agents alive now."""
        return int(self.books.tally[capital.ALIVE])

    def figures(self) -> tuple[int, int, int, int, int]:
        """Where it stands: ticks done, agent-ticks, alive, deaths, births."""
        count = self.books.tally
        rows = (capital.AGENT_TICKS, capital.ALIVE, capital.DIED, capital.BORN)
        ticks = self.tick + (self.collapse != lifecycle.NO_COLLAPSE)
        return ticks, *(int(count[row]) for row in rows)  # type: ignore[return-value]

    def step(self, ticks: int) -> bool:
        """Run up to ``ticks`` more ticks; returns whether there is more to do. Grouping changes no result."""
        last = min(self.tick + ticks, self.total_ticks)
        resume = False
        while self.tick < last and not self.done:
            n = len(self.agents.trades)
            if len(self.log.ids) < LOG_TICKS * ORDERS_A_TICK * n:
                self.log = order_log(LOG_TICKS * ORDERS_A_TICK * n, self.keep_orders_one_in)
            self.tick, waiting = advance(
                self.tick, last, resume, self.market, self.environment, self.agents, self.books, self.scratch, self.log,
                self.mask, self.config,
            )  # fmt: skip
            resume = waiting
            if waiting:
                self._deaths_and_review()
            self._take_orders()
        return not self.done

    def top_fences(self) -> TopFences:
        """Row, blocks and attempts of the fences that blocked most since the last review; -1 where fewer blocked."""
        since = self.books.fence - self.fence_at_review
        blocks = since[:, fences.BLOCKS]
        order = [int(f) for f in np.argsort(-blocks, kind="stable")[:TOP_FENCES]]
        rows = tuple(f if blocks[f] > 0 else -1 for f in order)
        return rows, tuple(int(blocks[f]) for f in order), tuple(int(since[f, fences.ATTEMPTS]) for f in order)

    def result(self) -> Result:
        """Settle every position at the close of the last tick done, and hand over what the experiment leaves behind."""
        tick = self.tick if self.collapse != lifecycle.NO_COLLAPSE else self.tick - 1
        n = len(self.agents.trades)
        if tick >= 0:
            if len(self.log.ids) < n:
                self.log = order_log(n, self.keep_orders_one_in)
            exchange.flatten_all(
                tick, self.market, self.environment, self.agents, self.books, self.log, exchange.SETTLEMENT, self.config
            )
            self._take_orders()
            lot_btc = exchange.lot_quantity(self.config)
            capital.mark_to_market(self.agents, self.books, self.market.close[tick], lot_btc, tick)
        living = self._living()
        self._remember(living, -1, np.full(len(living), -1))
        ticks = tick + 1
        return Result(
            ticks, self.collapse, self.collapse_tick, self.books.money, self.books.tally, self.books.fence,
            self.books.total_by_tick[:ticks], self.books.deaths_by_tick[:ticks], self._lives(),
            Deaths(*columns(self.death_rows, (*[np.int64] * 6, *[np.float64] * 5, *[np.int64] * 3))),
            Births(*columns(self.birth_rows, (np.int64, np.int64, np.int64, np.float64, np.float64, np.int64))),
            Reviews(*columns(self.review_rows, (*[np.int64] * 4, *[np.float64] * 3, np.int64))),
            self.top_fences(),
            np.concatenate([ids for ids, _ in self.orders]) if self.orders else np.zeros((0, 5), np.int64),
            np.concatenate([values for _, values in self.orders]) if self.orders else np.zeros((0, 8)),
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------- steps 4 to 6

    def _deaths_and_review(self) -> None:
        """Steps 4-6 of the tick that `advance` stopped in."""
        self._remove_the_dead()
        if lifecycle.review_due(self.tick, self.config):
            self._review()
        kind = lifecycle.collapse(self.books)
        if kind != lifecycle.NO_COLLAPSE:
            self.collapse, self.collapse_tick = kind, self.tick

    def _remove_the_dead(self) -> None:
        top = self.top_fences()
        count = int(self.books.tally[capital.DYING])
        dead, reasons, agents = self.scratch.dying[:count], self.scratch.reason[:count], self.agents
        final = of_slots(agents.accounts["cash"], dead)
        figures = (
            agents.genome_index[dead], reasons, self.scratch.side[dead],
            self.tick - np.maximum(agents.birth_tick[dead], 0) + 1, agents.trades[dead], final,
            final / agents.birth_capital[dead] - 1.0, final / of_slots(agents.accounts["period_capital"], dead) - 1.0,
            of_slots(agents.nets["last_signal"], dead),
        )  # fmt: skip
        rows = list(zip(*(column.tolist() for column in figures), strict=True))
        self._remember(dead, self.tick, reasons)
        for slot in dead.tolist():
            capital.remove_agent(agents, self.books, slot)
        self.books.deaths_by_tick[self.tick] += count
        self.books.tally[capital.DYING] = 0
        lot_btc = exchange.lot_quantity(self.config)
        capital.mark_to_market(agents, self.books, self.market.close[self.tick], lot_btc, self.tick)
        triplet = tuple(self.books.money[[capital.ALLOCATED, capital.RESERVE, capital.TOTAL]].tolist())
        self.death_rows += [(self.tick, *row, triplet, *top) for row in rows]

    def _review(self) -> None:
        exchange.flatten_all(
            self.tick, self.market, self.environment, self.agents, self.books, self.log, exchange.REVIEW_FLATTEN,
            self.config,
        )  # fmt: skip
        living = self._living()
        accounts = self.agents.accounts
        rois = (by_slot(accounts["cash"]) / by_slot(accounts["period_capital"]) - 1.0)[living]
        idle = int(np.count_nonzero(self.agents.trades[living] == 0))
        verdicts = np.zeros(len(self.agents.trades), dtype=np.int64)
        born = lifecycle.judge(self.agents, self.books, self.scratch, verdicts, self.config)
        died = int(self.books.tally[capital.DYING])
        self._remove_the_dead()
        spread = (
            (float(rois.min()), float(np.sort(rois)[len(rois) // 2]), float(rois.max()))
            if len(rois)
            else (0.0, 0.0, 0.0)
        )
        self.review_rows.append((self.tick, len(living), died, born, *spread, idle))
        self._breed(np.flatnonzero(verdicts == lifecycle.BREEDS))
        self.fence_at_review = self.books.fence.copy()

    def _breed(self, parents: IntArray) -> None:
        """Births, and a fresh packing of the slots: survivors in order of birth, then children."""
        survivors = self._living()
        old = self.agents
        packed = empty_agents(padded(len(survivors) + len(parents)))
        births = [len(self.genomes) + k for k in range(len(parents))]
        lineage = [self.genomes[old.genome_index[slot]] for slot in parents]
        rate, scale = self.config.mutation_rate, self.config.mutation_scale
        newborn = list(genome.mutated(np.stack(lineage), self.seed, births, rate, scale)) if births else []
        for slot, child, before, new in zip(parents.tolist(), births, lineage, newborn, strict=True):
            roi = lifecycle.period_roi(old, slot)
            stake = float(lifecycle.split_capital(old, slot))
            parent = int(old.genome_index[slot])
            moved = int(np.count_nonzero(new != before))
            self.birth_rows.append((self.tick, parent, child, stake, float(roi), moved))
            self.genomes.append(new)
            self.parent.append(parent)
            self.founder.append(self.founder[parent])
            self.birth_tick.append(self.tick)
            self.initial_capital.append(stake)
        carry_over(old, packed, survivors)
        lifecycle.copy_genomes(old.nets, packed.nets, survivors)
        self._settle_in(packed, len(survivors), births)
        self.books.tally[capital.ALIVE] += len(births)
        self.books.tally[capital.BORN] += len(births)
        self.agents = packed
        self.scratch = empty_scratch(len(packed.trades))

    # ------------------------------------------------------------------------------------------- bookkeeping

    def _settle_in(self, agents: Agents, first: int, born: Sequence[int]) -> None:
        """Give slots from ``first`` to the newborn: flat, OUT_MARKET, with their stakes."""
        if not born:
            return
        slots, stakes = np.arange(first, first + len(born)), [self.initial_capital[index] for index in born]
        tiles, lanes = slots // LANES, slots % LANES
        for field in ("cash", "equity", "period_capital"):
            agents.accounts[field][tiles, lanes] = stakes
        agents.nets["alive"][tiles, lanes] = 1
        agents.nets["loci"][tiles, :, lanes] = [self.genomes[index] for index in born]
        agents.birth_capital[slots] = stakes
        agents.genome_index[slots] = born
        agents.birth_tick[slots] = [self.birth_tick[index] for index in born]

    def _living(self) -> IntArray:
        """Slots of the living, in order of birth."""
        return np.flatnonzero(by_slot(self.agents.nets["alive"]))

    def _remember(self, slots: IntArray, tick: int, reasons: IntArray) -> None:
        """Keep the final figures of lives before their slots are cleared."""
        a = self.agents
        columns_of = (
            reasons, of_slots(a.accounts["cash"], slots), a.trades[slots], a.wins[slots], a.costs[:, slots].T,
            of_slots(a.nets["last_signal"], slots),
        )  # fmt: skip
        rows = zip(*(column.tolist() for column in columns_of), strict=True)
        for index, row in zip(a.genome_index[slots].tolist(), rows, strict=True):
            self.final_figures[index] = (tick, *row)

    def _lives(self) -> Lives:
        figures = [self.final_figures[index] for index in range(len(self.genomes))]
        tick, reason, final, trades, wins, costs, signal = columns(
            figures, (np.int64, np.int64, np.float64, np.int64, np.int64, np.float64, np.float32)
        )
        return Lives(
            np.array(self.parent), np.array(self.founder), np.array(self.birth_tick), tick, reason,
            np.array(self.initial_capital), final, trades, wins, costs, signal, np.stack(self.genomes),
        )  # fmt: skip

    def _take_orders(self) -> None:
        used = int(self.log.state[0])
        if used:
            self.orders.append((self.log.ids[:used].copy(), self.log.values[:used].copy()))
        self.log.state[0] = 0
