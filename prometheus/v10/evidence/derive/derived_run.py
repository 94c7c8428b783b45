"""What a run's manifest must say, given its configuration and what its files hold. Standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from prometheus.v10.base.modes import Tier
from prometheus.v10.base.names import Artifact
from prometheus.v10.evidence.derive.derived_world import ABLATIONS, timeframe_name, world_of
from prometheus.v10.evidence.derive.eras.era_rules import expected_window
from prometheus.v10.evidence.derive.eras.founded import ERA, check_era, era_number
from prometheus.v10.evidence.derive.exchanged.exchange_modes import is_exchange, plan_rules
from prometheus.v10.evidence.derive.lives import Lives, Told
from prometheus.v10.evidence.derive.setting import Setting, hands_to_pool, utc
from prometheus.v10.evidence.derive.typed import (
    differing,
    is_count,
    is_real,
    is_sha256,
    same,
    shown,
    table,
)
from prometheus.v10.evidence.records.series.moments import SERIES, TIER_1, TIER_2
from prometheus.v10.evidence.records.verify_manifest import moment

Say = Callable[[str], None]
SLACK_SECONDS = 1.0
"""Between the moment of a stop and a process that had not seen it yet."""
NO_EXCHANGE = "offline: no exchange, no client library and no account"
OFFLINE_STP = {
    "stp_supported": None,
    "stp_enabled": None,
    "execution_netting_enabled": False,
    "self_trade_policy": "forbid",
    "self_trade_detection_capability": "none",
    "note": "offline: orders fill against the bar and never meet each other, so a self-trade cannot happen",
}


REASONS = {
    "end_time": "the run has not ended yet",
    "stop_time": "the run was not stopped",
    "stop_reason": "the run was not stopped",
    "timing.stop_seconds": "the run was not stopped",
    "failure": "the run did not fail",
    "internal_collapse_reason": "no internal collapse in this run",
    "internal_collapse_time": "no internal collapse in this run",
    "time_to_first_internal_collapse_seconds": "no internal collapse in this run",
    "time_to_first_internal_collapse_ticks": "no internal collapse in this run",
    "restart_time_seconds": "this run does not follow a collapse",
    "previous_run_id": "the first run of this instance's state",
    "self_trade_prevention.stp_supported": NO_EXCHANGE,
    "self_trade_prevention.stp_enabled": NO_EXCHANGE,
    "pool_appends.first_n": "no record was appended",
    "pool_appends.last_n": "no record was appended",
    "journal.last_error": "no entry failed",
    "journal.absent_reason": "the journal is present",
    "journal.invocation_id": "not started by systemd: INVOCATION_ID is not set",
}
"""Why a field is null, where the run itself settles it."""


def check_plan(manifest: Mapping[str, Any], say: Say) -> None:
    """What was settled before the first tick of stage 1: world, window, seeds, arm and market."""
    check_head(manifest, say)
    config, world, market = table(manifest.get("config")), table(manifest.get("world")), table(manifest.get("market"))
    step = world.get("timeframe_s")
    if not is_count(step) or not step:
        say(f"world.timeframe_s is {shown(step)}")
        return
    given = plan_rules().world_given(manifest, say) if is_exchange(manifest) else {}
    equal(say, "world", dict(world), world_of({**table(config.get("world")), **given}, int(step)))
    check_era(manifest, say)
    if SERIES in manifest:
        promoted = table(manifest.get("meta")).get("tier") == Tier.TIER2_FULL.value
        equal(say, SERIES, manifest[SERIES], {"moments": TIER_2 if promoted else TIER_1})
    cycle = _check_window(manifest, config, table(manifest.get("window")), market, say)
    if is_exchange(manifest):
        plan_rules().check_market(manifest, say)
    else:
        check_market(config, market, int(step), say, cycle=cycle)
    _check_seeds(manifest, table(config.get("experiments")), say)


def check_head(manifest: Mapping[str, Any], say: Say) -> None:
    """What every run's manifest repeats of its configuration, and what has one form with or without an exchange."""
    config, market = table(manifest.get("config")), table(manifest.get("market"))
    experiments = table(config.get("experiments"))
    failure = manifest.get("failure")
    named = table(failure).get("missing")
    if (manifest.get("status") == "failed") != (failure is not None):
        say(f"status is {shown(manifest.get('status'))}, and failure is {shown(failure)}")
    elif failure is not None and (set(table(failure)) != {"error", "missing"} or not isinstance(named, list)):
        say(f"failure is {shown(failure)}, not an error and a list of missing files")
    equal(say, "mode", manifest.get("mode"), config.get("mode"))
    equal(say, "stage", manifest.get("stage"), config.get("stage"))
    equal(say, "arm", manifest.get("arm"), experiments.get("arm"))
    equal(say, "retention", manifest.get("retention"), config.get("retention"))
    equal(say, "symbol_in_use", manifest.get("symbol_in_use"), market.get("symbol"))
    if is_exchange(manifest):
        plan_rules().check_head(manifest, say)
    else:
        _check_offline(manifest, say)
    equal(say, "genome_schema", manifest.get("genome_schema"), "genome_342_f32/1")
    equal(say, "feature_contract", manifest.get("feature_contract"), "features_33/1")
    ablation = experiments.get("ablation")
    if isinstance(ablation, str) and ablation in ABLATIONS:
        equal(say, "ablation", manifest.get("ablation"), {"name": ablation, "detail": ABLATIONS[ablation]})
    else:
        say(f"config.experiments.ablation is {shown(ablation)}, which is none")
    directory, run_id = manifest.get("results_dir"), manifest.get("run_id")
    root = "runs_hf" if table(manifest.get("meta")).get("tier") == "tier1_hf" else "runs"
    if not isinstance(directory, str) or not directory.endswith(f"/{root}/{run_id}"):
        say(f"results_dir is {shown(directory)}, not a directory of {root} with the run's name")
    reasons = table(manifest.get("null_reasons"))
    for name, reason in REASONS.items():
        if name in reasons:
            equal(say, f"null_reasons.{name}", reasons[name], reason)
    for name in ("core_hash", "fence_inventory_hash"):
        if not is_sha256(manifest.get(name)):
            say(f"{name} is {shown(manifest.get(name))}, no sha256")


def _check_offline(manifest: Mapping[str, Any], say: Say) -> None:
    """What has one form in a run without an exchange."""
    equal(say, "impedance_fidelity", manifest.get("impedance_fidelity"), "simulated")
    equal(say, "self_trade_prevention", manifest.get("self_trade_prevention"), OFFLINE_STP)
    for name in ("exchange_lib", "env", "positions_quality"):
        equal(say, name, manifest.get(name), None)
        equal(say, f"null_reasons.{name}", table(manifest.get("null_reasons")).get(name), NO_EXCHANGE)


def equal(say: Say, path: str, found: object, derived: object) -> None:
    """Say where two plain values differ."""
    for sentence in differing(found, derived, path):
        say(sentence)


def check_market(config: Mapping[str, Any], market: Mapping[str, Any], step: int, say: Say, *, cycle: int = 0) -> None:
    """The market's identity against the configuration and itself.

    Args:
        config: of the run.
        market: what the manifest says of it.
        step: seconds of its bars.
        say: hears what is wrong.
        cycle: how often a walk had used all bars before: the synthetic market goes on under the next seed.
    """
    equal(say, "market.timeframe", market.get("timeframe"), timeframe_name(step))
    if "timeframe_s" in market:
        equal(say, "market.timeframe_s", market["timeframe_s"], step)
    if not is_sha256(market.get("sha256")):
        say(f"market.sha256 is {shown(market.get('sha256'))}")
    wanted, source = table(config.get("market")), market.get("source")
    for name in ("timeframe_s", "symbol"):
        if wanted.get(name) is not None:
            equal(say, f"market.{name}", market.get(name), wanted[name])
    rows, first, last = market.get("rows"), utc(market.get("first_time")), utc(market.get("last_time"))
    if not is_count(rows) or first is None or last is None:
        say("market.rows, first_time and last_time are not a count and two moments")
        return
    span, rest = divmod(last - first, timedelta(seconds=step))
    if rest or rows > span + 1:
        say(f"market.rows is {rows}: from first_time to last_time there are {span + 1} bars at most")
    if wanted.get("source") == "synthetic":
        if rows != span + 1:
            say(f"market.rows is {rows}: a synthetic market from first_time to last_time has {span + 1} bars")
        if wanted.get("bars") is not None:
            equal(say, "market.rows", rows, wanted["bars"])
        equal(say, "market.source", source, f"synthetic/1 seed={int(wanted.get('seed') or 0) + cycle}")
        equal(say, "market.funding", market.get("funding"), "known")


def _check_window(
    manifest: Mapping[str, Any], config: Mapping[str, Any], window: Mapping[str, Any], market: Mapping[str, Any],
    say: Say,
) -> int:  # fmt: skip
    """The window against the configuration and the era; returns the cycle of a walk."""
    rows = market.get("rows")
    if not is_count(rows):
        return 0  # said of the market
    expected = expected_window(config, era_number(manifest) or 0, rows)
    if expected is None:
        say(f"config.window names no bars of a market of {rows}")
        return 0
    cycle, wanted = expected
    equal(say, "window", dict(window), wanted)
    if era_number(manifest) is not None:
        equal(say, "era.cycle", table(manifest.get(ERA)).get("cycle"), cycle)
    if is_count(window.get("start")) and is_count(window.get("len")) and window["start"] + window["len"] > rows:
        say(f"window ends behind the last of {rows} bars")
    return cycle


def _check_seeds(manifest: Mapping[str, Any], experiments: Mapping[str, Any], say: Say) -> None:
    first, count, counter = experiments.get("seed"), experiments.get("count"), manifest.get("run_counter")
    seeds = manifest.get("seeds")
    if not (is_count(first) and is_count(count)) or not isinstance(seeds, list):
        say("config.experiments has no seed or no count")
        return
    if not is_count(counter):
        say(f"run_counter is {shown(counter)}, no count")
        return
    era = era_number(manifest)
    turn, whose = (counter, "run_counter") if era is None else (era, "the era")
    if table(manifest.get("meta")).get("tier") == Tier.TIER2_FULL.value:
        turn = 0  # its configuration has the one seed
        if counter:
            say(f"run_counter is {counter}: nobody counts the runs of Tier 2")
    start = int(first or 0) + int(turn or 0) * int(count or 0)
    if len(seeds) != count or not all(same(seed, start + place) for place, seed in enumerate(seeds)):
        say(f"seeds are not the {count} from {start} on, as config.experiments and {whose} make them")


def check_outcome(manifest: Mapping[str, Any], lives: Lives, setting: Setting, pooled: int, say: Say) -> None:
    """What was counted, collapsed, appended, told and timed, against what the files hold.

    Args:
        manifest: of the run.
        lives: what its event files say.
        setting: of its experiments.
        pooled: how many records it handed to its pool.
        say: hears what is wrong.
    """
    told = lives.told
    experiments = sorted(told)
    counts = table(manifest.get("counts"))
    derived = {
        "experiments": len(told),
        "deaths": lives.lines.get(Artifact.DEATHS, 0),
        "births": lives.lines.get(Artifact.BIRTHS, 0),
        "collapses": lives.lines.get(Artifact.COLLAPSES, 0),
        "interesting_deaths": lives.lines.get(Artifact.INTERESTING_DEATHS, 0),
        "raw_samples": counts.get("raw_samples"),
        "pool_records": pooled,
    }
    equal(say, "counts", dict(counts), derived)
    if experiments != list(range(len(experiments))):
        say("the experiments are not the first ones without a gap: some were left out")
    _check_status(manifest, told, say)
    _check_timing(manifest, told, say)
    _check_collapses(manifest, told, say)
    _check_appends(manifest, pooled, say)
    _check_journal(manifest, lives, setting, say)
    _check_times(manifest, say)


def pooled_of(manifest: Mapping[str, Any], told: Mapping[int, Told]) -> int:
    """How many genomes a run of stage 1 handed to its pool."""
    best = table(table(manifest.get("config")).get("pool")).get("best_of_the_dead")
    if not hands_to_pool(manifest) or not is_count(best):
        return 0
    return sum(one.in_pool + min(int(best or 0), one.traded_dead) for one in told.values() if one.completed)


def _check_status(manifest: Mapping[str, Any], told: Mapping[int, Told], say: Say) -> None:
    status, seeds = manifest.get("status"), manifest.get("seeds")
    cut = [number for number, one in told.items() if not one.completed]
    if status == "completed":
        if not isinstance(seeds, list) or len(told) != len(seeds) or cut:
            say(f"status is completed, and {len(told) - len(cut)} experiments were, of {len(seeds or [])}")
        if manifest.get("stop_detected") is not False:
            say("status is completed, and a stop was detected")
    elif status == "interrupted" and manifest.get("stop_detected") is not True:
        say("status is interrupted, and nothing stopped it")
    elif status == "aborted":
        say("status is aborted: no run of this version ends so")
    workers = table(manifest.get("config")).get("workers")
    processors = table(manifest.get("host")).get("cpus")
    most = workers if is_count(workers) and workers else processors
    if is_count(most) and len(cut) > int(most or 0):
        say(f"{len(cut)} experiments were cut, and no more than {most} ran at a time")


def _check_timing(manifest: Mapping[str, Any], told: Mapping[int, Told], say: Say) -> None:
    timing = table(manifest.get("timing"))
    entries, stop = timing.get("experiments"), timing.get("stop_seconds")
    if not isinstance(entries, list) or [table(one).get("experiment") for one in entries] != sorted(told):
        say("timing.experiments does not name each experiment once, in order")
        return
    if (stop is None) != (manifest.get("stop_detected") is not True) or (stop is not None and not is_real(stop)):
        say(f"timing.stop_seconds is {shown(stop)}, stop_detected {shown(manifest.get('stop_detected'))}")
        return
    for entry in entries:
        started, ended, wall = (table(entry).get(f"{name}_seconds") for name in ("started", "ended", "wall"))
        where = f"timing of experiment {entry['experiment']}"
        if not (is_real(started) and is_real(ended) and is_real(wall)) or set(entry) != _TIMED:
            say(f"{where}: not three numbers")
        elif not (ended >= started and wall == ended - started):
            say(f"{where}: wall_seconds is {wall!r}, from start to end it is {ended - started!r}")
        elif stop is not None and started > stop + SLACK_SECONDS:
            say(f"{where}: it began behind the stop")
        elif not told[entry["experiment"]].completed and (stop is None or ended < stop):
            say(f"{where}: it was cut, and ended before the moment in which every experiment was stopped")
    ticks = sum(one.agent_ticks for one in told.values())
    equal(say, "timing.agent_ticks", timing.get("agent_ticks"), ticks)
    duration = manifest.get("duration_seconds")
    if not is_real(duration) or not isinstance(duration, float) or duration <= 0.0:
        say(f"duration_seconds is {shown(duration)}")
    else:
        equal(say, "timing.agent_ticks_per_second", timing.get("agent_ticks_per_second"), ticks / duration)
    if timing.keys() != {"experiments", "agent_ticks", "agent_ticks_per_second", "stop_seconds"}:
        say("timing has other fields than its own")


_TIMED = {"experiment", "wall_seconds", "started_seconds", "ended_seconds"}


def _check_collapses(manifest: Mapping[str, Any], told: Mapping[int, Told], say: Say) -> None:
    found = manifest.get("internal_collapses")
    entries = [table(one) for one in found] if isinstance(found, list) else []
    derived = [
        {
            "experiment": number,
            "reason": one.collapse[0],
            "tick": one.collapse[1],
            "ticks_to_collapse": one.collapse[1] + 1,
            "market_time": one.close,
            "detected_at": entry.get("detected_at"),
            "seconds": entry.get("seconds"),
        }
        for (number, one), entry in zip(
            [(number, one) for number, one in sorted(told.items()) if one.collapse is not None],
            [*entries, *[{}] * len(told)],
            strict=False,
        )
        if one.collapse is not None
    ]
    equal(say, "internal_collapses", found, derived)
    if not isinstance(found, list) or len(entries) != len(derived):
        return
    start, end = moment(manifest.get("start_time")), moment(manifest.get("end_time"))
    duration = manifest.get("duration_seconds")
    last = 0.0
    for entry in entries:
        seconds, when = entry.get("seconds"), moment(entry.get("detected_at"))
        if not is_real(seconds) or when is None:
            say("internal_collapses: seconds or detected_at is not what it must be")
            return
        if seconds < last or (is_real(duration) and seconds > duration):
            say(f"internal_collapses: {seconds!r} seconds lie outside the run, or before the collapse before")
        if start is not None and end is not None and not start <= when <= end:
            say(f"internal_collapses: {entry.get('detected_at')} lies outside the run")
        last = seconds
    first: Mapping[str, Any] = min(entries, key=lambda one: (one["seconds"], one["experiment"]), default={})
    equal(say, "internal_collapse_detected", manifest.get("internal_collapse_detected"), bool(entries))
    for name, key in (
        ("internal_collapse_reason", "reason"),
        ("internal_collapse_time", "detected_at"),
        ("time_to_first_internal_collapse_seconds", "seconds"),
        ("time_to_first_internal_collapse_ticks", "ticks_to_collapse"),
    ):
        equal(say, name, manifest.get(name), first.get(key))


def _check_appends(manifest: Mapping[str, Any], pooled: int, say: Say) -> None:
    appends = table(manifest.get("pool_appends"))
    before, after = table(appends.get("before")), table(appends.get("after"))
    first, last = appends.get("first_n"), appends.get("last_n")
    equal(say, "pool_appends.appended", appends.get("appended"), pooled)
    equal(say, "pool_appends.pool", appends.get("pool"), f"pools/{manifest.get('stage')}/pool.jsonl")
    if appends.keys() != _APPENDS or not all(
        set(head) == {"records", "head"} and is_count(head["records"]) and is_sha256(head["head"])
        for head in (before, after)
    ):
        say("pool_appends: before and after are not two places of a pool")
        return
    if pooled == 0:
        if first is not None or last is not None or before != after:
            say("pool_appends: nothing was appended, and the pool moved")
        equal(say, "pool_appends.records_sha256", appends.get("records_sha256"), hashlib.sha256().hexdigest())
        return
    if not (is_count(first) and is_count(last)) or not is_sha256(appends.get("records_sha256")):
        say("pool_appends: first_n, last_n or records_sha256 is not what it must be")
        return
    if not (before["records"] <= first and last - first + 1 >= pooled and after["records"] == last + 1):
        say(
            f"pool_appends: {pooled} records from {first} to {last} do not lie between {before['records']} and "
            f"{after['records']}"
        )
    if after["records"] - before["records"] == pooled and first != before["records"]:
        say(f"pool_appends.first_n is {first}, the pool had {before['records']} records")
    if (before["records"] == 0) != (before["head"] == "0" * 64) or before["head"] == after["head"]:
        say("pool_appends: the heads are not those of a pool that grew")


_APPENDS = {"pool", "first_n", "last_n", "before", "after", "appended", "records_sha256"}


def _check_journal(manifest: Mapping[str, Any], lives: Lives, setting: Setting, say: Say) -> None:
    journal = table(manifest.get("journal"))
    sent, failed = table(journal.get("sent")), table(journal.get("failed"))
    if journal.get("present") is not True:
        if sent or failed or journal.get("present") is not False:
            say("journal: it is absent, and entries were sent")
        return
    if manifest.get("status") not in {"completed", "interrupted"}:
        return
    counts = {
        "run_started": 1,
        "run_ended": 1,
        "review_deaths": sum(one.ticks // setting.at(number).review_ticks for number, one in lives.told.items()),
        "interesting_death": lives.lines.get(Artifact.INTERESTING_DEATHS, 0),
        "collapse": lives.lines.get(Artifact.COLLAPSES, 0),
    }
    for name, count in counts.items():
        said = sent.get(name, 0), failed.get(name, 0)
        if not all(map(is_count, said)) or sum(said) != count:
            say(f"journal: {said[0]!r} entries of {name} sent and {said[1]!r} failed, the files make {count}")
    _check_reboots(manifest, (sent.get("reboot", 0), failed.get("reboot", 0)), say)
    if other := sorted((sent.keys() | failed.keys()) - counts.keys() - _OTHERS):
        say(f"journal: entries of {shown(other[:3])}, which no run sends")


_OTHERS = {"torn_tail", "retention_deletion", "disk_budget", "service_ready", "reboot", "trading_state"}


def _check_reboots(manifest: Mapping[str, Any], said: tuple[Any, Any], say: Say) -> None:
    """One entry for a run that follows a collapse, none for another; a promotion's run does not say which it is."""
    follows = manifest.get("previous_run_id") is not None
    promoted = table(manifest.get("meta")).get("tier") == Tier.TIER2_FULL.value
    wanted = {1} if follows else {0, 1} if promoted else {0}
    if not all(map(is_count, said)) or sum(said) not in wanted:
        after = "a collapse" if follows else "no collapse"
        say(f"journal: {said[0]!r} entries of reboot sent and {said[1]!r} failed, and the run follows {after}")


def _check_times(manifest: Mapping[str, Any], say: Say) -> None:
    """The form of the moments only: the clock of an honest machine may step, so their order proves nothing."""
    stop = moment(manifest.get("stop_time"))
    if stop is None and manifest.get("stop_time") is not None:
        say(f"stop_time is {shown(manifest['stop_time'])}, not UTC as records carry it")


def check_summary(manifest: Mapping[str, Any], summary: Mapping[str, Any], lives: Lives, say: Say) -> None:
    """The summary's head: whose it is, what it declares, its statistics and its invariants."""
    from prometheus.v10.evidence.derive.derived_statistics import declaration_of, invariants_of, statistics_of  # noqa: PLC0415

    rows: Sequence[Any] = summary["all_stats"]
    equal(say, "config", summary.get("config"), manifest.get("config"))
    equal(say, "audit_declaration", summary.get("audit_declaration"), declaration_of(manifest))
    equal(say, "summary_stats", summary.get("summary_stats"), statistics_of(rows, manifest))
    equal(say, "invariants", summary.get("invariants"), invariants_of(rows, summary.get("invariants")))
    if [table(row).get("experiment") for row in rows] != sorted(lives.told):
        say("all_stats has not one row for each experiment, in order")
