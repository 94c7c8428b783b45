"""Random pairs of faults during bars: nothing sent twice, nothing lost, nothing invented, or halted with a reason."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from prometheus.v10.execution.orders.order_chain import followed
from prometheus.v10.execution.truth.stop_reasons import TradingState
from tests.execution.practice import BTC
from tests.execution.session import Session

ORDER, FILLS = "/api/v5/trade/order", "/api/v5/trade/fills"
FAULTS: list[tuple[str, str, int]] = [
    *((f"{done}.{face}", ORDER, 1) for done in ("accepted", "refused") for face in
      ("reset", "50004", "502", "504", "empty", "cut", "length")),
    ("client_id.remembered", ORDER, 1), ("load.50011", ORDER, 1), ("load.50011_200", ORDER, 1),
    ("load.50013", ORDER, 1), ("load.50026", ORDER, 1), ("load.50001", ORDER, 2), ("load.50061", ORDER, 1),
    ("time.expired", ORDER, 1), ("time.expired_later", ORDER, 1), ("time.50102", "", 1), ("lie.fills_late", FILLS, 3),
    ("lie.positions_empty", "account/positions", 1), ("lie.positions_stale", "account/positions", 1),
    ("lie.balance", "account/balance", 1), ("lie.order_unknown", "orders-pending", 1),
    ("double.fill", FILLS, 2), ("double.fill_new_bill", FILLS, 2), ("double.terminal", "orders-history", 1),
    ("order.fills_shuffled", FILLS, 2), ("order.state_before_fill", FILLS, 2), ("page.hole", FILLS, 1),
    ("page.repeated", FILLS, 1), ("page.short", FILLS, 2), ("page.limit_ignored", FILLS, 2),
    ("load.50026", "account/bills", 2), ("accepted.cut", FILLS, 1), ("accepted.502", "orders-history", 2),
]  # fmt: skip
PAIRS = int(os.environ.get("PQ_FAULT_PAIRS", "8"))
"""How many pairs are drawn; a long run sets more."""


@pytest.mark.parametrize("seed", range(PAIRS))
def test_a_pair_of_faults_ends_in_the_truth_or_in_a_halt_with_a_reason(venue, tmp_path, fake_clock, seed):
    rng = random.Random(seed)
    session = Session(venue, tmp_path, fake_clock, f"HF_pair{seed}")
    driver = session.driver()
    targets = [rng.randint(-20, 20) for _ in range(3)]
    driver.trade(1, targets[0])
    for fault, path, count in rng.sample(FAULTS, 2):
        venue.inject(fault, path or ORDER, count=count)
    driver.trade(2, targets[1])
    venue.clear()
    session.end()  # a restart, so that what was left open is asked for
    driver = session.driver()
    look = driver.start()
    halted = driver.gate.state is not TradingState.ACTIVE
    assert driver.gate.reasons if halted else look.findings == ()
    assert driver.chain.states.open_orders() == []
    held = sum(one.lots for one in driver.port.positions() if one.inst_id == BTC)
    assert held == driver.position_lots == followed(driver.chain.path).position(BTC)
    sent = Counter(one["body"] for one in session.sends())
    assert max(sent.values(), default=0) <= 1
    bar = driver.trade(3, targets[2])
    if halted:
        assert bar.order is None
    else:
        assert (bar.position_lots, bar.look.findings) == (targets[2], ())
    session.end()


def test_no_packet_goes_to_another_host(venue, tmp_path, fake_clock, monkeypatch):
    """Names are not asked for, and each connection is to the venue's own port, over a bar that goes wrong."""
    import socket

    reached, connect = [], socket.socket.connect

    def watched(self, address):
        reached.append(address)
        return connect(self, address)

    def asked(*names, **_):
        if names[0] not in {"127.0.0.1", b"127.0.0.1"}:
            pytest.fail(f"asked for the address of {names[0]}")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (names[0], names[1]))]

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.7:3128")
    monkeypatch.setattr(socket.socket, "connect", watched)
    monkeypatch.setattr(socket, "getaddrinfo", asked)
    session = Session(venue, tmp_path, fake_clock, "HF_hosts")
    driver = session.driver()
    venue.inject("accepted.reset", ORDER, count=1)
    assert driver.trade(1, 3).position_lots == 3
    session.end()
    port = int(venue.address.rpartition(":")[2])
    tcp = {one for one in reached if isinstance(one, tuple)}
    assert tcp == {("127.0.0.1", port)}
