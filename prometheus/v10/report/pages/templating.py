"""A page as HTML: one file, no script, no request; everything that is not ours is escaped.

The style sheet stands in the page, and the content security policy names its sha256: nothing else may style it, and
nothing may be loaded or run.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.extras import hint_for
from prometheus.v10.base.text import printable
from prometheus.v10.report.pages.figures_made import Page
from prometheus.v10.report.pages.phrases import TEMPLATES, Phrases
from prometheus.v10.report.pages.safe_markup import Markup


@cache
def style() -> str:
    """The style sheet, as it stands in every page."""
    return (TEMPLATES / "page.css").read_text("utf-8")


def policy() -> str:
    """What a browser may do with a page: use its one style sheet."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def render(page: Page, words: Phrases) -> bytes:
    """The page's bytes.

    Raises:
        ConfigError: when jinja2 is not installed.
    """
    template = _environment().get_template("page.html.j2")
    text = template.render(page=page, _=words, lang=words.language.html, style=style(), policy=policy())
    return str(text).encode("utf-8")


def _finalize(value: object) -> object:
    """What is put into a page: characters that no reader sees, or that turn a line round, are spelt out."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Any:
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415  (an extra of the package)
    except ImportError as error:
        raise ConfigError("a page needs jinja2", hint=hint_for("pages")) from error
    return Environment(
        loader=FunctionLoader(lambda name: (TEMPLATES / name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
