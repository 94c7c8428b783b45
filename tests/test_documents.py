"""Documents that state a table of the code state the code's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import EVENT_STREAMS, Artifact, required
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger_table import TABLE
from prometheus.v10.runs.request.profile import load_profile

DOCS = Path(__file__).resolve().parent.parent / "docs"
BOTH = pytest.mark.parametrize("name", ["evidence.md", "evidence.zh-CN.md"])


@BOTH
def test_the_table_of_exit_codes_is_the_code(name):
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", (DOCS / name).read_text(), re.MULTILINE)
    assert [(int(code), word) for code, word in rows] == [(code.value, code.name) for code in ExitCode]


@BOTH
def test_every_file_of_a_tier_1_run_is_explained_and_no_other(name):
    told = set(re.findall(r"^\| `([\w.]+\.\w+)` \|", (DOCS / name).read_text(), re.MULTILINE))
    more = (
        Artifact.FOUNDERS, Artifact.POPULATION_SERIES, Artifact.EXECUTION_RAW_INDEX, Artifact.INTERRUPTED,
        Artifact.FILELIST,
    )  # fmt: skip
    known = {str(one) for one in (*required(Tier.TIER1_HF), *EVENT_STREAMS, *more, Artifact.SHA256SUMS)}
    assert told == known | {Artifact.EXECUTION_RAW.file_name(part=1)}


@BOTH
def test_every_type_of_ledger_entry_is_explained_and_no_other(name):
    table = re.search(
        r"^## (?:The entries of the ledger|账本的条目)\n.*?(?=^## )", (DOCS / name).read_text(), re.M | re.S
    )
    assert table is not None
    assert re.findall(r"^\| `(\w+)` \|", table[0], re.MULTILINE) == [str(kind) for kind in TABLE]


def test_the_contract_of_exit_codes_is_the_code():
    section = re.search(r"^## 6\. .*?^## 7\. ", (DOCS / "contracts.md").read_text(), re.MULTILINE | re.DOTALL)
    assert section is not None
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", section[0], re.MULTILINE)] == [*map(int, ExitCode)]


def shown(page: Path) -> set[str]:
    """Lines that a page shows as typed or printed, without the remark behind a command."""
    blocks = re.findall(r"^```(?:console|text)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return {re.sub(r"\s+# .*", "", line) for line in "".join(blocks).splitlines() if not line.startswith("# ")}


PAGES_IN_CHINESE = sorted([*DOCS.glob("*.zh-CN.md"), DOCS.parent / "README.zh-CN.md"])


@pytest.mark.parametrize("chinese", PAGES_IN_CHINESE, ids=lambda page: page.name)
def test_a_page_in_chinese_shows_nothing_that_the_english_one_does_not(chinese):
    english = chinese.with_name(chinese.name.replace(".zh-CN", ""))
    assert shown(chinese) - shown(english) == set()


def test_every_decision_is_listed():
    index = (DOCS / "adr" / "README.md").read_text()
    assert [one.name for one in (DOCS / "adr").glob("*.md") if one.name != "README.md" and one.name not in index] == []


def test_the_two_arms_on_real_bars_differ_in_nothing_but_the_arm(tmp_path):
    real, null = (load_profile(name, Layout.under(tmp_path)) for name in ("BTC_1H", "BTC_1H_B2"))
    assert (real.experiments.arm.value, null.experiments.arm.value) == ("A_real", "B2_shuffle_returns")
    assert (real.market, real.window, real.world) == (null.market, null.window, null.world)
    assert (real.experiments.count, real.experiments.seed) == (null.experiments.count, null.experiments.seed)
