"""Commands by name: the help of all of them needs no import, and only the one that was typed is imported.

A command's module may import numpy and numba, which take most of a second; `status` must not wait for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

import typer
from attrs import frozen

from prometheus.cli.app import new_app
from prometheus.cli.places import COMPLETION
from prometheus.v10.runs.workers.fork_server import start_early

HELP = frozenset(["-h", "--help"])


LOOK = "Look: what is and what was"
PANELS = {
    LOOK: (
        "status",
        "runs",
        "report",
        "progress",
        "kpi",
        "pool",
        "genome",
        "index",
        "fences",
        "watch",
        "site",
        "phylogeny",
        "metrics",
    ),
    "Run: evolve, replay, promote": (
        "run",
        "replay",
        "promote",
        "gate",
        "founding",
        "market",
        "profile",
        "snapshot",
        "demo",
        "venue",
    ),
    "Prove: evidence and its ledger": ("verify", "audit", "ledger", "incident", "core"),
    "Host: keep it in order": (
        "doctor",
        "stop",
        "clear-stop",
        "execution",
        "release",
        "retention",
        "custodian",
        "notify",
    ),
}
"""Groups of the help, and what stands in each; what no group names stands in the first."""


@frozen
class Command:
    """A command, or a group of commands: its name, its line in the help, and where it is."""

    name: str
    about: str
    module: str
    """Below ``prometheus.cli``."""
    attribute: str = "app"
    """Function in the module; ``app`` is a group."""
    examples: str | None = None
    """Text in the module that ends the command's help."""
    evolves: bool = False
    """Whether it needs worker processes, which load the world's code while this process does."""

    @property
    def panel(self) -> str:
        """The group of the help in which it stands."""
        return next((panel for panel, names in PANELS.items() if self.name in names), LOOK)

    def add_to(self, app: typer.Typer, *, to_run: bool = False) -> None:
        """Import the command and register it; ``to_run`` tells that it is about to be called."""
        name = f"prometheus.cli.{self.module}"
        if to_run and self.evolves:
            start_early(name)
        module = import_module(name)
        what = getattr(module, self.attribute)
        if isinstance(what, typer.Typer):
            app.add_typer(what, name=self.name, rich_help_panel=self.panel)
        else:
            epilog = None if self.examples is None else getattr(module, self.examples)
            app.command(self.name, epilog=epilog, rich_help_panel=self.panel)(what)

    def announce_in(self, app: typer.Typer) -> None:
        """Register only the name and the line in the help; nothing is imported."""

        def announced() -> None:
            raise AssertionError(f"{self.name} was called without its module")

        announced.__doc__ = self.about
        app.command(self.name, rich_help_panel=self.panel)(announced)


VENUE = Path(__file__).resolve().parents[1] / "venue"
"""A checkout has this room; images and the host's package leave it out, and its commands with it."""

# fmt: off
_ALL = (
    Command("run", "Do one run in the foreground, seal it, verify it, and print the verdicts.",
            "research.runs_command", "run", "RUN_EXAMPLES", evolves=True),
    Command("runs", "Runs: list and find them, look at one, compare two.", "operate.catalogue_command"),
    Command("index", "The index: rows made from the files, for questions over many runs.", "operate.index_command"),
    Command("report", "Report what happened to a run's population: trades, deaths, births, costs; compare two runs.",
            "research.ecology_command", "report_command", "REPORT_EXAMPLES"),
    Command("site", "The site: static pages over all runs of an installation; no server, no script.",
            "research.views.site_command"),
    Command("phylogeny",
            "Write who descends from whom in a run, as a CSV file in the ALife data standard for phylogenies.",
            "research.views.phylogeny_command", "phylogeny_command", "PHYLOGENY_EXAMPLES"),
    Command("progress", "Show whether evolution gains anything from era to era; look as often as you like.",
            "research.progress_command", "progress_command", "PROGRESS_EXAMPLES"),
    Command("kpi", "Show how long populations live before they collapse, and whether that grows.",
            "research.kpi_command", "kpi_command", "KPI_EXAMPLES"),
    Command("replay", "Do a run again from its manifest and compare; exit 0 only if every byte agrees.",
            "research.replays_command", "replay_command", "REPLAY_EXAMPLES", evolves=True),
    Command("promote",
            "Replay experiments as Tier-2 runs with full evidence, and prove that each replay is identical.",
            "research.promote_command", "promote_command", "PROMOTE_EXAMPLES", evolves=True),
    Command("verify",
            "Verify evidence, and runs against their installation's ledger; exit 0 pass, 1 fail, 2 could not check.",
            "operate.evidence_command", "verify_command", "VERIFY_EXAMPLES"),
    Command("audit",
            "Audit everything under a root against the ledger of seals; exit 0 pass, 1 fail, 2 could not check.",
            "operate.evidence_command", "audit_command", "VERIFY_EXAMPLES"),
    Command("incident", "Pack the evidence of a run for an investigation; the run itself is not touched.",
            "operate.incident_command", "incident", "INCIDENT_EXAMPLES"),
    Command("fences", "List everything that can block or change an order, with the hash that manifests carry.",
            "research.fences_command", "fences"),
    Command("status", "Show what runs, since when, on which image, and its state; needs neither root nor systemd.",
            "operate.status_command", "status_command", "STATUS_EXAMPLES"),
    Command("watch",
            "Watch what runs: instances, populations, evidence, disk and journal; q quits, p pauses. It only reads.",
            "operate.watch_command", "watch_command", "WATCH_EXAMPLES"),
    Command("metrics",
            "Print the figures of an installation in the OpenMetrics format, or write them for a collector of text "
            "files.",
            "operate.metrics_command", "metrics_command", "METRICS_EXAMPLES"),
    Command("notify", "Alerts: tell a person who is not looking, through a webhook, healthchecks or apprise. It only "
            "sends.",
            "operate.notify_command"),
    Command("doctor",
            "Check this host and say how to mend what is wrong; exit 0 fit, 1 something fails, 2 could not check.",
            "operate.doctor_command", "doctor_command", "DOCTOR_EXAMPLES"),
    Command("stop",
            "Pull the kill switch and wait until nothing runs; exit 0 all ended, 75 something still runs.",
            "operate.stopping_command", "stop_command", "STOP_EXAMPLES"),
    Command("clear-stop", "Release the kill switch; nothing starts by itself.",
            "operate.stopping_command", "clear_command", "CLEAR_EXAMPLES"),
    Command("custodian",
            "Write one instance's evidence for its payload, by the custodian's rules; with --socket until it is "
            "stopped.",
            "operate.custodian_command", "custodian_command"),
    Command("pool", "Gene pools: append-only, hash-chained, one genome in each line.", "research.pools_command"),
    Command("genome", "Genomes: 342 numbers that make two nets.", "research.genome_command"),
    Command("market", "Imported markets: bars under a name.", "research.market_command"),
    Command("profile", "Profiles: the settings of a run.", "research.profiles_command"),
    Command("snapshot", "Snapshots: immutable prefixes of a pool; stage 2 reads nothing else.",
            "research.snapshots_command"),
    Command("ledger", "The ledger: seals and other acts, hash-chained.", "operate.ledger_command"),
    Command("core", "CORE.lock: the hashes of the world's code.", "research.core_command"),
    Command("retention",
            "Enter into the ledger what the policies no longer keep, then delete it; compress what is old.",
            "operate.retention_command"),
    Command("release", "Releases: the images that run, by digest, with a rollback of one command.",
            "operate.release_command"),
    Command("gate",
            "Test whether evolution used the order of returns: A against its null, by a design locked before the run.",
            "research.long.gate_command"),
    Command("founding",
            "Trials of ways of founding: on markets of planted truth, and side by side on a profile's market.",
            "research.long.founding_command"),
    Command("demo",
            "Let a population trade a day through one account on our own exchange, seal the run, and verify it.",
            "research.practice.demo_command", "demo_command", "DEMO_EXAMPLES"),
    Command("execution", "Trading at an exchange: halts and their release, both libraries held together, and the C "
            "ladder.",
            "research.practice.execution_command"),
    Command("venue",
            "An exchange of our own on the loopback: OKX's v5 interface, demo and live, no key of yours needed.",
            "research.venue_command"),
)
# fmt: on
COMMANDS = tuple(one for one in _ALL if one.name not in {"venue", "demo"} or VENUE.is_dir())


def command_line(about: str, commands: Iterable[Command], arguments: Sequence[str] | None = None) -> typer.Typer:
    """A command line for ``arguments``: what they name is imported, the rest is announced; None imports everything."""
    app = new_app(about)
    for one in commands:
        if arguments is None or COMPLETION in os.environ:
            one.add_to(app)
        elif one.name == _named(arguments):
            one.add_to(app, to_run=HELP.isdisjoint(arguments))
        else:
            one.announce_in(app)
    return app


def _named(arguments: Sequence[str]) -> str | None:
    """The command that the arguments name: their first word, for the options before it take no value."""
    return next((word for word in arguments if not word.startswith("-")), None)
