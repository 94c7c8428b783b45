"""Several processes that take shares of a run find what one process finds, in the same words and the same order."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.chains.scan import file_sha256
from prometheus.v10.evidence.derive.setting import MarketTime
from prometheus.v10.evidence.derive.sharing import cut, hashed, in_processes
from prometheus.v10.evidence.derive.streams import lines_between
from tests.forger.forge import Original
from tests.forger.house import JUDGED, KINDS, do_judge, do_run

DRAWS = int(os.environ.get("PQ_SHARED_FORGERIES", "60"))
SHARED = """
import json, sys
from pathlib import Path
from prometheus.v10.evidence.derive import lives
from prometheus.v10.evidence.verify import verify_raw
from prometheus.v10.evidence.verify.verify_run import verify_run
lives.LARGE, verify_raw.LARGE, processes = 0, 0, int(sys.argv[1])
taken = []
by_several = lives._by_several
def counted(*words, **named):
    found = by_several(*words, **named)
    taken.append(found is not None)
    return found
lives._by_several = counted
raw_by_several = verify_raw._Check._by_several
def counted_parts(self, parts):
    found = raw_by_several(self, parts)
    if len(parts) > 1 and self.orders is not None:
        taken.append(found)
    return found
verify_raw._Check._by_several = counted_parts
lives.os.sched_getaffinity = lambda _pid: range(processes)
for path in sys.argv[2:]:
    taken.clear()
    report = verify_run(Path(path), look_for_ledger=False)
    print(json.dumps([report.lines(), taken]))
"""
"""Verifies runs by as many processes as it is told, however small they are, and says whether shares were enough."""


def by_shares(processes: int, paths: list[Path]) -> list[tuple[list[str], list[bool]]]:
    """Findings of each run, and whether its shares gave the verdict; empty where it could not be cut."""
    words = [sys.executable, "-c", SHARED, str(processes), *map(str, paths)]
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Original]:
    made = {}
    for name, (changes, stop_after) in {**KINDS, **JUDGED}.items():
        do = do_judge if name in JUDGED else do_run
        made[name] = Original(do(tmp_path_factory.mktemp("honest"), changes, stop_after=stop_after))
    return made


def test_honest_runs_pass_by_shares(originals: dict[str, Original]) -> None:
    for processes in (2, 3):
        found = by_shares(processes, [one.dir for one in originals.values()])
        assert [lines[-1].split()[0] for lines, _ in found] == ["PASS"] * len(originals)
        taken = dict(zip(originals, [taken for _, taken in found], strict=True))
        assert all(all(by) for by in taken.values())
        assert {name for name, by in taken.items() if by} >= {*KINDS, *JUDGED} - {"whole market"}
        assert sum(len(by) > 1 for by in taken.values()) > 2


def test_shares_say_what_one_process_says(originals: dict[str, Original], tmp_path: Path) -> None:
    draw, names = random.Random(5), sorted(originals)
    said, paths = [], []
    while len(said) < DRAWS:
        original = originals[draw.choice(names)]
        forgery = original.draw(draw)
        if forgery is not None:
            root = tmp_path / str(len(said))
            said.append(original.forge(forgery, root).lines())
            paths.append(root / "runs_hf" / original.dir.name)
    assert [lines for lines, _ in by_shares(2, paths)] == said


def write(path: Path, experiments: list[int], more: bytes = b"") -> dict[Artifact, Path]:
    lines = [b'{"agent":"%d","experiment":%d,"tick":1}\n' % (row, one) for row, one in enumerate(experiments)]
    path.write_bytes(b"".join(lines) + more)
    return {Artifact.DEATHS: path}


@pytest.mark.parametrize("experiments", [[0] * 9 + [1] * 30 + [5] + [6] * 20, [3], [0, 1], list(range(50))])
@pytest.mark.parametrize("count", [2, 5, 16])
def test_cuts_lie_between_experiments(tmp_path: Path, experiments: list[int], count: int) -> None:
    paths = write(tmp_path / "deaths", experiments)
    data = paths[Artifact.DEATHS].read_bytes()
    shares = cut(paths, count)
    ends = [share.spans[Artifact.DEATHS] for share in shares]
    assert b"".join(data[start:end] for start, end in ends) == data
    for share, (start, end) in zip(shares, ends, strict=True):
        named = [json.loads(line)["experiment"] for line in data[start:end].splitlines()]
        assert all(map(share.has, named))
        assert lines_between(paths[Artifact.DEATHS], 0, start) == data[:start].count(b"\n")
    whole, parts = hashed(paths, shares)
    assert whole[Artifact.DEATHS] == file_sha256(paths[Artifact.DEATHS])
    assert len(parts) == len(shares)


def test_what_names_no_experiment_is_not_cut(tmp_path: Path) -> None:
    for number, data in enumerate([b"", b"x", b"\n" * 100, b"x" * 200_000, b"\0" * 5000 + b"\n"]):
        path = tmp_path / str(number)
        path.write_bytes(data)
        assert len(cut({Artifact.DEATHS: path}, 8)) < 2


def test_the_last_share_has_a_torn_line(tmp_path: Path) -> None:
    paths = write(tmp_path / "torn", [0] * 50 + [1] * 50, b'{"agent":')
    assert cut(paths, 8)[-1].spans[Artifact.DEATHS][1] == paths[Artifact.DEATHS].stat().st_size


def test_a_moment_that_two_shares_heard_otherwise_is_noticed() -> None:
    times = [MarketTime(datetime(2024, 1, 1, tzinfo=UTC), 60, gapless=False) for _ in range(3)]
    said = ["2024-01-01T00:05:00.000000Z", "2024-01-01T00:05:00.000000Z", "2024-01-01T00:06:00.000000Z"]
    assert [time.close(1, text) for time, text in zip(times, said, strict=True)] == said
    assert times[0].hear(times[1].heard())
    assert not times[0].hear(times[2].heard())
    assert MarketTime(datetime(2024, 1, 1, tzinfo=UTC), 60, gapless=True).heard() == {}


def test_a_helper_that_dies_asks_for_one_process() -> None:
    here = os.getpid()

    def work(number: int) -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), 9)
        return number

    assert in_processes(1, 3, work, lambda: None) == [0, 1, 2]
    program = (
        "import os, time\nfrom prometheus.v10.evidence.derive.sharing import in_processes\nhere = os.getpid()\n"
        "def work(number):\n    time.sleep(0.05)\n    if os.getpid() != here: os.kill(os.getpid(), 9)\n"
        "    return number\n"
        "assert in_processes(2, 9, work, lambda: time.sleep(0.3)) is None\n"
        "try: os.wait()\nexcept ChildProcessError: print('nobody is left')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "nobody is left\n"
