"""Runs on a market that grew after them: they verify and replay, and the eras that waited for bars go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.paths import Layout
from prometheus.v10.gate.gate_replay import replay_gate
from prometheus.v10.market.sources.library import add_bars, import_bars
from prometheus.v10.market.synthetic import synthetic
from prometheus.v10.runs.replay import replay
from tests.unit.runs.conftest import Watcher
from tests.unit.runs.gate.conftest import do_gate, small
from tests.unit.runs.stage2_house import do_judge, judge, with_snapshot

PROFILE = """
mode = "offline"
evidence.compress = false
workers = 1
[market]
source = "few"
[window]
name = "E"
start = 0
len = 400
policy = "walk"
at_end = "wait"
[experiments]
count = 3
[world]
founders = 8
review_ticks = 100
[founding]
fresh = 1
null = 1
"""
BARS = synthetic(3, 1_300, 3600)


def part(place: Path, first: int, last: int) -> Path:
    rows = [
        f"{t},SYN/USD,{o!r},{h!r},{low!r},{c!r},{v!r}"
        for t, o, h, low, c, v in zip(
            *(
                getattr(BARS, name)[first:last].tolist()
                for name in ("open_time", "open", "high", "low", "close", "volume")
            ),
            strict=True,
        )
    ]
    path = place / f"bars-{first}-{last}.csv"
    path.write_text("\n".join(["unix,symbol,open,high,low,close,volume", *rows, ""]))
    return path


def test_eras_go_on_when_their_market_grows_and_the_runs_before_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, profile = tmp_path / "root", tmp_path / "ERA.toml"
    profile.write_text(PROFILE)

    def do(*words: str) -> tuple[int, str, str]:
        code = cli.main([*words, "--root", str(root)])
        out = capsys.readouterr()
        return code, out.out, out.err

    assert do("market", "import", str(part(tmp_path, 0, 900)), "few")[0] == ExitCode.DONE
    run = ("run", "--profile", str(profile), "--instance", "T")
    assert do(*run, "--eras", "2")[0] == ExitCode.DONE
    code, _, err = do(*run)
    assert (code, "needs bars behind the last of 900" in err) == (ExitCode.CONFIG, True)

    assert do("market", "add", "few", str(part(tmp_path, 850, 1_300)))[0] == ExitCode.DONE
    assert do(*run)[0] == ExitCode.DONE
    manifests = {one: json.loads((one / "run_manifest.json").read_bytes()) for one in (root / "runs_hf").iterdir()}
    runs = sorted(manifests, key=lambda one: manifests[one]["start_time"])  # names of one second have no order
    said = [manifests[one] for one in runs]
    assert [(one["era"]["number"], one["market"]["rows"], one["window"]["start"]) for one in said] == [
        (0, 900, 0), (1, 900, 400), (2, 1_300, 800)
    ]  # fmt: skip
    assert said[0]["market"]["sha256"] == said[1]["market"]["sha256"] != said[2]["market"]["sha256"]
    for one in runs:
        code, out, err = do("replay", str(one))
        assert (code, err) == (ExitCode.DONE, "")
        assert "identical" in out
    assert cli.main(["verify", *map(str, runs)]) == ExitCode.DONE
    assert do("audit")[0] == ExitCode.DONE


@pytest.mark.parametrize("bars", [None, 1_000])
def test_a_judged_run_replays_on_a_market_that_grew(layout: Layout, tmp_path: Path, bars: int | None) -> None:
    """Also where it asked for the market's first bars alone, which every version has."""
    with_snapshot(layout, experiments=1)
    import_bars(part(tmp_path, 0, 1_000), "few", layout.market, clock=SystemClock())
    stage2 = {"windows": [{"name": "V1", "start": 0, "len": 500}], "timeframes_s": [3600], "seeds": [1]}
    run = do_judge(layout, judge(market={"source": "few", "bars": bars}, stage2=stage2))
    add_bars([part(tmp_path, 1_000, 1_300)], "few", layout.market, clock=SystemClock())
    found = replay(run.path, layout, tmp_path / "scratch", clock=SystemClock(), control=Watcher())
    assert [(one.name, one.detail) for one in found.comparisons if not one.same] == []
    assert found.identical


def test_a_gate_that_was_stopped_goes_on_and_replays_on_a_market_that_grew(layout: Layout, tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    import_bars(part(tmp_path, 0, 360), "few", layout.market, clock=SystemClock())
    design = small(market={"source": "few", "bars": None}, ablations=[], fences=[])
    begun = do_gate(layout, design, stop_after=1)
    assert begun.verdict is None
    add_bars([part(tmp_path, 360, 900)], "few", layout.market, clock=SystemClock())
    ended = do_gate(layout, design)
    assert ended.verdict is not None
    assert ended.verdict.market.rows == 360
    assert replay_gate("small", layout, sample=3, seed=1).differing == ()
