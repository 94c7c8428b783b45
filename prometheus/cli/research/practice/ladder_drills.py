"""The drills of the C ladder: sessions of the shipped command on one venue, disturbed from outside.

Each session is a process of its own (``prometheus-quant demo --venue``), in an installation of the ladder's own. What
is done to it comes from outside, as it would to an operator: a fault of the venue over its admin socket, the STOP file
by ``prometheus-quant stop``, SIGKILL by process id, a profile that asks for what cannot be. What came of it is read
from files alone (`prometheus.v10.report.rungs`); nothing that this module knows goes into a verdict.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, frozen

from prometheus.cli.research.practice.practice_venue import MAIN, VenueProcess
from prometheus.v10.base.clock import SystemClock, utc_text
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.files import write_new
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.text import printable
from prometheus.v10.evidence.catalog import runs
from prometheus.v10.evidence.records.codec import to_json_bytes
from prometheus.v10.report.rungs.ladder_evidence import SAID, STARTS, VENUE_JOURNAL
from prometheus.v10.report.rungs.ladder_records import LadderStart
from prometheus.v10.runs.request.profile import find_profile

PROFILE: Final = "PRACTICE"
QUARTER_S: Final = 900
BY: Final = "ladder drill"
POLL_S: Final = 0.02
LONGEST_S: Final = 3_600.0
"""A session that takes longer hangs: it is killed, and judged as it stands."""
ROUNDS_BEFORE: Final = 2
"""Bars that a session has traded when it is disturbed."""
BARS_DISTURBED: Final = 48
"""Bars of a session that a drill ends: more than it comes to."""
DAY_S: Final = 86_400
SESSIONS: Final = 7
DISTURBANCES: Final = (
    ("refused.timeout", "market/candles", 1, 1),
    ("load.50001", "market/candles", 3, 1),
    ("refused.502", "market/books", 1, 1),
    ("refused.reset", "market/books", 3, 1),
    ("accepted.reset", "trade/order", 1, 1),
)
"""Fault, part of the path, first call that it acts on, how many: paths that a session asks for once it trades."""
MORE_THAN_IT_HAS: Final = 50_000
"""Agents that the venue's account could not pay for."""
CUT_S: Final = 3.0
"""Real seconds in which nobody listens at the venue's address."""


@frozen(kw_only=True)
class Size:
    """How long the long session is, and how many agents trade.

    Attributes:
        bars: of the long session, each of ``bar_seconds`` of the venue's time.
        disturbed: bars of the session that is disturbed by faults.
        agents: founders, at most.
        seed: of venue and population.
        library: adapter that sends.
    """

    bars: int
    bar_seconds: int
    disturbed: int
    agents: int
    seed: int
    library: str

    def days(self) -> int:
        """Days of market that all drills need together."""
        others = 3 * BARS_DISTURBED + self.disturbed + SESSIONS  # each waits for a bar to begin
        return 1 + -(-(self.bars * self.bar_seconds + others * QUARTER_S) // DAY_S)


@define
class Drills:
    """See the module.

    Attributes:
        root: the ladder's own installation.
        venue: where all sessions trade.
        tell: hears of each drill when it begins.
    """

    root: Path
    venue: VenueProcess
    size: Size
    tell: Callable[[str], None]

    def all(self) -> None:
        """Every drill, one after the other.

        Raises:
            HostError: when the ladder's own files cannot be written, or the venue is gone.
        """
        (self.root / STARTS).mkdir()
        write_new(self.root / SAID, [json.dumps(dict(self.venue.said), sort_keys=True).encode() + b"\n"])
        self._refused()
        self._whole()
        self._stopped()
        self._killed()
        self._disturbed()
        self._cut_off()
        self._contradicted()

    # ---- the drills

    def _refused(self) -> None:
        self._profile(QUARTER_S, least=MORE_THAN_IT_HAS)
        self._session("a profile that asks for what the account cannot give", 1)

    def _whole(self) -> None:
        self._profile(self.size.bar_seconds)
        self._session("the long session", self.size.bars)

    def _stopped(self) -> None:
        self._profile(QUARTER_S)
        self._session("STOP", BARS_DISTURBED, lambda _: self._quant("stop", "--reason", BY))
        self._quant("clear-stop", "--reason", "the drill is over")
        newest = next(runs(self._layout), None)
        if newest is not None:
            self._quant("incident", newest.run_id, "--label", "stop_drill")

    def _killed(self) -> None:
        self._session("SIGKILL", BARS_DISTURBED, lambda process: process.kill())

    def _disturbed(self) -> None:
        for fault, path, first, count in DISTURBANCES:
            target = {"path": path, "first": first, "count": count}
            self.venue.admin(do="inject", fault=fault, target=target, arguments={})
        self._session("time-outs, resets, refusals", self.size.disturbed)
        self.venue.admin(do="clear")

    def _cut_off(self) -> None:
        self._session("a network that is cut", BARS_DISTURBED, lambda _: self._cut())
        time.sleep(CUT_S)
        self.venue.admin(do="clear")
        self._release()

    def _cut(self) -> None:
        """The connection that is there is reset, and no other is taken."""
        self.venue.admin(do="inject", fault="load.refused", target={}, arguments={"seconds": CUT_S})
        address = urlsplit(self.venue.said["address"])
        with suppress(ConnectionRefusedError):
            for _ in range(round(CUT_S / 2 / POLL_S)):
                socket.create_connection((address.hostname or "", address.port or 0), CUT_S).close()
                time.sleep(POLL_S)
        self.venue.admin(do="inject", fault="refused.reset", target={"count": 1}, arguments={})

    def _contradicted(self) -> None:
        wrong = {"do": "inject", "fault": "lie.balance", "target": {"uid": self.venue.said["keys"][MAIN]["uid"]},
                 "arguments": {"usdt": "100"}}  # fmt: skip
        self._session("a balance that is not ours", BARS_DISTURBED, lambda _: self.venue.admin(**wrong))
        self.venue.admin(do="clear")
        self._release()

    # ---- how

    @property
    def _layout(self) -> Layout:
        return Layout.under(self.root)

    def _profile(self, bar_seconds: int, least: int = 1) -> None:
        """The shipped profile in the ladder's own installation, with the length of a bar and the number of agents."""
        text = find_profile(PROFILE, Layout.under(self.root / "none")).read_text("utf-8")
        most = max(least, self.size.agents)
        for key, value in (("timeframe_s", bar_seconds), ("least_agents", least), ("most_agents", most)):
            text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        place = self._layout.profiles / f"{PROFILE}.toml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")

    def _session(self, drill: str, bars: int, disturb: Callable[[subprocess.Popen[bytes]], Any] | None = None) -> None:
        """One session as a process; ``disturb`` is called once it has traded some bars. How it ended is kept."""
        self.tell(drill)
        clock, before = SystemClock(), {one.run_id for one in runs(self._layout)}
        begun, from_ms = utc_text(clock.now()), self.venue.now_ms()
        command = ["demo", "--bars", str(bars), "--seed", str(self.size.seed), "--library", self.size.library,
                   "--venue", str(self.root / SAID)]  # fmt: skip
        process = self._started(command)
        if disturb is not None and self._trades(process, before):
            disturb(process)
        try:
            _, err = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, err = process.communicate()
        to_ms = self.venue.now_ms()
        self.venue.pause(1)
        new = sorted({one.run_id for one in runs(self._layout)} - before)
        number = len(list((self.root / STARTS).iterdir())) + 1
        record = LadderStart(
            drill=drill, command=command, began=begun, ended=utc_text(clock.now()), exit_code=process.returncode,
            runs=new, venue_from_ms=from_ms, venue_to_ms=to_ms,
            stderr=printable(err.decode("utf-8", "replace").rstrip()),
        )  # fmt: skip
        write_new(self.root / STARTS / f"start_{number:02d}.json", [to_json_bytes(record)])

    def _started(self, command: list[str]) -> subprocess.Popen[bytes]:
        whole = [sys.executable, "-m", "prometheus.cli", *command, "--root", str(self.root), "--json"]
        return subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def _trades(self, process: subprocess.Popen[bytes], before: set[str]) -> bool:
        """Wait until a session has traded some bars; False where it ended before."""
        while process.poll() is None:
            for one in runs(self._layout):
                place = one.path / Artifact.NETTING_ROUNDS
                with suppress(FileNotFoundError):
                    if one.run_id not in before and place.read_bytes().count(b"\n") >= ROUNDS_BEFORE:
                        return True
            time.sleep(POLL_S)
        return False

    def _quant(self, *command: str) -> dict[str, Any]:
        """Another command of the suite, to its end; what it printed, where it printed an object."""
        process = self._started(list(command))
        out, _ = process.communicate(timeout=LONGEST_S)
        try:
            said = json.loads(out)
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    def _release(self) -> None:
        """Release the halt that a drill led to, as an operator does; nothing where trading is not halted."""
        if self._quant("execution", "state", PROFILE).get("halt") is not None:
            self._quant("execution", "release", PROFILE, "--by", BY, "--why", "the drill is over")


def drill(root: Path, size: Size, tell: Callable[[str], None], short: Path) -> None:
    """Do every drill in a new installation ``root``; the venue's journal lies in it.

    Args:
        root: does not exist yet.
        size: of the sessions.
        tell: hears of each drill when it begins.
        short: a folder with a short name, for the venue's socket.

    Raises:
        HostError: when the venue does not start, or a file cannot be written.
    """
    with VenueProcess(short, "--seed", str(size.seed), "--days", str(size.days())) as venue:
        try:
            root.mkdir(parents=True)
        except OSError as error:
            raise HostError(f"cannot create {root}: {error.strerror}", hint="choose another --root") from error
        try:
            Drills(root, venue, size, tell).all()
        finally:
            venue.close()
            write_new(root / VENUE_JOURNAL, [venue.journal.read_bytes()])
