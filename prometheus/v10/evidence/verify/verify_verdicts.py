"""The verdicts of a run of stage 2, in the pool of its root, against its events, its configuration and the snapshot.

Each verdict is made again by the rule that made it (`prometheus.v10.evidence.derive.judged.verdict_rules`). What needs
every tick or every order is taken from the verdict: drawdowns, which its losses bound below, and wins, which its trades
bound. A pool that is not there is no finding. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import POOL_FILE, Artifact
from prometheus.v10.evidence.chains.pool_from import lines_from
from prometheus.v10.evidence.derive.derived_run import Say
from prometheus.v10.evidence.derive.judged import cell_rules as cells
from prometheus.v10.evidence.derive.judged.judged_run import evaluation_of
from prometheus.v10.evidence.derive.judged.judging import FIGURES, Judging
from prometheus.v10.evidence.derive.judged.verdict_rules import (
    LINEAGE,
    CellName,
    Figures,
    intervals_of,
    metrics_of,
    origin_of,
)
from prometheus.v10.evidence.derive.lives import Told
from prometheus.v10.evidence.derive.typed import differing, is_count, is_real, table

EDGE = 1e-9
ODD = (TypeError, ValueError, StopIteration, LookupError, AttributeError, ArithmeticError, RecursionError)
Rows = list[tuple[CellName, Figures]]


def check_verdicts(
    judging: Judging, manifest: Mapping[str, Any], lives: Mapping[int, Told], run_dir: Path, say: Say
) -> None:  # fmt: skip
    """Say which of the run's verdicts is another than its events make.

    Raises:
        OSError: when a pool or snapshot cannot be read.
        PrometheusError: when one is no regular file.
    """
    pools = run_dir.parent.parent / "pools"
    pool = pools / Stage.STAGE2.value / POOL_FILE
    appends = table(manifest.get("pool_appends"))
    first, last = appends.get("first_n"), appends.get("last_n")
    if not (is_count(first) and is_count(last)) or not pool.exists() or judging.whole(len(lives)) is None:
        return
    snapshot = pools / Stage.STAGE1.value / "snapshots" / f"snapshot_{judging.snapshot['id']}.jsonl"
    origins = lines_from(snapshot, judging.batches[0] * judging.size) if snapshot.exists() else None
    check = _Check(judging, manifest, lives, origins)
    count = 0
    mark = f'"run_id":"{judging.run_id}"'.encode()
    for n, line in lines_from(pool, int(first)):
        if n > last:
            break
        if mark not in line:
            continue  # another run's, between
        try:
            record = json.loads(line)
            if table(record.get("source")).get("run_id") != judging.run_id:
                continue
            found = check.findings(record)
        except ODD as error:
            found = [f"could not be held against the run: {type(error).__name__}"]
        count += 1
        for what in found:
            say(f"verdict {n} of {POOL_FILE}: {what}")
    if count != appends.get("appended"):
        say(f"pool_appends.appended is {appends.get('appended')}, the pool has {count} verdicts of the run")


class _Check:
    def __init__(
        self, judging: Judging, manifest: Mapping[str, Any], lives: Mapping[int, Told],
        origins: Iterator[tuple[int, bytes]] | None,
    ) -> None:  # fmt: skip
        self.judging, self.manifest, self.lives, self.origins = judging, manifest, lives, origins
        self.thresholds: Any = SimpleNamespace(**manifest["config"]["stage2"]["labels"])
        self.evaluation = evaluation_of(manifest)
        self.ends = [0, *judging.ends]
        root = Path(str(manifest.get("results_dir"))).parent.name
        self.fingerprint = f"{root}/{judging.run_id}/{Artifact.FINGERPRINT}"
        self.windows = intervals_of(
            table(manifest.get("market")),
            [(one.window, int(one.first_open.timestamp()), one.bars, one.timeframe_s) for one in judging.stretches],
        )
        self.batch = -1
        self.rows: list[Rows] = []
        self.judged = -1
        self.with_lineage: bool | None = None

    def findings(self, record: Mapping[str, Any]) -> list[str]:
        """What is wrong with one verdict."""
        source, metrics = table(record.get("source")), table(record.get("metrics_summary"))
        said = table(metrics.get("origin"))
        experiment, row, n = source.get("experiment"), source.get("genome_index"), said.get("n")
        if not (is_count(experiment) and is_count(row) and is_count(n)) or experiment not in self.ends[:-1]:
            return ["source.experiment is not the first of a batch, or genome_index or origin.n is no count"]
        batch = self.ends.index(experiment)
        if row >= self.judging.sizes[batch] or n != self.judging.batches[batch] * self.judging.size + row:
            return [f"origin.n is {n}, it is row {row} of batch {self.judging.batches[batch]}"]
        if n <= self.judged:
            return [f"record {n} of the snapshot was judged before it"]
        self.judged = n
        self._take(batch)
        origin = self._origin(n)
        found = differing(source, self._source(experiment, row), "source")
        found += differing(record.get("created_at"), self.manifest.get("start_time"), "created_at")
        found += differing(record.get("fingerprint_ref"), self.fingerprint, "fingerprint_ref")
        if origin is not None:
            found += differing(record.get("genome_sha256"), origin.get("genome_sha256"), "genome_sha256")
        if origin is not None:
            found += differing(dict(said), self._origin_expected(origin, said))
        rows = self._told(self.rows[row], metrics)
        if rows is None:
            return [*found, "a drawdown of a cell, or wins, is not possible"]
        finite = table(metrics.get("sanity")).get("finite") is True
        derived = metrics_of(rows, self.thresholds, self.evaluation, said, finite=finite)
        return found + differing(dict(metrics), derived)

    def _source(self, experiment: int, row: int) -> dict[str, Any]:
        window, ablation = table(self.manifest.get("window")), table(self.manifest.get("ablation"))
        return {
            **{name: self.manifest.get(name) for name in ("git_commit", "docker_image", "run_id", "mode", "arm")},
            "seed": self.judging.seeds[experiment],
            "window": {name: window.get(name) for name in ("name", "start", "len")},
            "ablation": {name: ablation.get(name) for name in ("name", "detail")},
            "experiment": experiment,
            "genome_index": row,
        }

    def _origin(self, n: int) -> dict[str, Any] | None:
        """The snapshot's record; None where the snapshot is not there."""
        if self.origins is None:
            return None
        return dict(json.loads(next(line for number, line in self.origins if number == n)))

    def _origin_expected(self, origin: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
        """What a verdict says of where its genome comes from; a run of an older version says no lineage in any."""
        expected = origin_of(self.judging.snapshot["id"], origin, self.windows)
        if LINEAGE in expected:
            if self.with_lineage is None:
                self.with_lineage = LINEAGE in said
            if not self.with_lineage:
                del expected[LINEAGE]
        return expected

    def _take(self, batch: int) -> None:
        """The figures of every genome of the batch, experiment by experiment; drawdown and wins are not among them."""
        if batch == self.batch:
            return
        self.batch, judging = batch, self.judging
        self.rows = [[] for _ in range(judging.sizes[batch])]
        for number in range(self.ends[batch], self.ends[batch + 1]):
            place, figures = judging.place(number), self.lives[number].figures
            stretch = judging.stretches[place.stretch]
            company = cells.ALONE if place.crowd is None else cells.CROWD
            name = CellName(stretch.window, stretch.timeframe, company)
            groups = judging.groups(batch, place.seed)
            members: Sequence[int] = range(judging.sizes[batch]) if place.crowd is None else groups[place.crowd]
            for agent, row in enumerate(members):
                survived, roi, final, trades, *costs = figures[agent * FIGURES : (agent + 1) * FIGURES]
                least = 1.0 if final < 0.0 else max(0.0, -roi)
                one = Figures(int(survived), roi, least, int(trades), 0, *costs)
                self.rows[row].append((name, one))

    @staticmethod
    def _told(rows: Rows, metrics: Mapping[str, Any]) -> Rows | None:
        """The rows with what the verdict asserts: each cell's drawdown, and wins; None where that is not possible."""
        cells_said, wins = table(table(metrics.get("verdict")).get("cells")), metrics.get("wins")
        if not is_count(wins) or wins > sum(one.trades for _, one in rows):
            return None
        found: Rows = []
        for name, one in rows:
            drawdown = table(cells_said.get("/".join(name))).get("drawdown")
            if not is_real(drawdown) or drawdown < one.drawdown - EDGE:
                return None
            found.append((name, one._replace(drawdown=drawdown, wins=0 if found else int(wins))))
        return found
