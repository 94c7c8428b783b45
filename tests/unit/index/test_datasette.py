"""The questions that are shipped for datasette: each is answered by a file of this version."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

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
