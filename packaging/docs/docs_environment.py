"""The environment that builds the documents and runs the notebooks, apart from the product's, from a lock of its own.

    python packaging/docs/docs_environment.py build    make it where it is missing or older than its lock
    python packaging/docs/docs_environment.py lock     write the lock anew, from what the index has now

Standard library only. How it is made stands in packaging/apart.py. Exit codes: 0, or 69 where it cannot be made.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from apart import REPOSITORY, Environment, run

DOCS = Environment(
    name="the documents' site",
    requirements=(
        "sphinx==9.1.1", "myst-parser==5.2.0", "furo==2025.12.19", "nbclient==0.11.0", "ipykernel==7.4.0",
        "numpy==2.5.5",
    ),
    lock=Path(__file__).resolve().parent / "lock.txt",
    place=Path(os.environ.get("PQ_DOCS", REPOSITORY / ".venv-docs")),
    command="make docs",
)  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run({"docs": DOCS}, __doc__.splitlines()[0]))
