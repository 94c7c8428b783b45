"""What holds for the checkout as a whole: sizes, words, links, and one definition of every name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Set
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import MODE_SPELLINGS
from prometheus.v10.base.names import Event, LedgerEntryType, Schema
from prometheus.v10.base.paths import SYSTEM_CONFIG, SYSTEM_STATE, Layout
from prometheus.v10.ops.host.release_signature import SIGNERS
from prometheus.v10.ops.host.witnessing import FILE as WITNESS

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_LINES = 450

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home/(?!<)\w+|Users/\w+)/(?=\w|\.)")
HOSTS = re.compile(
    r"https?://(?:[\w-]+\.)*(?:pypi\.org|pythonhosted\.org|npmjs\.org|docker\.io|quay\.io|ghcr\.io)|file:///opt/"
)
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b")
SIGNATURES = re.compile(r"co-authored-by|generated with |\blanguage model\b|\bassistant\b", re.IGNORECASE)


def listed(*, but: Set[str] = frozenset()) -> list[Path]:
    """Files of the project (tracked, or new and not ignored), without those of ``but``."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    places = [REPOSITORY / name for name in names.split("\0") if name and name not in but]
    return sorted(place for place in places if place.is_file() and not place.is_symlink())


def text_of(place: Path) -> str:
    """The file as text; empty for what is not text."""
    try:
        return place.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def hits(pattern: re.Pattern[str], places: list[Path]) -> list[str]:
    """Every line that matches, as file:line: text."""
    return [
        f"{place.relative_to(REPOSITORY)}:{number}: {line.strip()[:120]}"
        for place in places
        for number, line in enumerate(text_of(place).splitlines(), 1)
        if pattern.search(line)
    ]


THIS = "tests/test_repository.py"


def test_no_module_is_too_long():
    lengths = {place: len(text_of(place).splitlines()) for place in listed() if place.suffix == ".py"}
    assert lengths
    assert {str(place): n for place, n in lengths.items() if n >= MOST_LINES} == {}


def test_no_path_of_a_machine_is_written_down():
    assert hits(MACHINE_PATHS, listed(but={THIS, "LICENSE"})) == []


def test_no_registry_is_named():
    assert hits(HOSTS, listed(but={THIS})) == []


def test_nothing_is_left_unfinished():
    assert hits(UNFINISHED, listed(but={THIS})) == []


def test_the_project_speaks_of_itself_alone():
    assert hits(SIGNATURES, listed(but={THIS, "LICENSE", "poetry.lock"})) == []


def test_evidence_and_bars_are_not_part_of_the_checkout():
    kinds = {".feather", ".parquet", ".npy", ".zst"}
    assert [str(place) for place in listed() if place.suffix in kinds or place.stat().st_size > 2_000_000] == []


# ---- documents -----------------------------------------------------------------------------------------------------


def documents() -> list[Path]:
    return [place for place in listed() if place.suffix == ".md"]


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("document", documents(), ids=lambda place: str(place.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(document))):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        place = unquote(target.partition("#")[0])
        if not (document.parent / place).exists():
            broken.append(target)
    assert broken == []


# ---- one definition of every name ------------------------------------------------------------------------------------


def spoken() -> list[Path]:
    """Where people and systemd read our names: documents, units, container and packaging files."""
    rooms = ("docs", "units", "containers", "packaging")
    return [
        place
        for place in listed()
        if place == REPOSITORY / "README.md" or place.relative_to(REPOSITORY).parts[0] in rooms
    ]


def test_places_are_those_of_the_layout():
    tree = Layout.system()
    below_state = {"runs", "runs_hf", "pools", "state", "market", "index", "gates"}
    assert {place.relative_to(SYSTEM_STATE).parts[0] for place in (tree.state, tree.market, tree.gates)} <= below_state
    below_config = {
        tree.stop_file.name,
        tree.armed_file.name,
        tree.profiles.name,
        "release.env",
        "credentials",
        "downloads",
        SIGNERS,
        WITNESS,
    }
    wrong = []
    for place in spoken():
        for top, below in re.findall(r"(/var/lib|/etc)/prometheus-quant/([A-Za-z_][\w.]*)", text_of(place)):
            known = below_state if Path(top, "prometheus-quant") == SYSTEM_STATE else below_config
            assert Path(top, "prometheus-quant") in {SYSTEM_STATE, SYSTEM_CONFIG}
            if below not in known:
                wrong.append(f"{place.relative_to(REPOSITORY)}: {top}/prometheus-quant/{below}")
    assert wrong == []


def test_modes_are_those_that_are_accepted():
    wrong = [
        f"{place.relative_to(REPOSITORY)}: --mode {mode}"
        for place in spoken()
        for mode in re.findall(r"--mode[ =]([a-z]\w*)", text_of(place))
        if mode not in MODE_SPELLINGS
    ]
    assert wrong == []


def test_commands_in_documents_exist():
    """Every ``prometheus-quant WORD`` in a document's code names a command."""
    known = typer.main.get_command(cli.whole()).commands  # type: ignore[attr-defined]
    wrong = []
    for document in documents():
        code = re.findall(r"^```.*?^```|`[^`\n]+`", text_of(document), flags=re.MULTILINE | re.DOTALL)
        for first, second in re.findall(
            r"(?:^|[\s`/$])prometheus-quant ([a-z][\w-]*)(?: ([a-z][\w-]*))?", "\n".join(code)
        ):
            inner = getattr(known.get(first), "commands", None)
            if first not in known or (inner is not None and second and second not in inner):
                wrong.append(f"{document.relative_to(REPOSITORY)}: prometheus-quant {first} {second}".rstrip())
    assert wrong == []


def test_units_never_restart_what_a_restart_cannot_mend():
    never = {int(ExitCode.USAGE), int(ExitCode.EVIDENCE_DAMAGED), int(ExitCode.CONFIG)}
    wrong = []
    for place in spoken():
        text = text_of(place)
        if place.suffix == ".service" and re.search(r"^Restart=(?!no$)", text, re.MULTILINE) and "stage" in place.name:
            codes = re.findall(r"^RestartPreventExitStatus=(.*)$", text, re.MULTILINE)
            if {int(code) for line in codes for code in line.split() if code.isdigit()} != never:
                wrong.append(place.name)
    assert wrong == []


def test_every_event_has_its_catalog_entry_and_no_other():
    catalogs = [place for place in listed() if place.suffix == ".catalog"]
    entries = [i for place in catalogs for i in re.findall(r"^-- ([0-9a-f]{32})$", text_of(place), re.MULTILINE)]
    ids = [event.message_id for event in Event]
    assert len(set(ids)) == len(ids)
    if catalogs:
        assert sorted(entries) == sorted(ids)


def test_every_event_and_every_type_of_ledger_entry_has_a_sender():
    """A name that nothing sends promises an operator an alarm, and an auditor an entry, that never come."""
    senders = [*(REPOSITORY / "prometheus").rglob("*.py"), *(REPOSITORY / "units" / "libexec").iterdir()]
    lists = {"names.py", "journal.py", "ledger_table.py", "ledger_payloads.py"}
    readers = {
        "ledger_view.py", "audit_ledger.py", "verify_gate.py", "checkpoint_kept.py", "journal_seals.py", "absences.py",
        "history.py", "appending.py", "truth.py",
    }  # fmt: skip
    assert {place.name for place in senders} >= lists | readers
    texts = [place.read_text() for place in senders if place.is_file() and place.name not in lists | readers]
    for name in NAMES_TOLD:
        assert any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts), name


NAMES_TOLD = {
    **{f"Event.{event.name}": str(event) for event in Event},
    **{f"LedgerEntryType.{kind.name}": str(kind) for kind in LedgerEntryType},
}


@pytest.mark.parametrize("name", NAMES_TOLD)
def test_every_event_and_every_type_of_ledger_entry_is_heard_by_a_test(name):
    """By its member or, as records spell it, in quotes."""
    spelt = re.compile(rf"\b{re.escape(name)}\b|[\"'=]{NAMES_TOLD[name]}\b")
    others = {"test_repository.py", "test_names.py", "test_schemas.py"}
    assert [place for place in (REPOSITORY / "tests").rglob("*.py") if place.name not in others
            and spelt.search(place.read_text())]  # fmt: skip


def test_every_schema_is_of_a_record_that_something_writes():
    code = [place.read_text() for place in (REPOSITORY / "prometheus").rglob("*.py") if place.name != "names.py"]
    assert [one.name for one in Schema if not any(re.search(rf"Schema\.{one.name}\b", text) for text in code)] == []
