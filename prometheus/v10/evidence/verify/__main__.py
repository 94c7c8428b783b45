"""``python3 -m prometheus.v10.evidence.verify PATH ...`` with nothing installed."""

from __future__ import annotations

import sys

from prometheus.v10.evidence.verify.program import main

if __name__ == "__main__":
    sys.exit(main())
