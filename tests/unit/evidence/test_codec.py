"""The converter: strict configuration, evidence that survives versions, and text that has one spelling."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError, EvidenceError
from prometheus.v10.evidence.records.codec import (
    config_hash,
    dump_config,
    from_json_bytes,
    load_config,
    structure_config,
    to_json_bytes,
    to_line,
    to_plain,
)
from prometheus.v10.evidence.records.nulls import Nulls, violations


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@frozen
class Experiment:
    founders: int = field(default=100, validator=attrs.validators.ge(1))
    leverage: float = 3.0
    colour: Colour = Colour.RED
    seeds: tuple[int, ...] = ()
    names: list[str] = field(factory=list)
    strict: bool = False
    snapshot: str | None = None


@frozen
class Profile:
    instance: str
    experiment: Experiment = field(factory=Experiment)
    more: list[Experiment] = field(factory=list)


@frozen(kw_only=True)
class Inner:
    rate: float | None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Record:
    schema: str = "record/1"
    count: int
    share: float
    inner: Inner
    free: dict[str, Any] = field(factory=dict)
    null_reasons: dict[str, str] = field(factory=dict)
    extra: dict[str, Any] = field(factory=dict)


def record(**changes: Any) -> Record:
    defaults: dict[str, Any] = {"count": 3, "share": 0.5, "inner": Inner(rate=0.25)}
    return Record(**(defaults | changes))


# --- configuration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (
            {"instance": "HF", "experiment": {"fouders": 3}},
            "hf.toml: unknown key 'fouders' in [experiment]; did you mean 'founders'?",
        ),
        (
            {"instance": "HF", "zzz": 1},
            "hf.toml: unknown key 'zzz' in the top level; known: instance, experiment, more",
        ),
        ({}, "hf.toml: instance is missing"),
        (
            {"instance": "HF", "experiment": {"founders": "many"}},
            "hf.toml: [experiment] founders = 'many': expected a whole number",
        ),
        (
            {"instance": "HF", "experiment": {"founders": True}},
            "hf.toml: [experiment] founders = True: expected a whole number",
        ),
        (
            {"instance": "HF", "experiment": {"founders": 3.0}},
            "hf.toml: [experiment] founders = 3.0: expected a whole number",
        ),
        ({"instance": 7}, "hf.toml: instance = 7: expected text"),
        (
            {"instance": "HF", "experiment": {"leverage": "3"}},
            "hf.toml: [experiment] leverage = '3': expected a number",
        ),
        (
            {"instance": "HF", "experiment": {"strict": 1}},
            "hf.toml: [experiment] strict = 1: expected true or false",
        ),
        (
            {"instance": "HF", "experiment": {"colour": "green"}},
            "hf.toml: [experiment] colour = 'green': expected one of red, blue",
        ),
        (
            {"instance": "HF", "experiment": {"names": "abc"}},
            "hf.toml: [experiment] names = 'abc': expected a list",
        ),
        (
            {"instance": "HF", "experiment": {"seeds": [1, "2"]}},
            "hf.toml: [experiment] seeds[1] = '2': expected a whole number",
        ),
        (
            {"instance": "HF", "experiment": {"founders": 0}},
            "hf.toml: [experiment]: 'founders' must be >= 1: 0",
        ),
        ({"instance": "HF", "experiment": 5}, "hf.toml: experiment = 5: expected a table"),
        (
            {"instance": "HF", "more": [{}, {"leverge": 1}]},
            "hf.toml: unknown key 'leverge' in [more[1]]; did you mean 'leverage'?",
        ),
        (
            {"instance": 1, "experiment": {"founders": "x"}},
            "hf.toml: instance = 1: expected text; [experiment] founders = 'x': expected a whole number",
        ),
    ],
)
def test_a_wrong_profile_is_one_clear_line(data: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        structure_config(data, Profile, source="hf.toml")
    assert caught.value.message == line
    assert caught.value.exit_code == 78


def test_a_whole_number_may_stand_for_a_real_one() -> None:
    profile = structure_config({"instance": "HF", "experiment": {"leverage": 2}}, Profile, source="x")
    assert isinstance(profile.experiment.leverage, float)


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(ConfigError) as caught:
        structure_config({"instance": ["x" * 500]}, Profile, source="x")
    assert len(caught.value.message) < 120


def test_files_that_are_not_toml_or_not_there(tmp_path: Path) -> None:
    bad = tmp_path / "p.toml"
    with pytest.raises(ConfigError, match=r"cannot read .*No such file"):
        load_config(bad, Profile)
    bad.write_text("instance = \n")
    with pytest.raises(ConfigError, match=r"not TOML: .*line 1"):
        load_config(bad, Profile)
    bad.write_bytes(b'instance = "\xff"\n')
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(bad, Profile)
    bad.write_text('instance = "HF"\n[experiment]\ncolour = "blue"\n')
    assert load_config(bad, Profile).experiment.colour is Colour.BLUE


@given(
    st.builds(
        Experiment,
        founders=st.integers(1, 10**9),
        leverage=st.floats(allow_nan=False, allow_infinity=False),
        colour=st.sampled_from(Colour),
        seeds=st.lists(st.integers(0, 2**64)).map(tuple),
        names=st.lists(st.text()),
        strict=st.booleans(),
        snapshot=st.none() | st.text(),
    )
)
def test_a_dumped_configuration_reads_back_equal_and_hashes_equal(experiment: Experiment) -> None:
    dump = dump_config(Profile("HF", experiment))
    again = json.loads(json.dumps(dump))
    assert structure_config(again, Profile, source="dump") == Profile("HF", experiment)
    assert config_hash(again) == config_hash(dump)


def test_the_config_hash_is_that_of_the_canonical_text() -> None:
    assert config_hash({"b": 1, "a": [True, "\u00e9"]}) == hashlib.sha256(b'{"a":[true,"\\u00e9"],"b":1}').hexdigest()


# --- evidence -------------------------------------------------------------------------------------------------------


def test_an_old_record_with_unknown_keys_is_rewritten_to_the_same_bytes() -> None:
    plain = to_plain(record())
    plain["later"] = {"x": [1, 2.5, "y"]}
    plain["inner"]["newer"] = "kept"
    old = json.dumps(plain, sort_keys=True, indent=2).encode() + b"\n"
    read = from_json_bytes(old, Record, where="old")
    assert read.extra == {"later": {"x": [1, 2.5, "y"]}}
    assert to_json_bytes(read) == old


def test_artifact_text_is_sorted_indented_ascii_and_ends_in_a_newline() -> None:
    text = to_json_bytes(record(free={"b": "\u00e9\U0001f600", "a": 1e-7})).decode("ascii")
    assert text.startswith('{\n  "count": 3,\n  "free": {\n    "a": 1e-07,\n    "b": "\\u00e9\\ud83d\\ude00"\n')
    assert text.endswith("}\n")
    assert to_line(record()) == (
        b'{"count":3,"free":{},"inner":{"rate":0.25},"null_reasons":{},"schema":"record/1","share":0.5}\n'
    )


def test_numpy_scalars_become_plain_numbers() -> None:
    made = record(
        count=np.int64(7), share=np.float32(0.1), free={"a": np.float64(2), "b": np.bool_(True), "c": [np.uint8(3)]}
    )
    plain = to_plain(made)
    assert json.loads(to_json_bytes(made)) == plain
    assert (plain["count"], plain["share"], plain["free"]) == (
        7,
        float(np.float32(0.1)),
        {"a": 2.0, "b": True, "c": [3]},
    )


def test_a_real_number_field_keeps_its_point() -> None:
    assert b'"share": 1.0' in to_json_bytes(record(share=1))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("nan")])
def test_what_is_not_finite_is_refused_with_its_path(bad: float) -> None:
    with pytest.raises(EvidenceError, match=r"Record: free\.a\.1\.b is (nan|inf)"):
        to_json_bytes(record(free={"a": [0, {"b": bad}]}))
    with pytest.raises(EvidenceError, match=r"Record: share is"):
        to_line(record(share=bad))


@pytest.mark.parametrize("bad", [b"bytes", {1, 2}, object(), 1j])
def test_what_json_cannot_carry_is_refused_with_its_path(bad: object) -> None:
    with pytest.raises(EvidenceError, match=r"Record: free\.a is a \w+, which JSON cannot carry"):
        to_plain(record(free={"a": bad}))
    with pytest.raises(EvidenceError, match=r"free has the key 3, which is not text"):
        to_plain(record(free={3: 1}))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b'{"count": 1, "count": 2}', "not strict JSON"),
        (b'{"count": NaN}', "not strict JSON"),
        (b"[1", "not strict JSON"),
        (b"[1]", "expected a table"),
        (b'{"count": "3", "inner": {"rate": 1}, "share": 1}', "count = '3': expected a whole number"),
        (b'{"count": 3, "share": 1}', "inner is missing"),
    ],
)
def test_damaged_evidence_is_refused_by_name(text: bytes, what: str) -> None:
    with pytest.raises(EvidenceError, match=what) as caught:
        from_json_bytes(text, Record, where="run_manifest.json")
    assert caught.value.message.startswith("run_manifest.json: ")
    assert caught.value.exit_code == 65


# --- null plus a reason ---------------------------------------------------------------------------------------------


def test_a_null_needs_its_reason_and_a_reason_its_null() -> None:
    with pytest.raises(EvidenceError, match=r"Record: inner\.rate is null without a reason"):
        to_plain(record(inner=Inner(rate=None)))
    with pytest.raises(EvidenceError, match=r"Record: inner\.rate has a reason but is not null"):
        to_plain(record(null_reasons={"inner.rate": "why"}))
    to_plain(record(inner=Inner(rate=None), null_reasons={"inner.rate": "nothing was measured"}))


def test_nulls_makes_the_pair() -> None:
    nulls = Nulls()
    made = record(inner=Inner(rate=nulls.unknown("inner.rate", "nothing was measured")), null_reasons=nulls.reasons)
    assert to_plain(made)["inner"]["rate"] is None
    assert nulls.known("count", 3, "unused") == 3
    assert nulls.known("x.0", None, "absent") is None
    assert nulls.reasons == {"inner.rate": "nothing was measured", "x.0": "absent"}
    nulls.forget("x.0", "never there")
    assert nulls.reasons.keys() == {"inner.rate"}
    with pytest.raises(ValueError, match="needs a reason"):
        nulls.unknown("y", " ")
    with pytest.raises(ValueError, match="already null because"):
        nulls.unknown("inner.rate", "another reason")


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ({}, []),
        ({"a": None}, ["a is null without a reason"]),
        ({"a": [1, {"b": None}], "null_reasons": {"a.1.b": "why"}}, []),
        ({"null_reasons": {"a": "why"}}, ["a has a reason but is not null"]),
        ({"a": None, "null_reasons": {"a": " "}}, ["a has an empty reason"]),
        ({"null_reasons": None}, ["null_reasons is not an object"]),
        ({"rows": [{"x": None, "null_reasons": {"x": "why"}}], "null_reasons": {}}, []),
        ({"rows": [{"x": None, "null_reasons": {}}]}, ["rows.0.x is null without a reason"]),
        (
            {"rows": [{"x": None, "null_reasons": {"x": "why"}}], "null_reasons": {"rows.0.x": "twice"}},
            ["rows.0.x has a reason but is not null"],
        ),
    ],
)
def test_violations(tree: dict[str, Any], found: list[str]) -> None:
    assert violations(tree) == found
