"""The manifest from start to end, and the environment that it names."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import pytest

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import Event
from prometheus.v10.evidence.records.codec import config_hash, from_json_bytes, to_plain
from prometheus.v10.evidence.records.manifest_parts import Counts, EvidenceSize, InternalCollapse, PoolAppends, PoolHead
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.writing import environment
from prometheus.v10.evidence.writing.environment import probe
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.manifest import RunFigures, RunManifest, RunPlan, Status, finish, start_manifest
from prometheus.v10.runs.offline import SIMULATED

OWED = {
    "git_commit", "docker_image", "python_version", "mode", "window", "ablation", "config_hash", "config",
    "results_dir",
    "start_time", "end_time", "positions_quality", "impedance_fidelity", "self_trade_prevention",
    "internal_collapse_detected", "internal_collapse_reason", "internal_collapse_time",
    "time_to_first_internal_collapse_seconds", "restart_time_seconds", "meta",
    "schema", "status", "stop_detected", "stop_time", "stop_reason", "core_hash", "genome_schema", "feature_contract",
    "seeds", "arm", "host", "exchange_lib", "env", "symbol_in_use", "world", "fence_inventory_hash", "retention",
    "evidence",
}  # fmt: skip


@pytest.fixture
def started() -> RunManifest:
    golden = Path(__file__).parent / "goldens" / "run_manifest.running.json"
    return from_json_bytes(golden.read_bytes(), RunManifest, where="golden")


@pytest.fixture
def journal() -> Journal:
    return Journal(
        instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id="HF_x", sender=None, absent_reason="no socket"
    )


def begun(plan: RunPlan, journal: Journal, clock: Any) -> RunManifest:
    nulls = Nulls()
    return start_manifest(plan, probe(), journal.state(nulls, None), nulls, clock)


def ended(manifest: RunManifest, status: Status, figures: RunFigures, journal: Journal, clock: Any) -> RunManifest:
    nulls = Nulls(manifest.null_reasons)
    return finish(manifest, status, figures, journal.state(nulls, None), nulls, clock)


def figures(**changes: Any) -> RunFigures:
    fields: dict[str, Any] = {
        "timing": [],
        "agent_ticks": 1000,
        "elapsed": 2.0,
        "collapses": [],
        "counts": Counts(),
        "evidence": EvidenceSize(files=7, bytes=1),
    }
    return RunFigures(**(fields | changes))


def collapse(experiment: int, seconds: float, reason: str = "extinction") -> InternalCollapse:
    return InternalCollapse(
        experiment=experiment,
        reason=reason,
        tick=99,
        ticks_to_collapse=100,
        market_time="2024-01-05T04:00:00.000000Z",
        detected_at=f"2026-01-02T03:04:{5 + seconds:09.6f}Z",
        seconds=seconds,
    )


def test_every_field_that_the_mission_names_is_there(started: RunManifest) -> None:
    assert to_plain(started).keys() >= OWED
    assert to_plain(started)["meta"] == {"tier": "tier1_hf"}
    assert started.config_hash == config_hash(started.config)


def test_a_completed_run_has_no_collapse_unless_it_had_one(started: RunManifest, journal: Journal, fake_clock) -> None:
    done = ended(started, Status.COMPLETED, figures(), journal, fake_clock)
    plain = to_plain(done)
    assert (plain["status"], plain["internal_collapse_detected"], plain["internal_collapses"]) == (
        "completed",
        False,
        [],
    )
    assert plain["null_reasons"]["internal_collapse_time"] == "no internal collapse in this run"
    assert plain["null_reasons"]["pool_appends"] == "this run appended nothing to a pool"
    assert "end_time" not in plain["null_reasons"]
    assert plain["timing"]["agent_ticks_per_second"] == 500.0


def test_the_first_collapse_on_the_wall_clock_is_the_runs(started: RunManifest, journal: Journal, fake_clock) -> None:
    collapses = [collapse(0, 7.0), collapse(1, 3.5, "financial"), collapse(4, 3.5)]
    done = ended(started, Status.COMPLETED, figures(collapses=collapses), journal, fake_clock)
    to_plain(done)
    assert done.internal_collapse_reason == "financial"
    assert done.internal_collapse_time == "2026-01-02T03:04:08.500000Z"
    assert done.time_to_first_internal_collapse_seconds == 3.5
    assert [one.experiment for one in done.internal_collapses] == [0, 1, 4]


def test_a_stopped_run_says_when_and_why(started: RunManifest, journal: Journal, fake_clock) -> None:
    stop = figures(stop_reason="stop_file", stop_time="2026-01-02T03:04:06.000000Z")
    done = ended(started, Status.INTERRUPTED, stop, journal, fake_clock)
    plain = to_plain(done)
    assert (plain["status"], plain["stop_detected"], plain["stop_reason"]) == ("interrupted", True, "stop_file")
    with pytest.raises(ValueError, match="a reason and a time"):
        ended(started, Status.INTERRUPTED, figures(stop_reason="sigterm"), journal, fake_clock)


def test_pool_appends_of_no_record(started: RunManifest, journal: Journal, fake_clock) -> None:
    head = PoolHead(records=7, head="a" * 64)
    none = PoolAppends(
        pool="stage1/pool.jsonl",
        first_n=None,
        last_n=None,
        before=head,
        after=head,
        appended=0,
        records_sha256="d" * 64,
    )
    done = ended(started, Status.COMPLETED, figures(pool_appends=none), journal, fake_clock)
    assert to_plain(done)["null_reasons"]["pool_appends.first_n"] == "no record was appended"


def test_what_cannot_be_is_refused(started: RunManifest, journal: Journal, fake_clock) -> None:
    with pytest.raises(ValueError, match="not running"):
        ended(started, Status.RUNNING, figures(), journal, fake_clock)
    with pytest.raises(ValueError, match="takes time"):
        ended(started, Status.COMPLETED, figures(elapsed=0.0), journal, fake_clock)


def test_what_a_manifest_says_of_the_exchange_is_the_workloads(
    started: RunManifest, journal: Journal, fake_clock
) -> None:
    names = {field.name for field in attrs.fields(RunPlan)} - {"tier", "restart_seconds", "exchange"}
    plan = RunPlan(**{name: getattr(started, name) for name in names}, tier="tier1_hf", exchange=SIMULATED)
    assert begun(plan, journal, fake_clock).status == "running"
    facts = attrs.evolve(SIMULATED, exchange_lib="okx 0.4.1", env="demo", impedance_fidelity="native", null_reasons={})
    there = begun(attrs.evolve(plan, mode="okx_demo", exchange=facts), journal, fake_clock)
    assert (there.mode, there.exchange_lib, there.env, there.impedance_fidelity) == (
        "okx_demo", "okx 0.4.1", "demo", "native",
    )  # fmt: skip
    assert not {"exchange_lib", "env"} & there.null_reasons.keys(), "the workload answers for its own nulls"


def test_what_the_journal_took_is_counted_at_the_end(started: RunManifest, fake_clock, tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "s"))
        sink = Journal(
            instance="HF",
            mode=Mode.OFFLINE,
            stage=Stage.STAGE1,
            run_id="HF_x",
            sender=lambda *_, **__: None,
            socket=tmp_path / "s",
        )
        sink.send(Event.STOP_REQUESTED, "stop", reason="stop_file")
    plain = to_plain(ended(started, Status.COMPLETED, figures(), sink, fake_clock))
    assert plain["journal"]["sent"] == {"stop_requested": 1}
    assert plain["null_reasons"]["journal.absent_reason"] == "the journal is present"


# --- environment ----------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path) -> Path:
    place = tmp_path / "checkout" / "prometheus"
    place.mkdir(parents=True)
    return place


def git(place: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(place), *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_without_build_facts_and_checkout_the_commit_is_null_with_a_reason(package: Path) -> None:
    found = probe(package=package, env={})
    assert (found.git_commit, found.git_dirty, found.docker_image, found.image_digest) == (None, None, None, None)
    assert found.null_reasons["git_commit"] == (
        "no _build.json, and not a git checkout; what the environment says of code is not believed"
    )
    assert found.null_reasons.keys() >= {"git_dirty", "docker_image", "image_digest"}


def test_a_checkout_knows_its_commit_and_whether_it_was_changed(package: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    checkout = package.parent
    git(checkout, "init", "-q")
    assert probe(package=package, env={}).git_commit is None
    (package / "v10" / "base").mkdir(parents=True)
    (package / "v10" / "base" / "provenance.py").write_text("")  # what makes it a checkout of this package
    (package / "a.py").write_text("a = 1\n")
    environment._tree_state.cache_clear()  # a process measures its code once
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "one")
    found = probe(package=package, env={})
    assert (found.git_commit, found.git_dirty) == (git(checkout, "rev-parse", "HEAD"), False)
    (package / "a.py").write_text("a = 2\n")
    environment._tree_state.cache_clear()
    assert probe(package=package, env={}).git_dirty is True


def test_the_repository_around_an_installation_is_not_ours(package: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    above = package.parent.parent
    git(above, "init", "-q")
    git(above, "commit", "-q", "--allow-empty", "-m", "somebody else's")
    assert probe(package=package, env={}).git_commit is None


def test_baked_in_facts_go_before_the_environment(package: Path) -> None:
    env = {"PQ_GIT_COMMIT": "e" * 40, "PQ_GIT_DIRTY": "0", "PQ_IMAGE": "pq:1", "PQ_IMAGE_DIGEST": "sha256:e"}
    found = probe(package=package, env=env)
    assert (found.git_commit, found.docker_image, found.image_digest) == (None, "pq:1", "sha256:e")
    (package / "_build.json").write_text(
        json.dumps({"git_commit": "b" * 40, "git_dirty": True, "docker_image": "pq:2"})
    )
    found = probe(package=package, env=env)
    assert (found.git_commit, found.git_dirty, found.docker_image, found.image_digest) == (
        "b" * 40,
        True,
        "pq:2",
        "sha256:e",
    )


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_damaged_build_file_is_refused(package: Path, text: str) -> None:
    (package / "_build.json").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"_build\.json"):
        probe(package=package, env={})


def test_the_host_is_named_or_has_its_reason(package: Path, tmp_path: Path) -> None:
    (tmp_path / "cpu").write_text(
        "processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu avx2 fma\n\nmodel name\t: B CPU\n"
    )
    (tmp_path / "mem").write_text("MemTotal:       2048 kB\n")
    host = probe(package=package, env={}, cpuinfo=tmp_path / "cpu", meminfo=tmp_path / "mem").host
    assert (host.cpu, host.cpu_flags, host.memory_bytes) == ("A CPU", ["avx2", "fma"], 2048 * 1024)
    none = probe(package=package, env={}, cpuinfo=tmp_path / "none", meminfo=tmp_path / "none")
    assert (none.host.cpu, none.host.cpu_flags, none.host.memory_bytes) == (None, None, None)
    assert none.null_reasons.keys() >= {"host.cpu", "host.cpu_flags", "host.memory_bytes"}
