"""A real HTTPS server with a certificate of its own, and a journal that stands in for journald."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from attrs import define, field

from prometheus.v10.base.names import Event
from prometheus.v10.ops.alerts.journal_alerts import UNIT_FAILED


@define
class Heard:
    path: str
    headers: dict[str, str]
    body: str


class Sink:
    """Answers as ``mode`` says: ok, 500, redirect, slow (never), drip (a byte now and then), garbage."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[Heard] = []
        self.mode = "ok"
        self.let_go = threading.Event()
        key, certificate = folder / "key.pem", folder / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
             "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        self.pem = certificate.read_text()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}/{path}"

    def close(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # the other side went away
                    self.close_connection = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if sink.mode != "slow":
                    sink.heard.append(Heard(self.path, dict(self.headers), body))
                if sink.mode == "slow":
                    sink.let_go.wait()
                elif sink.mode == "drip":
                    while not sink.let_go.wait(0.02):
                        self.wfile.write(b"H")
                elif sink.mode == "garbage":
                    self.wfile.write(b"\x00\x1b[2J not http\r\n\r\n")
                else:
                    code = {"ok": 200, "500": 500, "redirect": 302}[sink.mode]
                    self.send_response(code)
                    self.send_header("Location", sink.url("elsewhere"))
                    said = b'{"stop": true, "command": "prometheus-quant stop"}\x1b[2J'
                    self.send_header("Content-Length", str(len(said)))
                    self.end_headers()
                    self.wfile.write(said)

            def log_message(self, *words: object) -> None:
                pass

        return Handler


PYTHON = sys.executable
PROGRAM = """\
import json, sys
words = dict(word.lstrip("-").split("=", 1) for word in sys.argv[2:] if word.startswith("--") and "=" in word)
ids = {word.split("=", 1)[1] for word in sys.argv[2:] if word.startswith("MESSAGE_ID=")}
entries = [json.loads(line) for line in open(sys.argv[1])]
after = words.get("after-cursor")
if after is not None:
    known = [entry["__CURSOR"] for entry in entries]
    if after not in known:
        sys.exit("Failed to seek to cursor: Invalid argument")
    entries = entries[known.index(after) + 1:]
else:
    since = float(words["since"].removeprefix("@"))
    entries = [entry for entry in entries if int(entry["__REALTIME_TIMESTAMP"]) >= since * 1e6]
for entry in entries:
    if entry.get("MESSAGE_ID") in ids:
        print(json.dumps(entry))
"""


@define
class JournalStandIn:
    """A file of entries, and a program that answers from it as ``journalctl -o json`` does."""

    folder: Path
    entries: list[dict] = field(factory=list)

    @property
    def command(self) -> tuple[str, ...]:
        if not self.entries:
            return ("true",)
        program, data = self.folder / "journalctl.py", self.folder / "journal.json"
        program.write_text(PROGRAM)
        data.write_text("".join(json.dumps(entry) + "\n" for entry in self.entries))
        return (PYTHON, "-IS", str(program), str(data))

    def event(self, event: Event, at: float, *, uid: str = "0", instance: str = "HF", text: str = "it is so", **more):
        self._add(at, {
            "MESSAGE": text, "MESSAGE_ID": event.message_id, "PROMETHEUS_EVENT": event.label, "_UID": uid,
            "PROMETHEUS_INSTANCE": instance, "_TRANSPORT": "journal", **more,
        })  # fmt: skip

    def unit_failed(self, unit: str, at: float, *, pid: str = "1", result: str = "exit-code") -> None:
        self._add(at, {"MESSAGE_ID": UNIT_FAILED, "UNIT": unit, "UNIT_RESULT": result, "_PID": pid, "_UID": "0"})

    def _add(self, at: float, fields: dict) -> None:
        moment = {"__CURSOR": f"s={len(self.entries)}", "__REALTIME_TIMESTAMP": str(round(at * 1e6))}
        self.entries.append({**moment, **fields})
