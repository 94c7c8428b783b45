"""An installation with sealed runs of known age and raw samples, for tests of retention: real files, a real ledger."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

from prometheus.v10.base.files import FILES
from prometheus.v10.base.modes import Mode, Stage, Tier
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.ledger import Ledger, iter_entries
from prometheus.v10.evidence.pools.pool import PoolWriter
from prometheus.v10.evidence.pools.snapshot import create_snapshot
from prometheus.v10.evidence.records.canonical import pretty_bytes
from prometheus.v10.evidence.records.findings import Level
from prometheus.v10.evidence.verify.verify_run import verify_run
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.evidence.writing.seal import seal_run
from prometheus.v10.ops.retention import retention_apply as retention
from prometheus.v10.ops.retention.retention_plan import Action, RetentionPolicy, plan, plan_run_deletion
from tests.callbacks import never
from tests.unit.evidence.conftest import make_entry
from tests.unit.ops.old_runs import RUN_ID, write_old_run

FULL_ID = "PROMOTE_20260102T030405Z_0123456_0000"


class House:
    """What the tests build, look at and carry out."""

    def __init__(self, layout, clock, socket=Path("/dev/null")):
        self.layout, self.clock, self.socket = layout, clock, socket
        self.said = []
        self.torn = []
        self.journal = Journal(
            instance="HF", mode=Mode.OFFLINE, stage=Stage.STAGE1, run_id=None,
            sender=lambda message, **fields: self.said.append((message, fields)), socket=socket,
        )  # fmt: skip

    # ---- building ----------------------------------------------------------------------------------------------------

    def ledger(self, files=FILES):
        return Ledger(self.layout.ledger, clock=self.clock, instance="HF", on_torn=self.torn.append, files=files)

    def run(self, number=1, *, parts=(), lines=0, tier=Tier.TIER1_HF, mention=None):
        """A sealed run: ``parts`` are sizes of raw samples, ``lines`` that many deaths, ``mention`` a text in it."""
        like = RUN_ID if tier is Tier.TIER1_HF else FULL_ID
        run_id = f"{like[:-4]}{number:04x}"
        path = self.layout.runs(tier) / run_id
        raw = {Artifact.EXECUTION_RAW.file_name(part=n): raw_part(n, size) for n, size in enumerate(parts, 1)}

        def change(everything):
            deaths = everything["death_events.jsonl"]
            deaths += [{**deaths[0], "agent_id": f"more{i}"} for i in range(lines)]
            rename(everything, run_id, tier, lines, mention)

        write_old_run(path, change)
        self._add_raw(path, raw)
        seal = seal_run(path)
        self.ledger().append(
            LedgerEntryType.RUN_SEALED, seal.ledger_payload(run_dir=str(path.relative_to(self.layout.lib)))
        )
        return path

    def _add_raw(self, path, raw):
        """Parts and their index, counted by the manifest as a run does."""
        if not raw:
            return
        for name, data in raw.items():
            (path / name).write_bytes(data)
        shards = [{"filename": n, "sha256": hashlib.sha256(d).hexdigest()} for n, d in raw.items()]
        (path / Artifact.EXECUTION_RAW_INDEX).write_bytes(pretty_bytes({"shards": shards}))
        manifest = json.loads((path / "run_manifest.json").read_bytes())
        sizes = [file.stat().st_size for file in path.iterdir() if file.name != "run_manifest.json"]
        manifest["evidence"] = {"files": len(sizes), "bytes": sum(sizes)}
        (path / "run_manifest.json").write_bytes(pretty_bytes(manifest))

    def snapshot(self, records):
        """Let the pool of stage 1 grow by ``records``, and freeze it."""
        pool = self.layout.pool(Stage.STAGE1)
        with PoolWriter(pool, clock=self.clock, on_torn=never) as writer:
            writer.append([make_entry(i) for i in range(records)])
        info = create_snapshot(pool, self.layout.snapshots(Stage.STAGE1), clock=self.clock, git_commit=None)
        self.ledger().append(LedgerEntryType.SNAPSHOT, info.ledger_payload())
        return info

    def again_in(self, target):
        """The same installation, copied to be spoiled."""
        shutil.copytree(self.layout.lib, target)
        return House(Layout.under(target), self.clock, self.socket)

    def promote(self, run):
        said = {"promotion": "P", "from_run_id": run.name, "experiment": 0, "trigger": "top_k", "detail": ""}
        self.ledger().append(LedgerEntryType.PROMOTION, {**said, "status": "queued"})

    def days_pass(self, days):
        self.clock.moment += timedelta(days=days)

    # ---- retention ---------------------------------------------------------------------------------------------------

    def plan(self, *, free=1 << 60, **bounds):
        return plan(self.layout, RetentionPolicy(**bounds), self.clock.now(), free=free)

    def apply(self, made, files=FILES):
        return retention.apply(made, self.layout, ledger=self.ledger(files), journal=self.journal, files=files)

    def delete_run(self, run, reason="superseded"):
        return self.apply(plan_run_deletion(self.layout, run.name, reason, self.clock.now()))

    # ---- looking -----------------------------------------------------------------------------------------------------

    def going(self, made):
        """Paths that a plan deletes or compresses, in its order, without the roots."""
        return [item.path.split("/", 1)[1] for item in made.items if item.action is not Action.ASK]

    def tombstones(self):
        return [e.payload for e in iter_entries(self.layout.ledger) if e.type == LedgerEntryType.RETENTION_DELETION]

    def compressions(self):
        return [e.payload for e in iter_entries(self.layout.ledger) if e.type == LedgerEntryType.COMPRESSION]

    def assert_in_order(self, *, torn=False):
        """Every run that is there verifies, and so does the whole; ``torn`` allows for a killed append."""
        buried = {tombstone["path"] for tombstone in self.tombstones()}
        for run in (path for tier in Tier for path in self.layout.runs(tier).iterdir() if path.is_dir()):
            if str(run.relative_to(self.layout.lib)) not in buried:
                report = verify_run(run)
                assert report.exit_code == 0, report.lines()
        report = audit(self.layout)
        failed = [finding for finding in report.findings if finding.level is not Level.NOTE]
        if torn:
            where = str(self.layout.ledger)
            failed = [f for f in failed if f.where != where or "an interrupted append" not in f.what]
        assert failed == [], report.lines()


def raw_part(number, size):
    """A part of about ``size`` bytes, no two alike."""
    line = b'{"part":%d,"pad":"%s"}' % (number, b"x" * size)
    return b"[\n" + line + b"\n]\n"


def rename(everything, run_id, tier, lines, mention):
    """Make the golden run another one: its id everywhere, its counts, its tier."""
    for name, value in everything.items():
        everything[name] = json.loads(json.dumps(value).replace(RUN_ID, run_id))
    manifest = everything["run_manifest.json"]
    manifest["meta"]["tier"] = tier.value
    if tier is Tier.TIER2_FULL:
        manifest["status"] = "failed"  # so it owes none of the files that only a real Tier-2 run can make
    manifest["counts"]["deaths"] += lines
    stats = everything["multiple_experiments_summary.json"]["all_stats"][0]
    reason = everything["death_events.jsonl"][0]["death_reason"]
    stats["deaths"] += lines
    stats["deaths_by_reason"][reason] += lines
    stats["births"] += lines
    stats["total_agents_ever"] += lines
    births = everything["birth_events.jsonl"]
    births += [{**births[0], "agent_id": f"born{i}"} for i in range(lines)]
    manifest["counts"]["births"] += lines
    if mention:
        manifest["extra_note"] = mention


def sha256sum_says(run):
    """The exit code of plain ``sha256sum -c``."""
    command = ["sha256sum", "--quiet", "-c", "SHA256SUMS.txt"]
    return subprocess.run(command, cwd=run, capture_output=True, check=False).returncode


def contents(folder):
    """Every file below a folder with its bytes and mode."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip
