"""The verdict on one page of Markdown: what was asked, what was found, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus.v10.gate import plots
from prometheus.v10.gate.cells import NO_ABLATION, NO_FENCE
from prometheus.v10.gate.compare import Comparison
from prometheus.v10.gate.verdict import GateVerdict
from prometheus.v10.gate.winners import ArmWinners


def markdown(verdict: GateVerdict) -> str:
    """The page; pictures lie beside it."""
    parts = [
        _head(verdict),
        _primary(verdict),
        _path_control(verdict),
        _picture("System ROI of every experiment, and the path control", plots.ROI),
        _picture("Equity", plots.EQUITY),
        _picture("Survival", plots.SURVIVAL),
        _winners(verdict),
        _explored(verdict),
        _picture("Effects with intervals; the primary ones are blue", plots.EFFECTS),
        _signs(verdict),
        _rule(verdict),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(share: float) -> str:
    """A fraction as a percentage."""
    return f"{100.0 * share:.2f} %"


def _picture(title: str, name: str) -> str:
    return f"![{title}]({name})"


def _head(verdict: GateVerdict) -> str:
    market, seeds = verdict.market, verdict.config["seeds"]
    windows = ", ".join(
        f"{w['name']} (rows {w['start']} to {w['start'] + w['len'] - 1})" for w in verdict.config["windows"]
    )
    reasons = "\n".join(f"- {reason}" for reason in verdict.reasons)
    return (
        f"# Gate {verdict.gate}: {verdict.verdict}\n\n"
        f"Did evolution use the order of the market's returns? **{verdict.verdict.capitalize()}.**\n\n{reasons}\n\n"
        f"{market.symbol}, bars of {market.timeframe}, {market.rows} rows, sha256 `{market.sha256[:16]}`; "
        f"windows {windows}; seeds {seeds['first']} to {seeds['first'] + seeds['count'] - 1}; "
        f"{verdict.experiments} experiments. Design `{verdict.config_hash[:16]}`, locked before the first of them; "
        f"core `{verdict.core_hash[:16]}`."
    )


def _primary(verdict: GateVerdict) -> str:
    rows = []
    for one in verdict.comparisons:
        rows.append(
            (
                one.window, "system ROI", percent(one.a.median), percent(one.b.median),
                f"{one.difference_pp:+.2f} pp [{one.difference_low_pp:+.2f}, {one.difference_high_pp:+.2f}]",
                f"{one.delta:+.3f} [{one.delta_low:+.3f}, {one.delta_high:+.3f}]", f"U = {one.u:g}", one.p, one.p_holm,
            )
        )  # fmt: skip
        rows.append(
            (
                one.window, "extinction", f"{one.a.extinct} of {one.a.n}", f"{one.b.extinct} of {one.b.n}",
                f"{one.extinction_pp:+.2f} pp", "-", "Fisher", one.fisher_p, one.fisher_p_holm,
            )
        )  # fmt: skip
    columns = ("window", "endpoint", "A", "B2", "effect", "Cliff's delta", "test", "p", "p (Holm)")
    note = (
        "ROI: medians; effects above 0 speak for A. These p-values take experiments for independent, and those of A "
        "share one path: see the path control."
    )
    return f"## Primary endpoints\n\n{table(columns, rows)}\n\n{note}"


def _path_control(verdict: GateVerdict) -> str:
    rows = [
        (
            one.endpoint, f"{one.real:+.3f}", f"{min(one.placebos):+.3f} to {max(one.placebos):+.3f}",
            f"{one.spread_pp:.3f}", f"{one.paths} x {one.seeds}", one.p, one.p_holm,
        )
        for one in verdict.path_controls
    ]  # fmt: skip
    columns = ("endpoint", "real path", "shuffled paths", "their spread", "paths x seeds", "p", "p (Holm)")
    note = (
        "Percentage points, averaged over windows: the median ROI of the experiments on one path, and less the share "
        "that went extinct. Every shuffled path is shared by all its seeds, as the real one is: an exact test of the "
        "real order against chance."
    )
    return f"## Path control\n\n{table(columns, rows)}\n\n{note}"


def _winners(verdict: GateVerdict) -> str:
    def trades(arm: ArmWinners) -> str:
        return " / ".join(_cell(value) for value in (arm.trades_median, arm.trades_p90, arm.trades_max))

    rows = [
        (
            one.window, one.kind, f"{percent(one.threshold)} ({one.method})", percent(one.a.rate), percent(one.b.rate),
            f"{one.a.winners} / {one.b.winners}", trades(one.a), trades(one.b),
        )
        for one in verdict.winners
    ]  # fmt: skip
    columns = ("window", "kind", "lifetime ROI at least", "A", "B2", "agents A / B2", "trades A", "trades B2")
    return f"## Winners\n\n{table(columns, rows)}\n\nTrades: median / 90 % / most of the winners."


def _explored(verdict: GateVerdict) -> str:
    columns = (
        "window", "changed", "A", "B2", "A less B2", "delta", "p (Holm)", "extinct A / B2", "A less unchanged A",
        "fence acts",
    )  # fmt: skip
    plain = {one.window: one for one in verdict.comparisons}
    rows = [_explored_row(one, plain[one.window]) for one in verdict.explored]
    if not rows:
        return ""
    lines = [
        "## Ablations and counterfactual fences",
        table(columns, rows),
        "Explored, with a family of their own for Holm; no say in the verdict. Every man-made fence is off in the "
        "world; its arm switches it on. `fence acts`: blocks or forced exits over attempts, in A.",
    ]
    notes = [f"- {fence}: not run, because {why}" for fence, why in sorted(verdict.fences_not_run.items())]
    return "\n\n".join([*lines, "\n".join(notes)])


def _explored_row(one: Comparison, plain: Comparison) -> tuple[object, ...]:
    changed = one.fence if one.ablation == NO_ABLATION else one.ablation
    rate = "-" if one.fence == NO_FENCE else f"{100.0 * one.fence_rate:.3g} %"
    return (
        one.window, changed, percent(one.a.median), percent(one.b.median), f"{one.difference_pp:+.2f} pp",
        f"{one.delta:+.3f}", one.p_holm, f"{one.a.extinct} / {one.b.extinct}",
        f"{100.0 * (one.a.median - plain.a.median):+.2f} pp", rate,
    )  # fmt: skip


def _signs(verdict: GateVerdict) -> str:
    if not verdict.signs:
        return ""
    rows = []
    for one in verdict.signs:
        band = (
            "-"
            if one.drift_q05 is None
            else f"{_cell(one.drift_rate_median)} [{_cell(one.drift_q05)}, {_cell(one.drift_q95)}]"
        )
        rows.append(
            (
                one.window,
                one.population,
                f"{one.a} / {one.b}",
                one.pairs,
                one.rate,
                band,
                one.drift_meets,
                one.p,
                one.reading,
            )
        )
    columns = (
        "window", "population", "agents A / B2", "pairs", "equal signs", "drift alone", "drift meets it", "p",
        "reading",
    )  # fmt: skip
    note = (
        "The historic criterion asks for enough pairs and equal signs in most of them. Drift: the founders' genomes "
        "dealt anew and passed down the same genealogy. No say in the verdict. Correlation of the founders' OUT and IN "
        f"weights: {verdict.signs[0].founder_correlation:+.3f}."
    )
    return f"## IN/OUT sign consistency, beside drift\n\n{table(columns, rows)}\n\n{note}"


def _rule(verdict: GateVerdict) -> str:
    rule = verdict.config["rule"]
    numbers = f"alpha = {rule['alpha']:g}, minimum_effect_pp = {rule['minimum_effect_pp']:g}"
    lines = "\n".join(f"{number}. {line}" for number, line in enumerate(verdict.rule, 1))
    return f"## The rule, as it was locked\n\n{lines}\n\nWith {numbers}."
