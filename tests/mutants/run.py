"""Run the worked examples against every mutant of the physics, and say which mutant survived them.

    .venv/bin/python tests/mutants/run.py [exchange capital lifecycle decision features community]

The examples of a module are collected once. Then, for each mutant, a child process puts it in the place of the module
and runs the examples until one fails. A mutant counts as killed when a named example fails or does not end; one that
cannot be imported is not counted. Exit code 0 when at least 90 % of the mutants of each module are killed, else 1.
Nothing is written to the source tree.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
from collections import Counter
from pathlib import Path
from typing import Any

os.environ["NUMBA_DISABLE_JIT"] = "1"
sys.dont_write_bytecode = True

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from mutations import mutants  # noqa: E402

CORE = "prometheus.v10.core"
EXAMPLES = {
    "exchange": ("exchange", "exchange_forced"),
    "capital": ("capital", "exchange_forced"),
    "lifecycle": ("lifecycle",),
    "decision": ("decision",),
    "features": ("features_market", "features_agents"),
    "community": ("features_agents",),
}
ENOUGH = 0.90
SECONDS = 10  # of processor time; the examples of a module take about one
SURVIVED, NOT_IMPORTED, ENDLESS = "survived", "not imported", "does not end"


class Session:
    """A pytest plugin that runs the collected examples once for every mutant of a module, each in a child process."""

    def __init__(self, module: str) -> None:
        self.module, self.enough = module, False
        self.first = SURVIVED  # what the examples of the child said

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the name of the first example that failed."""
        if report.failed and self.first == SURVIVED:
            self.first = report.nodeid.split("::")[-1].split("[")[0]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Examine every mutant instead of running the examples once."""
        self.enough = report(self.module, session, self)
        return True

    def examine(self, source: str, items: list[pytest.Item]) -> str:
        """In a child: put the mutant in the module's place, run the examples until one fails; returns its name."""
        name = f"{CORE}.{self.module}"
        try:
            exec(compile(source, f"<mutant of {name}>", "exec"), importlib.import_module(name).__dict__)  # noqa: S102
        except Exception:  # noqa: BLE001  whatever a mutant raises
            return NOT_IMPORTED
        np.seterr(all="ignore")
        for item in items:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.first != SURVIVED:
                break
        return self.first


def verdict(source: str, session: pytest.Session, plugin: Session) -> str:
    """What became of a mutant, by a child of its own."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))  # beyond it a signal ends the child
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            os.write(writer, plugin.examine(source, session.items).encode())
        finally:
            os._exit(0)  # a child never returns into the loop of its parent
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return said or (ENDLESS if os.WIFSIGNALED(status) else NOT_IMPORTED)


def report(module: str, session: pytest.Session, plugin: Session) -> bool:
    """Examine every mutant of one module; returns whether enough were killed."""
    source = (ROOT / "prometheus/v10/core" / f"{module}.py").read_text()
    lines = source.splitlines()
    first = verdict(source, session, plugin)
    if first != SURVIVED:
        sys.stdout.write(f"{module}: the examples fail on the module itself: {first}\n")
        return False
    killers: Counter[str] = Counter()
    survivors = 0
    for mutant in mutants(source):
        by = verdict(mutant.source, session, plugin)
        killers[by] += 1
        if by == SURVIVED:
            survivors += 1
            place = f"{module}.py:{mutant.line}:{mutant.column}"
            sys.stdout.write(f"  survived {place} {mutant.change}: {lines[mutant.line - 1].strip()}\n")
    counted = killers.total() - killers[NOT_IMPORTED]
    share = (counted - survivors) / counted
    sys.stdout.write(
        f"{module}: {counted} mutants, {counted - survivors} killed ({100 * share:.1f} %), {survivors} survived; "
        f"{killers[ENDLESS]} of the killed did not end, {killers[NOT_IMPORTED]} more could not be imported\n"
    )
    for name, count in sorted(killers.items()):
        sys.stdout.write(f"    {count:4d}  {name}\n")
    sys.stdout.flush()
    return share >= ENOUGH


def mutate(module: str) -> bool:
    """Collect the examples of a module and examine its mutants; returns whether enough were killed."""
    plugin = Session(module)
    files = [str(ROOT / f"tests/unit/core/test_examples_{part}.py") for part in EXAMPLES[module]]
    options = ["-q", "-s", "--assert=plain", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore"]
    pytest.main([*options, f"--rootdir={ROOT}", *files], plugins=[plugin])
    return plugin.enough


def main() -> int:
    """Examine the modules named, or all."""
    modules = sys.argv[1:] or list(EXAMPLES)
    unknown = [module for module in modules if module not in EXAMPLES]
    if unknown:
        sys.stderr.write(f"no such module: {', '.join(unknown)}; choose from {', '.join(EXAMPLES)}\n")
        return 64
    enough = [mutate(module) for module in modules]  # a module below the mark does not hide the next one's report
    return 0 if all(enough) else 1


if __name__ == "__main__":
    sys.exit(main())
