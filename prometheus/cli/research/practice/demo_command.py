"""``demo``: a compressed day in which a population trades through one account on the exchange on the loopback.

It is a run of the installation as any other: its directory is sealed, the ledger knows it, and `verify` proves its
order chain against the calls that were kept. The exchange's own journal lies beside it, in ``practice/RUN_ID``.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer
from rich.console import Console

from prometheus.cli.foreground import Bar, owed_artifact
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report, facts
from prometheus.cli.research.ecology_command import report_runs
from prometheus.cli.research.practice.practice_venue import VenueLine, VenueProcess, venue_in
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import ExitCode, host_error
from prometheus.v10.base.files import write_new
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.execution.adapters.library_choice import facts_of_library
from prometheus.v10.execution.exchange_run.exchange_setting import table_of
from prometheus.v10.execution.exchange_run.exchange_work import run_exchange
from prometheus.v10.ops.service.liveness import Liveness
from prometheus.v10.ops.service.session import Site, refuse_a_stop_file, session
from prometheus.v10.ops.service.stop import StopWatch
from prometheus.v10.ops.storage.disk import refuse_without_room
from prometheus.v10.runs.control import RunOutcome, StoppedError, StopReason
from prometheus.v10.runs.request.exchange_table import Library
from prometheus.v10.runs.request.profile import Profile, load_profile
from prometheus.v10.runs.workers.invariance import check_core

DEMO_EXAMPLES = examples(
    "demo --root var", "demo --root var --bars 24 --seed 7 --json", "demo --root var --library ccxt"
)
PROFILE = "PRACTICE"
DAY_S, OPENING_S = 86_400, 3_600
MOST_BARS = 2_880
"""A month of quarter hours."""
VENUE_HELP = "Trade on the venue of this file: what venue serve --step --admin SOCKET --json printed."
SHOWN = 20
"""Findings of the verification that are printed."""


def practise(
    profile: Profile, layout: Layout, clock: Clock, console: Console, *, seed: int, there: VenueLine | None = None
) -> RunOutcome | None:
    """One run on a venue of its own, or on the one that is ``there``; None when a stop came before there was one.

    Raises:
        PrometheusError: whatever makes the run impossible.
    """
    refuse_a_stop_file(layout)
    library = table_of(profile).library
    facts_of_library(library)
    check_core()
    site = Site.of(layout, clock, PROFILE, profile, PROFILE)
    with (
        tempfile.TemporaryDirectory(prefix="pq-") as short,  # a socket's name has at most 107 bytes
        nullcontext(there) if there else VenueProcess(Path(short), *venue_options(profile, seed)) as venue,
        suppress(StoppedError),
        StopWatch(layout.stop_file, clock) as stop,
        closing(Liveness(os.environ, clock)) as live,
        session(site, stop, live) as at_work,
        Bar(at_work.control, console) as bar,
    ):
        refuse_without_room(at_work.disk.before_run())
        outcome = run_exchange(at_work.next_run(counted=False), at_work.around(bar), venue.means(library))
        at_work.ended(outcome)
        return _with_journal(outcome, layout, venue) if isinstance(venue, VenueProcess) else outcome
    return None


def venue_options(profile: Profile, seed: int) -> list[str]:
    """A venue of a seed whose market lasts for the profile's bars, and for the opening before them."""
    seconds = OPENING_S + (profile.market.bars or 0) * (profile.market.timeframe_s or 0)
    return ["--seed", str(seed), "--days", str(-(-seconds // DAY_S))]


def _with_journal(outcome: RunOutcome, layout: Layout, venue: VenueProcess) -> RunOutcome:
    """Keep the exchange's own journal beside the run: whole, once the venue has ended."""
    venue.close()
    folder = layout.lib / "practice" / outcome.run_id
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise host_error(error, f"cannot create {folder}") from error
    write_new(folder / "venue.jsonl", [venue.journal.read_bytes()])
    return outcome


def figures_of(run: Path) -> dict[str, Any]:
    """What a run at an exchange came to, from its manifest and its summary."""
    manifest, summary = owed_artifact(run, Artifact.MANIFEST), owed_artifact(run, Artifact.SUMMARY)
    claim, row = manifest["exchange"], summary["all_stats"][0]
    ended = claim["ended"]
    both_sides = 2 * ended["crossed_lots"] + ended["net_lots"]
    return {
        "run": run.name, "directory": str(run), "status": manifest["status"], "library": claim["library"]["name"],
        "agents": claim["bootstrap"]["agents"],
        **{name: ended[name] for name in ("bars", "orders", "fills", "rounds")},
        "crossed_share": round(2 * ended["crossed_lots"] / both_sides, 4) if both_sides else 0.0,
        "surplus": ended["surplus"], "fees": ended["fees"], "funding": ended["funding"], "deaths": row["deaths"],
        "births": row["births"], "equity_before": claim["bootstrap"]["equity"],
        "equity_after": ended.get("equity_after"), "positions": ended["positions"], "state": ended["trading_state"],
    }  # fmt: skip


def demo_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    bars: Annotated[int, typer.Option(min=1, max=MOST_BARS, help="Bars that it trades.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the market, the book, the keys and the genomes.")] = 0,
    library: Annotated[Library, typer.Option(help="Adapter through which it trades.")] = Library.OKX_SDK,
    venue: Annotated[Path | None, typer.Option(metavar="FILE", help=VENUE_HELP)] = None,
    as_json: AsJson = False,
) -> Report:
    """Let a population trade a day through one account on our own exchange, seal the run, and verify it."""
    layout, profile = Layout.under(root), load_profile(PROFILE, Layout.under(root))
    profile = attrs.evolve(
        profile, market=attrs.evolve(profile.market, bars=bars),
        experiments=attrs.evolve(profile.experiments, seed=seed),
        exchange=attrs.evolve(table_of(profile), library=library.value),
    )  # fmt: skip
    there = None if venue is None else venue_in(venue)
    outcome = practise(profile, layout, SystemClock(), context.obj, seed=seed, there=there)
    if outcome is None:
        return Report({"run": None}, ["stopped before a run was opened: nothing was written"]).asked(as_json=as_json)
    found = verify_run(outcome.path)
    data = {**figures_of(outcome.path), "verified": found.exit_code is ExitCode.DONE}
    of_population = report_runs([outcome.path], None).shown
    shown = [*of_population, facts("a day of practice", data), *found.lines()[-SHOWN:]]
    code = ExitCode.IO if outcome.stop_reason is StopReason.DISK_BUDGET else found.exit_code
    return Report(data, shown, code).asked(as_json=as_json)
