"""A network namespace that has the loopback and nothing else, for as long as a context lasts (Linux, root)."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from attrs import define

Result = TypeVar("Result")
CLONE_NEWNET = 0x40000000


@define(frozen=True)
class Loopback:
    """The namespace, kept by a sleeping process."""

    pid: int

    def command(self, argv: Sequence[str]) -> list[str]:
        """A command that runs inside."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *argv]

    def interfaces(self) -> list[str]:
        """Names of all interfaces inside."""
        lines = Path(f"/proc/{self.pid}/net/dev").read_text(encoding="ascii").splitlines()[2:]
        return [line.partition(":")[0].strip() for line in lines]

    def run(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` in a thread that has moved inside, and that ends with it; its error is raised here."""
        results: list[Result] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                place = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
                try:
                    if ctypes.CDLL(None, use_errno=True).setns(place, CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(place)
                results.append(work())
            except BaseException as error:  # noqa: BLE001  raised again below, in the caller's thread
                errors.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]


def unavailable() -> str | None:
    """Why there can be no such namespace here; None where there can."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    attempt = ["unshare", "--net", "ip", "link", "set", "lo", "up"]
    tried = subprocess.run(attempt, capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no network namespace can be made here: {tried.stderr.strip()}"


@contextmanager
def loopback_alone() -> Iterator[Loopback]:
    """Make the namespace, and let it go at the end."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        yield Loopback(holder.pid)
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
