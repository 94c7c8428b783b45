"""What an installed host hands to the image: words as typed, the release by digest, nothing else to see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from prometheus.cli import host, in_image
from prometheus.cli.commands import COMMANDS
from prometheus.v10.base.errors import ConfigError, HostError, UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.journal import SOCKET
from prometheus.v10.ops.host import podman as podman_module
from prometheus.v10.ops.host import runner
from prometheus.v10.ops.host.podman import Podman
from prometheus.v10.ops.host.release_env import Release, env_file, write_release
from tests.forger.house import do_run

DIGEST = "sha256:" + "a" * 64
IMAGE = f"localhost/prometheus-quant@{DIGEST}"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout.under(tmp_path / "root")
    made.etc.mkdir(parents=True)
    return made


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Command lines that would have been run, in the place of Podman, which ends with 65."""
    lines: list[tuple[str, ...]] = []

    def take(words, **_given):
        lines.append(tuple(words))
        return 65

    monkeypatch.setattr(podman_module, "hand_over", take)
    return lines


def test_the_words_reach_the_image_in_force_and_its_code_comes_back(layout, handed):
    write_release(env_file(layout), Release(dict.fromkeys(Stage, IMAGE), None))
    code = in_image.run_in_image(layout, Podman(runner.run_command, None, {}), ["promote", "--top-k", "3", "--queue"])
    assert code == 65
    (words,) = handed
    assert words[-8:] == (IMAGE, "-I", "-m", "prometheus.cli", "promote", "--top-k", "3", "--queue")
    assert f"--env=PQ_IMAGE_DIGEST={DIGEST}" in words


def test_the_image_sees_evidence_logs_configuration_and_the_journal_and_has_no_privilege(layout, handed):
    write_release(env_file(layout), Release(dict.fromkeys(Stage, IMAGE), None))
    in_image.run_in_image(layout, Podman(runner.run_command, None, {}), ["promote", "--queue"])
    (words,) = handed
    assert sorted(word.removeprefix("--volume=") for word in words if word.startswith("--volume=")) == sorted(
        [f"{layout.lib}:{layout.lib}", f"{layout.log}:{layout.log}", f"{layout.etc}:{layout.etc}:ro",
         f"{SOCKET}:{SOCKET}"]
    )  # fmt: skip
    assert {"--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none"} <= set(words)


def test_without_a_release_in_force_it_says_so(layout, handed):
    with pytest.raises(ConfigError, match="no release is in force, and pool runs in its image"):
        in_image.run_in_image(layout, Podman(runner.run_command, None, {}), ["pool", "show"])
    assert handed == []


def test_help_and_every_option_are_the_images_own_to_answer(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(in_image.Podman, "of_service", lambda: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(in_image, "run_in_image", lambda _layout, _podman, words, **_: asked.append(words) or 3)
    assert host.main(["promote", "--help"]) == 3
    assert host.main(["market", "import", "a b.csv", "x", "--json", "-h"]) == 3
    assert asked == [["promote", "--help"], ["market", "import", "a b.csv", "x", "--json", "-h"]]


def test_only_what_the_image_has_is_handed_to_it():
    assert set(in_image.COMMANDS) <= {one.name for one in COMMANDS}


def test_ctrl_c_is_the_commands_to_answer(tmp_path: Path):
    """A process group as a terminal's, and the signal that Ctrl-C sends to all of it."""
    there = tmp_path / "there"
    inner = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(75))\n"
        f"pathlib.Path({str(there)!r}).touch()\n"
        "time.sleep(60)\n"
    )
    outer = (
        "import sys; from prometheus.v10.ops.host.runner import hand_over\n"
        f"sys.exit(hand_over([sys.executable, '-c', {inner!r}], account=None, environ={{}}))\n"
    )
    started = subprocess.Popen([sys.executable, "-c", outer], process_group=0)
    while not there.exists():
        assert started.poll() is None
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(60) == 75


# ---- the caller's terminal, and files that the caller wants ----------------------------------------------------------


class Stream:
    def __init__(self, fd: int | None) -> None:
        self.fd = fd

    def isatty(self) -> bool:
        return self.fd is not None

    def fileno(self) -> int:
        assert self.fd is not None
        return self.fd


def test_the_image_is_told_of_the_terminal_only_where_there_is_one():
    """In a real pseudo-terminal of 80 columns."""
    inner, outer = pty.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    screen, file = Stream(outer), Stream(None)
    environ = {"TERM": "xterm", "COLUMNS": "200", "HOME": "/root", "NO_COLOR": ""}
    try:
        told = in_image.terminal(environ, screen, screen)
        assert set(told) == {"TERM=xterm", "COLUMNS=80", "LINES=24", "FORCE_COLOR=1"}
        assert set(in_image.terminal(environ, screen, file)) == {"TERM=xterm", "COLUMNS=80", "LINES=24"}
        assert in_image.terminal(environ, file, screen) == ["TERM=xterm", "COLUMNS=200"]
        assert in_image.terminal({"NO_COLOR": "1"}, file, file) == ["NO_COLOR=1"]
    finally:
        os.close(inner)
        os.close(outer)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, layout: Layout) -> list[tuple[str, ...]]:
    """As in the image: the product itself, its working directory the one that is mounted there, and no terminal."""
    write_release(env_file(layout), Release(dict.fromkeys(Stage, IMAGE), None))
    lines: list[tuple[str, ...]] = []

    def run(words, **_given):
        lines.append(tuple(words))
        volumes = [word.removeprefix("--volume=").split(":") for word in words if word.startswith("--volume=")]
        there = next((place for place, name, *_ in volumes if name == in_image.OUT), None)
        told = dict(word.removeprefix("--env=").split("=", 1) for word in words if word.startswith("--env="))
        repository = str(Path(in_image.__file__).parents[2])
        return subprocess.run(
            [sys.executable, *words[words.index("-m") :]], cwd=there or "/", check=False, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": repository, **told},
        ).returncode  # fmt: skip

    monkeypatch.setattr(podman_module, "hand_over", run)
    return lines


def test_a_file_that_the_image_makes_lands_where_the_caller_named_it(layout, inside, tmp_path, monkeypatch, capfd):
    root = tmp_path / "installation"
    do_run(root, {})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    podman = Podman(runner.run_command, None, {})
    for words, name in (
        (["report", "latest", "--html", "run.html"], "run.html"),
        (["report", "latest", f"--html={tmp_path}/here/other.html"], "other.html"),
        (["pool", "export", "g.npy"], "g.npy"),
        (["report", "latest", "--html", "../up.html"], "../up.html"),
    ):
        assert in_image.run_in_image(layout, podman, [*words, "--root", str(root)]) == 0
        assert (tmp_path / "here" / name).stat().st_size > 500
        assert f"written: {(tmp_path / 'here' / name).resolve()}" in capfd.readouterr().err
    assert len(list((tmp_path / "here").iterdir())) == 3
    assert all("--workdir=/out" in line for line in inside)


def test_a_file_that_may_not_be_made_is_refused_before_the_image_starts(layout, inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.svg").touch()
    (layout.lib / "pools").mkdir(parents=True)
    podman = Podman(runner.run_command, None, {})
    for name, said in (("there.svg", "exists"), (str(layout.lib / "pools" / "x.svg"), "only the suite writes")):
        with pytest.raises(UsageError, match=said):
            in_image.run_in_image(layout, podman, ["report", "latest", "--svg", name])
    with pytest.raises(UsageError, match="two files are called"):
        in_image.outputs(["genome", "show", "1", "--plot", "a/x.svg", "--out", "b/x.svg"])
    with pytest.raises(UsageError, match="names no file"):
        in_image.outputs(["report", "x", "--svg", "/"])
    assert inside == []


def test_a_command_that_fails_leaves_nothing_and_says_why_itself(layout, inside, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code = in_image.run_in_image(
        layout, Podman(runner.run_command, None, {}), ["report", "latest", "--html", "x.html", "--root", str(tmp_path)]
    )
    assert code == 64
    assert "written" not in capfd.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_what_is_no_file_is_not_fetched(layout, tmp_path, monkeypatch, kind):
    """A link to a file of the host, made by whoever has the image, is not followed with the caller's rights."""
    write_release(env_file(layout), Release(dict.fromkeys(Stage, IMAGE), None))
    secret = tmp_path / "secret"
    secret.write_text("of the host")

    def run(words, **_given):
        (volume,) = [word for word in words if word.endswith(f":{in_image.OUT}")]
        place = Path(volume.removeprefix("--volume=").partition(":")[0]) / "x.svg"
        {"link": lambda: place.symlink_to(secret), "pipe": lambda: os.mkfifo(place), "directory": place.mkdir}[kind]()
        return 0

    monkeypatch.setattr(podman_module, "hand_over", run)
    with pytest.raises(HostError):
        in_image.run_in_image(
            layout, Podman(runner.run_command, None, {}), ["report", "x", "--svg", str(tmp_path / "x.svg")]
        )
    assert not (tmp_path / "x.svg").exists()


def test_words_that_name_no_new_file_stay_as_they_are():
    for words in (["report", "latest"], ["report", "x", "--html", "a/b.html", "--check"], ["pool", "show", "a/b.npy"]):
        assert in_image.outputs(words) == (words, {})
    assert in_image.outputs(["report", "x", "--svg", "a/b.svg"])[0] == ["report", "x", "--svg", "b.svg"]


def test_a_table_from_the_image_fits_the_terminal_and_has_its_colours(layout, inside, tmp_path, capfd):
    """What a command prints in the image, told of a terminal of 80 columns, is what it prints in one."""
    do_run(tmp_path / "installation", {})
    words = ["report", "latest", "--root", str(tmp_path / "installation")]
    podman = Podman(runner.run_command, None, {})
    told = ["TERM=xterm", "COLUMNS=80", "LINES=24", "FORCE_COLOR=1"]
    assert in_image.run_in_image(layout, podman, words, terminal=told) == 0
    shown = capfd.readouterr().out
    assert "\x1b[1m" in shown
    assert in_image.run_in_image(layout, podman, words, terminal=["COLUMNS=80"]) == 0
    plain = capfd.readouterr().out
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == plain
    assert in_image.run_in_image(layout, podman, words, terminal=[*told, "NO_COLOR=1"]) == 0
    assert "\x1b[3" not in capfd.readouterr().out
