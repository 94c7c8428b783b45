"""``metrics``: figures for a monitoring system, as text or into a file that a collector reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.alerts.counted import Counted
from prometheus.v10.ops.alerts.measuring import Measurement, measure
from prometheus.v10.ops.alerts.open_metrics import rendered
from prometheus.v10.ops.alerts.textfile import write_textfile
from prometheus.v10.ops.host.systemd import Systemd

EVERYTHING = 1 << 50
METRICS_EXAMPLES = examples("metrics --root var", "metrics --root / --out /tmp/prometheus_quant.prom")


def metrics_command(
    *,
    root: Root = DEFAULT_ROOT,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="File to replace at once; its name ends in .prom.")
    ] = None,
    as_json: AsJson = False,
) -> Report:
    """Print the figures of an installation in the OpenMetrics format, or write them for a collector of text files."""
    layout = existing(Layout.under(root))
    systemd, clock = Systemd.of(layout), SystemClock()
    if out is None:
        done = measure(layout, systemd, clock, Counted(), at_most=EVERYTHING)
        shown = rendered(done.samples).rstrip("\n")
    else:
        done = write_textfile(layout, out, systemd, clock)
        shown = f"{len(done.samples)} figures written to {out}"
    return Report(_data(done, out), [shown]).asked(as_json=as_json)


def _data(done: Measurement, out: Path | None) -> dict[str, object]:
    figures = [
        {
            "name": sample.family.sample_name,
            "labels": dict(zip(sample.family.labels, sample.labels, strict=True)),
            "value": sample.value,
        }
        for sample in done.samples
    ]
    return {"figures": figures, "cannot_see": done.blind, "written": None if out is None else str(out)}
