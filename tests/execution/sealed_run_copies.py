"""Copies of sealed runs in which one thing is changed, sealed again; and by each condition of the ladder a change."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from prometheus.v10.base.names import SEAL_FILES, Artifact
from prometheus.v10.report.rungs.ladder_evidence import Gathered

Change = Callable[["SealedCopy", Gathered, Path], object]
Plain = dict[str, Any]


class SealedCopy:
    """A copy of a run in an installation of its own."""

    def __init__(self, run: Path, root: Path) -> None:
        self.run = root / "runs" / run.name
        shutil.copytree(run, self.run)

    def document(self, name: str, change: Callable[[Any], object]) -> None:
        """Change a document in place."""
        place = self.run / name
        found = json.loads(place.read_bytes())
        change(found)
        place.write_bytes(json.dumps(found).encode() + b"\n")

    def manifest(self, change: Callable[[Any], object]) -> None:
        self.document(Artifact.MANIFEST, change)

    def lines(self, name: str, change: Callable[[list[Plain]], list[Plain] | None]) -> None:
        """Change the records of a file of lines; what ``change`` gives back takes their place."""
        place = self.run / name
        found = [json.loads(line) for line in place.read_bytes().splitlines()]
        made = change(found)
        kept = found if made is None else made
        place.write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in kept))

    def records(self, stem: str, change: Callable[[Plain], object]) -> None:
        """Change each record of all parts of a channel."""
        for place in sorted(self.run.glob(f"{stem}_part_*")):
            data = place.read_bytes()
            found = json.loads(data) if data.startswith(b"[") else [json.loads(line) for line in data.splitlines()]
            for one in found:
                change(one)
            whole = json.dumps(found) if data.startswith(b"[") else "\n".join(map(json.dumps, found)) + "\n"
            place.write_text(whole)

    def drop(self, name: str) -> None:
        (self.run / name).unlink()

    def seal(self, keep_sums: bool = False) -> None:
        """Sums as the files are now, or as they were."""
        if not keep_sums:
            files = [one for one in sorted(self.run.iterdir()) if one.name not in SEAL_FILES]
            text = "".join(f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in files)
            (self.run / Artifact.SHA256SUMS).write_text(text)


@frozen(kw_only=True)
class Case:
    """A change that turns a condition.

    Attributes:
        name: rung and condition.
        session: the rung whose session is changed, where it is another one.
        holds: whether the condition holds before.
        keep_sums: whether the seal stays as it was.
    """

    name: str
    change: Change
    session: str = ""
    holds: bool = True
    keep_sums: bool = False

    @property
    def rung(self) -> str:
        return self.name.split(":")[0]


def said(name: str, field: str, value: Any, file: str = Artifact.MANIFEST.value, **more: Any) -> Case:
    """A field of a document that gets another value; dots go down."""

    def change(found: Any) -> None:
        *path, last = field.split(".")
        for part in path:
            found = found[part]
        found[last] = value

    return Case(name=name, change=lambda copy, *_: copy.document(file, change), **more)


def dropped(name: str, file: str, **more: Any) -> Case:
    """A file that is not there."""
    return Case(name=name, change=lambda copy, *_: copy.drop(file), **more)


def chain(name: str, change: Callable[[list[Plain]], list[Plain] | None], **more: Any) -> Case:
    """Lines of the order chain."""
    return Case(name=name, change=lambda copy, *_: copy.lines(Artifact.ORDER_CHAIN, change), **more)


def rounds(name: str, change: Callable[[list[Plain]], list[Plain] | None], **more: Any) -> Case:
    """Lines of the netting rounds."""
    return Case(name=name, change=lambda copy, *_: copy.lines(Artifact.NETTING_ROUNDS, change), **more)


def calls(name: str, change: Callable[[Plain], object], **more: Any) -> Case:
    """Every call that was kept."""
    return Case(name=name, change=lambda copy, *_: copy.records("m_execution_raw", change), **more)


def without(*kinds: str) -> Callable[[list[Plain]], list[Plain]]:
    """A chain without lines of some kinds."""
    return lambda lines: [one for one in lines if one["kind"] not in kinds]


def payload(kind: str, **fields: Any) -> Callable[[list[Plain]], None]:
    """Fields of each line of a kind."""

    def change(lines: list[Plain]) -> None:
        for one in lines:
            if one["kind"] == kind:
                one["payload"].update(fields)

    return change


def bundle(name: str, field: str, value: Any) -> Case:
    """A field of the packed incident."""
    return Case(name=name, change=lambda _copy, around, _: around.bundles[0].record.update({field: value}))


def no_checkout(_copy: SealedCopy, around: Gathered, _: Path) -> None:
    around.checkout = None


def collapsed(copy: SealedCopy, *_: object) -> None:
    collapse = {"detected": True, "tick": 0, "reason": "extinction", "market_time": "2024-01-02T00:00:00Z"}
    copy.document(Artifact.SUMMARY, lambda found: found["all_stats"][0].update(collapse=collapse))


def another_part(copy: SealedCopy, *_: object) -> None:
    (copy.run / "m_execution_raw_part_0999.json").write_bytes(b"[]\n")


def a_monolith(copy: SealedCopy, *_: object) -> None:
    (copy.run / "m_execution_raw.json").write_bytes(b"[]\n")


def not_a_number(copy: SealedCopy, *_: object) -> None:
    place = copy.run / Artifact.FINGERPRINT
    found = json.loads(place.read_bytes())
    found["latency_stats_ms"]["mean"] = float("nan")
    place.write_text(json.dumps(found))


def another_archive(_copy: SealedCopy, around: Gathered, _: Path) -> None:
    place = around.bundles[0].place
    place.write_bytes(place.read_bytes() + b"\0")


def another_manifest(_copy: SealedCopy, around: Gathered, _: Path) -> None:
    around.bundles[0] = evolve(around.bundles[0], manifest=b"{}")


def no_bundle(_copy: SealedCopy, around: Gathered, _: Path) -> None:
    around.bundles.clear()


def a_start_that_sent(_copy: SealedCopy, around: Gathered, _: Path) -> None:
    """Starts of which the venue saw orders: each is given the time of all of them."""
    first, last = around.starts[0][1].venue_from_ms, around.starts[-1][1].venue_to_ms
    around.starts[:] = [(file, evolve(one, venue_from_ms=first, venue_to_ms=last)) for file, one in around.starts]


def twice(one: Plain) -> None:
    """Every order request carries one client id."""
    if one["method"] == "POST":
        one["request_body"] = json.dumps({**json.loads(one["request_body"]), "clOrdId": "pq0"})


MANIFEST = Artifact.MANIFEST.value
FINGERPRINT = Artifact.FINGERPRINT.value
CASES = (
    Case(name="G0:verify", session="C1.3", change=lambda copy, *_: copy.drop(Artifact.NETTING_ROUNDS)),
    Case(name="C0.5:verified", change=lambda copy, *_: copy.drop(Artifact.ORDER_CHAIN)),
    said("C0.5:mode", "mode", "offline"),
    said("C0.5:status", "status", "interrupted"),
    said("C0.5:api_calls", "api_calls", 0, FINGERPRINT),
    said("C0.5:api_calls", "api_calls", None, FINGERPRINT),
    dropped("C0.5:five_artifacts", Artifact.ALIGNMENT_RAW_SAMPLES),
    said("C0.5:five_artifacts", "mode", "x", Artifact.ALIGNMENT_REPORT, keep_sums=True),
    said("C0.5:library", "exchange_lib", "ccxt"),
    said("C0.5:library", "exchange.library.sha256", None),
    calls("C0.5:library", lambda one: one.update(library="ccxt")),
    said("C0.5:other_library", "null_reasons", {}, Artifact.ALIGNMENT_REPORT),
    dropped("C0.7:snapshot", Artifact.POSITIONS_SNAPSHOT),
    said("C0.7:source", "source", "guessed", Artifact.POSITIONS_SNAPSHOT),
    said("C0.7:rebuilt", "net_lots", 10**6, Artifact.POSITIONS_SNAPSHOT),
    Case(name="C0.7:rebuilt", change=lambda copy, *_: copy.records(
        "positions_reconstruction_raw", lambda one: one.update(residual_lots=1.0))),
    said("C0.7:positions_quality", "positions_quality", "unknown"),
    dropped("C0.8:positions_reconstruction_raw_index", "positions_reconstruction_raw_part_0001.json"),
    said("C0.8:size", "evidence.bytes", 1),
    calls("C0.9:m_execution_raw_index", lambda one: one.update(code="1")),
    said("C0.9:impedance_fidelity", "impedance_fidelity", "live_calibrated"),
    calls("C0.9:calls_kept", lambda one: one.update(number=one["number"] + (one["number"] > 5))),
    said("C1.0:venue_seconds", "market.timeframe_s", 60),
    said("C1.0:status", "status", "running"),
    said("C1.0:end_time", "end_time", None),
    dropped("C1.0:eight_artifacts", Artifact.EXECUTION_RAW_INDEX),
    rounds("C1.0:orders_per_round", lambda lines: lines[:-1]),
    Case(name="C1.0:orders_after_collapse", change=collapsed),
    said("C1.0-STOP:stop_reason", "stop_reason", "sigterm"),
    said("C1.0-STOP:status", "status", "completed"),
    said("C1.0-STOP:stop_time", "stop_detected", value=False),
    said("C1.0-STOP:stop_seconds", "timing.stop_seconds", 21.0),
    said("C1.0-STOP:positions", "exchange.ended.positions", "open"),
    said("C1.0-STOP:positions", "exchange.ended.open_orders", ["pq1"]),
    said("C1.1:parts_per_hour", "shards", [], Artifact.EXECUTION_RAW_INDEX),
    Case(name="C1.2:no_orphans", change=another_part),
    Case(name="C1.2:no_monolith", change=a_monolith),
    calls("C1.3:records_grow", lambda one: one.update(number=1)),
    Case(name="C1.3:finite", change=not_a_number),
    Case(name="C2.0:runbook", change=no_checkout),
    Case(name="C2.0:bundle", change=no_bundle),
    bundle("C2.0:bundle_schema", "schema", "incident/0"),
    bundle("C2.1:packaging", "packaging", "incomplete"),
    bundle("C2.1:missing", "missing_required_files_count", 1),
    bundle("C2.1:verification", "verification", "FAIL"),
    Case(name="C2.1:bundled_manifest", change=another_manifest),
    Case(name="C2.1:bundle_sum", change=another_archive),
    said("C2.2/2.3:error_count", "error_count", 0, FINGERPRINT),
    said("C2.2/2.3:error_events", "error_events", [], FINGERPRINT),
    calls("C2.2/2.3:events_are_calls", lambda one: one.update(outcome="ok")),
    calls("C2.2/2.3:sent_once", twice),
    chain("C2.2/2.3:sent_once", without("SENT")),
    chain("C2.2/2.3:each_order_ends", without("TERMINAL", "REFUSED")),
    said("C2.4:hard_gate", "errors_by_type", {"http_error": 5}, FINGERPRINT),
    said("C3.0:bars", "shards", [], Artifact.DECISION_TRACE_INDEX),
    rounds("C3.0:each_tick", lambda lines: lines[1:]),
    rounds("C3.0:residuals", lambda lines: lines[0]["residuals"][0].update(holds=False)),
    chain("C3.0:reconciled", payload("RECONCILED", equity=None)),
    chain("C3.0:behind_each_fill", without("RECONCILED")),
    said("C3.0:allotted", "exchange.bootstrap.allotted", "7999"),
    rounds("C3.0:reserve", lambda lines: lines[-1].update(reserve="1")),
    calls("C3.1:preflight", lambda one: one.update(outcome="unavailable") if "trade-fee" in one["path"] else None),
    calls("C3.1:brought_to_nothing", lambda one: one.update(
        response='{"code":"0","data":[{"pos":"1"}],"msg":""}') if one["path"].endswith("positions") else None),
    said("C3.1:bootstrap", "exchange.bootstrap.agents", 9),
    said("C3.1:manifest_fields", "git_commit", None),
    said("C3.1:manifest_fields", "null_reasons", {}),
    said("Step 1:bar_seconds", "market.timeframe_s", 60),
    chain("Step 1:one_way_in", payload("INTENT", body="{}")),
    chain("Step 1:orders", without("FILL")),
    said("Step 1:site", "exchange.site", "global", holds=False),
    said("Step 1:wall_clock", "duration_seconds", 10.0**7, holds=False),
    Case(name="Step 2:refused_start", session="C1.3", change=a_start_that_sent),
    Case(name="Step 3:population", session="C1.3", change=lambda copy, *_: copy.lines(
        Artifact.POPULATION_SERIES, lambda lines: lines[0].update(alive=[8, 17]))),
    said("Step 3:population", "pool_appends.appended", 1, session="C1.3"),
    said("Step 3:growth", "shards", [], Artifact.EXECUTION_RAW_INDEX, session="C1.3"),
    said("Step 3:raw_budget", "config.evidence.raw_budget_bytes", 10, session="C1.3"),
    chain("G4.3:fees", payload("FILL", fee="-9")),
    rounds("G4.3:slippage", lambda lines: [{**one, "mean_price": None} for one in lines]),
    chain("G4.3:partial_fills", without("TERMINAL")),
    said("G4.3:latency", "latency_stats_ms.p95", 10.0**9, FINGERPRINT),
    chain("G4.3:confirmed", without("QUERY")),
    said("G4.4:fences", "counters.FENCE_CORE_ENTRY_M7.block_count", 1, Artifact.TELEMETRY),
    Case(name="G4.5:difference_log", change=no_checkout),
    Case(name="G4.7:decision_trace", change=lambda copy, *_: copy.records(
        "decision_trace", lambda one: one.update(agent_detail=None))),
    dropped("G4.7:lifecycle", Artifact.SURVIVORS),
)  # fmt: skip
