"""A row of a summary and the line of a collapse, computed again from an experiment's book. Standard library only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.derive.book import Book
from prometheus.v10.evidence.derive.lines import REASONS
from prometheus.v10.evidence.derive.typed import differing, is_real, plain_json, shown
from prometheus.v10.evidence.records.canonical import is_canonical
from prometheus.v10.evidence.records.figures import quantiles

NO_COLLAPSE = "no internal collapse in this experiment"
NOBODY = "nobody is alive"
SUMS = 1e-9
"""How exactly a sum over agents meets the sum over orders: a fraction of the sum of magnitudes. Orders are added in
another order than agents are; the largest gap that honest runs show is some 1e-14."""
EDGE = 1e-9
"""A bound on an asserted figure is kept to within this: it must never accuse a run for its last digit."""


def derived_row(book: Book, row: Mapping[str, Any], ticks: int) -> dict[str, Any]:
    """What the row must be; leaves that only a replay can prove are taken from the row itself."""
    setting, totals = book.setting, book.totals
    everyone = len(book.parent)
    roi = [final / initial - 1.0 for final, initial in zip(book.final, book.initial, strict=True)]
    lived = [agent for agent, born in enumerate(book.born) if born < ticks - 1]
    living = book.survivors
    triplet = triplet_of(book)
    collapse = collapse_of(book)
    trades = sorted(book.trades[agent] for agent in lived)
    kin = Counter(book.founder[agent] for agent in living)
    null_reasons = {} if collapse["detected"] else {f"collapse.{name}": NO_COLLAPSE for name in _OUTCOME}
    if not living:
        null_reasons |= {"gene_diversity": NOBODY, "lineage_diversity": NOBODY}
    return {
        "experiment": book.experiment,
        "seed": setting.seeds[book.experiment],
        "arm": setting.arm,
        "completed": collapse["detected"] or ticks == setting.ticks,
        "ticks": ticks,
        "reviews": ticks // setting.review_ticks,
        "system_roi": triplet["current_total"] / setting.initial_total - 1.0,
        "max_drawdown": row.get("max_drawdown"),
        "founders": setting.founders,
        "alive_agents": len(living),
        "total_agents_ever": everyone,
        "births": totals.births,
        "deaths": totals.deaths,
        "deaths_by_reason": {reason: totals.reasons[reason] for reason in REASONS},
        "trades": sum(book.trades),
        "trades_median": float(trades[len(trades) // 2]) if trades else None,
        "zero_trade_share": trades.count(0) / len(trades) if trades else None,
        "liquidated_share": totals.reasons["liquidation"] / everyone,
        "profitable_agents_all": sum(one > 0.0 for one in roi),
        "profitable_agents_alive": sum(roi[agent] > 0.0 for agent in living),
        "costs": _costs(book, row.get("costs")),
        "capital_triplet": triplet,
        "collapse": collapse,
        "roi_quantiles": quantiles([roi[agent] for agent in lived]) if lived else None,
        "founder_out_in_correlation": row.get("founder_out_in_correlation"),
        "gene_diversity": row.get("gene_diversity") if living else None,
        "lineages_alive": len(kin),
        "lineage_diversity": _effective([kin[founder] / len(living) for founder in sorted(kin)]) if living else None,
        "has_nan": False,
        "has_inf": False,
        "null_reasons": null_reasons,
    }


_OUTCOME = ("reason", "tick", "market_time")


def row_findings(book: Book, row: Mapping[str, Any], ticks: int) -> list[str]:
    """What is wrong with a row, one sentence each."""
    found = differing(dict(row), derived_row(book, row, ticks))
    total = triplet_of(book)["current_total"]
    least = max(book.drawdown, 1.0 - total / max(book.peak, total)) - EDGE
    drawdown = row.get("max_drawdown")
    if not is_real(drawdown) or not isinstance(drawdown, float) or drawdown < least:
        found.append(f"max_drawdown is {shown(drawdown)}, and its deaths show one of {least:.9f} at least")
    if not _within(row.get("founder_out_in_correlation"), -1.0, 1.0):
        found.append(f"founder_out_in_correlation is {shown(row.get('founder_out_in_correlation'))}")
    if book.survivors and not _within(row.get("gene_diversity"), 0.0, 1e6):
        found.append(f"gene_diversity is {shown(row.get('gene_diversity'))}")
    return found


def triplet_of(book: Book) -> dict[str, Any]:
    """Capital at the end: equity of the living in order of birth, what the dead left, and both together."""
    allocated = 0.0
    for agent in book.survivors:
        allocated += book.final[agent]
    return {
        "allocated_capital": allocated,
        "system_reserve": book.reserve,
        "current_total": allocated + book.reserve,
    }


def collapse_of(book: Book) -> dict[str, Any]:
    """A row's collapse."""
    if book.totals.collapse is None:
        return {"detected": False, "reason": None, "tick": None, "market_time": None}
    reason, tick = book.totals.collapse
    return {"detected": True, "reason": reason, "tick": tick, "market_time": book.setting.time.close(tick)}


def collapse_findings(book: Book, lines: list[bytes]) -> list[str]:
    """What is wrong with an experiment's lines in ``collapse_events.jsonl``: one for a collapse, else none."""
    wanted = int(book.totals.collapse is not None)
    if len(lines) != wanted or book.totals.collapse is None:
        said = "collapsed" if wanted else "did not collapse"
        return [f"{len(lines)} lines, and by its deaths it {said}"] if len(lines) != wanted else []
    event = plain_json(lines[0])
    if not isinstance(event, dict):
        return ["not an object"]
    if not is_canonical(lines[0][:-1], event):
        return ["not in canonical form (sorted keys, no spaces, one spelling of each number)"]
    reason, tick = book.totals.collapse
    setting, totals = book.setting, book.totals
    text, wrong = book.shares.text(event.get("fence_block_rate_summary"), 0)
    derived = {
        "schema": Schema.COLLAPSE.value,
        "run_id": setting.run_id,
        "experiment": book.experiment,
        "seed": setting.seeds[book.experiment],
        "arm": setting.arm,
        "ts_utc": setting.time.close(tick, event.get("ts_utc")),
        "ts_basis": "market",
        "tick": tick,
        "ticks_to_collapse": tick + 1,
        "ticks_planned": setting.ticks,
        "reason": reason,
        "alive_agents": book.alive,
        "total_agents_ever": len(book.parent),
        "births": totals.births,
        "deaths": totals.deaths,
        "deaths_by_reason": {name: totals.reasons[name] for name in REASONS},
        "reviews": (tick + 1) // setting.review_ticks,
        "capital_triplet": triplet_of(book) if setting.survivors else event.get("capital_triplet"),
        "fence_block_rate_summary": json.loads(text),
        "null_reasons": {},
    }
    return ([f"fence_block_rate_summary: {wrong}"] if wrong else []) + differing(event, derived)


def _costs(book: Book, said: object) -> dict[str, Any]:
    """The row's sums where they meet those over agents, else these."""
    derived: dict[str, Any] = {}
    for place, name in enumerate(("fees", "funding", "slippage")):
        values = [cost[place] for cost in book.costs]
        total, room = sum(values), SUMS * sum(map(abs, values))
        found = said.get(name) if isinstance(said, dict) else None
        close = is_real(found) and isinstance(found, float) and abs(found - total) <= room
        derived[name] = found if close else float(total)
    return derived


def _effective(shares: list[float]) -> float:
    squares = 0.0
    for share in shares:
        squares += share * share
    return 1.0 / squares


def _within(value: object, low: float, high: float) -> bool:
    return is_real(value) and isinstance(value, float) and low - EDGE <= value <= high + EDGE


FILES = (Artifact.DEATHS, Artifact.BIRTHS, Artifact.SURVIVORS, Artifact.COLLAPSES, Artifact.INTERESTING_DEATHS)
"""The files that hold an experiment, in the order in which they are looked at."""
