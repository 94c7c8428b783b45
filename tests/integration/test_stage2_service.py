"""Stage 2 and promotion as an operator starts them: the service and the commands, over real processes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.pools.pool import iter_records

from .conftest import PATIENCE, Tree, small_profile

STAGE2 = """
mode = "offline"
evidence.compress = false
stage = "stage2"
workers = 2
[market]
timeframe_s = 3600
seed = 9
bars = 2000
[stage2]
timeframes_s = [3600, 14400]
seeds = [1, 2]
crowd = 16
batch = 24
[disk]
keep_free_bytes = 1048576
[pool]
snapshot_every_runs = 0
"""


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prometheus.cli", *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def service(tree: Tree, stage: str, instance: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", stage,
        "--instance", instance, "--root", str(tree.root), *more,
    ]  # fmt: skip


def once(tree: Tree, stage: str, instance: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        service(tree, stage, instance, "--max-runs", "1", *more), capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A tree with one run of stage 1, and a snapshot of its pool."""
    tree = Tree(tmp_path_factory.mktemp("built") / "root")
    tree.write_profile(small_profile(count=4))
    tree.write_profile(STAGE2, "STAGE2")
    assert once(tree, "stage1", "HF").returncode == 0
    assert command("snapshot", "create", "--root", str(tree.root)).returncode == 0
    return tree


@pytest.fixture
def house(built: Tree, tmp_path: Path) -> Tree:
    """A copy of it for one test."""
    shutil.copytree(built.root, tmp_path / "root")
    tree = Tree(tmp_path / "root")
    tree.write_profile(small_profile(count=4))
    return tree


def judged(tree: Tree) -> int:
    pool = tree.layout.pool(Stage.STAGE2)
    return sum(1 for _ in iter_records(pool)) if pool.exists() else 0


def test_from_stage_1_to_a_verdict_and_a_promoted_run(house: Tree) -> None:
    assert once(house, "stage2", "STAGE2").returncode == 0
    assert judged(house) == sum(1 for _ in iter_records(house.layout.pool(Stage.STAGE1)))
    root = str(house.root)
    asked = command("promote", "--root", root, "--stage", "stage2", "--top-k", "1", "--by", "roi", "--queue", "--json")
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["promotions"][0]["status"] == "queued"
    ended = once(house, "stage1", "PROMOTE")
    assert ended.returncode == 0, ended.stderr
    runs = list(house.layout.runs(Tier.TIER2_FULL).iterdir())
    assert len(runs) == 1
    now = command("promote", "--root", root, "--top-k", "1", "--instance", "AUDIT", "--json")
    assert now.returncode == 0, now.stderr
    assert json.loads(now.stdout)["promotions"][0]["status"] == "proven"
    assert command("verify", *(str(run) for run in house.layout.runs(Tier.TIER2_FULL).iterdir())).returncode == 0
    assert command("replay", str(runs[0])).returncode == 0
    assert audit(house.layout).exit_code == 0, audit(house.layout).lines()
    shown = command("pool", "show", "--root", root, "--stage", "stage2", "--sort", "roi_lifetime", "--json")
    assert len(json.loads(shown.stdout)["records"]) > 0


def test_a_run_of_stage_2_replays_to_the_same_bytes(house: Tree) -> None:
    """Its snapshot is judged again in its own batches, as if its verdicts and all after them were not there yet."""
    house.write_profile(STAGE2.replace("batch = 24", "batch = 24\nbatches_a_run = 1"), "STAGE2")
    for _ in range(2):
        assert once(house, "stage2", "STAGE2").returncode == 0
    first, second = sorted(house.layout.runs(Tier.TIER1_HF).glob("STAGE2_*"), key=lambda run: run.stat().st_mtime)
    for run in (first, second):
        ended = command("replay", str(run), "--json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        said = json.loads(ended.stdout)
        assert said["identical"] is True
        assert {one["name"] for one in said["comparisons"]} >= {"death_events.jsonl", f"pool records of {run.name}"}
    pool = house.layout.pool(Stage.STAGE2)
    pool.write_bytes(pool.read_bytes().replace(b'"verdict":{', b'"verdicT":{', 1))
    assert command("replay", str(first)).returncode != 0


def test_with_nothing_to_judge_or_to_promote_the_service_ends_well(house: Tree) -> None:
    assert once(house, "stage2", "STAGE2").returncode == 0
    runs = house.runs()
    assert once(house, "stage2", "STAGE2").returncode == 0
    assert once(house, "stage1", "PROMOTE").returncode == 0
    assert house.runs() == runs


def test_killed_in_the_middle_of_a_batch_it_is_judged_again(house: Tree) -> None:
    total = sum(1 for _ in iter_records(house.layout.pool(Stage.STAGE1)))
    for wait in (0.4, 1.2, 2.5):
        process = subprocess.Popen(service(house, "stage2", "STAGE2"), stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + PATIENCE
        while not list(house.layout.runs(Tier.TIER1_HF).glob("STAGE2_*")) and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(wait / 4)
        process.kill()
        process.communicate()
    assert once(house, "stage2", "STAGE2").returncode == 0
    while judged(house) < total:
        assert once(house, "stage2", "STAGE2").returncode == 0
    records = list(iter_records(house.layout.pool(Stage.STAGE2)))
    assert [record.metrics_summary["origin"]["n"] for record in records] == list(range(total))
    assert audit(house.layout).exit_code == 0, audit(house.layout).lines()


def test_a_stop_seals_and_leaves_whole_batches(house: Tree) -> None:
    process = subprocess.Popen(service(house, "stage2", "STAGE2"), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + PATIENCE
    while not list(house.layout.runs(Tier.TIER1_HF).glob("STAGE2_*")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert audit(house.layout).exit_code == 0, audit(house.layout).lines()
    total = sum(1 for _ in iter_records(house.layout.pool(Stage.STAGE1)))
    assert judged(house) % 24 == 0 or judged(house) == total


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--snapshot", "000000000001-0123abcd"), 64, "no snapshot 000000000001-0123abcd"),
        (("--snapshot", "pools/stage1/pool.jsonl"), 64, "not a snapshot's id"),
    ],
)
def test_a_wrong_snapshot_is_one_line_and_a_code(house: Tree, words: tuple[str, ...], code: int, said: str) -> None:
    ended = once(house, "stage2", "STAGE2", *words)
    assert ended.returncode == code
    lines = ended.stderr.strip().splitlines()
    assert said in lines[0]
    assert len([line for line in lines if line.startswith("error:")]) == 1
    assert judged(house) == 0


def test_a_damaged_snapshot_is_65(house: Tree) -> None:
    place = next(house.layout.snapshots(Stage.STAGE1).glob("*.jsonl"))
    place.chmod(0o644)
    place.write_bytes(place.read_bytes()[:-40])
    ended = once(house, "stage2", "STAGE2")
    assert ended.returncode == 65, ended.stderr
    assert judged(house) == 0


def test_a_window_past_the_data_is_78(house: Tree) -> None:
    house.write_profile(STAGE2 + '\n[[stage2.windows]]\nname = "V9"\nstart = 1900\nlen = 500\n', "STAGE2")
    ended = once(house, "stage2", "STAGE2")
    assert ended.returncode == 78, ended.stderr
    assert "reach past the data" in ended.stderr


def test_a_run_by_a_cluster_has_the_same_bytes(house: Tree, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra for clusters is not installed")
    script = tmp_path / "cluster.py"
    script.write_text(
        "import subprocess, sys\n"
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local:\n"
        "        words = [sys.executable, '-m', 'prometheus.cli', 'run', '--root', sys.argv[1], '--profile', 'HF',\n"
        "                 '--seed', '3', '--experiments', '3', '--json', '--cluster', local.scheduler_address]\n"
        "        sys.exit(subprocess.run(words).returncode)\n"
    )
    said = subprocess.run(
        [sys.executable, str(script), str(house.root)], capture_output=True, text=True, timeout=120, check=False
    )
    assert said.returncode == 0, said.stderr
    run = json.loads(said.stdout)["directory"]
    assert command("replay", run).returncode == 0


CLUSTER = """
import os, signal, subprocess, sys, time
from pathlib import Path
from distributed import Client, LocalCluster

if __name__ == "__main__":
    root = Path(sys.argv[1])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local:
        with Client(local) as client:
            words = [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage"]
            words += ["stage2", "--instance", "STAGE2", "--root", str(root), "--max-runs", "1"]
            words += ["--cluster", local.scheduler_address]
            service = subprocess.Popen(words)
            pool = root / "pools" / "stage2" / "pool.jsonl"
            while service.poll() is None and not (pool.exists() and pool.stat().st_size):
                time.sleep(0.02)
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            sys.exit(service.wait())
"""


@pytest.mark.drill
def test_a_cluster_with_a_worker_killed_in_the_middle_gives_the_same_verdicts(house: Tree, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra for clusters is not installed")
    shutil.copytree(house.root, tmp_path / "elsewhere")
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    said = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "elsewhere")],
        capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert once(house, "stage2", "STAGE2").returncode == 0
    here, there = (
        [(r.genome_sha256, r.metrics_summary) for r in iter_records(layout.pool(Stage.STAGE2))]
        for layout in (house.layout, Layout.under(tmp_path / "elsewhere"))
    )
    assert here == there
    assert audit(Layout.under(tmp_path / "elsewhere")).exit_code == 0
