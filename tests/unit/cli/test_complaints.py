"""What people mistype: one clear line, the right code, and a suggestion where it helps; never one that acts."""

from __future__ import annotations

import json

import pytest

from prometheus.cli.commands import COMMANDS
from prometheus.cli.complaints import ACTING

MISTAKES = [
    ("rport X", 64, "there is no command 'rport'", "did you mean 'prometheus-quant report'?"),
    ("report", 64, "report needs the argument RUN", "report --help"),
    ("report HF_20260101T000000Z_1a2b3c4_0aaa", 64, "no run HF_20260101", "there are no runs yet"),
    ("report {root}/runs_hf", 64, "there is no run at", "runs list"),
    ("report x --html2 y", 64, "there is no option --html2", "--help"),
    ("report x --svgg y", 64, "there is no option --svgg", "did you mean --svg?"),
    ("replay nope", 64, "no run nope", "there are no runs yet"),
    ("incident x", 64, "incident needs the option --label", "Short name of the incident"),
    ("incident {root} --label x", 64, "there is no run at", "runs list"),
    ("run --profile hf", 78, "no profile 'hf'", "did you mean HF?"),
    ("run --profile NOPE", 78, "no profile 'NOPE'", "there are: AUDIT"),
    ("run --profile BTC_1H", 78, "no such market", "market"),
    ("run --experiments -3", 64, "--experiments -3: expected at least 1", None),
    ("run --seed abc", 64, "--seed abc: expected a whole number", "run --help"),
    ("run --seed=abc", 64, "--seed abc: expected a whole number", "run --help"),
    ("run --seed", 64, "--seed needs a value", "run --help"),
    ("run HF", 64, "run takes nothing more: 'HF' is too much", "did you mean --profile HF?"),
    ("run --mode offline", 64, "there is no option --mode", "the profile says it"),
    ("pool show --stage stage3", 64, "--stage stage3: expected stage1 or stage2", "pool show --help"),
    ("pool show --limit 0", 64, "--limit 0: expected at least 1", "pool show --help"),
    ("pool show --limit x", 64, "--limit x: expected a whole number", "pool show --help"),
    ("pool list", 64, "there is no command 'list' of pool", "did you mean 'prometheus-quant pool show'?"),
    ("pool best --by roi", 64, "--by: there is no 'roi'", "did you mean roi_lifetime?"),
    ("pool best --where foo=1", 64, "--where: there is no 'foo'", "there are: n,"),
    ("pool best --where roi_lifetime>>0", 64, "'>0' is no number", None),
    ("genome find xyz", 64, "names no genome", "at least 4"),
    ("genome find 12", 64, "names no genome", "at least 4"),
    ("market import nope.csv x", 64, "nope.csv: no such file", "name a file of bars"),
    ("market show nope", 78, "no such market", "market list"),
    ("market ls", 64, "there is no command 'ls' of market", "did you mean 'prometheus-quant market list'?"),
    ("snapshot verify 0001", 64, "no snapshot of stage1 is called '0001'", "there are: none"),
    ("ledger show --last 0", 64, "--last 0: expected at least 1", "ledger show --help"),
    ("ledger", 64, "ledger needs a command", "there are: check, checkpoint, show, witness"),
    ("pool", 64, "pool needs a command", "there are: best, export, show"),
    ("retention", 64, "retention needs one of --dry-run and --apply", "look first"),
    ("retention --apply --run HF", 64, "--run and --reason are given together", None),
    ("promote", 64, "say what to promote", "--top-k N"),
    ("stop --instance NOPE", 64, "nothing runs for instance NOPE", "status"),
    ("release use abc", 64, "no loaded release is called 'abc'", "there are: none"),
    ("release rollback", 64, "there is no release to go back to", "release list"),
    ("gate --config nope", 78, "no gate design 'nope'", "there are: BTC_1H"),
    ("--json status", 64, "--json stands before the command", "status"),
    ("--root /tmp status", 64, "--root stands before the command", "status"),
    ("top", 64, "there is no command 'top'", "did you mean 'prometheus-quant watch'?"),
    ("TOP", 64, "there is no command 'TOP'", "did you mean 'prometheus-quant watch'?"),
    ("list", 64, "there is no command 'list'", "did you mean 'prometheus-quant runs list'?"),
    ("diff a b", 64, "there is no command 'diff'", "did you mean 'prometheus-quant runs diff'?"),
    ("runs", 64, "runs needs a command", "there are: diff, list, show"),
    ("runs lst", 64, "there is no command 'lst' of runs", "did you mean 'prometheus-quant runs list'?"),
    ("runs list --status", 64, "--status needs a value", "runs list --help"),
    ("runs list --where x", 64, "expected NAME=VALUE", "NAME!=VALUE"),
    ("runs list --sort roi", 64, "--sort: there is no 'roi'", "did you mean roi_q05?"),
    ("runs list --column nope", 64, "--column: there is no 'nope'", "there are: run_id"),
    ("runs list --since yesterday", 64, "expected a span or a date", "7d"),
    ("runs list --json --csv", 64, "--json and --csv exclude each other", None),
    ("runs diff latest latest", 64, "there are not that many runs", "there are no runs yet"),
    ("stats", 64, "there is no command 'stats'", "status"),
    ("index push --dsn-file /nowhere/dsn", 64, "cannot look at /nowhere/dsn", "connection string"),
    ("index check --share 2", 64, "--share 2: expected at most 1", "index check --help"),
]
ROOTED = {
    "report", "replay", "incident", "pool", "genome", "market", "snapshot", "ledger", "retention", "promote", "stop",
    "release", "runs", "index", "run", "gate",
}  # fmt: skip


@pytest.mark.parametrize(("line", "code", "said", "hint"), MISTAKES, ids=[one[0] for one in MISTAKES])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_mistake_is_one_line_a_code_and_a_hint(layout, ask, line, code, said, hint, as_json):
    layout.pool(layout_stage()).write_bytes(b"")
    words = line.format(root=layout.lib).split()
    if words[0] in ROOTED and len(words) > 1 and not words[-1].startswith("--s"):
        words += ["--root", str(layout.lib)]
    if as_json and (words[-1] in {"--seed", "--status"} or line in {"ledger", "pool", "runs"}):
        pytest.skip("no command is there yet, or its last option would take --json for its value")
    found, out, err = ask(*words, *(["--json"] if as_json and "--json" not in words else []))
    assert (found, out) == (code, ""), err
    assert "Traceback" not in err
    if as_json or "--json" in words:
        told = json.loads(err)
        assert (told["schema"], told["exit_code"]) == ("error/1", code)
        assert said in told["error"]
        assert hint is None or hint in told["hint"]
        return
    first, *rest = err.splitlines()
    assert first.startswith("error: ")
    assert said in first
    assert all(one.startswith("hint: ") for one in rest)
    assert len(rest) <= 1
    assert hint is None or hint in rest[0]


def layout_stage():
    from prometheus.v10.base.modes import Stage

    return Stage.STAGE1


WORDS_OF_OTHERS = [
    "top", "stat", "sto", "stp", "runx", "start", "kill", "ps", "list", "show", "rm", "clear", "use", "load", "delete",
    "gc", "prune", "runs-list", "tpos", "help", "ls", "promo", "rell",
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS_OF_OTHERS)
def test_no_suggestion_acts_unless_its_letters_are_those_that_were_typed(ask, word):
    code, _, err = ask(word)
    assert code == 64
    for name in ACTING & {command.name for command in COMMANDS}:
        if f"'prometheus-quant {name}'" in err:
            assert sorted(name) == sorted(word) or name.startswith(word), err


def test_the_command_alone_shows_its_help(ask):
    code, out, err = ask()
    assert (code, err) == (64, "")
    assert "Usage: prometheus-quant" in out
    for panel in ("Look", "Run", "Prove", "Host"):
        assert f" {panel}" in out


def test_nothing_to_check_is_no_pass(layout, ask):
    code, out, err = ask("snapshot", "verify", "--root", layout.lib)
    assert (code, err) == (2, "")
    assert out.startswith("COULD NOT CHECK")
    assert "0 snapshots: nothing was checked" in out
    code, out, _ = ask("snapshot", "list", "--root", layout.lib)
    assert code == 0
    assert out.startswith("0 snapshots in ")
    code, out, _ = ask("runs", "list", "--root", layout.lib)
    assert out.startswith("0 runs are as asked")
