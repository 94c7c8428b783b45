"""Whatever changes the core, on disk or in memory, is found and named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus.v10.base.errors import CoreInvarianceError, ExitCode
from prometheus.v10.core import config, decision, exchange, genome, numeric, world
from prometheus.v10.runs.workers import invariance


def test_the_core_is_the_locked_one() -> None:
    assert invariance.check_core() == invariance.core_hash()


def test_a_core_repeats_itself_and_what_it_is_known_to_repeat() -> None:
    here = invariance.core_hash()
    assert list(invariance.SAME_BITS) in ([], [here])  # an entry holds for one core
    assert all(invariance.repeats(core) for core in (here, *invariance.SAME_BITS.get(here, ())))
    assert not invariance.repeats("0" * 64)


def test_another_core_repeats_nothing_but_itself(copied: Path) -> None:
    before = invariance.core_hash()
    (copied / "config.py").write_text((copied / "config.py").read_text() + "\n")
    assert invariance.repeats(invariance.core_hash())
    assert not any(invariance.repeats(core) for core in (before, *invariance.SAME_BITS.get(before, ())))


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    core = tmp_path / "core"
    shutil.copytree(invariance.CORE, core, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(invariance, "CORE", core)
    monkeypatch.setattr(invariance, "LOCK", core / "CORE.lock")
    return core


@pytest.mark.parametrize("change", ["edit", "add", "remove", "lock"])
def test_a_changed_file_is_named(copied: Path, change: str) -> None:
    target = copied / "exchange.py"
    if change == "edit":
        target.write_text(target.read_text().replace("0.5 * environment.spread", "0.4 * environment.spread", 1))
    elif change == "add":
        target = copied / "strategy.py"
        target.write_text("BUY = True\n")
    elif change == "remove":
        target.unlink()
    else:
        target = copied / "CORE.lock"
        target.unlink()
    with pytest.raises(CoreInvarianceError, match=target.name) as caught:
        invariance.check_core()
    assert caught.value.exit_code is ExitCode.CONFIG


def test_the_lock_is_what_sha256sum_prints(copied: Path) -> None:
    invariance.write_lock()
    lines = (copied / "CORE.lock").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [path.name for path in sorted(copied.glob("*.py"))]


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (exchange, "fill_price", lambda *_: 1.0),
        (decision, "DRIVE_TICKS", 8),
        (genome, "FOUNDER_ENTRY_THRESHOLD", np.float32(0.4)),
        (numeric, "CENTRE_NUMERATOR", (1.0,)),
        (world, "NO_MASK", np.zeros(33, dtype=np.float32)),
        (world, "close_tick", world.open_tick),
        (decision, "helper", lambda: None),
    ],
)
def test_a_monkey_patch_is_found(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, value: Any) -> None:
    monkeypatch.setattr(module, name, value, raising=False)
    with pytest.raises(CoreInvarianceError, match=name):
        invariance.check_core()


def test_a_patched_method_and_a_changed_default_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(world.Experiment, "step", lambda _self, _ticks: False)
        with pytest.raises(CoreInvarianceError, match="Experiment"):
            invariance.check_core()
    with monkeypatch.context() as patch:
        patch.setitem(config.WorldConfig._field_defaults, "taker_fee", 0.0)
        with pytest.raises(CoreInvarianceError, match="WorldConfig"):
            invariance.check_core()
    invariance.check_core()
