"""The doctor says what is wrong, why it matters and how to mend it; and says of a good host that it is good."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

import pytest

from prometheus.cli.operate.doctor_command import diagnose
from prometheus.v10.base.errors import HostError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.evidence.witnesses.witness import take
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.ops.host import doctor
from prometheus.v10.ops.host.doctor import Finding, Level, examine, version_in, weigh
from prometheus.v10.ops.host.doctor_machine import Machine
from prometheus.v10.ops.host.doctor_suite import Suite
from prometheus.v10.ops.host.release_env import CUSTODIAN, Release, env_file, write_release
from prometheus.v10.ops.host.runner import Ended
from tests.callbacks import never
from tests.unit.ops.host_stand_in import FakeSystemd

DEBIAN_13 = {
    "systemctl": "systemd 257 (257.9-1~deb13u1)\n+PAM +AUDIT",
    "podman": "podman version 5.4.2",
    "conmon": "conmon version 2.1.12\ncommit: unknown",
    "crun": "crun version 1.21\ncommit: 10269840aa07fb7e6b7e1acff6198692d8ff5c88",
    "timedatectl": "yes",
}
DEBIAN_12 = {
    **DEBIAN_13, "systemctl": "systemd 252 (252.39-1~deb12u1)", "podman": "podman version 4.3.1",
    "conmon": "conmon version 2.1.6", "crun": "crun version 1.8.1",
}  # fmt: skip


def answers(said: Mapping[str, str]):
    """A runner whose programs say what they are told to; the others are not installed."""

    def run(words, **_) -> Ended:
        if words[0] in said:
            return Ended(tuple(words), 0, said[words[0]], "")
        return Ended(tuple(words), 127, "", f"{words[0]} is not installed")

    return run


@pytest.fixture
def machine(tmp_path):
    """The files of a host that has everything."""
    root = tmp_path / "host"
    for folder in (
        *("sys/fs/cgroup", "usr/bin", "etc", "var/lib/systemd/linger", "run/user/990", "run/systemd/journal"),
        "var/log/journal",
    ):
        (root / folder).mkdir(parents=True)
    (root / "sys/fs/cgroup/cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    for name in ("newuidmap", "newgidmap", "pasta"):
        (root / "usr/bin" / name).touch()
        (root / "usr/bin" / name).chmod(0o4755)
    (root / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/sh\nprometheus-quant:x:990:990:x:/var/lib/prometheus-quant-podman:/usr/sbin/nologin\n"
    )
    for name in ("subuid", "subgid"):
        (root / "etc" / name).write_text("somebody:1:2\nprometheus-quant:100000:65536\n")
    (root / "var/lib/systemd/linger/prometheus-quant").touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(root / "run/systemd/journal/socket"))
        yield root


def levels(found: list[Finding]) -> dict[str, Level]:
    worst: dict[str, Level] = {}
    for finding in found:
        if worst.get(finding.check, Level.OK) is Level.OK:
            worst[finding.check] = finding.level
    return worst


def machine_findings(root, said) -> list[Finding]:
    return examine(Machine(answers(said), root).checks())


def test_a_good_host_has_nothing_to_mend(machine):
    found = machine_findings(machine, DEBIAN_13)
    assert {finding.check: finding.level for finding in found if finding.level is not Level.OK} == {}
    assert weigh(found) == 0
    assert len(found) >= 13


def test_debian_12_is_told_what_it_lacks_and_that_no_stage_starts(machine):
    found = machine_findings(machine, DEBIAN_12)
    assert {name for name, level in levels(found).items() if level is Level.WARN} == {"systemd", "conmon"}
    assert {name for name, level in levels(found).items() if level is Level.FAIL} == {"podman"}
    assert weigh(found) == 1


def remove(place: str):
    return lambda root: (root / place).unlink()


def write(place: str, text: str):
    return lambda root: (root / place).write_text(text)


BROKEN = [
    ("cgroups", Level.FAIL, remove("sys/fs/cgroup/cgroup.controllers")),
    ("cgroups", Level.WARN, write("sys/fs/cgroup/cgroup.controllers", "cpu\n")),
    ("newuidmap", Level.FAIL, remove("usr/bin/newuidmap")),
    ("newgidmap", Level.FAIL, lambda root: (root / "usr/bin/newgidmap").chmod(0o755)),
    ("pasta", Level.WARN, remove("usr/bin/pasta")),
    ("user", Level.FAIL, write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")),
    ("user", Level.FAIL, write("etc/passwd", "prometheus-quant:x:0:0:x:/:/bin/sh\n")),
    ("subuid", Level.FAIL, remove("etc/subuid")),
    ("subgid", Level.FAIL, write("etc/subgid", "prometheus-quant:100000:1000\n")),
    ("linger", Level.FAIL, remove("var/lib/systemd/linger/prometheus-quant")),
    ("linger", Level.FAIL, lambda root: (root / "run/user/990").rmdir()),
    ("journal socket", Level.FAIL, remove("run/systemd/journal/socket")),
    ("persistent journal", Level.WARN, lambda root: (root / "var/log/journal").rmdir()),
]


@pytest.mark.parametrize(("check", "level", "breaks"), BROKEN, ids=[f"{b[0]}-{n}" for n, b in enumerate(BROKEN)])
def test_what_is_broken_is_found_with_its_reason_and_its_remedy(machine, check, level, breaks):
    breaks(machine)
    found = machine_findings(machine, DEBIAN_13)
    assert levels(found)[check] is level
    (finding,) = [one for one in found if one.check == check and one.level is level]
    assert finding.why
    assert finding.mend
    assert weigh(found) == (1 if level is Level.FAIL else 0)


@pytest.mark.parametrize(
    ("program", "said", "level"),
    [
        ("podman", "podman version 3.0.1", Level.FAIL),
        ("podman", "no number", Level.FAIL),
        ("conmon", "conmon version 2.1.8", Level.WARN),
        ("systemctl", "systemd 247 (247.3-7)", Level.FAIL),
        ("crun", "crun version 0.17", Level.FAIL),
    ],
)
def test_versions_are_weighed(machine, program, said, level):
    found = levels(machine_findings(machine, {**DEBIAN_13, program: said}))
    assert found["systemd" if program == "systemctl" else program] is level


def test_a_program_that_is_missing_fails(machine):
    said = {name: text for name, text in DEBIAN_13.items() if name != "podman"}
    assert levels(machine_findings(machine, said))["podman"] is Level.FAIL


@pytest.mark.parametrize(("said", "level"), [("yes", Level.OK), ("no", Level.WARN), ("", Level.UNKNOWN)])
def test_the_clock(machine, said, level):
    assert levels(machine_findings(machine, {**DEBIAN_13, "timedatectl": said}))["clock"] is level


def test_versions_are_read_from_programs_own_words():
    assert version_in(DEBIAN_13["systemctl"]) == (257,)
    assert version_in(DEBIAN_13["conmon"]) == (2, 1, 12)
    assert version_in("") is None


# ---- the suite -------------------------------------------------------------------------------------------------------


@pytest.fixture
def suite(layout):
    layout.market.mkdir(exist_ok=True)
    (layout.profiles / "HF.toml").write_text('mode = "offline"\n[disk]\nkeep_free_bytes = 1\n')

    def look(systemd=None) -> list[Finding]:
        return examine(Suite(layout, systemd, answers({})).checks())

    return look


def test_a_prepared_tree_is_fit(suite):
    found = suite()
    assert {finding.check: finding.what for finding in found if finding.level is Level.FAIL} == {}
    assert {"directories", "disk", "profiles", "kill switch", "core"} <= levels(found).keys()


def test_a_missing_directory_and_one_that_everybody_may_write_to(suite, layout):
    layout.log.rmdir()
    layout.state.chmod(0o777)
    said = [finding.what for finding in suite() if finding.check == "directories"]
    assert any(str(layout.log) in what and "is not a directory" in what for what in said)
    assert any(str(layout.state) in what and "everybody" in what for what in said)


def test_open_credentials(suite, layout):
    (layout.etc / "credentials").mkdir()
    (layout.etc / "credentials").chmod(0o755)
    assert levels(suite())["credentials"] is Level.FAIL
    (layout.etc / "credentials").chmod(0o700)
    assert "credentials" not in levels(suite())


@pytest.mark.parametrize("text", ["mode =", "", 'mode = "paper"', 'mode = "offline"\nunknown = 1\n'])
def test_a_profile_that_cannot_be_read_is_named(suite, layout, text):
    (layout.profiles / "BAD.toml").write_text(text)
    said = [finding.what for finding in suite() if finding.level is Level.FAIL]
    assert len(said) == 1
    assert "BAD.toml" in said[0]


def test_too_little_room_for_what_a_profile_wants_free(suite, layout):
    (layout.profiles / "HF.toml").write_text(f'mode = "offline"\n[disk]\nkeep_free_bytes = {1 << 60}\n')
    assert levels(suite())["disk"] is Level.FAIL


def test_a_pulled_switch_is_a_warning(suite, layout):
    layout.stop_file.touch()
    assert levels(suite())["kill switch"] is Level.WARN


def test_units_that_are_not_installed_and_a_switch_that_is_not_watched(suite):
    fake = FakeSystemd({}, properties={"prometheus.target": {"LoadState": "loaded"}})
    found = suite(fake.manager())
    assert [f.what for f in found if f.check == "units" and f.level is Level.FAIL] == [
        "prometheus-stage1@.service is None", "prometheus-stage2@.service is None",
    ]  # fmt: skip
    assert levels(found)["kill switch watch"] is Level.WARN
    assert levels(found)["release"] is Level.FAIL


@pytest.mark.parametrize(
    ("evidence", "custodian", "warned"),
    [("ro", CUSTODIAN, False), ("rw", "", True), (None, None, True), ("rw", CUSTODIAN, True), ("ro", "", True)],
    ids=["through it", "by itself", "of a version before", "told, and may write", "not told"],
)
def test_a_release_whose_payload_writes_the_evidence_itself_is_a_warning(suite, layout, evidence, custodian, warned):
    """It runs, and what is promised of the past is weaker than it is with a custodian."""
    image = {stage: f"localhost/prometheus-quant@sha256:{stage.value[-1] * 64}" for stage in Stage}
    write_release(env_file(layout), Release(image, "c" * 40, custodian=True))
    lines = env_file(layout).read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("PQ_EVIDENCE=", "PQ_CUSTODIAN="))]
    said = [] if evidence is None else [f"PQ_EVIDENCE={evidence}", f"PQ_CUSTODIAN={custodian}"]
    env_file(layout).write_text("\n".join([*kept, *said]) + "\n")
    found = [finding for finding in suite(FakeSystemd({}).manager()) if finding.check == "custodian"]
    assert [finding.level for finding in found] == ([Level.WARN] if warned else [])
    assert all("its payload writes the evidence" in finding.what and finding.mend for finding in found)


# ---- the witness -----------------------------------------------------------------------------------------------------


@pytest.fixture
def witnessed(layout, tmp_path, fake_clock):
    """The doctor's word on a witness; the ledger's entries and the checkpoints are those of ``fake_clock``."""
    place = tmp_path / "witness"
    place.mkdir()
    ledger = InstallationLedger(layout, clock=fake_clock, instance="HF", on_torn=never)

    def look(*, enter: bool = False, sign: bool = False) -> tuple[Level, str]:
        if enter:
            ledger.begin() if ledger.installation is None else ledger.append(LedgerEntryType.INCIDENT, INCIDENT)
        if sign:
            take(layout, place, clock=fake_clock)
        (found,) = examine({"witness": Suite(layout, None, answers({}), place, fake_clock).witnessed})
        return found.level, found.what

    return look


INCIDENT = {
    "run_id": "HF_20260102T030405Z_abcdef0_0000", "label": "x", "bundle": "incidents/x.tar.gz", "sha256": "0" * 64,
    "bytes": 1, "missing_required_files_count": 0, "verification": "PASS",
}  # fmt: skip
HOUR = 3600.0


def test_an_entry_that_was_not_signed_for_three_periods_of_the_timer_is_a_warning(witnessed, fake_clock):
    assert witnessed() == (Level.OK, "no checkpoint")
    assert witnessed(enter=True) == (Level.OK, "no checkpoint")
    fake_clock.advance(3.1 * HOUR)
    level, what = witnessed()
    assert level is Level.WARN
    assert re.fullmatch(r"no checkpoint; entry 0 of the ledger, of \S+Z, is not signed", what)
    assert witnessed(sign=True)[0] is Level.OK
    fake_clock.advance(1000 * HOUR)
    level, what = witnessed()
    assert level is Level.OK, "a ledger that has not grown is not signed again"
    assert re.fullmatch(r"the newest checkpoint is of 1 entries at \S+Z", what)
    assert witnessed(enter=True)[0] is Level.OK
    fake_clock.advance(2.9 * HOUR)
    assert witnessed(enter=True)[0] is Level.OK
    fake_clock.advance(0.2 * HOUR)
    level, what = witnessed()
    assert level is Level.WARN
    assert "entry 1 of the ledger" in what


def test_a_witness_without_its_directory_is_a_warning(layout, tmp_path):
    suite = Suite(layout, None, answers({}), tmp_path / "none")
    assert levels(examine(suite.checks()))["witness"] is Level.WARN


def test_only_a_host_has_a_witness_to_look_at(suite):
    assert "witness" not in levels(suite())


def test_a_check_that_cannot_be_carried_out_is_a_finding_and_weighs_2():
    def locked():
        raise PermissionError(13, "Permission denied", "/somewhere")
        yield  # type: ignore[unreachable]

    def refused():
        raise HostError("systemd is deaf")
        yield  # type: ignore[unreachable]

    found = examine({"one": locked, "two": refused})
    assert [finding.level for finding in found] == [Level.UNKNOWN, Level.UNKNOWN]
    assert weigh(found) == 2
    assert weigh([*found, Finding(Level.FAIL, "x", "x", "x")]) == 1


def test_only_an_installed_host_has_a_machine_to_look_at(layout):
    report = diagnose(layout, answers({}))
    assert "podman" not in {finding["check"] for finding in report.data["findings"]}
    assert report.code == doctor.weigh([Finding(Level(f["level"]), "", "", "") for f in report.data["findings"]])
