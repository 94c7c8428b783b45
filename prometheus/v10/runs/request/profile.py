"""A profile says what a run is: one TOML file an instance (contracts, sections 1 and 2). Unknown keys are refused.

A profile is found as a path (it has a slash or ends in ``.toml``), else as ``<NAME>.toml`` in the profiles directory
of the root, else among those that ship with the package. Every number of the world can be set under ``[world]``; what
is not set is the core's own default for the market's timeframe.
"""

from __future__ import annotations

import math
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
from attrs import Factory, field, frozen, validators

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Arm, Mode, Stage, parse_mode
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.base.toml import parse_toml
from prometheus.v10.core.config import WorldConfig
from prometheus.v10.evidence.pools.handed import Handing
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.records.interesting import InterestingTable
from prometheus.v10.runs.request.ablation import ABLATIONS
from prometheus.v10.runs.request.eras_table import FoundingTable, WindowTable, unsound_eras
from prometheus.v10.runs.request.exchange_table import ExchangeTable
from prometheus.v10.runs.request.ranges import FENCES, unsound_numbers
from prometheus.v10.runs.request.stage2_table import Stage2Table

SHIPPED = files("prometheus.v10.runs") / "profiles"
MIB = 1024 * 1024
LARGEST = MIB  # bytes of a profile


def _world_fields() -> dict[str, Any]:
    """The core's own numbers, each optional and of its own kind."""
    defaults = WorldConfig()._asdict()
    return {
        name: field(default=None, type=type(value) | None)  # type: ignore[arg-type]
        for name, value in defaults.items()
        if name != "timeframe_s"
    }


WorldTable: Any = attrs.make_class("WorldTable", _world_fields(), frozen=True, kw_only=True)
WorldTable.__doc__ = "``[world]``: any field of `prometheus.v10.core.config.WorldConfig` but the timeframe."


@frozen(kw_only=True)
class MarketTable:
    """``[market]``: which bars (`prometheus.v10.market.resolve.MarketSpec` has the meaning of each key)."""

    source: str = "synthetic"
    symbol: str | None = None
    timeframe_s: int | None = None
    seed: int = 0
    bars: int | None = None
    start: int | None = None


@frozen(kw_only=True)
class ExperimentsTable:
    """``[experiments]``: how many, from which seed on, in which arm, with which channels.

    Attributes:
        seed: of the first experiment of the instance's first run; later runs go on where the last one ended.
    """

    count: int = field(default=20, validator=validators.ge(1))
    seed: int = field(default=1, validator=validators.ge(0))
    arm: Arm = Arm.A_REAL
    ablation: str = field(default="none", validator=validators.in_(tuple(ABLATIONS)))


@frozen(kw_only=True)
class PoolTable:
    """``[pool]``: whom a run hands to the pool: survivors, and the best of those who died after trading.

    Attributes:
        survivors: of each experiment so many at most, the best by return (None: every survivor).
        least_trades: only of those that traded so often (None: once).
        witnesses: and so many of the other survivors, drawn by the experiment's seed (None: 0).
        snapshot_every_runs: the service freezes the pool after so many runs; 0 leaves that to a timer.
        snapshot_growth: ... and only where the pool has grown by this share since the newest snapshot: each is a whole
            copy, so all together take at most 1 + 1 / growth times what the pool takes, however long the service runs.
    """

    best_of_the_dead: int = field(default=3, validator=validators.ge(0))
    snapshot_every_runs: int = field(default=20, validator=validators.ge(0))
    snapshot_growth: float = field(default=0.25, validator=validators.ge(0.0))
    survivors: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    least_trades: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    witnesses: int | None = field(default=None, validator=validators.optional(validators.ge(0)))

    @property
    def handing(self) -> Handing:
        """The rule for survivors."""
        least = 1 if self.least_trades is None else self.least_trades
        return Handing(self.survivors, least, self.witnesses or 0)


@frozen(kw_only=True)
class EvidenceTable:
    """``[evidence]``: raw orders: one in N of the plain ones is kept, all of the eventful ones, under a budget.

    Attributes:
        compress: event files stay only in their compressed form, ``NAME.zst``, once a run is sealed (None: yes).
    """

    order_sample_one_in: int = field(default=1000, validator=validators.ge(0))
    raw_budget_bytes: int = field(default=64 * MIB, validator=validators.ge(0))
    compress: bool | None = None


@frozen(kw_only=True)
class RetentionTable:
    """``[retention]``: how long things are kept; what is not named is kept for ever (contracts, section 12).

    The bounds on raw samples of Tier-1 runs hold together: whichever is broken, the oldest go until none is. Manifests,
    fingerprints, telemetry, summaries and pools are never deleted; neither is anything of a promoted run.

    Attributes:
        raw_days: age of raw samples, from the run's seal.
        raw_bytes: of all raw samples together (None: no bound).
        keep_free_bytes: to be left free on the disk (None: what ``[disk]`` says).
        tier2_days: Tier-2 runs older than this are named in the plan; each goes only with an operator's reason.
        snapshot_days: age of pool snapshots (None: for ever); the newest, and those that a run names, always stay.
        events_days: age of the lines of births, deaths and survivors, from the run's seal, where the run's sealed
            ``population_series.jsonl`` says what they came to (None: for ever).
        compress_days: age at which the event files of sealed runs are compressed (None: never).
    """

    raw_days: int = field(default=14, validator=validators.ge(1))
    raw_bytes: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    keep_free_bytes: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    tier2_days: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    snapshot_days: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    compress_days: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    events_days: int | None = field(default=None, validator=validators.optional(validators.ge(1)))


@frozen(kw_only=True)
class ServiceTable:
    """``[service]``: how much of the time, and of the disk, the service takes.

    Attributes:
        pause_seconds: pause between two runs, at least.
        bytes_a_day: evidence that a day may bring, run directories and pool together: the service rests between runs to
            keep to it (None: no pace).
    """

    pause_seconds: float = field(default=1.0, validator=validators.ge(0.0))
    bytes_a_day: int | None = field(default=None, validator=validators.optional(validators.ge(1)))


@frozen(kw_only=True)
class DiskTable:
    """``[disk]``: what must stay free, and what we may take.

    Attributes:
        keep_free_bytes: to be left free on the disk: below it no run is begun, and one in flight is sealed.
        budget_bytes: what everything under the root may take (None: no bound).
        reserve_bytes: held back in a file, given up when the disk is full, so that what is open can be sealed.
    """

    keep_free_bytes: int = field(default=1024 * MIB, validator=validators.ge(0))
    budget_bytes: int | None = None
    reserve_bytes: int = field(default=4 * MIB, validator=validators.ge(0))


def _mode(text: str) -> Mode:
    """A mode as an operator spells it."""
    return parse_mode(str(text))


@frozen(kw_only=True)
class Profile:
    """One instance's configuration.

    Attributes:
        mode: as an operator spells it; recorded canonically.
        workers: processes; 0 is one a processor.
        stage2: only profiles of stage 2 have it.
        founding: who founds the populations; None draws all founders, and the runs are no eras.
        allow_live: must be true, beside a credential and a file that arms it, before ``okx_live`` connects to anything.
        exchange: the account that a run in ``okx_demo`` or ``okx_live`` trades on.
    """

    mode: Mode = field(converter=_mode)
    stage: Stage = Stage.STAGE1
    workers: int = field(default=0, validator=validators.ge(0))
    allow_live: bool = False
    market: MarketTable = Factory(MarketTable)
    window: WindowTable | None = None
    experiments: ExperimentsTable = Factory(ExperimentsTable)
    world: WorldTable = Factory(WorldTable)
    pool: PoolTable = Factory(PoolTable)
    evidence: EvidenceTable = Factory(EvidenceTable)
    interesting: InterestingTable = Factory(InterestingTable)
    retention: RetentionTable = Factory(RetentionTable)
    service: ServiceTable = Factory(ServiceTable)
    disk: DiskTable = Factory(DiskTable)
    stage2: Stage2Table | None = None
    founding: FoundingTable | None = None
    exchange: ExchangeTable | None = None

    @property
    def has_eras(self) -> bool:
        """Whether its runs are eras: they have another window each, or they inherit."""
        return self.founding is not None or (self.window is not None and self.window.moves)


def load_profile(name_or_path: str | Path, layout: Layout) -> Profile:
    """Find and read a profile.

    Raises:
        ConfigError: when there is none of that name, or it cannot be read as one; names file, key and expectation.
    """
    path = find_profile(str(name_or_path), layout)
    profile = structure_config(_with_fences_off(_table(path)), Profile, source=printable(str(path)))
    if wrong := unsound_numbers(profile) or unsound_eras(profile):
        raise ConfigError(f"{printable(str(path))}: {'; '.join(wrong[:5])}", hint=f"correct {printable(str(path))}")
    return profile


def _table(path: Path) -> dict[str, Any]:
    """The TOML table of a file; a byte order mark at its beginning is no part of it.

    Raises:
        ConfigError: when it cannot be read, is too large for a profile, or is not TOML.
    """
    shown = printable(str(path))
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"cannot read {shown}: not a regular file", hint="give the path of a TOML file")
        with path.open("rb") as handle:
            data = handle.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ConfigError(f"{shown}: larger than {LARGEST} bytes, which no profile is", hint=f"correct {shown}")
        return parse_toml(data, shown)
    except OSError as error:
        raise ConfigError(
            f"cannot read {shown}: {error.strerror}", hint="check the name and its permissions"
        ) from error


def _with_fences_off(table: dict[str, Any]) -> dict[str, Any]:
    """``table`` without the fences that it switches off by ``inf`` or ``"off"``: both are what not set means."""
    world = table.get("world")
    if not isinstance(world, dict):
        return table
    kept = {key: value for key, value in world.items() if key not in FENCES or value not in (math.inf, "off")}
    return {**table, "world": kept}


def find_profile(name: str, layout: Layout) -> Path:
    """Where the profile ``name`` lies.

    Raises:
        ConfigError: naming the profiles that there are.
    """
    if "/" in name or name.endswith(".toml"):
        return Path(name)
    places = [layout.profiles, Path(str(SHIPPED))]
    for place in places:
        candidate = place / f"{name}.toml"
        if candidate.is_file():
            return candidate
    known = sorted({path.stem for place in places if place.is_dir() for path in place.glob("*.toml")})
    alike = [one for one in known if one.lower() == name.lower()] or get_close_matches(name, known, n=1)
    meant = f"did you mean {alike[0]}? " if alike else ""
    raise ConfigError(
        f"no profile {name!r} in {layout.profiles} or in the package",
        hint=f"{meant}there are: {', '.join(known)}; or give a path",
    )
