"""The schemas of the records: made from the classes, read by the verifier, true of what is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from prometheus.cli.research.record_schemas import FOLDER, RECORDS, texts
from prometheus.v10.base.names import LedgerEntryType, Schema
from prometheus.v10.evidence.chains.ledger_table import TABLE, problem, schema_name
from prometheus.v10.evidence.derive import asserted
from prometheus.v10.evidence.derive.shares import FIELDS as SHARE_FIELDS
from prometheus.v10.evidence.records.codec import to_plain
from prometheus.v10.evidence.records.events import FenceShare
from prometheus.v10.evidence.schemas.json_schema import json_schema
from prometheus.v10.evidence.schemas.schema_file import DIALECT, KEYWORDS, SUFFIX, compiled, schema_of
from prometheus.v10.evidence.schemas.shapes import COUNT, SHA256, absent, exactly, listed, pattern, since, words
from prometheus.v10.evidence.writing.ledger_payloads import PAYLOADS
from prometheus.v10.evidence.writing.manifest import Status

NOT_OF_RECORDS = {Schema.MANIFEST_1, Schema.GENOME, Schema.FEATURES}
"""The version before of one, and names of what a genome and its inputs are."""


@attrs.frozen(kw_only=True)
class Inner:
    """Evidence within evidence."""

    head: str = attrs.field(metadata=SHA256)
    extra: dict[str, object] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Small:
    """A record with one field of each kind."""

    schema: str = "small/1"
    count: int = attrs.field(metadata=COUNT)
    share: float
    flag: bool
    word: str | None = attrs.field(metadata=words("one", "two"))
    names: list[str] = attrs.field(metadata=listed(pattern("[a-z]+")))
    by_name: dict[str, int]
    inner: Inner | None
    later: int = 0
    once: bool | None = attrs.field(default=None, metadata=absent(exactly(value=True)))
    owed: str = attrs.field(metadata=since())
    null_reasons: dict[str, str] = attrs.field(factory=dict)


GOOD = {
    "schema": "small/1", "count": 0, "share": 0.5, "flag": False, "word": None, "names": ["a", "b"],
    "by_name": {"x": 1}, "inner": {"head": "0" * 64, "unknown": [None]}, "owed": "", "null_reasons": {"word": "?"},
}  # fmt: skip
SMALL = compiled("small", json_schema(Small, "small"))


def test_a_good_record_passes():
    assert SMALL.wrong(GOOD) == []
    assert SMALL.wrong({**GOOD, "word": "two", "inner": None, "share": 1, "once": True, "later": 4}) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "small/2"}, "schema is 'small/2', not 'small/1'"),
        ({"count": -1}, "count is -1, which is out of its range"),
        ({"count": 1 << 63}, f"count is {1 << 63}, which is out of its range"),
        ({"count": 1.0}, "count is 1.0, not of its type"),
        ({"count": True}, "count is True, not of its type"),
        ({"count": None}, "count is null, and may not be"),
        ({"share": "0.5"}, "share is '0.5', not of its type"),
        ({"flag": 0}, "flag is 0, not of its type"),
        ({"word": "three"}, "word is 'three', not one of one, two"),
        ({"names": "ab"}, "names is 'ab', not of its type"),
        ({"names": ["a", "B"]}, "names.1 is 'B', which it cannot be"),
        ({"names": ["a\n"]}, "names.0 is 'a\\n', which it cannot be"),
        ({"names": ["a", None]}, "names.1 is null, and may not be"),
        ({"by_name": {"x": "1"}}, "by_name.x is '1', not of its type"),
        ({"inner": {}}, "inner.head is missing"),
        ({"inner": {"head": "0" * 63}}, f"inner.head is '{'0' * 63}', which it cannot be"),
        ({"later": "soon"}, "later is 'soon', not of its type"),
        ({"once": False}, "once is False, not True"),
        ({"once": None}, "once is null, and may not be"),
        ({"once": 1}, "once is 1, not of its type"),
        ({"owed": None}, "owed is null, and may not be"),
        ({"more": 1}, "more is not a field of it"),
        ({"word": "\ud800" * 99}, "word is '" + "\\ud800" * 13 + "\\..., not one of"),
        ({"\x1b[2J\n": 1}, "'\\x1b[2J\\n' is not a field of it"),
        ({"by_name": {"\xe9" * 99: None}}, "'by_name." + "\\xe9" * 17 + "\\xe... is null"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change, said):
    found = SMALL.wrong({**GOOD, **change})
    assert len(found) == 1
    assert found[0].startswith(said)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_every_field_of_every_version_is_required(name):
    assert SMALL.wrong({key: value for key, value in GOOD.items() if key != name}) == [f"{name} is missing"]


def test_a_field_that_an_older_record_lacks_may_be_left_out():
    assert SMALL.since == {"owed"}
    assert SMALL.wrong({key: value for key, value in GOOD.items() if key != "owed"}, left_out=SMALL.since) == []


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_no_record(value):
    assert SMALL.wrong(value) == ["it is not an object"]


@pytest.mark.parametrize("place", [(), ("properties", "inner"), ("properties", "names", "items")])
def test_a_keyword_that_is_not_understood_is_refused(place):
    schema = json.loads(json.dumps(json_schema(Small, "small")))
    inner = schema
    for key in place:
        inner = inner[key]
    inner["anyOf"] = []
    with pytest.raises(ValueError, match="the keyword 'anyOf' is not understood"):
        compiled("small", schema)


def test_a_type_without_a_place_in_json_is_refused():
    @attrs.frozen
    class Odd:
        """Odd."""

        both: int | str

    with pytest.raises(TypeError, match="one type or null, not 2 types"):
        json_schema(Odd, "odd")


# ---- the files -------------------------------------------------------------------------------------------------------


def test_the_files_are_what_the_classes_give():
    """Otherwise: ``python -m prometheus.cli.research.record_schemas``."""
    assert {place.name: place.read_bytes() for place in FOLDER.glob(f"*{SUFFIX}")} == texts()


@pytest.mark.parametrize("name", RECORDS)
def test_a_file_is_draft_2020_12_within_the_keywords_and_has_its_class(name):
    schema = json.loads((FOLDER / f"{name}{SUFFIX}").read_text())
    assert (schema["$schema"], schema["$id"], schema["title"]) == (DIALECT, name, RECORDS[name].__name__)
    assert schema.keys() <= KEYWORDS
    assert schema_of(name).fields == set(schema["properties"])
    assert schema["description"].endswith((".", "…"))


def test_every_schema_of_a_record_has_its_file():
    stems = {name.split(".", 1)[0] for name in RECORDS}
    assert {str(one).split("/", 1)[0] for one in set(Schema) - NOT_OF_RECORDS} | {
        "promotion_request",
        "promotion_claim",
        "exchange_claim",
    } == stems


def test_every_type_of_the_ledger_has_its_class_and_its_file():
    assert list(PAYLOADS) == list(TABLE)
    assert all(schema_name(kind) in RECORDS for kind in TABLE)


def test_a_seal_cannot_claim_more_records_than_came():
    place = {"records": 5, "head": "0" * 64}
    pool = {
        "path": "pools/stage1/pool.jsonl",
        "before": place,
        "after": place,
        "appended": 0,
        "records_sha256": "0" * 64,
    }
    payload = {
        "run_id": "HF_20260102T030405Z_nocommit_0000", "run_dir": "runs_hf/x", "seal": "0" * 64, "files": 1, "bytes": 1,
        "tier": "tier1_hf", "status": "completed", "pool": pool,
    }  # fmt: skip
    assert problem(LedgerEntryType.RUN_SEALED, payload, installed=True) is None
    wrong = problem(LedgerEntryType.RUN_SEALED, {**payload, "pool": {**pool, "appended": 1}}, installed=True)
    assert wrong is not None
    assert "appended is 1" in wrong


# ---- who else names fields -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("death_event", asserted.DEATH_FIELDS),
        ("birth_event", asserted.BIRTH_FIELDS),
        ("survivor", asserted.SURVIVOR_FIELDS),
    ],
)
def test_the_patterns_of_lines_name_the_fields_of_their_classes(name, fields):
    """They are compared as bytes; a field that they forgot would be refused in every line."""
    assert set(fields) == schema_of(name).fields


def test_the_derivation_of_fences_knows_the_fields_of_a_share():
    share = FenceShare(fence_id="x", attempts=2, block_count=1, block_rate=0.5)
    assert set(to_plain(share)) == set(SHARE_FIELDS)


def test_the_verifier_reads_them_with_the_standard_library_alone():
    code = (
        "import sys; from prometheus.v10.evidence.schemas.schema_file import schema_of; "
        "from prometheus.v10.evidence.verify import program; assert not schema_of.cache_info().currsize; "
        "assert schema_of('run_manifest/2').required; assert 'attr' not in sys.modules, 'attrs'"
    )
    repository = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-S", "-c", code], cwd=repository, check=True)


def test_a_word_that_no_version_wrote_is_read_and_not_written():
    """``aborted`` stood in the vocabulary of manifests and seals; what said it gets the verdict that it got."""
    assert "aborted" not in set(Status)
    manifest = json.loads((FOLDER / f"run_manifest{SUFFIX}").read_text())
    assert manifest["properties"]["status"]["enum"] == [*Status, "aborted"]
    seal = {"run_id": "HF_20260102T030405Z_nocommit_0000", "run_dir": "x", "seal": "0" * 64, "files": 1, "bytes": 1}
    assert problem(LedgerEntryType.RUN_SEALED, {**seal, "status": "aborted"}, installed=False) is None
    wrong = problem(LedgerEntryType.RUN_SEALED, {**seal, "status": "running"}, installed=False)
    assert wrong == "run_sealed: status is 'running', not one of completed, interrupted, failed, aborted"
