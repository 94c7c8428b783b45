"""Forged runs that hide from the ledger: behind a link, beside a missing ledger, behind a process that is alive."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.writing.seal import seal_run
from tests.integration.test_forged_history import entries, layout, original, runs, write_ledger

__all__ = ["layout", "original"]  # fixtures


def test_a_run_is_held_against_its_roots_ledger_wherever_it_is_reached(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forged run, every hash of its own redone: a link, a copy and a ledger that is away do not hide it."""
    run = runs(layout)[0]
    honest_copy = tmp_path / "elsewhere" / run.name
    shutil.copytree(run, honest_copy)
    assert verify_path(honest_copy).exit_code == 0
    manifest = run / "run_manifest.json"
    manifest.write_bytes(re.sub(rb'"python_version": "[^"]*"', b'"python_version": "3.11.99"', manifest.read_bytes()))
    for name in ("SHA256SUMS.txt", "FILELIST.ls.txt"):
        (run / name).unlink()
    seal_run(run)
    link = tmp_path / "link"
    link.mkdir()
    (link / run.name).symlink_to(run)
    copy = tmp_path / "copy" / run.name
    shutil.copytree(run, copy)
    assert [verify_path(place).exit_code for place in (run, link / run.name)] == [1, 1]
    assert verify_path(honest_copy).exit_code == 0
    layout.ledger.rename(layout.ledger.with_suffix(".away"))
    assert verify_path(run).exit_code == 1, "its manifest names the root that it was copied from, which knows it"
    monkeypatch.setattr(
        "prometheus.v10.evidence.chains.own_ledger._said_place", lambda _: None
    )  # as on another machine
    assert verify_path(run).verdict == "COULD NOT CHECK"
    assert verify_path(link / run.name).verdict == "COULD NOT CHECK"
    assert verify_path(honest_copy).verdict == "PASS", "it lies by itself: a note says so"
    assert verify_path(run, alone=True).verdict == "PASS", "no sealed byte contradicts the other Python"


def test_a_process_that_is_alive_excuses_its_newest_run_only(layout: Layout) -> None:
    """An older run that says it is still running was not closed, whoever holds the instance's lock."""
    old, new = runs(layout)
    for run in (old, new):
        (run / "SHA256SUMS.txt").unlink()
        manifest = run / "run_manifest.json"
        manifest.write_bytes(manifest.read_bytes().replace(b'"status": "completed"', b'"status": "running"'))
    write_ledger(layout, [entry for entry in entries(layout) if entry["type"] != "run_sealed"])
    report = audit(layout, is_alive=lambda _: True)
    said = {finding.where: finding.what for finding in report.findings if "not sealed" in finding.what}
    assert said[str(new)] == "not sealed yet: it is running"
    assert "was cut off" in said[str(old)]
    assert report.exit_code == 1
