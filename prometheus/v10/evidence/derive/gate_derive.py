"""A gate's verdict from its lock and its experiments, computed a second time with the standard library only.

The figures follow the rule that the lock holds; floats may differ from the written ones in the last bits, because the
gate itself computes with numpy and scipy, so `differences` allows a relative 1e-9. Bootstrap intervals of the medians'
difference, and the audit of signs, whose genomes are not kept, are no part of it: neither has a say in the verdict.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

ARMS = ("A_real", "B2_shuffle_returns")
ENDPOINTS = ("system_roi", "extinction")
CONSERVATION_LIMIT = 1e-9
CLOSE = 1e-9
ASSERTED = frozenset(["difference_low_pp", "difference_high_pp", "signs", "fences_not_run", "schema"])
"""Keys of a verdict that `derive` does not give."""
Cells = Mapping[str, Sequence[Mapping[str, Any]]]


def derive(lock: Mapping[str, Any], experiments: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Every derivable figure of ``gate_verdict.json``, as plain values.

    Raises:
        ValueError, LookupError, TypeError, ArithmeticError: when lock or experiments are not those of a gate.
    """
    config = lock["config"]
    cells: dict[str, list[Mapping[str, Any]]] = {}
    count = 0
    for one in experiments:
        cells.setdefault(one["cell"], []).append(one)
        count += 1
    windows = [window["name"] for window in config["windows"]]
    variants = [(name, "none") for name in config["ablations"]] + [("none", name) for name in config["fences"]]
    primary = _corrected([_compare(config, cells, window, "none", "none") for window in windows])
    explored = _corrected([_compare(config, cells, window, *variant) for window in windows for variant in variants])
    controls = _path_controls(config, cells, windows)
    broken = [
        f"{one['cell']} seed {one['seed']}"
        for found in cells.values()
        for one in found
        if not one["finite"] or one["residual"] > CONSERVATION_LIMIT
    ]
    verdict, reasons, endpoints = _judge(primary, controls, config["rule"], broken)
    return {
        "gate": lock["gate"], "verdict": verdict, "reasons": reasons, "config": config,
        "config_hash": lock["config_hash"], "core_hash": lock["core_hash"], "market": lock["market"],
        "rule": lock["rule"], "experiments": count, "endpoints": endpoints, "comparisons": primary,
        "path_controls": controls, "explored": explored,
    }  # fmt: skip


def differences(derived: object, written: object, path: str = "") -> list[str]:
    """Paths at which what is written is not what was derived; keys that were not derived are not looked at."""
    if isinstance(derived, dict):
        if not isinstance(written, dict):
            return [path]
        return [
            where
            for key, value in derived.items()
            for where in (differences(value, written[key], f"{path}.{key}") if key in written else [f"{path}.{key}"])
        ]
    if isinstance(derived, list):
        if not isinstance(written, list) or len(written) != len(derived):
            return [path]
        pairs = enumerate(zip(derived, written, strict=True))
        return [where for k, (one, other) in pairs for where in differences(one, other, f"{path}.{k}")]
    if isinstance(derived, float) and type(written) is float:
        return [] if math.isclose(derived, written, rel_tol=CLOSE, abs_tol=1e-12) else [path]
    return [] if type(derived) is type(written) and derived == written else [path]


# ---- statistics ------------------------------------------------------------------------------------------------------


def median(values: Sequence[float]) -> float:
    """The median; the mean of the middle two of an even number."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """A quantile by linear interpolation."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """U of the first sample and its two-sided p: normal approximation, corrected for continuity and ties."""
    n, m = len(first), len(second)
    u = sum((a > b) + 0.5 * (a == b) for a in first for b in second)
    ties = sum(t**3 - t for t in Counter([*first, *second]).values())
    total = n + m
    variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)))
    if variance <= 0.0:
        return u, 1.0
    z = max((abs(u - n * m / 2.0) - 0.5) / math.sqrt(variance), 0.0)
    return u, min(1.0, math.erfc(z / math.sqrt(2.0)))


def cliffs_delta(first: Sequence[float], second: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """Cliff's delta with its asymmetric interval."""
    n, m = len(first), len(second)
    table = [[(a > b) - (a < b) for b in second] for a in first]
    delta = sum(map(sum, table)) / (n * m)
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    if abs(delta) == 1.0:
        edge = (min(n, m) - z * z) / (min(n, m) + z * z)
        return (delta, edge, 1.0) if delta > 0.0 else (delta, -1.0, -edge)
    rows = math.fsum((sum(row) / m - delta) ** 2 for row in table)
    columns = math.fsum((sum(column) / n - delta) ** 2 for column in zip(*table, strict=True))
    spread = math.fsum((one - delta) ** 2 for row in table for one in row)
    variance = (m * m * rows + n * n * columns - spread) / (n * m * (n - 1) * (m - 1))
    variance = max(variance, (1.0 - delta * delta) / (n * m - 1.0))
    reach = z * math.sqrt(variance) * math.sqrt((1.0 - delta * delta) ** 2 + z * z * variance)
    middle, scale = delta - delta**3, 1.0 - delta * delta + z * z * variance
    return delta, max(-1.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def fisher_exact(first: int, of_first: int, second: int, of_second: int) -> float:
    """Two-sided p of Fisher's exact test; the tables as likely as the one seen, to one part in 10^7, count."""
    hits = first + second
    low, high = max(0, hits - of_second), min(hits, of_first)
    ways = {k: math.comb(of_first, k) * math.comb(of_second, hits - k) for k in range(low, high + 1)}
    limit = ways[first] * 10_000_001
    return min(
        1.0, sum(way for way in ways.values() if way * 10_000_000 <= limit) / math.comb(of_first + of_second, hits)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    count, floor = len(p_values), 0.0
    adjusted = [0.0] * count
    for rank, at in enumerate(sorted(range(count), key=lambda k: p_values[k])):
        floor = max(floor, min(1.0, (count - rank) * p_values[at]))
        adjusted[at] = floor
    return adjusted


# ---- figures ---------------------------------------------------------------------------------------------------------


def _spread(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    roi = [one["system_roi"] for one in found]
    shares = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
    return {
        "n": len(found),
        "extinct": sum(one["extinct"] for one in found),
        "mean": math.fsum(roi) / len(roi),
        **{name: quantile(roi, share) for name, share in shares.items()},
    }


def _compare(config: Mapping[str, Any], cells: Cells, window: str, ablation: str, fence: str) -> dict[str, Any]:
    changed = [name for name in (ablation, fence) if name != "none"]
    first, second = (cells["/".join([window, arm, *changed])] for arm in ARMS)
    a, b = _spread(first), _spread(second)
    roi_a, roi_b = ([one["system_roi"] for one in arm] for arm in (first, second))
    u, p = mann_whitney(roi_a, roi_b)
    delta, low, high = cliffs_delta(roi_a, roi_b, config["rule"]["confidence"])
    fisher = fisher_exact(a["extinct"], a["n"], b["extinct"], b["n"])
    attempts = sum(one["fence_attempts"] for one in first)
    return {
        "window": window, "ablation": ablation, "fence": fence, "a": a, "b": b, "u": float(u), "p": p, "p_holm": p,
        "delta": delta, "delta_low": low, "delta_high": high, "difference_pp": 100.0 * (median(roi_a) - median(roi_b)),
        "extinction_pp": 100.0 * (b["extinct"] / b["n"] - a["extinct"] / a["n"]), "fisher_p": fisher,
        "fisher_p_holm": fisher, "ahead": sum(x > y for x, y in zip(roi_a, roi_b, strict=True)) / len(roi_a),
        "fence_rate": sum(one["fence_blocks"] for one in first) / attempts if attempts else 0.0,
    }  # fmt: skip


def _corrected(family: list[dict[str, Any]]) -> list[dict[str, Any]]:
    adjusted = holm([p for one in family for p in (one["p"], one["fisher_p"])])
    return [{**one, "p_holm": adjusted[2 * k], "fisher_p_holm": adjusted[2 * k + 1]} for k, one in enumerate(family)]


def _path_controls(config: Mapping[str, Any], cells: Cells, windows: Sequence[str]) -> list[dict[str, Any]]:
    seeds, count = config["paths"]["seeds"], config["paths"]["count"]

    def figure(endpoint: str, names: Sequence[str]) -> float:
        return 100.0 * sum(_path_figure(endpoint, cells[name][:seeds]) for name in names) / len(names)

    found = []
    for endpoint in ENDPOINTS:
        real = figure(endpoint, [f"{window}/{ARMS[0]}" for window in windows])
        placebos = [figure(endpoint, [f"{window}/path_{path:03d}" for window in windows]) for path in range(count)]
        # Ties that the last bit decides would be decided otherwise here: the gate's own values are compared the same
        # way, because both add the same numbers in the same order.
        p = (1 + sum(one >= real for one in placebos)) / (count + 1)
        mean = math.fsum(placebos) / count
        spread = math.sqrt(math.fsum((one - mean) ** 2 for one in placebos) / count)
        found.append(
            {
                "endpoint": endpoint, "paths": count, "seeds": seeds, "real": real, "placebos": placebos, "p": p,
                "p_holm": p, "spread_pp": spread,
            }
        )  # fmt: skip
    for one, p_holm in zip(found, holm([one["p"] for one in found]), strict=True):
        one["p_holm"] = p_holm
    return found


def _path_figure(endpoint: str, found: Sequence[Mapping[str, Any]]) -> float:
    if endpoint == ENDPOINTS[0]:
        values = sorted(one["system_roi"] for one in found)
        half = len(values) // 2
        return float(values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2)
    return -float(sum(one["extinct"] for one in found)) / len(found)


# ---- the rule --------------------------------------------------------------------------------------------------------


def _finding(
    control: Mapping[str, Any], comparisons: Sequence[dict[str, Any]], rule: Mapping[str, Any]
) -> dict[str, Any]:
    endpoint, beyond = control["endpoint"], control["p_holm"] < rule["alpha"]
    holds, against, favours = [], [], []
    by_roi = endpoint == ENDPOINTS[0]
    for one in comparisons:
        p, effect = (one["p_holm"], one["difference_pp"]) if by_roi else (one["fisher_p_holm"], one["extinction_pp"])
        better = effect > 0.0 and (not by_roi or one["delta"] > 0.0)
        worse = effect < 0.0 and (not by_roi or one["delta"] < 0.0)
        shown = p < rule["alpha"] and abs(effect) >= rule["minimum_effect_pp"]
        holds += [one["window"]] if shown and better else []
        against += [one["window"]] if shown and worse else []
        favours += [one["window"]] if better else []
    return {
        "endpoint": endpoint, "windows": len(comparisons), "holds": holds, "against": against, "favours": favours,
        "beyond_path_luck": beyond,
    }  # fmt: skip


def _judge(
    comparisons: Sequence[dict[str, Any]], controls: Sequence[dict[str, Any]], rule: Mapping[str, Any],
    broken: Sequence[str],
) -> tuple[str, list[str], list[dict[str, Any]]]:  # fmt: skip
    found = [_finding(one, comparisons, rule) for one in controls]
    against = [f"{one['endpoint']} speaks against in {', '.join(one['against'])}" for one in found if one["against"]]
    if broken:
        return "insufficient evidence", [f"{len(broken)} experiments cannot be believed, the first: {broken[0]}"], found
    carrying = [one for one in found if len(one["holds"]) == one["windows"] and one["beyond_path_luck"]]
    if not against and carrying:
        reasons = [f"{one['endpoint']} holds in every window and is beyond path luck" for one in carrying]
        return "pass", reasons, found
    leaning = [
        one
        for one in found
        if 0 < len(one["holds"]) < one["windows"] == len(one["favours"]) and one["beyond_path_luck"]
    ]
    if not against and leaning:
        reasons = [
            f"{one['endpoint']} favours A in every window and is beyond path luck, but holds only in "
            f"{', '.join(one['holds'])}: more seeds or another window would decide"
            for one in leaning
        ]
        return "insufficient evidence", reasons, found
    return "fail", against or [_lack(one) for one in found], found


def _lack(one: dict[str, Any]) -> str:
    lacks = []
    if len(one["holds"]) < one["windows"]:
        lacks.append(f"holds in {len(one['holds'])} of {one['windows']} windows")
    if not one["beyond_path_luck"]:
        lacks.append("a shuffled path does as well by luck")
    return f"{one['endpoint']}: {' and '.join(lacks)}"
