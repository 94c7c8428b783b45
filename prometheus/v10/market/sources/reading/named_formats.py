"""Formats that exchanges and tools write, by name: how their columns stand where no header says it, and what is theirs.

A file without a header is read as the one format that its width, its prices and its numbers fit; where none or several
do, or where nothing in the file proves which volume it holds, it is refused, and ``--format`` decides. A file with a
header is read by its header; a format that is named must then be the one that the header fits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import frozen

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.text import printable
from prometheus.v10.market.sources.reading.volume_columns import VOLUME_TOLERANCE


@frozen(kw_only=True)
class Format:
    """One named format.

    Attributes:
        name: what ``--format`` takes.
        columns: names by place, for a file without a header; empty for a format that always has one.
        header: names, any one set of which shows the format in a header.
        base: the column that is base volume by the format's definition, where no second volume proves it.
        turnover: its column of quote volume, which rows must prove for the format to fit.
        proven: its columns hold a second volume, so that it may be taken without being named.
        listed: an array of JSON in this order is this format without being named.
        quiet: bars in which nobody traded are left out.
        says: a sentence for the record.
    """

    name: str
    columns: tuple[str, ...] = ()
    header: tuple[frozenset[str], ...] = ()
    base: str | None = None
    turnover: str | None = None
    proven: bool = False
    listed: bool = False
    quiet: bool = False
    says: str | None = None


def _columns(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _sets(*texts: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(text.split()) for text in texts)


OHLC = "open high low close"
BINANCE = f"open_time {OHLC} volume close_time quote_volume count taker_buy_volume taker_buy_quote_volume ignore"
FORMATS: tuple[Format, ...] = (
    Format(
        name="binance", columns=_columns(BINANCE), proven=True, listed=True,
        header=_sets("open_time close_time quote_volume taker_buy_volume",
                     "open_time close_time quote_asset_volume number_of_trades"),
    ),
    Format(
        name="okx", columns=_columns(f"ts {OHLC} vol volccy volccyquote confirm"), proven=True, listed=True,
        header=_sets("instrument_name vol vol_ccy vol_quote open_time confirm", "ts vol volccy confirm"),
    ),
    Format(
        name="bybit", columns=_columns(f"start_time {OHLC} volume turnover"), turnover="turnover", proven=True,
        listed=True,
    ),
    Format(name="ccxt", columns=_columns(f"timestamp {OHLC} volume"), base="volume", listed=True),
    Format(
        name="kraken", columns=_columns(f"time {OHLC} volume trades"), base="volume", quiet=True,
        says="format: Kraken leaves out bars in which nobody traded",
    ),
    Format(name="kraken-rest", columns=_columns(f"time {OHLC} vwap volume count"), base="volume", listed=True),
    Format(
        name="kucoin", columns=_columns("time open close high low volume turnover"), turnover="turnover", proven=True,
        listed=True,
    ),
    Format(
        name="gateio", columns=_columns("time quote_volume close high low open volume finished"),
        turnover="quote_volume", proven=True, listed=True,
    ),
    Format(name="coinbase", columns=_columns("time low high open close volume"), base="volume"),
    Format(name="bitfinex", columns=_columns("time open close high low volume"), base="volume"),
    Format(name="freqtrade", header=_sets(f"date {OHLC} volume"), base="volume"),
    Format(
        name="cryptodatadownload", header=_sets(f"unix date symbol {OHLC}"),
    ),
    Format(name="kaggle", header=_sets("timestamp volume_btc volume_currency weighted_price")),
    Format(name="tardis", header=_sets(f"exchange symbol timestamp local_timestamp {OHLC}")),
    Format(
        name="yfinance", header=_sets(f"datetime {OHLC} adj_close volume", f"date {OHLC} adj_close volume"),
        says="volume: nothing proves it; Yahoo gives the volume of currency pairs in quote currency",
    ),
)  # fmt: skip
BY_NAME = {one.name: one for one in FORMATS}


def format_named(name: str | None) -> Format | None:
    """The format that the operator names.

    Raises:
        ConfigError: when there is none of that name.
    """
    if name is None:
        return None
    if name.lower() not in BY_NAME:
        raise ConfigError(
            f"--format {printable(name)!r}: there is no such format", hint=f"there are: {', '.join(sorted(BY_NAME))}"
        )
    return BY_NAME[name.lower()]


def format_of_header(keys: Sequence[str]) -> Format | None:
    """The format whose header this is, the most particular one."""
    have, found = set(keys), []
    for one in FORMATS:
        found += [(len(wanted), -number, one) for number, wanted in enumerate(one.header) if wanted <= have]
    return max(found, key=lambda item: item[:2])[2] if found else None


def formats_of_width(width: int) -> list[Format]:
    """Formats without a header that have so many columns."""
    return [one for one in FORMATS if len(one.columns) == width]


def orders_that_fit(formats: Sequence[Format], rows: Sequence[Sequence[float]]) -> list[Format]:
    """Those of ``formats`` in whose order every row has its open and close between its low and high.

    Where a format has a quote volume that proves it, every row must prove it.

    Args:
        formats: of the rows' width.
        rows: float64 values of all columns; what is no number is NaN.
    """

    def sound(one: Format, row: Sequence[float]) -> bool:
        opened, high, low, closed = (row[one.columns.index(name)] for name in OHLC.split())
        sane = low <= min(opened, closed) and max(opened, closed) <= high and low > 0
        if not sane or one.turnover is None:
            return sane
        base, quote = row[one.columns.index("volume")], row[one.columns.index(one.turnover)]
        return base * low * (1 - VOLUME_TOLERANCE) <= quote <= base * high * (1 + VOLUME_TOLERANCE)

    whole = [row for row in rows if not any(map(math.isnan, row[1:5]))]
    return [one for one in formats if whole and all(sound(one, row) for row in whole)]
