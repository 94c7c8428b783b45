"""The book of one experiment: every birth, death and survivor in the order of time, and what follows from them.

The core buries in groups: at one tick first those whom the exchange took, then, at a review, those whom the review
judged; births close a review. The reserve takes what each leaves, one by one in that order, so its chain is exact.
Standard library only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.derive.lines import REASONS, Frame
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.derive.shares import Shares
from prometheus.v10.evidence.derive.typed import differing, is_count, is_real, is_sha256

Say = Callable[[str, int, str], None]
"""Called with the name of a file, the number of the line in the experiment's part of it, and what is wrong."""

REVIEW = "quarterly_review"
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
        born = self._parsed(Artifact.BIRTHS, births)
        died = self._parsed(Artifact.DEATHS, deaths)
        if len(born) + len(self.parent) > MOST or len(born) != len(births) or len(died) != len(deaths):
            self.totals.whole = False
            return
        batches = {tick: list(rows) for tick, rows in groupby(enumerate(born), key=lambda row: int(row[1]["tick"]))}
        groups: dict[int, list[list[tuple[int, dict[str, Any]]]]] = {}
        for (tick, _), rows in groupby(
            enumerate(died), key=lambda row: (int(row[1]["tick"]), row[1]["death_reason"] == REVIEW)
        ):
            groups.setdefault(tick, []).append(list(rows))
        self._in_order(Artifact.BIRTHS, born)
        self._in_order(Artifact.DEATHS, died)
        before = 0
        review = self.setting.review_ticks
        for tick in sorted(batches.keys() | groups.keys()):
            self._skip_reviews(before, tick)
            before = tick + 1
            self._tick(tick, groups.get(tick, []), batches.get(tick, []), deaths, births, (tick + 1) % review == 0)
        self._reviewed_to = before

    _reviewed_to = 0

    def _skip_reviews(self, first: int, end: int) -> None:
        """Reviews in the ticks from ``first`` to ``end`` - 1, at which nobody died and nobody was born."""
        review = self.setting.review_ticks
        self.totals.reviewed += (end // review - first // review) * self.alive
        if end // review > first // review:
            self.shares.forget()

    def _tick(
        self, tick: int, groups: list[list[tuple[int, dict[str, Any]]]], batch: list[tuple[int, dict[str, Any]]],
        deaths: Sequence[bytes], births: Sequence[bytes], due: bool,  # noqa: FBT001
    ) -> None:  # fmt: skip
        line = (groups[0] if groups else batch)[0][0]
        where = Artifact.DEATHS if groups else Artifact.BIRTHS
        if self.totals.collapse is not None:
            self.say(where, line, f"tick {tick} lies behind the collapse at tick {self.totals.collapse[1]}")
        if not 0 <= tick < self.setting.ticks:
            self.say(where, line, f"tick {tick} is outside the window of {self.setting.ticks} ticks")
        by_review = [rows[0][1]["death_reason"] == REVIEW for rows in groups]
        if by_review not in ([], [False], [True], [False, True]):
            self.say(where, line, f"tick {tick}: what a review judged is buried after all others, in one go")
        if (True in by_review or batch) and not due:
            self.say(where, line, f"there is no review at tick {tick}")
        reviewed = 0
        for rows, judged in zip(groups, by_review, strict=True):
            if judged:
                reviewed = self.alive
                self.totals.reviewed += reviewed
            self._bury(tick, rows, deaths, reviewed)
        if due and True not in by_review:
            self.totals.reviewed += self.alive
        for number, row in batch:
            self._birth(tick, number, row, births[number])
        if due:
            self.shares.forget()
        extinct, broke = self.alive == 0, self.reserve <= 0.0
        if (extinct or broke) and self.totals.collapse is None:
            self.totals.collapse = ("both" if extinct and broke else "extinction" if extinct else "financial", tick)

    def _bury(self, tick: int, rows: list[tuple[int, dict[str, Any]]], lines: Sequence[bytes], reviewed: int) -> None:
        """One group: who they were, what they leave, and the bytes of their lines."""
        reserve, good = self.reserve, []
        for number, row in rows:
            if (wrong := self._wrong_death(tick, row)) is not None:
                self.say(Artifact.DEATHS, number, wrong)
                self.totals.whole = False
                continue
            agent = row["genome_index"]
            reserve += row["final_capital"]
            self.death_tick[agent] = tick
            self.final[agent] = row["final_capital"]
            self.trades[agent] = row["trades"]
            self.costs[agent] = row["fees_paid"], row["funding_paid"], row["slippage_paid"]
            self.totals.reasons[row["death_reason"]] += 1
            self.totals.agent_ticks += tick - max(self.born[agent], 0)
            self.deaths.append((tick, agent, row["death_reason"] == REVIEW, row["trades"]))
            self.shares.died(row["death_reason"])
            if row["death_reason"] == "liquidation":
                self.liquidated[agent] = tick, row["position_side"]
            good.append((number, row))
        self.reserve = reserve
        self.alive -= len(good)
        self.totals.deaths += len(good)
        if not good:
            return
        self._check_order(good)
        first = good[0][1]
        fences = first["fence_block_rate_summary"]
        text, wrong = self.shares.text(fences, reviewed)
        if wrong is not None:
            self.say(Artifact.DEATHS, good[0][0], f"fence_block_rate_summary: {wrong}")
        allocated = first["capital_triplet"]["allocated_capital"]
        if self.alive == 0:
            allocated = 0.0
        self._drawn(allocated + reserve)
        close = self.setting.time.close(tick, first["ts_utc"])
        frame = self.frame
        for number, row in good:
            agent = row["genome_index"]
            derived = frame.death(
                tick, close, agent, self.parent[agent], self._genome(agent, row), self.born[agent],
                row["death_reason"], self.initial[agent], row["final_capital"], self.period[agent], row["trades"],
                row["wins"], row["fees_paid"], row["funding_paid"], row["slippage_paid"],
                row["position_side"] if row["death_reason"] == "liquidation" else None, row["last_signal"], allocated,
                reserve, text,
            )  # fmt: skip
            if derived != lines[number]:
                self._differs(Artifact.DEATHS, number, row, derived)
            if row["death_reason"] == REVIEW:
                roi = row["final_capital"] / self.period[agent] - 1.0
                if not roi < self.setting.death_roi:
                    self.say(Artifact.DEATHS, number, f"roi_period {roi!r} is not below death_roi: a review spares it")

    def _check_order(self, good: list[tuple[int, dict[str, Any]]]) -> None:
        """Within a group the depleted come first, then the liquidated; these and the reviewed by order of birth."""
        keys = [
            (row["death_reason"] != "capital_depleted", row["genome_index"])
            for _, row in good
            if row["death_reason"] != "capital_depleted"
        ]
        kinds = [row["death_reason"] != "capital_depleted" for _, row in good]
        if keys != sorted(keys) or kinds != sorted(kinds):
            self.say(Artifact.DEATHS, good[0][0], "those who died together are not in the order in which they lived")

    def _wrong_death(self, tick: int, row: dict[str, Any]) -> str | None:  # noqa: PLR0911  (a list of rules)
        """What keeps a death from being taken in; None where its figures can be used."""
        agent = row.get("genome_index")
        if not is_count(agent) or agent >= len(self.parent):
            return "genome_index names nobody who was born by then"
        if self.death_tick[agent] >= 0:
            return f"agent {agent} died at tick {self.death_tick[agent]} already"
        if self.born[agent] >= tick and self.born[agent] >= 0:
            return f"agent {agent} was born at tick {self.born[agent]}: it cannot have died at tick {tick}"
        reals = ("final_capital", "fees_paid", "funding_paid", "slippage_paid", "last_signal")
        if wrong := [name for name in reals if not is_real(row.get(name))]:
            return f"{', '.join(wrong)} missing or no finite number"
        if row.get("death_reason") not in REASONS or row["death_reason"] == "unknown":
            return f"death_reason is {row.get('death_reason')!r}: no rule of the world has that name"
        if odd := self._wrong_trades(row):
            return odd
        if not -1.0 <= row["last_signal"] <= 1.0:
            return "last_signal is outside [-1, 1]"
        held = row["death_reason"] == "liquidation"
        if row.get("position_side") not in ({"long", "short"} if held else {None}):
            return f"position_side is {row.get('position_side')!r} at a death by {row['death_reason']}"
        triplet = row.get("capital_triplet")
        if not isinstance(triplet, dict) or not is_real(triplet.get("allocated_capital")):
            return "capital_triplet.allocated_capital is no finite number"
        return None if is_sha256(row.get("genome_sha256")) else "genome_sha256 is no sha256"

    @staticmethod
    def _wrong_trades(row: dict[str, Any]) -> str | None:
        trades, wins = row.get("trades"), row.get("wins")
        if not is_count(trades) or not is_count(wins) or not wins <= trades:
            return "trades and wins are not two counts with wins <= trades"
        if row["fees_paid"] < 0.0 or row["slippage_paid"] < 0.0:
            return "fees_paid and slippage_paid are never negative"
        return None

    def _birth(self, tick: int, number: int, row: dict[str, Any], line: bytes) -> None:
        agent, parent = len(self.parent), self._index(row.get("parent_id"))
        wrong = None
        if parent is None or parent >= agent:
            wrong = "parent_id names nobody who was born by then"
        elif self.death_tick[parent] >= 0:
            wrong = f"its parent died at tick {self.death_tick[parent]}"
        elif self.born[parent] >= tick:
            wrong = "its parent was born at the same review"
        elif not is_real(row.get("initial_capital")) or not is_sha256(row.get("genome_sha256")):
            wrong = "initial_capital or genome_sha256 is not what it must be"
        elif not is_count(row.get("mutated_loci")) or row["mutated_loci"] > 342:
            wrong = "mutated_loci is no count of at most 342 loci"
        elif not is_sha256(row.get("parent_genome_sha256")):
            wrong = "parent_genome_sha256 is no sha256"
        if wrong is not None or parent is None:
            self.say(Artifact.BIRTHS, number, str(wrong))
            self.totals.whole = False
            return
        stake = row["initial_capital"]
        roi = 2.0 * stake / self.period[parent] - 1.0
        if not roi >= self.setting.breed_roi:
            self.say(Artifact.BIRTHS, number, f"the parent's return {roi!r} is below breed_roi: it does not breed")
        same = row["genome_sha256"] == row["parent_genome_sha256"]
        if same is not (row["mutated_loci"] == 0):
            self.say(Artifact.BIRTHS, number, f"{row['mutated_loci']} loci mutated, which the hashes contradict")
        if self.sha256[parent] is None:
            self.sha256[parent] = row["parent_genome_sha256"]
        derived = self.frame.birth(
            tick, self.setting.time.close(tick, row.get("ts_utc")), agent, parent, self.founder[parent],
            row["genome_sha256"], self.sha256[parent] or "", row["mutated_loci"], stake, roi,
        )  # fmt: skip
        if derived != line:
            self._differs(Artifact.BIRTHS, number, row, derived)
        self.period[parent] = stake
        self.parent.append(parent)
        self.founder.append(self.founder[parent])
        self.born.append(tick)
        self.initial.append(stake)
        self.period.append(stake)
        self.sha256.append(row["genome_sha256"])
        self.death_tick.append(-1)
        self.final.append(0.0)
        self.trades.append(0)
        self.costs.append((0.0, 0.0, 0.0))
        self.birth_ticks.append(tick)
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
        rows = self._parsed(Artifact.SURVIVORS, lines)
        if len(rows) != len(lines):
            self.totals.whole = False
        found = [row.get("genome_index") for row in rows]
        if found != living:
            self.say(
                Artifact.SURVIVORS, 0, f"experiment {self.experiment}: {len(found)} lines, and {len(living)} live at "
                "the end: everyone who ever lived has a death or a survivor's line, in order of birth"
            )  # fmt: skip
            self.totals.whole = False
            return
        for number, (agent, row) in enumerate(zip(living, rows, strict=True)):
            reals = ("final_capital", "fees_paid", "funding_paid", "slippage_paid")
            wrong = [name for name in reals if not is_real(row.get(name))]
            what = f"{', '.join(wrong)} missing or no finite number" if wrong else self._wrong_trades(row)
            if what is None and not is_sha256(row.get("genome_sha256")):
                what = "genome_sha256 is no sha256"
            if what is not None:
                self.say(Artifact.SURVIVORS, number, what)
                self.totals.whole = False
                continue
            pooled = self.setting.for_pool and completed and self.born[agent] < last
            self.totals.in_pool += pooled
            derived = self.frame.survivor(
                last, self.setting.time.close(last, row.get("ts_utc")), agent, self.parent[agent], self.founder[agent],
                self._genome(agent, row), self.born[agent], self.initial[agent], self.period[agent],
                row["final_capital"], row["trades"], row["wins"], row["fees_paid"], row["funding_paid"],
                row["slippage_paid"], pooled,
            )  # fmt: skip
            if derived != lines[number]:
                self._differs(Artifact.SURVIVORS, number, row, derived)
            self.final[agent] = row["final_capital"]
            self.trades[agent] = row["trades"]
            self.costs[agent] = row["fees_paid"], row["funding_paid"], row["slippage_paid"]
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

    def _genome(self, agent: int, row: dict[str, Any]) -> str:
        """The hash that is on record; a founder's is asserted by the first line that names it."""
        known = self.sha256[agent]
        if known is None:
            known = self.sha256[agent] = str(row["genome_sha256"])
        return known

    def _index(self, name: object) -> int | None:
        """The genome_index in an agent's id of this experiment."""
        prefix = self.frame.agent
        if not isinstance(name, str) or not name.startswith(prefix):
            return None
        digits = name[len(prefix) :]
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None

    def _parsed(self, artifact: Artifact, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        rows = []
        for number, line in enumerate(lines):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict) or (artifact is not Artifact.SURVIVORS and not is_count(row.get("tick"))):
                self.say(artifact, number, "not an object with a tick")
                continue
            if artifact is Artifact.DEATHS and not isinstance(row.get("death_reason"), str):
                self.say(artifact, number, "death_reason is no text")
                continue
            rows.append(row)
        return rows

    def _in_order(self, artifact: Artifact, rows: Iterable[dict[str, Any]]) -> None:
        last = -1
        for number, row in enumerate(rows):
            if row["tick"] < last:
                self.say(artifact, number, f"tick {row['tick']} follows tick {last}: time runs backwards")
                self.totals.whole = False
                return
            last = row["tick"]

    def _differs(self, artifact: Artifact, number: int, row: dict[str, Any], derived: bytes) -> None:
        sentences = differing(row, json.loads(derived))
        said = "; ".join(sentences[:5]) or "not in canonical form (sorted keys, no spaces, one spelling of each number)"
        self.say(artifact, number, said)
