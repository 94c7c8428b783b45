"""A session on the practice venue: an opened account, its chain and a driver, made anew as a restart would."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from prometheus.v10.base.files import FILES, Files
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import Artifact
from prometheus.v10.execution.opening.account_plan import AccountPlan
from prometheus.v10.execution.opening.bring_to_nothing import Opener
from prometheus.v10.execution.orders.order_chain import OrderChain
from prometheus.v10.execution.orders.order_states import FLATTEN_BEFORE
from prometheus.v10.execution.ports.order_terms import MarginMode, StpMode
from prometheus.v10.execution.trading.bar_driver import BarDriver
from tests.callbacks import never
from tests.execution.practice import BTC, PracticeVenue

BEGUN_ELSEWHERE = """\
import json, sys
from pathlib import Path
from prometheus.v10.base.clock import SystemClock
from tests.execution.practice import Disturbed
from tests.execution.session import Session

place = json.loads(sys.argv[1])
venue = Disturbed(place["said"], Path(place["socket"]))
session = Session(venue, Path(place["folder"]), SystemClock(), place["run"])
session.open_chain(on_torn=lambda _: None)
driver = session.driver()
"""
"""How a program that is to be killed begins a session; its first argument says where."""


def plan(**more) -> AccountPlan:
    known = {
        "mode": Mode.OKX_DEMO, "inst_id": BTC, "currency": "USDT", "margin_mode": MarginMode.CROSS,
        "leverage": Decimal(3), "stp_mode": StpMode.CANCEL_MAKER, "tag": "", "clock_tolerance_ms": 1000,
        "flatten_at_start": True, "expire_after_ms": 5000, "least_agents": 1, "most_agents": 1000,
    }  # fmt: skip
    return AccountPlan(**{**known, **more})


class Session:
    """See the module; ``run`` names the run, so that each test has client ids of its own."""

    def __init__(self, venue: PracticeVenue, folder: Path, clock, run: str, *, who: str = "demo main", **more) -> None:
        self.venue, self.folder, self.clock, self.run, self.who = venue, folder, clock, run, who
        self.plan = plan(**more)
        self.calls: list = []
        self.chain: OrderChain | None = None

    def open_chain(self, files: Files = FILES, on_torn=never) -> OrderChain:
        self.chain = OrderChain(self.folder / Artifact.ORDER_CHAIN, clock=self.clock, on_torn=on_torn, files=files)
        return self.chain

    def opener(self) -> Opener:
        port = self.venue.port(who=self.who, sink=self.calls.append)
        chain = self.chain or self.open_chain()
        return Opener(port, chain, self.plan, self.run, self.venue.now_ms, self.venue.pause)

    def driver(self, files: Files = FILES) -> BarDriver:
        """A driver on an opened account; the account is opened when the chain is new."""
        chain = self.chain or self.open_chain(files)
        port = self.venue.port(who=self.who, sink=self.calls.append)
        if chain.states.opening is None:
            Opener(port, chain, self.plan, self.run, self.venue.now_ms, self.venue.pause).open()
        instrument = port.instrument(BTC)
        return BarDriver(port, chain, self.plan, self.run, instrument, self.venue.now_ms, self.venue.pause)

    def end(self) -> None:
        """As a process ends: the chain's file and lock go, nothing is written."""
        if self.chain is not None:
            self.chain.close()
        self.chain = None

    def sends(self) -> list[dict]:
        """Requests that place an order of this session's bars, by the venue's own journal."""
        lives = self.chain.states.orders.values()
        marks = [f'"{life.client_id}"' for life in lives if life.intent["purpose"] != FLATTEN_BEFORE]
        return [one for one in self.venue.requests() if any(mark in one["body"] for mark in marks)]
