"""Pools filtered, genomes drawn, and a Tier-2 run opened as the documents say."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from prometheus.cli.names_of import genome_of
from prometheus.cli.research import genome_command as command
from prometheus.cli.research.pools_command import conditions, show
from prometheus.cli.research.promote_command import candidates
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ConfigError, UsageError
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.core import features, genome
from prometheus.v10.evidence.pools.pool import iter_records
from prometheus.v10.evidence.records.codec import structure_config
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.service import promotion as queue
from prometheus.v10.runs.control import Undisturbed
from prometheus.v10.runs.request.profile import Profile
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.workload import RunRequest, Surroundings

DOCS = Path(__file__).parents[3] / "docs"
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A tree with a small run of stage 1."""
    layout = Layout.under(tmp_path_factory.mktemp("house") / "root")
    layout.prepare()
    small = structure_config(
        {
            "mode": "offline",
            "workers": 1,
            "market": {"timeframe_s": 3600, "seed": 4, "bars": 600},
            "experiments": {"count": 2, "seed": 11},
            "world": {"founders": 10, "review_ticks": 100, "death_roi": -0.05, "breed_roi": 0.01},
        },
        Profile,
        source="small",
    )
    run_stage1(RunRequest(profile=small, mode=Mode.OFFLINE, instance="T"), around(layout))
    return layout


def around(layout: Layout) -> Surroundings:
    return Surroundings(layout=layout, clock=CLOCK, control=Undisturbed(), journal=journal())


def journal() -> Journal:
    return Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)


def shown(layout: Layout, *where: str) -> list[dict[str, object]]:
    found = show(
        layout.pool(Stage.STAGE1), sort="roi_lifetime", ascending=False, limit=1000, where=conditions(where), columns=[]
    )
    return list(found.data["records"])


def test_a_pool_is_filtered_by_text_and_by_number(house: Layout) -> None:
    everyone = shown(house)
    assert len(everyone) == len(list(iter_records(house.pool(Stage.STAGE1))))
    alive = shown(house, "survived=True")
    assert 0 < len(alive) < len(everyone)
    assert len(shown(house, "survived!=True")) == len(everyone) - len(alive)
    busy = shown(house, "trades>=5", "trades<20")
    assert busy
    assert all(5 <= row["trades"] < 20 for row in busy)  # type: ignore[operator]
    assert shown(house, "run_id~HF_") == everyone
    assert shown(house, "death_reason>=0") == []


@pytest.mark.parametrize("text", ["trades", "trades>=many", "=5"])
def test_a_condition_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--where"):
        conditions([text])


def test_a_channels_pull_and_reach_are_those_of_the_net() -> None:
    """Near nothing a net is its pulls: tanh(x) = x for small x, and nothing else is in it."""
    vector = genome.founders(1, 1)[0]
    for base in command.NETS.values():
        net = command.net_of(vector, base)
        for channel in (0, 12, 32):
            x = np.zeros(33)
            x[channel] = 1e-6
            signal = np.tanh(np.tanh(x @ net.w1) @ net.w2)
            assert signal == pytest.approx(1e-6 * net.pull[channel], rel=1e-6, abs=1e-15)
        assert (np.abs(net.pull) <= net.reach + 1e-12).all()
        assert net.reach[net.strongest(3)].tolist() == sorted(net.reach.tolist(), reverse=True)[:3]


def test_a_genome_is_shown_by_its_id_by_its_hash_and_from_a_file(house: Layout, tmp_path: Path) -> None:
    record = list(iter_records(house.pool(Stage.STAGE1)))[3]
    for name in (record.id, record.genome_sha256):
        vector, known = command.find(name, None, house, Stage.STAGE1)
        assert (vector == record.genome()).all()
        assert known["trades"] == record.metrics_summary["trades"]
    place = tmp_path / "genomes.npy"
    np.save(place, np.stack([genome.founders(1, 1)[0], record.genome()]))
    vector, known = command.find(str(place), 1, house, Stage.STAGE1)
    said = command.show(vector, known, 5)
    assert said.data["genome_sha256"] == record.genome_sha256
    assert {name: len(rows) for name, rows in said.data["nets"].items()} == {"OUT": 5, "IN": 5}
    assert {row["channel"] for row in said.data["nets"]["OUT"]} <= set(features.NAMES)


@pytest.mark.parametrize(
    ("what", "row", "said"),
    [
        ("nobody", None, "names no genome"),
        ("ffffffffffff", None, "no record"),
        ("none.npy", None, "no file of"),
        ("g.npy", 9, "no row 9"),
        ("odd.npy", 0, "expected rows"),
    ],
)
def test_a_genome_that_is_not_there_is_refused(
    house: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, row: int | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("g.npy", genome.founders(1, 2))
    np.save("odd.npy", np.zeros((3, 7), dtype=np.float32))
    with pytest.raises(UsageError, match=said):
        command.find(what, row, house, Stage.STAGE1)


def test_the_picture_is_the_same_every_time() -> None:
    pytest.importorskip("matplotlib", reason="the extra for analysis is not installed")
    vector = genome.founders(1, 1)[0]
    first = command.plot(vector, "a genome")
    assert first == command.plot(vector, "a genome")
    assert first.startswith(b"<?xml")
    assert first != command.plot(genome.founders(2, 1)[0], "a genome")


def test_without_the_extra_a_picture_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="matplotlib") as caught:
        command.plot(genome.founders(1, 1)[0], "a genome")
    assert "[analysis]" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["stage2.md", "stage2.zh-CN.md"])
def test_a_tier_2_run_opens_in_the_three_lines_of_the_documents(house: Layout, name: str) -> None:
    runs = list((house.lib / "runs").iterdir())
    if not runs:
        one = queue.of_record(queue.top(house.pool(Stage.STAGE1), 1, "roi")[0], "PROMOTE", "top_roi", "docs", CLOCK)
        queue.enqueue(one, house, clock=CLOCK, journal=journal())
        place = queue.queue_folder(house, "PROMOTE") / f"{one.id}.json"
        queue.drain(place, one, around(house))
        runs = list((house.lib / "runs").iterdir())
    code = re.search(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    assert code is not None
    assert len([line for line in code[1].splitlines() if line]) == 3
    names: dict[str, object] = {"run": runs[0]}
    exec(code[1], names)  # noqa: S102  (what a reader would type)
    behaviors, genomes = names["behaviors"], names["genomes"]
    assert len(behaviors) == len(genomes) > 0  # type: ignore[arg-type]
    assert json.dumps(behaviors)


@pytest.mark.parametrize(
    "asked", [{}, {"genome_id": "x", "top_k": 1}, {"genome_id": "x", "trigger": "mass_death_cluster"}]
)
def test_whom_to_promote_is_asked_in_one_way(house: Layout, asked: dict[str, object]) -> None:
    choice = {"genome_id": None, "top_k": None, "trigger": None, "by": "survival", **asked}
    with pytest.raises(UsageError, match="say what to promote"):
        list(candidates(house, Stage.STAGE1, instance="PROMOTE", clock=CLOCK, **choice))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"top_k": 1, "by": "luck"}, "--by luck"),
        ({"genome_id": "nobody"}, "names no genome"),
        ({"genome_id": "ffffffffffff"}, "no record"),
        ({"trigger": "boredom"}, "no trigger"),
        ({"trigger": "suspected_self_trade"}, "has the pattern"),
    ],
)
def test_who_is_not_there_is_not_promoted(house: Layout, asked: dict[str, object], said: str) -> None:
    choice = {"genome_id": None, "top_k": None, "trigger": None, "by": "survival", **asked}
    with pytest.raises(UsageError, match=said):
        list(candidates(house, Stage.STAGE1, instance="PROMOTE", clock=CLOCK, **choice))  # type: ignore[arg-type]


def test_a_genome_is_named_by_its_number_by_digits_and_by_latest(house: Layout) -> None:
    """The first of a genome's records, whatever names it; digits that several genomes share are refused."""
    pool = house.pool(Stage.STAGE1)
    records = list(iter_records(pool))
    for record in (records[0], records[-1]):
        first = next(one for one in records if one.genome_sha256 == record.genome_sha256)
        assert genome_of(str(record.n), pool) == record
        assert genome_of(record.id, pool) == genome_of(record.id[:13], pool) == record
        assert genome_of(record.genome_sha256[:16].upper(), pool) == first
    assert genome_of("latest", pool) == records[-1]
    with pytest.raises(UsageError, match="no record"):
        genome_of(str(len(records)), pool)
