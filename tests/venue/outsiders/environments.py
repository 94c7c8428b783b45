"""Environments of clients that this project did not write, each apart from the product's and held to a lock of its own.

    python tests/venue/outsiders/environments.py build [CLIENT]...    make what is missing or older than its lock
    python tests/venue/outsiders/environments.py lock [CLIENT]...     write the locks anew, from what the index has now

Standard library only. How they are made stands in packaging/apart.py. Exit codes: 0, or 69 where an environment cannot
be made.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "packaging"))

from apart import REPOSITORY, Environment, run

PLACE = Path(os.environ.get("PQ_OUTSIDERS", REPOSITORY / ".venv-outsiders"))
LOCKS = Path(__file__).resolve().parent / "locks"

CLIENTS = {
    "ccxt": "ccxt==4.5.90",
    "nautilus": "nautilus_trader==1.231.0",
    "freqtrade": "freqtrade==2026.9",
}
"""The requirement that each lock was made from."""
FROM_SOURCE = {"freqtrade": ("sdnotify",)}

ENVIRONMENTS = {
    name: Environment(
        name, (requirement,), LOCKS / f"{name}.txt", PLACE / name, "make venue-outsiders", FROM_SOURCE.get(name, ())
    )
    for name, requirement in CLIENTS.items()
}


def python_of(client: str) -> Path:
    """The interpreter of a client's environment, built or not."""
    return ENVIRONMENTS[client].python


def missing(client: str) -> str | None:
    """Why the client cannot run here now; None where its environment is there and made from the present lock."""
    return ENVIRONMENTS[client].missing()


def version_of(client: str) -> str:
    """The locked version of the client itself."""
    return CLIENTS[client].split("==")[1]


if __name__ == "__main__":
    raise SystemExit(run(ENVIRONMENTS, __doc__.splitlines()[0]))
