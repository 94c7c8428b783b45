"""What ran is what the sources say: hooks, paths, variables and caches beside the sources reach no evidence process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prometheus.v10.runs.workers.invariance import CORE
from tests.integration.conftest import Tree, small_profile

CODE = Path(".cache/prometheus-quant")
HOOK = """
import sys
if sys.flags.isolated:
    raise SystemExit(98)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own, with this user's machine code of the core, if any: compiling takes half a minute."""
    made = tmp_path_factory.mktemp("home")
    # as numba calls the directory of a source's machine code
    named = f"core_{hashlib.sha1(os.fsencode(CORE), usedforsecurity=False).hexdigest()}"
    if (mine := Path.home() / CODE / "numba" / named).is_dir():
        shutil.copytree(mine, made / CODE / "numba" / named)
    return made


def run(
    root: Path, home: Path, *words: str, cwd: Path | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    base = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    repository = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [sys.executable, "-m", "prometheus.entry", *words, "--root", str(root)],
        env={**base, "PYTHONPATH": repository, **environ}, cwd=cwd or repository, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "root")
    made.write_profile(small_profile(workers=1, count=1, bars=600))
    return made


def manifest(tree: Tree) -> dict:
    return json.loads((tree.runs()[-1] / "run_manifest.json").read_text())


def test_a_site_hook_does_not_run(tree: Tree, home: Path, tmp_path: Path) -> None:
    repository = str(Path(__file__).resolve().parents[2])
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    ended = run(tree.root, home, "run", PYTHONPATH=f"{tmp_path}:{repository}")
    assert ended.returncode == 0, ended.stderr
    # The hook ran in the interpreter that was replaced, and the core would not be checked as good beside it.
    (tmp_path / "usercustomize.py").write_text("")
    code = "import sitecustomize; from prometheus.v10.runs.workers.invariance import check_core; check_core()"
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}:{repository}", "HOME": str(home)}
    beside = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert "sitecustomize was loaded from" in beside.stderr


def test_numba_variables_do_not_reach_it(tree: Tree, home: Path, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped"
    ended = run(tree.root, home, "run", NUMBA_CACHE_DIR=str(swapped), NUMBA_DISABLE_JIT="1", NUMBA_OPT="0")
    assert ended.returncode == 0, ended.stderr
    assert not swapped.exists()


def test_the_working_directory_is_not_on_the_path(tree: Tree, home: Path, tmp_path: Path) -> None:
    for name in ("json.py", "numpy.py", "argparse.py"):
        (tmp_path / name).write_text("raise SystemExit(99)\n")
    program = Path(sys.executable).with_name("prometheus-quant")
    ended = subprocess.run(
        [str(program), "status", "--root", str(tree.root)], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(home)}, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_what_the_environment_says_of_the_commit_is_not_believed(tree: Tree, home: Path) -> None:
    ended = run(tree.root, home, "run", PQ_GIT_COMMIT="deadbeef" * 5, PQ_GIT_DIRTY="0", GIT_DIR="/nowhere")
    assert ended.returncode == 0, ended.stderr
    assert manifest(tree)["git_commit"] != "deadbeef" * 5


@pytest.mark.drill
def test_compiled_code_is_kept_in_a_private_directory(tree: Tree, tmp_path: Path) -> None:
    assert run(tree.root, tmp_path, "run").returncode == 0
    assert (tmp_path / CODE).stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / CODE / "numba").rglob("*.nbc"))


def test_a_directory_that_others_may_enter_is_closed_to_them(tree: Tree, home: Path) -> None:
    (home / CODE).mkdir(parents=True, exist_ok=True)
    (home / CODE).chmod(0o755)
    assert run(tree.root, home, "status").returncode == 0
    assert (home / CODE).stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_could_fill_is_not_used(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "prometheus-quant").symlink_to(other)
    assert run(tree.root, tmp_path, "status").returncode == 0
    assert not list(other.iterdir())
