"""Canonical bytes and the chain's arithmetic: one value one spelling, and ids that belong to their content."""

from __future__ import annotations

import hashlib
import json
import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.evidence.chains import chain
from prometheus.v10.evidence.chains.chain import Lines, content_id
from prometheus.v10.evidence.records.canonical import (
    canonical_bytes,
    canonical_line,
    is_canonical,
    pretty_bytes,
    strict_loads,
)

VALUES = {
    "sorted": ({"b": 1, "a": 2}, b'{"a":2,"b":1}'),
    "no spaces": ([1, {"a": [True, None]}], b'[1,{"a":[true,null]}]'),
    "ASCII": ("\u00e9\u4e2d\x7f", b'"\\u00e9\\u4e2d\\u007f"'),
    "shortest float": ([0.1, 1e16, 1e-7, -0.0, 100.0], b"[0.1,1e+16,1e-07,-0.0,100.0]"),
    "large int": (2**70, b"1180591620717411303424"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_has_one_spelling(name):
    value, spelling = VALUES[name]
    assert canonical_bytes(value) == spelling
    assert strict_loads(spelling) == value
    assert is_canonical(spelling, value)
    assert json.loads(pretty_bytes(value)) == value


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30))
def test_documents_are_laid_out_as_json_does_it(value):
    assert pretty_bytes(value) == json.dumps(value, sort_keys=True, indent=2).encode("ascii") + b"\n"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {"a": -float("inf")}])
def test_what_is_not_finite_is_refused(bad):
    for spelt in (canonical_bytes, pretty_bytes):
        with pytest.raises(ValueError, match="JSON"):
            spelt(bad)


@pytest.mark.parametrize("bad", [{1: "a"}, {"a": {2: 3}}, [{None: 1}], {"a": {1, 2}}, b"x"])
def test_what_json_cannot_hold_is_refused(bad):
    for spelt in (canonical_bytes, pretty_bytes):
        with pytest.raises(TypeError):
            spelt(bad)


@pytest.mark.parametrize(
    "bad",
    [b'{"a":1,"a":1}', b'{"a":NaN}', b"[Infinity]", '"\u00e9"'.encode(), b"", b"{", b"{} {}", b"[" * 200_000, b'"\n"'],
)
def test_what_two_readers_would_read_differently_is_refused(bad):
    with pytest.raises(ValueError, match=r".+"):
        strict_loads(bad)


@pytest.mark.parametrize(
    "other", [b'{"a": 1}', b'{"a":1.00}', b'{"b":2,"a":1}', b'{"a":1}\n', b'{"a":1e0}', b'{"\\u0061":1}']
)
def test_another_spelling_is_not_canonical(other):
    assert not is_canonical(other, json.loads(other))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(json_values)
def test_reading_back_gives_the_same_bytes(value):
    data = canonical_bytes(value)
    assert canonical_bytes(strict_loads(data)) == data
    assert b"\n" not in data
    assert data.isascii()


@given(st.binary())
def test_a_content_id_is_a_version_8_uuid_of_its_content(rest):
    identity = uuid.UUID(content_id(rest))
    assert str(identity) == content_id(rest)
    assert (identity.version, identity.variant) == (8, uuid.RFC_4122)
    digest = hashlib.sha256(rest).hexdigest()
    assert identity.hex[:12] == digest[:12]
    assert identity.hex[17:] == digest[17:32]


@given(st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b), max_size=20), st.binary(max_size=20))
def test_lines_are_whole_with_their_offsets_for_any_block_size(tmp_path_factory, pieces, rest):
    rest = rest.replace(b"\n", b"")
    path = tmp_path_factory.getbasetemp() / "lines"
    whole = b"".join(piece + b"\n" for piece in pieces)
    path.write_bytes(whole + rest)
    for block in (1, 7, chain.BLOCK):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chain, "BLOCK", block)
            fd = os.open(path, os.O_RDONLY)
            lines = Lines(fd)
            found = [(lines.offset, line) for line in lines]
            os.close(fd)
        assert b"".join(line for _, line in found) == whole
        assert all(whole[at : at + len(line)] == line for at, line in found)
        assert lines.end == len(whole)


def test_a_line_without_end_stops_the_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(chain, "MAX_LINE", 1000)
    monkeypatch.setattr(chain, "BLOCK", 100)
    (tmp_path / "a").write_bytes(canonical_line({"a": 1}) + b"x" * 5000)
    fd = os.open(tmp_path / "a", os.O_RDONLY)
    lines = Lines(fd)
    assert list(lines) == [b'{"a":1}\n']
    os.close(fd)
    assert lines.overlong
