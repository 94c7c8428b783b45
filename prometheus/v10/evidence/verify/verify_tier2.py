"""What a Tier-2 run adds to Tier 1, held against the run's own events: genomes, lives, positions, trace, alignment.

Everything is read as a stream and believed only as far as it can be derived: a genome's hash from its row, a life from
its birth and death, positions from fills, counts from the trace's own lines. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.base.reading import LARGE, open_regular, read_whole
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.records.canonical import is_canonical, pretty_bytes, strict_loads
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.schema_file import schema_of
from prometheus.v10.evidence.verify.unpacking import RunFiles

LOCI = 342
HEADER = re.compile(rb"\{'descr': '<f4', 'fortran_order': False, 'shape': \(([0-9]{1,9}), 342\), \} *\n")
ROW_BYTES = 4 * LOCI
MOST_SAID = 20
LONGEST_LINE = 16 << 20
NO_LIBRARY = "offline: no exchange library took part in this run, so there is nothing to align"
SETTLEMENT = "settlement"
LIFE_OF_DEATH = (
    ("genome_sha256", "genome_sha256"), ("death_tick", "tick"), ("death_reason", "death_reason"),
    ("initial_capital", "initial_capital"), ("final_capital", "final_capital"), ("roi_lifetime", "roi_lifetime"),
    ("age_ticks", "age_ticks"), ("total_trades", "trades"), ("wins", "wins"), ("parent_id", "parent_id"),
    ("last_signal", "last_signal"),
)  # fmt: skip
COST_OF_DEATH = (("fees", "fees_paid"), ("funding", "funding_paid"), ("slippage", "slippage_paid"))
LIFE_OF_BIRTH = (
    ("genome_sha256", "genome_sha256"), ("parent_id", "parent_id"), ("founder_id", "founder_id"),
    ("initial_capital", "initial_capital"),
)  # fmt: skip


def check_tier2(run_dir: Path, files: RunFiles, report: VerifyReport, *, at_exchange: bool = False) -> None:
    """Check what a Tier-2 run adds; what is absent is another check's matter.

    Args:
        run_dir: a run whose seal was checked; what is missing is not looked for here.
        files: its files.
        report: where findings go.
        at_exchange: whether it called an exchange: fills and alignment bundle are then another check's matter, too.
    """
    check = _Tier2(run_dir, files, report, at_exchange=at_exchange)
    parts = [check.genomes, check.lives, check.positions, check.trace]
    for part in parts if at_exchange else [*parts, check.alignment]:
        try:
            part()
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            what = f"cannot be read as what it should be: {printable(repr(error), longest=200)}"
            report.fail(run_dir / check.at, what)


class _Tier2:
    """One run: its lives by number, once they are read."""

    def __init__(self, run_dir: Path, files: RunFiles, report: VerifyReport, *, at_exchange: bool) -> None:
        self.dir, self.files, self.report, self.at, self.at_exchange = run_dir, files, report, "", at_exchange
        self.digests: list[str] | None = None
        self.rows: list[dict[str, Any]] = []
        self.said = 0

    def fail(self, what: str) -> None:
        self.said += 1
        if self.said <= MOST_SAID:
            self.report.fail(self.dir / self.at, printable(what))

    def _there(self, name: str) -> bool:
        self.at = name
        return self.files.there(name)

    # ---- genomes -----------------------------------------------------------------------------------------------------

    def genomes(self) -> None:
        """The header's shape and type, the file's length, and each row's hash."""
        if not self._there(Artifact.GENOMES.file_name(run_id=self.dir.name)):
            return
        with os.fdopen(open_regular(self.files.place(self.at)), "rb") as file:
            head = file.read(10)
            if head[:8] != b"\x93NUMPY\x01\x00":
                self.fail("not a .npy of version 1.0")
                return
            header = file.read(int.from_bytes(head[8:10], "little"))
            shape = HEADER.fullmatch(header)
            if shape is None:
                self.fail(f"its header is not that of little-endian float32 of (agents, {LOCI})")
                return
            digests = []
            while row := file.read(ROW_BYTES):
                digests.append(hashlib.sha256(row).hexdigest() if len(row) == ROW_BYTES else "")
            if len(digests) != int(shape[1]) or "" in digests:
                self.fail(f"its header says {int(shape[1])} rows, it holds {len(digests)}")
        self.digests = digests

    # ---- lives -------------------------------------------------------------------------------------------------------

    def lives(self) -> None:
        """Behaviours against genomes, births, deaths and the summary's row."""
        if not self._there(Artifact.BEHAVIORS.file_name(run_id=self.dir.name)):
            return
        rows = self.rows = list(self._records(self.at, Schema.BEHAVIOR))
        summary = self._summary()
        if summary is not None and summary.get("total_agents_ever") != len(rows):
            self.fail(f"{len(rows)} lives, the summary has {summary.get('total_agents_ever')}")
        if self.digests is not None and len(self.digests) != len(rows):
            self.fail(f"{len(rows)} lives, and {len(self.digests)} genomes")
        names = {row["agent_id"]: row for row in rows}
        deaths, births = self._events(Artifact.DEATHS), self._events(Artifact.BIRTHS)
        behaviors = Artifact.BEHAVIORS.file_name(run_id=self.dir.name)
        self.at = behaviors
        children = Counter(row["parent_id"] for row in rows)
        ticks = None if summary is None else summary["ticks"]
        for number, row in enumerate(rows):
            for broken in violations(row):
                self.fail(f"row {number}: null rule: {broken}")
            born = births.get(row["agent_id"], {}).get("tick", 0)
            if ticks is not None and row["is_alive"] and row["age_ticks"] != ticks - born:
                self.fail(f"row {number}: it is {row['age_ticks']} ticks old, and was born at tick {born} of {ticks}")
            self._life(number, row, names, deaths.get(row["agent_id"]), births.get(row["agent_id"]), children)
        for what, events in (("died", deaths), ("was born", births)):
            for name in sorted(events.keys() - names.keys())[:3]:
                self.fail(f"{name} {what}, and has no life here")

    def _life(
        self, number: int, row: dict[str, Any], names: Mapping[str, Any], death: dict[str, Any] | None,
        birth: dict[str, Any] | None, children: Counter[Any],
    ) -> None:  # fmt: skip
        who = f"row {number}"
        facts: list[tuple[str, Any]] = [
            ("run_id", self.dir.name),
            ("genome_index", number),
            ("agent_id", f"e0000a{number:06d}"),
            ("is_alive", death is None),
            ("children", children[row["agent_id"]]),
            ("roi_lifetime", row["final_capital"] / row["initial_capital"] - 1.0),
            ("win_rate", row["wins"] / row["total_trades"] if row["total_trades"] else None),
            ("birth_time", 0 if birth is None else birth["tick"] + 1),
        ]
        if self.digests is not None and number < len(self.digests):
            facts.append(("genome_sha256", self.digests[number]))
        if death is None:
            facts += [("death_tick", None), ("death_reason", None)]
        else:
            facts += [(name, death[said]) for name, said in LIFE_OF_DEATH]
            facts.append(("costs", {name: death[said] for name, said in COST_OF_DEATH}))
        if birth is None:
            facts += [("parent_id", None), ("founder_id", row["agent_id"])]
        else:
            facts += [(name, birth[said]) for name, said in LIFE_OF_BIRTH]
            if birth["parent_id"] not in names:
                self.fail(f"{who}: its parent has no life here")
        for name, value in facts:
            found = row[name]
            if found != value or type(found) is not type(value):
                self.fail(f"{who}: {name} is {found!r}, the run's other files give {value!r}")

    # ---- positions ---------------------------------------------------------------------------------------------------

    def positions(self) -> None:
        """The snapshot's totals from its positions, the reconstruction from the raw orders, and both together."""
        if not self._there(Artifact.POSITIONS_SNAPSHOT):
            return
        held = _held_to(Schema.POSITIONS_SNAPSHOT, strict_loads(read_whole(self.files.place(self.at), at_most=LARGE)))
        for broken in violations(held):
            self.fail(f"null rule: {broken}")
        lots: dict[str, float] = {}
        alive = {row["agent_id"]: row for row in self.rows}
        for one in held["positions"]:
            sign = {"long": 1.0, "short": -1.0}[one["side"]]
            name = one["agent_id"]
            if name in lots or one["lots"] <= 0.0:
                self.fail(f"{name}: given twice, or with {one['lots']} lots")
            lots[name] = sign * one["lots"]
            if self.rows and (name not in alive or alive[name]["genome_index"] != one["genome_index"]):
                self.fail(f"{name} holds a position and has no such life")
        net, gross = sum(lots.values()), sum(map(abs, lots.values()))
        side = None if net == 0.0 else "long" if net > 0.0 else "short"
        summary = self._summary()
        self.at = str(Artifact.POSITIONS_SNAPSHOT)
        facts: list[tuple[str, Any]] = [
            ("run_id", self.dir.name), ("net_lots", net), ("gross_lots", gross), ("has_position", net != 0.0),
            ("position_side", side),
        ]  # fmt: skip
        if summary is not None:
            facts.append(("tick", max(_decided(summary) - 1, 0)))
        for key, value in facts:
            if held[key] != value:
                self.fail(f"{key} is {held[key]!r}, its positions give {value!r}")
        if not self.at_exchange:
            self._reconstruction(lots)

    def _reconstruction(self, lots: dict[str, float]) -> None:
        bought: dict[str, float] = defaultdict(float)
        sold: dict[str, float] = defaultdict(float)
        fills, last = Counter[str](), dict[str, int]()
        for part in self._parts(Artifact.EXECUTION_RAW):
            for order in self._records(part, Schema.EXECUTION_RAW):
                if order["kind"] == SETTLEMENT or not order["filled_lots"]:
                    continue
                name = order["agent_id"]
                (bought if order["side"] == "buy" else sold)[name] += abs(order["filled_lots"])
                fills[name] += 1
                last[name] = max(last.get(name, -1), order["tick"])
        seen = set()
        parts = self._parts(Artifact.POSITIONS_RAW)
        for part in parts:
            for row in self._records(part, Schema.POSITIONS_RAW):
                name = row["agent_id"]
                seen.add(name)
                position = bought[name] - sold[name]
                facts = {
                    "run_id": self.dir.name, "fills": fills[name], "bought_lots": bought[name], "sold_lots": sold[name],
                    "position_lots": position, "snapshot_lots": lots.get(name, 0.0), "residual_lots": 0.0,
                    "last_fill_tick": last.get(name, -1),
                }  # fmt: skip
                for key, value in facts.items():
                    if row[key] != value:
                        self.fail(f"{name}: {key} is {row[key]!r}, the run's orders give {value!r}")
        if parts and (odd := sorted(fills.keys() ^ seen)):
            self.fail(f"{odd[0]} filled orders and has no record, or the reverse")

    # ---- trace and alignment -----------------------------------------------------------------------------------------

    def trace(self) -> None:
        """Every tick once, in order, each line canonical and its counts those of its detail."""
        parts = self._parts(Artifact.DECISION_TRACE)
        if not parts:
            return
        summary, tick = self._summary(), 0
        for part in parts:
            self.at = part
            for line in self._lines(part):
                row = _held_to(Schema.DECISION_TRACE, strict_loads(line))
                if not is_canonical(line, row):
                    self.fail(f"the line of tick {tick} is not canonical")
                detail = row["agent_detail"]
                for key, value in (("run_id", self.dir.name), ("experiment", 0), ("tick", tick)):
                    if row[key] != value:
                        self.fail(f"tick {tick}: {key} is {row[key]!r}, not {value!r}")
                leaving = sum(one["intent_action"] == "exit" for one in detail)
                if (row["leaving"], row["entering"]) != (leaving, len(detail) - leaving):
                    self.fail(f"tick {tick}: entering and leaving are not those of its detail")
                if not 0 <= row["long"] + row["short"] <= row["alive"] or len(detail) > row["alive"]:
                    self.fail(f"tick {tick}: more agents act or hold than are alive")
                tick += 1
        if summary is not None and _decided(summary) != tick:
            self.fail(f"the trace has {tick} ticks, and agents decided in {_decided(summary)} by the summary")

    def alignment(self) -> None:
        """Offline, both files have one form."""
        forms: dict[str, dict[str, Any]] = {
            str(Artifact.ALIGNMENT_REPORT): {
                "schema": Schema.ALIGNMENT_REPORT.value, "run_id": self.dir.name, "execution_alignment_lib": None,
                "execution_alignment_ok": None, "mapping": None,
            },
            str(Artifact.ALIGNMENT_RAW_SAMPLES): {
                "schema": Schema.ALIGNMENT_RAW_SAMPLES.value, "run_id": self.dir.name, "exchange_lib": None,
                "samples": None,
            },
        }  # fmt: skip
        for name, form in forms.items():
            reasons = {key: NO_LIBRARY for key, value in form.items() if value is None}
            if self._there(name):
                expected = pretty_bytes({**form, "null_reasons": reasons})
                if read_whole(self.files.place(name), at_most=LARGE) != expected:
                    self.fail("not the alignment bundle of a run that called no exchange")

    # ---- reading -----------------------------------------------------------------------------------------------------

    def _parts(self, artifact: Artifact) -> list[str]:
        before, after = str(artifact).split("{part:04d}")
        form = re.compile(re.escape(before) + r"\d{4,}" + re.escape(after))
        return sorted(filter(form.fullmatch, self.files.names()), key=lambda name: (len(name), name))

    def _lines(self, name: str) -> Iterator[bytes]:
        """Lines without their newline.

        Raises:
            ValueError: for a line that does not end, or is too long.
        """
        self.at = name
        with os.fdopen(open_regular(self.files.place(name)), "rb") as file:
            while line := file.readline(LONGEST_LINE):
                if not line.endswith(b"\n"):
                    raise ValueError("a line does not end, or is too long")
                yield line[:-1]

    def _records(self, name: str, schema: Schema) -> Iterator[dict[str, Any]]:
        """The objects of a JSON array with one object a line; canonical, or a failure."""
        lines, closed, more = self._lines(name), False, True
        if next(lines, None) != b"[":
            raise ValueError("it does not begin as an array with one record a line")
        for line in lines:
            if closed:
                raise ValueError("it goes on after its end")
            if line == b"]":
                closed = True
            elif line:
                if not more:
                    raise ValueError("a record follows the last one")
                more = line.endswith(b",")
                record = strict_loads(line.removesuffix(b","))
                if not isinstance(record, dict) or not is_canonical(line.removesuffix(b","), record):
                    raise ValueError("a record is not a canonical object")
                yield _held_to(schema, record)
        if not closed:
            raise ValueError("it does not end as an array")

    def _events(self, artifact: Artifact) -> dict[str, dict[str, Any]]:
        if not self._there(str(artifact)):
            return {}
        events = [strict_loads(line) for line in self._lines(str(artifact))]
        return {str(event["agent_id"]): event for event in events}

    def _summary(self) -> dict[str, Any] | None:
        at = self.at
        if not self._there(str(Artifact.SUMMARY)):
            self.at = at
            return None
        row = strict_loads(read_whole(self.files.place(self.at), at_most=LARGE))["all_stats"][0]
        self.at = at
        return row if isinstance(row, dict) else None


def _decided(summary: Mapping[str, Any]) -> int:
    """In how many ticks agents decided: a population that collapses does so before anybody decides in that tick."""
    return int(summary["ticks"]) - (summary["collapse"]["tick"] is not None)


def _held_to(schema: Schema, record: Any) -> dict[str, Any]:
    """A record that its schema allows.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if (what := schema_of(schema).first(record)) is not None:
        raise ValueError(what)
    return record  # type: ignore[no-any-return]
