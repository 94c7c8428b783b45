"""The console script: isolates the interpreter, then runs the front door (`prometheus.cli`). Imports nothing before."""

from __future__ import annotations

import os
import sys

from prometheus.cli.completing import answer, asked
from prometheus.cli.places import COMPLETION
from prometheus.v10.base.isolation import isolate


def main() -> int:
    """Run the command line; returns the exit code. A TAB is answered without it: it makes and judges no evidence."""
    if COMPLETION in os.environ and asked(os.environ):
        return answer(os.environ)
    isolate("prometheus.cli")
    from prometheus.cli.main import main as run  # noqa: PLC0415  (imported by the isolated process only)

    return run()


if __name__ == "__main__":
    sys.exit(main())
