"""What the doctor looks at outside of the suite: kernel, systemd, Podman, the service's user, journal, clock.

Thresholds and their reasons: the first Podman and conmon that hand STATUS on, the first systemd whose sandbox does not
imply "no new privileges" for a unit with ``User=``. Debian 12 is below them and says so here; Debian 13 is not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from prometheus.v10.ops.host.doctor import Check, Finding, Level, at_least
from prometheus.v10.ops.host.podman import SERVICE_USER
from prometheus.v10.ops.host.runner import Runner

SUBORDINATES = 65536
CONTROLLERS = ("cpu", "memory", "pids")
PROVISION = "/usr/lib/prometheus-quant/provision-host, as root"
_FAIL, _WARN, _OK, _UNKNOWN = Level.FAIL, Level.WARN, Level.OK, Level.UNKNOWN


@frozen
class Machine:
    """Checks of one machine.

    Attributes:
        runner: starts the programs that are asked for their version.
        root: where the machine's files lie; a test has its own.
    """

    runner: Runner
    root: Path = Path("/")

    def checks(self) -> dict[str, Check]:
        """All of them, in the order in which things go wrong on a new host."""
        return {
            "cgroups": self.cgroups,
            "systemd": self.systemd,
            "podman": self.podman,
            "conmon": self.conmon,
            "crun": self.crun,
            "newuidmap": self.newuidmap,
            "pasta": self.pasta,
            "user": self.user,
            "subordinate ids": self.subordinate_ids,
            "linger": self.linger,
            "journal": self.journal,
            "clock": self.clock,
        }

    def cgroups(self) -> Iterator[Finding]:
        """Version 2 of cgroups, and the controllers that limits need."""
        why = "systemd counts and limits each instance by its cgroup; rootless Podman needs version 2"
        place = self.root / "sys/fs/cgroup/cgroup.controllers"
        if not place.exists():
            yield Finding(_FAIL, "cgroups", "no cgroup v2 at /sys/fs/cgroup", why, "boot without cgroup v1 options")
            return
        missing = [name for name in CONTROLLERS if name not in place.read_text().split()]
        if missing:
            what = f"cgroup v2 without the controllers {', '.join(missing)}"
            yield Finding(_WARN, "cgroups", what, why, "MemoryMax= and TasksMax= have no effect here: use a whole host")
        else:
            yield Finding(_OK, "cgroups", "cgroup v2", why)

    def systemd(self) -> Iterator[Finding]:
        """The manager itself."""
        yield at_least(
            self.runner, "systemd", ("systemctl", "--version"), good=(255,), least=(252,),
            why="before 255 a sandbox directive of a unit with User= forbids new privileges, where Podman needs them",
            mend="Debian 13 has 257; on 252 a stage starts only after prometheus-podman@, which the units see to",
        )  # fmt: skip

    def podman(self) -> Iterator[Finding]:
        """Podman itself."""
        yield at_least(
            self.runner, "podman", ("podman", "--version"), good=(4, 9), least=(4, 4),
            why="it starts the containers, rootless; 4.3 leaves the unit's control group: systemd never hears READY",
            mend="Debian 13 has 5.4; on Debian 12 evidence can be verified, and no stage starts",
        )  # fmt: skip

    def conmon(self) -> Iterator[Finding]:
        """The container's monitor."""
        yield at_least(
            self.runner, "conmon", ("conmon", "--version"), good=(2, 1, 9), least=(2, 1, 6),
            why="before 2.1.9 it does not hand STATUS on", mend="apt-get install conmon; Debian 13 has 2.1.12",
        )  # fmt: skip

    def crun(self) -> Iterator[Finding]:
        """The runtime."""
        yield at_least(
            self.runner, "crun", ("crun", "--version"), good=(1, 8), least=(1, 0),
            why="it makes the container; the sandbox of the units was made for it", mend="apt-get install crun",
        )  # fmt: skip

    def newuidmap(self) -> Iterator[Finding]:
        """The setuid helpers of rootless containers."""
        why = "rootless Podman maps the container's users with them"
        for name in ("newuidmap", "newgidmap"):
            place = self.root / "usr/bin" / name
            if not place.exists():
                yield Finding(_FAIL, name, f"/usr/bin/{name} is not there", why, "apt-get install uidmap")
            elif not place.stat().st_mode & stat.S_ISUID and not _has_capability(place):
                what = f"/usr/bin/{name} is not setuid"
                yield Finding(_FAIL, name, what, why, "apt-get install --reinstall uidmap")
            else:
                yield Finding(_OK, name, f"/usr/bin/{name}", why)

    def pasta(self) -> Iterator[Finding]:
        """The network of instances that talk to an exchange."""
        why = "instances that talk to an exchange get their network from it; offline ones have none"
        there = (self.root / "usr/bin/pasta").exists()
        what = "/usr/bin/pasta" if there else "/usr/bin/pasta is not there"
        yield Finding(_OK if there else _WARN, "pasta", what, why, "apt-get install passt")

    def account(self) -> tuple[int, str] | None:
        """Number and home of the service's user; None where there is none."""
        for line in (self.root / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == SERVICE_USER and len(fields) == 7:
                return int(fields[2]), fields[5]
        return None

    def user(self) -> Iterator[Finding]:
        """The service's user."""
        why = "everything runs as this user, and evidence is its own"
        found = self.account()
        if found is None:
            yield Finding(_FAIL, "user", f"there is no user {SERVICE_USER}", why, PROVISION)
        elif found[0] == 0:
            yield Finding(_FAIL, "user", f"{SERVICE_USER} is root", why, "remove that account, and provision again")
        else:
            yield Finding(_OK, "user", f"{SERVICE_USER} is {found[0]}", why)

    def subordinate_ids(self) -> Iterator[Finding]:
        """Ranges for the container's other users."""
        why = "the container's users other than the service's own live in this range"
        for name in ("subuid", "subgid"):
            place = self.root / "etc" / name
            lines = place.read_text().splitlines() if place.exists() else []
            counts = [int(line.split(":")[2]) for line in lines if line.startswith(f"{SERVICE_USER}:")]
            if sum(counts) < SUBORDINATES:
                what = f"/etc/{name} gives {SERVICE_USER} {sum(counts)} ids, {SUBORDINATES} are wanted"
                yield Finding(_FAIL, name, what, why, PROVISION)
            else:
                yield Finding(_OK, name, f"{sum(counts)} ids", why)

    def linger(self) -> Iterator[Finding]:
        """The user's manager, which runs while nobody is logged in."""
        why = "Podman needs the user's runtime directory, also when nobody is logged in"
        found = self.account()
        if not (self.root / "var/lib/systemd/linger" / SERVICE_USER).exists():
            mend = f"loginctl enable-linger {SERVICE_USER}"
            yield Finding(_FAIL, "linger", f"{SERVICE_USER} does not linger", why, mend)
        elif found is not None and not (self.root / f"run/user/{found[0]}").is_dir():
            what = f"/run/user/{found[0]} is not there, although {SERVICE_USER} lingers"
            yield Finding(_FAIL, "linger", what, why, f"systemctl start user@{found[0]}.service")
        else:
            yield Finding(_OK, "linger", f"{SERVICE_USER} lingers", why)

    def journal(self) -> Iterator[Finding]:
        """The second witness: there, and kept."""
        why = "lifecycle events go to the journal; the container is given this socket"
        place = self.root / "run/systemd/journal/socket"
        if place.exists() and stat.S_ISSOCK(place.stat().st_mode):
            yield Finding(_OK, "journal socket", "/run/systemd/journal/socket", why)
        else:
            what = "/run/systemd/journal/socket is not there"
            yield Finding(_FAIL, "journal socket", what, why, "systemctl start systemd-journald.socket")
        kept = (self.root / "var/log/journal").is_dir()
        what = "kept in /var/log/journal" if kept else "in memory only: gone with the next boot"
        mend = "mkdir -p /var/log/journal && systemctl restart systemd-journald"
        yield Finding(_OK if kept else _WARN, "persistent journal", what, "an audit reads entries of past boots", mend)

    def clock(self) -> Iterator[Finding]:
        """Whether the wall clock follows a source."""
        why = "manifests carry wall-clock times, and collapse intervals are counted in them"
        ended = self.runner(("timedatectl", "show", "--property=NTPSynchronized", "--value"))
        said = ended.out.strip()
        mend = "apt-get install systemd-timesyncd && timedatectl set-ntp true"
        if said not in {"yes", "no"}:
            yield Finding(_UNKNOWN, "clock", f"cannot tell whether it is synchronised: {ended.complaint()}", why, mend)
        elif said == "no":
            yield Finding(_WARN, "clock", "not synchronised", why, mend)
        else:
            yield Finding(_OK, "clock", "synchronised", why)


def _has_capability(place: Path) -> bool:
    """Some distributions give the helpers a file capability instead of the setuid bit."""
    try:
        return "security.capability" in os.listxattr(place)
    except OSError:
        return False
