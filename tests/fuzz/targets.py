"""The parsers that read what somebody else may have written, each with inputs to begin from.

A target takes bytes and an empty directory. It returns, or it raises a documented error; everything else is a finding.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.pools.snapshot import read_index
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.witnesses.checkpoint import parse_checkpoint
from prometheus.v10.evidence.witnesses.checkpoint_kept import read_kept
from prometheus.v10.evidence.witnesses.journal_seals import parse_entries
from prometheus.v10.evidence.witnesses.signed_note import Signer, parse_verifiers, sign_note
from prometheus.v10.evidence.writing.seal import parse_filelist, parse_sums
from prometheus.v10.market.sources.funding_series import read_funding
from prometheus.v10.market.sources.importers import read_source
from prometheus.v10.market.sources.native import read_market
from prometheus.v10.market.sources.tables import Reading
from prometheus.v10.ops.host.release_env import read_release
from prometheus.v10.ops.host.status import Look
from prometheus.v10.ops.host.stopping import read_order
from prometheus.v10.ops.host.witnessing import read_settings
from prometheus.v10.ops.incident.incident_bundle import gather
from prometheus.v10.ops.service.promotion import read_request
from prometheus.v10.runs.request.profile import load_profile
from tests.conftest import FakeClock
from tests.fuzz import download_targets as downloads


@frozen
class Target:
    """A parser: what it is fed with, which errors it may raise, and what it is begun with."""

    feed: Callable[[bytes, Path], object]
    seeds: Callable[[Path], list[bytes]]
    may_raise: tuple[type[Exception], ...] = (PrometheusError,)


def _write(place: Path, data: bytes) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


# ---- witnesses


def _kept(data: bytes, scratch: Path) -> object:
    """As an audit reads it: with the key that lies beside it, and what it prints of it."""
    return read_kept(_write(scratch / "x.checkpoint", data), SIGNER.verifiers()).when()


def _witness_settings(data: bytes, scratch: Path) -> object:
    _write(scratch / "etc" / "witness.toml", data)
    return read_settings(Layout.under(scratch))


def _journal(data: bytes, _: Path) -> object:
    return [seal.when() for seal in parse_entries(data.splitlines(keepends=True), uid=None)]


# ---- a run's directory: one artifact is replaced, and the run sealed again, so that verification gets past the hashes


def seal_again(run: Path) -> None:
    """Make listing and sums of a run agree with what is in it now."""
    for name in ("FILELIST.ls.txt", "SHA256SUMS.txt"):
        (run / name).unlink(missing_ok=True)
    names = sorted(entry.name for entry in run.iterdir())
    listed = "".join(f"-rw-r----- {(run / name).stat().st_size:>12} {name}\n" for name in names)
    (run / "FILELIST.ls.txt").write_text(listed)
    digests = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in [*names, "FILELIST.ls.txt"]}
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    (run / "SHA256SUMS.txt").write_text(sums)
    for entry in run.iterdir():
        entry.chmod(0o640)


def _copy_of_run(root: Path, scratch: Path) -> Path:
    run = next((root / "runs_hf").iterdir())
    copy = scratch / run.name
    copy.mkdir()
    for entry in run.iterdir():
        os.link(entry, copy / entry.name)
    return copy


def _artifact(name: str, root: Path) -> Target:
    def feed(data: bytes, scratch: Path) -> VerifyReport:
        copy = _copy_of_run(root, scratch)
        (copy / name).unlink(missing_ok=True)
        _write(copy / name, data)
        if name not in {"FILELIST.ls.txt", "SHA256SUMS.txt"}:
            seal_again(copy)
        gather_quietly(copy)
        return verify_run(copy)

    return Target(feed, lambda lived: [(next((lived / "runs_hf").iterdir()) / name).read_bytes()[:40_000]], ())


def gather_quietly(run: Path) -> None:
    """An incident bundle of it, which may be refused, and may not crash."""
    with suppress(PrometheusError):
        gather(run, Tier.TIER1_HF)


# ---- a tree: one file of it is replaced, and everything is looked at


def _of_tree(relative: str, root: Path) -> Target:
    def feed(data: bytes, scratch: Path) -> VerifyReport:
        copy = scratch / "root"
        shutil.copytree(root, copy, copy_function=os.link)
        (copy / relative).unlink(missing_ok=True)
        _write(copy / relative, data)
        layout = Layout.under(copy)
        Look(layout, None, FakeClock()).whole()
        return audit(layout)

    return Target(feed, lambda lived: [(lived / relative).read_bytes()[:40_000]], ())


def _chain(name: str, relative: str) -> Target:
    def feed(data: bytes, scratch: Path) -> VerifyReport:
        return verify_path(_write(scratch / name, data))

    return Target(feed, lambda lived: [(lived / relative).read_bytes()[:20_000]], ())


# ---- single files


def _profile(data: bytes, scratch: Path) -> None:
    load_profile(str(_write(scratch / "profile.toml", data)), Layout.under(scratch / "root"))


def _market(name: str) -> Callable[[bytes, Path], object]:
    return lambda data, scratch: read_source(_write(scratch / name, data), Reading(symbol="BTC-USDT", sort=True))


def _funding(data: bytes, scratch: Path) -> None:
    read_funding(_write(scratch / "BTCUSDT-fundingRate-2024-01.csv", data), "BTCUSDT")


def _native(data: bytes, scratch: Path) -> None:
    read_market(_write(scratch / "market.json", data).parent)


def _stop(data: bytes, scratch: Path) -> None:
    layout = Layout.under(scratch / "root")
    _write(layout.stop_file, data)
    read_order(layout)


def _request(data: bytes, scratch: Path) -> None:
    read_request(_write(scratch / "request.json", data))


def _shipped_profiles(_root: Path) -> list[bytes]:
    folder = Path(__file__).resolve().parents[2] / "prometheus" / "v10" / "runs" / "profiles"
    return [path.read_bytes() for path in sorted(folder.glob("*.toml"))]


CSV = b"""time,open,high,low,close,volume
2024-03-01 00:00:00,100.0,101.0,99.0,100.5,12.5
2024-03-01 01:00:00,100.5,102.0,100.0,101.5,10.0
2024-03-01 02:00:00,101.5,103.0,101.0,102.5,11.0
"""


def _feather(_root: Path) -> list[bytes]:
    import io

    import pyarrow as pa
    from pyarrow import feather

    columns = {
        "date": pa.array([1709251200000, 1709254800000, 1709258400000], pa.timestamp("ms", "UTC")),
        **{name: pa.array([100.0, 101.0, 102.0]) for name in ("open", "high", "low", "close", "volume")},
    }
    made = io.BytesIO()
    feather.write_feather(pa.table(columns), made, compression="uncompressed")
    return [made.getvalue()]


def _packed(_root: Path) -> list[bytes]:
    """The CSV file as exchanges and people pack it."""
    import gzip
    import io
    import zipfile

    import zstandard

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-1h-2024-01.csv", CSV)
    return [made.getvalue(), gzip.compress(CSV, mtime=0), zstandard.ZstdCompressor().compress(CSV)]


def _parquet(_root: Path) -> list[bytes]:
    import io

    from pyarrow import feather, parquet

    made = io.BytesIO()
    parquet.write_table(feather.read_table(io.BytesIO(_feather(_root)[0])), made)
    return [made.getvalue()]


FUNDING = b"calc_time,funding_interval_hours,last_funding_rate\n1709251200007,8,0.0001\n1709280000000,8,0.0002\n"
BARS_JSON = [
    b"[[1709251200000,100,102,99,101,7],[1709254800000,101,103,99,102,8.5]]",
    b'{"code":"0","data":[["1709254800000","101","103","99","102","800","8","816","1"],'
    b'["1709251200000","100","102","99","101","700","7","707","1"]]}',
    b'[{"date":"2024-03-01T00:00:00Z","open":100,"high":102,"low":99,"close":101,"volume":7},'
    b'{"date":"2024-03-01T01:00:00Z","open":101,"high":103,"low":99,"close":102,"volume":8}]',
]
RELEASE = (
    b"PQ_IMAGE_STAGE1=localhost/prometheus-quant/stage1@sha256:" + b"a" * 64 + b"\nPQ_IMAGE_STAGE1_DIGEST=sha256:"
    + b"a" * 64 + b"\nPQ_IMAGE_STAGE2=localhost/prometheus-quant/stage2@sha256:" + b"b" * 64
    + b"\nPQ_IMAGE_STAGE2_DIGEST=sha256:" + b"b" * 64 + b"\nPQ_GIT_COMMIT=" + b"c" * 40 + b"\n"
)  # fmt: skip
JSON = b'{"a":[1,2.5,null,true,"x"]}'
SIGNER = Signer("prometheus-quant/0123456789abcdef0123456789abcdef", bytes(range(32)))
NOTE = sign_note(f"{SIGNER.name}\n3\n{'q' * 42}o=\n", SIGNER, time=1_800_000_000)
JOURNAL = json.dumps({
    "__REALTIME_TIMESTAMP": "1800000000000000", "_UID": "0", "_SYSTEMD_UNIT": "prometheus-stage1@HF.service",
    "_TRANSPORT": "journal", "PROMETHEUS_EVENT": "run_sealed", "PROMETHEUS_SEAL": "0" * 64,
    "PROMETHEUS_RUN_ID": "HF_20260101T000000Z_nocommit_0000", "PROMETHEUS_INSTALLATION": "0" * 32,
}).encode()  # fmt: skip
CHECKPOINT = b"prometheus-quant/HF\n3\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n"
STOP = b'{"reason":"because","schema":"stop/1","since":"2026-01-01T00:00:00.000000Z","who":"root"}\n'

ARTIFACTS = (
    "run_manifest.json", "multiple_experiments_summary.json", "gating_telemetry.json", "execution_fingerprint.json",
    "death_events.jsonl", "birth_events.jsonl", "collapse_events.jsonl", "interesting_deaths.jsonl",
    "m_execution_raw_index.json", "m_execution_raw_part_0001.json", "SHA256SUMS.txt", "FILELIST.ls.txt",
)  # fmt: skip


def targets(root: Path) -> dict[str, Target]:
    """Every target; ``root`` is a tree in which a run was done and a snapshot taken."""
    snapshot = next((root / "pools" / "stage1" / "snapshots").glob("*.json"))
    return {
        "strict_json": Target(lambda data, _: strict_loads(data), lambda _: [JSON], (ValueError,)),
        "sums": Target(lambda data, _: parse_sums(data), lambda _: [b"a" * 64 + b"  name\n"], (ValueError,)),
        "filelist": Target(lambda data, _: parse_filelist(data), lambda _: [b"-rw-r-----  12 name\n"], (ValueError,)),
        "checkpoint": Target(lambda data, _: parse_checkpoint(data.decode("utf-8", "replace")), lambda _: [CHECKPOINT]),
        "signed_note": Target(_kept, lambda _: [NOTE, CHECKPOINT]),
        "note_keys": Target(
            lambda data, _: parse_verifiers(data.decode("utf-8", "replace")),
            lambda _: ["".join(f"{key.text()}\n" for key in SIGNER.verifiers()).encode()],
        ),
        "witness_toml": Target(_witness_settings, lambda _: [b'command = ["/bin/true", "x"]\n']),
        "journal": Target(_journal, lambda _: [JOURNAL + b"\n"], ()),
        "profile": Target(_profile, _shipped_profiles),
        "csv": Target(_market("bars.csv"), lambda _: [CSV]),
        "bars_json": Target(_market("bars.json"), lambda _: BARS_JSON),
        "packed": Target(_market("BTCUSDT-1h-2024-01.zip"), _packed),
        "parquet": Target(_market("BTC_USDT-1h.parquet"), _parquet),
        "funding": Target(_funding, lambda _: [FUNDING]),
        "feather": Target(_market("BTC_USDT_USDT-1h-futures.feather"), _feather),
        "native_market": Target(_native, lambda lived: [next(lived.glob("market/*/market.json")).read_bytes()]),
        "download_record": Target(downloads.record, lambda _: [downloads.RECORD]),
        "download_archive": Target(downloads.archive, lambda _: [downloads.zipped_day()]),
        "download_pages": Target(downloads.pages, lambda _: downloads.PAGES, downloads.MAY_RAISE),
        "download_kept": Target(downloads.kept, lambda _: [downloads.KEPT], ()),
        "release_env": Target(
            lambda data, scratch: read_release(_write(scratch / "release.env", data)), lambda _: [RELEASE]
        ),
        "stop_file": Target(_stop, lambda _: [STOP]),
        "promotion_request": Target(
            _request, lambda lived: [path.read_bytes() for path in lived.glob("state/promotions/*/*.json")] or [b"{}"]
        ),
        "snapshot_index": Target(
            lambda data, scratch: read_index(_write(scratch / snapshot.name, data)), lambda _: [snapshot.read_bytes()]
        ),
        "pool": _chain("pool.jsonl", "pools/stage1/pool.jsonl"),
        "ledger": _chain("ledger.jsonl", "state/ledger.jsonl"),
        "tree_ledger": _of_tree("state/ledger.jsonl", root),
        "tree_pool": _of_tree("pools/stage1/pool.jsonl", root),
        "tree_curve": _of_tree("state/local/collapse_intervals.jsonl", root),
        "tree_counter": _of_tree("state/local/counter.json", root),
        "tree_snapshot_index": _of_tree(str(snapshot.relative_to(root)), root),
        **{f"run/{name}": _artifact(name, root) for name in ARTIFACTS},
    }
