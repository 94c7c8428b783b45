"""``venue serve|faults|journal verify``: an exchange of our own on the loopback, to practise on and to test against."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict, frozen

from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.errors import UsageError, host_error
from prometheus.v10.base.outputs import refuse_sealed_place
from prometheus.v10.base.paths import Layout
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.resolve import SYNTHETIC, MarketSpec, resolve_market
from prometheus.venue.exchange_world import World, WorldPlan, open_world
from prometheus.venue.faults.fault_catalogue import FAULTS
from prometheus.venue.faults.mischief_maker import MischiefMaker
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.journal_replay import Opening, opening_of, replay
from prometheus.venue.server.admin_server import Admin, serve_admin
from prometheus.venue.server.loopback_server import LoopbackServer, loopback
from prometheus.venue.server.venue_pace import Pace
from prometheus.venue.venue_journal import verify_file

FASTEST = 100_000.0
DAY_BARS = 1440
STDIN = 0
PIPE_BYTES = 1 << 16


@frozen(kw_only=True)
class Serving:
    """How a venue is served."""

    host: str
    port: int
    speed: float
    admin: Path | None
    journal: Path | None
    until_eof: bool
    as_json: bool


def bars_of(market: str, layout: Layout, *, seed: int, days: int, sha256: str | None = None) -> Bars:
    """Bars for a venue: minutes of the synthetic market with a day of history, or all of a stored one."""
    if market == SYNTHETIC:
        spec = MarketSpec(source=SYNTHETIC, timeframe_s=60, seed=seed, bars=DAY_BARS * (days + 1))
    else:
        spec = MarketSpec(source=market)
    return resolve_market(spec, layout.market, sha256)


def described(world: World, address: str) -> dict[str, Any]:
    """What a client needs to know: where the venue is, keys for demo and live, where its book stands."""
    keys = {
        f"{key.environment} {key.label}": {
            "key": key.key, "secret": key.secret, "passphrase": key.passphrase, "uid": key.uid,
            "permissions": list(key.permissions),
            "header": "x-simulated-trading: 1" if key.environment == "demo" else "",
        }
        for key in world.keys.values()
    }  # fmt: skip
    state = world.environments["demo"]
    book = {}
    for name, market in state.markets.items():
        px, depth = market.instrument.px, market.depth
        book[name] = {"bid": px(depth.best(1)), "ask": px(depth.best(-1)), "last": px(market.tape.quote.last),
                      "mark": px(market.reference.mark)}  # fmt: skip
    return {"address": address, "now_ms": world.now, "keys": keys, "book": book}


async def serve(world: World, how: Serving) -> None:
    """Serve until the process is told to stop; prints where, once it listens."""
    mischief = MischiefMaker(world)
    gate = Gate(world, mischief)
    pace = Pace(world, how.speed)
    server = LoopbackServer(gate, pace, how.host, how.port)
    port = await server.start()
    stopped = asyncio.Event()
    admin = None
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stopped.set)
    if how.until_eof:
        end_with_input(loop, stopped)
    try:
        if how.admin is not None:
            admin = await serve_admin(Admin(gate, mischief, pace, stopped.set), how.admin)
        address = loopback(how.host)
        _announce(world, f"http://{f'[{address}]' if ':' in address else address}:{port}", how)
        await server.until(stopped)
    finally:
        if admin is not None:
            admin.close()
        await server.stop()


def end_with_input(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Stop once standard input ends. Its other end is closed by whoever holds it, or by the kernel when that is gone.

    Raises:
        UsageError: when standard input cannot be waited for.
    """

    def read() -> None:
        if not os.read(STDIN, PIPE_BYTES):
            loop.remove_reader(STDIN)
            stopped.set()

    try:
        loop.add_reader(STDIN, read)
    except OSError as error:
        raise UsageError(
            f"--until-eof: standard input cannot be waited for ({error.strerror})", hint="give it a pipe or a terminal"
        ) from error


def _announce(world: World, address: str, how: Serving) -> None:
    data = {**described(world, address), "admin": None if how.admin is None else str(how.admin.absolute())}
    if how.as_json:
        typer.echo(json.dumps({**data, "schema": "venue_serve/1"}, sort_keys=True))
    else:
        typer.echo(f"venue at {address}; Ctrl-C ends it")
        for name in ("demo main", "live main"):
            one = data["keys"][name]
            typer.echo(f"{name}: key {one['key']} secret {one['secret']} passphrase {one['passphrase']}")
        for inst_id, one in data["book"].items():
            typer.echo(f"{inst_id}: bid {one['bid']} ask {one['ask']} last {one['last']} mark {one['mark']}")


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("An exchange of our own on the loopback: OKX's v5 interface, demo and live, no key of yours needed.")
journals = group("The venue's own journal of requests, trades and faults.")
app.add_typer(journals, name="journal")
SERVE_EXAMPLES = examples("venue serve", "venue serve --step --port 8765 --journal venue.jsonl --json")


@app.command("serve", epilog=SERVE_EXAMPLES)
def serve_command(
    *,
    root: Root = DEFAULT_ROOT,
    market: Annotated[str, typer.Option(help="Synthetic, a stored market's name, or a file of bars.")] = SYNTHETIC,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the market, the book and the keys.")] = 0,
    days: Annotated[int, typer.Option(min=1, help="Days of the synthetic market.")] = 7,
    host: Annotated[str, typer.Option(help="Address of the loopback.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    speed: Annotated[float, typer.Option(min=1.0, max=FASTEST, help="Seconds of the venue for a real one.")] = 1.0,
    step: Annotated[bool, typer.Option("--step", help="Time passes only by steps over the admin socket.")] = False,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="Do not limit request rates.")] = False,
    admin: Annotated[
        Path | None, typer.Option(metavar="SOCKET", help="Unix socket for steps, speed, faults and dumps.")
    ] = None,
    journal: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the journal there.")] = None,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", help="End when standard input ends: whoever started it is gone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the exchange until Ctrl-C; print its address, a key pair for demo and one for live, and the book."""
    loopback(host)
    layout = Layout.under(root)
    for place in (admin, journal):
        if place is not None:
            refuse_sealed_place(place, layout=layout)
    if step and speed != 1.0:
        raise UsageError("--step and --speed exclude each other", hint="leave one out")
    bars = bars_of(market, layout, seed=seed, days=days)
    start = None if step else time.time_ns() // 1_000_000
    world = open_world(WorldPlan(bars=[bars], seed=seed, start_ms=start, limits=not unlimited))
    if not step:
        world.advance(time.time_ns() // 1_000_000)
    how = Serving(
        host=host, port=port, speed=0.0 if step else speed, admin=admin, journal=journal, until_eof=until_eof,
        as_json=as_json,
    )  # fmt: skip
    if journal is None:
        asyncio.run(serve(world, how))
        return
    try:
        stream = journal.open("xb")
    except OSError as error:
        raise host_error(error, f"cannot begin the journal {journal}") from error
    with stream:
        for line in world.journal.tail:
            stream.write(line)
        world.journal.stream = stream
        asyncio.run(serve(world, how))


@app.command("faults", epilog=examples("venue faults --json"))
def faults_command(*, as_json: AsJson = False) -> Report:
    """List everything that the venue can do wrong on purpose; the admin socket injects it."""
    rows = [(one.id, one.stage, " ".join(f"{key}={value}" for key, value in one.arguments.items()), one.about)
            for one in FAULTS]  # fmt: skip
    data = {"faults": [asdict(one) for one in FAULTS]}
    return Report(data, [table("faults", ("id", "stage", "arguments", "what happens"), rows)]).asked(as_json=as_json)


def bars_again(market: str, layout: Layout, opening: Opening) -> Bars:
    """The bars that a journal's venue played; of the synthetic market as its seed and length say."""
    if market != SYNTHETIC:
        return bars_of(market, layout, seed=0, days=0, sha256=opening.bars[0])
    spec = MarketSpec(source=SYNTHETIC, timeframe_s=60, seed=opening.seed, bars=opening.rows[0])
    return resolve_market(spec, layout.market)


@journals.command(
    "verify", epilog=examples("venue journal verify venue.jsonl", "venue journal verify a.jsonl --replay")
)
def verify_command(
    place: Annotated[Path, typer.Argument(metavar="FILE", help="A journal that serve wrote.")],
    *,
    root: Root = DEFAULT_ROOT,
    again: Annotated[bool, typer.Option("--replay", help="Do everything again and compare every line.")] = False,
    market: Annotated[str, typer.Option(help="Market that the venue played, for --replay.")] = SYNTHETIC,
    as_json: AsJson = False,
) -> Report:
    """Follow the hash chain of a journal, and replay it if asked; exit 0 only if every line is as it should be."""
    found = verify_file(place)
    data = {"file": str(place), "entries": found.entries, "last_hash": found.last, "kinds": found.kinds}
    if again:
        data["replayed"] = replay(place, [bars_again(market, Layout.under(root), opening_of(place))])
    rows = sorted(found.kinds.items())
    said = f"{place}: the chain holds" + (", and every line comes out again" if again else "")
    head = facts(said, {"entries": found.entries, "last hash": found.last})
    return Report(data, [head, table("entries", ("kind", "count"), rows)]).asked(as_json=as_json)
