"""Run the worked examples against every mutant of the physics, and say which mutant survived them.

    .venv/bin/python tests/mutants/run.py [exchange capital lifecycle decision features]

A child process imports the mutant in place of the module and runs the examples of that module until one fails. A
mutant counts as killed when a named example fails or does not end; one that cannot be imported is not counted. Exit
code 0 when at least 90 % of the mutants of each module are killed, else 1. Nothing is written to the source tree.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import traceback
from collections import Counter
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["NUMBA_DISABLE_JIT"] = "1"
sys.dont_write_bytecode = True

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numba  # noqa: E402, F401  loaded once, before the children are forked
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from mutations import Mutant, mutants  # noqa: E402

CORE = "prometheus.v10.core"
EXAMPLES = {
    "exchange": ("exchange", "exchange_forced"),
    "capital": ("capital", "exchange_forced"),
    "lifecycle": ("lifecycle",),
    "decision": ("decision",),
    "features": ("features_market", "features_agents"),
}
ENOUGH = 0.90
SECONDS = 20  # an example that has not ended by then does not end
SURVIVED, NOT_IMPORTED, ENDLESS = "survived", "not imported", "does not end"


class Substitute:
    """Finds and loads one module from the source of a mutant; every other module comes from where it always does."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Claim the one module."""
        return importlib.util.spec_from_loader(name, self) if name == self.name else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Let the import system make an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's source as the module."""
        exec(compile(self.source, f"<mutant of {self.name}>", "exec"), module.__dict__)  # noqa: S102


class Witness:
    """A pytest plugin that remembers the first failure."""

    def __init__(self) -> None:
        self.first = SURVIVED

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the name of the first example that failed."""
        if report.failed and self.first == SURVIVED:
            self.first = report.nodeid.split("::")[-1].split("[")[0]


def examine(module: str, source: str) -> str:
    """In a child: import the mutant, run the examples; returns the name of the example that killed it."""
    name = f"{CORE}.{module}"
    sys.meta_path.insert(0, Substitute(name, source))  # type: ignore[arg-type]
    try:
        importlib.import_module(name)
    except Exception:  # noqa: BLE001  whatever a mutant raises
        return NOT_IMPORTED
    np.seterr(all="ignore")
    witness = Witness()
    files = [str(ROOT / f"tests/unit/core/test_examples_{part}.py") for part in EXAMPLES[module]]
    options = ["-x", "-q", "--assert=plain", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore"]
    code = pytest.main([*options, f"--rootdir={ROOT}", *files], plugins=[witness])
    if witness.first == SURVIVED and code != 0:
        return NOT_IMPORTED  # the examples themselves could not be collected
    return witness.first


def verdict(module: str, source: str) -> str:
    """What became of a mutant, by a child of its own."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            signal.alarm(SECONDS)  # its default action ends the child
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            os.write(writer, examine(module, source).encode())
        except BaseException:  # noqa: BLE001  a child never returns into the loop of its parent
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return said or (ENDLESS if os.WIFSIGNALED(status) else NOT_IMPORTED)


def report(module: str) -> bool:
    """Examine every mutant of one module; returns whether enough were killed."""
    source = (ROOT / "prometheus/v10/core" / f"{module}.py").read_text()
    lines = source.splitlines()
    if verdict(module, source) != SURVIVED:
        sys.stdout.write(f"{module}: the examples fail on the module itself\n")
        return False
    killers: Counter[str] = Counter()
    survivors: list[Mutant] = []
    for mutant in mutants(source):
        by = verdict(module, mutant.source)
        killers[by] += 1
        if by == SURVIVED:
            survivors.append(mutant)
            place = f"{module}.py:{mutant.line}:{mutant.column}"
            sys.stdout.write(f"  survived {place} {mutant.change}: {lines[mutant.line - 1].strip()}\n")
            sys.stdout.flush()
    counted = killers.total() - killers[NOT_IMPORTED]
    killed = counted - len(survivors)
    share = killed / counted
    sys.stdout.write(
        f"{module}: {counted} mutants, {killed} killed ({100 * share:.1f} %), {len(survivors)} survived; "
        f"{killers[ENDLESS]} of the killed did not end, {killers[NOT_IMPORTED]} more could not be imported\n"
    )
    for name, count in sorted(killers.items()):
        sys.stdout.write(f"    {count:4d}  {name}\n")
    sys.stdout.flush()
    return share >= ENOUGH


def main() -> int:
    """Examine the modules named, or all."""
    modules = sys.argv[1:] or list(EXAMPLES)
    unknown = [module for module in modules if module not in EXAMPLES]
    if unknown:
        sys.stderr.write(f"no such module: {', '.join(unknown)}; choose from {', '.join(EXAMPLES)}\n")
        return 64
    enough = [report(module) for module in modules]  # a module below the mark does not hide the next one's report
    return 0 if all(enough) else 1


if __name__ == "__main__":
    sys.exit(main())
