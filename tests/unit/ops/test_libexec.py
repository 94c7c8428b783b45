"""The host's small programs beside the units: the mode of a profile, and the record of how an instance ended."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prometheus.v10.base.names import EVENT_FIELDS, Event
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing import journal

LIBEXEC = Path(__file__).resolve().parents[3] / "units/libexec"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def program(name: str):
    """A program of the host as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(LIBEXEC / name))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.fixture
def env(tmp_path, monkeypatch):
    module = program("instance-env")
    monkeypatch.setattr(module, "PROFILES", tmp_path)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["instance-env", "HF"])
    monkeypatch.setenv("PQ_IMAGE_STAGE1", "image")
    return module


def test_without_a_release_in_force_it_ends_with_78_and_names_the_command(env, tmp_path, capsys, monkeypatch):
    (tmp_path / "HF.toml").write_text('mode = "offline"\n')
    monkeypatch.delenv("PQ_IMAGE_STAGE1")
    assert env.main() == 78
    said = capsys.readouterr().err
    assert said.startswith("error: no release is in force on this host\nhint: prometheus-quant release load ")
    assert not (tmp_path / "instance.env").exists()


def test_the_mode_of_the_profile_reaches_the_unit(env, tmp_path):
    (tmp_path / "HF.toml").write_text('mode = "offline"\n')
    assert env.main() == 0
    assert (tmp_path / "instance.env").read_text() == "PQ_MODE=offline\n"


@pytest.mark.parametrize("text", ["", "mode = 3\n", 'mode = "offline\\nLD_PRELOAD=x"\n', "mode =", 'mode = ""\n', None])
def test_a_profile_that_names_no_mode_ends_with_78_and_a_hint(env, tmp_path, capsys, text):
    if text is not None:
        (tmp_path / "HF.toml").write_text(text)
    assert env.main() == 78
    assert "hint: " in capsys.readouterr().err
    assert not (tmp_path / "instance.env").exists()


def test_a_look_writes_nothing(env, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["instance-env", "--check", "HF"])
    assert env.main() == 78
    (tmp_path / "HF.toml").write_text('mode = "offline"\n')
    assert env.main() == 0
    assert not (tmp_path / "instance.env").exists()


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    module = program("record-result")
    monkeypatch.setattr(module, "STATE", tmp_path / "state")
    monkeypatch.setattr(module, "JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setattr(sys, "argv", ["record-result", "prometheus-stage1", "HF"])
    for name in ("EXIT_CODE", "EXIT_STATUS", "INVOCATION_ID"):
        monkeypatch.setenv(name, f"the {name}")
    return module


@pytest.fixture
def heard(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.settimeout(0.0)
        yield listening


def test_a_good_end_is_filed_and_the_journal_is_left_in_peace(recorder, heard, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVICE_RESULT", "success")
    assert recorder.main() == 0
    (line,) = (tmp_path / "state/HF/service_results.jsonl").read_text().splitlines()
    assert json.loads(line)["result"] == "success"
    with pytest.raises(BlockingIOError):
        heard.recv(65536)


def test_a_bad_end_is_filed_and_is_an_incident_with_every_field_that_its_catalog_text_names(
    recorder, heard, tmp_path, monkeypatch
):
    monkeypatch.setenv("SERVICE_RESULT", "watchdog")
    assert recorder.main() == 0
    assert recorder.main() == 0
    assert len((tmp_path / "state/HF/service_results.jsonl").read_text().splitlines()) == 2
    fields = dict(line.split("=", 1) for line in heard.recv(65536).decode().splitlines())
    assert fields["MESSAGE_ID"] == Event.INCIDENT.message_id
    assert fields["PROMETHEUS_EVENT"] == Event.INCIDENT.label
    assert {f"PROMETHEUS_{name.upper()}" for name in EVENT_FIELDS[Event.INCIDENT]} <= fields.keys()
    assert "hung" in fields["MESSAGE"]
    stall = dict(line.split("=", 1) for line in heard.recv(65536).decode().splitlines())
    assert stall["MESSAGE_ID"] == Event.WATCHDOG_STALL.message_id
    assert stall["PROMETHEUS_EVENT"] == Event.WATCHDOG_STALL.label
    assert {f"PROMETHEUS_{name.upper()}" for name in EVENT_FIELDS[Event.WATCHDOG_STALL]} <= stall.keys()


@pytest.mark.parametrize(
    ("result", "status", "words"),
    [
        ("exit-code", "137", "killed by signal 9"),
        ("exit-code", "74", "ended with an error"),
        ("signal", "KILL", "killed by a signal"),
        (None, None, "ended"),
    ],
)
def test_how_it_ended_is_said_in_words(recorder, result, status, words):
    assert recorder.what_happened({"result": result, "exit_status": status}) == words


def test_a_full_disk_does_not_keep_the_journal_from_hearing(recorder, heard, tmp_path, monkeypatch, capsys):
    (tmp_path / "state").write_text("not a directory")
    monkeypatch.setenv("SERVICE_RESULT", "oom-kill")
    assert recorder.main() == 0
    assert "cannot file" in capsys.readouterr().err
    assert b"for want of memory" in heard.recv(65536)


def test_both_use_the_places_of_the_layout():
    assert Layout.system().profiles == program("instance-env").PROFILES
    assert Layout.system().state == program("record-result").STATE
    assert str(journal.SOCKET) == program("record-result").JOURNAL


def test_the_line_is_utc_to_the_millisecond(recorder):
    line = recorder.line_of("prometheus-stage1", "HF", {}, NOW)
    assert re.fullmatch(r"2026-01-02T03:04:05\.000Z", line["ts_utc"])


def test_the_custodian_keeps_payloads_from_what_the_recorder_files():
    from prometheus.v10.ops.custodian.rules import SERVICE_RESULTS_FILE

    assert program("record-result").FILE == SERVICE_RESULTS_FILE
