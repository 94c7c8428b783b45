"""What a broken or lying server says: one clear line, the right code, nothing half-written; and then the rest comes."""

from __future__ import annotations

import io
import json
import socket
import time
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
from attrs import evolve

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExchangeError, ExitCode, PrometheusError
from prometheus.v10.market.download.download_wire import Patience, TryLaterError, Wire
from tests.unit.market.download.history_house import House, Reply, envelope, seconds, zipped
from tests.unit.market.shapes import klines
from tests.unit.ops.alerts.sink import Sink

DAY = "2025-01-02"
ZIP = f"BTCUSDT-1h-{DAY}.zip"
CSV = f"BTCUSDT-1h-{DAY}.csv"
PLACE = f"/data/spot/daily/klines/BTCUSDT/1h/{ZIP}"
HTML = Reply(200, b"<html><body>please log in</body></html>", {"Content-Type": "text/html"})

Harm = Callable[[House], None]


def says(reply: Reply, word: str = ZIP) -> Harm:
    """The server says this whenever the path ends so."""

    def harm(house: House) -> None:
        house.twist = lambda path, _: reply if path.partition("?")[0].endswith(word) else None

    return harm


def plays(act: Callable[[BaseHTTPRequestHandler], None], word: str = ZIP) -> Harm:
    return says(Reply(play=act), word)


def holds(content: Callable[[House], bytes]) -> Harm:
    """The archive has this instead, and its checksum agrees."""
    return lambda house: house.store(PLACE, content(house))


def rows_of(house: House) -> list[str]:
    begin = seconds(DAY)
    frame = house.bars[(house.bars.t >= begin) & (house.bars.t < begin + 86_400)]
    return klines(frame, 1_000, None).splitlines()


def as_rows(change: Callable[[list[str]], list[str]]) -> Harm:
    return holds(lambda house: zipped("\n".join([*change(rows_of(house)), ""]), CSV))


def bomb(_house: House) -> bytes:
    return zipped(b"0" * (30 << 20), CSV)


def understated(house: House) -> bytes:
    """A zip file whose directory says that its member is shorter than it is."""
    whole = zipped("\n".join(rows_of(house)) + "\n", CSV)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        size = archive.infolist()[0].file_size
    return whole.replace(size.to_bytes(4, "little"), (size - 700).to_bytes(4, "little"))


def flipped(house: House) -> bytes:
    whole = bytearray(zipped("\n".join(rows_of(house)) + "\n", CSV, zipfile.ZIP_STORED))
    whole[200] ^= 1
    return bytes(whole)


def locked(house: House) -> bytes:
    whole = bytearray(zipped("x", CSV))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(mark) + at] |= 1
    return bytes(whole)


def two_members(_house: House) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(CSV, "x")
        archive.writestr("more.csv", "x")
    return made.getvalue()


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nPK\x03\x04" + b"x" * 90)


def more(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nPK\x03\x04" + b"x" * 900)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        handler.wfile.write(b"10000\r\n" + b"PK\x03\x04" * (1 << 14) + b"\r\n")


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def nothing(_handler: BaseHTTPRequestHandler) -> None:
    return


DAMAGED, GONE, LATER = ExitCode.EVIDENCE_DAMAGED, ExitCode.EXCHANGE_UNAVAILABLE, ExitCode.TRY_AGAIN
ARCHIVE: dict[str, tuple[Harm, ExitCode, str]] = {
    "a wrong checksum": (says(Reply(body=f"{'0' * 64}  {ZIP}\n".encode()), f"{ZIP}.CHECKSUM"), DAMAGED,
                         "its sha256 is [0-9a-f]{64}, the published one is 0{64}"),
    "the checksum of another file": (says(Reply(body=b"0" * 64 + b"  other.zip\n"), f"{ZIP}.CHECKSUM"), DAMAGED,
                                     "holds no sha256 of"),
    "a page for a checksum": (says(HTML, f"{ZIP}.CHECKSUM"), DAMAGED, "holds no sha256 of"),
    "a checksum without an end": (says(Reply(body=b"0" * 5000), f"{ZIP}.CHECKSUM"), GONE, "no answer of this kind has"),
    "a page for a file": (says(HTML), GONE, "something else than a zip file"),
    "nothing for a file": (says(Reply()), GONE, "something else than a zip file"),
    "half a zip file": (holds(lambda house: house.files[PLACE][:-300]), DAMAGED, "is damaged or was cut off"),
    "a bit that flipped": (holds(flipped), DAMAGED, "is damaged or was cut off"),
    "a member longer than it says": (holds(understated), DAMAGED, "is damaged or was cut off"),
    "a member that is locked": (holds(locked), DAMAGED, "is damaged or was cut off"),
    "a bomb": (holds(bomb), DAMAGED, "unpacks to more than"),
    "a name outside": (holds(lambda _: zipped("x", f"../../{CSV}")), DAMAGED, "should hold"),
    "an absolute name": (holds(lambda _: zipped("x", f"/etc/{CSV}")), DAMAGED, "should hold"),
    "two members": (holds(two_members), DAMAGED, "more.csv, and should hold"),
    "no member": (holds(lambda _: b"PK\x05\x06" + bytes(18)), DAMAGED, "holds nothing, and should hold"),
    "rows out of order": (as_rows(lambda rows: [rows[1], rows[0], *rows[2:]]), DAMAGED, "is earlier than the row"),
    "one time with two rows": (as_rows(lambda rows: [rows[0], rows[0].replace(",0", ",1"), *rows[1:]]), DAMAGED,
                               "line 2: 2025-01-02 00:00:00Z repeats the time"),
    "rows of another day": (as_rows(lambda rows: [row.replace("17357", "17358", 1) for row in rows]), DAMAGED,
                            "is not within 2025-01-02"),
    "rows of another length": (as_rows(lambda rows: [rows[0], *(row.replace("00000,", "60000,", 1) for row in rows)]),
                               DAMAGED, "no time at which a bar of 3600 s opens"),
    "a cell too few": (as_rows(lambda rows: [row.rpartition(",")[0] for row in rows]), DAMAGED, "11 cells"),
    "another header": (as_rows(lambda rows: ["t,o,h,l,c,v,e,q,n,b,d,i", *rows]), DAMAGED, "'t' is no time"),
    "a header alone": (as_rows(lambda _: ["open_time,o,h,l,c,v,e,q,n,b,d,i"]), DAMAGED, "holds no row"),
    "no text": (holds(lambda _: zipped(bytes(range(256)), CSV)), DAMAGED, "is damaged|cells"),
    "a redirect": (says(Reply(302, b"", {"Location": "http://example.org/x"})), GONE,
                   "leads to http://example.org/x, which is not followed"),
    "500": (says(Reply(500)), GONE, r"answers 500 \(3 tries\)"),
    "a page with 502": (says(evolve(HTML, status=502)), GONE, r"answers 502 \(3 tries\)"),
    "403": (says(Reply(403)), GONE, "answers 403"),
    "429": (says(Reply(429)), LATER, r"too many requests \(3 tries\)"),
    "418": (says(Reply(418)), LATER, r"too many requests \(3 tries\)"),
    "a wait of an hour": (says(Reply(429, b"", {"Retry-After": "3600"})), LATER, "asks to wait 3600 s"),
    "a size beyond all": (says(Reply(200, b"", {"Content-Length": str(1 << 40)})), GONE, "declares 1,099,511,627,776"),
    "no end": (plays(endless), GONE, "sends more than"),
    "fewer bytes than declared": (plays(cut), GONE, "cut off at .* bytes"),
    "more bytes than declared": (plays(more), DAMAGED, "its sha256 is .*, the published one is"),
    "a packed answer": (says(Reply(200, b"x", {"Content-Encoding": "gzip"})), GONE, "packed"),
    "another protocol": (plays(garbage), GONE, "the connection broke"),
    "a closed connection": (plays(nothing), GONE, "closed without an answer"),
}  # fmt: skip


def one_line(error: PrometheusError) -> str:
    assert "\n" not in error.message
    assert error.hint
    return error.message


@pytest.mark.parametrize("case", ARCHIVE)
def test_a_bad_answer_of_the_archive(case, desk, house):
    harm, code, told = ARCHIVE[case]
    house.publish()
    good = dict(house.files)
    harm(house)
    with pytest.raises(PrometheusError, match=told) as met:
        desk.fetch(first="2025-01-01", end="2025-01-04")
    assert met.value.exit_code is code
    one_line(met.value)
    assert desk.visible() == ["BTCUSDT-1h-2025-01-01.zip"]
    house.files, house.twist = good, lambda _path, _number: None
    done = desk.fetch(first="2025-01-01", end="2025-01-04")
    assert [one.record.rows for one in done.bars] == [24, 24, 24]
    assert desk.visible() == [f"BTCUSDT-1h-2025-01-0{day}.zip" for day in (1, 2, 3)]
    assert sorted(place.name for place in desk.folder.glob(".*")) == [".download.lock"]


def test_a_row_that_is_published_twice_is_no_fault(desk, house):
    house.publish()
    as_rows(lambda rows: [rows[0], rows[0], *rows[1:]])(house)
    assert [one.record.rows for one in desk.fetch(first=DAY).bars] == [24]


# ---- pages -----------------------------------------------------------------------------------------------------------

CANDLES = "history-candles"


def page(change: Callable[[list], object]) -> Harm:
    """Rows of every page of the day after are changed before they are sent; the newest first."""

    def harm(house: House) -> None:
        def twist(path: str, _number: int) -> Reply | None:
            if CANDLES not in path:
                return None
            said = json.loads(house.answer(path).body)
            if said["data"] and int(said["data"][0][0]) < 1000 * seconds(DAY):
                return None
            said["data"] = change(said["data"])
            return Reply(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

        house.twist = twist

    return harm


def cell(at: int, text: object) -> Harm:
    return page(lambda rows: [[*rows[0][:at], text, *rows[0][at + 1 :]], *rows[1:]])


def now_and_then(house: House) -> None:
    """Every other answer leaves a row out."""

    def twist(path: str, number: int) -> Reply | None:
        said = json.loads(house.answer(path).body)
        del said["data"][3 + number % 2]
        return Reply(200, json.dumps(said).encode())

    house.twist = lambda path, number: twist(path, number) if f"after={1000 * seconds('2025-01-03')}" in path else None


def code(number: str, status: int = 200) -> Harm:
    return says(envelope([], code=number, msg="\x1b[2Jnot now", status=status), CANDLES)


PAGES: dict[str, tuple[Harm, ExitCode, str]] = {
    "a page of HTML": (says(HTML, CANDLES), GONE, "answers 200 with text/html, which is no JSON"),
    "nothing": (says(Reply(), CANDLES), GONE, "which is no JSON"),
    "half a JSON": (says(Reply(body=b'{"code":"0","data":[['), CANDLES), GONE, "which is no JSON"),
    "a deep JSON": (says(Reply(body=b"[" * 100_000), CANDLES), GONE, "which is no JSON"),
    "a list": (says(Reply(body=b"[]"), CANDLES), GONE, "answers code None"),
    "too many requests": (code("50011"), LATER, r"answers 50011: \\x1b\[2Jnot now \(3 tries\)"),
    "too many requests, 429": (code("50011", 429), LATER, "too many requests"),
    "maintenance": (code("50001", 503), GONE, "answers 503"),
    "busy": (code("50013"), GONE, r"answers 50013: .* \(3 tries\)"),
    "an unknown instrument": (code("51001"), ExitCode.USAGE, "OKX knows no instrument BTC-USDT-SWAP"),
    "an unknown instrument, 400": (code("51001", 400), ExitCode.USAGE, "OKX knows no instrument BTC-USDT-SWAP"),
    "another code": (code("51000"), GONE, r"answers code 51000: \\x1b"),
    "a code that is a number": (says(Reply(body=b'{"code":0,"data":[]}'), CANDLES), GONE, "answers code 0"),
    "a code that is a list": (says(Reply(body=b'{"code":["0"],"data":[]}'), CANDLES), GONE, "answers code"),
    "no data": (says(Reply(body=b'{"code":"0"}'), CANDLES), DAMAGED, "is no list of at most 100 rows"),
    "a map of data": (page(lambda rows: {"a": rows}), DAMAGED, "is no list of at most 100 rows"),
    "more rows than asked for": (page(lambda rows: [*rows, *rows[:60]] * 2), DAMAGED, "is no list of at most 100 rows"),
    "a row that is none": (page(lambda rows: [None, *rows[1:]]), DAMAGED, "is no row of nine texts"),
    "a row of eight": (page(lambda rows: [rows[0][:8], *rows[1:]]), DAMAGED, "is no row of nine texts"),
    "numbers instead of texts": (cell(1, 42.0), DAMAGED, "is no row of nine texts"),
    "no number": (cell(2, "NaN"), DAMAGED, "'NaN' is no number"),
    "no time": (cell(0, "2025-01-02"), DAMAGED, "'2025-01-02' is no time"),
    "no whole second": (cell(0, "1735862400001"), DAMAGED, "is not a whole second"),
    "a time between bars": (page(lambda rows: [[str(int(rows[0][0]) - 60_000), *rows[0][1:]], *rows[1:]]), DAMAGED,
                            "no time at which a bar"),
    "an unfinished bar": (cell(8, "0"), GONE, "is said to be unfinished"),
    "another confirm": (cell(8, "2"), DAMAGED, "confirm is '2'"),
    "the oldest first": (page(lambda rows: rows[::-1]), DAMAGED, "and the newest should be first"),
    "a row twice": (page(lambda rows: [rows[0], *rows[:-1]]), DAMAGED, "and the newest should be first"),
    "two answers to one question": (now_and_then, DAMAGED, "were asked for twice, and the answers differ"),
    "a page that ignores the question": (says(envelope([["1740783600000", *["1"] * 8]]), CANDLES), DAMAGED,
                                         "none of those that came is"),
    "a redirect": (says(Reply(307, b"", {"Location": "https://okx.example/"}), CANDLES), GONE, "is not followed"),
    "a country that is not served": (says(Reply(451, b"{}"), CANDLES), GONE, "answers 451"),
}  # fmt: skip


@pytest.mark.parametrize("case", PAGES)
def test_a_bad_page(case, desk, house):
    harm, exit_code, told = PAGES[case]
    harm(house)
    with pytest.raises(PrometheusError, match=told) as met:
        desk.fetch("okx", first=DAY, end="2025-01-04")
    assert met.value.exit_code is exit_code
    assert "\x1b" not in one_line(met.value)
    assert desk.visible() == []
    house.twist = lambda _path, _number: None
    assert [one.record.rows for one in desk.fetch("okx", first=DAY, end="2025-01-04").bars] == [24, 24]
    assert sorted(place.name for place in desk.folder.glob(".*")) == [".download.lock"]


def overlapping(house: House, change: Callable[[list[str]], list[str]]) -> None:
    """A server that includes the row before which rows were asked for, and changes it when it comes again."""

    def twist(path: str, number: int) -> Reply:
        after = path.partition("after=")[2].partition("&")[0]
        said = json.loads(house.answer(path.replace(after, str(int(after) + 3_600_000))).body)
        said["data"][0] = change(said["data"][0]) if number > 1 else said["data"][0]
        return Reply(200, json.dumps(said).encode())

    house.twist = twist


def test_pages_that_overlap_are_joined_where_they_agree(desk, house):
    overlapping(house, lambda row: row)
    done = desk.fetch("okx", first="2025-01-01", end="2025-02-01")
    assert [one.record.rows for one in done.bars] == [744]
    assert len(done.bars[0].record.answers) == 8


def test_pages_that_overlap_are_refused_where_they_differ(desk, house):
    overlapping(house, lambda row: [*row[:5], "9.9", *row[6:]])
    with pytest.raises(PrometheusError, match="comes again, and differs"):
        desk.fetch("okx", first="2025-01-01", end="2025-02-01")
    assert desk.visible() == []


# ---- the wire --------------------------------------------------------------------------------------------------------


def drips(text: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def act(handler: BaseHTTPRequestHandler) -> None:
        head, end, body = text.partition(b"\r\n\r\n")
        if body:
            handler.wfile.write(head + end)
        for one in body or head:
            handler.wfile.write(bytes([one]))
            time.sleep(0.02)

    return act


SLOW = {
    "a head that drips": (b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 4000, r"no answer within 0.2 s \(2 tries\)"),
    "a body that drips": (b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 4000, "which is too slow"),
    "no word at all": (b"", r"closed without an answer|no answer in time"),
}


@pytest.mark.parametrize("case", SLOW)
def test_who_is_too_slow_is_cut_off(case, house):
    text, told = SLOW[case]
    plays(drips(text), "x")(house)
    patience = Patience(idle_s=0.5, head_s=0.2, slowest=100_000.0, tries=2, first_pause_s=0.0)
    wire = Wire(house.base, clock=SystemClock(), pace_s=0.0, patience=patience)
    with pytest.raises(ExchangeError, match=told):
        wire.ask("/x", lambda answer: answer, most=10_000)
    assert len(house.heard) == 2


def test_a_server_that_never_answers_is_cut_off():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        patience = Patience(idle_s=0.1, head_s=5.0, tries=2, first_pause_s=0.0)
        wire = Wire(base, clock=SystemClock(), pace_s=0.0, patience=patience)
        with pytest.raises(ExchangeError, match=r"no answer in time \(2 tries\)"):
            wire.ask("/x", lambda answer: answer, most=10_000)


def test_a_certificate_that_nobody_vouches_for_is_refused(house, tmp_path, monkeypatch):
    sink = Sink(tmp_path)
    try:
        patience = Patience(tries=2, first_pause_s=0.0)
        stranger = f"https://localhost:{sink.port}"
        for base, told in (
            (stranger, "its certificate is not one that is believed"),
            (house.base.replace("http:", "https:"), "no TLS could be agreed on"),
            (stranger, "answers 501"),  # it is believed now, and takes no GET
        ):
            wire = Wire(base, clock=SystemClock(), pace_s=0.0, patience=patience)
            with pytest.raises(ExchangeError, match=told):
                wire.ask("/x", lambda answer: answer, most=10_000)
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem") if "TLS" in told else "/nowhere")
    finally:
        sink.close()
    assert house.heard == []


def test_nobody_there_is_one_line(desk, house):
    house.close()
    with pytest.raises(ExchangeError, match=r"the connection was refused \(3 tries\)"):
        desk.fetch("okx")


def test_a_fault_that_passes_is_tried_over_and_the_waits_double(desk, house):
    house.publish()
    replies = iter([Reply(500), Reply(503, b"", {"Retry-After": "7"})])
    house.twist = lambda path, _: next(replies, None) if path.endswith(ZIP) else None
    assert len(desk.fetch(first=DAY).bars) == 1
    assert [one for one in desk.waits if one >= 1] == [1.0, 7.0]


def test_waits_that_are_asked_for_are_kept_up_to_a_bound(desk, house):
    says(Reply(429, b"", {"Retry-After": "20"}), CANDLES)(house)
    with pytest.raises(TryLaterError):
        desk.fetch("okx")
    assert ([one for one in desk.waits if one >= 1], len(house.heard)) == ([20.0, 20.0], 3)


def test_requests_keep_the_pace_of_the_exchange(desk, house):
    """At most 20 in 2 seconds for candles, 10 in 2 seconds for rates: the loopback answers at once."""
    desk.fetch("okx", funding=True, first="2025-01-01", end="2025-02-01")
    paced = [one for one in desk.waits if one < 1]
    assert len(house.heard) == len(paced) + 2
    assert all(one == pytest.approx(0.11, abs=0.001) for one in paced[:7])


def test_neither_a_proxy_nor_an_address_of_the_environment_is_used(desk, house, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    assert len(desk.fetch("okx").bars) == 4


def test_what_is_sent_names_no_host_of_ours(desk, house):
    desk.fetch("okx", first=DAY)
    assert {name for headers in house.headers for name in headers} == {"Host", "Accept-Encoding", "User-Agent"}


def test_one_connection_serves_many_requests_and_a_closed_one_is_made_anew(desk, house):
    closing = iter([False, True, False, True, True])

    def twist(path: str, _number: int) -> Reply | None:
        reply = house.answer(path)
        return evolve(reply, headers={**reply.headers, "Connection": "close"}) if next(closing, False) else None

    house.twist = twist
    assert len(desk.fetch("okx", first="2025-01-01", end="2025-01-08").bars) == 7
    assert [one for one in desk.waits if one >= 1] == []
