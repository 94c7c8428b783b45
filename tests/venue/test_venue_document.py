"""The page about the venue: what it shows works, and its tables are of the versions and faults that are here."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from prometheus.v10.market.synthetic import synthetic
from prometheus.venue.exchange_world import WorldPlan, open_world
from prometheus.venue.faults.fault_catalogue import FAULTS
from prometheus.venue.faults.mischief_maker import MischiefMaker
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.server.admin_server import Admin
from prometheus.venue.server.venue_pace import Pace
from tests.venue.mutations.versions import mutations
from tests.venue.outsiders.environments import CLIENTS, version_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ["venue.md", "venue.zh-CN.md"]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_what_the_admin_socket_is_told_is_understood(name):
    world = open_world(WorldPlan(bars=[synthetic(3, 240, 60)], warm_up=120))
    mischief = MischiefMaker(world)
    admin = Admin(Gate(world, mischief), mischief, Pace(world, 0.0))
    (lines,) = blocks(page(name), "json")
    done = [json.loads(line) for line in lines.splitlines()]
    assert {one["do"] for one in done} >= {"state", "step", "speed", "inject", "clear", "dump", "journal", "faults"}
    for one in done:
        assert "error" not in admin.answer(one), one


@pytest.mark.parametrize("name", PAGES)
def test_every_fault_that_is_named_is_in_the_catalogue(name):
    known = {fault.id for fault in FAULTS}
    rooms = "|".join(sorted({one.partition(".")[0] for one in known}))
    named = set(re.findall(rf"`((?:{rooms})\.[a-z_0-9]+)`", page(name))) - {"venue.sock"}
    assert len(named) > 15
    assert named - known == set()


@pytest.mark.parametrize("name", PAGES)
def test_the_table_of_clients_has_the_locked_versions(name):
    shown = "".join(blocks(page(name), "console"))
    for client in CLIENTS:
        assert re.search(
            rf"^{client} +{re.escape(version_of(client))} +20\d\d-\d\d-\d\d +(\d+) +\1$", shown, re.MULTILINE
        ), client
    assert re.search(rf"^python-okx +{re.escape(version('python-okx'))} ", shown, re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_the_table_of_faults_is_of_the_faults_that_are_here(name):
    shown = "".join(blocks(page(name), "console"))
    assert f"{len(mutations())} wrong versions, {len(mutations())} killed, 0 survived" in shown
