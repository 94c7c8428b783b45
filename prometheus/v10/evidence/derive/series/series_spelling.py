"""A line of ``population_series.jsonl``, taken apart and spelt again: one comparison holds what is derived of it.

Asserted are the sums of money but for the reserve. Their text is held to a pattern that only sums rounded to a
hundredth fit, in their one spelling: up to 15 digits, ``repr`` gives back what was read. Everything else is compared as
text. What fits is right; at what does not, `prometheus.v10.evidence.derive.series.series_findings` looks closely.
Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.records.canonical import spell

ASSERTED = ("fees", "funding", "long", "short", "slippage", "total")
"""In the order in which a line has them."""
_SUM = r"-?(?:0|[1-9]\d{0,12})\.\d[1-9]?"
_SUMS = rf"\[({_SUM}(?:,{_SUM})*+)\]"
_COUNTS, _TEXT, _OBJECT, _LIST = r"\[[\d,]*+\]", r'"[^"]*+"', r"\{[^}]*+\}", r"\[[^\]]*+\]"
_FIELDS = {
    "alive": _COUNTS, "arm": _TEXT, "births": _COUNTS, "deaths": _OBJECT, "experiment": r"\d{1,9}",
    "lives": _LIST, "null_reasons": _OBJECT, "reserve": _LIST, "run_id": _TEXT, "schema": _TEXT, "seed": r"\d{1,20}",
    "ticks": _COUNTS, **dict.fromkeys(ASSERTED, _SUMS),
}  # fmt: skip
_LINE = re.compile(r"\{" + ",".join(f'"{name}":{_FIELDS[name]}' for name in sorted(_FIELDS)) + r"\}", re.ASCII)


def asserted_in(
    line: str, setting: Setting, experiment: int, series: Mapping[str, Any]
) -> dict[str, list[float]] | None:
    """The sums that a line asserts; None where it is not spelt as it must be, or anything in it is not as derived.

    Args:
        line: without its newline.
        setting: of the experiment.
        experiment: its number.
        series: what the experiment's events make of its population (`series_of`).
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    derived = {
        **series,
        **{name: [] for name in ASSERTED},
        "schema": Schema.POPULATION_SERIES.value,
        "run_id": setting.run_id,
        "experiment": experiment,
        "seed": setting.seeds[experiment],
        "arm": setting.arm,
        "null_reasons": {},
    }
    ends = [0, *(end for group in range(1, len(ASSERTED) + 1) for end in found.span(group)), len(line)]
    without = "".join([line[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True)])
    if without != spell(derived):
        return None
    sums = {name: [*map(float, text.split(","))] for name, text in zip(ASSERTED, found.groups(), strict=True)}
    moments = len(series["ticks"])
    return sums if all(len(one) == moments for one in sums.values()) else None
