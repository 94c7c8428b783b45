"""How an error reaches the operator: one line says what and where, one says what to do (contracts, section 6)."""

from __future__ import annotations

import errno

from prometheus.v10.base.errors import HostError, PrometheusError, host_error
from prometheus.v10.base.text import printable

LONGEST = 4000
"""Characters of a message: more of it is quoted from somewhere, and helps nobody."""


def one_line(text: str) -> str:
    """``text`` with every run of white space turned into one space, and nothing in it that moves a terminal."""
    return printable(" ".join(text.split()), longest=LONGEST)


def error_lines(error: PrometheusError) -> list[str]:
    """``error: …`` and, where there is one, ``hint: …``."""
    lines = [f"error: {one_line(error.message)}"]
    if error.hint:
        lines.append(f"hint: {one_line(error.hint)}")
    return lines


def as_host_error(error: OSError) -> HostError | None:
    """An ``OSError`` that nobody gave words to, when it is plainly the machine's fault; None when it may be a bug."""
    known = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE}
    return host_error(error, "the machine refused") if error.errno in known else None
