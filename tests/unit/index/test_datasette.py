"""The questions that are shipped for datasette: each is answered by a file of this version."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from prometheus.cli import main as cli
from prometheus.v10.index import index_build, index_file
from prometheus.v10.index.index_file import file_of
from tests.conftest import FakeClock
from tests.unit.index.many import Many

SHIPPED = json.loads(Path(index_file.__file__).with_name("datasette.json").read_text())
QUERIES = [
    (name, query, one["sql"]) for name, base in SHIPPED["databases"].items() for query, one in base["queries"].items()
]


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Many:
    made = Many(tmp_path_factory.mktemp("datasette") / "root")
    made.add(5)
    made.begin()
    made.delete(0)
    made.enter("gate_sealed", {"gate": "G", "config_hash": "c", "verdict": "pass", "seal": "s", "bytes": 3})
    made.curve("HF", 3)
    made.put(9)
    index_build.build(made.layout, FakeClock())
    return made


@pytest.mark.parametrize(("base", "name", "sql"), QUERIES, ids=[f"{base} {name}" for base, name, _ in QUERIES])
def test_a_shipped_question_is_answered(house, base, name, sql):
    values = dict.fromkeys(re.findall(r":(\w+)", sql), "")
    db = sqlite3.connect(f"file:{file_of(house.layout, f'{base}.sqlite')}?mode=ro&immutable=1", uri=True)
    try:
        rows = db.execute(sql, {**values, **({"entry": 0} if "entry" in values else {})}).fetchall()
    finally:
        db.close()
    assert rows or name in {"same_config_other_release", "cannot_be_read"}


def test_what_is_faceted_and_sorted_is_there(house):
    db = sqlite3.connect(f"file:{file_of(house.layout)}?mode=ro&immutable=1", uri=True)
    try:
        for table, one in SHIPPED["databases"]["index"]["tables"].items():
            names = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
            assert {*one["facets"], *([one["sort_desc"]] if "sort_desc" in one else [])} <= names
    finally:
        db.close()


# ---- the same questions, asked by the command ------------------------------------------------------------------------


@pytest.fixture
def tell(house, capsys):
    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["index", "ask", *words, "--root", str(house.layout.lib)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_every_question_is_named_and_answered_by_the_command(house, tell):
    _, out, _ = tell("--json")
    listed = json.loads(out)["questions"]
    assert [one["name"] for one in listed] == [name for _, name, _ in QUERIES]
    for base, name, sql in QUERIES:
        wants = next(one["wants"] for one in listed if one["name"] == name)
        code, out, err = tell(name, *([] if wants is None else ["0"]), "--limit", "500", "--json")
        assert code == 0, err
        said = json.loads(out)
        db = sqlite3.connect(f"file:{file_of(house.layout, f'{base}.sqlite')}?mode=ro&immutable=1", uri=True)
        rows = db.execute(sql, {} if wants is None else {wants: "0"}).fetchall()
        db.close()
        assert [tuple(row[name] for name in said["columns"]) for row in said["rows"]] == rows
        assert said["more"] is False
        assert ("records of the pool" if base.startswith("pool") else "ledger entry") in said["as_of"]


def test_a_question_that_cannot_be_meant_is_told_what_there_is(tell):
    for words, expected in (
        (["nothing"], "no question 'nothing'"),
        (["genome"], "genome wants a value: digits"),
        (["collapses", "3"], "collapses takes no value"),
        (["deaths"], "did you mean deaths_by_week?"),
    ):
        code, out, err = tell(*words)
        assert (code, out) == (64, "")
        assert expected in err


def test_an_answer_says_when_there_is_more_and_when_there_is_nothing(tell):
    code, out, _ = tell("runs_since_entry", "0", "--limit", "2")
    assert code == 0
    assert "there are more: --limit 4" in out
    code, out, _ = tell("runs_since_entry", "999999")
    assert code == 0
    assert out.startswith("Runs that ended after an entry of the ledger, such as a checkpoint's: none\nas of ledger")
    assert tell("runs_since_entry", "x")[1].count("none") == 1


def test_without_an_index_a_question_is_not_answered(tmp_path, capsys):
    root = Many(tmp_path / "root").layout.lib
    for name in ("collapses", "best_of_each_line"):
        assert cli.main(["index", "ask", name, "--root", str(root)]) == 2
        assert "COULD NOT CHECK" in capsys.readouterr().out
    assert cli.main(["index", "ask", "collapses", "--root", str(tmp_path / "typo")]) == 64
