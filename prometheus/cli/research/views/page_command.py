"""``report --html``: one run as one self-contained page, written outside everything that is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prometheus import __version__
from prometheus.cli.operate.page_files import language_of, page_report
from prometheus.cli.report import Report
from prometheus.v10.base.errors import UsageError
from prometheus.v10.report.pages.phrases import Language, Phrases
from prometheus.v10.report.pages.run_page import run_page
from prometheus.v10.report.pages.run_read import read_run
from prometheus.v10.report.pages.run_verified import verified
from prometheus.v10.report.pages.templating import render


def page_of(run: Path, language: Language, *, home: str = "") -> bytes:
    """The page of a run, verified for it; the same run gives the same bytes.

    Raises:
        PrometheusError: as `read_run`, or when jinja2 is missing.
    """
    words = Phrases(language)
    return render(run_page(read_run(run), verified(run), words, home=home, version=__version__), words)


def page_options(runs: Sequence[Path], page: Path, lang: str, svg: Path | None) -> tuple[Path, Path, Language]:
    """Run, page and language as they were asked for.

    Raises:
        UsageError: for several runs, a picture beside the page, or a language that there is none of.
    """
    if len(runs) != 1 or svg is not None:
        raise UsageError("--html makes the page of one run, pictures in it", hint="name one run, without --svg")
    return runs[0], page, language_of(lang)


def report_page(run: Path, page: Path, language: Language, *, check: bool) -> Report:
    """Write the page of a run, or compare it with the one that lies there; errors as `page_report` and `page_of`."""
    of = {"run": run.name, "language": language.value}
    return page_report(page, lambda: page_of(run, language), of, check=check)
