"""The raw calls of a run, read part by part, and the index that their bytes make. Standard library only."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus.v10.base.names import Artifact, Schema
from prometheus.v10.base.reading import LARGE, is_regular, open_regular
from prometheus.v10.evidence.derive.typed import plain_json, shown
from prometheus.v10.evidence.records.canonical import is_canonical, pretty_bytes, strict_loads
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.schema_file import schema_of

A_PART = 200
LONGEST = 64 << 20
"""Bytes of the longest line: an answer has 8 MiB at most, and may be spelt at a greater length."""

Say = Callable[[str, str], None]
"""Called with the name of a file and what is wrong with it."""
Call = dict[str, Any]


def part_names(run_dir: Path) -> list[str]:
    """Names of the parts that are there, by their numbers."""
    before, after = str(Artifact.EXECUTION_RAW).split("{part:04d}")
    form = re.compile(re.escape(before) + r"(\d{4,9})" + re.escape(after))
    found = [(int(match[1]), match[0]) for one in run_dir.iterdir() if (match := form.fullmatch(one.name))]
    return [name for _, name in sorted(found)]


def calls_of(run_dir: Path, started: object, say: Say) -> Iterator[Call]:
    """Every call, in order; at the end the index is held against what was read.

    Args:
        run_dir: the run.
        started: its start, which the index repeats.
        say: hears what is wrong.

    Raises:
        OSError: when a part cannot be read.
        PrometheusError: when one is no regular file.
    """
    shards: list[dict[str, Any]] = []
    last = 0
    for number, name in enumerate(part_names(run_dir), 1):
        if name != Artifact.EXECUTION_RAW.file_name(part=number):
            say(name, "parts are numbered from 1 without a gap")
        digest, size, first, count = hashlib.sha256(), 0, last + 1, 0
        for line in _lines(run_dir / name):
            digest.update(line)
            size += len(line)
            call = _call(line, name, run_dir.name, say)
            if call is None:
                continue
            if call["number"] != last + 1:
                say(name, f"call {call['number']} follows call {last}")
            last, count = call["number"], count + 1
            yield call
        if not 0 < count <= A_PART:
            say(name, f"{count} calls in a part")
        shards.append({
            "filename": name, "records_count": count, "bytes": size, "sha256": digest.hexdigest(),
            "sha256_16": digest.hexdigest()[:16], "first_call": first, "last_call": last,
        })  # fmt: skip
    _check_index(run_dir, shards, started, say)


def _lines(path: Path) -> Iterator[bytes]:
    with os.fdopen(open_regular(path), "rb") as file:
        while line := file.readline(LONGEST):
            yield line


def _call(line: bytes, name: str, run_id: str, say: Say) -> Call | None:
    """The call of a line; None for the array's brackets, and for what is none, which is said."""
    if line in {b"[\n", b"]\n"}:
        return None
    text = line.removesuffix(b"\n").removesuffix(b",")
    try:
        call = strict_loads(text)
    except ValueError as error:
        say(name, f"a line is no record: {error}")
        return None
    if (wrong := schema_of(Schema.EXCHANGE_CALL).first(call)) is not None:
        say(name, f"a call is none: {wrong}")
        return None
    found: Call = call
    if not is_canonical(text, found) or not line.endswith(b"\n"):
        say(name, f"call {found['number']} is not canonical")
    if found["run_id"] != run_id:
        say(name, f"call {found['number']} belongs to {shown(found['run_id'])}")
    for broken in violations(found):
        say(name, f"call {found['number']}: null rule: {broken}")
    return found


def _check_index(run_dir: Path, shards: list[dict[str, Any]], started: object, say: Say) -> None:
    name = str(Artifact.EXECUTION_RAW_INDEX)
    if not is_regular(run_dir / name):
        return  # said where files are counted
    index = {
        "schema": Schema.EXCHANGE_CALLS_INDEX.value, "version": 1, "run_id": run_dir.name, "created_at": started,
        "policy": {"type": "records_count", "threshold": A_PART}, "shards": shards, "total_shards": len(shards),
        "total_records": sum(one["records_count"] for one in shards),
        "total_bytes": sum(one["bytes"] for one in shards),
    }  # fmt: skip
    with os.fdopen(open_regular(run_dir / name), "rb") as file:
        data = file.read(LARGE)
    if data != pretty_bytes(index):
        say(name, "it is not the index that the parts make")


def rows_of(call: Call) -> list[Any]:
    """The rows of an answer that says that all is well; none of any other."""
    if call["code"] != "0" or call["status"] is None:
        return []
    said = plain_json(call["response"])
    rows = said.get("data") if isinstance(said, dict) else None
    return rows if isinstance(rows, list) else []
