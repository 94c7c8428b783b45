"""A sample of a gate's experiments, run again: each line must come out byte for byte as it was filed."""

from __future__ import annotations

import random

from attrs import evolve, frozen

from prometheus.v10.base.errors import ConfigError, EvidenceError, UsageError
from prometheus.v10.base.names import GateFile
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import SMALL, read_whole
from prometheus.v10.evidence.records.codec import from_json_bytes, structure_config
from prometheus.v10.gate.cells import batches, experiments
from prometheus.v10.gate.design import GateDesign
from prometheus.v10.gate.gate_run import settle
from prometheus.v10.gate.outcome import run_batch
from prometheus.v10.gate.store import MOST_BYTES, GateLock
from prometheus.v10.runs.workers.invariance import repeats
from prometheus.v10.runs.workers.warm import warm_up


@frozen(kw_only=True)
class GateReplay:
    """What was run again.

    Attributes:
        compared: experiments, of ``total`` that the gate has.
        differing: cell and seed of those that came out otherwise.
    """

    gate: str
    compared: int
    total: int
    differing: tuple[str, ...]


def replay_gate(name: str, layout: Layout, *, sample: int, seed: int) -> GateReplay:
    """Run ``sample`` experiments of a gate again, drawn by ``seed``, and compare their lines.

    Raises:
        UsageError: when there is no such gate, or it has no experiment.
        ConfigError: when the core does not give the bits of its lock's, or the market is another.
        EvidenceError: when lock or experiments cannot be read as such.
    """
    path = layout.gates / name
    if "/" in name or not (path / GateFile.LOCK).is_file():
        raise UsageError(f"there is no gate {name} in {layout.gates}", hint="name a directory below gates")
    lock = from_json_bytes(read_whole(path / GateFile.LOCK, at_most=SMALL), GateLock, where=str(path))
    design = structure_config(lock.config, GateDesign, source=f"{path}: config")
    world, wanted = settle(design, layout, lock.market)
    for what, locked, now, same in (
        ("core", lock.core_hash, wanted.core_hash, repeats(lock.core_hash)),
        ("market", lock.market.sha256, wanted.market.sha256, lock.market.sha256 == wanted.market.sha256),
    ):
        if not same:
            raise ConfigError(f"{path} ran on the {what} {locked}, here is {now}", hint="replay it where it was run")
    planned = experiments(design)
    lines = read_whole(path / GateFile.EXPERIMENTS, at_most=MOST_BYTES).splitlines(keepends=True)
    if not lines:
        raise UsageError(f"{path} has no experiment yet", hint="run the gate first")
    if len(lines) > len(planned):
        raise EvidenceError(f"{path} has {len(lines)} experiments, its design {len(planned)}", hint="verify it")
    warm_up()
    drawn = sorted(random.Random(seed).sample(range(len(lines)), min(sample, len(lines))))
    differing = []
    for number in drawn:
        cell, own = planned[number]
        batch = next(batches(design, world.bars, world.config, only=(cell.name,)))
        if run_batch(evolve(batch, seeds=(own,))).lines != lines[number]:
            differing.append(f"{cell.name} seed {own}")
    return GateReplay(gate=name, compared=len(drawn), total=len(lines), differing=tuple(differing))
