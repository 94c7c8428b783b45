"""How modules lie in folders: few in each, every name once, and nothing in the wheel that only a checkout uses."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_MODULES = 18
UNNAMED = {"__init__.py", "__main__.py"}


def listed(*rooms: str) -> list[Path]:
    """Files of the project below ``rooms``: tracked, or new and not ignored."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *rooms],
        cwd=REPOSITORY, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    return sorted(place for name in set(names.split("\0")) - {""} if (place := REPOSITORY / name).is_file())


def modules() -> list[Path]:
    """Modules of the package and of the benchmark, those without a name of their own excepted."""
    found = [place for place in listed("prometheus", "bench") if place.suffix == ".py"]
    assert len(found) > 200
    return [place for place in found if place.name not in UNNAMED]


def test_no_folder_has_too_many_modules():
    sizes = Counter(str(place.parent.relative_to(REPOSITORY)) for place in modules())
    assert {folder: n for folder, n in sizes.items() if n > MOST_MODULES} == {}


def test_no_name_is_used_for_two_modules():
    names = Counter(place.name for place in modules())
    assert {name: n for name, n in names.items() if n > 1} == {}


def test_every_folder_of_modules_says_what_it_is_for():
    for folder in {place.parent for place in modules()}:
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        assert re.match(r'"""\w[^"]{15,}', text), folder


DOCUMENTS = [place for place in listed() if place.suffix == ".md" and place.name != "CHANGELOG.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda place: str(place.relative_to(REPOSITORY)))
def test_a_module_that_a_document_names_is_there(document):
    """A name without a path is enough, since no two modules share one."""
    known = {place.name for place in listed() if place.suffix == ".py"}
    said = set(re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", document.read_text(encoding="utf-8")))
    assert sorted(said - known) == []


def test_the_wheel_is_made_of_the_package_alone():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["poetry"]["packages"] == [{"include": "prometheus"}]
    wanted = re.compile(r"^\s*(?:from|import) (?:bench|tests)\b", re.MULTILINE)
    inside = [place for place in listed("prometheus") if place.suffix == ".py"]
    assert [str(place) for place in inside if wanted.search(place.read_text(encoding="utf-8"))] == []
