"""Entries encoded from columns are those that `PoolEntry` encodes one by one, byte for byte."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.pools.pool_columns import PoolColumns, PoolContext, encode_pool
from prometheus.v10.evidence.pools.pool_record import PoolEntry, PoolSource, genome_bytes

REASONS = ("quarterly_review", "capital_depleted", "liquidation")
REALS = st.floats(allow_nan=False, allow_infinity=False)
NULLS = {"source.docker_image": "not run in an image", "source.ablation": "nothing is ablated"}


def context(**changes: Any) -> PoolContext:
    source = PoolSource(
        git_commit="c" * 40,
        docker_image=None,
        run_id="HF_20250301T120000Z_ccccccc_0001",
        seed=7,
        mode="offline",
        window={"name": 'a "quoted" window \u00e9', "genome_index": 0, "len": 8760},
        ablation=None,
        experiment=3,
        genome_index=0,
        arm="A_real",
    )
    given_: dict[str, Any] = {
        "created_at": "2025-03-01T12:00:00.000000Z",
        "sources": [source],
        "fingerprint_ref": "HF_20250301T120000Z_ccccccc_0001/execution_fingerprint.json",
        "system_roi": -1e-7,
        "survived": "the agent survived the experiment",
        "null_reasons": NULLS,
    }
    return PoolContext(**{**given_, **changes})


def columns(rows: list[dict[str, Any]], **changes: Any) -> PoolColumns:
    genomes = np.stack([np.random.default_rng(row["agent"]).standard_normal(342) for row in rows]).astype(np.float32)
    money = {
        name: np.array([row[name] for row in rows], dtype=np.float64)
        for name in ("initial_capital", "final_capital", "roi_lifetime", "costs")
    }
    counts = {
        name: np.array([row[name] for row in rows], dtype=np.int64)
        for name in ("agent", "birth_tick", "death_tick", "trades", "wins")
    }
    given_ = {
        "genomes": genomes,
        "sha256": [hashlib.sha256(genome.tobytes()).hexdigest() for genome in genomes],
        "reason": [row["reason"] for row in rows],
        "source": np.zeros(len(rows), dtype=np.int64),
        **money,
        **counts,
    }
    return PoolColumns(**{**given_, **changes})


ROW = st.fixed_dictionaries(
    {
        "agent": st.integers(0, 10**6),
        "birth_tick": st.integers(0, 10**6),
        "death_tick": st.integers(-1, 10**6),
        "reason": st.sampled_from(REASONS),
        "initial_capital": REALS,
        "final_capital": REALS,
        "roi_lifetime": REALS,
        "trades": st.integers(0, 10**9),
        "wins": st.integers(0, 10**9),
        "costs": st.lists(REALS, min_size=3, max_size=3),
    }
)


def one_by_one(about: PoolContext, rows: list[dict[str, Any]], genomes: np.ndarray[Any, Any]) -> list[PoolEntry]:
    entries = []
    for row, genome in zip(rows, genomes, strict=True):
        alive = row["death_tick"] < 0
        dead = {"metrics_summary.death_reason": about.survived, "metrics_summary.death_tick": about.survived}
        entries.append(PoolEntry(
            genome=genome_bytes(genome),
            created_at=about.created_at,
            source=attrs.evolve(about.sources[0], genome_index=row["agent"]),
            metrics_summary={
                "survived": alive,
                "death_reason": None if alive else row["reason"],
                "death_tick": None if alive else row["death_tick"],
                **{name: row[name] for name in ("birth_tick", "trades", "wins")},
                **{name: row[name] for name in ("initial_capital", "final_capital", "roi_lifetime")},
                "costs": dict(zip(("fees", "funding", "slippage"), row["costs"], strict=True)),
                "system_roi": about.system_roi,
                "sanity": {"finite": True, "has_traded": row["trades"] > 0},
            },
            fingerprint_ref=about.fingerprint_ref,
            null_reasons={**about.null_reasons, **(dead if alive else {})},
        ))  # fmt: skip
    return entries


@settings(max_examples=200, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=4), REALS)
def test_columns_give_the_bytes_of_entries_one_by_one(rows, system_roi):
    about, table = context(system_roi=system_roi), columns(rows)
    expected = [entry.encoded for entry in one_by_one(about, rows, table.genomes)]
    assert list(encode_pool(about, table)) == expected


ONE = {
    "agent": 5, "birth_tick": 1, "death_tick": 9, "reason": "liquidation", "initial_capital": 10.0,
    "final_capital": 0.0, "roi_lifetime": -1.0, "trades": 4, "wins": 1, "costs": [0.1, 0.2, 0.3],
}  # fmt: skip


@pytest.mark.parametrize("name", ["initial_capital", "final_capital", "roi_lifetime", "costs"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused(name, value):
    wrong = np.full_like(getattr(columns([ONE]), name), value)
    with pytest.raises(EvidenceError, match=f"pool column {name} has values that are not finite"):
        encode_pool(context(), columns([ONE], **{name: wrong}))


def test_a_genome_of_another_form_is_refused():
    for wrong in (np.zeros((1, 341), np.float32), np.zeros((1, 342))):
        with pytest.raises(EvidenceError, match=r"a genome is float32\[342\], not"):
            encode_pool(context(), columns([ONE], genomes=wrong))
    with pytest.raises(EvidenceError, match="pool column genomes has values that are not finite"):
        encode_pool(context(), columns([ONE], genomes=np.full((1, 342), np.nan, np.float32)))


def test_a_null_without_its_reason_is_refused():
    with pytest.raises(EvidenceError, match="docker_image"):
        encode_pool(context(null_reasons={"source.ablation": "nothing is ablated"}), columns([ONE]))


def test_the_return_of_the_experiment_must_be_finite():
    with pytest.raises(EvidenceError, match="return of the experiment"):
        encode_pool(context(system_roi=float("nan")), columns([ONE]))


def test_no_entry_makes_no_line():
    empty = columns([ONE])
    none = PoolColumns(**{name: getattr(empty, name)[:0] for name in attrs.fields_dict(PoolColumns)})
    assert encode_pool(context(), none) == ()
