"""Pages over sessions at an exchange: states and reasons, orders, netting rounds, faults; held against the files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prometheus.cli import main as cli
from prometheus.cli.research.views.page_command import page_of
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import RunPlace
from prometheus.v10.execution.exchange_run.exchange_means import TradingHaltedError
from prometheus.v10.report.pages.exchange_read import read_exchange
from prometheus.v10.report.pages.phrases import Language, Phrases
from prometheus.v10.report.pages.run_read import read_run
from prometheus.v10.report.site.exchange_page import exchange_page, so_far
from prometheus.v10.report.site.run_lines import run_line
from tests.execution.sealed_house import StopWithin, do_session, somebody_else_trades
from tests.execution.test_sealed_session import short
from tests.pages.conftest import browser
from tests.pages.test_in_chromium import OTHERS, WIDTHS, opened
from tests.pages.test_run_pages import text_of, well_formed

__all__ = ["browser"]


@pytest.fixture(scope="module")
def root(venue, tmp_path_factory) -> Path:
    """Two sessions: one whose answers were lost now and then, and one that was halted by an order of somebody else."""
    place = tmp_path_factory.mktemp("sessions") / "root"

    class Disturbing(StopWithin):
        def run_opened(self, run_id: str, path_of: Path) -> None:
            super().run_opened(run_id, path_of)
            target = {"path": "/api/v5/trade/order", "method": "POST", "count": 1}
            venue.admin(do="inject", fault="accepted.502", target=target, arguments={})

    do_session(place, venue, short(place), control=Disturbing())
    venue.clear()
    with pytest.raises(TradingHaltedError):
        do_session(place, venue, short(place, bars=30), means=somebody_else_trades(venue))
    return place


@pytest.fixture(scope="module")
def sessions(root) -> dict[str, Path]:
    found = sorted((root / "runs").iterdir(), key=lambda run: manifest_of(run)["start_time"])
    return dict(zip(("disturbed", "halted"), found, strict=True))


def manifest_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "run_manifest.json").read_text())


def lines_of(run: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


@pytest.mark.parametrize("name", ["disturbed", "halted"])
def test_the_page_of_a_session_has_what_its_files_have(sessions, name):
    run = sessions[name]
    data = page_of(run, Language.ENGLISH)
    assert {"exchange", "orders", "rounds", "faults"} <= set(well_formed(data).ids)
    assert page_of(run, Language.ENGLISH) == data
    well_formed(page_of(run, Language.CHINESE))
    text, chain = text_of(data), lines_of(run, "order_chain.jsonl")
    kinds, ended = Counter(line["kind"] for line in chain), manifest_of(run)["exchange"]["ended"]
    assert f"{kinds['INTENT']} orders: " in text
    assert f"{len(lines_of(run, 'netting_rounds.jsonl'))} rounds: " in text
    for line in chain:
        if line["kind"] == "INTENT":
            assert line["client_id"] in text
        if line["kind"] == "TRADING":
            assert all(reason in text for reason in line["payload"]["reasons"])
            assert line["payload"]["detail"] in text
    unknown = len({line["client_id"] for line in chain if line["kind"] == "UNKNOWN"})
    assert unknown == (1 if name == "disturbed" else 0)
    assert f"{unknown} had an unknown outcome at first" in text
    prints = json.loads((run / "execution_fingerprint.json").read_text())
    assert f"{prints['error_count']} of {prints['api_calls']} calls went wrong." in text
    assert all(event["where"] in text for event in prints["error_events"])
    assert f"exchange, practice: {ended['trading_state']}" in text


def test_what_went_wrong_is_seen(sessions):
    disturbed, halted = (text_of(page_of(sessions[name], Language.ENGLISH)) for name in ("disturbed", "halted"))
    assert "UNKNOWN" in disturbed.partition("Orders that did not go plainly")[0]
    assert "Fault log" in disturbed
    assert "Trading ended ACTIVE." in disturbed
    reasons = manifest_of(sessions["halted"])["exchange"]["ended"]["reasons"]
    assert "FOREIGN_ACTIVITY" in reasons
    assert f"Trading ended HALTED: {', '.join(reasons)}." in halted


def test_the_site_has_every_session(root, sessions, tmp_path):
    assert cli.main(["site", "build", "--root", str(root), "--out", str(tmp_path)]) == ExitCode.DONE
    text = text_of((tmp_path / "exchange.html").read_bytes())
    ended = [manifest_of(run)["exchange"]["ended"] for run in sessions.values()]
    assert f"Trading was halted in: {sessions['halted'].name}." in text
    assert f"orders {sum(one['orders'] for one in ended)} rounds {sum(one['rounds'] for one in ended)}" in text
    for run, one in zip(sessions.values(), ended, strict=True):
        assert f"{run.name} T okx_demo practice" in text
        assert all(f"{run.name} {one['trading_state']} {reason}" in text for reason in one["reasons"])
        events = json.loads((run / "execution_fingerprint.json").read_text())["error_events"]
        assert all(event["message"] in text for event in events)
    assert "AUDIT" in text_of((tmp_path / "index.html").read_bytes())


def test_of_a_session_that_has_not_ended_the_files_say_how_far_it_is(sessions, tmp_path):
    """The same figures as the manifest has in the end, but for what only the end can say."""
    run = sessions["disturbed"]
    whole = manifest_of(run)
    found = read_exchange(run, whole, [])
    assert found is not None
    said = so_far(found)
    for name in ("orders", "fills", "rounds", "crossed_lots", "trading_state", "reasons", "position_lots"):
        assert said[name] == whole["exchange"]["ended"][name], name
    root = Layout.under(tmp_path)
    root.prepare()
    copy = Path(shutil.copytree(run, root.runs(Tier.TIER2_FULL) / run.name))
    (copy / "run_manifest.json").write_text(
        json.dumps({**whole, "status": "running", "exchange": {**whole["exchange"], "ended": None}})
    )
    line = run_line(RunPlace(copy, Tier.TIER2_FULL))
    rows = exchange_page(root, [line], {}, "", Phrases()).sections[0].grids[0].rows
    assert [str(cell) for cell in rows[0][6:9]] == [str(said[name]) for name in ("orders", "fills", "rounds")]


@pytest.mark.parametrize(
    "wrong", ["", "x\n", "{}\n", "[]\n", '{"kind": "INTENT", "payload": 3, "ts_utc": ""}\n', "3\n"]
)
def test_files_of_any_shape_have_a_page(sessions, tmp_path, wrong):
    copy = Path(shutil.copytree(sessions["disturbed"], tmp_path / sessions["disturbed"].name))
    for name in ("order_chain.jsonl", "netting_rounds.jsonl"):
        (copy / name).write_text(wrong)
    for exchange in (None, [], {"ended": 3, "instrument": [], "site": {}}, {"ended": {"reasons": 3, "open_orders": 1}}):
        (copy / "run_manifest.json").write_text(json.dumps({**manifest_of(copy), "exchange": exchange}))
        well_formed(page_of(copy, Language.ENGLISH))
    assert wrong in {"", "x\n"} or "order_chain.jsonl: 1 lines" in " ".join(read_run(copy).odd)


def test_pages_of_sessions_are_readable_everywhere(browser, root, sessions, tmp_path):
    assert cli.main(["site", "build", "--root", str(root), "--out", str(tmp_path)]) == ExitCode.DONE
    for place in (tmp_path / "exchange.html", tmp_path / "runs" / f"{sessions['disturbed'].name}.html"):
        for scheme, size in OTHERS:
            look = opened(browser, place, scheme, WIDTHS[size])
            look.hold()
            look.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            look.hold()
            look.page.close()
