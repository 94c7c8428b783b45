"""Run the independent checks against every wrong version of the venue, and say which one nobody noticed.

    .venv/bin/python tests/venue/mutations/run.py [WORD]...    those whose name has a word; by default all

Each wrong version is a copy of the package in which one text of one file is replaced. The checks named with it run
first, until one fails; where none does, all of them run. A check is a test below tests/venue: the reference matcher,
the signature's formula, the recorded shapes, rules seen through the interface, and clients of others whose environments
are built. Exit codes: 0 when every wrong version was noticed, 1 when one survived, 2 when the checks fail on
the venue itself or a text to be replaced is not there exactly once.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT))

from tests.venue.mutations.versions import Mutation, copy, mutations  # noqa: E402

CHECKS = ("tests/venue/oracles", "tests/venue/outsiders")
SURVIVED = "survived"
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
SECONDS = 200
"""Of processor time; the checks of one version take some twenty."""
ENDLESS = "it does not end"
AT_ONCE = 2


def first_failure(package: Path, checks: Sequence[str]) -> str:
    """The first check that fails on a package, as file::test; `survived` where all pass."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(package),
        "PQ_ORDER_STREAMS": "80",
        "PQ_OUTSIDERS_ALL": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [
        str(Path(sys.executable).parent / "pytest"),
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-rfE",
    ]
    limited = ["sh", "-c", f'ulimit -t {SECONDS}; exec "$@"', "sh", *command, *checks]
    ended = subprocess.run(limited, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        return ENDLESS
    if ended.returncode == 0:
        return SURVIVED
    found = FIRST_FAILURE.search(ended.stdout)
    return found[1].removeprefix("tests/venue/") if found else f"pytest ended {ended.returncode}"


def examine(mutation: Mutation | None) -> str:
    """What noticed a mutation first."""
    with tempfile.TemporaryDirectory() as temporary:
        copy(Path(temporary), mutation)
        named = mutation.checks if mutation is not None else ()
        first = first_failure(Path(temporary), [f"tests/venue/{check}" for check in named]) if named else SURVIVED
        return first if first != SURVIVED else first_failure(Path(temporary), CHECKS)


def main() -> int:
    """Examine the venue itself, then its wrong versions, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="parts of names; by default every wrong version")
    words = parser.parse_args().words
    chosen = [one for one in mutations() if not words or any(word in one.name for word in words)]
    first = examine(None)
    if first != SURVIVED:
        sys.stdout.write(f"the checks fail on the venue itself: {first}\n")
        return 2
    noticed: Counter[str] = Counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for mutation, by in zip(chosen, pool.map(examine, chosen), strict=True):
                noticed[by.partition("::")[0]] += 1
                sys.stdout.write(f"{'survived' if by == SURVIVED else 'killed':9}{mutation.name:60} {by}\n")
                sys.stdout.flush()
        except LookupError as error:
            sys.stdout.write(f"{error}\n")
            return 2
    survivors = noticed.pop(SURVIVED, 0)
    sys.stdout.writelines(f"{count:4} by {check}\n" for check, count in sorted(noticed.items()))
    day = datetime.now(UTC).date().isoformat()
    sys.stdout.write(f"{len(chosen)} wrong versions, {len(chosen) - survivors} killed, {survivors} survived, {day}\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
