"""A trading process that is killed at random moments: each restart finds the truth, and nothing was sent twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from prometheus.v10.execution.orders.client_ids import is_ours
from prometheus.v10.execution.truth.stop_reasons import TradingState
from tests.execution.session import BEGUN_ELSEWHERE, Session

KILLS = int(os.environ.get("PQ_SESSION_KILLS", "5"))
"""How often the process is killed; a long run sets more."""
PROGRAM = f"""
{BEGUN_ELSEWHERE}
driver.start()
print("started", flush=True)
tick = max([life.intent["tick"] for life in driver.chain.states.orders.values()], default=0)
while True:
    tick += 1
    driver.trade(tick, (tick * 7) % 23 - 11)
    venue.pause(1)
"""


def test_kills_at_random_moments_end_in_the_truth(venue, tmp_path, fake_clock):
    rng = random.Random(0)
    place = json.dumps({"said": venue.said, "socket": str(venue.socket), "folder": str(tmp_path), "run": "HF_killed"})
    bars = 0
    for _ in range(KILLS):
        running = subprocess.Popen([sys.executable, "-c", PROGRAM, place], stdout=subprocess.PIPE, text=True)
        try:
            if running.stdout.readline() != "started\n":
                pytest.fail("the session did not start")
            time.sleep(rng.uniform(0.0, 1.5))
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait(60)
            running.stdout.close()
        session = Session(venue, tmp_path, fake_clock, "HF_killed")
        session.open_chain(on_torn=lambda _: None)
        driver = session.driver()
        look = driver.start()
        assert (look.findings, driver.gate.state, driver.gate.reasons) == ((), TradingState.ACTIVE, ())
        assert look.position_lots == driver.position_lots
        assert driver.chain.states.open_orders() == []
        bars = len(driver.chain.states.orders)
        session.end()
        venue.pause(6)
    sent = Counter(json.loads(one["body"])["clOrdId"] for one in venue.requests())
    assert max(sent.values()) == 1
    assert all(is_ours(one) for one in sent)
    assert bars >= 1
