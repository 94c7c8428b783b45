"""The language of a page: English as it stands in the code, Chinese by the table in ``templates/zh.json``."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache
from importlib.resources import files

TEMPLATES = files("prometheus.v10.report.pages") / "templates"


class Language(StrEnum):
    """A language that pages are written in."""

    ENGLISH = "en"
    CHINESE = "zh"

    @property
    def html(self) -> str:
        """What ``<html lang>`` says."""
        return "zh-Hans" if self is Language.CHINESE else "en"


@cache
def chinese() -> dict[str, str]:
    """Every sentence of the pages in Chinese, by its English text."""
    found: dict[str, str] = json.loads((TEMPLATES / "zh.json").read_text("utf-8"))
    return found


class Phrases:
    """Says a sentence in the page's language, its placeholders filled in.

    Raises:
        KeyError: for a sentence without a translation (a test renders every page in every language).
    """

    def __init__(self, language: Language = Language.ENGLISH) -> None:
        self.language = language

    def __call__(self, text: str, /, **values: object) -> str:
        """The sentence ``text``, its placeholders filled in."""
        said = text if self.language is Language.ENGLISH else chinese()[text]
        return said.format(**values) if values else said
