"""Nothing that the product creates is writable by group or others, whatever umask its caller has."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from prometheus.v10.base.paths import Layout
from tests.integration.conftest import Tree, small_profile

LOOSE = stat.S_IWGRP | stat.S_IWOTH


def loose(root: Path) -> list[str]:
    """What group or others may write at and below ``root``."""
    return sorted(
        str(place.relative_to(root.parent))
        for place in [root, *root.rglob("*")]
        if not place.is_symlink() and place.lstat().st_mode & LOOSE
    )


def command(*words: str) -> None:
    """A command in a process of its own, whose umask is 0."""
    ended = subprocess.run(
        [sys.executable, "-m", "prometheus.cli", *words],
        umask=0,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_run_its_snapshot_and_its_exports_are_closed_under_umask_0(tmp_path):
    root = tmp_path / "new" / "root"
    command("run", "--root", str(root))
    command("snapshot", "create", "--root", str(root))
    command("status", "--root", str(root))
    assert len(list(root.rglob("*"))) > 30
    assert loose(root.parent) == []
    for name in ("runs_hf", "pools", "state"):
        assert stat.S_IMODE((root / name).stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in (root / "state").rglob("*.jsonl")} == {0o640}


@pytest.fixture
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_the_tree_has_its_modes_without_a_command_line(tmp_path):
    layout = Layout.under(tmp_path / "root")
    layout.prepare()
    assert {stat.S_IMODE(path.stat().st_mode) for path in [layout.lib, *layout.lib.rglob("*")]} == {0o750}


def test_a_tree_that_everybody_could_write_is_closed(tmp_path):
    layout = Layout.under(tmp_path / "root")
    layout.prepare()
    for place in [layout.lib, *layout.lib.rglob("*")]:
        place.chmod(0o777)
    layout.state.chmod(0o1777)
    layout.prepare()
    modes = {place: place.stat().st_mode & 0o1002 for place in [layout.lib, *layout.lib.rglob("*")]}
    assert {place for place, mode in modes.items() if mode} == {layout.state}


def test_a_run_with_workers_is_closed_under_umask_0(tmp_path):
    tree = Tree(tmp_path / "root")
    tree.write_profile(small_profile(count=2, workers=2))
    for place in [tree.root, *tree.root.rglob("*")]:
        place.chmod(place.stat().st_mode & ~LOOSE)
    command("run", "--root", str(tree.root))
    assert loose(tree.root) == []
