"""Witnesses outside: what the tree alone cannot show, a checkpoint and the journal do. All evidence is of real runs."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from prometheus.cli import main as cli
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.witnesses.checkpoint import EMPTY_ROOT, Checkpoint
from prometheus.v10.evidence.witnesses.checkpoint_kept import PUBLIC, keys_beside, read_kept
from prometheus.v10.evidence.witnesses.signed_note import Signer, parse_signer, sign_note
from prometheus.v10.evidence.witnesses.witness import KEY
from prometheus.v10.evidence.writing.journal import Journal
from tests.integration.conftest import Tree, small_profile
from tests.integration.test_forged_history import entries, records, runs, serve, write_ledger, write_pool


def command(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line of a checkout, in this process: its exit code and what it printed."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = cli.main([*words, "--root", str(root)])
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def witness(root: Path, place: Path) -> dict[str, Any]:
    """What ``ledger witness`` does; it must succeed."""
    ended = command(root, "ledger", "witness", "--to", str(place), "--json")
    assert ended.returncode == 0, ended.stderr
    said = dict(json.loads(ended.stdout))
    assert said.pop("schema") == "ledger_witness/1"
    return said


def audited(root: Path, *checkpoints: Path, more: tuple[str, ...] = ()) -> tuple[int, str, dict[str, Any]]:
    """Exit code, findings as one text, and facts of ``audit``."""
    words = [word for place in checkpoints for word in ("--checkpoint", str(place))]
    ended = command(root, "audit", *words, *more, "--json")
    assert ended.stdout, ended.stderr
    (report,) = json.loads(ended.stdout)["reports"]
    return ended.returncode, "\n".join(f"{one['where']}: {one['what']}" for one in report["findings"]), report["facts"]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``one`` and ``two``: the tree after its first and its second run; ``kept``: a checkpoint of each."""
    place = tmp_path_factory.mktemp("past")
    tree = Tree(place / "two")
    tree.write_profile(small_profile(workers=1, count=2, bars=1200, pause=0.0))
    (place / "kept").mkdir()
    for wanted in ("one", "two"):
        ended = serve(tree.root)
        assert ended.returncode == 0, ended.stderr
        assert witness(tree.root, place / "kept")["new"] is True
        if wanted == "one":
            shutil.copytree(tree.root, place / "one")
    return place


@pytest.fixture
def kept(past: Path) -> Path:
    return past / "kept"


@pytest.fixture
def layout(past: Path, tmp_path: Path) -> Layout:
    """A copy of the newest tree, to be forged."""
    shutil.copytree(past / "two", tmp_path / "root")
    return Layout.under(tmp_path / "root")


# ---- honest ----------------------------------------------------------------------------------------------------------


def test_an_honest_tree_agrees_with_every_checkpoint(past: Path, kept: Path) -> None:
    code, found, facts = audited(past / "two", kept)
    assert (code, found) == (0, "")
    assert facts["checkpoints"].startswith("2 agree, newest of 5 entries at ")


def test_a_ledger_that_grew_since_agrees(layout: Layout, kept: Path) -> None:
    assert serve(layout.lib).returncode == 0
    code, _, facts = audited(layout.lib, kept)
    assert (code, facts["checkpoints"][:7]) == (0, "2 agree")


def test_without_a_checkpoint_one_line_says_what_cannot_be_seen(past: Path) -> None:
    code, found, facts = audited(past / "two")
    assert code == 0
    assert found.count("\n") == 0
    assert "cannot be seen" in found
    assert "checkpoints" not in facts


def test_what_is_kept_is_a_signed_note_of_the_installation(past: Path, kept: Path) -> None:
    names = sorted(path.name for path in kept.iterdir() if path.suffix == ".checkpoint")
    assert names == ["000000000003.checkpoint", "000000000005.checkpoint"]
    first = read_kept(kept / names[0], keys_beside(kept))
    installation = entries(Layout.under(past / "two"))[0]["payload"]["installation_id"]
    assert (first.checkpoint.origin, first.checkpoint.size) == (f"prometheus-quant/{installation}", 3)
    assert first.signed
    assert first.time is not None
    assert stat.S_IMODE((kept / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((kept / KEY).parent.stat().st_mode) == 0o700
    assert (kept / KEY).read_text().strip() not in (kept / PUBLIC).read_text()


def test_one_checkpoint_is_checked_by_itself(past: Path, kept: Path, tmp_path: Path) -> None:
    newest = kept / "000000000005.checkpoint"
    checked = command(past / "two", "ledger", "check", str(newest), "--json")
    assert json.loads(checked.stdout)["signed_by"].startswith("prometheus-quant/")
    assert command(past / "one", "ledger", "check", str(newest)).returncode == 65
    alone = tmp_path / newest.name
    shutil.copy(newest, alone)
    assert json.loads(command(past / "two", "ledger", "check", str(alone), "--json").stdout)["signed_by"] is None


def test_a_ledger_that_has_not_grown_gets_no_second_checkpoint(past: Path, kept: Path) -> None:
    before = sorted(path.name for path in kept.iterdir())
    assert witness(past / "two", kept)["new"] is False
    assert sorted(path.name for path in kept.iterdir()) == before


def test_old_checkpoints_go_and_what_they_found_is_still_found(past: Path, kept: Path, tmp_path: Path) -> None:
    """The newest binds every entry: a tree that was rolled back contradicts it without those between."""
    old = tmp_path / "old"
    shutil.copytree(kept, old)
    first, second = sorted(old.glob("*.checkpoint"))
    noon = (time.time() // 86400 - 100) * 86400 + 43200
    os.utime(first, (noon, noon))
    os.utime(second, (noon + 3600, noon + 3600))
    assert witness(past / "two", old)["removed"] == [first.name]
    assert sorted(old.glob("*.checkpoint")) == [second]
    code, _, facts = audited(past / "two", old)
    assert (code, facts["checkpoints"][:7]) == (0, "1 agree")
    code, said, _ = audited(past / "one", old)
    assert code == 1
    assert "entries were cut off its end" in said


def test_where_nothing_is_yet_nothing_is_signed(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")
    (tmp_path / "kept").mkdir()
    assert witness(tree.root, tmp_path / "kept") == {"new": False, "file": None, "size": 0, "handed_over": []}
    assert not list((tmp_path / "kept").glob("*.checkpoint"))


# ---- forged: what is done to the tree, and what a checkpoint says ----------------------------------------------------


def rolled_back(past: Path, layout: Layout) -> None:
    shutil.rmtree(layout.lib)
    shutil.copytree(past / "one", layout.lib)


def newest_run_cut(past: Path, layout: Layout) -> None:
    """The newest run, its lines and its records, and what its instance remembers of it."""
    newest = runs(layout)[-1]
    pool = layout.pool(Stage.STAGE1)
    write_pool(pool, [one for one in records(pool) if one["source"]["run_id"] != newest.name])
    write_ledger(layout, [one for one in entries(layout) if one["payload"].get("run_id") != newest.name])
    shutil.rmtree(newest)
    for own in (path for path in (past / "one" / "state").iterdir() if path.is_dir()):
        shutil.rmtree(layout.state / own.name)
        shutil.copytree(own, layout.state / own.name)


def history_rewritten(_: Path, layout: Layout) -> None:
    """The first run was begun a year before, says a ledger with a good chain."""
    found = entries(layout)
    found[1]["ts_utc"] = f"{int(found[1]['ts_utc'][:4]) - 1}{found[1]['ts_utc'][4:]}"
    write_ledger(layout, found)


def begun_anew(past: Path, layout: Layout) -> None:
    shutil.rmtree(layout.lib)
    tree = Tree(layout.lib)
    tree.write_profile((past / "two" / "etc" / "profiles" / "HF.toml").read_text())
    assert serve(tree.root, 2).returncode == 0


FORGED: list[tuple[Callable[[Path, Layout], None], str]] = [
    (rolled_back, "entries were cut off its end"),
    (newest_run_cut, "entries were cut off its end"),
    (history_rewritten, "the ledger was rewritten"),
    (begun_anew, "it is of the installation"),
]


@pytest.mark.parametrize(("forge", "says"), FORGED, ids=lambda value: getattr(value, "__name__", ""))
def test_it_is_seen_with_a_checkpoint_alone(
    past: Path, kept: Path, layout: Layout, tmp_path: Path, forge: Callable[[Path, Layout], None], says: str
) -> None:
    """The tree fits together, so that the audit passes without; the witness signs nothing of it either."""
    forge(past, layout)
    assert audited(layout.lib)[0] == 0
    code, found, facts = audited(layout.lib, kept)
    assert code == 1
    assert says in found
    assert "contradict" in facts["checkpoints"]
    mine = tmp_path / "witness"
    shutil.copytree(kept, mine)
    before = sorted(mine.rglob("*"))
    ended = command(layout.lib, "ledger", "witness", "--to", str(mine))
    assert ended.returncode == 65
    assert says in ended.stderr.splitlines()[0]
    assert sorted(mine.rglob("*")) == before


def test_everything_deleted_contradicts(kept: Path, tmp_path: Path) -> None:
    empty = Tree(tmp_path / "empty").root
    code, found, _ = audited(empty, kept)
    assert code == 1
    assert "there is no ledger" in found
    shutil.copytree(kept, tmp_path / "witness")
    ended = command(empty, "ledger", "witness", "--to", str(tmp_path / "witness"))
    assert (ended.returncode, "is gone" in ended.stderr) == (65, True)


# ---- forged: the checkpoint ------------------------------------------------------------------------------------------


def test_a_changed_checkpoint_proves_nothing(past: Path, kept: Path, tmp_path: Path) -> None:
    mine = tmp_path / "witness"
    shutil.copytree(kept, mine)
    file = mine / "000000000005.checkpoint"
    other = (mine / "000000000003.checkpoint").read_bytes().partition(b"\n\n")[0]
    file.write_bytes(other + b"\n\n" + file.read_bytes().partition(b"\n\n")[2])
    code, found, _ = audited(past / "one", mine)
    assert code == 1
    assert "is not right" in found


def test_a_checkpoint_by_nobody_known_proves_nothing(past: Path, kept: Path, tmp_path: Path) -> None:
    """Unsigned, or by a stranger's key: could not be checked. It still counts when it contradicts."""
    text = (kept / "000000000005.checkpoint").read_text(encoding="utf-8").partition("\n\n")[0] + "\n"
    plain, strange = tmp_path / "plain.checkpoint", tmp_path / "strange.checkpoint"
    plain.write_text(text)
    strange.write_bytes(sign_note(text, Signer(text.split("\n", maxsplit=1)[0], bytes(32)), time=1))
    public = str(kept / PUBLIC)
    for file in (plain, strange):
        assert audited(past / "two", file, more=("--checkpoint-key", public))[0] == 2
        assert audited(past / "one", file, more=("--checkpoint-key", public))[0] == 1


def test_a_checkpoint_of_an_empty_ledger_proves_nothing(past: Path, kept: Path, tmp_path: Path) -> None:
    signer = parse_signer((kept / KEY).read_text())
    file = tmp_path / "empty.checkpoint"
    file.write_bytes(sign_note(Checkpoint(signer.name, 0, EMPTY_ROOT).text(), signer, time=1))
    code, found, _ = audited(past / "two", file, more=("--checkpoint-key", str(kept / PUBLIC)))
    assert code == 2
    assert "binds nothing" in found


def test_the_key_that_is_named_counts_and_not_the_one_beside(past: Path, kept: Path, tmp_path: Path) -> None:
    """Whoever forges a checkpoint can lay a key of their own beside it."""
    mine = tmp_path / "forged"
    mine.mkdir()
    text = (kept / "000000000003.checkpoint").read_text(encoding="utf-8").partition("\n\n")[0] + "\n"
    stranger = Signer(text.split("\n", maxsplit=1)[0], bytes(32))
    (mine / "a.checkpoint").write_bytes(sign_note(text, stranger, time=1))
    (mine / PUBLIC).write_text("".join(f"{key.text()}\n" for key in stranger.verifiers()))
    assert audited(past / "one", mine)[0] == 0
    assert audited(past / "one", mine, more=("--checkpoint-key", (kept / PUBLIC).read_text().splitlines()[0]))[0] == 2


def test_a_place_without_checkpoints_is_a_wrong_command(past: Path, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        assert command(past / "two", "audit", "--checkpoint", str(place)).returncode == 64


# ---- the witness's own key, and the operator's command ---------------------------------------------------------------


def test_a_key_that_is_gone_or_open_is_not_replaced(layout: Layout, kept: Path, tmp_path: Path) -> None:
    assert serve(layout.lib).returncode == 0
    for harm, says in ((lambda key: key.chmod(0o644), "others than its owner"), (lambda key: key.unlink(), "is gone")):
        mine = tmp_path / says.replace(" ", "-")
        shutil.copytree(kept, mine)
        harm(mine / KEY)
        ended = command(layout.lib, "ledger", "witness", "--to", str(mine))
        assert ended.returncode == 65
        assert says in ended.stderr


def test_a_ledger_that_is_a_link_or_a_fifo_is_not_read(layout: Layout, kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "witness")
    layout.ledger.rename(layout.state / "elsewhere")
    for make in (lambda: layout.ledger.symlink_to("elsewhere"), lambda: os.mkfifo(layout.ledger)):
        make()
        ended = command(layout.lib, "ledger", "witness", "--to", str(tmp_path / "witness"))
        assert ended.returncode == 65
        layout.ledger.unlink()


def test_a_command_takes_each_checkpoint_once(layout: Layout, kept: Path, tmp_path: Path) -> None:
    """A command that fails leaves the checkpoint where it is; it gets it again the next time."""
    mine, there = tmp_path / "witness", tmp_path / "there"
    shutil.copytree(kept, mine)
    there.mkdir()
    settings = layout.etc / "witness.toml"

    def take(*words: str) -> tuple[int, str]:
        settings.write_text(f"command = {json.dumps(words)}\n")
        ended = command(layout.lib, "ledger", "witness", "--to", str(mine))
        return ended.returncode, ended.stderr

    assert take("/bin/sh", "-c", f'cp "$0" {there}') == (0, "")
    assert [path.name for path in there.iterdir()] == ["000000000005.checkpoint"]
    assert serve(layout.lib).returncode == 0
    code, said = take("/bin/sh", "-c", "echo no room >&2; exit 3")
    assert code == 74
    assert "/bin/sh did not take 000000000007.checkpoint: it ended with 3: no room" in said
    assert (mine / "000000000007.checkpoint").is_file()
    assert take("/nowhere/command")[0] == 74
    assert take("/bin/sh", "-c", f'cp "$0" {there}') == (0, "")
    assert sorted(path.name for path in there.iterdir()) == ["000000000005.checkpoint", "000000000007.checkpoint"]
    (there / "000000000007.checkpoint").unlink()
    assert take("/bin/sh", "-c", f'cp "$0" {there}') == (0, "")
    assert len(list(there.iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "command = 1",
        "journal_since = 2026-01-01",
        "journal_since = 'now'",
        "command = ['relative']",
        "command = ['']",
        "other = 1",
        "[",
        "\xff",
    ],
)
def test_settings_that_cannot_be_meant_are_78(layout: Layout, kept: Path, text: str) -> None:
    (layout.etc / "witness.toml").write_text(text, encoding="latin-1")
    assert command(layout.lib, "ledger", "witness", "--to", str(kept)).returncode == 78


def test_a_tree_that_is_no_hosts_has_no_witness_of_its_own(layout: Layout) -> None:
    ended = command(layout.lib, "ledger", "witness")
    assert (ended.returncode, "--to is missing" in ended.stderr) == (64, True)


# ---- the journal -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    """A tree of two runs, and what they sent to the journal, with the fields that journald adds.

    ``one`` beside it is the tree after its first run.
    """
    place = tmp_path_factory.mktemp("heard")
    tree = Tree(place / "two")
    tree.write_profile(small_profile(workers=1, count=2, bars=1200, pause=0.0))
    sent: list[dict[str, str]] = []

    def send(message: str, **fields: str) -> None:
        trusted = {"__REALTIME_TIMESTAMP": str(1_800_000_000_000_000 + len(sent)), "_UID": str(os.getuid()),
                   "_SYSTEMD_UNIT": "prometheus-stage1@HF.service", "_TRANSPORT": "journal"}  # fmt: skip
        sent.append({"MESSAGE": message, **fields, **trusted})

    def open_journal(_: type[Journal], *, instance: str, mode: Mode, stage: Stage, run_id: str | None) -> Journal:
        return Journal(instance=instance, mode=mode, stage=stage, run_id=run_id, sender=send, socket=place / "socket")

    with pytest.MonkeyPatch.context() as patched, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listens:
        listens.bind(str(place / "socket"))
        patched.setattr(Journal, "open", classmethod(open_journal))
        assert command(tree.root, "run").returncode == 0
        shutil.copytree(tree.root, place / "one")
        assert command(tree.root, "run").returncode == 0
    assert sum(entry["PROMETHEUS_EVENT"] == "run_sealed" for entry in sent) == 2
    return tree.root, sent


def written(place: Path, told: list[dict[str, Any]]) -> tuple[str, ...]:
    """The entries as ``journalctl -o json`` prints them, and the option that names them."""
    place.write_text("".join(f"{json.dumps(entry)}\n" for entry in told))
    return ("--journal", str(place))


def test_the_journal_agrees_with_an_honest_ledger(heard: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    root, sent = heard
    code, _, facts = audited(root, more=written(tmp_path / "journal", sent))
    assert (code, facts["journal"]) == (0, "agrees (2 runs)")


def test_a_journal_that_does_not_reach_is_silent(heard: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    root, sent = heard
    code, _, facts = audited(root, more=written(tmp_path / "journal", sent[:1]))
    assert (code, facts["journal"][:7]) == (0, "silent:")
    assert "journal" not in audited(root)[2]


def test_a_run_that_the_journal_has_and_the_ledger_has_not(
    heard: tuple[Path, list[dict[str, str]]], tmp_path: Path
) -> None:
    root, sent = heard
    shutil.copytree(root, tmp_path / "root")
    layout = Layout.under(tmp_path / "root")
    newest = runs(layout)[-1]
    newest_run_cut(root.parent, layout)
    assert audited(layout.lib)[0] == 0
    code, found, facts = audited(layout.lib, more=written(tmp_path / "journal", sent))
    assert (code, facts["journal"]) == (1, "contradicts (1 of 2 runs)")
    assert f"{newest.name}: the journal has its seal" in found
    assert "sent by prometheus-stage1@HF.service" in found


def test_another_seal_than_the_journals(heard: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    root, sent = heard
    told = [{**one, "PROMETHEUS_SEAL": "0" * 64} if "PROMETHEUS_SEAL" in one else one for one in sent]
    code, found, _ = audited(root, more=written(tmp_path / "journal", told))
    assert code == 1
    assert "and the ledger has another" in found


@pytest.mark.parametrize(
    "change",
    [
        {"_SYSTEMD_UNIT": "user@1000.service"}, {"_SYSTEMD_UNIT": "prometheus.service"}, {"_SYSTEMD_UNIT": None},
        {"_TRANSPORT": "syslog"}, {"_UID": ["0", "1"]}, {"PROMETHEUS_EVENT": "run_ended"},
        {"PROMETHEUS_INSTALLATION": "0" * 32}, {"PROMETHEUS_INSTALLATION": None},
        {"PROMETHEUS_RUN_ID": "../x"}, {"PROMETHEUS_SEAL": "x"}, {"__REALTIME_TIMESTAMP": "-1"},
    ],
)  # fmt: skip
def test_an_entry_that_no_unit_of_ours_sent_is_not_believed(
    heard: tuple[Path, list[dict[str, str]]], tmp_path: Path, change: dict[str, Any]
) -> None:
    root, sent = heard
    invented = {"PROMETHEUS_RUN_ID": "HF_20260101T000000Z_nocommit_0000"}
    told = [{**one, **invented, **change} for one in sent if one["PROMETHEUS_EVENT"] == "run_sealed"]
    code, _, facts = audited(root, more=written(tmp_path / "journal", told))
    assert (code, facts["journal"][:7]) == (0, "silent:")
