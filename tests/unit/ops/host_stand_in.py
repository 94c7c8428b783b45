"""Stand-ins for what a test machine may not have: systemd's manager, and a journal that shows what it heard."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus.v10.ops.host.runner import Account, Ended
from prometheus.v10.ops.host.systemd import Systemd


class JournalSocket:
    """Where journald would listen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._heard: list[dict[str, str]] = []

    def entries(self) -> list[dict[str, str]]:
        """Everything heard since the beginning."""
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self._heard
            self._heard.append(dict(line.split("=", 1) for line in text.splitlines()))

    def close(self) -> None:
        self._socket.close()


class Commanded(Systemd):
    """A manager that says whether this process may command it."""

    def __init__(self, runner, *, root: bool) -> None:
        super().__init__(runner)
        self._root = root

    def may_command(self) -> bool:
        return self._root


class FakeSystemd:
    """A `Runner` that answers ``systemctl`` from a table of units and their states."""

    def __init__(
        self,
        active: Mapping[str, str],
        *,
        deaf: bool = False,
        rests_after: int = 1,
        properties: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.active = dict(active)
        self.asked: list[tuple[str, ...]] = []
        self._deaf = deaf
        self._rests_after = rests_after
        self._properties = properties or {}

    def manager(self, *, root: bool = True) -> Systemd:
        return Commanded(self, root=root)

    def commands(self) -> list[list[str]]:
        """Every systemctl command, without its first word."""
        return [list(words[1:]) for words in self.asked if words[0] == "systemctl"]

    def __call__(
        self,
        words: Sequence[str],
        *,
        account: Account | None = None,  # noqa: ARG002  (the protocol's names)
        environ: Mapping[str, str] | None = None,  # noqa: ARG002
        timeout: float = 60.0,  # noqa: ARG002
    ) -> Ended:
        self.asked.append(tuple(words))
        if self._deaf:
            return Ended(tuple(words), 1, "", "Failed to connect to bus")
        return Ended(tuple(words), 0, self._answer(list(words)), "")

    def _answer(self, words: list[str]) -> str:
        if words[:2] == ["systemctl", "list-units"]:
            shown = "".join(
                f"{name} loaded {state} {'running' if state == 'active' else 'dead'} Prometheus\n"
                for name, state in self.active.items()
                if "stage" in name
            )
            self._rest()
            return shown
        if words[:2] == ["systemctl", "show"]:
            found = {"ActiveState": self.active.get(words[2], "inactive"), **self._properties.get(words[2], {})}
            self._rest()
            asked = [word.removeprefix("--property=") for word in words[3:] if word.startswith("--property=")]
            return "".join(f"{name}={found[name]}\n" for name in asked if name in found)
        return ""

    def _rest(self) -> None:
        """Whatever is active comes to rest after it was asked about a few times."""
        self._rests_after -= 1
        if self._rests_after <= 0 and not self._properties:
            self.active = dict.fromkeys(self.active, "inactive")
