"""``population_series.jsonl`` line by line, against the run's events and the rows of its summary.

Moments, living, births, deaths and the reserve are derived. Other money is asserted but for its last moment, which the
row repeats, and for what no book can show. Standard library only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Schema
from prometheus.v10.base.reading import LARGE, read_whole
from prometheus.v10.evidence.derive.lines import REASONS
from prometheus.v10.evidence.derive.series.series_spelling import asserted_in
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.derive.typed import differing, is_count, is_real, shown, table
from prometheus.v10.evidence.records.canonical import is_canonical
from prometheus.v10.evidence.records.series.life_table import ALIVE
from prometheus.v10.evidence.records.series.moments import moments_of
from prometheus.v10.evidence.schemas.schema_file import schema_of

Say = Callable[[str], None]
Row = Mapping[str, Any]
Series = Mapping[str, Any]
"""What the events of one experiment make of its population at each moment (`series_of`)."""
MONEY = ("reserve", "total", "long", "short", "fees", "slippage", "funding")
CENT = 0.01
"""Money is rounded to it."""
MOST_SAID = 5
"""Findings of one line that are spelt out."""


def check_series(
    path: Path, setting: Setting, told: Mapping[int, Series], rows: Mapping[int, Row] | None, say: Say, *,
    unfinished: bool,
) -> None:  # fmt: skip
    """Say everything that is wrong with the file.

    Args:
        path: where it lies, or where it was unpacked.
        setting: of the run's experiments.
        told: what its event files make of each experiment's population (`series_of`); empty where they do not say.
        rows: of the summary, by experiment; None where there is no summary.
        say: hears what is wrong, with the number of the line.
        unfinished: the run was cut off, or failed: the last line may be missing, or cut.

    Raises:
        OSError: when it cannot be read.
        PrometheusError: when it is no regular file, or larger than any of its kind.
    """
    if not setting.moments:
        say("the manifest asks for no series of the population")
        return
    lines = read_whole(path, at_most=LARGE).split(b"\n")
    rest = lines.pop()
    if rest and not unfinished:
        say(f"{len(rest)} bytes without a newline at the end")
    experiments = sorted(told)
    if len(lines) != len(experiments) and not unfinished:
        say(f"{len(lines)} lines, and {len(experiments)} experiments")
    for number, (line, experiment) in enumerate(zip(lines, experiments, strict=False)):
        row = None if rows is None else rows.get(experiment)
        if fits(line.decode("latin-1"), setting.at(experiment), experiment, told[experiment], row):
            continue
        for what in _wrong(line, setting.at(experiment), experiment, told[experiment], row)[:MOST_SAID]:
            say(f"line {number + 1}: {what}")


def fits(line: str, setting: Setting, experiment: int, series: Series, row: Row | None) -> bool:
    """Whether a line is as it must be; whoever wants to know why not looks at it closely (`check_series`).

    Args:
        line: without its newline, one character a byte.
        setting: of the experiment.
        experiment: its number.
        series: what its events make of its population; nothing fits an empty one.
        row: of the summary; None where there is none.
    """
    sums = asserted_in(line, setting, experiment, series) if series else None
    if sums is None:
        return False
    record = {**series, **sums}
    return not _impossible(record, setting) and (row is None or not _unlike(record, row))


def check_series_alone(path: Path, setting: Setting, rows: Mapping[int, Row], say: Say) -> None:
    """Say what is wrong with the file of a run whose event lines retention took: it must agree with its summary.

    Args:
        path: where it lies, or where it was unpacked.
        setting: of the run's experiments.
        rows: of the summary, by experiment.
        say: hears what is wrong, with the number of the line.

    Raises:
        OSError: when it cannot be read.
        PrometheusError: when it is no regular file, or larger than any of its kind.
    """
    lines = read_whole(path, at_most=LARGE).splitlines()
    if len(lines) != len(rows):
        say(f"{len(lines)} lines, and {len(rows)} rows in the summary")
    for number, (line, experiment) in enumerate(zip(lines, sorted(rows), strict=False)):
        for what in _wrong(line, setting.at(experiment), experiment, None, rows[experiment])[:MOST_SAID]:
            say(f"line {number + 1}: {what}")


def _wrong(line: bytes, setting: Setting, experiment: int, series: Series | None, row: Row | None) -> list[str]:
    """What is wrong with a line; ``series`` is None where there are no events to derive one from."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return [f"not JSON: {error}"]
    if not isinstance(record, dict) or not is_canonical(line, record):
        return ["not a canonical object (sorted keys, no spaces, every key once, one spelling of each number)"]
    if (first := schema_of(Schema.POPULATION_SERIES).first(record)) is not None:
        return [first]
    derived = {
        **record,
        "run_id": setting.run_id,
        "experiment": experiment,
        "seed": setting.seeds[experiment],
        "arm": setting.arm,
        "null_reasons": {},
    }
    derived |= series or {}
    found = differing(record, derived)
    if series is None and row is not None:
        found += _unlike_its_row(record, row, setting)
    odd = [name for name in MONEY if len(record[name]) != len(record["ticks"]) or not all(map(_cents, record[name]))]
    if odd:
        return [*found, f"{', '.join(odd)}: not one sum for each moment, finite and rounded to a hundredth"]
    return found + _impossible(record, setting) + ([] if row is None else _unlike(record, row))


def _cents(value: object) -> bool:
    return is_real(value) and round(value, 2) == value


def _impossible(record: Row, setting: Setting) -> list[str]:
    """What no book can show."""
    found = [
        f"{name} falls: it is paid, and never paid back"
        for name in ("fees", "slippage")
        if any(after < before for before, after in zip([0.0, *record[name]], record[name], strict=False))
    ]
    for place, tick in enumerate(record["ticks"]):
        open_now = record["long"][place], record["short"][place]
        if min(open_now) < 0.0:
            found.append(f"at tick {tick} long or short is negative")
        elif any(open_now) and (tick % setting.review_ticks == 0 or place == len(record["ticks"]) - 1):
            found.append(f"at tick {tick} positions are open, and a review or the end has closed them all")
    return found


def _unlike_its_row(record: Row, row: Row, setting: Setting) -> list[str]:
    """Counts of the living, the born and the dead, against the row and against each other."""
    ticks, lived = record["ticks"], row.get("ticks")
    if not is_count(lived) or ticks != moments_of(setting.ticks, setting.review_ticks, setting.moments, max(lived, 1)):
        return ["ticks are not the moments of the ticks that the summary's row lived"]
    deaths, births, alive = record["deaths"], record["births"], record["alive"]
    if set(deaths) != set(REASONS) or any(len(one) != len(ticks) for one in (*deaths.values(), births, alive)):
        return ["deaths, births or alive do not have one count for each moment"]
    found = [
        f"{name} falls from one moment to the next"
        for name, counts in {**deaths, "births": births}.items()
        if any(after < before for before, after in pairwise(counts))
    ]
    lost = [sum(counts) for counts in zip(*deaths.values(), strict=True)]
    if alive != [setting.founders + born - dead for born, dead in zip(births, lost, strict=True)]:
        found.append("alive is not founders and births less deaths")
    last = {"alive_agents": alive[-1], "births": births[-1], "deaths": lost[-1]}
    last["deaths_by_reason"] = {reason: counts[-1] for reason, counts in deaths.items()}
    found += [f"{name} is {value!r} at the end, the row has {row.get(name)!r}"
              for name, value in last.items() if row.get(name) != value]  # fmt: skip
    return found + _unlike_its_lives(record["lives"], last, setting)


def _unlike_its_lives(lives: list[dict[str, Any]], last: Mapping[str, Any], setting: Setting) -> list[str]:
    """The lives, counted, against the counts at the end."""
    keys = [(one["born"], one["ended"], one["end"], one["cause"]) for one in lives]
    if keys != sorted(set(keys)) or any(one["born"] > one["ended"] for one in lives):
        return ["lives are not in order, or end before they began"]
    ends: Counter[str] = Counter()
    for one in lives:
        ends[one["end"]] += one["agents"]
    expected = {**last["deaths_by_reason"], ALIVE: last["alive_agents"]}
    if {name: count for name, count in expected.items() if count} != {name: n for name, n in ends.items() if n}:
        return ["lives do not end as the counts of the dead and the living say"]
    founders = sum(one["agents"] for one in lives if one["born"] == 0)
    return [] if founders == setting.founders else [f"{founders} lives begin at the start, of {setting.founders}"]


def _unlike(record: Row, row: Row) -> list[str]:
    """The last moment against the row of the summary, and the fall from the highest total against its own."""
    triplet, costs = table(row.get("capital_triplet")), table(row.get("costs"))
    last = {
        "reserve": triplet.get("system_reserve"),
        "total": triplet.get("current_total"),
        "fees": costs.get("fees"),
        "slippage": costs.get("slippage"),
        "funding": costs.get("funding"),
    }
    found = []
    for name, value in last.items():
        if is_real(value) and record[name][-1] != round(value, 2):
            found.append(f"{name} ends at {record[name][-1]!r}, the summary's row has {value!r}")
    peak, deepest = 0.0, 0.0
    for total in record["total"]:
        peak = max(peak, total)
        deepest = max(deepest, 1.0 - (total + CENT) / (peak - CENT)) if peak > CENT else deepest
    said = row.get("max_drawdown")
    if is_real(said) and deepest > said:
        found.append(f"total falls by {deepest:.6f} of its highest, the summary's row says {shown(said)} at most")
    return found
