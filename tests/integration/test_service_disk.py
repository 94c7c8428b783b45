"""A disk that fills up while the service works stops the run, not the service; room brings it back by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.integration.conftest import Tree, small_profile

MIB = 1 << 20


@pytest.fixture
def tree(tmp_path):
    """A tree on a small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    root = tmp_path / "small"
    root.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(root)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield Tree(root)
    subprocess.run(["umount", "--lazy", str(root)], check=True)


def test_below_keep_free_in_flight_it_seals_waits_and_goes_on(tree, start):
    tree.write_profile(small_profile(count=400, bars=8000, keep_free=32 * MIB))
    service = start()
    service.wait_for_run()
    ballast = tree.root / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 60 * MIB)
    (run,) = tree.runs()
    service.wait_until((run / "SHA256SUMS.txt").exists, "the seal")
    manifest = json.loads((run / "run_manifest.json").read_text())
    assert (manifest["stop_detected"], manifest["stop_reason"]) == (True, "disk_budget")
    assert tree.runs() == [run]
    ballast.unlink()
    service.wait_for_run(2)
    service.signal(signal.SIGTERM)
    assert service.end() == (0, "")
    tree.assert_in_order()


def test_waiting_for_room_ends_at_once_when_asked(tree, start):
    tree.write_profile(small_profile(count=400, bars=8000, keep_free=32 * MIB))
    service = start()
    service.wait_for_run()
    with (tree.root / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 60 * MIB)
    (run,) = tree.runs()
    service.wait_until((run / "SHA256SUMS.txt").exists, "the seal")
    tree.layout.stop_file.touch()
    assert service.end() == (0, "")
    tree.assert_in_order()
