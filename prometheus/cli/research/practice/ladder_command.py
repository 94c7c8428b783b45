"""``execution ladder`` and ``execution judge``: drills on our own venue, and verdicts on sealed sessions of any.

Exit codes of both: 0 where no rung fails, also where evidence is insufficient; 1 where one fails; 78 where no page can
be made.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console, RenderableType

import prometheus
from prometheus import __version__
from prometheus.cli.names_of import run_of
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report, facts, table
from prometheus.cli.research.practice.ladder_drills import QUARTER_S, Size, drill
from prometheus.v10.base.clock import SystemClock, new_run_id
from prometheus.v10.base.errors import ExitCode, UsageError
from prometheus.v10.base.files import write_new
from prometheus.v10.base.outputs import new_output, refuse_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.records.codec import to_json_bytes
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.execution.adapters.library_choice import facts_of_library
from prometheus.v10.report.rungs.ladder_evidence import RUNBOOK, STARTS, Gathered, gather, gather_ladder
from prometheus.v10.report.rungs.ladder_judging import judge
from prometheus.v10.report.rungs.ladder_records import LadderVerdict, Verdict
from prometheus.v10.runs.request.exchange_table import Library

LADDER_EXAMPLES = examples(
    "execution ladder --root var", "execution ladder --agents 8 --bars 7 --bar-seconds 14400 --json"
)
JUDGE_EXAMPLES = examples(
    "execution judge AUDIT_20260102T030405Z_0123456_0000 --root / --page ladder.html",
    "execution judge var/practice/LADDER_20260102T030405Z_0123456_0000",
)
RECORD: Final = "ladder_verdict.json"
PAGE: Final = "ladder.html"
DISTURBED_BARS: Final = 6
RUNS_HELP = "Runs at an exchange, by directory or id; or the directory of one ladder of drills."


def checkout() -> Path | None:
    """The folder that holds the documents; None in an installation without them."""
    here = Path(prometheus.__file__).resolve().parents[1]
    return here if (here / RUNBOOK).is_file() else None


def report(verdict: LadderVerdict, files: dict[str, str | None]) -> Report:
    """A verdict as a table, and as data."""
    rows = [(one.rung, one.verdict, one.conclusion, one.run_id) for one in verdict.rungs]
    pairs: dict[str, Any] = {"verdict": verdict.verdict, "conclusion": verdict.conclusion, "time": verdict.time,
                             "smallest next change": verdict.next_change or None, **files}  # fmt: skip
    shown: list[RenderableType] = [
        table("rungs", ("rung", "verdict", "conclusion", "session"), rows), facts("the C ladder", pairs),
    ]  # fmt: skip
    data = {
        "verdict": verdict.verdict, "conclusion": verdict.conclusion, "time": verdict.time, "counts": verdict.counts,
        "next_change": verdict.next_change, "sessions": [one.run_id for one in verdict.sessions],
        "rungs": [{"rung": one.rung, "verdict": one.verdict, "run": one.run_id, "conclusion": one.conclusion,
                   "next_change": one.next_change, "venue_seconds": one.venue_seconds,
                   "wall_seconds": one.wall_seconds} for one in verdict.rungs], **files,
    }  # fmt: skip
    code = ExitCode.VERIFY_FAILED if verdict.verdict == Verdict.FAIL.value else ExitCode.DONE
    return Report(data, shown, code)


def ladder_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    agents: Annotated[int, typer.Option(min=1, max=1000, help="Agents at most.")] = 80,
    bars: Annotated[int, typer.Option(min=2, max=2880, help="Bars of the long session.")] = 97,
    bar_seconds: Annotated[
        int, typer.Option(metavar="SECONDS", help="Length of its bars, of the venue's time: 60, 900, 14400, ...")
    ] = QUARTER_S,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the venue and of the genomes.")] = 0,
    library: Annotated[Library, typer.Option(help="Adapter through which it trades.")] = Library.OKX_SDK,
    as_json: AsJson = False,
) -> Report:
    """Drill the C ladder and Gate 4 on our own exchange, in compressed time, and judge what the sessions left."""
    from prometheus.v10.report.rungs.ladder_page import ladder_bytes, refuse_without_pages  # noqa: PLC0415

    refuse_without_pages()
    facts_of_library(library.value)
    if bar_seconds < 60 or bar_seconds % 60:
        raise UsageError(f"--bar-seconds {bar_seconds}: the exchange has bars of whole minutes", hint="for example 900")
    console: Console = context.obj
    size = Size(bars=bars, bar_seconds=bar_seconds, disturbed=DISTURBED_BARS, agents=agents, seed=seed,
                library=library.value)  # fmt: skip
    own = Layout.under(root).lib / "practice" / new_run_id("LADDER", SystemClock(), probe().git_commit)
    with tempfile.TemporaryDirectory(prefix="pq-") as short:  # a socket's name has at most 107 bytes
        drill(own.absolute(), size, lambda what: console.print(f"drill: {what}"), Path(short))
    verdict = judge(gather_ladder(own, checkout()))
    write_new(own / RECORD, [to_json_bytes(verdict)])
    write_new(own / PAGE, [ladder_bytes(verdict, __version__)])
    return report(verdict, {"record": str(own / RECORD), "page": str(own / PAGE)}).asked(as_json=as_json)


def gathered(names: list[str], layout: Layout) -> Gathered:
    """What is judged.

    Raises:
        UsageError: for a ladder's directory beside others, and for a run that is not there.
        EvidenceError: for a run that was at no exchange.
    """
    ladders = [one for one in map(Path, names) if (one / STARTS).is_dir()]
    if ladders and len(names) > 1:
        raise UsageError(f"{ladders[0]} is a ladder of drills: it is judged by itself", hint="name it alone")
    if ladders:
        return gather_ladder(ladders[0], checkout())
    return gather([run_of(one, layout).path for one in dict.fromkeys(names)], checkout())


def judge_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help=RUNS_HELP)],
    *,
    root: Root = DEFAULT_ROOT,
    record: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the verdict there, as JSON.")] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the verdict's page there.")] = None,
    as_json: AsJson = False,
) -> Report:
    """Judge sealed runs at an exchange by the rungs of the C ladder and Gate 4; nothing is run and nothing is sent."""
    layout = Layout.under(root)
    for place in (record, page):
        if place is not None:
            refuse_output(place, layout=layout)
    verdict = judge(gathered(runs, layout))
    if page is not None:
        from prometheus.v10.report.rungs.ladder_page import ladder_bytes  # noqa: PLC0415  (an extra's)

        new_output(page, ladder_bytes(verdict, __version__), layout=layout)
    if record is not None:
        new_output(record, to_json_bytes(verdict), layout=layout)
    files = {"record": None if record is None else str(record), "page": None if page is None else str(page)}
    return report(verdict, files).asked(as_json=as_json)
