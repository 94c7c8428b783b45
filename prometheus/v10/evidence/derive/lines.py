"""The bytes that a death's, a birth's and a survivor's line must have, from derived values and the few asserted ones.

One comparison then holds a line to its closed set of fields, its spelling and everything that is derived. Standard
library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
NOBODY = "null"
"""``parent_id`` of a founder, as a line spells it."""
_ORPHAN = "{" + FOUNDER + "}"
FLAT_SIDE = "null"
"""``position_side`` of who died flat, as a line spells it."""


Life = tuple[str, str, str, int, int, str, str, str, str]
"""What is derived of an agent when its line is spelt: its name, its parent, the name of its founder, age, tick of birth
(-1 for founders), initial capital, return over its life, return or capital of the period, genome.

Texts are as a line spells them, without quotes where all lines put some around."""


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

    def deaths(
        self, rows: Sequence[Died], lives: Sequence[Life], close: str, together: Mapping[str, str], fences: str
    ) -> list[str]:
        """The lines of those who died at once; ``together`` is by reason, ``close`` and ``fences`` are as spelt."""
        dies, of_death = self._dies, self._of_death
        return [
            f'{{"age_ticks":{age},"agent_id":"{name}{dies}{born}{together[reason]}{fees!r},'
            f'"fence_block_rate_summary":{fences},"final_capital":{final!r},'
            f'"funding_paid":{funding!r},"genome_index":{agent},"genome_sha256":"{sha256}",'
            f'"has_position":{"false" if side == FLAT_SIDE else "true"},"initial_capital":{initial},'
            f'"last_signal":{signal!r},"null_reasons":{NULLS[parent == NOBODY, side == FLAT_SIDE]},'
            f'"parent_id":{parent},"position_side":{side},"roi_lifetime":{lifetime},"roi_period":{period}'
            f'{of_death}{slippage!r},"state_final":"{"OUT_MARKET" if side == FLAT_SIDE else "IN_MARKET"}",'
            f'"tick":{tick},"trades":{trades},"ts_basis":"market","ts_utc":"{close}","wins":{wins}}}'
            for (
                (_, _, tick, _, agent, reason, _, fees, _, final, funding, _, signal, side, slippage, trades, _, wins),
                (name, parent, _, age, born, initial, lifetime, period, sha256),
            ) in zip(rows, lives, strict=True)
        ]

    def birth(self, row: Born, close: str, agent: int, life: Life, parent_sha256: str) -> str:
        """One line of ``birth_events.jsonl``; ``life`` is the child's, with its parent's return."""
        name, parent, founder, _, born, initial, _, period, sha256 = life
        return (
            f'{{"agent_id":"{name}",{self._arm},{self._experiment},'
            f'"founder_id":"{founder}","genome_index":{agent},"genome_sha256":"{sha256}",'
            f'"initial_capital":{initial},"mutated_loci":{row.mutated},"null_reasons":{{}},'
            f'"parent_genome_sha256":"{parent_sha256}","parent_id":{parent},'
            f'"parent_roi_period":{period}{self._of_birth}{born},"ts_basis":"market","ts_utc":"{close}"}}'
        )

    def survivors(
        self, rows: Sequence[Survived], lives: Sequence[Life], tick: int, close: str, pooled: Sequence[bool]
    ) -> list[str]:
        """Lines of ``survivors.jsonl``; ``tick`` is the experiment's last."""
        arm, experiment, of_survivor = self._arm, self._experiment, self._of_survivor
        return [
            f'{{"age_ticks":{age},"agent_id":"{name}",{arm},"birth_tick":{born},{experiment},"fees_paid":{fees!r},'
            f'"final_capital":{final!r},"founder_id":"{founder}","funding_paid":{funding!r},"genome_index":{agent},'
            f'"genome_sha256":"{sha256}","in_pool":{"true" if in_pool else "false"},"initial_capital":{initial},'
            f'"null_reasons":{_ORPHAN if parent == NOBODY else "{}"},"parent_id":{parent},'
            f'"period_capital":{period},"roi_lifetime":{lifetime}{of_survivor}{slippage!r},'
            f'"tick":{tick},"trades":{trades},"ts_basis":"market","ts_utc":"{close}","wins":{wins}}}'
            for (
                (_, _, agent, fees, final, funding, _, slippage, trades, _, wins),
                (name, parent, founder, age, born, initial, lifetime, period, sha256),
                in_pool,
            ) in zip(rows, lives, pooled, strict=True)
        ]
