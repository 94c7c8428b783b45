"""Whatever an operator does in whatever order (evolve, kill, judge, promote, retain), nothing false is found.

``PQ_LIFE_ACTS`` acts (6 by default; ``make torture`` asks for 500) are drawn by ``PQ_LIFE_SEED``. Each is a command
that an operator types. Between them everything is verified, audited, and now and then replayed. Where the number of
acts is asked for, another process audits the same tree again and again while they go on: moments that meet by chance
belong to a long drill. No answer may be a finding, a traceback or a missing file.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.retention.retention_apply import apply
from prometheus.v10.ops.retention.retention_plan import RetentionPolicy, plan
from tests.callbacks import never
from tests.forger.house import BASE, JUDGE, random_judges, random_profiles

BESIDE = "PQ_LIFE_ACTS" in os.environ
ACTS = int(os.environ.get("PQ_LIFE_ACTS", "4"))
SEED = int(os.environ.get("PQ_LIFE_SEED", "5"))
COMMAND = Path(sys.executable).with_name("prometheus-quant")
GATE_ONLY = ("entry_m7_below", "exit_c4_above", "long_only")
POLICIES = ("walk", "sample", "fixed")
RETENTION = ("raw_days", "compress_days", "events_days", "snapshot_days")
LOOKS = (
    ("status",), ("status", "--json"), ("runs", "list"), ("kpi",), ("progress",), ("index", "build"),
    ("pool", "show"), ("pool", "verify"), ("ledger", "show"), ("snapshot", "list"), ("snapshot", "verify"),
    ("metrics",), ("report", "latest"), ("phylogeny", "latest", "--output", "-"), ("retention", "--dry-run"),
)  # fmt: skip
GATE: dict[str, Any] = {
    "ablations": ["M_zeroed"],
    "market": {"source": "synthetic", "timeframe_s": 3600, "seed": 4, "bars": 360},
    "windows": [{"name": "W1", "start": 0, "len": 180}, {"name": "W2", "start": 180, "len": 180}],
    "world": {"founders": 6, "review_ticks": 60, "death_roi": -0.05, "breed_roi": 0.01},
    "paths": {"count": 41, "seeds": 2}, "signs": {"draws": 5},
}  # fmt: skip
QUIET = {0, 2, 64, 65, 75, 78}
"""How a command may end beside success: with nothing to do, or nothing there. Whatever it says has one line."""


def toml_of(tables: dict[str, Any]) -> str:
    """A profile's text."""

    def value(one: Any) -> str:
        if isinstance(one, dict):
            return "{" + ", ".join(f"{key} = {value(each)}" for key, each in one.items()) + "}"
        if isinstance(one, list):
            return "[" + ", ".join(map(value, one)) + "]"
        return "inf" if one == float("inf") else json.dumps(one)

    return "".join(f"{key} = {value(one)}\n" for key, one in tables.items())


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    tables = {key: {**one, **changes.get(key, {})} if isinstance(one, dict) else changes.get(key, one)
              for key, one in base.items()}  # fmt: skip
    return {**changes, **tables}


class Life:
    """One installation, and what was done to it."""

    def __init__(self, root: Path) -> None:
        self.root, self.layout, self.draw = root, Layout.under(root), random.Random(SEED)
        self.profiles, self.judges = random_profiles(SEED), random_judges(SEED)
        self.done: list[str] = []
        self.grown = 0

    def do(self, *words: str, kill_after: float | None = None, allowed: frozenset[int] = frozenset({0})) -> int:
        """Type a command; ``kill_after`` seconds it is killed, or asked to stop."""
        self.done.append(" ".join(words))
        process = subprocess.Popen([COMMAND, *words, "--root", str(self.root)], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)  # fmt: skip
        try:
            said, _ = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.send_signal(self.draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            said, _ = process.communicate()
            allowed |= {-signal.SIGKILL, -signal.SIGTERM, 0, 75}
        assert "Traceback" not in said, (self.done[-3:], said)
        assert process.returncode in allowed, (self.done[-3:], process.returncode, said[-3000:])
        return process.returncode

    # ---- acts

    def evolve(self) -> None:
        """One run of a drawn profile, or a few eras; some are killed."""
        changes, _, _ = next(self.profiles)
        for fence in GATE_ONLY:
            changes["world"].pop(fence, None)
        text = toml_of(merged(BASE, {**changes, "evidence": {"compress": self.draw.random() < 0.7}}))
        killed = self.draw.choice([None, None, self.draw.uniform(0.3, 3.0)])
        self.run(text, self.draw.choice("ABC"), eras=self.draw.choice([1, 1, 3]), kill_after=killed)

    def run(self, text: str, instance: str, *, eras: int = 1, kill_after: float | None = None) -> None:
        place = self.root.parent / f"{len(self.done)}.toml"
        place.write_text(text)
        self.do("run", "--profile", str(place), "--instance", instance, "--eras", str(eras), kill_after=kill_after,
                allowed=frozenset({0, 65, 78}))  # fmt: skip

    def descend(self) -> None:
        """Eras of one instance, on lives or on verdicts."""
        founding = {"fresh": 1, "null": 1, "null_founders": "inherit", "keep": 8,
                    "stage": self.draw.choice(["stage1", "stage2"])}  # fmt: skip
        changes = {"founding": founding, "window": {"policy": self.draw.choice(POLICIES), "len": 150},
                   "world": {"founders": 20, "review_ticks": 50}}  # fmt: skip
        self.run(toml_of(merged(BASE, changes)), "D", eras=2)

    def judge(self) -> None:
        """Freeze stage 1's pool, judge it, and freeze the verdicts."""
        if not self.layout.pool(Stage.STAGE1).exists():
            return
        self.do("snapshot", "create", allowed=frozenset({0, 65}))
        changes, _ = next(self.judges)
        (self.layout.profiles / "J.toml").write_text(toml_of(merged(JUDGE, changes)))
        words = [sys.executable, "-m", "prometheus.v10.ops.run_v10_service", "--mode", "offline", "--stage", "stage2",
                 "--instance", "J", "--root", str(self.root), "--max-runs", "1"]  # fmt: skip
        self.done.append(" ".join(words[2:]))
        found = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)
        assert "Traceback" not in found.stderr, found.stderr
        assert found.returncode in QUIET, (found.returncode, found.stderr[-2000:])
        if self.layout.pool(Stage.STAGE2).exists():
            self.do("snapshot", "create", "--stage", "stage2", allowed=frozenset({0, 65}))

    def promote(self) -> None:
        """Promote by figure or by pattern, of either stage."""
        stage = self.draw.choice([stage for stage in Stage if self.layout.pool(stage).exists()] or [Stage.STAGE1])
        words = self.draw.choice([
            ("--top-k", "1", "--by", "survival", "--stage", stage.value),
            ("--top-k", "2", "--by", "roi", "--stage", stage.value),
            ("--trigger", "mass_death_cluster", "--top-k", "1"), ("--trigger", "no_trades_but_died", "--top-k", "1"),
        ])  # fmt: skip
        self.do("promote", *words, allowed=frozenset({0, 1, 64, 65, 78}))  # 1: retention took what it is held against

    def retain(self) -> None:
        """Apply, as if a year had passed, a retention that takes nearly everything that it may."""
        chosen = self.draw.sample(RETENTION, self.draw.randrange(1, len(RETENTION) + 1))
        self.done.append(f"retention {chosen}")
        policy = RetentionPolicy(**dict.fromkeys(chosen, 1))
        journal = Journal.open(instance="R", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)
        ledger = InstallationLedger(self.layout, clock=SystemClock(), instance="R", on_torn=never)
        made = plan(self.layout, policy, datetime.now(UTC) + timedelta(days=365))
        apply(made, self.layout, ledger=ledger, journal=journal)

    def grow(self) -> None:
        """Import a market, or let it grow, and evolve on it."""
        first, bars = 1_600_000_000 // 3600 * 3600, 300
        rows = (f"{first + 3600 * k},100,{105 + k % 5},98,{100 + (k * 7919 % 37) / 10},{5 + k % 3}"
                for k in range(self.grown, self.grown + bars))  # fmt: skip
        place = self.root.parent / "bars.csv"
        place.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
        if self.grown:
            self.do("market", "add", "m", str(place))
        else:
            self.do("market", "import", str(place), "m", "--symbol", "A")
        self.grown += bars
        changes = {"market": {"source": "m"}, "window": {"len": 200}}
        tables = merged(BASE, changes)
        del tables["market"]["bars"], tables["market"]["seed"]
        self.run(toml_of(tables), "M")

    def gate(self) -> None:
        """A small gate; some are stopped on their way, and go on when they are asked again."""
        place = self.root.parent / "G.toml"
        place.write_text(toml_of({**GATE, "name": f"g{self.draw.randrange(3)}"}))
        killed = self.draw.choice([None, self.draw.uniform(0.5, 4.0)])
        self.do("gate", "--config", str(place), kill_after=killed, allowed=frozenset({0, 1, 2, 65, 78}))

    # ---- what holds after each

    @staticmethod
    def status(run: Path) -> str:
        return str(json.loads((run / "run_manifest.json").read_bytes())["status"])

    def runs(self) -> Iterator[Path]:
        for tier in Tier:
            if (folder := self.layout.runs(tier)).is_dir():
                yield from sorted(folder.iterdir())

    def holds(self) -> None:
        """Everything verifies, and what an operator looks at answers."""
        there = [str(run) for run in self.runs()]
        if not there:
            return
        self.do("audit")
        ended = [
            run for run in there if json.loads((Path(run) / "run_manifest.json").read_bytes())["status"] != "running"
        ]
        if ended:
            self.do("verify", *self.draw.sample(ended, min(len(ended), 12)))
        for look in self.draw.sample(LOOKS, 3):
            self.do(*look, allowed=frozenset(QUIET))

    def replayed(self) -> None:
        """One of the newest runs is done again, to the same bytes."""
        whole = [run for run in self.runs() if self.status(run) in {"completed", "interrupted"}]
        if whole:
            self.do("replay", str(self.draw.choice(whole[-10:])), allowed=frozenset({0, 78}))


class Auditor(threading.Thread):
    """Audits the tree again and again while it is written."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root, self.over, self.answers = root, threading.Event(), list[tuple[int, str]]()

    def run(self) -> None:
        while not self.over.wait(0.5):
            found = subprocess.run(
                [COMMAND, "audit", "--root", str(self.root)], capture_output=True, text=True, check=False
            )
            self.answers.append((found.returncode, found.stdout + found.stderr))


def test_whatever_an_operator_does_nothing_false_is_found(tmp_path: Path) -> None:
    life = Life(tmp_path / "root")
    life.layout.prepare()
    acts: list[Callable[[], None]] = [life.evolve, life.evolve, life.descend, life.judge, life.promote, life.retain,
                                      life.grow, life.gate, life.replayed]  # fmt: skip
    auditor = Auditor(life.root)
    if BESIDE:
        auditor.start()
    try:
        for number in itertools.count():
            if number == ACTS:
                break
            life.draw.choice(acts[:3] if number < 2 else acts)()
            life.holds()
    finally:
        auditor.over.set()
        if BESIDE:
            auditor.join()
    wrong = [[line for line in said.splitlines() if not line.startswith("NOTE ")] for code, said in auditor.answers
             if code not in {0, 2} or "Traceback" in said]  # fmt: skip
    assert wrong == []
    assert bool(auditor.answers) == BESIDE
    kinds = {re.split(" ", done)[0] for done in life.done}
    assert {"run", "audit", "verify"} <= kinds
