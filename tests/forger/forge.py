"""Changes one leaf of one artifact to another plausible value, and makes everything around it agree again.

The forger has the suite's own encoders and write access to the tree: counts of files and bytes in the manifest, hashes,
FILELIST, seal and the ledger's line are all redone, so that only the meaning of the bytes can give him away.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from prometheus.v10.base.files import Files
from prometheus.v10.base.modes import RunPrefix
from prometheus.v10.base.names import EVENT_STREAMS, SEAL_FILES, Artifact
from prometheus.v10.evidence.chains.absences import PACKED_SUFFIX
from prometheus.v10.evidence.records.canonical import canonical_bytes, pretty_bytes
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.packing import pack
from prometheus.v10.evidence.writing.seal import Listed, seal_run

STREAMS = (*EVENT_STREAMS, Artifact.FOUNDERS, Artifact.POPULATION_SERIES)
DOCUMENTS = (Artifact.MANIFEST, Artifact.SUMMARY, Artifact.TELEMETRY, Artifact.FINGERPRINT)
Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Forgery:
    """One change: in which file, in which line (None in a document), at which path, from what to what."""

    file: str
    line: int | None
    path: Path_
    before: Any
    after: Any

    @property
    def field(self) -> str:
        """The leaf's name without its places in lists: ``all_stats.*.costs.fees``."""
        names = ["*" if isinstance(name, int) else name for name in self.path]
        if self.file == Artifact.SUMMARY and names[:1] == ["summary_stats"]:
            names = ["summary_stats", "*", names[-1]]
        if self.file == Artifact.TELEMETRY and names[:1] == ["counters"]:
            names = ["counters", "*", *names[2:]]
        file = re.sub(r"_part_[0-9]+", "_part", self.file)
        return f"{file}:{'.'.join(map(str, names))}"


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every leaf of a plain value; an empty table or list is a leaf of its own."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path, value


def changed(value: Any, draw: random.Random) -> Any:
    """Another value of the same kind that a reader would not stumble over."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return max(0, value + draw.choice([-1, 1, 2, 10])) if value >= 0 else value + draw.choice([-1, 1])
    if isinstance(value, float):
        return _other_real(value, draw)
    if isinstance(value, str):
        return _other_text(value, draw)
    if value is None:
        return draw.choice([1, 0.5, "known"])
    return [0] if isinstance(value, list) else {"note": 1}


def _other_real(value: float, draw: random.Random) -> float:
    if value == 0.0:
        return draw.choice([0.01, 1.0])
    return value * draw.choice([1.001, 0.99, 1.42, 0.5])


def _other_text(value: str, draw: random.Random) -> str:
    if re.fullmatch(r"[0-9a-f]{16,64}", value):
        place = draw.randrange(len(value))
        return value[:place] + draw.choice([c for c in "0123456789abcdef" if c != value[place]]) + value[place + 1 :]
    digits = [place for place, character in enumerate(value) if character.isdigit()]
    if digits:
        place = draw.choice(digits)
        return value[:place] + str((int(value[place]) + draw.choice([1, 2])) % 10) + value[place + 1 :]
    words = {"long": "short", "short": "long", "buy": "sell", "sell": "buy", "entry": "exit", "exit": "entry"}
    return words.get(value, value[:-1] if len(value) > 1 and draw.random() < 0.5 else value + "x")


class Original:
    """A sealed run, from which forgeries are made elsewhere."""

    def __init__(self, run_dir: Path) -> None:
        self.dir = run_dir
        self.files = {path.name: path.read_bytes() for path in run_dir.iterdir()}
        judges = run_dir.name.startswith(f"{RunPrefix.STAGE2}_")
        self.snapshots = run_dir.parent.parent / "pools/stage1/snapshots" if judges else None

    def draw(self, draw: random.Random) -> Forgery | None:
        """A change of a leaf: of a file, then of a line, then of a field, each with equal chances."""
        names = [name for name in sorted(self.files) if name not in set(SEAL_FILES) and self.files[name].strip()]
        name = draw.choice(names)
        if name in STREAMS or "_part_" in name:
            lines = self.files[name].split(b"\n")
            places = [place for place, line in enumerate(lines) if line.startswith(b"{")]
            place = draw.choice(places)
            found = json.loads(lines[place].removesuffix(b","))
        else:
            place, found = None, json.loads(self.files[name])
        path, before = self._leaf(found, draw)
        after = changed(before, draw)
        if not path or json.dumps(before) == json.dumps(after):
            return None
        return Forgery(name, place, path, before, after)

    @staticmethod
    def _leaf(found: Any, draw: random.Random) -> tuple[Path_, Any]:
        """A leaf: the top-level field first, so that one that holds much is not drawn more often."""
        fields: dict[str, list[tuple[Path_, Any]]] = {}
        for path, value in leaves(found):
            fields.setdefault(str(path[0]) if path else "", []).append((path, value))
        return draw.choice(fields[draw.choice(sorted(fields))])

    def forge(self, forgery: Forgery, root: Path) -> VerifyReport:
        """Write the run with the change under ``root``, agree with it everywhere else, seal it, and verify it.

        Every second forgery lies in a run whose event files were compressed at its seal, as by chance.
        """
        target = root / "runs_hf" / self.dir.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        files = {name: data for name, data in self.files.items() if name not in set(SEAL_FILES)}
        files[forgery.file] = _with(files[forgery.file], forgery)
        if "_part_" in forgery.file:
            files[Artifact.EXECUTION_RAW_INDEX] = _index_of(files, forgery.file)
        if forgery.path != ("evidence", "bytes") or forgery.file != Artifact.MANIFEST:
            files[Artifact.MANIFEST] = _sized(files, forgery)
        for name, data in files.items():
            (target / name).write_bytes(data)
        self._place_snapshots(root)
        seal_run(target, pack=pack_into if crc32(repr(forgery).encode()) & 1 else None)
        return verify_run(target, look_for_ledger=False)

    def _place_snapshots(self, root: Path) -> None:
        """What the run judged lies in its root as it was: the forger changes one run."""
        place = root / "pools/stage1/snapshots"
        shutil.rmtree(place, ignore_errors=True)
        if self.snapshots is not None:
            shutil.copytree(self.snapshots, place)


def pack_into(run_dir: Path, item: Listed, files: Files) -> str | None:
    """As `pack_beside`, for files of any size: the runs here are small."""
    if not item.name.endswith(".jsonl") or item.name == Artifact.COLLAPSES or not item.size:
        return None
    place = run_dir / item.name
    return pack(place, place.with_name(f"{place.name}{PACKED_SUFFIX}"), size=item.size, mode=0o640, files=files)


def _with(data: bytes, forgery: Forgery) -> bytes:
    if forgery.line is None:
        return pretty_bytes(_put(json.loads(data), forgery.path, forgery.after))
    lines = data.split(b"\n")
    comma = b"," if lines[forgery.line].endswith(b",") else b""
    record = json.loads(lines[forgery.line].removesuffix(b","))
    lines[forgery.line] = canonical_bytes(_put(record, forgery.path, forgery.after)) + comma
    return b"\n".join(lines)


def _put(tree: Any, path: Path_, value: Any) -> Any:
    at = tree
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return tree


def _index_of(files: dict[str, bytes], name: str) -> bytes:
    """The raw index with size and hash of a changed part redone."""
    index = json.loads(files[Artifact.EXECUTION_RAW_INDEX])
    for part in index["shards"]:
        if part["filename"] == name:
            digest = hashlib.sha256(files[name]).hexdigest()
            part |= {"bytes": len(files[name]), "sha256": digest, "sha256_16": digest[:16]}
    index["total_bytes"] = sum(part["bytes"] for part in index["shards"])
    index["over_budget_bytes"] = max(0, index["total_bytes"] - index["policy"]["budget_bytes"])
    return pretty_bytes(index)


def _sized(files: dict[str, bytes], forgery: Forgery) -> bytes:
    """The manifest with the sizes of the files as they are now, and the hash of its configuration."""
    manifest = json.loads(files[Artifact.MANIFEST])
    rest = [len(data) for name, data in files.items() if name != Artifact.MANIFEST]
    if isinstance(manifest.get("evidence"), dict) and forgery.path[:1] != ("evidence",):
        manifest["evidence"]["bytes"] = sum(rest)
    if forgery.path[:1] == ("config",):
        manifest["config_hash"] = hashlib.sha256(canonical_bytes(manifest["config"])).hexdigest()
    return pretty_bytes(manifest)
