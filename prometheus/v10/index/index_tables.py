"""The tables of the index: one definition for SQLite and for PostgreSQL.

Everything in them comes from the files of an installation and can be made again from them; nothing else is known here.
Text is as the files have it, times are UTC texts, returns are fractions, money is USDT, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

VERSION = "index/1"
"""A file of another version is built anew."""
POSTGRES = {"TEXT": "text", "INTEGER": "bigint", "REAL": "double precision", "BLOB": "bytea"}


@frozen
class Table:
    """One table.

    Attributes:
        columns: name and type of each, in order.
        key: columns of the primary key.
        indexes: columns that are looked for.
    """

    name: str
    columns: Sequence[tuple[str, str]]
    key: Sequence[str]
    indexes: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [name for name, _ in self.columns]

    def create(self) -> str:
        """The statement that makes it in SQLite."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns)
        return f"CREATE TABLE {self.name} ({columns}, PRIMARY KEY ({', '.join(self.key)})) WITHOUT ROWID"

    def create_in_postgres(self, schema: str) -> str:
        """The statement that makes it in a schema of PostgreSQL."""
        columns = ", ".join(f"{name} {POSTGRES[kind]}" for name, kind in self.columns)
        return f"CREATE TABLE {schema}.{self.name} ({columns}, PRIMARY KEY ({', '.join(self.key)}))"

    def create_indexes(self) -> list[str]:
        """The statements that make its indexes."""
        return [f"CREATE INDEX {self.name}_{name} ON {self.name} ({name})" for name in self.indexes]

    def insert(self) -> str:
        """The statement that puts a row in, in the place of one with its key."""
        return f"INSERT OR REPLACE INTO {self.name} VALUES ({', '.join('?' * len(self.columns))})"


def _columns(text: str) -> list[tuple[str, str]]:
    """``name:i`` is an integer, ``name:r`` a real, ``name:b`` bytes, and ``name`` alone a text."""
    kinds = {"": "TEXT", "i": "INTEGER", "r": "REAL", "b": "BLOB"}
    return [(name, kinds[kind]) for name, _, kind in (word.partition(":") for word in text.split())]


META = Table("meta", _columns("key value"), ["key"])
RUNS = Table(
    "runs",
    _columns(
        "run_id tier instance stage mode status started ended seconds:r git_commit core_hash config_hash image_digest "
        "arm market market_sha256 symbol timeframe_s:i window_name window_start:i window_len:i era:i experiments:i "
        "deaths:i births:i collapses:i pool_first_n:i pool_last_n:i bytes:i seal ledger_n:i roi_q05:r roi_q25:r "
        "roi_median:r roi_q75:r roi_q95:r drawdown_median:r alive_median:r stop_reason path deleted:i problem"
    ),
    ["run_id"],
    ["status", "instance", "arm", "config_hash", "core_hash", "git_commit", "market_sha256", "started", "ended"],
)
EXPERIMENTS = Table(
    "experiments",
    _columns(
        "run_id experiment:i seed:i ticks:i collapsed:i reason collapse_tick:i system_roi:r max_drawdown:r alive:i "
        "births:i deaths:i d_review:i d_liquidation:i d_depleted:i trades:i zero_trade_share:r lineages:i fees:r "
        "slippage:r funding:r"
    ),
    ["run_id", "experiment"],
)
FENCES = Table("fences", _columns("run_id fence category enabled:i attempts:i blocks:i"), ["run_id", "fence"])
INTERESTING = Table(
    "interesting",
    _columns("run_id k:i pattern experiment:i tick_first:i tick_last:i deaths:i observed:r detail"),
    ["run_id", "k"],
    ["pattern"],
)
CONFIGS = Table("configs", _columns("config_hash json"), ["config_hash"])
COLLAPSES = Table(
    "collapses",
    _columns("instance n:i run_id experiment:i reason tick:i ticks_total:i ts"),
    ["instance", "n"],
    ["reason"],
)
REBOOTS = Table("reboots", _columns("instance n:i run_id after_run_id restart_seconds:r ts"), ["instance", "n"])
MARKETS = Table(
    "markets", _columns("name symbol timeframe_s:i rows:i first_open last_open sha256 source_file"), ["name"]
)
SNAPSHOTS = Table(
    "snapshots", _columns("id pool_path records:i bytes:i sha256 head ts ledger_n:i"), ["id", "pool_path"]
)
GATES = Table(
    "gates", _columns("gate config_hash verdict seal bytes:i ts ledger_n:i"), ["gate", "ledger_n"], ["verdict"]
)
LEDGER = Table("ledger", _columns("n:i ts type instance run_id hash byte_offset:i bytes:i"), ["n"], ["type", "run_id"])
DELETIONS = Table("deletions", _columns("ledger_n:i ts kind path bytes:i policy reason run_id"), ["ledger_n"])
SEEN = Table("seen", _columns("path size:i mtime_ns:i seal"), ["path"])

TABLES = (
    META, RUNS, EXPERIMENTS, FENCES, INTERESTING, CONFIGS, COLLAPSES, REBOOTS, MARKETS, SNAPSHOTS, GATES, LEDGER,
    DELETIONS, SEEN,
)  # fmt: skip
OF_A_RUN = (EXPERIMENTS, FENCES, INTERESTING)
"""Tables whose rows belong to one run, and are made with it."""

POOL_RECORDS = Table(
    "pool_records",
    _columns(
        "n:i id:b genome:b run_id experiment:i genome_index:i seed:i arm roi_lifetime:r survived:i death_reason "
        "trades:i wins:i final_capital:r labels line byte_offset:i"
    ),
    ["n"],
    ["roi_lifetime", "id", "genome"],
)
POOL_TABLES = (META, POOL_RECORDS)

VIEWS: Mapping[str, str] = {
    "collapse_strata": (
        "SELECT r.instance, r.stage, r.config_hash, r.core_hash, r.arm, r.market_sha256, "
        "count(DISTINCT r.run_id) AS runs, sum(e.ticks) AS ticks, sum(e.collapsed) AS collapses, "
        "1e6 * sum(e.collapsed) / nullif(sum(e.ticks), 0) AS per_million_ticks "
        "FROM runs r JOIN experiments e ON e.run_id = r.run_id GROUP BY 1, 2, 3, 4, 5, 6"
    ),
    "disk_by_month": (
        "SELECT substr(started, 1, 7) AS month, count(*) AS runs, sum(bytes) AS bytes FROM runs GROUP BY month"
    ),
}
"""Questions that every reader of the file may ask by name."""
