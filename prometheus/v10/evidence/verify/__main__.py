"""``python3 -m prometheus.v10.evidence.verify PATH ...`` with nothing installed."""

from __future__ import annotations

import gc
import sys

COLLECT_EVERY = (50_000, 20, 20)
"""Objects between two searches for garbage: what loading and parsing make holds hardly any."""

if __name__ == "__main__":
    gc.set_threshold(*COLLECT_EVERY)
    from prometheus.v10.evidence.verify.program import main

    code = main()
    gc.freeze()  # the process ends: nobody needs the memory that a last search would find
    sys.exit(code)
