"""What retention would do (contracts, section 12): the policies, and the plan that they give. Nothing is written here.

1. The policies may delete parts of the raw samples of Tier-1 runs, their event lines where a sealed series says what
   those came to, and old snapshots of a pool. Only of what is sealed, oldest first, while any bound is broken: age,
   bytes, keep-free. Nothing of a promoted run, no snapshot that a run names, not the newest snapshot, never a pool,
   never another file of a run.
2. A Tier-2 run goes only by itself, for an operator's reason; the policies name those that are due.
3. What has its tombstone and is still there was cut off in between: it comes first, whatever the bounds say now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import Factory, define, evolve, frozen

from prometheus.v10.base.errors import EvidenceError, UsageError, host_error
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import manifest_texts
from prometheus.v10.evidence.chains.absences import EVENT_LINES, PACKED_SUFFIX, is_raw_part, lines_may_go
from prometheus.v10.evidence.writing.packing import may_be_packed
from prometheus.v10.ops.retention.history import (
    History,
    SealedFiles,
    SealedRun,
    SealedSnapshot,
    read_history,
    read_sealed,
)
from prometheus.v10.ops.storage.disk import free_bytes
from prometheus.v10.runs.request.profile import Profile

DAY = 86400.0
_SNAPSHOT_ID = re.compile(r"\b\d{12}-[0-9a-f]{8}\b")
_RUN_ID = re.compile(r"\bHF_\d{8}T\d{6}Z_(?:[0-9a-f]{7}|nocommit)_[0-9a-f]{4}\b")


@frozen(kw_only=True)
class RetentionPolicy:
    """The bounds; None is no bound. The fields are those of ``[retention]`` (`prometheus.v10.runs.request.profile`)."""

    raw_days: int | None = None
    raw_bytes: int | None = None
    keep_free_bytes: int = 0
    tier2_days: int | None = None
    snapshot_days: int | None = None
    compress_days: int | None = None
    events_days: int | None = None

    @classmethod
    def of(cls, profile: Profile) -> RetentionPolicy:
        """The bounds of a profile; what is to stay free is ``[disk]``'s figure unless ``[retention]`` has its own."""
        table = profile.retention
        keep_free = table.keep_free_bytes
        return cls(
            raw_days=table.raw_days,
            raw_bytes=table.raw_bytes,
            keep_free_bytes=profile.disk.keep_free_bytes if keep_free is None else keep_free,
            tier2_days=table.tier2_days,
            snapshot_days=table.snapshot_days,
            compress_days=table.compress_days,
            events_days=table.events_days,
        )


class Kind(StrEnum):
    """What an item is."""

    RAW = "raw"
    SNAPSHOT = "snapshot"
    RUN = "run"
    LINES = "lines"
    EVENTS = "events"


class Action(StrEnum):
    """What is to be done with it; `ASK` is for an operator, who gives a reason for each."""

    DELETE = "delete"
    COMPRESS = "compress"
    ASK = "ask"


@frozen(kw_only=True)
class Item:
    """One line of a plan.

    Attributes:
        path: relative to the installation's lib.
        run_id: whose it is; None for a snapshot.
        sha256: of the file as sealed, or of a run's seal.
        bytes: that it takes now, in whichever form.
        age_days: since its run was sealed, or the snapshot was taken.
        rule: the bound that asks for it, with its figure.
        buried: its tombstone is in the ledger already: an earlier pass was cut off.
    """

    action: Action
    kind: Kind
    path: str
    run_id: str | None
    sha256: str
    bytes: int
    age_days: float
    rule: str
    buried: bool = False


@frozen
class Kept:
    """Something that a bound asks for, or that could not be looked at, and why it stays."""

    path: str
    why: str


@define
class RetentionPlan:
    """What would be done, in this order, and the figures behind it (bytes).

    Attributes:
        reason: the operator's, for a Tier-2 run; the policies have their rules instead.
        raw_bytes: of all raw samples that the policies may delete.
    """

    items: list[Item] = Factory(list)
    kept: list[Kept] = Factory(list)
    reason: str | None = None
    raw_bytes: int = 0
    free_bytes: int = 0

    @property
    def freed_bytes(self) -> int:
        """Bytes of everything that would be deleted."""
        return sum(item.bytes for item in self.items if item.action is Action.DELETE)


def plan(layout: Layout, policy: RetentionPolicy, now: datetime, *, free: int | None = None) -> RetentionPlan:
    """What the policies ask for; reads, and never writes.

    Args:
        layout: the installation.
        policy: the bounds.
        now: the present moment.
        free: bytes free on the disk; looked at when not given.

    Raises:
        EvidenceError: when the ledger is damaged: nothing may be deleted on its word.
        HostError: when something cannot be read.
    """
    history = read_history(layout)
    made = RetentionPlan(free_bytes=free_bytes(layout.lib) if free is None else free)
    named = _named_by_runs(layout)
    _plan_buried_runs(layout, history, now, made)
    _plan_raw(layout, policy, history, named, now, made)
    _plan_events(layout, policy, history, named, now, made)
    _plan_snapshots(layout, policy, history, named, now, made)
    _plan_tier2(layout, policy, history, now, made)
    _plan_compression(layout, policy, history, now, made)
    return made


def plan_run_deletion(layout: Layout, run_id: str, reason: str, now: datetime) -> RetentionPlan:
    """The deletion of one Tier-2 run, for an operator's ``reason``.

    Raises:
        UsageError: for no reason, an unknown run, or a Tier-1 run, of which only raw samples ever go.
        EvidenceError: when the ledger is damaged, or the run's seal is not the ledger's.
        HostError: when something cannot be read.
    """
    if not reason.strip():
        raise UsageError("a Tier-2 run is deleted for a reason", hint='--reason "why it may go"')
    history = read_history(layout)
    run = history.runs.get(run_id)
    if run is None:
        raise UsageError(f"the ledger knows no sealed run {run_id}", hint="prometheus-quant ledger show")
    if run.tier is not Tier.TIER2_FULL:
        raise UsageError(
            f"{run_id} is a Tier-1 run: its record is kept for ever", hint="its raw samples go by [retention]"
        )
    if not (layout.lib / run.path).is_dir():
        raise UsageError(f"{layout.lib / run.path} is gone already", hint="prometheus-quant audit")
    buried = history.deleted.get(run.path) == run.seal
    if not buried:
        read_sealed(layout, run)
    return RetentionPlan(
        items=[_run_item(layout, run, now, Action.DELETE, "operator", buried=buried)],
        reason=reason.strip(),
        free_bytes=free_bytes(layout.lib),
    )


# ---- raw samples of Tier-1 runs --------------------------------------------------------------------------------------


def _plan_raw(
    layout: Layout, policy: RetentionPolicy, history: History, named: set[str], now: datetime, made: RetentionPlan
) -> None:
    """Oldest first, while a bound is broken; what has its tombstone goes whatever the bounds say."""
    candidates: list[Item] = []
    for run, sealed in _sealed_runs(layout, history, made, lambda run: run.tier is Tier.TIER1_HF):
        parts = _present(layout, run, sealed, now, Kind.RAW, is_raw_part, history)
        if run.run_id in history.promoted or run.run_id in named:
            made.kept += [Kept(item.path, "its run was promoted") for item in parts]
        else:
            candidates += parts
    made.raw_bytes = total = sum(item.bytes for item in candidates)
    free = made.free_bytes + made.freed_bytes
    for item in sorted(candidates, key=lambda item: (not item.buried, -item.age_days, item.path)):
        rule = "unfinished" if item.buried else _broken(policy, item, total, free)
        if rule is None:
            break
        total, free = total - item.bytes, free + item.bytes
        made.items.append(evolve(item, rule=rule))


def _broken(policy: RetentionPolicy, item: Item, total: int, free: int) -> str | None:
    """The first bound that is broken while ``item``, the oldest, is there."""
    if policy.raw_days is not None and item.age_days > policy.raw_days:
        return f"raw_days={policy.raw_days}"
    if policy.raw_bytes is not None and total > policy.raw_bytes:
        return f"raw_bytes={policy.raw_bytes}"
    return f"keep_free_bytes={policy.keep_free_bytes}" if free < policy.keep_free_bytes else None


# ---- event lines of Tier-1 runs --------------------------------------------------------------------------------------


def _plan_events(
    layout: Layout, policy: RetentionPolicy, history: History, named: set[str], now: datetime, made: RetentionPlan
) -> None:
    """Lines that are old enough, and what has its tombstone."""
    for run, sealed in _sealed_runs(layout, history, made, lambda run: run.tier is Tier.TIER1_HF):
        if not lines_may_go(sealed.sums):
            continue
        for name in EVENT_LINES:
            path, age = f"{run.path}/{name}", _days(run.sealed_at, now)
            there = [form for form in (layout.lib / path, layout.lib / f"{path}{PACKED_SUFFIX}") if form.exists()]
            buried = history.deleted.get(path) == sealed.sums.get(name)
            due = policy.events_days is not None and age > policy.events_days
            if not there or name not in sealed.sums or not (buried or due):
                continue
            if run.run_id in history.promoted or run.run_id in named:
                made.kept.append(Kept(path, "its run was promoted"))
                continue
            size = sum(form.stat().st_size for form in there)
            rule = "unfinished" if buried else f"events_days={policy.events_days}"
            made.items.append(
                Item(action=Action.DELETE, kind=Kind.EVENTS, path=path, run_id=run.run_id, sha256=sealed.sums[name],
                     bytes=size, age_days=age, rule=rule, buried=buried)
            )  # fmt: skip


# ---- snapshots -------------------------------------------------------------------------------------------------------


def _plan_snapshots(
    layout: Layout, policy: RetentionPolicy, history: History, named: set[str], now: datetime, made: RetentionPlan
) -> None:
    for stage in Stage:
        there = [found for found in history.snapshots.values() if found.stage == stage and _is_there(layout, found)]
        newest = max(there, key=lambda found: (found.records, found.entered_at), default=None)
        for found in there:
            age = _days(found.entered_at, now)
            buried = history.deleted.get(found.path) == found.sha256
            due = policy.snapshot_days is not None and age > policy.snapshot_days
            if not due and not buried:
                continue
            if found is newest or found.id in named:
                why = "it is the newest of its pool" if found is newest else "a run names it"
                made.kept.append(Kept(found.path, why))
                continue
            rule = "unfinished" if buried else f"snapshot_days={policy.snapshot_days}"
            made.items.append(
                Item(action=Action.DELETE, kind=Kind.SNAPSHOT, path=found.path, run_id=None, sha256=found.sha256,
                     bytes=found.bytes, age_days=age, rule=rule, buried=buried)
            )  # fmt: skip


def _is_there(layout: Layout, found: SealedSnapshot) -> bool:
    place = layout.lib / found.path
    return place.exists() or place.with_suffix(".json").exists()


# ---- whole Tier-2 runs -----------------------------------------------------------------------------------------------


def _plan_tier2(layout: Layout, policy: RetentionPolicy, history: History, now: datetime, made: RetentionPlan) -> None:
    """Name those that are due; none goes without an operator."""
    for run in history.runs.values():
        due = policy.tier2_days is not None and _days(run.sealed_at, now) > policy.tier2_days
        if due and run.tier is Tier.TIER2_FULL and run.path not in history.deleted and (layout.lib / run.path).is_dir():
            made.items.append(_run_item(layout, run, now, Action.ASK, f"tier2_days={policy.tier2_days}"))


def _plan_buried_runs(layout: Layout, history: History, now: datetime, made: RetentionPlan) -> None:
    """Runs whose deletion was cut off."""
    for run in history.runs.values():
        if history.deleted.get(run.path) == run.seal and (layout.lib / run.path).is_dir():
            made.items.append(_run_item(layout, run, now, Action.DELETE, "unfinished", buried=True))


def _run_item(
    layout: Layout, run: SealedRun, now: datetime, action: Action, rule: str, *, buried: bool = False
) -> Item:
    size = sum(path.stat().st_size for path in (layout.lib / run.path).rglob("*") if path.is_file())
    return Item(
        action=action, kind=Kind.RUN, path=run.path, run_id=run.run_id, sha256=run.seal, bytes=size,
        age_days=_days(run.sealed_at, now), rule=rule, buried=buried,
    )  # fmt: skip


# ---- compression -----------------------------------------------------------------------------------------------------


def _plan_compression(
    layout: Layout, policy: RetentionPolicy, history: History, now: datetime, made: RetentionPlan
) -> None:
    days = policy.compress_days
    if days is None:
        return
    for run, sealed in _sealed_runs(layout, history, made, lambda run: _days(run.sealed_at, now) > days):
        packable = {name for name, item in sealed.listed.items() if may_be_packed(item)}
        for item in _present(layout, run, sealed, now, Kind.LINES, packable.__contains__, history):
            buried = (layout.lib / (item.path + PACKED_SUFFIX)).exists()
            rule = "unfinished" if buried else f"compress_days={days}"
            made.items.append(evolve(item, action=Action.COMPRESS, rule=rule))


# ---- small things ----------------------------------------------------------------------------------------------------


def _sealed_runs(
    layout: Layout, history: History, made: RetentionPlan, wanted: Any
) -> Iterator[tuple[SealedRun, SealedFiles]]:
    """Runs that are there, not on their way out, and whose seal is the ledger's; the others are told as kept."""
    for run in history.runs.values():
        place = layout.lib / run.path
        if not wanted(run) or run.path in history.deleted or place.is_symlink() or not place.is_dir():
            continue
        try:
            sealed = read_sealed(layout, run)
        except EvidenceError as error:
            if (kept := Kept(run.path, error.message)) not in made.kept:
                made.kept.append(kept)
            continue
        yield run, sealed


def _present(
    layout: Layout, run: SealedRun, sealed: SealedFiles, now: datetime, kind: Kind, wanted: Any, history: History
) -> list[Item]:
    """A run's sealed files of one kind that are there."""
    found = []
    for name in sorted(filter(wanted, sealed.sums)):
        path = f"{run.path}/{name}"
        try:
            size = (layout.lib / path).lstat().st_size
        except FileNotFoundError:
            continue
        except OSError as error:
            raise host_error(error, f"cannot look at {layout.lib / path}") from error
        buried = history.deleted.get(path) == sealed.sums[name]
        found.append(
            Item(action=Action.DELETE, kind=kind, path=path, run_id=run.run_id, sha256=sealed.sums[name], bytes=size,
                 age_days=_days(run.sealed_at, now), rule="", buried=buried)
        )  # fmt: skip
    return found


def _days(since: datetime, now: datetime) -> float:
    return (now - since).total_seconds() / DAY


def _named_by_runs(layout: Layout) -> set[str]:
    """Snapshots that any run's manifest names, and Tier-1 runs that a Tier-2 run's does: wherever they stand in it."""
    named: set[str] = set()
    for tier in Tier:
        for text in manifest_texts(layout, tier):
            named.update(_SNAPSHOT_ID.findall(text))
            if tier is Tier.TIER2_FULL:
                named.update(_RUN_ID.findall(text))
    return named
