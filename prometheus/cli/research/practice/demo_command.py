"""``demo``: a compressed day in which a population trades through one account on the exchange on the loopback.

What it leaves in ``<root>/practice/RUN_ID``: the order chain, the rounds of netting, every call, the fingerprint, and
the exchange's own journal. It is practice: no run of the ledger, no genome for the pool.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import frozen
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from prometheus.cli.options import DEFAULT_ROOT, AsJson, Root, examples
from prometheus.cli.report import Report, facts
from prometheus.cli.research.practice.practice_venue import VenueProcess
from prometheus.v10.base.clock import SystemClock, new_run_id
from prometheus.v10.base.errors import ExitCode, host_error
from prometheus.v10.base.files import FILES, AppendFile, write_new
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.core.config import WorldConfig, for_timeframe
from prometheus.v10.core.world import Experiment
from prometheus.v10.evidence.chains.tail import TornTail
from prometheus.v10.evidence.derive.netted.rederived_round import broken_order, misfits
from prometheus.v10.evidence.records.codec import json_pieces, to_line
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.execution.desk.exchange_desk import ExchangeDesk, contract_of
from prometheus.v10.execution.kept.call_counts import CallCounts
from prometheus.v10.execution.kept.call_keeper import CallKeeper
from prometheus.v10.execution.netting.netted_account import NettedAccount
from prometheus.v10.execution.netting.netting_invariants import AgentLimits
from prometheus.v10.execution.netting.netting_record import NettingRound
from prometheus.v10.execution.opening.account_plan import AccountPlan
from prometheus.v10.execution.opening.bring_to_nothing import Opener
from prometheus.v10.execution.orders.order_chain import OrderChain, followed
from prometheus.v10.execution.orders.order_line import FILE_NAME
from prometheus.v10.execution.ports.call_records import CallRecord
from prometheus.v10.execution.ports.order_terms import MarginMode, StpMode
from prometheus.v10.execution.session.netted_fills import NettedFills
from prometheus.v10.execution.session.world_session import WorldSession
from prometheus.v10.execution.trading.bar_driver import BarDriver
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.resample import resample
from prometheus.v10.market.synthetic import synthetic
from prometheus.v10.runs.request.setup import market_arrays

DEMO_EXAMPLES = examples("demo --root var", "demo --root var --bars 24 --seed 7 --json")
INSTRUMENT, CURRENCY = "BTC-USDT-SWAP", "USDT"
MINUTE, BAR = 60, 900
DAY = 24 * 60
EQUITY_TOLERANCE = Decimal("0.01")
"""USDT by which books and exchange may differ."""
REVIEW_BARS = 24
ROUNDS = "netting_rounds.jsonl"
PLAN = AccountPlan(
    mode=Mode.OKX_DEMO, inst_id=INSTRUMENT, currency=CURRENCY, margin_mode=MarginMode.CROSS, leverage=Decimal(3),
    stp_mode=StpMode.CANCEL_MAKER, tag="", clock_tolerance_ms=1000, flatten_at_start=True, expire_after_ms=5000,
    least_agents=1, most_agents=1000,
)  # fmt: skip


@frozen(kw_only=True)
class Day:
    """What a day came to."""

    agents: int
    bars: int
    orders: int
    fills: int
    rounds: int
    crossed_share: float
    surplus: str
    fees: str
    deaths: int
    equity_before: str
    equity_after: str
    state: str
    wrong: list[str]


def bars_ahead(venue: VenueProcess, seed: int, count: int) -> Bars:
    """The bars that the venue is about to play, of a quarter of an hour, from the next whole one on."""
    minutes = synthetic(seed, 2 * DAY, MINUTE)
    quarters = resample(minutes, BAR).bars
    venue.pause((BAR * 1000 - venue.now_ms() % (BAR * 1000)) / 1000)
    first = int((quarters.open_time < venue.now_ms() // 1000).sum())
    return quarters.slice(first, count)


def trade_a_day(
    folder: Path, run_id: str, venue: VenueProcess, *, seed: int, count: int, said: Callable[[int], None]
) -> Day:
    """Open the account, let the population trade, close it, and check what is left.

    Raises:
        PrometheusError: when the account cannot be opened, or a round breaks an invariant.
    """
    clock = SystemClock()
    counts, keeper = CallCounts(clock), CallKeeper(folder, run_id, clock)

    def sink(call: CallRecord) -> None:
        counts(call)
        keeper(call)

    port = venue.port(sink)
    with OrderChain(folder / FILE_NAME, clock=clock, on_torn=_untorn) as chain:
        opened = Opener(port, chain, PLAN, run_id, venue.now_ms, venue.pause).open()
        equity, agents = opened.after.balance.equity, opened.allotment.agents
        driver = BarDriver(port, chain, PLAN, run_id, opened.facts.instrument, venue.now_ms, venue.pause)
        bars = bars_ahead(venue, seed, count)
        experiment = Experiment(market_arrays(bars, world := _world(agents, equity))[0], world, seed)
        contract = contract_of(driver.instrument, port.fee(driver.instrument))
        stake = Decimal(experiment.initial_capital[0])
        account = NettedAccount(run_id, contract, equity - stake * agents, dict.fromkeys(range(agents), stake))
        desk = ExchangeDesk(driver, equity_tolerance=EQUITY_TOLERANCE)
        lines = AppendFile(folder / ROUNDS, files=FILES)

        def record(one: NettingRound) -> None:
            lines.append(to_line(one))

        fills = NettedFills(INSTRUMENT, account, desk, record, AgentLimits())
        session, began = WorldSession(experiment, fills), venue.now_ms()
        while not session.done:
            session.open_bar()
            venue.pause(max(0.001, (began + (experiment.tick + 1) * BAR * 1000 - venue.now_ms()) / 1000))
            session.close_bar()  # funding that was billed within the bar is shared out before anything else
            keeper.flush()
            said(experiment.tick)
        result = session.result()
        lines.sync()
        lines.close()
        after, state = desk.truth().equity, driver.gate.state.value
        keeper.flush()
        write_new(folder / Artifact.FINGERPRINT, json_pieces(counts.fingerprint(run_id, Mode.OKX_DEMO)))
        rounds = [json.loads(line) for line in (folder / ROUNDS).read_bytes().splitlines()]
        orders = chain.states.orders.values()
    port.close()
    settled = [one for one in rounds if one["status"] == "settled"]
    crossed = sum(one["crossed_lots"] for one in settled)
    wished = sum(2 * one["crossed_lots"] + abs(one["net_lots"]) for one in settled)
    return Day(
        agents=agents, bars=experiment.tick, orders=len(orders), fills=sum(len(one.fills) for one in orders),
        rounds=len(rounds), crossed_share=round(2 * crossed / wished, 4) if wished else 0.0,
        surplus=f"{account.house.surplus:.2f}", fees=f"{sum((one.fees for one in orders), Decimal(0)):.2f}",
        deaths=len(result.deaths.tick), equity_before=f"{equity:.2f}", equity_after=f"{after:.2f}", state=state,
        wrong=_wrong(folder, rounds, account),
    )  # fmt: skip


def _world(agents: int, equity: Decimal) -> WorldConfig:
    return for_timeframe(
        BAR, founders=agents, initial_total=float(equity), review_ticks=REVIEW_BARS, community_ticks=REVIEW_BARS,
        death_roi=-0.001, breed_roi=0.0,
    )  # fmt: skip


def _wrong(folder: Path, rounds: list[dict[str, Any]], account: NettedAccount) -> list[str]:
    """What the files of a day do not say alike."""
    found = [what for one in rounds for what in misfits(one)] + broken_order(rounds)
    found += [
        f"round {one['tick']} breaks an invariant" for one in rounds if one["status"] == "settled" and not one["holds"]
    ]
    chained = followed(folder / FILE_NAME).position(INSTRUMENT)
    if chained != account.venue_lots or account.venue_lots != 0:
        found.append(f"the chain ends at {chained} lots, the agents at {account.venue_lots}")
    return found


def _untorn(torn: TornTail) -> None:
    raise host_error(OSError(), f"{torn.path} was torn while it was new")


def demo_command(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    bars: Annotated[int, typer.Option(min=4, max=90, help="Bars of a quarter of an hour.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the market, the book, the keys and the genomes.")] = 0,
    as_json: AsJson = False,
) -> Report:
    """Let a population trade a day through one account on our own exchange, and check every lot and cent."""
    run_id = new_run_id("DEMO", SystemClock(), probe().git_commit)
    folder = Layout.under(root).lib / "practice" / run_id
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise host_error(error, f"cannot create {folder}") from error
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=context.obj, transient=True, disable=not context.obj.is_terminal,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pq-") as short, progress:  # a socket's name has at most 107 bytes
        task = progress.add_task("bars", total=bars)
        with VenueProcess(Path(short), seed=seed) as venue:
            day = trade_a_day(folder, run_id, venue, seed=seed, count=bars,
                              said=lambda tick: progress.update(task, completed=tick))  # fmt: skip
        write_new(folder / "venue.jsonl", [venue.journal.read_bytes()])  # whole, now that the venue has ended
    data = {"run": run_id, "directory": str(folder), **{name: getattr(day, name) for name in Day.__annotations__}}
    shown = [facts("a day of practice", {name: value for name, value in data.items() if name != "wrong"})]
    verdict = [f"FAIL  {what}" for what in day.wrong[:20]] or ["PASS  every round, lot and order agrees"]
    code = ExitCode.VERIFY_FAILED if day.wrong else ExitCode.DONE
    return Report(data, [*shown, *verdict], code).asked(as_json=as_json)
