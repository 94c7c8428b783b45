"""The wrong versions of the venue, as `wrong_versions.toml` says them, and copies of the package with one of them."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from attrs import define

import prometheus

PACKAGE = Path(prometheus.__file__).resolve().parent
FILE = Path(__file__).resolve().parent / "wrong_versions.toml"


@define(frozen=True)
class Mutation:
    """One wrong version: a text of a file of the venue that is there once, and what stands there instead."""

    name: str
    file: str
    old: str
    new: str
    checks: list[str]

    def applied(self, source: str) -> str:
        """The wrong source.

        Raises:
            LookupError: when the text to be replaced is not there exactly once.
        """
        if source.count(self.old) != 1:
            raise LookupError(f"{self.name}: its text is {source.count(self.old)} times in {self.file}")
        return source.replace(self.old, self.new)


def mutations() -> list[Mutation]:
    """All of them, in the order of the file."""
    return [Mutation(**version) for version in tomllib.loads(FILE.read_text(encoding="utf-8"))["version"]]


def copy(place: Path, mutation: Mutation | None) -> None:
    """A copy of the package below ``place``, with the mutation where there is one.

    Raises:
        LookupError: see `Mutation.applied`.
    """
    shutil.copytree(PACKAGE, place / "prometheus", ignore=shutil.ignore_patterns("__pycache__"))
    if mutation is not None:
        file = place / "prometheus/venue" / mutation.file
        file.write_text(mutation.applied(file.read_text(encoding="utf-8")), encoding="utf-8")
