"""One site in two languages: a search that finds words of both, and pages that say theirs.

Chinese has no spaces. A run of its characters is indexed by single characters and by all pairs of neighbours, and a
query is taken apart the same way, so that any part of a sentence is found without a dictionary.
"""

from __future__ import annotations

import re
from typing import Any

import sphinx.application
from sphinx.search.en import SearchEnglish

CHINESE = ".zh-CN"
HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
PARTS = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")
SPLITTER = r"""
var splitQuery = (query) =>
  (query.match(/[HAN]+|(?:(?![HAN])[\p{Letter}\p{Number}_])+/gu) || []).flatMap((part) =>
    /^[HAN]{2}/u.test(part) ? [...part].slice(1).map((one, at) => [...part][at] + one) : [part]);
""".replace("HAN", HAN)


def pieces(part: str) -> list[str]:
    """Words that a part of a text is indexed by."""
    if not re.match(f"[{HAN}]", part):
        return [part]
    return [*part, *(part[at : at + 2] for at in range(len(part) - 1))]


class SearchBoth(SearchEnglish):
    """English with its stems; Chinese by characters and pairs."""

    lang = "en-zh"
    language_name = "English and Chinese"
    js_splitter_code = SPLITTER

    def split(self, input: str) -> list[str]:  # noqa: A002  (Sphinx's name)
        """Words of a text."""
        return [word for part in PARTS.findall(input) for word in pieces(part)]


def say_language(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:  # noqa: ARG001
    """A page in Chinese says so to its browser."""
    if pagename.endswith(CHINESE):
        context["language"] = "zh-CN"


def setup(app: sphinx.application.Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_search_language(SearchBoth)
    app.connect("html-page-context", say_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
