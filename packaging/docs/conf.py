"""Sphinx builds the documents of a checkout, English and Chinese, as one site (`make docs`).

The checkout itself is the source, so a link between two documents is the same here and where the files are read as they
are. A link to a source file leads to a copy of that file in the site.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.append(str(HERE))

project = "prometheus-quant"
release = version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
extensions = ["myst_parser", "two_languages", "reading_order"]

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "tests/*/*.md"]
exclude_patterns = sorted({one.name for one in REPOSITORY.iterdir() if one.is_dir()} - {"docs", "tests"})

myst_heading_anchors = 6  # anchors as the files' readers on the web make them, which tests/test_citations.py holds

html_theme = "furo"  # fonts of the reader's system, every script and style in the site (ADR 0081)
html_title = "prometheus-quant"
html_extra_path = ["extra"]
html_search_language = "en-zh"
html_show_search_summary = False  # it is fetched, which a browser refuses to a page opened as a file
html_copy_source = html_show_sourcelink = html_show_copyright = False
