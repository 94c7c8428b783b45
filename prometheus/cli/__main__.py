"""``python -m prometheus.cli``: isolates the interpreter before anything else is imported, then parses."""

from __future__ import annotations

import sys

from prometheus.v10.base.isolation import isolate

if __name__ == "__main__":
    isolate("prometheus.cli")
    from prometheus.cli.main import main

    sys.exit(main())
