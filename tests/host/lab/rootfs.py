"""The test host's file tree: a tarball of Debian, made once by mmdebstrap and kept until its recipe changes.

The name of the tarball holds a hash of the recipe, so a changed package list makes a new one. Nothing of the project
is in it: a test installs the project as an operator would.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

SUITE = "trixie"
OLD_SUITE = "bookworm"
"""Debian 12: what works there is tested, and what does not is what ``doctor`` says."""
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "kmod", "iproute2", "procps"),
    *("podman", "crun", "conmon", "uidmap", "passt", "netavark", "python3", "e2fsprogs", "quota", "zstd"),
)
OPTIONS = (
    "--variant=minbase",
    '--aptopt=Apt::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    '--customize-hook=rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*',
)
QUIET_UNITS = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "netavark-dhcp-proxy.socket")
"""Units of the tree that would do work of their own in the middle of a test."""

REMOVE_ATTEMPTS = 20

NO_CONTROLLERS = (
    "# This machine hands no cgroup controllers down; a normal host has them.\n[containers]\npids_limit = 0\n"
)


def cache_dir() -> Path:
    """Where tarballs are kept between sessions: ``$PROMETHEUS_LAB_CACHE``, else a folder of /var/tmp.

    Raises:
        SystemExit: 78, with one line, when another user could have filled it.
    """
    place = Path(os.environ.get("PROMETHEUS_LAB_CACHE", "/var/tmp/prometheus-quant-lab"))
    checker = Path(__file__).resolve().parents[3] / "containers/private_dir.py"
    done = subprocess.run(
        [sys.executable, "-IB", str(checker), str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise SystemExit(done.returncode)
    return Path(done.stdout.removesuffix("\n"))


def tarball(suite: str) -> Path:
    """The tree as a tarball, made if it is not there (half a minute)."""
    recipe = "\n".join([suite, *PACKAGES, *OPTIONS])
    kept = cache_dir() / f"rootfs-{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if not kept.exists():
        part = kept.with_suffix(f".{os.getpid()}.part.tar")
        try:
            subprocess.run(
                ["mmdebstrap", "--quiet", *OPTIONS, "--include=" + ",".join(PACKAGES), suite, str(part)], check=True
            )
            part.rename(kept)
        finally:
            part.unlink(missing_ok=True)
    return kept


def unpack(root: Path, suite: str = SUITE) -> None:
    """A fresh tree in ``root``, which must not exist yet: its own machine id, no timers of Debian's own."""
    tar = tarball(suite)
    root.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(root), "--numeric-owner", "-xpf", str(tar)], check=True)
    settings = root / "etc/containers/containers.conf.d"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "90-lab.conf").write_text(NO_CONTROLLERS)
    (root / "etc/hostname").write_text("lab\n")
    (root / "etc/machine-id").write_text("")  # systemd makes a fresh one at the first boot
    for unit in QUIET_UNITS:
        mask = root / "etc/systemd/system" / unit
        if not mask.is_symlink():
            mask.symlink_to("/dev/null")


def remove_orphans() -> None:
    """Remove the trees of hosts whose process is gone: ``host-PID`` and ``build-PID``; call it with the lock held."""
    for kind in ("host", "build"):
        for place in cache_dir().glob(f"{kind}-*"):
            pid = place.name.removeprefix(f"{kind}-")
            if pid.isdigit() and not Path(f"/proc/{pid}").exists():
                remove(place)


def remove(root: Path) -> None:
    """Remove a tree; the last processes of a host may still be on their way out, so it is tried for a while.

    Raises:
        OSError: when something in it is still in use.
    """
    for _ in range(REMOVE_ATTEMPTS):
        subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=False, capture_output=True)
        if not root.exists():
            return
        time.sleep(0.2)
    shutil.rmtree(root)
