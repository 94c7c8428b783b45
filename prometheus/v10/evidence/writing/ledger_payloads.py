"""What each type of ledger entry says: a class for each payload, from which its schema is made.

Every field is there unless `absent` marks it; fields marked `since` are owed by every entry after the installation's.
`prometheus.v10.evidence.chains.ledger_table` holds an entry to the schema, when it is written and whenever it is read.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.evidence.schemas.shapes import (
    A_RUN,
    COMMIT,
    COUNT,
    LINE_ID,
    NAME,
    RELATIVE,
    SHA256,
    SNAPSHOT,
    TEXT,
    absent,
    exactly,
    listed,
    pattern,
    since,
    words,
)


@frozen(kw_only=True)
class Where:
    """Where a chained file stands: ``records`` lines, and the hash of the last."""

    records: int = field(metadata=COUNT)
    head: str = field(metadata=SHA256)


@frozen(kw_only=True)
class ChainPlace:
    """`Where` of a named file."""

    path: str = field(metadata=RELATIVE)
    records: int = field(metadata=COUNT)
    head: str = field(metadata=SHA256)


@frozen(kw_only=True)
class PoolOfRun:
    """What a run did to its pool: the place before and after, how many records are its own, and their digest."""

    path: str = field(metadata=RELATIVE)
    before: Where
    after: Where
    appended: int = field(metadata=COUNT)
    records_sha256: str = field(metadata=SHA256)


@frozen(kw_only=True)
class Installation:
    """A ledger begins, or the version that has an installation goes on with an older one."""

    installation_id: str = field(metadata=pattern("[0-9a-f]{32}"))
    suite_version: str = field(metadata=TEXT)
    entries_before: int = field(metadata=COUNT)
    reason: str = field(metadata=TEXT)
    open_runs: list[str] = field(metadata=listed(A_RUN))


@frozen(kw_only=True)
class RunStarted:
    """A run is begun: entered before its directory is made.

    Attributes:
        era: of a run that is one. The instance's next era follows the last one that completed: the ledger is the
            cursor.
    """

    run_id: str = field(metadata=A_RUN)
    run_dir: str = field(metadata=RELATIVE)
    tier: str = field(metadata=words(*Tier))
    stage: str = field(metadata=words(*Stage))
    mode: str = field(metadata=words(*Mode))
    run_counter: int | None = field(metadata=COUNT)
    config_hash: str = field(metadata=SHA256)
    core_hash: str = field(metadata=SHA256)
    git_commit: str | None = field(metadata=COMMIT)
    pool: ChainPlace
    curve: ChainPlace | None
    era: int | None = field(default=None, metadata=absent(COUNT))


@frozen(kw_only=True)
class HaltOfRun:
    """The line of a run's order chain that halted trading last."""

    line: int = field(metadata=COUNT)
    line_id: str = field(metadata=LINE_ID)
    reasons: list[str] = field(metadata=listed(NAME))


@frozen(kw_only=True)
class RunSealed:
    """A run's seal: sealed by itself, closed after it was cut off, or adopted.

    Attributes:
        halt: of a run whose trading is halted. Its instance begins no further run at an exchange until it is released.
        status: how the run ended. ``aborted`` is a word of older versions; none ever wrote it.
    """

    run_id: str = field(metadata=A_RUN)
    run_dir: str = field(metadata=RELATIVE)
    seal: str = field(metadata=SHA256)
    files: int = field(metadata=COUNT)
    bytes: int = field(metadata=COUNT)
    tier: str = field(metadata=since(words(*Tier)))
    status: str = field(metadata=since(words("completed", "interrupted", "failed", "aborted")))
    pool: PoolOfRun = field(metadata=since())
    halt: HaltOfRun | None = field(default=None, metadata=absent())


@frozen(kw_only=True)
class TradingReleased:
    """An operator released the halt of an instance: that of one run, and for the reasons that are named.

    Attributes:
        seal: of the run.
        by: who did it, and ``why``: words that somebody answers for.
    """

    run_id: str = field(metadata=A_RUN)
    seal: str = field(metadata=SHA256)
    halt: HaltOfRun
    by: str = field(metadata=TEXT)
    why: str = field(metadata=TEXT)


@frozen(kw_only=True)
class SnapshotMade:
    """A pool was frozen."""

    id: str = field(metadata=SNAPSHOT)
    file: str = field(metadata=NAME)
    pool_path: str = field(metadata=TEXT)
    count: int = field(metadata=COUNT)
    head_hash: str = field(metadata=SHA256)
    sha256: str = field(metadata=SHA256)
    bytes: int = field(metadata=COUNT)


@frozen(kw_only=True)
class PromotionStep:
    """A promotion was queued, or proven, or not."""

    promotion: str = field(metadata=TEXT)
    from_run_id: str = field(metadata=A_RUN)
    experiment: int = field(metadata=COUNT)
    trigger: str = field(metadata=TEXT)
    detail: str = field(metadata=TEXT)
    status: str = field(metadata=words("queued", "proven", "not_proven"))
    genome_index: int | None = field(default=None, metadata=absent(COUNT))
    record_id: str | None = field(default=None, metadata=absent(TEXT))
    genome_sha256: str | None = field(default=None, metadata=absent(SHA256))
    run_id: str | None = field(default=None, metadata=absent(A_RUN))
    seal: str | None = field(default=None, metadata=absent(SHA256))
    deaths_compared: int | None = field(default=None, metadata=absent())
    compared: dict[str, Any] | None = field(default=None, metadata=absent())
    reason: str | None = field(default=None, metadata=absent(TEXT))


@frozen(kw_only=True)
class RetentionDeletion:
    """Retention deletes something: entered before it does."""

    kind: str = field(metadata=words("run", "file", "snapshot"))
    path: str = field(metadata=RELATIVE)
    sha256: str = field(metadata=SHA256)
    bytes: int = field(metadata=COUNT)
    reason: str = field(metadata=TEXT)
    policy: str = field(metadata=TEXT)
    run_id: str | None = field(default=None, metadata=absent(A_RUN))


@frozen(kw_only=True)
class Compression:
    """Retention put a compressed file in the place of another."""

    path: str = field(metadata=RELATIVE)
    sha256: str = field(metadata=SHA256)
    bytes: int = field(metadata=COUNT)
    packed_sha256: str = field(metadata=SHA256)
    packed_bytes: int = field(metadata=COUNT)
    run_id: str | None = field(default=None, metadata=absent(A_RUN))
    kind: str | None = field(default=None, metadata=absent(TEXT))
    packed_path: str | None = field(default=None, metadata=absent(RELATIVE))
    codec: str | None = field(default=None, metadata=absent(TEXT))
    policy: str | None = field(default=None, metadata=absent(TEXT))


@frozen(kw_only=True)
class TornTail:
    """An unterminated tail was moved aside."""

    path: str = field(metadata=RELATIVE)
    kept: str = field(metadata=RELATIVE)
    offset: int = field(metadata=COUNT)
    bytes: int = field(metadata=COUNT)
    sha256: str | None = field(default=None, metadata=absent(SHA256))
    records_before: int | None = field(default=None, metadata=absent(COUNT))


@frozen(kw_only=True)
class IncidentMade:
    """An incident's bundle was made."""

    run_id: str = field(metadata=A_RUN)
    label: str = field(metadata=TEXT)
    bundle: str = field(metadata=RELATIVE)
    sha256: str = field(metadata=SHA256)
    bytes: int = field(metadata=COUNT)
    missing_required_files_count: int = field(metadata=COUNT)
    verification: str = field(metadata=TEXT)


@frozen(kw_only=True)
class GateLocked:
    """A gate's design is fixed."""

    gate: str = field(metadata=NAME)
    gate_dir: str = field(metadata=RELATIVE)
    config_hash: str = field(metadata=SHA256)
    lock_sha256: str = field(metadata=SHA256)
    core_hash: str = field(metadata=SHA256)
    batches: bool | None = field(default=None, metadata=absent(exactly(value=True)))


@frozen(kw_only=True)
class GateBatch:
    """The head of a gate's first so many experiments."""

    gate: str = field(metadata=NAME)
    gate_dir: str = field(metadata=RELATIVE)
    records: int = field(metadata=COUNT)
    head: str = field(metadata=SHA256)


@frozen(kw_only=True)
class GateSealed:
    """A gate is finished."""

    gate: str = field(metadata=NAME)
    gate_dir: str = field(metadata=RELATIVE)
    config_hash: str = field(metadata=SHA256)
    seal: str = field(metadata=SHA256)
    files: int = field(metadata=COUNT)
    bytes: int = field(metadata=COUNT)
    verdict: str = field(metadata=TEXT)


PAYLOADS: dict[LedgerEntryType, type] = {
    LedgerEntryType.INSTALLATION: Installation,
    LedgerEntryType.RUN_STARTED: RunStarted,
    LedgerEntryType.RUN_SEALED: RunSealed,
    LedgerEntryType.RUN_INTERRUPTED: RunSealed,
    LedgerEntryType.RUN_ADOPTED: RunSealed,
    LedgerEntryType.SNAPSHOT: SnapshotMade,
    LedgerEntryType.PROMOTION: PromotionStep,
    LedgerEntryType.RETENTION_DELETION: RetentionDeletion,
    LedgerEntryType.COMPRESSION: Compression,
    LedgerEntryType.TORN_TAIL: TornTail,
    LedgerEntryType.INCIDENT: IncidentMade,
    LedgerEntryType.GATE_LOCKED: GateLocked,
    LedgerEntryType.GATE_BATCH: GateBatch,
    LedgerEntryType.GATE_SEALED: GateSealed,
    LedgerEntryType.TRADING_RELEASED: TradingReleased,
}
"""Types of ``state/ledger.jsonl`` (`ledger_table.TABLE`), each with its class."""
