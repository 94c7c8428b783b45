"""The second witness: structured entries, counted, and honest when nobody listens."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import EVENT_FIELDS, Event
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.writing.journal import Journal, Priority

pytest.importorskip("systemd.journal", reason="systemd-python is not installed (extra 'journal')")

COLLAPSE: dict[str, Any] = {"experiment": 3, "reason": "extinction", "tick": 2189}


class Sent(list[tuple[str, dict[str, str]]]):
    """Takes entries in the place of systemd-python."""

    def __call__(self, message: str, **fields: str) -> None:
        self.append((message, fields))


@pytest.fixture
def listening(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("j") / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        yield path


def journal(sender: Any, path: Path, reason: str | None = None, run_id: str | None = "HF_x") -> Journal:
    return Journal(
        instance="HF",
        mode=Mode.OFFLINE,
        stage=Stage.STAGE1,
        run_id=run_id,
        sender=sender,
        absent_reason=reason,
        socket=path,
    )


def test_an_entry_carries_every_field(listening: Path) -> None:
    sent = Sent()
    assert journal(sent, listening).send(Event.COLLAPSE, "internal collapse", **COLLAPSE)
    assert sent == [
        (
            "internal collapse",
            {
                "MESSAGE_ID": Event.COLLAPSE.message_id,
                "PRIORITY": str(Priority.NOTICE.value),
                "SYSLOG_IDENTIFIER": "prometheus-quant",
                "PROMETHEUS_EVENT": "collapse",
                "PROMETHEUS_RUN_ID": "HF_x",
                "PROMETHEUS_INSTANCE": "HF",
                "PROMETHEUS_MODE": "offline",
                "PROMETHEUS_STAGE": "stage1",
                "PROMETHEUS_EXPERIMENT": "3",
                "PROMETHEUS_REASON": "extinction",
                "PROMETHEUS_TICK": "2189",
            },
        )
    ]


@pytest.mark.parametrize("event", list(Event), ids=str)
def test_a_field_that_the_catalog_names_may_not_be_missing(event: Event, listening: Path) -> None:
    facts: dict[str, Any] = dict.fromkeys(EVENT_FIELDS[event], "x")
    assert journal(Sent(), listening).send(event, "all there", **facts)
    del facts[EVENT_FIELDS[event][0]]
    for sink in (journal(Sent(), listening), journal(None, listening, "absent")):
        with pytest.raises(ValueError, match=EVENT_FIELDS[event][0]):
            sink.send(event, "one missing", **facts)


def test_what_was_sent_is_counted_by_event_and_run(listening: Path) -> None:
    service = journal(Sent(), listening, run_id=None)
    service.send(Event.STOP_REQUESTED, "stop", reason="stop_file")
    run = service.for_run("HF_y")
    for _ in range(3):
        run.send(Event.COLLAPSE, "collapse", **COLLAPSE)
    nulls = Nulls()
    state = run.state(nulls, "abc")
    assert (state.present, state.sent, state.failed) == (True, {"collapse": 3}, {})
    assert nulls.reasons.keys() == {"journal.last_error", "journal.absent_reason"}
    assert service.state(Nulls(), None).sent == {"stop_requested": 1}


def test_all_who_speak_for_a_run_at_work_are_counted_together(listening: Path) -> None:
    service = journal(Sent(), listening, run_id=None)
    run = service.for_run("HF_y")
    run.send(Event.COLLAPSE, "collapse", **COLLAPSE)
    service.for_run("HF_y").send(Event.SERVICE_READY, "ready", profile="HF")
    service.for_run("HF_z").send(Event.COLLAPSE, "another run's", **COLLAPSE)
    assert run.state(Nulls(), None).sent == {"collapse": 1, "service_ready": 1}


def test_a_run_that_nobody_holds_any_more_begins_anew(listening: Path) -> None:
    service = journal(Sent(), listening, run_id=None)
    service.for_run("HF_y").send(Event.COLLAPSE, "collapse", **COLLAPSE)
    assert service.for_run("HF_y").state(Nulls(), None).sent == {}


def test_an_absent_journal_says_why_and_takes_nothing(tmp_path: Path) -> None:
    absent = Journal.open(
        instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id="HF_x", socket=tmp_path / "nobody"
    )
    assert not absent.send(Event.COLLAPSE, "collapse", **COLLAPSE)
    nulls = Nulls()
    state = absent.state(nulls, None)
    assert not state.present
    assert state.sent == {}
    assert "is not there" in (state.absent_reason or "")
    assert nulls.reasons.keys() == {"journal.last_error", "journal.invocation_id"}


def test_a_plain_file_in_the_sockets_place_is_not_a_journal(tmp_path: Path) -> None:
    (tmp_path / "socket").touch()
    absent = Journal.open(instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None, socket=tmp_path / "socket")
    assert absent.absent_reason is not None


def test_a_socket_that_goes_away_is_counted_as_failure(listening: Path) -> None:
    sent = Sent()
    sink = journal(sent, listening)
    assert sink.send(Event.COLLAPSE, "one", **COLLAPSE)
    listening.unlink()
    assert not sink.send(Event.COLLAPSE, "two", **COLLAPSE)
    nulls = Nulls()
    state = sink.state(nulls, None)
    assert (len(sent), state.sent, state.failed) == (1, {"collapse": 1}, {"collapse": 1})
    assert "is gone" in (state.last_error or "")
    assert "journal.last_error" not in nulls.reasons


def test_a_sender_that_fails_is_counted_and_does_not_stop_the_run(listening: Path) -> None:
    def refuse(message: str, **fields: str) -> None:
        raise OSError(105, "No buffer space available")

    sink = journal(refuse, listening)
    assert not sink.send(Event.COLLAPSE, "one", **COLLAPSE)
    assert sink.state(Nulls(), None).failed == {"collapse": 1}


def test_present_and_absent_at_once_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="either a sender or a reason"):
        journal(Sent(), tmp_path, "absent")
    with pytest.raises(ValueError, match="either a sender or a reason"):
        journal(None, tmp_path)


def test_values_are_text(listening: Path) -> None:
    sent = Sent()
    journal(sent, listening).send(Event.STOP_REQUESTED, "m", reason=None, forced=True, seconds=0.25)
    fields = sent[0][1]
    assert (fields["PROMETHEUS_REASON"], fields["PROMETHEUS_FORCED"], fields["PROMETHEUS_SECONDS"]) == (
        "null",
        "true",
        "0.25",
    )


SEND_INTO_OWN_RUN = """
import json, socket, sys
from pathlib import Path
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import Event
from prometheus.v10.evidence.writing.journal import SOCKET, Journal

SOCKET.parent.mkdir(parents=True)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
    journald.bind(str(SOCKET))
    journald.settimeout(10)
    sink = Journal.open(instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id="HF_x")
    assert sink.absent_reason is None, sink.absent_reason
    assert sink.send(Event.INCIDENT, "first line", severity="low", detail="two\\nlines", bundle="none")
    sys.stdout.write(json.dumps(journald.recv(65536).hex()))
"""


def native_fields(data: bytes) -> dict[str, bytes]:
    """journald's native protocol: ``KEY=value`` lines, or ``KEY``, a little-endian 64-bit length and the value."""
    found: dict[str, bytes] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        found[name.decode()] = value
        data = rest
    return found


def test_systemds_library_delivers_the_entry_in_the_native_protocol() -> None:
    """The real library and a real socket, in a mount namespace with a /run of its own."""
    unshare = shutil.which("unshare")
    probe = unshare and subprocess.run([unshare, "-rm", "mount", "-t", "tmpfs", "none", "/run"], check=False)
    if not probe or probe.returncode:
        pytest.skip("no mount namespace to be had here, so journald's place cannot be taken")
    script = 'mount -t tmpfs none /run && exec "$0" -c "$1"'
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", script, sys.executable, SEND_INTO_OWN_RUN],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fields = native_fields(bytes.fromhex(json.loads(done.stdout)))
    assert fields["MESSAGE"] == b"first line"
    assert fields["MESSAGE_ID"] == Event.INCIDENT.message_id.encode()
    assert fields["PROMETHEUS_DETAIL"] == b"two\nlines"
    assert fields["PROMETHEUS_RUN_ID"] == b"HF_x"
    assert fields["PRIORITY"] == b"2"
