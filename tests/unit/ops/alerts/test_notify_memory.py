"""What alerts remember: a lost cursor, a clock set back, a crash; and where their secrets are not."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ConfigError, LockHeldError, UsageError
from prometheus.v10.base.files import Lock
from prometheus.v10.base.names import Event
from prometheus.v10.evidence.schemas.schema_file import compiled
from prometheus.v10.ops.alerts import https_post
from prometheus.v10.ops.alerts.channels import find_credential, read_channels
from prometheus.v10.ops.alerts.notifying import notify
from prometheus.v10.ops.alerts.telling import FILE, QUIET, Message
from tests.unit.ops.alerts.notify_house import SECRETS, texts

# ---- memory, cursor, clock -------------------------------------------------------------------------------------------


def test_a_lost_cursor_is_told_and_nothing_of_the_last_look_on_is_missed(house, sink):
    house.event()
    house.look()
    house.journal.entries.clear()  # the journal was thrown away; it begins anew
    house.journal._add(house.now, {"MESSAGE_ID": "0" * 32})
    house.journal.entries[0]["__CURSOR"] = "another"
    house.clock.advance(30)
    house.event(Event.CORE_MISMATCH)
    house.look()
    assert "core_mismatch of HF" in texts(sink)[1]
    assert "the place in the journal was lost" in texts(sink)[1]
    house.look(QUIET)
    assert len(texts(sink)) == 2


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"cursor":3}', b'{"heard":{"x":1},"waiting":[],"troubles":{}}', None]
)
def test_a_memory_that_cannot_be_read_begins_anew_and_says_so(house, sink, content):
    house.event()
    house.look()
    place = house.job.state / FILE
    place.unlink()
    if content is not None:
        place.write_bytes(content)
    house.look()
    assert ("the place in the journal was lost" in texts(sink)[-1]) == (content is not None)
    assert "incident of HF" in texts(sink)[-1]


def test_a_clock_that_is_set_back_silences_nothing(house, sink):
    house.event()
    house.look()
    house.clock.moment -= timedelta(days=3)
    house.event(Event.INCIDENT)
    house.look()
    assert "the clock of this host was set back by" in texts(sink)[1]
    assert "incident of HF" in texts(sink)[1]
    house.look()
    assert len(texts(sink)) == 2


def cut_off(_turn) -> None:
    raise KeyboardInterrupt


def test_after_a_crash_before_sending_the_message_is_sent_by_the_next_look(house, sink, monkeypatch):
    house.event()
    with monkeypatch.context() as crash:
        crash.setattr("prometheus.v10.ops.alerts.notifying._Turn.send", cut_off)
        with pytest.raises(KeyboardInterrupt):
            house.look()
    assert texts(sink) == []
    house.look()
    assert len(texts(sink)) == 1


def test_a_journal_that_cannot_be_read_is_told(house, sink):
    house.clock.advance(60)
    house.figures()
    notify(evolve(house.job, journalctl=("/nonexistent/journalctl",)))
    assert "the journal cannot be read" in texts(sink)[0]


def test_two_looks_at_once_are_one(house):
    lock = Lock(house.job.state / "lock", who="another", mode=0o600)
    lock.acquire()
    with pytest.raises(LockHeldError):
        house.look()
    lock.release()


# ---- the credential --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "[", "\xff", '[webhook]\nurl = "http://S3cret.example/x"', '[webhook]\nurl = "https://user:S3cret@h/x"',
     "[webhook]\nurl = 3", '[webhook]\nurl = "https://h/S3cret\\nHost: x"', '[webhook]\nuri = "S3cret"',
     '[S3cret]\nurl = "https://h"', '[webhook]\nurl = "https://h/x"\nca_pem = "S3cret"', '[apprise]\nurls = "S3cret"',
     '[webhook]\nurl = "https://h/x"\ntoken = "S3cret\\r\\nX: y"', '[webhook]\nurl = "https://h:99999/S3cret"',
     "[apprise]\nurls = []", "webhook = 3"],
)  # fmt: skip
def test_a_credential_that_is_wrong_is_one_line_without_a_word_of_it(tmp_path, text):
    place = tmp_path / "notify.toml"
    place.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError) as refused:
        read_channels(place)
    assert "S3cret" not in refused.value.message + refused.value.hint


def test_a_credential_that_others_may_read_is_refused(credential, tmp_path):
    credential.chmod(0o644)
    with pytest.raises(UsageError, match="may read"):
        find_credential(credential, {})
    assert find_credential(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == tmp_path / "notify.toml"
    with pytest.raises(UsageError, match="no credential"):
        find_credential(None, {})


def test_without_apprise_there_is_one_line_that_says_what_to_install(tmp_path, monkeypatch):
    place = tmp_path / "notify.toml"
    place.write_text(f'[apprise]\nurls = ["json://localhost/{SECRETS["apprise"]}"]')
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    (channel,) = read_channels(place).messages
    with pytest.raises(https_post.NotTakenError, match="apt-get install apprise"):
        channel.send(Message(0, critical=False, title="t", text="x", to=[]))


PROBE = """\
import json, os, pathlib, sys
config = next(word for word in sys.argv if word.startswith("--config=")).partition("=")[2]
said = {"argv": sys.argv, "environ": dict(os.environ), "body": sys.stdin.read()}
said["config"] = pathlib.Path(config).read_text()
pathlib.Path(os.environ["PATH"].split(os.pathsep)[0], "said.json").write_text(json.dumps(said))
"""


def test_apprise_gets_addresses_in_memory_and_the_text_on_its_input(tmp_path, monkeypatch, house):
    program = tmp_path / "bin" / "apprise"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{PROBE}")
    program.chmod(0o755)
    place = tmp_path / "apprise.toml"
    place.write_text(f'[apprise]\nurls = ["json://localhost/{SECRETS["apprise"]}"]')
    monkeypatch.setattr(sys, "executable", str(program.parent / "python"))
    house.job = evolve(house.job, channels=read_channels(place))
    house.event()
    assert house.look().sent == ["apprise"]
    said = json.loads((program.parent / "said.json").read_text())
    assert SECRETS["apprise"] in said["config"]
    assert "incident of HF" in said["body"]
    assert SECRETS["apprise"] not in json.dumps([said["argv"], said["environ"]])


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_commands_answers_are_as_their_schemas_say(credential, house, sink, capsys, monkeypatch, repository):
    monkeypatch.setattr("prometheus.cli.operate.notify_command.forbid_dumps", lambda: None)
    outputs = repository / "prometheus/cli/outputs"
    for words, name in (
        (["test"], "notify_test"),
        (["send", "--state", str(house.job.state), "--figures", str(house.job.figures)], "notify_send"),
    ):
        code = cli.main(["notify", *words, "--credential", str(credential), "--json"])
        out = capsys.readouterr().out
        assert code == 0
        schema = json.loads((outputs / f"{name}.schema.json").read_text())
        assert compiled(name, schema).wrong(json.loads(out)) == []
    assert len(texts(sink)) == 2
    sink.mode = "500"
    assert cli.main(["notify", "test", "--credential", str(credential)]) == 69
    assert "webhook: FAIL: it answered 500" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["ok", "500"])
def test_planted_secrets_are_nowhere_but_in_the_credential(credential, house, sink, mode, tmp_path):
    """Command line, environment and children of the live process, all that it prints, and every file that it leaves."""
    sink.mode = mode
    words = [sys.executable, "-m", "prometheus.cli", "notify", "send", "--credential", str(credential), "--state",
             str(house.job.state), "--figures", str(house.job.figures)]  # fmt: skip
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = b""
    while running.poll() is None:
        for place in (Path(f"/proc/{running.pid}/cmdline"), Path(f"/proc/{running.pid}/environ")):
            try:
                seen += place.read_bytes()
            except OSError:
                continue
        try:
            running.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    out, err = running.communicate()
    assert running.returncode == 0, err
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != credential)
    assert b"notify" in seen
    for secret in SECRETS.values():
        assert secret.encode() not in seen + files + out.encode() + err.encode()
    assert len(err.splitlines()) == (0 if mode == "ok" else 2)
    assert "Traceback" not in err


def test_no_memory_of_it_can_be_dumped():
    program = (
        "import ctypes, resource; from prometheus.v10.ops.alerts.notifying import forbid_dumps; forbid_dumps();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "0 (0, 0)\n"
