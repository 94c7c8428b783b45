"""``pool show|stats|export``: reading a gene pool or a snapshot in flat memory, the chain checked on the way."""

from __future__ import annotations

import heapq
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import define, field, frozen
from rich.console import RenderableType

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, StageOption, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.cli.research.pool_best import best_command
from prometheus.v10.base.errors import HostError, UsageError, host_error
from prometheus.v10.base.extras import hint_for
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.outputs import refuse_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.chains.pool_line import LOCI

if TYPE_CHECKING:
    from prometheus.v10.evidence.pools.pool_record import PoolRecord

# numpy and the verifier are imported where they are used: `pool best` answers from the index without them.

PARQUET_ROWS = 1000
PLACE = ("n", "id", "run_id", "experiment", "genome_index", "arm", "seed")
USUAL = ("labels", "survived", "roi_lifetime", "trades", "wins", "final_capital", "death_reason")


def flat(record: PoolRecord) -> dict[str, Any]:
    """A record as one row: its place, then source and metrics with their own names; nested values are left out."""
    row: dict[str, Any] = {"n": record.n, "id": record.id, "created_at": record.created_at}
    for part in (record.source, record.metrics_summary):
        row.update({name: value for name, value in part.items() if not isinstance(value, dict | list)})
    if isinstance(verdict := record.metrics_summary.get("verdict"), dict):
        row["labels"] = "+".join(verdict["labels"]) or "none"
    return {**row, "genome_sha256": record.genome_sha256}


def iter_records(pool: Path) -> Iterator[PoolRecord]:
    """The records of a pool, the chain checked on the way."""
    from prometheus.v10.evidence.pools import pool as pools  # noqa: PLC0415

    return pools.iter_records(pool)


def existing_pool(pool: Path) -> Path:
    """``pool`` itself.

    Raises:
        UsageError: when there is none.
    """
    if not pool.is_file():
        raise UsageError(f"there is no pool at {pool}", hint="give a file, or --root and --stage of a tree with runs")
    return pool


@frozen
class Condition:
    """``NAME=VALUE``, ``NAME~TEXT`` (contains), or a comparison of numbers: ``NAME>=0.1``."""

    name: str
    sign: str
    value: str

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is as asked; a comparison holds of numbers only."""
        found = row.get(self.name)
        if self.sign in _TEXTS:
            return _TEXTS[self.sign](str(found), self.value)
        return isinstance(found, int | float) and _NUMBERS[self.sign](float(found), float(self.value))


_TEXTS: dict[str, Callable[[str, str], bool]] = {"=": operator.eq, "!=": operator.ne, "~": operator.contains}
_NUMBERS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_CONDITION = re.compile(r"(\w+)(>=|<=|!=|=|~|>|<)(.*)")


def conditions(texts: Iterable[str]) -> list[Condition]:
    """What ``--where`` was given.

    Raises:
        UsageError: for a text that is no condition, or a comparison with something that is no number.
    """
    found = []
    for text in texts:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise UsageError(f"--where {text}: expected NAME=VALUE", hint="or NAME!=VALUE, NAME~TEXT, NAME>=NUMBER")
        found.append(Condition(*match.groups()))
        if found[-1].sign in _NUMBERS:
            try:
                float(found[-1].value)
            except ValueError:
                raise UsageError(f"--where {text}: {found[-1].value!r} is no number") from None
    return found


def show(
    pool: Path, *, sort: str | None, ascending: bool, limit: int, where: Sequence[Condition], columns: list[str]
) -> Report:
    """Records as a table: the last ones, or the first by a figure.

    Args:
        pool: a pool or a snapshot.
        sort: a name of source or metrics; without one the newest records come first.
        ascending: the smallest first.
        limit: how many.
        where: only records of which all of these hold.
        columns: names to show; by default a few figures of the metrics.

    Raises:
        UsageError: when there is no such pool, or no record has the named figure.
        EvidenceError: when the pool is damaged.
    """
    key = _sort_key(sort or "n")
    names = _Names()
    rows = (row for row in map(names.of, map(flat, iter_records(existing_pool(pool)))) if _matches(row, where))
    choose: Callable[..., list[dict[str, Any]]] = heapq.nsmallest if ascending else heapq.nlargest
    found = choose(limit, rows, key=lambda row: key(row, worst=math.inf if ascending else -math.inf))
    names.refuse_unknown("--sort", [sort] if sort else [])
    names.refuse_unknown("--where", [condition.name for condition in where])
    names.refuse_unknown("--column", columns)
    data = {"pool": str(pool), "records": found}
    if not found:
        return Report(data, [f"0 of {names.seen:,} records of {pool} are as asked"])
    shown = _columns(found, columns, sort)
    rows_shown = [[_short(name, row.get(name)) for name in shown] for row in found]
    return Report(data, [table(str(pool), shown, rows_shown)])


@define
class _Names:
    """The figures that records of a pool have, as they pass by."""

    known: dict[str, None] = field(factory=dict)
    seen: int = 0

    def of(self, row: dict[str, Any]) -> dict[str, Any]:
        self.seen += 1
        if not row.keys() <= self.known.keys():
            self.known.update(dict.fromkeys(row))
        return row

    def refuse_unknown(self, option: str, names: Sequence[str]) -> None:
        """Refuse a figure that no record has.

        Raises:
            UsageError: with the names that are alike, and all that there are.
        """
        for name in names if self.known else ():
            if name not in self.known:
                alike = get_close_matches(name, self.known, n=1) or [one for one in self.known if name in one][:1]
                meant = f"did you mean {alike[0]}? " if alike else ""
                raise UsageError(
                    f"{option} {printable(name)}: no record has the figure {printable(name)!r}",
                    hint=f"{meant}there are: {', '.join(self.known)}",
                )


def _sort_key(name: str) -> Callable[..., tuple[float, int]]:
    def key(row: Mapping[str, Any], *, worst: float) -> tuple[float, int]:
        value = row.get(name)
        return (float(value) if isinstance(value, int | float) else worst, row["n"])

    return key


def _matches(row: Mapping[str, Any], where: Sequence[Condition]) -> bool:
    return all(condition.holds(row) for condition in where)


def _columns(found: list[dict[str, Any]], more: list[str], sort: str | None) -> list[str]:
    hidden = {"created_at", "git_commit", "docker_image", "mode", "genome_sha256", *PLACE}
    usual = [name for name in USUAL if name in found[0]] or [name for name in found[0] if name not in hidden]
    return list(dict.fromkeys([*PLACE, *([sort] if sort else []), *(more or usual)]))


def _short(name: str, value: Any) -> Any:
    """A run by the four digits that end its id, a record by the first eight of its own: both name it everywhere."""
    if name == "run_id" and isinstance(value, str):
        return value[-4:]
    return value[:8] if name == "id" and isinstance(value, str) else value


@define
class _Figure:
    """Count, sum and extremes of one figure, in flat memory."""

    count: int = 0
    total: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.lowest, self.highest = min(self.lowest, value), max(self.highest, value)


@define
class _Tally:
    records: int = 0
    first: str | None = None
    last: str | None = None
    runs: Counter[str] = field(factory=Counter)
    arms: Counter[str] = field(factory=Counter)
    figures: dict[str, _Figure] = field(factory=dict)
    flags: dict[str, Counter[str]] = field(factory=dict)

    def add(self, record: PoolRecord) -> None:
        self.records += 1
        self.first = self.first or record.created_at
        self.last = record.created_at
        self.runs[record.source["run_id"]] += 1
        self.arms[record.source["arm"]] += 1
        for name, value in record.metrics_summary.items():
            if isinstance(value, bool | str):
                self.flags.setdefault(name, Counter())[str(value)] += 1
            elif isinstance(value, int | float):
                self.figures.setdefault(name, _Figure()).add(value)


def stats(pool: Path) -> Report:
    """Counts and figures of a whole pool; errors as `show`."""
    tally = _Tally()
    for record in iter_records(existing_pool(pool)):
        tally.add(record)
    head = {
        "pool": str(pool),
        "bytes": pool.stat().st_size,
        "records": tally.records,
        "runs": len(tally.runs),
        "first_created_at": tally.first,
        "last_created_at": tally.last,
        **{f"arm {arm}": count for arm, count in sorted(tally.arms.items())},
    }
    flags = {name: dict(sorted(counts.most_common(10))) for name, counts in sorted(tally.flags.items())}
    figures = {
        name: {"count": f.count, "lowest": f.lowest, "mean": f.total / f.count, "highest": f.highest}
        for name, f in sorted(tally.figures.items())
    }
    shown: list[RenderableType] = [
        facts("pool", head),
        table(
            "figures", ("name", "count", "lowest", "mean", "highest"), [(n, *f.values()) for n, f in figures.items()]
        ),
        table(
            "flags", ("name", "values"), [(n, ", ".join(f"{v}: {c}" for v, c in f.items())) for n, f in flags.items()]
        ),
    ]
    return Report({**head, "figures": figures, "flags": flags}, shown)


# ---- export ----------------------------------------------------------------------------------------------------------


def export(pool: Path, out: Path, layout: Layout) -> Report:
    """Write a pool for analysis; the suffix says how.

    ``.npy``: genomes, float32[records, 342], row i is record ``n`` = i. ``.jsonl``: one flat row a line, without
    genomes. ``.parquet``: flat rows with their genomes (needs the ``arrow`` extra).

    Raises:
        UsageError: for another suffix, or a file that exists.
        EvidenceError: when the pool is damaged.
        HostError: when the file cannot be written; nothing is left then.
    """
    writers = {".npy": _write_npy, ".jsonl": _write_jsonl, ".parquet": _write_parquet}
    writer = writers.get(out.suffix)
    if writer is None:
        raise UsageError(
            f"{out}: no export to {out.suffix or 'a file without suffix'}", hint=f"known: {', '.join(writers)}"
        )
    refuse_output(out, layout=layout)
    part = out.with_name(out.name + ".part")
    try:
        count = writer(existing_pool(pool), part)
        part.rename(out)
    except OSError as error:
        raise host_error(error, f"cannot write {out}") from error
    finally:
        part.unlink(missing_ok=True)
    data = {"pool": str(pool), "file": str(out), "records": count, "bytes": out.stat().st_size}
    return Report(data, [facts("exported", data)])


def _write_npy(pool: Path, part: Path) -> int:
    import numpy as np  # noqa: PLC0415

    count = sum(1 for _ in iter_records(pool))
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, LOCI)}
    written = 0
    with part.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for record in iter_records(pool):
            if written < count:  # a writer may have appended since the count was taken
                file.write(record.genome().astype("<f4").tobytes())
                written += 1
    return written


def _write_jsonl(pool: Path, part: Path) -> int:
    import jsonlines  # noqa: PLC0415

    count = 0
    with part.open("w", encoding="ascii") as file, jsonlines.Writer(file, sort_keys=True, compact=True) as writer:
        for record in iter_records(pool):
            writer.write(flat(record))
            count += 1
    return count


def _batches(pool: Path) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for record in iter_records(pool):
        batch.append({**flat(record), "genome": record.genome().tolist()})
        if len(batch) == PARQUET_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_parquet(pool: Path, part: Path) -> int:
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra)
        from pyarrow import parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise HostError("parquet needs pyarrow", hint=hint_for("arrow")) from error
    # Two passes: a column that is null in one batch must have the type that it has in another.
    kinds: dict[str, Any] = {}
    for record in iter_records(pool):
        for name, value in flat(record).items():
            kind = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}.get(type(value))
            known = kinds.get(name)
            kinds[name] = pa.float64() if {kind, known} == {pa.int64(), pa.float64()} else kind or known
    fields = [(name, kind or pa.null()) for name, kind in kinds.items()]
    schema = pa.schema([*fields, ("genome", pa.list_(pa.float32(), LOCI))])
    count = 0
    with pq.ParquetWriter(part, schema) as writer:
        for batch in _batches(pool):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("Gene pools: append-only, hash-chained, one genome in each line.")
app.command("best", epilog=examples("pool best", "pool best --one-each line --where survived=1 --limit 5"))(
    best_command
)
PoolFile = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="Pool or snapshot file; by default the stage's pool.")
]


def _chosen(file: Path | None, root: Path, stage: Stage) -> Path:
    return file or existing(Layout.under(root)).pool(stage)


@app.command(
    "show",
    epilog=examples(
        "pool show --sort roi_lifetime --limit 10",
        "pool show --stage stage2 --where labels~ballast --where roi_lifetime>0",
    ),
)
def show_command(
    file: PoolFile = None,
    *,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    sort: Annotated[str | None, typer.Option(help="Figure to sort by; without it the newest come first.")] = None,
    ascending: Annotated[bool, typer.Option("--ascending", help="Sort the smallest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Number of records.")] = 20,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Keep records with this value; = may also be != ~ >= <= > <."),
    ] = None,
    column: Annotated[list[str] | None, typer.Option(help="Figure to show; may be given again.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """List records: the newest, or the best by a figure."""
    return show(
        _chosen(file, root, stage),
        sort=sort,
        ascending=ascending,
        limit=limit,
        where=conditions(where or []),
        columns=column or [],
    ).asked(as_json=as_json, as_csv=as_csv)


@app.command("verify", epilog=examples("pool verify var/pools/stage1/pool.jsonl"))
def verify_command(
    context: typer.Context,
    file: PoolFile = None,
    *,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    as_json: AsJson = False,
) -> Report:
    """Check every rule of every line; exit 0 pass, 1 fail, 2 could not check."""
    from prometheus.cli.operate.evidence_command import verify_all  # noqa: PLC0415

    return verify_all([_chosen(file, root, stage)], context.obj).asked(as_json=as_json)


@app.command("stats", epilog=examples("pool stats --root var"))
def stats_command(
    file: PoolFile = None, *, root: Root = DEFAULT_ROOT, stage: StageOption = Stage.STAGE1, as_json: AsJson = False
) -> Report:
    """Print counts and figures of a whole pool."""
    return stats(_chosen(file, root, stage)).asked(as_json=as_json)


@app.command("export", epilog=examples("pool export genomes.npy", "pool export pool.parquet --stage stage1"))
def export_command(
    out: Annotated[Path, typer.Argument(help="New file: .npy (genomes), .jsonl (rows) or .parquet (both).")],
    *,
    file: Annotated[
        Path | None, typer.Option("--pool", metavar="FILE", help="Pool or snapshot file; by default the stage's pool.")
    ] = None,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    as_json: AsJson = False,
) -> Report:
    """Write a pool for analysis."""
    return export(_chosen(file, root, stage), out, Layout.under(root)).asked(as_json=as_json)
