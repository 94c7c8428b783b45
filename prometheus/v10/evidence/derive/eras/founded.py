"""What a run that is an era says of its descent, held against its configuration, its lives and itself (ADR 0070).

Whether parents are in the pool, and of which line, is the audit's to find; that they were chosen by the rules, and that
offspring and newcomers have the genomes that the rules give, a replay proves. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Schema
from prometheus.v10.base.reading import LARGE, read_whole
from prometheus.v10.evidence.derive.eras.era_rules import has_eras, lines_of, share
from prometheus.v10.evidence.derive.lives import Told
from prometheus.v10.evidence.derive.setting import Setting
from prometheus.v10.evidence.derive.typed import differing, is_count, is_sha256, shown, table
from prometheus.v10.evidence.pools.descent import FRESH, INHERIT, LINES
from prometheus.v10.evidence.records.canonical import is_canonical
from prometheus.v10.evidence.schemas.schema_file import schema_of

Say = Callable[[str], None]
ERA, OF_EACH, FOUNDING = "era", "lines", "founding"
FIRST = Stage.STAGE1.value
"""Whose pool ancestors come from where nothing else is said."""
KEYS = (ERA, OF_EACH, FOUNDING)
"""Keys of a manifest that only an era has."""


def era_number(manifest: Mapping[str, Any]) -> int | None:
    """The number of the era that a run says it is; None where it is none, or says it wrongly."""
    number = table(manifest.get(ERA)).get("number")
    return number if is_count(number) else None


def check_era(manifest: Mapping[str, Any], say: Say) -> None:
    """The manifest's keys of an era against the configuration, and against each other."""
    config, there = table(manifest.get("config")), [key for key in KEYS if key in manifest]
    if not has_eras(config):
        if there:
            say(f"{', '.join(there)}: its runs are no eras, by its configuration")
        return
    if len(there) < len(KEYS):
        say(f"{', '.join(key for key in KEYS if key not in there)}: missing, and its runs are eras")
        return
    era, founding = table(manifest.get(ERA)), table(manifest.get(FOUNDING))
    policy = table(config.get("window")).get("policy", "fixed")
    promoted = table(manifest.get("meta")).get("tier") != "tier1_hf"
    expected = {
        "instance": era.get("instance") if promoted else manifest.get("instance"),
        "number": era.get("number"),
        "cycle": era.get("cycle"),
        "policy": policy,
    }
    for sentence in differing(dict(era), expected, ERA):
        say(sentence)
    if not (is_count(era.get("number")) and is_count(era.get("cycle")) and isinstance(era.get("instance"), str)):
        say("era: instance, number or cycle is not what it must be")
    lines, seeds = manifest.get(OF_EACH), manifest.get("seeds")
    count = len(seeds) if isinstance(seeds, list) else 0
    wanted = lines if promoted else _lines(config, count)
    if not isinstance(lines, list) or len(lines) != count or lines != wanted or not set(lines) <= set(LINES):
        say(f"lines are {shown(lines)}, the configuration makes {shown(wanted)}")
        return
    _check_founding(config, founding, inherits=bool(set(lines) - {FRESH}), say=say)


def _lines(config: Mapping[str, Any], count: int) -> list[str]:
    found = table(config.get("founding"))
    policy, fresh, null = found.get("policy", "random"), found.get("fresh", 0), found.get("null", 0)
    return lines_of(policy, count, fresh, null) if is_count(fresh) and is_count(null) else []


def _check_founding(config: Mapping[str, Any], said: Mapping[str, Any], *, inherits: bool, say: Say) -> None:
    if not inherits:
        for sentence in differing(dict(said), {"policy": "random"}, FOUNDING):
            say(sentence)
        return
    records, head = said.get("records"), said.get("head")
    if not is_count(records) or not is_sha256(head) or (records == 0) != (head == "0" * 64):
        say(f"founding: records {shown(records)} and head {shown(head)} are no place of a pool")
        return
    rules = table(config.get("founding"))
    wanted = rules.get("snapshot")
    snapshot = f"{records:012d}-{head[:8]}" if wanted == "newest" else wanted
    expected = {"policy": INHERIT, "snapshot": snapshot, "records": records, "head": head}
    if (stage := rules.get("stage", FIRST)) != FIRST:
        expected["stage"] = stage
    for sentence in differing(dict(said), expected, FOUNDING):
        say(sentence)


def check_founders(
    path: Path, manifest: Mapping[str, Any], setting: Setting, told: Mapping[int, Told], say: Say, *, unfinished: bool
) -> None:
    """``founders.jsonl`` line by line, against the manifest and the founders' genomes in the event files.

    Args:
        path: of the file.
        manifest: of the run.
        setting: of its experiments.
        told: what its event files say.
        say: hears what is wrong, with the number of the line.
        unfinished: the run was cut off, or failed: the last line may be missing, or cut.

    Raises:
        OSError: when it cannot be read.
        PrometheusError: when it is no regular file, or larger than any of its kind.
    """
    data = read_whole(path, at_most=LARGE)
    lines = data.split(b"\n")
    rest = lines.pop()
    if rest and not unfinished:
        say(f"{len(rest)} bytes without a newline at the end")
    experiments = sorted(told)
    if len(lines) != len(experiments) and not unfinished:
        say(f"{len(lines)} lines, and {len(experiments)} experiments")
    for number, (line, experiment) in enumerate(zip(lines, experiments, strict=False)):
        for what in _wrong(line, manifest, setting, experiment, told[experiment])[:5]:
            say(f"line {number + 1}: {what}")


def _wrong(line: bytes, manifest: Mapping[str, Any], setting: Setting, experiment: int, told: Told) -> list[str]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return [f"not JSON: {error}"]
    if not isinstance(record, dict) or not is_canonical(line, record):
        return ["not a canonical object (sorted keys, no spaces, every key once, one spelling of each number)"]
    if (first := schema_of(Schema.FOUNDERS).first(record)) is not None:
        return [first]
    own = setting.at(experiment)
    lines = manifest.get(OF_EACH)
    said: dict[str, object] = {
        "run_id": own.run_id,
        "experiment": experiment,
        "seed": own.seeds[experiment],
        "arm": own.arm,
        "line": lines[experiment] if isinstance(lines, list) and experiment < len(lines) else None,
        "null_reasons": {},
    }
    found = [f"{name} is {shown(record[name])}, expected {shown(want)}" for name, want in said.items()
             if record[name] != want]  # fmt: skip
    return found or _wrong_counts(record, manifest, own.founders) or _wrong_elites(record, told)


def _wrong_counts(record: Mapping[str, Any], manifest: Mapping[str, Any], founders: int) -> list[str]:
    parents, elites, offspring = record["parents"], record["elites"], record["offspring"]
    config = table(table(manifest.get("config")).get("founding"))
    if not parents:
        wanted = (0, 0, founders)
    else:
        wanted = (
            min(len(elites), share(config.get("elites", 0.0), founders), config.get("keep", 0)),
            share(config.get("offspring", 0.0), founders),
            founders - len(elites) - len(offspring),
        )
    found = []
    if (len(elites), len(offspring), record["newcomers"]) != wanted:
        found.append(
            f"{len(elites)} elites, {len(offspring)} offspring and {record['newcomers']} newcomers, "
            f"where [founding] makes {wanted[0]}, {wanted[1]} and {wanted[2]} of {founders}"
        )
    used = {*elites, *offspring}
    if used != set(range(len(parents))):
        found.append("parents are not those that elites and offspring name")
    if len({one["record_id"] for one in parents}) != len(parents) or len(set(elites)) != len(elites):
        found.append("a parent or an elite is named twice")
    founding = table(manifest.get(FOUNDING))
    nobody = record["line"] == FRESH or not founding.get("records") or era_number(manifest) == 0
    if parents and nobody:
        found.append("it names parents, and there is nobody that it could inherit from")
    return found


def _wrong_elites(record: Mapping[str, Any], told: Told) -> list[str]:
    if not told.founders:
        return []  # its lives are not known whole, which is said of them
    found = []
    for place, parent in enumerate(record["elites"]):
        digest = record["parents"][parent]["genome_sha256"]
        if place < len(told.founders) and told.founders[place].hex() != digest:
            found.append(f"founder {place} is an elite with genome {digest[:16]}, its lines name another")
    return found
