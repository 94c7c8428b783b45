"""One way to name a run, a genome, a snapshot and a release: each form, what is ambiguous, and what is not there."""

from __future__ import annotations

import os

import pytest

from prometheus.cli.names_of import existing, genome_of, run_in, run_of, snapshot_of
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.paths import Layout

OLD, MIDDLE, NEW = (
    "HF_20260101T000000Z_1a2b3c4_0aaa", "PROMOTE_20260102T000000Z_1a2b3c4_0bbb", "HF_20260103T000000Z_1a2b3c4_0ccc",
)  # fmt: skip


@pytest.fixture
def three(put):
    put(OLD, instance="local", start_time="1")
    put(MIDDLE, instance="PROMOTE", start_time="2")
    put(NEW, instance="HF", start_time="3")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (OLD, OLD), ("HF_20260101", OLD), ("hf_20260101", OLD), ("PROMOTE", MIDDLE), ("0ccc", NEW), ("latest", NEW),
        ("latest~0", NEW), ("latest~1", MIDDLE), ("latest~2", OLD), ("HF/latest", NEW), ("HF/latest~1", OLD),
        ("local/latest", OLD), ("PROMOTE/latest", MIDDLE),
    ],
)  # fmt: skip
def test_every_form_names_its_run(layout, three, text, meant):
    assert run_of(text, layout).run_id == meant


def test_a_directory_names_its_run_wherever_it_lies_and_from_within(layout, three, tmp_path, monkeypatch):
    place = layout.lib / "runs_hf" / OLD
    elsewhere = Layout.under(tmp_path / "elsewhere")
    assert run_of(place, elsewhere).path == place
    assert run_of(f"{place}/", elsewhere).path == place
    monkeypatch.chdir(place)
    assert run_of(".", elsewhere).run_id == OLD
    monkeypatch.chdir(layout.lib)
    assert run_of(f"runs_hf/{OLD}", elsewhere).run_id == OLD


def test_a_name_that_fits_several_is_refused_with_the_candidates(layout, three):
    with pytest.raises(UsageError, match="2 runs are called HF_") as refused:
        run_of("HF_", layout)
    assert OLD in refused.value.hint
    assert NEW in refused.value.hint
    assert MIDDLE not in refused.value.hint


@pytest.mark.parametrize(
    "text", ["nope", "0ddd", "latest~3", "BTC/latest", "runs_hf/nope", "/nowhere/at/all", "", " ", "HF_2026\x1b[2J"]
)
def test_a_name_that_fits_none_says_what_is_there(layout, three, text):
    with pytest.raises(UsageError) as refused:
        run_of(text, layout)
    assert refused.value.exit_code == 64
    assert "runs list" in refused.value.hint
    assert "\x1b" not in str(refused.value)


def test_a_directory_of_runs_is_told_its_newest(layout, three):
    with pytest.raises(UsageError, match="holds 2 runs and is none itself") as refused:
        run_of(layout.lib / "runs_hf", layout)
    assert NEW in refused.value.hint


def test_runs_of_one_second_are_told_apart_by_their_manifests(layout, put):
    late = put("HF_20260101T000000Z_1a2b3c4_0aaa", start_time="2026-01-01T00:00:00.9Z")
    put("HF_20260101T000000Z_1a2b3c4_0fff", start_time="2026-01-01T00:00:00.1Z")
    assert run_of("latest", layout).path == late


def test_no_run_yet_is_said(layout):
    with pytest.raises(UsageError) as refused:
        run_of("latest", layout)
    assert "there are no runs yet" in refused.value.hint


def test_a_command_that_works_on_its_installation_refuses_a_run_of_another(layout, three, tmp_path):
    other = Layout.under(tmp_path / "other")
    other.prepare()
    with pytest.raises(UsageError, match="does not lie under"):
        run_in(layout.lib / "runs_hf" / OLD, other)
    assert run_in(layout.lib / "runs_hf" / OLD, layout).run_id == OLD


def test_a_link_is_no_run(layout, three, tmp_path):
    (layout.lib / "runs_hf" / "HF_20260109T000000Z_1a2b3c4_0eee").symlink_to(layout.lib / "runs_hf" / OLD)
    assert run_of("latest", layout).run_id == NEW


@pytest.mark.parametrize("made", [False, True])
def test_a_root_that_holds_nothing_of_ours_is_an_error(tmp_path, made, ask):
    root = tmp_path / "typo"
    if made:
        root.mkdir()
        (root / "README").touch()
    with pytest.raises(UsageError, match=r"is no directory|is no installation"):
        existing(Layout.under(root))
    for words in (
        ["status"], ["doctor"], ["runs", "list"], ["kpi"], ["progress"], ["ledger", "show"], ["snapshot", "list"],
        ["snapshot", "verify"], ["market", "list"], ["pool", "show"], ["pool", "best"], ["pool", "stats"],
        ["genome", "find", "abcd"], ["index", "build"], ["index", "check"], ["runs", "show", "latest"],
    ):  # fmt: skip
        code, out, err = ask(*words, "--root", root)
        assert (code, out) == (64, ""), words
        assert str(root) in err, words
    assert not (root / "index").exists()


def test_snapshots_by_beginning_and_latest(layout):
    with pytest.raises(UsageError, match="no snapshot of stage1 is called '0001'") as refused:
        snapshot_of("0001", layout, Stage.STAGE1)
    assert refused.value.hint == "there are: none"


@pytest.mark.parametrize("text", ["xyz", "12", "abc", "", "../pool"])
def test_what_cannot_name_a_genome_is_refused_before_a_pool_is_read(layout, text):
    pool = layout.pool(Stage.STAGE1)
    with pytest.raises(UsageError, match="there is no pool"):
        genome_of(text, pool)
    pool.parent.mkdir(parents=True, exist_ok=True)
    pool.write_bytes(b"")
    with pytest.raises(UsageError):
        genome_of(text, pool)


def test_a_checkout_and_a_host_have_their_own_roots(monkeypatch):
    assert os.fspath(existing(Layout.system()).lib) == "/var/lib/prometheus-quant"
