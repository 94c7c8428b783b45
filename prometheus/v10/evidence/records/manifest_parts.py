"""The tables within ``run_manifest.json`` (contracts, sections 4 and 11)."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from prometheus.v10.base.modes import Tier
from prometheus.v10.evidence.schemas.shapes import words


@frozen(kw_only=True)
class Meta:
    """``meta.tier``: ``tier1_hf`` or ``tier2_full``."""

    tier: str = field(metadata=words(*Tier))
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Window:
    """The stretch of bars that every experiment lives in: ``start`` is the index of its first bar in the market."""

    name: str
    start: int
    len: int
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Ablation:
    """Which feature channels are zero; ``none`` where all are live."""

    name: str
    detail: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class MarketSource:
    """Where the bars come from; ``sha256`` identifies them, times are UTC opens of the first and last bar."""

    source: str
    sha256: str
    symbol: str
    timeframe: str
    rows: int
    first_time: str
    last_time: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class SelfTradePrevention:
    """Contracts, section 4; ``note`` says where the figures come from."""

    stp_supported: bool | None
    stp_enabled: bool | None
    execution_netting_enabled: bool
    self_trade_policy: str = field(metadata=words("forbid", "allow", "unknown"))
    self_trade_detection_capability: str = field(metadata=words("strong", "weak", "none"))
    note: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class ExchangeFacts:
    """What a manifest says of the exchange that a run met; ``null_reasons`` are of the manifest's own paths."""

    exchange_lib: str | None
    env: str | None
    positions_quality: str | None
    impedance_fidelity: str
    self_trade_prevention: SelfTradePrevention
    null_reasons: dict[str, str] = field(factory=dict)


@frozen(kw_only=True)
class ExperimentTiming:
    """Wall-clock seconds that one experiment took in its process.

    Attributes:
        started_seconds: from the run's start to the experiment's, and ``ended_seconds`` to its end (None in a manifest
            of version 1); ``wall_seconds`` is their difference.
    """

    experiment: int
    wall_seconds: float
    started_seconds: float | None = None
    ended_seconds: float | None = None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Timing:
    """How fast the run was; ``agent_ticks_per_second`` is over the whole run, evidence included.

    Attributes:
        stop_seconds: from the run's start to the moment in which the stop was passed on to every experiment; null for
            a run that was not stopped.
    """

    experiments: list[ExperimentTiming]
    agent_ticks: int
    agent_ticks_per_second: float
    stop_seconds: float | None = None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class InternalCollapse:
    """One experiment's collapse: when it was detected (wall clock), and when it happened (tick, market time).

    Attributes:
        seconds: from the start of the run to the detection.
    """

    experiment: int
    reason: str
    tick: int
    ticks_to_collapse: int
    market_time: str
    detected_at: str
    seconds: float
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Failure:
    """Why a run failed: ``error`` in one line, and the files of its tier that it could not write."""

    error: str
    missing: list[str]
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Counts:
    """What the run's files must hold; zero is evidence too."""

    experiments: int = 0
    deaths: int = 0
    births: int = 0
    collapses: int = 0
    interesting_deaths: int = 0
    raw_samples: int = 0
    pool_records: int = 0
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class PoolHead:
    """Where a pool stands: its number of records, and the hash that the next one names as its predecessor."""

    records: int
    head: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class PoolAppends:
    """The records that the run appended to its stage's pool: first and last ``n``, both included.

    Attributes:
        before: the pool when the run opened it, ``after``: when the run appended last (None in version 1).
        appended: how many records; other runs' may lie between them.
        records_sha256: over number and id of the run's own records, in order (`pool_claims`).
    """

    pool: str
    first_n: int | None
    last_n: int | None
    before: PoolHead | None = None
    after: PoolHead | None = None
    appended: int | None = None
    records_sha256: str | None = None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class EvidenceSize:
    """Files and bytes of the run directory when the manifest was last written, the manifest itself left out."""

    files: int
    bytes: int
    extra: dict[str, Any] = field(factory=dict)
