"""Kill a part at random moments, again and again: ``python -m tests.integration.faults.kill_rig pool --kills 500``.

One process forks children; each does the part's work, and says over a pipe what it has acknowledged, until a SIGKILL
comes at a moment drawn at random over the length of the work. Then the part is checked. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import time
from pathlib import Path

from prometheus.v10.base.kernel import FILES
from tests.integration.faults.part import Part
from tests.integration.faults.parts import PARTS
from tests.integration.faults.support import say, some_entries

MORE_THAN_ENOUGH = 5.0
"""Children for each kill that is wanted: some end before their moment comes."""


def child_at_work(part: Part, writer: int) -> None:
    """Never returns."""
    code = 1
    try:
        os.write(writer, b"go\n")
        part.work(FILES, lambda ack: os.write(writer, f"{ack}\n".encode()) and None)
        code = 0
    except BaseException as error:  # noqa: BLE001  (the parent must hear of it)
        os.write(writer, f"error {error!r}\n".encode())
    finally:
        os._exit(code)


def wait_until(moment: float) -> None:
    """As exactly as a process can: sleep for the most of it, spin for the rest."""
    if (rest := moment - time.perf_counter() - 2e-4) > 0:
        time.sleep(rest)
    while time.perf_counter() < moment:
        pass


def kill_once(part: Part, after: float | None) -> tuple[bool, list[str], float]:
    """Fork a child and kill it ``after`` seconds of work (None: let it end).

    Returns whether it was killed, what it had acknowledged, and how long it lived.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        child_at_work(part, writer)
    os.close(writer)
    with open(reader, "rb", buffering=0) as pipe:  # noqa: PTH123  (a descriptor)
        said = pipe.read(3)
        assert said == b"go\n"
        started = time.perf_counter()
        if after is not None:
            wait_until(started + after)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        lived = time.perf_counter() - started
        acks = pipe.readall().decode().split("\n")[:-1]
    assert not [ack for ack in acks if ack.startswith("error")], acks
    return os.WIFSIGNALED(status), acks, lived


def torment(part: Part, kills: int, seed: int) -> dict[str, object]:
    """Kill until ``kills`` children died at work; every time, check."""
    chance = random.Random(seed)
    length = sorted(kill_once(fresh(part), None)[2] for _ in range(3))[1]
    part.check(())
    started, killed, children, acknowledged, interrupted = time.perf_counter(), 0, 0, 0, 0
    while killed < kills:
        children += 1
        if children > MORE_THAN_ENOUGH * kills + 50:
            raise SystemExit(f"{part.name}: {children} children, and only {killed} were killed at work")
        died, acks, lived = kill_once(fresh(part), chance.uniform(0.0, length))
        if not died:
            length = (3 * length + lived) / 4  # it ended first: the work is shorter than was thought
        elif chance.random() < 0.05:
            length *= 1.2
        killed += died
        acknowledged += len(acks)
        interrupted += died and bool(acks)
        part.check(acks)
    return {
        "part": part.name,
        "kills": killed,
        "with_acknowledged_work_before": interrupted,
        "acknowledged": acknowledged,
        "verdicts": part.verdicts,
        "seconds": round(time.perf_counter() - started, 1),
        "work_ms": round(length * 1000, 2),
        "seed": seed,
    }


def fresh(part: Part) -> Part:
    part.renew()
    return part


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scratch", type=Path, required=True)
    asked = parser.parse_args()
    some_entries()  # once, and not in every child
    part = PARTS[asked.part](asked.scratch / asked.part)
    fresh(part)
    gc.collect()
    gc.freeze()  # what is there now is not copied into every child only to be looked at
    say(torment(part, asked.kills, asked.seed))


if __name__ == "__main__":
    main()
