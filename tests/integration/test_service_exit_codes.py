"""Every way in which the service may not start, or must end: one clear line, and the code of contracts, section 6."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from prometheus.v10.base.modes import Stage
from tests.integration.conftest import Service, small_profile


def service(tree, *arguments, environ=None):
    return Service(tree, *arguments, environ=environ).end()


def for_tree(tree, **changes):
    asked = {"mode": "offline", "stage": "stage1", "instance": "HF", "root": str(tree.root), **changes}
    return [word for name, value in asked.items() if value is not None for word in (f"--{name}", value)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": None}, "no mode given"),
        ({"mode": "okx_demoo"}, "unknown mode 'okx_demoo'"),
        ({"mode": "OFFLINE"}, "unknown mode 'OFFLINE'"),
        ({"mode": "okx_demo_api"}, "is for mode offline, the command line says okx_demo"),
        ({"stage": "stage3"}, "stage3"),
        ({"stage": None}, "--stage"),
        ({"instance": None}, "--instance"),
        ({"instance": "../HF", "profile": "HF"}, "cannot name an instance"),
        ({"max-runs": "0"}, "--max-runs"),
        ({"unknown": "1"}, "--unknown"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_64(tree, changes, said):
    code, stderr = service(tree, *for_tree(tree, **changes))
    first, *rest = stderr.splitlines()
    assert code == 64
    assert first.startswith("error: ")
    assert said in first
    assert all(line.startswith("hint: ") for line in rest)
    assert tree.runs() == []


def test_a_missing_or_unknown_mode_gets_the_list(tree):
    for mode in (None, "demo"):
        _, stderr = service(tree, *for_tree(tree, mode=mode))
        assert "offline, okx_demo, okx_demo_api, okx_live, okx_live_api" in stderr


def test_the_environment_variable_mode_is_never_read(tree):
    code, stderr = service(tree, *for_tree(tree, mode=None), environ={"MODE": "offline"})
    assert code == 64
    assert "no mode given" in stderr
    code, _ = service(tree, *for_tree(tree, **{"max-runs": "1"}), environ={"MODE": "okx_live"})
    assert code == 0
    (run,) = tree.runs()
    assert tree.manifest(run)["mode"] == "offline"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (small_profile() + "\n[experimets]\ncount = 3\n", "experimets"),
        (small_profile().replace("count = 8", "cuont = 8"), "cuont"),
        (small_profile().replace("count = 8", 'count = "8"'), "count"),
        (small_profile(extra='\n[window]\nname = "W"\nstart = 2000\nlen = 2000\n'), "W"),
        ("mode = ", "not TOML"),
    ],
)
def test_a_profile_that_is_wrong_is_78_and_names_the_key(tree, text, said):
    profile = tree.write_profile(text)
    code, stderr = service(tree, *for_tree(tree))
    first = stderr.splitlines()[0]
    assert code == 78
    assert first.startswith("error: ")
    assert said in first
    assert tree.runs() == []
    assert profile.read_text() == text


def test_a_profile_that_is_not_there_is_78_and_lists_those_that_are(tree):
    code, stderr = service(tree, *for_tree(tree, profile="NONE"))
    assert code == 78
    assert "NONE" in stderr
    assert "HF" in stderr


def test_a_core_that_was_edited_is_78_with_both_hashes(tree, tmp_path, repository):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(repository / "prometheus"), str(copy / "prometheus")], check=False)
    copy.mkdir(exist_ok=True)
    subprocess.run(["cp", "-r", str(repository / "prometheus"), str(copy)], check=True)
    edited = copy / "prometheus" / "v10" / "core" / "lifecycle.py"
    edited.write_text(edited.read_text() + "\n# one line more\n")
    ended = subprocess.run(
        [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", *for_tree(tree)],
        cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 78
    assert "lifecycle.py" in ended.stderr.splitlines()[0]
    assert tree.runs() == []


def test_a_pool_with_a_flipped_byte_is_65_with_its_offset(tree):
    assert service(tree, *for_tree(tree, **{"max-runs": "1"}))[0] == 0
    pool = tree.layout.pool(Stage.STAGE1)
    data = bytearray(pool.read_bytes())
    data[len(data) // 2] ^= 1
    pool.write_bytes(data)
    before = len(tree.runs())
    code, stderr = service(tree, *for_tree(tree))
    assert code == 65
    assert "byte" in stderr.splitlines()[0]
    assert pool.read_bytes() == data
    assert len(tree.runs()) == before


def test_a_ledger_with_a_flipped_byte_is_65(tree):
    assert service(tree, *for_tree(tree, **{"max-runs": "1"}))[0] == 0
    data = bytearray(tree.layout.ledger.read_bytes())
    data[20] ^= 1
    tree.layout.ledger.write_bytes(data)
    code, stderr = service(tree, *for_tree(tree))
    assert code == 65
    assert "ledger.jsonl" in stderr.splitlines()[0]


def test_a_disk_below_keep_free_is_74(tree):
    tree.write_profile(small_profile(keep_free=1 << 60))
    code, stderr = service(tree, *for_tree(tree))
    assert code == 74
    assert "must stay free" in stderr.splitlines()[0]
    assert tree.runs() == []


def test_a_root_over_its_budget_is_74(tree):
    tree.write_profile(small_profile(extra="budget_bytes = 1\n"))
    code, stderr = service(tree, *for_tree(tree))
    assert code == 74
    assert "budget" in stderr.splitlines()[0]


def test_a_root_that_is_a_link_is_64(tree, tmp_path):
    (tmp_path / "link").symlink_to(tree.root)
    code, stderr = service(tree, *for_tree(tree, root=str(tmp_path / "link")))
    assert code == 64
    assert "symbolic link" in stderr.splitlines()[0]


def test_a_root_that_cannot_be_written_is_74(tree):
    code, stderr = service(tree, *for_tree(tree, root="/proc/nowhere", profile=str(tree.layout.profiles / "HF.toml")))
    assert code == 74
    assert "/proc/nowhere" in stderr.splitlines()[0]


def test_stage_2_is_either_there_or_says_that_it_is_not(tree):
    import importlib.util

    code, stderr = service(tree, *for_tree(tree, stage="stage2"))
    assert code == 64
    if importlib.util.find_spec("prometheus.v10.runs.stage2.stage2_run") is None:
        assert "no runs of stage2" in stderr.splitlines()[0]
    else:
        assert "is for stage stage1" in stderr.splitlines()[0]
