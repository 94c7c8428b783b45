"""Releases: by digest, recorded, one command back, and never half a step."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from prometheus.cli.operate.release_command import listed, switched
from prometheus.v10.base.errors import ConfigError, EvidenceError, HostError, LockHeldError, UsageError
from prometheus.v10.base.files import Lock
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Event
from prometheus.v10.ops.host.host_records import RELEASES, HostRecords
from prometheus.v10.ops.host.podman import Podman
from prometheus.v10.ops.host.release import Releases
from prometheus.v10.ops.host.release_env import Release, env_file, previous_file, read_release
from prometheus.v10.ops.host.runner import Ended
from tests.unit.ops.host_stand_in import FakeSystemd, JournalSocket
from tests.unit.ops.store_stand_in import COMMITS, Store, digest, label

UNIT = "prometheus-stage1@HF.service"


class Host(FakeSystemd):
    """A manager on which a restart succeeds or not, by the release that ``release.env`` names at that moment."""

    def __init__(self, active: Mapping[str, str], layout, broken: set[str]) -> None:
        super().__init__(active, rests_after=10**9)
        self._layout, self._broken = layout, broken

    def __call__(self, words, **more) -> Ended:
        if tuple(words[:2]) == ("systemctl", "restart"):
            good = read_release(env_file(self._layout)).id not in self._broken
            for unit in words[2:]:
                self.active[unit] = "active" if good else "activating"
            self.asked.append(tuple(words))
            return Ended(tuple(words), 0 if good else 1, "", "" if good else f"Job for {words[2]} failed.")
        return super().__call__(words, **more)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def archive(tmp_path, store):
    """An archive of both images of a release."""

    def make(letter: str, **wrong) -> str:
        manifests = []
        for stage in Stage:
            name = f"localhost/prometheus-quant:{label(stage)}"
            store.offer(name, letter, stage, **wrong.get("labels", {}))
            said = wrong.get("digest", digest(letter, stage))
            manifests.append({"digest": said, "annotations": {"org.opencontainers.image.ref.name": name}})
        data = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        place = tmp_path / f"{letter}.oci.tar"
        with tarfile.open(place, "w") as tar:
            member = tarfile.TarInfo("index.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        return str(place)

    return make


@pytest.fixture
def journal(tmp_path):
    listening = JournalSocket(tmp_path / "journal")
    yield listening
    listening.close()


@pytest.fixture
def broken() -> set[str]:
    """Ids of releases that never become READY."""
    return set()


@pytest.fixture
def host(layout, broken):
    return Host({UNIT: "active", "prometheus-stage2@OLD.service": "inactive"}, layout, broken)


@pytest.fixture
def releases(layout, fake_clock, journal, store, host):
    records = HostRecords(layout, fake_clock, journal.path)
    return Releases(layout, records, Podman(store, None, {}), host.manager(), "somebody")


@pytest.fixture
def two(releases, archive) -> tuple[Release, Release]:
    """Two releases; the second is in force, the first before it."""
    first, second = (releases.load([archive(letter)]) for letter in "ab")
    releases.use(first.id)
    releases.use(second.id)
    return first, second


def steps(releases) -> list[str]:
    return [line.payload["step"] for line in releases.records.read(RELEASES)]


# ---- load ------------------------------------------------------------------------------------------------------------


def test_a_loaded_release_is_on_record_and_not_in_force(releases, archive, layout, store):
    release = releases.load([archive("a")])
    assert release.images[Stage.STAGE1] == f"localhost/prometheus-quant@{digest('a', Stage.STAGE1)}"
    assert release.git_commit == COMMITS["a"]
    assert steps(releases) == ["loaded"]
    assert not env_file(layout).exists()
    assert set(store.tags) == {
        f"localhost/prometheus-quant:{s.value}-{digest('a', s)[7:19]}" for s in Stage
    }  # named by themselves, and by no tag that another release could take


def test_what_was_hashed_is_what_is_loaded(releases, archive):
    with pytest.raises(EvidenceError, match="sha256"):
        releases.load([archive("a")], sha256="0" * 64)
    assert steps(releases) == []


def test_an_image_that_is_not_what_the_archive_says_is_refused(releases, archive):
    with pytest.raises(EvidenceError, match="should have given"):
        releases.load([archive("a", digest="sha256:" + "9" * 64)])
    assert steps(releases) == []


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ({"io.prometheus-quant.target": "stage1_sandbox"}, "a second image for stage1"),
        ({"io.prometheus-quant.target": None}, "none of ours"),
    ],
)
def test_a_release_is_one_image_for_each_stage(releases, archive, labels, complaint):
    with pytest.raises(UsageError, match=complaint):
        releases.load([archive("a", labels=labels)])


def test_from_a_registry_by_digest_only(releases, store):
    names = {stage: f"registry.example/quant/{stage.value}" for stage in Stage}
    for stage, name in names.items():
        store.offer(f"docker://{name}@{digest('a', stage)}", "a", stage)
    with pytest.raises(UsageError, match="names no image by its digest"):
        releases.load([f"{names[Stage.STAGE1]}:latest", f"{names[Stage.STAGE2]}@{digest('a', Stage.STAGE2)}"])
    release = releases.load([f"{name}@{digest('a', stage)}" for stage, name in names.items()])
    assert release.git_commit == COMMITS["a"]


def test_images_of_two_commits_are_no_release(releases, store):
    names = {
        stage: f"registry.example/{stage.value}@{digest(letter, stage)}"
        for letter, stage in zip("ab", Stage, strict=True)
    }
    for letter, (stage, name) in zip("ab", names.items(), strict=True):
        store.offer(name, letter, stage)
    with pytest.raises(UsageError, match="several commits"):
        releases.load(list(names.values()))


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240])
def test_what_is_no_archive_is_refused(releases, tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(UsageError, match="no OCI archive"):
        releases.load([str(tmp_path / "x.tar")])
    with pytest.raises(HostError):
        releases.load([str(tmp_path / "missing.tar")])


# ---- who made it -----------------------------------------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path) -> dict[str, Path]:
    """Two SSH keys: the builder's, and a stranger's."""
    made = {}
    for who in ("builder", "stranger"):
        made[who] = tmp_path / who
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", str(made[who])], check=True)
    return made


def allow(layout, key: Path, options: str = "") -> None:
    layout.etc.mkdir(parents=True, exist_ok=True)
    public = Path(f"{key}.pub").read_text()
    (layout.etc / "release_signers").write_text(f"builder@example.invalid {options} {public}")


def sign(archive: str, key: Path, namespace: str = "prometheus-quant-release") -> str:
    Path(f"{archive}.sig").unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, archive], check=True)
    return archive


def recorded(releases) -> list[str]:
    return [line.payload["authenticity"] for line in releases.records.read(RELEASES)]


def test_a_release_signed_by_an_allowed_key_is_loaded_and_the_record_says_by_whom(releases, archive, layout, keys):
    allow(layout, keys["builder"], 'namespaces="prometheus-quant-release"')
    release = releases.load([sign(archive("a"), keys["builder"])])
    releases.use(release.id)
    assert set(recorded(releases)) == {"signed by builder@example.invalid"}
    assert listed(releases).data["releases"][0]["authenticity"] == "signed by builder@example.invalid"


@pytest.mark.parametrize(
    "wrong", ["unsigned", "stranger", "other bytes", "other namespace", "key not for this", "registry"]
)
def test_where_signers_are_named_nothing_else_is_loaded(releases, archive, layout, keys, store, wrong):
    allow(layout, keys["builder"], 'namespaces="file"' if wrong == "key not for this" else "")
    sources = [archive("a")]
    if wrong == "stranger":
        sign(sources[0], keys["stranger"])
    elif wrong == "other namespace":
        sign(sources[0], keys["builder"], "prometheus-quant-checkpoint")
    elif wrong == "key not for this":
        sign(sources[0], keys["builder"])
    elif wrong == "other bytes":
        sign(sources[0], keys["builder"])
        with Path(sources[0]).open("ab") as file:
            file.write(bytes(512))
    elif wrong == "registry":
        sources = [f"registry.example/{stage.value}@{digest('a', stage)}" for stage in Stage]
        for stage, source in zip(Stage, sources, strict=True):
            store.offer(source, "a", stage)
    with pytest.raises(EvidenceError, match=r"signature"):
        releases.load(sources)
    assert steps(releases) == []
    assert not store.held


def test_without_signers_the_record_says_whether_anything_vouched(releases, archive):
    releases.load([archive("a")])
    second = archive("b")
    releases.load([second], sha256=hashlib.sha256(Path(second).read_bytes()).hexdigest())
    assert recorded(releases) == ["not authenticated", "digest named by the operator"]


def test_a_release_loaded_before_signers_were_named_is_not_put_in_force(releases, archive, layout, keys):
    release = releases.load([archive("a")])
    allow(layout, keys["builder"])
    with pytest.raises(EvidenceError, match="without a signature"):
        releases.use(release.id)
    releases.load([sign(archive("a"), keys["builder"])])
    assert releases.use(release.id)["in_force"]["id"] == release.id


# ---- use and rollback ------------------------------------------------------------------------------------------------


def test_a_release_in_force_restarts_exactly_what_ran(releases, archive, layout, host, journal):
    release = releases.load([archive("a")])
    done = releases.use(release.id[:6])
    assert read_release(env_file(layout)) == release
    assert done["restarted"] == [UNIT]
    assert [words for words in host.commands() if words[0] == "restart"] == [["restart", UNIT]]
    assert steps(releases) == ["loaded", "begun", "in_force"]
    assert journal.entries()[-1]["MESSAGE_ID"] == Event.RELEASE.message_id


@pytest.mark.parametrize(
    ("label", "says"),
    [({"io.prometheus-quant.custodian": "1"}, "PQ_EVIDENCE=ro\nPQ_CUSTODIAN=--custodian /run/custodian\n"),
     ({}, "PQ_EVIDENCE=rw\nPQ_CUSTODIAN=\n")],
    ids=["with a custodian", "of a version before"],
)  # fmt: skip
def test_the_file_is_what_the_units_read(releases, archive, layout, label, says):
    release = releases.load([archive("a", labels=label)])
    releases.use(release.id)
    one, two = (digest("a", stage) for stage in Stage)
    assert env_file(layout).read_text() == (
        f"PQ_IMAGE_STAGE1=localhost/prometheus-quant@{one}\nPQ_IMAGE_STAGE1_DIGEST={one}\n"
        f"PQ_IMAGE_STAGE2=localhost/prometheus-quant@{two}\nPQ_IMAGE_STAGE2_DIGEST={two}\n"
        f"PQ_GIT_COMMIT={COMMITS['a']}\n" + says
    )
    assert read_release(env_file(layout)).custodian is bool(label)
    assert releases.known()[0].release.custodian is bool(label)


def test_rollback_goes_back_and_rolling_back_again_returns(releases, two, layout, journal):
    first, second = two
    assert releases.rollback()["in_force"]["id"] == first.id
    assert (read_release(env_file(layout)), read_release(previous_file(layout))) == (first, second)
    entry = journal.entries()[-1]
    assert entry["MESSAGE_ID"] == Event.ROLLBACK.message_id
    assert (entry["PROMETHEUS_FROM_IMAGE"], entry["PROMETHEUS_TO_IMAGE"]) == (
        second.images[Stage.STAGE1], first.images[Stage.STAGE1],
    )  # fmt: skip
    assert releases.rollback()["in_force"]["id"] == second.id


def test_a_release_that_never_becomes_ready_is_undone(releases, two, layout, archive, broken, host):
    first, second = two
    broken.add(first.id)
    with pytest.raises(HostError, match=f"release {first.id} is not READY.*{second.id} runs again") as refused:
        releases.rollback()
    assert refused.value.exit_code == 74
    assert (read_release(env_file(layout)), read_release(previous_file(layout))) == (second, first)
    assert host.active[UNIT] == "active"
    assert steps(releases)[-2:] == ["begun", "reverted"]
    assert releases.records.read(RELEASES)[-1].payload["in_force"] == second.id


def test_when_neither_becomes_ready_it_is_said_and_the_old_one_stays_in_force(releases, two, layout, broken):
    first, second = two
    broken |= {first.id, second.id}
    with pytest.raises(HostError, match="and neither is"):
        releases.rollback()
    assert read_release(env_file(layout)) == second


def test_the_first_release_of_a_host_has_nothing_to_go_back_to(releases, archive, layout, broken):
    release = releases.load([archive("a")])
    broken.add(release.id)
    with pytest.raises(HostError, match="there is none before it"):
        releases.use(release.id)
    with pytest.raises(UsageError, match="no release to go back to"):
        releases.rollback()


def test_using_what_is_in_force_keeps_the_way_back(releases, two, layout):
    first, second = two
    releases.use(second.id)
    assert read_release(previous_file(layout)) == first


def test_an_image_that_is_gone_is_found_before_anything_changes(releases, two, layout, store):
    before = env_file(layout).read_bytes()
    store.held.clear()
    with pytest.raises(HostError, match="not in the store"):
        releases.rollback()
    assert env_file(layout).read_bytes() == before
    assert steps(releases)[-1] == "in_force"


def test_without_a_record_nothing_changes(releases, two, layout):
    before = env_file(layout).read_bytes()
    (layout.state / RELEASES).write_bytes(b"{}\nbroken\n")
    with pytest.raises(EvidenceError):
        releases.rollback()
    assert env_file(layout).read_bytes() == before


def test_two_at_once_are_refused(releases, two, layout):
    with Lock(layout.state / "release.lock", who="another"), pytest.raises(LockHeldError, match="another"):
        releases.rollback()


def test_a_damaged_release_file_is_refused_to_units_and_replaced_by_use(releases, two, layout):
    env_file(layout).write_text("PQ_IMAGE_STAGE1=localhost/prometheus-quant:latest\n")
    with pytest.raises(ConfigError, match="by its digest"):
        releases.current()
    done = releases.use(two[0].id)
    assert read_release(env_file(layout)) == two[0]
    assert any("by its digest" in problem for problem in done["problems"])


@pytest.mark.parametrize("name", ["", "0", "ffff", "a"])
def test_a_name_must_mean_one_release(releases, two, name):
    with pytest.raises(UsageError, match=r"loaded releases? (are|is) called"):
        releases.find(name)


def test_a_release_is_found_by_commit_and_by_digest(releases, two):
    assert releases.find(COMMITS["b"][:8]) == two[1]
    assert releases.find(digest("a", Stage.STAGE2)) == two[0]


def test_the_list_says_what_is_in_force_and_where_a_rollback_leads(releases, two):
    data = listed(releases).data
    assert [(one["id"], one["state"]) for one in data["releases"]] == [
        (two[0].id, "previous"), (two[1].id, "in force"),
    ]  # fmt: skip
    assert data["previous"]["id"] == two[0].id
    assert switched(releases, None).data["in_force"]["id"] == two[0].id
