"""Is this host fit to run the suite? One finding a line: what was found, why it matters, how to mend it.

Levels: ``ok``; ``warn``, it runs but something is weaker than promised; ``fail``, it does not run or evidence is at
risk; ``unknown``, this user or this place cannot tell. Nothing is changed. Weighed as verification is (contracts,
section 6): 0 nothing fails, 1 something fails, 2 nothing fails but something could not be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from attrs import frozen

from prometheus.v10.base.errors import ExitCode, PrometheusError
from prometheus.v10.ops.host.runner import Ended, Runner


class Level(StrEnum):
    """How much a finding weighs."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@frozen
class Finding:
    """One line of the doctor.

    Attributes:
        check: what was looked at.
        what: what was found.
        why: why it matters.
        mend: what to do; empty where nothing is to be done.
    """

    level: Level
    check: str
    what: str
    why: str
    mend: str = ""

    def plain(self) -> dict[str, str]:
        """As JSON values."""
        return {
            "level": self.level.value,
            "check": self.check,
            "what": self.what,
            "why": self.why,
            "mend": "" if self.level is Level.OK else self.mend,
        }


Check = Callable[[], Iterator[Finding]]


def examine(checks: Mapping[str, Check]) -> list[Finding]:
    """Carry the checks out; one that cannot be is a finding, too."""
    found: list[Finding] = []
    for name, check in checks.items():
        try:
            found += check()
        except PrometheusError as error:
            why = "what cannot be looked at may be wrong"
            found.append(Finding(Level.UNKNOWN, name, error.message, why, error.hint or ""))
        except OSError as error:
            what = f"cannot look: {error.strerror or error} ({error.filename})"
            found.append(
                Finding(Level.UNKNOWN, name, what, "what cannot be looked at may be wrong", "repeat it as root")
            )
    return found


def weigh(found: list[Finding]) -> ExitCode:
    """The code for all findings together."""
    levels = {finding.level for finding in found}
    if Level.FAIL in levels:
        return ExitCode.VERIFY_FAILED
    return ExitCode.VERIFY_ERROR if Level.UNKNOWN in levels else ExitCode.DONE


Version = tuple[int, ...]


def version_in(text: str) -> Version | None:
    """The first version number of a program's own words."""
    found = re.search(r"\b(\d+(?:\.\d+)+|\d{3})\b", text)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def spelled(version: Version) -> str:
    """A version as people write it."""
    return ".".join(str(part) for part in version)


def at_least(
    runner: Runner, check: str, words: tuple[str, ...], *, good: Version, least: Version, why: str, mend: str
) -> Finding:
    """A program's version: ``good`` or later is ok, ``least`` or later a warning, everything else a failure."""
    ended: Ended = runner(words)
    version = version_in(ended.out) if ended.ok else None
    if version is None:
        return Finding(
            Level.FAIL, check, ended.complaint() if not ended.ok else f"{words[0]} names no version", why, mend
        )
    level = Level.OK if version >= good else Level.WARN if version >= least else Level.FAIL
    wanted = "" if level is Level.OK else f"; {spelled(good)} or later is wanted"
    return Finding(level, check, f"{words[0]} {spelled(version)}{wanted}", why, mend)
