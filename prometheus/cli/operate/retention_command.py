"""``retention``: what would go, what goes, and the way back from compression (contracts, section 12).

Made for a timer: one pass, an exit code, nothing asked. 0: done; 65: a file is not as it was sealed, and stays; 74: the
disk refused; 75: another pass is at work.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from attrs import asdict

from prometheus.cli.names_of import run_in
from prometheus.cli.options import DEFAULT_ROOT, RUN_HELP, AsJson, InstanceOption, Root, examples
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import ExitCode, HostError, UsageError
from prometheus.v10.base.files import Files
from prometheus.v10.base.names import is_run_id
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.installation import InstallationLedger, refuse_a_past_without_ledger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.retention import retention_apply as work
from prometheus.v10.ops.retention.retention_plan import Action, RetentionPlan, RetentionPolicy, plan, plan_run_deletion
from prometheus.v10.ops.storage.disk import free_bytes
from prometheus.v10.ops.storage.reserve import Reserve, ReserveFiles
from prometheus.v10.runs.request.profile import Profile, load_profile

RESERVE_FILE = "retention.reserve"
RESERVE_BYTES = 1024 * 1024
"""A tombstone needs one block of a disk that may be full: this is given up for it."""

_COLUMNS = ("do", "what", "path", "bytes", "days old", "rule")
_STAYS = ("stays", "why")


def dry_run(layout: Layout, profile: Profile, now: datetime, *, run_id: str | None, reason: str | None) -> Report:
    """What `carry_out` would do; errors as `retention_plan.plan` and `plan_run_deletion`."""
    refuse_a_past_without_ledger(layout)
    made = _planned(layout, profile, now, run_id, reason)
    title = f"retention under {layout.lib} would delete {made.freed_bytes:,} bytes"
    return Report(
        {"applied": False, **_plain(made)},
        [table(title, _COLUMNS, _rows(made)), *_kept([(kept.path, kept.why) for kept in made.kept]), _figures(made)],
    )


def carry_out(
    layout: Layout, profile: Profile, clock: Clock, *, instance: str, run_id: str | None, reason: str | None
) -> Report:
    """Plan, and carry the plan out; errors as `retention_plan.plan`, `plan_run_deletion` and `retention.apply`."""
    layout.prepare()
    refuse_a_past_without_ledger(layout)
    made = _planned(layout, profile, clock.now(), run_id, reason)
    journal = Journal.open(instance=instance, mode=profile.mode, stage=profile.stage, run_id=None)
    reserve = Reserve(layout.state / RESERVE_FILE, RESERVE_BYTES)
    files = ReserveFiles(reserve)
    ledger = InstallationLedger(layout, clock=clock, instance=instance, on_torn=journal.send_torn, files=files)
    result = work.apply(made, layout, ledger=ledger, journal=journal, files=files)
    _make_again(reserve, layout, profile)
    refused, skipped = ([asdict(kept) for kept in some] for some in (result.refused, result.skipped))
    data = {
        "applied": True,
        **_plain(made),
        "done": [asdict(item) for item in result.done],
        "compressed": [asdict(found) for found in result.packed],
        "refused": refused,
        "skipped": skipped,
        "freed_bytes": result.freed_bytes,
    }
    done = {(item.path, item.action) for item in result.done}
    rows = [
        row for item, row in zip(made.items, _rows(made), strict=True)
        if (item.path, item.action) in done or item.action is Action.ASK
    ]  # fmt: skip
    stays = [(kept.path, kept.why) for kept in [*result.refused, *result.skipped, *made.kept]]
    title = f"retention under {layout.lib} freed {result.freed_bytes:,} bytes"
    code = ExitCode.EVIDENCE_DAMAGED if refused else ExitCode.DONE
    return Report(data, [table(title, _COLUMNS, rows), *_kept(stays)], code)


def restore(layout: Layout, run_id: str) -> Report:
    """Unpack what was compressed of a run; errors as `retention.restore`."""
    found = work.restore(layout, run_id, files=Files())
    rows = [(item.name, item.packed_bytes, item.bytes) for item in found]
    title = f"{run_id}: sha256sum -c SHA256SUMS.txt passes again" if found else f"{run_id}: nothing is compressed"
    data = {"run_id": run_id, "restored": [asdict(item) for item in found]}
    return Report(data, [table(title, ("file", "compressed bytes", "bytes"), rows)])


def _planned(layout: Layout, profile: Profile, now: datetime, run_id: str | None, reason: str | None) -> RetentionPlan:
    if run_id is None and reason is None:
        return plan(layout, RetentionPolicy.of(profile), now)
    if run_id is None or reason is None:
        raise UsageError("--run and --reason are given together", hint="they delete one Tier-2 run")
    return plan_run_deletion(layout, run_id, reason, now)


def _make_again(reserve: Reserve, layout: Layout, profile: Profile) -> None:
    """Make the reserve when there is room for it beside what must stay free; without it this pass went well, too."""
    if free_bytes(layout.lib) >= profile.disk.keep_free_bytes + reserve.missing:
        try:
            reserve.make()
        except HostError:
            return


def _plain(made: RetentionPlan) -> dict[str, Any]:
    return {
        "items": [asdict(item) for item in made.items],
        "kept": [asdict(kept) for kept in made.kept],
        "reason": made.reason,
        "raw_bytes": made.raw_bytes,
        "free_bytes": made.free_bytes,
        "would_free_bytes": made.freed_bytes,
    }


def _rows(made: RetentionPlan) -> list[tuple[object, ...]]:
    words = {Action.ASK: "ask (--run --reason)"}
    return [
        (words.get(item.action, item.action), item.kind, item.path, item.bytes, round(item.age_days, 1), item.rule)
        for item in made.items
    ]


def _kept(stays: list[tuple[str, str]]) -> list[Any]:
    return [table("", _STAYS, stays)] if stays else []


def _figures(made: RetentionPlan) -> Any:
    return facts("", {"raw samples now": made.raw_bytes, "free on the disk": made.free_bytes})


# ---- on the command line ---------------------------------------------------------------------------------------------

EXAMPLES = examples(
    "retention --dry-run --root var",
    "retention --apply --root / --profile HF",
    'retention --apply --run PROMOTE_20260102T030405Z_0123456_0000 --reason "superseded by the audit of March"',
    "retention restore HF_20260102T030405Z_0123456_0000",
)
app = typer.Typer(
    help="Enter into the ledger what the policies no longer keep, then delete it; compress what is old.",
    invoke_without_command=True,
    rich_markup_mode="rich",
    epilog=EXAMPLES,
)


@app.callback(epilog=EXAMPLES)
def retention(
    context: typer.Context,
    *,
    root: Root = DEFAULT_ROOT,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted; write nothing.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Delete and compress.")] = False,
    profile: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Profile whose tables of retention and disk apply.")
    ] = "HF",
    run_id: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Delete this Tier-2 run.")] = None,
    reason: Annotated[str | None, typer.Option(help="Reason for deleting that run, recorded in the ledger.")] = None,
    instance: InstanceOption = "local",
    as_json: AsJson = False,
) -> Report | None:
    """Enter into the ledger what the policies no longer keep, then delete it; compress what is old."""
    if context.invoked_subcommand is not None:
        return None
    if dry == apply:
        raise UsageError("retention needs one of --dry-run and --apply", hint="look first: --dry-run")
    layout, clock = Layout.under(root), SystemClock()
    table_of = load_profile(profile, layout)
    if run_id is not None and reason is not None and not is_run_id(run_id):
        run_id = run_in(run_id, layout).run_id
    if dry:
        return dry_run(layout, table_of, clock.now(), run_id=run_id, reason=reason).asked(as_json=as_json)
    return carry_out(
        layout, table_of, clock, instance=instance, run_id=run_id, reason=reason
    ).asked(as_json=as_json)  # fmt: skip


@app.command("restore", epilog=examples("retention restore HF_20260102T030405Z_0123456_0000 --root var"))
def restore_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    *,
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> Report:
    """Unpack the compressed files of a run; their bytes are identical."""
    layout = Layout.under(root)
    return restore(layout, run_in(run, layout).run_id).asked(as_json=as_json)
