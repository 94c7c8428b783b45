"""An instance that trades, on a host: READY after its bootstrap, its trail in the journal, its ends, and its network.

The exchange is our own, on the host's loopback, which pasta hands to the container's. `make host-test` does all of it;
``PQ_CUT_SECONDS`` says how long the network is away (10 by default).
"""

from __future__ import annotations

import json
import os
import time
from datetime import datetime

import pytest
from lab.exchange import INSTANCE, PORT, HostedVenue, Trader
from lab.host import SERVICE_USER
from lab.releases import another
from lab.stage import PATIENCE, Stage, passes_the_audit, wait_until

CUT_SECONDS = float(os.environ.get("PQ_CUT_SECONDS", "10"))
COMMAND = "prometheus-quant"
SECOND = 35
"""Of a minute, at the start: preflight and bootstrap take some ten seconds, and the first bar is over at the minute."""


@pytest.fixture
def trader(host):
    venue = HostedVenue(host)
    made = Trader(host, venue)
    try:
        with made.settings(made.SETTINGS):
            yield made
    finally:
        made.tidy()
        venue.close()


def events(stage: Stage, run_name: str | None = None) -> list[tuple[str, str]]:
    """Kind and reason of each event, in the order in which the journal has them."""
    entries = stage.journal() if run_name is None else stage.journal(f"PROMETHEUS_RUN_ID={run_name}")
    return [
        (one["PROMETHEUS_EVENT"], one.get("PROMETHEUS_REASON", "")) for one in entries if "PROMETHEUS_EVENT" in one
    ]


def with_a_position(trader: Trader) -> None:
    """Started, and holding something at the exchange after its first bar."""
    trader.venue.start_at(SECOND)
    trader.start()
    wait_until("it has a position", lambda: trader.venue.positions() != {})


def test_it_is_ready_after_its_bootstrap_trades_and_ends_flat_when_it_is_stopped(trader, host):
    with_a_position(trader)
    run = trader.own_runs()[-1]
    opening = next(line for line in trader.chain(run) if line["kind"] == "OPENING")
    (ready,) = trader.journal("PROMETHEUS_EVENT=service_ready", f"PROMETHEUS_INSTANCE={INSTANCE}")[-1:]
    assert datetime.fromisoformat(opening["ts_utc"]).timestamp() < int(ready["__REALTIME_TIMESTAMP"]) / 1e6
    pid = trader.processes()["python3"]
    assert "planted" not in host.shell(f"tr '\\0' '\\n' </proc/{pid}/environ")
    host.do(COMMAND, "stop", "--instance", INSTANCE, "--reason", "a drill")
    trader.wait_until_gone(60)
    assert (trader.show("Result"), trader.venue.positions()) == ("success", {})
    ended = trader.manifest(run)
    assert (ended["status"], ended["exchange"]["ended"]["positions"], ended["exchange"]["ended"]["reasons"]) == (
        "interrupted", "flat", ["STOP"],
    )  # fmt: skip
    assert trader.verify(run) == 0
    told = events(trader, run.name)
    assert [one for one in told if one[0] in {"run_started", "trading_state", "run_sealed"}] == [
        ("run_started", ""), ("trading_state", "STOP"), ("run_sealed", ""),
    ]  # fmt: skip
    trader.witnesses_agree(run)
    passes_the_audit(host)
