"""What an operator is told of an instance's trading: its state, the halt that stands, the last release, its last run.

It only reads. What halts is `prometheus.v10.evidence.chains.exchanged.trading_halts`; the rest is from the run's own
files, and null with its reason where they are not there any more. Standard library and attrs only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import ORDER_LOCK, Artifact, is_instance
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.catalog import manifest_of
from prometheus.v10.evidence.chains.exchanged.trading_halts import Halt, halting_line, standing_halt
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.ledger_view import LedgerView, Started
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.ops.instance.alive import is_alive

GONE = "the run's directory is not there any more"
PACKED = "its order chain is compressed; verify reads it"
NOT_ENDED = "the run was cut off before its end, or works still"


def trades(layout: Layout, instance: str, manifest: Mapping[str, Any] | None) -> bool:
    """Whether an instance ever traded, by its newest run or by the lock that its order chains had."""
    if manifest is not None and manifest.get("mode") != Mode.OFFLINE:
        return True
    return (layout.state / instance / ORDER_LOCK).exists()


def halt_facts(halt: Halt) -> dict[str, Any]:
    """A halt as plain JSON values."""
    return {"run_id": halt.run_id, "line": halt.line, "line_id": halt.line_id, "reasons": list(halt.reasons),
            "since": halt.since, "sealed": halt.seal is not None}  # fmt: skip


def trading_state(layout: Layout, instance: str) -> dict[str, Any]:
    """Everything that is known of the trading of an instance, as plain JSON values with ``null_reasons``.

    Raises:
        UsageError: for a name that is none, or of an instance that never began a run at an exchange.
        EvidenceError: when the ledger, or the chain of a run that is not sealed, is damaged.
        HostError: when they cannot be read.
    """
    view = ledger_now(layout.ledger)
    last = last_begun(view, layout, instance)
    halt = standing_halt(layout, instance)
    nulls = Nulls()
    released = view.releases.get(instance)
    return {
        "instance": instance,
        "trading": "HALTED" if halt is not None else "released" if released is not None else "not halted",
        "may_begin": halt is None,
        "working": is_alive(layout, instance),
        "halt": nulls.known("halt", None if halt is None else _halt(layout, view, halt), "no halt stands"),
        "released": nulls.known(
            "released", None if released is None else {
                "run_id": released.payload["run_id"], "reasons": released.payload["halt"]["reasons"],
                "by": released.payload["by"], "why": released.payload["why"], "at": released.at,
            }, "no halt of this instance was released",
        ),
        "last_run": str(last.payload["run_id"]),
        "null_reasons": nulls.reasons,
    }  # fmt: skip


def last_begun(view: LedgerView, layout: Layout, instance: str) -> Started:
    """The run at an exchange that an instance began last.

    Raises:
        UsageError: where there is none.
    """
    if not is_instance(instance):
        raise UsageError(f"{printable(instance)!r} names no instance", hint="for example OKX_DEMO")
    own = [one for one in view.started.values() if one.instance == instance and one.payload["mode"] != Mode.OFFLINE]
    if not own:
        raise UsageError(
            f"instance {instance} never began a run at an exchange under {layout.lib}",
            hint="prometheus-quant status names the instances; --root names the installation",
        )
    return max(own, key=lambda one: one.n)


def _halt(layout: Layout, view: LedgerView, halt: Halt) -> dict[str, Any]:
    """The halt, with what the run's own files say of it."""
    nulls = Nulls()
    run_dir = layout.lib / view.started[halt.run_id].payload["run_dir"]
    try:
        line, damage = halting_line(run_dir / Artifact.ORDER_CHAIN.value), PACKED if run_dir.is_dir() else GONE
    except EvidenceError as error:
        line, damage = None, error.message
    manifest = manifest_of(run_dir) if run_dir.is_dir() else None
    ended = ((manifest or {}).get("exchange") or {}).get("ended") or {}
    why = GONE if manifest is None else NOT_ENDED
    known = nulls.known
    return {
        **halt_facts(halt),
        "detail": known("detail", None if line is None else line["payload"]["detail"], damage),
        "position_lots": known("position_lots", ended.get("position_lots"), why),
        "open_orders": known("open_orders", ended.get("open_orders"), why),
        "null_reasons": nulls.reasons,
    }
