"""Pages that a command writes into a file, or compares with one: in a language, outside everything that is sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus.cli.report import Report
from prometheus.v10.base.errors import ExitCode, UsageError
from prometheus.v10.base.outputs import new_output, refuse_output
from prometheus.v10.report.pages.phrases import Language


def language_of(lang: str) -> Language:
    """A language by its name.

    Raises:
        UsageError: when there is no such one.
    """
    if lang not in set(Language):
        raise UsageError(f"--lang {lang}: there are {' and '.join(Language)}")
    return Language(lang)


def page_report(page: Path, make: Callable[[], bytes], of: Mapping[str, Any], *, check: bool) -> Report:
    """Write a page, or compare it with the one that lies there.

    Args:
        page: its file.
        make: gives the page's bytes.
        of: what it is of, for scripts.
        check: whether it is compared.

    Raises:
        UsageError: when the page exists, would lie in something sealed, or is to be compared and is not there.
        HostError: when it cannot be written.
    """
    if check and not page.is_file():
        raise UsageError(f"there is no page at {page}", hint="make it first: leave --check out")
    if not check:
        refuse_output(page)
    data = make()
    found = {**of, "page": str(page), "bytes": len(data), "same": page.read_bytes() == data if check else None}
    if not check:
        new_output(page, data)
        return Report(found, [f"page: {page} ({len(data):,} bytes)"])
    word = "is" if found["same"] else "is not"
    code = ExitCode.DONE if found["same"] else ExitCode.VERIFY_FAILED
    return Report(found, [f"{page} {word} what this version makes of it now"], code)
