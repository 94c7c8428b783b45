"""The rules of eras in whole numbers: which bars, which lines, how many founders of which kind (ADR 0070).

A run follows them, and verification computes them again. Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from prometheus.v10.evidence.derive.typed import is_count, table
from prometheus.v10.evidence.pools.descent import FRESH, INHERIT, NULL

WALK, SAMPLE = "walk", "sample"


def walked(number: int, rows: int, start: int, length: int, stride: int) -> tuple[int, int]:
    """Where era ``number`` of a walk lies.

    Args:
        number: of the era.
        rows: bars of the market.
        start: first row of the first era.
        length: bars of an era; ``start + length`` is at most ``rows``.
        stride: bars from the start of one era to the start of the next.

    Returns:
        How often the walk began again before it, and its first row.
    """
    cycle, place = divmod(number, (rows - start - length) // stride + 1)
    return cycle, start + place * stride


def sampled(number: int, rows: int, start: int, length: int, seed: int) -> int:
    """First row of era ``number``, drawn by seed and number: 16 bytes of a sha256 as a big-endian number."""
    digest = hashlib.sha256(f"era {seed} {number}".encode("ascii")).digest()
    return start + int.from_bytes(digest[:16], "big") % (rows - start - length + 1)


def share(part: float, founders: int) -> int:
    """A share of the founders as a whole number, rounded down; a part in a billion below the next one is that one."""
    return int(part * founders + 1e-9)


def lines_of(policy: str, experiments: int, fresh: int, null: int) -> list[str]:
    """The line of each of a run's experiments: those that inherit, then the controls."""
    own = INHERIT if policy == INHERIT else FRESH
    return [own] * (experiments - fresh - null) + [FRESH] * fresh + [NULL] * null


def ancestral_line(line: str, null_founders: object) -> str:
    """The line whose ancestors found an experiment of ``line``, by ``[founding] null_founders``."""
    return INHERIT if line == NULL and null_founders == INHERIT else line


def has_eras(config: Mapping[str, Any]) -> bool:
    """Whether the runs of a configuration are eras."""
    return "founding" in config or table(config.get("window")).get("policy") in {WALK, SAMPLE}


def expected_window(config: Mapping[str, Any], number: int, rows: int) -> tuple[int, dict[str, Any]] | None:
    """Cycle and window of era ``number`` of a configuration; None where the configuration does not settle them."""
    chosen = config.get("window")
    if not isinstance(chosen, dict):
        return 0, {"name": "all", "start": 0, "len": rows}
    name, start, length = chosen.get("name"), chosen.get("start"), chosen.get("len")
    if not (is_count(start) and is_count(length) and length) or start + length > rows:
        return None
    cycle, policy = 0, chosen.get("policy")
    if policy == WALK:
        stride = chosen.get("step", length) + chosen.get("embargo", 0)
        if not is_count(stride) or not stride:
            return None
        cycle, start = walked(number, rows, start, length, stride)
    elif policy == SAMPLE:
        seed = chosen.get("seed", table(config.get("experiments")).get("seed"))
        if not is_count(seed):
            return None
        start = sampled(number, rows, start, length, seed)
    return cycle, {"name": name, "start": start, "len": length}
