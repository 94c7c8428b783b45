"""The index mirrored into PostgreSQL: every table by COPY, all of them in one transaction.

Readers there see the mirror of before or the new one, never half of it. The same rows in, the same rows out: the tables
are emptied and filled. psycopg is an extra. The connection string is a secret: it stands in a file that its owner alone
may read, and is in no message.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import ConfigError, HostError, UsageError
from prometheus.v10.base.extras import hint_for
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import SMALL, read_whole
from prometheus.v10.index.index_file import reading
from prometheus.v10.index.index_read import pool_file
from prometheus.v10.index.index_tables import POOL_RECORDS, TABLES, Table

SCHEMA = "prometheus_quant"
NO_INDEX = "prometheus-quant index build makes one"


@frozen
class Pushed:
    """Rows by table."""

    schema: str
    rows: dict[str, int]


def read_dsn(place: Path) -> str:
    """The connection string in a file.

    Raises:
        UsageError: when there is none, it is empty, or others may read it.
        HostError: when it cannot be read.
    """
    try:
        mode = place.stat().st_mode
    except OSError as error:
        raise UsageError(
            f"cannot look at {place}: {error.strerror}", hint="write the connection string into it"
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"{place} may be read by others, and holds a secret", hint=f"chmod 600 {place}")
    text = read_whole(place, at_most=SMALL, follow=True).decode("utf-8", "replace").strip()
    if not text:
        raise UsageError(f"{place} is empty", hint="postgresql://USER@HOST/DATABASE or host=… dbname=…")
    return text


def push(layout: Layout, dsn: str) -> Pushed:
    """Mirror the index of an installation.

    Raises:
        UsageError: when there is no index.
        ConfigError: when psycopg is not installed.
        HostError: when the server cannot be reached or refuses; nothing of it has changed then.
    """
    try:
        import psycopg  # noqa: PLC0415  (an extra)
    except ImportError as error:
        hint = hint_for("postgres", "psycopg is in the package and wants libpq: apt-get install libpq5")
        raise ConfigError("index push needs psycopg", hint=hint) from error
    rows: dict[str, int] = {}
    try:
        with psycopg.connect(dsn, connect_timeout=10) as server, server.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
            with ExitStack() as open_files:
                db = open_files.enter_context(reading(layout))
                if db is None:
                    raise UsageError(f"there is no index under {layout.lib}", hint=NO_INDEX)
                for table in TABLES:
                    rows[table.name] = _copy(cursor, table, _rows(db, table))
            rows[POOL_RECORDS.name] = 0
            pools = Table(POOL_RECORDS.name, [("stage", "TEXT"), *POOL_RECORDS.columns], ["stage", *POOL_RECORDS.key])
            rows[pools.name] = _copy(cursor, pools, _pools(layout))
    except psycopg.Error as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise HostError(f"PostgreSQL refused: {said[0]}", hint="nothing was changed there") from None
    return Pushed(SCHEMA, rows)


def _rows(db: Any, table: Table) -> Iterator[tuple[Any, ...]]:
    yield from db.execute(f"SELECT * FROM {table.name}")


def _pools(layout: Layout) -> Iterator[tuple[Any, ...]]:
    for stage in Stage:
        with reading(layout, pool_file(stage)) as db:
            if db is not None:
                for row in _rows(db, POOL_RECORDS):
                    yield (stage.value, *row)


def _copy(cursor: Any, table: Table, rows: Iterator[tuple[Any, ...]]) -> int:
    """Fill one table; returns its rows. One whose columns are of another version is made anew."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "ORDER BY ordinal_position",
        (SCHEMA, table.name),
    )
    there = [name for (name,) in cursor.fetchall()]
    if there == table.names:
        cursor.execute(f"TRUNCATE {SCHEMA}.{table.name}")
    else:
        cursor.execute(f"DROP TABLE IF EXISTS {SCHEMA}.{table.name}")
        cursor.execute(table.create_in_postgres(SCHEMA))
    count = 0
    with cursor.copy(f"COPY {SCHEMA}.{table.name} ({', '.join(table.names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(tuple(value.replace("\x00", "\ufffd") if isinstance(value, str) else value for value in row))
            count += 1
    return count
