"""One test host: boot it, run commands in it, put files into it, switch it off, or pull its plug.

- systemd is PID 1 in it and Podman is rootless in it, as on an operator's machine. What it lacks: cgroup controllers
  (so no MemoryMax, no TasksMax), a network, a registry.
- Two hosts at once would share one cgroup, and both managers would believe they own it. A lock holds off the second
  one, whatever process it comes from, until the first is down.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from . import rootfs

BOOT_SECONDS = 60.0
POWER_OFF_SECONDS = 60.0
POLL_SECONDS = 0.05
SERVICE_USER = "prometheus-quant"

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class HostError(RuntimeError):
    """The test host did not do what it was told; the message holds what it said."""


class Host:
    """A throw-away Debian host in ``work``; a context manager that leaves nothing behind.

    It ends with the process that booted it, also when that is killed: a host that nobody waits for would share its
    cgroup with the next one. Its tree is removed by the next host then. A host that is handled from the command line
    outlives each call and is ``lasting``.

    Attributes:
        root: its file tree, which is a plain directory of this machine.
        suite: which Debian a fresh tree is of.
    """

    def __init__(self, work: Path, *, lasting: bool = False) -> None:
        self.work = work
        self._lasting = lasting
        self.root = work / "root"
        self.suite = rootfs.SUITE
        self._pid_file = work / "nspawn.pid"
        self._console = work / "console.log"
        self._lock: IO[str] | None = None
        self._nspawn: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Host:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    # ---- life ------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Boot it, unpacking a fresh tree when there is none.

        Raises:
            HostError: when it does not come up in time, with the end of its console.
        """
        os.umask(0o022)  # what is put into the host must be readable there, whoever's session this is
        self._take_lock()
        if self._leader() is not None:
            return
        if not self.root.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            rootfs.unpack(self.root, self.suite)
        self._boot()

    def _take_lock(self) -> None:
        if self._lock is None:
            lock = (rootfs.cache_dir() / "host.lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._lock = lock
            rootfs.remove_orphans()

    def _boot(self) -> None:
        tun = self.work / "tun"  # our own node: /dev of this machine stays as it is
        if not tun.exists():
            os.mknod(tun, 0o020666, os.makedev(10, 200))
            tun.chmod(0o666)
        environment = dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1", SYSTEMD_NSPAWN_API_VFS_WRITABLE="network")
        environment.pop("NOTIFY_SOCKET", None)
        guarded = [] if self._lasting else ["setpriv", "--pdeathsig", "KILL", "--"]
        command = [
            *guarded, "systemd-nspawn", "--quiet", f"--directory={self.root}", "--register=no", "--keep-unit",
            "--console=read-only", "--machine=lab", "--system-call-filter=add_key keyctl bpf", "--private-network",
            f"--bind={tun}:/dev/net/tun", "--resolv-conf=off", "--timezone=off", "--boot",
        ]  # fmt: skip
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self._pid_file.write_text(str(self._nspawn.pid))
        until = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < until:
            if self._nspawn.poll() is not None:
                raise HostError(f"systemd-nspawn ended: {self._last_words()}")
            if self._leader() and self.ask("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}:
                return
            time.sleep(POLL_SECONDS)
        raise HostError(f"not up after {BOOT_SECONDS:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        return self._console.read_text(errors="replace")[-800:]

    def _leader(self) -> int | None:
        """The pid, on this machine, of the host's own PID 1; None while it is down."""
        try:
            nspawn = self._pid_file.read_text()
            children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
            return next((int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"), None)
        except FileNotFoundError:
            return None

    def is_up(self) -> bool:
        """Whether it is booted."""
        return self._leader() is not None

    def power_off(self) -> None:
        """Shut it down as ``systemctl poweroff`` does."""
        self._down(plug=False)

    def pull_the_plug(self) -> None:
        """Kill its PID 1: no unit is stopped, no file is closed. The page cache survives, so no write is torn."""
        self._down(plug=True)

    def reboot(self) -> None:
        """Shut it down and boot it again; the lock is held all the while."""
        self._down(plug=False)
        self._boot()

    def _down(self, *, plug: bool) -> None:
        if not self._pid_file.exists():
            return
        nspawn, leader = int(self._pid_file.read_text()), self._leader()
        if leader is not None and not plug:
            self.ask("systemctl", "poweroff")
            if self._gone(nspawn, POWER_OFF_SECONDS):
                leader = None
        if leader is not None:
            os.kill(leader, signal.SIGKILL)
        if not self._gone(nspawn, 15.0):
            os.kill(nspawn, signal.SIGKILL)
            self._gone(nspawn, 15.0)
        self._pid_file.unlink(missing_ok=True)

    def _gone(self, pid: int, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._nspawn is not None and self._nspawn.pid == pid:
                if self._nspawn.poll() is not None:
                    return True
            elif not Path(f"/proc/{pid}").exists():
                return True
            time.sleep(POLL_SECONDS)
        return False

    def destroy(self) -> None:
        """Pull the plug, remove the tree, let the next host in."""
        self._down(plug=True)
        rootfs.remove(self.root)
        shutil.rmtree(self.work, ignore_errors=True)
        self.let_go()

    def let_go(self) -> None:
        """Let the next host in without ending this one's tree (the command line does, after each call)."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # ---- use -------------------------------------------------------------------------------------------------------

    def command(self, *words: str, user: str | None = None) -> list[str]:
        """The command line, on this machine, that runs ``words`` inside as root or as ``user``.

        As a user it has the runtime directory of the user's lingering manager, so that Podman sees the store and the
        pause process that the units see.
        """
        into = ["nsenter", "-t", str(self._leader()), "-m", "-u", "-i", "-p", "-n", "-C", "--", "env", "-i"]
        into += [f"PATH={SEARCH_PATH}", "LANG=C.UTF-8", "SYSTEMD_PAGER=cat"]
        if user is not None:
            uid, home = self._account(user)
            into += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--init-groups", "env", "-C", "/", f"HOME={home}"]
            into += [f"USER={user}", f"XDG_RUNTIME_DIR=/run/user/{uid}"]
            into += [f"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus"]
        return [*into, *words]

    def on_its_network(self, *words: str) -> list[str]:
        """The command line that runs a program of this machine with its files, on the host's network."""
        return ["nsenter", "-t", str(self._leader()), "-n", "--", *words]

    def _account(self, user: str) -> tuple[int, str]:
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, _, _, home, _ = line.split(":")
            if name == user:
                return int(uid), home
        raise HostError(f"the host has no user {user}")

    def user_id(self, user: str) -> int:
        """The number of a user of the host."""
        return self._account(user)[0]

    def ask(self, *words: str, user: str | None = None, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside and hand back whatever came of it."""
        if self._leader() is None:
            raise HostError(f"the host is down: {self._last_words()}")
        return subprocess.run(
            self.command(*words, user=user), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=timeout, check=False,
        )  # fmt: skip

    def do(self, *words: str, user: str | None = None, timeout: float = 300.0) -> str:
        """Run a command inside that must succeed; returns what it printed.

        Raises:
            HostError: when it ends with another code than 0, with all it said.
        """
        ended = self.ask(*words, user=user, timeout=timeout)
        if ended.returncode != 0:
            raise HostError(f"{' '.join(words)} ended {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def shell(self, script: str, user: str | None = None, timeout: float = 300.0) -> str:
        """Run a bash script inside that must succeed; errors as `do`."""
        return self.do("bash", "-euc", script, user=user, timeout=timeout)

    def put(self, source: Path, place: str, mode: int | None = None) -> Path:
        """Copy a file or a directory of this machine to ``place`` inside; owner root."""
        target = self.inside(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
        if mode is not None:
            target.chmod(mode)
        return target

    def write(self, place: str, text: str, mode: int = 0o644) -> Path:
        """Write a file inside; owner root."""
        target = self.inside(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        return target

    def inside(self, place: str) -> Path:
        """The path, on this machine, of ``place`` inside. Not for places under /run, /tmp or /dev: those are mounts."""
        return self.root / place.lstrip("/")

    def wait_until(self, what: str, check: Sequence[str], wanted: str, seconds: float) -> float:
        """Run ``check`` until it prints ``wanted``; returns how many seconds that took.

        Raises:
            HostError: when it does not within ``seconds``; the message begins with ``what``.
        """
        began = time.monotonic()
        said = ""
        while time.monotonic() - began < seconds:
            said = self.ask(*check).stdout.strip()
            if said == wanted:
                return time.monotonic() - began
            time.sleep(POLL_SECONDS)
        raise HostError(f"{what}: {' '.join(check)} still prints {said!r}, not {wanted!r}, after {seconds:g} s")
