"""Custodians, and services whose tree is mounted read-only, for tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prometheus.v10.base.custody import CustodianFiles
from tests.integration.conftest import Tree, small_profile

NEEDS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="a read-only mount needs root and unshare"
)

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


class Custodian:
    """A custodian of a stage's instance, as the socket unit starts it."""

    def __init__(self, root: Path, place: Path, whose: str = "stage1-HF") -> None:
        self.place, self.said = place, place.with_name("said")
        words = [
            sys.executable,
            "-m",
            "prometheus.cli",
            "custodian",
            whose,
            "--root",
            str(root),
            "--socket",
            str(place),
        ]
        with self.said.open("w") as to:
            self.process = subprocess.Popen(words, stderr=to)
        until = time.monotonic() + 60.0
        while not self.listens():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)

    def listens(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(self.place))
        except OSError:
            return False
        return True

    def refusals(self) -> list[str]:
        """What it said so far."""
        return self.said.read_text().splitlines()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "var")
    made.write_profile(small_profile())
    return made


@pytest.fixture
def custodian(tree: Tree, tmp_path: Path):
    made = Custodian(tree.root, tmp_path / "socket")
    yield made
    made.process.terminate()
    made.process.wait()


@pytest.fixture
def files(custodian: Custodian):
    """What a payload calls."""
    made = CustodianFiles(custodian.place)
    yield made
    made.disconnect()


def words(tree: Tree, custodian: Custodian, *more: str, stage: str = "stage1", instance: str = "HF") -> list[str]:
    """A service that sees its evidence read-only."""
    return [
        "unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", str(tree.root),
        sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", stage,
        "--instance", instance, "--root", str(tree.root), "--custodian", str(custodian.place), *more,
    ]  # fmt: skip


def serve(tree: Tree, custodian: Custodian, *more: str, **whose: str) -> None:
    ended = subprocess.run(words(tree, custodian, *more, **whose), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def command(tree: Tree, *more: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "prometheus.cli", *more, "--root", str(tree.root)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def passes_the_audit(tree: Tree) -> None:
    command(tree, "audit")


def bytes_of(root: Path) -> dict[str, str]:
    """sha256 of every file below a root, locks left out."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }
