"""Events as columns and events as records are the same bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.records.codec import from_json_bytes, to_line
from prometheus.v10.evidence.records.event_lines import (
    BirthColumns,
    DeathColumns,
    EventContext,
    FenceBlocks,
    encode_births,
    encode_deaths,
    utc_texts,
)
from prometheus.v10.evidence.records.events import BirthEvent, DeathEvent, DeathReason
from prometheus.v10.evidence.records.fence_registry import core_counters

RUN = "HF_20260102T030405Z_0123456_0000"
CONTEXT = EventContext(run_id=RUN, experiment=3, seed=20260102, arm="A_real", genome_offset=100)
START = 1_700_000_000


@dataclass
class Draw:
    """Columns of ``n`` made-up but well-formed deaths."""

    n: int
    seed: int = 0

    def deaths(self, **changes: object) -> DeathColumns:
        g, n = np.random.default_rng(self.seed), self.n
        tick = np.sort(g.integers(0, 8760, n))
        fence = np.tile(np.array([0, 4, -1]), (n, 1))
        columns: dict[str, object] = {
            "tick": tick,
            "market_time": START + 3600 * (tick + 1),
            "agent": np.arange(n),
            "parent": np.where(g.random(n) < 0.5, -1, np.arange(n) // 2),
            "genome_sha256": [f"{i:064x}" for i in range(n)],
            "birth_tick": tick - 5,
            "age_ticks": np.full(n, 6),
            "reason": g.integers(0, 4, n),
            "initial_capital": np.full(n, 80.0),
            "final_capital": g.random(n) * 80,
            "roi_lifetime": g.standard_normal(n),
            "roi_period": g.standard_normal(n),
            "trades": g.integers(0, 50, n),
            "wins": g.integers(0, 10, n),
            "costs": g.random((n, 3)),
            "side": g.integers(-1, 2, n),
            "last_signal": g.standard_normal(n).astype(np.float32),
            "triplet": g.random((n, 3)) * 1e4,
            "fences": FenceBlocks(
                names=core_counters(),
                fence=fence,
                blocks=np.where(fence < 0, 0, 2 + tick[:, None] // 2190),
                attempts=np.where(fence < 0, 0, 40),
            ),
        }
        return DeathColumns(**(columns | changes))  # type: ignore[arg-type]

    def births(self, **changes: object) -> BirthColumns:
        g, n = np.random.default_rng(self.seed), self.n
        columns: dict[str, object] = {
            "tick": np.full(n, 2189),
            "market_time": np.full(n, START),
            "agent": 100 + np.arange(n),
            "parent": np.arange(n),
            "founder": np.arange(n),
            "genome_sha256": [f"{i:064x}" for i in range(n)],
            "parent_genome_sha256": [f"{i + 1:064x}" for i in range(n)],
            "mutated_loci": g.integers(0, 60, n),
            "initial_capital": g.random(n) * 80,
            "parent_roi_period": g.random(n),
        }
        return BirthColumns(**(columns | changes))  # type: ignore[arg-type]


def test_death_lines_are_the_records_canonical_lines() -> None:
    text = encode_deaths(CONTEXT, Draw(200).deaths())
    lines = text.splitlines(keepends=True)
    assert len(lines) == 200
    for line in lines:
        assert to_line(from_json_bytes(line, DeathEvent, where="line")) == line
    assert json.loads(lines[0]).keys() == {f.name for f in attrs.fields(DeathEvent)} - {"extra"}


def test_birth_lines_are_the_records_canonical_lines() -> None:
    lines = encode_births(CONTEXT, Draw(50).births()).splitlines(keepends=True)
    assert len(lines) == 50
    for line in lines:
        assert to_line(from_json_bytes(line, BirthEvent, where="line")) == line
    assert json.loads(lines[0]).keys() == {f.name for f in attrs.fields(BirthEvent)} - {"extra"}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.booleans())
def test_every_double_is_spelled_as_the_canonical_encoder_spells_it(values: list[float], single: bool) -> None:
    n = len(values)
    with np.errstate(over="ignore"):
        reals = np.array(values, dtype=np.float32 if single else np.float64)
    reals[~np.isfinite(reals)] = 0.0
    columns = Draw(n).deaths(last_signal=reals, final_capital=np.array(values))
    for line in encode_deaths(CONTEXT, columns).splitlines(keepends=True):
        assert to_line(from_json_bytes(line, DeathEvent, where="line")) == line


def test_a_run_id_outside_ascii_is_escaped() -> None:
    line = encode_deaths(attrs.evolve(CONTEXT, arm="\u00e9"), Draw(1).deaths())
    assert line.isascii()
    assert json.loads(line)["arm"] == "\u00e9"


def test_no_event_is_no_byte() -> None:
    assert encode_deaths(CONTEXT, Draw(0).deaths(triplet=np.zeros(0), costs=np.zeros(0))) == b""
    assert encode_births(CONTEXT, Draw(0).births()) == b""


def test_what_is_not_known_has_its_reason() -> None:
    columns = Draw(2).deaths(parent=np.array([-1, 7]), side=np.array([0, -1]), reason=np.array([0, 2]))
    founder, child = map(json.loads, encode_deaths(CONTEXT, columns).splitlines())
    assert founder["null_reasons"].keys() == {"api_error_count_so_far", "parent_id", "position_side"}
    assert founder["state_final"] == "OUT_MARKET"
    assert child["null_reasons"].keys() == {"api_error_count_so_far"}
    assert (child["parent_id"], child["agent_id"]) == ("e0003a000007", "e0003a000001")
    assert (child["position_side"], child["has_position"]) == ("short", True)
    assert child["genome_index"] == 101
    assert child["death_reason"] == DeathReason.LIQUIDATION


def test_the_fences_that_blocked_are_named_with_their_rate() -> None:
    event = json.loads(encode_deaths(CONTEXT, Draw(1).deaths()))
    assert [share["fence_id"] for share in event["fence_block_rate_summary"]] == [
        "FENCE_CORE_MARGIN_CAP",
        "FENCE_CORE_LIQUIDATION",
    ]
    share = event["fence_block_rate_summary"][0]
    assert share["block_rate"] == share["block_count"] / share["attempts"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["roi_period", "last_signal", "costs", "triplet"])
def test_what_is_not_finite_is_refused_with_column_and_row(column: str, bad: float) -> None:
    columns = Draw(5).deaths()
    getattr(columns, column)[3] = bad
    with pytest.raises(EvidenceError, match=rf"death column {column} is .* in row 3"):
        encode_deaths(CONTEXT, columns)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(EvidenceError, match="death column wins has 4 rows, of 5"):
        encode_deaths(CONTEXT, Draw(5).deaths(wins=np.zeros(4, dtype=np.int64)))


@pytest.mark.parametrize(("column", "bad"), [("reason", 4), ("reason", -1), ("side", 2)])
def test_codes_that_mean_nothing_are_refused(column: str, bad: int) -> None:
    with pytest.raises(EvidenceError, match=f"death column {column} holds"):
        encode_deaths(CONTEXT, Draw(1).deaths(**{column: np.array([bad])}))


def test_market_time_is_utc_text() -> None:
    assert utc_texts(np.array([0, START])) == ["1970-01-01T00:00:00.000000Z", "2023-11-14T22:13:20.000000Z"]
