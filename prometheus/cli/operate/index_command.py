"""``index build|ask|check|push``: rows of an installation for questions over many runs; they can be thrown away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.index.index_ask import ask, question, questions
from prometheus.v10.index.index_build import build
from prometheus.v10.index.index_check import check
from prometheus.v10.index.index_file import file_of, folder_of
from prometheus.v10.ops.storage.sizes import bytes_under, sized

BUILD = "prometheus-quant index build"


def built(layout: Layout, *, from_scratch: bool) -> Report:
    """Bring the index up to the files; errors as `build`."""
    done = build(layout, SystemClock(), from_scratch=from_scratch)
    pools = {name: {"records": pool.records, "new": pool.new} for name, pool in done.pools.items()}
    size = bytes_under(folder_of(layout))
    data = {
        "index": str(file_of(layout)),
        "ledger_entries": done.entries,
        "new_entries": done.new_entries,
        "runs_read": done.runs,
        "built_anew_because": done.anew,
        "pools": pools,
        "bytes": size,
    }
    said: dict[str, Any] = {
        "file": data["index"],
        "ledger entries": f"{done.entries:,}, {done.new_entries:,} of them new",
        "runs read": done.runs,
        **{f"records of {name}": f"{pool.records:,}, {pool.new:,} of them new" for name, pool in done.pools.items()},
        "size": sized(size),
    }
    lines = [f"built anew: {done.anew}"] if done.anew is not None else []
    return Report(data, [facts("index", said), *lines])


def checked(layout: Layout, *, share: float, seed: int) -> Report:
    """Compare a sample of the rows with the files: 0 all agree, 1 some differ, 2 there is no index."""
    found = check(layout, share=share, seed=seed)
    if found is None:
        data: dict[str, Any] = {"runs": 0, "records": 0, "differing": [], "not_in_the_index": []}
        said = f"COULD NOT CHECK {file_of(layout)}: there is no index of this version; {BUILD} makes one"
        return Report(data, [said], ExitCode.VERIFY_ERROR)
    data = {
        "runs": found.runs,
        "records": found.records,
        "differing": found.differing,
        "not_in_the_index": found.unknown,
    }
    lines = [f"DIFFERENT {one}" for one in found.differing]
    lines += [f"NOTE {one} is on the disk and not in the index" for one in found.unknown]
    verdict = "FAIL" if found.differing else "PASS"
    lines.append(f"{verdict} {found.runs:,} runs and {found.records:,} records were made again from the files")
    if found.differing:
        lines.append(f"build it anew: {BUILD} --from-scratch")
    return Report(data, lines, ExitCode.VERIFY_FAILED if found.differing else ExitCode.DONE)


def asked(layout: Layout, name: str, value: str | None, *, limit: int) -> Report:
    """The answer to a shipped question; 2 where there is no index; errors as `question` and `ask`."""
    wanted = question(name, value)
    found = ask(layout, wanted, value, limit)
    data: dict[str, Any] = {"question": name, "title": wanted.title, "value": value, "questions": []}
    if found is None:
        data |= {"columns": [], "rows": [], "more": False, "as_of": None}
        return Report(data, [f"COULD NOT CHECK {wanted.title.lower()}: {_no_index(layout)}"], ExitCode.VERIFY_ERROR)
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    data |= {"columns": list(found.columns), "rows": rows, "more": found.more, "as_of": found.as_of}
    more = [f"there are more: --limit {2 * limit}"] if found.more else []
    if not rows:
        return Report(data, [f"{wanted.title}: none", found.as_of])
    return Report(data, [table(wanted.title, found.columns, found.rows), *more, found.as_of])


def listed() -> Report:
    """The shipped questions."""
    found = [{"name": one.name, "title": one.title, "wants": one.wants} for one in questions().values()]
    data = {"question": None, "title": None, "value": None, "questions": found}
    rows = [(one.name, one.title, one.wants) for one in questions().values()]
    said = "ask one: prometheus-quant index ask QUESTION [VALUE]"
    return Report(
        {**data, "columns": [], "rows": [], "more": False, "as_of": None},
        [table("questions", ("question", "what it tells", "value"), rows), said],
    )


def _no_index(layout: Layout) -> str:
    return f"there is no index of this version in {folder_of(layout)}; {BUILD} makes one"


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("The index: rows made from the files, for questions over many runs.")


@app.callback()
def _group() -> None:
    """The index: rows made from the files, for questions over many runs."""


@app.command("build", epilog=examples("index build", "index build --from-scratch"))
def build_command(
    *,
    root: Root = DEFAULT_ROOT,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Build everything anew from the files.")] = False,
    as_json: AsJson = False,
) -> Report:
    """Take in what is new in the ledger and the pools, or build everything anew."""
    return built(existing(Layout.under(root)), from_scratch=from_scratch).asked(as_json=as_json)


@app.command("check", epilog=examples("index check", "index check --share 1"))
def check_command(
    *,
    root: Root = DEFAULT_ROOT,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the rows that is made again.")] = 0.01,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    as_json: AsJson = False,
) -> Report:
    """Make a sample of the rows again from the files and compare; exit 0 agrees, 1 differs, 2 no index."""
    return checked(existing(Layout.under(root)), share=share, seed=seed).asked(as_json=as_json)


@app.command("ask", epilog=examples("index ask", "index ask deaths_by_week", "index ask runs_on_bars BTC --csv"))
def ask_command(
    name: Annotated[
        str | None, typer.Argument(metavar="[QUESTION]", help="Question; by default all are named.")
    ] = None,
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]", help="Value that the question wants.")] = None,
    *,
    root: Root = DEFAULT_ROOT,
    limit: Annotated[int, typer.Option(min=1, help="Number of rows.")] = 50,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Ask one of the shipped questions: deaths by week, collapses, rates, disk by month, deletions, gates, bars."""
    report = listed() if name is None else asked(existing(Layout.under(root)), name, value, limit=limit)
    return report.asked(as_json=as_json, as_csv=as_csv)


@app.command("push", epilog=examples("index push --dsn-file ~/.config/prometheus-quant/dsn"))
def push_command(
    *,
    root: Root = DEFAULT_ROOT,
    dsn_file: Annotated[
        Path,
        typer.Option(
            "--dsn-file", metavar="FILE", help="File with the connection string; readable by its owner alone."
        ),
    ],
    as_json: AsJson = False,
) -> Report:
    """Mirror the tables into PostgreSQL, schema prometheus_quant, in one transaction."""
    from prometheus.v10.index.index_push import push, read_dsn  # noqa: PLC0415  (an extra)

    layout = existing(Layout.under(root))
    done = push(layout, read_dsn(dsn_file))
    data = {"schema_name": done.schema, "tables": done.rows}
    return Report(data, [facts(f"pushed into schema {done.schema}", done.rows)]).asked(as_json=as_json)
