"""The order of calls as the kernel sees them: write, fdatasync, then the acknowledgement; rename, then the directory.

A process writes evidence under strace, and says each acknowledgement with a write to its standard output, so that it
stands in the trace where it happened. The trace is read here, call by call.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from prometheus.v10.base.kernel import FILES
from tests.integration.faults.part import expected_lines
from tests.integration.faults.parts import PARTS
from tests.integration.faults.support import how_many, offsets_of

CALLS = (
    "openat,write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,ftruncate,mkdir"
)
TURNS = how_many("STRACE_TURNS", 1)
SYNCS = {"fsync", "fdatasync"}
BEGUN = "begun_"


@frozen
class Call:
    """One call: its name, the paths in it (of descriptors and names), and what it returned."""

    name: str
    paths: tuple[str, ...]
    result: str
    line: str


def why_not() -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace cannot trace here: {tried.stderr.strip()}" if tried.returncode else None


def trace(part: str, scratch: Path) -> list[Call]:
    """The calls of one part's work, in the order in which they ended."""
    if why := why_not():
        pytest.skip(why)
    log = scratch / "trace"
    command = ["strace", "-f", "-y", "-s", "64", "-e", f"trace={CALLS}", "-o", str(log)]
    work = [sys.executable, "-m", "tests.torture.test_syscall_order", part, str(scratch / "part")]
    ended = subprocess.run([*command, *work], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return [call for call in map(read, joined(log.read_text().splitlines())) if call is not None]


def joined(lines: list[str]) -> list[str]:
    """Calls that strace split because two threads were at work, put together where they ended.

    Where a sync began is kept as a line of its own: what is written while it runs is not what it promises.
    """
    begun: dict[tuple[str, str], str] = {}
    made = []
    for line in lines:
        thread, _, text = line.partition(" ")
        text = text.strip()
        if match := re.fullmatch(r"(\w+)\((.*) <unfinished \.\.\.>", text):
            begun[thread, match[1]] = text.removesuffix(" <unfinished ...>")
            if match[1] in SYNCS:
                made.append(f"{BEGUN}{match[1]}({match[2]}) = 0")
        elif match := re.fullmatch(r"<\.\.\. (\w+) resumed>(.*)", text):
            made.append(begun.pop((thread, match[1])) + match[2])
        else:
            made.append(text)
    return made


def read(text: str) -> Call | None:
    match = re.fullmatch(r"(\w+)\((.*)\)\s*= (-?\d+|\?).*", text)
    if match is None or match[3].startswith("-"):
        return None
    named = re.findall(r'<([^<>]+)>|"((?:/|\.)[^"]*)"', match[2])
    return Call(match[1], tuple(a or b for a, b in named), match[3], text)


def is_ack(call: Call) -> bool:
    return call.name == "write" and "ACK " in call.line


def pool_bytes(ack: str) -> int:
    """How many bytes the pool must hold for the record that is acknowledged."""
    return offsets_of(expected_lines())[int(ack) + 1]


def one_byte(ack: str) -> int:
    return 1


def evidence(call: Call, folder: Path) -> str | None:
    """The file of ``folder`` that a call writes to, unless it is a lock, which says nothing that must last."""
    for path in call.paths:
        if path.startswith(f"{folder}/") and not path.endswith(".lock") and "/log/" not in path:
            return path
    return None


def check_order(calls: list[Call], folder: Path, needs: Callable[[str], int] | None = None) -> tuple[int, int]:
    """Read the trace; how many acknowledgements, and how many changes of a directory were followed by its sync.

    At an acknowledgement every file that was written has been synced since, and every directory in which a name was
    made or replaced too; and no file was given a name before its bytes were synced. Where the next group is written
    while this one is acknowledged, ``needs`` says how many bytes an acknowledgement speaks of.
    """
    written = durable = 0
    dirty: dict[str, str] = {}
    syncing: dict[str, tuple[int, str | None]] = {}
    changed: dict[str, str] = {}
    acks = synced = 0
    for call in calls:
        path = evidence(call, folder)
        if call.name in {"write", "writev", "pwrite64", "ftruncate"} and path is not None:
            dirty[path] = call.line
            written += int(call.result) if call.name in {"write", "writev"} else 0
        elif call.name.removeprefix(BEGUN) in SYNCS and call.name not in SYNCS:
            syncing |= {name: (written, dirty.get(name)) for name in call.paths}
        elif call.name in SYNCS:
            for name in call.paths:
                durable, last = syncing.pop(name, (written, dirty.get(name)))
                synced += changed.pop(name, None) is not None
                if dirty.get(name) == last:
                    dirty.pop(name, None)
        elif call.name in {"rename", "renameat", "renameat2", "link", "linkat"} and path is not None:
            source, target = call.paths[-2:] if len(call.paths) >= 2 else (path, path)
            assert source not in dirty, f"named before its bytes were synced: {call.line}"
            changed[str(Path(target).parent)] = call.line
        elif call.name == "openat" and path is not None and "O_CREAT" in call.line and "O_EXCL" in call.line:
            if not path.endswith(".aside"):
                changed[str(Path(path).parent)] = call.line
        elif is_ack(call):
            acks += 1
            if needs is not None:
                assert durable >= needs(re.search(r"ACK (\S+?)\\n", call.line)[1]), (
                    f"acknowledged too early: {call.line}"
                )
                dirty.clear()
            assert dirty == {}, f"acknowledged before these were synced: {dirty}"
            assert changed == {}, f"acknowledged before these directories were synced: {changed}"
    return acks, synced


@pytest.mark.parametrize("part", ["pool", "ledger", "snapshot", "seal"])
def test_write_then_sync_then_acknowledge_and_rename_then_the_directory(tmp_path, part):
    for turn in range(TURNS):
        scratch = tmp_path / str(turn)
        scratch.mkdir()
        acks, synced = check_order(trace(part, scratch), scratch / "part", pool_bytes if part == "pool" else None)
        assert acks >= 3
        assert synced >= 1


def test_the_check_notices_an_acknowledgement_before_the_sync():
    """The check can fail: two lines of a trace in the other order."""
    folder = Path("/e")
    write, sync = 'write(3</e/pool.jsonl>, "{", 1) = 1', "fdatasync(3</e/pool.jsonl>) = 0"
    ack = 'write(1</dev/null>, "ACK 0\\n", 6) = 6'
    rename, folder_sync = 'rename("/e/.x.aside", "/e/x") = 0', "fsync(4</e>) = 0"

    def look(*lines):
        return check_order([read(line) for line in lines], folder)

    begun = f"{BEGUN}{sync}"
    assert check_order([read(line) for line in (write, sync, ack)], folder, one_byte) == (1, 0)
    assert check_order([read(line) for line in (write, begun, sync, ack)], folder, one_byte) == (1, 0)
    with pytest.raises(AssertionError, match="acknowledged too early"):
        check_order([read(line) for line in (begun, write, sync, ack)], folder, one_byte)
    with pytest.raises(AssertionError, match="before these were synced"):
        look(begun, write, sync, ack)
    with pytest.raises(AssertionError, match="acknowledged too early"):
        check_order([read(line) for line in (write, ack, sync)], folder, one_byte)
    assert look(write, sync, rename, folder_sync, ack) == (1, 1)
    with pytest.raises(AssertionError, match="before these were synced"):
        look(write, ack, sync)
    with pytest.raises(AssertionError, match="before these directories were synced"):
        look(rename, ack, folder_sync)
    with pytest.raises(AssertionError, match="named before its bytes were synced"):
        look('write(3</e/.x.aside>, "{", 1) = 1', rename)


def main(part_name: str, root: Path) -> None:
    part = PARTS[part_name](root)
    part.renew()
    part.work(FILES, lambda ack: os.write(1, f"ACK {ack}\n".encode()) and None)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
