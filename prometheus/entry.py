"""The console script: isolates the interpreter, then runs the front door (`prometheus.cli`). Imports nothing before."""

from __future__ import annotations

import sys

from prometheus.v10.base.isolation import isolate


def main() -> int:
    """Run the command line; returns the exit code."""
    isolate("prometheus.cli")
    from prometheus.cli.main import main as run  # noqa: PLC0415  (imported by the isolated process only)

    return run()


if __name__ == "__main__":
    sys.exit(main())
