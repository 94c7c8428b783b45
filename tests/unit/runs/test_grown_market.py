"""Runs on a market that grew after them: they verify and replay, and the eras that waited for bars go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.market.synthetic import synthetic

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
    runs = sorted((root / "runs_hf").iterdir())
    said = [json.loads((one / "run_manifest.json").read_bytes()) for one in runs]
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
