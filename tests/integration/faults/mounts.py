"""File systems of one's own, in a private mount namespace: small, read-only, or cut off from power.

``python -m`` runs a module in a new namespace, so that nothing is ever mounted where somebody else could see it; the
kernel unmounts everything when the last process of the namespace ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

UNSHARE = ("unshare", "--mount", "--propagation", "private")


def why_not(*programs: str) -> str | None:
    """Why this machine cannot have file systems of its own, or None."""
    if missing := [name for name in ("unshare", "mount", *programs) if shutil.which(name) is None]:
        return f"{', '.join(missing)} is not installed"
    if os.geteuid() != 0:
        return "only root may mount; run as root, or in a user namespace that may"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return f"no mount namespace: {tried.stderr.strip()}" if tried.returncode else None


def in_namespace(module: str, *arguments: str, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run a module of these tests in its own namespace, and read the JSON that it prints; skips where it cannot."""
    if why := why_not(*needs):
        pytest.skip(why)
    command = [*UNSHARE, sys.executable, "-m", f"tests.integration.faults.{module}", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode == 77:
        pytest.skip(ended.stderr.strip())
    assert ended.returncode == 0, f"{' '.join(command)}:\n{ended.stdout}{ended.stderr[-4000:]}"
    return dict(json.loads(ended.stdout))


def mount_tmpfs(place: Path, **options: int | str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", spell(options), "pq-faults", str(place))


def remount(place: Path, **options: int | str) -> None:
    run("mount", "-o", f"remount,{spell(options)}", str(place))


def spell(options: dict[str, int | str]) -> str:
    return ",".join(name if value == "" else f"{name}={value}" for name, value in options.items())


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
