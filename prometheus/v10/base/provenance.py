"""Which commit a checkout holds, decided by content. Standard library only.

The environment and git's index are not believed. git runs with a closed environment, and only hands out objects; each
commit and tree object is hashed here, and each file's bytes are compared with the blob that the commit names. So
``GIT_DIR``, ``git update-index --assume-unchanged`` and ``--skip-worktree``, filters and replacement objects do not
change the answer.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "prometheus"
MARK = "prometheus/v10/base/provenance.py"
"""A repository whose commit does not hold this file is not a checkout of this package."""
CACHES = (".pyc", ".nbi", ".nbc")
"""What Python and numba leave in ``__pycache__``; it is compiled from the sources, and is not part of a commit."""
SECONDS = 60.0
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never")
_MOST = 256 * 1024 * 1024


@dataclass(frozen=True)
class TreeState:
    """What a checkout holds.

    Attributes:
        commit: HEAD, as 40 (SHA-1) or 64 (SHA-256) hexadecimal digits; None where no commit of this package is known.
        dirty: whether any file differs from that commit; True where ``commit`` is None.
        differing: paths below the root that differ, are missing, or are not in the commit; sorted.
        files: mode (git's, octal) and blob id of every file of the commit, by its path.
    """

    commit: str | None
    dirty: bool
    differing: list[str]
    files: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False, compare=False)


class _UnknownError(Exception):
    """No commit can be named for this tree."""


def tree_state(root: Path, *, under: Sequence[str] = (PACKAGE,)) -> TreeState:
    """Compare the checkout at ``root`` with its HEAD, file by file.

    Every file of the commit is compared. Below the directories ``under``, every file that the commit does not hold
    differs as well, ignored or not, except compiled caches in ``__pycache__``.
    Nothing is raised: a tree whose commit cannot be established has the commit None and is dirty.
    """
    try:
        commit = _commit(root)
        files = _files(root, commit)
    except (_UnknownError, OSError, subprocess.SubprocessError, ValueError, KeyError):
        return TreeState(None, dirty=True, differing=[])
    if MARK not in files:
        return TreeState(None, dirty=True, differing=[])
    differing = set(changed(root, files))
    differing.update(name for name in present(root, under) if name not in files)
    return TreeState(commit, dirty=bool(differing), differing=sorted(differing), files=files)


def changed(root: Path, files: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Those of ``files`` that are not below ``root`` with git's mode and the content of the blob; links count.

    Args:
        root: of the files.
        files: mode and blob id by the path below it, as `TreeState.files`.
    """
    plain: dict[str, bool] = {}
    for name, (mode, blob) in files.items():
        if not (_is_plain(root, name.rpartition("/")[0], plain) and _holds(root / name, mode, blob)):
            yield name


def _is_plain(root: Path, folder: str, known: dict[str, bool]) -> bool:
    """Whether no directory on the way from ``root`` to ``folder`` is a link; each is looked at once."""
    if folder and folder not in known:
        above = folder.rpartition("/")[0]
        known[folder] = _is_plain(root, above, known) and not (root / folder).is_symlink()
    return not folder or known[folder]


def _holds(place: Path, mode: str, blob: str) -> bool:
    try:
        found = place.lstat()
        if stat.S_ISLNK(found.st_mode):
            return mode == "120000" and _object_id("blob", os.fsencode(place.readlink()), blob) == blob
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST:
            return False
        executable = bool(found.st_mode & stat.S_IXUSR)
        if mode != ("100755" if executable else "100644"):
            return False
        return _object_id("blob", place.read_bytes(), blob) == blob
    except OSError:
        return False


def present(root: Path, under: Sequence[str]) -> Iterator[str]:
    """Every file, link and special file below the directories ``under`` of ``root``, but compiled caches."""
    for top in under:
        if (root / top).is_symlink():
            yield top
            continue
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            in_cache = folder.rpartition("/")[2] == "__pycache__"
            for entry in _entries_of(root / folder):
                name = f"{folder}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                elif not in_cache or not entry.name.endswith(CACHES):
                    yield name


def _entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """What a directory holds; nothing where it cannot be read: nothing is imported from it either."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


# ---- git, which only hands out objects -------------------------------------------------------------------------------


def _command(root: Path, *words: str) -> list[str]:
    # Another owner's repository is read as well: none of these commands runs what a repository configures.
    safe = ("-c", f"safe.directory={root.resolve()}")
    return ["git", "--no-replace-objects", "--no-optional-locks", *_SAFE, *safe, "-C", str(root), *words]


def closed_environment() -> dict[str, str]:
    """What git is given: no ``GIT_*`` of the caller's, no configuration but the repository's own."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_GRAFT_FILE": os.devnull}  # fmt: skip


def _asked(root: Path, *words: str) -> str:
    done = subprocess.run(
        _command(root, *words), capture_output=True, check=False, timeout=SECONDS, env=closed_environment(),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        raise _UnknownError
    return os.fsdecode(done.stdout).removesuffix("\n")


def _commit(root: Path) -> str:
    top, _, commit = _asked(root, "rev-parse", "--show-toplevel", "HEAD^{commit}").rpartition("\n")
    if Path(top).resolve() != root.resolve():
        raise _UnknownError
    return commit


def _object_id(kind: str, data: bytes, like: str) -> str:
    """The id git gives ``data``; SHA-1 or SHA-256 as ``like`` is long."""
    hashed = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    hashed.update(f"{kind} {len(data)}\0".encode())
    hashed.update(data)
    return hashed.hexdigest()


def _objects(root: Path, commit: str) -> dict[tuple[str, str], bytes]:
    """A commit and all its trees by kind and id, each hashed against its id.

    Which trees there are is asked of git, and not believed: one that it leaves out is missed by whoever follows the
    commit, and one that it adds is not followed.
    """
    listed = _asked(root, "ls-tree", "-r", "-d", "-z", commit).split("\0")
    names = [commit, f"{commit}^{{tree}}", *(entry.split(maxsplit=3)[2] for entry in listed if entry)]
    done = subprocess.run(
        _command(root, "cat-file", "--batch"), input="".join(f"{name}\n" for name in names).encode(),
        capture_output=True, check=True, timeout=SECONDS, env=closed_environment(),
    )  # fmt: skip
    found: dict[tuple[str, str], bytes] = {}
    at = 0
    while at < len(done.stdout):
        end = done.stdout.index(b"\n", at)
        name, kind, size = done.stdout[at:end].decode("ascii").split(" ")
        data = done.stdout[end + 1 : end + 1 + int(size)]
        if _object_id(kind, data, name) != name:
            raise _UnknownError
        found[kind, name] = data
        at = end + 1 + len(data) + 1
    return found


def _files(root: Path, commit: str) -> dict[str, tuple[str, str]]:
    """Mode and blob id of every file of a commit, by its path.

    Raises:
        KeyError: when git did not hand out a tree that the commit needs.
    """
    objects = _objects(root, commit)
    head = objects["commit", commit].split(b"\n", 1)[0]
    waiting = [("", head.removeprefix(b"tree ").decode("ascii"))]
    files: dict[str, tuple[str, str]] = {}
    while waiting:
        prefix, tree = waiting.pop()
        for mode, name, blob in _entries(objects["tree", tree], len(commit) // 2):
            if mode == "40000":
                waiting.append((f"{prefix}{name}/", blob))
            else:
                files[f"{prefix}{name}"] = mode, blob
    return files


def _entries(tree: bytes, width: int) -> Iterator[tuple[str, str, str]]:
    """Mode, name and id of a tree object's entries; ids are ``width`` bytes long."""
    at = 0
    while at < len(tree):
        zero = tree.index(b"\0", at)
        mode, _, name = tree[at:zero].partition(b" ")
        at = zero + 1 + width
        yield mode.decode("ascii"), os.fsdecode(name), tree[zero + 1 : at].hex()
