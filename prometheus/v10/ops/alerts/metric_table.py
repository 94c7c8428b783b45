"""Every metric that an installation gives away, by name: what the rules and the dashboard may ask for.

Moments are seconds since 1970, never ages: a file that is not written any more must not look fresh. No label is a run
id: instances, stages, units, states and reasons alone, so that the number of series stays small. An instance's label
is not called ``instance``: that is what Prometheus calls the machine that it asks.
"""

from __future__ import annotations

from prometheus.v10.ops.alerts.open_metrics import Family, Kind

_INSTANCE = ("pq_instance",)
_STAGE = ("stage",)
_UNIT = ("unit",)


def _gauge(name: str, about: str, labels: tuple[str, ...] = ()) -> Family:
    unit = next((unit for unit in ("seconds", "bytes") if name.endswith(f"_{unit}")), "")
    return Family(f"pq_{name}", Kind.GAUGE, about, unit, labels)


def _counter(name: str, about: str, labels: tuple[str, ...] = ()) -> Family:
    return Family(f"pq_{name}", Kind.COUNTER, about, "", labels)


# fmt: off
UP = _gauge("up", "1 where the figures of this file could be taken.")
MEASURED = _gauge("measured_timestamp_seconds", "When the figures were taken.")
BLIND = _gauge("blind", "Things that could not be seen; `prometheus-quant status` names them.")
KILL_SWITCH = _gauge("kill_switch", "1 while the kill switch is pulled.")
KILL_SWITCH_SINCE = _gauge("kill_switch_timestamp_seconds", "Since when the kill switch is pulled.")

WORKING = _gauge("instance_working", "1 while a process holds the lock of the instance.", _INSTANCE)
BEAT = _gauge("beat_timestamp_seconds", "When the run that evolves now last reported its progress.", _INSTANCE)
ALIVE = _gauge("alive", "Agents alive in the experiments that run now.", _INSTANCE)
SPEED = _gauge("agent_ticks_per_second", "Agent-ticks per second of the run that evolves now.", _INSTANCE)
RESTARTS = _counter("restarts", "Restarts by systemd since the unit was started by hand.", _INSTANCE)
LAST_BEGUN = _gauge("last_run_begun_timestamp_seconds", "When the newest run of the instance began.", _INSTANCE)
LAST_SEAL = _gauge("last_seal_timestamp_seconds", "When the ledger last took the seal of a run.", _INSTANCE)

BEGUN = _counter("runs_begun", "Runs that the ledger says were begun.", _INSTANCE)
RUNS = _counter("runs", "Runs that the ledger has a seal of, by how they ended.", ("pq_instance", "status"))
COLLAPSES = _counter("collapses", "Internal collapses of sealed runs, by reason.", ("pq_instance", "reason"))
DEATHS = _counter("deaths", "Deaths in sealed runs.", _INSTANCE)
BIRTHS = _counter("births", "Births in sealed runs.", _INSTANCE)
AGENT_TICKS = _counter("agent_ticks", "Agent-ticks lived in sealed runs.", _INSTANCE)
UNREAD = _counter("manifests_unread", "Sealed runs whose manifest was gone or no manifest when it was to be counted.")

LEDGER = _gauge("ledger_entries", "Entries of the ledger of seals that are counted here.")
BEHIND = _gauge("ledger_behind_bytes", "Bytes of the ledger that are not counted yet.")
POOL_BYTES = _gauge("pool_bytes", "Size of the live pool.", _STAGE)
POOL_RECORDS = _gauge("pool_records", "Records of the live pool, by the last seal that names it.", _STAGE)

DISK_FREE = _gauge("disk_free_bytes", "Bytes that may still be written on the disk of the evidence.")
DISK_KEEP_FREE = _gauge("disk_keep_free_bytes", "Bytes that must stay free, by the profiles of the newest runs.")
DISK_USED = _gauge("disk_used_bytes", "Bytes that the installation takes.")
DISK_BUDGET = _gauge("disk_budget_bytes", "Bytes that it may take, by the profiles of the newest runs.")
DISK_A_DAY = _gauge("disk_written_per_day_bytes", "Bytes that the runs of the last day left.")
DISK_FULL = _gauge("disk_full_timestamp_seconds", "When the budget is full at that pace.")

AUDIT = _gauge("audit_timestamp_seconds", "When the last audit ended.")
AUDIT_PASSED = _gauge("audit_passed", "1 where the last audit passed.")
CHECKPOINT = _gauge("checkpoint_timestamp_seconds", "When the newest checkpoint of the ledger was signed.")
CHECKPOINT_ENTRIES = _gauge("checkpoint_entries", "Entries of the ledger that the newest checkpoint covers.")
SNAPSHOT = _gauge("snapshot_timestamp_seconds", "When the newest snapshot of a pool was made.")

UNIT_FAILED = _gauge("unit_failed", "1 where systemd calls the unit failed.", _UNIT)
UNIT_EXIT = _gauge("unit_exit_status", "Exit status of the last end of the unit's main process.", _UNIT)
UNIT_ENDED = _gauge("unit_ended_timestamp_seconds", "When the unit's main process last ended, since the boot.", _UNIT)
# fmt: on

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them."""
