"""The environment in which sessions go through ccxt: this project, its locked packages, and ccxt with what it pins.

    python packaging/through_ccxt/ccxt_environment.py build    make it where it is missing or older than its lock
    python packaging/through_ccxt/ccxt_environment.py lock     write the lock anew, from poetry.lock and the index

ccxt asks for exact versions of packages that poetry.lock has in other ones, so it cannot be an extra of the project: it
has a lock of its own. That lock has every package of poetry.lock that running and testing a session needs, in the same
version, but for the few that ccxt pins. Standard library only. How an environment is made stands in packaging/apart.py.
Exit codes: 0, or 69 where it cannot be made.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from apart import REPOSITORY, Environment, run
from requirements import LOCK, requirement

CCXT = "ccxt==4.5.90"
PINNED_BY_CCXT = frozenset({"charset-normalizer", "idna", "multidict", "propcache"})
"""Packages of poetry.lock that ccxt asks for in another version; each of them carries requests and nothing else."""
EXTRAS = frozenset({"exchange", "venue"})
TESTED_WITH = frozenset({"hypothesis", "iniconfig", "packaging", "pluggy", "pytest", "sortedcontainers"})
"""Of the development group: what runs the tests, and what that needs."""
IN_PLACE = Path(os.environ.get("PQ_CCXT", REPOSITORY / ".venv-ccxt"))


def name_of(line: str) -> str:
    """The package that a requirement is about."""
    return re.split("[=; ]", line, maxsplit=1)[0]


def of_the_product() -> tuple[str, ...]:
    """Each package of poetry.lock that a session needs, in its version, without the ones that ccxt pins."""
    packages = tomllib.loads(LOCK.read_text())["package"]
    asked = [requirement(one, {"main"}, set(EXTRAS)) for one in packages]
    asked += [f"{one['name']}=={one['version']}" for one in packages if one["name"] in TESTED_WITH]
    lines = sorted({line.partition(" --hash")[0].strip() for line in asked if line is not None})
    return tuple(line for line in lines if name_of(line) not in PINNED_BY_CCXT)


SESSION = Environment(
    name="sessions through ccxt",
    requirements=(CCXT, *of_the_product()),
    lock=Path(__file__).resolve().parent / "lock.txt",
    place=IN_PLACE,
    command="make ccxt",
    from_source=("sdnotify",),
    made_from=f"{CCXT} and the packages of poetry.lock",
    with_project=True,
)


if __name__ == "__main__":
    raise SystemExit(run({"ccxt": SESSION}, __doc__.splitlines()[0]))
