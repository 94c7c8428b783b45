"""``phylogeny``: who descends from whom in a run, for other people's tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prometheus.cli.names_of import run_of
from prometheus.cli.options import DEFAULT_ROOT, RUN_HELP, AsJson, Root, examples
from prometheus.cli.report import Report
from prometheus.v10.base.outputs import new_output, refuse_output
from prometheus.v10.base.paths import Layout
from prometheus.v10.report.phylogeny import phylogeny_csv

PHYLOGENY_EXAMPLES = examples("phylogeny latest --out lineages.csv", "phylogeny HF/latest --experiment 3 --out e3.csv")


def phylogeny_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    *,
    root: Root = DEFAULT_ROOT,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="New file to write.")],
    experiment: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="One experiment only; all of them by default.")
    ] = None,
    as_json: AsJson = False,
) -> Report:
    """Write who descends from whom in a run, as a CSV file in the ALife data standard for phylogenies."""
    layout = Layout.under(root)
    refuse_output(out, layout=layout)
    data, count = phylogeny_csv(run_of(run, layout).path, experiment)
    new_output(out, data, layout=layout)
    return Report({"file": str(out), "agents": count}, [f"{out}: {count:,} agents"]).asked(as_json=as_json)
