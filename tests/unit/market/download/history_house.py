"""A real HTTP server on the loopback with the history of two exchanges, in their recorded shapes; it can misbehave.

The shapes are those of the public documentation: Binance's archive (zip files of twelve columns, headers or none,
milliseconds or microseconds, ``.CHECKSUM`` beside each), OKX's pages (texts, the newest first, ``confirm``).
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import pandas as pd  # type: ignore[import-untyped]

from tests.unit.market.shapes import drawn, klines

HOUR = 3600
FUNDING = "calc_time,funding_interval_hours,last_funding_rate"


@attrs.define
class Reply:
    """What the server says; ``play`` writes to the socket itself instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = attrs.field(factory=dict)
    play: Callable[[BaseHTTPRequestHandler], None] | None = None


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def zipped(content: str | bytes, name: str, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def history(first: str, end: str, step: int = HOUR, seed: int = 7) -> pd.DataFrame:
    """Drawn bars from a day to the day before another, with funding every 8 hours."""
    begin = seconds(first)
    return drawn((seconds(end) - begin) // step, step, begin, seed)


def rate_at(second: int) -> float:
    """The rate that is booked at a boundary; realized is not what was forecast."""
    return ((second // 28_800) % 13 - 6) / 1e5


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that goes away is what many tests are about."""


class House:
    """The server and what it has.

    Attributes:
        bars: columns as `shapes.drawn` gives them.
        heard: paths that were asked for, with their queries.
        twist: what is said instead, when it gives anything: by path and number of the request.
    """

    def __init__(self, bars: pd.DataFrame) -> None:
        self.bars = bars
        self.step = int(bars.t.iloc[1] - bars.t.iloc[0])
        self.heard: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.twist: Callable[[str, int], Reply | None] = lambda _path, _number: None
        self.files: dict[str, bytes] = {}
        house = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                house.heard.append(self.path)
                house.headers.append(dict(self.headers))
                reply = house.twist(self.path, len(house.heard)) or house.answer(self.path, self.headers.get("Range"))
                with suppress(OSError):
                    if reply.play is not None:
                        reply.play(self)
                        self.close_connection = True
                        return
                    self.send_response(reply.status)
                    for name, value in ({"Content-Length": str(len(reply.body))} | reply.headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(reply.body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, asked_range: str | None = None) -> Reply:
        parts = urlsplit(path)
        if parts.path.startswith("/api/v5/"):
            return self.okx(parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()})
        content = self.files.get(parts.path)
        if content is None:
            return Reply(404, b"<Error><Code>NoSuchKey</Code></Error>", {"Content-Type": "application/xml"})
        if asked_range is not None:
            begin = int(asked_range.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(content):
                return Reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            told = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            return Reply(206, content[begin:], {"Content-Range": told})
        return Reply(200, content)

    # ---- OKX ---------------------------------------------------------------------------------------------------------

    def okx(self, path: str, query: dict[str, str]) -> Reply:
        if query.get("instId") not in {"BTC-USDT-SWAP", "BTC-USDT"}:
            return envelope([], code="51001", msg="Instrument ID doesn't exist.")
        after, limit = int(query["after"]), int(query["limit"])
        rows = self.candles(query["instId"]) if path.endswith("history-candles") else self.rates()
        stamps = [int(row[0]) if isinstance(row, list) else int(row["fundingTime"]) for row in rows]
        older = [row for row, stamp in zip(rows, stamps, strict=True) if stamp < after]
        return envelope(older[::-1][:limit])

    def candles(self, instrument: str = "BTC-USDT-SWAP") -> list[Any]:
        """Rows, the oldest first: contracts of 0.01 coin, base volume, quote volume; of spot base, quote, quote."""
        if not instrument.endswith("SWAP"):
            return [
                [str(one.t * 1000), *map(str, (one.o, one.h, one.l, one.c, one.v, one.q, one.q)), "1"]
                for one in self.bars.itertuples()
            ]
        return [
            [str(one.t * 1000), *map(str, (one.o, one.h, one.l, one.c)), f"{one.v * 100:.3f}", f"{one.v:.5f}",
             f"{one.q:.6f}", "1"]
            for one in self.bars.itertuples()
        ]  # fmt: skip

    def rates(self) -> list[Any]:
        first, last = int(self.bars.t.iloc[0]), int(self.bars.t.iloc[-1])
        return [
            {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "formulaType": "withRate", "method": "current_period",
             "fundingRate": "0.0001", "realizedRate": f"{rate_at(one):.7f}", "fundingTime": str(one * 1000)}
            for one in range(-(-first // 28_800) * 28_800, last + 1, 28_800)
        ]  # fmt: skip

    # ---- Binance -----------------------------------------------------------------------------------------------------

    def publish(self, product: str = "spot", bar: str = "1h", *, unit: int = 1_000, header: str | None = None) -> None:
        """Put every month and every day of the bars into the archive."""
        moments = pd.to_datetime(self.bars.t, unit="s")
        for often, form in (("monthly", "%Y-%m"), ("daily", "%Y-%m-%d")):
            for name, frame in self.bars.groupby(moments.dt.strftime(form)):
                self.put(product, bar, often, str(name), klines(frame, unit, header))

    def put(self, product: str, bar: str, often: str, name: str, content: str) -> str:
        head = "spot" if product == "spot" else f"futures/{product}"
        file = f"BTCUSDT-{bar}-{name}"
        place = f"/data/{head}/{often}/klines/BTCUSDT/{bar}/{file}.zip"
        self.store(place, zipped(content, f"{file}.csv"))
        return place

    def store(self, place: str, content: bytes) -> None:
        """A file and its published checksum."""
        self.files[place] = content
        name = place.rpartition("/")[2]
        self.files[f"{place}.CHECKSUM"] = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()

    def publish_funding(self, product: str = "um") -> None:
        rates = pd.DataFrame({"t": [int(one["fundingTime"]) for one in self.rates()]})
        for name, frame in rates.groupby(pd.to_datetime(rates.t, unit="ms").dt.strftime("%Y-%m")):
            lines = [f"{one.t + 3},8,{rate_at(one.t // 1000):.8f}" for one in frame.itertuples()]
            file = f"BTCUSDT-fundingRate-{name}"
            place = f"/data/futures/{product}/monthly/fundingRate/BTCUSDT/{file}.zip"
            self.store(place, zipped("\n".join([FUNDING, *lines, ""]), f"{file}.csv"))


def envelope(rows: list[Any], *, code: str = "0", msg: str = "", status: int = 200) -> Reply:
    body = json.dumps({"code": code, "msg": msg, "data": rows}, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json"})
