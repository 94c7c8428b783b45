"""Standard output and error whose reader may have gone: ``| head -1`` ends a pipe, and is no verdict on evidence.

`closed_pipe` tells a writer's error that means it; `silence` puts the null device in the place of both streams, so that
nothing that is still buffered complains when the process ends. Standard library only.
"""

from __future__ import annotations

import errno
import os
import sys

GONE = frozenset([errno.EPIPE, errno.ESHUTDOWN])


def closed_pipe(error: BaseException) -> bool:
    """Whether ``error`` says that the reader of a stream went away."""
    return isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and error.errno in GONE)


def silence() -> None:
    """Point standard output and standard error at the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (sys.stdout, sys.stderr):
            try:
                os.dup2(null, stream.fileno())
            except (OSError, ValueError, AttributeError):
                continue  # a stream without a descriptor, or one that is closed already, writes nowhere
    finally:
        os.close(null)


def flush() -> None:
    """Write what both streams still hold; a reader that went away is silenced, not reported.

    Raises:
        OSError: when a stream cannot be written for another reason (a full disk behind a redirection).
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except ValueError:
            continue  # closed
        except OSError as error:
            if not closed_pipe(error):
                raise
            silence()
