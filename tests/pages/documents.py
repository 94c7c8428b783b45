"""The site of documents as tests build it, once for all workers, and what its pages hold."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "packaging/docs"))

from docs_environment import DOCS, REPOSITORY
from typed_pages import TYPED

__all__ = ["DOCS", "REPOSITORY", "TYPED", "Page", "built", "environment_or_skip"]


def environment_or_skip() -> None:
    """Skips, and says why, where the environment of the documents is not there."""
    reason = DOCS.missing()
    if reason is not None:
        pytest.skip(reason)


def built(factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The site, and what its build said; the worker that comes first builds it for the others."""
    environment_or_skip()
    base = factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "documents"
    site, said = place / "site", place / "said"
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            ended = subprocess.run(
                [REPOSITORY / "packaging/docs/build.sh", site], capture_output=True, text=True, check=False, cwd="/",
                env={**os.environ, "PQ_DOCS": str(DOCS.place)},
            )  # fmt: skip
            said.write_text(f"{ended.stdout}{ended.stderr}")
    return site, said.read_text()


class Page(HTMLParser):
    """What a page links, what it loads, which anchors it has, its language and its text."""

    LOADS = frozenset({"src", "srcset", "poster", "data", "background"})

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.language = ""
        self.feed(place.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.anchors |= {told["id"]} if "id" in told else set()
        if tag == "html":
            self.language = told.get("lang", "")
        self.loads += [value for name, value in told.items() if name in self.LOADS]
        if "href" in told:
            (self.loads if tag == "link" else self.links).append(told["href"])
