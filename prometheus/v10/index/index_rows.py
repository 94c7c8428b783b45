"""One run as rows of the index: what the ledger says of it first, then its manifest, its summary and its events.

A row is a function of the ledger's entries and of the run's files, and of nothing else: not of the time, nor of the
order in which runs are read. What cannot be read is null, and ``problem`` says why. Nothing is verified here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.catalog import artifact_of, manifest_of
from prometheus.v10.evidence.chains.absences import open_evidence
from prometheus.v10.index.index_tables import EXPERIMENTS, FENCES, INTERESTING, RUNS

RUNNING = "running"
ENDS = frozenset([LedgerEntryType.RUN_SEALED, LedgerEntryType.RUN_INTERRUPTED, LedgerEntryType.RUN_ADOPTED])
OF_RUNS = frozenset([LedgerEntryType.RUN_STARTED, *ENDS])
Row = tuple[Any, ...]
RunRows = Mapping[str, list[Row]]


@define
class Told:
    """What the ledger says of one run, entry by entry."""

    run_id: str
    said: dict[str, Any]

    @classmethod
    def of(cls, run_id: str, entries: Iterable[Mapping[str, Any]]) -> Told:
        """What some entries of the ledger, in their order, say of a run."""
        told = cls(run_id, {"status": RUNNING, "deleted": 0})
        for entry in entries:
            told.hear(entry)
        return told

    def hear(self, entry: Mapping[str, Any]) -> None:
        """Take in one entry of the ledger that names the run."""
        payload, kind = entry["payload"], entry["type"]
        if kind == LedgerEntryType.RUN_STARTED:
            names = ("tier", "stage", "mode", "config_hash", "core_hash", "git_commit", "era")
            self.said |= {name: payload.get(name) for name in names}
            self.said |= {"instance": entry["instance"], "started": entry["ts_utc"], "path": payload["run_dir"]}
        elif kind in ENDS:
            self.said |= {"seal": payload["seal"], "bytes": payload["bytes"], "path": payload["run_dir"]}
            self.said["tier"] = payload.get("tier") or self.said.get("tier")
            self.said["status"] = payload.get("status") or "interrupted"
            self.said |= {"ended": entry["ts_utc"], "ledger_n": entry["n"]}
            self.said.setdefault("instance", entry["instance"])
        elif kind == LedgerEntryType.RETENTION_DELETION and payload["kind"] == "run":
            self.said["deleted"] = 1


def rows_of(layout: Layout, told: Told) -> tuple[RunRows, tuple[str, str] | None]:
    """Every row of a run by table, and its config as hash and JSON where the manifest has one."""
    said, problems = dict(told.said), list[str]()
    run_dir = layout.lib / str(said.get("path") or "")
    manifest: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    more: dict[str, list[Row]] = {}
    if not said["deleted"]:
        manifest = _tried(problems, "manifest", lambda: manifest_of(run_dir))
        summary = _tried(problems, "summary", lambda: artifact_of(run_dir, Artifact.SUMMARY))
        more[FENCES.name] = _tried(problems, "telemetry", lambda: _fences(layout, told)) or []
        more[INTERESTING.name] = _tried(problems, "interesting deaths", lambda: _interesting(layout, told)) or []
        if manifest is None and not problems:
            problems.append("manifest: it is not there")
    _fill(said, manifest or {}, problems)
    stats = (summary or {}).get("all_stats") or []
    more[EXPERIMENTS.name] = _tried(problems, "summary", lambda: [_experiment(told.run_id, one) for one in stats]) or []
    _sum_up(said, (summary or {}).get("summary_stats") or {})
    said |= {"run_id": told.run_id, "problem": "; ".join(problems) or None}
    config = (manifest or {}).get("config")
    found = (
        (str(said["config_hash"]), json.dumps(config, sort_keys=True)) if config and said.get("config_hash") else None
    )
    return {RUNS.name: [tuple(said.get(name) for name in RUNS.names)], **more}, found


def _tried(problems: list[str], what: str, look: Any) -> Any:
    try:
        return look()
    except PrometheusError as error:
        problems.append(f"{what}: {error.message}")
    except OSError as error:
        problems.append(f"{what}: {error.strerror or error}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problems.append(f"{what}: not what it should be: {error!r}")
    return None


def _fill(said: dict[str, Any], manifest: Mapping[str, Any], problems: list[str]) -> None:
    """What only the manifest knows, and what the ledger did not say."""
    for name in ("stage", "mode", "config_hash", "core_hash", "git_commit", "instance"):
        if said.get(name) is None:
            said[name] = _plain(manifest.get(name))
    try:
        market, window, pool, era = (manifest.get(name) or {} for name in ("market", "window", "pool_appends", "era"))
        said |= {
            "started": manifest.get("start_time") or said.get("started"),
            "ended": manifest.get("end_time") or said.get("ended"),
            "seconds": manifest.get("duration_seconds"),
            "image_digest": manifest.get("image_digest"),
            "arm": manifest.get("arm"),
            "stop_reason": manifest.get("stop_reason"),
            "market": market.get("source"),
            "market_sha256": market.get("sha256"),
            "symbol": market.get("symbol"),
            "timeframe_s": market.get("timeframe_s"),
            "window_name": window.get("name"),
            "window_start": window.get("start"),
            "window_len": window.get("len"),
            "pool_first_n": pool.get("first_n"),
            "pool_last_n": pool.get("last_n"),
        }
        said["era"] = said.get("era") if said.get("era") is not None else era.get("number")
        said |= {name: counts_of(manifest).get(name) for name in ("experiments", "deaths", "births", "collapses")}
    except (AttributeError, TypeError) as error:
        problems.append(f"manifest: not what it should be: {error!r}")
    for name, value in said.items():
        said[name] = _plain(value)


def counts_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a manifest counts; nothing while its run goes on, and of one that was cut off: nobody has counted yet."""
    return {} if manifest.get("status") == RUNNING else manifest.get("counts") or {}


def _sum_up(said: dict[str, Any], stats: Mapping[str, Any]) -> None:
    roi, drawdown, alive = (stats.get(name) or {} for name in ("system_roi", "max_drawdown", "alive_agents"))
    said |= {f"roi_{name}": roi.get(name) for name in ("q05", "q25", "median", "q75", "q95")}
    said |= {"drawdown_median": drawdown.get("median"), "alive_median": alive.get("median")}


def _experiment(run_id: str, one: Mapping[str, Any]) -> Row:
    collapse, costs, reasons = (one.get(name) or {} for name in ("collapse", "costs", "deaths_by_reason"))
    return (
        run_id, one["experiment"], one.get("seed"), one.get("ticks"), int(bool(collapse.get("detected"))),
        collapse.get("reason"), collapse.get("tick"), one.get("system_roi"), one.get("max_drawdown"),
        one.get("alive_agents"), one.get("births"), one.get("deaths"), reasons.get("quarterly_review"),
        reasons.get("liquidation"), reasons.get("capital_depleted"), one.get("trades"), one.get("zero_trade_share"),
        one.get("lineages_alive"), costs.get("fees"), costs.get("slippage"), costs.get("funding"),
    )  # fmt: skip


def _fences(layout: Layout, told: Told) -> list[Row]:
    found = artifact_of(layout.lib / told.said["path"], Artifact.TELEMETRY) or {}
    return [
        (
            told.run_id,
            name,
            one.get("category"),
            int(bool(one.get("enabled"))),
            one.get("attempts"),
            one.get("block_count"),
        )
        for name, one in sorted((found.get("counters") or {}).items())
    ]


def _interesting(layout: Layout, told: Told) -> list[Row]:
    run_dir = layout.lib / told.said["path"]
    place = run_dir / Artifact.INTERESTING_DEATHS
    if not any((run_dir / name).exists() for name in (place.name, f"{place.name}.zst")):
        return []
    with open_evidence(place) as lines:
        found = [json.loads(line) for line in lines if line.endswith(b"\n")]
    names = ("pattern", "experiment", "tick_first", "tick_last", "deaths", "observed", "detail")
    return [(told.run_id, k, *(_plain(one.get(name)) for name in names)) for k, one in enumerate(found)]


def _plain(value: Any) -> Any:
    """A value that a column can hold; another one, from a damaged file, as its JSON."""
    if value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    return json.dumps(value, sort_keys=True)


def run_named(entry: Mapping[str, Any]) -> str | None:
    """The run of which an entry of the ledger speaks; None for others."""
    payload = entry["payload"]
    if entry["type"] in OF_RUNS:
        return str(payload["run_id"])
    if entry["type"] == LedgerEntryType.RETENTION_DELETION and payload["kind"] == "run":
        return str(payload["path"]).rpartition("/")[2]
    found: Any = payload.get("run_id") or payload.get("from_run_id")
    return str(found) if found else None
