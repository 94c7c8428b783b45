"""Hostile bytes: a minute over all parsers in `make test`, an hour in `make torture` (``PQ_FUZZ_SECONDS``).

Every input ends in a verdict or in a documented error, within a bounded time and without memory of its own making. What
was found once stays in ``corpus/<target>/`` and is tried first. ``PQ_FUZZ_KEEP=1`` (`make torture`) adds inputs that
reach a new place, within a few kB a target.
"""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest

from prometheus.v10.evidence.records.findings import VerifyReport
from tests.fuzz.mutate import Mutator
from tests.fuzz.targets import ARTIFACTS, CSV, Target, targets

CORPUS = Path(__file__).with_name("corpus")
SECONDS = float(os.environ.get("PQ_FUZZ_SECONDS", "60"))
KEEP = os.environ.get("PQ_FUZZ_KEEP") == "1"
PATIENCE = 20  # seconds for one input: a parser that needs longer hangs
ROOM = 400 << 20  # bytes that a target's whole session may add to the process
LARGEST_KEPT = 4096
MOST_KEPT = 5120  # bytes of one target's corpus
MOST_CORPUS = 200_000

NAMES = [
    "strict_json", "sums", "filelist", "checkpoint", "signed_note", "note_keys", "witness_toml", "journal",
    "profile", "csv", "bars_json", "packed", "parquet", "funding", "feather", "native_market", "release_env",
    "download_record", "download_archive", "download_pages", "download_kept",
    "stop_file", "promotion_request", "snapshot_index", "pool", "ledger", "tree_ledger", "tree_pool", "tree_curve",
    "tree_counter", "tree_snapshot_index", *(f"run/{name}" for name in ARTIFACTS),
]  # fmt: skip

PROFILE = """
mode = "offline"
evidence.compress = false
workers = 1
[market]
timeframe_s = 300
bars = 600
[experiments]
count = 2
[world]
founders = 12
review_ticks = 150
death_roi = -0.05
"""


class HangError(BaseException):
    """An input took longer than `PATIENCE`. No handler of ``Exception`` swallows it."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with a run and a snapshot, made by the commands themselves."""
    base = tmp_path_factory.mktemp("fuzz")
    profile = base / "tiny.toml"
    profile.write_text(PROFILE)
    root = base / "root"
    (base / "bars.csv").write_bytes(CSV)
    for words in (
        ("run", "--profile", str(profile)),
        ("snapshot", "create"),
        ("market", "import", str(base / "bars.csv"), "fuzzed", "--symbol", "BTC-USDT-SWAP"),
        ("promote", "--top-k", "1", "--queue"),
    ):
        asked = [sys.executable, "-m", "prometheus.cli", *words, "--root", str(root)]
        ended = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 0, ended.stderr
    return root


def _place_of(error: BaseException) -> str:
    """Where an error came from, as a name for "this was seen before"."""
    frames = traceback.extract_tb(error.__traceback__)
    return ",".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])


def _try(target: Target, data: bytes, scratch: Path) -> set[str]:
    """Feed one input; returns the places that it reached. Raises what is no documented error."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    signal.alarm(PATIENCE)
    try:
        answer = target.feed(data, scratch)
    except target.may_raise as error:
        return {_place_of(error)}
    finally:
        signal.alarm(0)
    return _kinds_of(answer) if isinstance(answer, VerifyReport) else {"returned"}


def _kinds_of(report: VerifyReport) -> set[str]:
    """What a verification found, without numbers and quoted bytes."""
    return {re.sub(r"'[^']*'|[0-9a-f]{8,}|\d+", "#", one.what)[:60] for one in report.findings} or {"passed"}


def _hang(_number: int, _frame: object) -> None:
    raise HangError(f"an input took longer than {PATIENCE} s")


def test_every_target_is_named(lived: Path) -> None:
    assert set(targets(lived)) == set(NAMES)


def _has_room(kept: list[bytes], data: bytes) -> bool:
    return 0 < len(data) <= LARGEST_KEPT and sum(map(len, kept)) + len(data) <= MOST_KEPT


def _name_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _keep(folder: Path, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _name_of(data)).write_bytes(data)


def test_the_corpus_is_kept_small_and_belongs_to_targets() -> None:
    """Every run of a target tries it first; what a target no longer has would be tried by nobody."""
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    folders = {name.replace("/", ".") for name in NAMES}
    assert files
    assert {path.parent.name for path in files} <= folders
    assert all(path.name == _name_of(path.read_bytes()) for path in files)
    assert sum(path.stat().st_size for path in files) <= MOST_CORPUS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_hostile_bytes_get_a_verdict(name: str, lived: Path, tmp_path: Path, record_property) -> None:
    target = targets(lived)[name]
    folder = CORPUS / name.replace("/", ".")
    kept = [path.read_bytes() for path in sorted(folder.glob("*"))] if folder.is_dir() else []
    parents = [*target.seeds(lived), *kept]
    mutator = Mutator(parents, seed=int(os.environ.get("PQ_FUZZ_SEED", "1")))
    before = signal.signal(signal.SIGALRM, _hang)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen: set[str] = set()
    tried = 0
    until = time.monotonic() + SECONDS / len(NAMES)
    queue = list(parents)
    try:
        while queue or time.monotonic() < until:
            data = queue.pop() if queue else mutator.next()
            tried += 1
            try:
                places = _try(target, data, tmp_path / "scratch")
            except BaseException:
                (tmp_path / "input").write_bytes(data)
                if KEEP:  # what was found is tried first until it is mended, and ever after
                    _keep(folder, data)
                print(f"target {name}, input {len(data)} bytes: {data[:2000]!r}; whole: {tmp_path / 'input'}")  # noqa: T201
                raise
            if places - seen:
                seen |= places
                mutator.learn(data)
                if KEEP and tried > len(parents) and _has_room(kept, data):
                    kept.append(data)
                    _keep(folder, data)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert tried >= len(parents), "all that was kept is tried, however short the time is"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) << 10
    assert grown < ROOM, f"the process grew by {grown >> 20} MiB"
    record_property("figure", f"fuzz {name}: {tried} inputs, {len(seen)} places")
