"""What a verification found: one finding a line, and a verdict (contracts, section 6).

0 pass, 1 fail, 2 could not check.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import ExitCode

Progress = Callable[[int], None]
"""Called with a number of bytes whenever that many more were looked at."""


class Level(StrEnum):
    """How much a finding weighs."""

    FAIL = "fail"
    """The evidence is not what it should be."""
    ERROR = "error"
    """Something could not be looked at, so nothing can be said about it."""
    NOTE = "note"
    """Worth knowing; the verdict does not depend on it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found, about one place."""

    level: Level
    where: str
    what: str

    def line(self) -> str:
        """The finding as its line."""
        return f"{self.level.upper():<5} {self.where}: {self.what}"


@dataclass
class VerifyReport:
    """Everything that was found about one subject.

    Attributes:
        kind: ``run``, ``pool``, ``snapshot``, ``ledger`` or ``audit``.
        facts: what was counted on the way (files, bytes, records, head hash ...), plain JSON values.
    """

    subject: Path
    kind: str
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def fail(self, where: str | Path, what: str) -> None:
        """Add a failure."""
        self.findings.append(Finding(Level.FAIL, str(where), what))

    def error(self, where: str | Path, what: str) -> None:
        """Add something that could not be checked."""
        self.findings.append(Finding(Level.ERROR, str(where), what))

    def note(self, where: str | Path, what: str) -> None:
        """Add a remark."""
        self.findings.append(Finding(Level.NOTE, str(where), what))

    @property
    def verdict(self) -> str:
        """``PASS``, ``FAIL`` or ``COULD NOT CHECK``; a failure weighs more than a gap."""
        levels = {finding.level for finding in self.findings}
        if Level.FAIL in levels:
            return "FAIL"
        return "COULD NOT CHECK" if Level.ERROR in levels else "PASS"

    @property
    def exit_code(self) -> ExitCode:
        """The verdict as an exit code."""
        codes = {"PASS": ExitCode.DONE, "FAIL": ExitCode.VERIFY_FAILED, "COULD NOT CHECK": ExitCode.VERIFY_ERROR}
        return codes[self.verdict]

    def lines(self) -> list[str]:
        """One line a finding, and the verdict last."""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items() if isinstance(value, int | str))
        last = f"{self.verdict:<5} {self.kind} {self.subject}" + (f" ({facts})" if facts else "")
        return [*(finding.line() for finding in self.findings), last]

    def plain(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "subject": str(self.subject),
            "kind": self.kind,
            "verdict": self.verdict,
            "exit_code": int(self.exit_code),
            "facts": self.facts,
            "findings": [{"level": f.level.value, "where": f.where, "what": f.what} for f in self.findings],
        }
