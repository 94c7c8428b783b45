"""``phylogeny``: who descends from whom in a run, for other people's tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prometheus.cli.options import AsJson, examples
from prometheus.cli.report import Report
from prometheus.cli.research.looking import refuse_sealed_place
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.files import write_new
from prometheus.v10.report.phylogeny import phylogeny_csv

PHYLOGENY_EXAMPLES = examples("phylogeny RUN_DIR --out lineages.csv", "phylogeny RUN_DIR --experiment 3 --out e3.csv")


def phylogeny_command(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Directory of a run.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="New file to write.")],
    experiment: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="One experiment only; all of them by default.")
    ] = None,
    as_json: AsJson = False,
) -> Report:
    """Write who descends from whom in a run, as a CSV file in the ALife data standard for phylogenies."""
    refuse_sealed_place(out)
    if out.exists():
        raise UsageError(f"{out} exists", hint="choose another name, or remove it")
    data, count = phylogeny_csv(run, experiment)
    try:
        write_new(out, data, mode=0o644)
    except FileExistsError:
        raise UsageError(f"{out} exists", hint="choose another name, or remove it") from None
    return Report({"file": str(out), "agents": count}, [f"{out}: {count:,} agents"]).asked(as_json=as_json)
