"""The witness meets failing disks and cuts at every call: what it signed verifies, and it goes on where it was."""

from __future__ import annotations

import pytest

from prometheus.v10.base.errors import EvidenceError, HostError
from prometheus.v10.base.faulty import CutOffError, Fault, FaultyFiles
from prometheus.v10.base.files import Lock
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.checkpoint_kept import contradiction, find_checkpoints, keys_beside, read_kept, read_state
from prometheus.v10.evidence.installation import InstallationLedger
from prometheus.v10.evidence.witness import SYSTEM_WITNESS, take, witness_directory
from tests.beginnings import enter_beginning

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
    monkeypatch.setattr("prometheus.v10.evidence.witness.LOCK_ATTEMPTS", 1)
    with Lock(kept / "lock", who="a test"), pytest.raises(Exception, match="is held by a test"):
        take(layout, kept, clock=fake_clock)


def test_a_directory_that_is_not_there_is_not_made(layout, tmp_path, fake_clock):
    with pytest.raises(HostError, match="is not there"):
        take(layout, tmp_path / "nowhere", clock=fake_clock)


def test_only_a_host_has_one(layout):
    assert witness_directory(layout) is None
    assert witness_directory(Layout.system()) == SYSTEM_WITNESS
