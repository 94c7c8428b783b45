"""``python -m bench``, in a checkout: isolates the interpreter before anything else is imported, then measures."""

from __future__ import annotations

import sys

from prometheus.v10.base.isolation import isolate

if __name__ == "__main__":
    isolate("bench")
    from bench.bench_command import main

    sys.exit(main())
