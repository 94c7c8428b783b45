"""C0.5 to C1.3: what a session leaves, for how long it works, and how it ends."""

from __future__ import annotations

import math
from typing import Any, Final

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.report.run_events import event_lines
from prometheus.v10.report.rungs.ladder_evidence import Gathered, Session
from prometheus.v10.report.rungs.ladder_records import Kind
from prometheus.v10.report.rungs.rung_asks import (
    COMPLETED,
    DEMO,
    EIGHT_ARE_SEALED,
    NO_SPAM,
    Ask,
    RungAsks,
    Seen,
    lasted,
    manifest_is,
    of_session,
    sealed,
)

C0, C1 = "C0", "C1"
MONOLITHS: Final = ("m_execution_raw.json", "positions_reconstruction_raw.json")
CALLS, POSITIONS = "m_execution_raw", "positions_reconstruction_raw"
INDEXES: Final = {CALLS: Artifact.EXECUTION_RAW_INDEX, POSITIONS: Artifact.POSITIONS_RAW_INDEX}
EVENTS: Final = (
    Artifact.DEATHS, Artifact.BIRTHS, Artifact.COLLAPSES, Artifact.INTERESTING_DEATHS, Artifact.ORDER_CHAIN,
    Artifact.NETTING_ROUNDS, Artifact.POPULATION_SERIES, Artifact.SURVIVORS,
)  # fmt: skip
HOUR: Final = 3_600


def _libraries(session: Session) -> Seen:
    claim, samples = session.claim["library"], session.document(Artifact.ALIGNMENT_RAW_SAMPLES)
    said = {
        session.manifest["exchange_lib"], claim["name"], session.fingerprint["exchange_lib"],
        session.document(Artifact.ALIGNMENT_REPORT)["execution_alignment_lib"], samples["exchange_lib"],
        *(call["library"] for call in session.calls),
    }  # fmt: skip
    return Seen(", ".join(map(str, sorted(said, key=str))), len(said) == 1 and len(str(claim["sha256"])) == 64)


def _other_library(session: Session) -> Seen:
    report = session.document(Artifact.ALIGNMENT_REPORT)
    reason = report["null_reasons"].get("execution_alignment_ok", "")
    compared = report["execution_alignment_ok"]
    return Seen(reason or compared, (compared is None and bool(reason)) or isinstance(compared, bool))


def _from_fills(session: Session) -> Seen:
    snapshot, rebuilt = session.document(Artifact.POSITIONS_SNAPSHOT), session.records(Artifact.POSITIONS_RAW_INDEX)
    total = sum(one["position_lots"] for one in rebuilt)
    kinds = {one["evidence_type"] for one in rebuilt}
    holds = total == snapshot["net_lots"] and kinds <= {"fills"} and all(one["residual_lots"] == 0 for one in rebuilt)
    return Seen(f"{len(rebuilt)} agents, {total:g} lots from {'/'.join(sorted(kinds)) or 'no fill'}", holds)


def _indexed(stem: str, session: Session) -> Seen:
    parts = session.parts(INDEXES[stem])
    good = all(session.is_sealed(one["filename"]) and session.sums[one["filename"]] == one["sha256"] for one in parts)
    return Seen(f"{len(parts)} parts", good and bool(parts))


def indexed(stem: str) -> Ask:
    """Both hashes of each part of a raw channel: that of its index and that of the seal."""
    return Ask(
        name=f"{stem}_index", says="each raw part stands in its index and in the seal, with one hash",
        file=INDEXES[stem].value, field="shards[].sha256", wanted="at least one part, each as its hash says",
        look=lambda session, _: _indexed(stem, session),
    )  # fmt: skip


def _covered(session: Session) -> Seen:
    odd = [
        name for stem, index in INDEXES.items()
        for name in {one["filename"] for one in session.parts(index)} ^ set(session.parts_there(stem))
    ]  # fmt: skip
    return Seen(f"in one and not the other: {', '.join(sorted(odd))}" if odd else "the same names", holds=not odd)


def _each_hour(session: Session) -> Seen:
    hours = math.ceil(session.venue_seconds / HOUR)
    counts = {stem: len(session.parts(index)) for stem, index in INDEXES.items()}
    holds = counts[CALLS] >= min(hours, session.bars) >= 1 and counts[POSITIONS] >= 1
    return Seen(f"{counts[CALLS]} parts of calls, {counts[POSITIONS]} of positions, in {hours} hours", holds)


def _numbered(session: Session) -> Seen:
    numbers = [call["number"] for call in session.calls]
    whole = numbers == list(range(1, len(numbers) + 1)) and len(numbers) == session.fingerprint["api_calls"]
    return Seen(f"{len(numbers)} calls, the last is {numbers[-1]}", whole)


def _finite(session: Session) -> Seen:
    """Strict JSON has neither NaN nor infinity; the arrays are for `verify`."""
    documents = lines = 0
    for artifact in EVENTS:
        for line in event_lines(session.run, artifact):
            strict_loads(line)
            lines += 1
    for place in session.files():
        if place.suffix == ".json" and "_part_" not in place.name and not place.name.startswith("behaviors_run_"):
            strict_loads(place.read_bytes())
            documents += 1
    finite = not session.row["has_nan"] and not session.row["has_inf"] and len(session.calls) > 0
    return Seen(f"{documents} documents, {lines} lines, {len(session.calls)} calls", finite)


def size_of(session: Session) -> Seen:
    """What the manifest says of the run's size, and what is on the disk."""
    there = sum(session.sizes().values())
    said: Any = session.manifest["evidence"]["bytes"]
    return Seen(f"{said} B said, {there} B there", said == there)


MONOLITH: Final = Ask(
    name="no_monolith", says="no raw channel lies in one file that grows", file="(directory)",
    field=", ".join(MONOLITHS), wanted="none",
    look=of_session(lambda one: [name for name in MONOLITHS if (one.run / name).exists()], lambda found: not found),
)  # fmt: skip
COVERED: Final = Ask(
    name="no_orphans", says="parts on the disk and parts in the indexes are the same", file="(directory)",
    field="*_part_*", wanted="the same names", look=lambda session, _: _covered(session),
)  # fmt: skip
SIZE: Final = Ask(
    name="size", says="the size of the run is reported, and is what is on the disk", file=Artifact.MANIFEST.value,
    field="evidence.bytes", wanted="the bytes that are there", look=lambda session, _: size_of(session),
)  # fmt: skip
CALLS_MADE: Final = Ask(
    name="api_calls", says="calls were made", file=Artifact.FINGERPRINT.value, field="api_calls", wanted="> 0",
    look=of_session(lambda one: one.fingerprint["api_calls"], lambda value: value > 0),
)  # fmt: skip
LIBRARY: Final = Ask(
    name="library", says="one library is named everywhere, with the hash of its files", file=Artifact.MANIFEST.value,
    field="exchange_lib, exchange.library", wanted="one name in manifest, fingerprint, alignment and each call",
    look=lambda session, _: _libraries(session),
)  # fmt: skip
OTHER: Final = Ask(
    name="other_library", says="what the other library would say is null with a reason, or was compared",
    file=Artifact.ALIGNMENT_REPORT.value, field="execution_alignment_ok", wanted="null with its reason, or an answer",
    look=lambda session, _: _other_library(session),
)  # fmt: skip
FIVE: Final = sealed(
    "five_artifacts", "manifest, fingerprint, summary, alignment report and raw samples", Artifact.MANIFEST,
    Artifact.FINGERPRINT, Artifact.SUMMARY, Artifact.ALIGNMENT_REPORT, Artifact.ALIGNMENT_RAW_SAMPLES,
)  # fmt: skip
ENDED: Final = (
    manifest_is("status", "completed", "interrupted"),
    Ask(
        name="end_time", says="the end is on record", file=Artifact.MANIFEST.value, field="end_time", wanted="a time",
        look=of_session(lambda one: one.manifest["end_time"], lambda value: isinstance(value, str)),
    ),
)  # fmt: skip


def _left(session: Session, _: Gathered) -> Seen:
    ended, on_stop = session.ended, session.claim["on_stop"]
    wanted = "flat" if on_stop == "flatten" else "left"
    positions = ended["positions"]
    return Seen(f"{positions}, {len(ended['open_orders'])} open orders, on_stop = {on_stop}",
                positions in {wanted, "flat"} and not ended["open_orders"])  # fmt: skip


STOPPED: Final = (
    Ask(
        name="stop_reason", says="the STOP file ended the session", file=Artifact.MANIFEST.value, field="stop_reason",
        wanted="stop_file", kind=Kind.EXERCISED,
        look=of_session(lambda one: one.manifest["stop_reason"], lambda value: value == "stop_file"),
        then="stop a session by the STOP file: prometheus-quant stop",
    ),
    manifest_is("status", "interrupted"),
    Ask(
        name="stop_time", says="when it stopped is on record", file=Artifact.MANIFEST.value, field="stop_time",
        wanted="a time, and stop_detected = true",
        look=of_session(lambda one: one.manifest["stop_time"] if one.manifest["stop_detected"] else None,
                        lambda value: isinstance(value, str)),
    ),
    Ask(
        name="stop_seconds", says="it was over within the promise", file=Artifact.MANIFEST.value,
        field="timing.stop_seconds", wanted="<= config.exchange.stop_seconds",
        look=lambda session, _: Seen(
            session.manifest["timing"]["stop_seconds"],
            session.manifest["timing"]["stop_seconds"] <= session.manifest["config"]["exchange"]["stop_seconds"],
        ),
    ),
    Ask(
        name="positions", says="the position is what on_stop says, and no order is open", file=Artifact.MANIFEST.value,
        field="exchange.ended", wanted="flat, or left where on_stop = leave", look=_left,
    ),
    EIGHT_ARE_SEALED,
)  # fmt: skip
FROM_FILLS: Final = (
    sealed("snapshot", "the snapshot of positions", Artifact.POSITIONS_SNAPSHOT),
    Ask(
        name="source", says="the agents' positions are made from fills", file=Artifact.POSITIONS_SNAPSHOT.value,
        field="source", wanted="reconstructed_from_fills",
        look=of_session(lambda one: one.document(Artifact.POSITIONS_SNAPSHOT)["source"],
                        lambda value: value == "reconstructed_from_fills"),
    ),
    Ask(
        name="rebuilt", says="fills of each agent make its position, and together the snapshot's",
        file="positions_reconstruction_raw_part_NNNN.json", field="position_lots, residual_lots, evidence_type",
        wanted="every residual 0, the sum is the snapshot's net_lots", look=lambda session, _: _from_fills(session),
    ),
    manifest_is("positions_quality", "exchange_reported", "reconstructed_from_fills"),
)  # fmt: skip

RUNGS: Final = (
    RungAsks(
        rung="C0.5", group=C0, asks="A demo session to its end, with calls, five artifacts and an honest library.",
        conditions=(DEMO, COMPLETED, CALLS_MADE, FIVE, LIBRARY, OTHER),
        departure="Fields of ccxt are those of whichever library did not send; execution align compares both.",
    ),
    RungAsks(
        rung="C0.7", group=C0, asks="Positions from fills; to be flat is fine.",
        conditions=(COMPLETED, *FROM_FILLS),
        departure="positions_quality = exchange_reported says more than fallback_ok: the exchange's own report of the "
        "position is what the agents' fills make. What is rebuilt from fills is the snapshot's source.",
    ),
    RungAsks(
        rung="C0.8", group=C0, asks="Raw evidence of positions beside the snapshot, with its hash and its kind.",
        conditions=(COMPLETED, *FROM_FILLS[1:3], indexed(POSITIONS), SIZE),
        departure="Path and hash stand in the index and in SHA256SUMS.txt; the manifest has the size of all files.",
    ),
    RungAsks(
        rung="C0.9", group=C0, asks="Every call is kept, with its hash, and the fidelity says demo.",
        conditions=(DEMO, COMPLETED, indexed(CALLS), manifest_is("impedance_fidelity", "demo_proxy"), Ask(
            name="calls_kept", says="as many calls are kept as the fingerprint counts, none left out",
            file="m_execution_raw_part_NNNN.json", field="number", wanted="1 to api_calls",
            look=lambda session, _: _numbered(session),
        )),
        departure="The raw channel is in parts from the first call on; no single m_execution_raw.json is written.",
    ),
    RungAsks(
        rung="C1.0", group=C1, asks="3,600 s with eight artifacts, no silent end, no orders behind a collapse.",
        conditions=(lasted(HOUR), *ENDED, EIGHT_ARE_SEALED, *NO_SPAM),
        departure="Positions raw and calls raw are parts with an index.",
    ),
    RungAsks(
        rung="C1.0-STOP", group=C1, asks="STOP in mid-session: interrupted, stop_*, the same artifacts.",
        conditions=STOPPED,
    ),
    RungAsks(
        rung="C1.1", group=C1, asks="Both raw channels in parts with indexes, at least one part an hour.",
        conditions=(lasted(HOUR), EIGHT_ARE_SEALED, indexed(CALLS), indexed(POSITIONS), Ask(
            name="parts_per_hour", says="a part of calls an hour, or a bar where bars are longer; one of positions",
            file=", ".join(INDEXES.values()), field="total_shards", wanted="calls >= hours or bars, positions >= 1",
            look=lambda session, _: _each_hour(session),
        )),
        departure="Positions are rebuilt from all fills when the session ends, so their parts are by size and not by "
        "hour; the calls of each bar are a part of their own.",
    ),
    RungAsks(
        rung="C1.2", group=C1, asks="21,600 s, indexes cover all parts, no monolithic raw file.",
        conditions=(lasted(6 * HOUR), *ENDED, indexed(CALLS), indexed(POSITIONS), COVERED, MONOLITH),
    ),
    RungAsks(
        rung="C1.3", group=C1,
        asks="86,400 s to the end, no orphan parts, records that only grow, no NaN, the size reported.",
        conditions=(lasted(24 * HOUR), COMPLETED, COVERED, Ask(
            name="records_grow", says="calls are numbered on through all parts without a gap",
            file="m_execution_raw_part_NNNN.json", field="number", wanted="1 to api_calls",
            look=lambda session, _: _numbered(session),
        ), Ask(
            name="finite", says="no NaN and no infinity in any record", file="(every JSON file)",
            field="all_stats.has_nan, has_inf", wanted="strict JSON, false, false",
            look=lambda session, _: _finite(session),
        ), SIZE),
    ),
)  # fmt: skip
