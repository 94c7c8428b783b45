"""Where everything lies under one root (contracts, section 2).

One definition; units and docs are checked against it.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from prometheus.v10.base.errors import UsageError, host_error
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import LEDGER_FILE
from prometheus.v10.base.text import printable

GROWN = "grown"
"""Directory of a stored market that holds its versions behind the first."""
SYSTEM_CONFIG = Path("/etc/prometheus-quant")
SYSTEM_STATE = Path("/var/lib/prometheus-quant")
SYSTEM_LOGS = Path("/var/log/prometheus-quant")
SYSTEM_DOWNLOADS = Path("/var/lib/prometheus-quant-download")


@dataclass(frozen=True)
class Layout:
    """The tree of one installation.

    Attributes:
        lib: runs, pools and state (``/var/lib/prometheus-quant`` on a host).
        etc: profiles, credentials, STOP (``/etc/prometheus-quant`` on a host).
        log: logs that are not evidence (``/var/log/prometheus-quant`` on a host).
    """

    lib: Path
    etc: Path
    log: Path

    @classmethod
    def system(cls) -> Layout:
        """The places of an installed host."""
        return cls(lib=SYSTEM_STATE, etc=SYSTEM_CONFIG, log=SYSTEM_LOGS)

    @classmethod
    def under(cls, root: Path) -> Layout:
        """The same tree under ``--root DIR``: ``DIR/etc``, ``DIR/log``, and runs, pools and state in DIR itself.

        Raises:
            UsageError: when DIR is a symbolic link (evidence must not land somewhere else than the operator said), or
                is there and no directory.
        """
        if root.is_symlink():
            raise UsageError(
                f"--root {root} is a symbolic link to {os.readlink(root)}",  # noqa: PTH115  (readlink without resolving)
                hint="give the real directory, so that the evidence lies where you say",
            )
        if os.path.lexists(root) and not root.is_dir():
            raise UsageError(f"--root {printable(str(root))} is not a directory", hint="name a directory")
        if root == Path("/"):
            return cls.system()
        root = Path(os.path.abspath(root))  # noqa: PTH100  (resolve() would follow links)
        return cls(lib=root, etc=root / "etc", log=root / "log")

    @property
    def stop_file(self) -> Path:
        """The kill switch."""
        return self.etc / "STOP"

    @property
    def armed_file(self) -> Path:
        """What an operator writes by hand before an instance may trade live."""
        return self.etc / "ARMED_LIVE.json"

    @property
    def profiles(self) -> Path:
        """``<INSTANCE>.toml`` files."""
        return self.etc / "profiles"

    @property
    def state(self) -> Path:
        """Counters, ledger of seals, collapse intervals, releases."""
        return self.lib / "state"

    @property
    def ledger(self) -> Path:
        """The ledger: seals and other acts, hash-chained."""
        return self.state / LEDGER_FILE

    @property
    def market(self) -> Path:
        """Imported bars."""
        return self.lib / "market"

    @property
    def downloads(self) -> Path:
        """What was downloaded to be imported; no evidence, and on a host a place of its own."""
        return SYSTEM_DOWNLOADS if self.lib == SYSTEM_STATE else self.lib / "downloads"

    @property
    def gates(self) -> Path:
        """Gates: a directory each, by the name of its design."""
        return self.lib / "gates"

    def runs(self, tier: Tier) -> Path:
        """``runs_hf`` for Tier-1, ``runs`` for Tier-2."""
        return self.lib / tier.root_name

    def run_places(self, run_id: str) -> list[Path]:
        """Where a run of that id may lie."""
        return [self.runs(tier) / run_id for tier in Tier]

    def pool(self, stage: Stage) -> Path:
        """The live pool of a stage."""
        return self.lib / "pools" / stage.value / "pool.jsonl"

    def snapshots(self, stage: Stage) -> Path:
        """Immutable snapshots of a stage's pool."""
        return self.lib / "pools" / stage.value / "snapshots"

    def prepare(self) -> None:
        """Create the tree where it is missing, with mode 0750 whatever the umask is.

        A directory of ours that everybody may write (made under umask 000 by an earlier version) is closed to them.

        Raises:
            HostError: when a directory cannot be made.
            UsageError: when a place in the tree is a symbolic link that leads out of it.
        """
        made = [self.profiles, self.state, self.log, *(self.runs(t) for t in Tier), *(self.snapshots(s) for s in Stage)]
        for place in made:
            refuse_links_below(self.lib if place.is_relative_to(self.lib) else place, place)
            try:
                make_directories(place)
                for part in [place, *place.parents]:
                    if any(part.is_relative_to(top) for top in (self.lib, self.etc, self.log)):
                        _close_to_others(part)
            except OSError as error:
                raise host_error(error, f"cannot create {place}") from error


def make_directories(place: Path) -> None:
    """Create ``place`` and its parents where they are missing, with mode 0750 whatever the umask is.

    Raises:
        OSError: as the kernel's calls.
    """
    for part in reversed([place, *place.parents]):
        try:
            part.mkdir(mode=0o750)
        except FileExistsError:
            continue
        except OSError:
            if not part.is_dir():  # a parent that we may not write needs no making
                raise
        else:
            part.chmod(0o750)
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def _close_to_others(place: Path) -> None:
    """Take everybody's right to write from a directory of ours; a sticky one is somebody's intention."""
    found = place.stat()
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX and found.st_uid == os.geteuid():
        place.chmod(stat.S_IMODE(found.st_mode) & ~stat.S_IWOTH)


def refuse_links_below(top: Path, place: Path) -> None:
    """Refuse a path that reaches ``place`` through a symbolic link at or below ``top``.

    Raises:
        UsageError: naming the link.
    """
    for part in [place, *place.parents]:
        if not part.is_relative_to(top):
            break
        if part.is_symlink():
            raise UsageError(
                f"{part} is a symbolic link", hint="evidence is never written through links: use a real directory"
            )


def newest_market_record(market: Path) -> Path:
    """The record of a stored market's newest version, by the names on the disk."""
    grown = market / GROWN
    versions = [one for one in grown.iterdir() if one.name.isdecimal()] if grown.is_dir() else []
    newest = max(versions, key=lambda one: int(one.name), default=market)
    return newest / "market.json"
