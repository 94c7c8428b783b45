"""Random streams of orders for two matchers: narrow prices, small sizes, few owners, so that everything meets."""

from __future__ import annotations

import random
from collections.abc import Iterator

from attrs import define

from tests.venue.oracles.reference_matcher import BUY, SELL, Order

KINDS = ("limit", "limit", "limit", "limit", "post_only", "ioc", "fok", "optimal_limit_ioc")
MODES = ("cancel_maker", "cancel_maker", "cancel_taker", "cancel_both")
MIDDLE, WIDTH = 1000, 6


@define(frozen=True)
class Place:
    """A new order."""

    order: Order


@define(frozen=True)
class Cancel:
    """A cancellation of an earlier order, resting or not."""

    identity: int


@define(frozen=True)
class Amend:
    """Another size and price for an earlier order, resting or not."""

    identity: int
    size: int
    price: int


Step = Place | Cancel | Amend


def _recent(dice: random.Random, known: int) -> int:
    """One of the latest orders, which may rest, or seldom any."""
    return dice.randint(1 if dice.random() < 0.1 else max(1, known - 10), known)


def stream(seed: int, steps: int = 80, owners: int = 3) -> Iterator[Step]:
    """The stream of a seed; identities count from 1."""
    dice = random.Random(seed)
    known = 0
    prices: dict[int, int] = {}
    for _ in range(steps):
        chance = dice.random()
        if known and chance < 0.12:
            yield Cancel(_recent(dice, known))
        elif known and chance < 0.27:
            identity, price = _recent(dice, known), MIDDLE + dice.randint(-WIDTH, WIDTH)
            if dice.random() < 0.6:
                price = prices[identity]
            prices[identity] = price
            yield Amend(identity, dice.randint(1, 9), price)
        else:
            known += 1
            kind, mode = dice.choice(KINDS), dice.choice(MODES)
            price = None if kind == "optimal_limit_ioc" else MIDDLE + dice.randint(-WIDTH, WIDTH)
            stp = "cancel_maker" if kind == "fok" and mode == "cancel_both" else mode
            prices[known] = price or MIDDLE
            side, size = dice.choice((BUY, SELL)), dice.randint(1, 9)
            yield Place(Order(known, dice.randrange(owners), side, kind, price, size, stp))
