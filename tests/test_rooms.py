"""How modules lie in folders: few in each, every name once, and nothing in the wheel that only a checkout uses."""

from __future__ import annotations

import ast
import importlib
import importlib.util
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


IMPORT = re.compile(r"^\s*from (prometheus[\w.]*) import (\w+(?:, \w+)*)(?: as \w+)?$", re.MULTILINE)


def test_what_a_program_kept_as_text_imports_is_there():
    """Tests start small programs that stand in them as text; no linter sees their imports."""
    wrong, seen = [], 0
    for place in (place for place in listed("tests") if place.suffix == ".py"):
        for room, names in IMPORT.findall(place.read_text(encoding="utf-8")):
            module = importlib.import_module(room)
            seen += 1
            wrong += [
                f"{place.relative_to(REPOSITORY)}: {room} has no {name}"
                for name in names.split(", ")
                if not hasattr(module, name)
                and not (hasattr(module, "__path__") and importlib.util.find_spec(f"{room}.{name}"))
            ]
    assert wrong == []
    assert seen > 500


# ---- one place to read each thing ------------------------------------------------------------------------------------

EVIDENCE = "prometheus/v10/evidence/"
OF_THE_LEDGER = (f"{EVIDENCE}catalog.py", f"{EVIDENCE}chains/", f"{EVIDENCE}verify/", f"{EVIDENCE}auditing/")
OF_MANIFESTS = (*OF_THE_LEDGER, "prometheus/v10/ops/custodian/rules.py")
"""The custodian needs the standard library only, and takes whatever is wrong for a refusal."""
AS_A_RECORD = (f"{EVIDENCE}writing/manifest.py",)
READS = re.compile(r"read|open|load|from_json|from_plain")


def calls(source: str) -> list[tuple[str, str]]:
    """The name and the whole text of every call in a module."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func) for node in found]
    return list(zip(names, map(ast.unparse, found), strict=True))


def read_here(source: str) -> set[str]:
    """Which of the catalogue's things a module reads by itself."""
    found = set()
    for name, text in calls(source):
        if name == "iter_entries":
            found.add("ledger")
        if READS.search(name) and "Artifact.MANIFEST" in text:
            found.add("manifest")
        if READS.search(name) and re.search(r"\bRunManifest\b", text):
            found.add("record")
    return found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("data = (run / Artifact.MANIFEST).read_bytes()", {"manifest"}),
        ("data = read_if_there(run / Artifact.MANIFEST.value, at_most=LARGE)", {"manifest"}),
        ("with (run / Artifact.MANIFEST).open() as stream: pass", {"manifest"}),
        ("record = from_json_bytes(data, RunManifest, where=place)", {"record"}),
        ("found = [one for one in iter_entries(place) if one.type == kind]", {"ledger"}),
        ("name = Artifact.MANIFEST.value; found = manifest_of(run); kept = entries(place)", set()),
    ],
)
def test_a_private_reader_is_seen(source, found):
    assert read_here(source) == found


def test_ledger_and_manifests_are_read_by_the_catalogue_and_by_who_checks():
    allowed = {"ledger": OF_THE_LEDGER, "manifest": OF_MANIFESTS, "record": AS_A_RECORD}
    wrong, seen = [], set()
    for place in modules():
        name = str(place.relative_to(REPOSITORY))
        for thing in read_here(place.read_text(encoding="utf-8")):
            seen.add(thing)
            if not name.startswith(allowed[thing]):
                wrong.append(f"{name} reads a {thing} by itself")
    assert wrong == []
    assert seen == set(allowed)
