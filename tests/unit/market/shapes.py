"""Files of bars in the shapes that people download, made of drawn numbers, and how pandas alone would read each.

The recipes share no code with the product: they are the independent computation that every import is held against.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pandas as pd  # type: ignore[import-untyped]

HOUR = 3600
FIRST = 1_704_067_200  # 2024-01-01 00:00:00Z, a Monday
UM = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
OKX = "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm"


def drawn(rows: int = 60, step: int = HOUR, first: int = FIRST, seed: int = 7) -> pd.DataFrame:
    """Bars with a tick of 0.1 and volume of five places; ``q`` is quote volume, ``n`` a count of trades."""
    rng = np.random.default_rng(seed)
    close = np.round(42_000 * np.exp(np.cumsum(rng.normal(0, 2e-3, rows))), 1)
    opened = np.r_[42_000.0, close[:-1]]
    volume = np.round(rng.uniform(50, 200, rows), 5)
    return pd.DataFrame({
        "t": first + step * np.arange(rows),
        "o": opened,
        "h": np.round(np.maximum(opened, close) + rng.integers(0, 400, rows) / 10, 1),
        "l": np.round(np.minimum(opened, close) - rng.integers(1, 400, rows) / 10, 1),
        "c": close,
        "v": volume,
        "q": np.round(volume * (opened + close) / 2, 6),
        "n": rng.integers(1, 2_000, rows),
    })  # fmt: skip


def table(frame: pd.DataFrame, header: str | None, row: str) -> str:
    """CSV text: ``row`` is a format of the columns of `drawn`."""
    lines = [row.format(**one) for one in frame.to_dict("records")]
    return "\n".join([*([header] if header else []), *lines, ""])


def klines(frame: pd.DataFrame, unit: int = 1_000, header: str | None = UM) -> str:
    """Binance's twelve columns."""
    step = int(frame.t.iloc[1] - frame.t.iloc[0])
    lines = [
        f"{one.t * unit},{one.o:.8f},{one.h:.8f},{one.l:.8f},{one.c:.8f},{one.v:.8f},{(one.t + step) * unit - 1},"
        f"{one.q:.8f},{one.n},{one.v / 2:.8f},{one.q / 2:.8f},0"
        for one in frame.itertuples()
    ]
    return "\n".join([*([header] if header else []), *lines, ""])


def okx(frame: pd.DataFrame, last_ends: bool = True) -> str:
    confirm = [1] * (len(frame) - 1) + [int(last_ends)]
    lines = [
        f"BTC-USDT-SWAP,{one.o},{one.h},{one.l},{one.c},{one.v * 100:.2f},{one.v:.4f},{one.q:.4f},{one.t}000,{ended}"
        for one, ended in zip(frame.itertuples(), confirm, strict=True)
    ]
    return "\n".join([OKX, *lines, ""])


def rest(frame: pd.DataFrame) -> str:
    rows = [
        [str(one.t * 1000), *map(str, (one.o, one.h, one.l, one.c)), f"{one.v * 100:.2f}", str(one.v), str(one.q), "1"]
        for one in frame.itertuples()
    ]
    return json.dumps({"code": "0", "msg": "", "data": rows[::-1]})


def pairs(frame: pd.DataFrame) -> str:
    return json.dumps([[one.t * 1000, one.o, one.h, one.l, one.c, one.v] for one in frame.itertuples()])


def zipped(name: str, text: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return made.getvalue()


def columnar(frame: pd.DataFrame, time: str, unit: str, zone: str | None, parquet: bool = False) -> bytes:
    import pyarrow as pa
    from pyarrow import feather
    from pyarrow import parquet as pq

    per = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    kind = pa.timestamp(unit, zone)  # type: ignore[call-overload]
    made = pa.table({
        time: pa.array(frame.t.to_numpy() * per, kind),
        **{name: frame[short].to_numpy() for short, name in zip("ohlcv", NAMES, strict=True)},
    })  # fmt: skip
    out = io.BytesIO()
    if parquet:
        pq.write_table(made, out)
    else:
        feather.write_feather(made, out)
    return out.getvalue()


NAMES = ("open", "high", "low", "close", "volume")


# ---- what pandas makes of a file -------------------------------------------------------------------------------------


def by_pandas(
    path: Path, time: str | int, *, unit: str | None = None, volume: str | int = "volume", **how: Any
) -> pd.DataFrame:
    """Open time in seconds and the five numbers, oldest first."""
    frame = pd.read_csv(path, **how)
    prices: list[str | int] = [1, 2, 3, 4] if "header" in how else [
        next(name for name in frame.columns if str(name).lower() in {word, word[0]}) for word in NAMES[:4]
    ]  # fmt: skip
    return _tidy(frame, time, unit, [*prices, volume])


def _tidy(frame: pd.DataFrame, time: str | int, unit: str | None, columns: list[Any]) -> pd.DataFrame:
    if unit == "mixed":
        stamps = frame[time].map(lambda stamp: stamp // (10**6 if stamp >= 10**14 else 10**3))
    elif unit is not None:
        stamps = frame[time].astype("int64") // {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    else:
        stamps = (pd.to_datetime(frame[time], utc=True) - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
    found = pd.DataFrame({"t": stamps.astype("int64"), **dict(zip(NAMES, (frame[k] for k in columns), strict=True))})
    return found.astype(dict.fromkeys(NAMES, "float64")).sort_values("t", kind="stable").reset_index(drop=True)


def lists(
    path: Path, volume: int = 5, prices: tuple[int, ...] = (1, 2, 3, 4), unit: str = "ms", inside: str = "data"
) -> pd.DataFrame:
    content = path.read_bytes()
    value = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    found = value[inside] if isinstance(value, dict) else value
    frame = pd.DataFrame(found["list"] if isinstance(found, dict) else found)
    return _tidy(frame, 0, unit, [*prices, volume])


def tables(path: Path, time: str) -> pd.DataFrame:
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_feather(path)
    return _tidy(frame, time, None, list(NAMES))


# ---- the shapes ------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Shape:
    """One shape of file.

    Attributes:
        number: in the list of handed cases.
        name: of the file.
        make: gives its content.
        reading: what the operator says.
        want: how pandas reads it; None for a shape that is refused.
        refused: what the refusal says, and its hint.
        says: what the decisions must say.
        step: seconds a bar.
        symbol: that is found.
    """

    number: str
    name: str
    make: Callable[[], str | bytes]
    reading: dict[str, Any] = attrs.field(factory=dict)
    want: Callable[[Path], pd.DataFrame] | None = None
    refused: tuple[str, str] | None = None
    says: tuple[str, ...] = ()
    step: int = HOUR
    symbol: str = "X"


BTC = {"symbol": "X"}
MS = "time: 60 stamps in milliseconds"
TEXT = "{t},{o},{h},{l},{c},{v}"


def _without(frame: pd.DataFrame, *rows: int) -> pd.DataFrame:
    return frame.drop(index=list(rows)).reset_index(drop=True)


def _dates(form: str, shift: int = 0) -> pd.DataFrame:
    frame = drawn()
    moments = pd.to_datetime(frame.t + shift, unit="s")
    return frame.assign(d=moments.dt.strftime(form))


def _doubled(change: float) -> str:
    lines = klines(drawn()).splitlines()
    other = lines[31].split(",")
    other[5], other[7] = (f"{float(other[k]) * change:.8f}" for k in (5, 7))
    lines.insert(32, ",".join(other))
    return "\n".join([*lines, ""])


def _edited(row: int, **changes: str) -> str:
    lines = klines(drawn()).splitlines()
    cells, names = lines[row].split(","), UM.split(",")
    for name, value in changes.items():
        cells[names.index(name)] = value
    lines[row] = ",".join(cells)
    return "\n".join([*lines, ""])


def _kaggle_old() -> str:
    text = table(drawn(step=60), "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price",
                 "{t},{o},{h},{l},{c},{v},{q},{c}")  # fmt: skip
    lines = text.splitlines()
    for row in (6, 7, 31):
        lines[row] = lines[row].split(",")[0] + ",NaN" * 7
    return "\n".join([*lines, ""])


def _contracts() -> str:
    frame = drawn()
    lines = [
        f"{one.t * 1000},{one.o},{one.h},{one.l},{one.c},{round(one.v * one.c / 100)},{(one.t + HOUR) * 1000 - 1},"
        f"{one.v},{one.n},{round(one.v * one.c / 200)},{one.v / 2},0"
        for one in frame.itertuples()
    ]
    return "\n".join([UM, *lines, ""])


def _silent() -> str:
    frame = drawn()
    for row in (5, 6, 40, 41):
        frame.loc[row, ["o", "h", "l", "c"]] = frame.c[row - 1]
        frame.loc[row, ["v", "q"]] = 0.0
    return klines(frame)


def _kraken() -> pd.DataFrame:
    return _without(drawn(), 20, 45)


def _names(path: Path, **how: Any) -> pd.DataFrame:
    return by_pandas(path, "open_time", unit="ms", **how)


def _headless(path: Path) -> pd.DataFrame:
    return by_pandas(path, 0, unit="mixed", volume=5, header=None)


SHAPES = [
    Shape(number="01", name="BTCUSDT-1h-2024-01.csv", make=lambda: klines(drawn(), header=None), want=_headless,
          symbol="BTCUSDT", says=(MS, "format: binance", "by the file's name")),
    Shape(number="02", name="BTCUSDT-1h-2025-01.csv", make=lambda: klines(drawn(), 10**6, None), want=_headless,
          symbol="BTCUSDT", says=("time: 60 stamps in microseconds",)),
    Shape(number="02b", name="BTCUSDT-1h-2024-12.csv", want=_headless, symbol="BTCUSDT",
          make=lambda: klines(drawn()[:30], header=None) + klines(drawn()[30:], 10**6, None),
          says=("time: 30 stamps in milliseconds", "at line 31 to microseconds")),
    Shape(number="03", name="BTCUSDT-1h-2024-01.csv", make=lambda: klines(drawn()), want=_names, symbol="BTCUSDT",
          says=("timeframe: 3600 s, by the file's name",)),
    Shape(number="04", name="BTCUSDT-1h-2024-01.zip", make=lambda: zipped("BTCUSDT-1h-2024-01.csv", klines(drawn())),
          want=_names, symbol="BTCUSDT", says=("packing: zip",)),
    Shape(number="07", name="gap.csv", make=lambda: klines(_without(drawn(), 20, 21, 22)), reading=BTC,
          refused=("3 bars are missing before it; missing: 3 bars: 2024-01-01 20:00:00Z to 2024-01-01 22:00:00Z",
                   "--allow-gaps")),
    Shape(number="07b", name="gap.csv", make=lambda: klines(_without(drawn(), 20, 21, 22)), want=_names,
          reading=BTC | {"allow_gaps": True}, says=("gaps: 1 allowed", "3 bars: 2024-01-01 20:00:00Z to")),
    Shape(number="08", name="exact.csv", make=lambda: _doubled(1), reading=BTC,
          want=lambda path: _names(path).drop_duplicates().reset_index(drop=True),
          says=("dropped: rows that repeat another one exactly: 1",)),
    Shape(number="09", name="conflict.csv", make=lambda: _doubled(1.05), reading=BTC,
          refused=("line 32 and line 33 are both of 2024-01-02 06:00:00Z and differ: volume", "which is right")),
    Shape(number="10", name="BTC-USDT-SWAP-candlesticks-2024-01.csv", make=lambda: okx(drawn(step=60)), step=60,
          want=lambda path: by_pandas(path, "open_time", unit="ms", volume="vol_ccy"), symbol="BTC-USDT-SWAP",
          says=("format: okx", "base is 'vol_ccy'", "brackets 'vol_quote'")),
    Shape(number="11", name="BTC-USDT-SWAP-candlesticks-2024-01.csv", make=lambda: okx(drawn(step=60), False), step=60,
          want=lambda path: by_pandas(path, "open_time", unit="ms", volume="vol_ccy")[:-1], symbol="BTC-USDT-SWAP",
          says=("dropped: bars that had not ended (confirm is 0): 1",)),
    Shape(number="12", name="BTC-USDT-SWAP-candlesticks-2024-01.zip", step=60, symbol="BTC-USDT-SWAP",
          make=lambda: zipped("BTC-USDT-SWAP-candlesticks-2024-01.csv", okx(drawn(step=60))),
          want=lambda path: by_pandas(path, "open_time", unit="ms", volume="vol_ccy")),
    Shape(number="13", name="candles.json", make=lambda: rest(drawn()), want=lambda path: lists(path, 6), reading=BTC,
          says=("format: okx", "newest first", "base is 'volccy'")),
    Shape(number="13b", name="candles.csv", reading=BTC, says=("base is 'volccy'",),
          make=lambda: table(drawn()[::-1], "ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm",
                             "{t}000,{o},{h},{l},{c},{n},{v},{q},1"),
          want=lambda path: by_pandas(path, "ts", unit="ms", volume="volCcy")),
    Shape(number="15", name="ohlcv.json", make=lambda: pairs(drawn()), want=lists, reading=BTC, says=("format: ccxt",)),
    Shape(number="16", name="BTC_USDT-1h.json", make=lambda: pairs(drawn()), want=lists, symbol="BTC/USDT"),
    Shape(number="17", name="BTC_USDT-1h.json.gz", make=lambda: gzip.compress(pairs(drawn()).encode()), want=lists,
          symbol="BTC/USDT", says=("packing: gzip",)),
    Shape(number="60", name="kraken.json", reading=BTC, says=("format: kraken-rest",),
          make=lambda: json.dumps({"error": [], "XXBTZUSD": [
              [one.t, str(one.o), str(one.h), str(one.l), str(one.c), str(one.c), str(one.v), one.n]
              for one in drawn().itertuples()], "last": 1}),
          want=lambda path: lists(path, 6, unit="s", inside="XXBTZUSD")),
    Shape(number="61", name="kucoin.json", reading=BTC, says=("format: kucoin", "60 rows from 'volume'"),
          make=lambda: json.dumps({"code": "200000", "data": [
              [str(value) for value in (one.t, one.o, one.c, one.h, one.l, one.v, one.q)]
              for one in drawn()[::-1].itertuples()]}),
          want=lambda path: lists(path, 5, (1, 3, 4, 2), "s")),
    Shape(number="62", name="gateio.json", reading=BTC, says=("format: gateio", "60 rows from 'volume'"),
          make=lambda: json.dumps([
              [*(str(value) for value in (one.t, one.q, one.c, one.h, one.l, one.o, one.v)), "true"]
              for one in drawn().itertuples()]),
          want=lambda path: lists(path, 6, (5, 3, 4, 2), "s")),
    Shape(number="63", name="bybit.json", reading=BTC, says=("format: bybit", "60 rows from 'volume'"),
          make=lambda: json.dumps({"retCode": 0, "result": {"symbol": "BTCUSDT", "list": [
              [str(value) for value in (one.t * 1000, one.o, one.h, one.l, one.c, one.v, one.q)]
              for one in drawn()[::-1].itertuples()]}}),
          want=lambda path: lists(path, inside="result")),
    Shape(number="18", name="BTC_USDT-1h.feather", make=lambda: columnar(drawn(), "date", "ms", "UTC"),
          want=lambda path: tables(path, "date"), symbol="BTC/USDT"),
    Shape(number="19", name="BTC_USDT_USDT-1h-futures.feather", make=lambda: columnar(drawn(), "date", "ns", "UTC"),
          want=lambda path: tables(path, "date"), symbol="BTC/USDT:USDT"),
    Shape(number="20", name="BTC_USDT-1h.parquet", make=lambda: columnar(drawn(), "date", "ms", "UTC", True),
          want=lambda path: tables(path, "date"), symbol="BTC/USDT"),
    Shape(number="21", name="polars.parquet", make=lambda: columnar(drawn(), "timestamp", "us", None, True),
          want=lambda path: tables(path, "timestamp"), reading=BTC, says=("dates without a zone: taken as UTC",)),
    Shape(number="23", name="bitstamp.csv", symbol="BTC/USD", says=("newest first", "'volume btc'"),
          make=lambda: "https://www.CryptoDataDownload.com\n" + table(
              _dates("%Y-%m-%d %H:%M:%S")[::-1], "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
              "{t},{d},BTC/USD,{o},{h},{l},{c},{v},{q}"),
          want=lambda path: by_pandas(path, "unix", unit="s", volume="Volume BTC", skiprows=1)),
    Shape(number="24", name="binance.csv", symbol="BTCUSDT", says=("newest first", MS),
          make=lambda: "https://www.CryptoDataDownload.com\n" + table(
              _dates("%Y-%m-%d %H:%M:%S")[::-1],
              "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount",
              "{t}000,{d},BTCUSDT,{o},{h},{l},{c},{v},{q},{n}"),
          want=lambda path: by_pandas(path, "Unix", unit="ms", volume="Volume BTC", skiprows=1)),
    Shape(number="26", name="btcusd_1-min_data.csv", reading=BTC, step=60,
          make=lambda: table(drawn(step=60), "Timestamp,Open,High,Low,Close,Volume", "{t}.0,{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "Timestamp", unit="s", volume="Volume")),
    Shape(number="27", name="old.csv", make=_kaggle_old, reading=BTC, step=60,
          refused=("column open: nan is not a number", "--drop-empty")),
    Shape(number="27b", name="old.csv", make=_kaggle_old, reading=BTC | {"drop_empty": True}, step=60,
          refused=("2 bars are missing before it", "--allow-gaps")),
    Shape(number="27c", name="old.csv", make=_kaggle_old, step=60,
          reading=BTC | {"drop_empty": True, "allow_gaps": True},
          want=lambda path: by_pandas(path, "Timestamp", unit="s", volume="Volume_(BTC)").dropna(ignore_index=True),
          says=("dropped: rows without a price, as asked for: 3", "gaps: 2 allowed")),
    Shape(number="28", name="XBTUSD_60.csv", make=lambda: table(_kraken(), None, TEXT + ",{n}"),
          refused=("may be of kraken", "--format kraken")),
    Shape(number="28b", name="XBTUSD_60.csv", make=lambda: table(_kraken(), None, TEXT + ",{n}"), symbol="XBTUSD",
          reading={"format": "kraken"}, want=lambda path: by_pandas(path, 0, unit="s", volume=5, header=None),
          says=("gaps: 2 left out by the format", "timeframe: 3600 s, by the file's name")),
    Shape(number="30", name="tradingview.csv", reading=BTC,
          make=lambda: table(_dates("%Y-%m-%dT%H:%M:%SZ"), "time,open,high,low,close,Volume",
                             "{d},{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "time", volume="Volume")),
    Shape(number="31", name="plus8.csv", reading=BTC, says=("60 of +08:00) were converted to UTC",),
          make=lambda: table(_dates("%Y-%m-%dT%H:%M:%S+08:00", 28_800), "datetime,open,high,low,close,volume",
                             "{d},{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "datetime")),
    Shape(number="32", name="naive.csv", reading=BTC, says=("dates without a zone: taken as UTC (--timezone",),
          make=lambda: table(_dates("%Y-%m-%d %H:%M:%S", 28_800), "datetime,open,high,low,close,volume",
                             "{d},{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "datetime")),
    Shape(number="32b", name="naive.csv", reading=BTC | {"timezone": "Asia/Shanghai"}, says=("taken as Asia/Shanghai",),
          make=lambda: table(_dates("%Y-%m-%d %H:%M:%S", 28_800), "datetime,open,high,low,close,volume",
                             "{d},{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "datetime").assign(t=lambda found: found.t - 28_800)),
    Shape(number="34", name="ns.csv", reading=BTC,
          make=lambda: table(drawn(), "ts_event,open,high,low,close,volume", "{t}000000000,{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "ts_event", unit="ns")),
    Shape(number="35", name="silent.csv", make=_silent, want=_names, reading=BTC,
          says=("4 of 60 bars have volume 0 (6.67%): more than 1 %",)),
    Shape(number="36", name="pages.csv", reading=BTC, make=lambda: klines(pd.concat([drawn()[30:], drawn()[:30]])),
          refused=("line 32 .2024-01-01 00:00:00Z., column open_time: is earlier", "--sort")),
    Shape(number="36b", name="pages.csv", reading=BTC | {"sort": True}, want=_names, says=("order: rows were sorted",),
          make=lambda: klines(pd.concat([drawn()[30:], drawn()[:30]]))),
    Shape(number="38", name="index.csv", reading=BTC,
          make=lambda: table(drawn(), ",timestamp,open,high,low,close,volume", "{n},{t}000,{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "timestamp", unit="ms")),
    Shape(number="40", name="powers.csv", reading=BTC, refused=("digits are lost", "all digits"),
          make=lambda: table(drawn().assign(e=lambda f: (f.t * 1000.0).map("{:.6e}".format)),
                             "timestamp,open,high,low,close,volume", "{e},{o},{h},{l},{c},{v}")),
    Shape(number="41", name="bom.csv", want=_names, reading=BTC,
          make=lambda: b"\xef\xbb\xbf" + klines(drawn()).replace("\n", "\r\n").encode()),
    Shape(number="42", name="yfinance.csv", reading=BTC, says=("Yahoo gives the volume of currency pairs in quote",),
          make=lambda: table(_dates("%Y-%m-%d %H:%M:%S+00:00"), "Datetime,Open,High,Low,Close,Adj Close,Volume",
                             "{d},{o},{h},{l},{c},{c},{n}"),
          want=lambda path: by_pandas(path, "Datetime", volume="Volume")),
    Shape(number="44", name="tardis.csv", symbol="BTCUSDT",
          make=lambda: table(drawn(), "exchange,symbol,timestamp,local_timestamp,open,high,low,close,volume",
                             "binance-futures,BTCUSDT,{t}000000,{t}001234,{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "timestamp", unit="us")),
    Shape(number="45", name="tick.csv", reading=BTC, make=lambda: _edited(11, low="42999.9", high="43000.1"),
          refused=("column (open|close): .* lies outside", "vendors round")),
    Shape(number="46", name="BTCUSDT-fundingRate-2024-01.csv", refused=("is a funding series, not bars", "--funding"),
          make=lambda: "calc_time,funding_interval_hours,last_funding_rate\n1704067200007,8,0.00010000\n"),
    Shape(number="48", name="weeks.csv", reading=BTC, step=604_800, says=("begins 345600 s after the grid",),
          make=lambda: table(drawn(20, 604_800), "timestamp,open,high,low,close,volume", "{t}000,{o},{h},{l},{c},{v}"),
          want=lambda path: by_pandas(path, "timestamp", unit="ms")),
    Shape(number="49", name="BTCUSD_PERP-1h-2024-01.csv", make=_contracts, symbol="BTCUSD_PERP",
          want=lambda path: _names(path, volume="quote_volume"), says=("'volume' counts contracts of 100",)),
    Shape(number="51", name="empty.csv", reading=BTC, refused=("line 5 .*column open: nan is not a number", "mend"),
          make=lambda: _edited(4, open="", high="", low="", close="", volume="")),
    Shape(number="52", name="cut.csv", reading=BTC, make=lambda: klines(drawn())[:-60],
          refused=(r"line 61: \d+ cells where the header has 12", "cut off")),
]  # fmt: skip
