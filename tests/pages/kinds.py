"""Runs of every kind that a page is made of, each done by the product."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import ExitCode
from tests.forger.house import JUDGED, KINDS, do_judge, do_run

PATIENCE = 300.0  # seconds until a test gives up waiting; no assertion depends on it
LONG = """
mode = "offline"
stage = "stage1"
workers = 1
[market]
source = "synthetic"
timeframe_s = 3600
seed = 7
bars = 40000
[window]
name = "L"
start = 100
len = 1200
[experiments]
count = 400
seed = 1
[world]
founders = 60
review_ticks = 100
death_roi = 0.0001
breed_roi = 0.01
"""


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prometheus.cli", *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def make(root: Path) -> dict[str, Path]:
    """Every kind by name: the directory of its run."""
    made = {name: do_run(root / name, *changed(name)) for name in ("plain", "collapse", "walk")}
    made["stopped"] = do_run(root / "stopped", KINDS["cut"][0], stop_after=KINDS["cut"][1])
    made["no death"] = do_run(root / "quiet", {"world": {"death_roi": -0.99, "breed_roi": 5.0, "leverage_cap": 1.0}})
    made["stage 2"] = do_judge(root / "judged", JUDGED["stage2"][0])
    made["tier 2"] = promoted(root / "plain")
    made["running"], made["cut off"] = killed(root)
    made["damaged"] = damaged(made["plain"], root / "damaged")
    return made


def changed(name: str) -> tuple[dict[str, dict[str, Any]]]:
    return (KINDS[name][0],)


def promoted(root: Path) -> Path:
    """The Tier-2 run of the best genome of the plain run."""
    ended = ask("promote", "--root", str(root), "--top-k", "1")
    assert ended.returncode == ExitCode.DONE, ended.stderr
    (run,) = (root / "runs").glob("PROMOTE_*")
    return run


def killed(root: Path) -> tuple[Path, Path]:
    """A run whose process was killed: as it lay there, and as the next start closed it."""
    place, profile = root / "killed", root / "LONG.toml"
    profile.write_text(LONG)
    words = ["run", "--root", str(place), "--profile", str(profile), "--instance", "T"]
    with subprocess.Popen(
        [sys.executable, "-m", "prometheus.cli", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        end = time.monotonic() + PATIENCE
        while not any(one.stat().st_size > 60_000 for one in place.glob("runs_hf/*/death_events.jsonl")):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < end, "the run filed no deaths"
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    (run,) = (place / "runs_hf").iterdir()
    before = Path(shutil.copytree(run, root / "before" / "runs_hf" / run.name))
    ended = ask("run", "--root", str(place), "--profile", str(profile), "--instance", "T", "--experiments", "1")
    assert ended.returncode == ExitCode.DONE, ended.stderr
    assert json.loads((run / "interrupted.json").read_text())["missing"]
    return before, run


def damaged(run: Path, root: Path) -> Path:
    """A copy with one byte of a death's line changed."""
    copy = Path(shutil.copytree(run, root / "runs_hf" / run.name))
    place = copy / "death_events.jsonl"
    data = bytearray(place.read_bytes())
    at = data.index(b'"age_ticks":') + len(b'"age_ticks":')
    data[at] = ord("x")
    place.write_bytes(bytes(data))
    return copy
