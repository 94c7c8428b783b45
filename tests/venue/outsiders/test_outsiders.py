"""Clients that this project did not write trade on the venue, unmodified, where there is nothing but the loopback.

python-okx runs always, ccxt where its environment is built, the large ones when PQ_OUTSIDERS_ALL is set
(`make venue-outsiders` builds them all and prints a table).
"""

from __future__ import annotations

import os

import pytest

from tests.venue.outsiders.comparisons import COMPARISONS
from tests.venue.outsiders.loopback import loopback_alone, unavailable
from tests.venue.outsiders.trading import LARGE, missing, trade, version_of


def needs_namespace() -> None:
    reason = unavailable()
    if reason is not None:
        pytest.skip(reason)


def test_the_namespace_has_the_loopback_alone():
    needs_namespace()
    import socket

    def reach() -> str:
        with socket.socket() as probe:
            probe.settimeout(5)
            try:
                probe.connect(("192.0.2.1", 443))
            except OSError as error:
                return type(error).__name__
        return "connected"

    with loopback_alone() as loopback:
        assert loopback.interfaces() == ["lo"]
        assert loopback.run(reach) == "OSError"


@pytest.mark.parametrize("client", COMPARISONS)
def test_a_client_and_the_books_say_the_same(client, tmp_path):
    needs_namespace()
    if client in LARGE and not os.environ.get("PQ_OUTSIDERS_ALL"):
        pytest.skip(f"{client} is large; make venue-outsiders runs it")
    reason = missing(client)
    if reason is not None:
        pytest.skip(reason)
    outcome = trade(client, tmp_path)
    assert outcome.broken == []
    assert outcome.version == version_of(client)
    assert outcome.held > 20
