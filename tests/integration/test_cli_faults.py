"""What an operator may mistype: the code says whose fault it is, the line says what to do, nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prometheus.cli import main as cli
from prometheus.cli.in_image import refuse_unseen_files
from prometheus.v10.base.errors import ConfigError, ExitCode
from prometheus.v10.base.paths import Layout

TINY = """mode = "offline"
{top}
[market]
bars = 400
{market}
[experiments]
count = 1
{experiments}
[world]
founders = 8
review_ticks = 100
{world}
"""


def profile(place: Path, mark: bytes = b"", **tables: str) -> Path:
    path = place / "p.toml"
    text = TINY.format(**{"top": "", "market": "", "experiments": "", "world": "", **tables})
    for said in (line for table in tables.values() for line in table.splitlines()):
        key = said.partition("=")[0].strip()
        kept = [line for line in text.splitlines() if line == said or line.partition("=")[0].strip() != key]
        text = "\n".join(kept) if text.count(f"\n{key} =") > 1 else text
    path.write_bytes(mark + text.encode())
    return path


@pytest.fixture
def ask(capsys):
    def run(*words: object) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


BAD = [
    ("world", "impact = -5", "impact"),
    ("world", "leverage_cap = 200.0", "leverage_cap"),
    ("world", "taker_fee = -0.1", "taker_fee"),
    ("world", "spread_volatility = -50.0", "spread_volatility"),
    ("world", "long_only = 1", "long_only"),
    ("world", "death_roi = nan", "death_roi"),
    ("world", "tick_size = inf", "tick_size"),
    ("world", "entry_m7_below = -inf", "entry_m7_below"),
    ("world", "founders = 100000000000", "founders"),
    ("world", "review_ticks = 9223372036854775808", "review_ticks"),
    ("world", "tick_size = 5000.0", "tick_size"),
    ("experiments", "count = 99999999999", "count"),
    ("experiments", "seed = 18446744073709551615", "seed"),
    ("market", "bars = 10000000000000", "bars"),
    ("market", "start = 253402300800", "start"),
    ("market", "timeframe_s = 100000000000000000000", "timeframe_s"),
    ("market", "start = 7258118000", "2200"),
    ("top", "workers = 99999999999999999999", "workers"),
]


@pytest.mark.parametrize(("table", "line", "word"), BAD)
def test_a_number_out_of_range_ends_with_78_before_there_is_a_run(ask, tmp_path: Path, table, line, word) -> None:
    path = profile(tmp_path, **{table: line})
    code, _, err = ask("run", "--root", tmp_path / "root", "--profile", path)
    assert (code, word in err, "Traceback" in err) == (78, True, False), err
    assert not list((tmp_path / "root").glob("runs_hf/*"))
    assert ask("profile", "check", path, "--root", tmp_path / "root")[0] == 78


def test_too_much_work_is_refused_though_each_number_is_in_range(ask, tmp_path: Path) -> None:
    path = profile(tmp_path, world="founders = 100000", market="bars = 5000000", experiments="count = 1000000")
    code, _, err = ask("run", "--root", tmp_path / "root", "--profile", path)
    assert (code, "founders x bars x experiments" in err) == (78, True), err


@pytest.mark.parametrize("off", ["inf", '"off"'])
def test_a_fence_that_is_off_may_be_written_down_and_a_byte_order_mark_is_no_fault(ask, tmp_path: Path, off) -> None:
    path = profile(tmp_path, b"\xef\xbb\xbf", world=f"entry_m7_below = {off}\nexit_c4_above = {off}")
    assert ask("profile", "check", path, "--root", tmp_path / "root")[0] == 0
    assert not (tmp_path / "root").exists()
    code, _, err = ask("run", "--root", tmp_path / "root", "--profile", path)
    assert code == 0, err
    (run,) = (tmp_path / "root" / "runs_hf").iterdir()
    assert ask("verify", run)[0] == 0


def test_numbers_of_the_command_line_have_ranges_as_well(ask, tmp_path: Path) -> None:
    path = profile(tmp_path)
    for words in (("--seed", "9" * 26), ("--experiments", "9" * 12), ("--workers", "9" * 12)):
        code, _, err = ask("run", "--root", tmp_path / "root", "--profile", path, *words)
        assert (code, words[0][2:5] in err) == (64, True), err


@pytest.mark.parametrize("name", ["stops.jsonl", "ledger.jsonl", "ledger.lock", "promotions", "releases", "Releases"])
def test_an_instance_is_not_named_like_what_lies_beside_it(ask, tmp_path: Path, name: str) -> None:
    code, _, err = ask("run", "--root", tmp_path / "root", "--profile", profile(tmp_path), "--instance", name)
    assert (code, "cannot name an instance" in err) == (64, True), err


def test_a_root_is_a_directory_and_is_said(ask, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for root in ("", " ", "file"):
        code, _, err = ask("market", "list", "--root", root)
        assert (code, "--root" in err) == (64, True), err
    assert sorted(place.name for place in tmp_path.iterdir()) == ["file"]


def bars(place: Path, price: float, name: str = "coin.csv") -> Path:
    rows = [f"{1709251200 + k * 3600},{price},{price},{price},{price},1000" for k in range(200)]
    path = place / name
    path.write_text("\n".join(["unix,open,high,low,close,volume", *rows, ""]))
    return path


def test_a_market_whose_price_is_a_few_ticks_is_refused_with_a_way_forward(ask, tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert ask("market", "import", bars(tmp_path, 0.4), "doge", "--root", root, "--symbol", "DOGE/USDT")[0] == 0
    path = profile(tmp_path)
    text = path.read_text().replace("bars = 400", 'source = "doge"')
    path.write_text(text)
    code, _, err = ask("run", "--root", root, "--profile", path)
    assert (code, "tick_size" in err, "contract_btc" in err) == (78, True, True), err
    path.write_text(text.replace("[world]", "[world]\ntick_size = 0.00001\ncontract_btc = 1000.0"))
    code, _, err = ask("run", "--root", root, "--profile", path)
    assert code == 0, err


def test_a_market_file_without_a_symbol_says_where_to_name_it(ask, tmp_path: Path) -> None:
    code, _, err = ask("run", "--root", tmp_path / "root", "--market", bars(tmp_path, 60000.0))
    assert (code, "market import" in err, "[market] symbol" in err) == (78, True, True), err


def test_a_file_name_that_is_no_text_does_not_poison_the_library(tmp_path: Path) -> None:
    odd = os.fsencode(bars(tmp_path, 60000.0)).replace(b"coin", b"kurs\xff")
    (tmp_path / "coin.csv").rename(os.fsdecode(odd))
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    root = str(tmp_path / "root")
    for words in (["import", odd, "x", "--symbol", "A"], ["list"], ["show", "x"]):
        line = [sys.executable, "-m", "prometheus.cli", "market", *words, "--root", root]
        ended = subprocess.run(line, capture_output=True, check=False, timeout=120, env=strict)
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert b"kurs" in ended.stdout


def test_the_name_of_a_market_is_shown_however_narrow_the_terminal_is(tmp_path: Path) -> None:
    root, name = tmp_path / "root", "SYNTHETIC-LIKE"
    assert cli.main(["market", "import", str(bars(tmp_path, 60000.0)), name, "--root", str(root), "--symbol", "A"]) == 0
    from io import StringIO

    from rich.console import Console

    from prometheus.cli.research.market_command import list_all

    for width in (40, 60, 80):
        out = StringIO()
        console = Console(file=out, width=width)
        for part in list_all(Layout.under(root)).shown:
            console.print(part)
        assert name in out.getvalue(), width


def test_a_file_that_the_image_cannot_see_is_named_before_the_image_is_asked(tmp_path: Path) -> None:
    layout = Layout.under(tmp_path / "root")
    layout.lib.mkdir()
    outside, inside = bars(tmp_path, 1.0), bars(layout.lib, 1.0)
    (layout.lib / "link.csv").symlink_to(outside)
    for words in (["import", str(outside), "x"], ["import", str(layout.lib / "link.csv"), "x"],
                  ["import", str(inside), "x", f"--funding={outside}"]):  # fmt: skip
        with pytest.raises(ConfigError, match="sees only files below"):
            refuse_unseen_files(layout, words)
    refuse_unseen_files(layout, ["import", str(inside), "x", "--symbol", "BTC/USDT"])


LIQUIDATED = """
mode = "offline"
workers = 1
[market]
timeframe_s = 14400
seed = 0
bars = 300
[window]
name = "W"
start = 20
len = 12
[experiments]
count = 1
seed = 0
[world]
founders = 2
leverage_cap = 80.0
maintenance_margin = 0.012
death_roi = -0.05
breed_roi = 0.01
review_ticks = 100
"""


def test_a_run_that_failed_is_part_of_the_history(tmp_path, capsys):
    """A fence whose rate nothing explains: the run is sealed as failed, the survival curve has it, the audit passes."""
    (profile := tmp_path / "L.toml").write_text(LIQUIDATED)
    root = ["--root", str(tmp_path / "root")]
    assert cli.main(["run", "--profile", str(profile), *root]) == ExitCode.EVIDENCE_DAMAGED
    assert "nothing explains it" in capsys.readouterr().err
    assert cli.main(["audit", *root]) == ExitCode.DONE, capsys.readouterr().out
