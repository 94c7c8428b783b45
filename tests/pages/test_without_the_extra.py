"""Where the extra ``pages`` is not installed, a page is missed in one line, and every other command works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import sys
sys.modules["markupsafe"] = None  # what an import finds where it is not installed
from prometheus.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def asked(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, *words, "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("without") / "root"
    ended = asked(made, "run", "--experiments", "1")
    assert ended.returncode == 0, ended.stderr
    return made


@pytest.mark.parametrize("words", [("report", "latest", "--html", "OUT"), ("execution", "ladder")], ids=" ".join)
def test_a_page_is_missed_in_one_line(root: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = asked(root, *(str(tmp_path / "page.html") if word == "OUT" else word for word in words))
    assert (ended.returncode, ended.stderr.splitlines()) == (
        78, ["error: a page needs jinja2", "hint: install the extra: pip install 'prometheus-quant[pages]'"],
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    assert not (root / "practice").exists()


@pytest.mark.parametrize(
    "words", [("report", "latest"), ("execution", "log"), ("runs", "list"), ("status",)], ids=" ".join
)
def test_what_makes_no_page_works(root: Path, words: tuple[str, ...]) -> None:
    ended = asked(root, *words)
    assert "Traceback" not in ended.stderr
    assert "jinja2" not in ended.stderr
