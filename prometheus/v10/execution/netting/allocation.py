"""Who gets how many lots: forced closes first, then shares in proportion, by largest remainders.

Leftover lots go to the largest remainders, and between equal ones by the hash of run, tick and agent. So the order in
which agents are listed plays no part, and no agent is favoured over many rounds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from prometheus.v10.execution.netting.crossing import Sides
from prometheus.v10.execution.netting.netting_terms import Delta, Force


def tie_break(run_id: str, tick: int, agent: int) -> bytes:
    """What settles equal remainders; the smaller goes first."""
    return hashlib.sha256(f"{run_id}:{tick}:{agent}".encode()).digest()


def proportional(lots: int, wants: Sequence[tuple[int, int]], tie: Callable[[int], bytes]) -> dict[int, int]:
    """Share ``lots`` over (agent, lots wanted), each at most what it wants, and within one lot of its exact share.

    Args:
        lots: not negative, at most what all want together.
        wants: agents, each once, with positive lots.
        tie: settles equal remainders.

    Raises:
        ValueError: when there are more lots than are wanted.
    """
    wanted = sum(want for _, want in wants)
    if not 0 <= lots <= wanted:
        raise ValueError(f"{lots} lots cannot be shared over wishes for {wanted}")
    if lots == wanted:
        return dict(wants)
    shares = {agent: lots * want // wanted for agent, want in wants}
    left = lots - sum(shares.values())
    if left:
        queue = sorted(((-(lots * want % wanted), tie(agent), agent) for agent, want in wants))
        for _, _, agent in queue[:left]:
            shares[agent] += 1
    return shares


def allocate(run_id: str, tick: int, deltas: Iterable[Delta], sides: Sides, filled: int) -> dict[int, int]:
    """Signed lots of every agent, in ascending order of agents.

    The light side gets all that it wants: it is crossed in full. The heavy side shares what was crossed and what the
    order brought.

    Args:
        run_id: with ``tick``, the key of ties.
        tick: of the bar.
        deltas: every agent's wish.
        sides: of these wishes.
        filled: lots that the net order brought, unsigned.
    """
    heavy = 1 if sides.net >= 0 else -1

    def tie(agent: int) -> bytes:
        return tie_break(run_id, tick, agent)

    wishes = sorted(deltas)
    found = {delta.agent: delta.lots if delta.lots * heavy < 0 else 0 for delta in wishes}
    left = sides.crossed + filled
    for first in (True, False):
        wants = [
            (delta.agent, abs(delta.lots))
            for delta in wishes
            if delta.lots * heavy > 0 and (delta.force != Force.NONE) == first
        ]
        got = proportional(min(left, sum(want for _, want in wants)), wants, tie)
        left -= sum(got.values())
        found.update({agent: heavy * lots for agent, lots in got.items()})
    if left:
        raise ValueError(f"{left} filled lots are more than the heavy side wanted")
    return found
