"""The parts of a page that only a run at an exchange has: trading states, orders, netting rounds, faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from prometheus.v10.report.pages.drawing import Plot
from prometheus.v10.report.pages.exchange_read import ExchangeRead, Order, Round, Trouble
from prometheus.v10.report.pages.figures_made import Cell, Figure, Grid, Section
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.pages.scales import number, scale

MOST_ROWS = 100
STATE_TONES = {"ACTIVE": "good", "REDUCING": "warn", "HALTED": "bad"}


def exchange_sections(found: ExchangeRead, _: Phrases) -> list[Section]:
    """Every part, in the order in which an operator asks: how it stands, orders, rounds, faults."""
    return [_stand(found, _), _orders(found, _), _rounds(found, _), _faults(found, _)]


def state_cell(state: object) -> Cell:
    """A trading state with its colour."""
    text = "–" if state is None else str(state)
    return Cell(text, "", STATE_TONES.get(text, ""))


# ---- how it stands ---------------------------------------------------------------------------------------------------


def _stand(found: ExchangeRead, _: Phrases) -> Section:
    ended = found.table.get("ended")
    facts = [
        (_("site"), found.table.get("site")), (_("instrument"), found.said("instrument", "inst_id")),
        (_("leverage"), found.said("instrument", "leverage")), (_("taker fee"), found.said("instrument", "taker")),
        (_("equity at the opening, USDT"), found.said("bootstrap", "equity")),
        (_("agents at the opening"), found.said("bootstrap", "agents")),
        (_("equity after, USDT"), found.said("ended", "equity_after")), (_("fees, USDT"), found.said("ended", "fees")),
        (_("funding, USDT"), found.said("ended", "funding")),
        (_("position after, lots"), found.said("ended", "position_lots")),
        (_("open orders after"), _count(found.said("ended", "open_orders"))),
        (_("what a stop does"), found.table.get("on_stop")),
    ]  # fmt: skip
    rows = [(name, "–" if value is None else str(value)) for name, value in facts]
    grids = [Grid(columns=(_("what"), _("value")), rows=rows, left=frozenset([0, 1]), caption=_("The account"))]
    if found.states:
        states = [
            (_clock(one.when), state_cell(one.state), ", ".join(one.reasons) or "–", one.by, one.detail)
            for one in found.states[:MOST_ROWS]
        ]
        columns = (_("since, UTC"), _("state"), _("reasons"), _("set by"), _("detail"))
        grids.append(Grid(columns=columns, rows=states, left=frozenset(range(5)), caption=_("Trading states")))
    if found.incidents:
        caption = _("What an operator must look at")
        grids.append(_troubles(found.incidents, (_("when, UTC"), _("reason"), _("order"), _("detail")), caption))
    state = found.said("ended", "trading_state")
    reasons = found.said("ended", "reasons")
    why = ", ".join(map(str, reasons)) if isinstance(reasons, list) and reasons else ""
    if not isinstance(ended, dict):
        lead = _("The run did not say how its trading ended.")
    elif why:
        lead = _("Trading ended {state}: {reasons}.", state=str(state), reasons=why)
    else:
        lead = _("Trading ended {state}.", state=str(state))
    notes = [] if found.states else [_("No trading state but the first was set: nothing gave a reason.")]
    figures = [_equity(found, _)] if sum(one.equity is not None for one in found.looks) > 1 else []
    return Section(name="exchange", title=_("At the exchange"), lead=lead, figures=figures, grids=grids, notes=notes)


def _count(value: object) -> int | None:
    return len(value) if isinstance(value, list) else None


def _clock(when: str) -> str:
    return when[:19].replace("T", " ")


def _equity(found: ExchangeRead, _: Phrases) -> Figure:
    """Equity as the exchange said it at each reconciliation."""
    points = [(float(n), one.equity) for n, one in enumerate(found.looks, 1) if one.equity is not None]
    values = [value for _n, value in points]
    plot = Plot(
        title=_("Equity of the account at each reconciliation"), x=scale(1, points[-1][0], 5, whole=True, wide=False),
        y=scale(min(values), max(values), 5), x_label=_("reconciliations"), y_label=_("equity, USDT"),
    )  # fmt: skip
    plot.line(points, "c1")
    rows = [
        (str(n), _clock(one.when), number(one.equity, 8), number(one.position))
        for n, one in list(enumerate(found.looks, 1))[-MOST_ROWS:]
    ]
    columns = (_("number"), _("when, UTC"), _("equity, USDT"), _("position, lots"))
    return Figure(
        heading=_("Equity"), svg=plot.svg(), legend=[("c1 line", _("equity"))],
        numbers=Grid(columns=columns, rows=rows, left=frozenset([0, 1])), folded=True,
    )  # fmt: skip


def _troubles(found: Sequence[Trouble], columns: Sequence[str], caption: str) -> Grid:
    rows = [(_clock(one.when), Cell(one.what, "", "warn"), one.where or "–", one.said) for one in found[:MOST_ROWS]]
    return Grid(columns=columns, rows=rows, left=frozenset(range(4)), caption=caption)


# ---- orders ----------------------------------------------------------------------------------------------------------


def _orders(found: ExchangeRead, _: Phrases) -> Section:
    title = _("Orders")
    if not found.orders:
        return Section(name="orders", title=title, empty=_("No order was meant."))
    ends = Counter(one.ended or _("not proved") for one in found.orders)
    lead = _(
        "{count} orders: {ends}. {unknown} had an unknown outcome at first and were asked for until it was proved.",
        count=number(len(found.orders)), ends=", ".join(f"{number(n)} {name}" for name, n in sorted(ends.items())),
        unknown=number(sum(one.answer.startswith("UNKNOWN") for one in found.orders)),
    )  # fmt: skip
    shown = sorted(found.orders, key=lambda one: (_is_plain(one), -one.tick, one.client_id))[:MOST_ROWS]
    rows = [
        (
            one.client_id, number(one.tick), one.purpose, one.side, number(one.lots), number(one.filled),
            Cell(one.answer or _("not sent"), "", "" if one.answer == "ACK" else "warn"), number(one.looks),
            Cell(one.ended or _("not proved"), "", "" if one.ended == "filled" else "warn" if one.ended else "bad"),
            number(one.fees, 6),
        )
        for one in shown
    ]  # fmt: skip
    columns = (
        _("client id"), _("tick"), _("purpose"), _("side"), _("lots"), _("filled"), _("first answer"),
        _("asked for"), _("ended"), _("fees, USDT"),
    )  # fmt: skip
    notes = [_("Orders that did not go plainly stand first; the others follow, the newest first.")]
    if len(found.orders) > len(shown):
        notes.append(_("{count} more are in order_chain.jsonl.", count=number(len(found.orders) - len(shown))))
    grid = Grid(columns=columns, rows=rows, left=frozenset([0, 2, 3, 6, 8]))
    return Section(name="orders", title=title, lead=lead, grids=[grid], notes=notes)


def _is_plain(one: Order) -> bool:
    return one.answer == "ACK" and one.ended == "filled"


# ---- rounds ----------------------------------------------------------------------------------------------------------


def _rounds(found: ExchangeRead, _: Phrases) -> Section:
    title = _("Netting rounds")
    if not found.rounds:
        return Section(name="rounds", title=title, empty=_("No round is on file."))
    broken = [one for one in found.rounds if one.broken]
    states = Counter(one.status for one in found.rounds)
    lead = _(
        "{count} rounds: {states}. Agents crossed {crossed} lots among themselves; {net} lots went to the exchange.",
        count=number(len(found.rounds)), states=", ".join(f"{number(n)} {name}" for name, n in sorted(states.items())),
        crossed=number(sum(one.crossed for one in found.rounds)), net=number(sent_lots(found.rounds)),
    )  # fmt: skip
    shown = sorted(found.rounds, key=lambda one: (one.status == "settled" and not one.broken, -one.tick))[:MOST_ROWS]
    rows = [
        (
            number(one.tick), Cell(one.status, "", "" if one.status == "settled" else "warn"), number(one.bought),
            number(one.sold), number(one.crossed), number(one.net), number(one.orders), number(one.filled),
            number(one.fees, 6),
            number(one.surplus, 6), Cell(", ".join(one.broken) or _("hold"), "", "bad" if one.broken else ""),
        )
        for one in shown
    ]  # fmt: skip
    columns = (
        _("tick"), _("status"), _("wanted to buy"), _("wanted to sell"), _("crossed"), _("net order"), _("orders"),
        _("filled"),
        _("fees, USDT"), _("surplus, USDT"), _("residuals"),
    )  # fmt: skip
    notes = [_("Sizes are lots. Rounds that did not settle, or a residual of which is broken, stand first.")]
    if broken:
        notes.insert(0, _("{count} rounds have a broken residual.", count=number(len(broken))))
    if left := sum(one.unclosed for one in found.rounds):
        notes.insert(0, _("Closes that must be whole left {lots} lots open.", lots=number(left)))
    if len(found.rounds) > len(shown):
        notes.append(_("{count} more are in netting_rounds.jsonl.", count=number(len(found.rounds) - len(shown))))
    return Section(
        name="rounds", title=title, lead=lead, figures=[_lots(found.rounds, _)], notes=notes,
        grids=[Grid(columns=columns, rows=rows, left=frozenset([1, 10]))],
    )  # fmt: skip


def sent_lots(rounds: Sequence[Round]) -> int:
    """Lots that went to the exchange, bought and sold."""
    return sum(abs(one.net) for one in rounds)


def _lots(rounds: Sequence[Round], _: Phrases) -> Figure:
    """What agents crossed and what went to the exchange, round by round; many rounds are taken together."""
    size = -(-len(rounds) // 60)
    groups = [rounds[at : at + size] for at in range(0, len(rounds), size)]
    sums = [(group[0].tick, group[-1].tick, sum(one.crossed for one in group), sent_lots(group)) for group in groups]
    plot = Plot(
        title=_("Lots that agents crossed, and lots that went to the exchange, over the rounds"),
        x=scale(0.4, len(sums) + 0.6, 5, wide=False),
        y=scale(0.0, max(1.0, *(float(crossed + net) for _a, _b, crossed, net in sums)), 5),
        x_label=_("tick"), y_label=_("lots"), numbers=False,
    )  # fmt: skip
    for place, (first, last, crossed, net) in enumerate(sums, 1):
        name = str(first) if first == last else f"{first}–{last}"
        if crossed:
            plot.bar(place - 0.4, place + 0.4, 0, crossed, "c4", f"{name}: {_('crossed')} {number(crossed)}")
        if net:
            plot.bar(place - 0.4, place + 0.4, crossed, crossed + net, "c2", f"{name}: {_('net order')} {number(net)}")
    every = -(-len(sums) // 8)
    plot.names((place, str(first)) for place, (first, *_rest) in enumerate(sums, 1) if (place - 1) % every == 0)
    legend = [("c4 full", _("crossed among agents")), ("c2 full", _("sent to the exchange"))]
    return Figure(heading=_("Crossed and sent"), svg=plot.svg(), legend=legend)


# ---- faults ----------------------------------------------------------------------------------------------------------


def _faults(found: ExchangeRead, _: Phrases) -> Section:
    """The log of calls that went wrong, and every endpoint with its outcomes."""
    calls = [
        (name, _total(one, "outcomes"), _pairs(one, "outcomes", "ok"), _pairs(one, "codes", "0"), _latency(one))
        for name, one in sorted(found.endpoints.items())
        if isinstance(one, dict)
    ]
    count = sum(total for _name, total, *_rest in calls)
    lead = _(
        "{count} of {all} calls went wrong.", count=number(len(found.faults)), all=number(count)
    )  # fmt: skip
    grids = []
    if found.faults:
        grids.append(
            _troubles(found.faults, (_("when, UTC"), _("what"), _("where"), _("what was said")), _("Fault log"))
        )
    if calls:
        rows = [
            (name, number(total), Cell(wrong or "–", "", "warn" if wrong else ""), codes or "–", latency)
            for name, total, wrong, codes, latency in calls
        ]
        columns = (_("endpoint"), _("calls"), _("outcomes but ok"), _("codes but 0"), _("latency p50 / p99, ms"))
        grids.append(Grid(columns=columns, rows=rows, left=frozenset([0, 2, 3]), caption=_("Endpoints")))
    rest = len(found.faults) - MOST_ROWS
    notes = [_("{count} more are in execution_fingerprint.json.", count=number(rest))] if rest > 0 else []
    return Section(name="faults", title=_("Calls and faults"), lead=lead, grids=grids, notes=notes)


def _counts(one: Mapping[str, object], name: str) -> dict[str, int]:
    found = one.get(name)
    return {str(key): n for key, n in found.items() if type(n) is int} if isinstance(found, dict) else {}


def _total(one: Mapping[str, object], name: str) -> int:
    return sum(_counts(one, name).values())


def _pairs(one: Mapping[str, object], name: str, usual: str) -> str:
    return ", ".join(f"{key} {number(n)}" for key, n in sorted(_counts(one, name).items()) if key != usual)


def _latency(one: Mapping[str, object]) -> str:
    found = one.get("latency_ms")
    if not isinstance(found, dict):
        return "–"
    values = (found.get(name) for name in ("p50", "p99"))
    return " / ".join(number(value) if isinstance(value, int | float) else "–" for value in values)
