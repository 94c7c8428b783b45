"""Raw execution records: which are event records, what each says, and that its line is canonical."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.records.codec import from_json_bytes, to_line
from prometheus.v10.evidence.records.raw_lines import NOTHING_FILLED, RawOrder, crossing, encode_orders
from tests.unit.evidence.raw_orders import CLOSES, RUN_ID, context, log, records

reals = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 10**7), st.integers(0, 4), st.integers(0, 31),
                          st.lists(reals, min_size=8, max_size=8)), min_size=1, max_size=5))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_a_line_is_the_canonical_line_of_its_record(orders) -> None:
    ids = np.array([(*order[:4], number) for number, order in enumerate(orders)])
    values = np.array([order[4] for order in orders])
    blocks = encode_orders(context(sample_one_in=10), ids, values, CLOSES)
    for line in [*blocks.events.lines, *blocks.samples.lines]:
        record = from_json_bytes(line, RawOrder, where="a line")
        assert to_line(record) == line + b"\n"
        assert not record.extra
    assert len(blocks.events.lines) + len(blocks.samples.lines) == len(orders)


def test_rejects_liquidations_and_the_tick_of_the_collapse_are_event_records() -> None:
    ids, values = log(
        (1, 0, 0, 0, 5.0, 5.0),
        (1, 1, 0, 1, 5.0, 2.0),  # partial: no reject
        (2, 2, 0, 3, 5.0, 0.0),
        (3, 3, 0, 4, 5.0, 4.0),
        (3, 4, 3, 16, -5.0, -5.0),
        (4, 5, 1, 0, -5.0, -5.0),
        (9, 6, 2, 0, -5.0, -5.0),  # the tick of the collapse
    )
    blocks = encode_orders(context(collapse_tick=9), ids, values, CLOSES)
    assert [record["order"] for record in records(blocks.events)] == [2, 3, 4, 6]
    assert [record["order"] for record in records(blocks.samples)] == [0, 1, 5]
    assert records(blocks.events)[0] == {
        "agent_id": "e0003a000002", "arm": "A_real", "expected_price": 40000.0, "experiment": 3, "fee": 0.0,
        "filled_lots": 0.0, "flags": ["partial", "unfilled"], "impact": 1e-06, "kind": "entry",
        "null_reasons": {"price": NOTHING_FILLED}, "order": 2, "ordered_lots": 5.0, "position_after": 0.0,
        "price": None, "realised": 0.0, "run_id": RUN_ID, "schema": "m_execution_raw/1", "seed": 11, "side": "buy",
        "symbol": "BTC-USDT-SWAP", "tick": 2, "ts_basis": "market", "ts_utc": "2023-11-14T22:23:20.000000Z",
    }  # fmt: skip
    assert records(blocks.samples)[2]["side"] == "sell"
    assert blocks.samples.ticks == [1, 1, 4]
    assert blocks.samples.ts_utc[0] == "2023-11-14T22:18:20.000000Z"


def test_no_order_is_no_record() -> None:
    blocks = encode_orders(context(), *log(), CLOSES)
    assert (len(blocks.events.lines), len(blocks.samples.lines)) == (0, 0)
    assert blocks.crossing is not None
    assert blocks.crossing.gross_lots == 0.0


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda _, values: values.__setitem__((0, 4), np.nan), "nan"),
        (lambda ids, _: ids.__setitem__((0, 2), 5), "without a name"),
        (lambda ids, _: ids.__setitem__((0, 3), 32), "without a name"),
    ],
)
def test_what_no_record_may_carry_is_refused(spoil, what: str) -> None:
    ids, values = log((1, 0, 0, 0, 5.0, 5.0))
    spoil(ids, values)
    with pytest.raises(EvidenceError, match=what):
        encode_orders(context(), ids, values, CLOSES)
    with pytest.raises(EvidenceError, match="come as"):
        encode_orders(context(), ids, values[:, :3], CLOSES)


def test_opposite_orders_are_counted_within_one_moment_only() -> None:
    found = crossing(np.array([2, 2, 2, 3, 5]), np.array([5.0, -2.0, -1.0, -4.0, 7.0]))
    assert (found.moments, found.gross_lots, found.net_lots, found.crossed_lots) == (1, 19.0, 2.0 + 4.0 + 7.0, 3.0)
    ids, values = log(
        (7, 0, 0, 0, 5.0, 5.0),
        (7, 1, 1, 0, -5.0, -5.0),  # meets the first at the open
        (7, 0, 3, 16, -5.0, -5.0),  # forced: nobody's choice of moment
        (7, 2, 2, 0, -9.0, -9.0),  # at the close
    )
    full = encode_orders(context(), ids, values, CLOSES).crossing
    assert full is not None
    assert (full.moments, full.gross_lots, full.crossed_lots) == (1, 19.0, 5.0)
    assert encode_orders(context(sample_one_in=10), ids, values, CLOSES).crossing is None
