"""What docs/evidence.md, docs/reliability.md and README.md show is printed: typed in order, compared line by line.

Run ids, times, paths before the tree and sizes in bytes differ from one machine and commit to the next; nothing else
may.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SECONDS = 600
FAULTS = ("error:", "bash:", "jq: error", "Traceback", "usage:")
TREES = "var|empty|copy|torn|short|lost"
SAME = (
    (re.compile(r"(?:HF|STAGE2)_\d{8}T\d{6}Z_\w{7,8}_[0-9a-f]{4}"), "RUN"),
    (re.compile(rf"(?:\.\.\.|/\S*?)/(?=(?:{TREES})\b)"), ".../"),
    (re.compile(r"\d{8}T\d{6}Z"), "TIME"),
    (re.compile(r"(bytes |at byte |\"offset\":)\d+"), r"\1N"),
    (re.compile(r" in [\d.]+ s$"), " in N s"),
    (re.compile(r" +"), " "),
)


def alike(line: str) -> str:
    for pattern, instead in SAME:
        line = pattern.sub(instead, line)
    return line.strip()


def typed(text: str) -> list[tuple[str, list[str]]]:
    """Commands of console blocks in order, each with the lines that the page shows below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif not _whole(found[-1][0]):
                found[-1] = f"{found[-1][0]}\n{line}", []
            else:
                found[-1][1].append(line)
    return found


def _whole(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def said(place: Path, commands: list[str]) -> list[list[str]]:
    """What each command prints when all are typed into one shell, in ``place``."""
    script = "".join(f"echo '@@@'\n{command}\n" for command in commands)
    environ = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"], cwd=place, env=environ, capture_output=True, text=True, check=False,
        timeout=SECONDS,
    )  # fmt: skip
    return [part.splitlines() for part in ended.stdout.split("@@@\n")[1:]]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> tuple[Path, str]:
    """The tree that one run leaves, and what was printed."""
    place = tmp_path_factory.mktemp("first_run")
    ((*lines,),) = said(place, ["prometheus-quant run --root var"])
    return place / "var", "\n".join(lines)


def of_make_run() -> list[str]:
    """What `make run` types, behind its set-up."""
    target = (REPOSITORY / "Makefile").read_text().partition("\nrun: $(STAMP)\n")[2].partition("\n\n")[0]
    return [line.strip().removeprefix("$(BIN)/") for line in target.splitlines()]


def test_the_readme_shows_the_figures_of_make_run(tmp_path):
    shown = re.search(r"^```text\n(run .*?)^```", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    commands = of_make_run()
    assert [command.split()[1] for command in commands] == ["run", "progress"]
    printed = {alike(line) for lines in said(tmp_path, commands) for line in lines}
    lines = [alike(line) for line in shown[1].splitlines()]
    assert len(lines) > 10
    assert [line for line in lines if line not in {"", "..."} and line not in printed] == []


@pytest.mark.parametrize(("page", "section"), [("evidence.md", ""), ("reliability.md", "## What is refused")])
def test_a_page_shows_what_is_printed(page, section, first_run, tmp_path):
    if shutil.which("jq") is None:
        pytest.skip("the page's commands need jq")
    shutil.copytree(first_run[0], tmp_path / "var")
    (tmp_path / "prometheus").symlink_to(REPOSITORY / "prometheus")
    text = (REPOSITORY / "docs" / page).read_text()
    if section:
        text = text[text.index(section) :].partition("\n## ")[0]
    commands = typed(text)
    assert len(commands) > 5
    found = said(tmp_path, [command for command, _ in commands])
    assert len(found) == len(commands)
    for (command, shown), lines in zip(commands, found, strict=True):
        printed = [alike(line) for line in lines]
        missing = [line for line in map(alike, shown) if line not in {"", "..."} and line not in printed]
        assert missing == [], "\n".join([command, *lines])
        assert shown or not any(line.startswith(FAULTS) for line in lines), "\n".join([command, *lines])
