"""Event files that are compressed when a run is sealed: smaller, and as good as before to everybody who checks."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
import zstandard

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX, read_evidence
from prometheus.v10.evidence.verify import verify_seal
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.ops.instance.instance_lock import Instance
from prometheus.v10.ops.instance.interrupted import close_interrupted
from prometheus.v10.runs.replay import replay
from prometheus.v10.runs.run import Run
from prometheus.v10.runs.stage1 import run_stage1
from prometheus.v10.runs.workload import RunRequest, Surroundings
from tests.callbacks import never
from tests.drills import part_of
from tests.faulty import CutOffError, Fault, FaultyFiles

from .conftest import Watcher, do_run, profile

PACKED = f"{Artifact.DEATHS}{PACKED_SUFFIX}"


def packed_run(layout: Layout) -> Path:
    """A sealed run whose profile says nothing of compression: it is the rule."""
    return do_run(layout, profile(evidence={"compress": None})).path


def sums(run: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sha256sum", "-c", "--quiet", *options, "SHA256SUMS.txt"], cwd=run, capture_output=True, text=True, check=False
    )


def forge(run: Path, data: bytes) -> None:
    """Other death events, compressed, with every hash of the seal as it must be for them."""
    old = hashlib.sha256(read_evidence(run / Artifact.DEATHS, at_most=1 << 30) or b"").hexdigest()
    old_packed = hashlib.sha256((run / PACKED).read_bytes()).hexdigest()
    (run / PACKED).write_bytes(zstandard.compress(data, 9))
    seal = (run / Artifact.SHA256SUMS).read_text()
    seal = seal.replace(old, hashlib.sha256(data).hexdigest())
    (run / Artifact.SHA256SUMS).write_text(
        seal.replace(old_packed, hashlib.sha256((run / PACKED).read_bytes()).hexdigest())
    )


def test_only_the_compressed_form_stays_and_it_is_smaller(layout: Layout) -> None:
    run = packed_run(layout)
    assert not (run / Artifact.DEATHS).exists()
    lines = read_evidence(run / Artifact.DEATHS, at_most=1 << 30)
    assert lines is not None
    assert len(lines) > 4 * (run / PACKED).stat().st_size


def test_it_verifies_audits_and_replays_as_an_uncompressed_run_does(layout: Layout, tmp_path: Path) -> None:
    run = packed_run(layout)
    assert verify_path(run).exit_code == 0
    assert audit(layout).exit_code == 0
    found = replay(run, layout, tmp_path / "scratch", clock=SystemClock(), control=Watcher(), workers=1)
    assert found.identical, found.comparisons
    assert Artifact.DEATHS in {one.name for one in found.comparisons}


def test_sha256sum_alone_agrees_with_what_is_there_and_after_zstd_with_everything(layout: Layout) -> None:
    run = packed_run(layout)
    assert sums(run, "--ignore-missing").returncode == 0
    assert sums(run).returncode != 0
    subprocess.run(["zstd", "-dq", *[path.name for path in run.glob("*.zst")]], cwd=run, check=True)
    assert sums(run).returncode == 0
    assert verify_path(run).exit_code == 0


def test_a_profile_can_keep_the_lines_as_they_are(layout: Layout) -> None:
    run = do_run(layout, profile(evidence={"compress": False})).path
    assert (run / Artifact.DEATHS).exists()
    assert not list(run.glob(f"*{PACKED_SUFFIX}"))


@pytest.mark.parametrize("kind", ["another reason", "cut short", "a bomb", "no zstd"])
def test_forged_lines_are_found_behind_their_compression(layout: Layout, kind: str) -> None:
    run = packed_run(layout)
    lines = read_evidence(run / Artifact.DEATHS, at_most=1 << 30)
    assert lines is not None
    if kind == "no zstd":
        (run / PACKED).write_bytes(b"nothing of the kind")
    else:
        changed = {
            "another reason": lines.replace(b'"quarterly_review"', b'"liquidation"', 1),
            "cut short": lines[: lines.rindex(b"\n", 0, -1) + 1],
            "a bomb": lines + b"\0" * (64 << 20),
        }
        forge(run, changed[kind])
    report = verify_path(run, alone=True)
    assert report.exit_code == 1, report.findings


def test_other_lines_beside_the_compressed_form_are_found(layout: Layout) -> None:
    run = packed_run(layout)
    subprocess.run(["zstd", "-dq", PACKED], cwd=run, check=True)
    lines = (run / Artifact.DEATHS).read_bytes()
    (run / Artifact.DEATHS).chmod(0o640)
    (run / Artifact.DEATHS).write_bytes(lines.replace(b'"wins":', b'"wons":', 1))
    report = verify_path(run)
    assert report.exit_code == 1
    assert any(one.where == str(run / Artifact.DEATHS) for one in report.findings), report.findings


def test_what_cannot_be_looked_into_could_not_be_checked(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    run = packed_run(layout)
    monkeypatch.setattr(verify_seal, "find_codec", lambda: None)
    report = verify_path(run)
    assert report.exit_code == 2
    assert any("its own sha256 is the one in the seal" in one.what for one in report.findings)


def _calls(layout: Layout, request: RunRequest) -> tuple[int, int]:
    """The numbers of the first and the last call to the file layer that a whole run makes while it seals."""
    files, first = FaultyFiles(), []
    sealing = Run._sealing

    def told(self: Run, name: str) -> None:
        first.append(len(files.trace))
        sealing(self, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_sealing", told)
        run_stage1(request, _around(layout, files))
    return first[0], len(files.trace)


def _around(layout: Layout, files: FaultyFiles) -> Surroundings:
    layout.prepare()
    return Surroundings(layout=layout, clock=SystemClock(), control=Watcher(), journal=_journal(), files=files)


def _journal() -> Journal:
    return Journal.open(instance="T", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None)


def test_a_seal_that_is_cut_off_at_any_call_is_closed_by_the_next_start(tmp_path: Path) -> None:
    chosen = profile(evidence={"compress": None}, experiments={"count": 1})
    request = RunRequest(profile=chosen, mode=Mode.OFFLINE, instance="T")
    first, last = _calls(Layout.under(tmp_path / "whole"), request)
    kinds: set[bool] = set()
    torn: list[object] = []  # of the ledger, when its own line was cut
    for at in part_of(range(first, last), 3):
        layout = Layout.under(tmp_path / str(at))
        with pytest.raises(CutOffError):
            run_stage1(request, _around(layout, FaultyFiles(Fault.CUT_OFF, at)))
        with Instance(layout, "T", SystemClock(), never) as instance:
            for closed in close_interrupted(layout, instance, SystemClock(), _journal(), torn.append):
                kinds.add(closed.adopted)
        (run,) = layout.runs(Tier.TIER1_HF).iterdir()
        names = {path.name for path in run.iterdir()}
        both = {name for name in names if f"{name}{PACKED_SUFFIX}" in names}
        assert not both, (at, both)
        assert verify_path(run).exit_code == 0, (at, verify_path(run).findings)
        assert audit(layout).exit_code == 0, at
    assert kinds == {True, False}  # some had sealed themselves, some had not
