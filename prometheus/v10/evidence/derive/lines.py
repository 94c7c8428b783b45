"""The bytes that a death's, a birth's and a survivor's line must have, from derived values and the few asserted ones.

One comparison of bytes then holds a line to its closed set of fields, its spelling and everything that is derived.
Standard library only.
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
SIDES = {"long": '"long"', "short": '"short"', None: "null"}


class Frame:
    """What the lines of one experiment have in common."""

    def __init__(self, run_id: str, experiment: int, seed: int, arm: str) -> None:
        self.arm, self.run_id, self.seed, self.experiment = arm, run_id, seed, experiment
        self.agent = f"e{experiment:04d}a"

    def death(
        self, tick: int, ts_utc: str, agent: int, parent: int, sha256: str, born: int, reason: str, initial: float,
        final: float, period: float, trades: int, wins: int, fees: float, funding: float, slippage: float,
        side: str | None, signal: float, allocated: float, reserve: float, fences: str,
    ) -> bytes:  # fmt: skip
        """One line of ``death_events.jsonl``; the texts among the arguments are plain ASCII."""
        age = tick - (born if born > 0 else 0) + 1
        held = side is not None
        return (
            f'{{"age_ticks":{age},"agent_id":"{self.agent}{agent:06d}","api_error_count_so_far":null,'
            f'"arm":"{self.arm}","birth_tick":{born},"capital_triplet":{{"allocated_capital":{allocated!r},'
            f'"current_total":{allocated + reserve!r},"system_reserve":{reserve!r}}},"death_reason":"{reason}",'
            f'"death_reason_source":"{REASONS[reason]}","experiment":{self.experiment},"fees_paid":{fees!r},'
            f'"fence_block_rate_summary":{fences},"final_capital":{final!r},"funding_paid":{funding!r},'
            f'"genome_index":{agent},"genome_sha256":"{sha256}","has_position":{"true" if held else "false"},'
            f'"initial_capital":{initial!r},"last_signal":{signal!r},"null_reasons":{NULLS[parent < 0, not held]},'
            f'"parent_id":{self._parent(parent)},"position_side":{SIDES[side]},'
            f'"roi_lifetime":{final / initial - 1.0!r},"roi_period":{final / period - 1.0!r},"run_id":"{self.run_id}",'
            f'"schema":"{Schema.DEATH.value}","seed":{self.seed},"slippage_paid":{slippage!r},'
            f'"state_final":"{"IN_MARKET" if held else "OUT_MARKET"}","tick":{tick},"trades":{trades},'
            f'"ts_basis":"market","ts_utc":"{ts_utc}","wins":{wins}}}\n'
        ).encode("ascii")

    def birth(
        self, tick: int, ts_utc: str, agent: int, parent: int, founder: int, sha256: str, parent_sha256: str,
        mutated: int, stake: float, roi: float,
    ) -> bytes:  # fmt: skip
        """One line of ``birth_events.jsonl``."""
        return (
            f'{{"agent_id":"{self.agent}{agent:06d}","arm":"{self.arm}","experiment":{self.experiment},'
            f'"founder_id":"{self.agent}{founder:06d}","genome_index":{agent},"genome_sha256":"{sha256}",'
            f'"initial_capital":{stake!r},"mutated_loci":{mutated},"null_reasons":{{}},'
            f'"parent_genome_sha256":"{parent_sha256}","parent_id":{self._parent(parent)},'
            f'"parent_roi_period":{roi!r},"run_id":"{self.run_id}","schema":"{Schema.BIRTH.value}","seed":{self.seed},'
            f'"tick":{tick},"ts_basis":"market","ts_utc":"{ts_utc}"}}\n'
        ).encode("ascii")

    def survivor(
        self, tick: int, ts_utc: str, agent: int, parent: int, founder: int, sha256: str, born: int, initial: float,
        period: float, final: float, trades: int, wins: int, fees: float, funding: float, slippage: float,
        in_pool: bool,  # noqa: FBT001
    ) -> bytes:  # fmt: skip
        """One line of ``survivors.jsonl``."""
        age = tick - (born if born > 0 else 0) + 1
        return (
            f'{{"age_ticks":{age},"agent_id":"{self.agent}{agent:06d}","arm":"{self.arm}","birth_tick":{born},'
            f'"experiment":{self.experiment},"fees_paid":{fees!r},"final_capital":{final!r},'
            f'"founder_id":"{self.agent}{founder:06d}","funding_paid":{funding!r},"genome_index":{agent},'
            f'"genome_sha256":"{sha256}","in_pool":{"true" if in_pool else "false"},"initial_capital":{initial!r},'
            f'"null_reasons":{"{" + FOUNDER + "}" if parent < 0 else "{}"},"parent_id":{self._parent(parent)},'
            f'"period_capital":{period!r},"roi_lifetime":{final / initial - 1.0!r},"run_id":"{self.run_id}",'
            f'"schema":"{Schema.SURVIVOR.value}","seed":{self.seed},"slippage_paid":{slippage!r},"tick":{tick},'
            f'"trades":{trades},"ts_basis":"market","ts_utc":"{ts_utc}","wins":{wins}}}\n'
        ).encode("ascii")

    def _parent(self, parent: int) -> str:
        return f'"{self.agent}{parent:06d}"' if parent >= 0 else "null"
