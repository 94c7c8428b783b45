"""One experiment: a population of genomes in one window of bars, from the first tick to the last or to its collapse.

Time is the index of a bar. What happens at tick t, in this order, for every agent before the next thing begins:

    1. fills        orders decided at the close of t-1 fill at the open of t             exchange.fill_orders
    2. funding      positions pay or receive it, if t's bar holds a funding boundary     exchange.pay_funding
    3. marks        every position is marked at the bar's worst price for it,            exchange.liquidate
       liquidation  and closed where its margin gives out
    4. deaths       the liquidated and the depleted are buried: what they leave, and     capital.bury
                    what they owe, goes to the reserve
    5. review       every review_ticks: flatten all, judge, bury, breed                  lifecycle.judge
    6. collapse     nobody alive, or no reserve: the experiment ends here                lifecycle.collapse
    7. mark         equity at the close, the triplet, and the conservation check         capital.mark_to_market
    8. features     what is known at the close of t, and nothing later                   features.own_features,
       community
    9. decision     both nets of every agent; orders for the open of t+1                 decision.signals, intents

After the last tick everything is settled at its close. Steps 1-3 and 7-9 are compiled loops over agents; 4-6 are rare
and happen between them. Nothing here reads a clock, a file, a mode or a name, and nothing calls out: the caller asks
for a number of ticks (`Experiment.step`) and looks at the arrays afterwards.

The same commit, config, seed and bars give the same bits on any machine, compiled or not, however the ticks are
grouped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prometheus.v10.core import capital, decision, exchange, features, fences, genome, lifecycle
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
    empty_agents,
    empty_books,
    empty_scratch,
    order_log,
    padded,
)

WORLD_VERSION = "v10/world/1"
NO_MASK = np.ones(genome.FEATURES, dtype=np.float32)

# The log of orders is emptied every LOG_TICKS; a tick fills, liquidates and flattens each agent at most once.
LOG_TICKS = 64  # a multiple of DRIVE_TICKS, so that no drive is computed twice
ORDERS_A_TICK = 3


@compiled
def open_tick(
    tick: int, market: Market, environment: Environment, agents: Agents, books: Books, scratch: Scratch, log: OrderLog,
    n: int, config: WorldConfig,
) -> int:  # fmt: skip
    """Steps 1-3; returns how many are dying."""
    books.tally[capital.DYING] = 0
    if tick > 0:
        exchange.fill_orders(tick, market, environment, agents, books, log, scratch, config)
    if market.funding[tick] != 0.0:
        exchange.pay_funding(market.open[tick], market.funding[tick], agents, books, n, exchange.lot_quantity(config))
    exchange.liquidate(tick, market, agents, books, log, scratch, n, config)
    return books.tally[capital.DYING]


@compiled
def close_tick(
    tick: int, market: Market, environment: Environment, agents: Agents, books: Books, scratch: Scratch, n: int,
    mask: Array32, config: WorldConfig,
) -> None:  # fmt: skip
    """Steps 7-9."""
    capital.mark_to_market(agents, books, n, market.close[tick], exchange.lot_quantity(config), tick)
    lifecycle.forget_old_deaths(books, tick, config.community_ticks)
    features.community(agents, books, scratch, n, config, mask)
    features.own_features(tick, market, environment, agents, books, scratch.own, n, config, mask)
    decision.signals(scratch, tick % DRIVE_TICKS, agents.nets)
    decision.intents(agents, books, scratch, n, market.close[tick], config)
    decision.count_steps(books)
    books.tally[capital.AGENT_TICKS] += books.tally[capital.ALIVE]


@compiled
def advance(
    first: int, last: int, resume: bool, market: Market, environment: Environment, agents: Agents,  # noqa: FBT001
    books: Books, scratch: Scratch, log: OrderLog, n: int, mask: Array32, config: WorldConfig,
) -> tuple[int, bool]:  # fmt: skip
    """Run ticks ``first`` .. ``last`` - 1; stop in the middle of a tick that has steps 4-6 to do.

    ``resume`` says that steps 1-6 of ``first`` are done. Returns the tick reached and whether it waits for steps 4-6.
    """
    fresh = True
    for tick in range(first, last):
        if not (resume and tick == first):
            dying = open_tick(tick, market, environment, agents, books, scratch, log, n, config)
            if dying > 0 or lifecycle.review_due(tick, config):
                return tick, True
        ahead = tick % DRIVE_TICKS
        if fresh or ahead == 0:
            start = tick - ahead
            ticks = min(DRIVE_TICKS, environment.features.shape[0] - start)
            decision.environment_drive(environment.features, start, ticks, agents.nets)
            fresh = False
        close_tick(tick, market, environment, agents, books, scratch, n, mask, config)
    return last, False


class Experiment:
    """One population over one window with one seed.

    Args:
        market: bars of the window; ``funding`` must hold no NaN (see ``exchange.funding_by_tick``).
        seed: keys every random draw together with the number of the birth.
        mask: (33,) of 0 and 1; ablated channels read 0.
        keep_orders_one_in: sample of plain orders to keep; eventful orders are always kept. 0 keeps only those.
        founding: genomes (count, 342) in place of the seed's own founders.
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
    ) -> None:
        self.market, self.config, self.seed, self.mask = market, config, seed, mask
        self.environment = features.environment(market, config, mask)
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
        for slot in range(count):
            self._settle_in(self.agents, slot, slot, stake)
        self.scratch = empty_scratch(len(self.agents.cash))
        self.fence_at_review = self.books.fence.copy()
        self.death_rows: list[tuple[object, ...]] = []
        self.birth_rows: list[tuple[object, ...]] = []
        self.review_rows: list[tuple[object, ...]] = []
        self.last_words: dict[int, tuple[object, ...]] = {}
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
            n = len(self.agents.cash)
            if len(self.log.ids) < LOG_TICKS * ORDERS_A_TICK * n:
                self.log = order_log(LOG_TICKS * ORDERS_A_TICK * n, self.keep_orders_one_in)
            end = min(last, (self.tick // LOG_TICKS + 1) * LOG_TICKS)
            self.tick, waiting = advance(
                self.tick, end, resume, self.market, self.environment, self.agents, self.books, self.scratch, self.log,
                n, self.mask, self.config,
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
        n = len(self.agents.cash)
        if tick >= 0:
            if len(self.log.ids) < n:
                self.log = order_log(n, self.keep_orders_one_in)
            exchange.flatten_all(
                tick,
                self.market,
                self.environment,
                self.agents,
                self.books,
                self.log,
                n,
                exchange.SETTLEMENT,
                self.config,
            )
            self._take_orders()
            lot_btc = exchange.lot_quantity(self.config)
            capital.mark_to_market(self.agents, self.books, n, self.market.close[tick], lot_btc, tick)
        for slot in np.flatnonzero(self.agents.alive):
            self._remember(int(slot), -1, -1)
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
        self._bury_the_dying()
        if lifecycle.review_due(self.tick, self.config):
            self._review()
        kind = lifecycle.collapse(self.books)
        if kind != lifecycle.NO_COLLAPSE:
            self.collapse, self.collapse_tick = kind, self.tick

    def _bury_the_dying(self) -> None:
        top = self.top_fences()
        count = int(self.books.tally[capital.DYING])
        before = len(self.death_rows)
        for slot, reason in zip(self.scratch.dying[:count].tolist(), self.scratch.reason[:count].tolist(), strict=True):
            agents, index = self.agents, int(self.agents.genome_index[slot])
            final = float(agents.cash[slot])
            born = max(int(agents.birth_tick[slot]), 0)
            self._remember(slot, self.tick, reason)
            self.death_rows.append((
                self.tick, index, reason, int(self.scratch.side[slot]), self.tick - born + 1, int(agents.trades[slot]),
                final, final / float(agents.birth_capital[slot]) - 1.0, final / float(agents.period_capital[slot]) -
                1.0, float(agents.last_signal[slot]), (), *top,
            ))  # fmt: skip
            capital.bury(agents, self.books, slot)
        self.books.deaths_by_tick[self.tick] += count
        self.books.tally[capital.DYING] = 0
        lot_btc = exchange.lot_quantity(self.config)
        capital.mark_to_market(
            self.agents, self.books, len(self.agents.cash), self.market.close[self.tick], lot_btc, self.tick
        )
        money = self.books.money
        triplet = (float(money[capital.ALLOCATED]), float(money[capital.RESERVE]), float(money[capital.TOTAL]))
        self.death_rows[before:] = [(*row[:10], triplet, *row[11:]) for row in self.death_rows[before:]]

    def _review(self) -> None:
        n = len(self.agents.cash)
        exchange.flatten_all(
            self.tick,
            self.market,
            self.environment,
            self.agents,
            self.books,
            self.log,
            n,
            exchange.REVIEW_FLATTEN,
            self.config,
        )
        living = np.flatnonzero(self.agents.alive)
        rois = self.agents.cash[living] / self.agents.period_capital[living] - 1.0
        idle = int(np.count_nonzero(self.agents.trades[living] == 0))
        verdicts = np.zeros(n, dtype=np.int64)
        born = lifecycle.judge(self.agents, self.books, self.scratch, verdicts, n, self.config)
        died = int(self.books.tally[capital.DYING])
        self._bury_the_dying()
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
        survivors = np.flatnonzero(self.agents.alive)
        old = self.agents
        packed = empty_agents(padded(len(survivors) + len(parents)))
        births = [len(self.genomes) + k for k in range(len(parents))]
        lineage = [self.genomes[old.genome_index[slot]] for slot in parents]
        rate, scale = self.config.mutation_rate, self.config.mutation_scale
        newborn = list(genome.mutated(np.stack(lineage), self.seed, births, rate, scale)) if births else []
        children = []
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
            children.append((child, stake))
        columns_of: Any = zip(old[:-1], packed[:-1], strict=True)  # all but the nets, which follow by genome
        for was, now in columns_of:
            now[..., : len(survivors)] = was[..., survivors]
        for place, index in enumerate(packed.genome_index[: len(survivors)].tolist()):
            self._give_genome(packed, place, index)
        for place, (child, stake) in enumerate(children, start=len(survivors)):
            self._settle_in(packed, place, child, stake)
        self.books.tally[capital.ALIVE] += len(children)
        self.books.tally[capital.BORN] += len(children)
        self.agents = packed
        self.scratch = empty_scratch(len(packed.cash))

    # ------------------------------------------------------------------------------------------- bookkeeping

    def _settle_in(self, agents: Agents, slot: int, index: int, stake: float) -> None:
        """Give a slot to a newborn: flat, OUT_MARKET, with its stake."""
        agents.cash[slot] = agents.equity[slot] = agents.period_capital[slot] = agents.birth_capital[slot] = stake
        agents.alive[slot] = 1
        agents.genome_index[slot] = index
        agents.birth_tick[slot] = self.birth_tick[index]
        self._give_genome(agents, slot, index)

    def _give_genome(self, agents: Agents, slot: int, index: int) -> None:
        """Copy a genome to its place among the nets."""
        agents.nets["loci"][slot // LANES, :, slot % LANES] = self.genomes[index]

    def _remember(self, slot: int, tick: int, reason: int) -> None:
        """Keep a life's final figures before its slot is silenced."""
        a = self.agents
        self.last_words[int(a.genome_index[slot])] = (
            tick, reason, float(a.cash[slot]), int(a.trades[slot]), int(a.wins[slot]), tuple(a.costs[:, slot].tolist()),
            float(a.last_signal[slot]),
        )  # fmt: skip

    def _lives(self) -> Lives:
        words = [self.last_words[index] for index in range(len(self.genomes))]
        tick, reason, final, trades, wins, costs, signal = columns(
            words, (np.int64, np.int64, np.float64, np.int64, np.int64, np.float64, np.float32)
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
