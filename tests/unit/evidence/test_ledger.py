"""The ledger of seals and its checkpoints: durable entries, tampering found, a tree head that binds later ledgers."""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError, HostError, LockHeldError
from prometheus.v10.base.files import Lock
from prometheus.v10.base.names import LedgerEntryType
from prometheus.v10.evidence.chains import ledger as ledger_module
from prometheus.v10.evidence.chains import ledger_now as ledger_now_module
from prometheus.v10.evidence.chains import pool_checked
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE, LedgerLine
from prometheus.v10.evidence.chains.scan import scan
from prometheus.v10.evidence.records.canonical import canonical_line
from prometheus.v10.evidence.verify.verify_chain import verify_ledger
from prometheus.v10.evidence.witnesses.checkpoint import (
    Checkpoint,
    Tree,
    check_consistency,
    check_signature,
    parse_checkpoint,
    sign,
    take_checkpoint,
)
from prometheus.v10.evidence.writing.installation import InstallationLedger
from tests.faulty import Fault, FaultyFiles

SEALED = LedgerEntryType.RUN_SEALED


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def book(path, clock, no_torn):
    return Ledger(path, clock=clock, instance="HF", on_torn=no_torn)


def fill(book, count):
    return [book.append(SEALED, {"run_id": f"r{i}", "seal": f"{i:064x}"}) for i in range(count)]


def test_entries_come_back_in_order_and_chained(book, path):
    written = fill(book, 4)
    assert list(iter_entries(path)) == written
    previous = "0" * 64
    for n, line in enumerate(path.read_bytes().splitlines(keepends=True)):
        entry = json.loads(line)
        assert canonical_line(entry) == line
        assert (entry["n"], entry["prev"], entry["instance"], entry["type"]) == (n, previous, "HF", "run_sealed")
        previous = hashlib.sha256(line).hexdigest()
    assert scan(path, LEDGER_LINE, close=True).damages == []


def test_an_append_is_durable_before_it_returns(path, clock, no_torn):
    files = FaultyFiles()
    Ledger(path, clock=clock, instance="HF", on_torn=no_torn, files=files).append(SEALED, {})
    assert files.trace.index("fsync_dir") < files.trace.index("fdatasync")
    assert files.trace.index("fdatasync") == len(files.trace) - 1 - files.trace[::-1].index("fdatasync")
    assert files.trace[files.trace.index("fdatasync") - 1] == "write"


def test_nulls_have_reasons_and_payloads_are_plain(book, path):
    with pytest.raises(EvidenceError, match=r"payload\.a is null without a reason"):
        book.append(SEALED, {"a": None})
    with pytest.raises(EvidenceError, match="cannot hold"):
        book.append(SEALED, {"a": float("nan")})
    with pytest.raises(EvidenceError, match="cannot hold"):
        book.append(SEALED, {"a": {1: 2}})
    assert path.read_bytes() == b""
    book.append(SEALED, {"a": None}, null_reasons={"payload.a": "not known"})


def test_two_objects_append_in_turn(book, path, clock, no_torn):
    other = Ledger(path, clock=clock, instance="cli", on_torn=no_torn)
    for _ in range(3):
        fill(book, 1)
        fill(other, 2)
    assert [entry.n for entry in iter_entries(path)] == list(range(9))


def _append_many(path, clock, count):
    book = Ledger(path, clock=clock, instance="child", on_torn=print)
    fill(book, count)


def test_two_processes_append_at_once_and_nothing_is_lost(book, path, clock):
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_append_many, args=(path, clock, 20)) for _ in range(2)]
    for child in children:
        child.start()
    fill(book, 20)
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert [entry.n for entry in iter_entries(path)] == list(range(60))


def test_a_holder_that_stays_is_named(book, path, monkeypatch):
    monkeypatch.setattr(ledger_module, "LOCK_ATTEMPTS", 2)
    with Lock(path.with_name("ledger.jsonl.lock"), who="somebody"), pytest.raises(LockHeldError, match="somebody"):
        fill(book, 1)
    fill(book, 1)


def test_a_torn_tail_is_moved_and_told(book, path, clock, tmp_path):
    fill(book, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id":"half')
    torn = []
    Ledger(path, clock=clock, instance="HF", on_torn=torn.append).append(SEALED, {})
    assert path.read_bytes().startswith(whole)
    assert torn[0].moved_to.read_bytes() == b'{"id":"half'
    assert torn[0].moved_to.name == "ledger.jsonl.torn-20250301T120000Z"
    assert scan(path, LEDGER_LINE, close=True).damages == []


def test_a_replaced_ledger_is_read_anew(book, path):
    fill(book, 3)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert book.append(SEALED, {}).n == 1


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC, Fault.SHORT_WRITE])
def test_a_fault_at_every_call_loses_no_acknowledged_entry(tmp_path, clock, fault):
    for at in range(100):
        path = tmp_path / str(at) / "ledger.jsonl"
        path.parent.mkdir()
        files = FaultyFiles(fault, at)
        book = Ledger(path, clock=clock, instance="HF", on_torn=print, files=files)
        acknowledged = 0
        for _ in range(2):
            try:
                book.append(SEALED, {})
                acknowledged += 1
            except HostError:
                pass
        assert (len(list(iter_entries(path))) if path.exists() else 0) >= acknowledged
        if len(files.trace) <= at:
            return
    pytest.fail("the fault never came late enough")


TAMPERING = {
    "edit": lambda lines: [lines[0], lines[1].replace(b'"r1"', b'"r9"'), *lines[2:]],
    "edit the last": lambda lines: [*lines[:-1], lines[-1].replace(b'"r3"', b'"r9"')],
    "delete": lambda lines: [lines[0], *lines[2:]],
    "delete the first": lambda lines: lines[1:],
    "reorder": lambda lines: [lines[1], lines[0], *lines[2:]],
    "insert": lambda lines: [lines[0], lines[0], *lines[1:]],
    "replace": lambda lines: [b"{}\n", *lines[1:]],
    "truncate": lambda lines: [*lines[:-1], lines[-1][:-5]],
    "spaces": lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]],
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found(book, path, name):
    fill(book, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(TAMPERING[name](lines)))
    assert verify_ledger(path).exit_code == 1


def test_every_flipped_byte_is_found_and_never_repaired(book, path, clock):
    fill(book, 3)
    whole = path.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x04
        path.write_bytes(damaged)
        assert scan(path, LEDGER_LINE, close=False).damages
        if at % 20 == 0 or at == len(whole) - 1:
            with pytest.raises(EvidenceError):
                Ledger(path, clock=clock, instance="HF", on_torn=print).append(SEALED, {})
            assert path.read_bytes() == damaged


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def root_by_definition(leaves):
    """RFC 6962, section 2.1, as written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    left, right = root_by_definition(leaves[:k]), root_by_definition(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_the_streaming_root_is_the_rfcs(leaves):
    tree = Tree()
    for n, leaf in enumerate(leaves):
        assert tree.root() == root_by_definition(leaves[:n])
        tree.add(leaf)
    assert tree.root() == root_by_definition(leaves)


def test_the_rfcs_test_vector():
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    tree = Tree()
    for leaf in leaves:
        tree.add(bytes.fromhex(leaf))
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_a_checkpoint_binds_every_later_ledger(book, path):
    for size in range(5):
        checkpoint = take_checkpoint(path, origin="prometheus-quant/HF") if path.exists() else None
        fill(book, 1)
        if checkpoint is not None:
            assert checkpoint.size == size
            assert check_consistency(checkpoint, path) == 1
    text = take_checkpoint(path, origin="prometheus-quant/HF").text()
    origin, count, root, empty = text.split("\n")
    assert (origin, count, empty, len(base64.b64decode(root))) == ("prometheus-quant/HF", "5", "", 32)
    assert parse_checkpoint(text).text() == text


def test_a_cut_or_rewritten_ledger_contradicts_its_checkpoint(book, path, clock, no_torn, tmp_path):
    fill(book, 5)
    checkpoint = take_checkpoint(path, origin="o")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    with pytest.raises(EvidenceError, match="lines are missing"):
        check_consistency(checkpoint, path)
    rewritten = tmp_path / "rewritten.jsonl"
    other = Ledger(rewritten, clock=clock, instance="HF", on_torn=no_torn)
    for i in range(6):
        other.append(SEALED, {"run_id": f"r{i}", "seal": "f" * 64})
    assert verify_ledger(rewritten).findings == [], "by itself, a ledger rewritten from its start is a good ledger"
    with pytest.raises(EvidenceError, match="not those of the checkpoint"):
        check_consistency(checkpoint, rewritten)


@pytest.mark.parametrize(
    "text", ["", "o\n1\n", "o\n-1\nAAAA\n", "o\n01\n" + "A" * 43 + "=\n", "o\n1\nAAAA\n", "\n1\nx\n"]
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(EvidenceError, match="not a checkpoint"):
        parse_checkpoint(text)


def test_a_signature_with_a_real_key(tmp_path):
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen on this machine")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = tmp_path / "allowed_signers"
    signers.write_text(f"auditor@example.org {key.with_suffix('.pub').read_text()}")
    file = tmp_path / "checkpoint"
    file.write_text(Checkpoint("prometheus-quant/HF", 3, bytes(32)).text())
    signature = sign(file, key)
    check_signature(file, signature, allowed_signers=signers, identity="auditor@example.org")
    with pytest.raises(EvidenceError):
        check_signature(file, signature, allowed_signers=signers, identity="stranger@example.org")
    file.write_text(Checkpoint("prometheus-quant/HF", 4, bytes(32)).text())
    with pytest.raises(EvidenceError, match="does not sign"):
        check_signature(file, signature, allowed_signers=signers, identity="auditor@example.org")
    with pytest.raises(HostError):
        sign(file, tmp_path / "no-key")


def incident(number: int) -> dict[str, object]:
    """What an incident bundle leaves in the ledger."""
    run_id = f"HF_20260102T030405Z_abcdef0_{number:04x}"
    return {
        "run_id": run_id, "label": "x", "bundle": f"incidents/IEB_{run_id}.tar.gz", "sha256": "0" * 64, "bytes": 1,
        "missing_required_files_count": 0, "verification": "PASS",
    }  # fmt: skip


@pytest.mark.parametrize("how", ["append", "begin"])
def test_a_new_process_reads_a_long_ledger_before_it_takes_the_lock(layout, clock, no_torn, monkeypatch, how):
    """Others wait for the lock five seconds at most; the ledger grows with the years."""
    old = InstallationLedger(layout, clock=clock, instance="HF", on_torn=no_torn)
    for number in range(60):
        old.append(LedgerEntryType.INCIDENT, incident(number))
    monkeypatch.setattr(ledger_now_module, "_views", {})
    monkeypatch.setattr(ledger_now_module, "_notes", pool_checked.Notes())
    monkeypatch.setattr(pool_checked, "_notes", pool_checked.Notes())
    held, read = [], {True: 0, False: 0}
    acquire, release, problem = Lock.acquire, Lock.release, LedgerLine.problem

    def taking(self, **words):
        acquire(self, **words)
        held.append(True)

    def giving(self):
        held.clear()
        release(self)

    def reading(self, line, link):
        read[bool(held)] += 1
        return problem(self, line, link)

    monkeypatch.setattr(Lock, "acquire", taking)
    monkeypatch.setattr(Lock, "release", giving)
    monkeypatch.setattr(LedgerLine, "problem", reading)
    new = InstallationLedger(layout, clock=clock, instance="HF2", on_torn=no_torn)
    if how == "append":
        new.append(LedgerEntryType.INCIDENT, incident(60))
    else:
        new.begin()
    assert read[False] >= 61
    assert read[True] <= 4
