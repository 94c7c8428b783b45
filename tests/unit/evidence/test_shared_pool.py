"""Several instances at one pool: they take turns, their records form one chain, and each knows its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.chains import pool_checked, tail
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.pools.pool import PoolWriter, SharedPoolWriter, iter_records
from prometheus.v10.evidence.verify.verify_chain import verify_pool
from tests.callbacks import never


@pytest.fixture
def shared(tmp_path, fake_clock):
    """Make a writer of the one pool; ``torn`` collects what it moves aside."""

    def make(torn=None):
        on_torn = never if torn is None else torn.append
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
        with PoolWriter(tmp_path / "pool.jsonl", clock=fake_clock, on_torn=never) as other:
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


@pytest.fixture
def seen(monkeypatch):
    """Where scans of a pool began."""
    starts = []

    def noting(path, form, **how):
        starts.append(how["start"].size)
        return scan(path, form, **how)

    monkeypatch.setattr(tail, "scan", noting)
    return starts


def test_the_next_run_of_a_process_checks_only_what_is_new(shared, entry, tmp_path, seen):
    with shared() as one:
        one.append([entry(0), entry(1)])
    size = (tmp_path / "pool.jsonl").stat().st_size
    with shared() as two:
        assert two.append([entry(2)]) == [2]
    assert seen == [0, 0, size, size]
    with PoolWriter(tmp_path / "pool.jsonl", clock=SystemClock(), on_torn=never) as other:
        other.append([entry(3)])
    with shared() as three:
        assert three.append([entry(4)]) == [4]
    assert verify_pool(tmp_path / "pool.jsonl").exit_code == 0


def changed_in_place(pool, data):
    pool.write_bytes(data.replace(b"A_real", b"B_real", 1))


def replaced(pool, data):
    pool.unlink()
    pool.write_bytes(data.replace(b"A_real", b"B_real", 1))


def cut(pool, data):
    pool.write_bytes(data[: data.index(b"\n") + 1].replace(b"A_real", b"B_real", 1))


def last_line_changed_and_grown(pool, data):
    at = data.rindex(b"A_real")
    pool.write_bytes(data[:at] + b"B" + data[at + 1 :] + data[data.index(b"\n") + 1 :])


@pytest.mark.parametrize("tamper", [changed_in_place, replaced, cut, last_line_changed_and_grown])
def test_a_pool_that_is_not_the_one_that_was_checked_is_checked_from_its_first_byte(shared, entry, tmp_path, tamper):
    with shared() as one:
        one.append([entry(0), entry(1)])
    pool = tmp_path / "pool.jsonl"
    tamper(pool, pool.read_bytes())
    with pytest.raises(EvidenceError, match="damaged at byte"), shared():
        pass


def test_a_pool_that_was_taken_away_begins_anew(shared, entry, tmp_path):
    with shared() as one:
        one.append([entry(0)])
    (tmp_path / "pool.jsonl").unlink()
    with shared() as two:
        assert two.append([entry(1)]) == [0]


def test_a_line_longer_than_the_look_back_costs_a_whole_check(shared, entry, tmp_path, seen, monkeypatch):
    monkeypatch.setattr(pool_checked, "TAIL", 100)
    with shared() as one:
        one.append([entry(0), entry(1)])
    with shared():
        pass
    assert seen == [0, 0, 0]


def test_whoever_opens_it_hears_how_far_the_check_is_and_may_end_it(shared, entry, tmp_path, fake_clock, monkeypatch):
    with PoolWriter(tmp_path / "pool.jsonl", clock=fake_clock, on_torn=never) as pool:
        pool.append([entry(number) for number in range(20)])
    monkeypatch.setattr("prometheus.v10.evidence.chains.scan.PROGRESS_EVERY", 1)
    heard = []

    def ending(nbytes):
        heard.append(nbytes)
        if len(heard) == 3:
            raise KeyboardInterrupt

    def opened(progress):
        return SharedPoolWriter(
            tmp_path / "pool.jsonl", clock=fake_clock, on_torn=never, progress=progress
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt), opened(ending):
        pass
    heard.clear()
    with opened(heard.append) as writer:
        assert 0 < sum(heard) <= writer.size
        assert writer.append([entry(20)]) == [20]


PROCESS = """
    import sys
    from pathlib import Path
    from prometheus.v10.base.clock import SystemClock
    from prometheus.v10.evidence.pools.pool import SharedPoolWriter
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
