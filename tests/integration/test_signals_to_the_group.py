"""A signal to the whole process group, at any moment: the service alone acts, and the run is sealed as interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.conftest import Tree, small_profile

MOMENTS = (0.3, 1.5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["TERM", "INT", "HUP"])
@pytest.mark.parametrize("after", MOMENTS)
def test_the_run_is_sealed_and_the_end_is_clean(tree: Tree, number: signal.Signals, after: float) -> None:
    tree.write_profile(small_profile(workers=2, count=400, bars=3000))
    words = [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage1",
             "--instance", "HF", "--root", str(tree.root)]  # fmt: skip
    service = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 60
    while not tree.runs() and service.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(after)
    os.killpg(service.pid, number)
    _, said = service.communicate(timeout=60)
    assert (service.returncode, said) == (0, "")
    (run,) = tree.runs()
    manifest = json.loads((run / "run_manifest.json").read_text())
    assert (manifest["status"], manifest["stop_reason"]) == ("interrupted", number.name.lower())
    tree.assert_in_order()


def test_a_signal_before_anything_is_imported_is_heard(tree: Tree) -> None:
    """As the first process of a container hears it: from its first instruction on."""
    code = (
        "import os, signal\n"
        "from prometheus.v10.base.early import listen\n"
        "listen()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "from prometheus.v10.ops.run_v10_service import main\n"
        "raise SystemExit(main(['--mode', 'offline', '--stage', 'stage1', '--instance', 'HF', '--root', "
        f"{str(tree.root)!r}]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert tree.runs() == []


def test_the_kill_switch_is_the_reason_also_where_a_signal_was_faster(tree: Tree, start) -> None:
    tree.write_profile(small_profile(workers=1, count=400, bars=3000))
    service = start()
    service.wait_for_run()
    tree.layout.stop_file.touch()
    service.signal(signal.SIGTERM)
    code, said = service.end()
    assert code == 0, said
    assert tree.manifest(tree.runs()[0])["stop_reason"] == "stop_file"
