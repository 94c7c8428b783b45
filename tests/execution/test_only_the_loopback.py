"""In a network with only the loopback each mode asks for its own exchange's name, and reaches nobody else.

The sniffer and the false exchange are in `tests.execution.shut_in`. What the environment names as proxies and as
certificates is not used.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prometheus.v10.base.paths import Layout
from tests.execution.shut_in import FALSE_SITE
from tests.integration.conftest import small_profile

pytest.importorskip("aiohttp")
pytest.importorskip("okx")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="a network of its own needs root and unshare"
)
REPOSITORY = Path(__file__).resolve().parents[2]
PROXIES = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), "http://proxy.example:3128"
)
SECRETS = {"key": "planted-key-1f2e", "secret": "planted-secret-3d4c", "passphrase": "planted-phrase-5b6a"}
SITES = {"global": "www.okx.com", "eea": "eea.okx.com", "us": "us.okx.com"}


def shut_in(folder: Path, *words: str) -> dict:
    """What a command of the suite does in such a network."""
    command = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.execution.shut_in", str(folder),
               sys.executable, "-m", *words]  # fmt: skip
    ended = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **PROXIES}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def profile_of(site: str, mode: str) -> str:
    shipped = (REPOSITORY / "prometheus/v10/runs/profiles/OKX_DEMO.toml").read_text()
    allowed = "allow_live = true\n" if mode == "okx_live" else ""
    text = shipped.replace('mode = "okx_demo"\n', f'mode = "{mode}"\n{allowed}')
    return text.replace('site = "global"', f'site = "{site}"')


def traded(folder: Path, site: str, mode: str) -> dict:
    """One start of the service on an exchange that is not the loopback, with a credential and, if live, armed."""
    layout = Layout.under(folder / "root")
    (layout.etc / "credentials").mkdir(parents=True)
    layout.profiles.mkdir()
    (layout.profiles / "T.toml").write_text(profile_of(site, mode))
    place = layout.etc / "credentials" / "okx.json"
    place.write_text(json.dumps(SECRETS))
    place.chmod(0o600)
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    layout.armed_file.write_text(json.dumps({"instance": "T", "until": until, "by": "a test", "why": "a false site"}))
    return shut_in(
        folder, "prometheus.v10.ops.run_v10_service", "--mode", mode, "--stage", "stage1", "--instance", "T",
        "--root", str(layout.lib), "--max-runs", "1",
    )  # fmt: skip


def test_offline_nobody_is_asked_for_and_nothing_is_sent(tmp_path):
    layout = Layout.under(tmp_path / "root")
    layout.profiles.mkdir(parents=True)
    (layout.profiles / "HF.toml").write_text(small_profile())
    seen = shut_in(tmp_path, "prometheus.cli", "run", "--root", str(layout.lib))
    assert seen["code"] == 0, seen["err"]
    assert (seen["names"], seen["reached"], seen["sent"]) == ([], [], "")


def test_practice_reaches_the_venue_and_nobody_else(tmp_path):
    seen = shut_in(tmp_path, "prometheus.cli", "demo", "--root", str(tmp_path / "root"), "--bars", "4", "--json")
    assert (seen["code"], json.loads(seen["out"])["verified"]) == (0, True), seen["err"]
    assert (seen["names"], seen["sent"]) == ([], "")
    (venue,) = seen["opened"]
    assert venue.startswith("tcp 127.0.0.1 ")
    assert {one.rpartition(" ")[0] for one in seen["reached"]} == {"tcp 127.0.0.1"}


@pytest.mark.parametrize(
    ("site", "mode"),
    [
        ("global", "okx_demo"),
        *(pytest.param(*one, marks=pytest.mark.drill) for one in (("eea", "okx_demo"), ("us", "okx_live"))),
    ],
)
def test_an_exchange_is_asked_for_by_its_one_name_and_a_false_one_hears_no_word(tmp_path, site, mode):
    seen = traded(tmp_path, site, mode)
    assert seen["code"] == 69, seen["err"]
    assert seen["names"] == [SITES[site]]
    assert seen["opened"] == [f"tcp {FALSE_SITE} 443"]
    to = {one.rpartition(" ")[0] for one in seen["reached"]}
    assert to == {f"tcp {FALSE_SITE}", "udp 127.0.0.1", "tcp 127.0.0.1"}  # there, the resolver, and back
    sent = bytes.fromhex(seen["sent"])
    assert sent.startswith(b"\x16\x03")  # a handshake that is never completed: no request was made
    assert not any(word.encode() in sent for word in (*SECRETS.values(), "OK-ACCESS", "/api/"))
    assert list((tmp_path / "root" / "runs").glob("*")) == []
