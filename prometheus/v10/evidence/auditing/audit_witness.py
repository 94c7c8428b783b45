"""The audit of the ledger against what others remember: checkpoints that were kept, and the journal.

The tree alone cannot show that its newest entries were cut off, or that all of it was rolled back: what is left fits
together. Whoever remembers shows it. Each witness agrees, is silent, or contradicts; a contradiction fails the audit.

What the witnesses say is read before the ledger is: the ledger then knows it. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.witnesses.checkpoint_kept import (
    Kept,
    contradiction,
    find_checkpoints,
    keys_beside,
    read_kept,
    read_state,
)
from prometheus.v10.evidence.witnesses.journal_seals import HostJournal, JournalFile, JournalSeal
from prometheus.v10.evidence.witnesses.signed_note import Verifier

MOST_TOLD = 20
"""Contradictions that are told one by one."""
NO_CHECKPOINT = "no checkpoint was found: truncation and rollback cannot be seen"


@dataclass
class Witnesses:
    """What an audit asks beside the tree.

    Attributes:
        places: checkpoints, and directories of checkpoints; each has to be there. With each the public keys that are
            believed; None: those that lie beside it.
        journal: where sealed runs were told of; None where nobody asks.
    """

    places: Sequence[tuple[Path, Sequence[Verifier] | None]] = ()
    journal: HostJournal | JournalFile | None = None
    _kept: list[Kept] = field(default_factory=list)
    _seals: list[JournalSeal] = field(default_factory=list)
    _silent: str | None = None

    def listen(self, report: VerifyReport) -> None:
        """Read what the witnesses have; what cannot be read becomes an error of the report."""
        for place, given in self.places:
            try:
                keys = keys_beside(place if place.is_dir() else place.parent) if given is None else given
                files = find_checkpoints(place)
            except PrometheusError as error:
                report.error(place, error.message)
                continue
            for file in files:
                try:
                    self._kept.append(read_kept(file, keys))
                except PrometheusError as error:
                    if place.is_dir() and not os.path.lexists(file):
                        continue  # the witness thins its old ones meanwhile
                    report.error(file, error.message)
        if self.journal is None:
            return
        try:
            self._seals = list(self.journal.seals())
        except PrometheusError as error:
            self._silent = error.message
        if not self._seals:
            self._silent = self._silent or "the journal has no sealed run that this user may read"

    @property
    def remember(self) -> bool:
        """Whether any of them has something to say of an installation; after `listen`."""
        return bool(self._kept or self._seals)

    def compare(self, layout: Layout, view: LedgerView | None, report: VerifyReport) -> None:
        """Hold the ledger against what was heard.

        Args:
            layout: the installation.
            view: what the ledger says. None when it is damaged or gone, which the audit and the checkpoints tell of:
                the journal is not compared then, since it does not say by itself whose ledger should be here.
            report: gets findings, and the facts ``checkpoints`` and ``journal``.
        """
        self._compare_checkpoints(layout.ledger, report)
        if self.journal is not None:
            self._compare_journal(layout.ledger, view, report)

    def _compare_checkpoints(self, ledger: Path, report: VerifyReport) -> None:
        if not self._kept:
            if ledger.exists():
                report.note(ledger, NO_CHECKPOINT)
            return
        if ledger.exists():
            try:
                state = read_state(ledger, [one.checkpoint.size for one in self._kept])
            except PrometheusError as error:
                report.error(ledger, f"was not held against any checkpoint: {error.message}")
                return
            told = [(one, contradiction(one.checkpoint, state)) for one in self._kept]
        else:
            told = [(one, "there is no ledger") for one in self._kept]
        wrong = [(one, what) for one, what in told if what is not None]
        _tell_few([(one.path, f"contradicts the ledger: {what} ({one.when()})") for one, what in wrong], report)
        agree: list[Kept] = []
        for one, what in told:
            if one.forged is not None:
                report.fail(one.path, f"{one.forged}: it was changed, and proves nothing")
            elif what is None and not one.signed:
                report.error(one.path, "agrees, and no key that is known here signed it: it proves nothing")
            elif what is None:
                agree.append(one)
        newest = max(agree, key=lambda one: one.checkpoint.size, default=None)
        said = [f"{len(agree)} agree"] + ([f"{len(wrong)} contradict"] if wrong else [])
        report.facts["checkpoints"] = ", ".join(said) + (f", newest of {newest.when()}" if newest is not None else "")

    def _compare_journal(self, ledger: Path, view: LedgerView | None, report: VerifyReport) -> None:
        own = [said for said in self._seals if view is not None and said.installation == view.installation]
        if view is None or not own:
            other = f"it has {len(self._seals)} sealed runs, none of this ledger's installation"
            report.facts["journal"] = f"silent: {self._silent or other}"
            return
        wrong: list[tuple[Path, str]] = []
        for said in own:
            where = f"the journal has its seal {said.seal[:12]}..., sent by {said.unit} at {said.when()}"
            known = {entry.get("seal") for entry in view.seals.get(said.run_id, ())}
            if not known:
                wrong.append((ledger, f"{said.run_id}: {where}, and the ledger does not have the run"))
            elif said.seal not in known:
                wrong.append((ledger, f"{said.run_id}: {where}, and the ledger has another"))
        _tell_few(wrong, report)
        word = f"contradicts ({len(wrong)} of {len(own)} runs)" if wrong else f"agrees ({len(own)} runs)"
        report.facts["journal"] = word


def _tell_few(wrong: Iterable[tuple[Path, str]], report: VerifyReport) -> None:
    found = list(wrong)
    for where, what in found[:MOST_TOLD]:
        report.fail(where, what)
    if len(found) > MOST_TOLD:
        report.fail(found[-1][0], f"and {len(found) - MOST_TOLD} more like these")
