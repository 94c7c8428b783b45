"""The page of one run: the verdict first, then the population, deaths, money, and the evidence.

The same run gives the same bytes: no clock is read, and of the place only what the run itself names is said.
"""

from __future__ import annotations

from prometheus.v10.evidence.records.figures import quantiles
from prometheus.v10.report.pages.deaths_seen import buried, periods, sides, survival
from prometheus.v10.report.pages.exchange_sections import exchange_sections, state_cell
from prometheus.v10.report.pages.figures_made import Figure, Grid, Page, Section, Tile
from prometheus.v10.report.pages.over_time import (
    alive_fan,
    drawdown_fan,
    exposure_fan,
    grid,
    lineages,
    return_fan,
)
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.run_charts import (
    buried_figure,
    deaths_figure,
    fan_figure,
    fences_figure,
    lineages_figure,
    money_figure,
    survival_figure,
)
from prometheus.v10.report.pages.run_evidence import evidence_section, made_section
from prometheus.v10.report.pages.run_read import RunRead
from prometheus.v10.report.pages.run_tables import experiments_section, genomes_section, patterns_section
from prometheus.v10.report.pages.run_verified import Verified
from prometheus.v10.report.pages.scales import bytes_text, number, percent


def run_page(run: RunRead, verified: Verified, _: Phrases, *, home: str = "", version: str = "") -> Page:
    """Everything that the page of a run shows.

    Args:
        run: what was read.
        verified: what `verify` said of it.
        _: the page's language.
        home: address of the site's first page; empty where there is no site.
        version: of this suite.
    """
    ticks = grid(run)
    parts = [
        *([] if run.exchange is None else exchange_sections(run.exchange, _)),
        _population(run, ticks, _),
        _deaths(run, ticks, _),
        _money(run, _),
        _fences(run, _),
        _descent(run, ticks, _),
        genomes_section(run, _),
        experiments_section(run, _),
        patterns_section(run, _),
        made_section(run, _),
        evidence_section(run, verified.findings, _),
    ]
    made_from = [
        _("run {run_id}", run_id=run.run_id),
        _("seal {sha256}", sha256=run.seal or "–"),
        _("verify said {word}", word=verified.word),
        f"prometheus-quant {version}",
    ]
    return Page(
        title=run.run_id,
        kicker=_("Run"),
        verdict=_verdict(run, _),
        chips=_chips(run, verified, _),
        tiles=_tiles(run, _),
        sections=parts,
        made_from=made_from,
        home=home,
        menu=[(f"#{one.name}", one.title) for one in parts],
    )


# ---- the head --------------------------------------------------------------------------------------------------------


def status_words(run: RunRead, _: Phrases) -> tuple[str, str]:
    """How the run ended, in a word, and the tone of it."""
    status = run.manifest.get("status")
    if run.cut_off is not None:
        return _("cut off"), "bad"
    known = {
        "completed": (_("completed"), "good"),
        "interrupted": (_("stopped"), "warn"),
        "failed": (_("failed"), "bad"),
        "running": (_("running"), "warn"),
    }
    return known.get(str(status), (str(status), "warn"))


def _chips(run: RunRead, verified: Verified, _: Phrases) -> list[tuple[str, str]]:
    tier = _("Tier 2, full evidence") if run.table("meta").get("tier") == "tier2_full" else _("Tier 1")
    tone = {"PASS": "good", "FAIL": "bad"}.get(verified.word, "warn")
    chips = [status_words(run, _), (_("verify: {word}", word=verified.word), tone), (tier, "")]
    if run.manifest.get("stage") == "stage2":
        chips.append((_("stage 2"), ""))
    if run.exchange is not None:
        state = state_cell(run.exchange.said("ended", "trading_state"))
        chips.append(
            (_("exchange, {site}: {state}", site=str(run.exchange.table.get("site")), state=state.text), state.tone)
        )
    era = run.table("era").get("number")
    if type(era) is int:
        chips.append((_("era {number}", number=era), ""))
    chips.append((_("instance {name}", name=str(run.manifest.get("instance"))), ""))
    arm = str(run.manifest.get("arm"))
    return [*chips, (_("shuffled returns") if arm.startswith("B2") else _("real order of bars"), "")]


def _verdict(run: RunRead, _: Phrases) -> list[str]:
    if run.cut_off is not None:
        return [_("The run was cut off: its process ended before it could seal itself."), *_partial(run, _)]
    if run.manifest.get("status") == "running":
        return [_("The run is still going on, or was cut off and not yet closed."), *_partial(run, _)]
    if not run.rows:
        return [_("The run did no experiment to report on.")]
    collapsed = [row for row in run.rows if row["collapse"].get("detected")]
    cut = [row for row in run.rows if row.get("completed") is False]
    living = len(run.rows) - len(collapsed)
    said = []
    if len(run.rows) == 1:
        row = run.rows[0]
        said.append(
            _("The population collapsed after {ticks} ticks: {reason}.", ticks=number(row["ticks"]),
              reason=_collapse_words(row, _))
            if collapsed
            else _("The population lives at the end: {alive} agents of {founders} founders.",
                   alive=number(row["alive_agents"]), founders=number(row["founders"]))
        )  # fmt: skip
    else:
        said.append(_("{living} of {all} populations live at the end.", living=living, all=len(run.rows)))
        alive = quantiles([row["alive_agents"] for row in run.rows])
        said.append(
            _("The median population has {alive} agents, of {founders} founders.", alive=number(alive["median"]),
              founders=number(run.rows[0]["founders"]))
        )  # fmt: skip
    roi = quantiles([row["system_roi"] for row in run.rows])
    if len(run.rows) == 1:
        said.append(_("The system returned {roi}.", roi=percent(roi["median"], 2)))
    else:
        said.append(
            _("The median system returned {median}; half of them between {low} and {high}.",
              median=percent(roi["median"], 2), low=percent(roi["q25"], 2), high=percent(roi["q75"], 2))
        )  # fmt: skip
    if collapsed and len(run.rows) > 1:
        first = min(collapsed, key=lambda row: row["ticks"])
        said.append(
            _("{count} collapsed; the first after {ticks} ticks: {reason}.", count=len(collapsed),
              ticks=number(first["ticks"]), reason=_collapse_words(first, _))
        )  # fmt: skip
    if cut:
        said.append(
            _("A stop ended the run early; {count} experiments were cut and count for nothing.", count=len(cut))
        )
    return said


def _partial(run: RunRead, _: Phrases) -> list[str]:
    done = {one.experiment for one in run.deaths} | {one.experiment for one in run.survivors}
    return [_("{count} experiments left events behind; there is no summary of them.", count=len(done))]


def _collapse_words(row: dict[str, object], _: Phrases) -> str:
    collapse = row["collapse"]
    reason = collapse.get("reason") if isinstance(collapse, dict) else None
    known = {"extinction": _("extinction"), "financial": _("no reserve left"), "both": _("extinction and no reserve")}
    return known.get(str(reason), str(reason))


def _tiles(run: RunRead, _: Phrases) -> list[Tile]:
    evidence = run.table("evidence")
    size = evidence.get("bytes")
    tail = [Tile(words=_("evidence"), value=bytes_text(size) if type(size) is int else "–",
                 beside=_("{count} files", count=evidence.get("files", "–")))]  # fmt: skip
    if not run.rows:
        return [
            Tile(words=_("deaths on file"), value=number(len(run.deaths))),
            Tile(words=_("births on file"), value=number(len(run.births))),
            *tail,
        ]
    alive = quantiles([row["alive_agents"] for row in run.rows])
    roi = quantiles([row["system_roi"] for row in run.rows])
    drawdown = quantiles([row["max_drawdown"] for row in run.rows])
    collapsed = sum(bool(row["collapse"].get("detected")) for row in run.rows)
    if len(run.rows) == 1:
        return [
            Tile(words=_("alive at the end"), value=number(alive["median"]),
                 beside=_("of {count} founders", count=number(run.rows[0]["founders"]))),
            Tile(words=_("return"), value=percent(roi["median"], 2)),
            Tile(words=_("drawdown"), value=percent(drawdown["median"], 2)),
            Tile(words=_("deaths"), value=number(run.rows[0]["deaths"]),
                 beside=_("{count} births", count=number(run.rows[0]["births"]))),
            *tail,
        ]  # fmt: skip
    return [
        Tile(words=_("alive, median"), value=number(alive["median"]),
             beside=_("of {count} founders", count=number(run.rows[0]["founders"]))),
        Tile(words=_("collapses"), value=number(collapsed), beside=_("of {count} experiments", count=len(run.rows)),
             tone="bad" if collapsed else "good"),
        Tile(words=_("return, median"), value=percent(roi["median"], 2),
             beside=f"{percent(roi['q25'], 2)} … {percent(roi['q75'], 2)}"),
        Tile(words=_("drawdown, median"), value=percent(drawdown["median"], 2)),
        Tile(words=_("deaths"), value=number(sum(row["deaths"] for row in run.rows)),
             beside=_("{count} births", count=number(sum(row["births"] for row in run.rows)))),
        *tail,
    ]  # fmt: skip


# ---- the parts -------------------------------------------------------------------------------------------------------


def _reviews(run: RunRead, ticks: list[int]) -> list[int]:
    every = run.world("review_ticks")
    return list(range(every, ticks[-1] + 1, every)) if type(every) is int and every > 0 and ticks else []


def _population(run: RunRead, ticks: list[int], _: Phrases) -> Section:
    title = _("Population and returns")
    if not run.rows:
        return Section(name="population", title=title, empty=_("There is no summary to draw from."))
    if not ticks:
        empty = _("The experiments of a run of stage 2 live in windows of their own: there is no common time to draw.")
        return Section(name="population", title=title, empty=empty)
    reviews = _reviews(run, ticks)
    crosses = [
        (row["ticks"], 0.0, _("experiment {number}: collapse at tick {tick}", number=row["experiment"],
                              tick=row["ticks"]))
        for row in run.rows
        if row["collapse"].get("detected")
    ]  # fmt: skip
    figures = [
        fan_figure(
            alive_fan(run, ticks),
            (_("Agents alive"), _("Agents alive over time, quantiles over the experiments"), _("agents alive")), _,
            stairs=True, share=False, reviews=reviews, crosses=crosses,
        )
    ]  # fmt: skip
    returns = return_fan(run, ticks)
    notes = []
    if len(returns.ticks) > 1:
        figures += [
            fan_figure(
                returns, (_("System return"), _("Return of the system's total over time"), _("return")), _,
                reviews=reviews, zero=True,
            ),
            fan_figure(
                drawdown_fan(run, ticks),
                (_("Drawdown"), _("Fall of the total from its highest so far"), _("below the highest")), _,
                reviews=reviews,
            ),
            fan_figure(
                exposure_fan(run, ticks),
                (_("Net exposure"), _("Long less short positions, share of the total"), _("share of the total")), _,
                reviews=reviews, zero=True,
            ),
        ]  # fmt: skip
        notes.append(_("A drawdown between two moments is not seen here; the table of experiments has the largest."))
    else:
        notes.append(_("This run keeps no series of its money, as of earlier versions: only the living are drawn."))
    return Section(name="population", title=title, figures=figures, notes=notes)


def _deaths(run: RunRead, ticks: list[int], _: Phrases) -> Section:
    title = _("Why they die")
    if not run.deaths:
        return Section(name="deaths", title=title, empty=_("Nobody died in this run."))
    figures: list[Figure] = []
    if ticks and (by_review := periods(run)):
        figures.append(deaths_figure(by_review, _))
    if (gone := buried(run)) is not None:
        figures.append(buried_figure(gone, _))
    groups = ((True, _("founders"), "c1"), (False, _("born"), "c2"))
    curves = [(words, css, found) for who, words, css in groups if (found := survival(run, founders=who)) is not None]
    if curves and run.survivors:
        figures.append(survival_figure(curves, _reviews(run, ticks), _))
    by_side = sides(run)
    lead = ""
    if by_side:
        lead = _(
            "{count} agents were liquidated: {long} long, {short} short.", count=number(sum(by_side.values())),
            long=number(by_side["long"]), short=number(by_side["short"]),
        )  # fmt: skip
    return Section(name="deaths", title=title, lead=lead, figures=figures)


def _money(run: RunRead, _: Phrases) -> Section:
    title = _("Where the money goes")
    if not run.rows:
        return Section(name="money", title=title, empty=_("There is no summary to draw from."))
    lead = _("Profit before costs is what the same fills would have made at the reference prices, for nothing.")
    return Section(name="money", title=title, lead=lead, figures=[money_figure(run, _)])


def _fences(run: RunRead, _: Phrases) -> Section:
    title = _("What blocks")
    figure = fences_figure(run, _)
    if figure is None:
        return Section(name="fences", title=title, empty=_("There is no telemetry."))
    lead = _("Blocked attempts at each fence; those that are off, or that nothing met, are in the numbers only.")
    return Section(name="fences", title=title, lead=lead, figures=[figure])


def _descent(run: RunRead, ticks: list[int], _: Phrases) -> Section:
    title = _("Who descends from whom")
    found = lineages(run, ticks)
    grids = []
    lines = run.manifest.get("lines")
    if isinstance(lines, list) and len(lines) == len(run.rows):
        rows = []
        for line in dict.fromkeys(map(str, lines)):
            own = [row for row, of in zip(run.rows, lines, strict=True) if of == line]
            roi = quantiles([row["system_roi"] for row in own])
            alive = quantiles([row["alive_agents"] for row in own])
            rows.append((line, number(len(own)), percent(roi["median"], 2), number(alive["median"])))
        columns = (_("line"), _("experiments"), _("return, median"), _("alive at the end, median"))
        grids.append(Grid(columns=columns, rows=rows, caption=_("Lines of this era")))
    if found is None:
        return Section(name="descent", title=title, grids=grids, empty=_("There are no lineages to draw."))
    return Section(name="descent", title=title, figures=[lineages_figure(found, _)], grids=grids)
