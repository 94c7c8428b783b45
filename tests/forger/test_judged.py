"""Runs of stage 2: each experiment is held to the world of its own cell, and its founders to the snapshot."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.ledger_view import read_ledger
from prometheus.v10.evidence.chains.pool_from import lines_from
from prometheus.v10.evidence.derive.judged import philox_draws as philox
from prometheus.v10.evidence.derive.judged.judging import UnsettledError, bars_of, judging_of
from prometheus.v10.evidence.derive.judged.verdict_rules import added
from prometheus.v10.evidence.derive.setting import utc
from prometheus.v10.evidence.records.canonical import canonical_bytes, pretty_bytes
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.seal import seal_run
from prometheus.v10.market import philox as drawn
from prometheus.v10.market.bars import bar_time
from prometheus.v10.market.resample import resample
from prometheus.v10.market.sources.library import import_bars
from prometheus.v10.market.sources.tables import Reading
from prometheus.v10.market.synthetic import synthetic
from tests.forger.forge import Forgery, Original
from tests.forger.house import JUDGED, do_judge

Change = Callable[[dict[str, Any], dict[str, bytes]], None]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of stage 2 in its root."""
    return do_judge(tmp_path_factory.mktemp("judged"), JUDGED["stage2"][0])


def again(run_dir: Path, root: Path, change: Change, *, snapshot: bool = True) -> VerifyReport:
    """The run under another root, with manifest and files changed, sizes and seal redone."""
    target = root / "runs_hf" / run_dir.name
    target.mkdir(parents=True)
    if snapshot:
        name = "pools/stage1/snapshots"
        shutil.copytree(run_dir.parent.parent / name, root / name)
    files = {path.name: path.read_bytes() for path in run_dir.iterdir() if path.suffix != ".txt"}
    manifest = json.loads(files.pop(Artifact.MANIFEST))
    change(manifest, files)
    manifest["evidence"]["bytes"] = sum(map(len, files.values()))
    for name, data in {**files, Artifact.MANIFEST.value: pretty_bytes(manifest)}.items():
        (target / name).write_bytes(data)
    seal_run(target)
    return verify_run(target, look_for_ledger=False)


def test_the_draws_are_those_of_the_market() -> None:
    draw = random.Random(4)
    for _ in range(40):
        seed, stream, count = draw.randrange(1 << 63), draw.randrange(3 << 32), draw.randrange(1, 40)
        assert philox.words(seed, stream, count) == drawn.words(seed, stream, count).tolist()
        assert philox.permutation(seed, stream, count) == drawn.permutation(seed, stream, count).tolist()


def test_stretches_are_as_long_as_the_bars_are() -> None:
    draw = random.Random(5)
    for _ in range(60):
        step = draw.choice([300, 900, 3600])
        whole = synthetic(1, 700, step, start=1_700_000_000 // step * step)
        start, count = draw.randrange(300), draw.randrange(200, 400)
        part, frame = whole.slice(start, count), step * draw.choice([1, 2, 4, 12, 24])
        own = part if frame == step else resample(part, frame).bars
        first = utc(bar_time(part.first_open))
        assert first is not None
        bars, opens = bars_of(first, count, step, frame)
        assert (bars, opens) == (len(own), utc(bar_time(own.first_open)))


def test_every_experiment_has_the_world_of_its_cell(judged: Path) -> None:
    manifest = json.loads((judged / Artifact.MANIFEST).read_text())
    rows = json.loads((judged / Artifact.SUMMARY).read_text())["all_stats"]
    judging = judging_of(manifest)
    assert judging.experiments == len(rows)
    assert len({(judging.at(row["experiment"]).ticks, judging.at(row["experiment"]).founders) for row in rows}) > 6
    for row in rows:
        cell = judging.at(row["experiment"])
        assert (row["ticks"], row["founders"]) == (cell.ticks, cell.founders)


def _stage2(name: str, value: Any) -> Change:
    return lambda manifest, _: manifest["stage2"].update({name: value})


def _genomes(which: Callable[[dict[str, Any]], bool]) -> Change:
    """One genome's hash changed in every line of it."""

    def change(_manifest: dict[str, Any], files: dict[str, bytes]) -> None:
        lines = [json.loads(line) for line in files[Artifact.SURVIVORS].splitlines()]
        old = lines[0]["genome_sha256"]
        for line in lines:
            if line["genome_sha256"] == old and which(line):
                line["genome_sha256"] = "0" * 64
        files[Artifact.SURVIVORS] = b"".join(canonical_bytes(line) + b"\n" for line in lines)

    return change


def _swapped(_manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    """Two agents of one crowd exchange their genomes."""
    lines = [json.loads(line) for line in files[Artifact.SURVIVORS].splitlines()]
    crowd = [line for line in lines if line["experiment"] == 1]
    crowd[0]["genome_sha256"], crowd[1]["genome_sha256"] = crowd[1]["genome_sha256"], crowd[0]["genome_sha256"]
    files[Artifact.SURVIVORS] = b"".join(canonical_bytes(line) + b"\n" for line in lines)


FORGED: dict[str, tuple[Change, str]] = {
    "another evaluation": (_stage2("evaluation", "0" * 64), "stage2.evaluation"),
    "another snapshot's hash": (_stage2("sha256", "0" * 64), "stage2.sha256"),
    "a larger snapshot": (_stage2("count", 52), "id and count"),
    "other batches": (_stage2("batches", [0, 1, 2]), "seeds are not"),
    "a batch twice": (_stage2("batches", [0, 1, 1, 3]), "stage2.batches"),
    "batches are a table": (_stage2("batches", {"0": 1}), "stage2.batches"),
    "longer stretches": (_stage2("stretches", []), "stage2.stretches"),
    "a genome in one cell": (_genomes(lambda line: line["experiment"] == 0), "founders"),
    "a genome in every cell": (_genomes(lambda _: True), "of these records"),
    "genomes exchanged in a crowd": (_swapped, "deals into this crowd"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_cells_are_found(judged: Path, tmp_path: Path, name: str) -> None:
    change, said = FORGED[name]
    report = again(judged, tmp_path, change)
    assert report.exit_code is ExitCode.VERIFY_FAILED
    assert any(said in finding.what for finding in report.findings), report.lines()


def test_a_row_of_a_cell_is_derived(judged: Path, tmp_path: Path) -> None:
    forged = Forgery(Artifact.SUMMARY, None, ("all_stats", 7, "system_roi"), None, 0.42)
    report = Original(judged).forge(forged, tmp_path)
    assert any("system_roi" in finding.what for finding in report.findings), report.lines()


def test_without_its_snapshot_a_run_is_held_against_itself(judged: Path, tmp_path: Path) -> None:
    assert again(judged, tmp_path / "1", lambda _, __: None, snapshot=False).exit_code is ExitCode.DONE
    report = again(judged, tmp_path / "2", _genomes(lambda line: line["experiment"] == 0), snapshot=False)
    assert report.exit_code is ExitCode.VERIFY_FAILED


def test_a_run_that_says_nothing_of_its_stretches_is_derived_as_well(judged: Path, tmp_path: Path) -> None:
    """What the version before wrote."""

    def older(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
        del manifest["stage2"]["stretches"]

    report = again(judged, tmp_path / "1", older)
    assert (report.exit_code, report.findings) == (ExitCode.DONE, [])

    def forged(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
        older(manifest, files)
        files[Artifact.SUMMARY] = files[Artifact.SUMMARY].replace(b'"founders": 14', b'"founders": 15', 1)

    assert again(judged, tmp_path / "2", forged).exit_code is ExitCode.VERIFY_FAILED


def test_the_ledger_knows_the_snapshot_that_was_judged(judged: Path) -> None:
    view = read_ledger(Layout.under(judged.parent.parent).ledger, VerifyReport(judged, "ledger"))
    assert view is not None
    assert verify_run(judged, ledger=view).exit_code is ExitCode.DONE
    (entered,) = view.snapshots
    for found, said in (([{**entered, "sha256": "0" * 64}], "is another"), ([], "does not know snapshot")):
        view.snapshots[:] = found
        report = verify_run(judged, ledger=view)
        assert any(said in finding.what for finding in report.findings), report.lines()


def _metrics(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda record: record["metrics_summary"].update({name: value})


def _cell(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda record: next(iter(record["metrics_summary"]["verdict"]["cells"].values())).update({name: value})


VERDICTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "labels": lambda record: record["metrics_summary"]["verdict"].update(labels=["champion"]),
    "evaluation": lambda record: record["metrics_summary"]["verdict"].update(evaluation="0" * 64),
    "roi_lifetime": _metrics("roi_lifetime", 0.9),
    "survival_share": _metrics("survival_share", 0.5),
    "costs.fees": lambda record: record["metrics_summary"]["costs"].update(fees=0.001),
    "trades": _cell("trades", 4000),
    "roi is": _cell("roi", 0.25),
    "drawdown": _cell("drawdown", -0.1),
    "origin.n": lambda record: record["metrics_summary"]["origin"].update(n=1),
    "run_id": lambda record: record["metrics_summary"]["origin"].update(run_id="HF_20260101T000000Z_0123456_0000"),
    "source.seed": lambda record: record["source"].update(seed=2),
    "created_at": lambda record: record.update(created_at="2026-01-01T00:00:00.000000Z"),
    "origin.n is no count": lambda record: record["metrics_summary"].pop("origin"),
    "could not be held": lambda record: record["metrics_summary"]["origin"].pop("git_commit"),
}


@pytest.mark.parametrize("said", VERDICTS)
def test_a_verdict_is_made_again_from_the_events_of_its_run(judged: Path, tmp_path: Path, said: str) -> None:
    root = tmp_path / "root"
    shutil.copytree(judged.parent.parent, root)
    run_dir, pool = root / "runs_hf" / judged.name, Layout.under(root).pool(Stage.STAGE2)
    lines = pool.read_bytes().splitlines()
    assert verify_run(run_dir, look_for_ledger=False).findings == []
    record = json.loads(lines[20])
    VERDICTS[said](record)
    lines[20] = canonical_bytes(record)
    pool.write_bytes(b"\n".join(lines) + b"\n")
    report = verify_run(run_dir, look_for_ledger=False)
    assert any(said in finding.what and "verdict 20" in finding.what for finding in report.findings), report.lines()


def test_a_run_without_one_of_its_verdicts_is_found(judged: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(judged.parent.parent, root)
    pool = Layout.under(root).pool(Stage.STAGE2)
    pool.write_bytes(b"".join(pool.read_bytes().splitlines(keepends=True)[:-1]))
    report = verify_run(root / "runs_hf" / judged.name, look_for_ledger=False)
    assert any("the pool has 50 verdicts" in finding.what for finding in report.findings), report.lines()


def test_a_record_is_found_in_a_large_pool_without_reading_all_of_it(tmp_path: Path) -> None:
    place = tmp_path / "pool.jsonl"
    place.write_bytes(
        b"".join(b'{"metrics":"%s","n":%d,"null_reasons":{}}\n' % (b"x" * (n % 997), n) for n in range(5000))
    )
    for first in (0, 1, 777, 4998, 4999):
        assert [n for n, _ in lines_from(place, first)] == list(range(first, 5000))
    assert list(lines_from(place, 5000)) == []


def test_sums_are_those_of_the_version_that_wrote_them() -> None:
    draw = random.Random(6)
    for _ in range(300):
        values = [draw.gauss(0.0, 10.0 ** draw.randrange(-9, 9)) for _ in range(draw.randrange(1, 60))]
        assert added(values) == sum(values)


def test_a_market_with_gaps_is_derived_by_the_stretches_that_the_run_says(tmp_path: Path) -> None:
    bars = synthetic(9, 1200, 3600)
    kept = np.r_[0:250, 260:800, 803:1200]
    source = tmp_path / "gaps.csv"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["open_time", "open", "high", "low", "close", "volume"])
        for row in kept:
            columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
            writer.writerow([int(bars.open_time[row]) * 1000, *(repr(float(column[row])) for column in columns)])
    layout = Layout.under(tmp_path / "root")
    layout.prepare()
    reading = Reading(symbol="BTC-USDT", timeframe_s=3600, allow_gaps=True, base_volume="volume")
    import_bars(source, "gaps", layout.market, clock=SystemClock(), reading=reading)
    market = {"source": "gaps", "seed": 0, "bars": None, "timeframe_s": 3600}
    run_dir = do_judge(layout.lib, {"market": market})
    report = verify_run(run_dir)
    assert (report.exit_code, report.findings) == (ExitCode.DONE, [])
    manifest = json.loads((run_dir / Artifact.MANIFEST).read_text())
    assert manifest["stage2"]["stretches"][3]["bars"] < 125
    longer = again(run_dir, tmp_path / "1", lambda made, _: made["stage2"]["stretches"][1].update(bars=98))
    assert longer.exit_code is ExitCode.VERIFY_FAILED
    older = again(run_dir, tmp_path / "2", lambda made, _: made["stage2"].pop("stretches"))
    assert older.exit_code is ExitCode.DONE
    assert any("has gaps" in finding.what for finding in older.findings)
    del manifest["stage2"]["stretches"]
    with pytest.raises(UnsettledError, match="gaps"):
        judging_of(manifest)
