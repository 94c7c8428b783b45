"""Derived files: pictures, exports, pages, checkpoints. One guard keeps them out of every place that evidence owns.

A file that is added to a sealed run breaks its seal, and one below ``pools/``, ``state/``, ``market/`` or ``gates/``
may be taken for evidence. Whoever writes a file that the operator named asks `refuse_sealed_place` first, or writes it
by `new_output`. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus.v10.base.errors import HostError, UsageError
from prometheus.v10.base.files import write_new
from prometheus.v10.base.names import LEDGER_FILE, SEAL_FILES, Artifact, is_run_id
from prometheus.v10.base.paths import SYSTEM_CONFIG, SYSTEM_STATE, Layout
from prometheus.v10.base.text import printable

OWNED = ("runs", "runs_hf", "pools", "state", "market", "gates")
"""Folders of an installation in which only the suite's own writers put files."""
CONFIGURATION = "etc"
HINT = "name a place outside the installation's evidence"


def refuse_sealed_place(place: Path, *, layout: Layout | None = None) -> None:
    """Refuse to write a derived file at ``place``.

    Args:
        place: as the operator named it: relative, or through links; both the name and where it leads are looked at.
        layout: the installation of the command, whose places are refused even before they hold anything.

    Raises:
        UsageError: when it would lie in a run, a gate, a pool, a market, the state or the configuration of any
            installation.
    """
    try:
        targets = {place.parent.resolve() / place.name, place.resolve()}
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links
        raise HostError(f"cannot reach {printable(str(place))}: {error}", hint=HINT) from error
    for target in sorted(targets):
        if (why := _owner(target, layout)) is not None:
            raise UsageError(f"{printable(str(place))} {why}", hint=HINT)


def new_output(place: Path, data: bytes | Iterable[bytes], *, layout: Layout | None = None, mode: int = 0o644) -> None:
    """Write a derived file that is not there yet.

    Raises:
        UsageError: when ``place`` exists, or as `refuse_sealed_place`.
        HostError: when it cannot be written.
    """
    refuse_output(place, layout=layout)
    try:
        write_new(place, data, mode=mode)
    except FileExistsError:
        raise _exists(place) from None


def refuse_output(place: Path, *, layout: Layout | None = None) -> None:
    """Refuse what `new_output` would refuse, before the work is done that the file is to hold.

    Raises:
        UsageError: when ``place`` exists, or as `refuse_sealed_place`.
        HostError: when its directory is not there.
    """
    if not place.name:
        raise UsageError(f"{printable(str(place))!r} names no file", hint="give the file a name")
    refuse_sealed_place(place, layout=layout)
    if os.path.lexists(place):
        raise _exists(place)
    if not os.path.isdir(place.parent):  # noqa: PTH112  (a name that is too long is no directory, and no fault of ours)
        raise HostError(f"cannot create {place}: there is no directory {place.parent}", hint="make the directory first")


def _exists(place: Path) -> UsageError:
    return UsageError(f"{printable(str(place))} exists", hint="choose another name, or remove it")


def _owner(target: Path, layout: Layout | None) -> str | None:
    """Why ``target``, an absolute path without links, may not be written; None where it may."""
    tops = {SYSTEM_STATE} if layout is None else {SYSTEM_STATE, layout.lib.resolve()}
    for folder in target.parents:
        if _is_run(folder):
            return f"would lie in the sealed run {folder} and break its seal"
        if folder == SYSTEM_CONFIG:
            return f"would lie in {folder}, the configuration of this host"
        inside = target.relative_to(folder).parts[0]
        if inside in {*OWNED, CONFIGURATION} and (folder in tops or _has(folder, f"state/{LEDGER_FILE}")):
            return f"would lie in {folder / inside}, which only the suite writes"
    return None


def _is_run(folder: Path) -> bool:
    """Whether a directory is a run or is sealed; a list of sums alone is nothing of ours."""
    return is_run_id(folder.name) or _has(folder, Artifact.MANIFEST) or all(_has(folder, one) for one in SEAL_FILES)


def _has(folder: Path, name: str) -> bool:
    return os.path.lexists(folder / name)
