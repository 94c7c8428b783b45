"""TAB: names on the disk, commands and options, as bash, zsh and fish ask for them, without an import that costs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prometheus.cli.completing import MOST, READERS, answer, fitting
from prometheus.v10.base.modes import Stage

RUNS = ["HF_20260101T000000Z_1a2b3c4_0aaa", "PROMOTE_20260102T000000Z_1a2b3c4_0bbb", "HF_20260103T000000Z_1a2b3c4_0ccc"]
KEY = "_PROMETHEUS_QUANT_COMPLETE"
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def house(layout, put):
    for run in RUNS:
        put(run)
    (layout.market / "BTC-1h").mkdir(parents=True)
    (layout.market / "BTC-1h" / "market.json").touch()
    (layout.market / "half").mkdir()
    (layout.profiles / "MINE.toml").touch()
    (layout.state / "local").mkdir()
    (layout.state / "ledger.jsonl").touch()
    (layout.snapshots(Stage.STAGE1) / "snapshot_000000000120-abcd1234.jsonl").touch()
    return layout


def values(*words: str, begun: str = "") -> list[str]:
    return [value for value, _ in fitting(words, begun)]


@pytest.mark.parametrize(
    ("words", "begun", "found"),
    [
        (["runs", "show"], "", [*sorted(RUNS, key=lambda run: run.split("_")[1], reverse=True), "latest"]),
        (["report"], "PRO", [RUNS[1]]),
        (["report", RUNS[0]], "HF", [RUNS[2], RUNS[0]]),
        (["verify", "a", "b"], "lat", ["latest"]),
        (["replay"], "HF_20260103", [RUNS[2]]),
        (["incident"], "PRO", [RUNS[1]]),
        (["retention", "restore"], "PRO", [RUNS[1]]),
        (["retention", "--run"], "PRO", [RUNS[1]]),
        (["run", "--profile"], "M", ["MINE"]),
        (["run", "--profile"], "BTC_1H_B", ["BTC_1H_B2"]),
        (["run", "--market"], "", ["BTC-1h"]),
        (["market", "show"], "", ["BTC-1h"]),
        (["profile", "check"], "MI", ["MINE"]),
        (["kpi"], "", ["MINE", "local"]),
        (["stop", "--instance"], "lo", ["local"]),
        (["snapshot", "verify"], "", ["000000000120-abcd1234"]),
        (["snapshot", "diff"], "0000", ["000000000120-abcd1234"]),
        (["pool", "show", "--stage"], "", ["stage1", "stage2"]),
        (["gate", "--config"], "BTC", ["BTC_1H"]),
        (["pool", "show", "--limit"], "", []),
        (["market", "import"], "", []),
    ],
)
def test_names_are_those_on_the_disk(house, words, begun, found):
    assert (
        values(*words, "--root", str(house.lib), begun=begun) == found
        or values(words[0], "--root", str(house.lib), *words[1:], begun=begun) == found
    )


def test_commands_and_options():
    assert values(begun="ru") == ["run", "runs"]
    assert values("pool", begun="") == ["best", "export", "show", "stats", "verify"]
    assert values("pool", "show", begun="--s") == ["--sort", "--stage"]
    assert "--csv" in values("runs", "list", begun="--")
    assert values("nonsense", "x") == values()
    assert [value for value, _ in fitting([], "", ["status", "pool"])] == ["pool", "status"]


def test_a_large_tree_offers_the_newest_and_no_more(layout):
    for n in range(MOST + 50):
        (layout.lib / "runs_hf" / f"HF_20260101T{n // 3600:02d}{n // 60 % 60:02d}{n % 60:02d}Z_1a2b3c4_{n:04x}").mkdir()
    found = values("runs", "show", "--root", str(layout.lib))
    assert len(found) == MOST
    assert found[0].endswith(f"_{MOST + 49:04x}")


@pytest.mark.parametrize("kind", READERS)
def test_a_tree_that_is_not_there_has_no_names_and_is_no_fault(tmp_path, kind):
    from prometheus.v10.base.paths import Layout

    assert [name for name in READERS[kind](Layout.under(tmp_path / "nowhere")) if "/" in name] == []


@pytest.mark.parametrize(
    ("environ", "out"),
    [
        ({KEY: "complete_bash", "COMP_WORDS": "prometheus-quant pool sh", "COMP_CWORD": "2"}, "show"),
        ({KEY: "complete_bash", "COMP_WORDS": "prometheus-quant 'unclosed", "COMP_CWORD": "1"}, ""),
        ({KEY: "complete_zsh", "_TYPER_COMPLETE_ARGS": "prometheus-quant nothing-like-it"}, "_files"),
        (
            {KEY: "complete_fish", "_TYPER_COMPLETE_ARGS": "prometheus-quant pool sta"},
            "stats\tPrint counts and figures of a whole pool.",
        ),
    ],
)
def test_each_shell_gets_what_it_asks_for(capsys, environ, out):
    assert answer(environ) == 0
    assert capsys.readouterr().out == out


def test_zsh_gets_one_quoted_word_a_value(capsys):
    answer({KEY: "complete_zsh", "_TYPER_COMPLETE_ARGS": "prometheus-quant pool "})
    out = capsys.readouterr().out
    assert out.startswith('_arguments \'*: :(("best":"')
    assert "'" not in out[len("_arguments '") : -1].replace("''", "")


COUNT = """
import os, sys
words = "prometheus-quant report --root " + sys.argv[1] + " "
os.environ.update(_PROMETHEUS_QUANT_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="4")
sys.path.insert(0, sys.argv[2])
from prometheus.entry import main
code = main()
costly = {"typer", "rich", "numpy", "numba", "attr", "cattrs", "sqlite3", "orjson"}
print("|", code, sorted(costly & {name.partition(".")[0] for name in sys.modules}))
"""


def test_a_tab_loads_nothing_that_takes_time(house):
    ended = subprocess.run(
        [sys.executable, "-I", "-c", COUNT, str(house.lib), str(REPOSITORY)], capture_output=True, text=True, check=True
    )
    *names, counted = ended.stdout.replace("|", "\n|").splitlines()
    assert counted == "| 0 []"
    assert set(RUNS) <= {name for line in names for name in line.split()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash is here")
def test_bash_itself_completes_a_run(house, tmp_path):
    """The script that `--show-completion` gives, in a real bash, asking the real command."""
    command = Path(sys.executable).with_name("prometheus-quant")
    if not command.exists():
        pytest.skip("the console script is not installed")
    environ = {
        "PATH": f"{command.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        KEY: "source_bash",
    }
    script = subprocess.run([command], env=environ, capture_output=True, text=True, check=True).stdout
    asking = (
        f"{script}\nCOMP_WORDS=(prometheus-quant runs show --root {house.lib} PRO); COMP_CWORD=5\n"
        "_prometheus_quant_completion prometheus-quant PRO; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    del environ[KEY]
    ended = subprocess.run(["bash", "--norc", "-c", asking], env=environ, capture_output=True, text=True, check=False)
    assert ended.stdout.split() == [RUNS[1]], ended.stderr


def test_the_table_is_small_and_plain():
    table = json.loads((REPOSITORY / "prometheus/cli/completions.json").read_text())
    assert set(table["commands"]) > {"runs", "index", "pool"}
    assert (REPOSITORY / "prometheus/cli/completions.json").stat().st_size < 60_000
