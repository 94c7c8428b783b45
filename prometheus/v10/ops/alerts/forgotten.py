"""Alerts about what people forget, and about silence: read from the file of figures, which holds no evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.reading import SMALL, read_if_there
from prometheus.v10.ops.alerts.alert import CRITICAL, WARNING, Alert, clean, moment_text
from prometheus.v10.ops.alerts.open_metrics import MetricsError, Read, one, parsed

HOUR, DAY = 3600.0, 86400.0
SILENT = 10 * 60.0
"""Figures are taken every minute."""
AUDIT_OLD = 26 * HOUR
NO_CHECKPOINT = 7 * DAY
FULL_SOON = 3 * DAY
PULLED_LONG = DAY
NO_BEAT = 15 * 60.0
NO_SEAL = DAY
STILL = HOUR
BEHIND = 8 << 20

Figures = Mapping[str, Read]


def read_figures(place: Path) -> tuple[Figures, str | None]:
    """The figures of a file, and why there are none."""
    try:
        data = read_if_there(place, at_most=SMALL)
        if data is None:
            return {}, f"{place} is not there"
        return parsed(data.decode("utf-8")), None
    except PrometheusError as error:
        return {}, clean(error.message)
    except (MetricsError, UnicodeDecodeError) as error:
        return {}, clean(f"{place}: {error}")


def what_holds(figures: Figures, missing: str | None, now: float) -> list[Alert]:
    """Every alert that holds by the figures.

    Args:
        figures: what was read.
        missing: why there are none.
        now: seconds since 1970.
    """
    measured = one(figures, "pq_measured_timestamp_seconds")
    if missing is not None or measured is None or now - measured > SILENT:
        why = missing or (f"the last are of {moment_text(measured)}" if measured is not None else "they have no time")
        return [
            _alert("silent", CRITICAL, f"no figures of this host: {why}", now if measured is None else measured,
                   "systemctl status prometheus-metrics.timer prometheus-metrics.service")
        ]  # fmt: skip
    return [*_neglect(figures, now, measured), *_health(figures, now)]


def _neglect(figures: Figures, now: float, measured: float) -> Iterator[Alert]:
    audit, checkpoint = one(figures, "pq_audit_timestamp_seconds"), one(figures, "pq_checkpoint_timestamp_seconds")
    ran = bool(one(figures, "pq_ledger_entries"))
    if ran and (audit is None or now - audit > AUDIT_OLD):
        said = "no audit is on record" if audit is None else f"the last audit ended at {moment_text(audit)}"
        yield _alert("audit old", WARNING, said, audit or measured, "systemctl start prometheus-audit.service")
    if ran and (checkpoint is None or now - checkpoint > NO_CHECKPOINT):
        said = "no checkpoint" if checkpoint is None else f"the newest checkpoint is of {moment_text(checkpoint)}"
        start = "systemctl start prometheus-checkpoint.service"
        yield _alert("no checkpoint", WARNING, f"{said}: the ledger is not witnessed", checkpoint or measured, start)
    full = one(figures, "pq_disk_full_timestamp_seconds")
    if full is not None and full - now < FULL_SOON:
        said = f"the disk budget is full at {moment_text(full)} at the pace of the last day"
        yield _alert("disk full", WARNING, said, measured, "prometheus-quant retention --dry-run")
    free, keep = one(figures, "pq_disk_free_bytes"), one(figures, "pq_disk_keep_free_bytes")
    if free is not None and keep is not None and free < 2 * keep:
        said = f"{free:,.0f} bytes are free on the disk of the evidence; runs stop at {keep:,.0f}"
        yield _alert("disk free", CRITICAL, said, measured, "prometheus-quant status")
    pulled, since = one(figures, "pq_kill_switch"), one(figures, "pq_kill_switch_timestamp_seconds")
    if pulled and since is not None and now - since > PULLED_LONG:
        said = f"the kill switch has been pulled since {moment_text(since)}"
        yield _alert("switch pulled", WARNING, said, since, "prometheus-quant clear-stop --reason WHY")
    if (behind := one(figures, "pq_ledger_behind_bytes")) is not None and behind > BEHIND:
        said = f"{behind:,.0f} bytes of the ledger are not counted"
        yield _alert("behind", WARNING, said, measured, "prometheus-quant ledger show --last 3")


def _health(figures: Figures, now: float) -> Iterator[Alert]:
    if one(figures, "pq_audit_passed") == 0:
        audit = one(figures, "pq_audit_timestamp_seconds") or now
        yield _alert("audit failed", CRITICAL, "the last audit did not pass", audit,
                     "journalctl -u prometheus-audit.service")  # fmt: skip
    for unit, failed in rows_of(figures, "pq_unit_failed", "unit"):
        ended = one(figures, "pq_unit_ended_timestamp_seconds", unit=unit)
        if failed == 1 and (ended is None or now - ended > STILL):  # the journal told of it when it happened
            yield _alert(
                f"failed {unit}", CRITICAL, f"{unit} is still failed", ended or now, f"journalctl -u {unit} -x"
            )
    for instance, beat in rows_of(figures, "pq_beat_timestamp_seconds", "pq_instance"):
        if now - beat > NO_BEAT:
            said = f"{instance} has reported no progress since {moment_text(beat)}"
            yield _alert(f"no beat {instance}", CRITICAL, said, beat, "prometheus-quant status")
    if one(figures, "pq_kill_switch"):
        return
    for instance, seal in rows_of(figures, "pq_last_seal_timestamp_seconds", "pq_instance"):
        if now - seal > NO_SEAL and one(figures, "pq_instance_working", pq_instance=instance):
            said = f"{instance} has sealed no run since {moment_text(seal)}"
            yield _alert(f"no seal {instance}", WARNING, said, seal, "prometheus-quant status")


def life_of(figures: Figures) -> float | None:
    """The newest sign of life: a beat, or a seal; None where there is none."""
    signs = [
        value
        for name in ("pq_beat_timestamp_seconds", "pq_last_seal_timestamp_seconds")
        for _, value in rows_of(figures, name, "pq_instance")
    ]
    return max(signs, default=None)


def rows_of(figures: Figures, name: str, label: str) -> Iterator[tuple[str, float]]:
    """A metric's figures by one of its labels; a label that it lacks is ``-``."""
    read = figures.get(name)
    for labels, value in () if read is None else read.samples.items():
        yield clean(dict(labels).get(label, "-"), 100), value


def _alert(key: str, severity: str, text: str, since: float, command: str) -> Alert:
    return Alert(key=key, severity=severity, text=text, since=since, command=command, lasting=True)
