"""Make or accept a directory that no other user can fill, and say why where it is not one.

    containers/private_dir.py DIR        prints its absolute path; exit 78 and one line when it cannot be trusted

A directory passes when it is a real directory of this user with mode 0700 (a looser one of ours is tightened), nobody
else can replace it or a parent of it, and nothing in it is another user's, a link, or writable by others. A directory
below a sticky one (/var/tmp) is fine when it is ours. Standard library only.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

EX_CONFIG = 78
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class UntrustedError(Exception):
    """Somebody else could have put something there."""


def private_directory(place: Path) -> Path:
    """The directory, made when it is missing, with mode 0700.

    Raises:
        UntrustedError: saying what another user could change, and what to do.
    """
    place = Path(os.path.abspath(place))  # noqa: PTH100  (resolve() would follow a link)
    _refuse_parents(place)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        why = "is a symbolic link" if place.is_symlink() else f"cannot be used: {error.strerror}"
        raise UntrustedError(f"{place} {why}; name a real directory of your own") from error
    try:
        _refuse_parents(place)
        found = os.fstat(fd)
        if found.st_uid != os.geteuid():
            raise UntrustedError(f"{place} belongs to user id {found.st_uid}, not to {os.geteuid()}; name another one")
        if found.st_mode & _OTHERS and any(place.iterdir()):
            raise UntrustedError(f"{place} was writable by other users; remove it and build again")
        os.fchmod(fd, 0o700)
    finally:
        os.close(fd)
    for inside in _inside(place):
        said = inside.lstat()
        if said.st_uid != os.geteuid() or said.st_mode & _OTHERS or not (_plain(said.st_mode)):
            raise UntrustedError(
                f"{inside} is another user's, writable by others, or no plain file; remove {place} and build again"
            )
    return place


def _refuse_parents(place: Path) -> None:
    """Refuse a path below a directory, or through a link, that another user can change."""
    for parent in {*place.parents, *Path(os.path.realpath(place.parent)).parents, Path(os.path.realpath(place.parent))}:
        try:
            found = parent.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UntrustedError(f"{parent} cannot be looked at: {error.strerror}; name another directory") from error
        writable = found.st_mode & _OTHERS and not found.st_mode & stat.S_ISVTX and not stat.S_ISLNK(found.st_mode)
        if found.st_uid not in {0, os.geteuid()} or writable:
            raise UntrustedError(
                f"{place} lies below {parent}, which another user can change; name a directory that only you can write"
            )


def _inside(place: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(place):
        yield from (Path(folder) / name for name in [*folders, *files])


def _plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def main() -> int:
    """Print the directory, or say why not; returns the exit code."""
    if len(sys.argv) != 2:
        sys.stderr.write("one argument: the directory\n")
        return 64
    os.umask(0o077)  # parents that are made on the way are closed as well
    try:
        sys.stdout.write(f"{private_directory(Path(sys.argv[1]))}\n")
    except UntrustedError as error:
        sys.stderr.write(f"cache: {error}\n")
        return EX_CONFIG
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
