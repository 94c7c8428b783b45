"""The witness meets failing disks and cuts at every call: what it signed verifies, and it goes on where it was."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from prometheus.v10.base.errors import EvidenceError, HostError
from prometheus.v10.base.files import Lock
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit_witness import Witnesses
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.witnesses.checkpoint_kept import (
    contradiction,
    find_checkpoints,
    keys_beside,
    newest_kept,
    read_kept,
    read_state,
)
from prometheus.v10.evidence.witnesses.witness import SYSTEM_WITNESS, take, thin, witness_directory
from prometheus.v10.evidence.writing.installation import InstallationLedger
from tests.beginnings import enter_beginning
from tests.faulty import CutOffError, Fault, FaultyFiles

RUN = "HF_20260101T000000Z_nocommit_{:04x}"


@pytest.fixture
def kept(tmp_path):
    place = tmp_path / "kept"
    place.mkdir()
    return place


def begin(layout, number):
    enter_beginning(layout, RUN.format(number))


def agree(layout, kept):
    """How many checkpoints there are; each is signed, and the ledger agrees with it."""
    keys = keys_beside(kept)
    found = [read_kept(path, keys) for path in find_checkpoints(kept)]
    state = read_state(layout.ledger, [one.checkpoint.size for one in found])
    assert [contradiction(one.checkpoint, state) for one in found] == [None] * len(found)
    assert all(one.signed and one.time is not None for one in found)
    return len(found)


def test_a_growing_ledger_gets_a_checkpoint_each_time(layout, kept, fake_clock):
    for number in range(5):
        begin(layout, number)
        assert take(layout, kept, clock=fake_clock).new
        assert not take(layout, kept, clock=fake_clock).new
    assert agree(layout, kept) == 5


@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_call_fails_what_was_signed_verifies(layout, tmp_path, fake_clock, fault):
    begin(layout, 0)
    for at in range(200):
        place = tmp_path / f"kept-{at}"
        place.mkdir()
        files = FaultyFiles(fault, at)
        try:
            take(layout, place, clock=fake_clock, files=files)
        except (HostError, CutOffError):
            assert len(files.trace) > at
        assert agree(layout, place) <= 1
        take(layout, place, clock=fake_clock)
        assert agree(layout, place) == 1
        if len(files.trace) <= at:
            return
    pytest.fail("the fault never came late enough")


def test_the_ledger_is_synced_before_anything_is_signed(layout, kept, fake_clock):
    begin(layout, 0)
    files = FaultyFiles()
    take(layout, kept, clock=fake_clock, files=files)
    assert "fdatasync" in files.trace
    assert files.trace.index("fdatasync") < files.trace.index("link")


def test_a_ledger_without_an_installation_waits(layout, kept, fake_clock):
    """One of the version before: the next start of a stage enters what the origin names."""
    layout.ledger.write_bytes(b"")
    assert not take(layout, kept, clock=fake_clock).new
    assert find_checkpoints(kept) == []


def test_a_damaged_ledger_is_not_signed(layout, kept, fake_clock):
    begin(layout, 0)
    data = layout.ledger.read_bytes()
    layout.ledger.write_bytes(data.replace(b"a new installation", b"a New installation"))
    with pytest.raises(EvidenceError, match="damaged"):
        take(layout, kept, clock=fake_clock)
    assert find_checkpoints(kept) == []


def test_an_append_that_was_cut_off_is_not_signed(layout, kept, fake_clock):
    begin(layout, 0)
    with layout.ledger.open("ab") as file:
        file.write(b'{"half')
    assert take(layout, kept, clock=fake_clock).said.startswith("2 entries")
    InstallationLedger(layout, clock=fake_clock, instance="HF", on_torn=lambda _: None).begin()
    begin(layout, 1)
    assert take(layout, kept, clock=fake_clock).new
    assert agree(layout, kept) == 2
    assert LedgerEntryType.TORN_TAIL.encode() in layout.ledger.read_bytes()


def test_two_witnesses_take_turns(layout, kept, fake_clock, monkeypatch):
    begin(layout, 0)
    monkeypatch.setattr("prometheus.v10.evidence.witnesses.witness.LOCK_ATTEMPTS", 1)
    with Lock(kept / "lock", who="a test"), pytest.raises(Exception, match="is held by a test"):
        take(layout, kept, clock=fake_clock)


def test_a_directory_that_is_not_there_is_not_made(layout, tmp_path, fake_clock):
    with pytest.raises(HostError, match="is not there"):
        take(layout, tmp_path / "nowhere", clock=fake_clock)


def test_only_a_host_has_one(layout):
    assert witness_directory(layout) is None
    assert witness_directory(Layout.system()) == SYSTEM_WITNESS


# ---- old checkpoints -------------------------------------------------------------------------------------------------


@pytest.fixture
def years(layout, kept, fake_clock):
    """Checkpoints of two years, six hours apart, without what a signature costs: (name, age in days)."""
    names = []
    now = fake_clock.now().timestamp()
    for number in range(1, 2 * 365 * 4 + 1):
        place = kept / f"{number:012d}.checkpoint"
        place.touch()
        moment = now - (2 * 365 * 4 - number) * 6 * 3600.0
        os.utime(place, (moment, moment))
        names.append((place.name, datetime.fromtimestamp(moment, UTC)))
    return names


def test_of_old_checkpoints_one_a_day_is_kept_and_of_the_last_90_days_all(kept, years, fake_clock):
    gone = set(thin(kept, clock=fake_clock))
    left = {path.name for path in find_checkpoints(kept)}
    assert gone | left == {name for name, _ in years}
    assert not gone & left
    edge = fake_clock.now() - timedelta(days=90)
    assert {name for name, moment in years if moment >= edge} <= left
    old = [(name, moment.date()) for name, moment in years if moment < edge]
    newest = {day: name for name, day in old if day != edge.date()}
    assert {name for name, day in old if day != edge.date()} & left == set(newest.values())
    assert thin(kept, clock=fake_clock) == []


def test_the_newest_checkpoint_stays_however_old_it_is(kept, years, fake_clock):
    fake_clock.advance(10 * 365 * 86400.0)
    thin(kept, clock=fake_clock)
    assert years[-1][0] in {path.name for path in find_checkpoints(kept)}


@pytest.mark.parametrize("last", ["", "000000000100.checkpoint"])
def test_what_the_operators_command_has_not_taken_stays(kept, years, fake_clock, last):
    gone = thin(kept, clock=fake_clock, handed_over=last)
    assert all(name <= last for name in gone)
    assert bool(gone) is bool(last)


def test_a_file_of_another_name_is_not_the_witness_s_to_remove(kept, years, fake_clock):
    for name in ("monday.checkpoint", "12.checkpoint"):
        (kept / name).touch()
        os.utime(kept / name, (0, 0))
    assert thin(kept, clock=fake_clock)
    assert {"monday.checkpoint", "12.checkpoint"} <= {path.name for path in find_checkpoints(kept)}


def test_a_checkpoint_that_went_while_an_audit_listened_is_no_finding(layout, kept, fake_clock, monkeypatch):
    """The witness thins at any hour; whoever may remove there could do so unseen before the audit, too."""
    for number in range(2):
        begin(layout, number)
        take(layout, kept, clock=fake_clock)
    old, _ = find_checkpoints(kept)

    def late(path, keys):
        old.unlink(missing_ok=True)
        return read_kept(path, keys)

    monkeypatch.setattr("prometheus.v10.evidence.auditing.audit_witness.read_kept", late)
    asked = Witnesses([(kept, None)])
    report = VerifyReport(layout.lib, "audit")
    asked.listen(report)
    asked.compare(layout, None, report)
    assert report.findings == []
    assert report.facts["checkpoints"].startswith("1 agree")


def test_the_newest_is_the_one_of_most_entries(layout, kept, fake_clock):
    assert newest_kept(kept) is None
    for number in range(3):
        begin(layout, number)
        taken = take(layout, kept, clock=fake_clock)
    (kept / "z.checkpoint").write_text("no checkpoint")
    found = newest_kept(kept)
    assert (found.path, found.signed) == (taken.file, True)
    assert found.checkpoint.size == taken.state.size
