"""The audit: every run, gate, pool, snapshot, ledger line and tombstone of an installation, held against each other.

It finds: a rewritten run or gate (its seal is not the ledger's), one deleted without a tombstone, a run that nobody
began or sealed, a design that was changed after it was locked, a damaged pool or ledger, records that no sealed run
claims, a founder that the pool does not have, a snapshot that is no prefix of its pool, an entry that no policy allows,
what a verification of each finds by itself, and what a witness outside remembers otherwise
(`evidence.auditing.audit_witness`). One line a finding; exit 0, 1 or 2 (contracts, section 6). It reads, and never
writes.

Writers may be at work. What is looked at was there before the ledger is read, so the ledger knows it; what it does not
know is asked for once more in a ledger that is read anew, before it is called a failure. Standard library only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.files import ASIDE_SUFFIX
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Artifact, is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import is_regular
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.auditing.audit_descent import audit_descent
from prometheus.v10.evidence.auditing.audit_ledger import check_entries
from prometheus.v10.evidence.auditing.audit_pools import audit_stage
from prometheus.v10.evidence.auditing.audit_witness import Witnesses
from prometheus.v10.evidence.auditing.budget import Budget
from prometheus.v10.evidence.auditing.manifests import manifest_there
from prometheus.v10.evidence.chains.ledger_view import LedgerView, read_ledger
from prometheus.v10.evidence.records.findings import Finding, Level, Progress, VerifyReport
from prometheus.v10.evidence.verify.verify_chain import verify_ledger
from prometheus.v10.evidence.verify.verify_curve import audit_curves
from prometheus.v10.evidence.verify.verify_gate import verify_gate
from prometheus.v10.evidence.verify.verify_promotion import check_promotions
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.verify.verify_seal import CHANGED, GONE
from prometheus.v10.evidence.writing.installation_past import past_of

IsAlive = Callable[[str], bool]
"""Whether the process of an instance holds its lock now."""

LOOKS_AT_ONE = 3
"""How often a run is verified again because the ledger grew meanwhile."""
SECOND_LOOKS = 20
MOST_TOLD = 100
"""Findings of one run that are told one by one."""
ASIDES = frozenset([ASIDE_SUFFIX, ".retention"])
PAUSE_SECONDS = 0.1  # a writer enters what it has sealed within milliseconds


def audit(
    layout: Layout,
    *,
    progress: Progress | None = None,
    is_alive: IsAlive | None = None,
    witnesses: Witnesses | None = None,
    budget: Budget | None = None,
    unused_ok: bool = False,
) -> VerifyReport:
    """Walk everything under ``layout.lib``; the report's facts count what was looked at.

    Args:
        layout: the installation.
        progress: called with numbers of bytes looked at; `audit_bytes` says how many there are.
        is_alive: tells a run that is being written from one that was cut off; without it neither fails the audit.
        witnesses: checkpoints and a journal that the ledger is held against; without them nobody outside is asked.
        budget: how long it may take; what it does not come to could not be checked (2). Without one, it takes its time.
        unused_ok: a tree that is laid out, was never used, and of which no witness remembers anything passes.
    """
    report = VerifyReport(layout.lib, "audit")
    report.facts.update(runs=0, pools=0, snapshots=0, ledger_entries=0)
    if not layout.lib.is_dir():
        report.error(layout.lib, "there is no such directory: nothing was audited")
        return report
    try:
        _Audit(layout, report, progress, is_alive, witnesses, budget, unused_ok=unused_ok).everything()
    except PrometheusError as error:
        report.error(layout.lib, error.message)
    except OSError as error:
        report.error(error.filename or layout.lib, f"cannot be read: {error.strerror}")
    return report


def audit_bytes(layout: Layout) -> int:
    """How many bytes an audit looks at, for a progress bar."""
    roots = [*(layout.runs(tier) for tier in Tier), layout.gates, layout.lib / "pools", layout.state]
    total = 0
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118  (walk's own strings)
                except OSError:
                    continue
    return total


class _Audit:
    """One audit: what was found, and the ledger as it was read last."""

    def __init__(
        self,
        layout: Layout,
        report: VerifyReport,
        progress: Progress | None,
        is_alive: IsAlive | None,
        witnesses: Witnesses | None,
        budget: Budget | None,
        *,
        unused_ok: bool,
    ) -> None:
        self.layout, self.report, self.progress, self.is_alive = layout, report, progress, is_alive
        self.witnesses, self.budget, self.unused_ok = witnesses, budget, unused_ok
        self.view: LedgerView | None = None
        self.looks = 0

    def everything(self) -> None:
        """Look around first, then read the ledger: it knows whatever was complete before."""
        layout, report = self.layout, self.report
        runs = {tier: self._entries(layout.runs(tier)) for tier in Tier}
        gates = self._entries(layout.gates)
        if self.witnesses is not None:
            self.witnesses.listen(report)
        if not layout.ledger.exists():
            past = list(past_of(layout))
            for what in past:
                report.fail(layout.ledger, f"{what}, and no ledger: somebody took it away")
            if not past:
                self._tell_nothing()
                self._ask_witnesses()
                return
        else:
            found = verify_ledger(layout.ledger, progress=self.progress)
            report.findings += found.findings
            report.facts["ledger_entries"] = found.facts.get("records", 0)
            self.view = read_ledger(layout.ledger, report)
        self._ask_witnesses()
        if self.budget is None:
            self._runs(runs)
        self._same_run_twice(runs)
        for path in gates:
            self._gate(path)
        if self.view is not None:
            check_entries(layout, self.view, report)
            report.findings += check_promotions(layout.lib, self.view.seals, self.view.promotions)
        for stage in Stage:
            audit_stage(layout, stage, self.view, report, self.progress, again=self._again)
        audit_descent(layout, report)
        audit_curves(layout, self.view, report, is_alive=self.is_alive, again=self._again)
        if self.budget is not None:
            self._runs(runs)

    def _tell_nothing(self) -> None:
        """Neither a ledger nor evidence is there: a mistyped root, a disk that is not mounted, or a new host."""
        remembered = self.witnesses is not None and self.witnesses.remember
        if self.unused_ok and self.layout.state.is_dir() and not remembered:
            self.report.note(self.layout.lib, "nothing ever ran here: there is nothing to audit")
        else:
            self.report.error(self.layout.lib, "neither a ledger nor evidence is here: nothing was audited")

    def _ask_witnesses(self) -> None:
        if self.witnesses is not None:
            self.witnesses.compare(self.layout, self.view, self.report)

    def _entries(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            return []
        return sorted(folder.iterdir())

    def _again(self) -> LedgerView | None:
        """The ledger read anew, a moment later; None when that was done often enough or cannot be done."""
        if self.view is None or self.looks >= SECOND_LOOKS:
            return None
        self.looks += 1
        time.sleep(PAUSE_SECONDS)
        quiet = VerifyReport(self.layout.lib, "audit")
        fresh = read_ledger(self.layout.ledger, quiet)
        if fresh is not None:
            self.view = fresh
        return fresh

    # ---- runs --------------------------------------------------------------------------------------------------------

    def _runs(self, runs: dict[Tier, list[Path]]) -> None:
        """Every run, or those that there is time for."""
        found = [(path, tier) for tier in Tier for path in runs[tier]]
        budget = self.budget
        if budget is None:
            for path, tier in found:
                self._run(path, tier)
            return
        for number, (path, tier) in enumerate(budget.mixed(found)):
            if budget.is_over():
                what = (
                    f"{len(found) - number} of {len(found)} runs were not looked at: the {budget.seconds:g} s are over"
                )
                self.report.error(self.layout.lib, what)
                return
            self._run(path, tier)

    def _run(self, path: Path, tier: Tier) -> None:
        if path.name.startswith(".") and path.suffix in ASIDES and (is_regular(path) or not os.path.lexists(path)):
            if is_regular(path):  # else it was renamed or removed since the directory was listed
                self.report.note(path, "was left by work that was cut off; the next pass removes it")
            return
        if path.is_symlink() or not path.is_dir() or not is_run_id(path.name):
            self.report.fail(path, "is no run's directory: nothing else belongs here")
            return
        self.report.facts["runs"] += 1
        try:
            self._verify_run(path, tier)
        except PrometheusError as error:
            self.report.error(path, error.message)
        except Exception as error:  # noqa: BLE001  (one run that cannot be looked at must not hide the others)
            self.report.error(path, f"could not be looked at: {type(error).__name__}: {error}")

    def _verify_run(self, path: Path, tier: Tier) -> None:
        buried = self.view is not None and self._is_buried(path)
        if buried and tier is Tier.TIER2_FULL and not (path / Artifact.SHA256SUMS).exists():
            self.report.note(path, "has a tombstone and is still there in part: its deletion was not finished")
            return
        while self.view is not None and path.name not in self.view.seals:
            if self._tell_unsealed(path):
                return
            if self._again() is None:
                break
        if self.view is None and self._tell_unsealed(path):
            return
        found = self._look_at_run(path)
        for _ in range(LOOKS_AT_ONE):  # retention may have been at work on it since the ledger was read
            known = None if self.view is None else self.view.entries
            if all(one.level is Level.NOTE for one in found.findings):
                break
            if (fresh := self._again()) is None:
                break
            if fresh.entries != known:
                buried, found = self._is_buried(path), self._look_at_run(path)
        going = buried and any(one.what == GONE for one in found.findings)
        told = [one for one in found.findings if one.level is not Level.NOTE and (not going or one.what == CHANGED)]
        self.report.findings += told[:MOST_TOLD]
        if len(told) > MOST_TOLD:
            gravest = Level.FAIL if any(one.level is Level.FAIL for one in told) else Level.ERROR
            what = f"and {len(told) - MOST_TOLD} more; prometheus-quant verify names them all"
            self.report.findings.append(Finding(gravest, str(path), what))
        if buried:
            self.report.note(path, "has a tombstone and is still there: its deletion was not finished")

    def _look_at_run(self, path: Path) -> VerifyReport:
        progress = self.progress if self.budget is None else self.budget.of_one(self.progress)
        return verify_run(path, progress=progress, ledger=self.view, look_for_ledger=False)

    def _is_buried(self, path: Path) -> bool:
        view = self.view or LedgerView()
        buried = view.deleted.get(str(path.relative_to(self.layout.lib)))
        return buried is not None and buried in {entry.get("seal") for entry in view.seals.get(path.name, [])}

    def _tell_unsealed(self, path: Path) -> bool:
        """Tell of a run that says it is running and has no seal; False for every other, which is to be verified."""
        if (path / Artifact.SHA256SUMS).exists():
            return False
        view = self.view
        begun = view is not None and (path.name in view.started or path.name in view.inherited)
        if view is not None and view.installation is not None and not begun:
            return False
        status, instance = _status(path)
        if begun and view is not None and path.name in view.started:
            instance = view.started[path.name].instance
            status = status or "running"
        if status != "running":
            return False
        if self.is_alive is None:
            self.report.note(path, "not sealed: it is running, or was cut off and waits for the next start to close it")
        elif self.is_alive(instance) and (view or LedgerView()).is_newest(path.name, instance):
            self.report.note(path, "not sealed yet: it is running")
        elif self._again() is not None and path.name in (self.view or LedgerView()).seals:
            return False
        else:
            self.report.fail(
                path, "not sealed: it was cut off, and the next start of its instance has not closed it yet"
            )
        return True

    def _same_run_twice(self, runs: dict[Tier, list[Path]]) -> None:
        names = [{path.name for path in found} for found in runs.values()]
        for name in sorted(set.intersection(*names)):
            self.report.fail(self.layout.lib, f"{printable(name)} is there twice, in the roots of both tiers")

    # ---- gates -------------------------------------------------------------------------------------------------------

    def _look_at_gate(self, path: Path) -> list[Finding]:
        return verify_gate(path, progress=self.progress, ledger=self.view, look_for_ledger=False).findings

    def _gate(self, path: Path) -> None:
        if path.is_symlink() or not path.is_dir():
            self.report.fail(path, "is no gate's directory: nothing else belongs here")
            return
        self.report.facts["gates"] = self.report.facts.get("gates", 0) + 1
        try:
            found = self._look_at_gate(path)
            while any(one.level is Level.FAIL for one in found) and self._again() is not None:
                found = self._look_at_gate(path)  # it may have gone on, or been sealed, since the ledger was read
        except PrometheusError as error:
            self.report.error(path, error.message)
            return
        except Exception as error:  # noqa: BLE001  (as for a run)
            self.report.error(path, f"could not be looked at: {type(error).__name__}: {error}")
            return
        for finding in found:
            if finding.level is Level.ERROR and not (path / Artifact.SHA256SUMS).exists():
                self.report.note(finding.where, finding.what)  # it is being run, or waits to be gone on with
            elif finding.level is not Level.NOTE:
                self.report.findings.append(finding)


def _status(path: Path) -> tuple[str | None, str]:
    """Status and instance of a run's manifest, as far as it can be read."""
    manifest = manifest_there(path)
    return (None, "") if manifest is None else (str(manifest.get("status")), str(manifest.get("instance")))
