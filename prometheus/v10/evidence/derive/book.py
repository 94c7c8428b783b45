"""The book of one experiment: every birth, death and survivor in the order of time, and what follows from them.

The core removes the dead in groups: at one tick first those whom the exchange took, then, at a review, those whom the
review judged; births close a review. The reserve takes what each leaves, one by one in that order, so its chain is
exact.
Standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from operator import attrgetter
from typing import TypeVar

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.derive.asserted import BIRTH, DEATH, SURVIVOR, Born, Died, Kind, Survived, misfit
from prometheus.v10.evidence.derive.lines import FLAT_SIDE, NOBODY, Frame, Life
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.derive.shares import Shares
from prometheus.v10.evidence.derive.streams import as_bytes
from prometheus.v10.evidence.derive.typed import differing, plain_json
from prometheus.v10.evidence.pools.handed import handed

Say = Callable[[str, int, str], None]
"""Called with the name of a file, the number of the line in the experiment's part of it, and what is wrong."""

T = TypeVar("T")
MOST = 1 << 24
"""More agents than this in one experiment are refused: no run has a thousandth of it."""


@dataclass
class Totals:
    """What an experiment came to, as far as lives tell."""

    reasons: Counter[str] = field(default_factory=Counter)
    reviewed: int = 0
    births: int = 0
    deaths: int = 0
    in_pool: int = 0
    collapse: tuple[str, int] | None = None
    agent_ticks: int = 0
    whole: bool = True


class Book:
    """One experiment's lives. Columns are indexed by genome_index, the order of birth."""

    def __init__(self, setting: Setting, experiment: int, say: Say) -> None:
        self.setting, self.experiment, self.say = setting, experiment, say
        self.frame = Frame(setting.run_id, experiment, setting.seeds[experiment], setting.arm)
        count = setting.founders
        self.parent: list[int] = [-1] * count
        self.founder = list(range(count))
        self.parents = [NOBODY] * count
        self.names = [f"{self.frame.agent}{agent:06d}" for agent in range(count)]
        self._known = {name: agent for agent, name in enumerate(self.names)}
        self.born = [-1] * count
        self.initial = [setting.stake] * count
        self.period = [setting.stake] * count
        self._initial_spelt = [repr(setting.stake)] * count
        self._period_spelt = self._initial_spelt.copy()
        self.sha256: list[str | None] = [None] * count
        self.death_tick = [-1] * count
        self.final: list[float] = [0.0] * count
        self.trades = [0] * count
        self.costs: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)] * count
        self.alive = count
        self.reserve = setting.reserve
        self.totals = Totals()
        self.shares = Shares()
        self.last_tick = -1
        self.lowest_total = setting.initial_total
        self.drawdown = 0.0
        self.peak = setting.initial_total
        self.survivors: list[int] = []
        self.deaths: list[tuple[int, int, bool, int]] = []  # tick, agent, by review, trades: in order of their lines
        self.birth_ticks: list[int] = []
        self.liquidated: dict[int, tuple[int, str]] = {}

    # ---- births and deaths

    def live(self, births: Sequence[str], deaths: Sequence[str]) -> None:
        """Take in the experiment's births and deaths, which are in the order of their files."""
        born = self._read(Artifact.BIRTHS, births, BIRTH)
        died = self._read(Artifact.DEATHS, deaths, DEATH)
        if born is None or died is None or len(born) + len(self.parent) > MOST:
            self.totals.whole = False
            return
        batches = {tick: list(rows) for tick, rows in groupby(born, key=attrgetter("tick"))}
        groups: dict[int, list[list[Died]]] = {}
        for (tick, _), rows in groupby(died, key=attrgetter("tick", "judged")):
            groups.setdefault(tick, []).append(list(rows))
        self._in_order(Artifact.BIRTHS, born)
        self._in_order(Artifact.DEATHS, died)
        before = 0
        review = self.setting.review_ticks
        for tick in sorted(batches.keys() | groups.keys()):
            self._skip_reviews(before, tick)
            before = tick + 1
            self._tick(tick, groups.get(tick, []), batches.get(tick, []), (tick + 1) % review == 0)
        self._reviewed_to = before

    _reviewed_to = 0

    def _skip_reviews(self, first: int, end: int) -> None:
        """Reviews in the ticks from ``first`` to ``end`` - 1, at which nobody died and nobody was born."""
        review = self.setting.review_ticks
        self.totals.reviewed += (end // review - first // review) * self.alive
        if end // review > first // review:
            self.shares.forget()

    def _tick(
        self, tick: int, groups: list[list[Died]], batch: list[Born],
        due: bool,  # noqa: FBT001
    ) -> None:  # fmt: skip
        line = groups[0][0].number if groups else batch[0].number
        where = Artifact.DEATHS if groups else Artifact.BIRTHS
        if self.totals.collapse is not None:
            self.say(where, line, f"tick {tick} lies behind the collapse at tick {self.totals.collapse[1]}")
        if not 0 <= tick < self.setting.ticks:
            self.say(where, line, f"tick {tick} is outside the window of {self.setting.ticks} ticks")
        by_review = [rows[0].judged for rows in groups]
        if by_review not in ([], [False], [True], [False, True]):
            self.say(where, line, f"tick {tick}: what a review judged is removed after all others, in one go")
        if (True in by_review or batch) and not due:
            self.say(where, line, f"there is no review at tick {tick}")
        reviewed = 0
        for rows, judged in zip(groups, by_review, strict=True):
            if judged:
                reviewed = self.alive
                self.totals.reviewed += reviewed
            self._bury(tick, rows, reviewed)
        if due and True not in by_review:
            self.totals.reviewed += self.alive
        if batch:
            self._breed(tick, batch)
        if due:
            self.shares.forget()
        extinct, broke = self.alive == 0, self.reserve <= 0.0
        if (extinct or broke) and self.totals.collapse is None:
            self.totals.collapse = ("both" if extinct and broke else "extinction" if extinct else "financial", tick)

    def _bury(self, tick: int, rows: list[Died], reviewed: int) -> None:
        """One group: who they were, what they leave, and the text of their lines."""
        reserve, good = self.reserve, []
        born, ticks = self.born, 0
        for row in rows:
            if (wrong := self._wrong_death(row)) is not None:
                self.say(Artifact.DEATHS, row.number, wrong)
                self.totals.whole = False
                continue
            agent, final, trades = row.agent, row.final, row.trades
            reserve += final
            self.death_tick[agent] = tick
            self.final[agent] = final
            self.trades[agent] = trades
            self.costs[agent] = row.fees, row.funding, row.slippage
            ticks += tick - max(born[agent], 0)
            self.deaths.append((tick, agent, row.judged, trades))
            if row.reason == "liquidation":
                self.liquidated[agent] = tick, row.side.strip('"')
            good.append(row)
        self.reserve = reserve
        self.alive -= len(good)
        self.totals.deaths += len(good)
        self.totals.agent_ticks += ticks
        if not good:
            return
        reasons = Counter([row.reason for row in good])
        self.totals.reasons.update(reasons)
        self.shares.died(reasons)
        self._check_order(good)
        first = good[0]
        text, wrong = self.shares.text(plain_json(first.fences), reviewed)
        if wrong is not None:
            self.say(Artifact.DEATHS, first.number, f"fence_block_rate_summary: {wrong}")
        allocated = first.allocated if self.alive else 0.0
        self._drawn(allocated + reserve)
        close = self.setting.time.close(tick, first.ts_utc)
        together = {reason: self.frame.together(allocated, reserve, reason) for reason in reasons}
        spelt = self.frame.deaths(good, [self._life_of_dead(row) for row in good], close, together, text)
        spared = self.setting.death_roi
        for row, derived in zip(good, spelt, strict=True):
            if derived != row.text:
                self.say(Artifact.DEATHS, row.number, _difference(row.text, derived))
            if row.judged and not (roi := row.final / self.period[row.agent] - 1.0) < spared:
                what = f"roi_period {roi!r} is not below death_roi: a review spares it"
                self.say(Artifact.DEATHS, row.number, what)

    def _life_of_dead(self, row: Died) -> Life:
        _, _, tick, _, agent, _, _, _, _, final, _, said, _, _, _, _, _, _ = row
        initial, period, born = self.initial[agent], self.period[agent], self.born[agent]
        roi = repr(final / period - 1.0)
        return (
            self.names[agent], self.parents[agent], "", tick - (born if born > 0 else 0) + 1, born,
            self._initial_spelt[agent], roi if period == initial else repr(final / initial - 1.0), roi,
            self.sha256[agent] or self._genome(agent, said),
        )  # fmt: skip

    def _check_order(self, good: list[Died]) -> None:
        """Within a group the depleted come first, then the liquidated; these and the reviewed by order of birth."""
        kinds = [row.reason != "capital_depleted" for row in good]
        agents = [row.agent for row in good if row.reason != "capital_depleted"]
        if agents != sorted(agents) or kinds != sorted(kinds):
            what = "those who died together are not in the order in which they lived"
            self.say(Artifact.DEATHS, good[0].number, what)

    def _wrong_death(self, row: Died) -> str | None:  # noqa: PLR0911  (a list of rules)
        """What keeps a death from being taken in; None where its figures can be used."""
        agent = row.agent
        if agent >= len(self.parent):
            return "genome_index names nobody who was born by then"
        if self.death_tick[agent] >= 0:
            return f"agent {agent} died at tick {self.death_tick[agent]} already"
        if self.born[agent] >= row.tick and self.born[agent] >= 0:
            return f"agent {agent} was born at tick {self.born[agent]}: it cannot have died at tick {row.tick}"
        if (odd := _wrong_money(row)) is not None:
            return odd
        if not (-1.0 <= row.signal <= 1.0 and abs(row.allocated) < inf):
            return "last_signal is outside [-1, 1], or the allocated capital is not finite"
        if (row.reason == "liquidation") is (row.side == FLAT_SIDE):
            return f"position_side is {row.side} at a death by {row.reason}"
        return None

    def _breed(self, tick: int, rows: list[Born]) -> None:
        """What a review lets breed: each child takes its capital from its parent."""
        close = ""
        least, spelt, names = self.setting.breed_roi, self.frame.birth, self.names
        for row in rows:
            number, text, _, parent_id, sha256, parent_sha256, mutated, stake, ts_utc = row
            agent, parent = len(self.parent), self._known.get(parent_id)
            if parent is None:
                parent = self._index(parent_id)
            if (wrong := self._wrong_birth(row, parent)) is not None or parent is None:
                self.say(Artifact.BIRTHS, number, str(wrong))
                self.totals.whole = False
                continue
            roi = 2.0 * stake / self.period[parent] - 1.0
            if not roi >= least:
                what = f"the parent's return {roi!r} is below breed_roi: it does not breed"
                self.say(Artifact.BIRTHS, number, what)
            if (sha256 == parent_sha256) is not (mutated == 0):
                self.say(Artifact.BIRTHS, number, f"{mutated} loci mutated, which the hashes contradict")
            close = close or self.setting.time.close(tick, ts_utc)
            founder, initial, name = self.founder[parent], repr(stake), f"{self.frame.agent}{agent:06d}"
            spelt_parent = f'"{names[parent]}"'
            life: Life = (name, spelt_parent, names[founder], 0, tick, initial, "", repr(roi), sha256)
            genome = self.sha256[parent] or self._genome(parent, parent_sha256)
            derived = spelt(row, close, agent, life, genome)
            if derived != text:
                self.say(Artifact.BIRTHS, number, _difference(text, derived))
            self.period[parent], self._period_spelt[parent] = stake, initial
            self._known[name] = agent
            names.append(name)
            self.parents.append(spelt_parent)
            self.parent.append(parent)
            self.founder.append(founder)
            self.born.append(tick)
            self.initial.append(stake)
            self.period.append(stake)
            self._initial_spelt.append(initial)
            self._period_spelt.append(initial)
            self.sha256.append(sha256)
            self.death_tick.append(-1)
            self.final.append(0.0)
            self.trades.append(0)
            self.costs.append((0.0, 0.0, 0.0))
            self.birth_ticks.append(tick)
            self.alive += 1
            self.totals.births += 1

    def _wrong_birth(self, row: Born, parent: int | None) -> str | None:
        """What keeps a birth from being taken in; None where its figures can be used."""
        if parent is None or parent >= len(self.parent):
            return "parent_id names nobody who was born by then"
        if self.death_tick[parent] >= 0:
            return f"its parent died at tick {self.death_tick[parent]}"
        if self.born[parent] >= row.tick:
            return "its parent was born at the same review"
        if row.mutated > 342:
            return "mutated_loci is no count of at most 342 loci"
        return None if 0.0 < row.initial < inf else "initial_capital is not finite, or not positive"

    # ---- the end

    def survive(self, lines: Sequence[str], ticks: int, *, completed: bool) -> None:
        """Take in those who live at the end, in order of genome_index.

        Args:
            lines: the experiment's part of the file.
            ticks: that the experiment lived.
            completed: whether it came to its end; what a stop cut hands nobody to the pool.
        """
        last = ticks - 1
        living = [agent for agent, tick in enumerate(self.death_tick) if tick < 0]
        rows = self._read(Artifact.SURVIVORS, lines, SURVIVOR)
        if rows is None:
            self.totals.whole = False
            return
        found = [row.agent for row in rows]
        if found != living:
            self.say(
                Artifact.SURVIVORS, 0, f"experiment {self.experiment}: {len(found)} lines, and {len(living)} live at "
                "the end: everyone who ever lived has a death or a survivor's line, in order of birth"
            )  # fmt: skip
            self.totals.whole = False
            return
        good, faults = [], []
        for row in rows:
            if (wrong := _wrong_money(row)) is not None:
                faults.append((row.number, wrong))
                self.totals.whole = False
                continue
            agent = row.agent
            self.final[agent] = row.final
            self.trades[agent] = row.trades
            self.costs[agent] = row.fees, row.funding, row.slippage
            good.append(row)
        close = self.setting.time.close(last, good[0].ts_utc) if good else ""
        pools = self.setting.for_pool and completed
        pooled = self._handed(good, last) if pools else [False] * len(good)
        self.totals.in_pool += sum(pooled)
        spelt = self.frame.survivors(good, [self._life_of_living(row, ticks) for row in good], last, close, pooled)
        for row, derived in zip(good, spelt, strict=True):
            if derived != row.text:
                faults.append((row.number, _difference(row.text, derived)))
        for number, what in sorted(faults):
            self.say(Artifact.SURVIVORS, number, what)
        self.survivors = living

    def _handed(self, rows: Sequence[Survived], last: int) -> list[bool]:
        """Which of the survivors are handed to the pool; who was born at the last tick has not lived."""
        setting = self.setting
        able = [
            (row.agent, row.final / self.initial[row.agent] - 1.0, row.trades)
            for row in rows
            if self.born[row.agent] < last
        ]
        chosen = handed(setting.handing, setting.seeds[self.experiment], able)
        return [row.agent in chosen for row in rows]

    def _life_of_living(self, row: Survived, ticks: int) -> Life:
        agent, born = row.agent, self.born[row.agent]
        return (
            self.names[agent], self.parents[agent], self.names[self.founder[agent]],
            ticks - (born if born > 0 else 0), born, self._initial_spelt[agent],
            repr(row.final / self.initial[agent] - 1.0), self._period_spelt[agent],
            self.sha256[agent] or self._genome(agent, row.sha256),
        )  # fmt: skip

    def close(self, ticks: int) -> None:
        """Count what the quiet ticks up to the experiment's end add: reviews, and agent-ticks of the living."""
        collapse = self.totals.collapse
        self._skip_reviews(self._reviewed_to, ticks)
        closed = ticks - (collapse is not None)
        self.totals.agent_ticks += sum(
            closed - max(born, 0) for born, died in zip(self.born, self.death_tick, strict=True) if died < 0
        )

    # ---- small things

    def _drawn(self, total: float) -> None:
        self.peak = max(self.peak, total)
        self.drawdown = max(self.drawdown, 1.0 - total / self.peak) if self.peak else self.drawdown

    def _genome(self, agent: int, said: str) -> str:
        """The hash that is on record; a founder's is asserted by the first line that names it."""
        known = self.sha256[agent]
        if known is None:
            known = self.sha256[agent] = said
        return known

    def _index(self, name: str) -> int | None:
        """The genome_index in an agent's id of this experiment."""
        prefix = self.frame.agent
        digits = name[len(prefix) :]
        good = name.startswith(prefix) and digits.isascii() and digits.isdigit() and len(digits) <= 9
        return int(digits) if good else None

    def _read(self, artifact: Artifact, lines: Sequence[str], kind: Kind[T]) -> list[T] | None:
        """What lines assert; None where one of them has not the form of its kind, which is said."""
        rows = kind.read(lines)
        if rows is None:
            for number, line in enumerate(lines):
                if not kind.fits(line):
                    self.say(artifact, number, misfit(as_bytes(line), kind.fields))
        return rows

    def _in_order(self, artifact: Artifact, rows: Sequence[Born] | Sequence[Died]) -> None:
        last = -1
        for row in rows:
            if row.tick < last:
                self.say(artifact, row.number, f"tick {row.tick} follows tick {last}: time runs backwards")
                self.totals.whole = False
                return
            last = row.tick


def _difference(text: str, derived: str) -> str:
    """Where a line differs from what it must be, as a sentence for a finding."""
    sentences = differing(plain_json(text), plain_json(derived))
    return "; ".join(sentences[:5]) or "not in canonical form (sorted keys, no spaces, one spelling of each number)"


def _wrong_money(row: Died | Survived) -> str | None:
    """What no life can have come to; None where nothing is wrong."""
    if row.wins > row.trades:
        return f"{row.wins} wins of {row.trades} trades"
    if not (0.0 <= row.fees < inf and 0.0 <= row.slippage < inf):
        return "fees_paid and slippage_paid are finite, and never negative"
    return None if abs(row.final) < inf and abs(row.funding) < inf else "final_capital or funding_paid is not finite"
