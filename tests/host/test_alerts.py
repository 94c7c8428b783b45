"""Figures and alerts on a real host: its journal, its systemd, and an HTTPS server that hears the messages."""

from __future__ import annotations

import json
import secrets
import subprocess

import pytest
from lab.drop_in import instead
from lab.host import Host

from prometheus.v10.base.names import Event
from prometheus.v10.ops.alerts.open_metrics import one, parsed
from prometheus.v10.ops.alerts.textfile import SYSTEM_METRICS

CREDENTIAL = "/etc/prometheus-quant/credentials/notify.toml"
TOLD = "/var/lib/prometheus-quant-notify/told.json"
HEARD = "/srv/sink/heard.jsonl"
SERVICE = "prometheus-notify.service"
SINK = """\
import http.server, json, ssl, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if open("/srv/sink/mode").read() == "slow":
            open("/srv/sink/waiting", "w").close()
            threading.Event().wait()
        with open("/srv/sink/heard.jsonl", "a") as kept:
            kept.write(json.dumps({"path": self.path, "body": body}) + "\\n")
        self.send_response(500 if open("/srv/sink/mode").read() == "500" else 200)
        self.end_headers()
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/srv/sink/cert.pem", "/srv/sink/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""
FLOOD = """\
import socket, sys
to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for number in range(int(sys.argv[2])):
    fields = {"MESSAGE": f"flood {number}", "MESSAGE_ID": sys.argv[1], "PRIORITY": "2", "PROMETHEUS_EVENT": sys.argv[3],
              "PROMETHEUS_INSTANCE": sys.argv[4], "PROMETHEUS_SEVERITY": "critical"}
    to.sendto("".join(f"{name}={value}\\n" for name, value in fields.items()).encode(), "/run/systemd/journal/socket")
"""


@pytest.fixture(scope="module")
def secret() -> str:
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def sink(installed: Host, secret: str, tmp_path_factory):
    """A host whose figures are taken, and whose alerts go to a server on its loopback."""
    host, folder = installed, tmp_path_factory.mktemp("sink")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
         folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    for name in ("key.pem", "cert.pem"):
        host.put(folder / name, f"/srv/sink/{name}")
    host.write("/srv/sink/sink.py", SINK)
    host.write("/srv/sink/flood.py", FLOOD)
    host.write("/srv/sink/mode", "ok")
    pem = (folder / "cert.pem").read_text()
    host.write(CREDENTIAL, f'[webhook]\nurl = "https://127.0.0.1:8443/{secret}"\nca_pem = """{pem}"""\n', 0o600)
    host.do("systemd-run", "--unit=sink", "--quiet", "python3", "/srv/sink/sink.py")
    host.do("bash", "-c", "until (echo > /dev/tcp/127.0.0.1/8443) 2>/dev/null; do sleep 0.1; done")
    look(host)  # what the tests before have left in the journal
    yield host
    host.do("systemctl", "stop", "sink.service")
    host.inside(CREDENTIAL).unlink()


def look(host: Host) -> None:
    """Figures, then alerts."""
    for unit in ("prometheus-metrics.service", SERVICE):
        host.do("systemctl", "start", unit)


def heard(host: Host) -> list[str]:
    place = host.inside(HEARD)
    return [json.loads(line)["body"] for line in place.read_text().splitlines()] if place.is_file() else []


def forget(host: Host) -> None:
    """Everything may be told again; the place in the journal stays."""
    host.inside(HEARD).unlink(missing_ok=True)
    change(host, heard={}, waiting=[], troubles={})


def change(host: Host, **fields: object) -> None:
    place = host.inside(TOLD)
    said = {**json.loads(place.read_text()), **fields}
    place.write_text(json.dumps(said, sort_keys=True, separators=(",", ":")))


def send(host: Host, event: Event, instance: str, times: int = 1) -> None:
    host.do("python3", "/srv/sink/flood.py", event.message_id, str(times), event.label, instance)
    host.do("journalctl", "--sync")


def test_the_figures_are_written_whole_for_everybody_to_read(sink):
    found = parsed(sink.inside(str(SYSTEM_METRICS)).read_text())
    assert one(found, "pq_up") == 1
    assert one(found, "pq_kill_switch") == 0
    assert one(found, "pq_unit_failed", unit="prometheus-audit.service") == 0
    assert sink.inside(str(SYSTEM_METRICS)).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("unit", ["prometheus-metrics.service", SERVICE])
def test_its_unit_cannot_write_evidence_nor_configuration(sink, unit):
    places = ("/var/lib/prometheus-quant/state", "/var/lib/prometheus-quant/runs_hf", "/etc/prometheus-quant", "/usr",
              "/var/lib/prometheus-quant-witness")  # fmt: skip
    for place in places:
        with instead(sink, unit, f"/usr/bin/touch {place}/written"):
            assert sink.ask("systemctl", "start", unit).returncode != 0
        assert not sink.inside(f"{place}/written").exists()
    own = "metrics" if "metrics" in unit else "notify"
    with instead(sink, unit, f"/usr/bin/touch /var/lib/prometheus-quant-{own}/written"):
        sink.do("systemctl", "start", unit)
    sink.inside(f"/var/lib/prometheus-quant-{own}/written").unlink()


def test_alerts_see_no_evidence_and_no_configuration(sink):
    for place in ("/var/lib/prometheus-quant/state", "/etc/prometheus-quant/profiles"):
        with instead(sink, SERVICE, f"/usr/bin/ls {place}"):
            assert sink.ask("systemctl", "start", SERVICE).returncode != 0


def test_an_event_of_the_journal_is_told_once(sink):
    forget(sink)
    send(sink, Event.CORE_MISMATCH, "HF")
    look(sink)
    look(sink)
    (text,) = [body for body in heard(sink) if "core_mismatch of HF" in body]
    assert "prometheus-quant doctor" in text


def test_an_event_that_another_user_invents_is_told_to_nobody(sink):
    forget(sink)
    words = ("python3", "/srv/sink/flood.py", Event.CORE_MISMATCH.message_id, "1", "core_mismatch", "INVENTED")
    sink.do(*words, user="nobody")
    sink.do("journalctl", "--sync")
    look(sink)
    assert not any("INVENTED" in body for body in heard(sink))


def test_a_unit_that_fails_has_somebody_told_at_once(sink):
    """The timer is off: OnFailure= alone starts the look."""
    forget(sink)
    unit = "prometheus-audit.service"
    with instead(sink, unit, "/bin/false"):
        assert sink.ask("systemctl", "start", unit).returncode != 0
        sink.wait_until("told", ("bash", "-c", f"grep -c '{unit} failed' {HEARD}"), "1", 60)


def test_ten_thousand_events_are_one_message(sink):
    forget(sink)
    send(sink, Event.INCIDENT, "FLOOD", 10_000)
    look(sink)
    assert len([body for body in heard(sink) if "incident of FLOOD" in body]) == 1
    assert " times" in heard(sink)[-1]


def test_a_journal_that_was_thrown_away_and_a_cursor_that_is_none_lose_nothing_new(sink):
    forget(sink)
    sink.do("journalctl", "--rotate")
    sink.do("journalctl", "--vacuum-time=1s")
    send(sink, Event.CORE_MISMATCH, "VACUUMED")
    look(sink)
    assert any("core_mismatch of VACUUMED" in body for body in heard(sink))
    forget(sink)
    change(sink, cursor="s=none")
    send(sink, Event.CORE_MISMATCH, "RUINED")
    look(sink)
    assert any("core_mismatch of RUINED" in body and "place in the journal was lost" in body for body in heard(sink))


def test_a_clock_that_was_set_back_is_told_and_silences_nothing(sink):
    """A container cannot set the clock: what was told is put into the future, as a clock set back would leave it."""
    forget(sink)
    ahead = json.loads(sink.inside(TOLD).read_text())["looked"] + 86400
    change(sink, looked=ahead, made=[ahead] * 6)
    send(sink, Event.ROLLBACK, "BACK")
    look(sink)
    assert any("set back by" in body and "rollback of BACK" in body for body in heard(sink))


def test_a_channel_that_fails_blocks_nothing_and_is_told_once(sink):
    forget(sink)
    sink.write("/srv/sink/mode", "500")
    since = sink.do("date", "+%s").strip()
    send(sink, Event.CORE_MISMATCH, "LATER")
    for _ in range(3):
        look(sink)
        change(sink, troubles={"webhook": {"failures": 1, "next_try": 0.0}})
    said = sink.do("journalctl", "-u", SERVICE, f"--since=@{since}", "-o", "cat", "--no-pager")
    assert said.count("webhook does not take messages: it answered 500") == 1
    sink.write("/srv/sink/mode", "ok")
    look(sink)
    assert "core_mismatch of LATER" in heard(sink)[-1]


def test_the_secret_is_nowhere_but_in_the_credential(sink, secret):
    """While a look sends, after it was killed with a signal that makes core files, and after a look that ended."""
    forget(sink)
    sink.write("/srv/sink/mode", "slow")
    sink.write("/srv/sought", secret)  # in a file: the command line that seeks it would be found
    send(sink, Event.CORE_MISMATCH, "SLOW")
    sink.do("systemctl", "start", "--no-block", SERVICE)
    sink.wait_until("the look sends", ("bash", "-c", "test -e /srv/sink/waiting && echo yes"), "yes", 60)
    live = sink.ask("bash", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | grep -acFf /srv/sought").stdout
    sink.do("systemctl", "kill", "--signal=ABRT", SERVICE)
    sink.wait_until("it was killed", ("systemctl", "show", "-P", "ActiveState", SERVICE), "failed", 60)
    assert sink.do("systemctl", "show", "-P", "ExecMainCode", SERVICE) == "2\n"  # CLD_KILLED, not CLD_DUMPED
    sink.write("/srv/sink/mode", "ok")
    look(sink)
    assert any("core_mismatch of SLOW" in body for body in heard(sink))
    places = "/var/lib/prometheus-quant* /var/lib/systemd /var/log /run/systemd /tmp /var/tmp /core*"
    files = sink.ask("bash", "-c", f"grep -rlaFf /srv/sought {places} 2>/dev/null").stdout
    journal = sink.ask("bash", "-c", "journalctl -o export --no-pager | grep -acFf /srv/sought").stdout
    shown = sink.ask("bash", "-c", f"systemctl show {SERVICE}; systemctl status {SERVICE}").stdout
    sink.inside("/srv/sought").unlink()
    assert (live, files, journal) == ("0\n", "", "0\n")
    assert f"Id={SERVICE}" in shown
    assert secret not in shown


def test_without_a_credential_nothing_is_sent_and_nothing_fails(sink):
    place = sink.inside(CREDENTIAL)
    kept = place.read_text()
    place.unlink()
    try:
        sink.do("systemctl", "start", SERVICE)
        assert sink.do("systemctl", "show", "-P", "ConditionResult", SERVICE) == "no\n"
    finally:
        sink.write(CREDENTIAL, kept, 0o600)


def test_both_timers_start_what_they_are_for(sink):
    for kind in ("metrics", "notify"):
        sink.do("systemctl", "enable", "--quiet", "--now", f"prometheus-{kind}.timer")
        sink.do("systemctl", "disable", "--quiet", "--now", f"prometheus-{kind}.timer")
