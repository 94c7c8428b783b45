"""``ledger checkpoint|check|show|witness``: the ledger of seals, and fixed points of it to keep elsewhere."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict

from prometheus.cli.names_of import existing
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.names import Event
from prometheus.v10.base.outputs import new_output, refuse_sealed_place
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import entries
from prometheus.v10.evidence.witnesses.checkpoint import (
    check_consistency,
    check_signature,
    sign,
    take_checkpoint,
)
from prometheus.v10.evidence.witnesses.checkpoint_kept import keys_beside, read_kept
from prometheus.v10.evidence.witnesses.witness import take, thin, witness_directory
from prometheus.v10.evidence.writing.installation import refuse_a_past_without_ledger
from prometheus.v10.evidence.writing.journal import Priority
from prometheus.v10.ops.host.host_records import HostRecords
from prometheus.v10.ops.host.witnessing import hand_over, last_handed_over, read_settings


def show(layout: Layout, *, last: int) -> Report:
    """The last entries of the ledger, every rule of every line checked on the way."""
    refuse_a_past_without_ledger(layout)
    newest = deque(entries(layout.ledger), maxlen=last)
    rows = [(e.n, e.ts_utc, e.instance, e.type, _said(e.payload)) for e in newest]
    columns = ("n", "time", "instance", "type", "payload")
    return Report({"entries": [asdict(e) for e in newest]}, [table(str(layout.ledger), columns, rows)])


def _said(payload: Mapping[str, Any]) -> str:
    """What an entry says, whole: names and plain values first, the rest as JSON."""
    return "; ".join(
        f"{name} {value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)}"
        for name, value in sorted(payload.items(), key=lambda pair: isinstance(pair[1], dict | list))
    )


def checkpoint(layout: Layout, *, origin: str, out: Path | None, key: Path | None) -> Report:
    """Size and root of the ledger as it is now; written and signed where asked.

    Raises:
        UsageError: when a key is given but no file, or the file exists.
        EvidenceError: when the ledger is damaged.
        HostError: when the file cannot be written or ssh-keygen refuses.
    """
    if key is not None and out is None:
        raise UsageError("--key needs --out: a signature lies beside the file that it signs")
    refuse_a_past_without_ledger(layout)
    taken = take_checkpoint(layout.ledger, origin=origin)
    data = {"origin": taken.origin, "size": taken.size, "root": taken.root.hex(), "text": taken.text()}
    if out is not None:
        new_output(out, taken.text().encode("ascii"), layout=layout, mode=0o640)
        data["file"] = str(out)
    if key is not None and out is not None:
        data["signature"] = str(sign(out, key))
    return Report(data, [taken.text().rstrip("\n")])


def check(
    layout: Layout, file: Path, *, signature: Path | None, allowed_signers: Path | None, identity: str | None
) -> Report:
    """Whether the ledger still begins as a checkpoint says, and whether that was signed by ``identity``.

    A signed note, as a host's witness makes it, is held against the public keys that lie beside it.

    Raises:
        UsageError: when only part of what a signature needs is given.
        EvidenceError: when the ledger or the signature does not agree.
        HostError: when a file cannot be read.
    """
    kept = read_kept(file, keys_beside(file.parent))
    if kept.forged is not None:
        raise EvidenceError(f"{file}: {kept.forged}", hint="look for the copy that was handed on")
    taken = kept.checkpoint
    signed_by = identity or (taken.origin if kept.signed else None)
    given = [signature, allowed_signers, identity]
    if any(given):
        if signature is None or allowed_signers is None or identity is None:
            raise UsageError("a signature is checked with --signature, --allowed-signers and --identity together")
        check_signature(file, signature, allowed_signers=allowed_signers, identity=identity)
    since = check_consistency(taken, layout.ledger)
    data = {"origin": taken.origin, "size": taken.size, "entries_since": since, "signed_by": signed_by}
    return Report(data, [facts("the ledger agrees with the checkpoint", data)])


def witness(layout: Layout, *, directory: Path | None) -> Report:
    """Sign the ledger as it is now into the witness's directory, and hand it to the operator's command.

    Raises:
        UsageError: when no directory is named for a tree that is not a host's.
        ConfigError: when ``witness.toml`` cannot be meant.
        EvidenceError: when the ledger is damaged, or contradicts an earlier checkpoint.
        HostError: when something cannot be read or written, or the command did not take a checkpoint.
    """
    place = directory or witness_directory(layout)
    if place is None:
        raise UsageError("--to is missing: only a host has a witness of its own", hint="name a directory out of reach")
    refuse_sealed_place(place, layout=layout)
    settings = read_settings(layout)
    clock = SystemClock()
    taken = take(layout, place, clock=clock)
    lines = [taken.said]
    if taken.new and taken.state is not None and taken.file is not None:
        records = HostRecords(layout, clock)
        records.tell(
            Event.LEDGER_CHECKPOINT, f"checkpoint {taken.file}: {taken.said}", priority=Priority.CRITICAL,
            entries=taken.state.size, head=taken.state.head,
        )  # fmt: skip
        lines += records.unheard
    handed = hand_over(place, settings)
    lines += [f"handed over: {name}" for name in handed]
    removed = thin(place, clock=clock, handed_over=last_handed_over(place, settings))
    lines += [f"{len(removed)} old checkpoints removed: one a day is kept"] if removed else []
    data: dict[str, object] = {
        "new": taken.new,
        "file": str(taken.file) if taken.file is not None else None,
        "size": taken.state.size if taken.state is not None else 0,
        "handed_over": handed,
    }
    return Report({**data, "removed": removed} if removed else data, lines)


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("The ledger: seals and other acts, hash-chained.")
CHECK_EXAMPLES = examples(
    "ledger check monday.checkpoint",
    "ledger check monday.checkpoint --signature monday.checkpoint.sig --allowed-signers signers --identity me",
)


@app.command("show", epilog=examples("ledger show --last 5"))
def show_command(
    *,
    root: Root = DEFAULT_ROOT,
    last: Annotated[int, typer.Option("--last", "--limit", min=1, help="Number of entries.")] = 20,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> Report:
    """Check every line and show the last entries."""
    return show(existing(Layout.under(root)), last=last).asked(as_json=as_json, as_csv=as_csv)


@app.command("checkpoint", epilog=examples("ledger checkpoint --out monday.checkpoint --key ~/.ssh/id_ed25519"))
def checkpoint_command(
    *,
    root: Root = DEFAULT_ROOT,
    origin: Annotated[
        str, typer.Option(help="Name of the ledger in the checkpoint: one plain line.")
    ] = "prometheus-quant",
    out: Annotated[Path | None, typer.Option(help="Write the checkpoint into this new file.")] = None,
    key: Annotated[Path | None, typer.Option(help="SSH key that signs the file.")] = None,
    as_json: AsJson = False,
) -> Report:
    """Print the size and root hash of the ledger; keep them elsewhere to detect a later rewrite."""
    return checkpoint(Layout.under(root), origin=origin, out=out, key=key).asked(as_json=as_json)


@app.command("check", epilog=CHECK_EXAMPLES)
def check_command(
    file: Annotated[Path, typer.Argument(help="File of a checkpoint.")],
    *,
    root: Root = DEFAULT_ROOT,
    signature: Annotated[Path | None, typer.Option(help="File of its signature.")] = None,
    allowed_signers: Annotated[Path | None, typer.Option(help="File of allowed signers; see ssh-keygen(1).")] = None,
    identity: Annotated[str | None, typer.Option(help="Expected identity of the signer.")] = None,
    as_json: AsJson = False,
) -> Report:
    """Check that the ledger still begins as a checkpoint says."""
    return check(
        Layout.under(root), file, signature=signature, allowed_signers=allowed_signers, identity=identity
    ).asked(as_json=as_json)


@app.command(
    "witness", epilog=examples("ledger witness  (as its unit does, hourly)", "ledger witness --root var --to DIR")
)
def witness_command(
    *,
    root: Root = DEFAULT_ROOT,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Directory of the checkpoints and the key.")
    ] = None,
    as_json: AsJson = False,
) -> Report:
    """Sign a checkpoint of the ledger, unless it contradicts an earlier one; 65 when it does."""
    return witness(Layout.under(root), directory=to).asked(as_json=as_json)
