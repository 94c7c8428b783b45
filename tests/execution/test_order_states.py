"""The moves of an order: legal ones are taken, all others refused, whatever the sequence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.evidence.chains.exchanged.order_line import Kind, payload_problem
from prometheus.v10.execution.orders.order_states import Ending, IllegalMoveError, OrderState, OrderStates, absent_since
from tests.execution import making

NAME = making.the_id()
ACK = (Kind.ACK, {"order_id": "9"})
UNKNOWN = (Kind.UNKNOWN, {"code": "50004", "detail": "timed out"})
INTENT = (Kind.INTENT, making.intent())
SENT = (Kind.SENT, making.sent())
REFUSED = (Kind.REFUSED, {"code": "51008", "detail": "no margin"})
FILL = (Kind.FILL, making.fill())
FOUND = (Kind.QUERY, making.found(10))
LATE = making.EXPIRES + 1


def ending(state, filled=0):
    return (Kind.TERMINAL, {"state": state, "filled_lots": filled})


def alloc(*parts):
    return (Kind.ALLOC, {"allocations": [list(part) for part in parts]})


def after(*moves):
    states = OrderStates()
    for kind, payload in moves:
        assert payload_problem(kind, payload) is None
        states.check(kind, NAME, payload)
        states.apply(kind, NAME, payload)
    return states


@pytest.mark.parametrize(("moves", "state"), [
    ([INTENT], OrderState.INTENT_DURABLE),
    ([INTENT, SENT], OrderState.SENT),
    ([INTENT, SENT, ACK], OrderState.ACKED),
    ([INTENT, SENT, REFUSED], OrderState.REJECTED),
    ([INTENT, SENT, UNKNOWN], OrderState.UNKNOWN),
    ([INTENT, UNKNOWN], OrderState.UNKNOWN),
    ([INTENT, UNKNOWN, FOUND], OrderState.ACKED),
    ([INTENT, UNKNOWN, FILL], OrderState.ACKED),
    ([INTENT, SENT, ACK, FILL, ending("filled", 10)], OrderState.TERMINAL),
    ([INTENT, SENT, ACK, ending("canceled")], OrderState.TERMINAL),
    ([INTENT, ending("not_sent")], OrderState.TERMINAL),
])  # fmt: skip
def test_legal_lives(moves, state):
    assert after(*moves).orders[NAME].state is state


@pytest.mark.parametrize(("moves", "last", "why"), [
    ([], SENT, "no INTENT"),
    ([INTENT], INTENT, "used before"),
    ([INTENT], ACK, "INTENT_DURABLE"),
    ([INTENT, SENT], SENT, "which is SENT"),
    ([INTENT, UNKNOWN], SENT, "which is UNKNOWN"),
    ([INTENT, SENT, UNKNOWN], ACK, "which is UNKNOWN"),
    ([INTENT, SENT, UNKNOWN], REFUSED, "which is UNKNOWN"),
    ([INTENT, SENT, REFUSED], FILL, "REJECTED"),
    ([INTENT, SENT, REFUSED], SENT, "REJECTED"),
    ([INTENT, SENT, ACK, ending("canceled")], FILL, "TERMINAL"),
    ([INTENT, SENT, ACK, ending("canceled")], ending("canceled"), "TERMINAL"),
    ([INTENT, SENT, ACK, FILL], FILL, "booked already"),
    ([INTENT, SENT, ACK, FILL], (Kind.FILL, making.fill("101", 1)), "would fill 11 lots of 10"),
    ([INTENT, SENT, ACK], (Kind.FILL, making.fill(side="sell")), "other way"),
    ([INTENT, SENT, ACK], (Kind.FILL, making.fill(order_id="8")), "order id 8, before 9"),
    ([INTENT, SENT, ACK], (Kind.FILL, making.fill(inst_id="ETH-USDT-SWAP")), "ETH"),
    ([INTENT, SENT, ACK, FOUND], (Kind.QUERY, making.found(4, "live")), "fell from 10 to 4"),
    ([INTENT, SENT, ACK], (Kind.QUERY, making.found(11)), "11 lots filled of 10"),
    ([INTENT, SENT, ACK], ending("filled"), "filled, with 0 lots"),
    ([INTENT, SENT, ACK, FOUND], ending("canceled"), "the exchange reported 10 lots"),
    ([INTENT, SENT, ACK, FILL], ending("canceled", 9), "10 are booked"),
    ([INTENT, SENT, UNKNOWN], ending("canceled"), "nothing proves"),
    ([INTENT, SENT, UNKNOWN], ending("not_sent"), "it is UNKNOWN"),
    ([INTENT, SENT, UNKNOWN], ending("not_placed"), "not proved"),
    ([INTENT, SENT, UNKNOWN], ending("vanished"), "no such ending"),
    ([INTENT], (Kind.SENT, {**making.sent(), "body_sha256": "0" * 64}), "another body"),
    ([INTENT, SENT, ACK, FILL, ending("filled", 10)], alloc(("100", "a1", 9)), "do not add up"),
    ([INTENT, SENT, ACK, FILL, ending("filled", 10)], alloc(("101", "a1", 10)), "do not add up"),
    ([INTENT, SENT, ACK, FILL, ending("filled", 10), alloc(("100", "a1", 10))], alloc(("100", "a1", 10)), "already"),
    ([INTENT, SENT, REFUSED], alloc(), "REJECTED"),
    ([INTENT, ending("not_sent")], alloc(), "nothing to allocate"),
])  # fmt: skip
def test_illegal_moves_are_refused_with_the_reason(moves, last, why):
    states = after(*moves)
    with pytest.raises(IllegalMoveError, match=why):
        states.check(last[0], NAME, last[1])


def query(asked, sources=None):
    return (Kind.QUERY, making.absent(asked, sources))


TWO_HOURS = making.PLANNED + 7_200_000


@pytest.mark.parametrize(("queries", "proved"), [
    ([], None),
    ([query(LATE)], None),
    ([query(LATE), query(LATE + 4_999)], None),
    ([query(LATE), query(LATE + 5_000)], Ending.NOT_PLACED),
    ([query(LATE - 2_000), query(LATE + 4_000)], None),
    ([query(LATE), query(LATE + 5_000, ["order"])], None),
    ([query(LATE), query(LATE + 5_000, ["order", "pending", "history"])], None),
    ([query(TWO_HOURS + 1), query(TWO_HOURS + 5_001)], Ending.NO_POSITION_EFFECT),
    ([query(LATE), query(TWO_HOURS + 5_001)], Ending.NO_POSITION_EFFECT),
])  # fmt: skip
def test_absence_is_proved_by_complete_polls_after_the_request_expired(queries, proved):
    states = after(INTENT, SENT, UNKNOWN, *queries)
    assert absent_since(states.orders[NAME]) is proved
    for said in (Ending.NOT_PLACED, Ending.NO_POSITION_EFFECT):
        kind, payload = ending(said.value)
        if said is proved:
            states.check(kind, NAME, payload)
        else:
            with pytest.raises(IllegalMoveError):
                states.check(kind, NAME, payload)


def test_a_trace_of_the_order_undoes_the_silence_before_it():
    states = after(INTENT, SENT, UNKNOWN, query(LATE), (Kind.QUERY, making.found(0, "live")), query(LATE + 5_000))
    assert absent_since(states.orders[NAME]) is None


MOVES = [INTENT, SENT, ACK, REFUSED, UNKNOWN, FOUND, (Kind.QUERY, making.found(4, "live")), query(LATE),
         query(LATE + 6_000), (Kind.FILL, making.fill("100", 4)), (Kind.FILL, making.fill("101", 6)),
         (Kind.FILL, making.fill("102", 7)), ending("filled", 10), ending("canceled", 4), ending("canceled"),
         ending("not_placed"), ending("not_sent"), alloc(("100", "a1", 4), ("101", "a2", 6)),
         alloc(("100", "a2", 4)), alloc()]  # fmt: skip


@given(st.lists(st.sampled_from(MOVES), max_size=40))
def test_whatever_comes_the_books_stay_true(moves):
    states, ended, sends = OrderStates(), None, 0
    for kind, payload in moves:
        try:
            states.check(kind, NAME, payload)
        except IllegalMoveError:
            continue
        states.apply(kind, NAME, payload)
        sends += kind is Kind.SENT
        life = states.orders[NAME]
        assert life.filled_lots <= life.intent["lots"]
        assert {trade for _, trade in states.trades} == set(life.fills)
        assert sends <= 1
        if ended is not None:
            assert (life.state, life.filled_lots) == ended, "nothing follows an ending but the allocation"
        if not life.state.is_open:
            ended = (life.state, life.filled_lots)
        if life.allocated:
            assert life.ending in {Ending.FILLED, Ending.CANCELED}
