"""The venue's matching and the reference matcher agree on random streams, order by order and trade by trade.

PQ_ORDER_STREAMS says on how many; `make venue-outsiders` asks for 10 000.
"""

from __future__ import annotations

import os

import pytest

from tests.venue.oracles.order_streams import Amend, Cancel, Place, Step, stream
from tests.venue.oracles.reference_matcher import Order, ReferenceMatcher
from tests.venue.oracles.venue_core import STRANGERS, SUBS, VenueCore, one_market

STREAMS = int(os.environ.get("PQ_ORDER_STREAMS", "300"))
PARTS = 4


def refer(reference: ReferenceMatcher, step: Step) -> bool:
    match step:
        case Place(order):
            reference.place(order)
            return True
        case Cancel(identity):
            return reference.cancel(identity)
        case Amend(identity, size, price):
            return reference.amend(identity, size, price)


def uid(reference: ReferenceMatcher, identity: int) -> int:
    """The account that an order of the stream is given to; strangers have identities below 0."""
    return STRANGERS if identity < 0 else reference.orders[identity].owner * 10 + identity % SUBS


def agree(seed: int, venue: VenueCore) -> ReferenceMatcher:
    """Hold both matchers to each other over one stream, step by step."""
    reference = ReferenceMatcher()
    for at, (side, price, lots) in enumerate(venue.crowd() if venue.crowded else (), 1):
        reference.place(Order(-at, STRANGERS, side, "limit", price, lots))
    for at, step in enumerate(stream(seed)):
        done, expected = venue.apply(step), refer(reference, step)
        assert done == expected, f"stream {seed}, step {at}: {step}"
        for identity, order in reference.orders.items():
            if identity > 0:
                ours = (order.state, order.filled, order.source)
                assert venue.seen(identity) == ours, f"stream {seed}, step {at}: {step}: order {identity}"
    traded = [(uid(reference, t.maker), uid(reference, t.taker), t.price, t.size) for t in reference.trades]
    assert venue.trades() == traded, f"stream {seed}"
    assert reference.conserved()
    venue.check()
    return reference


@pytest.mark.parametrize("part", range(PARTS))
def test_both_matchers_agree(part):
    state = one_market()
    for seed in range(part * STREAMS // PARTS, (part + 1) * STREAMS // PARTS):
        agree(seed, VenueCore(state))


def test_both_matchers_agree_among_strangers():
    """Clients queue behind what strangers show, and takers eat both."""
    state, among, between = one_market(), 0, 0
    for seed in range(STREAMS // 4):
        for trade in agree(seed, VenueCore(state, crowded=True)).trades:
            among += trade.maker < 0
            between += trade.maker > 0
    assert min(among, between) > STREAMS // 4
