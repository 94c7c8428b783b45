"""Agent-ticks per second of the world, beside the loop it must beat and the scan it must beat.

All contenders take turns: one turn of each, then the next of each. Per contender, agents and processes:

* **rate** of one process: the best turn, by the processor time of that process, which other work on the machine does
  not move. Of two processes, and of whatever waits for a disk: the best turn, by wall time.
* **x naive**, **x JAX**: that rate over theirs, with the same number of agents and of processes.
* **% of kernel**: the best turn of evidence over the best turn of the kernel, both by wall time (waiting for the disk
  is part of the price) and with the same number of agents and of worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from attrs import field, frozen

from bench.bench_kernel import AGENTS, Evidence, Kernel, Naive, Scale
from bench.jax_scan import JaxScan
from bench.lanes import PROCESSES, Lane, Turn

NAIVE, JAX, KERNEL, EVIDENCE = "naive", "jax", "kernel", "evidence"
ABOUT = {
    NAIVE: "per-agent numpy",
    JAX: "JAX vmap + scan",
    KERNEL: "kernel",
    EVIDENCE: "kernel + evidence",
}
MEANS = {
    NAIVE: "the decision alone, an object and a forward pass an agent and tick",
    JAX: "the decision alone, one compiled program for all agents and ticks",
    KERNEL: "the whole world, each experiment from founders to result, nothing written",
    EVIDENCE: "the same experiments as a run: every record, the pool, fdatasync, telemetry, seal, ledger",
}
NAIVE_BAR, JAX_BAR, EVIDENCE_BAR = 100.0, 1.0, 0.60
Key = tuple[str, int, int]
"""Contender, agents, processes."""


@frozen
class Laps:
    """All turns of every contender, and why one has none."""

    turns: dict[Key, list[Turn]] = field(factory=dict)
    skipped: dict[str, str] = field(factory=dict)

    def rate(self, key: Key, clock: str | None = None) -> float | None:
        """Agent-ticks per second of the best turn; ``clock`` is the one that counts for the key unless it is named."""
        turns = self.turns.get(key)
        by_cpu = (clock or clock_of(key)) == "cpu"
        return max(turn.agent_ticks / (turn.cpu if by_cpu else turn.wall) for turn in turns) if turns else None

    def ratio(self, key: Key, to: str, clock: str | None = None) -> float | None:
        """Rate over the rate of ``to`` with as many agents and processes."""
        mine, theirs = self.rate(key, clock), self.rate((to, *key[1:]), clock)
        return mine / theirs if mine and theirs else None


def clock_of(key: Key) -> str:
    """``cpu`` or ``wall``."""
    return "cpu" if key[2] == 1 and key[0] != EVIDENCE else "wall"


def steps(scale: Scale) -> int:
    """How many times `race` says that something is done."""
    return len(ABOUT) * len(AGENTS) * (1 + scale.turns * len(PROCESSES))


def race(scratch: Path, scale: Scale, said: Callable[[str], None]) -> Laps:
    """Let everybody take turns.

    Args:
        scratch: an empty directory on the disk that runs are written to.
        scale: how much of it.
        said: hears what is going on, once a step.

    Raises:
        HostError: when a process dies, or the disk refuses.
    """
    laps = Laps()
    with ExitStack() as stack:
        lanes = {name: stack.enter_context(lane) for name, lane in _lanes(scratch, scale)}
        for name, lane in lanes.items():
            for agents in AGENTS:
                said(f"preparing {ABOUT[name]}, {agents} agents")
                if name not in laps.skipped and (reason := _unable(lane, agents)) is not None:
                    laps.skipped[name] = reason
        for turn in range(scale.turns):
            for agents in AGENTS:
                for processes in PROCESSES:
                    for name, lane in lanes.items():
                        said(f"turn {turn + 1} of {scale.turns}: {ABOUT[name]}, {agents} agents, {processes}")
                        if name not in laps.skipped:
                            done = lane.turn(agents, processes)
                            laps.turns.setdefault((name, agents, processes), []).append(done)
    return laps


def _lanes(scratch: Path, scale: Scale) -> Iterator[tuple[str, Lane]]:
    """The contenders in the order of their turns, so that evidence follows the kernel that it is compared with."""
    yield NAIVE, Lane(NAIVE, [partial(Naive, scale)] * max(PROCESSES))
    yield JAX, Lane(JAX, [partial(JaxScan, scale, place) for place in range(max(PROCESSES))])
    yield KERNEL, Lane(KERNEL, [partial(Kernel, scale)] * max(PROCESSES))
    yield EVIDENCE, Lane(EVIDENCE, [partial(Evidence, scale, scratch)])


def _unable(lane: Lane, agents: int) -> str | None:
    """Prepare; or why it cannot run here."""
    try:
        lane.prepare(agents)
    except ImportError as error:
        return f"cannot be imported: {error}"
    return None


def speed_rows(laps: Laps, scale: Scale, *, judged: bool) -> list[dict[str, Any]]:
    """One row a contender, agents and processes; a key that does not apply is not there, a skipped row says why.

    Args:
        laps: what was measured.
        scale: with how much work.
        judged: whether rows say what they must reach; a small scale is no measure.
    """
    keys = [(name, agents, processes) for agents in AGENTS for processes in PROCESSES for name in ABOUT]
    rows = [_row(key, laps, scale) for key in keys]
    return [row | {"bars": list(_bars(row))} if judged and "turns" in row else row for row in rows]


def _row(key: Key, laps: Laps, scale: Scale) -> dict[str, Any]:
    name, agents, processes = key
    row: dict[str, Any] = {"contender": name, "agents": agents, "processes": processes}
    if name in laps.skipped:
        return row | {"skipped": laps.skipped[name]}
    turns = laps.turns[key]
    row |= {
        "clock": clock_of(key),
        "agent_ticks_per_second": laps.rate(key),
        "turns": [
            {"agent_ticks": turn.agent_ticks, "wall_seconds": turn.wall, "cpu_seconds": turn.cpu} for turn in turns
        ],
    }
    if name in {KERNEL, EVIDENCE}:
        row["experiments"] = scale.experiments(agents)
    if name == KERNEL:
        row["mean_alive"] = sum(turn.agent_ticks for turn in turns) / sum(turn.ticks for turn in turns)
    ratios = {
        "x_naive": laps.ratio(key, NAIVE) if name != NAIVE else None,
        "x_jax": laps.ratio(key, JAX) if name in {KERNEL, EVIDENCE} else None,
        "share_of_kernel": laps.ratio(key, KERNEL, "wall") if name == EVIDENCE else None,
    }
    return row | {ratio: value for ratio, value in ratios.items() if value is not None}


def _bars(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the row must reach, as far as it was measured, and whether it does."""
    if row["contender"] == KERNEL:
        yield {"bar": f">= {NAIVE_BAR:.0f} x naive", "held": row["x_naive"] >= NAIVE_BAR}
        if "x_jax" in row:
            yield {"bar": "> JAX", "held": row["x_jax"] > JAX_BAR}
    if row["contender"] == EVIDENCE:
        yield {"bar": f">= {EVIDENCE_BAR:.0%} of kernel", "held": row["share_of_kernel"] >= EVIDENCE_BAR}
