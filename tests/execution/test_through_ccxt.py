"""The second library in its own environment: one suite for both, a sealed and forged session, a day, an alignment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from prometheus.cli import main as cli
from prometheus.cli.research.practice.practice_venue import VenueProcess
from prometheus.v10.evidence.schemas.schema_file import SUFFIX, compiled
from tests.conftest import REPOSITORY

sys.path.append(str(REPOSITORY / "packaging/through_ccxt"))

from ccxt_environment import PINNED_BY_CCXT, SESSION, name_of, of_the_product

MISSING = SESSION.missing()
IN_IT = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
OUTPUTS = Path(cli.__file__).with_name("outputs")
LOG = REPOSITORY / "docs/v10/V10_EXECUTION_INTERFACE_DIFF_LOG_OKX_CCXT.md"


def in_it(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SESSION.python), *words], cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def locked() -> dict[str, str]:
    lines = SESSION.lock.read_text().splitlines()[1:]
    assert all(re.fullmatch(r"[a-z0-9_.-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    return {name_of(line).replace("_", "-"): line.split()[0].partition("==")[2] for line in lines}


def test_the_lock_has_the_products_packages_in_the_products_versions_but_for_what_ccxt_pins():
    found = locked()
    packages = tomllib.loads((REPOSITORY / "poetry.lock").read_text())["package"]
    versions: dict[str, set[str]] = {}
    for one in packages:
        versions.setdefault(one["name"], set()).add(one["version"])
    others = {name for name, version in found.items() if name in versions and version not in versions[name]}
    assert others == PINNED_BY_CCXT
    here = {name_of(line) for line in of_the_product() if "win32" not in line}
    assert here - found.keys() - {"numpy"} == set()
    assert (found["ccxt"], found["python-okx"]) == ("4.5.90", "0.4.4")


@IN_IT
def test_the_one_suite_holds_for_both_libraries():
    ended = in_it("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/execution/conformance", "-k", "ccxt")
    assert ended.returncode == 0, ended.stdout[-3000:]
    counted = re.search(r"(\d+) passed", ended.stdout)
    assert counted is not None
    assert int(counted[1]) >= 60
    assert "skipped" not in ended.stdout


@pytest.mark.drill
@IN_IT
def test_a_session_through_it_is_sealed_proved_and_forged_in_vain():
    ended = in_it(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/execution/test_forged_session.py",
        "tests/execution/test_another_library.py", "tests/execution/test_disturbed_bars.py",
        "-k", "honest or leaf or library or worlds or no_packet", PQ_LIBRARY="ccxt", PQ_FORGERIES="8",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "skipped" not in ended.stdout


@IN_IT
def test_an_alignment_finds_no_other_meaning_and_is_appended_once(tmp_path):
    log = tmp_path / "log.md"
    log.write_bytes(LOG.read_bytes())
    command = ["-m", "prometheus.cli", "execution", "align", "--root", str(tmp_path / "root"), "--log", str(log)]
    ended = in_it(*command, "--json")
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    schema = json.loads((OUTPUTS / f"execution_align{SUFFIX}").read_text())
    assert compiled("execution_align", schema).wrong(said) == []
    assert (said["must_not_be"], said["new"], said["steps"] > 50) == ([], {}, True)
    assert log.read_bytes().startswith(LOG.read_bytes())
    assert said["run"] in log.read_text()[LOG.stat().st_size // 2 :]
    kept = Path(said["directory"])
    assert sorted(one.name for one in kept.iterdir()) == [
        "venue_ccxt.jsonl", "venue_okx_sdk.jsonl", "wire_ccxt.json", "wire_okx_sdk.json",
    ]  # fmt: skip
    signing = VenueProcess(tmp_path, "--seed", "0")
    hidden = signing.credentials()
    signing.close()
    secrets = (hidden.key, hidden.secret, hidden.passphrase)
    assert [one for one in (log, *kept.iterdir()) if any(value in one.read_text() for value in secrets)] == []
    orders = {name: placed_in(kept / f"venue_{name}.jsonl") for name in ("okx_sdk", "ccxt")}
    assert len(orders["ccxt"]) == len(set(orders["ccxt"])) > 15  # each id once, by the venue's own journal
    assert orders["ccxt"] == orders["okx_sdk"]


def placed_in(journal: Path) -> list[str]:
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    asked = [one.get("data", one) for one in lines if one.get("kind") == "request"]
    bodies = [json.loads(one["body"]) for one in asked if one["target"] == "/api/v5/trade/order" and one["body"]]
    return [one["clOrdId"] for one in bodies]
