"""The benchmark works, says everything, and leaves nothing behind. How fast anything is, no test asks."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from bench import speed
from bench.bench_kernel import AGENTS, FULL, QUICK
from bench.lanes import PROCESSES, Lane, Turn
from bench.memory import peak_bytes
from prometheus.v10.base.errors import HostError

HAS_JAX = importlib.util.find_spec("jax") is not None


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """What ``python -m bench --quick`` finds, and the root that it used."""
    root = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "bench", "--quick", "--json", "--root", str(root)]
    ended = subprocess.run(
        [*command, "--only", "speed", "--only", "memory"], capture_output=True, text=True, check=False, timeout=600
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return json.loads(ended.stdout), root


def test_the_document_is_written_and_nothing_else(document):
    said, root = document
    (place,) = root.rglob("*.json")
    assert place.parent == root / "bench"
    assert json.loads(place.read_text()) == said
    assert [path.name for path in root.rglob("*")] == ["bench", place.name]


def test_every_contender_is_measured_with_all_agents_and_processes(document):
    said, _ = document
    rows = {(row["contender"], row["agents"], row["processes"]): row for row in said["speed"]}
    assert set(rows) == {(name, n, p) for name in speed.ABOUT for n in AGENTS for p in PROCESSES}
    for (name, agents, processes), row in rows.items():
        if name == speed.JAX and not HAS_JAX:
            assert "jax" in row["skipped"]
            continue
        assert row["agent_ticks_per_second"] > 0
        assert [turn["agent_ticks"] > 0 for turn in row["turns"]] == [True] * QUICK.turns
        assert row["clock"] == ("cpu" if processes == 1 and name != speed.EVIDENCE else "wall")
        assert ("x_naive" in row) == (name != speed.NAIVE)
        assert ("x_jax" in row) == (HAS_JAX and name in {speed.KERNEL, speed.EVIDENCE})
        assert ("share_of_kernel" in row) == (name == speed.EVIDENCE)
        assert "bars" not in row  # a quick run is no measure
        if name == speed.KERNEL:
            assert agents / 2 < row["mean_alive"] < agents * 2


def test_evidence_does_the_kernel_s_own_work(document):
    """The very same experiments: as many agent-ticks, whatever the number of processes."""
    said, _ = document
    for agents in AGENTS:
        done = {
            turn["agent_ticks"]
            for row in said["speed"]
            if row["agents"] == agents and row["contender"] in {speed.KERNEL, speed.EVIDENCE}
            for turn in row["turns"]
        }
        assert len(done) == 1


def test_the_document_says_where_and_of_what_it_speaks(document):
    said, _ = document
    assert said["quick"] is True
    assert "durability" not in said
    (memory,) = said["memory"]
    assert 10 < memory["value"] < 10_000
    assert memory["unit"] == "MB"
    environment = said["environment"]
    assert {"numpy", "numba", "jax"} <= set(environment["versions"])
    for name, version in environment["versions"].items():
        assert (version is None) == (f"versions.{name}" in environment["null_reasons"])
    assert said["definition"]["scale"]["ticks"] == QUICK.ticks


# ---- all do the same work --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contender", ["naive", "jax"])
def test_who_is_compared_with_the_core_decides_as_it_does(contender):
    """Signals of both nets to a few units in the last place, and the very same positions, out of the same moment."""
    if contender == "jax" and not HAS_JAX:
        pytest.skip("JAX is not installed (packaging/setup.sh bench)")
    command = [sys.executable, str(Path(__file__).parent / "same_decision.py"), contender]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=600).stdout)
    core, theirs = np.array(found["core"]), np.array(found["theirs"])
    np.testing.assert_allclose(theirs[:, :2], core[:, :2], rtol=0, atol=5e-6)
    np.testing.assert_array_equal(theirs[:, 2], core[:, 2])
    assert 0 < found["holders"] < len(core)
    assert len(set(core[:, 2])) > 10
    assert found.get("selection_sorts", True)


# ---- what the figures mean -------------------------------------------------------------------------------------------


def laps() -> speed.Laps:
    """Made up: naive 10 a second, the scan 1 000 and 4 000, the kernel 2 000; by wall time 1 600, and evidence 800."""
    rates = {speed.NAIVE: 10, speed.KERNEL: 2000}
    made = speed.Laps()
    for agents in AGENTS:
        for processes in PROCESSES:
            for name, rate in rates.items():
                made.turns[name, agents, processes] = [Turn(rate, 10, 4.0, 2.0), Turn(rate, 10, 1.25, 1.0)]
            made.turns[speed.JAX, agents, processes] = [Turn(1000 if agents == 100 else 4000, 10, 1.0, 1.0)] * 2
            made.turns[speed.EVIDENCE, agents, processes] = [Turn(2000, 0, 8.0, 1.0), Turn(2000, 0, 2.5, 1.0)]
    return made


def test_rates_and_ratios_are_of_the_best_turns():
    rows = {(r["contender"], r["agents"], r["processes"]): r for r in speed.speed_rows(laps(), FULL, judged=True)}
    kernel, evidence = rows[speed.KERNEL, 100, 1], rows[speed.EVIDENCE, 100, 2]
    assert (kernel["agent_ticks_per_second"], kernel["x_naive"], kernel["x_jax"]) == (2000, 200, 2)
    assert kernel["mean_alive"] == 200
    assert kernel["bars"] == [{"bar": ">= 100 x naive", "held": True}, {"bar": "> JAX", "held": True}]
    assert rows[speed.KERNEL, 1000, 1]["bars"][1] == {"bar": "> JAX", "held": False}
    assert (evidence["agent_ticks_per_second"], evidence["share_of_kernel"]) == (800, 0.5)
    assert evidence["bars"] == [{"bar": ">= 60% of kernel", "held": False}]


def test_who_cannot_run_is_skipped_and_says_why():
    made = laps()
    made.skipped[speed.JAX] = "cannot be imported: no jax"
    for key in [key for key in made.turns if key[0] == speed.JAX]:
        del made.turns[key]
    rows = {(r["contender"], r["agents"], r["processes"]): r for r in speed.speed_rows(made, FULL, judged=True)}
    assert rows[speed.JAX, 100, 1]["skipped"] == "cannot be imported: no jax"
    assert "x_jax" not in rows[speed.KERNEL, 100, 1]
    assert [bar["bar"] for bar in rows[speed.KERNEL, 100, 1]["bars"]] == [">= 100 x naive"]


# ---- how it is measured ----------------------------------------------------------------------------------------------


def test_a_missing_package_is_named_and_a_dead_process_too():
    with Lane("missing", [partial(import_module, "no_such_package")]) as lane:
        for _ in range(2):
            with pytest.raises(ImportError, match="no_such_package"):
                lane.prepare(100)
    with Lane("dead", [partial(os._exit, 3)]) as lane, pytest.raises(HostError, match="dead"):
        lane.prepare(100)


def test_the_peak_is_the_kernel_s_high_water_mark():
    assert peak_bytes("Name:\tx\nVmHWM:\t  1234 kB\nVmRSS:\t 1 kB\n") == 1234 * 1024
    with pytest.raises(HostError):
        peak_bytes("Name:\tx\n")
