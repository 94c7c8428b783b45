"""Whether trading of an instance is halted: from the ledger, and from order chains of runs that are not sealed yet.

1. A line ``TRADING`` with the state ``HALTED`` halts its run, whatever stands behind it: no chain takes it back.
2. The seal of such a run carries that line into the ledger, and with it the halt of the instance.
3. Only the ledger's ``trading_released`` ends it, which names run, seal, line and reasons.

No file says it by itself: deleting or changing a run, or the instance's state, changes nothing of it. Standard library
only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.exchanged.order_line import ORDER_LINE, Kind
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.records.canonical import object_of_line

HALTED = "HALTED"
_TRADING = f'"kind":"{Kind.TRADING}"'.encode()


@dataclass(frozen=True)
class Halt:
    """A halt that stands.

    Attributes:
        run_id: the run that was halted.
        seal: of the run; None while it has none in the ledger.
        line: of its order chain, counted from 0; ``line_id`` is its id.
        reasons: codes, in the order in which they came.
        since: when it was sealed; when it was written, while it is not.
    """

    run_id: str
    seal: str | None
    line: int
    line_id: str
    reasons: tuple[str, ...]
    since: str

    def sentence(self) -> str:
        """For people: why, by which line."""
        return f"{', '.join(self.reasons)}, by line {self.line + 1} of the order chain of {self.run_id}"


def halting_line(chain: Path) -> dict[str, Any] | None:
    """The last line of an order chain that halts its run, as plain values; None where none does, or is no chain.

    Raises:
        EvidenceError: when the chain is damaged, so that nobody can tell.
        HostError: when it cannot be read.
    """
    if not chain.exists():
        return None
    kept: list[bytes] = []

    def take(line: bytes) -> None:
        if _TRADING in line:
            kept.append(line)

    scan(chain, ORDER_LINE, close=True, each=take).refuse_damage()
    entries = (object_of_line(line) for line in reversed(kept))
    return next((one for one in entries if one["kind"] == Kind.TRADING and one["payload"]["state"] == HALTED), None)


def halt_of_run(run_dir: Path) -> dict[str, Any]:
    """What the ledger's entry of a run's seal says of its halt: ``{"halt": ...}``, or nothing; errors as above."""
    return halt_claim(run_dir / Artifact.ORDER_CHAIN.value)


def halt_claim(chain: Path) -> dict[str, Any]:
    """`halt_of_run` by the chain itself."""
    found = halting_line(chain)
    if found is None:
        return {}
    return {"halt": {"line": found["n"], "line_id": found["id"], "reasons": found["payload"]["reasons"]}}


def standing_halt(layout: Layout, instance: str) -> Halt | None:
    """The halt of an instance that nobody released.

    Raises:
        EvidenceError: when the ledger, or the order chain of a run that is not sealed, is damaged.
        HostError: when either cannot be read.
    """
    view = ledger_now(layout.ledger)
    if (sealed := view.halts.get(instance)) is not None:
        halt = sealed.halt
        reasons = tuple(halt["reasons"])
        return Halt(sealed.run_id, sealed.seal, halt["line"], halt["line_id"], reasons, sealed.at)
    for run_id in sorted(view.unsealed()):
        begun = view.started[run_id]
        if begun.instance != instance or begun.payload["mode"] == Mode.OFFLINE:
            continue
        if (found := halting_line(layout.lib / begun.payload["run_dir"] / Artifact.ORDER_CHAIN.value)) is not None:
            return Halt(run_id, None, found["n"], found["id"], tuple(found["payload"]["reasons"]), found["ts_utc"])
    return None
