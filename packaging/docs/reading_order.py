"""The order of the site, read from the tables of docs/index.md, and which commands of a page a test types."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import sphinx.application
from typed_pages import TYPED

INDEX, DECISIONS = "docs/index", "docs/adr/README"
CHINESE = ".zh-CN"
LINK = re.compile(r"\]\(([^)\s#]+)\.md\)")


def tree(caption: str, names: Iterator[str]) -> str:
    """A table of contents that is in the sidebar only."""
    return "\n".join(["", "", "```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```", ""])


def linked(text: str, heading: str, folder: str) -> Iterator[str]:
    """Documents that a section links, in its order, each once."""
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0] if heading else text
    yield from dict.fromkeys("/" + posixpath.normpath(posixpath.join(folder, one)) for one in LINK.findall(section))


def with_order(text: str) -> str:
    """The first page with every page below it, the English ones first."""
    pages = list(linked(text, "Every page", "docs"))
    return (
        text
        + tree("English", (one for one in pages if not one.endswith(CHINESE)))
        + tree("中文", (one for one in pages if one.endswith(CHINESE)))
    )


def with_typed(text: str, name: str) -> str:
    """A page that shows commands, with a note below its title that says which of them a test types."""
    if "\n```console\n" not in text:
        return text
    said = TYPED.get(name.removesuffix(CHINESE), TYPED[""])
    note = f"\n```{{note}}\n{said[CHINESE in name]}\n```\n"
    title = re.search(r"^# .*\n", text, re.MULTILINE)
    return text if title is None else text[: title.end()] + note + text[title.end() :]


def read(app: sphinx.application.Sphinx, name: str, source: list[str]) -> None:  # noqa: ARG001
    """Called by Sphinx with the text of each document."""
    text = with_typed(source[0], name)
    if name == INDEX:
        text = with_order(text)
    elif name == DECISIONS:
        text += tree("Decisions", linked(text, "", str(Path(name).parent)))
    source[0] = text


def setup(app: sphinx.application.Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
