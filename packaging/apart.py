"""Environments apart from the product's, each made from a lock of its own: documents, clients that others wrote.

Standard library only. A lock names the wheels for Linux on x86-64 and one version of CPython, each with its hash;
elsewhere nothing is built, and ``missing`` says why. `run` is the command line that every user of this module has.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD_TOOLS = REPOSITORY / "packaging/build-requirements.txt"
PYTHON = "3.12"
UNAVAILABLE = 69


@dataclass(frozen=True)
class Environment:
    """An environment: what it is made for, from which lock, and where it lies."""

    name: str
    requirements: tuple[str, ...]
    """What its lock was made from."""
    lock: Path
    place: Path
    command: str
    """The command that builds it, for messages."""
    from_source: tuple[str, ...] = ()
    """Packages without a wheel; the build tools of the product build them."""
    made_from: str = ""
    """What the head of its lock says that it was made from; '' for the requirements."""
    with_project: bool = False
    """Whether this project is in it, in place."""

    @property
    def python(self) -> Path:
        """Its interpreter, built or not."""
        return self.place / "bin/python"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()

    @property
    def _stamp(self) -> Path:
        return self.place / ".lock-digest"

    def missing(self) -> str | None:
        """Why it cannot be used here now; None where it is there and made from the present lock."""
        if platform.system() != "Linux" or platform.machine() != "x86_64":
            return f"the lock of {self.name} is for Linux on x86-64"
        if not self.python.exists():
            return f"{self.name} has no environment; {self.command} builds it"
        if not self._stamp.exists() or self._stamp.read_text().strip() != self._digest:
            return f"the environment of {self.name} is not from its present lock; {self.command} builds it anew"
        return None

    def build(self) -> None:
        """Make it where it is missing or not from the present lock.

        Raises:
            subprocess.CalledProcessError: when a package cannot be had, or is not the one that the lock names.
        """
        if self.missing() is None:
            return
        sys.stderr.write(f"apart: building the environment of {self.name}\n")
        python = _fresh(self.place)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes"]
        with tempfile.TemporaryDirectory() as tools:
            wheels = ["--no-deps", "--only-binary=:all:"]
            subprocess.run([*pip, *wheels, "--target", tools, "-r", str(BUILD_TOOLS)], check=True)
            environment = {**os.environ, "PYTHONPATH": tools}
            command = [*pip, "--no-deps", "--no-build-isolation", "-r", str(self.lock)]
            subprocess.run(command, check=True, env=environment)
            if self.with_project:
                here = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-index"]
                here += ["--no-deps", "--no-build-isolation", "-e", str(REPOSITORY)]
                subprocess.run(here, check=True, env=environment)
        self._stamp.write_text(self._digest + "\n")

    def write_lock(self) -> None:
        """Write its lock anew: every package that its requirements resolve to now, with version and hash."""
        with tempfile.TemporaryDirectory() as place:
            python = _fresh(Path(place) / "venv")
            subprocess.run([str(python), "-m", "pip", "install", "-qq", "--upgrade", "pip"], check=True)
            report = Path(place) / "report.json"
            sources = [option for name in self.from_source for option in ("--no-binary", name)]
            command = [str(python), "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed"]
            command += ["--only-binary", ":all:", *sources, "--report", str(report), *self.requirements]
            subprocess.run(command, check=True)
            found = json.loads(report.read_text())["install"]
        lines = sorted(
            f"{item['metadata']['name'].lower()}=={item['metadata']['version']}"
            f" --hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}\n"
            for item in found
        )
        made_from = self.made_from or " ".join(self.requirements)
        head = f"# {made_from} and what it needs: Linux on x86-64, CPython {PYTHON}. Made by environments.py lock.\n"
        self.lock.write_text(head + "".join(lines))


def _interpreter() -> str | None:
    """A CPython of the locks' version that can make environments; None where there is none."""
    candidates = [sys.executable, shutil.which(f"python{PYTHON}") or ""]
    candidates += [str(p) for p in Path.home().glob(f".pyenv/versions/{PYTHON}.*/bin/python{PYTHON}")]
    question = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{PYTHON}')"
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", question], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def _fresh(place: Path) -> Path:
    """A new, empty environment; returns its interpreter."""
    base = _interpreter()
    if base is None:
        raise SystemExit(f"no CPython {PYTHON} that can make environments was found")
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([base, "-m", "venv", str(place)], check=True)
    return place / "bin/python"


def run(environments: Mapping[str, Environment], about: str) -> int:
    """The command line ``build|lock [NAME]...``: 0, or 69 where an environment cannot be made."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("what", choices=("build", "lock"))
    parser.add_argument("names", nargs="*", choices=(*environments, []), help="by default all of them")
    asked = parser.parse_args()
    for name in asked.names or environments:
        try:
            {"build": Environment.build, "lock": Environment.write_lock}[asked.what](environments[name])
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"apart: the environment of {name} could not be made: {error}\n")
            return UNAVAILABLE
    return 0
