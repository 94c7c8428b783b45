"""What a host hands to the desk's image: evidence to read, the folders that a command writes, and nothing on top."""

from __future__ import annotations

from pathlib import Path

import pytest

from prometheus.cli import host, in_image, mounts
from prometheus.v10.base import extras
from prometheus.v10.base.errors import HostError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.journal import SOCKET
from prometheus.v10.ops.host import podman as podman_module
from prometheus.v10.ops.host.podman import Podman
from prometheus.v10.ops.host.release_env import Release, env_file, write_release
from prometheus.v10.ops.host.runner import Ended

STAGE_1 = f"localhost/prometheus-quant@sha256:{'1' * 64}"
STAGE_2 = f"localhost/prometheus-quant@sha256:{'2' * 64}"
DESK = f"localhost/prometheus-quant@sha256:{'d' * 64}"
RELEASE = Release({Stage.STAGE1: STAGE_1, Stage.STAGE2: STAGE_2}, None, desk=DESK)
OLD = Release({Stage.STAGE1: STAGE_1, Stage.STAGE2: STAGE_2}, None)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout.under(tmp_path / "root")
    made.etc.mkdir(parents=True)
    return made


def written(seen: mounts.Seen) -> list[str]:
    """Places that a command may write, as the host names them."""
    return [one.partition(":")[0] for one in seen.volumes if not one.endswith(":ro") and one != f"{SOCKET}:{SOCKET}"]


@pytest.mark.parametrize(
    ("words", "folders"),
    [
        ("report latest --html x.html", []),
        ("pool export x.parquet", []),
        ("pool best --one-each line", []),
        ("genome show 1 --plot x.svg", []),
        ("market list", []),
        ("market", []),
        ("market import /var/lib/x.csv name", ["market"]),
        ("market add name /var/lib/x.csv", ["market"]),
        ("gate --config SYNTHETIC", ["gates", "state"]),
        ("gate", ["gates", "state"]),
        ("gate planted --runs 1", []),
        ("gate replay my_gate", []),
        ("founding planted", []),
        ("kpi HF --plot x.png", []),
        ("progress --plot=x.png", []),
    ],
)
def test_the_desk_sees_evidence_to_read_and_writes_what_its_command_writes(layout, words, folders):
    seen = mounts.seen_by(words.split(), layout, RELEASE)
    assert (seen.image, seen.digest, seen.lacking) == (DESK, DESK.partition("@")[2], None)
    assert {f"{layout.lib}:{layout.lib}:ro", f"{layout.etc}:{layout.etc}:ro", f"{layout.log}:{layout.log}:ro"} <= set(
        seen.volumes
    )
    assert written(seen) == [str(layout.lib / folder) for folder in folders]
    assert all((layout.lib / folder).is_dir() for folder in folders)  # what is mounted must be there


@pytest.mark.parametrize("words", ["promote --queue", "snapshot create", "replay latest", "core check", "retention"])
def test_what_makes_replays_or_deletes_runs_stays_in_the_image_of_stage_1(layout, words):
    seen = mounts.seen_by(words.split(), layout, RELEASE)
    assert (seen.image, seen.tmpfs) == (STAGE_1, ())
    assert written(seen) == [str(layout.lib), str(layout.log)]


def test_a_release_without_a_desk_is_served_by_stage_1_which_reads_and_lacks(layout):
    seen = mounts.seen_by(["report", "latest"], layout, OLD)
    assert (seen.image, written(seen)) == (STAGE_1, [])
    assert seen.lacking == (
        f"release {OLD.id} has no image for the desk: stage 1's serves, without matplotlib, scipy and pyarrow"
    )


def test_a_folder_that_is_a_link_is_not_mounted(layout, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    layout.lib.mkdir(exist_ok=True)
    (layout.lib / "market").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        mounts.seen_by(["market", "import", "x.csv", "x"], layout, RELEASE)


def test_every_command_of_the_desk_is_handed_over():
    assert set(in_image.COMMANDS) | set(in_image.DRAWN) >= mounts.ON_DESK


# ---- the hand-over ---------------------------------------------------------------------------------------------------


class Store:
    """A Podman that has no image."""

    def __call__(self, words, **_):
        return Ended(tuple(words), 1 if "exists" in words else 0, "", "")


def test_an_image_that_is_not_in_the_store_is_said_in_one_line(layout, monkeypatch):
    write_release(env_file(layout), RELEASE)
    monkeypatch.setattr(podman_module, "hand_over", lambda *_, **__: in_image.NOT_RUN)
    with pytest.raises(HostError, match=f"{DESK}, in which report runs, is not in the store") as caught:
        in_image.run_in_image(layout, Podman(Store(), None, {}), ["report", "latest"])
    assert caught.value.hint == "prometheus-quant release load FILE"


def test_the_desk_has_room_for_its_fonts_and_says_which_image_it_is(layout, monkeypatch):
    write_release(env_file(layout), RELEASE)
    lines = []
    monkeypatch.setattr(podman_module, "hand_over", lambda words, **_: lines.append(words) or 0)
    in_image.run_in_image(layout, Podman(Store(), None, {}), ["gate"])
    in_image.run_in_image(layout, Podman(Store(), None, {}), ["promote", "--queue"])
    desk, stage = lines
    assert {f"--tmpfs={mounts.FONTS}", f"--env=PQ_IMAGE={DESK}"} <= set(desk)
    assert not {f"--tmpfs={mounts.FONTS}", f"--env=PQ_IMAGE={DESK}"} & set(stage)
    assert {"--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none"} <= set(desk)


@pytest.mark.parametrize(
    ("words", "inside", "file"),
    [
        ("pool export a/rows.jsonl", "pool export rows.jsonl", "a/rows.jsonl"),
        ("pool export --pool /x/frozen.jsonl a/g.npy", "pool export --pool /x/frozen.jsonl g.npy", "a/g.npy"),
        ("pool export a/p.parquet --stage stage2 --json", "pool export p.parquet --stage stage2 --json", "a/p.parquet"),
        ("kpi HF --plot a/k.png", "kpi HF --plot k.png", "a/k.png"),
    ],
)
def test_a_file_that_is_made_is_known_by_where_it_stands(words, inside, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, places = in_image.outputs(words.split())
    assert given == inside.split()
    assert places == {Path(file).name: tmp_path / file}


# ---- the host's command line -----------------------------------------------------------------------------------------


@pytest.fixture
def handed(monkeypatch) -> list[list[str]]:
    """Command lines that would have gone to an image."""
    lines: list[list[str]] = []
    monkeypatch.setattr(in_image.Podman, "of_service", lambda: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(in_image, "run_in_image", lambda _layout, _podman, words, **_: lines.append(words) or 0)
    return lines


def test_progress_and_kpi_are_the_hosts_own_until_they_draw(handed, tmp_path, capsys):
    (tmp_path / "state").mkdir()
    for name in ("progress", "kpi"):
        host.main([name, "--root", str(tmp_path)])
        assert handed == []
        assert host.main([name, "HF", "--plot", "x.png"]) == 0
        assert handed.pop() == [name, "HF", "--plot", "x.png"]
        assert host.main([name, "--plot=x.png"]) == 0
        assert handed.pop() == [name, "--plot=x.png"]
    capsys.readouterr()


@pytest.mark.parametrize("name", ["run", "demo", "venue"])
def test_a_command_of_a_checkout_says_why_it_is_none_of_a_host(name, handed, capsys):
    assert host.main([name, "--root", "/", "serve"]) == 64
    said = capsys.readouterr().err
    assert said == f"error: {host.ELSEWHERE[name][0]}\nhint: {host.ELSEWHERE[name][1]}\n"
    assert host.main(["--help"]) == 0
    listed = [line.strip("│ ").partition(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert "market" in listed
    assert name not in listed
    assert handed == []


def test_in_an_image_or_a_package_nobody_is_told_to_install_anything(monkeypatch):
    assert extras.hint_for("arrow") == "install the extra: pip install 'prometheus-quant[arrow]'"
    monkeypatch.setattr(extras, "BUILT", True)
    assert "pip" not in extras.hint_for("arrow")
    assert extras.hint_for("dask", "leave it out") == "leave it out"
