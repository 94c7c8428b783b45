"""What commands give to scripts: every ``--json`` against its shipped schema, ``--csv``, and no file in a sealed place.

The schemas lie in ``prometheus/cli/outputs/``, one a command. Those of commands that can be tried here are made from
what the commands print (``PQ_WRITE_OUTPUTS=1 .venv/bin/pytest tests/integration/test_outputs.py``).
The others (a gate, releases of a host, the lock of the core) are written by hand.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prometheus.cli import main as cli
from prometheus.cli.completing import TABLE
from prometheus.v10.base.modes import Stage
from prometheus.v10.evidence.schemas.schema_file import SUFFIX, compiled
from tests.integration.conftest import Tree, small_profile
from tests.integration.output_schemas import schema_of
from tests.unit.market.download.history_house import House
from tests.unit.market.download.history_house import history as history_of

OUTPUTS = Path(cli.__file__).with_name("outputs")
BY_HAND = {
    "gate", "gate_planted", "gate_replay", "release_load", "release_use", "release_rollback", "core_lock", "index_push",
    "promote", "replay", "error",
    "founding_planted", "founding_compare", "ledger_witness", "venue_serve", "venue_journal_verify", "demo",
    "notify_send", "notify_test", "execution_align", "execution_state", "execution_release",
    "execution_ladder", "execution_judge",
}  # fmt: skip
"""Commands that are too long for here, need a host or another server, or change what is shared."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Tree:
    """An installation with two runs, a snapshot, a market and an index."""
    tree = Tree(tmp_path_factory.mktemp("outputs") / "root")
    tree.write_profile(small_profile(count=3, workers=1))
    for seed in ("1", "9"):
        assert cli.main(["run", "--root", str(tree.root), "--seed", seed, "--json"]) == 0
    return tree


@pytest.fixture
def history() -> Iterator[House]:
    """A server with bars of four hours, of which one is missing and none was before the last day of the year."""
    bars = history_of("2024-12-31", "2025-01-02", 14_400)
    made = House(bars[bars.t != bars.t.iloc[8]])
    yield made
    made.close()


@pytest.fixture
def ask(capsys):
    def run(*words: object) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


BARS, LATER = (
    "time,open,high,low,close,volume\n"
    + "".join(
        f"{1704067200 + 300 * n},{100 + n % 7},{102 + n % 7},{99 + n % 7},{101 + n % 7},{1 + n % 3}\n" for n in rows
    )
    for rows in (range(50), range(40, 60))
)


def tried(tree: Tree, place: Path, history: House) -> list[list[object]]:
    """Every command that can be tried here, with and without things found."""
    (place / "bars.csv").write_text(BARS)
    (place / "later.csv").write_text(LATER)
    run, other = "latest", "latest~1"
    fetched = ["market", "download", "okx", "BTC-USDT-SWAP", "4h", "--from", "2025-01-01", "--to", "2025-01-02",
               "--allow-gaps", "--address", history.base]  # fmt: skip
    here: list[list[object]] = [
        ["run", "--experiments", 1],
        ["report", run],
        ["report", run, other],
        ["report", run, "--svg", place / "a.svg"],
        ["progress"],
        ["kpi"],
        ["verify", run],
        ["verify", place / "nothing"],
        ["incident", run, "--label", "x"],
        ["status"],
        ["doctor"],
        ["audit"],
        ["pool", "show", "--limit", 3],
        ["pool", "verify"],
        ["pool", "stats"],
        ["pool", "export", place / "g.npy"],
        ["pool", "best", "--limit", 3],
        ["genome", "show", 0],
        ["genome", "find", "0000"],
        ["market", "list"],
        ["market", "import", place / "bars.csv", "BARS", "--symbol", "BTC-USDT"],
        ["market", "list"],
        ["market", "add", "BARS", place / "bars.csv"],
        ["market", "add", "BARS", place / "later.csv"],
        ["market", "show", "BARS"],
        [*fetched, "--funding"],
        [*fetched],
        [*fetched, "--from", "2024-12-30"],
        ["profile", "check", "HF"],
        ["snapshot", "list"],
        ["snapshot", "verify"],
        ["snapshot", "create"],
        ["snapshot", "list"],
        ["snapshot", "verify"],
        ["run"],
        ["snapshot", "create"],
        ["snapshot", "diff", "latest", "latest"],
        ["ledger", "show"],
        ["ledger", "checkpoint", "--out", place / "c"],
        ["ledger", "check", place / "c"],
        ["retention", "--dry-run"],
        ["retention", "--apply"],
        ["retention", "restore", run],
        ["release", "list"],
        ["runs", "list"],
        ["runs", "show", run],
        ["runs", "diff", other, run],
        *(["runs", "diff", other, run, "--html", place / "diff.html", *more] for more in ([], ["--check"])),
        ["index", "check"],
        ["index", "ask"],
        ["index", "ask", "collapses"],
        ["index", "build"],
        ["index", "ask", "runs_since_entry", "0"],
        ["index", "build"],
        ["index", "check"],
        ["runs", "list", "--where", "deaths<0"],
        ["runs", "list"],
        ["pool", "best", "--limit", 3],
        ["kpi"],
        ["genome", "find", "0000"],
        ["stop", "--wait", 0, "--reason", "a test"],
        ["status"],
        ["clear-stop"],
        ["clear-stop"],
        ["phylogeny", run, "--out", place / "p.csv"],
        ["site", "where", "--out", place / "site"],
        ["site", "build", "--out", place / "site"],
        *(["site", "page", run, "--out", place / "page.html", *more] for more in ([], ["--check"])),
        *(["report", run, "--html", place / "run.html", *more] for more in ([], ["--check"])),
        ["watch", "--once"],
        ["metrics"],
        ["metrics", "--out", place / "x.prom"],
    ]
    return [[*words, "--root", tree.root] for words in here] + [
        ["fences"], ["core", "check"], ["venue", "faults"], ["execution", "log"]
    ]  # fmt: skip


def name_of(words: list[object]) -> str:
    table: Any = json.loads(TABLE.read_text())
    path = []
    for word in words:
        if str(word) not in table.get("commands", {}):
            break
        table = table["commands"][str(word)]
        path.append(str(word))
    return "_".join(path).replace("-", "_")


# ---- schemas ---------------------------------------------------------------------------------------------------------


def shipped(name: str) -> dict[str, Any]:
    return json.loads((OUTPUTS / f"{name}{SUFFIX}").read_text())


def test_every_json_is_as_its_shipped_schema_says(lived, ask, tmp_path, history):
    found: dict[str, list[Any]] = {}
    for words in tried(lived, tmp_path, history):
        code, out, err = ask(*words, "--json")
        assert (err, out != "") == ("", True), (words, code, err)
        said = json.loads(out)
        name = name_of(words)
        assert said["schema"] == f"{name}/1", words
        found.setdefault(name, []).append(said)
    if os.environ.get("PQ_WRITE_OUTPUTS"):
        for name, values in found.items():
            (OUTPUTS / f"{name}{SUFFIX}").write_text(schema_of(name, values))
    for name, values in found.items():
        schema = compiled(name, shipped(name))
        assert [what for value in values for what in schema.wrong(value)] == [], name
    assert set(found) | BY_HAND == with_json() | {"error"}


def with_json() -> set[str]:
    """Every command that knows ``--json``."""
    found = set()

    def walk(node: Any, path: tuple[str, ...]) -> None:
        if "--json" in node.get("options", {}):
            found.add("_".join(path).replace("-", "_"))
        for name, inner in node.get("commands", {}).items():
            walk(inner, (*path, name))

    walk(json.loads(TABLE.read_text()), ())
    return found


@pytest.mark.parametrize("place", sorted(OUTPUTS.glob(f"*{SUFFIX}")), ids=lambda place: place.name)
def test_a_shipped_schema_is_one_that_is_understood_and_has_its_command(place):
    name = place.name.removesuffix(SUFFIX)
    schema = json.loads(place.read_text())
    compiled(name, schema)
    assert schema["$id"] == f"{name}/1"
    assert name in with_json() | {"error"}
    assert schema["properties"]["schema"]["const"] == f"{name}/1"
    assert {"schema"} <= set(schema["required"])


def test_replay_promote_and_an_error_are_as_their_schemas_say(lived, ask):
    (lived.root.parent / "witness").mkdir()
    for words, name in (
        (["replay", "latest", "--workers", 1, "--root", lived.root], "replay"),
        (["promote", "--top-k", 1, "--queue", "--root", lived.root], "promote"),
        (["ledger", "witness", "--to", lived.root.parent / "witness", "--root", lived.root], "ledger_witness"),
    ):
        code, out, err = ask(*words, "--json")
        assert code == 0, err
        assert compiled(name, shipped(name)).wrong(json.loads(out)) == []
    code, out, err = ask("report", "nope", "--root", lived.root, "--json")
    assert (code, out) == (64, "")
    assert compiled("error", shipped("error")).wrong(json.loads(err)) == []


# ---- tables as CSV ---------------------------------------------------------------------------------------------------

TABLES = [
    ["runs", "list"], ["runs", "diff", "latest~1", "latest"], ["report", "latest"], ["pool", "show"], ["pool", "best"],
    ["genome", "find", "0000"], ["ledger", "show"], ["status"], ["doctor"], ["kpi"], ["fences"],
]  # fmt: skip


@pytest.mark.parametrize("words", TABLES, ids=" ".join)
def test_a_table_as_csv_has_a_header_and_rows_of_its_width(lived, ask, words):
    root = [] if words == ["fences"] else ["--root", lived.root]
    code, out, err = ask(*words, *root, "--csv")
    assert (code in {0, 1, 2}, err) == (True, "")
    header, *rows = list(csv.reader(io.StringIO(out)))
    assert len(header) > 1 or words[0] == "genome"
    assert {len(row) for row in rows} <= {len(header)}
    assert rows or words[0] in {"genome", "kpi"}


# ---- widths ----------------------------------------------------------------------------------------------------------


VIEWS = [*TABLES, ["runs", "show", "latest"], ["pool", "stats"], ["market", "list"], ["progress"], ["release", "list"]]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_every_view_keeps_to_the_width_that_is_said(lived, ask, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for words in VIEWS:
        out = ask(*words, *([] if words == ["fences"] else ["--root", lived.root]))[1]
        assert "…" not in out
        tables = [line for line in out.splitlines() if "─" in line]
        assert [line for line in tables if len(line) > width] == [], words


@pytest.mark.parametrize("term", ["dumb", "xterm", ""])
def test_a_pipe_is_200_columns_wide_whatever_the_terminal_is(lived, term):
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "TERM"}}
    said = subprocess.run(
        [sys.executable, "-m", "prometheus.cli", "runs", "list", "--root", str(lived.root)],
        env={**kept, "TERM": term}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "not shown:" not in said
    assert "started" in said.splitlines()[1]


def test_a_terminal_has_its_own_width_and_sixteen_colours(lived):
    """A pseudo-terminal of 80 columns, and what NO_COLOR and TERM=dumb do there."""
    program = (
        "import os, pty, sys, fcntl, struct, termios\n"
        "pid, fd = pty.fork()\n"
        "if pid == 0:\n"
        "    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))\n"
        "    os.execv(sys.executable, [sys.executable, '-m', 'prometheus.cli', *sys.argv[1:]])\n"
        "out = b''\n"
        "while True:\n"
        "    try: block = os.read(fd, 65536)\n"
        "    except OSError: break\n"
        "    if not block: break\n"
        "    out += block\n"
        "os.waitpid(pid, 0); sys.stdout.buffer.write(out)\n"
    )

    def said(**environ: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR", "TERM"}}
        ended = subprocess.run(
            [sys.executable, "-c", program, "runs", "list", "--root", str(lived.root)],
            env={**kept, **environ}, capture_output=True, check=True,
        )  # fmt: skip
        return ended.stdout.decode()

    coloured = said(TERM="xterm-256color", COLORTERM="truecolor")
    assert "\x1b[32mcompleted" in coloured
    assert "38;" not in coloured
    for environ in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = said(**environ)
        assert "\x1b[3" not in plain
        assert "completed" in plain
        assert max(map(len, plain.replace("\r", "").splitlines())) <= 80


# ---- no output in a sealed place -------------------------------------------------------------------------------------

WRITERS = [
    (["report", "latest", "--svg"], "x.svg"),
    (["genome", "show", "0", "--plot"], "x.svg"),
    (["pool", "export"], "x.npy"),
    (["ledger", "checkpoint", "--out"], "x.checkpoint"),
    (["kpi", "--plot"], "x.png"),
    (["progress", "--plot"], "x.png"),
    (["ledger", "witness", "--to"], "witness"),
    (["report", "latest", "--html"], "x.html"),
    (["phylogeny", "latest", "--out"], "x.csv"),
    (["site", "build", "--out"], "site"),
    (["site", "page", "latest", "--out"], "x.html"),
    (["venue", "serve", "--journal"], "x.jsonl"),
    (["venue", "serve", "--admin"], "x.socket"),
]


@pytest.mark.parametrize(("words", "name"), WRITERS, ids=[" ".join(words) for words, _ in WRITERS])
def test_no_option_that_writes_gets_into_a_sealed_place(lived, ask, monkeypatch, words, name):
    run = max(lived.runs(), key=lambda place: place.name)
    before = sorted(run.parent.parent.rglob("*"))
    for place in (
        run,
        lived.layout.pool(Stage.STAGE1).parent,
        lived.layout.state,
        lived.layout.market,
        lived.layout.etc,
    ):
        place.mkdir(exist_ok=True)
        before = sorted(lived.root.rglob("*"))
        code, out, err = ask(*words, place / name, "--root", lived.root)
        assert (code, out) == (64, ""), (place, out, err)
        assert "would lie in" in err
        assert sorted(lived.root.rglob("*")) == before
    monkeypatch.chdir(run)
    assert ask(*words, name, "--root", lived.root)[0] == 64
    assert sorted(lived.root.rglob("*")) == before
    assert ask("verify", run)[0] == 0


def test_two_runs_are_told_apart_by_more_than_their_arm(lived, ask, tmp_path):
    first, second = sorted(lived.runs(), key=lambda place: place.name)[:2]
    code, out, _ = ask("report", first, second, "--svg", tmp_path / "both.svg")
    assert code == 0
    drawn = (tmp_path / "both.svg").read_text()
    for run in (first, second):
        assert f"A_real {run.name[-4:]}: median" in drawn
        assert f"A_real {run.name[-4:]}" in out.replace("\n", " ")
    code, out, _ = ask("runs", "diff", first, second, "--root", lived.root)
    assert "different seeds" in out or "different config" in out


# ---- words of a person -----------------------------------------------------------------------------------------------


def test_returns_are_percentages_and_reasons_are_words(lived, ask):
    out = ask("report", "latest", "--root", lived.root)[1]
    line = next(line for line in out.splitlines() if line.strip().startswith("system ROI"))
    assert line.count(" %") == 6
    assert "quarterly_review" not in out
    assert "review" in out
    shown = ask("runs", "show", "latest", "--root", lived.root)[1]
    assert shown.splitlines()[0].endswith("%)")
    assert "quarterly_review" not in shown


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (74_667_331_584, "69.5 GiB"), (42_949_672_960, "40.0 GiB"),
     (5 * 1024**5, "5,120.0 TiB")],
)  # fmt: skip
def test_bytes_have_one_rule(number, said):
    from prometheus.v10.ops.storage.sizes import sized

    assert sized(number) == said


def test_a_pulled_switch_says_how_it_is_released_and_what_starts_again(tree, ask):
    assert ask("stop", "--wait", 0, "--root", tree.root)[0] == 0
    code, _, err = ask("run", "--root", tree.root)
    assert (code, "prometheus-quant clear-stop" in err) == (64, True)
    code, out, _ = ask("clear-stop", "--root", tree.root)
    assert (code, "systemctl" in out, "prometheus-quant run starts a run" in out) == (0, False, True)


def test_shipped_profiles_are_no_fault_of_a_tree_without_its_own(tree, ask):
    for place in tree.layout.profiles.iterdir():
        place.unlink()
    findings = json.loads(ask("doctor", "--root", tree.root, "--json")[1])["findings"]
    (found,) = [one for one in findings if one["check"] == "profiles"]
    assert (found["level"], "the shipped ones are used" in found["what"]) == ("ok", True)
