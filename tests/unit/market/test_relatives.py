"""Relatives of the shapes that people download: whatever their form, the bars are the true ones, or nothing is read.

The truth is the drawn table itself; pandas writes most of the files.
"""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.market.bars import Bars
from prometheus.v10.market.sources.importers import read_source
from prometheus.v10.market.sources.tables import Reading
from tests.unit.market.shapes import FIRST, drawn, klines, table, zipped

SETTINGS = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
NAMES = itertools.count()
STEPS = st.sampled_from([60, 300, 900, 3600, 14_400, 86_400])
ROWS = st.integers(3, 40)
ZONES = {"+00:00": 0, "+08:00": 28_800, "-05:30": -19_800, "+05:45": 20_700}


def frames(rows: int, step: int, seed: int) -> pd.DataFrame:
    return drawn(rows, step, FIRST + 86_400 * (seed % 400), seed)


def same(bars: Bars, frame: pd.DataFrame) -> bool:
    columns = dict(zip(("open", "high", "low", "close", "volume"), "ohlcv", strict=True))
    return bars.open_time.tolist() == frame.t.tolist() and all(
        getattr(bars, name).tolist() == frame[short].tolist() for name, short in columns.items()
    )


def written(place: Path, content: bytes, packing: str = "none") -> Path:
    path = place / f"{next(NAMES)}"
    packed = {
        "none": lambda: content,
        "gzip": lambda: gzip.compress(content),
        "zstd": lambda: zstandard.ZstdCompressor().compress(content),
        "zip": lambda: zipped("a.csv", content.decode("utf-8")),
    }[packing]()
    path.write_bytes(packed)
    return path


def stamps(frame: pd.DataFrame, form: str, zone: str) -> list[str]:
    """Times of one form; dates by the clock of a zone."""
    units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    if form in units:
        return [str(t * units[form]) for t in frame.t]
    if form == "float seconds":
        return [f"{t}.0" for t in frame.t]
    moments = pd.to_datetime(frame.t + ZONES[zone], unit="s")
    return list(moments.dt.strftime({"iso": f"%Y-%m-%dT%H:%M:%S{zone}", "naive": "%Y-%m-%d %H:%M:%S"}[form]))


FORMS = st.fixed_dictionaries({
    "rows": ROWS,
    "step": STEPS,
    "seed": st.integers(0, 10_000),
    "time": st.sampled_from(["s", "ms", "us", "ns", "float seconds", "iso", "naive"]),
    "zone": st.sampled_from(sorted(ZONES)),
    "name": st.sampled_from(["timestamp", "Open Time", "time", "unix", "open_time"]),
    "separator": st.sampled_from([",", ";", "\t", "|"]),
    "newest first": st.booleans(),
    "line end": st.sampled_from(["\n", "\r\n"]),
    "mark": st.booleans(),
    "quoted": st.booleans(),
    "packing": st.sampled_from(["none", "gzip", "zstd", "zip"]),
    "second volume": st.sampled_from(["none", "quote_volume", "Quote asset volume", "turnover"]),
    "swapped": st.booleans(),
    "capitals": st.booleans(),
    "more": st.booleans(),
})  # fmt: skip


@SETTINGS
@given(form=FORMS)
def test_a_file_of_any_form_has_the_true_bars(form: dict, tmp_path: Path) -> None:
    frame = frames(form["rows"], form["step"], form["seed"])
    columns = {form["name"]: stamps(frame, form["time"], form["zone"])}
    columns |= {name: frame[short] for name, short in zip(("open", "high", "low", "close"), "ohlc", strict=True)}
    two = (
        {"volume": frame.v} if form["second volume"] == "none" else {"volume": frame.v, form["second volume"]: frame.q}
    )
    columns |= dict(zip(two, reversed(two.values()), strict=True)) if form["swapped"] and len(two) == 2 else two
    columns |= {"number of trades": frame.n} if form["more"] else {}
    made = pd.DataFrame(columns)
    made.columns = [name.capitalize() if form["capitals"] else name for name in made.columns]
    text = (made[::-1] if form["newest first"] else made).to_csv(
        index=False, sep=form["separator"], lineterminator=form["line end"], quoting=int(form["quoted"])
    )
    path = written(tmp_path, (b"\xef\xbb\xbf" if form["mark"] else b"") + text.encode(), form["packing"])
    zone = form["zone"] if form["time"] == "naive" else None
    read = read_source(path, Reading(symbol="X", timezone=zone))
    assert same(read.bars, frame)
    assert read.bars.timeframe_s == form["step"]


def _row(frame: pd.DataFrame, at: int, change: Callable[[list[str]], list[str]]) -> str:
    """Binance's twelve columns with one row changed."""
    lines = klines(frame).splitlines()
    lines[at] = ",".join(change(lines[at].split(",")))
    return "\n".join([*lines, ""])


def _lines(frame: pd.DataFrame, change: Callable[[list[str]], list[str]]) -> str:
    """Binance's twelve columns with other lines."""
    return "\n".join([*change(klines(frame).splitlines()), ""])


def _contradicted(lines: list[str], at: int) -> list[str]:
    """One more row, whose close is another."""
    cells = lines[at].split(",")
    cells[4] = f"{(float(cells[2]) + float(cells[3])) / 2 + 0.05:.2f}"
    return [*lines[:at], ",".join(cells), *lines[at:]]


def _powers(line: str) -> str:
    stamp, _, rest = line.partition(",")
    return f"{float(stamp):.6e},{rest}"


def _half_zoned(frame: pd.DataFrame, at: int) -> str:
    dates = pd.to_datetime(frame.t, unit="s").dt.strftime("%Y-%m-%dT%H:%M:%S")
    zoned = [date + ("" if k == at else "+00:00") for k, date in enumerate(dates)]
    return table(frame.assign(d=zoned), "date,open,high,low,close,volume", "{d},{o},{h},{l},{c},{v}")


HARMS: dict[str, Callable[[pd.DataFrame, int], str]] = {
    "a cell is missing": lambda f, at: _row(f, at, lambda cells: cells[:7] + cells[8:]),
    "a cell is empty": lambda f, at: _row(f, at, lambda cells: [*cells[:3], "", *cells[4:]]),
    "a row is gone": lambda f, at: _lines(f, lambda lines: lines[: at + 1] + lines[at + 2 :]),
    "a row stands twice": lambda f, at: _lines(f, lambda lines: [*lines[:at], lines[at], *lines[at:]]),
    "a row contradicts another": lambda f, at: _lines(f, lambda lines: _contradicted(lines, at)),
    "rows change places": lambda f, at: _lines(f, lambda ls: [*ls[:at], ls[at + 1], ls[at], *ls[at + 2 :]]),
    "the end is cut off": lambda f, at: _lines(f, lambda lines: [*lines[:-1], lines[-1][: len(lines[-1]) // 2]])[:-1],  # noqa: ARG005
    "stamps lose digits": lambda f, at: _lines(f, lambda lines: [lines[0], *map(_powers, lines[1:])]),  # noqa: ARG005
    "a stamp is half a second off": lambda f, at: _row(f, at, lambda cells: [str(int(cells[0]) + 500), *cells[1:]]),
    "volume is contracts": lambda f, at: klines(f.assign(v=np.round(f.v * f.c / 100), q=f.v)),  # noqa: ARG005
    "both volumes are quote": lambda f, at: klines(f.assign(v=f.q)),  # noqa: ARG005
    "a date has no zone": _half_zoned,
    "a price is negative": lambda f, at: _row(f, at, lambda cells: [*cells[:3], f"-{cells[3]}", *cells[4:]]),
    "high below low": lambda f, at: _row(f, at, lambda cells: [*cells[:2], cells[3], cells[2], *cells[4:]]),
    "a header in the middle": lambda f, at: _lines(f, lambda lines: [*lines[: at + 1], lines[0], *lines[at + 1 :]]),
    "a number with a comma": lambda f, at: _row(f, at, lambda cells: [cell.replace(".", ",") for cell in cells]),
}
HARMLESS = {"a row stands twice", "a header in the middle", "a row is gone", "volume is contracts"}
"""Harms after which the file still says, or proves, every bar that is read."""


def answer(path: Path, reading: Reading) -> Bars | PrometheusError:
    """The bars, or the refusal."""
    try:
        return read_source(path, reading).bars
    except PrometheusError as refused:
        return refused


@SETTINGS
@given(
    harm=st.sampled_from(sorted(HARMS)),
    rows=st.integers(6, 40),
    step=STEPS,
    seed=st.integers(0, 10_000),
    at=st.integers(1, 4),
)
@pytest.mark.parametrize("gaps", [False, True])
def test_a_harmed_file_is_refused_or_has_no_bar_that_is_not_true(
    gaps: bool, harm: str, rows: int, step: int, seed: int, at: int, tmp_path: Path
) -> None:
    frame = frames(rows, step, seed)
    path = written(tmp_path, HARMS[harm](frame, at).encode())
    bars = answer(path, Reading(symbol="X", allow_gaps=gaps))
    if isinstance(bars, PrometheusError):
        assert "\n" not in bars.message
        assert bars.exit_code in {64, 78}
        return
    truth = frame.set_index("t").loc[bars.open_time.tolist()].reset_index()
    assert same(bars, truth)
    assert gaps or len(bars) == len(frame)
    assert harm in HARMLESS


@SETTINGS
@given(rows=ROWS, step=STEPS, seed=st.integers(0, 10_000), unit=st.sampled_from([1, 10**3, 10**6]), text=st.booleans())
def test_lists_of_json_have_the_true_bars(
    rows: int, step: int, seed: int, unit: int, text: bool, tmp_path: Path
) -> None:
    import json

    frame = frames(rows, step, seed)
    kind = str if text else (lambda value: value)
    lists = [
        [kind(one.t * unit), *(kind(value) for value in (one.o, one.h, one.l, one.c, one.v))]
        for one in frame.itertuples()
    ]
    names = ("timestamp", "open", "high", "low", "close", "volume")
    objects = [dict(zip(names, row, strict=True)) for row in lists]
    for value in (
        lists,
        {"result": {"list": lists[::-1]}},
        objects,
        {"data": objects},
        {"columns": names, "data": lists},
    ):
        read = read_source(written(tmp_path, json.dumps(value).encode()), Reading(symbol="X"))
        assert same(read.bars, frame)
    lines = "\n".join(map(json.dumps, objects))
    assert same(read_source(written(tmp_path, lines.encode()), Reading(symbol="X")).bars, frame)
