"""The desk in a release: loaded and put in force with the stages, gone back with them, and missed without harm."""

from __future__ import annotations

import pytest

from prometheus.v10.base.errors import ConfigError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.ops.host.doctor import Level, examine
from prometheus.v10.ops.host.doctor_suite import Suite
from prometheus.v10.ops.host.host_records import RELEASES, HostRecords
from prometheus.v10.ops.host.podman import DESK, Podman
from prometheus.v10.ops.host.release import Releases
from prometheus.v10.ops.host.release_env import env_file, previous_file, read_release
from tests.unit.ops.host_stand_in import JournalSocket
from tests.unit.ops.store_stand_in import Store, digest

WITH, WITHOUT = (*(stage.value for stage in Stage), DESK), tuple(stage.value for stage in Stage)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def releases(layout, fake_clock, store, tmp_path):
    listening = JournalSocket(tmp_path / "journal")
    records = HostRecords(layout, fake_clock, listening.path)
    yield Releases(layout, records, Podman(store, None, {}), None, "somebody")
    listening.close()


def load(releases: Releases, store: Store, letter: str, targets=WITH):
    """Fetch a release from a registry, an image each by its digest."""
    names = [f"registry.example/{target}@{digest(letter, target)}" for target in targets]
    for target, name in zip(targets, names, strict=True):
        store.offer(name, letter, target)
    return releases.load(names)


def desk(letter: str) -> str:
    return f"localhost/prometheus-quant@{digest(letter, DESK)}"


def test_it_is_loaded_recorded_and_written_where_the_host_command_reads_it(releases, store, layout):
    release = load(releases, store, "a")
    assert release.desk == desk("a")
    assert f"localhost/prometheus-quant:desk-{'ad' * 6}" in store.tags  # so that nothing prunes it
    assert releases.known()[-1].release == release
    releases.use(release.id)
    assert f"PQ_IMAGE_DESK={desk('a')}\nPQ_IMAGE_DESK_DIGEST={digest('a', DESK)}\n" in env_file(layout).read_text()
    assert read_release(env_file(layout)) == release
    assert releases.find("adad").id == release.id


def test_it_is_rolled_back_with_the_stages(releases, store, layout):
    for letter in "ab":
        releases.use(load(releases, store, letter).id)
    releases.rollback()
    assert read_release(env_file(layout)).desk == desk("a")
    releases.rollback()
    assert read_release(env_file(layout)).desk == desk("b")


def test_a_release_of_an_earlier_version_has_none_and_is_one_all_the_same(releases, store, layout):
    releases.use(load(releases, store, "a", WITHOUT).id)
    assert read_release(env_file(layout)).desk is None
    releases.use(load(releases, store, "b").id)
    assert read_release(previous_file(layout)).desk is None
    releases.rollback()
    assert "DESK" not in env_file(layout).read_text()


def test_a_record_without_a_desk_says_nothing_of_one(releases, store):
    load(releases, store, "a", WITHOUT)
    assert "desk" not in releases.records.read(RELEASES)[-1].payload["release"]


def test_two_desks_are_no_release(releases, store):
    names = [f"registry.example/{target}@{digest('a', target)}" for target in WITH]
    names.append(f"registry.example/again@{digest('b', DESK)}")
    for name, letter, target in zip(names, "aaab", [*WITH, DESK], strict=True):
        store.offer(name, letter, target)
    with pytest.raises(UsageError, match="a second image for desk"):
        releases.load(names)


def test_a_way_back_is_not_barred_by_a_desk_that_is_gone(releases, store):
    for letter in "ab":
        releases.use(load(releases, store, letter).id)
    del store.held[digest("a", DESK)[7:]]
    assert releases.rollback()["problems"] == [
        f"{desk('a')} of the desk is not in the store: release load brings it"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [("PQ_IMAGE_DESK=localhost/prometheus-quant:latest", "names no image by its digest"),
     (f"PQ_IMAGE_DESK={desk('b')}", "PQ_IMAGE_DESK_DIGEST is not the digest of")],
)  # fmt: skip
def test_a_desk_that_is_named_otherwise_than_by_its_digest_is_refused(releases, store, layout, line, said):
    releases.use(load(releases, store, "a").id)
    text = env_file(layout).read_text().replace(f"PQ_IMAGE_DESK={desk('a')}", line)
    env_file(layout).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_release(env_file(layout))


# ---- the doctor ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "gone", "level", "what"),
    [
        (WITH, False, Level.OK, "desk: sha256:adadadadadad"),
        (WITH, True, Level.WARN, f"{desk('a')} of the desk is not in the store"),
        (WITHOUT, False, Level.WARN, "release a1a1a1a1a1a1 has no image for the desk"),
    ],
    ids=["there", "pruned", "of an earlier version"],
)
def test_the_doctor_names_a_desk_that_is_missing(releases, store, layout, monkeypatch, targets, gone, level, what):
    releases.use(load(releases, store, "a", targets).id)
    if gone:
        del store.held[digest("a", DESK)[7:]]
    monkeypatch.setattr(Podman, "of_service", lambda _runner: Podman(store, None, {}))
    monkeypatch.setattr(Store, "_run", lambda *_: (0, ""), raising=False)  # core check in the image
    found = examine({"image": Suite(layout, None, store).images})
    (said,) = [finding for finding in found if "desk" in finding.what and finding.check != "custodian"]
    assert (said.level, said.what) == (level, what)
    assert bool(said.mend) is (level is Level.WARN)
