"""Build the container images in a test host, for machines that have no Podman of their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .host import Host
from .rootfs import cache_dir

BUILDER = "builder"
SUBORDINATES = "200000-265535"
SCRIPT = Path(__file__).resolve().parents[3] / "containers/podman-build.sh"


def build(context: Path, out: Path) -> None:
    """Run ``containers/podman-build.sh`` on ``context`` as an ordinary user of a fresh host; results go to ``out``.

    Raises:
        HostError: when a step fails, with what it said.
    """
    with Host(cache_dir() / f"build-{os.getpid()}") as host:
        host.do("useradd", "--create-home", BUILDER)
        host.do("usermod", "--add-subuids", SUBORDINATES, "--add-subgids", SUBORDINATES, BUILDER)
        host.do("loginctl", "enable-linger", BUILDER)
        host.wait_until(
            "the builder's manager", ("systemctl", "is-active", f"user@{host.user_id(BUILDER)}"), "active", 20
        )
        home = f"/home/{BUILDER}"
        host.put(context, f"{home}/context")
        host.put(SCRIPT, f"{home}/podman-build.sh", 0o755)
        host.shell(f"chown -R {BUILDER}: {home}")
        host.do(f"{home}/podman-build.sh", f"{home}/context", f"{home}/built", user=BUILDER, timeout=1800)
        shutil.copytree(host.inside(f"{home}/built"), out)
