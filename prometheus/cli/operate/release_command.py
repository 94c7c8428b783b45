"""``release list|load|use|rollback``: images by digest, and the way back in one command.

Exit 0: in force, and what ran is READY on it. 74: it did not become READY, and the release before runs again.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from prometheus.cli.names_of import release_of
from prometheus.cli.options import DEFAULT_ROOT, AsCsv, AsJson, Root, examples, group
from prometheus.cli.report import Report, facts, table
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host.host_records import HostRecords, who_asks
from prometheus.v10.ops.host.podman import Podman
from prometheus.v10.ops.host.release import READY_SECONDS, Releases
from prometheus.v10.ops.host.release_signature import NOT_AUTHENTICATED
from prometheus.v10.ops.host.systemd import Systemd


def releases_of(layout: Layout, *, changing: bool, ready_seconds: float = READY_SECONDS) -> Releases:
    """The releases of an installation.

    Raises:
        HostError: when a change is asked for by somebody who may not.
    """
    systemd = Systemd.of(layout)
    podman = None
    if changing and layout == Layout.system():
        if os.geteuid() != 0:
            raise HostError("a release is put in force by root", hint="repeat it as root")
        podman = Podman.of_service()
    records = HostRecords(layout, SystemClock())
    return Releases(layout, records, podman, systemd, who_asks(os.environ), ready_seconds)


def listed(releases: Releases) -> Report:
    """What was loaded, what is in force, and what a rollback would lead to."""
    current, previous = releases.current(), releases.previous()
    rows, data = [], []
    for known in releases.known():
        release = known.release
        state = "in force" if release.same_images(current) else "previous" if release.same_images(previous) else ""
        data.append(
            {
                **release.plain(),
                "state": state or "loaded",
                "loaded_at": known.at,
                "source": known.source,
                "authenticity": known.authenticity,
            }
        )
        rows.append((release.id, (release.git_commit or "-")[:12], state or "loaded", known.at, known.source))
    where = {"in force": current.id if current else None, "rollback leads to": previous.id if previous else None}
    shown = [table("releases", ("id", "commit", "state", "loaded", "from"), rows)] if rows else ["none was loaded here"]
    return Report(
        {
            "releases": data,
            "in_force": None if current is None else current.plain(),
            "previous": None if previous is None else previous.plain(),
        },
        [*shown, facts("", where)],
    )


def switched(releases: Releases, name: str | None) -> Report:
    """Put ``name`` in force, or the release before when it is None."""
    data = releases.rollback() if name is None else releases.use(release_of(name, releases).id)
    pairs = {
        "in force": data["in_force"]["id"],
        "commit": data["in_force"]["git_commit"],
        "rollback leads to": (data["previous"] or {}).get("id"),
        "READY again": ", ".join(data["restarted"]) or "nothing ran",
        "seconds": data["seconds"],
    }
    return Report(data, [facts("release", pairs), *(f"warning: {problem}" for problem in data["problems"])])


# ---- on the command line ---------------------------------------------------------------------------------------------

app = group("Releases: the images that run, by digest, with a rollback of one command.")
Ready = Annotated[float, typer.Option("--ready-within", min=1.0, metavar="SECONDS", help="Longest time until READY.")]


@app.command("list", epilog=examples("release list --root /"))
def list_command(*, root: Root = DEFAULT_ROOT, as_json: AsJson = False, as_csv: AsCsv = False) -> Report:
    """List the loaded releases, the one in force, and the one that a rollback would use."""
    return listed(releases_of(Layout.under(root), changing=False)).asked(as_json=as_json, as_csv=as_csv)


@app.command("load", epilog=examples("release load --root / prometheus-quant.oci.tar --sha256 HEX"))
def load_command(
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE|NAME@DIGEST...", help="An OCI archive, or references by digest.")
    ],
    *,
    root: Root = DEFAULT_ROOT,
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="Expected SHA-256 of the archive.")] = None,
    as_json: AsJson = False,
) -> Report:
    """Load images and check that they are what was named; nothing is put in force."""
    releases = releases_of(Layout.under(root), changing=True)
    release = releases.load(sources, sha256=sha256)
    authenticity = releases.authenticity(release)
    use = f"prometheus-quant release use {release.id}"
    plain = {"id": release.id, "commit": release.git_commit, **{s.value: ref for s, ref in release.images.items()}}
    plain |= {"desk": release.desk or "none", "authenticity": authenticity}
    warning = "warning: not authenticated: give --sha256, or list the keys of your builders in release_signers"
    warned = [warning] if authenticity == NOT_AUTHENTICATED else []
    data = {**release.plain(), "authenticity": authenticity}
    return Report(data, [facts("loaded", plain), *warned, f"put it in force: {use}"]).asked(as_json=as_json)


@app.command("use", epilog=examples("release use --root / 7b991bf84717"))
def use_command(
    name: Annotated[
        str,
        typer.Argument(metavar="RELEASE", help="Release: the beginning of its id, a digest or its commit; or latest."),
    ],
    *,
    root: Root = DEFAULT_ROOT,
    ready_within: Ready = READY_SECONDS,
    as_json: AsJson = False,
) -> Report:
    """Put a loaded release in force and restart what runs; undone when READY does not come in time."""
    releases = releases_of(Layout.under(root), changing=True, ready_seconds=ready_within)
    return switched(releases, name).asked(as_json=as_json)


@app.command("rollback", epilog=examples("release rollback --root /"))
def rollback_command(
    *, root: Root = DEFAULT_ROOT, ready_within: Ready = READY_SECONDS, as_json: AsJson = False
) -> Report:
    """Put the previous release in force and restart what runs; undone when READY does not come in time."""
    releases = releases_of(Layout.under(root), changing=True, ready_seconds=ready_within)
    return switched(releases, None).asked(as_json=as_json)
