"""One client's day at the venue: served where there is the loopback alone, driven, compared with the books."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attrs import define

from tests.venue.outsiders import environments
from tests.venue.outsiders.comparisons import COMPARISONS, Books, Claim
from tests.venue.outsiders.journal_reader import asked, entries, traded
from tests.venue.outsiders.loopback import Loopback, loopback_alone
from tests.venue.outsiders.served import serving

DRIVERS = Path(__file__).resolve().parent / "drivers"
IN_THE_PRODUCT = "python-okx"
"""The client that the product's own environment has."""
LARGE = ("nautilus", "freqtrade")
"""Clients whose environments are too large to be built for the tests alone."""
PRODUCTION = ("freqtrade",)
"""Clients that know no demo mode for this exchange."""
BATCHES = ("ccxt", "freqtrade")
"""Clients that send each order as a batch of one."""
SECONDS = 900
LIBRARIES = ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS")


@define(frozen=True)
class Outcome:
    """What became of a client's day: its version, claims that hold, and those that do not."""

    client: str
    version: str
    held: int
    broken: list[str]


def missing(client: str) -> str | None:
    """Why the client cannot run here; None where it can."""
    return None if client == IN_THE_PRODUCT else environments.missing(client)


def version_of(client: str) -> str:
    """The version of the client that is installed, or locked."""
    return version(client) if client == IN_THE_PRODUCT else environments.version_of(client)


def interpreter(client: str) -> str:
    """The interpreter of the client's environment."""
    return sys.executable if client == IN_THE_PRODUCT else str(environments.python_of(client))


def drive(client: str, asked: dict[str, str], loopback: Loopback) -> dict[str, Any]:
    """Run the client's driver inside; returns the record that it printed.

    Raises:
        RuntimeError: when the driver ended with an error, with the last line that it said.
    """
    driver = DRIVERS / f"drive_{client.replace('-', '_')}.py"
    command = loopback.command([interpreter(client), "-I", str(driver)])
    environment = {name: value for name, value in os.environ.items() if name not in LIBRARIES}
    ended = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=SECONDS, env=environment
    )
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines() or [f"ended {ended.returncode}"]
        raise RuntimeError(f"the driver failed: {said[-1][-500:]}")
    record: dict[str, Any] = json.loads(ended.stdout)
    return record


def _journal_claims(client: str, books: Books, uid: str, journal: Path) -> Iterator[Claim]:
    """The venue's journal, whole after it has ended, beside the books."""
    found = entries(journal)
    yield "the journal's trades are the books'", traded(found, set(books.orders)), {f["tradeId"] for f in books.fills}
    path = "/api/v5/trade/batch-orders" if client in BATCHES else "/api/v5/trade/order"
    placed = sum(bool(order["clOrdId"]) for order in books.orders.values())
    yield "the journal has every order that was sent", asked(found, uid, "POST", path) >= placed > 0, True


def trade(client: str, place: Path) -> Outcome:
    """Serve a venue, let the client trade on it, and compare what both say."""
    environment = "live" if client in PRODUCTION else "demo"
    with loopback_alone() as loopback, serving(place, loopback) as venue:
        assert loopback.interfaces() == ["lo"]
        key = venue.key(environment, "sub1")
        asking = {"url": venue.url, "demo": "1" if environment == "demo" else "0", "instrument": "BTC-USDT-SWAP", **key}
        try:
            seen = drive(client, asking, loopback)
        except RuntimeError as error:
            return Outcome(client, version_of(client), 0, [str(error)])
        books = Books.of(venue.client(environment, "sub1"))
        claims = list(COMPARISONS[client](seen, books))
        uid = books.trader.client.get("account/config").data[0]["uid"]
    claims += _journal_claims(client, books, uid, venue.journal)
    broken = [
        f"{claim}: {theirs!r} was said, {ours!r} is on the books" for claim, theirs, ours in claims if theirs != ours
    ]
    return Outcome(client, str(seen["version"]), len(claims) - len(broken), broken)
