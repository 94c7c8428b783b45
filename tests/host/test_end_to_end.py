"""Genomes travel, on real bars: stage 1, the snapshot's timer, stage 2, the queue of promotions, a Tier-2 run.

One story, told in order, on evidence of its own: what other tests bred would all be judged as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lab.host import Host
from lab.stage import PATIENCE, PROFILES, STATE, Stage, passes_the_audit, wait_until
from lab.timers import ended, let_it_fire

COMMAND = "prometheus-quant"
ASIDE = f"{STATE}.aside"
TOP = 2

BRED_ON = """\
mode = "offline"
stage = "stage1"
[market]
source = "btc_1h"
[window]
name = "W1"
start = 23082 # 2021-01-01T00:00:00Z
len = 4380
[experiments]
count = 3
seed = 1
arm = "A_real"
ablation = "none"
[world]
founders = 60
review_ticks = 2190
death_roi = 0.01
breed_roi = 0.05
[pool]
snapshot_every_runs = 0
[service]
pause_seconds = 600.0
[disk]
keep_free_bytes = 1048576
"""
JUDGED_ON = """\
mode = "offline"
stage = "stage2"
[market]
source = "btc_1h"
[stage2]
seeds = [1, 2]
crowd = 32
[[stage2.windows]]
name = "V1"
start = 0
len = 4380
[[stage2.windows]]
name = "V2" # begins after the window of stage 1 has ended
start = 28000
len = 4380
[disk]
keep_free_bytes = 1048576
[pool]
snapshot_every_runs = 0
"""
LOOK = """\
import json, os, sys
lib, inode = sys.argv[1], int(sys.argv[2])
try:
    open(lib + "/pools/stage1/pool.jsonl").close()
    opened = "it opened"
except OSError as error:
    opened = type(error).__name__
same = [os.path.join(place, name) for place, _, names in os.walk(lib) for name in names
        if os.stat(os.path.join(place, name)).st_ino == inode]
print(json.dumps({"opened": opened, "same": same, "sees": os.listdir(lib + "/pools/stage1")}))
"""


def asked(host: Host, *words: str) -> dict[str, Any]:
    return dict(json.loads(host.do(COMMAND, *words, "--json")))


def lines(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text().splitlines()]


@pytest.fixture(scope="module")
def tree(host):
    """The host with no evidence yet; what it had before is put back at the end, and so are the shipped profiles."""
    shipped = {name: host.inside(f"{PROFILES}/{name}.toml").read_bytes() for name in ("HF", "STAGE2")}
    host.do("mv", STATE, ASIDE)
    host.do("systemd-tmpfiles", "--create", "prometheus-quant.conf")
    yield host
    host.ask("systemctl", "stop", "prometheus-stage*@*.service")
    for name, text in shipped.items():
        host.inside(f"{PROFILES}/{name}.toml").write_bytes(text)
    host.do("rm", "-rf", STATE)
    host.do("mv", ASIDE, STATE)


@pytest.fixture(scope="module")
def bars(tree, data_dir):
    """Hourly bars of BTC, imported on the host by the host's own command."""
    tree.put(data_dir / "spot_btcusd_hourly/BTC_USD-Hourly.csv", f"{STATE}/market/BTC_USD-Hourly.csv", 0o644)
    return asked(tree, "market", "import", f"{STATE}/market/BTC_USD-Hourly.csv", "btc_1h")


@pytest.fixture(scope="module")
def bred(tree, bars):
    """One sealed run of stage 1."""
    stage = Stage(tree, "HF")
    stage.profile(BRED_ON)
    stage.start()
    run = stage.wait_for_sealed_run(PATIENCE)
    stage.stop()
    return run


@pytest.fixture(scope="module")
def frozen(tree, bred):
    """The index of the snapshot that the timer made."""
    let_it_fire(tree, "snapshot")
    assert ended(tree, "snapshot") == ("success", "0")
    (index,) = tree.inside(f"{STATE}/pools/stage1/snapshots").glob("snapshot_*.json")
    return index


@pytest.fixture(scope="module")
def seen(tree, frozen):
    """Stage 2 at work until it has judged everything; returns its run, and what a look from inside it found."""
    stage = Stage(tree, "STAGE2", stage=2)
    stage.profile(JUDGED_ON)
    stage.start()
    inode = tree.inside(f"{STATE}/pools/stage1/pool.jsonl").stat().st_ino
    pid = str(stage.processes()["python3"])
    found = json.loads(
        tree.do("nsenter", "-t", pid, "-m", "--", "/usr/local/bin/python3", "-c", LOOK, STATE, str(inode))
    )
    found["mounts"] = tree.do("cat", f"/proc/{pid}/mountinfo")
    wait_until("stage 2 has judged", lambda: any(stage.is_sealed(run) for run in stage.own_runs()))
    stage.stop()
    return stage.own_runs(), found


@pytest.fixture(scope="module")
def queued(tree, seen):
    """What the operator promotes of what stage 2 judged."""
    return asked(tree, "promote", "--stage", "stage2", "--top-k", str(TOP), "--by", "survival", "--queue")["promotions"]


@pytest.fixture(scope="module")
def promoted(tree, queued):
    """The Tier-2 runs that the instance PROMOTE made of the queue."""
    waiting = [path.name for path in tree.inside(f"{STATE}/state/promotions/PROMOTE").iterdir()]
    stage = Stage(tree, "PROMOTE")
    stage.start()
    done = tree.inside(f"{STATE}/state/promotions/done")
    wait_until("the queue is drained", lambda: done.is_dir() and {path.name for path in done.iterdir()} >= set(waiting))
    stage.stop()
    return sorted(tree.inside(f"{STATE}/runs").iterdir()), waiting


def test_real_bars_are_imported_by_the_hosts_own_command(bars):
    assert bars["rows"] > 30000
    assert bars["timeframe_s"] == 3600


def test_stage_1_breeds_on_them(bred, tree):
    stage = Stage(tree, "HF")
    assert stage.is_sealed(bred)
    assert stage.seals(bred) == ["run_sealed"]
    assert "btc_1h" in stage.manifest(bred)["market"]["source"]


def test_the_timer_freezes_the_pool(frozen, tree):
    pool = lines(tree.inside(f"{STATE}/pools/stage1/pool.jsonl"))
    assert len(pool) > 0
    assert lines(frozen.with_suffix(".jsonl")) == pool


def test_stage_2_gives_every_genome_of_the_snapshot_a_verdict(seen, frozen, tree):
    (run,), _ = seen
    stage = Stage(tree, "STAGE2", stage=2)
    assert stage.is_sealed(run)
    assert stage.seals(run) == ["run_sealed"]
    verdicts = lines(tree.inside(f"{STATE}/pools/stage2/pool.jsonl"))
    assert {one["genome_sha256"] for one in verdicts} == {
        one["genome_sha256"] for one in lines(frozen.with_suffix(".jsonl"))
    }
    assert all(one["metrics_summary"]["verdict"] for one in verdicts)
    shown = asked(tree, "pool", "show", "--stage", "stage2", "--sort", "roi_lifetime")
    assert shown["records"]


def test_from_inside_stage_2_the_live_pool_cannot_be_opened(seen):
    _, found = seen
    assert found["opened"] == "FileNotFoundError"
    assert found["same"] == []
    assert "pool.jsonl" not in found["mounts"]
    assert f" {STATE}/pools/stage1/snapshots ro," in found["mounts"]
    assert found["sees"] == ["snapshots"]


def test_a_promotion_waits_until_its_instance_makes_a_tier_2_run_of_it(promoted, queued, tree):
    runs, waiting = promoted
    assert [one["status"] for one in queued] == ["queued"] * TOP
    assert len(waiting) == TOP
    assert not list(tree.inside(f"{STATE}/state/promotions/PROMOTE").iterdir())
    stage = Stage(tree, "PROMOTE")
    assert len(runs) == TOP
    for run in runs:
        manifest = stage.manifest(run)
        assert stage.is_sealed(run)
        assert manifest["meta"]["tier"] == "tier2_full"
        assert manifest["promotion"]["proof"]["same"]
    assert len(tree.do("journalctl", "-q", "-o", "cat", "PROMETHEUS_EVENT=promotion").splitlines()) >= TOP


def test_every_run_verifies_and_the_audit_is_clean(promoted, tree):
    places = [f"{STATE}/{run.relative_to(tree.inside(STATE))}" for run in Stage(tree).runs()]
    assert len(places) == 2 + TOP
    assert asked(tree, "verify", *places)["exit_code"] == 0
    found = passes_the_audit(tree)
    assert found["reports"][0]["facts"]["runs"] == len(places)


def test_the_operator_replays_and_looks_at_all_of_it_on_the_host(promoted, bred, frozen, tree):
    """Commands that the host hands to the image in force: what they say is about the evidence of the host."""

    def place(run: Path) -> str:
        return f"{STATE}/{run.relative_to(tree.inside(STATE))}"

    runs, _ = promoted
    for run in (bred, runs[0]):
        assert asked(tree, "replay", place(run))["identical"] is True
    assert asked(tree, "report", place(bred))["runs"][0]["run_id"] == bred.name
    record = lines(frozen.with_suffix(".jsonl"))[0]
    assert asked(tree, "genome", "show", record["id"])["id"] == record["id"]
    assert frozen.stem.endswith(asked(tree, "snapshot", "list")["snapshots"][0]["id"])
    assert asked(tree, "retention", "--dry-run", "--profile", "HF")["items"] == []
    out = "/var/log/prometheus-quant/genomes.npy"
    asked(tree, "pool", "export", out)
    exported = tree.inside(out)
    assert exported.stat().st_size > 4 * 342 * len(lines(frozen.with_suffix(".jsonl")))
    exported.unlink()
