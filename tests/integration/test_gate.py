"""``prometheus-quant gate`` as an operator starts it: verdicts as exit codes, stops that lose nothing, refusals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from prometheus.cli import main as cli
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.verify.program import verify_path
from tests.integration.conftest import PATIENCE

DESIGN = """
name = "g"
ablations = []
fences = ["FENCE_CORE_LONG_ONLY"]
[market]
source = "{source}"
timeframe_s = 3600
bars = {bars}
[[windows]]
name = "W1"
start = 0
len = {length}
[[windows]]
name = "W2"
start = {second}
len = {length}
[seeds]
count = {seeds}
[world]
founders = {founders}
review_ticks = 60
death_roi = -0.05
breed_roi = 0.01
[paths]
count = {paths}
seeds = 2
[signs]
draws = 3
"""


def design(tree, **changes):
    """A design's file; small enough to be done in a second or two."""
    numbers = {
        "source": "synthetic", "bars": 360, "length": 180, "second": 180, "seeds": 30, "founders": 5, "paths": 41,
        **changes,
    }  # fmt: skip
    place = tree.root / "g.toml"
    place.write_text(DESIGN.format(**numbers))
    return place


@pytest.fixture
def ask(capsys):
    def run(*words) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_gate_ends_with_its_verdict_and_everything_in_order(tree, ask):
    code, out, err = ask("gate", "--root", tree.root, "--config", design(tree), "--workers", 1, "--json")
    said = json.loads(out)
    assert err == ""
    assert code == {"pass": 0, "fail": 1, "insufficient evidence": 2}[said["verdict"]]
    assert said["experiments"] == said["of"] == 2 * (4 * 30 + 41 * 2)
    assert verify_path(tree.root / "gates" / "g").verdict == "PASS"
    assert audit(tree.layout).verdict == "PASS"
    again, out, _ = ask("gate", "--root", tree.root, "--config", design(tree), "--json")
    assert (again, json.loads(out)["judged_again"]) == (code, True)
    page = (tree.root / "gates" / "g" / "gate_verdict.md").read_text()
    assert page.startswith(f"# Gate g: {said['verdict']}\n")


def test_a_stop_and_a_signal_lose_nothing(tree, ask):
    """SIGTERM in the middle: exit 0, whole lines, and the same command goes on; the STOP file lets nothing begin."""
    place = design(tree, founders=40, paths=60, bars=2400, length=1200, second=1200)
    command = [
        sys.executable, "-m", "prometheus.cli", "gate", "--root", str(tree.root), "--config", str(place), "--json",
        "--workers", "2",
    ]  # fmt: skip
    lines = tree.root / "gates" / "g" / "gate_experiments.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + PATIENCE
    while (not lines.exists() or lines.stat().st_size == 0) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    said = json.loads(out)
    assert said["verdict"] is None
    assert 0 < said["experiments"] < said["of"]
    data = lines.read_bytes()
    assert data.count(b"\n") == said["experiments"]
    assert data.endswith(b"\n")
    tree.layout.stop_file.write_text("")
    code, _, err = ask(*command[3:])
    assert (code, lines.read_bytes()) == (64, data)
    assert "nothing is started" in err


def test_a_killed_gate_goes_on_to_the_bytes_of_an_undisturbed_one(tree, ask, tmp_path):
    """SIGKILL at whatever moment: what is on the disk is whole but for a last line, and nothing is counted twice."""
    command = ["gate", "--config", str(design(tree)), "--json"]
    lines = tree.root / "gates" / "g" / "gate_experiments.jsonl"
    for least in (1, 40_000):
        process = subprocess.Popen(
            [sys.executable, "-m", "prometheus.cli", *command, "--root", str(tree.root), "--workers", "1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            if lines.exists() and lines.stat().st_size >= least:
                break
        process.kill()
        process.communicate(timeout=PATIENCE)
    ask(*command, "--root", tree.root, "--workers", 1)
    assert audit(tree.layout).verdict == "PASS"
    quiet = tmp_path / "quiet"
    ask(*command, "--root", quiet, "--workers", 1)
    for place in (quiet / "gates" / "g").iterdir():
        if place.name not in {"gate_lock.json", "SHA256SUMS.txt"}:
            assert (tree.root / "gates" / "g" / place.name).read_bytes() == place.read_bytes(), place.name


CLUSTER = """
import os, signal, subprocess, sys, time, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from distributed import Client, LocalCluster

if __name__ == "__main__":
    lines = Path(sys.argv[1])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local:
        command = [sys.executable, "-m", "prometheus.cli", *sys.argv[2:], "--cluster", local.scheduler_address]
        process = subprocess.Popen(command)
        with Client(local) as client:
            while process.poll() is None and not (lines.exists() and lines.stat().st_size):
                time.sleep(0.01)
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            process.wait()
"""


@pytest.mark.drill
def test_a_cluster_with_a_worker_killed_comes_to_the_same_bytes(tree, ask, tmp_path):
    pytest.importorskip("distributed", reason="the extra for clusters is not installed")
    command = ["gate", "--config", str(design(tree))]
    script = tmp_path / "script.py"
    script.write_text(CLUSTER)
    lines = tree.root / "gates" / "g" / "gate_experiments.jsonl"
    done = subprocess.run(
        [sys.executable, str(script), str(lines), *command, "--root", str(tree.root)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "verdict: " in done.stdout, done.stderr
    ask(*command, "--root", tmp_path / "quiet", "--workers", 1)
    quiet = tmp_path / "quiet" / "gates" / "g"
    for name in ("gate_experiments.jsonl", "gate_signs.json", "gate_verdict.json", "gate_roi.svg"):
        assert (lines.parent / name).read_bytes() == (quiet / name).read_bytes(), name
    assert audit(tree.layout).verdict == "PASS"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"length": 181}, 78, "windows 'W1' and 'W2' overlap"),
        ({"second": 200}, 78, "reach past the data"),
        ({"source": "nowhere"}, 78, "nowhere"),
        ({"length": 50}, 78, "before the first review"),
        ({"founders": 0}, 78, "founders"),
        ({"paths": 0}, 78, "paths"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tree, ask, changes, code, words):
    found, out, err = ask("gate", "--root", tree.root, "--config", design(tree, **changes))
    assert (found, out) == (code, "")
    first, *hint = err.splitlines()
    assert words in first
    assert len(hint) <= 1
    assert not (tree.root / "gates").exists()


@pytest.mark.parametrize(
    ("changes", "words"), [({"seeds": 29}, "29 seeds an arm; at least 30"), ({"paths": 20}, "20 shuffled paths")]
)
def test_too_little_to_show_anything_is_insufficient_at_once(tree, ask, changes, words):
    code, out, err = ask("gate", "--root", tree.root, "--config", design(tree, **changes))
    assert (code, err) == (2, "")
    assert words in out.replace("\n", " ")
    assert not (tree.root / "gates").exists()


def test_another_design_under_the_same_name_is_refused(tree, ask):
    assert ask("gate", "--root", tree.root, "--config", design(tree), "--workers", 1)[0] in {0, 1, 2}
    code, _, err = ask("gate", "--root", tree.root, "--config", design(tree, seeds=31), "--workers", 1)
    assert code == 78
    assert "locked for another design" in err
    assert audit(tree.layout).verdict == "PASS"


def test_no_such_design_names_those_there_are(tree, ask):
    code, _, err = ask("gate", "--root", tree.root, "--config", "NOBODY")
    assert code == 78
    assert "BTC_1H" in err


def test_without_the_extra_it_says_which_one(tree, ask, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, _, err = ask("gate", "--root", tree.root, "--config", design(tree))
    assert code == 78
    assert "prometheus-quant[analysis]" in err
    assert not (tree.root / "gates").exists()
