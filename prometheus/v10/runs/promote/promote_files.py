"""What a Tier-2 run of one experiment owes beside Tier 1 (contracts, section 4): bytes, from arrays, and nothing else.

* ``genomes_run_<id>.npy``: float32 (everyone who ever lived, 342), row i is ``genome_index`` i;
  ``behaviors_run_<id>.json``: one record a row, in the same order.
* ``positions_snapshot.json``: who held what at the close of the last tick, before the settlement;
  ``positions_reconstruction_raw_part_NNNN.json``: the same for every agent that ever filled an order, rebuilt from its
  fills alone. The two must agree, lot for lot.
* ``alignment_report.json`` and ``alignment_raw_samples.json``: offline there is no exchange library to align with, and
  both say so; an imitation would be worse than nothing.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import frozen

from prometheus.v10.base.names import Artifact
from prometheus.v10.core import exchange, lifecycle
from prometheus.v10.core.records import Result
from prometheus.v10.core.state import by_slot, of_slots
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.records.codec import to_json_bytes, to_plain
from prometheus.v10.evidence.records.events import agent_id
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.records.summary import Costs
from prometheus.v10.evidence.records.tier2 import (
    AlignmentReport,
    AlignmentSamples,
    Behavior,
    PartEntry,
    PartsIndex,
    Position,
    PositionsSnapshot,
    RebuiltPosition,
)
from prometheus.v10.evidence.writing.rundir import RunDirectory

RECORDS_A_PART = 200
ALIVE = "the agent survived the experiment"
FOUNDER = "a founder has no parent"
IS_FLAT = "flat"
NO_LIBRARY = "offline: no exchange library took part in this run, so there is nothing to align"

Array = np.ndarray[Any, Any]


@frozen(kw_only=True, eq=False)
class OpenPositions:
    """Positions at the close of the last tick, by ``genome_index``, shape (agents,): signed lots, and entry prices."""

    tick: int
    mark: float
    lots: Array
    entry: Array


def open_positions(experiment: Experiment) -> OpenPositions:
    """The positions now, before `Experiment.result` settles them."""
    agents, count = experiment.agents, len(experiment.genomes)
    lots, entry = np.zeros(count), np.zeros(count)
    held = np.flatnonzero(by_slot(agents.accounts["position"]))  # a dead slot holds nothing
    who = agents.genome_index[held]
    lots[who], entry[who] = (of_slots(agents.accounts[name], held) for name in ("position", "entry_price"))
    tick = max(experiment.tick - 1, 0)
    return OpenPositions(tick=tick, mark=float(experiment.market.close[tick]), lots=lots, entry=entry)


def genomes_npy(result: Result) -> bytes:
    """``genomes_run_<id>.npy``."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(result.lives.genomes, dtype="<f4"), allow_pickle=False)
    return buffer.getvalue()


def behaviors_json(result: Result, run_id: str, experiment: int) -> bytes:
    """``behaviors_run_<id>.json``: a list, one record a line, row i is ``genome_index`` i."""
    return _listed(_behaviors(result, run_id, experiment))


def _behaviors(result: Result, run_id: str, experiment: int) -> Iterator[Behavior]:
    lives = result.lives
    children = np.bincount(lives.parent[lives.parent >= 0], minlength=len(lives.parent))
    for i in range(len(lives.parent)):
        died, parent = int(lives.death_tick[i]), int(lives.parent[i])
        trades, wins = int(lives.trades[i]), int(lives.wins[i])
        initial, final = float(lives.initial_capital[i]), float(lives.final_capital[i])
        fees, funding, slippage = lives.costs[i].tolist()
        nulls = Nulls()
        yield Behavior(
            run_id=run_id,
            genome_index=i,
            agent_id=agent_id(experiment, i),
            genome_sha256=hashlib.sha256(lives.genomes[i].astype("<f4").tobytes()).hexdigest(),
            parent_id=nulls.known("parent_id", None if parent < 0 else agent_id(experiment, parent), FOUNDER),
            founder_id=agent_id(experiment, int(lives.founder[i])),
            birth_time=int(lives.birth_tick[i]) + 1,
            age_ticks=(died if died >= 0 else result.ticks - 1) - max(int(lives.birth_tick[i]), 0) + 1,
            is_alive=died < 0,
            death_tick=nulls.known("death_tick", None if died < 0 else died, ALIVE),
            death_reason=nulls.known("death_reason", None if died < 0 else lifecycle.REASONS[lives.reason[i]], ALIVE),
            initial_capital=initial,
            final_capital=final,
            roi_lifetime=final / initial - 1.0,
            total_trades=trades,
            wins=wins,
            win_rate=nulls.known("win_rate", wins / trades if trades else None, "no trade was closed"),
            children=int(children[i]),
            costs=Costs(fees=fees, funding=funding, slippage=slippage),
            last_signal=float(lives.last_signal[i]),
            null_reasons=nulls.reasons,
        )


def positions_json(
    held: OpenPositions, run_id: str, experiment: int, ts_utc: str, contract_lots: float, lot_btc: float
) -> bytes:
    """``positions_snapshot.json``: the account as one, and every open position."""
    net = float(np.cumsum(held.lots)[-1])
    long = float(np.cumsum(np.maximum(held.lots, 0.0))[-1])
    same = held.lots * net > 0.0
    weight = float(np.cumsum(np.where(same, np.abs(held.lots), 0.0))[-1])
    spent = float(np.cumsum(np.where(same, np.abs(held.lots) * held.entry, 0.0))[-1])
    nulls = Nulls()
    side = ("long" if net > 0 else "short") if net else None
    return to_json_bytes(
        PositionsSnapshot(
            run_id=run_id,
            tick=held.tick,
            ts_utc=ts_utc,
            mark_price=held.mark,
            has_position=net != 0.0,
            position_side=nulls.known("position_side", side, IS_FLAT),
            contracts=abs(net) * contract_lots,
            avg_entry_price=nulls.known("avg_entry_price", spent / weight if net else None, IS_FLAT),
            gross_lots=2.0 * long - net,
            net_lots=net,
            positions=[
                Position(
                    agent_id=agent_id(experiment, i),
                    genome_index=i,
                    side="long" if held.lots[i] > 0 else "short",
                    lots=abs(float(held.lots[i])),
                    entry_price=float(held.entry[i]),
                    unrealised=float(held.lots[i]) * lot_btc * (held.mark - float(held.entry[i])),
                )
                for i in np.flatnonzero(held.lots).tolist()
            ],
            null_reasons=nulls.reasons,
        )
    )


def reconstruction(result: Result, held: OpenPositions, run_id: str, experiment: int) -> list[RebuiltPosition]:
    """Every agent that ever filled an order: its position before the settlement, from its fills alone.

    All orders must have been logged.
    """
    before = result.order_ids[:, 2] != exchange.SETTLEMENT
    who, filled = result.order_ids[before, 1], result.order_values[before, 1]
    ticks, kept = result.order_ids[before, 0], filled != 0.0
    who, filled, ticks = who[kept], filled[kept], ticks[kept]
    count = len(result.lives.parent)
    lots = np.bincount(who, weights=filled, minlength=count)
    bought = np.bincount(who, weights=np.maximum(filled, 0.0), minlength=count)
    fills = np.bincount(who, minlength=count)
    last = np.full(count, -1)
    np.maximum.at(last, who, ticks)
    return [
        RebuiltPosition(
            run_id=run_id,
            agent_id=agent_id(experiment, i),
            fills=int(fills[i]),
            bought_lots=float(bought[i]),
            sold_lots=float(bought[i] - lots[i]),
            position_lots=float(lots[i]),
            snapshot_lots=float(held.lots[i]),
            residual_lots=float(lots[i] - held.lots[i]),
            last_fill_tick=int(last[i]),
        )
        for i in np.flatnonzero(fills).tolist()
    ]


def alignment(run_id: str) -> dict[Artifact, bytes]:
    """Both files of the alignment bundle of a run that called no exchange."""
    of_report, of_samples = Nulls(), Nulls()
    report = AlignmentReport(
        run_id=run_id,
        execution_alignment_lib=of_report.unknown("execution_alignment_lib", NO_LIBRARY),
        execution_alignment_ok=of_report.unknown("execution_alignment_ok", NO_LIBRARY),
        mapping=of_report.unknown("mapping", NO_LIBRARY),
        null_reasons=of_report.reasons,
    )
    samples = AlignmentSamples(
        run_id=run_id,
        exchange_lib=of_samples.unknown("exchange_lib", NO_LIBRARY),
        samples=of_samples.unknown("samples", NO_LIBRARY),
        null_reasons=of_samples.reasons,
    )
    return {
        Artifact.ALIGNMENT_REPORT: to_json_bytes(report),
        Artifact.ALIGNMENT_RAW_SAMPLES: to_json_bytes(samples),
    }


def parts(records: Sequence[attrs.AttrsInstance]) -> list[bytes]:
    """Records in parts of `RECORDS_A_PART`, each a JSON array with one record a line; one empty part of none."""
    cuts = range(0, max(len(records), 1), RECORDS_A_PART)
    return [_listed(records[first : first + RECORDS_A_PART]) for first in cuts]


def write_rebuilt(directory: RunDirectory, records: list[RebuiltPosition]) -> None:
    """The reconstructed positions, in parts and with their index.

    Raises:
        EvidenceError: when they are there already.
        HostError: when the disk refuses.
    """
    written = []
    for number, data in enumerate(parts(records), start=1):
        directory.write_bytes(Artifact.POSITIONS_RAW, data, part=number)
        first = (number - 1) * RECORDS_A_PART
        count = len(records[first : first + RECORDS_A_PART])
        written.append((Artifact.POSITIONS_RAW.file_name(part=number), data, count))
    directory.write_bytes(Artifact.POSITIONS_RAW_INDEX, parts_index(directory.run_id, written))


def parts_index(run_id: str, made: Sequence[tuple[str, bytes, int]]) -> bytes:
    """The index of parts that are there: name, bytes and number of records of each."""
    shards = [
        PartEntry(filename=name, bytes=len(data), records_count=count, sha256=hashlib.sha256(data).hexdigest())
        for name, data, count in made
    ]
    return to_json_bytes(
        PartsIndex(
            run_id=run_id,
            shards=shards,
            total_shards=len(shards),
            total_records=sum(one.records_count for one in shards),
            total_bytes=sum(one.bytes for one in shards),
        )
    )


def _listed(records: Iterable[attrs.AttrsInstance]) -> bytes:
    return b"[\n" + b",\n".join(canonical_bytes(to_plain(record)) for record in records) + b"\n]\n"
