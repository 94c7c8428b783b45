"""The mirror in PostgreSQL: a real server from Debian's package, started here as a user without rights."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.errors import HostError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.index.index_build import build
from prometheus.v10.index.index_file import file_of
from prometheus.v10.index.index_push import SCHEMA, push, read_dsn
from prometheus.v10.index.index_read import pool_file
from prometheus.v10.index.index_tables import POOL_RECORDS, TABLES
from tests.conftest import FakeClock
from tests.unit.index.many import Many

NOBODY = "nobody"
psycopg = pytest.importorskip("psycopg", reason="the extra postgres is not installed")


def programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL is here: apt-get install postgresql")
    return found[-1].parent


def plain_user() -> list[str]:
    """Words that run a program without the rights of root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root, and no setpriv to be somebody else with")
    return ["setpriv", "--reuid", NOBODY, "--regid", "nogroup", "--clear-groups"]


@pytest.fixture(scope="module")
def dsn(tmp_path_factory) -> Iterator[str]:
    """A server of its own on a socket of its own; no port is opened."""
    where, as_user = programs(), plain_user()
    base = Path("/tmp") / f"pq-{os.getpid()}"  # a socket's path is short
    base.mkdir(mode=0o700)
    if as_user:
        shutil.chown(base, NOBODY)
    environ = {"PATH": f"{where}:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(base)}

    def call(*words: object) -> None:
        ended = subprocess.run(
            [*as_user, *(str(word) for word in words)],
            env=environ,
            cwd=base,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr

    data = base / "data"
    try:
        call(where / "initdb", "-D", data, "-U", "tester", "--auth=trust", "-E", "UTF8", "--no-sync", "--locale=C")
        options = f"-k {base} -c listen_addresses='' -c fsync=off"
        call(where / "pg_ctl", "-D", data, "-w", "-l", base / "log", "-o", options, "start")
        try:
            yield f"host={base} user=tester dbname=postgres"
        finally:
            call(where / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def house(tmp_path) -> Many:
    made = Many(tmp_path / "root")
    made.add(6)
    made.begin()
    made.delete(1)
    made.put(40)
    build(made.layout, FakeClock())
    return made


def asked(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as server:
        return server.execute(query).fetchall()


def counted(house: Many, query: str, name: str = "index.sqlite") -> tuple[Any, ...]:
    db = sqlite3.connect(f"file:{file_of(house.layout, name)}?mode=ro", uri=True)
    try:
        return db.execute(query).fetchone()
    finally:
        db.close()


def test_counts_and_sums_are_equal_and_a_second_push_changes_nothing(house, dsn):
    for _ in range(2):
        done = push(house.layout, dsn)
        for table in TABLES:
            (here,) = counted(house, f"SELECT count(*) FROM {table.name}")  # noqa: S608
            assert asked(dsn, f"SELECT count(*) FROM {SCHEMA}.{table.name}") == [(here,)], table.name  # noqa: S608
            assert done.rows[table.name] == here
    for sums, name in (
        ("sum(deaths), sum(bytes), sum(roi_median), min(started), max(run_id), count(deleted)", "runs"),
        ("sum(system_roi), sum(deaths), sum(fees), count(collapse_tick)", "experiments"),
        ("sum(n), max(hash), sum(byte_offset)", "ledger"),
        ("sum(bytes), max(path)", "deletions"),
    ):
        query = f"SELECT {sums} FROM {name}"  # noqa: S608
        here = counted(house, query)
        (there,) = asked(dsn, query.replace(f"FROM {name}", f"FROM {SCHEMA}.{name}"))
        assert list(map(str, here))[0:1] == list(map(str, there))[0:1]
        assert [float(one) if isinstance(one, int | float) else one for one in here] == pytest.approx(
            [float(one) if not isinstance(one, str) else one for one in there]
        )
    query = "SELECT sum(n), sum(roi_lifetime), sum(trades) FROM pool_records"
    here = counted(house, query, pool_file(Stage.STAGE1))
    (there,) = asked(dsn, f"SELECT sum(n), sum(roi_lifetime), sum(trades) FROM {SCHEMA}.{POOL_RECORDS.name}")  # noqa: S608
    assert [float(one) for one in there] == pytest.approx(list(here))
    genomes = asked(dsn, f"SELECT encode(genome, 'hex') FROM {SCHEMA}.pool_records ORDER BY n LIMIT 1")  # noqa: S608
    assert genomes[0][0] in house.layout.pool(Stage.STAGE1).read_text()


def test_readers_there_see_the_old_mirror_until_the_new_one_is_whole(house, dsn):
    push(house.layout, dsn)
    house.add(2)
    build(house.layout, FakeClock())
    db = sqlite3.connect(file_of(house.layout, pool_file(Stage.STAGE1)))
    db.execute("UPDATE pool_records SET trades = 'many' WHERE n = 30")  # no bigint: the last table fails
    db.commit()
    db.close()
    with pytest.raises(HostError, match="PostgreSQL refused"):
        push(house.layout, dsn)
    assert asked(dsn, f"SELECT count(*) FROM {SCHEMA}.runs") == [(7,)]  # noqa: S608
    assert asked(dsn, f"SELECT count(*) FROM {SCHEMA}.pool_records") == [(40,)]  # noqa: S608


def test_a_table_of_another_version_is_made_anew_and_other_schemas_are_left_alone(house, dsn):
    with psycopg.connect(dsn) as server:
        server.execute("CREATE TABLE IF NOT EXISTS public.runs (mine text)")
        server.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        server.execute(f"DROP TABLE IF EXISTS {SCHEMA}.runs")
        server.execute(f"CREATE TABLE {SCHEMA}.runs (old text)")
    push(house.layout, dsn)
    assert asked(dsn, f"SELECT count(*) FROM {SCHEMA}.runs") == [(7,)]  # noqa: S608
    assert asked(dsn, "SELECT count(*) FROM public.runs") == [(0,)]


def test_the_command_pushes_and_never_says_the_secret(house, dsn, tmp_path, capsys):
    place = tmp_path / "dsn"
    place.write_text(f"{dsn} password=hush-hush\n")
    place.chmod(0o600)
    assert cli.main(["index", "push", "--root", str(house.layout.lib), "--dsn-file", str(place)]) == 0
    said = capsys.readouterr()
    assert "runs" in said.out
    place.write_text("host=/nowhere user=x password=hush-hush dbname=y")
    assert cli.main(["index", "push", "--root", str(house.layout.lib), "--dsn-file", str(place)]) == 74
    more = capsys.readouterr()
    assert "hush-hush" not in said.out + said.err + more.out + more.err
    assert more.err.startswith("error: PostgreSQL refused: ")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_secret_that_others_may_read_is_refused(tmp_path, mode):
    place = tmp_path / "dsn"
    place.write_text("host=x")
    place.chmod(mode)
    with pytest.raises(UsageError, match="may be read by others") as refused:
        read_dsn(place)
    assert "chmod 600" in refused.value.hint
    place.chmod(0o600)
    place.write_text(" \n")
    with pytest.raises(UsageError, match="is empty"):
        read_dsn(place)


def test_without_an_index_nothing_is_touched(tmp_path, dsn):
    house = Many(tmp_path / "bare")
    with pytest.raises(UsageError, match="there is no index"):
        push(house.layout, dsn)
