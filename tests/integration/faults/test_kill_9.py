"""SIGKILL at random moments: nothing that was acknowledged is lost, and no verdict about what is left is wrong.

``PQ_KILLS`` kills in all (400 by default, 10 000 in ``make torture``), a quarter of them on each part; and a few, in
proportion, on whole runs, whose evolution takes most of their time.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.integration.faults.support import how_many

KILLS = how_many("KILLS", 400)
SHARES = {"pool": KILLS // 4, "snapshot": KILLS // 4, "seal": KILLS // 4, "retention": KILLS // 4, "run": KILLS // 200}


@pytest.mark.parametrize("part", SHARES)
def test_killed_at_random_moments_it_loses_nothing_and_says_nothing_wrong(scratch, record_property, part):
    rig = [sys.executable, "-m", "tests.integration.faults.kill_rig", part]
    asked = ["--kills", str(SHARES[part]), "--seed", str(how_many("SEED", 1)), "--scratch", str(scratch)]
    ended = subprocess.run([*rig, *asked], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    done = json.loads(ended.stdout)
    record_property(
        "figure",
        f"SIGKILL, {part}: {done['kills']} kills in {done['seconds']} s over {done['work_ms']} ms of work: "
        f"{done['acknowledged']} acknowledgements, 0 lost; {done['verdicts']} verdicts, 0 wrong (seed {done['seed']})",
    )
    assert done["kills"] == SHARES[part]
    assert done["verdicts"] > done["kills"] // 2


def test_the_rig_notices_a_lost_record(scratch):
    """The check can fail: a record that was acknowledged and then taken away is missed."""
    from tests.integration.faults.parts import PARTS, try_work
    from tests.integration.faults.support import UnsyncedFiles

    part = PARTS["pool"](scratch / "pool")
    part.renew()
    acks, error = try_work(part, UnsyncedFiles(), AssertionError)
    assert error is None
    part.check(acks)
    pool = next(scratch.rglob("pool.jsonl"))
    lines = pool.read_bytes().splitlines(keepends=True)
    pool.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(AssertionError, match="acknowledged record is not there"):
        part.check(acks)
