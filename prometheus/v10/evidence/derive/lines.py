"""The bytes that a death's, a birth's and a survivor's line must have, from derived values and the few asserted ones.

One comparison then holds a line to its closed set of fields, its spelling and everything that is derived. Standard
library only.
"""

from __future__ import annotations

from typing import NamedTuple

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.derive.asserted import Born, Died, Survived

REASONS = {
    "quarterly_review": "lifecycle review: period ROI below the death threshold",
    "capital_depleted": "exchange: flat and not able to margin the smallest order",
    "liquidation": "exchange: margin below maintenance within the bar",
    "unknown": "no rule of the world named a reason",
}
FOUNDER = '"parent_id":"founder: drawn, not born"'
FLAT = '"position_side":"flat: no position"'
NO_API = '"api_error_count_so_far":"offline: there is no exchange API to fail"'
NULLS = {
    (founder, flat): "{" + ",".join([NO_API, *[FOUNDER] * founder, *[FLAT] * flat]) + "}"
    for founder in (False, True)
    for flat in (False, True)
}
FLAT_SIDE = "null"
"""``position_side`` of who died flat, as a line spells it."""


class Life(NamedTuple):
    """What is derived of an agent when its line is spelt; ``parent`` is -1 for founders, ``born`` then -1 too."""

    parent: int
    founder: int
    born: int
    initial: float
    period: float
    sha256: str


class Frame:
    """What the lines of one experiment have in common."""

    def __init__(self, run_id: str, experiment: int, seed: int, arm: str) -> None:
        self.agent = f"e{experiment:04d}a"
        self._arm, self._experiment = f'"arm":"{arm}"', f'"experiment":{experiment}'
        self._dies = f'","api_error_count_so_far":null,{self._arm},"birth_tick":'
        self._of_death = f',"run_id":"{run_id}","schema":"{Schema.DEATH.value}","seed":{seed},"slippage_paid":'
        self._of_birth = f',"run_id":"{run_id}","schema":"{Schema.BIRTH.value}","seed":{seed},"tick":'
        self._of_survivor = f',"run_id":"{run_id}","schema":"{Schema.SURVIVOR.value}","seed":{seed},"slippage_paid":'

    def together(self, allocated: float, reserve: float, reason: str) -> str:
        """What those who died at once for one reason share, from their capital to their experiment."""
        return (
            f',"capital_triplet":{{"allocated_capital":{allocated!r},"current_total":{allocated + reserve!r},'
            f'"system_reserve":{reserve!r}}},"death_reason":"{reason}","death_reason_source":"{REASONS[reason]}",'
            f'{self._experiment},"fees_paid":'
        )

    def death(self, row: Died, close: str, life: Life, together: str, fences: str) -> str:
        """One line of ``death_events.jsonl``; ``close`` and ``fences`` are as they are spelt."""
        tick, agent, side, final = row.tick, row.agent, row.side, row.final
        parent, _, born, initial, period, sha256 = life
        held = side != FLAT_SIDE
        return (
            f'{{"age_ticks":{tick - (born if born > 0 else 0) + 1},"agent_id":"{self.agent}{agent:06d}{self._dies}'
            f'{born}{together}{row.fees!r},"fence_block_rate_summary":{fences},"final_capital":{final!r},'
            f'"funding_paid":{row.funding!r},"genome_index":{agent},"genome_sha256":"{sha256}",'
            f'"has_position":{"true" if held else "false"},"initial_capital":{initial!r},"last_signal":{row.signal!r},'
            f'"null_reasons":{NULLS[parent < 0, not held]},"parent_id":{self._parent(parent)},'
            f'"position_side":{side},"roi_lifetime":{final / initial - 1.0!r},'
            f'"roi_period":{final / period - 1.0!r}{self._of_death}{row.slippage!r},'
            f'"state_final":"{"IN_MARKET" if held else "OUT_MARKET"}","tick":{tick},"trades":{row.trades},'
            f'"ts_basis":"market","ts_utc":"{close}","wins":{row.wins}}}\n'
        )

    def birth(self, row: Born, close: str, agent: int, life: Life, parent_sha256: str, roi: float) -> str:
        """One line of ``birth_events.jsonl``; ``life`` is the child's."""
        return (
            f'{{"agent_id":"{self.agent}{agent:06d}",{self._arm},{self._experiment},'
            f'"founder_id":"{self.agent}{life.founder:06d}","genome_index":{agent},"genome_sha256":"{life.sha256}",'
            f'"initial_capital":{life.initial!r},"mutated_loci":{row.mutated},"null_reasons":{{}},'
            f'"parent_genome_sha256":"{parent_sha256}","parent_id":{self._parent(life.parent)},'
            f'"parent_roi_period":{roi!r}{self._of_birth}{row.tick},"ts_basis":"market","ts_utc":"{close}"}}\n'
        )

    def survivor(self, row: Survived, tick: int, close: str, life: Life, *, in_pool: bool) -> str:
        """One line of ``survivors.jsonl``; ``tick`` is the experiment's last."""
        agent, final = row.agent, row.final
        parent, founder, born, initial, period, sha256 = life
        return (
            f'{{"age_ticks":{tick - (born if born > 0 else 0) + 1},"agent_id":"{self.agent}{agent:06d}",{self._arm},'
            f'"birth_tick":{born},{self._experiment},"fees_paid":{row.fees!r},"final_capital":{final!r},'
            f'"founder_id":"{self.agent}{founder:06d}","funding_paid":{row.funding!r},"genome_index":{agent},'
            f'"genome_sha256":"{sha256}","in_pool":{"true" if in_pool else "false"},"initial_capital":{initial!r},'
            f'"null_reasons":{"{" + FOUNDER + "}" if parent < 0 else "{}"},"parent_id":{self._parent(parent)},'
            f'"period_capital":{period!r},"roi_lifetime":{final / initial - 1.0!r}{self._of_survivor}{row.slippage!r},'
            f'"tick":{tick},"trades":{row.trades},"ts_basis":"market","ts_utc":"{close}","wins":{row.wins}}}\n'
        )

    def _parent(self, parent: int) -> str:
        return f'"{self.agent}{parent:06d}"' if parent >= 0 else "null"
