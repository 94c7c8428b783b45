"""A unit of ours with another command, in its own sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .host import Host


@contextmanager
def instead(host: Host, unit: str, command: str) -> Iterator[None]:
    """The unit with another command, in its own sandbox."""
    place = f"/etc/systemd/system/{unit}.d/lab.conf"
    host.write(place, f"[Service]\nExecStart=\nExecStart={command}\n")
    host.do("systemctl", "daemon-reload")
    try:
        yield
    finally:
        host.inside(place).unlink()
        host.do("systemctl", "daemon-reload")
        host.ask("systemctl", "reset-failed", unit)  # it may be unloaded by now
