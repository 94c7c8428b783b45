"""One version: `prometheus.__version__`. Whatever must repeat it says the same, and nothing else repeats it."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from importlib.metadata import version

import prometheus
from tests.test_linters import REPOSITORY, our_files

CHANGELOG = REPOSITORY / "CHANGELOG.md"
SOURCE = REPOSITORY / "prometheus" / "__init__.py"
REPEATED = {SOURCE, REPOSITORY / "pyproject.toml", CHANGELOG}
"""The build back end reads no module, so `pyproject.toml` repeats the version; the Debian package reads it there."""
READ = {".md", ".py", ".toml", ".sh", ".mk", ".1", ".7", ".service", ""}


def sections() -> list[tuple[str, str]]:
    """Sections of the changelog, newest first: version and date."""
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\](.*)$", CHANGELOG.read_text(), re.MULTILINE)


def test_the_project_and_what_is_installed_have_the_packages_version():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] == prometheus.__version__
    assert version("prometheus-quant") == prometheus.__version__


def test_the_newest_dated_section_of_the_changelog_is_this_version():
    newest, when = sections()[0]
    assert newest == prometheus.__version__
    assert date.fromisoformat(when.removeprefix(" - ")) <= date.today()  # noqa: DTZ011  (a day has no zone here)


def test_versions_and_dates_of_the_changelog_fall():
    numbers = [tuple(map(int, number.split("."))) for number, _ in sections()]
    dates = [when for _, when in sections()]
    assert numbers == sorted(numbers, reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_no_other_file_spells_the_version():
    spelt = re.compile(rf"(?<![\d.]){re.escape(prometheus.__version__)}(?![\d.])")
    places = [place for place in our_files() if place not in REPEATED and place.suffix in READ]
    assert [str(place) for place in places if spelt.search(place.read_text(errors="replace"))] == []


def test_the_debian_package_takes_its_version_from_the_project():
    script = (REPOSITORY / "packaging" / "deb" / "build-deb.sh").read_text()
    assert "version=$(sed -n 's/^version = \"\\(.*\\)\"/\\1/p' pyproject.toml | head -1)" in script
    pages = [
        place for place in (REPOSITORY / "packaging" / "deb" / "man").iterdir() if place.suffix in {".1", ".7", ".8"}
    ]
    for place in [REPOSITORY / "packaging" / "deb" / "control", *pages]:
        assert "@VERSION@" in place.read_text(), place
