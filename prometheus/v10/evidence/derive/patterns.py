"""Patterns among deaths, recomputed as far as deaths tell (rules: `prometheus.v10.evidence.records.interesting`).

Mass deaths and deaths without a trade are derived whole. A resonance must be one of the mass deaths; its trend and
friction are the market's, and asserted. Repeated rejects need orders that were not all kept: who and how many is
asserted, within what the deaths allow. Standard library only.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.derive.book import Book
from prometheus.v10.evidence.derive.typed import differing, is_count, is_int, is_real, plain_json
from prometheus.v10.evidence.records.canonical import is_canonical

HANDFUL = 8
MASS, RESONANCE, NO_TRADES, REJECTS, SELF_TRADE = (
    "mass_death_cluster", "three_dimensional_resonance", "no_trades_but_died", "repeated_order_rejects",
    "suspected_self_trade",
)  # fmt: skip
NEEDED = (
    "deaths_at_least", "mass_death_share", "mass_death_review_share", "mass_death_window_ticks", "no_trades_share",
    "rejects_at_least", "trend_at_least", "friction_spike", "at_most",
)  # fmt: skip
_RESONATES = re.compile(
    r"(\d+) of (\d+) alive died; at tick (\d+) \|trend\| (\d\.\d\d), friction (\d+\.\d) x its median"
    r"( \(one of (\d+) in this experiment\))?"
)
_REJECTED = re.compile(r"(\d+) that died had (\d+) or more orders rejected, one of them (\d+)")
_REVIEW_FIRST = 1


@dataclass(frozen=True)
class Cluster:
    """A mass death: rows of the deaths, of how many alive, the threshold, and whether a review made it."""

    rows: list[int]
    alive: int
    threshold: float
    review: bool


class Patterns:
    """The patterns of one experiment; ``before`` is the number of deaths that its run filed before."""

    def __init__(self, book: Book, before: int) -> None:
        self.book, self.before, self.table = book, before, book.setting.interesting
        self.deaths = book.deaths

    def findings(self, lines: Sequence[bytes]) -> list[tuple[int, str]]:
        """What is wrong with the experiment's lines in ``interesting_deaths.jsonl``: number of the line, and what."""
        if not all(is_int(self.table.get(name)) or is_real(self.table.get(name)) for name in NEEDED):
            return []  # said of the manifest
        found: list[tuple[int, str]] = []
        records = []
        for number, line in enumerate(lines):
            record = plain_json(line)
            if not isinstance(record, dict) or not is_canonical(line[:-1], record):
                return [(number, "not a canonical object")]
            records.append(record)
        derived = self._derived(records)
        ranks = [(one["tick_first"], one["pattern"]) for one in derived]
        expected = [one for _, one in sorted(zip(ranks, derived, strict=True), key=lambda pair: pair[0])]
        for number, record in enumerate(records):
            if number >= len(expected):
                found.append((number, f"its deaths make {len(expected)} patterns"))
                break
            if record.get("pattern") != expected[number]["pattern"]:
                wanted = expected[number]["pattern"]
                found.append((number, f"pattern is {record.get('pattern')!r}, derived is {wanted}"))
                break
            found += [(number, one) for one in differing(record, expected[number])]
        if len(records) < len(expected):
            found.append((len(records), f"{len(records)} lines, its deaths make {len(expected)} patterns"))
        return found

    def _derived(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not self.deaths:
            return []
        clusters = self._clusters()
        mass = [
            self._record(MASS, one.rows, len(one.rows) / one.alive, one.threshold, f"{_died(one)} {self._how(one)}")
            for one in clusters
        ]
        made = _most(mass, self.table["at_most"])
        made += self._resonances([one for one in records if one.get("pattern") == RESONANCE], clusters)
        idle = [row for row, death in enumerate(self.deaths) if death[3] == 0]
        everyone = len(self.deaths)
        if len(idle) >= self.table["deaths_at_least"] and len(idle) / everyone >= self.table["no_trades_share"]:
            detail = f"{len(idle)} of {everyone} agents that died had not closed a trade"
            made.append(self._record(NO_TRADES, idle, len(idle) / everyone, self.table["no_trades_share"], detail))
        rejects = [one for one in records if one.get("pattern") == REJECTS]
        return made + self._rejects(rejects[:1])

    def _how(self, one: Cluster) -> str:
        if one.review:
            return "by one review"
        return f"within {self.deaths[one.rows[-1]][0] - self.deaths[one.rows[0]][0] + 1} ticks"

    def _resonances(self, records: list[dict[str, Any]], clusters: list[Cluster]) -> list[dict[str, Any]]:
        """Each must be a mass death of its own, with a trend and a friction that reach their thresholds."""
        made, left = [], list(clusters)
        for record in records[: self.table["at_most"]]:
            said = _RESONATES.fullmatch(str(record.get("detail")))
            observed = record.get("observed")
            one = next((one for one in left if self._spans(one, record)), None)
            if said is None or one is None or not is_real(observed) or not isinstance(observed, float):
                continue
            left.remove(one)
            first, last = self.deaths[one.rows[0]][0], self.deaths[one.rows[-1]][0]
            at = min(max(int(said[3]), first - int(self.table["mass_death_window_ticks"]), 0), last)
            spike = max(observed, float(self.table["friction_spike"]))
            trend = max(float(said[4]), self.table["trend_at_least"] - 0.005)
            detail = f"{_died(one)}; at tick {at} |trend| {min(trend, 1.0):.2f}, friction {spike:.1f} x its median"
            if said[6] is not None:
                detail += f" (one of {max(int(said[7]), len(records) + 1)} in this experiment)"
            made.append(self._record(RESONANCE, one.rows, spike, self.table["friction_spike"], detail))
        return made

    def _spans(self, one: Cluster, record: dict[str, Any]) -> bool:
        found = record.get("tick_first"), record.get("tick_last"), record.get("deaths")
        return found == (self.deaths[one.rows[0]][0], self.deaths[one.rows[-1]][0], len(one.rows))

    def _rejects(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Who had orders rejected is asserted: the lines that it names must be deaths, and the figures agree."""
        made = []
        for record in records:
            said = _REJECTED.fullmatch(str(record.get("detail")))
            rows = self._named(record)
            if said is None or not rows:
                continue
            most = max(int(said[3]), self.table["rejects_at_least"])
            count = record.get("deaths")
            if len(rows) > HANDFUL and is_count(count):
                rows = rows[: int(count)] if int(count) <= len(rows) else rows
            least = self.table["rejects_at_least"]
            detail = f"{len(rows)} that died had {least} or more orders rejected, one of them {most}"
            made.append(self._record(REJECTS, rows, float(most), float(self.table["rejects_at_least"]), detail))
            if len(rows) >= HANDFUL and is_count(count) and HANDFUL <= int(count) <= len(self.deaths):
                made[-1] = self._loosely(made[-1], record, most)
        return made

    def _loosely(self, derived: dict[str, Any], record: dict[str, Any], most: int) -> dict[str, Any]:
        """References name the first stretches only: of more deaths than they hold, count and last tick are asserted."""
        last = record.get("tick_last")
        if not is_count(last) or int(last) < derived["tick_last"] or last not in {death[0] for death in self.deaths}:
            return derived
        detail = (
            f"{record['deaths']} that died had {self.table['rejects_at_least']} or more orders rejected, "
            f"one of them {most}"
        )
        close = self.book.setting.time.close(int(last))
        return derived | {"deaths": record["deaths"], "tick_last": last, "ts_utc": close, "detail": detail}

    def _named(self, record: dict[str, Any]) -> list[int]:
        """Rows of the deaths that a record's references name, in order; empty where they name something else."""
        rows: list[int] = []
        references = record.get("evidence_refs")
        for one in references if isinstance(references, list) else []:
            first, last = (one.get("line_start"), one.get("line_end")) if isinstance(one, dict) else (None, None)
            if not (is_count(first) and is_count(last)):
                return []
            start, end = int(first) - self.before - 1, int(last) - self.before
            if not (0 <= start < end <= len(self.deaths)) or (rows and start <= rows[-1]):
                return []
            rows += range(start, end)
        return rows

    # ---- clusters

    def _clusters(self) -> list[Cluster]:
        found: list[Cluster] = []
        by_tick: dict[int, list[int]] = {}
        for row, death in enumerate(self.deaths):
            if death[2]:
                by_tick.setdefault(death[0], []).append(row)
        least, share = self.table["deaths_at_least"], self.table["mass_death_review_share"]
        for rows in by_tick.values():
            alive = len(rows) + self._alive_before(rows[-1]) - 1
            if len(rows) >= least and len(rows) / alive >= share:
                found.append(Cluster(rows, alive, share, review=True))
        return sorted(found + self._windows(), key=lambda one: one.rows[0])

    def _windows(self) -> list[Cluster]:
        others = [row for row, death in enumerate(self.deaths) if not death[2]]
        ticks = [self.deaths[row][0] for row in others]
        found: list[tuple[int, int]] = []
        for start, tick in enumerate(ticks):
            end = bisect_left(ticks, tick + self.table["mass_death_window_ticks"])
            if end - start < self.table["deaths_at_least"]:
                continue
            if end - start < self.table["mass_death_share"] * self._alive_before(others[start]):
                continue
            if found and start < found[-1][1]:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        share = self.table["mass_death_share"]
        return [Cluster(others[a:b], self._alive_before(others[a]), share, review=False) for a, b in found]

    def _alive_before(self, row: int) -> int:
        return self.book.setting.founders + bisect_left(self.book.birth_ticks, self.deaths[row][0]) - row

    # ---- records

    def _record(self, pattern: str, rows: list[int], observed: float, threshold: float, detail: str) -> dict[str, Any]:
        setting, experiment = self.book.setting, self.book.experiment
        first, last = self.deaths[rows[0]][0], self.deaths[rows[-1]][0]
        return {
            "schema": Schema.INTERESTING_DEATH.value,
            "run_id": setting.run_id,
            "experiment": experiment,
            "seed": setting.seeds[experiment],
            "arm": setting.arm,
            "ts_utc": setting.time.close(last),
            "ts_basis": "market",
            "pattern": pattern,
            "tick_first": first,
            "tick_last": last,
            "deaths": len(rows),
            "agent_ids": [f"e{experiment:04d}a{self.deaths[row][1]:06d}" for row in rows[:HANDFUL]],
            "observed": observed,
            "threshold": threshold,
            "detail": detail,
            "evidence_refs": self._references(rows),
            "null_reasons": {},
        }

    def _references(self, rows: list[int]) -> list[dict[str, Any]]:
        stretches: list[list[int]] = []
        for row in rows:
            if stretches and row == stretches[-1][1] + 1:
                stretches[-1][1] = row
            else:
                stretches.append([row, row])
        return [
            {"file": Artifact.DEATHS.value, "line_start": a + 1 + self.before, "line_end": b + 1 + self.before}
            for a, b in stretches[:HANDFUL]
        ]


def _most(records: list[dict[str, Any]], at_most: int) -> list[dict[str, Any]]:
    if len(records) <= at_most:
        return records
    kept = sorted(records, key=lambda one: (-one["deaths"], one["tick_first"]))[:at_most]
    return [one | {"detail": f"{one['detail']} (one of {len(records)} in this experiment)"} for one in kept]


def _died(one: Cluster) -> str:
    return f"{len(one.rows)} of {one.alive} alive died"
