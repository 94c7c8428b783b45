"""Man pages of a host: every command and option stands in one, as its help says it, and a strict tool reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import typer.main

from prometheus.cli import host
from prometheus.cli import main as cli
from tests.test_helps import commands, parameters

REPOSITORY = Path(__file__).resolve().parents[2]
MAKER = REPOSITORY / "packaging/man_pages.py"
BY_HAND = sorted((REPOSITORY / "packaging/deb/man").glob("*.[17]"))
HOSTS = typer.main.get_command(host.host_line()).commands  # type: ignore[attr-defined]
NAMES = sorted(name for name, command in HOSTS.items() if not command.hidden)
EVERY = typer.main.get_command(cli.whole())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, MAKER, out, "1.2.3~test", "2026-01-02"], check=True, cwd="/")
    for page in BY_HAND:
        text = page.read_text().replace("@VERSION@", "1.2.3~test").replace("@DATE@", "2026-01-02")
        (out / page.name).write_text(text)
    return out


def mandoc(*words: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed: sudo apt-get install mandoc")
    return subprocess.run(["mandoc", *words], capture_output=True, text=True, check=False)


def read(page: Path) -> str:
    """A page as a reader sees it, on one line."""
    printed = re.sub(".\b", "", mandoc("-T", "utf8", "-O", "width=1000", page).stdout)
    return " ".join(printed.split())


def test_every_command_of_a_host_has_a_page_and_no_other(folder):
    wanted = {f"prometheus-quant-{name}.1" for name in NAMES} | {page.name for page in BY_HAND}
    assert {page.name for page in folder.iterdir()} == wanted


def test_a_strict_reader_finds_no_fault(folder):
    """The length of lines in a source, which nobody reads, excepted."""
    ended = mandoc("-T", "lint", "-W", "style", *sorted(folder.iterdir()))
    said = (ended.stdout + ended.stderr).splitlines()
    assert [line for line in said if "STYLE: input text line longer than 80 bytes" not in line] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_the_help_says(name, folder):
    text, missing = read(folder / f"prometheus-quant-{name}.1"), []
    for words, command in commands(EVERY.commands[name], (name,)):  # type: ignore[attr-defined]
        told = [" ".join(("prometheus-quant", *words)), *(command.help or "").split("\n\n")]
        for written, said in parameters(command):
            told += [said, *re.findall(r"(?<!\S)--?[a-z][\w-]*", written)]
        told += [line for line in (command.epilog or "").split("\n\n") if line != "Examples:"]
        missing += [one for one in told if " ".join(one.split()) not in text]
    assert missing == []


def test_the_first_page_names_every_command(folder):
    text = read(folder / "prometheus-quant.1")
    assert [name for name in NAMES if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)] == []


def test_a_default_is_that_of_an_installed_host(folder):
    assert "is an installed host. [default: /]" in read(folder / "prometheus-quant-status.1")


def lines_of(text: str) -> list[str]:
    """Running text as the maker of pages writes it."""
    spec = spec_from_file_location("man_pages", MAKER)
    maker = module_from_spec(spec)
    spec.loader.exec_module(maker)
    return list(maker.lines(text))


HOSTILE = (
    ".TH begins a line", "'apostrophe' first", r"a\fBbackslash\fR \n(.x", 'a "quote" ~ ^ ` - -- ...', "tcp://… 中",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_taken_for_a_request(text, tmp_path):
    (tmp_path / "x.1").write_text("\n".join(['.TH X 1 "2026-01-02"', ".SH NAME", r"x \- y", *lines_of(text), ""]))
    assert read(tmp_path / "x.1").partition("x - y ")[2].startswith(text)
    assert "WARNING" not in mandoc("-T", "lint", tmp_path / "x.1").stdout


def test_a_text_on_many_lines_begins_none_with_a_request():
    made = lines_of(".dots 'and " * 40)
    assert len(made) > 3
    assert [line for line in made if line.startswith((".", "'"))] == []
