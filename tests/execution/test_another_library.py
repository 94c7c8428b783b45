"""Another library is another world: told at the start, in the manifest and in the journal, and counted apart."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import attrs
import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact, Event
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.derive.eras.stratum import strata_of
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.execution.exchange_run.exchange_setting import table_of
from prometheus.v10.execution.exchange_run.world_change import world_difference
from prometheus.v10.ops.service.exchange_service import credential, means_of
from prometheus.v10.report.strata import read_census
from prometheus.v10.runs.request.exchange_table import Library
from prometheus.v10.runs.request.profile import load_profile
from prometheus.v10.runs.workload import RunRequest
from tests.conftest import REPOSITORY
from tests.execution.practice import is_here
from tests.execution.sealed_house import do_session, profile_of

PRACTICE = REPOSITORY / "prometheus/v10/runs/profiles/PRACTICE.toml"
LIBRARIES = {"okx_sdk": "python-okx", "ccxt": "ccxt"}


def manifest(run_id: str, library: str, *, instance: str = "T", mode: str = "okx_demo", named: bool = True) -> dict:
    return {
        "run_id": run_id, "instance": instance, "mode": mode, "stage": "stage1", "arm": "A_real", "seeds": [1],
        "config_hash": "c" * 64, "core_hash": "d" * 64, "exchange_lib": LIBRARIES[library],
        "market": {"symbol": "BTC-USDT-SWAP", "timeframe": "15m", "source": "okx_demo", "sha256": run_id},
        "config": {"exchange": {"library": library} if named else {}},
    }  # fmt: skip


@pytest.fixture
def house(tmp_path):
    layout = Layout.under(tmp_path)

    def put(run_id: str, text: str) -> None:
        place = layout.runs(Tier.TIER2_FULL) / run_id
        place.mkdir(parents=True)
        (place / Artifact.MANIFEST).write_text(text)

    return layout, put


def test_the_run_before_through_another_library_is_named(house):
    layout, put = house
    first, second, third = (f"AUDIT_2026010{day}T000000Z_abcdef0_0000" for day in (1, 2, 3))
    assert world_difference(layout, "T", first, "ccxt") is None
    put(first, json.dumps(manifest(first, "okx_sdk")))
    assert world_difference(layout, "T", first, "ccxt") is None  # its own directory is there already
    found = world_difference(layout, "T", second, "ccxt")
    assert (found.run_id, found.library) == (first, "python-okx")
    assert world_difference(layout, "T", second, "python-okx") is None
    assert world_difference(layout, "ANOTHER", second, "ccxt") is None
    put(second, json.dumps(manifest(second, "ccxt")))
    assert world_difference(layout, "T", third, "ccxt") is None
    assert world_difference(layout, "T", third, "python-okx").run_id == second


@pytest.mark.parametrize("text", ["{", "[]", "", json.dumps(manifest("x", "ccxt", mode="offline"))])
def test_what_is_no_run_at_an_exchange_is_passed_over(house, text):
    layout, put = house
    first, second = (f"AUDIT_2026010{day}T000000Z_abcdef0_0000" for day in (1, 2))
    put(first, json.dumps(manifest(first, "okx_sdk")))
    put(second, text)
    assert world_difference(layout, "T", "AUDIT_20260103T000000Z_abcdef0_0000", "ccxt").run_id == first


def test_runs_through_one_library_share_a_stratum_and_those_through_two_do_not():
    one, again, other = manifest("A", "okx_sdk"), manifest("B", "okx_sdk"), manifest("C", "ccxt")
    assert strata_of(one) == strata_of(again) != strata_of(other)
    # runs that were sealed before a profile could name one keep the strata that their curve has
    older = manifest("A", "okx_sdk", named=False), manifest("B", "okx_sdk", named=False)
    assert strata_of(older[0]) != strata_of(older[1])


def test_both_libraries_one_after_the_other_are_two_worlds(venue, tmp_path, monkeypatch):
    """The whole of it, where both libraries are installed."""
    if not is_here("ccxt"):
        pytest.skip("ccxt is not installed here")
    runs, heard, send = {}, [], Journal.send

    def hear(self, event, *said, **fields):
        heard.append((event, fields))
        return send(self, event, *said, **fields)

    monkeypatch.setattr(Journal, "send", hear)
    for library in ("okx_sdk", "ccxt", "ccxt"):
        profile = profile_of(tmp_path, bars=2, library=library)
        runs[library] = do_session(tmp_path, venue, profile).path
        venue.pause(10)
    made = {name: json.loads((run / Artifact.MANIFEST).read_bytes()) for name, run in runs.items()}
    assert [made[name]["exchange_lib"] for name in runs] == ["python-okx", "ccxt"]
    assert "world_difference" not in made["ccxt"]["exchange"]  # the third run goes through what the second did
    second = next(one for one in (tmp_path / "runs").iterdir() if one not in runs.values())
    told = json.loads((second / Artifact.MANIFEST).read_bytes())
    assert told["exchange"]["world_difference"] == {"run_id": runs["okx_sdk"].name, "library": "python-okx"}
    assert [fields for event, fields in heard if event is Event.WORLD_DIFFERENCE] == [
        {"before_run": runs["okx_sdk"].name, "before_library": "python-okx", "library": "ccxt"}
    ]
    fingerprint = json.loads((second / Artifact.FINGERPRINT).read_bytes())
    assert (fingerprint["schema"], fingerprint["exchange_lib"]) == ("execution_fingerprint/3", "ccxt")
    assert [verify_run(one, look_for_ledger=False).findings for one in (*runs.values(), second)] == [[], [], []]
    census = read_census(Layout.under(tmp_path))
    assert sorted((one.library, len(lives)) for one, lives in census.strata.items()) == [
        ("ccxt", 2), ("python-okx", 1)
    ]  # fmt: skip


# ---- where it is not installed ---------------------------------------------------------------------------------------


@pytest.fixture
def without_ccxt(monkeypatch):
    owners = {name: found for name, found in metadata.packages_distributions().items() if name != "ccxt"}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: owners)


def test_a_demo_without_it_is_one_line_and_leaves_nothing(without_ccxt, tmp_path, capsys):
    assert cli.main(["demo", "--root", str(tmp_path), "--library", "ccxt"]) == 78
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == "error: the exchange world needs ccxt, which is not installed"
    assert (len(said.err.splitlines()), list(tmp_path.iterdir())) == (2, [])


def test_an_alignment_without_it_is_one_line_and_the_log_is_let_be(without_ccxt, tmp_path, capsys):
    log = tmp_path / "log.md"
    log.write_bytes(b"# Log\n")
    assert cli.main(["execution", "align", "--root", str(tmp_path / "root"), "--log", str(log)]) == 78
    said = capsys.readouterr().err
    assert (said.count("error: "), "Traceback" in said) == (1, False)
    assert (log.read_bytes(), (tmp_path / "root").exists()) == (b"# Log\n", False)


def test_a_service_without_it_ends_with_78_and_sends_nothing(without_ccxt, venue, tmp_path, fake_clock):
    layout = Layout.under(tmp_path)
    profile = load_profile("PRACTICE", layout)
    profile = attrs.evolve(profile, exchange=attrs.evolve(table_of(profile), library="ccxt"))
    place = layout.etc / "credentials"
    place.mkdir(parents=True)
    signing = venue.credentials()
    (place / "okx.json").write_text(json.dumps({
        "key": signing.key, "secret": signing.secret, "passphrase": signing.passphrase, "address": venue.address
    }))  # fmt: skip
    (place / "okx.json").chmod(0o600)
    assert credential(layout).address == venue.address
    before = len(venue.requests("GET", ""))
    means = means_of(RunRequest(profile=profile, mode=profile.mode, instance="PRACTICE"), layout, fake_clock)
    with pytest.raises(ConfigError, match="needs ccxt, which is not installed") as refused:
        means.port(lambda _: None)
    assert (refused.value.exit_code, len(venue.requests("GET", ""))) == (78, before)


@pytest.mark.parametrize("library", ["binance", "", "CCXT"])
def test_a_library_that_nobody_knows_is_refused_by_name(library, tmp_path, capsys):
    assert cli.main(["demo", "--root", str(tmp_path), "--library", library]) == 64
    text = PRACTICE.read_text().replace('"okx_sdk"', f'"{library}"')
    (tmp_path / "mine.toml").write_text(text)
    capsys.readouterr()
    assert cli.main(["profile", "check", str(tmp_path / "mine.toml")]) == 78
    assert "library" in capsys.readouterr().err


def test_a_profile_that_names_none_goes_through_python_okx(tmp_path):
    text = PRACTICE.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("library")]
    (tmp_path / "old.toml").write_text("\n".join(lines))
    found = load_profile(str(tmp_path / "old.toml"), Layout.under(tmp_path))
    assert found.exchange.library == Library.OKX_SDK


def test_nothing_of_ccxt_is_imported_until_it_is_asked_for():
    code = (
        "import sys, prometheus.v10.execution.adapters.library_choice\n"
        "import prometheus.cli.research.practice.execution_command\n"
        "print([one for one in ('ccxt', 'okx', 'httpx', 'requests') if one in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
