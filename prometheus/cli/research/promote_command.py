"""``promote``: candidates of a pool, or of patterns among deaths, run again with the whole chain of evidence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Annotated, Any

import typer
from rich.console import Console

from prometheus.cli.foreground import Bar
from prometheus.cli.names_of import genome_of
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, StageOption, examples
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.service import promotion as queue
from prometheus.v10.ops.service.liveness import Liveness
from prometheus.v10.ops.service.session import Session, Site, refuse_a_stop_file, session
from prometheus.v10.ops.service.stop import StopWatch
from prometheus.v10.ops.storage.disk import refuse_without_room
from prometheus.v10.runs.control import StoppedError
from prometheus.v10.runs.promote.promote_run import Promotion
from prometheus.v10.runs.request.profile import load_profile

PROMOTE_EXAMPLES = examples(
    "promote --root var --top-k 1",
    "promote --root var --top-k 5 --by survival --queue",
    "promote --root var --trigger mass_death_cluster --instance AUDIT",
    "promote --root var --genome-id 32d87417",
)


def candidates(
    layout: Layout, stage: Stage, *, genome_id: str | None, top_k: int | None, by: str, trigger: str | None,
    instance: str, clock: Clock,
) -> Iterator[Promotion]:  # fmt: skip
    """The promotions that are asked for.

    Raises:
        UsageError: unless exactly one way of choosing is given, or when nothing is found.
        EvidenceError: when a pool or an event file is damaged.
    """
    if (genome_id is not None) == (top_k is not None or trigger is not None):
        raise UsageError(
            "say what to promote: --genome-id alone, or --top-k, --trigger or both",
            hint="--genome-id ID, --top-k N [--by survival|roi], or --trigger NAME [--top-k N]",
        )
    if by not in {queue.BY_SURVIVAL, queue.BY_ROI}:
        raise UsageError(f"--by {by}: expected survival or roi")
    pool = layout.pool(stage)
    if genome_id is not None:
        yield queue.of_record(genome_of(genome_id, pool), instance, "genome_id", "asked for by its id", clock)
    elif trigger is not None:
        found = queue.patterns(layout, trigger, top_k or 1)
        if not found:
            raise UsageError(f"no run under {layout.lib} has the pattern {trigger}", hint="nothing to promote")
        yield from (queue.of_pattern(one, instance, clock) for one in found)
    else:
        for place, record in enumerate(queue.top(pool, top_k or 1, by), start=1):
            detail = f"place {place} of {top_k} by {by} in the pool of {stage.value}"
            yield queue.of_record(record, instance, f"top_{by}", detail, clock)


def promote_all(asked: list[Promotion], layout: Layout, *, later: bool, clock: Clock, console: Console) -> Report:
    """Put promotions into the queue and, unless ``later``, do them; errors as `promotion.drain`."""
    if not asked:
        raise UsageError("the pool holds no record", hint="do a run first")
    refuse_a_stop_file(layout)
    layout.prepare()
    instance = asked[0].instance
    site = Site.of(layout, clock, instance, load_profile(instance, layout), instance)
    rows = []
    for one in asked:
        request, where = queue.enqueue(one, layout, clock=clock, journal=site.journal)
        rows.append({**queue.plain(request), "status": where})
    if not later:
        with (
            suppress(StoppedError),  # what waits stays in the queue
            StopWatch(layout.stop_file, clock) as stop,
            closing(Liveness(os.environ, clock)) as live,
            session(site, stop, live) as at_work,
            Bar(at_work.control, console) as bar,
        ):
            refuse_without_room(at_work.disk.before_run())
            for row in rows:
                if row["status"] != "done before" and stop.stop_requested() is None:
                    row.update(_do(row, at_work, bar))
    shown = table(
        "promotions",
        ("status", "from run", "experiment", "genome", "trigger", "Tier-2 run"),
        [
            (r["status"], r["from_run_id"], r["experiment"], r["genome_index"], r["trigger"], r.get("run_id", ""))
            for r in rows
        ],
    )
    return Report({"promotions": rows}, [shown, *(facts("Tier-2 run", row) for row in rows[:1] if "run_id" in row)])


def _do(row: dict[str, Any], at_work: Session, bar: Bar) -> dict[str, Any]:
    """Do one request of the queue; what it came to."""
    place = queue.queue_folder(at_work.site.layout, at_work.own.name) / f"{row['id']}.json"
    at_work.own.begin_run()
    outcome, proof = queue.drain(place, queue.read_request(place), at_work.around(bar))
    at_work.ended(outcome)
    return {
        "status": "proven" if proof else outcome.status,
        "run_id": outcome.run_id,
        "directory": str(outcome.path),
        "seconds": round(outcome.seconds, 3),
        "agent_ticks": outcome.agent_ticks,
        "deaths_compared": proof.deaths if proof else None,
    }


def promote_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    genome_id: Annotated[
        str | None,
        typer.Option(metavar="GENOME", help="Record: number, or digits of its id or SHA-256."),
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, metavar="N", help="Promote the best N of the pool.")] = None,
    by: Annotated[
        str, typer.Option(metavar="survival|roi", help="Figure by which the best are chosen.")
    ] = queue.BY_SURVIVAL,
    trigger: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Promote experiments of the newest runs whose deaths show this pattern."),
    ] = None,
    instance: Annotated[
        str, typer.Option(metavar="PROMOTE|AUDIT", help="Instance that owns the Tier-2 runs.")
    ] = queue.QUEUES[0],
    later: Annotated[
        bool, typer.Option("--queue", help="Queue them and end; prometheus-stage1@PROMOTE does them.")
    ] = False,
    as_json: AsJson = False,
) -> Report:
    """Replay experiments as Tier-2 runs with full evidence, and prove that each replay is identical."""
    if instance not in queue.QUEUES:
        raise UsageError(f"--instance {instance}: expected {' or '.join(queue.QUEUES)}")
    layout, clock = Layout.under(root), SystemClock()
    asked = list(
        candidates(
            layout, stage, genome_id=genome_id, top_k=top_k, by=by, trigger=trigger, instance=instance, clock=clock
        )
    )
    return promote_all(asked, layout, later=later, clock=clock, console=context.obj).asked(as_json=as_json)
