"""Snapshot, retention, checkpoint and audit: by hand, and from their timers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab.host import SERVICE_USER
from lab.stage import STATE, Stage
from lab.timers import ended, let_it_fire, said

KINDS = ("snapshot", "retention", "checkpoint", "audit", "index")


UNITS = Path(__file__).resolve().parents[2] / "units"


def sandboxed(unit: str) -> list[str]:
    """What a unit says of its user and of the paths that it can write."""
    names = ("User=", "ProtectSystem=", "ReadOnlyPaths=", "ReadWritePaths=", "PrivateUsers=", "CapabilityBoundingSet=")
    return [line for line in (UNITS / f"{unit}.service").read_text().splitlines() if line.startswith(names)]


@pytest.fixture(scope="module", autouse=True)
def a_sealed_run(host):
    """Something to freeze, to keep and to check."""
    Stage(host, "DEMO").run_once()


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_its_work_when_it_is_started(host, kind, figures):
    host.do("systemctl", "start", f"prometheus-{kind}.service")
    assert ended(host, kind) == ("success", "0"), said(host, kind)


def test_the_snapshot_is_there_immutable_and_in_the_ledger(host):
    host.do("systemctl", "start", "prometheus-snapshot.service")
    folder = host.inside(f"{STATE}/pools/stage1/snapshots")
    newest = max(folder.glob("snapshot_*.jsonl"))
    assert newest.stat().st_mode & 0o777 == 0o444
    assert newest.stat().st_uid == host.user_id(SERVICE_USER)
    lines = [json.loads(line) for line in host.inside(f"{STATE}/state/ledger.jsonl").read_text().splitlines()]
    assert any(line["type"] == "snapshot" and newest.stem.split("_")[1] in json.dumps(line) for line in lines)


def test_the_index_answers_on_the_host_and_its_unit_cannot_write_evidence(host):
    host.do("systemctl", "start", "prometheus-index.service")
    rows = json.loads(host.do("prometheus-quant", "index", "check", "--share", "1", "--json"))
    assert rows["runs"] > 0
    assert rows["differing"] == rows["not_in_the_index"] == []
    assert host.inside(f"{STATE}/index/index.sqlite").stat().st_uid == host.user_id(SERVICE_USER)
    tried = f"touch {STATE}/index/tried && ! touch {STATE}/state/tried"
    as_the_unit = [f"--property={line}" for line in sandboxed("prometheus-index")]
    host.do("systemd-run", "--wait", "--pipe", "--quiet", *as_the_unit, "sh", "-c", tried)
    host.do("rm", f"{STATE}/index/tried")


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_its_timer_starts_it(host, kind):
    let_it_fire(host, kind)
    assert ended(host, kind) == ("success", "0"), said(host, kind)


def test_an_audit_that_finds_damage_leaves_its_unit_failed(host):
    run = Stage(host, "DEMO").own_runs()[-1]
    place = next(run.glob("death_events.jsonl*"))
    good, mode = place.read_bytes(), place.stat().st_mode
    place.write_bytes(good[:-2] + b"x\n")
    try:
        assert host.ask("systemctl", "start", "prometheus-audit.service").returncode != 0
        assert ended(host, "audit") == ("exit-code", "1")
        said = host.do("journalctl", "-u", "prometheus-audit.service", "-o", "cat", "--no-pager")
        assert "death_events.jsonl" in said
    finally:
        place.write_bytes(good)
        place.chmod(mode)
    host.do("systemctl", "start", "prometheus-audit.service")
