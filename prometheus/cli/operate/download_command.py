"""``market download``: history of an exchange into files, each with its record; ``market import`` reads them."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Drawn

from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.outputs import refuse_sealed_place
from prometheus.v10.base.paths import SYSTEM_DOWNLOADS, Layout, refuse_links_below
from prometheus.v10.base.text import printable
from prometheus.v10.market.download.download_plan import BASES, TERMS, Asked, Exchange, Product, asked_for
from prometheus.v10.market.download.download_run import Done, Means, Progress, described, download
from prometheus.v10.market.download.download_wire import AGAIN, TryLaterError
from prometheus.v10.market.exchange_words import LOOPBACK_FORM, is_loopback

DOWNLOAD_EXAMPLES = examples(
    "market download binance BTCUSDT 1m --from 2024-01-01 --to 2024-07-01",
    "market download binance BTCUSDT 5m --from 2024-01-01 --product um --funding",
    "market download okx BTC-USDT-SWAP 1m --from 2024-01-01",
)
OWNER = "prometheus-download"
_SHOWN = ("file", "state", "rows", "first_utc", "last_utc", "bytes")

app = group("Imported markets: bars under a name.")
"""The group of a host's own commands; all others of ``market`` run in the image."""


@app.command("download", epilog=DOWNLOAD_EXAMPLES)
def download_command(
    context: typer.Context,
    exchange: Annotated[Exchange, typer.Argument(help="Exchange whose history is fetched.")],
    instrument: Annotated[str, typer.Argument(help="Name that the exchange has for it: BTCUSDT, BTC-USDT-SWAP.")],
    bar: Annotated[str, typer.Argument(help="Length of a bar: 1m, 5m, 1h, 1d.")],
    *,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, UTC: 2024-01-31.")],
    end: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Day that is not included any more; by default today.")
    ] = None,
    product: Annotated[
        Product | None, typer.Option(help="Archive of Binance: spot, or futures margined in USD or in coin.")
    ] = None,
    funding: Annotated[bool, typer.Option("--funding", help="Fetch the funding rates of a swap as well.")] = False,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Accept bars that the exchange does not have; they are recorded.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of the files; by default one of its own below downloads."),
    ] = None,
    site: Annotated[str | None, typer.Option(metavar="NAME", help="Site of OKX: global, eea or us.")] = None,
    address: Annotated[
        str | None, typer.Option(metavar="URL", help=f"Server on the loopback instead: {LOOPBACK_FORM}.")
    ] = None,
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> Report:
    """Fetch bars of an exchange into files, each with its record; the same command goes on where it was cut off."""
    clock = SystemClock()
    asked = asked_for(
        exchange, instrument, bar, first=first, end=end, product=product, now=clock.now(), allow_gaps=allow_gaps
    )
    layout = Layout.under(root)
    folder = folder_of(layout, asked, into)
    base = base_of(exchange, site, address)
    leave_root(folder)
    with shown_progress(context.obj) as tell:
        try:
            done = download(asked, folder, Means(base=base, clock=clock, tell=tell), funding=funding)
        except KeyboardInterrupt:
            raise TryLaterError("the download was stopped", hint=AGAIN) from None
    return reported(asked, done).asked(as_json=as_json)


def folder_of(layout: Layout, asked: Asked, into: Path | None) -> Path:
    """Where the files go.

    Raises:
        UsageError: for a place that evidence owns, or that is reached through a link.
    """
    if into is None:
        folder = layout.downloads / asked.name
        refuse_links_below(layout.downloads, folder)
        return folder
    folder = Path(os.path.abspath(into))  # noqa: PTH100  (resolve() would follow links)
    refuse_sealed_place(folder / "file", layout=layout)
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"--into {printable(str(into))} is not a directory", hint="name a directory")
    return folder


def leave_root(folder: Path) -> None:
    """Become the user that owns the downloads of a host, where root typed the command: its unit goes on with them."""
    if os.geteuid() != 0 or not folder.is_relative_to(SYSTEM_DOWNLOADS):
        return
    try:
        user = pwd.getpwnam(OWNER)
    except KeyError:
        return  # no host of the package
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def base_of(exchange: Exchange, site: str | None, address: str | None) -> str:
    """Scheme, host and port of the source: of the closed table, or of the loopback.

    Raises:
        UsageError: for anything else.
    """
    known = BASES[exchange]
    if address is not None:
        if site is not None:
            raise UsageError("--site and --address exclude each other", hint="name one")
        if not is_loopback(address):
            shown = printable(address, longest=100)
            raise UsageError(f"--address {shown!r} is not the loopback", hint=f"write it as {LOOPBACK_FORM}")
        return address
    name = next(iter(known)) if site is None else site
    if name not in known:
        raise UsageError(
            f"--site {printable(name, longest=40)!r}: {exchange} has no such site", hint=f"it has {', '.join(known)}"
        )
    return known[name]


@contextlib.contextmanager
def shown_progress(console: Console) -> Iterator[Any]:
    """A bar at a terminal, and the unit's STATUS under systemd."""
    drawn = Drawn(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"),
        TextColumn("{task.fields[size]}"), TimeElapsedColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip
    task = drawn.add_task("opening", total=None, size="")

    def tell(progress: Progress) -> None:
        size = f"{progress.bytes / (1 << 20):,.1f} MiB"
        drawn.update(task, description=progress.name, completed=progress.done, total=progress.of, size=size)
        _status(f"{progress.done} of {progress.of} files, {size}; next {progress.name}")

    with drawn:
        yield tell


def _status(sentence: str) -> None:
    """Tell systemd, where it listens; what it does not hear changes nothing."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if place[:1] not in {"/", "@"}:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.sendto(f"STATUS={sentence}".encode("ascii", "replace"), place.replace("@", "\0", 1))


def reported(asked: Asked, done: Done) -> Report:
    """What was downloaded, as data and as something to look at."""
    files, rates = [described(one) for one in done.bars], [described(one) for one in done.funding]
    everything = [*files, *rates]
    head = {
        "exchange": asked.exchange.value,
        "product": asked.product,
        "instrument": asked.instrument,
        "timeframe_s": asked.step_s,
        "folder": str(done.folder),
        "bars": sum(one["rows"] for one in files),
        "first_utc": files[0]["first_utc"],
        "last_utc": files[-1]["last_utc"],
        "fetched": sum(one["state"] == "fetched" for one in everything),
        "there": sum(one["state"] == "there" for one in everything),
        "checksums": sum(one["published_sha256"] is not None for one in everything),
        "bytes": sum(one["bytes"] for one in everything),
        "terms": TERMS[asked.exchange],
    }
    data = {**head, "files": files, "funding": rates, "said": done.said}
    sheets = [table("files", _SHOWN, [[one[column] for column in _SHOWN] for one in everything])]
    more = f" --funding {done.folder}/funding" if rates else ""
    return Report(
        data,
        [
            facts(f"downloaded {asked.instrument}", head), *sheets, *(f"- {said}" for said in done.said),
            f"import it: prometheus-quant market import {done.folder} NAME{more}",
        ],
    )  # fmt: skip
