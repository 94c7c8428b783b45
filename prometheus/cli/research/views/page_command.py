"""``report --html``: one run as one self-contained page, written outside everything that is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus import __version__
from prometheus.cli.report import Report
from prometheus.v10.base.errors import ExitCode, UsageError
from prometheus.v10.base.outputs import new_output, refuse_output
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


def language_of(lang: str) -> Language:
    """A language by its name.

    Raises:
        UsageError: when there is no such one.
    """
    if lang not in set(Language):
        raise UsageError(f"--lang {lang}: there are {' and '.join(Language)}")
    return Language(lang)


def report_page(run: Path, page: Path, language: Language, *, check: bool) -> Report:
    """Write the page of a run, or compare it with the one that lies there.

    Raises:
        UsageError: when the page exists, would lie in something sealed, or is to be compared and is not there.
        HostError: when it cannot be written.
    """
    if check:
        if not page.is_file():
            raise UsageError(f"there is no page at {page}", hint="make it first: leave --check out")
        return _compared(page, page_of(run, language))
    refuse_output(page)
    data = page_of(run, language)
    new_output(page, data)
    found: dict[str, Any] = {"run": run.name, "page": str(page), "bytes": len(data), "language": language.value}
    return Report(found, [f"page: {page} ({len(data):,} bytes)"])


def _compared(page: Path, data: bytes) -> Report:
    same = page.read_bytes() == data
    said = "is what this version makes of the run now" if same else "is not what this version makes of the run now"
    code = ExitCode.DONE if same else ExitCode.VERIFY_FAILED
    return Report({"page": str(page), "same": same}, [f"{page} {said}"], code)
