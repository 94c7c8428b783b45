"""What numba would load is compared with the list that the build of an image writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prometheus.v10.base.errors import CoreInvarianceError
from prometheus.v10.runs.workers.machine_code import check_machine_code, seal_machine_code

COMPILE = "import numba; f = numba.njit(cache=True)(__import__('compiled_here').double); assert f(2) == 4"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that numba itself filled, and beside it the list of its files."""
    directory = tmp_path / "numba" / "generic"
    (tmp_path / "compiled_here.py").write_text("def double(x):\n    return 2 * x\n")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(directory), "PYTHONPATH": str(tmp_path)}
    environment.pop("NUMBA_DISABLE_JIT", None)
    subprocess.run([sys.executable, "-c", COMPILE], env=environment, check=True)
    assert seal_machine_code(directory.parent, tmp_path / "sums.json") == 2
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(directory))
    return directory


def sums(cache: Path) -> Path:
    check_machine_code.cache_clear()
    return cache.parents[1] / "sums.json"


def test_the_files_that_were_sealed_pass(cache: Path) -> None:
    assert check_machine_code(sums(cache)) == 2


def test_without_a_list_nothing_is_compared(cache: Path) -> None:
    assert check_machine_code(sums(cache).with_name("none.json")) == 0


def test_code_of_a_level_that_was_not_chosen_is_compared_too(cache: Path) -> None:
    other = cache.with_name("x86-64-v3")
    other.mkdir()
    (other / "added.nbc").write_bytes(b"")
    with pytest.raises(CoreInvarianceError, match=r"x86-64-v3/added\.nbc.*nothing of it"):
        check_machine_code(sums(cache))


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_changed_missing_added_or_linked_file_is_named(cache: Path, suffix: str) -> None:
    file = next(cache.rglob(f"*{suffix}"))
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CoreInvarianceError, match=file.name):
        check_machine_code(sums(cache))
    file.unlink()
    with pytest.raises(CoreInvarianceError, match="is missing"):
        check_machine_code(sums(cache))
    file.write_bytes(data)
    other = file.with_name(f"other{suffix}")
    other.write_bytes(data)
    with pytest.raises(CoreInvarianceError, match=f"other{suffix}.*nothing of it"):
        check_machine_code(sums(cache))
    other.unlink()
    (cache / "link").symlink_to(file.parent)
    with pytest.raises(CoreInvarianceError, match="link"):
        check_machine_code(sums(cache))


def test_a_list_that_cannot_be_read_and_a_cache_without_a_place_are_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = sums(cache)
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    with pytest.raises(CoreInvarianceError, match="NUMBA_CACHE_DIR is '', and the image lists no compiled code there"):
        check_machine_code(listed)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache.with_name("x86-64-v9")))
    with pytest.raises(CoreInvarianceError, match="lists no compiled code there"):
        check_machine_code(sums(cache))
    listed.write_text("{")
    with pytest.raises(CoreInvarianceError, match=r"sums\.json cannot be read"):
        check_machine_code(sums(cache))
