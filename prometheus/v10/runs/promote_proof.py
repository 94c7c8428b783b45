"""The proof of a promotion: the replay gave the same genome, the same death or survival, and the same deaths at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from attrs import frozen

from prometheus.v10.base.names import Artifact
from prometheus.v10.core import lifecycle
from prometheus.v10.core.records import Result
from prometheus.v10.evidence.canonical import strict_loads
from prometheus.v10.evidence.events import agent_id

OTHER_RUN = ("run_id", "experiment")
"""What must differ between an event and its replay: the run, and its number within it."""


@frozen(kw_only=True)
class Proof:
    """What was compared.

    Attributes:
        same: nothing differs.
        genome: whether a pool record was there to compare a genome and its life with.
        deaths: death events compared, line by line; -1 where the source run's file is compressed.
        differences: what differs, in words.
    """

    same: bool
    genome: bool
    deaths: int
    differences: tuple[str, ...]


def prove(
    source: Path, experiment: int, genome_index: int | None, record: dict[str, Any] | None, result: Result,
    deaths: bytes,
) -> Proof:  # fmt: skip
    """Compare a replay with what its source run filed.

    Args:
        source: directory of the source run.
        experiment: its number there.
        genome_index: of the genome that was promoted.
        record: the pool's record of it; without ``metrics_summary`` the genome alone is compared.
        result: of the replay.
        deaths: lines of the replay's death events.
    """
    differences: list[str] = []
    if genome_index is not None and record is not None:
        differences += _life(result, genome_index, record)
    path = source / Artifact.DEATHS
    count = -1
    if path.is_file():
        filed = [line for line in path.read_bytes().splitlines() if f'"experiment":{experiment},'.encode() in line]
        events = [event for line in filed if (event := strict_loads(line))["experiment"] == experiment]
        found = [strict_loads(line) for line in deaths.splitlines()]
        differences += _deaths(events, found, experiment)
        count = len(found)
    return Proof(same=not differences, genome=record is not None, deaths=count, differences=tuple(differences[:20]))


def _life(result: Result, i: int, record: dict[str, Any]) -> list[str]:
    """What is not as the pool says of the genome and of its life."""
    lives = result.lives
    if i >= len(lives.parent):
        return [f"nobody with genome_index {i} ever lived in the replay"]
    died = int(lives.death_tick[i]) >= 0
    fees, funding, slippage = lives.costs[i].tolist()
    found = {
        "survived": not died,
        "death_tick": int(lives.death_tick[i]) if died else None,
        "death_reason": lifecycle.REASONS[lives.reason[i]] if died else None,
        "birth_tick": int(lives.birth_tick[i]),
        "initial_capital": float(lives.initial_capital[i]),
        "final_capital": float(lives.final_capital[i]),
        "trades": int(lives.trades[i]),
        "wins": int(lives.wins[i]),
        "costs": {"fees": fees, "funding": funding, "slippage": slippage},
    }
    said = record["metrics_summary"] or found
    wrong = [
        f"{name}: the pool says {said.get(name)!r}, the replay {value!r}"
        for name, value in found.items()
        if said.get(name) != value
    ]
    digest = hashlib.sha256(lives.genomes[i].astype("<f4").tobytes()).hexdigest()
    if digest != record["genome_sha256"]:
        wrong.insert(0, f"genome: the pool says {record['genome_sha256']}, the replay {digest}")
    return wrong


def _deaths(filed: list[dict[str, Any]], found: list[dict[str, Any]], experiment: int) -> list[str]:
    if len(filed) != len(found):
        return [f"deaths: the source run filed {len(filed)}, the replay has {len(found)}"]
    for number, (one, other) in enumerate(zip(filed, found, strict=True), start=1):
        before, after = _moved(one, experiment), _moved(other, 0)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                return [f"death {number}: {name} was {before.get(name)!r}, is {after.get(name)!r}"]
    return []


def _moved(event: dict[str, Any], experiment: int) -> dict[str, Any]:
    """An event without the names of its run: agents by number only."""
    prefix = agent_id(experiment, 0).split("a", maxsplit=1)[0]
    return {
        name: value.removeprefix(prefix) if name.endswith("_id") and isinstance(value, str) else value
        for name, value in event.items()
        if name not in OTHER_RUN
    }
