"""Names that files, journal entries and records carry: one definition each (architecture, section 4).

The rest of the code, the journal catalog, the documents and the stand-alone verifier refer to these. Standard library
only. A name here is part of a contract: names are added, never changed, and a message id never moves to another event.
"""

from __future__ import annotations

import re
from enum import Enum, StrEnum

from prometheus.v10.base.modes import Tier


class Artifact(StrEnum):
    """Files of a run directory (contracts, section 4). ``{run_id}`` and ``{part}`` are filled by `file_name`."""

    MANIFEST = "run_manifest.json"
    SUMMARY = "multiple_experiments_summary.json"
    FINGERPRINT = "execution_fingerprint.json"
    TELEMETRY = "gating_telemetry.json"
    DEATHS = "death_events.jsonl"
    BIRTHS = "birth_events.jsonl"
    SURVIVORS = "survivors.jsonl"
    COLLAPSES = "collapse_events.jsonl"
    INTERESTING_DEATHS = "interesting_deaths.jsonl"
    FOUNDERS = "founders.jsonl"
    POPULATION_SERIES = "population_series.jsonl"
    BEHAVIORS = "behaviors_run_{run_id}.json"
    GENOMES = "genomes_run_{run_id}.npy"
    DECISION_TRACE = "decision_trace_part_{part:04d}.jsonl"
    DECISION_TRACE_INDEX = "decision_trace_index.json"
    EXECUTION_RAW = "m_execution_raw_part_{part:04d}.json"
    EXECUTION_RAW_INDEX = "m_execution_raw_index.json"
    POSITIONS_SNAPSHOT = "positions_snapshot.json"
    POSITIONS_RAW = "positions_reconstruction_raw_part_{part:04d}.json"
    POSITIONS_RAW_INDEX = "positions_reconstruction_raw_index.json"
    ALIGNMENT_REPORT = "alignment_report.json"
    ALIGNMENT_RAW_SAMPLES = "alignment_raw_samples.json"
    ORDER_CHAIN = "order_chain.jsonl"
    NETTING_ROUNDS = "netting_rounds.jsonl"
    INTERRUPTED = "interrupted.json"
    FILELIST = "FILELIST.ls.txt"
    SHA256SUMS = "SHA256SUMS.txt"

    def file_name(self, *, run_id: str | None = None, part: int | None = None) -> str:
        """The file's name in the directory of ``run_id``; ``part`` counts shards from 1.

        Raises:
            ValueError: when the name needs a run id or a part that was not given.
        """
        name = str(self)
        if ("{run_id}" in name and run_id is None) or ("{part" in name and part is None):
            raise ValueError(f"{self.name} ({name}) needs a run id or a part number")
        return name.format(run_id=run_id, part=part)


EVENT_STREAMS = (
    Artifact.DEATHS, Artifact.BIRTHS, Artifact.SURVIVORS, Artifact.COLLAPSES, Artifact.INTERESTING_DEATHS,
)  # fmt: skip
"""JSONL files that every run opens at its start: a file with no event exists and is empty."""

SEAL_FILES = (Artifact.FILELIST, Artifact.SHA256SUMS)
"""Written last; they cover everything else."""

_TIER1 = (
    Artifact.MANIFEST,
    Artifact.SUMMARY,
    Artifact.FINGERPRINT,
    Artifact.TELEMETRY,
    Artifact.DEATHS,
    Artifact.BIRTHS,
    Artifact.SURVIVORS,
    Artifact.COLLAPSES,
)
_TIER2_ADDS = (
    Artifact.BEHAVIORS,
    Artifact.GENOMES,
    Artifact.DECISION_TRACE_INDEX,
    Artifact.EXECUTION_RAW_INDEX,
    Artifact.POSITIONS_SNAPSHOT,
    Artifact.POSITIONS_RAW_INDEX,
    Artifact.ALIGNMENT_REPORT,
    Artifact.ALIGNMENT_RAW_SAMPLES,
)


def required(tier: Tier) -> tuple[Artifact, ...]:
    """What a completed run of ``tier`` owes before it is sealed; sharded streams are owed through their index."""
    return _TIER1 if tier is Tier.TIER1_HF else _TIER1 + _TIER2_ADDS


class GateFile(StrEnum):
    """Files of a gate's directory; the seal's own two are those of a run."""

    LOCK = "gate_lock.json"
    EXPERIMENTS = "gate_experiments.jsonl"
    SIGNS = "gate_signs.json"
    VERDICT = "gate_verdict.json"
    PAGE = "gate_verdict.md"


class Schema(StrEnum):
    """Name and version of each record; a record whose fields change gets the next number (contracts, section 9)."""

    MANIFEST = "run_manifest/2"
    MANIFEST_1 = "run_manifest/1"
    SUMMARY = "multiple_experiments_summary/1"
    FINGERPRINT = "execution_fingerprint/1"
    FINGERPRINT_2 = "execution_fingerprint/2"
    FINGERPRINT_3 = "execution_fingerprint/3"
    TELEMETRY = "gating_telemetry/1"
    DEATH = "death_event/1"
    BIRTH = "birth_event/1"
    SURVIVOR = "survivor/1"
    COLLAPSE = "collapse_event/1"
    INTERESTING_DEATH = "interesting_death/1"
    EXECUTION_RAW = "m_execution_raw/1"
    EXECUTION_RAW_INDEX = "m_execution_raw_index/1"
    BEHAVIOR = "behavior/1"
    POSITIONS_SNAPSHOT = "positions_snapshot/1"
    POSITIONS_SNAPSHOT_2 = "positions_snapshot/2"
    POSITIONS_RAW = "positions_reconstruction_raw/1"
    ALIGNMENT_REPORT = "alignment_report/1"
    ALIGNMENT_RAW_SAMPLES = "alignment_raw_samples/1"
    DECISION_TRACE = "decision_trace/1"
    PARTS_INDEX = "parts_index/1"
    INTERRUPTED = "interrupted/1"
    POOL_RECORD = "pool_record/1"
    POOL_RECORD_2 = "pool_record/2"
    FOUNDERS = "founders/1"
    POPULATION_SERIES = "population_series/1"
    SNAPSHOT = "pool_snapshot/1"
    LEDGER_ENTRY = "ledger_entry/1"
    COLLAPSE_INTERVAL = "collapse_interval/1"
    INCIDENT = "incident/1"
    GATE_LOCK = "gate_lock/1"
    GATE_EXPERIMENT = "gate_experiment/1"
    GATE_SIGNS = "gate_signs/1"
    GATE_VERDICT = "gate_verdict/1"
    NETTING_ROUND = "netting_round/1"
    NETTING_ROUND_2 = "netting_round/2"
    LADDER_VERDICT = "ladder_verdict/1"
    LADDER_START = "ladder_start/1"
    ORDER_CHAIN = "order_chain/1"
    EXCHANGE_CALL = "exchange_call/1"
    EXCHANGE_CALLS_INDEX = "exchange_calls_index/1"
    GENOME = "genome_342_f32/1"
    FEATURES = "features_33/1"


class LedgerEntryType(StrEnum):
    """What a line of the instance's ledger of seals records."""

    INSTALLATION = "installation"
    RUN_STARTED = "run_started"
    RUN_SEALED = "run_sealed"
    RUN_INTERRUPTED = "run_interrupted"
    RUN_ADOPTED = "run_adopted"
    SNAPSHOT = "snapshot"
    PROMOTION = "promotion"
    RELEASE = "release"
    ROLLBACK = "rollback"
    RETENTION_DELETION = "retention_deletion"
    COMPRESSION = "compression"
    TORN_TAIL = "torn_tail"
    INCIDENT = "incident"
    STOP = "stop"
    STOP_CLEARED = "stop_cleared"
    GATE_LOCKED = "gate_locked"
    GATE_BATCH = "gate_batch"
    GATE_SEALED = "gate_sealed"
    TRADING_RELEASED = "trading_released"


class Event(Enum):
    """Lifecycle moments that the journal hears of (contracts, section 8), each with its fixed 128-bit message id."""

    SERVICE_READY = ("service_ready", "5f2faceec53f408b8931c2840909ef97")
    SERVICE_STOPPING = ("service_stopping", "0f3e891c77444bd6aae096db2f6ed837")
    RUN_STARTED = ("run_started", "e10e709d63714506848f7d64dd476613")
    RUN_ENDED = ("run_ended", "e6b0483a8b394e30bfdeb95e498f297a")
    RUN_SEALED = ("run_sealed", "d1eb131bb2ac4dde90946122649c746f")
    RUN_INTERRUPTED_CLOSED = ("run_interrupted_closed", "4b97210b20724e9da765c66273ed86a9")
    COLLAPSE = ("collapse", "506152ce68aa4d549f9453cfb4944c18")
    COLLAPSE_INTERVAL = ("collapse_interval", "1b55f26e404c421e9d73d941d1af43a1")
    REBOOT = ("reboot", "733a8028a87a46e084ebda4405902a62")
    WORLD_DIFFERENCE = ("world_difference", "9d1f0a4be2c7473c8c5be0a6d14f7b38")
    STOP_REQUESTED = ("stop_requested", "356bf5ebde274d09ba1a8cd82759bc44")
    STOP_CLEARED = ("stop_cleared", "4a8f6c2e91d74b0fa3c5d8e7b6019f24")
    WATCHDOG_STALL = ("watchdog_stall", "f574f1ea96bc4320bd6df137c5f7453e")
    REVIEW_DEATHS = ("review_deaths", "dbce86f2be124968a4685f12044ade12")
    INTERESTING_DEATH = ("interesting_death", "c1e53595de364274b7311d1d5a56b72d")
    SNAPSHOT = ("snapshot", "c510368585f241f79a9016dfbf4b8829")
    PROMOTION = ("promotion", "b32789c24c04488c9dd97a45e3e8d333")
    ROLLBACK = ("rollback", "bf20a22236cd4050a83652eb19c5cce1")
    RETENTION_DELETION = ("retention_deletion", "4381ca760d8a4e12ab24d48a47ecac06")
    TORN_TAIL = ("torn_tail", "29114c42dccf4d4abcd27f9a25a2c67d")
    CORE_MISMATCH = ("core_mismatch", "afefaed9267e44f8ba9ac62bd647793a")
    DISK_BUDGET = ("disk_budget", "2d0533575fc9484cbc10ca9340221224")
    LEDGER_CHECKPOINT = ("ledger_checkpoint", "628ee3f895d3444ea7fd0c1d13c666ce")
    INCIDENT = ("incident", "8881ff07c9884648b49060e007d3789d")
    VERIFY_FAILED = ("verify_failed", "3c31893a50a84a06a0826ea47ee0bc1c")
    RELEASE = ("release", "1740d91b06cd4af591eb4f9e1f25b943")
    TRADING_STATE = ("trading_state", "2ab3c53513e0407489447f6f9f1b6625")
    TRADING_RELEASED = ("trading_released", "35bae0db58dc440ca797c2e20fa1eae9")

    def __init__(self, label: str, message_id: str) -> None:
        self.label = label
        self.message_id = message_id

    def __str__(self) -> str:
        return self.label


EVENT_FIELDS: dict[Event, tuple[str, ...]] = {
    Event.SERVICE_READY: ("profile",),
    Event.SERVICE_STOPPING: ("reason",),
    Event.RUN_STARTED: ("path", "experiments", "core_hash"),
    Event.RUN_ENDED: ("status", "experiments", "deaths", "births", "collapses", "seconds"),
    Event.RUN_SEALED: ("path", "files", "bytes", "seal"),
    Event.RUN_INTERRUPTED_CLOSED: ("path", "missing"),
    Event.COLLAPSE: ("experiment", "reason", "tick"),
    Event.COLLAPSE_INTERVAL: ("interval_seconds", "interval_ticks", "reason"),
    Event.REBOOT: ("after_run_id", "restart_seconds"),
    Event.WORLD_DIFFERENCE: ("before_run", "before_library", "library"),
    Event.STOP_REQUESTED: ("reason",),
    Event.STOP_CLEARED: ("reason", "who"),
    Event.WATCHDOG_STALL: ("seconds", "progress"),
    Event.REVIEW_DEATHS: ("experiment", "tick", "deaths", "counts", "worst_roi", "best_roi"),
    Event.INTERESTING_DEATH: ("experiment", "tick", "pattern", "deaths", "detail"),
    Event.SNAPSHOT: ("snapshot_id", "records", "path"),
    Event.PROMOTION: ("from_run_id", "trigger"),
    Event.ROLLBACK: ("from_image", "to_image"),
    Event.RETENTION_DELETION: ("path", "files", "bytes", "policy"),
    Event.TORN_TAIL: ("path", "kept", "offset", "bytes"),
    Event.CORE_MISMATCH: ("expected", "found"),
    Event.DISK_BUDGET: ("path", "bytes", "budget"),
    Event.LEDGER_CHECKPOINT: ("entries", "head"),
    Event.INCIDENT: ("severity", "detail", "bundle"),
    Event.VERIFY_FAILED: ("path", "finding"),
    Event.RELEASE: ("image", "git_commit"),
    Event.TRADING_STATE: ("state", "reason", "detail"),
    Event.TRADING_RELEASED: ("halted_run", "reasons", "who", "why"),
}
"""Fields that an entry of each event carries, as ``PROMETHEUS_<NAME>``; its catalog text may name these, no others."""

POOL_FILE = "pool.jsonl"
LEDGER_FILE = "ledger.jsonl"
CURVE_FILE = "collapse_intervals.jsonl"
ORDER_LOCK = "order_chain.lock"
SNAPSHOT_PREFIX = "snapshot_"

RUN_ID = "(HF|STAGE2|PROMOTE|AUDIT)_[0-9]{8}T[0-9]{6}Z_([0-9a-f]{7}|nocommit)_[0-9a-f]{4}"
"""The form of a run id (contracts, section 2), as a regular expression."""
_RUN_ID = re.compile(RUN_ID)
_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,31}")


_STATE_FOLDERS = frozenset({"promotions", "releases", "ledger", "stops", "rollbacks", "incidents"})
_STATE_SUFFIXES = frozenset({"jsonl", "json", "lock", "bin", "reserve", "toml", "tmp"})


def is_run_id(text: str) -> bool:
    """Whether ``text`` has the form of a run id (contracts, section 2)."""
    return _RUN_ID.fullmatch(text) is not None


def commit_of(run_id: str) -> str:
    """The commit that a run id names, its first seven digits; ``nocommit`` where it names none."""
    return run_id.split("_")[-2]


def is_instance(text: str) -> bool:
    """Whether ``text`` may name an instance: letters, digits, ``_`` and ``.``, which systemd leaves unescaped.

    Names of the files and directories that lie in ``state/`` beside the instances' own are none.
    """
    return _INSTANCE.fullmatch(text) is not None and not _is_reserved(text.lower())


def _is_reserved(name: str) -> bool:
    """Whether ``name`` is, or looks like, something else that lies in ``state/`` beside the instances."""
    return name in _STATE_FOLDERS or name.rpartition(".")[2] in _STATE_SUFFIXES


def torn_name(stamp: str, file_name: str = POOL_FILE) -> str:
    """Where the unterminated tail of an append-only file is moved: ``pool.jsonl.torn-<utc>``."""
    return f"{file_name}.torn-{stamp}"
