"""Commands that need numpy: an installed host hands them, as they are typed, to the image of the release in force.

The image sees what the units' containers see, under the same names: evidence and logs to write, the configuration to
read, the journal; and what was downloaded, to read. It has no network and no other file of the host; a file to be read
lies below the evidence first.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import typer

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.writing.journal import SOCKET
from prometheus.v10.ops.host.podman import Podman
from prometheus.v10.ops.host.release_env import env_file, read_release

COMMANDS = {
    "market": "Import bars, and list what there is: market import FILE NAME; market download runs on the host.",
    "profile": "Check whether a run would begin with a profile: profile check NAME.",
    "snapshot": "Freeze a pool; list and compare what was frozen.",
    "pool": "List, sort and filter the records of a pool.",
    "genome": "Show one genome.",
    "promote": "Replay experiments as Tier-2 runs with full evidence; --queue leaves them to @PROMOTE.",
    "replay": "Do a run again and compare every byte.",
    "report": "Report what happened in a run, on one page.",
    "retention": "Show what the profile's rules would delete: retention --dry-run.",
}
FILES = frozenset({".csv", ".feather", ".gz", ".json", ".npy", ".parquet", ".toml", ".zip", ".zst"})
AS_TYPED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def in_image(name: str) -> Callable[[typer.Context], int]:
    """The host's command ``name``: the image's, with the words that were typed."""

    def command(context: typer.Context) -> int:
        layout = Layout.system()
        refuse_unseen_files(layout, context.args)
        return run_in_image(layout, Podman.of_service(), [name, *context.args])

    command.__doc__ = f"{COMMANDS[name]} (Runs in the image.)"
    return command


def refuse_unseen_files(layout: Layout, words: list[str]) -> None:
    """Refuse words that name a file of this host which the image cannot see under that name.

    Raises:
        ConfigError: naming the file, and where to put it.
    """
    seen = (layout.lib, layout.log, layout.etc, layout.downloads)
    for word in words:
        text = word.partition("=")[2] if word.startswith("--") else word
        place = Path(text)
        if not text or not ("/" in text or place.suffix.lower() in FILES) or not os.path.isfile(place):  # noqa: PTH113
            continue
        if place.is_absolute() and any(Path(os.path.realpath(place)).is_relative_to(top) for top in seen):
            continue
        shown = printable(text)
        raise ConfigError(
            f"{shown}: the command runs in the image, which sees only files below {', '.join(map(str, seen))}, "
            "by their whole path",
            hint=f"copy it there first: cp {shown} {layout.lib}/ and name {layout.lib}/{printable(place.name)}",
        )


def run_in_image(layout: Layout, podman: Podman, words: list[str]) -> int:
    """Run a command line in the image of stage 1; returns its exit code.

    Raises:
        ConfigError: when no release is in force.
        HostError: when this user may not run Podman as the service's user.
    """
    release = read_release(env_file(layout))
    if release is None:
        raise ConfigError(
            f"no release is in force, and {words[0]} runs in its image",
            hint="prometheus-quant release load FILE; prometheus-quant release use ID",
        )
    image = release.images[Stage.STAGE1]
    apart = layout.downloads.is_dir() and not layout.downloads.is_relative_to(layout.lib)
    fetched = (f"{layout.downloads}:{layout.downloads}:ro",) if apart else ()
    return podman.attached(
        image, "-I", "-m", "prometheus.cli", *words,
        volumes=(f"{layout.lib}:{layout.lib}", f"{layout.log}:{layout.log}", f"{layout.etc}:{layout.etc}:ro",
                 f"{SOCKET}:{SOCKET}", *fetched),
        environ=(f"PQ_IMAGE={image}", f"PQ_IMAGE_DIGEST={release.digest(Stage.STAGE1)}"),
    )  # fmt: skip
