"""Random semantic forgeries with every hash redone are found by verify alone, unless the field is on the asserted list.

``PQ_FORGERIES`` sets how many are drawn (torture: 10 000), ``PQ_FORGERIES_SEED`` from which seed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.derive.free import is_free
from prometheus.v10.evidence.verify.verify_run import verify_run
from tests.forger.forge import Forgery, Original
from tests.forger.house import JUDGED, KINDS, do_judge, do_run

DRAWS = int(os.environ.get("PQ_FORGERIES", "200"))
SEED = int(os.environ.get("PQ_FORGERIES_SEED", "9"))
BAR = 0.99


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Original]:
    """One real run of each kind; each passes as it is."""
    made = {}
    for name, (changes, stop_after) in {**KINDS, **JUDGED}.items():
        do = do_judge if name in JUDGED else do_run
        run_dir = do(tmp_path_factory.mktemp("honest"), changes, stop_after=stop_after)
        report = verify_run(run_dir)
        assert report.exit_code is ExitCode.DONE, (name, report.lines())
        made[name] = Original(run_dir)
    return made


def test_the_runs_show_every_kind_of_event(originals: dict[str, Original]) -> None:
    everything = b"".join(data for one in originals.values() for data in one.files.values())
    for word in (b'"liquidation"', b'"extinction"', b'"quarterly_review"', b'"mass_death_cluster"', b'"B2_shuffle'):
        assert word in everything
    assert b'"completed": false' in originals["cut"].files[Artifact.SUMMARY]


def test_random_forgeries_are_found(originals: dict[str, Original], tmp_path: Path, record_property) -> None:
    draw = random.Random(SEED)
    tried, missed = Counter[str](), Counter[str]()
    crashes: list[str] = []
    for forgery, original in drawn(originals, draw):
        report = original.forge(forgery, tmp_path)
        if not is_free(forgery.field):
            tried[forgery.field] += 1
            missed[forgery.field] += report.exit_code is not ExitCode.VERIFY_FAILED
        if report.exit_code is ExitCode.VERIFY_ERROR:
            crashes.append(f"{forgery}: {report.lines()}")
    found = 1.0 - sum(missed.values()) / sum(tried.values())
    by_field = {name: count for name, count in missed.items() if count}
    text = f"forgeries found in derived fields: {found:.2%} of {sum(tried.values())}; missed {by_field}"
    record_property("figure", text)
    assert not crashes
    assert found >= BAR, text


def drawn(originals: dict[str, Original], draw: random.Random) -> Iterator[tuple[Forgery, Original]]:
    """As many forgeries as were asked for, each with the run that it is of."""
    names = sorted(originals)
    count = 0
    while count < DRAWS:
        original = originals[draw.choice(names)]
        forgery = original.draw(draw)
        if forgery is not None:
            count += 1
            yield forgery, original


ONE_LEAF = {
    "profit without money": ("plain", Artifact.SUMMARY, None, ("all_stats", 0, "system_roi"), 0.42),
    "a quantile": ("plain", Artifact.SUMMARY, None, ("summary_stats", "system_roi", "median"), 0.1),
    "has_nan": ("plain", Artifact.SUMMARY, None, ("all_stats", 0, "has_nan"), True),
    "a residual above its limit": ("plain", Artifact.SUMMARY, None, ("invariants", 0, "residual"), 123.0),
    "an invariant of one's own": ("plain", Artifact.SUMMARY, None, ("invariants", 1, "name"), "all_is_well"),
    "seeds": ("plain", Artifact.MANIFEST, None, ("seeds", 0), 12),
    "no seeds": ("plain", Artifact.MANIFEST, None, ("seeds",), []),
    "window": ("plain", Artifact.MANIFEST, None, ("window", "start"), 21),
    "arm": ("plain", Artifact.MANIFEST, None, ("arm",), "B2_shuffle_returns"),
    "fees 0": ("plain", Artifact.MANIFEST, None, ("world", "taker_fee"), 0.0),
    "a count of the pool": ("plain", Artifact.MANIFEST, None, ("counts", "pool_records"), 1),
    "a collapse hidden": ("collapse", Artifact.MANIFEST, None, ("internal_collapse_detected",), False),
    "a collapse later": ("collapse", Artifact.COLLAPSES, 0, ("tick",), 150),
    "another genome": ("plain", Artifact.BIRTHS, 0, ("parent_genome_sha256",), "0" * 64),
    "own parent": ("plain", Artifact.BIRTHS, 0, ("parent_id",), "e0000a000010"),
    "a parent that never lived": ("plain", Artifact.BIRTHS, 0, ("parent_id",), "e0000a009999"),
    "an invented reason": ("plain", Artifact.DEATHS, 0, ("death_reason",), "boredom"),
    "death before birth": ("plain", Artifact.DEATHS, -1, ("birth_tick",), 399),
    "money from nowhere": ("plain", Artifact.DEATHS, 0, ("final_capital",), 9999.0),
    "telemetry of zeros": ("plain", Artifact.TELEMETRY, None, ("counters", "FENCE_CORE_REVIEW_DEATH", "attempts"), 0),
    "orders claimed": ("plain", Artifact.FINGERPRINT, None, ("orders_sent",), 7),
    "another budget": ("plain", Artifact.EXECUTION_RAW_INDEX, None, ("policy", "budget_bytes"), 1 << 20),
    "other bars": ("plain", Artifact.MANIFEST, None, ("market", "rows"), 601),
    "a later stop": ("cut", Artifact.MANIFEST, None, ("timing", "stop_seconds"), 1e9),
    "status failed": ("plain", Artifact.MANIFEST, None, ("status",), "failed"),
    "status aborted": ("plain", Artifact.MANIFEST, None, ("status",), "aborted"),
    "version 1 of another stage": ("plain", Artifact.MANIFEST, None, ("stage",), "stage2"),
    "meta is a list": ("plain", Artifact.MANIFEST, None, ("meta",), [1]),
    "mode is a table": ("plain", Artifact.MANIFEST, None, ("mode",), {"a": [1]}),
    "a row of nobody": ("plain", Artifact.SUMMARY, None, ("all_stats", 2, "experiment"), 3),
    "experiment is a list": ("plain", Artifact.SUMMARY, None, ("all_stats", 0, "experiment"), [1]),
    "counters are a list": ("plain", Artifact.TELEMETRY, None, ("counters",), [[]]),
    "an agent is a table": ("plain", Artifact.DEATHS, 0, ("genome_index",), {"a": 1}),
    "a huge number": ("plain", Artifact.DEATHS, 0, ("tick",), 10**30),
    "world is null": ("plain", Artifact.MANIFEST, None, ("world",), None),
    "shards are numbers": ("plain", Artifact.EXECUTION_RAW_INDEX, None, ("shards",), [1]),
}


@pytest.mark.parametrize("name", ONE_LEAF)
def test_known_forgeries_are_found(originals: dict[str, Original], tmp_path: Path, name: str) -> None:
    kind, file, line, path, value = ONE_LEAF[name]
    original = originals[kind]
    if line is not None and line < 0:
        line += original.files[file].count(b"\n")
    report = original.forge(Forgery(file, line, path, None, value), tmp_path)  # type: ignore[arg-type]
    assert report.exit_code is ExitCode.VERIFY_FAILED, report.lines()
