"""A run at an exchange: its chain against its raw calls, both against its rounds, all against manifest and lives.

1. The chain alone: every line, every order's life, client ids, latched trading states.
2. The calls alone: parts, index, codes; what they come to is the fingerprint and the alignment bundle.
3. The chain against the calls: requests, answers, trades, balances, bills.
4. The rounds: each by itself, against chain and books, and after each the sum of all agents against the exchange.
5. Manifest, positions and lives against all of it.

A run that was cut off, or failed, is held to what is there. Standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from prometheus.v10.base.errors import EvidenceError, PrometheusError
from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.base.reading import LARGE, read_whole
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.chains.exchanged.trading_halts import halt_claim
from prometheus.v10.evidence.chains.ledger_view import LedgerView
from prometheus.v10.evidence.derive.exchanged import exchange_plan as plan
from prometheus.v10.evidence.derive.exchanged.answers_said import Answers, opening_bill
from prometheus.v10.evidence.derive.exchanged.booked_rounds import Booked, Rounds, lines_of, wishes_sha256
from prometheus.v10.evidence.derive.exchanged.call_figures import Figures
from prometheus.v10.evidence.derive.exchanged.call_stream import calls_of
from prometheus.v10.evidence.derive.exchanged.exact_text import exact
from prometheus.v10.evidence.derive.exchanged.exchange_modes import is_exchange
from prometheus.v10.evidence.derive.exchanged.order_lives import Chain, chain_of
from prometheus.v10.evidence.derive.exchanged.proved_orders import (
    check_account,
    check_begins,
    check_orders,
    check_positions,
)
from prometheus.v10.evidence.derive.netted.rederived_round import digits
from prometheus.v10.evidence.derive.setting import spelt
from prometheus.v10.evidence.derive.typed import differing, is_count, plain_json, table
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.evidence.verify.unpacking import RunFiles

MOST_SAID = 40
FEES_APART = 1e-6
"""USDT by which the core's fees, which are doubles, may differ from the exact ones."""


def check_exchange(
    run_dir: Path,
    files: RunFiles,
    manifest: Mapping[str, Any],
    report: VerifyReport,
    ledger: LedgerView | None,
    *,
    cut_off: bool,
) -> None:
    """Check what a run at an exchange adds; of another run there is nothing to check here.

    Args:
        run_dir: a run whose seal was checked.
        files: its files.
        manifest: its manifest.
        report: where findings go.
        ledger: what the ledger says; None where there is none to ask.
        cut_off: the run carries ``interrupted.json``: its last calls may not have been written.
    """
    if not is_exchange(manifest):
        return
    if ledger is not None and files.there(Artifact.ORDER_CHAIN):
        _check_halt(run_dir, files.place(Artifact.ORDER_CHAIN), ledger.seals.get(run_dir.name, []), report)
    check = _Exchange(run_dir, files, manifest, report, cut_off=cut_off)
    try:
        check.all()
    except PrometheusError as error:
        report.error(run_dir / check.at, error.message)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        what = f"cannot be read as what it should be: {printable(repr(error), longest=200)}"
        report.fail(run_dir / check.at, what)


def _check_halt(run_dir: Path, chain: Path, seals: Sequence[Mapping[str, Any]], report: VerifyReport) -> None:
    """Hold the ledger's word about a halt against the order chain: an instance stays halted by the ledger's."""
    try:
        derived = halt_claim(chain).get("halt")
    except EvidenceError:
        return  # damage is told where the chain itself is checked
    except PrometheusError as error:
        report.error(run_dir / Artifact.ORDER_CHAIN, error.message)
        return
    for entry in seals:
        if entry.get("halt") != derived:
            said = f"the ledger says of its halt {entry.get('halt')!r}, its order chain {derived!r}"
            report.fail(run_dir / Artifact.ORDER_CHAIN, printable(said, longest=400))


class _Exchange:
    """One run at an exchange."""

    def __init__(
        self, run_dir: Path, files: RunFiles, manifest: Mapping[str, Any], report: VerifyReport, *, cut_off: bool
    ) -> None:
        self.dir, self.files, self.manifest, self.report, self.cut_off = run_dir, files, manifest, report, cut_off
        self.at: str = str(Artifact.ORDER_CHAIN)
        self._said: Counter[str] = Counter()

    def say(self, name: str, what: str) -> None:
        self._said[name] += 1
        if self._said[name] <= MOST_SAID:
            self.report.fail(self.dir / name, printable(what, longest=400))

    def about(self, artifact: Artifact) -> Callable[[str], None]:
        self.at = str(artifact)
        return lambda what: self.say(str(artifact), what)

    def all(self) -> None:
        self.about(Artifact.ORDER_CHAIN)
        chain = (
            chain_of(self.files.place(self.at), self.dir.name, self.say)
            if self._there(Artifact.ORDER_CHAIN)
            else Chain()
        )
        said, figures = self._calls(chain)
        self._documents(figures)
        booked = self._rounds(chain, said)
        self._told(chain)
        if self.cut_off or self.manifest.get("exchange") is None:
            return
        on_chain, of_run = self.about(Artifact.ORDER_CHAIN), Artifact.MANIFEST
        expire_after = table(table(self.manifest.get("config")).get("exchange")).get("expire_after_ms")
        check_orders(chain, said, expire_after, on_chain)
        check_account(chain, said, table(self.manifest.get("exchange")), on_chain)
        if "ended" not in table(self.manifest.get("exchange")):
            return
        check_positions(chain, said, on_chain, asked=not booked.unasked)
        check_begins(chain, said, self.about(Artifact.EXECUTION_RAW_INDEX))
        say = self.about(of_run)
        plan.check_claim(self.manifest, chain, said, booked, say)
        plan.check_bars(self.manifest, said, say)
        plan.check_self_trades(self.manifest, figures.capability, say)
        count = table(self.manifest.get("counts")).get("raw_samples")
        if count != figures.count:
            say(f"counts.raw_samples is {count!r}, the parts have {figures.count} calls")
        self._positions(booked, said)
        self._trace(booked, said)
        self._fees(booked)

    def _told(self, chain: Chain) -> None:
        """The journal heard of each reason once; runs of the version before told it nothing."""
        journal = table(self.manifest.get("journal"))
        counts = (table(journal.get(name)).get("trading_state", 0) for name in ("sent", "failed"))
        latched = len(table(chain.trading).get("reasons", ()))
        told = sum(one if is_count(one) else -1 for one in counts)
        if not self.cut_off and told not in {0, latched}:
            self.say(str(Artifact.MANIFEST), f"journal: {told} entries of trading_state, the chain latched {latched}")

    def _there(self, artifact: Artifact) -> bool:
        self.at = str(artifact)
        return self.files.there(str(artifact))

    # ---- calls and what they come to

    def _calls(self, chain: Chain) -> tuple[Answers, Figures]:
        exchange = table(table(self.manifest.get("config")).get("exchange"))
        first, step = plan.grid(self.manifest)
        said = Answers(
            str(exchange.get("instrument")), str(exchange.get("currency")), first, step,
            opening_bill(chain.opening or {}),
        )  # fmt: skip
        figures = Figures()
        self.at = str(Artifact.EXECUTION_RAW_INDEX)
        for call in calls_of(self.dir, self.manifest.get("start_time"), self.say):
            figures.take(call)
            said.take(call)
        for number, what in said.wrong:
            self.say(str(Artifact.EXECUTION_RAW_INDEX), f"call {number}: {what}")
        sender = plan.sender_of(self.manifest)
        if figures.count and figures.library != sender:
            self.say(self.at, f"its calls are by {figures.library!a}, the configuration names {sender!a}")
        return said, figures

    def _documents(self, figures: Figures) -> None:
        if self._there(Artifact.FINGERPRINT):
            found = plain_json(read_whole(self.files.place(self.at), at_most=LARGE))
            named = plan.sender_of(self.manifest) if plan.names_library(self.manifest) else None
            derived = figures.fingerprint(self.dir.name, self.manifest.get("mode"), named)
            if not (self.cut_off and table(found).get("api_calls") != figures.count):
                for what in differing(found, derived):
                    self.say(self.at, what)
        if self.cut_off:
            return
        for name, data in figures.bundle(self.dir.name).items():
            self.at = name
            if self.files.there(name) and read_whole(self.files.place(name), at_most=LARGE) != data:
                self.say(name, "it is not the alignment bundle that the calls make")

    # ---- rounds

    def _rounds(self, chain: Chain, said: Answers) -> Booked:
        say = self.about(Artifact.NETTING_ROUNDS)
        if not self._there(Artifact.NETTING_ROUNDS) or chain.opening is None or self.cut_off:
            return Booked()
        tolerance = table(table(self.manifest.get("config")).get("exchange")).get("equity_tolerance", "0")
        equity = exact(chain.opening["equity"])
        failed = self.manifest.get("status") == "failed"
        return Rounds(self.dir.name, chain, said, equity, tolerance, say, failed=failed).check(
            lines_of(self.files.place(self.at), say)
        )

    # ---- positions and lives

    def _positions(self, booked: Booked, said: Answers) -> None:
        """The snapshot as the agents' trades make it, and as the exchange reported it; the quality by both."""
        if not self._there(Artifact.POSITIONS_SNAPSHOT):
            return
        snapshot = plain_json(read_whole(self.files.place(self.at), at_most=LARGE))
        if not isinstance(snapshot, dict) or schema_of(Schema.POSITIONS_SNAPSHOT).first(snapshot) is not None:
            return  # said where its own sums are checked
        agents = booked.bought.keys() | booked.sold.keys()
        lots = {agent: booked.bought[agent] - booked.sold[agent] for agent in agents}
        bars = [*said.bars, *([said.forming] if said.forming else [])]
        close = float(bars[snapshot["tick"]][3]) if snapshot["tick"] < len(bars) else None
        net = sum(lots.values())
        figures = {"mark_price": close, "contracts": abs(float(net)) * float(said.units.size)}
        for what in differing({name: snapshot[name] for name in figures}, figures):
            self.say(self.at, what)
        when = self._close(snapshot["tick"])
        if snapshot["ts_utc"] != when:
            self.say(self.at, f"ts_utc is {snapshot['ts_utc']}, the close of its tick is {when}")
        signs = {"long": 1, "short": -1}
        told = {one["genome_index"]: one["lots"] * signs[one["side"]] for one in snapshot["positions"]}
        if told != {agent: float(one) for agent, one in lots.items() if one}:
            self.say(self.at, "its positions are not what the rounds leave each agent with")
        quality = self._reported(snapshot.get("reported"), sum(lots.values()), said)
        wanted = Schema.POSITIONS_SNAPSHOT if "reported" not in snapshot else Schema.POSITIONS_SNAPSHOT_2
        if snapshot["schema"] != wanted:
            self.say(self.at, f"its schema is {snapshot['schema']}, not {wanted}")
        if self.manifest.get("positions_quality") != quality:
            found = self.manifest.get("positions_quality")
            self.say(str(Artifact.MANIFEST), f"positions_quality is {found!r}, derived is {quality!r}")
        self._rebuilt(booked, lots)

    def _reported(self, reported: dict[str, Any] | None, lots: int, said: Answers) -> str:
        """What the exchange reported against the call that says so; the quality of the positions by it."""
        if reported is None:
            return "unknown"
        look = next((one for one in said.looked if one.call == reported["call"]), None)
        if look is None:
            self.say(self.at, f"call {reported['call']} does not report a position")
            return "unreliable"
        derived = {"call": look.call, "equity_call": look.equity_call, "lots": look.lots,
                   "equity": digits(exact(look.equity))}  # fmt: skip
        for name, value in (("average_price", look.average), ("mark_price", look.mark)):
            derived |= {name: digits(exact(value))} if look.lots and value else {}
        for what in differing(reported, derived, "reported"):
            self.say(self.at, what)
        return "exchange_reported" if reported["lots"] == lots else "unreliable"

    def _trace(self, booked: Booked, said: Answers) -> None:
        """Each tick's line: the bar's close, and who wanted how many lots, which the next round's wishes are."""
        bars, tick, number = [*said.bars, *([said.forming] if said.forming else [])], 0, 1
        name = Artifact.DECISION_TRACE.file_name(part=1)
        while self.files.there(name):
            self.at = name
            for line in read_whole(self.files.place(name), at_most=LARGE).splitlines():
                row = table(plain_json(line))
                close = float(bars[tick][3]) if tick < len(bars) else None
                if (row.get("mark_price_used"), row.get("inst_id_used")) != (close, said.inst_id):
                    self.say(name, f"tick {tick}: its price or its instrument is not the bar's")
                if row.get("ts_utc") != self._close(tick):
                    self.say(name, f"tick {tick}: ts_utc is not the close of its bar")
                wishes = [(int(one["agent_id"][-6:]), int(one["lots"])) for one in row.get("agent_detail", [])]
                asked = booked.asked.get(tick + 1)
                if asked is not None and asked != wishes_sha256(sorted(wishes)):
                    self.say(name, f"tick {tick}: its agents do not want what the round of tick {tick + 1} was for")
                tick += 1
            number += 1
            name = Artifact.DECISION_TRACE.file_name(part=number)

    def _close(self, tick: int) -> str:
        """Market time of a tick's close."""
        first, step = plan.grid(self.manifest)
        return spelt(datetime.fromtimestamp((first + (tick + 1) * step) / 1000, tz=UTC))

    def _rebuilt(self, booked: Booked, lots: Mapping[int, int]) -> None:
        """The reconstruction is what each agent got in the rounds."""
        records = [
            {
                "schema": Schema.POSITIONS_RAW.value, "run_id": self.dir.name, "agent_id": f"e0000a{agent:06d}",
                "evidence_type": "fills", "fills": booked.trades[agent], "bought_lots": float(booked.bought[agent]),
                "sold_lots": float(booked.sold[agent]), "position_lots": float(lots[agent]),
                "snapshot_lots": float(lots[agent]), "residual_lots": 0.0, "last_fill_tick": booked.last[agent],
            }
            for agent in sorted(booked.trades)
        ]  # fmt: skip
        name = Artifact.POSITIONS_RAW.file_name(part=1)
        found: list[Any] = []
        number = 1
        while self.files.there(name):
            part = plain_json(read_whole(self.files.place(name), at_most=LARGE))
            found += part if isinstance(part, list) else [part]
            number += 1
            name = Artifact.POSITIONS_RAW.file_name(part=number)
        for what in differing(found, records, "records")[:MOST_SAID]:
            self.say(str(Artifact.POSITIONS_RAW_INDEX), what)

    def _fees(self, booked: Booked) -> None:
        """What an agent's life cost it in fees is what the rounds charged it; what was left open is settled apart."""
        name = Artifact.BEHAVIORS.file_name(run_id=self.dir.name)
        self.at = name
        left = table(table(self.manifest.get("exchange")).get("ended")).get("positions") != "flat"
        if not self.files.there(name) or left:
            return
        rows = plain_json(read_whole(self.files.place(name), at_most=LARGE))
        for row in rows if isinstance(rows, list) else []:
            agent, said = row["genome_index"], row["costs"]["fees"]
            charged = float(booked.fees.get(agent, Fraction(0)))
            if abs(said - charged) > FEES_APART:
                self.say(name, f"row {agent}: fees are {said!r}, the rounds charged {charged!r}")
