"""The descent of a run that is an era: its lines, the prefix that its ancestors come from, and who founds what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from prometheus.v10.base.errors import ConfigError, EvidenceError
from prometheus.v10.base.modes import Arm, Stage
from prometheus.v10.base.names import SNAPSHOT_PREFIX
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.chain import Link
from prometheus.v10.evidence.derive.eras.founded import ERA, FOUNDING, OF_EACH, era_number
from prometheus.v10.evidence.pools.descent import FRESH, INHERIT, LINES, NULL
from prometheus.v10.evidence.pools.frozen import frozen_snapshot
from prometheus.v10.evidence.pools.pool_claims import place_of
from prometheus.v10.evidence.pools.snapshot import list_snapshots, snapshot_id
from prometheus.v10.evidence.writing.manifest import RunManifest
from prometheus.v10.runs.founding.ancestors import ancestors
from prometheus.v10.runs.founding.populations import Plan, plans
from prometheus.v10.runs.request.eras_table import NEWEST, Founding, FoundingTable
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.request.setup import World
from prometheus.v10.runs.who import Descent

RANDOM = FoundingTable(policy=Founding.RANDOM)
"""Runs whose window moves, of a profile without ``[founding]``."""


@frozen(kw_only=True)
class Prefix:
    """Where ancestors are read: the first records of a stage's pool, or a snapshot, which is such a prefix."""

    stage: Stage
    snapshot: str
    path: Path
    link: Link


@frozen(kw_only=True, eq=False)
class RunDescent:
    """What a run that is an era has beside its window.

    Attributes:
        instance: whose era it is.
        lines: of each experiment.
        prefix: None where nobody inherits.
        plans: of each experiment.
    """

    instance: str
    era: dict[str, Any]
    lines: tuple[str, ...]
    prefix: Prefix | None
    plans: tuple[Plan, ...]

    def facts(self) -> dict[str, Any]:
        """The manifest's keys."""
        founding: dict[str, Any] = {"policy": Founding.RANDOM.value}
        if self.prefix is not None:
            link = self.prefix.link
            founding = {"policy": Founding.INHERIT.value, "snapshot": self.prefix.snapshot, "records": link.n,
                        "head": link.prev}  # fmt: skip
            if self.prefix.stage is not Stage.STAGE1:
                founding["stage"] = self.prefix.stage.value
        return {ERA: self.era, OF_EACH: list(self.lines), FOUNDING: founding}


def descend(
    profile: Profile, world: World, layout: Layout, instance: str, seeds: Sequence[int],
    *, lines: Sequence[str] | None = None, link: Link | None = None,
) -> RunDescent | None:  # fmt: skip
    """The descent of a run; None where runs of this profile are no eras.

    Args:
        profile: of the run.
        world: of the era.
        layout: where the pool lies.
        instance: whose eras they are.
        seeds: of each experiment.
        lines: of each experiment; None takes what the profile says.
        link: of the prefix, where the run was done before; None takes the newest.

    Raises:
        ConfigError: when the profile names a snapshot that is not there.
        EvidenceError: when pool or snapshot is not what the founding names, or damaged.
    """
    if world.place is None:
        return None
    table = profile.founding or RANDOM
    of_each = tuple(table.lines(len(seeds)) if lines is None else lines)
    era = {
        "instance": instance,
        "number": world.place.number,
        "cycle": world.place.cycle,
        "policy": "fixed" if profile.window is None or profile.window.policy is None else profile.window.policy.value,
    }
    prefix, ancestry = None, None
    if set(of_each) - {FRESH}:
        prefix = _prefix(table, layout, link)
        if prefix.link.n:
            eras = table.eras if table.snapshot == NEWEST else max(world.place.number, 1)
            ancestry = ancestors(
                prefix.path, prefix.link, stage=table.pool, instance=instance, era=world.place.number, eras=eras
            )
    if table.snapshot != NEWEST and not (ancestry or {}).get(INHERIT):
        raise ConfigError(
            f"[founding] snapshot = {table.snapshot} of {table.pool.value} holds no record of line {INHERIT} "
            f"of {instance} from an era before {world.place.number}",
            hint="name a snapshot that was taken after an era of this instance, or newest",
        )
    of_line = ancestry or {line: [] for line in LINES}
    found = plans(of_line, table, world.config, of_each, seeds)
    return RunDescent(instance=instance, era=era, lines=of_each, prefix=prefix, plans=tuple(found))


def _prefix(table: FoundingTable, layout: Layout, link: Link | None) -> Prefix:
    """Where the ancestors of a run are; ``link`` names the prefix of a run that was done before."""
    if table.snapshot == NEWEST and table.pool is Stage.STAGE1:
        return _of_live_pool(layout, link)
    folder = layout.snapshots(table.pool)
    if table.snapshot != NEWEST:
        wanted = table.snapshot
    elif link is not None:
        wanted = snapshot_id(*link)
    else:
        there = list_snapshots(folder)
        wanted = there[-1].id if there else snapshot_id(*Link())
    if wanted == snapshot_id(*Link()):
        return Prefix(stage=table.pool, snapshot=wanted, path=folder, link=Link())  # nobody was judged yet
    if not (folder / f"{SNAPSHOT_PREFIX}{wanted}.jsonl").is_file():
        if link is not None:
            raise EvidenceError(
                f"snapshot {wanted} of {table.pool.value}, which the run was founded on, is gone",
                hint=f"restore it: {folder} holds snapshots of {table.pool.value}",
            )
        raise ConfigError(
            f"[founding] snapshot = {wanted}: there is no such snapshot of {table.pool.value}",
            hint=f"prometheus-quant snapshot list --stage {table.pool.value}",
        )
    info = frozen_snapshot(layout, table.pool, wanted)
    return Prefix(stage=table.pool, snapshot=wanted, path=info.path, link=link or Link(info.count, info.head_hash))


def _of_live_pool(layout: Layout, link: Link | None) -> Prefix:
    """The pool of stage 1 up to its end, or up to ``link``."""
    path = layout.pool(Stage.STAGE1)
    if link is None:
        place = place_of(path)
        link = Link(place["records"], place["head"])
    if link.n and not path.exists():
        raise EvidenceError(
            f"{path} is gone, and the founding names its first {link.n} records", hint="restore the pool"
        )
    return Prefix(stage=Stage.STAGE1, snapshot=snapshot_id(*link), path=path, link=link)


def descend_again(
    manifest: RunManifest, profile: Profile, world: World, layout: Layout, *, of: int | None = None
) -> RunDescent | None:
    """The descent that a run had, by its manifest; None where it was no era.

    Args:
        manifest: of the run.
        profile: its configuration.
        world: of its era.
        layout: where its pool lies.
        of: only this experiment; None takes all of them.

    Raises:
        EvidenceError: when the pool's prefix that it was founded on is gone, or another one now.
    """
    said = manifest.extra
    if ERA not in said:
        return None
    lines, seeds = list(said[OF_EACH]), list(manifest.seeds)
    if of is not None:
        lines, seeds = [lines[of]], [seeds[of]]
    founding = said[FOUNDING]
    link = Link(int(founding["records"]), str(founding["head"])) if "records" in founding else None
    return descend(profile, world, layout, founder_of(manifest), seeds, lines=lines, link=link)


def founder_of(manifest: RunManifest) -> str:
    """The instance whose eras a run belongs to: its own, or that of the run which it promotes."""
    return str(manifest.extra.get(ERA, {}).get("instance", manifest.instance))


def era_of(manifest: RunManifest) -> int | None:
    """The number of the era that a run is; None where it is none."""
    return era_number(manifest.extra)


def inherits(manifest: RunManifest) -> bool:
    """Whether any population of a run is founded by ancestors."""
    return bool(manifest.extra.get(FOUNDING, {}).get("policy") == Founding.INHERIT.value)


def line_of_descent(manifest: RunManifest, number: int, world: World) -> Descent | None:
    """What records of experiment ``number`` say of its line."""
    if ERA not in manifest.extra or world.interval is None:
        return None
    return Descent(
        instance=founder_of(manifest),
        line=manifest.extra[OF_EACH][number],
        era=manifest.extra[ERA]["number"],
        interval=world.interval,
    )


def arm_of(manifest: RunManifest, number: int) -> str:
    """The arm of experiment ``number``: the line on shuffled returns has its own."""
    null = ERA in manifest.extra and manifest.extra[OF_EACH][number] == NULL
    return Arm.B2_SHUFFLE_RETURNS.value if null else manifest.arm
