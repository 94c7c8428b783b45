"""An operator's release of a halted instance: one entry of the ledger, for one halt, by somebody's word.

1. Nobody works for the instance, and its cut-off runs are closed, so that the halt is that of a sealed run.
2. The entry names run, seal, line and reasons of the halt that stands. It is durable, or it is not there: a process
   that is killed here has released nothing, or all of it.
3. Nothing is started, and nothing is asked of the exchange.
"""

from __future__ import annotations

from attrs import frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import Event, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.exchanged.trading_halts import Halt, standing_halt
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.instance.trading_look import last_begun
from prometheus.v10.ops.service.session import close_cut_off, locked

PROGRAM = "program"
MOST_CHARS = {"--by": 100, "--why": 500}


@frozen(kw_only=True)
class HaltRelease:
    """A release that is on record: entry ``n`` of the ledger, at ``at``; ``heard`` by the journal, or not."""

    halt: Halt
    by: str
    why: str
    n: int
    at: str
    heard: bool


def release_halt(
    layout: Layout, clock: Clock, instance: str, *, by: str, why: str, run_id: str | None = None
) -> HaltRelease:
    """Release the halt of an instance.

    Args:
        layout: the installation.
        clock: gives the time of the entry.
        instance: whose halt.
        by: a person's name.
        why: what was found, and why trading may go on.
        run_id: the run whose halt is meant; whichever stands by default.

    Raises:
        UsageError: for words that say nothing, an unknown instance, one that is not halted, or another run's halt.
        LockHeldError: when the instance is at work.
        EvidenceError: when the ledger or a run that is to be closed is damaged.
        HostError: when the disk refuses.
    """
    words = {"--by": by.strip(), "--why": why.strip()}
    for option, text in words.items():
        _require_words(option, text)
    begun = last_begun(ledger_now(layout.ledger), layout, instance)
    _standing(layout, instance, run_id)
    mode = Mode(begun.payload["mode"])
    journal = Journal.open(instance=instance, mode=mode, stage=Stage(begun.payload["stage"]), run_id=None)
    with locked(layout, clock, instance, journal) as own:
        close_cut_off(layout, own, clock, journal)
        halt = _standing(layout, instance, run_id)
        if halt.seal is None:
            raise EvidenceError(
                f"{halt.run_id} is halted and could not be closed: its directory is not where the ledger says",
                hint="bring it back; an audit names what is missing",
            )
        claim = {"line": halt.line, "line_id": halt.line_id, "reasons": list(halt.reasons)}
        payload = {"run_id": halt.run_id, "seal": halt.seal, "halt": claim,
                   "by": words["--by"], "why": words["--why"]}  # fmt: skip
        ledger = InstallationLedger(layout, clock=clock, instance=instance, on_torn=journal.send_torn)
        entry = ledger.append(LedgerEntryType.TRADING_RELEASED, payload)
    reasons = ", ".join(halt.reasons)
    heard = journal.send(
        Event.TRADING_RELEASED, f"{words['--by']} released the halt of {halt.run_id} ({reasons}): {words['--why']}",
        halted_run=halt.run_id, reasons=reasons, who=words["--by"], why=words["--why"],
    )  # fmt: skip
    return HaltRelease(
        halt=halt,
        by=words["--by"],
        why=words["--why"],
        n=entry.n,
        at=entry.ts_utc,
        heard=heard or journal.absent_reason is not None,
    )


def _require_words(option: str, text: str) -> None:
    if not text or not text.isprintable() or len(text) > MOST_CHARS[option]:
        raise UsageError(
            f"{option} needs 1 to {MOST_CHARS[option]} characters in one line",
            hint="a release names who answers for it, and what that person found",
        )
    if option == "--by" and text.casefold() == PROGRAM:
        raise UsageError(f"--by {text}: a release is the word of a person", hint="name yourself")


def _standing(layout: Layout, instance: str, run_id: str | None) -> Halt:
    """The halt that stands.

    Raises:
        UsageError: when there is none, or it is another run's.
    """
    halt = standing_halt(layout, instance)
    if halt is None:
        before = ledger_now(layout.ledger).releases.get(instance)
        said = "" if before is None else (
            f": {before.payload['by']} released the halt of {before.payload['run_id']} at {before.at}"
        )  # fmt: skip
        raise UsageError(f"instance {instance} is not halted{said}", hint="there is nothing to release")
    if run_id is not None and run_id != halt.run_id:
        raise UsageError(
            f"instance {instance} is halted by {halt.run_id}, not by {run_id}",
            hint=f"prometheus-quant execution state {instance} says why",
        )
    return halt
