"""Every help of the command lines, as one text that is reviewed: ``tests/helps.txt``.

After a change: ``.venv/bin/python -m tests.test_helps > tests/helps.txt``, then read the difference.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
import typer.main
from rich.text import Text

from bench import bench_command
from prometheus.cli import host
from prometheus.cli import main as cli
from prometheus.v10.evidence.verify import program
from prometheus.v10.ops import close_run, run_v10_service
from tests.test_linters import REPOSITORY

KEPT = REPOSITORY / "tests" / "helps.txt"
APPS = {
    "prometheus-quant": cli.whole(),
    "prometheus-quant (on a host)": host.host_line(),
    "python -m bench": bench_command.app,
}
PROGRAMS: dict[str, Callable[..., object]] = {
    "python -m prometheus.v10.ops.run_v10_service": run_v10_service.main,
    "python -m prometheus.v10.ops.close_run": close_run.main,
    "python -m prometheus.v10.evidence.verify": program.main,
}
TYPERS = {"--install-completion", "--show-completion", "--help"}
"""Options whose words are typer's own."""
RIDDLES = re.compile(
    r"^(?:Of|In|By|Whose|Who|What|How|Why|Where|Which|It|Only|Just|Also|Its|Per|As|An? [a-z]+ little)\b|\?"
)
"""A help that begins so leaves its subject to be guessed."""


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command and every command below it, with the words that call it."""
    yield words, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from commands(inner, (*words, name))


def parameters(command: Any) -> Iterator[tuple[str, str]]:
    """Arguments and options of a command: how each is written, and its help."""
    for one in command.params:
        names = ", ".join(one.opts)
        if names not in TYPERS and not getattr(one, "hidden", False):
            yield f"{names} {one.metavar or ''}".strip(), " ".join((one.help or "").split())


def of_app(name: str) -> Iterator[str]:
    for words, command in commands(typer.main.get_command(APPS[name])):
        yield " ".join((name, *words))
        yield from (f"    {line}".rstrip() for line in (command.help or "").strip().splitlines())
        yield from (f"        {written}: {said}" for written, said in parameters(command))
        yield ""


def of_program(name: str) -> Iterator[str]:
    """What argparse prints, on lines that no terminal's width breaks."""
    printed = io.StringIO()
    with patch.dict("os.environ", COLUMNS="1000"), contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        PROGRAMS[name](["--help"])
    yield name
    yield from (f"    {' '.join(line.split())}".rstrip() for line in printed.getvalue().splitlines())
    yield ""


def everything() -> str:
    lines = [line for name in APPS for line in of_app(name)] + [line for name in PROGRAMS for line in of_program(name)]
    return "\n".join(lines)


def test_every_help_is_as_it_was_reviewed():
    assert everything() == KEPT.read_text()


@pytest.mark.parametrize("name", APPS)
def test_every_help_is_a_sentence_that_names_its_subject(name):
    wrong = []
    for words, command in commands(typer.main.get_command(APPS[name])):
        told = [("", (command.help or "").strip().split("\n")[0]), *parameters(command)]
        for written, said in told:
            if not re.match(r"[A-Z].*[.]$", said) or RIDDLES.search(said):
                wrong.append(f"{' '.join((name, *words, written))}: {said!r}")
    # The commands that a host hands to its image say so behind their sentence.
    assert [line for line in wrong if "(Runs in the image.)" not in line] == []


@pytest.mark.parametrize(
    "riddle", ["Of the first experiment.", "How many.", "In whose name.", "Whose pool.", "Promote whom?", "Per bar."]
)
def test_a_riddle_is_recognised(riddle):
    assert RIDDLES.search(riddle)


@pytest.mark.parametrize("name", APPS)
def test_a_terminal_shows_every_word_of_a_help(name):
    """A word in square brackets is markup to what draws the page, and is not shown."""
    for words, command in commands(typer.main.get_command(APPS[name])):
        for said in [command.help or "", *(text for _, text in parameters(command))]:
            assert Text.from_markup(said).plain == said, words


if __name__ == "__main__":
    sys.stdout.write(everything())
