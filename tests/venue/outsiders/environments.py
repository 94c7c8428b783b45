"""Environments of clients that this project did not write, each apart from the product's and held to a lock of its own.

    python tests/venue/outsiders/environments.py build [CLIENT]...    make what is missing or older than its lock
    python tests/venue/outsiders/environments.py lock [CLIENT]...     write the locks anew, from what the index has now

Standard library only. A lock names the wheels for Linux on x86-64 and CPython 3.12, each with its hash; elsewhere
nothing is built, and ``missing`` says why. Exit codes: 0, or 69 where an environment cannot be made.
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
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PLACE = Path(os.environ.get("PQ_OUTSIDERS", REPOSITORY / ".venv-outsiders"))
LOCKS = Path(__file__).resolve().parent / "locks"
BUILD_TOOLS = REPOSITORY / "packaging/build-requirements.txt"
PYTHON = "3.12"
UNAVAILABLE = 69

CLIENTS = {
    "ccxt": "ccxt==4.5.90",
    "nautilus": "nautilus_trader==1.231.0",
    "freqtrade": "freqtrade==2026.9",
}
"""The requirement that each lock was made from."""
FROM_SOURCE = {"freqtrade": ("sdnotify",)}
"""Packages without a wheel; the build tools of the product build them."""


def python_of(client: str) -> Path:
    """The interpreter of a client's environment, built or not."""
    return PLACE / client / "bin/python"


def lock_of(client: str) -> Path:
    """The client's lock file."""
    return LOCKS / f"{client}.txt"


def _digest(client: str) -> str:
    return hashlib.sha256(lock_of(client).read_bytes()).hexdigest()


def _stamp(client: str) -> Path:
    return PLACE / client / ".lock-digest"


def missing(client: str) -> str | None:
    """Why the client cannot run here now; None where its environment is there and made from the present lock."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"the lock of {client} is for Linux on x86-64"
    if not python_of(client).exists():
        return f"{client} has no environment; make venue-outsiders builds it"
    stamp = _stamp(client)
    if not stamp.exists() or stamp.read_text().strip() != _digest(client):
        return f"the environment of {client} is not from its present lock; make venue-outsiders builds it anew"
    return None


def version_of(client: str) -> str:
    """The locked version of the client itself."""
    return CLIENTS[client].split("==")[1]


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


def build(client: str) -> None:
    """Make the client's environment where it is missing or not from the present lock."""
    if missing(client) is None:
        return
    sys.stderr.write(f"outsiders: building the environment of {client}\n")
    python = _fresh(PLACE / client)
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes"]
    with tempfile.TemporaryDirectory() as tools:
        wheels = ["--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, *wheels, "--target", tools, "-r", str(BUILD_TOOLS)], check=True)
        environment = {**os.environ, "PYTHONPATH": tools}
        command = [*pip, "--no-deps", "--no-build-isolation", "-r", str(lock_of(client))]
        subprocess.run(command, check=True, env=environment)
    _stamp(client).write_text(_digest(client) + "\n")


def lock(client: str) -> None:
    """Write the client's lock: every package that its requirement resolves to now, with version and hash."""
    with tempfile.TemporaryDirectory() as place:
        python = _fresh(Path(place) / "venv")
        subprocess.run([str(python), "-m", "pip", "install", "-qq", "--upgrade", "pip"], check=True)
        report = Path(place) / "report.json"
        sources = [option for name in FROM_SOURCE.get(client, ()) for option in ("--no-binary", name)]
        command = [str(python), "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", *sources, "--report", str(report), CLIENTS[client]]
        subprocess.run(command, check=True)
        found = json.loads(report.read_text())["install"]
    lines = sorted(
        f"{item['metadata']['name'].lower()}=={item['metadata']['version']}"
        f" --hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}\n"
        for item in found
    )
    head = f"# {CLIENTS[client]} and what it needs: Linux on x86-64, CPython {PYTHON}. Made by environments.py lock.\n"
    lock_of(client).write_text(head + "".join(lines))


def main() -> int:
    """Build environments or write locks, as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("build", "lock"))
    parser.add_argument("clients", nargs="*", choices=(*CLIENTS, []), help="by default all of them")
    asked = parser.parse_args()
    for client in asked.clients or CLIENTS:
        try:
            {"build": build, "lock": lock}[asked.what](client)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"outsiders: the environment of {client} could not be made: {error}\n")
            return UNAVAILABLE
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
