"""What a run of stage 2 must say beside what every run must: its cells, its batches, and who was judged in them.

Standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from prometheus.v10.evidence.derive.derived_run import Say, check_head, check_market, equal
from prometheus.v10.evidence.derive.judged import cell_rules as cells
from prometheus.v10.evidence.derive.judged.judging import Judging, windows_of
from prometheus.v10.evidence.derive.lives import Told
from prometheus.v10.evidence.derive.typed import is_count, is_sha256, is_text, shown, table
from prometheus.v10.evidence.records.canonical import canonical_bytes

SNAPSHOT = ("id", "file", "pool_path", "count", "head_hash", "sha256", "bytes")
"""What a manifest repeats of the snapshot's index and of the ledger's entry of it."""


def check_judging(judging: Judging, manifest: Mapping[str, Any], say: Say) -> None:
    """What was settled before the first tick: world, windows, market, snapshot, batches and evaluation."""
    check_head(manifest, say)
    config, market = table(manifest.get("config")), table(manifest.get("market"))
    rules = table(config.get("stage2"))
    equal(say, "world", manifest.get("world"), dict(judging.world))
    check_market(config, market, market["timeframe_s"], say)
    equal(say, "run_counter", manifest.get("run_counter"), 0)
    windows = windows_of(rules, market["rows"])
    start, end = min(one["start"] for one in windows), max(one["start"] + one["len"] for one in windows)
    window = {
        "name": "+".join(one["name"] for one in windows),
        "start": start,
        "len": end - start,
        "windows": [{name: one[name] for name in ("name", "start", "len")} for one in windows],
        "timeframes_s": rules.get("timeframes_s"),
    }
    equal(say, "window", manifest.get("window"), window)
    if end > market["rows"]:
        say(f"window ends behind the last of {market['rows']} bars")
    _check_reference(judging, manifest, rules, say)


def _check_reference(
    judging: Judging, manifest: Mapping[str, Any], rules: Mapping[str, Any], say: Say
) -> None:  # fmt: skip
    said = judging.snapshot
    derived: dict[str, Any] = {name: said.get(name) for name in SNAPSHOT}
    derived |= {
        "file": f"snapshot_{said['id']}.jsonl",
        "evaluation": evaluation_of(manifest),
        "batches": list(judging.batches),
    }
    if "stretches" in said:
        derived["stretches"] = stretches_said(judging)
    equal(say, "stage2", dict(said), derived)
    if not (is_sha256(said.get("head_hash")) and str(said.get("id")).endswith(f"-{str(said['head_hash'])[:8]}")):
        say(f"stage2.head_hash is {shown(said.get('head_hash'))}, which is not that of {shown(said.get('id'))}")
    if not (is_sha256(said.get("sha256")) and is_count(said.get("bytes")) and is_text(said.get("pool_path"))):
        say("stage2: sha256, bytes or pool_path is not what it must be")
    if rules.get("snapshot") not in {"", said["id"]}:
        say(f"stage2.id is {shown(said['id'])}, config.stage2 asked for {shown(rules.get('snapshot'))}")
    most = rules.get("batches_a_run")
    if not is_count(most) or (most and len(judging.batches) > int(most)):
        say(f"stage2.batches are {len(judging.batches)}, config.stage2 allows a run {shown(most)}")


def stretches_said(judging: Judging) -> list[dict[str, Any]]:
    """``stage2.stretches``: what a manifest says of each window in each timeframe."""
    return [
        {
            "window": one.window,
            "timeframe_s": one.timeframe_s,
            "bars": one.bars,
            "first_time": one.first_open.strftime("%Y-%m-%d %H:%M:%SZ"),
        }
        for one in judging.stretches
    ]


def evaluation_of(manifest: Mapping[str, Any]) -> str:
    """The hash of everything that decides a verdict."""
    config = table(manifest.get("config"))
    rules = {**table(config.get("stage2")), "snapshot": "", "batches_a_run": 0}
    return evaluation_hash(
        {**config, "stage2": rules}, str(table(manifest.get("market")).get("sha256")), str(manifest.get("core_hash"))
    )


def evaluation_hash(config: Mapping[str, Any], market: str, core: str) -> str:
    """The hash that names an evaluation, of a dumped configuration whose choice of snapshot was taken out."""
    decisive = {name: config.get(name) for name in ("stage2", "world", "experiments")}
    found = {**decisive, "market": market, "core": core, "verdict": cells.VERDICT, "labels": cells.DEFINITIONS}
    return hashlib.sha256(canonical_bytes(found)).hexdigest()


def records_owed(judging: Judging, manifest: Mapping[str, Any], told: Mapping[int, Told]) -> int:
    """How many verdicts the run appended: at most one for each genome of its whole batches.

    Who had a verdict before gets none, which only the pool tells; a batch that was chosen had at least one without.
    """
    done = judging.whole(len(told)) or 0
    most, said = sum(judging.sizes[:done]), table(manifest.get("counts")).get("pool_records")
    return int(said) if is_count(said) and done <= int(said) <= most else most


def check_batches(judging: Judging, told: Mapping[int, Told], say: Say) -> None:
    """Whole batches only, in each of which the same genomes met every cell."""
    if judging.whole(len(told)) is None:
        say(f"{len(told)} experiments are no whole number of batches")
    if cut := [number for number, one in sorted(told.items()) if not one.completed]:
        say(f"experiment {cut[0]} was cut: a batch is written when it is whole")
    everyone: dict[int, bytes] = {}
    dealt: tuple[bytes, ...] = ()
    for number, one in sorted(told.items()):
        if not one.founders:
            continue
        place = judging.place(number)
        if place.crowd is None:
            dealt = one.founders[1:]
            if everyone.setdefault(place.batch, one.founders[0]) != one.founders[0]:
                say(f"experiment {number}: its founders are not the genomes of batch {judging.batches[place.batch]}")
        elif place.crowd >= len(dealt) or one.founders[0] != dealt[place.crowd]:
            say(f"experiment {number}: its founders are not those whom seed {place.seed} deals into this crowd")
