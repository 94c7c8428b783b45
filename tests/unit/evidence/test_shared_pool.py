"""Several instances at one pool: they take turns, their records form one chain, and each knows its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.pool import PoolWriter, SharedPoolWriter, iter_records
from prometheus.v10.evidence.verify_chain import verify_pool


@pytest.fixture
def shared(tmp_path, fake_clock):
    """Make a writer of the one pool; ``torn`` collects what it moves aside."""

    def make(torn=None):
        on_torn = pytest.fail if torn is None else torn.append
        return SharedPoolWriter(tmp_path / "pool.jsonl", clock=fake_clock, on_torn=on_torn)

    return make


def test_two_that_are_open_at_once_append_in_turns(shared, entry, tmp_path):
    with shared() as one, shared() as two:
        assert one.append([entry(0), entry(1)]) == [0, 1]
        assert two.append([entry(2)]) == [2]
        assert two.append([]) == []
        assert one.append([entry(3)]) == [3]
        assert list(two.append_groups([[entry(4)], [], [entry(5)]])) == [[4], [5]]
        assert one.size < two.size == (tmp_path / "pool.jsonl").stat().st_size
    assert verify_pool(tmp_path / "pool.jsonl").exit_code == 0
    assert [record.n for record in iter_records(tmp_path / "pool.jsonl")] == list(range(6))


def test_between_two_turns_anybody_may_write(shared, entry, tmp_path, fake_clock):
    with shared() as one:
        one.append([entry(0)])
        with PoolWriter(tmp_path / "pool.jsonl", clock=fake_clock, on_torn=pytest.fail) as other:
            assert other.append([entry(1)]) == [1]
        assert one.append([entry(2)]) == [2]


def test_what_another_one_left_torn_is_moved_aside(shared, entry, tmp_path):
    torn = []
    with shared(torn) as one:
        one.append([entry(0)])
        with (tmp_path / "pool.jsonl").open("ab") as pool:
            pool.write(b'{"created_at":"2026')
        assert one.append([entry(1)]) == [1]
    assert [tail.length for tail in torn] == [19]
    assert verify_pool(tmp_path / "pool.jsonl").exit_code == 0


def test_what_another_one_damaged_refuses_and_the_lock_is_free_again(shared, entry, tmp_path):
    with shared() as one:
        one.append([entry(0)])
        good = (tmp_path / "pool.jsonl").read_bytes()
        with (tmp_path / "pool.jsonl").open("ab") as pool:
            pool.write(b'{"n":1}\n')
        with pytest.raises(EvidenceError, match=str(len(good))):
            one.append([entry(1)])
        (tmp_path / "pool.jsonl").write_bytes(good)
        assert one.append([entry(1)]) == [1]


PROCESS = """
    import sys
    from pathlib import Path
    from prometheus.v10.base.clock import SystemClock
    from prometheus.v10.evidence.pool import SharedPoolWriter
    from tests.integration.faults.support import entry, untold
    with SharedPoolWriter(Path(sys.argv[1]), clock=SystemClock(), on_torn=untold) as pool:
        for number in range(40):
            print(*pool.append([entry(number), entry(number)]))
"""


def test_processes_at_once_lose_nothing(tmp_path):
    pool = tmp_path / "pool.jsonl"
    words = [sys.executable, "-c", textwrap.dedent(PROCESS), str(pool)]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    numbers = [int(number) for out in said for number in out.split()]
    assert sorted(numbers) == list(range(3 * 40 * 2))
    assert verify_pool(pool).exit_code == 0
