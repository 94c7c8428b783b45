"""``execution align`` and ``execution log``: both libraries held together, and the log of what differs.

Exit codes of align: 0; 1 where something differs that must not, as what an order says; 65 where the log was edited; 78
where a library is missing. Of the log: 0 where it was only appended to, else 65.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from attrs import asdict
from rich.console import RenderableType

import prometheus
from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report, facts, table
from prometheus.cli.research.practice.practice_venue import VenueProcess
from prometheus.v10.base.clock import SystemClock, new_run_id
from prometheus.v10.base.errors import ExitCode, UsageError, host_error
from prometheus.v10.base.files import write_new
from prometheus.v10.base.outputs import refuse_sealed_place
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.execution.alignment.aligned_intents import Bench, Benches
from prometheus.v10.execution.alignment.aligning import Alignment, align, wire_text
from prometheus.v10.execution.alignment.difference_log import (
    append_section,
    known_keys,
    numbered,
    read_log,
    section,
    sections_of,
)
from prometheus.v10.execution.alignment.differences import Difference
from prometheus.v10.execution.ports.exchange_port import ExchangePort

ALIGN_EXAMPLES = examples("execution align --root var", "execution align --seed 7 --json")
LOG_EXAMPLES = examples("execution log", "execution log --json")
NAME: Final = "docs/v10/V10_EXECUTION_INTERFACE_DIFF_LOG_OKX_CCXT.md"
HERE: Final = Path(prometheus.__file__).resolve().parents[1] / NAME
LOG_HELP = f"Log to append to; in a checkout {NAME}."


class VenueBench(VenueProcess):
    """A fresh venue of a seed, as an alignment uses it."""

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self.said["address"])

    def through(self, library: str, address: str) -> ExchangePort:
        """Its main demo account through a library, by way of another address."""
        return self.port(library=library, address=address)

    def disturb(self, fault: str, path: str) -> None:
        """Do one thing wrong, at the next request of a path."""
        self.admin(do="inject", fault=fault, target={"path": path, "count": 1}, arguments={})


def log_of(given: Path | None) -> Path:
    """The log that is meant.

    Raises:
        UsageError: when none is named and this is no checkout.
    """
    if given is None and not HERE.is_file():
        raise UsageError("no log is named, and this is no checkout", hint="name one with --log")
    return HERE if given is None else given


def benches_in(folder: Path, seed: int) -> Benches:
    """Fresh venues of one seed; the journal of each lies in ``folder`` by the library's name."""

    @contextmanager
    def bench(library: str) -> Iterator[Bench]:
        with tempfile.TemporaryDirectory(prefix="pq-") as short:  # a socket's name has at most 107 bytes
            with VenueBench(Path(short), "--seed", str(seed)) as venue:
                yield venue
            write_new(folder / f"venue_{library}.jsonl", [venue.journal.read_bytes()])

    return bench


def kept(found: Alignment, folder: Path) -> None:
    """What went over the wire, beside the venues' journals."""
    for library, steps in found.passes.items():
        write_new(folder / f"wire_{library}.json", wire_text(steps))


def facts_line(found: Alignment, seed: int, commit: str | None) -> list[str]:
    """What a section says of an alignment."""
    libraries = [f"{one.name} {one.version} (sha256 {one.sha256[:16]})" for one in found.libraries.values()]
    return [
        f"{' and '.join(libraries)}, each on a fresh venue on the loopback of seed {seed}",
        f"code {commit or 'not known'}",
        f"{found.steps} steps, {found.requests} requests through python-okx; "
        f"{len(found.unlike)} differences that must not be",
    ]


def align_command(
    *,
    root: Root = DEFAULT_ROOT,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help=LOG_HELP)] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of both venues.")] = 0,
    as_json: AsJson = False,
) -> Report:
    """Send the same intents through python-okx and ccxt, hold bytes and meaning together, and log what differs."""
    place, layout, clock = log_of(log), Layout.under(root), SystemClock()
    refuse_sealed_place(place, layout=layout)
    before = read_log(place)
    commit = probe().git_commit
    run_id = new_run_id("ALIGN", clock, commit)
    folder = layout.lib / "practice" / run_id
    with tempfile.TemporaryDirectory(prefix="pq-") as short:
        found = align(run_id, benches_in(Path(short), seed))
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise host_error(error, f"cannot create {folder}") from error
        for one in sorted(Path(short).iterdir()):
            write_new(folder / one.name, one.read_bytes())
    kept(found, folder)
    text = before.decode()
    rows = numbered(found.differences, text, f"{clock.now():%Y%m%d}")
    known = known_keys(text)
    again = [known[one.key] for one in found.differences if one.key in known]
    append_section(place, before, section(f"Aligned: {run_id}", facts_line(found, seed, commit), rows, again))
    return report(found, rows, again, str(place), str(folder)).asked(as_json=as_json)


def report(found: Alignment, rows: dict[str, Difference], again: list[str], log: str, folder: str) -> Report:
    """What an alignment came to."""
    data: dict[str, Any] = {
        "run": found.run_id, "libraries": {name: asdict(one) for name, one in found.libraries.items()},
        "steps": found.steps, "requests": found.requests, "differences": len(found.differences),
        "new": {name: one.key for name, one in rows.items()}, "seen_again": again, "must_not_be": found.unlike,
        "log": log, "directory": folder,
    }  # fmt: skip
    figures = {name: data[name] for name in ("run", "steps", "requests", "differences")}
    figures |= {"new": len(rows), "seen again": len(again), "must not be": len(found.unlike), "log": log,
                "directory": folder}  # fmt: skip
    shown: list[RenderableType] = [facts("the same intents through python-okx and ccxt", figures)]
    if rows:
        lines = [(name, one.severity, one.what, one.native, one.ccxt) for name, one in rows.items()]
        shown.append(table("new differences", ("id", "severity", "what", "python-okx", "ccxt"), lines))
    return Report(data, shown, ExitCode.VERIFY_FAILED if found.unlike else ExitCode.DONE)


def log_command(
    log: Annotated[Path | None, typer.Argument(metavar="[FILE]", help=LOG_HELP)] = None,
    *,
    as_json: AsJson = False,
) -> Report:
    """Check that the log of differences was only appended to: what stands above each section is what stood there."""
    place = log_of(log)
    data = read_log(place)
    found = {"log": str(place), "sections": sections_of(data), "differences": len(known_keys(data.decode()))}
    return Report(found, [facts("the log was only appended to", found)]).asked(as_json=as_json)
