"""An operator starts stage 1, reads its status and its journal, and finds a sealed run."""

from __future__ import annotations

import re
import time

import pytest
from lab.stage import Stage, allowed, passes_the_audit

READY_SECONDS = 3.0
BURST = 5000
MOST_MEMORY = 1024.0


@pytest.fixture
def stage(host):
    return Stage(host)


def test_it_starts_says_ready_and_leaves_a_sealed_run(stage, image_facts, figures):
    figures["first start of an image, s"] = [stage.start()]  # copies its layers for the user
    stage.stop()
    seconds = stage.start()
    figures["start to READY, s"] = [seconds]
    assert stage.show("ActiveState") == "active"
    assert seconds < allowed(READY_SECONDS)
    run = stage.wait_for_sealed_run()
    assert stage.is_sealed(run)
    manifest = stage.manifest(run)
    assert manifest["image_digest"] == image_facts["images"]["stage1_sandbox"]["digest"]
    assert manifest["git_commit"] == image_facts["git_commit"]
    assert manifest["mode"] == "offline"


def test_its_status_is_a_sentence(host):
    stage = Stage.long(host)  # a run of HF is over before systemd has been asked
    stage.start()
    try:
        for _ in range(100):
            said = stage.show("StatusText")
            if re.match(r"HF_\w+: experiment \d+ of \d+, tick \d+ of \d+, \d+ alive, ", said):
                assert said.split(":")[0] in host.do("systemctl", "status", "--no-pager", stage.unit)
                return
            time.sleep(0.05)
        pytest.fail(f"no such sentence, but: {said}")
    finally:
        stage.stop()


def test_between_two_eras_it_says_how_long_it_rests(stage):
    stage.start()
    for _ in range(200):
        said = stage.show("StatusText")
        if re.match(r"HF_\w+ completed; resting \d+ (s|min) to keep to 500 MB of evidence a day", said):
            return
        time.sleep(0.1)
    pytest.fail(f"no such sentence, but: {said}")


def test_both_witnesses_agree_on_a_run_that_was_stopped(stage):
    """The number of journal entries of a run is what its manifest says was sent, event by event."""
    stage.start()
    run = stage.own_runs()[-1]
    time.sleep(2.0)
    stage.stop()
    sent = stage.manifest(run)["journal"]["sent"]
    assert sent["service_ready"] == sent["run_started"] == sent["run_ended"] == 1
    stage.witnesses_agree(run)


def test_both_witnesses_agree_on_a_run_that_was_completed(host):
    stage = Stage(host, "DEMO")
    stage.start()
    until = time.monotonic() + 60
    while not stage.is_sealed(run := stage.own_runs()[-1]):
        assert time.monotonic() < until, stage.show("StatusText")
        time.sleep(0.2)
    stage.stop()
    assert stage.manifest(run)["status"] == "completed"
    stage.witnesses_agree(run)


@pytest.mark.full
def test_its_memory_is_within_bounds_at_rest_and_at_work(host, figures):
    """Of all its processes, what is shared among them counted once."""
    work = Stage.long(host)
    work.start()
    time.sleep(3.0)
    figures["memory at work, MiB"] = [work.memory()]
    work.stop()
    rest = Stage(host, "DEMO")
    rest.start()
    until = time.monotonic() + 60
    while "pausing" not in rest.show("StatusText"):
        assert time.monotonic() < until
        time.sleep(0.1)
    figures["memory at rest, MiB"] = [rest.memory()]
    assert figures["memory at rest, MiB"][0] < MOST_MEMORY
    assert figures["memory at work, MiB"][0] < MOST_MEMORY


BURSTS = f"""\
#!/usr/local/bin/python3
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import Event
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.records.nulls import Nulls

journal = Journal.open(instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id="HF_burst")
for number in range({BURST}):
    journal.send(Event.COLLAPSE, "one of many", experiment=number, reason="extinction", tick=number)
state = journal.state(Nulls(), None)
print("COUNTED", state.sent, state.failed, flush=True)
"""


@pytest.mark.full
def test_five_thousand_entries_at_once_are_all_kept(stage):
    with stage.program(BURSTS, "[Service]\nType=exec\nRestart=no\nWatchdogSec=0\n"):
        stage.start()
        stage.wait_until_gone()
        said = [str(entry["MESSAGE"]) for entry in stage.journal() if "COUNTED" in str(entry["MESSAGE"])]
        assert said == [f"COUNTED {{'collapse': {BURST}}} {{}}"]
        kept = stage.journal("PROMETHEUS_RUN_ID=HF_burst")
        assert sorted(int(entry["PROMETHEUS_TICK"]) for entry in kept) == list(range(BURST))


# ---- the mode --------------------------------------------------------------------------------------------------------


def test_an_environment_variable_never_decides_the_mode(stage, host):
    """Contracts, section 1: one mode in the profile, another in the environment's MODE.

    The variable reaches the very container, and still the manifest says what the profile says.
    """
    host.do("systemctl", "set-environment", "MODE=okx_live")
    try:
        with stage.settings('[Service]\nEnvironment=MODE=okx_live "PQ_PODMAN_EXTRA=--env=MODE"\n'):
            stage.start()
            pid = stage.processes()["python3"]
            assert "MODE=okx_live" in host.shell(f"tr '\\0' '\\n' </proc/{pid}/environ").splitlines()
            run = stage.own_runs()[-1]
            stage.stop()
    finally:
        host.do("systemctl", "unset-environment", "MODE")
    assert stage.manifest(run)["mode"] == "offline"


def test_a_profile_without_a_mode_does_not_start(host):
    stage = Stage(host, "NOMODE")
    stage.profile('stage = "stage1"\n')
    assert host.ask("systemctl", "start", stage.unit).returncode != 0
    preflight = "prometheus-preflight@NOMODE.service"
    assert "mode is None" in host.do("journalctl", "-u", preflight, "-o", "cat", "--no-pager")
    assert stage.show("NRestarts") == "0"


def test_a_profile_that_names_another_mode_than_this_version_has_does_not_start(host):
    stage = Stage(host, "LIVE")
    stage.profile('mode = "okx_live"\nstage = "stage1"\n')
    assert host.ask("systemctl", "start", stage.unit).returncode != 0
    assert stage.show("NRestarts") == "0"
    assert stage.own_runs() == []


# ---- the compiled code -----------------------------------------------------------------------------------------------

TAMPERS = """\
#!/usr/local/bin/python3
import os, pathlib, sys

cache = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
place = min(cache.rglob("*.nbc"))
@ACT@
os.execv("/usr/local/bin/python3", ["python3", "-I", "-m", "prometheus.v10.ops.run_v10_service", *sys.argv[1:]])
"""


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("data = place.read_bytes(); place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))", "the file [0-9a-f]{64}"),
        pytest.param("place.unlink()", "the file is missing", marks=pytest.mark.full),
        pytest.param(
            "place.with_name('another.nbc').write_bytes(b'')", "the list says nothing of it", marks=pytest.mark.full
        ),
    ],
    ids=["changed", "removed", "added"],
)
def test_compiled_code_that_is_not_the_images_own_is_not_started(host, act, said):
    """In a fresh container, before the service begins: 78, no second attempt, and no run."""
    stage = Stage.long(host)
    runs = stage.own_runs()
    with stage.program(TAMPERS.replace("@ACT@", act)):
        assert host.ask("systemctl", "start", stage.unit).returncode != 0
        assert (stage.show("ExecMainStatus"), stage.show("NRestarts")) == ("78", "0")
        heard = "\n".join(str(entry["MESSAGE"]) for entry in stage.journal())
        assert re.search(rf"compiled code /opt/prometheus-quant/numba/\S+\.nbc is not what .*{said}", heard), heard
    assert stage.own_runs() == runs
    stage.start()  # a fresh container has the image's own
    stage.stop()


def test_all_of_that_passes_the_audit(host):
    passes_the_audit(host)
