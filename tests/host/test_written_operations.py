"""Every command of docs/operations.md that begins with ``#``, typed in its order on a clean host.

What a reader brings along is brought along: the package, the release and its successor as files, and the id that
``release load`` prints in the place of ``ID``. The test of the other commands is in tests/integration.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from lab.releases import another
from lab.stage import STATE, Stage, passes_the_audit, wait_until

pytestmark = pytest.mark.full
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/operations.md"
PLACE = "/srv/operations"
ENDS = {"prometheus-quant doctor": (1, 0), "systemctl status prometheus-preflight@HF": (3,)}
"""Codes of commands that do not end with 0, in the order in which they are typed: the document says that doctor ends
otherwise the first time; a preflight that let its instance start is over, which is systemctl's 3."""


def typed() -> list[str]:
    """The commands, in the order of the document."""
    blocks = re.findall(r"^```console\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).splitlines()
    return [line.removeprefix("# ") for line in lines if line.startswith("# ")]


@pytest.fixture(scope="module")
def desk(bare_host, package, images):
    """A fresh host, and where the operator has put the files."""
    bare_host.destroy()
    bare_host.up()
    bare_host.put(package, f"{PLACE}/prometheus-quant.deb")
    return bare_host


@pytest.fixture(scope="module")
def ids() -> list[str]:
    """Of the releases that were loaded, the last one last."""
    return []


def hand(desk, images, command: str, loaded: int) -> None:
    """Have lying there what the command wants: the built release first, its successor the second time."""
    if "release load" in command:
        place = desk.inside(f"{PLACE}/prometheus-quant.oci.tar")
        if loaded == 0:
            desk.put(images / "prometheus-quant.oci.tar", f"{PLACE}/prometheus-quant.oci.tar")
        else:
            another(images / "prometheus-quant.oci.tar", place, "b")
    if command == "prometheus-quant audit":
        Stage(desk).wait_for_sealed_run()
    if command.startswith("sha256sum"):
        desk.shell(f"cp -a {Stage(desk).wait_for_sealed_run().as_posix().removeprefix(str(desk.root))}/. {PLACE}/run")
    if command.startswith("dpkg --install"):
        # conmon complains about the memory controller, which this host lacks
        desk.write(
            "/etc/systemd/system/prometheus-stage1@.service.d/lab.conf", "[Service]\nLogFilterPatterns=~<nwarn>\n"
        )


def hand_bars(desk, request, command: str) -> None:
    """Of the section on real bars: the file, without which its commands are skipped, and a moment's patience."""
    if "btc" in command.lower():
        source = request.getfixturevalue("data_dir") / "spot_btcusd_hourly/BTC_USD-Hourly.csv"
        desk.put(source, f"{PLACE}/{source.name}")
    if command.startswith("prometheus-quant pool show"):
        pool = desk.inside(f"{STATE}/pools/stage2/pool.jsonl")
        wait_until("stage 2 has judged a batch", lambda: pool.is_file() and pool.stat().st_size > 0)


@pytest.fixture(scope="module")
def counted() -> dict[str, int]:
    """How often each command was typed."""
    return {}


@pytest.mark.parametrize("command", typed())
def test_a_command_of_the_document_does_what_it_says(command, desk, images, ids, counted, request):
    hand(desk, images, command, len(ids))
    hand_bars(desk, request, command)
    words = command.replace(" ID", f" {ids[-1]}" if ids else " ID")
    where = f"{PLACE}/run" if command.startswith("sha256sum") else PLACE
    ended = desk.ask("bash", "-c", f"cd {where} && {words}")
    turn = counted[command] = counted.get(command, 0) + 1
    wanted = ENDS.get(command, (0,))
    assert ended.returncode == wanted[min(turn, len(wanted)) - 1], f"{ended.stdout}{ended.stderr}"
    if "release load" in command:
        found = re.findall(r"\b[0-9a-f]{12}\b", ended.stdout)
        assert found, ended.stdout
        ids.append(found[0])


@pytest.mark.full
def test_in_the_end_everything_that_ran_is_sealed_and_the_backup_too(desk):
    """The package is gone; what it left verifies with a package of the same bytes put back."""
    desk.do("dpkg", "--install", f"{PLACE}/prometheus-quant.deb")
    stage = Stage(desk)
    assert all(stage.is_sealed(run) for run in stage.runs())
    passes_the_audit(desk)
    copied = json.loads(desk.do("prometheus-quant", "audit", "--root", "/srv/backup", "--json"))
    assert copied["exit_code"] in {0, 1}
    assert desk.inside(f"{STATE}/state/releases.jsonl").is_file()
