"""What is on the disk of the sessions that are judged: read once, each file when it is first asked for.

Nothing is believed that is not in a file. What is missing or is not what it should be raises where it is asked for, and
the condition that asked does not hold.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from prometheus.v10.base.errors import EvidenceError, PrometheusError, host_error
from prometheus.v10.base.names import SEAL_FILES, Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_whole
from prometheus.v10.evidence.catalog import artifact_of, manifest_of, runs
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX, open_evidence
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.codec import from_plain
from prometheus.v10.report.pages.exchange_read import is_at_an_exchange
from prometheus.v10.report.pages.run_verified import verified
from prometheus.v10.report.run_events import event_lines
from prometheus.v10.report.rungs.ladder_records import LadderStart

STARTS: Final = "starts"
SAID: Final = "venue.json"
VENUE_JOURNAL: Final = "venue.jsonl"
RUNBOOK: Final = "docs/operations.md"
DIFF_LOG: Final = "docs/v10/V10_EXECUTION_INTERFACE_DIFF_LOG_OKX_CCXT.md"
INCIDENTS: Final = "incidents"
BUNDLE_RECORD: Final = "incident.json"
PRACTICE: Final = "practice"
ORDER: Final = "/api/v5/trade/order"
Plain = dict[str, Any]


class Session:
    """A run at an exchange.

    Args:
        run: its directory.
    """

    def __init__(self, run: Path) -> None:
        self.run, self.run_id = run, run.name

    @cached_property
    def manifest(self) -> Plain:
        """``run_manifest.json``."""
        return self.document(Artifact.MANIFEST)

    @cached_property
    def fingerprint(self) -> Plain:
        """``execution_fingerprint.json``."""
        return self.document(Artifact.FINGERPRINT)

    @cached_property
    def row(self) -> Plain:
        """The one experiment of ``multiple_experiments_summary.json``."""
        return dict(self.document(Artifact.SUMMARY)["all_stats"][0])

    @cached_property
    def claim(self) -> Plain:
        """``exchange`` of the manifest."""
        return dict(self.manifest["exchange"])

    @property
    def ended(self) -> Plain:
        """What the session came to, by its manifest."""
        return dict(self.claim["ended"])

    @cached_property
    def chain(self) -> list[Plain]:
        """Lines of ``order_chain.jsonl``."""
        return list(self.lines(Artifact.ORDER_CHAIN))

    @cached_property
    def rounds(self) -> list[Plain]:
        """Lines of ``netting_rounds.jsonl``."""
        return list(self.lines(Artifact.NETTING_ROUNDS))

    @cached_property
    def calls(self) -> list[Plain]:
        """Every call that was kept, in the order of the parts that the index names."""
        return self.records(Artifact.EXECUTION_RAW_INDEX)

    @cached_property
    def verified(self) -> str:
        """What `verify` says: PASS, FAIL or ERROR."""
        return verified(self.run).word

    @property
    def bar_seconds(self) -> int:
        """Length of a bar, seconds of the exchange's time."""
        return int(self.manifest["market"]["timeframe_s"])

    @property
    def bars(self) -> int:
        """Bars that were traded: those of which the exchange's candle was kept with the tick's decision."""
        return sum(part["records_count"] for part in self.parts(Artifact.DECISION_TRACE_INDEX))

    @property
    def venue_seconds(self) -> int:
        """Seconds of the exchange's time between the open of the first bar and the close of the last."""
        return self.bars * self.bar_seconds

    @property
    def wall_seconds(self) -> float:
        """Seconds that the run worked."""
        return float(self.manifest["duration_seconds"])

    @property
    def site(self) -> str:
        """Where it traded: ``practice`` is a venue on the loopback."""
        return str(self.claim["site"])

    @cached_property
    def sums(self) -> dict[str, str]:
        """sha256 by name, as the seal has them."""
        lines = (self.run / Artifact.SHA256SUMS).read_text("utf-8").splitlines()
        return {line[66:]: line[:64] for line in lines}

    @cached_property
    def seal(self) -> str:
        """sha256 of the seal's list of sums."""
        return hashlib.sha256((self.run / Artifact.SHA256SUMS).read_bytes()).hexdigest()

    def name(self, artifact: Artifact) -> str:
        """The name of an artifact's file in this run."""
        return artifact.file_name(run_id=self.run_id)

    def is_sealed(self, name: str) -> bool:
        """Whether a file is there with the bytes that the seal has of it, as they were or compressed since."""
        packed = name + PACKED_SUFFIX
        try:
            if packed in self.sums:
                return hashlib.sha256((self.run / packed).read_bytes()).hexdigest() == self.sums[packed]
            return hashlib.sha256(self.content(self.run / name)).hexdigest() == self.sums[name]
        except UNREADABLE:
            return False

    def content(self, place: Path) -> bytes:
        """The bytes of a file as it was sealed; `place` is its name then.

        Raises:
            OSError: when it is not there.
            EvidenceError: when it is compressed and cannot be unpacked.
        """
        with open_evidence(place) as stream:
            return stream.read()

    def document(self, artifact: Artifact) -> Plain:
        """A document of the run.

        Raises:
            EvidenceError: when it is not there, or is none.
        """
        found = artifact_of(self.run, artifact)
        if found is None:
            raise EvidenceError(f"{self.run}: there is no {artifact}")
        return found

    def lines(self, artifact: Artifact) -> Iterator[Plain]:
        """Lines of an event file.

        Raises:
            EvidenceError: when it is not there.
        """
        if artifact.value not in self.sums and artifact.value + PACKED_SUFFIX not in self.sums:
            raise EvidenceError(f"{self.run}: there is no {artifact}")
        return (strict_loads(line) for line in event_lines(self.run, artifact))

    def parts(self, index: Artifact) -> list[Plain]:
        """What an index lists."""
        return [dict(one) for one in self.document(index)["shards"]]

    def records(self, index: Artifact) -> list[Plain]:
        """Records of all parts that an index lists; a part is lines, or one list."""
        found: list[Plain] = []
        for part in self.parts(index):
            data = read_whole(self.run / part["filename"], at_most=LARGE)
            whole = data if data.lstrip().startswith(b"[") else b"[" + data.strip().replace(b"\n", b",") + b"]"
            found += strict_loads(whole)
        return found

    def parts_there(self, stem: str) -> list[str]:
        """Names of the parts that are on the disk, whatever the index says."""
        return sorted(one.name for one in self.run.glob(f"{stem}_part_*"))

    def of_kind(self, *kinds: str) -> list[Plain]:
        """Lines of the chain of some kinds."""
        return [line for line in self.chain if line["kind"] in kinds]

    def sizes(self) -> dict[str, int]:
        """Bytes of each file of `files` as it was sealed, by its name then."""
        found = {}
        for one in self.files():
            name = one.name if one.name in self.sums else one.name.removesuffix(PACKED_SUFFIX)
            found[name] = one.stat().st_size if name == one.name else len(self.content(self.run / name))
        return found

    def files(self) -> list[Path]:
        """Every file of the run but those of the seal and the manifest."""
        left_out = {*SEAL_FILES, Artifact.MANIFEST.value}
        return [one for one in sorted(self.run.iterdir()) if one.name not in left_out]


@frozen
class Bundle:
    """An incident's bundle: its archive, and what its ``incident.json`` says."""

    place: Path
    record: Plain
    manifest: bytes


@define
class Gathered:
    """Everything that is judged.

    Attributes:
        sessions: runs at an exchange, the newest first.
        starts: how processes of sessions ended, where a ladder kept it.
        venue: the venue's own journal, where there is one.
        checkout: the folder of the documents; None in an installation without them.
    """

    sessions: list[Session]
    bundles: list[Bundle] = field(factory=list)
    starts: list[tuple[str, LadderStart]] = field(factory=list)
    venue: Path | None = None
    checkout: Path | None = None

    def orders_between(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Requests of all, and requests that place an order, that the venue's journal has in a span of its time."""
        if self.venue is None:
            raise EvidenceError("there is no journal of the venue")
        every = orders = 0
        with self.venue.open("rb") as lines:
            for line in lines:
                entry = json.loads(line)
                if entry["kind"] == "request" and from_ms <= entry["ts"] <= to_ms:
                    every += 1
                    orders += entry["data"]["method"] == "POST" and "/trade/" in entry["data"]["target"]
        return every, orders


def gather(places: list[Path], checkout: Path | None) -> Gathered:
    """What is judged of these runs: with their installations' incidents.

    Raises:
        EvidenceError: for a run whose manifest cannot be read, or that was at no exchange.
        HostError: when something cannot be read.
    """
    found = Gathered([_session(place) for place in places], checkout=checkout)
    ids = {one.run_id for one in found.sessions}
    for root in sorted({place.resolve().parent.parent for place in places}):
        for one in sorted((root / INCIDENTS).glob("IEB_*.tar.gz")):
            bundle = _bundle(one)
            if bundle is not None and bundle.record.get("run_id") in ids:
                found.bundles.append(bundle)
    return found


def gather_ladder(root: Path, checkout: Path | None) -> Gathered:
    """What a ladder of drills left in its installation: all of its runs, and how each start ended.

    Raises:
        EvidenceError: as `gather`; for a start that cannot be read.
        HostError: as `gather`.
    """
    places = [one.path for one in runs(Layout.under(root)) if is_at_an_exchange(manifest_of(one.path) or {})]
    found = gather(places, checkout)
    for place in sorted((root / STARTS).glob("start_*.json")):
        said = strict_loads(read_whole(place, at_most=LARGE))
        found.starts.append((f"{STARTS}/{place.name}", from_plain(said, LadderStart, where=str(place))))
    if (root / VENUE_JOURNAL).is_file():
        found.venue = root / VENUE_JOURNAL
    return found


def _session(place: Path) -> Session:
    manifest = manifest_of(place)
    if manifest is None:
        raise EvidenceError(f"{place} is no run: it has no {Artifact.MANIFEST}", hint="name the directory of a run")
    if not is_at_an_exchange(manifest):
        raise EvidenceError(f"{place} was at no exchange", hint="the ladder is about runs in mode okx_demo or okx_live")
    return Session(place)


def _bundle(place: Path) -> Bundle | None:
    """A bundle as it is packed; None for an archive that is none."""
    try:
        with tarfile.open(place, "r:gz") as archive:
            members = {one.name.partition("/")[2]: one for one in archive.getmembers()}
            record = archive.extractfile(members[BUNDLE_RECORD])
            manifest = archive.extractfile(members[f"run/{Artifact.MANIFEST}"])
            if record is None or manifest is None:
                return None
            return Bundle(place, dict(strict_loads(record.read())), manifest.read())
    except OSError as error:
        raise host_error(error, f"cannot read {place}") from error
    except (tarfile.TarError, EOFError, KeyError, ValueError, TypeError):
        return None


UNREADABLE: Final = (PrometheusError, OSError, KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What reading evidence raises where it is not what it should be."""
