"""The order chain on a disk that fails: every acknowledged line survives, and what may not follow is refused."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError, HostError, LockHeldError
from prometheus.v10.base.files import FILES
from prometheus.v10.evidence.chains.chain import Link, after
from prometheus.v10.evidence.chains.exchanged.order_line import ORDER_LINE, Kind
from prometheus.v10.execution.orders.client_ids import client_id, is_ours
from prometheus.v10.execution.orders.order_chain import OrderChain, followed, intent_of
from prometheus.v10.execution.orders.order_states import OrderState
from prometheus.v10.execution.ports.order_terms import CLIENT_ID
from tests.callbacks import never
from tests.execution import making
from tests.faulty import CutOffError, Fault, FaultyFiles


@pytest.fixture
def clock(fake_clock):
    return fake_clock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "order_chain.jsonl"


def opened(path, clock, files=FILES, on_torn=never):
    return OrderChain(path, clock=clock, on_torn=on_torn, files=files)


def written(path, clock):
    with opened(path, clock) as chain:
        for entries in making.life():
            chain.append(*entries)
        return chain.head


def test_a_life_is_read_back_as_it_was_written(path, clock):
    head = written(path, clock)
    with opened(path, clock) as chain:
        assert (chain.entries, chain.head) == (8, head)
        life = chain.states.orders[making.the_id()]
    assert (life.state, life.filled_lots, life.allocated) == (OrderState.TERMINAL, 10, True)
    previous = "0" * 64
    for n, line in enumerate(path.read_bytes().splitlines(keepends=True)):
        entry = json.loads(line)
        assert (entry["n"], entry["prev"]) == (n, previous)
        previous = hashlib.sha256(line).hexdigest()
    assert previous == head


def test_an_append_is_durable_before_it_returns(path, clock):
    files = FaultyFiles()
    with opened(path, clock, files) as chain:
        before = len(files.trace)
        chain.append(*making.life()[0])
        calls = files.trace[before:]
    assert [call for call in calls if call in {"write", "fdatasync"}][-2:] == ["write", "fdatasync"]


def calls_of_a_life(tmp_path, clock):
    files = FaultyFiles()
    with opened(tmp_path / "count.jsonl", clock, files) as chain:
        for entries in making.life():
            chain.append(*entries)
    return len(files.trace)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_call_loses_no_acknowledged_line(tmp_path, clock, fault):
    met = 0
    for at in range(calls_of_a_life(tmp_path, clock)):
        place = tmp_path / f"{at}.jsonl"
        acknowledged = 0
        try:
            with opened(place, clock, FaultyFiles(fault, at), on_torn=lambda _: None) as chain:
                for entries in making.life():
                    chain.append(*entries)
                    acknowledged += len(entries)
        except (HostError, CutOffError):
            met += 1
        place.with_name(place.name + ".lock").unlink(missing_ok=True)  # a cut process holds no lock
        torn = []
        with opened(place, clock, on_torn=torn.append) as chain:
            assert chain.entries >= acknowledged
            states = chain.states
            assert chain.entries == sum(1 for _ in place.read_bytes().splitlines())
        if acknowledged:
            life = states.orders[making.the_id()]
            assert life.state.is_open or life.filled_lots == 10
        if states.orders and states.open_orders():
            assert [one.client_id for one in states.open_orders()] == [making.the_id()]
    assert met >= len(making.life())


def test_after_a_failed_append_the_writer_knows_what_is_on_the_disk(path, clock):
    class OneFull(FaultyFiles):
        full = False

        def write(self, fd, data):
            if self.full:
                self.full = False
                raise OSError(28, "No space left on device")
            return super().write(fd, data)

    files = OneFull()
    with opened(path, clock, files) as chain:
        entries = making.life()
        chain.append(*entries[0])
        files.full = True
        with pytest.raises(HostError):
            chain.append(*entries[1])
        assert chain.states.orders[making.the_id()].state is OrderState.INTENT_DURABLE
        chain.append(*entries[1])
        assert chain.states.orders[making.the_id()].state is OrderState.ACKED
    assert followed(path).orders[making.the_id()].state is OrderState.ACKED


def test_ten_openings_change_nothing(path, clock):
    written(path, clock)
    before = path.read_bytes()
    for _ in range(10):
        opened(path, clock).close()
    assert path.read_bytes() == before


def test_a_torn_tail_is_kept_aside_and_told(path, clock):
    written(path, clock)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"client_id":"x","id"')
    torn = []
    with opened(path, clock, on_torn=torn.append) as chain:
        assert chain.entries == 8
    assert path.read_bytes() == whole
    assert torn[0].moved_to.read_bytes() == b'{"client_id":"x","id"'


@pytest.mark.parametrize(("old", "new"), [
    (b'"lots":10', b'"lots":11'), (b'"fee":"-0.25"', b'"fee":"-0.20"'), (b'"ACK"', b'"ACC"'),
    (b'"order_id":"9"', b'"order_id":"8"'),
])  # fmt: skip
def test_a_changed_line_is_found(path, clock, old, new):
    written(path, clock)
    changed = path.read_bytes().replace(old, new, 1)
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    with pytest.raises(EvidenceError):
        opened(path, clock)


@pytest.mark.parametrize("order", [[0, 1, 2, 4, 5, 6, 7], [0, 0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 3, 2, 4, 5, 6, 7]])
def test_a_line_that_is_missing_twice_or_elsewhere_is_found(path, clock, order):
    written(path, clock)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[number] for number in order))
    with pytest.raises(EvidenceError):
        opened(path, clock)


def test_one_writer_at_a_time(path, clock):
    with opened(path, clock), pytest.raises(LockHeldError):
        opened(path, clock)
    opened(path, clock).close()


def test_what_is_written_keeps_every_rule_of_a_line(path, clock):
    written(path, clock)
    link = Link()
    for line in path.read_bytes().splitlines(keepends=True):
        assert ORDER_LINE.problem(line, link) is None
        assert ORDER_LINE.links(line, link)
        link = after(line, link.n)
    with opened(path, clock) as chain, pytest.raises(EvidenceError, match="without a client id"):
        chain.append((Kind.INTENT, "", making.intent()))


def test_a_refused_line_leaves_no_trace(path, clock):
    with opened(path, clock) as chain:
        chain.append(*making.life()[0])
        before = (path.read_bytes(), chain.head)
        with pytest.raises(EvidenceError, match="was used before"):
            chain.append(*making.life()[0])
        with pytest.raises(EvidenceError, match="lots"):
            chain.append((Kind.SENT, making.the_id(), making.sent()),
                         (Kind.FILL, making.the_id(), making.fill(lots=0)))  # fmt: skip
        assert (path.read_bytes(), chain.head) == before
        assert chain.states.orders[making.the_id()].state is OrderState.INTENT_DURABLE


def test_an_intent_holds_the_bytes_that_are_sent(path, clock):
    order = making.prepared()
    payload = intent_of(order, run_id=making.RUN, tick=7, attempt=0, purpose="net", parts=[("a1", 10)],
                        planned_ms=making.PLANNED)  # fmt: skip
    with opened(path, clock) as chain:
        chain.append((Kind.INTENT, making.the_id(), payload))
        wrong = {**payload, "body": payload["body"] + " "}
        with pytest.raises(EvidenceError, match="body_sha256"):
            chain.append((Kind.INTENT, making.the_id(attempt=1), wrong))
    assert hashlib.sha256(order.body).hexdigest() == payload["body_sha256"]


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 35), st.sampled_from(["A-SWAP", "B-SWAP"])),
                unique=True, max_size=50))  # fmt: skip
def test_client_ids_are_distinct_and_of_the_exchanges_form(keys):
    made = [client_id(making.RUN, tick, inst, attempt) for tick, attempt, inst in keys]
    assert len(set(made)) == len(keys)
    assert all(CLIENT_ID.fullmatch(one) and is_ours(one) and len(one) == 32 for one in made)
    assert made == [client_id(making.RUN, tick, inst, attempt) for tick, attempt, inst in keys]
