"""Nothing is made and nothing is lost: contracts and money of an environment add up to what was paid in, exactly."""

from __future__ import annotations

from prometheus.venue.floor.trading import Trading


def imbalance(state: Trading) -> dict[str, int]:
    """What does not add up: contracts by instrument, and money in pico-USDT; empty when everything does.

    Clients' and strangers' positions cancel out. Clients' cash and margins, less what their positions cost, plus what
    strangers paid, plus fees, funding and the insurance fund of the venue, is what was deposited.
    """
    other = state.books.other
    contracts = dict(other.pos)
    money = other.flow + other.fees + other.insurance + other.funding - other.deposits
    for account in state.accounts.values():
        money += account.cash
        for position in account.positions.values():
            inst = position.instrument
            contracts[inst.inst_id] = contracts.get(inst.inst_id, 0) + position.pos
            money += position.margin - position.cost * inst.unit
        if account.bills and account.bills[-1].bal != account.cash:
            return {f"cash of {account.uid}": account.cash - account.bills[-1].bal}
    wrong = {name: left for name, left in contracts.items() if left}
    return wrong | ({"money": money} if money else {})


def check(state: Trading) -> None:
    """Fail loudly when something does not add up: the venue itself is wrong then.

    Raises:
        AssertionError: with what is out of balance.
    """
    wrong = imbalance(state)
    if wrong:
        raise AssertionError(f"{state.name} at {state.now}: out of balance: {wrong}")
