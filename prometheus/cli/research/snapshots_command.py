"""``snapshot create|list|diff``: immutable prefixes of a pool (contracts, section 5)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from prometheus.cli.names_of import existing, snapshot_of
from prometheus.cli.operate.evidence_command import verify_all
from prometheus.cli.options import (
    DEFAULT_ROOT,
    AsCsv,
    AsJson,
    InstanceOption,
    Root,
    StageOption,
    examples,
    group,
)
from prometheus.cli.report import Report, facts, table
from prometheus.cli.research.pools_command import existing_pool
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import SNAPSHOT_PREFIX
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import snapshots
from prometheus.v10.evidence.pools.snapshot import SnapshotInfo, diff_snapshots
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.snapshotting import take_snapshot
from prometheus.v10.ops.storage.sizes import sized

_COLUMNS = ("id", "records", "size", "created", "commit")
SHORT_COMMIT = 12
"""Digits of a commit in a table."""


def _plain(info: SnapshotInfo) -> dict[str, Any]:
    return {**asdict(info), "path": str(info.path)}


def create(layout: Layout, stage: Stage, *, instance: str, clock: Clock) -> Report:
    """Freeze a stage's pool, enter the snapshot into the ledger, tell the journal; errors as `create_snapshot`."""
    existing_pool(layout.pool(stage))
    journal = Journal.open(instance=instance, mode=Mode.OFFLINE, stage=stage, run_id=None)
    info = take_snapshot(layout, stage, instance=instance, clock=clock, journal=journal)
    return Report(_plain(info), [facts("already there" if info.already_there else "created", _plain(info))])


def list_all(layout: Layout, stage: Stage) -> Report:
    """Every snapshot of a stage, the smallest first."""
    found = snapshots(layout, stage)
    rows = [
        (info.id, info.count, sized(info.bytes), info.created_at, (info.git_commit or "-")[:SHORT_COMMIT])
        for info in found
    ]  # fmt: skip
    title = f"snapshots in {layout.snapshots(stage)}"
    if not found:
        return Report({"snapshots": []}, [f"0 {title}"])
    return Report({"snapshots": [_plain(info) for info in found]}, [table(title, _COLUMNS, rows)])


def all_files(layout: Layout, stage: Stage) -> list[Path]:
    """Every snapshot's file, with or without its index."""
    return sorted(layout.snapshots(stage).glob(f"{SNAPSHOT_PREFIX}*.jsonl"))


def diff(layout: Layout, stage: Stage, one: str, other: str) -> Report:
    """What the later of two snapshots has more; errors as `diff_snapshots` and `snapshot_of`."""
    found = diff_snapshots(snapshot_of(one, layout, stage), snapshot_of(other, layout, stage))
    data = {
        "earlier": found.earlier.id,
        "later": found.later.id,
        "first_n": found.first_n,
        "added": found.added,
        "added_bytes": found.added_bytes,
    }
    return Report(data, [facts("difference", data)])


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("Snapshots: immutable prefixes of a pool; stage 2 reads nothing else.")
Name = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Snapshot: id, beginning of one, latest, or file.")]


@app.command("create", epilog=examples("snapshot create --root var"))
def create_command(
    *,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    instance: InstanceOption = "local",
    as_json: AsJson = False,
) -> Report:
    """Freeze what the pool holds now; a writer may continue meanwhile."""
    return create(Layout.under(root), stage, instance=instance, clock=SystemClock()).asked(as_json=as_json)


@app.command("list", epilog=examples("snapshot list --json"))
def list_command(
    *, root: Root = DEFAULT_ROOT, stage: StageOption = Stage.STAGE1, as_json: AsJson = False, as_csv: AsCsv = False
) -> Report:
    """List the snapshots, the smallest first."""
    return list_all(existing(Layout.under(root)), stage).asked(as_json=as_json, as_csv=as_csv)


@app.command("verify", epilog=examples("snapshot verify 000000000120", "snapshot verify"))
def verify_command(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SNAPSHOT]...", help="Snapshots to check; by default all.")
    ] = None,
    *,
    root: Root = DEFAULT_ROOT,
    stage: StageOption = Stage.STAGE1,
    as_json: AsJson = False,
) -> Report:
    """Check snapshots against their index and their own chain; exit 0 pass, 1 fail, 2 could not check."""
    layout = Layout.under(root)
    layout = existing(layout)
    paths = [snapshot_of(name, layout, stage).path for name in names] if names else all_files(layout, stage)
    nothing = f"{layout.snapshots(stage)}: 0 snapshots"
    return verify_all(paths, context.obj, nothing=nothing).asked(as_json=as_json)


@app.command("diff", epilog=examples("snapshot diff 000000000120 000000000144"))
def diff_command(
    one: Name, other: Name, *, root: Root = DEFAULT_ROOT, stage: StageOption = Stage.STAGE1, as_json: AsJson = False
) -> Report:
    """Print what the later of two snapshots adds; a prefix that differs is an error."""
    return diff(Layout.under(root), stage, one, other).asked(as_json=as_json)
