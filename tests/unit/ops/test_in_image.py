"""What an installed host hands to the image: words as typed, the release by digest, nothing else to see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prometheus.cli import host, in_image
from prometheus.cli.commands import COMMANDS
from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.writing.journal import SOCKET
from prometheus.v10.ops.host import podman as podman_module
from prometheus.v10.ops.host import runner
from prometheus.v10.ops.host.podman import Podman
from prometheus.v10.ops.host.release_env import Release, env_file, write_release

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
    in_image.run_in_image(layout, Podman(runner.run_command, None, {}), ["market", "list"])
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
    monkeypatch.setattr(in_image, "run_in_image", lambda _layout, _podman, words: asked.append(words) or 3)
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
