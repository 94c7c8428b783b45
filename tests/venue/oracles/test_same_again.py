"""Same seed, bars, requests and steps: same answers byte for byte and same journal, in this process and in another."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

from tests.venue.oracles.conftest import opened

DAY = "from tests.venue.oracles.test_same_again import day; print(*day())"


def day() -> tuple[str, str]:
    """A busy half hour: digests of all answers and of the journal."""
    venue = opened()
    one, two = venue.trader("demo", "sub1"), venue.trader("demo", "sub2")
    answers = hashlib.sha256()
    for turn in range(30):
        price = one.far_below()
        said = [
            one.request("buy", "optimal_limit_ioc", 1 + turn % 5),
            two.request("sell", "post_only", 2, one.top()[1], clOrdId=f"d{turn}"),
            one.request("buy", "limit", 1, price),
            one.request("sell", "ioc", 2, price, reduceOnly=True),
            one.client.get("account/balance"),
            two.client.get("trade/orders-pending", instType="SWAP"),
            one.client.get("market/books", instId=one.instrument, sz=50),
            one.client.get("account/bills", limit=20),
        ]
        for answer in said:
            answers.update(answer.body)
        venue.step(61)
    return answers.hexdigest(), venue.world.journal.last


def test_the_same_day_comes_again():
    first = day()
    assert day() == first
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Shanghai", "LC_ALL": "C"}
    other = subprocess.run([sys.executable, "-c", DAY], env=environment, capture_output=True, text=True, check=True)
    assert tuple(other.stdout.split()) == first
