"""The file of figures: for the textfile collector of a monitoring system, and for the alerts of this host."""

from __future__ import annotations

from pathlib import Path

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import HostError, PrometheusError, UsageError
from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.outputs import refuse_sealed_place
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import SMALL, read_if_there
from prometheus.v10.base.text import printable
from prometheus.v10.ops.alerts.counted import FILE, read_counted, write_counted
from prometheus.v10.ops.alerts.measuring import Measurement, measure
from prometheus.v10.ops.alerts.open_metrics import rendered
from prometheus.v10.ops.host.systemd import Systemd

SYSTEM_METRICS = Path("/var/lib/prometheus-quant-metrics/prometheus_quant.prom")
SUFFIX = ".prom"
_BEGINS = b"# TYPE pq_"


def write_textfile(layout: Layout, place: Path, systemd: Systemd | None, clock: Clock) -> Measurement:
    """Measure, and replace the file; what was counted is kept beside it.

    A reader never sees half a file. It is not synced: after a crash the next measurement makes it again.

    Raises:
        UsageError: when the place is evidence's, or holds a file that is not such a one.
        HostError: when it cannot be written.
    """
    refuse_foreign(layout, place)
    kept = place.with_name(FILE)
    done = measure(layout, systemd, clock, read_counted(kept))
    text = rendered(done.samples)
    write_counted(kept, done.counted)
    write_atomic(place, text.encode("utf-8"), mode=0o644, durable=False)
    return done


def refuse_foreign(layout: Layout, place: Path) -> None:
    """Refuse a place that is not ours to replace.

    Raises:
        UsageError: naming it.
        HostError: when its directory is not there.
    """
    shown = printable(str(place))
    if place.suffix != SUFFIX:
        raise UsageError(f"{shown} does not end in {SUFFIX}", hint="collectors of text files read no other name")
    refuse_sealed_place(place, layout=layout)
    if not place.parent.is_dir():
        raise HostError(f"there is no directory {printable(str(place.parent))}", hint="make it first")
    try:
        there = read_if_there(place, at_most=SMALL)
    except PrometheusError as error:
        raise UsageError(f"{shown} cannot be replaced: {error.message}", hint="name another file") from error
    if there is not None and not there.startswith(_BEGINS):
        raise UsageError(f"{shown} is no file of figures", hint="name another file; nothing was written")
