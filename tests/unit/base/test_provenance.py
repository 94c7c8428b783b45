"""A checkout is named by its content: neither environment, nor index, nor configuration changes the answer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from prometheus.v10.base.provenance import MARK, tree_state

FILES = {MARK: "MARK = 1\n", "prometheus/a.py": "A = 1\n", "units/x.service": "[Unit]\n", ".gitignore": "*.so\n/x/\n"}
Git = Callable[..., str]


def git_in(root: Path) -> Git:
    def git(*words: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = ("-c", "user.name=n", "-c", "user.email=n@example.invalid")
        done = subprocess.run(["git", *who, *words], cwd=root, env=clean, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return git


def checkout(root: Path, files: dict[str, str]) -> Git:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git = git_in(root)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "all")
    return git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tree"


@pytest.fixture
def git(root: Path) -> Git:
    return checkout(root, FILES)


def test_a_clean_checkout_is_its_commit(root, git):
    state = tree_state(root)
    assert (state.commit, state.dirty, state.differing) == (git("rev-parse", "HEAD"), False, [])


@pytest.mark.parametrize("hidden", ["plain", "--assume-unchanged", "--skip-worktree", "staged", "ignored mode"])
def test_a_changed_file_is_found_whatever_the_index_says(root, git, hidden):
    if hidden.startswith("--"):
        git("update-index", hidden, "prometheus/a.py")
    (root / "prometheus/a.py").write_text("A = 2\n")
    if hidden == "staged":
        git("add", "-A")
    if hidden == "ignored mode":
        (root / "prometheus/a.py").write_text("A = 1\n")
        (root / "prometheus/a.py").chmod(0o755)
        git("config", "core.fileMode", "false")
    state = tree_state(root)
    assert (state.commit, state.differing) == (git("rev-parse", "HEAD"), ["prometheus/a.py"])


def test_a_filter_that_hides_a_change_is_not_run(root, git, tmp_path):
    ran = tmp_path / "ran"
    (root / ".git/info/attributes").write_text("*.py filter=hide\n")
    git("config", "filter.hide.clean", f"touch {ran}; printf 'A = 1\\n'")
    git("config", "core.fsmonitor", f"touch {ran}")
    (root / "prometheus/a.py").write_text("A = 2\n")
    ran.unlink(missing_ok=True)
    assert tree_state(root).differing == ["prometheus/a.py"]
    assert not ran.exists()


@pytest.mark.parametrize(
    "name", ["prometheus/new.py", "prometheus/fast.so", "prometheus/x.pyc", "prometheus/__pycache__/a.py"]
)
def test_a_file_that_can_be_imported_counts_though_ignored(root, git, name):
    (root / ".git/info/exclude").write_text("*\n")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b"")
    assert tree_state(root).differing == [name]


def test_compiled_caches_and_files_elsewhere_do_not_count(root, git):
    (root / "prometheus/__pycache__").mkdir()
    (root / "prometheus/__pycache__/a.cpython-312.pyc").write_bytes(b"")
    (root / "notes.txt").write_text("")
    (root / "units/y.service").write_text("")
    assert not tree_state(root).dirty
    assert tree_state(root, under=["prometheus", "units"]).differing == ["units/y.service"]


def test_missing_files_and_links_in_their_place_are_found(root, git):
    (root / "prometheus/a.py").rename(root / "elsewhere")
    assert tree_state(root).differing == ["prometheus/a.py"]
    (root / "prometheus/a.py").symlink_to(root / "elsewhere")
    assert tree_state(root).differing == ["prometheus/a.py"]
    (root / "units").rename(root / "x")
    (root / "units").symlink_to("x")
    assert tree_state(root).differing == ["prometheus/a.py", "units/x.service"]


def test_a_foreign_repository_in_the_environment_is_not_asked(root, git, tmp_path, monkeypatch):
    head = git("rev-parse", "HEAD")
    checkout(tmp_path / "foreign", {**FILES, "prometheus/a.py": "A = 7\n"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "foreign/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "foreign"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "foreign/.git/index"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.worktree")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(tmp_path / "foreign"))
    assert (tree_state(root).commit, tree_state(root).dirty) == (head, False)


def test_a_replaced_commit_is_not_believed(root, git):
    head = git("rev-parse", "HEAD")
    (root / "prometheus/a.py").write_text("A = 2\n")
    git("add", "-A")
    git("commit", "-q", "-m", "other")
    git("replace", head, git("rev-parse", "HEAD"))
    git("update-ref", "HEAD", head)
    assert (tree_state(root).commit, tree_state(root).differing) == (head, ["prometheus/a.py"])


def test_an_object_that_is_not_what_its_id_says_names_no_commit(root, git):
    tree = git("rev-parse", "HEAD:prometheus")
    (root / "prometheus/a.py").write_text("A = 2\n")
    git("add", "-A")
    other = git("rev-parse", git("write-tree") + ":prometheus")
    place = [root / ".git/objects" / name[:2] / name[2:] for name in (tree, other)]
    place[0].unlink()
    place[0].write_bytes(place[1].read_bytes())
    assert tree_state(root).commit is None


def test_a_repository_that_is_not_this_packages_names_no_commit(root, tmp_path):
    checkout(root, {"readme": "another project\n"})
    inside = root / "vendored"
    (inside / "prometheus").mkdir(parents=True)
    for place in (root, inside, tmp_path, tmp_path / "nowhere"):
        state = tree_state(place)
        assert (state.commit, state.dirty) == (None, True)


def test_a_tree_without_a_commit_is_dirty(root):
    root.mkdir()
    git_in(root)("init", "-q")
    assert (tree_state(root).commit, tree_state(root).dirty) == (None, True)
