"""Sealed runs at the practice venue, small enough for a test, and forgeries of them with every hash redone."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

from prometheus.cli.research.practice.practice_venue import VenueLine
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import SEAL_FILES, Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.chain import START, after, content_id
from prometheus.v10.evidence.records.canonical import canonical_bytes, canonical_line, pretty_bytes
from prometheus.v10.evidence.records.findings import VerifyReport
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.seal import seal_run
from prometheus.v10.execution.exchange_run.exchange_means import Means
from prometheus.v10.execution.exchange_run.exchange_work import run_exchange
from prometheus.v10.runs.control import Progress, RunOutcome, StopReason, Undisturbed
from prometheus.v10.runs.request.profile import Profile, load_profile
from prometheus.v10.runs.workload import RunRequest, Surroundings
from tests.execution.practice import Disturbed
from tests.forger.forge import Forgery, changed, leaves, pack_into

PROFILE = "PRACTICE"


LOOKS = 6
"""So many looks behind the end of a bar lie within the next one."""


class StopWithin(Undisturbed):
    """A `RunControl` that says stop within the bar behind so many whole ones; None lets the run end."""

    def __init__(self, bars: int | None = None) -> None:
        self.bars, self.opened, self.looks = bars, 0, 0

    def run_opened(self, run_id: str, path: Path) -> None:  # noqa: ARG002 - the protocol's
        self.opened += 1

    def progress(self, progress: Progress) -> None:
        if self.bars is not None and progress.tick >= self.bars and self.opened:
            self.looks += 1

    def stop_requested(self) -> StopReason | None:
        return StopReason.SIGTERM if self.looks > LOOKS else None


def in_steps(means: Means) -> Means:
    """Means whose pauses are cut into steps of five seconds, as a service's are into shorter ones."""
    return evolve(means, step_seconds=5.0)


def profile_of(root: Path, *, bars: int = 8, review: int = 3, **exchange: Any) -> Profile:
    """The shipped profile in short: a review every few bars, so that there are deaths and births."""
    found = load_profile(PROFILE, Layout.under(root))
    assert found.exchange is not None
    return evolve(
        found, market=evolve(found.market, bars=bars),
        world=evolve(found.world, review_ticks=review, community_ticks=review),
        exchange=evolve(found.exchange, **{"most_agents": 12, "library": Disturbed.library, **exchange}),
    )  # fmt: skip


def do_session(
    root: Path, venue: VenueLine, profile: Profile, *, control: Undisturbed | None = None,
    means: Callable[[Means], Means] = lambda one: one, journal: Journal | None = None,
) -> RunOutcome:  # fmt: skip
    """One run on the venue's main demo account."""
    layout = Layout.under(root)
    layout.prepare()
    (layout.state / "T").mkdir(exist_ok=True)
    journal = journal or Journal.open(instance="T", mode=Mode.OKX_DEMO, stage=Stage.STAGE1, run_id=None)
    around = Surroundings(layout=layout, clock=SystemClock(), control=control or StopWithin(), journal=journal)
    request = RunRequest(profile=profile, mode=Mode.OKX_DEMO, instance="T")
    return run_exchange(request, around, means(venue.means(profile.exchange.library)))


def somebody_else_trades(venue: Any) -> Callable[[Means], Means]:
    """Means of a session in which another hand sends an order on its account, once it has waited eight times."""

    def disturb(means: Means) -> Means:
        left = [8]

        def pause(seconds: float) -> None:
            means.pause(seconds)
            left[0] -= 1
            if left[0] == 0:
                venue.admin(do="inject", fault="venue.manual_order", target={"uid": venue.uid()}, arguments={})

        return evolve(means, pause=pause)

    return disturb


# ---- forging ---------------------------------------------------------------------------------------------------------

LINES = re.compile(r".*\.jsonl|.*_part_[0-9]+\.json|behaviors_run_.*\.json")
PARTS = {
    "m_execution_raw_part_": Artifact.EXECUTION_RAW_INDEX, "decision_trace_part_": Artifact.DECISION_TRACE_INDEX,
    "positions_reconstruction_raw_part_": Artifact.POSITIONS_RAW_INDEX,
}  # fmt: skip


class Sealed:
    """A sealed run, from which forgeries are made elsewhere."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.files = {one.name: one.read_bytes() for one in run.iterdir() if one.name not in set(SEAL_FILES)}

    def rows(self, name: str) -> list[tuple[int | None, Any]]:
        """The records of a file, each with its line; a document is one record without a line."""
        data = self.files[name]
        if LINES.fullmatch(name) is None:
            return [(None, json.loads(data))]
        lines = enumerate(data.split(b"\n"))
        return [(place, json.loads(line.removesuffix(b","))) for place, line in lines if line.startswith(b"{")]

    def draw(self, name: str, draw: random.Random) -> Forgery | None:
        """Another value of one leaf of a file."""
        rows = self.rows(name)
        if not rows:
            return None
        place, record = draw.choice(rows)
        fields: dict[str, list[Any]] = {}
        for path, value in leaves(record):
            fields.setdefault(str(path[0]) if path else "", []).append((path, value))
        path, before = draw.choice(fields[draw.choice(sorted(fields))])
        after_ = changed(before, draw)
        if not path or json.dumps(before) == json.dumps(after_):
            return None
        return Forgery(name, place, path, before, after_)

    def forge(
        self, root: Path, change: Callable[[dict[str, bytes]], None], *, packed: bool = False
    ) -> VerifyReport | None:
        """The run with a change, everything around it agreed again, sealed and verified; None where nothing is left.

        A changed hash is made right again by its own forger.
        """
        files = dict(self.files)
        change(files)
        made = sized(relinked(files))
        return None if made == self.files else self.verified(root, made, packed=packed)

    def verified(self, root: Path, files: dict[str, bytes], *, packed: bool) -> VerifyReport:
        """These files, sealed as this run and verified; ``packed`` compresses files of lines, as a seal may."""
        target = root / "runs" / self.run.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name, data in files.items():
            (target / name).write_bytes(data)
        seal_run(target, pack=pack_into if packed else None)
        return verify_run(target, look_for_ledger=False)

    def forged(self, root: Path, forgery: Forgery, *, packed: bool = False) -> VerifyReport | None:
        """As `forge`, with one leaf changed."""
        made = {forgery.file: _with(self.files[forgery.file], forgery)}
        return self.forge(root, lambda files: files.update(made), packed=packed)


def _with(data: bytes, forgery: Forgery) -> bytes:
    lines = data.split(b"\n")
    text = data if forgery.line is None else lines[forgery.line].removesuffix(b",")
    record = json.loads(text)
    at = record
    for name in forgery.path[:-1]:
        at = at[name]
    at[forgery.path[-1]] = forgery.after
    if forgery.line is None:
        return pretty_bytes(record)
    lines[forgery.line] = canonical_bytes(record) + (b"," if lines[forgery.line].endswith(b",") else b"")
    return b"\n".join(lines)


def relinked(files: dict[str, bytes]) -> dict[str, bytes]:
    """Files whose hashes agree: the chain linked again, indexes of parts and body hashes redone."""
    chain, link = [], START
    for line in files[Artifact.ORDER_CHAIN].splitlines():
        said = json.loads(line)
        if said.get("kind") == "INTENT" and isinstance(said["payload"].get("body"), str):
            said["payload"]["body_sha256"] = hashlib.sha256(said["payload"]["body"].encode()).hexdigest()
        rest = {key: said[key] for key in ("client_id", "kind", "payload", "schema", "ts_utc") if key in said}
        chain.append(canonical_line({**rest, "id": content_id(canonical_bytes(rest)), "n": link.n, "prev": link.prev}))
        link = after(chain[-1], link.n)
    files[Artifact.ORDER_CHAIN] = b"".join(chain)
    manifest = json.loads(files[Artifact.MANIFEST])
    ended = (manifest.get("exchange") or {}).get("ended")
    if isinstance(ended, dict) and {"chain_head", "chain_lines"} <= ended.keys():
        ended |= {"chain_head": link.prev, "chain_lines": link.n}
        files[Artifact.MANIFEST] = pretty_bytes(manifest)
    for index in PARTS.values():
        found = json.loads(files[index])
        for part in found["shards"]:
            data = files.get(part["filename"])
            if data is not None:
                digest = hashlib.sha256(data).hexdigest()
                part.update(bytes=len(data), sha256=digest)
                part.update({"sha256_16": digest[:16]} if "sha256_16" in part else {})
        found["total_bytes"] = sum(part["bytes"] for part in found["shards"])
        files[index] = pretty_bytes(found)
    return files


def sized(files: dict[str, bytes]) -> dict[str, bytes]:
    """The manifest with the sizes of the files as they are now, and the hash of its configuration."""
    manifest = json.loads(files[Artifact.MANIFEST])
    if isinstance(manifest.get("evidence"), dict):
        manifest["evidence"]["bytes"] = sum(len(data) for name, data in files.items() if name != Artifact.MANIFEST)
    if isinstance(manifest.get("config"), dict):
        manifest["config_hash"] = hashlib.sha256(canonical_bytes(manifest["config"])).hexdigest()
    files[Artifact.MANIFEST] = pretty_bytes(manifest)
    return files
