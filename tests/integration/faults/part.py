"""One part of the state directory that failures are tried on, and what all parts share."""

from __future__ import annotations

import functools
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from prometheus.v10.base.kernel import Files
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.findings import Level, VerifyReport
from prometheus.v10.evidence.writing.journal import Journal
from tests.conftest import FakeClock
from tests.integration.faults.support import lines_of

Ack = Callable[[str], object]
EXPECTED = 1200  # records; a pool is begun anew before it has so many


def silent_journal() -> Journal:
    return Journal(instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None, sender=None, absent_reason="test")


@functools.cache
def expected_lines() -> list[bytes]:
    return lines_of(EXPECTED)


@functools.cache
def expected_bytes() -> bytes:
    return b"".join(expected_lines())


def failures(report: VerifyReport) -> list[str]:
    return [finding.line() for finding in report.findings if finding.level is not Level.NOTE]


class Part(ABC):
    """One part, in a directory of its own; `renew` before `work`."""

    name: ClassVar[str]

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout.under(root)
        self.clock = FakeClock()
        self.verdicts = 0

    @abstractmethod
    def renew(self) -> None:
        """Begin with fresh files, where the work needs them or has become too much to check quickly."""

    @abstractmethod
    def work(self, files: Files, ack: Ack) -> None:
        """Do it, through these files, and acknowledge."""

    @abstractmethod
    def check(self, acks: Sequence[str]) -> None:
        """Look at what is left: nothing acknowledged is missing, each verdict is right, and the next start mends it."""

    def says(self, report: VerifyReport, wrong: Sequence[str]) -> None:
        """The verdict is right: exactly the findings that contain ``wrong``, in this order."""
        self.verdicts += 1
        found = failures(report)
        assert len(found) == len(wrong), (found, wrong)
        assert all(words in line for words, line in zip(wrong, found, strict=True)), (found, wrong)

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        self.layout.prepare()
