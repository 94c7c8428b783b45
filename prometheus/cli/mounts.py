"""What a command that a host hands over sees of that host, and where it may write (docs/adr/0088-a-desk-of-its-own.md).

1. What makes, replays or deletes evidence of runs runs in the image of stage 1 and writes the evidence, as before.
2. Everything else runs in the desk's image, which has matplotlib, scipy and pyarrow. It sees the evidence to read. An
   import also writes the folder of markets; a gate writes its own folder, and the ledger's.
3. A release of an earlier version has no desk. Its stage 1 serves then, which lacks these packages, and it is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from prometheus.v10.base.errors import host_error
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout, make_directories, refuse_links_below
from prometheus.v10.evidence.writing.journal import SOCKET
from prometheus.v10.ops.host.host_records import as_owner_of
from prometheus.v10.ops.host.release_env import Release, digest_of

ON_DESK = frozenset({"market", "pool", "genome", "report", "gate", "founding", "progress", "kpi"})
"""Commands of the desk; every other one that is handed over is stage 1's."""
READING = frozenset({"planted", "replay"})
"""Commands of `gate` that write no evidence."""
FONTS = "/opt/prometheus-quant/matplotlib:rw,size=4m,mode=1777"
"""Where matplotlib has its list of fonts, which it uses only where it may write: a tmpfs, with what the image holds.
Podman leaves the top of it to root, hence the mode."""


@frozen
class Seen:
    """What one command runs in, and what it is given of the host.

    Attributes:
        image: by digest.
        digest: of it, as manifests record it.
        volumes: as Podman takes them.
        tmpfs: likewise.
        lacking: why the command may miss packages, in one line; None where it misses none.
    """

    image: str
    digest: str
    volumes: tuple[str, ...]
    tmpfs: tuple[str, ...] = ()
    lacking: str | None = None


def seen_by(words: Sequence[str], layout: Layout, release: Release) -> Seen:
    """What the command ``words`` runs in.

    Raises:
        HostError: when a folder that it writes cannot be made.
        UsageError: when that folder is a link.
    """
    apart = layout.downloads.is_dir() and not layout.downloads.is_relative_to(layout.lib)
    given = [f"{layout.etc}:{layout.etc}:ro", f"{SOCKET}:{SOCKET}"]
    given += [f"{layout.downloads}:{layout.downloads}:ro"] if apart else []
    if words[0] not in ON_DESK:
        image = release.images[Stage.STAGE1]
        own = (f"{layout.lib}:{layout.lib}", f"{layout.log}:{layout.log}")
        return Seen(image, digest_of(image), (*own, *given))
    given += [f"{layout.lib}:{layout.lib}:ro", f"{layout.log}:{layout.log}:ro"]
    given += [f"{place}:{place}" for place in _made(written_by(words), layout)]
    if release.desk is not None:
        return Seen(release.desk, digest_of(release.desk), tuple(given), (FONTS,))
    image = release.images[Stage.STAGE1]
    said = f"release {release.id} has no image for the desk: stage 1's serves, without matplotlib, scipy and pyarrow"
    return Seen(image, digest_of(image), tuple(given), lacking=said)


def written_by(words: Sequence[str]) -> tuple[str, ...]:
    """Folders of the evidence that a command of the desk writes; whose option it may be does not matter here."""
    second = words[1] if len(words) > 1 else ""
    if words[0] == "market" and second in {"import", "add"}:
        return ("market",)
    if words[0] == "gate" and second not in READING:
        return ("gates", "state")
    return ()


def _made(folders: Sequence[str], layout: Layout) -> list[Path]:
    """The folders, which must be there to be mounted: made as their owner makes them."""
    places = [layout.lib / folder for folder in folders]
    for place in places:
        refuse_links_below(layout.lib, place)
        if not place.is_dir():
            try:
                with as_owner_of(layout.lib):
                    make_directories(place)
            except OSError as error:
                raise host_error(error, f"cannot create {place}") from error
    return places
