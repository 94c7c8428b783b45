"""An installation with months of history for a stranger to ask about, made by the product itself in moments.

``python -m tests.pages.stranger_root DIRECTORY [RUNS]`` makes one to look at. Its runs are small and its clock is not
the machine's, so that they spread from January to May 2026. Among them: a collapse, a run that a stop ended, one that
was killed and closed by the next start, one of which a byte was changed later, and a promoted run that was deleted.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from attrs import define, field

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service.serving import Request, serve
from prometheus.v10.ops.service.snapshotting import take_snapshot

FIRST, DAYS = datetime(2026, 1, 1, 6, tzinfo=UTC), 150
LEAST_RUNS = 40
PROFILE = """
mode = "offline"
workers = 1
[market]
{market}
[window]
name = "S"
start = 20
len = {length}
[experiments]
count = {count}
seed = 11
[world]
founders = 10
review_ticks = 50
death_roi = {death_roi}
breed_roi = {breed_roi}
[interesting]
deaths_at_least = 2
mass_death_share = 0.1
mass_death_review_share = 0.2
[evidence]
order_sample_one_in = 20
compress = false
[disk]
keep_free_bytes = 1048576
budget_bytes = 4294967296
"""
SYNTHETIC = "timeframe_s = 3600\nseed = 4\nbars = 400"
IMAGES = tuple((f"localhost/suite:{name}", "sha256:" + digit * 64) for name, digit in (("old", "a"), ("new", "b")))


class Clock:
    """A clock that moves a little with each look, and a lot when told; its tokens count."""

    def __init__(self, moment: datetime) -> None:
        self.moment, self.ticks, self.tokens = moment, 1000.0, 0

    def now(self) -> datetime:
        self.moment += timedelta(seconds=0.02)
        return self.moment

    def monotonic(self) -> float:
        self.ticks += 0.01
        return self.ticks

    def token(self, n_hex: int) -> str:
        self.tokens += 1
        return f"{self.tokens:0{n_hex}x}"[-n_hex:]


class Ending(Clock):
    """A clock that sends its process a signal once a run has filed so many bytes of deaths."""

    def __init__(self, clock: Clock, root: Path, which: signal.Signals) -> None:
        super().__init__(clock.moment)
        self.ticks, self.tokens, self.root, self.which = clock.ticks, clock.tokens, root, which
        self.before = {one.parent for one in root.glob("runs_hf/*/death_events.jsonl")}

    def monotonic(self) -> float:
        for one in self.root.glob("runs_hf/*/death_events.jsonl"):
            if one.parent not in self.before and one.stat().st_size > 3000:
                self.before.add(one.parent)
                os.kill(os.getpid(), self.which)
        return super().monotonic()


@define
class House:
    """The installation, and what a stranger is to find out about it.

    Attributes:
        ids: of the runs of the service's own kind, in the order of time.
    """

    layout: Layout
    clock: Clock
    ids: list[str] = field(factory=list)
    collapsed: str = ""
    stopped: str = ""
    killed: str = ""
    damaged: str = ""
    deleted: str = ""
    promoted: str = ""
    on_bars: list[str] = field(factory=list)

    @property
    def root(self) -> Path:
        return self.layout.lib

    def run(self, instance: str = "HF", *, profile: str | None = None) -> str:
        """One run of the service; returns its id."""
        return self._served(self.clock, instance, profile or instance)

    def _served(self, clock: Clock, instance: str, profile: str) -> str:
        before = self._there()
        request = Request(
            mode=Mode.OFFLINE, stage=Stage.STAGE1, instance=instance, layout=self.layout, profile=profile, max_runs=1
        )
        assert serve(request, clock, {}) == ExitCode.DONE
        (run_id,) = self._there() - before
        return run_id

    def stop(self) -> str:
        """A run that SIGTERM ends."""
        run_id = self._served(Ending(self.clock, self.root, signal.SIGTERM), "HF", "LONG")
        self.clock.tokens += 1
        return run_id

    def kill(self) -> str:
        """A run whose process is killed; the instance's next run closes it."""
        before = self._there()
        clock = Ending(self.clock, self.root, signal.SIGKILL)
        child = multiprocessing.get_context("fork").Process(target=self._served, args=(clock, "HF", "LONG"))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        self.clock.tokens += 1
        (run_id,) = self._there() - before
        return run_id

    def _there(self) -> set[str]:
        return {one.name for one in self.layout.runs(Tier.TIER1_HF).iterdir()}

    def ask(self, *words: str) -> str:
        """A command that must end well, by the house's own clock; what it printed."""
        out, err = io.StringIO(), io.StringIO()
        with self._time(), redirect_stdout(out), redirect_stderr(err):
            code = cli.main([*words, "--root", str(self.root)])
        assert code == 0, (words, out.getvalue(), err.getvalue())
        return out.getvalue()

    @contextmanager
    def _time(self) -> Iterator[None]:
        with patch.multiple(
            "prometheus.v10.base.clock.SystemClock",
            now=lambda _: self.clock.now(), token=lambda _, n: self.clock.token(n),
        ):  # fmt: skip
            yield


def make(root: Path, runs: int = LEAST_RUNS) -> House:
    """An installation with ``runs`` runs, the promoted ones aside."""
    layout = Layout.under(root)
    layout.prepare()
    house = House(layout, Clock(FIRST))
    layout.profiles.mkdir(parents=True, exist_ok=True)
    _bars(house)
    plain: dict[str, object] = {"market": SYNTHETIC, "length": 200, "count": 3, "death_roi": -0.05, "breed_roi": 0.01}
    profiles: dict[str, dict[str, object]] = {
        "HF": {},
        "BTC_1H": {"market": 'source = "BTC"', "count": 2},
        "HARSH": {"death_roi": 0.5, "breed_roi": 0.9, "count": 6},
        "LONG": {"length": 350, "count": 40, "death_roi": 0.0},
    }
    for name, changes in profiles.items():
        (layout.profiles / f"{name}.toml").write_text(PROFILE.format(**{**plain, **changes}))
    step = timedelta(days=DAYS) / runs
    special = {runs // 5: "collapse", 2 * runs // 5: "stop", 3 * runs // 5: "kill", 4 * runs // 5: "promote"}
    for k in range(runs):
        house.clock.moment = FIRST + k * step
        name, digest = IMAGES[k >= runs // 2]
        with patch.dict(os.environ, {"PQ_IMAGE": name, "PQ_IMAGE_DIGEST": digest}):
            _one(house, k, special.get(k, ""))
    house.damaged = next(
        one for one in house.ids[runs // 3 :] if one not in {house.collapsed, house.stopped, *house.on_bars}
    )
    _flip(layout.runs(Tier.TIER1_HF) / house.damaged / "death_events.jsonl")
    return house


def _one(house: House, k: int, what: str) -> None:
    if what == "collapse":
        house.collapsed = run_id = house.run(profile="HARSH")
    elif what == "stop":
        house.stopped = run_id = house.stop()
    elif what == "kill":
        house.killed = run_id = house.kill()
    elif k % 4 == 3:
        run_id = house.run("BTC_1H")
        house.on_bars.append(run_id)
    else:
        run_id = house.run()
    house.ids.append(run_id)
    if what == "promote":
        _keep(house)


def _keep(house: House) -> None:
    """What an operator does now and then: a snapshot, promotions, a deletion, an audit and a checkpoint."""
    journal = Journal.open(instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
    take_snapshot(house.layout, Stage.STAGE1, instance="HF", clock=house.clock, journal=journal)
    house.ask("promote", "--top-k", "2")
    promoted = sorted(one.name for one in house.layout.runs(Tier.TIER2_FULL).iterdir())
    house.deleted, house.promoted = promoted
    house.ask("retention", "--apply", "--run", house.deleted, "--reason", "superseded by another promotion")
    house.ask("audit")
    house.ask("ledger", "checkpoint", "--out", str(house.root.parent / f"{house.root.name}.checkpoint"))


def _bars(house: House) -> None:
    """A market of 500 hours, imported."""
    place = house.root.parent / "bars.csv"
    rows = [
        f"{1704067200 + 3600 * n},{100 + n % 7},{102 + n % 7},{99 + n % 7},{101 + n % 7},{1 + n % 3}"
        for n in range(500)
    ]
    place.write_text("time,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    house.ask("market", "import", str(place), "BTC", "--symbol", "BTC-USDT")


def _flip(place: Path) -> None:
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(bytes(data))


if __name__ == "__main__":
    made = make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else LEAST_RUNS)
    sys.stdout.write(
        json.dumps({name: getattr(made, name) for name in ("collapsed", "stopped", "killed", "damaged", "deleted")})
    )
