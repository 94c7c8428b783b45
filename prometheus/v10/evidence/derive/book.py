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
from prometheus.v10.evidence.derive.lines import FLAT_SIDE, Frame, Life
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.derive.shares import Shares
from prometheus.v10.evidence.derive.typed import differing, plain_json

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
        self.born = [-1] * count
        self.initial = [setting.stake] * count
        self.period = [setting.stake] * count
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

    def live(self, births: Sequence[bytes], deaths: Sequence[bytes]) -> None:
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
        for row in batch:
            self._birth(row)
        if due:
            self.shares.forget()
        extinct, broke = self.alive == 0, self.reserve <= 0.0
        if (extinct or broke) and self.totals.collapse is None:
            self.totals.collapse = ("both" if extinct and broke else "extinction" if extinct else "financial", tick)

    def _bury(self, tick: int, rows: list[Died], reviewed: int) -> None:
        """One group: who they were, what they leave, and the text of their lines."""
        reserve, good = self.reserve, []
        for row in rows:
            if (wrong := self._wrong_death(row)) is not None:
                self.say(Artifact.DEATHS, row.number, wrong)
                self.totals.whole = False
                continue
            agent = row.agent
            reserve += row.final
            self.death_tick[agent] = tick
            self._left(row)
            self.totals.agent_ticks += tick - max(self.born[agent], 0)
            self.deaths.append((tick, agent, row.judged, row.trades))
            if row.reason == "liquidation":
                self.liquidated[agent] = tick, row.side.strip('"')
            good.append(row)
        self.reserve = reserve
        self.alive -= len(good)
        self.totals.deaths += len(good)
        if not good:
            return
        reasons = Counter(row.reason for row in good)
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
        spelt = self.frame.death
        for row in good:
            life = self._life(row.agent, row.sha256)
            derived = spelt(row, close, life, together[row.reason], text)
            if derived != row.text:
                self._differs(Artifact.DEATHS, row.number, row.text, derived)
            if row.judged and not (roi := row.final / life.period - 1.0) < self.setting.death_roi:
                self.say(Artifact.DEATHS, row.number, f"roi_period {roi!r} is not below death_roi: a review spares it")

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

    def _left(self, row: Died | Survived) -> None:
        """What somebody has come to at the end of life or run."""
        agent = row.agent
        self.final[agent] = row.final
        self.trades[agent] = row.trades
        self.costs[agent] = row.fees, row.funding, row.slippage

    def _birth(self, row: Born) -> None:
        agent, parent = len(self.parent), self._index(row.parent_id)
        wrong = None
        if parent is None or parent >= agent:
            wrong = "parent_id names nobody who was born by then"
        elif self.death_tick[parent] >= 0:
            wrong = f"its parent died at tick {self.death_tick[parent]}"
        elif self.born[parent] >= row.tick:
            wrong = "its parent was born at the same review"
        elif row.mutated > 342:
            wrong = "mutated_loci is no count of at most 342 loci"
        elif not 0.0 < row.initial < inf:
            wrong = "initial_capital is not finite, or not positive"
        if wrong is not None or parent is None:
            self.say(Artifact.BIRTHS, row.number, str(wrong))
            self.totals.whole = False
            return
        stake = row.initial
        roi = 2.0 * stake / self.period[parent] - 1.0
        if not roi >= self.setting.breed_roi:
            self.say(Artifact.BIRTHS, row.number, f"the parent's return {roi!r} is below breed_roi: it does not breed")
        if (row.sha256 == row.parent_sha256) is not (row.mutated == 0):
            self.say(Artifact.BIRTHS, row.number, f"{row.mutated} loci mutated, which the hashes contradict")
        close = self.setting.time.close(row.tick, row.ts_utc)
        life = Life(parent, self.founder[parent], row.tick, stake, stake, row.sha256)
        derived = self.frame.birth(row, close, agent, life, self._genome(parent, row.parent_sha256), roi)
        if derived != row.text:
            self._differs(Artifact.BIRTHS, row.number, row.text, derived)
        self.period[parent] = stake
        self.parent.append(parent)
        self.founder.append(self.founder[parent])
        self.born.append(row.tick)
        self.initial.append(stake)
        self.period.append(stake)
        self.sha256.append(row.sha256)
        self.death_tick.append(-1)
        self.final.append(0.0)
        self.trades.append(0)
        self.costs.append((0.0, 0.0, 0.0))
        self.birth_ticks.append(row.tick)
        self.alive += 1
        self.totals.births += 1

    # ---- the end

    def survive(self, lines: Sequence[bytes], ticks: int, *, completed: bool) -> None:
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
        spelt, known = self.frame.survivor, self.setting.time.close
        for row in rows:
            if (wrong := _wrong_money(row)) is not None:
                self.say(Artifact.SURVIVORS, row.number, wrong)
                self.totals.whole = False
                continue
            agent = row.agent
            pooled = self.setting.for_pool and completed and self.born[agent] < last
            self.totals.in_pool += pooled
            life = self._life(agent, row.sha256)
            derived = spelt(row, last, known(last, row.ts_utc), life, in_pool=pooled)
            if derived != row.text:
                self._differs(Artifact.SURVIVORS, row.number, row.text, derived)
            self._left(row)
        self.survivors = living

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

    def _life(self, agent: int, sha256: str) -> Life:
        return Life(
            self.parent[agent], self.founder[agent], self.born[agent], self.initial[agent], self.period[agent],
            self._genome(agent, sha256),
        )  # fmt: skip

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

    def _read(self, artifact: Artifact, lines: Sequence[bytes], kind: Kind[T]) -> list[T] | None:
        """What lines assert; None where one of them has not the form of its kind, which is said."""
        rows = []
        for number, line in enumerate(lines):
            row = kind.read(number, line)
            if row is None:
                self.say(artifact, number, misfit(line, kind.fields))
            else:
                rows.append(row)
        return rows if len(rows) == len(lines) else None

    def _in_order(self, artifact: Artifact, rows: Sequence[Born] | Sequence[Died]) -> None:
        last = -1
        for row in rows:
            if row.tick < last:
                self.say(artifact, row.number, f"tick {row.tick} follows tick {last}: time runs backwards")
                self.totals.whole = False
                return
            last = row.tick

    def _differs(self, artifact: Artifact, number: int, text: str, derived: str) -> None:
        sentences = differing(plain_json(text), plain_json(derived))
        said = "; ".join(sentences[:5]) or "not in canonical form (sorted keys, no spaces, one spelling of each number)"
        self.say(artifact, number, said)


def _wrong_money(row: Died | Survived) -> str | None:
    """What no life can have come to; None where nothing is wrong."""
    if row.wins > row.trades:
        return f"{row.wins} wins of {row.trades} trades"
    if not (0.0 <= row.fees < inf and 0.0 <= row.slippage < inf):
        return "fees_paid and slippage_paid are finite, and never negative"
    return None if abs(row.final) < inf and abs(row.funding) < inf else "final_capital or funding_paid is not finite"
