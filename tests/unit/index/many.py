"""Installations with many runs, made in moments: a real ledger, manifests and summaries after the goldens, and a pool.

``python -m tests.unit.index.many DIRECTORY RUNS RECORDS`` makes one to measure with.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.chains.chain import START, after, content_id
from prometheus.v10.evidence.chains.ledger_line import entry_id
from prometheus.v10.evidence.records.canonical import canonical_bytes, canonical_line

GOLDENS = Path(__file__).parents[1] / "evidence" / "goldens"
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
INSTANCES = ("HF", "BTC_1H", "local")
COMMIT = "0123456" + "0" * 33
NULLS = {
    "metrics_summary.death_reason": "the agent survived the experiment",
    "metrics_summary.death_tick": "the agent survived the experiment",
    "source.docker_image": "neither _build.json nor the environment names it: not a built image",
}
REASONS = ("completed", "completed", "completed", "interrupted")


def golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDENS / name).read_text())


class Many:
    """An installation to which runs are added, ended and deleted."""

    def __init__(self, root: Path, *, experiments: int = 2) -> None:
        self.layout = Layout.under(root)
        self.layout.prepare()
        self.experiments = experiments
        self.link = START
        self.runs = 0
        self.records = 0
        self.pool_link = START
        self._manifest, self._summary = (
            golden("run_manifest.completed.json"),
            golden("multiple_experiments_summary.json"),
        )
        self._telemetry = (GOLDENS / "gating_telemetry.json").read_bytes()

    # ---- the ledger ----------------------------------------------------------------------------------------------

    def enter(self, kind: str, payload: dict[str, Any], *, instance: str = "HF") -> None:
        entry = {
            "instance": instance, "null_reasons": {}, "payload": payload, "schema": "ledger_entry/1",
            "ts_utc": self.moment(self.link.n), "type": kind, "n": self.link.n, "prev": self.link.prev,
        }  # fmt: skip
        line = canonical_line({**entry, "id": entry_id(entry)})
        with self.layout.ledger.open("ab") as file:
            file.write(line)
        self.link = after(line, self.link.n)

    @staticmethod
    def moment(n: int) -> str:
        return (FIRST + timedelta(seconds=30 * n)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # ---- runs ------------------------------------------------------------------------------------------------------

    def run_id(self, k: int) -> str:
        stamp = (FIRST + timedelta(seconds=30 * k)).strftime("%Y%m%dT%H%M%SZ")
        return f"HF_{stamp}_0123456_{k % 65536:04x}"

    def begin(self) -> int:
        """Begin a run; returns its number."""
        k, self.runs = self.runs, self.runs + 1
        run_id, draw = self.run_id(k), random.Random(k)
        digest = hashlib.sha256(str(k % 7).encode()).hexdigest()
        self.enter(
            "run_started",
            {
                "run_id": run_id, "run_dir": f"runs_hf/{run_id}", "tier": "tier1_hf", "stage": "stage1",
                "mode": "offline", "run_counter": k, "config_hash": digest, "core_hash": "c" * 64,
                "git_commit": COMMIT, "pool": {}, "curve": None, "era": None,
            },
            instance=INSTANCES[k % 3],
        )  # fmt: skip
        place = self.layout.runs(Tier.TIER1_HF) / run_id
        place.mkdir()
        market = {**self._manifest["market"], "source": draw.choice(["BTC_1H", "synthetic/1 seed=7"])}
        said = {"run_id": run_id, "instance": INSTANCES[k % 3], "start_time": self.moment(k), "market": market}
        manifest = {**self._manifest, **said, "status": "running", "end_time": None, "config_hash": digest}
        (place / "run_manifest.json").write_text(json.dumps(manifest))
        return k

    def end(self, k: int) -> None:
        """End and seal a run."""
        run_id, draw = self.run_id(k), random.Random(k)
        place = self.layout.runs(Tier.TIER1_HF) / run_id
        manifest = json.loads((place / "run_manifest.json").read_text())
        status = REASONS[k % 4]
        counts = {**manifest["counts"], "deaths": draw.randrange(1000), "experiments": self.experiments}
        manifest |= {"status": status, "end_time": self.moment(k + 1), "counts": counts}
        (place / "run_manifest.json").write_text(json.dumps(manifest))
        rows = [
            {**self._summary["all_stats"][0], "experiment": n, "seed": n, "system_roi": draw.uniform(-0.2, 0.1)}
            for n in range(self.experiments)
        ]
        stats = {**self._summary["summary_stats"]}
        stats["system_roi"] = {**stats["system_roi"], "median": draw.uniform(-0.2, 0.1)}
        (place / "multiple_experiments_summary.json").write_text(
            json.dumps({**self._summary, "run_id": run_id, "all_stats": rows, "summary_stats": stats})
        )
        (place / "gating_telemetry.json").write_bytes(self._telemetry)
        (place / "interesting_deaths.jsonl").write_text(
            json.dumps({"pattern": "mass_death_cluster", "experiment": 0, "deaths": 82, "observed": 0.8}) + "\n"
        )
        for name in ("FILELIST.ls.txt", "SHA256SUMS.txt"):
            (place / name).touch()
        seal = hashlib.sha256(run_id.encode()).hexdigest()
        self.enter(
            "run_sealed",
            {
                "run_id": run_id, "run_dir": f"runs_hf/{run_id}", "seal": seal, "files": 15, "bytes": 1000 + k,
                "tier": "tier1_hf", "status": status, "pool": {},
            },
            instance=INSTANCES[k % 3],
        )  # fmt: skip

    def add(self, count: int) -> None:
        for _ in range(count):
            self.end(self.begin())

    def delete(self, k: int) -> None:
        """Delete a run as retention does: the entry first, then the files."""
        run_id = self.run_id(k)
        place = self.layout.runs(Tier.TIER1_HF) / run_id
        said = {
            "kind": "run",
            "path": f"runs_hf/{run_id}",
            "sha256": "0" * 64,
            "bytes": 1,
            "reason": "old",
            "policy": "p",
        }
        self.enter("retention_deletion", said)
        for file in place.iterdir():
            file.unlink()
        place.rmdir()

    def curve(self, instance: str, count: int) -> None:
        """Enter collapses into the survival curve of an instance."""
        place = self.layout.state / instance / "collapse_intervals.jsonl"
        place.parent.mkdir(exist_ok=True)
        with place.open("a") as file:
            for n in range(count):
                line = {
                    "type": "collapse",
                    "n": n,
                    "run_id": self.run_id(0),
                    "experiment": n,
                    "reason": "extinction",
                    "tick": n,
                }
                file.write(json.dumps({**line, "ticks_total": 10 * n, "ts_utc": self.moment(n)}) + "\n")

    # ---- the pool --------------------------------------------------------------------------------------------------

    def put(self, count: int) -> None:
        """Append records to the pool of stage 1; their genomes are drawn, their digests are the genomes'."""
        place = self.layout.pool(Stage.STAGE1)
        with place.open("ab", buffering=1 << 22) as file:
            for line in self._records(count):
                file.write(line)

    def _records(self, count: int) -> Iterator[bytes]:
        draw = random.Random(self.records)
        for _ in range(count):
            n = self.records
            vector = struct.pack("<342f", *(0.001 * ((n * k) % 997) for k in range(1, 343)))
            roi = draw.uniform(-0.5, 0.5)
            arm, run_id = "A_real", self.run_id(n // 600)
            rest = {
                "created_at": self.moment(n), "fingerprint_ref": f"runs_hf/{run_id}/execution_fingerprint.json",
                "genome_sha256": hashlib.sha256(vector).hexdigest(),
                "metrics_summary": {
                    "birth_tick": -1, "costs": {"fees": 0.05, "funding": 0.02, "slippage": 0.001}, "death_reason": None,
                    "death_tick": None, "final_capital": 80.0 + roi, "initial_capital": 80.0, "roi_lifetime": roi,
                    "sanity": {"finite": True, "has_traded": True}, "survived": n % 3 > 0, "system_roi": -0.01,
                    "trades": n % 17, "wins": n % 5,
                },
                "null_reasons": NULLS, "schema": "pool_record/2",
                "source": {
                    "ablation": {"detail": "all 33 channels are live", "name": "none"}, "arm": arm,
                    "docker_image": None, "experiment": n % 24, "genome_index": n % 200, "git_commit": COMMIT,
                    "lineage": {
                        "era": 0, "exposure": [["synthetic/1 seed=20260101", 1704067200, 1706486400]],
                        "instance": "local", "line": ("inherit", "fresh", "null")[n % 3],
                    },
                    "mode": "offline", "run_id": run_id, "seed": n % 1000,
                    "window": {"len": 8064, "name": "HF4W", "start": 0},
                },
            }  # fmt: skip
            place = {"id": content_id(canonical_bytes(rest)), "n": n, "prev": self.pool_link.prev}
            line = canonical_line({**rest, **place, "genome_vector_342": base64.b64encode(vector).decode()})
            self.pool_link = after(line, n)
            self.records += 1
            yield line


if __name__ == "__main__":
    house = Many(Path(sys.argv[1]), experiments=24)
    house.add(int(sys.argv[2]))
    house.put(int(sys.argv[3]))
