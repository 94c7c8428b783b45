"""Verification of a run: a good one passes with standard tools too, and every kind of tampering is found and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.evidence.chains.ledger import tombstone_payload
from prometheus.v10.evidence.records.canonical import canonical_line
from prometheus.v10.evidence.records.codec import to_json_bytes
from prometheus.v10.evidence.verify.program import main, verify_path
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.seal import seal_run
from prometheus.v10.ops.instance.interrupted import CUT_OFF, FoundFile, Interrupted


def what(report) -> str:
    return "\n".join(report.lines())


def test_a_good_run_passes_here_and_with_sha256sum(sealed_run) -> None:
    run_dir = sealed_run()
    report = verify_run(run_dir)
    assert report.exit_code is ExitCode.DONE, what(report)
    assert report.findings == []
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS.txt"], cwd=run_dir, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_copy_with_other_modes_passes_and_each_is_told(sealed_run) -> None:
    run_dir = sealed_run()
    assert verify_run(run_dir).findings == []
    for place in run_dir.iterdir():
        place.chmod(0o444)
    report = verify_run(run_dir)
    assert report.exit_code is ExitCode.DONE
    assert len(report.findings) == len(list(run_dir.iterdir())) - 2  # all but the two files of the seal
    assert "its bytes are what is sealed" in what(report)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def edit(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def reseal(run_dir: Path) -> None:
    (run_dir / "SHA256SUMS.txt").unlink()
    seal_run(run_dir)


TAMPERING = {
    "edit an event": (
        lambda d: edit(d / "death_events.jsonl", b"quarterly_review", b"unknown"),
        "death_events.jsonl: its sha256",
    ),
    "edit the manifest": (
        lambda d: edit(d / "run_manifest.json", b"completed", b"interrupted"),
        "run_manifest.json: its sha",
    ),
    "delete a file": (lambda d: (d / "gating_telemetry.json").unlink(), "gating_telemetry.json: sealed, and not there"),
    "insert a file": (lambda d: (d / "extra.json").write_text("{}"), "extra.json: not covered by the seal"),
    "insert a line": (lambda d: append(d / "birth_events.jsonl", b"{}\n"), "birth_events.jsonl: its sha256"),
    "truncate": (lambda d: os.truncate(d / "death_events.jsonl", 10), "death_events.jsonl: its sha256"),
    "truncate the seal": (lambda d: os.truncate(d / "SHA256SUMS.txt", 100), "SHA256SUMS.txt: no newline at the end"),
    "empty the seal": (lambda d: os.truncate(d / "SHA256SUMS.txt", 0), "not covered by the seal"),
    "delete the seal": (lambda d: (d / "SHA256SUMS.txt").unlink(), "not sealed"),
    "delete the listing": (lambda d: (d / "FILELIST.ls.txt").unlink(), "FILELIST.ls.txt: sealed, and not there"),
    "change a mode": (lambda d: (d / "run_manifest.json").chmod(0o666), "others than its owner can write to it"),
    "put a link": (lambda d: (d / "link").symlink_to("/etc/passwd"), "link: not a regular file"),
    "odd name": (lambda d: (d / "a b").write_text(""), "the name 'a b' cannot be sealed"),
    "reorder lines": (
        lambda d: (d / "death_events.jsonl").write_bytes(
            b"".join(reversed((d / "death_events.jsonl").read_bytes().splitlines(keepends=True)))
        ),
        "death_events.jsonl: its sha256",
    ),
    "rewrite and seal again": (
        lambda d: (edit(d / "gating_telemetry.json", b'"mode"', b'"note": "x",\n  "mode"'), reseal(d)),
        "rewritten",
    ),
    "rename": (lambda d: d.rename(d.with_name("HF_20260102T030405Z_0123456_ffff")), "in the directory of"),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found_and_named(sealed_run, name: str) -> None:
    run_dir = sealed_run()
    tamper, said = TAMPERING[name]
    tamper(run_dir)
    report = verify_run(next(run_dir.parent.iterdir()))
    assert report.exit_code is ExitCode.VERIFY_FAILED
    assert said in what(report)


def set_in(name: str, path: str, value: object):
    """A change of one value of one artifact."""

    def change(everything) -> None:
        *parents, last = path.split(".")
        tree = everything[name]
        for key in parents:
            tree = tree[int(key) if isinstance(tree, list) else key]
        if value is KeyError:
            del tree[last]
        else:
            tree[int(last) if isinstance(tree, list) else last] = value

    return change


MANIFEST, SUMMARY, DEATHS = "run_manifest.json", "multiple_experiments_summary.json", "death_events.jsonl"
WRONG = {
    "still running": (set_in(MANIFEST, "status", "running"), "status is running"),
    "unknown status": (set_in(MANIFEST, "status", "fine"), "status is 'fine', not one of"),
    "no commit field": (set_in(MANIFEST, "git_commit", KeyError), "git_commit is missing"),
    "commit without reason": (set_in(MANIFEST, "git_commit", None), "git_commit is null without a reason"),
    "another commit": (set_in(MANIFEST, "git_commit", "f" * 40), "the run id says 0123456"),
    "reason without null": (set_in(MANIFEST, "null_reasons.mode", "why"), "mode has a reason but is not null"),
    "config": (set_in(MANIFEST, "config.added", 1), "config_hash is"),
    "mode": (set_in(MANIFEST, "mode", "okx"), "mode is 'okx'"),
    "tier": (set_in(MANIFEST, "meta.tier", "tier2_full"), "meta.tier is 'tier2_full'"),
    "stop without time": (set_in(MANIFEST, "stop_detected", True), "stop_detected is true, and stop_time is None"),
    "never null": (set_in(MANIFEST, "core_hash", None), "core_hash is null, and may not be"),
    "wrong type": (set_in(MANIFEST, "seeds", "7"), "seeds is '7', not of its type"),
    "death count": (set_in(MANIFEST, "counts.deaths", 3), "counts.deaths is 3, death_events.jsonl has"),
    "evidence": (set_in(MANIFEST, "evidence.files", 1), "evidence says 1 files"),
    "somebody is lost": (set_in(SUMMARY, "all_stats.0.alive_agents", 7), "alive_agents is 7, derived is"),
    "founders": (set_in(SUMMARY, "all_stats.0.total_agents_ever", 9), "total_agents_ever is 9, derived is"),
    "reasons": (
        set_in(SUMMARY, "all_stats.0.deaths_by_reason.unknown", 1),
        "deaths_by_reason.unknown is 1, derived",
    ),
    "triplet": (
        set_in(SUMMARY, "all_stats.0.capital_triplet.system_reserve", 1.0),
        "system_reserve is 1.0, derived",
    ),
    "invariant": (set_in(SUMMARY, "invariants.0.passed", False), "invariants.0.passed is false, derived is true"),
    "collapse": (
        set_in(SUMMARY, "all_stats.0.collapse.detected", False),
        "detected is false, derived is true",
    ),
    "birth lost": (lambda e: e["birth_events.jsonl"].clear(), "genome_index names nobody who was born by then"),
    "another run's death": (
        set_in(DEATHS, "0.run_id", "HF_x"),
        'line 1: run_id is "HF_x", derived is',
    ),
    "death field": (set_in(DEATHS, "1.last_signal", KeyError), "line 2: last_signal missing"),
    "death null": (set_in(DEATHS, "0.last_signal", None), "line 1: last_signal is null, which cannot be"),
    "no summary": (lambda e: e.update({SUMMARY: None}), "missing: a tier1_hf run owes it"),
    "schema": (set_in("gating_telemetry.json", "schema", "x/1"), "schema is 'x/1'"),
    "no fences": (set_in("gating_telemetry.json", "counters", {}), "no fence is counted"),
    "no manifest": (lambda e: e.update({MANIFEST: None}), "run_manifest.json: missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_sealed_run_that_disagrees_with_itself_fails(sealed_run, name: str) -> None:
    change, said = WRONG[name]

    def applied(everything) -> None:
        if name == "evidence":
            everything[MANIFEST]["evidence"] = {"files": 0, "bytes": 0}
        change(everything)

    report = verify_run(sealed_run(applied))
    assert report.exit_code is ExitCode.VERIFY_FAILED
    assert said in what(report)


def test_a_line_that_is_json_but_not_canonical_fails(sealed_run) -> None:
    run_dir = sealed_run()
    edit(run_dir / DEATHS, b'":', b'": ')
    assert "not in canonical form" in what(verify_run(run_dir))


def test_a_key_given_twice_in_an_artifact_fails(sealed_run) -> None:
    run_dir = sealed_run()
    edit(run_dir / MANIFEST, b'"mode": ', b'"mode": "offline", "mode": ')
    assert "key 'mode' is given twice" in what(verify_run(run_dir))


def sidecar(run_dir: Path, missing: list[str]) -> None:
    found = [FoundFile(p.name, p.stat().st_size, 0, 0) for p in sorted(run_dir.iterdir())]
    record = Interrupted(
        run_id=run_dir.name, closed_by_instance="HF", closed_by_pid=1, detected_at="2026-01-02T03:04:06.000000Z",
        reason=CUT_OFF, instance="HF", manifest_status="running", found=found, missing=missing,
    )  # fmt: skip
    (run_dir / "interrupted.json").write_bytes(to_json_bytes(record))


def cut_off_run(layout, write_run, missing: list[str]) -> Path:
    def begun(everything) -> None:
        everything[MANIFEST] |= {"status": "running", "end_time": None, "evidence": None}
        everything[MANIFEST]["null_reasons"] |= {"end_time": "the run has not ended yet", "evidence": "running"}
        everything[SUMMARY] = None

    run_dir = layout.lib / "runs_hf" / "HF_20260102T030405Z_0123456_0000"
    write_run(run_dir, begun)
    append(run_dir / DEATHS, b'{"age_ticks":1,"agent')
    sidecar(run_dir, missing)
    seal_run(run_dir)
    return run_dir


def test_a_run_that_was_cut_off_and_closed_passes(layout, write_run) -> None:
    report = verify_run(cut_off_run(layout, write_run, [SUMMARY]), look_for_ledger=False)
    assert report.exit_code is ExitCode.DONE, what(report)
    assert "the run was cut off there" in what(report)


def test_the_sidecar_names_exactly_what_is_missing(layout, write_run) -> None:
    report = verify_run(cut_off_run(layout, write_run, ["gating_telemetry.json"]))
    assert "missing, and interrupted.json does not name it" in what(report)
    assert "gating_telemetry.json is there, and named as missing" in what(report)


def test_a_deletion_with_its_tombstone_is_no_failure_and_without_is(sealed_run, ledger) -> None:
    from prometheus.v10.base.names import LedgerEntryType

    run_dir = sealed_run()
    sums = dict(reversed(line.split("  ")) for line in (run_dir / "SHA256SUMS.txt").read_text().splitlines())
    name = "birth_events.jsonl"
    payload = tombstone_payload(
        kind="file",
        run_id=run_dir.name,
        path=f"runs_hf/{run_dir.name}/{name}",
        sha256=sums[name],
        size=1,
        reason="older than 30 days",
        policy="raw_days=30",
    )
    ledger.append(LedgerEntryType.RETENTION_DELETION, payload)
    (run_dir / name).unlink()
    said = what(verify_run(run_dir))
    assert f"NOTE  {run_dir / name}: deleted by retention" in said


def test_without_a_ledger_it_says_so_and_with_a_damaged_one_it_cannot_say(sealed_run, tmp_path, layout) -> None:
    run_dir = sealed_run()
    elsewhere = tmp_path / "usb" / run_dir.name
    shutil.copytree(run_dir, elsewhere)
    report = verify_run(elsewhere)
    assert report.exit_code is ExitCode.DONE, what(report)
    assert "not checked against a ledger" in what(report)
    edit(layout.ledger, b'"files"', b'"filez"')
    assert verify_run(run_dir).exit_code is ExitCode.VERIFY_ERROR


def test_a_run_that_the_ledger_does_not_know_fails(sealed_run, layout, write_run, ledger) -> None:
    sealed_run()
    other = layout.lib / "runs_hf" / "HF_20260102T030405Z_0123456_0001"
    shutil.copytree(layout.lib / "runs_hf" / "HF_20260102T030405Z_0123456_0000", other)
    assert "the ledger does not know this run's seal" in what(verify_run(other))


def test_parts_and_their_index_must_agree(sealed_run) -> None:
    run_dir = sealed_run()
    index = (run_dir / "m_execution_raw_index.json").read_bytes()
    (run_dir / "m_execution_raw_part_0099.json").write_bytes(b"[]\n")
    assert "m_execution_raw_part_0099.json: not in m_execution_raw_index.json" in what(verify_run(run_dir))
    (run_dir / "m_execution_raw_index.json").unlink()
    assert "m_execution_raw_index.json: missing, and there are 2 parts" in what(verify_run(run_dir))
    (run_dir / "m_execution_raw_index.json").write_bytes(index)
    (run_dir / "m_execution_raw_part_0001.json").write_bytes(b"[1]\n")
    assert "part_0001.json: its bytes are not those of its index" in what(verify_run(run_dir))


@pytest.mark.parametrize("python", ["python3.11", "python3"])
def test_it_runs_alone_on_a_bare_python(sealed_run, make_pool, tmp_path, repository, python: str) -> None:
    """Copy the package's source, and run it with no site-packages in reach."""
    program = shutil.which(python, path="/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip(f"no {python} outside of the virtual environment")
    alone = tmp_path / "alone"
    shutil.copytree(repository / "prometheus", alone / "prometheus", ignore=shutil.ignore_patterns("__pycache__"))
    run_dir, pool = sealed_run(), make_pool(3, tmp_path / "pool.jsonl")
    command = [program, "-S", "-W", "error", "-m", "prometheus.v10.evidence.verify", str(run_dir), str(pool), "--json"]
    done = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["run", "pool"]


def test_the_verifier_imports_the_standard_library_only() -> None:
    code = (
        "import sys; import prometheus.v10.evidence.verify.program, prometheus.v10.evidence.auditing.audit\n"
        "roots = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(roots - set(sys.stdlib_module_names) - {'prometheus', '__main__'}))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    left = set(json.loads(done.stdout.replace("'", '"')))
    assert left <= {"sitecustomize", "_distutils_hack", "usercustomize", "__mp_main__"}


def test_the_command_says_one_line_a_finding_and_the_verdict_last(sealed_run, capsys, tmp_path) -> None:
    run_dir = sealed_run()
    assert main([str(run_dir)]) == 0
    assert capsys.readouterr().out.startswith("PASS")
    assert main([str(run_dir.parent)]) == 0, "a directory of runs"
    capsys.readouterr()
    (run_dir / "extra").write_text("")
    assert main([str(run_dir), str(tmp_path / "nothing")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["FAIL", "FAIL", "FAIL", "ERROR", "COULD"]
    assert main([str(tmp_path / "nothing")]) == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([str(empty), "--json"]) == 2


def test_a_pool_a_ledger_and_a_snapshot_are_told_apart(layout, sealed_run, make_pool, tmp_path) -> None:
    sealed_run()
    assert verify_path(layout.ledger).kind == "ledger"
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(layout.ledger.read_bytes())
    assert verify_path(copy).kind == "ledger"
    assert verify_path(make_pool(1)).kind == "pool"
    assert canonical_line({"a": 1}) == b'{"a":1}\n'
