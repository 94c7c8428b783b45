"""The units by their text: systemd's own verdict, the sandbox, and promises that a reader must be able to rely on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prometheus.cli.operate.download_command import OWNER
from prometheus.cli.operate.notify_command import SYSTEM_STATE
from prometheus.v10.base.paths import SYSTEM_DOWNLOADS
from prometheus.v10.ops.alerts.channels import CREDENTIAL
from prometheus.v10.ops.alerts.textfile import SYSTEM_METRICS

REPOSITORY = Path(__file__).resolve().parents[2]
UNITS = REPOSITORY / "units"
CONTAINERS = ("prometheus-stage1@", "prometheus-stage2@", "prometheus-snapshot", "prometheus-retention",
              "prometheus-close@")  # fmt: skip
STAGES = CONTAINERS[:2]
ALERT = "prometheus-notify.service"


def text_of(unit: str) -> str:
    return (UNITS / f"{unit}.service").read_text()


def directives(text: str) -> list[tuple[str, str]]:
    """Every ``name=value`` in order, continued lines joined, comments left out."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [(line.partition("=")[0], line.partition("=")[2].strip()) for line in joined.splitlines() if "=" in line]


def value(unit: str, name: str) -> str:
    (found,) = [value for key, value in directives(text_of(unit)) if key == name]
    return found


def sandbox(unit: str) -> str:
    text = text_of(unit)
    return text[text.index("# --- sandbox") :].partition("\n[Install]")[0].strip()


# ---- what systemd says -----------------------------------------------------------------------------------------------


def test_systemd_finds_nothing_wrong(installed):
    units = [path.name for path in UNITS.iterdir() if path.suffix != ".conf" and path.is_file()]
    names = [re.sub(r"(close|custodian)@\.", r"\1@stage1-HF.", name).replace("@.", "@HF.") for name in units]
    ended = installed.ask("systemd-analyze", "verify", *(f"/usr/lib/systemd/system/{name}" for name in names))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("unit", "most"),
    [
        ("prometheus-stage1@HF.service", 22),
        ("prometheus-stage2@HF.service", 22),
        ("prometheus-stage1@OKX_DEMO.service", 28),  # has the drop-in of those that talk to an exchange
        ("prometheus-close@stage1-HF.service", 22),
        ("prometheus-snapshot.service", 22),
        ("prometheus-retention.service", 22),
        ("prometheus-audit.service", 3),  # a plain process
        ("prometheus-checkpoint.service", 3),
        ("prometheus-site.service", 3),
        ("prometheus-index.service", 3),
        ("prometheus-metrics.service", 3),
        ("prometheus-notify.service", 26),  # a network, and no evidence
        ("prometheus-download@btc.service", 26),  # the same
        ("prometheus-custodian@stage1-HF.service", 3),
        ("prometheus-preflight@HF.service", 3),
    ],
)
def test_exposure_stays_below_its_bound(installed, unit, most):
    """In tenths, as systemd-analyze counts."""
    ended = installed.ask("systemd-analyze", "security", f"--threshold={most}", "--no-pager", unit)
    assert ended.returncode == 0, ended.stdout.splitlines()[-1]


# ---- what we promise -------------------------------------------------------------------------------------------------


def test_all_containers_have_the_same_sandbox():
    assert {sandbox(unit) for unit in CONTAINERS} == {sandbox("prometheus-stage1@")}


def test_every_stage_names_its_mode_on_the_command_line_and_no_unit_names_one():
    for unit in STAGES:
        assert " --mode ${PQ_MODE} " in value(unit, "ExecStart")
    for path in UNITS.rglob("*"):
        if path.is_file():
            assert not re.search(r"(?<!PQ_)\bMODE=", path.read_text()), path
            assert not re.search(r"--mode[ =]\w", path.read_text()), path


@pytest.mark.parametrize("unit", CONTAINERS)
def test_images_are_named_by_release_env_alone(unit):
    assert value(unit, "ExecStart").count("${PQ_IMAGE_STAGE") >= 1
    assert "--pull=never" in value(unit, "ExecStart")
    assert "localhost/" not in text_of(unit)


@pytest.mark.parametrize("unit", CONTAINERS)
def test_a_container_has_no_privilege(unit):
    words = value(unit, "ExecStart").split()
    for word in (
        "--read-only",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--userns=keep-id:uid=1000,gid=1000",
    ):
        assert word in words


def test_offline_stages_have_neither_network_nor_credential():
    for unit in STAGES:
        assert "PQ_NETWORK=none" in value(unit, "Environment").split()
        assert "Credential" not in text_of(unit).replace("credentials", "")
    networked = directives((UNITS / "networked.conf").read_text())
    assert any(name == "LoadCredential" for name, _ in networked)
    assert [value for name, value in networked if name.startswith("IPAddress")] == ["any"]  # the operator allows one


def test_a_stage_writes_no_evidence_but_through_its_custodian():
    for number, unit in enumerate(STAGES, 1):
        words = value(unit, "ExecStart").split()
        assert "--volume=/var/lib/prometheus-quant:/var/lib/prometheus-quant:${PQ_EVIDENCE}" in words
        assert f"--volume=/run/prometheus-quant-custodian/stage{number}-%i:/run/custodian" in words
        assert words[-1] == "$PQ_CUSTODIAN"
        assert ("Requires", f"prometheus-custodian@stage{number}-%i.socket") in directives(text_of(unit))
        assert not any(word.startswith("--volume=/run/systemd/notify") for word in words)


def test_stage_2_reads_snapshots_only_and_never_sees_the_live_pool():
    words = value("prometheus-stage2@", "ExecStart").split()
    pool = "/var/lib/prometheus-quant/pools/stage1"
    assert f"--tmpfs={pool}:rw,size=1m,mode=0777,notmpcopyup" in words
    assert f"--volume={pool}/snapshots:{pool}/snapshots:ro" in words


def test_a_pulled_kill_switch_refuses_every_start_aloud():
    for unit in STAGES:
        assert value(unit, "AssertPathExists") == "!/etc/prometheus-quant/STOP"
        assert value(unit, "PartOf") == "prometheus.target"


def test_no_unit_knows_the_number_of_the_user():
    for path in UNITS.rglob("*"):
        if path.is_file():
            assert not re.search(r"/run/user/\d|user@\d", path.read_text()), path


def test_the_nightly_audit_ends_before_systemd_ends_it_and_passes_an_unused_host():
    words = value("prometheus-audit", "ExecStart").split()
    budget = float(words[words.index("--budget") + 1])
    minutes = re.fullmatch(r"(\d+)min", value("prometheus-audit", "TimeoutStartSec"))
    assert minutes is not None
    assert budget * 1.2 <= 60 * int(minutes[1])
    assert "--unused-ok" in words


@pytest.mark.parametrize(
    ("kind", "command"),
    [("site", "site build --root /"), ("metrics", f"metrics --root / --out {SYSTEM_METRICS}")],
)
def test_what_is_derived_is_made_beside_evidence_that_its_unit_cannot_write(kind, command):
    said = directives(text_of(f"prometheus-{kind}"))
    assert ("ReadOnlyPaths", "/var/lib/prometheus-quant") in said
    assert ("StateDirectory", f"prometheus-quant-{kind}") in said
    assert not any(name in {"ReadWritePaths", "ListenStream", "Sockets"} for name, _ in said)
    assert ("PrivateNetwork", "yes") in said
    assert value(f"prometheus-{kind}", "ExecStart") == f"/usr/bin/prometheus-quant {command}"


def test_the_index_is_all_that_its_unit_can_write():
    said = directives(text_of("prometheus-index"))
    assert ("ReadOnlyPaths", "/var/lib/prometheus-quant") in said
    assert [words for name, words in said if name == "ReadWritePaths"] == ["/var/lib/prometheus-quant/index"]
    assert not any(name in {"StateDirectory", "ListenStream", "Sockets"} for name, _ in said)
    assert ("PrivateNetwork", "yes") in said
    assert value("prometheus-index", "ExecStart") == "/usr/bin/prometheus-quant index build --root /"


@pytest.mark.parametrize(
    "kind", ["audit", "checkpoint", "snapshot", "retention", "site", "index", "metrics", "download@"]
)
def test_a_one_shot_that_fails_has_somebody_told(kind):
    assert value(f"prometheus-{kind}", "OnFailure") == ALERT


def test_alerts_see_no_evidence_and_their_credential_lies_in_one_place():
    said = directives(text_of("prometheus-notify"))
    hidden = [word for name, words in said if name == "InaccessiblePaths" for word in words.split()]
    assert {"-/var/lib/prometheus-quant", "-/etc/prometheus-quant"} <= set(hidden)
    assert ("LoadCredential", f"{CREDENTIAL}:/etc/prometheus-quant/credentials/{CREDENTIAL}") in said
    assert not any(name in {"Environment", "EnvironmentFile", "PassEnvironment", "ListenStream"} for name, _ in said)
    assert ("LimitCORE", "0") in said
    assert not any(name in {"OnFailure", "ReadWritePaths"} for name, _ in said)
    assert value("prometheus-notify", "ExecStart") == "/usr/bin/prometheus-quant notify send"
    assert f"/var/lib/{value('prometheus-notify', 'StateDirectory')}" == str(SYSTEM_STATE)


def test_downloads_see_neither_evidence_nor_configuration_nor_a_credential():
    said = directives(text_of("prometheus-download@"))
    hidden = [word for name, words in said if name == "InaccessiblePaths" for word in words.split()]
    assert {"-/var/lib/prometheus-quant", "-/etc/prometheus-quant", "-/var/lib/prometheus-quant-witness"} <= set(hidden)
    assert not any(
        name in {"LoadCredential", "ReadWritePaths", "ListenStream", "SupplementaryGroups"} for name, _ in said
    )
    assert value("prometheus-download@", "User") == OWNER
    assert f"/var/lib/{value('prometheus-download@', 'StateDirectory')}" == str(SYSTEM_DOWNLOADS)
    assert value("prometheus-download@", "ExecStart").startswith("/usr/bin/prometheus-quant market download --root / ")


def test_removing_the_package_ends_every_timer_of_ours_and_no_other():
    (kinds,) = re.findall(r"for kind in (.*); do", (REPOSITORY / "packaging/deb/prerm").read_text())
    assert {f"prometheus-{kind}.timer" for kind in kinds.split()} == {path.name for path in UNITS.glob("*.timer")}


def test_no_stage_waits_for_another_one_to_start_or_stop():
    """systemd stops at once what is not ordered: four instances take as long as their work does, not four times one."""
    stages = re.compile(r"prometheus-(stage[12]|custodian|preflight|podman)@")
    for unit in STAGES:
        own = {"%i", f"{unit.removeprefix('prometheus-').removesuffix('@')}", ""}
        for key, words in directives(text_of(unit)):
            if key in {"After", "Before", "Requires", "Wants", "BindsTo", "Conflicts"}:
                for word in filter(stages.match, words.split()):
                    name = word.partition("@")[2].rpartition(".")[0]
                    assert not word.startswith("prometheus-stage"), (key, word)
                    assert set(name.split("-")) <= own, (key, word)


def test_a_stage_that_stays_down_has_its_runs_closed():
    for number, unit in enumerate(STAGES, 1):
        assert value(unit, "OnFailure").split() == [f"prometheus-close@stage{number}-%i.service", ALERT]
    assert "systemctl show -P ActiveState" in value("prometheus-close@", "ExecCondition")


def test_a_restart_never_repeats_what_it_cannot_mend():
    for unit in STAGES:
        assert value(unit, "Restart") == "on-failure"
        assert value(unit, "RestartPreventExitStatus").split() == ["64", "65", "78"]
