"""The index: continued or built anew it has the same rows; readers need neither it nor the right to write."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.index.index_build import build
from prometheus.v10.index.index_check import check
from prometheus.v10.index.index_file import LOCK, file_of, folder_of, reading
from prometheus.v10.index.index_read import (
    Asked,
    Wanted,
    best_records,
    find_records,
    find_runs,
    pool_file,
    since,
    wanted,
)
from prometheus.v10.index.index_tables import META, POOL_TABLES, RUNS, TABLES
from tests.conftest import START, FakeClock
from tests.unit.index.many import INSTANCES, Many

UNTOLD = {"built_at"}
"""What a file says of its own making."""


@pytest.fixture
def house(tmp_path) -> Many:
    return Many(tmp_path / "root")


@pytest.fixture
def ask(capsys):
    def run(*words):
        code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def dump(layout, tables=TABLES, name="index.sqlite") -> dict[str, list]:
    """Every row of a file of the index."""
    with sqlite3.connect(f"file:{file_of(layout, name)}?mode=ro", uri=True) as db:
        found = {table.name: sorted(db.execute(f"SELECT * FROM {table.name}"), key=repr) for table in tables}  # noqa: S608
    db.close()
    found[META.name] = [row for row in found[META.name] if row[0] not in UNTOLD]
    return found


def lived(house: Many) -> None:
    """A life of an installation, in steps; the index is brought up to date after each."""
    clock, steps = FakeClock(), 0

    def step() -> None:
        nonlocal steps
        steps += 1
        build(house.layout, clock)

    build(house.layout, clock)
    house.add(5)
    house.put(30)
    step()
    running = house.begin()
    step()
    house.curve("HF", 3)
    market = house.layout.market / "BTC"
    market.mkdir(parents=True)
    (market / "market.json").write_text(json.dumps({"symbol": "BTC-USDT", "rows": 7, "timeframe_s": 60}))
    house.end(running)
    step()
    house.delete(1)
    house.enter(
        "snapshot",
        {"id": "000000000001-abcd", "pool_path": "p", "count": 1, "bytes": 2, "head_hash": "a", "sha256": "b"},
    )
    house.enter("gate_sealed", {"gate": "G", "config_hash": "c", "verdict": "pass", "seal": "s", "bytes": 3})
    step()
    house.begin()
    house.put(12)
    house.curve("HF", 2)
    step()
    assert steps == 5


def test_continued_and_built_anew_are_the_same_row_for_row(house):
    lived(house)
    pools = pool_file(Stage.STAGE1)
    continued, of_pool = dump(house.layout), dump(house.layout, POOL_TABLES, pools)
    done = build(house.layout, FakeClock(), from_scratch=True)
    assert done.anew == "asked for"
    assert dump(house.layout) == continued
    assert dump(house.layout, POOL_TABLES, pools) == of_pool
    assert len(continued["runs"]) == 7
    assert len(of_pool["pool_records"]) == 42
    assert [name for name, rows in continued.items() if not rows and name != "reboots"] == []


def test_a_second_build_reads_nothing_again_but_what_runs(house):
    house.add(3)
    house.begin()
    build(house.layout, FakeClock())
    again = build(house.layout, FakeClock())
    assert (again.new_entries, again.runs, again.anew) == (0, 1, None)


@pytest.mark.parametrize("how", ["shorter", "another"])
def test_a_ledger_that_does_not_go_on_is_built_anew_and_that_is_said(house, tmp_path, how, ask):
    house.add(3)
    build(house.layout, FakeClock())
    lines = house.layout.ledger.read_bytes().splitlines(keepends=True)
    if how == "shorter":
        house.layout.ledger.write_bytes(b"".join(lines[:4]))
    else:
        other = Many(tmp_path / "other")
        other.begin()
        other.begin()
        other.add(4)
        house.layout.ledger.write_bytes(other.layout.ledger.read_bytes())
    code, out, _ = ask("index", "build", "--root", house.layout.lib)
    assert code == 0
    assert (
        f"built anew: the ledger is {'shorter than it was' if how == 'shorter' else 'another one than it was'}" in out
    )


def test_a_damaged_ledger_is_no_index_of_anything(house, ask):
    house.add(2)
    data = bytearray(house.layout.ledger.read_bytes())
    data[len(data) // 2] ^= 1
    house.layout.ledger.write_bytes(data)
    with pytest.raises(EvidenceError, match="damaged at byte"):
        build(house.layout, FakeClock())
    assert not file_of(house.layout).exists()
    code, out, _ = ask("runs", "list", "--root", house.layout.lib)
    assert (code, "no index: read from 2 manifests" in out) == (0, True)


# ---- readers ---------------------------------------------------------------------------------------------------------


def names(answer) -> list[str]:
    return [row["run_id"] for row in answer.rows]


CONDITIONS = [
    [], ["status=interrupted"], ["status!=completed"], ["instance=HF"], ["config_hash^=6b86b273"], ["market~btc"],
    ["deaths>500"], ["roi_median<=0"], ["deaths>=100", "instance!=local"], ["stop_reason!=x"], ["arm=nothing"],
    ["experiments=2"], ["run_id~_0003"],
]  # fmt: skip


@pytest.mark.parametrize("texts", CONDITIONS, ids=" ".join)
@pytest.mark.parametrize(("sort", "ascending"), [("started", False), ("roi_median", False), ("deaths", True)])
def test_with_and_without_an_index_the_answer_is_the_same(house, texts, sort, ascending):
    house.add(12)
    asked = Asked(wanted(texts, RUNS.names), sort, ascending, 5)
    without = find_runs(house.layout, asked)
    build(house.layout, FakeClock())
    indexed = find_runs(house.layout, asked)
    house.add(3)
    both = find_runs(house.layout, asked)
    folder_of(house.layout).rename(house.layout.lib / "away")
    assert (without.indexed, indexed.indexed, both.indexed) == (False, True, True)
    assert names(indexed) == names(without)
    away = find_runs(house.layout, asked)
    assert names(both) == names(away)
    assert (indexed.matching, both.matching) == (without.matching, away.matching)
    for column in ("instance", "market_sha256", "roi_median", "deaths", "started"):
        assert [row[column] for row in indexed.rows] == [row[column] for row in without.rows]


def test_a_run_that_ended_since_is_read_from_its_files(house):
    k = house.begin()
    build(house.layout, FakeClock())
    assert find_runs(house.layout, Asked()).rows[0]["status"] == "running"
    house.end(k)
    found = find_runs(house.layout, Asked())
    assert [row["status"] for row in found.rows] == ["completed"]
    assert "as of ledger entry 0" in found.as_of
    assert "1 newer read from its files" in found.as_of


def test_every_answer_says_as_of_when(house, ask):
    house.add(2)
    house.put(5)
    ask("index", "build", "--root", house.layout.lib)
    for words in (["runs", "list"], ["pool", "best"], ["genome", "find", "0123"]):
        code, out, _ = ask(*words, "--root", house.layout.lib)
        assert code == 0
        assert out.splitlines()[-1].startswith("as of ")


def test_readers_open_it_without_the_right_to_write(house):
    """As on a mount that is read-only: no file of the index changes, and none is made."""
    house.add(3)
    house.put(3)
    build(house.layout, FakeClock())
    before = {place.name: place.read_bytes() for place in folder_of(house.layout).iterdir()}
    for place in folder_of(house.layout).iterdir():
        place.chmod(0o440)
    folder_of(house.layout).chmod(0o550)
    find_runs(house.layout, Asked())
    best_records(house.layout, Stage.STAGE1, by="roi_lifetime", where=[], limit=2, one_each=None)
    with reading(house.layout) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM runs")
    assert {place.name: place.read_bytes() for place in folder_of(house.layout).iterdir()} == before


def test_deleted_while_in_use_nothing_else_notices(house, ask):
    house.add(4)
    build(house.layout, FakeClock())
    with reading(house.layout) as db:
        for place in folder_of(house.layout).iterdir():
            place.unlink()
        folder_of(house.layout).rmdir()
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (4,)
    code, out, err = ask("runs", "list", "--root", house.layout.lib)
    assert (code, err) == (0, "")
    assert "no index: read from 4 manifests" in out
    assert ask("index", "check", "--root", house.layout.lib)[0] == 2


@pytest.mark.parametrize("what", [b"", b"not a database at all" * 100, "journal", "version", "half", "lock"])
def test_an_index_that_is_not_whole_counts_as_none_and_is_made_again(house, what):
    house.add(3)
    build(house.layout, FakeClock())
    place = file_of(house.layout)
    if what == "journal":
        place.with_name(f"{place.name}-journal").write_bytes(b"\0" * 512)
    elif what == "version":
        with sqlite3.connect(place) as db:
            db.execute("UPDATE meta SET value = 'index/0' WHERE key = 'schema'")
        db.close()
    elif what == "half":
        place.write_bytes(place.read_bytes()[:1000])
    elif what == "lock":
        (folder_of(house.layout) / LOCK).unlink()
    else:
        place.write_bytes(what)
    answer = find_runs(house.layout, Asked())
    assert (answer.indexed, len(answer.rows)) == (False, 3)
    build(house.layout, FakeClock())
    assert find_runs(house.layout, Asked()).indexed


CUT = """
import os, sys
from pathlib import Path
from prometheus.v10.base.paths import Layout
from prometheus.v10.index import index_build
from prometheus.v10.base.clock import SystemClock
index_build._Work._curves = lambda self: (self.db.execute("PRAGMA cache_spill=1"), os._exit(9))
index_build.build(Layout.under(Path(sys.argv[1])), SystemClock())
"""


def test_a_writer_that_is_killed_leaves_the_rows_of_before(house):
    house.add(3)
    build(house.layout, FakeClock())
    before = dump(house.layout)
    house.add(40)
    ended = subprocess.run([sys.executable, "-c", CUT, str(house.layout.lib)], check=False)
    assert ended.returncode == 9
    answer = find_runs(house.layout, Asked(limit=100))
    assert len(answer.rows) == 43
    build(house.layout, FakeClock())
    after = dump(house.layout)
    assert len(after["runs"]) == 43
    assert [row for row in after["runs"] if row in before["runs"]] == before["runs"]
    build(house.layout, FakeClock(), from_scratch=True)
    assert dump(house.layout) == after


# ---- pools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one_each", [None, "line", "run_id"])
@pytest.mark.parametrize("where", [[], ["survived=1"], ["trades>3", "line!=null"], ["arm=none"]])
def test_the_best_are_the_same_with_and_without_an_index(house, ask, one_each, where):
    house.put(200)
    house.begin()
    words = ["pool", "best", "--root", house.layout.lib, "--limit", 7, "--json"]
    words += [word for text in where for word in ("--where", text)] + (["--one-each", one_each] if one_each else [])
    without = json.loads(ask(*words)[1])
    ask("index", "build", "--root", house.layout.lib)
    indexed = json.loads(ask(*words)[1])
    assert (without["indexed"], indexed["indexed"]) == (False, True)
    assert indexed["records"] == without["records"]
    rois = [record["roi_lifetime"] for record in indexed["records"]]
    assert rois == sorted(rois, reverse=True)


def test_a_genome_is_found_by_the_digits_of_its_id_or_its_sha256(house, ask):
    house.put(300)
    house.begin()
    build(house.layout, FakeClock())
    record = json.loads(house.layout.pool(Stage.STAGE1).read_bytes().splitlines()[250])
    for digits in (record["id"], record["id"][:10], record["genome_sha256"], record["genome_sha256"][:9]):
        found = find_records(house.layout, Stage.STAGE1, digits.replace("-", ""), 20)
        assert [row["n"] for row in found.rows] == [250]
        assert found.rows[0]["genome"] == record["genome_sha256"]
        code, out, _ = ask("genome", "find", digits, "--root", house.layout.lib, "--json")
        assert (code, [row["n"] for row in json.loads(out)["records"]]) == (0, [250])


def test_a_pool_that_was_replaced_is_read_anew(house, tmp_path):
    house.put(50)
    build(house.layout, FakeClock())
    other = Many(tmp_path / "other")
    other.records, other.link = 0, other.link
    other.put(70)
    lines = other.layout.pool(Stage.STAGE1).read_bytes().replace(b'"arm":"A_real"', b'"arm":"B_null"')
    assert lines.count(b"\n") == 70
    house.layout.pool(Stage.STAGE1).write_bytes(other.layout.pool(Stage.STAGE1).read_bytes()[: len(lines) // 2])
    done = build(house.layout, FakeClock())
    assert done.pools["stage1"].new == done.pools["stage1"].records


def test_a_damaged_pool_is_said_with_its_place(house):
    house.put(20)
    pool = house.layout.pool(Stage.STAGE1)
    data = bytearray(pool.read_bytes())
    data[len(data) // 2] ^= 1
    pool.write_bytes(data)
    house.begin()
    with pytest.raises(EvidenceError, match=r"pool\.jsonl: damaged at byte"):
        build(house.layout, FakeClock())


# ---- the check -------------------------------------------------------------------------------------------------------


def test_a_check_passes_on_what_was_built_and_names_what_differs(house, ask):
    lived(house)
    code, out, _ = ask("index", "check", "--root", house.layout.lib, "--share", 1)
    assert code == 0, out
    assert out.splitlines()[-1].startswith("PASS")
    with sqlite3.connect(file_of(house.layout)) as db:
        db.execute("UPDATE experiments SET deaths = deaths + 1 WHERE run_id = ?", (house.run_id(2),))
    db.close()
    with sqlite3.connect(file_of(house.layout, pool_file(Stage.STAGE1))) as db:
        db.execute("UPDATE pool_records SET roi_lifetime = 9 WHERE n = 3")
    db.close()
    found = check(house.layout, share=1.0, seed=0)
    assert found.differing == [f"{house.run_id(2)}: experiments", "stage1 record 3"]
    code, out, _ = ask("index", "check", "--root", house.layout.lib, "--share", 1)
    assert (code, "FAIL" in out, "--from-scratch" in out) == (1, True, True)


# ---- what reads it ---------------------------------------------------------------------------------------------------


def test_no_verdict_imports_it():
    """The contract of pyproject.toml, seen from within: whoever gives a verdict has loaded nothing of the index."""
    program = (
        "import sys, prometheus.v10.evidence.verify.program, prometheus.v10.evidence.auditing.audit,"
        " prometheus.v10.runs.replay, prometheus.v10.runs.promote.promote_run, prometheus.v10.gate.gate_run\n"
        "print([name for name in sys.modules if 'index.index' in name or name in ('sqlite3', 'psycopg')])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_verify_and_audit_say_the_same_with_a_false_index(house, ask):
    house.add(1)
    before = ask("audit", "--root", house.layout.lib)
    build(house.layout, FakeClock())
    with sqlite3.connect(file_of(house.layout)) as db:
        db.execute("UPDATE runs SET status = 'completed', seal = 'forged'")
    db.close()
    assert ask("audit", "--root", house.layout.lib)[:2] == before[:2]


def test_moments_and_conditions_that_cannot_be_meant_are_refused():
    assert since("7d", START) == "2025-12-26T03:04:05.000000Z"
    assert since("2026-03-01", START) == "2026-03-01"
    assert since("999999w", START) == ""
    for text in ("yesterday", "7", "d", "-7d", "7y"):
        with pytest.raises(UsageError):
            since(text, START)
    for text in ("status", "=x", "nope=1", "deaths>many", "run_id;DROP TABLE runs=1"):
        with pytest.raises(UsageError):
            wanted([text], RUNS.names)


@pytest.mark.parametrize("value", ["'; DROP TABLE runs; --", '"', "%", "B_C", "\x00", "é"])
def test_a_value_is_never_part_of_the_question(house, value):
    house.add(2)
    build(house.layout, FakeClock())
    for sign in ("=", "!=", "~", "^="):
        answer = find_runs(house.layout, Asked([Wanted("instance", sign, value)]))
        assert len(answer.rows) == (2 if sign == "!=" else 0)


def test_the_file_opens_for_others_as_a_plain_database(house):
    """As datasette does: immutable, with its views."""
    lived(house)
    with sqlite3.connect(f"file:{file_of(house.layout)}?mode=ro&immutable=1", uri=True) as db:
        strata = db.execute("SELECT sum(runs), sum(ticks) FROM collapse_strata").fetchone()
        assert strata == db.execute("SELECT count(DISTINCT run_id), sum(ticks) FROM experiments").fetchone()
        assert db.execute("SELECT sum(runs) FROM disk_by_month").fetchone() == (7,)
        assert set(db.execute("SELECT DISTINCT instance FROM runs")) <= {(name,) for name in INSTANCES}
    db.close()


def test_a_link_in_its_place_is_refused(house, tmp_path):
    house.add(1)
    (tmp_path / "elsewhere").mkdir()
    folder_of(house.layout).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="symbolic link"):
        build(house.layout, FakeClock())
    assert list((tmp_path / "elsewhere").iterdir()) == []
