"""Every command of docs/operations.md: lines with ``$`` are run here, in order; lines with ``#`` name what exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from prometheus.cli import host
from prometheus.v10.base.names import Event
from prometheus.v10.evidence.writing.journal import _PRIORITIES, Priority

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [REPOSITORY / "docs" / name for name in ("operations.md", "operations.zh-CN.md")]
BIN = Path(sys.executable).parent
COMMAND_SECONDS = 300


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def lines(document: Path, prompt: str, language: str = "console") -> list[str]:
    """Commands behind a prompt, in the order of the document."""
    found = "".join(blocks(document, language)).splitlines()
    return [line.removeprefix(f"{prompt} ") for line in found if line.startswith(f"{prompt} ")]


def words(command: str) -> list[str]:
    return command.split()


DRILL = lines(DOCUMENTS[0], "$")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("operations")


@pytest.fixture(scope="module")
def drill(place) -> list[subprocess.CompletedProcess[str]]:
    """Every command in one directory, one after the other, as a reader would type them; what came of each."""
    environ = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    return [
        subprocess.run(
            ["bash", "-euc", command], cwd=place, env=environ, capture_output=True, text=True, check=False,
            timeout=COMMAND_SECONDS,
        )
        for command in DRILL
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(len(DRILL)), ids=DRILL)
def test_a_command_of_the_drill_succeeds(number, drill):
    ended = drill[number]
    assert ended.returncode == 0, f"{DRILL[number]}\n{ended.stdout}{ended.stderr}"


def test_the_drill_did_what_it_says(place, drill):
    """It ran once, was refused while the switch was pulled, and its backup holds the same run."""
    assert drill
    (run,) = (place / "var/runs_hf").iterdir()
    assert (run / "SHA256SUMS.txt").is_file()
    assert not (place / "var/etc/STOP").exists()
    stops = (place / "var/state/stops.jsonl").read_text().splitlines()
    assert len(stops) == 2
    assert (place / "backup/runs_hf" / run.name).is_dir()
    assert list((place / "var/pools/stage1/snapshots").glob("*.jsonl"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_a_host_name_what_exists(document):
    known = typer.main.get_command(host.host_line()).commands  # type: ignore[attr-defined]
    units = {path.name for path in (REPOSITORY / "units").iterdir()}
    for command in lines(document, "#"):
        asked = words(command)
        if asked[0] == "prometheus-quant":
            inner = getattr(known[asked[1]], "commands", None)
            assert inner is None or asked[2] in inner, command
        for unit in re.findall(r"prometheus[\w-]*(?:@\w*)?\.(?:service|timer|target|path)", command):
            assert re.sub(r"@\w*", "@", unit) in units, command


def test_a_test_of_the_host_types_every_command_of_a_host():
    """tests/host/test_written_operations.py reads them from the document, so none can be left out."""
    typed = lines(DOCUMENTS[0], "#")
    assert len(typed) > 20
    read = (REPOSITORY / "tests/host/test_written_operations.py").read_text()
    assert '@pytest.mark.parametrize("command", typed())' in read


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_alarm_is_explained_with_its_level(document):
    rows = re.findall(r"^\| (`.+?`) \| (\w+) \|", document.read_text(encoding="utf-8"), re.MULTILINE)
    told = {name: level for names, level in rows for name in re.findall(r"`(\w+)`", names)}
    meant = {event.label: _PRIORITIES.get(event, Priority.NOTICE).name.lower() for event in Event}
    # the host's command raises the level of a rollback, which the journal's table does not know
    assert told == {**meant, "rollback": "warning"}


def test_both_languages_show_the_same_commands():
    for prompt in ("$", "#"):
        assert lines(DOCUMENTS[0], prompt) == lines(DOCUMENTS[1], prompt)
