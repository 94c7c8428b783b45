"""Compression: the seal still verifies, the way back gives the identical bytes, and damage is never packed away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from prometheus.v10.base.errors import EvidenceError, UsageError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.evidence.chains import absences
from prometheus.v10.evidence.chains.absences import find_codec, open_evidence, packing_of, unpack
from prometheus.v10.evidence.records.findings import Level
from prometheus.v10.evidence.verify import verify_run, verify_seal
from prometheus.v10.evidence.writing.seal import Listed
from prometheus.v10.ops.retention import retention_apply as retention
from tests.unit.ops.retention_house import House, contents, sha256sum_says

DEATHS, BIRTHS = "death_events.jsonl", "birth_events.jsonl"


@pytest.fixture
def house(layout, fake_clock, notify_socket):
    return House(layout, fake_clock, notify_socket.path)


@pytest.fixture
def packed(house):
    """A run whose deaths and births are compressed, and what was in it before."""
    run = house.run(1, parts=(500,), lines=30)
    before = contents(run)
    house.days_pass(40)
    house.apply(house.plan(compress_days=30))
    return run, before


def test_long_closed_lines_are_compressed_and_nothing_else(house, packed):
    run, before = packed
    after = contents(run)
    assert set(before) - set(after) == {DEATHS, BIRTHS}
    assert set(after) - set(before) == {f"{DEATHS}.zst", f"{BIRTHS}.zst"}
    assert all(after[name] == before[name] for name in set(after) & set(before))
    assert len(after[f"{DEATHS}.zst"][0]) < len(before[DEATHS][0]) // 5
    assert house.plan(compress_days=30).items == []


def test_its_ledger_entry_names_both(house, packed):
    run, before = packed
    births, deaths = house.compressions()
    assert deaths["path"] == f"runs_hf/{run.name}/{DEATHS}"
    assert (deaths["run_id"], deaths["bytes"]) == (run.name, len(before[DEATHS][0]))
    assert deaths["packed_bytes"] == (run / f"{DEATHS}.zst").stat().st_size
    assert births["policy"] == "compress_days=30"
    assert packing_of(births).packed_sha256 == births["packed_sha256"]
    assert packing_of({**births, "bytes": "many"}) is None


def test_the_seal_still_verifies(house, packed):
    run, _ = packed
    report = verify_run.verify_run(run)
    assert report.exit_code == 0
    assert {finding.level for finding in report.findings} == {Level.NOTE}
    house.assert_in_order()
    assert sha256sum_says(run) == 1


def test_where_nothing_reads_zstd_it_could_not_be_checked(house, packed, monkeypatch):
    run, _ = packed
    monkeypatch.setattr(verify_seal, "find_codec", lambda: None)
    report = verify_run.verify_run(run)
    assert report.exit_code == 2, report.lines()
    said = "\n".join(report.lines())
    assert said.count("could not look inside: nothing here reads zstd; its own sha256 is the one in the ledger") == 2
    flip(run / f"{DEATHS}.zst", 30)
    assert verify_run.verify_run(run).exit_code == 1


@pytest.mark.parametrize("command", [True, False], ids=["with the zstd command", "with nothing"])
def test_a_stranger_without_packages_needs_the_command_to_look_inside(packed, repository, command):
    """The verifier as a stranger starts it: Python and the source, no package installed."""
    run, _ = packed
    hide = "" if command else "from prometheus.v10.evidence.chains import absences; absences._ZSTD_COMMANDS = ();"
    ended = subprocess.run(
        [sys.executable, "-S", "-I", "-c",
         f"import sys; sys.path.insert(0, {str(repository)!r}); {hide}"
         "from prometheus.v10.evidence.verify.program import main;"
         "sys.exit(main(sys.argv[1:]))", str(run)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if sys.version_info >= (3, 14):
        pytest.skip("this Python reads zstd by itself")
    assert ended.returncode == (0 if command else 2), ended.stdout + ended.stderr
    assert ("nothing here reads zstd" in ended.stdout) is not command


def test_without_a_ledger_the_seal_alone_vouches_for_what_is_inside(packed, tmp_path):
    run, _ = packed
    elsewhere = tmp_path / "usb" / run.name
    shutil.copytree(run, elsewhere)
    assert verify_run.verify_run(elsewhere).exit_code == 0
    flip(elsewhere / f"{DEATHS}.zst", 200)
    assert verify_run.verify_run(elsewhere).exit_code == 1


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def append(path, data):
    path.write_bytes(path.read_bytes() + data)


def repack(run, change):
    """Put another stand-in in place: compressed by the same tool, of other bytes."""
    import zstandard

    place = run / f"{DEATHS}.zst"
    data = zstandard.ZstdDecompressor().decompress(place.read_bytes())
    place.write_bytes(zstandard.ZstdCompressor(level=12).compress(change(data)))


TAMPERING = {
    "a byte of the stand-in": (lambda run: flip(run / f"{DEATHS}.zst", 100), "does not know this compression"),
    "another event inside": (
        lambda run: repack(run, lambda data: data.replace(b'"tick":', b'"tock":', 1)),
        "its sha256 is not the sealed one",
    ),
    "more inside than was sealed": (lambda run: repack(run, lambda data: data + data), "it holds more than the"),
    "fewer inside than was sealed": (lambda run: repack(run, lambda data: data[:50]), "it holds 50 bytes"),
    "no zstd at all": (lambda run: (run / f"{DEATHS}.zst").write_bytes(b"nothing"), "it cannot be unpacked"),
    "truncated": (
        lambda run: (run / f"{DEATHS}.zst").write_bytes((run / f"{DEATHS}.zst").read_bytes()[:60]), "death_events",
    ),
    "gone": (lambda run: (run / f"{DEATHS}.zst").unlink(), "sealed, and not there"),
    "a stand-in of something that was never sealed": (
        lambda run: (run / "extra.jsonl.zst").write_bytes(b""), "not covered by the seal",
    ),
    "the same bytes, but unknown to the ledger": (
        lambda run: append(run / f"{DEATHS}.zst", b"\x50\x2a\x4d\x18\0\0\0\0"),  # a frame that readers skip
        "does not know this compression",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found_and_named(packed, name):
    run, _ = packed
    tamper, said = TAMPERING[name]
    tamper(run)
    report = verify_run.verify_run(run)
    assert report.exit_code == 1, report.lines()
    assert said in "\n".join(report.lines())


def test_the_way_back_gives_the_identical_bytes(house):
    run = house.run(1, lines=30)
    before = contents(run)
    house.days_pass(40)
    house.apply(house.plan(compress_days=30))
    first = (run / f"{DEATHS}.zst").read_bytes()
    found = retention.restore(house.layout, run.name)
    assert [item.name for item in found] == [BIRTHS, DEATHS]
    assert contents(run) == before
    assert sha256sum_says(run) == 0
    assert retention.restore(house.layout, run.name) == []
    house.apply(house.plan(compress_days=30))
    assert (run / f"{DEATHS}.zst").read_bytes() == first
    assert len(house.compressions()) == 2
    house.assert_in_order()


def test_a_stand_in_that_was_changed_is_not_restored_and_stays(house, packed):
    run, _ = packed
    repack(run, lambda data: data.replace(b'"tick":', b'"tock":', 1))
    before = contents(run)
    with pytest.raises(EvidenceError, match="not as it was sealed"):
        retention.restore(house.layout, run.name)
    assert contents(run)[f"{DEATHS}.zst"] == before[f"{DEATHS}.zst"]
    assert not (run / DEATHS).exists()
    assert [path for path in run.parent.iterdir() if path.is_file()] == []


def test_an_unknown_run_is_not_restored(house):
    with pytest.raises(UsageError, match="the ledger knows no run"):
        retention.restore(house.layout, "HF_20260102T030405Z_0123456_ffff")


@pytest.mark.parametrize(
    "spoil", [lambda data: data.replace(b"x", b"y", 1), lambda data: data + b"{}\n", lambda data: data[:-1]]
)
def test_damage_is_not_packed_away(house, spoil):
    run = house.run(1, lines=30)
    place = run / BIRTHS
    place.write_bytes(spoil(place.read_bytes().replace(b"born0", b"xorn0")))
    before = contents(run)
    house.days_pass(40)
    result = house.apply(house.plan(compress_days=30))
    assert [kept.path for kept in result.refused] == [f"runs_hf/{run.name}/{BIRTHS}"]
    assert contents(run)[BIRTHS] == before[BIRTHS]
    assert [entry["path"].rpartition("/")[2] for entry in house.compressions()] == [DEATHS]
    assert [path for path in run.parent.iterdir() if path.is_file()] == []


def test_young_runs_small_files_and_collapses_stay_plain(house):
    old = house.run(1)
    house.days_pass(40)
    house.run(2, lines=30)
    assert house.plan(compress_days=30).items == []
    assert (old / DEATHS).stat().st_size < 4096


def test_tier_2_is_compressed_too_and_its_deletion_takes_the_stand_ins(house):
    run = house.run(1, lines=30, tier=Tier.TIER2_FULL)
    house.days_pass(40)
    house.apply(house.plan(compress_days=30))
    house.assert_in_order()
    house.delete_run(run)
    assert not run.exists()
    house.assert_in_order()


def test_what_another_pass_left_half_made_is_cleared(house):
    run = house.run(1, lines=30)
    left = run.parent / f".{run.name}.{DEATHS}.zst.999.retention"
    left.write_bytes(b"half")
    house.apply(house.plan())
    assert not left.exists()


def test_evidence_is_opened_as_it_lies(packed, monkeypatch):
    run, before = packed
    with open_evidence(run / DEATHS) as file:
        assert file.read() == before[DEATHS][0]
    with open_evidence(run / "run_manifest.json") as file:
        assert json.load(file)["run_id"] == run.name
    monkeypatch.setattr(absences, "find_codec", lambda: None)
    with pytest.raises(EvidenceError, match="nothing here reads zstd"):
        open_evidence(run / DEATHS)


def test_a_few_bytes_that_stand_for_many_are_cut_short(tmp_path):
    import zstandard

    bomb = tmp_path / "bomb.zst"
    bomb.write_bytes(zstandard.ZstdCompressor().compress(b"\0" * (64 << 20)))
    taken = []
    with pytest.raises(ValueError, match="more than the 1000 bytes"):
        unpack(bomb, 1000, lambda block: taken.append(len(block)), find_codec())
    assert sum(taken) <= 1 << 20


def test_modes_are_read_as_ls_writes_them():
    assert Listed("x", 0, "-rw-r-----").mode_bits == 0o640
    assert Listed("x", 0, "-r--r--r--").mode_bits == 0o444
    assert Listed("x", 0, "-rwxrwxrwx").mode_bits == 0o777
    assert Listed("x", 0, "----------").mode_bits == 0


def test_a_ledger_entry_that_is_none_explains_nothing(house, packed):
    run, _ = packed
    house.ledger().append(LedgerEntryType.COMPRESSION, {"path": f"runs_hf/{run.name}/{DEATHS}"})
    assert verify_run.verify_run(run).exit_code == 0
