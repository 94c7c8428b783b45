"""Retention: what goes, what never goes, and that after any of it every seal still verifies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prometheus.v10.base.errors import ConfigError, EvidenceError, LockHeldError, UsageError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import Event, LedgerEntryType
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.ledger import tombstone_payload
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.seal import read_seal
from prometheus.v10.ops.retention import retention_plan
from prometheus.v10.ops.retention.retention_apply import retention_lock
from prometheus.v10.ops.retention.retention_plan import Action, RetentionPolicy
from prometheus.v10.runs.request.profile import load_profile
from tests.unit.ops.retention_house import House, contents


@pytest.fixture
def house(layout, fake_clock, notify_socket):
    return House(layout, fake_clock, notify_socket.path)


def part(run, number):
    return f"{run.name}/m_execution_raw_part_{number:04d}.json"


# ---- which go --------------------------------------------------------------------------------------------------------


def test_age_takes_the_raw_samples_of_old_runs_and_nothing_else(house):
    old = house.run(1, parts=(500, 600))
    house.days_pass(10)
    young = house.run(2, parts=(500,))
    house.days_pass(5)
    before = contents(old)
    made = house.plan(raw_days=14)
    assert house.going(made) == [part(old, 1), part(old, 2)]
    assert {item.rule for item in made.items} == {"raw_days=14"}
    assert made.freed_bytes == sum(len(before[part(old, n).split("/")[1]][0]) for n in (1, 2))
    result = house.apply(made)
    assert result.freed_bytes == made.freed_bytes
    after = contents(old)
    assert {name: after[name] for name in after} == {n: c for n, c in before.items() if "_part_" not in n}
    assert (young / "m_execution_raw_part_0001.json").exists()
    house.assert_in_order()
    assert house.plan(raw_days=14).items == []


def test_bytes_take_the_oldest_until_the_rest_fits(house):
    runs = [house.run(n, parts=(1000, 1000)) for n in range(3)]
    house.days_pass(1)
    total = house.plan().raw_bytes
    assert total == sum(f.stat().st_size for run in runs for f in run.glob("*_part_*"))
    one = total // 6
    assert house.going(house.plan(raw_bytes=total)) == []
    assert house.going(house.plan(raw_bytes=total - 1)) == [part(runs[0], 1)]
    assert house.going(house.plan(raw_bytes=total - one - 1)) == [part(runs[0], 1), part(runs[0], 2)]
    assert len(house.going(house.plan(raw_bytes=0))) == 6


def test_keep_free_takes_the_oldest_until_there_is_room(house):
    runs = [house.run(n, parts=(1000,)) for n in range(3)]
    one = (runs[0] / "m_execution_raw_part_0001.json").stat().st_size
    assert house.going(house.plan(keep_free_bytes=5000, free=5000)) == []
    assert house.going(house.plan(keep_free_bytes=5000, free=4999)) == [part(runs[0], 1)]
    assert house.going(house.plan(keep_free_bytes=5000, free=4999 - one)) == [part(runs[0], 1), part(runs[1], 1)]
    assert house.plan(keep_free_bytes=5000, free=0).items[0].rule == "keep_free_bytes=5000"


def test_all_bounds_hold_together_and_each_item_names_the_one_that_took_it(house):
    house.run(1, parts=(1000,))
    house.days_pass(20)
    for number in (2, 3, 4):
        house.run(number, parts=(1000,))
    size = house.plan().raw_bytes // 4
    made = house.plan(raw_days=14, raw_bytes=2 * size, keep_free_bytes=100 + 3 * size, free=100)
    assert [item.rule.split("=")[0] for item in made.items] == ["raw_days", "raw_bytes", "keep_free_bytes"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ages=st.lists(st.floats(0, 100), min_size=1, max_size=8),
    size=st.integers(1, 50),
    days=st.one_of(st.none(), st.integers(1, 60)),
    most=st.one_of(st.none(), st.integers(0, 300)),
    keep_free=st.integers(0, 300),
    free=st.integers(0, 300),
)
def test_what_stays_keeps_every_bound_and_nothing_goes_in_vain(ages, size, days, most, keep_free, free):
    """The rule itself, over many figures: a prefix of the oldest goes, the shortest that mends every bound."""
    policy = RetentionPolicy(raw_days=days, raw_bytes=most, keep_free_bytes=keep_free)
    ages = sorted(ages, reverse=True)

    def mended(gone):
        left = ages[gone:]
        young = days is None or not left or max(left) <= days
        small = most is None or len(left) * size <= most
        return not left or (young and small and free + gone * size >= keep_free)

    total, room, gone = len(ages) * size, free, 0
    for age in ages:
        if retention_plan._broken(policy, SimpleNamespace(age_days=age), total, room) is None:  # type: ignore[arg-type]
            break
        total, room, gone = total - size, room + size, gone + 1
    assert gone == next(n for n in range(len(ages) + 1) if mended(n))


# ---- which never go --------------------------------------------------------------------------------------------------


def everything_goes():
    return {"raw_days": 1, "raw_bytes": 0, "keep_free_bytes": 1 << 50, "free": 0, "snapshot_days": 1}


def test_a_promoted_run_keeps_its_raw_samples(house):
    promoted, other = house.run(1, parts=(500,)), house.run(2, parts=(500,))
    house.promote(promoted)
    house.days_pass(100)
    made = house.plan(**everything_goes())
    assert house.going(made) == [part(other, 1)]
    assert [(kept.path.split("/", 1)[1], kept.why) for kept in made.kept] == [
        (part(promoted, 1), "its run was promoted")
    ]


def test_a_run_promoted_between_plan_and_deed_stays(house):
    run = house.run(1, parts=(500,))
    house.days_pass(100)
    made = house.plan(raw_days=1)
    house.promote(run)
    result = house.apply(made)
    assert (result.done, [kept.why for kept in result.skipped]) == ([], ["its run was promoted"])
    assert house.tombstones() == []
    house.assert_in_order()


def test_a_run_that_a_tier_2_run_names_keeps_its_raw_samples(house):
    named = house.run(1, parts=(500,))
    house.run(2, tier=Tier.TIER2_FULL, mention=f"replays {named.name}")
    house.days_pass(100)
    assert house.going(house.plan(**everything_goes())) == []


def test_what_is_not_sealed_in_the_ledger_is_not_touched(house, layout):
    run = house.run(1, parts=(500,))
    copy = run.with_name(run.name[:-1] + "9")
    shutil.copytree(run, copy)
    other = run.with_name(run.name[:-1] + "8")
    other.mkdir()
    (other / "m_execution_raw_part_0001.json").write_bytes(b"[]")
    house.days_pass(100)
    assert house.going(house.plan(**everything_goes())) == [part(run, 1)]


def test_pools_ledger_events_and_tier_2_runs_are_never_in_a_plan(house):
    house.run(1, parts=(500,), lines=20)
    full = house.run(2, parts=(500,), tier=Tier.TIER2_FULL)
    house.snapshot(3)
    house.days_pass(1000)
    made = house.plan(**everything_goes(), tier2_days=1)
    assert [(item.action, item.path) for item in made.items if item.kind != "raw"] == [
        (Action.ASK, f"runs/{full.name}")
    ]
    before = contents(full)
    house.apply(made)
    assert contents(full) == before
    house.assert_in_order()


def test_a_run_whose_seal_was_rewritten_is_not_touched_and_told(house):
    run = house.run(1, parts=(500,))
    (run / "SHA256SUMS.txt").write_bytes((run / "SHA256SUMS.txt").read_bytes()[66:])
    gone = house.run(2, parts=(500,))
    (gone / "SHA256SUMS.txt").unlink()
    house.days_pass(100)
    made = house.plan(**everything_goes(), compress_days=1)
    assert made.items == []
    assert sorted(kept.path for kept in made.kept) == sorted(f"runs_hf/{r.name}" for r in (run, gone))


def test_a_part_that_was_changed_is_refused_and_told_not_deleted(house):
    run = house.run(1, parts=(500, 500))
    changed = run / "m_execution_raw_part_0001.json"
    changed.write_bytes(changed.read_bytes().replace(b"x", b"y", 1))
    house.days_pass(100)
    result = house.apply(house.plan(raw_days=1))
    assert [kept.path.split("/", 1)[1] for kept in result.refused] == [part(run, 1)]
    assert changed.exists()
    assert [t["path"].split("/", 1)[1] for t in house.tombstones()] == [part(run, 2)]
    assert Event.VERIFY_FAILED.label in [fields["PROMETHEUS_EVENT"] for _, fields in house.said]


def test_a_damaged_ledger_deletes_nothing(house):
    house.run(1, parts=(500,))
    house.days_pass(100)
    data = bytearray(house.layout.ledger.read_bytes())
    data[40] ^= 1
    house.layout.ledger.write_bytes(data)
    with pytest.raises(EvidenceError, match=r"ledger\.jsonl"):
        house.plan(raw_days=1)


# ---- snapshots -------------------------------------------------------------------------------------------------------


def test_a_ledger_with_an_entry_that_its_table_does_not_allow_deletes_nothing(house):
    """Such an entry may be a promotion that keeps a run, or a tombstone that lets one go: neither is guessed."""
    house.run(parts=(500,))
    house.days_pass(30)
    made = house.plan(raw_days=14)
    assert len(made.items) == 1
    house.ledger().append(LedgerEntryType.PROMOTION, {"promotion": "P"})
    before = contents(house.layout.lib / "runs_hf")
    for attempt in (lambda: house.plan(raw_days=14), lambda: house.apply(made)):
        with pytest.raises(EvidenceError, match=r"promotion: .* missing: nothing is deleted or compressed"):
            attempt()
    assert contents(house.layout.lib / "runs_hf") == before


def test_a_run_that_was_adopted_keeps_its_raw_samples(house):
    run = house.run(1, parts=(500,))
    other = house.layout.lib / "runs_hf" / f"{run.name[:-4]}0002"
    shutil.copytree(run, other)
    seal = read_seal(other)
    house.ledger().append(LedgerEntryType.RUN_ADOPTED, seal.ledger_payload(run_dir=f"runs_hf/{other.name}"))
    house.days_pass(30)
    assert house.going(house.plan(raw_days=14)) == [part(run, 1)]


def test_old_snapshots_go_but_the_newest_and_those_that_a_run_names(house):
    first, second, third, newest = (house.snapshot(n) for n in (1, 2, 3, 4))
    stage2 = house.run(1, mention=f"cold start from {second.id}")
    assert stage2.exists()
    house.days_pass(50)
    made = house.plan(snapshot_days=30)
    assert [item.path for item in made.items] == [f"pools/stage1/snapshots/{info.path.name}" for info in (first, third)]
    assert {kept.why for kept in made.kept} == {"a run names it", "it is the newest of its pool"}
    house.apply(made)
    left = {path.name for path in house.layout.snapshots(Stage.STAGE1).iterdir()}
    assert left == {name for info in (second, newest) for name in (info.path.name, info.index_path.name)}
    house.assert_in_order()


def test_no_snapshot_goes_unless_asked(house):
    house.snapshot(1)
    house.snapshot(2)
    house.days_pass(5000)
    assert house.plan(raw_days=1).items == []


# ---- tombstones and verification -------------------------------------------------------------------------------------


def test_the_tombstone_names_what_went_and_why_and_the_journal_hears_of_it(house):
    run = house.run(1, parts=(500, 700))
    house.days_pass(15)
    sizes = [(run / f"m_execution_raw_part_000{n}.json").stat().st_size for n in (1, 2)]
    house.apply(house.plan(raw_days=14))
    first, second = house.tombstones()
    assert (first["kind"], first["run_id"], first["policy"]) == ("file", run.name, "raw_days=14")
    assert (first["path"], first["bytes"]) == (f"runs_hf/{part(run, 1)}", sizes[0])
    assert first["reason"] == "raw_days=14, 15.0 days old"
    assert second["sha256"] != first["sha256"]
    ((_, fields),) = house.said
    assert fields["PROMETHEUS_EVENT"] == Event.RETENTION_DELETION.label
    assert fields["PROMETHEUS_RUN_ID"] == run.name
    assert (fields["PROMETHEUS_FILES"], fields["PROMETHEUS_BYTES"]) == ("2", str(sum(sizes)))


def test_a_deletion_is_noted_by_verify_and_only_with_its_tombstone(house):
    run = house.run(1, parts=(500, 500))
    house.days_pass(15)
    house.apply(house.plan(raw_days=14))
    said = "\n".join(verify_run(run).lines())
    assert said.count("deleted by retention, as its tombstone") == 2
    assert verify_run(run, look_for_ledger=False).exit_code == 1
    other = house.run(2, parts=(500,))
    (other / "m_execution_raw_part_0001.json").unlink()
    assert verify_run(other).exit_code == 1


def test_a_tombstone_of_other_bytes_explains_nothing(house):
    run = house.run(1, parts=(500,))
    bury(house, run, "m_execution_raw_part_0001.json", sha256="0" * 64)
    (run / "m_execution_raw_part_0001.json").unlink()
    assert verify_run(run).exit_code == 1


def test_no_tombstone_explains_the_absence_of_a_record_that_is_kept_for_ever(house):
    run = house.run(1)
    sums = dict(reversed(line.split("  ")) for line in (run / "SHA256SUMS.txt").read_text().splitlines())
    bury(house, run, "interesting_deaths.jsonl", sha256=sums["interesting_deaths.jsonl"])
    (run / "interesting_deaths.jsonl").unlink()
    report = verify_run(run)
    assert report.exit_code == 1
    assert "no policy may delete this" in "\n".join(report.lines())


def bury(house, run, name, *, sha256):
    payload = tombstone_payload(
        kind="file", run_id=run.name, path=f"runs_hf/{run.name}/{name}", sha256=sha256, size=1, reason="r", policy="p"
    )
    house.ledger().append(LedgerEntryType.RETENTION_DELETION, payload)


def test_two_passes_at_once_are_refused(house, monkeypatch):
    house.run(1, parts=(500,))
    house.days_pass(100)
    made = house.plan(raw_days=1)
    monkeypatch.setattr("prometheus.v10.ops.retention.retention_apply.LOCK_ATTEMPTS", 2)
    with retention_lock(house.layout), pytest.raises(LockHeldError):
        house.apply(made)
    assert len(house.apply(made).done) == 1


def test_a_plan_carried_out_twice_deletes_once(house):
    house.run(1, parts=(500,))
    house.days_pass(100)
    made = house.plan(raw_days=1)
    house.apply(made)
    assert house.apply(made).done == []
    assert len(house.tombstones()) == 1


# ---- Tier 2 ----------------------------------------------------------------------------------------------------------


def test_a_tier_2_run_goes_for_a_reason_and_its_seal_stays_in_the_ledger(house):
    run = house.run(1, parts=(500,), tier=Tier.TIER2_FULL)
    with pytest.raises(UsageError, match="for a reason"):
        house.delete_run(run, reason="  ")
    result = house.delete_run(run, reason="superseded by the audit of March")
    assert not run.exists()
    assert result.freed_bytes > 500
    (tombstone,) = house.tombstones()
    assert (tombstone["kind"], tombstone["path"], tombstone["policy"]) == ("run", f"runs/{run.name}", "operator")
    assert tombstone["reason"] == "superseded by the audit of March"
    assert "superseded by the audit of March" in house.said[-1][0]
    house.assert_in_order()
    with pytest.raises(UsageError, match="gone already"):
        house.delete_run(run)


def test_a_tier_1_run_and_an_unknown_one_are_never_deleted(house):
    run = house.run(1)
    with pytest.raises(UsageError, match="kept for ever"):
        house.delete_run(run)
    with pytest.raises(UsageError, match="knows no sealed run"):
        house.delete_run(run.with_name("PROMOTE_20260102T030405Z_0123456_ffff"))
    assert run.exists()


def test_a_tier_2_run_gone_without_a_reason_is_found(house):
    run = house.run(1, tier=Tier.TIER2_FULL)
    shutil.rmtree(run)
    assert "gone without a tombstone" in "\n".join(audit(house.layout).lines())


# ---- configuration and command ---------------------------------------------------------------------------------------


def profile(layout, text=""):
    place = layout.profiles / "HF.toml"
    place.write_text('mode = "offline"\n' + text)
    return load_profile("HF", layout)


def test_the_policy_is_the_profiles(layout):
    assert RetentionPolicy.of(profile(layout)) == RetentionPolicy(raw_days=14, keep_free_bytes=1 << 30)
    text = "[retention]\nraw_days = 7\nraw_bytes = 5\nkeep_free_bytes = 6\ntier2_days = 8\nsnapshot_days = 9\n"
    found = RetentionPolicy.of(profile(layout, text + "compress_days = 10\n"))
    assert found == RetentionPolicy(
        raw_days=7, raw_bytes=5, keep_free_bytes=6, tier2_days=8, snapshot_days=9, compress_days=10
    )
    assert RetentionPolicy.of(profile(layout, "[disk]\nkeep_free_bytes = 3\n")).keep_free_bytes == 3


@pytest.mark.parametrize("text", ["raw_days = 0", "tier2_days = 0", "raw_bytes = -1", "raw_dys = 3", 'raw_days = "x"'])
def test_a_bound_that_cannot_be_meant_is_refused(layout, text):
    with pytest.raises(ConfigError):
        profile(layout, f"[retention]\n{text}\n")


def command(*arguments):
    code = "import sys; from prometheus.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, "retention", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_command_shows_and_then_does(house):
    profile(house.layout, "[disk]\nkeep_free_bytes = 0\n[retention]\nraw_days = 1\ncompress_days = 1\n")
    house.clock.moment = house.clock.moment.replace(year=2025)  # the command has the machine's clock
    run = house.run(1, parts=(500,), lines=20)
    root = house.layout.lib
    before = contents(root)
    assert command("--root", root).returncode == 64
    shown = command("--dry-run", "--root", root)
    assert shown.returncode == 0, shown.stderr
    assert part(run, 1) in shown.stdout
    assert "raw_days=1" in shown.stdout
    assert contents(root) == before
    plain = json.loads(command("--dry-run", "--root", root, "--json").stdout)
    assert [item["action"] for item in plain["items"]] == ["delete", "compress", "compress"]
    done = command("--apply", "--root", root, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["freed_bytes"] > 500
    assert (house.layout.state / "retention.reserve").stat().st_size == 1 << 20
    house.assert_in_order()
    restored = command("restore", run.name, "--root", root)
    assert restored.returncode == 0, restored.stderr
    assert (run / "death_events.jsonl").exists()


def test_the_command_wants_run_and_reason_together(house):
    profile(house.layout)
    run = house.run(1, tier=Tier.TIER2_FULL)
    alone = command("--apply", "--root", house.layout.lib, "--run", run.name)
    assert (alone.returncode, alone.stderr.splitlines()[0]) == (64, "error: --run and --reason are given together")
    both = command("--apply", "--root", house.layout.lib, "--run", run.name, "--reason", "it was a trial")
    assert both.returncode == 0, both.stderr
    assert not run.exists()


def test_the_command_ends_65_when_something_is_not_as_it_was_sealed(house):
    profile(house.layout, "[retention]\nraw_days = 1\n")
    house.clock.moment = house.clock.moment.replace(year=2025)
    run = house.run(1, parts=(500,))
    (run / "m_execution_raw_part_0001.json").write_bytes(b"[]")
    ended = command("--apply", "--root", house.layout.lib, "--json")
    assert ended.returncode == 65
    assert "not as it was sealed" in ended.stdout
