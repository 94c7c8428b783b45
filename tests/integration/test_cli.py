"""The command line as an operator uses it: what it prints, and with which code it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest

from prometheus.cli import main as cli
from prometheus.cli.operate.retention_command import carry_out
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Stage
from prometheus.v10.evidence.chains.ledger import iter_entries
from prometheus.v10.runs.request.profile import load_profile
from tests.integration.conftest import Tree, small_profile


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Tree:
    """A tree with one run, done by the command itself in a process of its own."""
    tree = Tree(tmp_path_factory.mktemp("cli") / "root")
    tree.write_profile(small_profile(count=3, workers=1))
    ended = subprocess.run(
        [sys.executable, "-m", "prometheus.cli", "run", "--root", str(tree.root)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "verify it: prometheus-quant verify" in ended.stdout
    return tree


@pytest.fixture
def ask(capsys):
    """Run a command line in this process: code, standard output, standard error."""

    def run(*words) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def ask_json(ask):
    def run(*words):
        code, out, err = ask(*words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


# ---- one run ---------------------------------------------------------------------------------------------------------


def test_run_says_everything_a_script_wants(tree, ask_json):
    tree.write_profile(small_profile(count=8, workers=1))
    said = ask_json("run", "--root", tree.root, "--seed", 40, "--experiments", 2)
    assert (said["status"], said["experiments"], said["stop_reason"]) == ("completed", 2, None)
    (run,) = tree.runs()
    assert said["directory"] == str(run)
    assert tree.manifest(run)["seeds"] == [40, 41]
    assert all(invariant["passed"] for invariant in said["invariants"])
    assert said["survival"]["collapses_of_this_run"] == tree.manifest(run)["counts"]["collapses"]
    tree.assert_in_order()


def test_the_same_command_gives_the_same_genomes_and_events(tree, ask_json):
    tree.write_profile(small_profile(count=2, workers=1))
    first, second = (ask_json("run", "--root", tree.root)["run"] for _ in range(2))
    assert first != second
    events = [
        [json.loads(line) for line in (run / "death_events.jsonl").read_text().splitlines()] for run in tree.runs()
    ]
    for event in (event for run in events for event in run):
        del event["run_id"]
    assert events[0] == events[1]
    assert events[0]


def test_a_run_over_an_imported_market(tree, ask, ask_json, data_dir):
    source = data_dir / "spot_btcusd_hourly" / "BTC_USD-Hourly.csv"
    code, out, _ = ask("market", "import", source, "BTC-1h", "--root", tree.root, "--allow-gaps")
    assert code == 0
    assert "imported BTC-1h" in out
    assert [m["name"] for m in ask_json("market", "list", "--root", tree.root)["markets"]] == ["BTC-1h"]
    shown = ask_json("market", "show", "BTC-1h", "--root", tree.root)
    assert shown["figures"]["lowest"] > 0
    code, _, err = ask("market", "import", source, "BTC-1h", "--root", tree.root)
    assert code == 64
    assert "already" in err


def test_no_run_while_stop_exists(tree, ask):
    tree.layout.stop_file.touch()
    code, _, err = ask("run", "--root", tree.root)
    assert code == 64
    assert "STOP exists" in err
    assert tree.runs() == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "--experiments", "0"], 64, "--experiments 0"),
        (["run", "--profile", "NONE"], 78, "no profile 'NONE'"),
        (["run", "--market", "nowhere"], 78, "nowhere"),
        (["run", "--market", "/nowhere.csv"], 78, "/nowhere.csv"),
        (["run", "--instance", "a b"], 64, "cannot name an instance"),
        (["pool", "show"], 64, "there is no pool"),
        (["pool", "export", "x.txt"], 64, "no export to .txt"),
        (["snapshot", "create"], 64, "there is no pool"),
        (["snapshot", "diff", "1", "2"], 64, "there are: none"),
        (["market", "show", "nowhere"], 78, "nowhere"),
        (["ledger", "checkpoint", "--key", "k"], 64, "--key needs --out"),
    ],
)
def test_what_cannot_be_is_one_line_and_a_code(tree, ask, words, code, said):
    found, _, err = ask(*words, "--root", tree.root)
    first, *rest = err.splitlines()
    assert found == code
    assert first.startswith("error: ")
    assert said in first + " ".join(rest)
    assert all(line.startswith("hint: ") for line in rest)


@pytest.mark.parametrize("words", [["nonsense"], ["run", "--bogus"], ["pool", "show", "--limit", "x"], ["verify"]])
def test_a_command_line_that_cannot_be_read_is_64_and_points_to_help(ask, words):
    code, out, err = ask(*words)
    assert (code, out) == (64, "")
    assert err.startswith("error: ")
    assert "hint: prometheus-quant" in err
    assert "--help" in err


# ---- reading what a run left -----------------------------------------------------------------------------------------


def test_verify_and_audit_pass_on_what_was_written(lived, ask, ask_json):
    (run,) = lived.runs()
    assert ask_json("verify", run, lived.layout.pool(Stage.STAGE1), lived.layout.ledger)["exit_code"] == 0
    code, out, _ = ask("audit", "--root", lived.root)
    assert code == 0
    *notes, verdict = out.splitlines()
    assert verdict.startswith("PASS")
    assert [note.partition(" ")[0] for note in notes] == ["NOTE"], "nobody kept a checkpoint of this tree"
    assert ask("pool", "verify", "--root", lived.root)[0] == 0


def test_verify_fails_on_what_was_changed_and_cannot_check_what_is_not_there(tree, ask, ask_json):
    tree.write_profile(small_profile(count=1, workers=1))
    ask_json("run", "--root", tree.root)
    (run,) = tree.runs()
    summary = run / "multiple_experiments_summary.json"
    summary.write_bytes(summary.read_bytes().replace(b"0", b"1", 1))
    code, out, _ = ask("verify", run)
    assert code == 1
    assert "multiple_experiments_summary.json" in out
    assert ask("audit", "--root", tree.root)[0] == 1
    assert ask("verify", tree.root / "nowhere")[0] == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_replay_gives_the_same_bytes(lived, ask_json, workers):
    (run,) = lived.runs()
    said = ask_json("replay", run, "--workers", workers)
    assert said["identical"] is True
    assert {one["name"] for one in said["comparisons"]} >= {"death_events.jsonl", "multiple_experiments_summary.json"}


class InAWeek(SystemClock):
    """The machine's clock, a week on."""

    def now(self):
        return super().now() + timedelta(days=7)


@pytest.mark.parametrize("rule", ["raw_bytes = 0", "compress_days = 1"])
def test_what_retention_took_or_packed_is_no_difference_for_a_replay(tree, ask_json, rule):
    """The ledger has the sha256 of every file that is gone, and the replay makes the same bytes again."""
    tree.write_profile(small_profile(count=1, workers=1, extra=f"[retention]\n{rule}\n"))
    ask_json("run", "--root", tree.root)
    (run,) = tree.runs()
    before = {path.name for path in run.iterdir()}
    profile = load_profile("HF", tree.layout)
    carry_out(tree.layout, profile, InAWeek(), instance="HF", run_id=None, reason=None)
    gone = before - {path.name for path in run.iterdir()}
    assert gone
    said = ask_json("replay", run, "--workers", 1)
    assert said["identical"] is True
    assert gone <= {one["name"] for one in said["comparisons"] if one["same"]}
    explained = {one["name"] for one in said["comparisons"] if one["detail"].startswith("taken since")}
    assert explained == (gone if rule.startswith("raw") else set())


def test_a_replay_of_a_changed_run_differs(tree, ask, ask_json):
    tree.write_profile(small_profile(count=1, workers=1))
    ask_json("run", "--root", tree.root)
    (run,) = tree.runs()
    events = run / "death_events.jsonl"
    events.write_bytes(events.read_bytes().replace(b'"trades":', b'"trades_":').replace(b"quarterly", b"quarterlx"))
    code, out, _ = ask("replay", run)
    assert code == 1
    assert "DIFFERENT" in out


def test_pool_show_sorts_filters_and_limits(lived, ask, ask_json):
    best = ask_json("pool", "show", "--root", lived.root, "--sort", "roi_lifetime", "--limit", 5)["records"]
    rois = [record["roi_lifetime"] for record in best]
    assert len(rois) == 5
    assert rois == sorted(rois, reverse=True)
    worst = ask_json("pool", "show", "--root", lived.root, "--sort", "roi_lifetime", "--ascending", "--limit", 1)
    assert worst["records"][0]["roi_lifetime"] <= rois[-1]
    of_one = ask_json("pool", "show", "--root", lived.root, "--where", "experiment=1", "--limit", 1000)["records"]
    assert {record["experiment"] for record in of_one} == {1}
    newest = ask_json("pool", "show", "--root", lived.root, "--limit", 2)["records"]
    assert newest[0]["n"] == newest[1]["n"] + 1
    code, _, err = ask("pool", "show", "--root", lived.root, "--sort", "beauty")
    assert code == 64
    assert "roi_lifetime" in err
    code, out, _ = ask("pool", "show", "--root", lived.root, "--limit", 3, "--column", "trades")
    assert code == 0
    assert "trades" in out


def test_pool_stats_counts_what_is_there(lived, ask_json):
    said = ask_json("pool", "stats", "--root", lived.root)
    assert said["records"] == lived.pool_bytes().count(b"\n")
    assert said["runs"] == 1
    assert said["figures"]["roi_lifetime"]["count"] == said["records"]


def test_exports_agree_with_the_pool(lived, ask_json, tmp_path):
    records = lived.pool_bytes().count(b"\n")
    for suffix in (".npy", ".jsonl", ".parquet"):
        said = ask_json("pool", "export", tmp_path / f"out{suffix}", "--root", lived.root)
        assert said["records"] == records
    genomes = np.load(tmp_path / "out.npy")
    assert (genomes.shape, genomes.dtype) == ((records, 342), np.float32)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["n"] for row in rows] == list(range(records))
    parquet = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "out.parquet")
    assert parquet.num_rows == records
    assert np.array_equal(np.array(parquet["genome"].to_pylist(), dtype=np.float32), genomes)
    assert parquet["run_id"].to_pylist() == [row["run_id"] for row in rows]


def test_an_export_never_replaces_a_file(lived, ask, tmp_path):
    (tmp_path / "out.npy").write_text("mine")
    assert ask("pool", "export", tmp_path / "out.npy", "--root", lived.root)[0] == 64
    assert (tmp_path / "out.npy").read_text() == "mine"


def test_snapshots_are_made_once_verified_and_compared(tree, ask, ask_json):
    tree.write_profile(small_profile(count=1, workers=1))
    ids = []
    for _ in range(2):
        ask_json("run", "--root", tree.root)
        ids.append(ask_json("snapshot", "create", "--root", tree.root)["id"])
    assert ask_json("snapshot", "create", "--root", tree.root)["already_there"] is True
    listed = ask_json("snapshot", "list", "--root", tree.root)["snapshots"]
    assert [s["id"] for s in listed] == ids
    diff = ask_json("snapshot", "diff", ids[1][:12], ids[0], "--root", tree.root)
    assert diff["added"] == listed[1]["count"] - listed[0]["count"]
    assert ask("snapshot", "verify", "--root", tree.root)[0] == 0
    assert ask("snapshot", "verify", ids[0], "--root", tree.root)[0] == 0
    assert ask("audit", "--root", tree.root)[0] == 0
    assert [e.type for e in iter_entries(tree.layout.ledger)] == [
        "installation",
        *["run_started", "run_sealed", "snapshot"] * 2,
    ]


def test_a_signed_checkpoint_binds_later_ledgers(tree, ask, ask_json, tmp_path):
    tree.write_profile(small_profile(count=1, workers=1))
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", key], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"me {key.with_suffix('.pub').read_text()}")
    ask_json("run", "--root", tree.root)
    kept = tmp_path / "monday"
    taken = ask_json("ledger", "checkpoint", "--root", tree.root, "--out", kept, "--key", key)
    assert taken["size"] == 3
    ask_json("run", "--root", tree.root)
    signed = ("--signature", taken["signature"], "--allowed-signers", signers, "--identity", "me")
    assert ask_json("ledger", "check", kept, "--root", tree.root, *signed)["entries_since"] == 2
    assert ask("ledger", "checkpoint", "--root", tree.root, "--out", kept)[0] == 64
    lines = tree.layout.ledger.read_bytes().splitlines(keepends=True)
    tree.layout.ledger.write_bytes(lines[0][:-3] + b'x"\n' + b"".join(lines[1:]))
    code, _, err = ask("ledger", "check", kept, "--root", tree.root)
    assert code == 65
    assert "byte 0" in err
    assert len(lines) == 5


def test_ledger_show_lists_the_last_entries(lived, ask_json):
    entries = ask_json("ledger", "show", "--root", lived.root)["entries"]
    assert [entry["type"] for entry in entries] == ["installation", "run_started", "run_sealed"]


# ---- the rest --------------------------------------------------------------------------------------------------------


def test_the_fences_carry_the_hash_of_the_manifests(lived, ask_json):
    (run,) = lived.runs()
    said = ask_json("fences")
    assert said["fence_inventory_hash"] == lived.manifest(run)["fence_inventory_hash"]
    assert {fence["id"] for fence in said["fences"]} > {"FENCE_CORE_LIQUIDATION"}


def test_the_core_is_the_locked_one(lived, ask_json):
    (run,) = lived.runs()
    assert ask_json("core", "check")["core_hash"] == lived.manifest(run)["core_hash"]


def test_every_command_has_help_with_what_it_does(ask, capsys):
    import typer.main

    def walk(command, words):
        for name, inner in getattr(command, "commands", {}).items():
            yield [*words, name], inner
            yield from walk(inner, [*words, name])

    found = list(walk(typer.main.get_command(cli.whole()), []))
    assert len(found) > 20
    for words, command in found:
        assert command.help, words
        code, out, _ = ask(*words, "--help")
        assert code == 0
        assert "Usage: prometheus-quant" in out


def test_completion_is_on(ask):
    _, out, _ = ask("--help")
    assert "--install-completion" in out


def test_the_version_is_the_packages(ask):
    from prometheus import __version__

    assert ask("--version") == (0, f"prometheus-quant {__version__}\n", "")
