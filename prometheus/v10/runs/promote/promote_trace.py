"""The decision trace of a Tier-2 run: one line a tick, what every agent saw and wanted (contracts, section 10).

A line has the market's binding (price, and a hash of the E channels), what the community was, a hash over both signals
of every living agent in order of ``genome_index`` (so that any decision can be checked against a replay), and by name
those who sent an order for the next open: that is ``agent_detail``. Who holds or waits is counted.

The experiment is asked for one tick at a time, which changes no bit of it.
"""

from __future__ import annotations

import hashlib

import numpy as np

from prometheus.v10.base.names import Artifact
from prometheus.v10.core import features
from prometheus.v10.core.decision import everyones_out_signals
from prometheus.v10.core.state import DRIVE_TICKS, by_slot, of_slots
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.records.codec import to_line
from prometheus.v10.evidence.records.events import agent_id
from prometheus.v10.evidence.records.tier2 import Decision, TraceLine
from prometheus.v10.evidence.writing.rundir import RunDirectory
from prometheus.v10.runs.promote.promote_files import parts_index

TICKS_A_PART = 1000


class TraceWriter:
    """Writes the lines of a trace into parts of `TICKS_A_PART`, and their index."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self._lines: list[bytes] = []
        self._written: list[tuple[str, bytes, int]] = []

    def add(self, line: bytes) -> None:
        """Take the line of the next tick; a full part is on the disk on return.

        Raises:
            HostError: when the disk refuses.
        """
        self._lines.append(line)
        if len(self._lines) == TICKS_A_PART:
            self._write()

    def finish(self) -> None:
        """Write what waits, or an empty part where there was no tick, and the index.

        Raises:
            HostError: when the disk refuses.
        """
        if self._lines or not self._written:
            self._write()
        index = parts_index(self.directory.run_id, self._written)
        self.directory.write_bytes(Artifact.DECISION_TRACE_INDEX, index)

    def _write(self) -> None:
        part, data = len(self._written) + 1, b"".join(self._lines)
        self.directory.write_bytes(Artifact.DECISION_TRACE, data, part=part)
        self._written.append((Artifact.DECISION_TRACE.file_name(part=part), data, len(self._lines)))
        self._lines = []


def trace_line(experiment: Experiment, run_id: str, number: int, symbol: str, ts_utc: str) -> bytes:
    """The line of the tick that was just done.

    Args:
        experiment: between two ticks, not collapsed.
        run_id: whose trace it is.
        number: of the experiment within its run.
        symbol: the instrument.
        ts_utc: market time, the close of the tick's bar.
    """
    tick = experiment.tick - 1
    agents, scratch = experiment.agents, experiment.scratch
    accounts, nets = agents.accounts, agents.nets
    living = np.flatnonzero(by_slot(nets["alive"]))
    order, position = of_slots(accounts["order"], living), of_slots(accounts["position"], living)
    everyones_out_signals(nets, tick % DRIVE_TICKS, scratch.shared)  # a tick asks OUT of the flat alone
    signals = np.stack([of_slots(nets[name], living) for name in ("signal_out", "signal_in")], axis=1).astype("<f4")
    acting = np.flatnonzero(order)
    seen = experiment.environment.features[tick].astype("<f4")
    detail = [
        Decision(
            agent_id=agent_id(number, int(agents.genome_index[living[k]])),
            intent_action=_intent(float(position[k]), float(order[k])),
            reason_code="signal_out_above_0" if position[k] == 0.0 else "signal_in_against_side",
            signal_out=float(signals[k, 0]),
            signal_in=float(signals[k, 1]),
            lots=float(order[k]),
        )
        for k in acting.tolist()
    ]
    return to_line(
        TraceLine(
            run_id=run_id,
            experiment=number,
            tick=tick,
            ts_utc=ts_utc,
            inst_id_used=symbol,
            mark_price_used=float(experiment.market.close[tick]),
            market_context_hash=hashlib.sha256(seen.tobytes()).hexdigest(),
            signals_sha256=hashlib.sha256(signals.tobytes()).hexdigest(),
            community=[float(value) for value in scratch.shared[features.C_FIRST :]],
            alive=len(living),
            long=int(np.count_nonzero(position > 0.0)),
            short=int(np.count_nonzero(position < 0.0)),
            entering=int(np.count_nonzero(position[acting] == 0.0)),
            leaving=int(np.count_nonzero(position[acting] != 0.0)),
            agent_detail=detail,
        )
    )


def _intent(position: float, order: float) -> str:
    if position != 0.0:
        return "exit"
    return "enter_long" if order > 0.0 else "enter_short"
