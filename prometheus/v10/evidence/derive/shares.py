"""The fences that blocked most since the last review, as deaths and collapses carry them.

Rates follow from counts. Blocks of a fence never fall between two reviews; those of liquidation, depletion and review
are deaths, which are counted. What the market fences counted is asserted. Standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from prometheus.v10.evidence.derive.typed import is_count

CORE = (
    "FENCE_CORE_MARGIN_CAP",
    "FENCE_CORE_MIN_ORDER",
    "FENCE_CORE_PARTICIPATION_CAP",
    "FENCE_CORE_NO_SIDE",
    "FENCE_CORE_LIQUIDATION",
    "FENCE_CORE_CAPITAL_DEPLETED",
    "FENCE_CORE_REVIEW_DEATH",
    "FENCE_CORE_REVIEW_BREED",
    "FENCE_CORE_RESERVE_COLLAPSE",
    "FENCE_CORE_EXTINCTION",
    "FENCE_CORE_FEATURE_CLIP",
    "FENCE_CORE_ENTRY_M7",
    "FENCE_CORE_EXIT_M9",
    "FENCE_CORE_EXIT_C4",
    "FENCE_CORE_LONG_ONLY",
)
"""Fences that the world counts, in the order of its rows (a test holds it against `prometheus.v10.core.fences`)."""
DEADLY = {
    "quarterly_review": "FENCE_CORE_REVIEW_DEATH",
    "capital_depleted": "FENCE_CORE_CAPITAL_DEPLETED",
    "liquidation": "FENCE_CORE_LIQUIDATION",
}
NEVER_BLOCK = frozenset([
    "FENCE_CORE_REVIEW_BREED", "FENCE_CORE_RESERVE_COLLAPSE", "FENCE_CORE_EXTINCTION", "FENCE_CORE_FEATURE_CLIP",
    "FENCE_CORE_EXIT_M9", "FENCE_CORE_EXIT_C4",
])  # fmt: skip
MOST = 3
FIELDS = {"attempts", "block_count", "block_rate", "fence_id"}
_ROW = {name: row for row, name in enumerate(CORE)}


class Shares:
    """What is known of the fences' blocks since the last review."""

    def __init__(self) -> None:
        self.deaths: Counter[str] = Counter()
        self.seen: dict[str, tuple[int, int]] = {}

    def died(self, reasons: Mapping[str, int]) -> None:
        """Deaths by fences: how many of each reason."""
        for reason, count in reasons.items():
            self.deaths[DEADLY[reason]] += count

    def forget(self) -> None:
        """A review is over."""
        self.deaths.clear()
        self.seen.clear()

    def text(self, summary: object, reviewed: int) -> tuple[str, str | None]:
        """The canonical text that a summary must have, and what is wrong with what it asserts.

        Args:
            summary: as parsed; at most three fences, most blocks first.
            reviewed: agents that the review under way looks at; 0 outside of one.
        """
        rows, wrong = _rows(summary)
        wrong = wrong or self._wrong(rows, reviewed)
        for fence, attempts, blocks in rows:
            self.seen[fence] = attempts, blocks
        return (
            "["
            + ",".join(
                f'{{"attempts":{attempts},"block_count":{blocks},"block_rate":{blocks / attempts!r},'
                f'"fence_id":"{fence}"}}'
                for fence, attempts, blocks in rows
            )
            + "]",
            wrong,
        )

    def _wrong(self, rows: list[tuple[str, int, int]], reviewed: int) -> str | None:
        ranks = [(-blocks, _ROW[fence]) for fence, _, blocks in rows]
        if ranks != sorted(set(ranks)):
            return "not the most blocks first"
        listed = {fence: blocks for fence, _, blocks in rows}
        for fence in DEADLY.values():
            count = self.deaths[fence]
            if fence in listed and listed[fence] != count:
                return f"{fence} blocked {listed[fence]}, {count} died of it since the last review"
            if fence not in listed and count and (len(rows) < MOST or (-count, _ROW[fence]) < ranks[-1]):
                return f"{fence} is not among them, and {count} died of it since the last review"
        for fence, attempts, blocks in rows:
            tried, blocked = self.seen.get(fence, (0, 0))
            if attempts < tried or blocks < blocked or attempts - tried < blocks - blocked:
                return f"{fence} counted more before, at the same review period"
            if fence == "FENCE_CORE_REVIEW_DEATH" and reviewed and attempts != reviewed:
                return f"{fence} was met {attempts} times, and {reviewed} were reviewed"
        return None


def _rows(summary: object) -> tuple[list[tuple[str, int, int]], str | None]:
    """Fence, attempts and blocks of each entry that can be used."""
    if not isinstance(summary, list) or len(summary) > MOST:
        return [], "not a list of at most three fences"
    rows: list[tuple[str, int, int]] = []
    for one in summary:
        entry: dict[str, Any] = one if isinstance(one, dict) else {}
        fence, attempts, blocks = entry.get("fence_id"), entry.get("attempts"), entry.get("block_count")
        if not isinstance(fence, str) or fence not in _ROW or fence in NEVER_BLOCK or entry.keys() != FIELDS:
            return rows, "an entry is not a fence of the world that blocks"
        if not is_count(attempts) or not is_count(blocks):
            return rows, f"{fence}: attempts and block_count are not two counts"
        attempts, blocks = int(attempts or 0), int(blocks or 0)
        if not 0 < blocks <= attempts:
            return rows, f"{fence}: {blocks} blocked of {attempts}"
        rows.append((fence, attempts, blocks))
    return rows, None
