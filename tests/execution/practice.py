"""The venue as a process on the loopback, for tests: beside what the product does with it, it is disturbed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus.cli.research.practice.practice_venue import VenueLine, VenueProcess
from prometheus.v10.execution.adapters.library_choice import facts_of_library
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError

BTC = "BTC-USDT-SWAP"


def is_here(library: str) -> bool:
    """Whether a library is installed in this environment."""
    try:
        return bool(facts_of_library(library).sha256)
    except MisconfiguredError:
        return False


class Disturbed(VenueLine):
    """What tests do over the admin socket; ports that were made are closed by `hang_up`.

    ``PQ_LIBRARY`` names the library that every test of this folder sends through.
    """

    library = os.environ.get("PQ_LIBRARY", VenueLine.library)

    _ports: list[OkxRestPort]

    def __init__(self, said: Mapping[str, Any], place: Path) -> None:
        super().__init__(said, place)
        self._ports = []

    @property
    def address(self) -> str:
        return str(self.said["address"])

    def port(self, *given: Any, **named: Any) -> OkxRestPort:
        self._ports.append(made := super().port(*given, **named))
        return made

    def hang_up(self) -> None:
        for port in self._ports:
            port.close()
        self._ports.clear()

    def inject(self, fault: str, path: str = "", count: int = 0, **arguments: object) -> int:
        target: dict[str, object] = {"uid": self.uid()} if not path else {"path": path}
        if count:
            target["count"] = count
        return int(self.admin(do="inject", fault=fault, target=target, arguments=arguments)["number"])

    def clear(self) -> None:
        self.admin(do="clear")

    def uid(self, who: str = "demo main") -> str:
        return str(self.said["keys"][who]["uid"])

    def requests(self, method: str = "POST", path: str = "trade/order") -> list[dict]:
        """What the tail of the venue's own journal says about requests, bodies included."""
        lines = self.admin(do="journal", count=100_000)["entries"]
        found = [line.get("data", line) for line in lines if line.get("kind") == "request"]
        return [one for one in found if one["method"] == method and one["target"].partition("?")[0].endswith(path)]


class PracticeVenue(VenueProcess, Disturbed):
    """A venue of a test's own."""

    def close(self) -> None:
        self.hang_up()
        super().close()
