"""The installation's ledger: how it is begun, and that it is never begun where there is a past already.

1. The first entry is `LedgerEntryType.INSTALLATION`, with an id of its own, of which checkpoints speak.
2. A ledger of the version before gets the entry once; every entry after it owes what this version writes.
3. Where runs, gates, snapshots or pool records are, and no ledger, nothing is begun: somebody took the ledger away.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from prometheus import __version__
from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.base.files import FILES, Files
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger import Ledger, LedgerEntry
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.chains.ledger_table import problem
from prometheus.v10.evidence.chains.tail import OnTornTail, TornTail
from prometheus.v10.evidence.writing.installation_past import past_of, run_ids

BEGUN = "a new installation"
UPGRADED = "the first entry of a version that owes more of every run"


class InstallationLedger(Ledger):
    """Appends to ``state/ledger.jsonl``; every entry is held against the closed table before it is written.

    Attributes:
        installation: the id of the installation's entry; None before the first append or `begin`.
    """

    def __init__(
        self, layout: Layout, *, clock: Clock, instance: str, on_torn: OnTornTail, files: Files = FILES
    ) -> None:
        """As `Ledger`; a torn tail of the ledger itself is entered into it as well."""
        self._layout = layout
        self._tails: list[TornTail] = []
        self._tell = on_torn
        self._begun = False
        self.installation: str | None = None
        super().__init__(layout.ledger, clock=clock, instance=instance, on_torn=self._torn, files=files)

    def append(
        self, kind: LedgerEntryType, payload: Mapping[str, Any], *, null_reasons: Mapping[str, str] | None = None
    ) -> LedgerEntry:
        """Append one entry, the installation's before it where there is none; errors as `Ledger.append`.

        Raises:
            EvidenceError: also for a payload that the closed table does not allow, and where a ledger is missing.
        """
        if (wrong := problem(kind.value, payload, installed=True)) is not None:
            raise EvidenceError(f"cannot enter into {self.path}: {wrong}", hint="this is a fault of the suite")
        return super().append(kind, payload, null_reasons=null_reasons)

    def _look_before(self) -> None:
        """Read the whole ledger while nobody waits for it; under the lock only what came since is left to be read."""
        ledger_now(self.path)

    def _append_locked(self, kind: LedgerEntryType, payload: dict[str, Any], reasons: dict[str, str]) -> LedgerEntry:
        self._begin_locked()
        entry = super()._append_locked(kind, payload, reasons)
        self._enter_tails()
        return entry

    def _enter_tails(self) -> None:
        while self._tails:
            self._enter_tail(self._tails.pop())

    def begin(self) -> None:
        """Make sure that the installation's entry is there, and that no torn tail is left behind it.

        Raises:
            PrometheusError: as `append`.
        """
        if not self._begun:
            with self._turn():
                self._begin_locked()
                self._open()[0].close()
                self._enter_tails()

    def enter_torn(self, tail: TornTail) -> None:
        """Enter a torn tail of another chained file of the installation.

        Raises:
            PrometheusError: as `append`.
        """
        with self._turn():
            self._begin_locked()
            self._enter_tail(tail)

    def _enter_tail(self, tail: TornTail) -> None:
        lib = self._layout.lib
        payload = {
            "path": str(tail.path.relative_to(lib)),
            "kept": str(tail.moved_to.relative_to(lib)),
            "offset": tail.offset,
            "bytes": tail.length,
            "sha256": tail.sha256,
        }
        super()._append_locked(LedgerEntryType.TORN_TAIL, payload, {})

    def _torn(self, tail: TornTail) -> None:
        self._tails.append(tail)
        self._tell(tail)

    def _begin_locked(self) -> None:
        if self._begun:
            return
        view = ledger_now(self.path)
        self.installation = view.installation
        if view.entries == 0:
            refuse_a_past_without_ledger(self._layout)
            self._enter_installation(0, BEGUN, [])
        elif view.installation is None:
            self._enter_installation(view.entries, UPGRADED, sorted(run_ids(self._layout) - view.seals.keys()))
        self._begun = True

    def _enter_installation(self, before: int, reason: str, open_runs: list[str]) -> None:
        installation = secrets.token_hex(16)
        payload = {
            "installation_id": installation,
            "suite_version": __version__,
            "entries_before": before,
            "open_runs": open_runs,
            "reason": reason,
        }
        super()._append_locked(LedgerEntryType.INSTALLATION, payload, {})
        self.installation = installation


def refuse_a_past_without_ledger(layout: Layout) -> None:
    """Refuse to begin a ledger where there is a past already, or to work where there should be one.

    Raises:
        EvidenceError: naming what is there.
    """
    if layout.ledger.exists():
        return
    for what in past_of(layout):
        raise EvidenceError(
            f"{layout.ledger} is not there, and {what}: a ledger is never begun where there is a past",
            hint="find the ledger, or restore the backup; or move what is there away, and begin anew",
        )
