"""What the lines of deaths, births and survivors assert, taken out of their text by one pattern a kind.

A line is spelt again from what it asserts and from what is derived (`prometheus.v10.evidence.derive.lines`), and
compared. So a pattern need not be exact about what is derived: it passes over it. What does not fit its pattern is
no line of its kind, and `misfit` says why. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Generic, NamedTuple, TypeVar

from prometheus.v10.evidence.derive.typed import plain_json, shown
from prometheus.v10.evidence.records.canonical import spell

REVIEW = "quarterly_review"
T = TypeVar("T")

_PLAIN, _TEXT, _OBJECT = r"[^,{\[]*+", r'"[^"]*+"', r"\{[^}]*+\}"
_REAL, _COUNT, _SHA256 = r"(-?\d++(?:\.\d++)?+(?:e[+-]\d++)?+)", r"(\d{1,18})", r'"([0-9a-f]{64})"'
_MONEY = {"fees_paid": _REAL, "final_capital": _REAL, "funding_paid": _REAL, "slippage_paid": _REAL}
_COMMON = {
    "agent_id": _TEXT, "arm": _TEXT, "experiment": _PLAIN, "genome_sha256": _SHA256, "initial_capital": _PLAIN,
    "null_reasons": _OBJECT, "parent_id": _PLAIN, "run_id": _TEXT, "schema": _TEXT, "seed": _PLAIN,
    "ts_basis": _TEXT,
}  # fmt: skip
DEATH_FIELDS = _COMMON | _MONEY | {
    "age_ticks": _PLAIN, "api_error_count_so_far": _PLAIN, "birth_tick": _PLAIN,
    "capital_triplet": r'\{"allocated_capital":' + _REAL + r",[^}]*+\}",
    "death_reason": '"(quarterly_review|capital_depleted|liquidation)"', "death_reason_source": _TEXT,
    "fence_block_rate_summary": r"(\[[^\]]*+\])", "genome_index": _COUNT, "has_position": _PLAIN, "last_signal": _REAL,
    "position_side": '(null|"long"|"short")', "roi_lifetime": _PLAIN, "roi_period": _PLAIN, "state_final": _TEXT,
    "tick": _COUNT, "trades": _COUNT, "ts_utc": '"([^"]*)"', "wins": _COUNT,
}  # fmt: skip
BIRTH_FIELDS = _COMMON | {
    "founder_id": _PLAIN, "genome_index": _PLAIN, "initial_capital": _REAL, "mutated_loci": _COUNT,
    "parent_genome_sha256": _SHA256, "parent_id": '"([^"]*)"', "parent_roi_period": _PLAIN, "tick": _COUNT,
    "ts_utc": '"([^"]*)"',
}  # fmt: skip
SURVIVOR_FIELDS = _COMMON | _MONEY | {
    "age_ticks": _PLAIN, "birth_tick": _PLAIN, "founder_id": _PLAIN, "genome_index": _COUNT, "in_pool": _PLAIN,
    "period_capital": _PLAIN, "roi_lifetime": _PLAIN, "tick": _PLAIN, "trades": _COUNT, "ts_utc": '"([^"]*)"',
    "wins": _COUNT,
}  # fmt: skip
"""What each field of a line looks like; a group around what the line asserts, in the order of the names.

No quantifier gives back what it took: each ends before a character that it cannot take."""


class Died(NamedTuple):
    """A line of ``death_events.jsonl``; ``judged`` by a review, ``side`` and ``fences`` as they are spelt."""

    number: int
    text: str
    tick: int
    judged: bool
    agent: int
    reason: str
    allocated: float
    fees: float
    fences: str
    final: float
    funding: float
    sha256: str
    signal: float
    side: str
    slippage: float
    trades: int
    ts_utc: str
    wins: int


class Born(NamedTuple):
    """A line of ``birth_events.jsonl``."""

    number: int
    text: str
    tick: int
    parent_id: str
    sha256: str
    parent_sha256: str
    mutated: int
    initial: float
    ts_utc: str


class Survived(NamedTuple):
    """A line of ``survivors.jsonl``."""

    number: int
    text: str
    agent: int
    fees: float
    final: float
    funding: float
    sha256: str
    slippage: float
    trades: int
    ts_utc: str
    wins: int


Column = tuple[str, ...]
"""One group of a pattern, line by line."""


def _died(lines: Sequence[str], said: Sequence[Column]) -> Iterator[Died]:
    allocated, reason, fees, fences, final, funding, agent, sha256, signal, side, slip, tick, trades, ts, wins = said
    return _rows(
        Died, lines, _few(int, tick), _few(REVIEW.__eq__, reason), map(int, agent), reason, _few(float, allocated),
        map(float, fees), fences, map(float, final), map(float, funding), sha256, map(float, signal), side,
        map(float, slip), map(int, trades), ts, map(int, wins),
    )  # fmt: skip


def _born(lines: Sequence[str], said: Sequence[Column]) -> Iterator[Born]:
    sha256, initial, mutated, parent_sha256, parent_id, tick, ts = said
    return _rows(
        Born, lines, _few(int, tick), parent_id, sha256, parent_sha256, map(int, mutated), map(float, initial), ts
    )


def _survived(lines: Sequence[str], said: Sequence[Column]) -> Iterator[Survived]:
    fees, final, funding, agent, sha256, slip, trades, ts, wins = said
    return _rows(
        Survived, lines, map(int, agent), map(float, fees), map(float, final), map(float, funding), sha256,
        map(float, slip), map(int, trades), ts, map(int, wins),
    )  # fmt: skip


def _few(make: Callable[[str], object], column: Column) -> Iterator[object]:
    """What is made of a column that says the same over and over."""
    return map({text: make(text) for text in set(column)}.__getitem__, column)


def _rows(made: type[T], lines: Sequence[str], *columns: Iterable[object]) -> Iterator[T]:
    """Named tuples from their columns, without a call of Python for each."""
    make: Callable[[tuple[object, ...]], T] = partial(tuple.__new__, made)  # type: ignore[type-var]
    return map(make, zip(count(), lines, *columns, strict=False))


class Kind(Generic[T]):
    """A kind of line: its fields, and how its text is taken in."""

    def __init__(
        self, fields: Mapping[str, str], made: Callable[[Sequence[str], Sequence[Column]], Iterator[T]]
    ) -> None:
        self.fields, self._made = fields, made
        inner = ",".join(f'"{name}":{fields[name]}' for name in sorted(fields))
        self._match = re.compile(r"\{" + inner + r"\}", re.ASCII).fullmatch

    def read(self, lines: Sequence[str]) -> list[T] | None:
        """What lines assert, numbered from 0; None where one of them is no line of this kind (`fits`)."""
        found = [match for match in map(self._match, lines) if match is not None]
        if len(found) != len(lines) or not all(map(str.isascii, lines)):
            return None
        columns = tuple(zip(*map(re.Match.groups, found), strict=True))
        return list(self._made(lines, columns)) if found else []

    def fits(self, line: str) -> bool:
        """Whether a line is one of this kind."""
        return line.isascii() and self._match(line) is not None


DEATH, BIRTH, SURVIVOR = Kind(DEATH_FIELDS, _died), Kind(BIRTH_FIELDS, _born), Kind(SURVIVOR_FIELDS, _survived)


def misfit(line: bytes, fields: Mapping[str, str]) -> str:
    """Why a line does not have the form of its kind, as a sentence for a finding."""
    row = plain_json(line)
    if not isinstance(row, dict):
        return "not an object"
    if missing := sorted(fields.keys() - row.keys()):
        return f"{', '.join(missing)} missing"
    if unknown := sorted(row.keys() - fields.keys()):
        return f"{shown(unknown[0])} is not a field of it"
    for name in sorted(fields):
        try:
            text = spell(row[name])
        except (ValueError, RecursionError):
            return f"{name} is {shown(row[name])}, which no record may carry"
        if re.fullmatch(fields[name], text, re.ASCII) is None:
            return f"{name} is {shown(row[name])}, which cannot be"
    return "not in canonical form (sorted keys, no spaces, one spelling of each number)"
