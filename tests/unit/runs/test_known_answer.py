"""The known answer is that of the sources: compilation off gives it, and machine code of another world does not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from prometheus.v10.base.errors import CoreInvarianceError
from prometheus.v10.runs.workers import known_answer
from prometheus.v10.runs.workers.invariance import check_core


def test_the_plain_sources_give_the_known_answer(repository) -> None:
    code = "from prometheus.v10.runs.workers.known_answer import ANSWER, digest; assert digest() == ANSWER"
    environ = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environ, cwd=repository, check=True, timeout=300)


def test_the_compiled_world_gives_it_too() -> None:
    known_answer.require_known_answer()


def test_another_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the machine code computed something else: every close a profit."""
    world = known_answer.tiny_world()
    monkeypatch.setattr(known_answer, "tiny_world", lambda: world._replace(taker_fee=0.0))
    with pytest.raises(CoreInvarianceError, match="the loaded machine code gives the answer"):
        known_answer.require_known_answer()


def test_the_tiny_world_meets_every_rule() -> None:
    """Reviews, births, deaths by review and by liquidation, fees, slippage and funding are all in the answer."""
    from prometheus.v10.core import capital, lifecycle
    from prometheus.v10.core.world import Experiment

    experiment = Experiment(known_answer.tiny_market(), known_answer.tiny_world(), 20_260_101, keep_orders_one_in=1)
    while experiment.step(64):
        pass
    result = experiment.result()
    reasons = {lifecycle.REASONS[reason] for reason in result.deaths.reason.tolist()}
    assert reasons >= {"quarterly_review", "liquidation"}
    assert len(result.births.tick) > 0
    assert all(result.money[row] != 0.0 for row in (capital.FEES, capital.SLIPPAGE, capital.FUNDING, capital.REALISED))


class Alibi:
    """An object that carries what a compiled function carries, and does something else."""

    def __init__(self, original: object) -> None:
        self.py_func = original.py_func  # type: ignore[attr-defined]
        self.targetoptions = original.targetoptions  # type: ignore[attr-defined]
        self._original = original

    def __call__(self, *arguments: object) -> object:
        return self._original(*arguments)  # type: ignore[operator]


def test_a_wrapper_with_an_alibi_is_not_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    from prometheus.v10.core import world

    monkeypatch.setattr(world, "advance", Alibi(world.advance))
    with pytest.raises(CoreInvarianceError, match="in memory is a Alibi"):
        check_core()
