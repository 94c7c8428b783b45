"""Nothing cites what a clone does not have: sections, decisions, documents, paths, functions, anchors of links."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
PACKAGE = REPOSITORY / "prometheus" / "v10"
THIS = "tests/test_citations.py"
NUMBERED = ("contracts", "architecture")

CITED = re.compile(r"\b(contracts|architecture)[,.]? sections? (\d+(?:(?:,| and| to) \d+)*)", re.IGNORECASE)
UNNUMBERED = re.compile(r"\((?:contracts|architecture), (?!sections? \d)", re.IGNORECASE)
ELSEWHERE = re.compile(
    r"\.\./shared\b|\bdesign card\b|\bmission\b|\bv10_facts\b|\bhouse[_ ]review\b|\bissue \d+, item\b", re.IGNORECASE
)
DECISION = re.compile(r"\bADRs? (\d{4})\b")
DOCUMENT = re.compile(r"(?<![\w/{}<>*…-])((?:[\w.-]+/)*[\w-][\w.-]*\.md)\b")
MADE_BY_PROGRAMS = {"gate_verdict.md", "prometheus/_build.json"}
PLACE = re.compile(r"`((?:prometheus|tests|units|containers|packaging|docs)/[\w./@*-]+)`")
NAMED = re.compile(r"`(prometheus/[\w/]+\.py)` `([\w.]+)`")


@cache
def listed() -> tuple[Path, ...]:
    """Text files of the project (tracked, or new and not ignored), without this one and what is fetched."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    places = [REPOSITORY / name for name in names.split("\0") if name and name not in {THIS, "poetry.lock", "LICENSE"}]
    return tuple(sorted(place for place in places if place.is_file() and not place.is_symlink()))


@cache
def text_of(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def flowing(text: str) -> str:
    """Prose that a comment or a paragraph breaks into lines, as one line."""
    return re.sub(r"\n[ \t]*(?:#+|\*|>|--)?[ \t]*", " ", text)


def documents() -> list[Path]:
    return [place for place in listed() if place.suffix == ".md"]


def name_of(place: Path) -> str:
    return str(place.relative_to(REPOSITORY))


@cache
def sections(name: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"^## (\d+)\. ", text_of(DOCS / f"{name}.md"), re.MULTILINE))


# ---- numbered sections -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERED)
def test_sections_are_numbered_from_one_without_a_gap(name):
    assert sections(name) == tuple(range(1, len(sections(name)) + 1)) != ()


def test_every_section_that_is_cited_exists():
    wrong, found = [], 0
    for place in listed():
        for name, numbers in CITED.findall(flowing(text_of(place))):
            for number in map(int, re.findall(r"\d+", numbers)):
                found += 1
                if number not in sections(name.lower()):
                    wrong.append(f"{name_of(place)}: {name}, section {number}")
    assert wrong == []
    assert found > 100


def test_no_citation_leaves_its_section_out():
    assert [name_of(place) for place in listed() if UNNUMBERED.search(flowing(text_of(place)))] == []


# ---- documents and decisions -----------------------------------------------------------------------------------------


def test_nothing_cites_a_document_from_elsewhere():
    wrong = {name_of(place): found[0] for place in listed() if (found := ELSEWHERE.search(flowing(text_of(place))))}
    assert wrong == {}


def test_every_document_that_is_named_is_there():
    known = {place.name for place in documents()} | MADE_BY_PROGRAMS
    wrong = []
    for place in listed():
        if place.parts[len(REPOSITORY.parts)] == "tests":
            continue  # tests make files of their own
        for said in DOCUMENT.findall(text_of(place)):
            around = (REPOSITORY, place.parent, DOCS)
            if said not in known and not any((folder / said).is_file() for folder in around):
                wrong.append(f"{name_of(place)}: {said}")
    assert wrong == []


def test_every_decision_that_is_cited_is_there():
    known = {place.name[:4] for place in (DOCS / "adr").glob("[0-9]*.md")}
    wrong = [
        f"{name_of(place)}: ADR {number}"
        for place in listed()
        for number in DECISION.findall(flowing(text_of(place)))
        if number not in known
    ]
    assert wrong == []


def test_the_index_links_every_page():
    """A page in Chinese, too; a decision by the index of decisions."""
    targets = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text_of(DOCS / "index.md"))}
    linked = {(DOCS / target).resolve() for target in targets}
    wanted = {place for place in documents() if place.is_relative_to(DOCS)} | set(REPOSITORY.glob("*.md"))
    decisions = {place for place in wanted if place.parent.name == "adr" and place.name != "README.md"}
    assert sorted(map(name_of, wanted - decisions - linked - {DOCS / "index.md"})) == []


# ---- links, paths, functions -----------------------------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor that a heading gets on the page."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


@cache
def anchors(place: Path) -> frozenset[str]:
    prose = re.sub(r"^```.*?^```", "", text_of(place), flags=re.MULTILINE | re.DOTALL)
    return frozenset(slug(heading) for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE))


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_an_anchor_of_a_link_is_a_heading(document):
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+#[^)\s]+)\)", text_of(document)):
        if re.match(r"[a-z]+:", target):
            continue
        page, _, anchor = target.partition("#")
        place = (document.parent / unquote(page)).resolve() if page else document
        if place.suffix == ".md" and unquote(anchor) not in anchors(place):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_a_path_of_the_checkout_is_there(document):
    wrong = [
        said
        for said in PLACE.findall(text_of(document))
        if said not in MADE_BY_PROGRAMS
        and not (any(REPOSITORY.glob(said)) if "*" in said else (REPOSITORY / said).exists())
    ]
    assert wrong == []


def test_a_term_lives_where_the_glossary_says():
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| `([^`]+)` \|$", text_of(DOCS / "glossary.md"), re.MULTILINE)
    assert len(rows) > 100
    assert [said for said in rows if not (PACKAGE / said).exists() and not (REPOSITORY / said).exists()] == []


def test_every_line_of_the_glossary_is_one_sentence_or_two():
    wrong = [
        meaning
        for meaning in re.findall(r"^\| [^|]+ \| ([^|]+) \| `[^`]+` \|$", text_of(DOCS / "glossary.md"), re.MULTILINE)
        if not meaning.endswith((".", ".`"))
    ]
    assert wrong == []


@cache
def definitions(place: Path) -> frozenset[str]:
    """Functions and classes of a module, and the functions of its classes as ``Class.function``."""
    found = set()
    for node in ast.parse(text_of(place)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return frozenset(found)


def test_functions_that_the_architecture_names_exist():
    named = NAMED.findall(text_of(DOCS / "architecture.md"))
    assert len(named) > 30
    assert [f"{path} {name}" for path, name in named if name not in definitions(REPOSITORY / path)] == []


@cache
def mentions(place: Path) -> dict[str, frozenset[str]]:
    """Every name that a function or class of a module mentions, by itself or through others of the same module."""
    own: dict[str, set[str]] = {}
    for node in ast.parse(text_of(place)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own[node.name] = names_in(node)
        if isinstance(node, ast.ClassDef):
            inner = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            own |= {f"{node.name}.{one.name}": names_in(one) for one in inner}
            own |= {f"self.{one.name}": names_in(one) for one in inner}
    found = {}
    for name in own:
        seen, ahead = set(own[name]), set(own[name])
        while ahead:
            more = set().union(*(own.get(one, set()) | own.get(f"self.{one}", set()) for one in ahead)) - seen
            seen |= more
            ahead = more
        found[name] = frozenset(seen)
    return found


def names_in(node: ast.AST) -> set[str]:
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return names | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def walks() -> dict[str, list[tuple[str, str]]]:
    section = re.search(r"^## 6\. .*?^## 7\. ", text_of(DOCS / "architecture.md"), re.MULTILINE | re.DOTALL)
    assert section is not None
    rows = re.findall(r"^\| (a [a-z]+) \| (.*) \|$", section[0], re.MULTILINE)
    return {name: NAMED.findall(steps) for name, steps in rows}


def test_there_are_five_walks_of_at_most_eight_files():
    found = {name: len({path for path, _ in steps}) for name, steps in walks().items()}
    assert sorted(found) == ["a bar", "a death", "a genome", "a stop", "a verification"]
    assert max(found.values()) <= 8


@pytest.mark.parametrize("walk", ["a bar", "a death", "a genome", "a stop", "a verification"])
def test_every_function_of_a_walk_is_called_by_one_before_it(walk):
    steps = walks()[walk]
    for at, (_, name) in enumerate(steps[1:], 1):
        called = name.rsplit(".", 1)[-1]
        before = [mentions(REPOSITORY / path)[caller] for path, caller in steps[:at]]
        assert any(called in names for names in before), f"nothing before it in the walk calls {name}"


# ---- who imports whom ------------------------------------------------------------------------------------------------

ROOMS = ("base", "core", "market", "evidence", "runs", "gate", "execution", "report", "index", "ops", "trials")
BESIDE = ("cli", "entry", "venue")


def room_of(module: str) -> str | None:
    """The room of a module of ours, or the file beside the rooms; None for what all may read (the version)."""
    words = module.split(".")
    if words[:2] == ["prometheus", "v10"]:
        return words[2] if len(words) > 2 and words[2] in ROOMS else None
    return words[1] if words[0] == "prometheus" and len(words) > 1 else None


def imported() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for place in (REPOSITORY / "prometheus").rglob("*.py"):
        here = room_of(".".join(place.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"))
        for node in ast.walk(ast.parse(text_of(place))):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                modules = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            else:
                modules = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            there = {room_of(module) for module in modules if module.startswith("prometheus.")} - {None, here}
            if here is not None:
                found.setdefault(here, set()).update(there & {*ROOMS, *BESIDE})
    return found


def test_the_table_of_imports_is_what_the_code_imports():
    section = re.search(r"^## 3\. .*?^## 4\. ", text_of(DOCS / "architecture.md"), re.MULTILINE | re.DOTALL)
    assert section is not None
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|$", section[0], re.MULTILINE)
    told: dict[str, set[str]] = {}
    for names, imports in rows:
        for name in re.findall(r"`([\w/.]+)`", names):
            room = name.removeprefix("prometheus/").removesuffix(".py").removesuffix("/")
            if room in {*ROOMS, *BESIDE}:
                told.setdefault(room, set(re.findall(r"`(\w+)`", imports)))
    known = imported()
    assert told == {room: known[room] for room in (*ROOMS, *BESIDE)}
