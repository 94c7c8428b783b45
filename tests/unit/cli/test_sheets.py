"""Tables at 60, 80, 120 and 200 columns with the worst values: each number, id and time is whole and in one line."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from prometheus.cli.sheets import TONES, Kind, cell, facts, table, wrapped

WIDTHS = [60, 80, 120, 200]
WORST = {
    "run": "PROMOTE_20261128T231110Z_b2f3e4d_289e",
    "hash": "0123456789abcdef",
    "time": "2026-11-28T23:11:10.123456Z",
    "n": -9_223_372_036_854_775_808,
    "ROI": -0.000123456789,
    "percent": "-100.00 %",
    "bytes": "1,023.9 TiB",
    "state": "interrupted",
    "what it gates": "every order that would be sent while the book is crossed, in either direction, by any agent",
}


def shown(part, width: int, *, terminal: bool = False, **more) -> str:
    held = io.StringIO()
    Console(file=held, width=width, force_terminal=terminal, highlight=False, **more).print(part)
    return held.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", range(1, len(WORST) + 1))
def test_worst_values_are_whole_at_every_width(width, count):
    names = list(WORST)[:count]
    out = shown(table("worst", names, [[WORST[name] for name in names]] * 2), width)
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out
    for name in names[:8]:
        assert out.count(cell(WORST[name])) >= 2, name
        assert name in out
    if count == len(WORST):
        assert out.replace("\n", " ").count("by any agent") == 2 or re.search(r"by +any\s+agent", out)


@given(
    st.lists(
        st.lists(
            st.one_of(st.integers(), st.floats(), st.none(), st.booleans(), st.text(max_size=80)),
            min_size=4,
            max_size=4,
        ),
        max_size=6,
    ),
    st.sampled_from(WIDTHS),
)
def test_numbers_are_whole_whatever_stands_beside_them(rows, width):
    out = shown(table("", ["alpha", "beta figure", "gamma", "delta"], rows), width)
    words = set(out.split())
    for value in (value for row in rows for value in row):
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert cell(value) in words


@pytest.mark.parametrize("width", WIDTHS)
def test_facts_are_whole_at_every_width(width):
    out = shown(facts("run", {"would have passed without costs, %": 14.9, "x": "a " * 100, **WORST}), width)
    assert max(map(len, out.splitlines())) <= width
    for name in list(WORST)[:8]:
        assert cell(WORST[name]) in out


def test_optional_columns_go_first_and_are_named():
    made = table(
        "runs", list(WORST), [list(WORST.values())], optional=("what it gates", "bytes", "state", "hash", "time")
    )
    out = shown(made, 120)
    assert "not shown: what it gates" in out
    assert str(WORST["run"]) in out
    assert "what it gates" in shown(made, 400).splitlines()[1]


def test_wide_characters_and_controls_keep_their_places():
    rows = [["日本語のテキスト", 12_345], ["\x1b[31mred\x07", -1]]
    out = shown(table("", ["name", "n"], rows), 60)
    assert "\x1b" not in out
    assert "12,345" in out
    assert r"\x1b[31mred" in out


def test_a_header_folds_at_spaces_and_keeps_its_words():
    columns = [f"long header number {n}" for n in range(6)]
    out = shown(table("", columns, [[1, 2, 3, 4, 5, 6]]), 80)
    assert "header" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, None], Kind.NUMBER), (["12.5 %", "-3 %"], Kind.NUMBER), (["1.5 GiB", "3 B"], Kind.NUMBER),
        (["abc", None], Kind.WORD), (["a b"], Kind.TEXT), (["x" * 41], Kind.TEXT), ([True, 1], Kind.WORD),
        ([], Kind.WORD),
    ],
)  # fmt: skip
def test_kinds_are_seen_from_the_values(values, kind):
    assert table("", ["c"], [[value] for value in values]).kinds == [kind]


def test_csv_has_raw_values_and_is_read_back():
    rows = [["a,b", 1_234_567, 0.1 + 0.2, None, True, 'quo"te'], ["new\nline", -1, 1e-300, 2, False, "\x1b"]]
    read = list(csv.reader(io.StringIO(table("t", list("abcdef"), rows).csv())))
    assert read[0] == list("abcdef")
    assert read[1] == ["a,b", "1234567", "0.30000000000000004", "", "yes", 'quo"te']
    assert float(read[2][2]) == 1e-300
    assert read[2][5] == r"\x1b"


@pytest.mark.parametrize("word", TONES)
def test_a_verdict_has_one_of_sixteen_colours_and_keeps_its_word(word):
    out = shown(table("", ["what"], [[f"{word}"]]), 80, terminal=True, color_system="standard")
    codes = set(re.findall(r"\x1b\[([\d;]+)m", out)) - {"0", "1"}
    assert codes == {{"green": "32", "yellow": "33", "red": "31"}[TONES[word]]}
    assert word in out


def test_a_word_that_only_begins_like_a_verdict_has_no_colour():
    out = shown(
        table("", ["what"], [["passenger"], ["okay"], ["FAILURES"]]), 80, terminal=True, color_system="standard"
    )
    assert set(re.findall(r"\x1b\[([\d;]+)m", out)) <= {"0", "1"}


@given(st.text(max_size=200), st.integers(min_value=1, max_value=80))
def test_folding_loses_nothing_but_spaces(text, width):
    joined = "".join(wrapped(text, width)).replace(" ", "")
    assert joined == text.replace(" ", "").replace("\n", "")
