"""What an exchange answers, and what a download keeps: each read as the downloader reads it."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.market.download.binance_archive import KLINES, BinanceArchive
from prometheus.v10.market.download.brought import Errand
from prometheus.v10.market.download.download_plan import Exchange, asked_for, day_piece
from prometheus.v10.market.download.download_wire import AgainError, Answer, Wire
from prometheus.v10.market.download.okx_history import CANDLES, FUNDING, OkxHistory, Walk, _rows_of
from prometheus.v10.market.sources.received import DownloadRecord, Received, bytes_of, read_record, record_place

MAY_RAISE: tuple[type[Exception], ...] = (PrometheusError, AgainError)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
FIRST_MS = 1_709_251_200_000
NAME = "BTCUSDT-1h-2024-03-01.zip"
CANDLE = [[str(FIRST_MS + 3_600_000 * k), "100", "102", "99", "101", "700", "7", "707", "1"] for k in (2, 1, 0)]
RATE = {"instId": "BTC-USDT-SWAP", "fundingRate": "0.0001", "realizedRate": "-0.0001", "fundingTime": str(FIRST_MS)}
PAGES = [json.dumps({"code": "0", "msg": "", "data": rows}).encode() for rows in (CANDLE, [RATE])]
RECEIVED = Received(address="https://data.binance.vision/x", bytes=3, sha256="a" * 64, at="2024-06-01T00:00:00.000000Z")
RECORD = bytes_of(
    DownloadRecord(
        file=NAME, bytes=3, sha256="a" * 64, holds="bars", exchange="binance", product="spot", instrument="BTCUSDT",
        timeframe_s=3600, begin_utc="2024-03-01 00:00:00Z", end_utc="2024-03-02 00:00:00Z", rows=24,
        first_utc="2024-03-01 00:00:00Z", last_utc="2024-03-01 23:00:00Z", missing=[], published_sha256="a" * 64,
        answers=[RECEIVED], terms="https://example.org", null_reasons={},
    )
)  # fmt: skip
KEPT = json.dumps({
    "after": FIRST_MS + 3 * 3_600_000, "rows": CANDLE,
    "answer": {"address": "x", "bytes": 1, "sha256": "a" * 64, "at": "x"},
}).encode() + b"\n"  # fmt: skip


def errand(exchange: Exchange, instrument: str) -> Errand:
    asked = asked_for(exchange, instrument, "1h", first="2024-03-01", end="2024-03-02", product=None, now=NOW)
    clock = SystemClock()
    return Errand(asked=asked, wire=Wire("http://127.0.0.1:1", clock=clock, pace_s=0.0), clock=clock)


def zipped_day() -> bytes:
    rows = [f"{FIRST_MS + 3_600_000 * k},100,102,99,101,7,{FIRST_MS + 3_600_000 * k + 3_599_999},707,9,3,300,0"
            for k in range(24)]  # fmt: skip
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-1h-2024-03-01.csv", "\n".join([*rows, ""]))
    return made.getvalue()


def record(data: bytes, scratch: Path) -> object:
    """The record of a download, as an import reads it, and what it says of it."""
    record_place(scratch / NAME).write_bytes(data)
    found = read_record(scratch / NAME)
    return found and found.sentence()


def archive(data: bytes, scratch: Path) -> object:
    """A zip file of the archive whose checksum agreed."""
    (scratch / NAME).write_bytes(data)
    source = BinanceArchive(errand=errand(Exchange.BINANCE, "BTCUSDT"), kind=KLINES)
    return source._looked_at(scratch / NAME, day_piece(NOW.replace(month=3).date()), NAME, 30 * 400 + 65_536)


def pages(data: bytes, _scratch: Path) -> object:
    """An answer that should hold candles, and one that should hold rates."""
    work = errand(Exchange.OKX, "BTC-USDT-SWAP")
    rows = _rows_of(Answer(status=200, body=data, kind="x"), "http://127.0.0.1:1", "BTC-USDT-SWAP")
    kind = FUNDING if rows and isinstance(rows[0], dict) else CANDLES
    return OkxHistory(errand=work, kind=kind)._stamps(rows, "x")


def kept(data: bytes, scratch: Path) -> object:
    """Pages that a killed command left."""
    (scratch / "x.pages").write_bytes(data)
    walk = Walk(begin_ms=FIRST_MS, end_ms=FIRST_MS + 3 * 3_600_000, step_ms=3_600_000, where="x")
    history = OkxHistory(errand=errand(Exchange.OKX, "BTC-USDT-SWAP"), kind=CANDLES)
    return history._kept(scratch / "x.pages", walk)
