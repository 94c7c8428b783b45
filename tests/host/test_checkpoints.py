"""Witnesses outside the evidence, on a host with defaults: whose they are, and what a rollback cannot take back."""

from __future__ import annotations

import json

import pytest
from lab.host import SERVICE_USER, Host
from lab.stage import STATE, Stage, audit, wait_until
from lab.timers import ended, let_it_fire

WITNESS = "/var/lib/prometheus-quant-witness"
KEY = f"{WITNESS}/private/key"
OWNER = "prometheus-witness"
SETTINGS = "/etc/prometheus-quant/witness.toml"
BEFORE, AFTER = f"{STATE}.before", f"{STATE}.after"


def checkpoints(host: Host) -> list[str]:
    """The names of what the witness signed, the smallest ledger first."""
    return sorted(path.name for path in host.inside(WITNESS).glob("*.checkpoint"))


def one_run(host: Host) -> None:
    """One more sealed run at least; nothing is at work afterwards."""
    stage = Stage(host, "DEMO")

    def sealed() -> int:
        return sum((run / "SHA256SUMS.txt").is_file() for run in stage.runs())

    known = sealed()
    stage.start()
    try:
        wait_until("another run is sealed", lambda: sealed() > known)
    finally:
        stage.stop()


def facts(host: Host) -> tuple[int, dict[str, str], str]:
    """Exit code, facts and findings of the host's own audit, as root."""
    host.do("journalctl", "--sync")
    found = audit(host)
    (report,) = found["reports"]
    return found["exit_code"], report["facts"], "\n".join(one["what"] for one in report["findings"])


@pytest.fixture(scope="module", autouse=True)
def past(host: Host):
    """A run, a copy of the tree, another run: each with its checkpoint."""
    one_run(host)
    host.do("systemctl", "start", "prometheus-checkpoint.service")
    host.do("cp", "-a", STATE, BEFORE)
    one_run(host)
    host.do("systemctl", "start", "prometheus-checkpoint.service")
    yield
    host.ask("rm", "-rf", BEFORE)
    host.shell(f"rm -r {WITNESS}/*")  # other tests put other evidence into its place


@pytest.fixture
def rolled_back(host: Host):
    """The whole tree as it was before the last run, while a test looks."""
    host.do("mv", STATE, AFTER)
    host.do("cp", "-a", BEFORE, STATE)
    yield
    host.do("rm", "-rf", STATE)
    host.do("mv", AFTER, STATE)


def test_the_unit_signs_what_has_grown(host: Host):
    assert ended(host, "checkpoint") == ("success", "0")
    assert len(checkpoints(host)) >= 2
    newest = host.inside(f"{WITNESS}/{checkpoints(host)[-1]}")
    origin, size, *_ = newest.read_text(encoding="utf-8").splitlines()
    lines = host.inside(f"{STATE}/state/ledger.jsonl").read_text().splitlines()
    assert origin == f"prometheus-quant/{json.loads(lines[0])['payload']['installation_id']}"
    assert int(size) == len(lines)
    assert newest.stat().st_uid == host.user_id(OWNER)
    heard = host.do("journalctl", "-u", "prometheus-checkpoint.service", "PROMETHEUS_EVENT=ledger_checkpoint",
                    "-o", "json", "--no-pager", "-q")  # fmt: skip
    assert json.loads(heard.splitlines()[-1])["PROMETHEUS_ENTRIES"] == size


@pytest.mark.full
def test_its_timer_starts_it(host: Host):
    let_it_fire(host, "checkpoint")
    assert ended(host, "checkpoint") == ("success", "0")


def test_the_audit_agrees_with_both_witnesses(host: Host):
    code, found, told = facts(host)
    assert (code, told) == (0, "")
    assert found["checkpoints"].startswith(f"{len(checkpoints(host))} agree")
    assert found["journal"].startswith("agrees (")
    host.do("systemctl", "start", "prometheus-audit.service")
    said = host.do("journalctl", "-u", "prometheus-audit.service", "-o", "cat", "-n", "30", "--no-pager")
    assert "journal agrees (" in said, "the unit's own user reads the journal as well"


@pytest.mark.parametrize(
    "words",
    [
        ("cat", KEY),
        ("ls", f"{WITNESS}/private"),
        ("touch", f"{WITNESS}/000000000001.checkpoint"),
        ("rm", "-f", "NEWEST"),
        ("dd", "if=/dev/zero", "of=NEWEST", "conv=notrunc", "count=1"),
        ("mv", WITNESS, f"{WITNESS}.away"),
    ],
    ids=lambda words: words[0],
)
def test_the_user_of_the_stages_can_neither_read_the_key_nor_write_a_checkpoint(host: Host, words: tuple[str, ...]):
    newest = f"{WITNESS}/{checkpoints(host)[-1]}"
    before = host.inside(newest).read_bytes()
    typed = [newest if word == "NEWEST" else word for word in words]
    assert host.ask(*typed, user=SERVICE_USER).returncode != 0
    assert host.inside(newest).read_bytes() == before
    assert host.do("cat", newest, user=SERVICE_USER).encode() == before, "an auditor of that user can read it"


def test_a_stages_container_does_not_even_see_it(host: Host):
    stage = Stage.long(host)
    stage.start()
    pid = str(stage.processes()["python3"])
    for place in (WITNESS, KEY):
        seen = host.ask("nsenter", "-t", pid, "-m", "--", "/usr/local/bin/python3", "-c",
                        "import os, sys; sys.exit(os.path.lexists(sys.argv[1]))", place)  # fmt: skip
        assert seen.returncode == 0, place
    stage.stop()


def test_the_witness_reads_the_ledger_and_writes_no_evidence(host: Host):
    """With the groups that its unit gives it."""
    group = host.do("id", "-g", SERVICE_USER).strip()
    uid = host.do("id", "-u", OWNER).strip()
    as_witness = ("setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={group}", "--")
    ledger = f"{STATE}/state/ledger.jsonl"
    assert host.ask(*as_witness, "head", "-c", "1", ledger).stdout == "{"
    for words in (("touch", f"{STATE}/x"), ("touch", f"{STATE}/state/x"), ("dd", "if=/dev/null", f"of={ledger}")):
        assert host.ask(*as_witness, *words).returncode != 0, words


def test_a_rollback_of_everything_is_found(host: Host, rolled_back: None):
    code, found, told = facts(host)
    assert code == 1
    assert "entries were cut off its end" in told
    assert "contradict" in found["checkpoints"]
    assert host.ask("systemctl", "start", "prometheus-audit.service").returncode != 0
    assert ended(host, "audit") == ("exit-code", "1")
    before = checkpoints(host)
    assert host.ask("systemctl", "start", "prometheus-checkpoint.service").returncode != 0
    assert ended(host, "checkpoint") == ("exit-code", "65")
    assert checkpoints(host) == before
    said = host.do("journalctl", "-u", "prometheus-checkpoint.service", "-o", "cat", "-n", "10", "--no-pager")
    assert "contradicts" in said


def test_the_journal_alone_finds_it(host: Host, rolled_back: None):
    """The newest checkpoint may be an hour old; the journal heard of each seal at once."""
    host.do("mv", WITNESS, f"{WITNESS}.away")
    try:
        code, found, told = facts(host)
        host.shell(f"date -u +'journal_since = %FT%TZ' >{SETTINGS}")
        given_up = facts(host)
    finally:
        host.do("mv", f"{WITNESS}.away", WITNESS)
        host.do("rm", "-f", SETTINGS)
    assert code == 1
    assert found["journal"].startswith("contradicts (")
    assert "the journal has its seal" in told
    assert (given_up[0], given_up[1]["journal"][:7]) == (0, "silent:"), "root restored a backup, and said so"


def test_a_command_that_fails_is_told_and_the_checkpoint_is_kept(host: Host):
    one_run(host)
    before = len(checkpoints(host))
    host.write(SETTINGS, 'command = ["/bin/false"]\n')
    try:
        assert host.ask("systemctl", "start", "prometheus-checkpoint.service").returncode != 0
        assert ended(host, "checkpoint") == ("exit-code", "74")
        assert len(checkpoints(host)) == before + 1
        said = host.do("journalctl", "-u", "prometheus-checkpoint.service", "-o", "cat", "-n", "10", "--no-pager")
        assert f"/bin/false did not take {checkpoints(host)[-1]}" in said
        host.write(SETTINGS, 'command = ["/bin/true"]\n')
        host.do("systemctl", "start", "prometheus-checkpoint.service")
        assert host.inside(f"{WITNESS}/handed_over").read_text().strip() == checkpoints(host)[-1]
    finally:
        host.inside(SETTINGS).unlink()
    host.do("systemctl", "start", "prometheus-checkpoint.service")


def test_after_all_of_that_the_audit_passes(host: Host):
    code, found, told = facts(host)
    assert (code, told) == (0, "")
    assert found["journal"].startswith("agrees (")
