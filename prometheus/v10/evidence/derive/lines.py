"""The bytes that a death's, a birth's and a survivor's line must have, from derived values and the few asserted ones.

One comparison then holds a line to its closed set of fields, its spelling and everything that is derived. Standard
library only.
"""

from __future__ import annotations

from prometheus.v10.base.names import Schema

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

    def death(
        self, tick: int, ts_utc: str, agent: int, parent: int, sha256: str, born: int, together: str, initial: float,
        final: float, period: float, trades: int, wins: int, fees: float, funding: float, slippage: float,
        side: str, signal: float, fences: str,
    ) -> str:  # fmt: skip
        """One line of ``death_events.jsonl``; texts are plain ASCII, and ``side`` has its quotes."""
        held = side != FLAT_SIDE
        return (
            f'{{"age_ticks":{tick - (born if born > 0 else 0) + 1},"agent_id":"{self.agent}{agent:06d}{self._dies}'
            f'{born}{together}{fees!r},"fence_block_rate_summary":{fences},"final_capital":{final!r},'
            f'"funding_paid":{funding!r},"genome_index":{agent},"genome_sha256":"{sha256}",'
            f'"has_position":{"true" if held else "false"},"initial_capital":{initial!r},"last_signal":{signal!r},'
            f'"null_reasons":{NULLS[parent < 0, not held]},"parent_id":{self._parent(parent)},'
            f'"position_side":{side},"roi_lifetime":{final / initial - 1.0!r},'
            f'"roi_period":{final / period - 1.0!r}{self._of_death}{slippage!r},'
            f'"state_final":"{"IN_MARKET" if held else "OUT_MARKET"}","tick":{tick},"trades":{trades},'
            f'"ts_basis":"market","ts_utc":"{ts_utc}","wins":{wins}}}\n'
        )

    def birth(
        self, tick: int, ts_utc: str, agent: int, parent: int, founder: int, sha256: str, parent_sha256: str,
        mutated: int, stake: float, roi: float,
    ) -> str:  # fmt: skip
        """One line of ``birth_events.jsonl``."""
        return (
            f'{{"agent_id":"{self.agent}{agent:06d}",{self._arm},{self._experiment},'
            f'"founder_id":"{self.agent}{founder:06d}","genome_index":{agent},"genome_sha256":"{sha256}",'
            f'"initial_capital":{stake!r},"mutated_loci":{mutated},"null_reasons":{{}},'
            f'"parent_genome_sha256":"{parent_sha256}","parent_id":{self._parent(parent)},'
            f'"parent_roi_period":{roi!r}{self._of_birth}{tick},"ts_basis":"market","ts_utc":"{ts_utc}"}}\n'
        )

    def survivor(
        self, tick: int, ts_utc: str, agent: int, parent: int, founder: int, sha256: str, born: int, initial: float,
        period: float, final: float, trades: int, wins: int, fees: float, funding: float, slippage: float,
        in_pool: bool,  # noqa: FBT001
    ) -> str:  # fmt: skip
        """One line of ``survivors.jsonl``."""
        return (
            f'{{"age_ticks":{tick - (born if born > 0 else 0) + 1},"agent_id":"{self.agent}{agent:06d}",{self._arm},'
            f'"birth_tick":{born},{self._experiment},"fees_paid":{fees!r},"final_capital":{final!r},'
            f'"founder_id":"{self.agent}{founder:06d}","funding_paid":{funding!r},"genome_index":{agent},'
            f'"genome_sha256":"{sha256}","in_pool":{"true" if in_pool else "false"},"initial_capital":{initial!r},'
            f'"null_reasons":{"{" + FOUNDER + "}" if parent < 0 else "{}"},"parent_id":{self._parent(parent)},'
            f'"period_capital":{period!r},"roi_lifetime":{final / initial - 1.0!r}{self._of_survivor}{slippage!r},'
            f'"tick":{tick},"trades":{trades},"ts_basis":"market","ts_utc":"{ts_utc}","wins":{wins}}}\n'
        )

    def _parent(self, parent: int) -> str:
        return f'"{self.agent}{parent:06d}"' if parent >= 0 else "null"
