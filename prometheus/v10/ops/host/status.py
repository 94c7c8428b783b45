"""What runs here, since when, on which image, and how it fares: read from systemd, from the locks and from the files.

It only looks: nothing is started, locked or written, and what cannot be seen (no root, no systemd, a torn file) is null
with its reason and named at the end, never left out. Standard library and attrs only: the host's command has no numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from attrs import Factory, define

from prometheus.v10.base.clock import Clock, utc_text
from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.modes import Stage, Tier
from prometheus.v10.base.names import CURVE_FILE
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.catalog import RunPlace, manifest_of, runs, snapshots
from prometheus.v10.evidence.chains.exchanged.trading_halts import standing_halt
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.nulls import Nulls
from prometheus.v10.evidence.witnesses.checkpoint_kept import newest_kept
from prometheus.v10.evidence.witnesses.witness import witness_directory
from prometheus.v10.ops.host.host_records import RELEASES, HostRecords
from prometheus.v10.ops.host.release_env import env_file, read_release
from prometheus.v10.ops.host.stopping import read_order
from prometheus.v10.ops.host.systemd import Systemd, Unit
from prometheus.v10.ops.instance import alive
from prometheus.v10.ops.instance.progress_record import read_progress
from prometheus.v10.ops.instance.trading_look import halt_facts, trades
from prometheus.v10.ops.storage.sizes import bytes_under, free_bytes
from prometheus.v10.ops.storage.written import bytes_of_run, full_at, ticks_a_byte, written_a_day

SCHEMA = "status/1"
INTERVALS = CURVE_FILE
AUDIT = "prometheus-audit.service"
AUDIT_TIMER = "prometheus-audit.timer"
MOST_RUNS = 200
"""How many run directories, the newest first, are looked at to find each instance's last one."""

_UNIT_FACTS = ("ActiveEnterTimestamp", "MainPID", "NRestarts", "Result", "StatusText", "InvocationID")
NOT_WORKING = "no run is evolving now"
OLD_PROGRESS = "the record of progress is older than the last start of the unit"
NO_WITNESS = "only a host has a witness of its own"
NO_SYSTEMD = "no systemd is asked for this tree"


@define
class Look:
    """One look at an installation.

    Attributes:
        blind: what could not be seen, and why: one sentence each.
        witness: the witness's directory; a host's own by default.
        sizes: when the newest runs began, and how many bytes each left; all together evolved ``agent_ticks``.
    """

    layout: Layout
    systemd: Systemd | None
    clock: Clock
    blind: list[str] = Factory(list)
    witness: Path | None = None
    sizes: list[tuple[datetime, int]] = Factory(list)
    agent_ticks: int = 0

    def try_to(self, what: str, look: Callable[[], Any]) -> tuple[Any, str]:
        """What ``look`` finds and ``""``; or None and why it cannot be seen, which is noted."""
        try:
            return look(), ""
        except PrometheusError as error:
            why = error.message
        except OSError as error:
            why = f"{error.strerror or error} ({error.filename})"
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            why = f"not what it should be: {error!r}"
        self.blind.append(f"{what}: {why}")
        return None, why

    def whole(self) -> dict[str, Any]:
        """Everything, as plain JSON values with ``null_reasons``."""
        nulls = Nulls()
        manifests = self._newest_manifests()
        instances = self._instances(manifests)
        order, why = self.try_to("the kill switch", lambda: read_order(self.layout))
        stop: dict[str, Any] = {"pulled": order is not None or bool(why)}
        for key in ("reason", "who", "since"):
            value = getattr(order, key, None)
            stop[key] = nulls.known(f"stop.{key}", value, why or ("the file does not say" if order else "not pulled"))
        found = {
            "schema": SCHEMA,
            "ts_utc": utc_text(self.clock.now()),
            "root": str(self.layout.lib),
            "stop": stop,
            "release": self._release(nulls),
            "instances": instances,
            "disk": self._disk(manifests, nulls),
            "last_snapshot": self._snapshot(nulls),
            "last_audit": self._audit(nulls),
            "last_checkpoint": self._checkpoint(nulls),
        }
        if self.systemd is None:
            self.blind.append(f"units: {NO_SYSTEMD}: states are those of the locks")
        return {**found, "cannot_see": self.blind, "null_reasons": nulls.reasons}

    # ---- instances -------------------------------------------------------------------------------------------------

    def _instances(self, manifests: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        units: list[Unit] = []
        if self.systemd is not None:
            units, _ = self.try_to("units", self.systemd.stages)
            units = units or []
        listed = [self._instance(unit.instance, unit, manifests) for unit in units]
        seen = {unit.instance for unit in units}
        known, _ = self.try_to("instances", lambda: alive.instances(self.layout))
        more = [name for name in known or [] if name not in seen]
        return listed + [self._instance(name, None, manifests) for name in more]

    def _instance(self, name: str, unit: Unit | None, manifests: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        nulls = Nulls()
        holder, why = self.try_to(f"the lock of {name}", lambda: alive.holder(self.layout, name))
        working = None if why else holder is not None
        manifest = manifests.get(name)
        said = self._unit_facts(unit)
        sentence = said.get("StatusText") or None
        state = f"{unit.active} ({unit.sub})" if unit is not None else {True: "active", False: "inactive"}.get(working)  # type: ignore[arg-type]
        since = _moment(said.get("ActiveEnterTimestamp", ""))
        progress, no_progress = (None, NOT_WORKING) if working is False else self._progress(name, since)
        no_unit = NO_SYSTEMD if self.systemd is None else "systemd does not say"
        no_run = f"no run of this instance among the newest {MOST_RUNS}"
        stage = unit.stage if unit is not None else (manifest or {}).get("stage")
        known = nulls.known
        return {
            "instance": name,
            "stage": known("stage", stage, no_run),
            "unit": known("unit", unit.name if unit is not None else None, no_unit),
            "state": known("state", state, why),
            "working": known("working", working, why),
            "holder": known("holder", holder, why or "nobody holds its lock"),
            "since": known("since", since if unit is None or not unit.at_rest else None, no_unit if unit is None else
                           "it does not run"),
            "main_pid": known("main_pid", _number(said.get("MainPID")), no_unit),
            "restarts": known("restarts", _number(said.get("NRestarts")), no_unit),
            "result": known("result", said.get("Result") or None, no_unit),
            "status": known("status", sentence, no_unit),
            "progress": known("progress", progress, no_progress),
            "last_run": known("last_run", None if manifest is None else _run_facts(manifest), no_run),
            "halt": self._halt(name, manifest, nulls),
            "collapses": self._collapses(name, nulls),
            "null_reasons": nulls.reasons,
        }  # fmt: skip

    def _progress(self, name: str, since: str | None) -> tuple[dict[str, Any] | None, str]:
        """What the record of progress of an instance at work says, or why it counts for nothing."""
        record, why = self.try_to(f"progress of {name}", lambda: read_progress(self.layout, name))
        if record is None:
            return None, why or NOT_WORKING
        if since is not None and record.ts_utc < since:
            return None, f"{OLD_PROGRESS}, {record.ts_utc}"
        return record.plain(), ""

    def _unit_facts(self, unit: Unit | None) -> dict[str, str]:
        if unit is None or self.systemd is None:
            return {}
        systemd = self.systemd
        said, _ = self.try_to(unit.name, lambda: systemd.show(unit.name, *_UNIT_FACTS))
        return said or {}

    def _halt(self, name: str, manifest: Mapping[str, Any] | None, nulls: Nulls) -> dict[str, Any] | None:
        """The halt of an instance that trades, if one stands; of others the ledger is not read."""
        if not trades(self.layout, name, manifest):
            return nulls.unknown("halt", "it does not trade at an exchange")  # type: ignore[no-any-return]
        halt, why = self.try_to(f"the halt of {name}", lambda: standing_halt(self.layout, name))
        return nulls.known("halt", None if halt is None else halt_facts(halt), why or "no halt stands")

    def _collapses(self, name: str, nulls: Nulls) -> dict[str, Any] | None:
        place = self.layout.state / name / INTERVALS
        found, why = self.try_to(f"collapse intervals of {name}", lambda: interval_figures(place))
        if found is None and not why:
            why = "no run of this instance has ended yet"
        return nulls.known("collapses", found, why)

    def _newest_manifests(self) -> dict[str, dict[str, Any]]:
        """The manifest of each instance's newest run, by instance."""
        there: list[RunPlace] = []
        for tier in Tier:
            found, _ = self.try_to(f"runs in {self.layout.runs(tier)}", partial(_runs, self.layout, tier))
            there += found or []
        newest: dict[str, dict[str, Any]] = {}
        for run in sorted(there, key=lambda run: run.begun, reverse=True)[:MOST_RUNS]:
            manifest, _ = self.try_to(f"run {run.run_id}", partial(_manifest, run))
            if manifest is not None:
                newest.setdefault(str(manifest["instance"]), manifest)
                self._note_size(run.path, manifest)
        return newest

    def _note_size(self, run_dir: Path, manifest: Mapping[str, Any]) -> None:
        """How much a run left, and when it began; one that does not say it as it must tells nothing."""
        with suppress(ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
            began = datetime.fromisoformat(str(manifest["start_time"]).removesuffix("Z") + "+00:00")
            self.sizes.append((began, bytes_of_run(run_dir, manifest)))
            self.agent_ticks += int((manifest.get("timing") or {}).get("agent_ticks", 0))

    # ---- the rest --------------------------------------------------------------------------------------------------

    def _release(self, nulls: Nulls) -> dict[str, Any] | None:
        release, why = self.try_to("the release in force", lambda: read_release(env_file(self.layout)))
        if release is None:
            why = why or f"{env_file(self.layout)} is not there: no image has been put in force"
            return nulls.unknown("release", why)  # type: ignore[no-any-return]
        lines, _ = self.try_to("releases", lambda: HostRecords(self.layout, self.clock).read(RELEASES))
        steps = [line for line in lines or [] if line.payload.get("in_force") == release.id]
        known = nulls.known
        return {
            **release.plain(),
            "git_commit": known("release.git_commit", release.git_commit, "the image does not name its commit"),
            "since": known("release.since", steps[-1].ts_utc if steps else None, "no step of it is on record"),
        }

    def _disk(self, manifests: Mapping[str, dict[str, Any]], nulls: Nulls) -> dict[str, Any]:
        lib = self.layout.lib
        free, no_free = self.try_to(f"free space of {lib}", lambda: free_bytes(lib))
        used, no_used = self.try_to(f"bytes under {lib}", lambda: bytes_under(lib))
        tables = [manifest.get("config", {}).get("disk", {}) for manifest in manifests.values()]
        keep = [table["keep_free_bytes"] for table in tables if table.get("keep_free_bytes") is not None]
        budget = [table["budget_bytes"] for table in tables if table.get("budget_bytes") is not None]
        none = "no run has named one" if not tables else "the profiles of the newest runs name none"
        known, now = nulls.known, self.clock.now()
        a_day = written_a_day(self.sizes, now)
        a_byte = ticks_a_byte(self.agent_ticks, sum(size for _, size in self.sizes))
        limit = min(budget, default=None)
        full, why = None, "no budget, no bytes or no pace is known"
        if used is not None and limit is not None and a_day is not None:
            full, why = full_at(used, limit, a_day, now), "not within a century at this pace"
        return {
            "written_a_day": known("disk.written_a_day", a_day, "no run tells how much it left"),
            "agent_ticks_a_byte": known("disk.agent_ticks_a_byte", a_byte, "no run tells how much it left"),
            "budget_full_at": known("disk.budget_full_at", None if full is None else utc_text(full), why),
            "free_bytes": known("disk.free_bytes", free, no_free),
            "used_bytes": known("disk.used_bytes", used, no_used),
            "keep_free_bytes": known("disk.keep_free_bytes", max(keep, default=None), none),
            "budget_bytes": known("disk.budget_bytes", limit, none),
        }

    def _snapshot(self, nulls: Nulls) -> dict[str, Any] | None:
        found = []
        for stage in Stage:
            some, _ = self.try_to(f"snapshots of {stage.value}", partial(snapshots, self.layout, stage))
            found += [(info.created_at, stage.value, info) for info in some or []]
        if not found:
            return nulls.unknown("last_snapshot", "no snapshot was found")  # type: ignore[no-any-return]
        created, stage_name, info = max(found, key=lambda item: item[0])
        return {"id": info.id, "stage": stage_name, "records": info.count, "created_at": created}

    def _checkpoint(self, nulls: Nulls) -> dict[str, Any] | None:
        place = self.witness or witness_directory(self.layout)
        if place is None:
            return nulls.unknown("last_checkpoint", NO_WITNESS)  # type: ignore[no-any-return]
        kept, why = self.try_to(f"checkpoints in {place}", lambda: newest_kept(place))
        if kept is None:
            return nulls.unknown("last_checkpoint", why or "no checkpoint was taken yet")  # type: ignore[no-any-return]
        taken = None if kept.time is None else utc_text(datetime.fromtimestamp(kept.time, UTC))
        unsigned = "no key beside it signed it"
        return {
            "file": kept.path.name,
            "entries": kept.checkpoint.size,
            "taken_at": nulls.known("last_checkpoint.taken_at", taken, kept.forged or unsigned),
        }

    def _audit(self, nulls: Nulls) -> dict[str, Any] | None:
        if self.systemd is None:
            return nulls.unknown("last_audit", NO_SYSTEMD)  # type: ignore[no-any-return]
        systemd = self.systemd
        said, why = self.try_to(AUDIT, lambda: systemd.show(AUDIT, "ExecMainExitTimestamp", "Result", "ExecMainStatus"))
        timer, _ = self.try_to(AUDIT_TIMER, lambda: systemd.show(AUDIT_TIMER, "LastTriggerUSec"))
        ended = _moment((said or {}).get("ExecMainExitTimestamp", ""))
        if ended is not None:
            passed = said["Result"] == "success"
            return {"ended_at": ended, "passed": passed, "exit_status": _number(said.get("ExecMainStatus"))}
        triggered = _moment((timer or {}).get("LastTriggerUSec", ""))
        since_boot = "no audit has ended since the host was booted"
        if triggered is not None:
            since_boot += f"; the last was begun at {triggered}"
        return nulls.unknown("last_audit", why or since_boot)  # type: ignore[no-any-return]


# ---- what files say --------------------------------------------------------------------------------------------------


def interval_figures(place: Path) -> dict[str, Any] | None:
    """The survival curve in a few numbers, from the ledger's whole lines; the audit checks its chain, not this.

    None where there is no such ledger.

    Raises:
        ValueError: when a line is none.
        OSError: when it cannot be read.
    """
    data = read_if_there(place, at_most=LARGE)
    if data is None:
        return None
    lines = [strict_loads(line) for line in data.split(b"\n")[:-1]]
    collapses = [line for line in lines if line["type"] == "collapse"]
    restarts = [line["restart_time_seconds"] for line in lines if line["type"] == "reboot"]
    stratum = next((line.get("stratum") for line in reversed(lines) if line["type"] == "run"), None)
    inside = [line for line in collapses if stratum is not None and line.get("stratum") == stratum]
    ticks = [since for one in inside if (since := one.get("stratum_ticks_since_previous")) is not None]
    nulls = Nulls()
    last = collapses[-1] if collapses else {}
    none, one = "no internal collapse yet", "fewer than two internal collapses in its stratum"
    return {
        "count": len(collapses),
        "last_utc": nulls.known("last_utc", last.get("ts_utc"), none),
        "last_reason": nulls.known("last_reason", last.get("reason"), none),
        "median_interval_ticks": nulls.known("median_interval_ticks", median(ticks) if ticks else None, one),
        "stratum": nulls.known("stratum", stratum, "no run has ended yet, or its version did not say"),
        "last_restart_seconds": nulls.known(
            "last_restart_seconds", restarts[-1] if restarts else None, "no restart after a collapse was measured"
        ),
        "null_reasons": nulls.reasons,
    }


def _run_facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    nulls = Nulls()
    running = manifest["status"] == "running"
    counts = {} if running else manifest["counts"]
    not_yet = "the run has not ended: its figures stand in its progress"
    known = nulls.known
    return {
        "run_id": manifest["run_id"],
        "status": manifest["status"],
        "mode": manifest["mode"],
        "start_time": manifest["start_time"],
        "end_time": known("end_time", manifest["end_time"], "the run has not ended"),
        "stop_reason": known("stop_reason", manifest["stop_reason"], "the run was not stopped"),
        "image_digest": known("image_digest", manifest["image_digest"], "the run was not started from an image"),
        "git_commit": known("git_commit", manifest["git_commit"], "the run did not know its commit"),
        **{
            name: known(name, counts.get(name), not_yet) for name in ("experiments", "deaths", "births", "collapses")
        },
        "null_reasons": nulls.reasons,
    }  # fmt: skip


def _runs(layout: Layout, tier: Tier) -> list[RunPlace]:
    return list(runs(layout, tier))


def _manifest(run: RunPlace) -> dict[str, Any] | None:
    manifest = manifest_of(run.path)
    if manifest is not None:  # else a directory that was made a moment ago
        _run_facts(manifest)
    return manifest


def _moment(text: str) -> str | None:
    """``@seconds`` of systemd as our UTC text; None for "never"."""
    seconds = text.removeprefix("@").partition(".")[0]
    if not seconds.isdigit() or int(seconds) == 0:
        return None
    return utc_text(datetime.fromtimestamp(int(seconds), UTC))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
