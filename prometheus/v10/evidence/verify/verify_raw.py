"""Verification of raw execution evidence: its index covers every part and nothing else, and says of each what it is.

Beside names and hashes: every part is a JSON array of this run's records, as many as the index says, one a line and in
canonical form; event and plain records lie apart as the index's policy defines them; none that is gone held an event
record; the sums are right; and the parts keep within the budget, but for event records.

A run that was cut off, or that failed because the disk refused, may hold parts that its index does not name yet, each
numbered after all that it names. A part that the index names as dropped may still be there, if its bytes are the
dropped ones: its deletion was not finished.
Standard library only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Set
from hashlib import sha256
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.evidence.derive.orders import Orders, Seen
from prometheus.v10.evidence.derive.sharing import MOST_SHARES, can_share, in_processes
from prometheus.v10.evidence.records.canonical import is_canonical, strict_loads
from prometheus.v10.evidence.records.findings import Finding, VerifyReport
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.schema_file import schema_of

MOST_LINES = 20
LARGE = 1024 * 1024
"""Bytes of parts from which on a second process pays."""
SHARES_EACH = 4
"""Shares of the parts for each process."""
_SCHEMA = Schema.EXECUTION_RAW.value
_DECODE = json.JSONDecoder().raw_decode
_PART = re.compile(re.escape(Artifact.EXECUTION_RAW.split("{", maxsplit=1)[0]) + r"(\d{4,})\.json")


def check_raw(
    run_dir: Path, *, cut_off: bool = False, explained: Set[str] = frozenset(), orders: Orders | None = None
) -> list[Finding]:
    """Check the raw execution evidence of one run.

    Args:
        run_dir: its name is the run id.
        cut_off: the run carries ``interrupted.json``, or says itself that it failed.
        explained: names of files that are gone, and whose absence the ledger explains (`evidence.chains.absences`).
        orders: holds each record against lives and world, where these are known.

    Raises:
        OSError: when a file cannot be read.
    """
    report = VerifyReport(run_dir, "raw")
    names = {path.name for path in run_dir.iterdir() if _PART.fullmatch(path.name)}
    path = run_dir / Artifact.EXECUTION_RAW_INDEX
    if not path.is_file():
        if names:
            report.fail(path, f"missing, and there are {len(names)} parts of it")
        return report.findings
    try:
        index = _read_index(path.read_bytes())
    except ValueError as error:
        report.fail(path, f"not an index of raw parts: {error}")
        return report.findings
    _Check(run_dir, path, index, report, orders).go(names, cut_off=cut_off, explained=explained)
    return report.findings


def is_raw_index(path: Path) -> bool:
    """Whether an index says that it is one of raw execution records, and so promises all that `check_raw` looks at.

    Raises:
        OSError: when it cannot be read.
    """
    try:
        found = strict_loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("schema") == Schema.EXECUTION_RAW_INDEX.value


def _read_index(data: bytes) -> dict[str, Any]:
    index = strict_loads(data)
    if (what := schema_of(Schema.EXECUTION_RAW_INDEX).first(index)) is not None:
        raise ValueError(what)
    return dict(index)


class _Check:
    """One check of one index and its parts."""

    def __init__(
        self, run_dir: Path, path: Path, index: dict[str, Any], report: VerifyReport, orders: Orders | None
    ) -> None:
        self.dir, self.path, self.index, self.report, self.orders = run_dir, path, index, report, orders
        self.run_id = run_dir.name
        self.shards: dict[str, dict[str, Any]] = {part["filename"]: part for part in index["shards"]}
        self.dropped: dict[str, dict[str, Any]] = {part["filename"]: part for part in index["dropped"]}
        self.event_flags = frozenset(index["policy"]["event_flags"])
        self.schema = schema_of(Schema.EXECUTION_RAW)

    def go(self, names: set[str], *, cut_off: bool, explained: Set[str]) -> None:
        self._check_index()
        known = self.shards.keys() | self.dropped.keys()
        last = max((_number(name) for name in known), default=0)
        for name in sorted(names - known):
            if cut_off and _number(name) > last:
                self.report.note(self.dir / name, "not in the index yet: the run was cut off there")
            else:
                self.report.fail(self.dir / name, f"not in {self.path.name}")
        for name in sorted(names & self.dropped.keys() - self.shards.keys()):
            self._check_dropped(name)
        checked = self._by_several(
            [(self.dir / name, part) for name, part in sorted(self.shards.items()) if name in names]
        )
        for name, part in sorted(self.shards.items()):
            if name in names:
                if not checked:
                    self._check_part(self.dir / name, part)
            elif name not in explained:
                self.report.fail(self.path, f"lists {name}, which is not there")
        if self.orders is not None:
            unfinished = cut_off or any(name in explained for name in self.shards)
            for what in self.orders.index_findings(self.index, unfinished=unfinished):
                self._say(what)

    def _by_several(self, parts: list[tuple[Path, dict[str, Any]]]) -> bool:
        """Check many parts by several processes; False when one process is to do it, and to say what is wrong."""
        count, orders = len(os.sched_getaffinity(0)), self.orders
        if (
            count < 2
            or len(parts) < 2
            or orders is None
            or not can_share()
            or sum(path.stat().st_size for path, _ in parts) < LARGE
        ):
            return False
        shares = min(count * SHARES_EACH, len(parts), MOST_SHARES)
        ends = [len(parts) * place // shares for place in range(shares + 1)]

        def work(number: int) -> Seen | None:
            report, mine = VerifyReport(self.dir, "raw"), orders.anew()
            check = _Check(self.dir, self.path, self.index, report, mine)
            for path, part in parts[ends[number] : ends[number + 1]]:
                check._check_part(path, part)
            return None if report.findings else mine.seen()

        whole = orders.anew()
        answers = in_processes(count, shares, work)
        if answers is None or not all(seen is not None and whole.see(seen) for seen in answers):
            return False
        self.orders = whole
        return True

    def _check_index(self) -> None:
        index, shards, say = self.index, self.shards.values(), self._say
        if index.get("schema") != Schema.EXECUTION_RAW_INDEX.value or index.get("run_id") != self.dir.name:
            say(f"it is a {index.get('schema')!r} of {index.get('run_id')!r}")
        for broken in violations(index):
            say(f"null rule: {broken}")
        if len(self.shards) != len(index["shards"]) or len(self.dropped) != len(index["dropped"]):
            say("a part is listed twice")
        for name in sorted(self.shards.keys() & self.dropped.keys()):
            say(f"{name} is listed as there and as dropped")
        for name in sorted(self.shards.keys() | self.dropped.keys()):
            if not _PART.fullmatch(name):
                say(f"{name!r} is not the name of a part")
        sums = {
            "total_shards": len(shards),
            "total_records": sum(part["records_count"] for part in shards),
            "total_event_records": sum(part["event_records"] for part in shards),
            "total_bytes": sum(part["bytes"] for part in shards),
            "dropped_records": sum(part["records_count"] for part in self.dropped.values()),
        }
        for name, value in sums.items():
            if index.get(name) != value:
                say(f"{name} is {index.get(name)!r}, its parts make {value}")
        over = max(0, sums["total_bytes"] - index["policy"]["budget_bytes"])
        if over != index["over_budget_bytes"]:
            say(f"over_budget_bytes is {index['over_budget_bytes']}, its parts make {over}")
        if over and any(part["event_records"] == 0 for part in shards):
            say("plain records are kept beyond the budget")

    def _say(self, what: str) -> None:
        self.report.fail(self.path, what)

    def _check_dropped(self, name: str) -> None:
        if sha256((self.dir / name).read_bytes()).hexdigest() == self.dropped[name]["sha256"]:
            self.report.note(self.dir / name, "dropped by the index and still there: its deletion was not finished")
        else:
            self.report.fail(self.dir / name, f"dropped by {self.path.name}, and other bytes lie under its name")

    def _check_part(self, path: Path, part: dict[str, Any]) -> None:
        data = path.read_bytes()
        digest = sha256(data).hexdigest()
        if digest != part["sha256"] or digest[:16] != part["sha256_16"] or len(data) != part["bytes"]:
            self.report.fail(path, "its bytes are not those of its index")
            return
        lines = data.split(b"\n")
        if len(lines) < 4 or lines[0] != b"[" or lines[-2:] != [b"]", b""]:
            self.report.fail(path, "not an array with one record a line")
            return
        records = [line.removesuffix(b",") for line in lines[1:-2]]
        commas = [line.endswith(b",") for line in lines[1:-2]]
        if commas != [True] * (len(records) - 1) + [False]:
            self.report.fail(path, "not an array with one record a line")
        if len(records) != part["records_count"] or len(records) > self.index["policy"]["threshold"]:
            self.report.fail(path, f"holds {len(records)} records, its index says {part['records_count']}")
        wrong = 0
        for number, line in enumerate(records, 2):
            what = self._problem(line, part)
            wrong += what is not None
            if what is not None and wrong <= MOST_LINES:
                self.report.fail(path, f"line {number}: {what}")
        if wrong > MOST_LINES:
            self.report.fail(path, f"{wrong - MOST_LINES} more lines are wrong")

    def _problem(self, line: bytes, part: dict[str, Any]) -> str | None:
        try:
            record = _parsed(line)
        except (ValueError, RecursionError) as error:
            return f"not JSON: {error}"
        if not isinstance(record, dict):
            return "not a canonical object"
        if (what := self._wrong(record, part)) is not None:
            return what
        if self.orders is not None:
            return self.orders.wrong(record, part, line)
        what = self.schema.first(record)
        if what is None and not is_canonical(line, record):
            what = "not a canonical object"
        if what is None and (broken := violations(record)):
            what = f"null rule: {broken[0]}"
        return what

    def _wrong(self, record: dict[str, Any], part: dict[str, Any]) -> str | None:
        if record.get("schema") != _SCHEMA or record.get("run_id") != self.run_id:
            return f"it is a {record.get('schema')!r} of {record.get('run_id')!r}"
        if missing := self.schema.required - record.keys():
            return f"{', '.join(sorted(missing))} missing"
        if not isinstance(record["flags"], list):
            return "flags is not a list"
        if part["event_records"] == 0 and not self.event_flags.isdisjoint(map(str, record["flags"])):
            return "an event record among plain ones, which the budget may drop"
        return None


def _parsed(line: bytes) -> object:
    """As ``json.loads``, which takes twice as long around its scanner as that does.

    Raises:
        ValueError: for what is not JSON.
    """
    if line.isascii():
        text = line.decode("ascii")
        try:
            found, end = _DECODE(text)
            if end == len(text):
                return found
        except ValueError:
            pass  # said below
    return json.loads(line)


def _number(name: str) -> int:
    match = _PART.fullmatch(name)
    return int(match[1]) if match else 0
