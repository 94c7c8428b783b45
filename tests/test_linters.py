"""Linters are tests: what they say about the whole checkout is nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def finds_nothing(*command: str) -> None:
    """Run a linter in the checkout; fails with everything it said unless it ended 0."""
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=600)
    if ended.returncode != 0:
        pytest.fail(f"{' '.join(command)} ended {ended.returncode}:\n{ended.stdout}{ended.stderr}", pytrace=False)


def our_files() -> list[Path]:
    """Files that belong to the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    return sorted(place for name in listed.split("\0") if name and (place := REPOSITORY / name).is_file())


def shell_scripts() -> list[Path]:
    """Every file with a shell's first line."""
    found = []
    for place in our_files():
        with place.open("rb") as reader:
            if re.match(rb"#!\s*/(usr/)?bin/(env )?(ba|da)?sh\b", reader.readline()):
                found.append(place)
    return found


def needs(tool: str) -> str:
    """The tool's path; skips, and says so, where it is not installed."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


def test_ruff_finds_nothing():
    finds_nothing(str(BIN / "ruff"), "check", "--no-cache", ".")


def test_everything_is_formatted():
    finds_nothing(str(BIN / "ruff"), "format", "--no-cache", "--check", ".")


def test_types_hold():
    finds_nothing(str(BIN / "mypy"))


def test_types_of_tests_are_checked_too(tmp_path):
    """The settings of `make lint` find a test that calls the product wrongly, in a function without annotations."""
    assert "tests" in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["mypy"]["packages"]
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "wrong_call.py").write_text(
        "from prometheus.v10.base.text import printable\n\n\ndef test_it(tmp_path):\n    printable(1, nonsense=True)\n"
    )
    ended = subprocess.run(
        [BIN / "mypy", "-m", "tests.wrong_call"], cwd=REPOSITORY, env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "[call-arg]" in ended.stdout


def test_nobody_uses_a_door_that_is_not_theirs():
    finds_nothing(str(BIN / "lint-imports"), "--no-cache")


def test_there_are_shell_scripts_to_look_at():
    assert {script.name for script in shell_scripts()} >= {"setup.sh", "run"}


@pytest.mark.parametrize("script", shell_scripts(), ids=lambda place: str(place.relative_to(REPOSITORY)))
def test_shell_scripts_are_clean(script):
    finds_nothing(needs("shellcheck"), "--external-sources", str(script))


def units() -> list[Path]:
    """Unit files; drop-ins are looked at with the unit they belong to."""
    kinds = {".service", ".target", ".slice", ".path", ".timer", ".socket"}
    return [place for place in our_files() if place.parent == REPOSITORY / "units" and place.suffix in kinds]


def test_systemd_has_nothing_to_say_about_the_units(tmp_path):
    """All together, since they name each other; programs of the host are stood in for, names of users are not known."""
    if not units():
        pytest.skip("there are no units yet")
    analyze = needs("systemd-analyze")
    for unit in units():
        text = re.sub(r"^(Exec\w+=[-@:+!|]*)/\S+", r"\1/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text)
    names = [str(tmp_path / unit.name.replace("@.", "@HF.")) for unit in units()]
    for name in names:
        if not Path(name).exists():
            Path(name).symlink_to(Path(name.replace("@HF.", "@.")).name)
    ended = subprocess.run([analyze, "verify", *names], capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
