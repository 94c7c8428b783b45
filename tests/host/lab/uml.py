"""A virtual machine without KVM: the test host's own tree under User-Mode Linux, for what systemd-nspawn cannot show.

It has the controllers of cgroup v2, quotas and a clock of its own. It has one processor and is slow, so everything is
told to wait longer. The kernel is Debian's package user-mode-linux, fetched with apt, unpacked, never installed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from .host import Host
from .rootfs import cache_dir

MEMORY = "2500M"
DISK = "6G"
MODULES = ("tun", "fuse", "overlay", "loop", "quota_v2", "quota_tree", "veth")
MARK = "PQ|"
JOB = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=journal+console
StandardError=journal+console
ExecStartPre=/bin/chmod 666 /dev/net/tun
ExecStart=/bin/bash /srv/job.sh
ExecStopPost=/usr/bin/systemctl poweroff --force
TimeoutStartSec=infinity
"""


def kernel() -> Path | None:
    """The directory of the unpacked package; None where apt has none."""
    place = cache_dir() / "uml"
    if not place.is_dir():
        part = cache_dir() / f"uml.{os.getpid()}.part"
        part.mkdir()
        words = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "user-mode-linux"]
        fetched = subprocess.run(words, cwd=part, capture_output=True, check=False).returncode == 0
        found = next(part.glob("*.deb"), None)
        if not fetched or found is None:
            shutil.rmtree(part)
            return None
        subprocess.run(["dpkg-deb", "-x", str(found), str(part)], check=True)
        found.unlink()
        part.rename(place)
    return place


def shim(uml: Path) -> Path:
    """`xstate.c`, compiled; errors as the compiler's."""
    place = uml / "xstate.so"
    source = Path(__file__).with_name("xstate.c")
    if not place.is_file() or place.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(place), str(source), "-ldl"], check=True)
    return place


def why_not() -> str | None:
    """What keeps the virtual machine from running here, or None."""
    if kernel() is None:
        return "apt has no package user-mode-linux here"
    if has_tiles() and shutil.which("cc") is None:
        return (
            "this processor's registers are larger than the lab's kernel knows, and there is no C compiler to help it"
        )
    return None


def has_tiles() -> bool:
    """Whether the processor has AMX."""
    return " amx_tile" in Path("/proc/cpuinfo").read_text()


def run(host: Host, job: str, seconds: float) -> list[str]:
    """Boot the tree of a host that is down, run a bash script as root in it; returns the lines it marked with `MARK`.

    The tree is changed for that: the host is not booted again.

    Raises:
        RuntimeError: when it does not come to an end in time, with the end of its console.
    """
    uml = kernel()
    if uml is None:
        raise RuntimeError("there is no kernel to boot")
    (modules,) = (uml / "usr/lib/uml/modules").iterdir()
    shutil.copytree(modules, host.inside(f"/usr/lib/modules/{modules.name}"), dirs_exist_ok=True)
    host.write("/etc/modules-load.d/lab.conf", "\n".join([*MODULES, ""]))
    host.inside("/etc/containers/containers.conf.d/90-lab.conf").unlink(missing_ok=True)  # the controllers are here
    host.write("/etc/fstab", "/dev/ubda / ext4 defaults,usrquota 0 1\n")
    host.write("/srv/job.sh", job)
    host.write("/etc/systemd/system/job.service", JOB)
    wanted = host.inside("/etc/systemd/system/multi-user.target.wants/job.service")
    wanted.parent.mkdir(parents=True, exist_ok=True)
    wanted.symlink_to("../job.service")
    disk, console = host.work / "disk.img", host.work / "uml.log"
    make = ["mke2fs", "-q", "-t", "ext4", "-d", str(host.root), "-F", str(disk), DISK]
    subprocess.run(make, check=True, capture_output=True)
    boot = ["setpriv", "--pdeathsig", "KILL", "--", str(uml / "usr/bin/linux.uml"), f"mem={MEMORY}", f"ubda={disk}",
            "root=/dev/ubda", "rw", "con0=null,fd:1", "con1=null", "con=null", "console=tty0", "systemd.show_status=0",
            f"uml_dir={host.work}", "umid=uml"]  # fmt: skip
    environ = {**os.environ, "TMPDIR": "/dev/shm"}
    if has_tiles():
        environ["LD_PRELOAD"] = str(shim(uml))
    with console.open("wb") as out:
        machine = subprocess.Popen(
            boot, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environ, process_group=0
        )  # fmt: skip
    try:
        machine.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"no end after {seconds:g} s: {console.read_text(errors='replace')[-3000:]}") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(machine.pid, signal.SIGKILL)  # each of its processes is one of this machine's
        machine.wait()
        disk.unlink(missing_ok=True)
    said = console.read_text(errors="replace")
    found = re.findall(rf"{re.escape(MARK)}(.*?)\r?\n", said)
    if "the end" not in found:
        raise RuntimeError(f"the job was cut off: {said[-3000:]}")
    return found
