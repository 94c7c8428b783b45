"""What the doctor looks at in the suite itself: directories, disk, profiles, release, images, core, units, STOP."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import field, frozen

from prometheus.v10.base.clock import Clock, SystemClock
from prometheus.v10.base.errors import ConfigError, EvidenceError, PrometheusError
from prometheus.v10.base.modes import Stage, Tier, parse_mode
from prometheus.v10.base.paths import Layout
from prometheus.v10.base.toml import parse_toml
from prometheus.v10.evidence.chains.exchanged.trading_halts import standing_halt
from prometheus.v10.evidence.chains.ledger_line import LEDGER_LINE
from prometheus.v10.evidence.chains.seek import line_of
from prometheus.v10.evidence.records.canonical import object_of_line
from prometheus.v10.evidence.witnesses.checkpoint_kept import newest_kept
from prometheus.v10.ops.host.doctor import Check, Finding, Level
from prometheus.v10.ops.host.podman import Image, Podman
from prometheus.v10.ops.host.release_env import Release, digest_of, env_file, read_release
from prometheus.v10.ops.host.runner import Runner
from prometheus.v10.ops.host.systemd import Systemd
from prometheus.v10.ops.instance.alive import instances
from prometheus.v10.ops.service.stop import stop_file_present
from prometheus.v10.ops.storage.sizes import free_bytes, sized

KEEP_FREE = 1 << 30
COMFORT = 10 << 30
"""Below this much free space an operator should think about the next weeks."""
PROVISION = "/usr/lib/prometheus-quant/provision-host, as root"
STOP_PATH = "prometheus-stop.path"
CHECKPOINT_TIMER = "prometheus-checkpoint.timer"
MOST_UNSIGNED = timedelta(hours=3)
"""Three periods of that timer: within one of them an entry of the ledger is signed."""
_FAIL, _WARN, _OK, _UNKNOWN = Level.FAIL, Level.WARN, Level.OK, Level.UNKNOWN


@frozen
class Suite:
    """Checks of one installation; those of units and images only where a host's systemd is given."""

    layout: Layout
    systemd: Systemd | None
    runner: Runner
    witness: Path | None = None
    clock: Clock = field(factory=SystemClock)

    def checks(self) -> dict[str, Check]:
        """All that apply here."""
        here: dict[str, Check] = {
            "directories": self.directories,
            "disk": self.disk,
            "profiles": self.profiles,
            "kill switch": self.kill_switch,
            "trading": self.trading,
        }
        if find_spec("numpy") is not None and find_spec("numba") is not None:
            here["core"] = self.core_here
        if self.systemd is not None:
            here |= {"units": self.units, "image": self.images}
        if self.witness is not None:
            here["witness"] = self.witnessed
        return here

    def directories(self) -> Iterator[Finding]:
        """There, and nobody else's."""
        why = "evidence is written there; who else may write could rewrite it"
        layout = self.layout
        places = [
            layout.lib,
            *(layout.runs(tier) for tier in Tier),
            layout.state,
            layout.market,
            layout.log,
            layout.etc,
        ]
        places += [layout.snapshots(stage) for stage in Stage] + [layout.profiles]
        wrong = 0
        for place in places:
            if not place.is_dir():
                wrong += 1
                level = _WARN if place == layout.market else _FAIL
                yield Finding(level, "directories", f"{place} is not a directory", why, PROVISION)
            elif place.stat().st_mode & stat.S_IWOTH:
                wrong += 1
                yield Finding(_FAIL, "directories", f"everybody may write into {place}", why, f"chmod o-w {place}")
        if not wrong:
            yield Finding(_OK, "directories", f"{len(places)} directories under {layout.lib}, {layout.etc}", why)
        secret = layout.etc / "credentials"
        if secret.is_dir() and secret.stat().st_mode & 0o077:
            what = f"{secret} is open to others"
            yield Finding(_FAIL, "credentials", what, "keys of an exchange lie there", f"chmod 700 {secret}")

    def disk(self) -> Iterator[Finding]:
        """Room for what the profiles ask for."""
        why = "no run is begun below what must stay free, and one in flight is stopped"
        asked = [table.get("disk", {}).get("keep_free_bytes", KEEP_FREE) for _, table, _ in self._profiles() if table]
        keep, free = max(asked, default=KEEP_FREE), free_bytes(self.layout.lib)
        mend = "prometheus-quant retention --dry-run shows what may go; or take a larger disk"
        if free < keep:
            yield Finding(_FAIL, "disk", f"{sized(free)} free, {sized(keep)} must stay free", why, mend)
        elif free < keep + COMFORT:
            yield Finding(_WARN, "disk", f"{sized(free)} free, {sized(keep)} of it must stay free", why, mend)
        else:
            yield Finding(_OK, "disk", f"{sized(free)} free", why)

    def _profiles(self) -> Iterator[tuple[Path, dict[str, Any], str]]:
        """Each profile, its table (empty when there is none), and what is wrong with it."""
        for place in sorted(self.layout.profiles.glob("*.toml")) if self.layout.profiles.is_dir() else []:
            try:
                table = parse_toml(place.read_bytes(), str(place))
                parse_mode(table.get("mode"))
                _read_wholly(place, self.layout)
            except PrometheusError as error:
                yield place, {}, error.message
            except (OSError, ValueError) as error:
                yield place, {}, str(error)
            else:
                yield place, table, ""

    def profiles(self) -> Iterator[Finding]:
        """Each instance's configuration."""
        why = "an instance whose profile cannot be read ends with 78 and is not restarted"
        found = list(self._profiles())
        for place, _, wrong in found:
            if wrong:
                yield Finding(
                    _FAIL,
                    "profiles",
                    f"{place}: {wrong}",
                    why,
                    f"mend the file; prometheus-quant profile check {place.stem}",
                )
        good = [place.stem for place, _, wrong in found if not wrong]
        if not found:
            yield Finding(_OK, "profiles", f"none in {self.layout.profiles}: the shipped ones are used", why)
        elif good:
            depth = (
                "every key"
                if find_spec("numpy") is not None
                else "syntax and mode; every key: prometheus-quant profile check NAME"
            )
            yield Finding(_OK, "profiles", f"{', '.join(good)} ({depth})", why)

    def kill_switch(self) -> Iterator[Finding]:
        """Pulled or not, and watched."""
        why = "while the STOP file exists nothing starts"
        if stop_file_present(self.layout.stop_file):
            what = f"{self.layout.stop_file} exists"
            yield Finding(_WARN, "kill switch", what, why, "prometheus-quant clear-stop, when its reason is gone")
        else:
            yield Finding(_OK, "kill switch", "not pulled", why)

    def trading(self) -> Iterator[Finding]:
        """No instance is halted."""
        why = "a halted instance does not start: what its account holds at the exchange is not what its books say"
        halted = 0
        for name in instances(self.layout):
            halt = standing_halt(self.layout, name)
            if halt is not None:
                halted += 1
                mend = f"look at the account; prometheus-quant execution state {name} says how to release it"
                yield Finding(_FAIL, "trading", f"{name} is halted: {halt.sentence()}", why, mend)
        if not halted:
            yield Finding(_OK, "trading", "no instance is halted", why)

    def core_here(self) -> Iterator[Finding]:
        """The world's code of this very installation."""
        from prometheus.v10.runs.workers.invariance import check_core  # noqa: PLC0415  (needs numpy, which a host may lack)

        yield Finding(_OK, "core", f"as CORE.lock says: {_short(check_core)}", _CORE)

    def witnessed(self) -> Iterator[Finding]:
        """Whether what the ledger has is signed: the witness signs every hour what is new."""
        assert self.witness is not None  # noqa: S101  (checks() asks for this only then)
        why = "what no checkpoint has can be cut off the ledger, and only the journal may tell"
        mend = f"systemctl enable --now {CHECKPOINT_TIMER}; journalctl -u prometheus-checkpoint says what it found"
        if not self.witness.is_dir():
            yield Finding(_WARN, "witness", f"{self.witness} is not a directory", why, PROVISION)
            return
        kept = newest_kept(self.witness)
        signed = 0 if kept is None else kept.checkpoint.size
        said = "no checkpoint" if kept is None else f"the newest checkpoint is of {kept.when()}"
        found = line_of(self.layout.ledger, LEDGER_LINE, signed)
        if found is not None:
            entered = _entered(found[1])
            if self.clock.now() - entered > MOST_UNSIGNED:
                what = f"{said}; entry {signed} of the ledger, of {entered:%Y-%m-%dT%H:%M:%SZ}, is not signed"
                yield Finding(_WARN, "witness", what, why, mend)
                return
        yield Finding(_OK, "witness", said, why)

    def units(self) -> Iterator[Finding]:
        """Installed, and the kill switch watched."""
        assert self.systemd is not None  # noqa: S101  (checks() asks for this only then)
        why = "systemd starts, watches and stops the instances by these"
        for unit in ("prometheus-stage1@doctor.service", "prometheus-stage2@doctor.service", "prometheus.target"):
            loaded = self.systemd.show(unit, "LoadState").get("LoadState")
            name = unit.replace("@doctor", "@")
            if loaded == "loaded":
                yield Finding(_OK, "units", name, why)
            else:
                yield Finding(_FAIL, "units", f"{name} is {loaded}", why, "install the package again")
        watched = self.systemd.show(STOP_PATH, "ActiveState").get("ActiveState")
        why = "systemd stops what does not see the STOP file itself"
        if watched == "active":
            yield Finding(_OK, "kill switch watch", f"{STOP_PATH} is active", why)
        else:
            mend = f"systemctl enable --now {STOP_PATH}"
            yield Finding(_WARN, "kill switch watch", f"{STOP_PATH} is {watched}", why, mend)

    def images(self) -> Iterator[Finding]:
        """The release in force, its images in the store, and the core in them."""
        why = "the units run these images, by digest, and never fetch one themselves"
        mend = "prometheus-quant release load FILE; prometheus-quant release use ID"
        try:
            release = read_release(env_file(self.layout))
        except ConfigError as error:
            yield Finding(_FAIL, "release", error.message, why, mend)
            return
        if release is None:
            yield Finding(_FAIL, "release", f"{env_file(self.layout)} is not there", why, mend)
            return
        yield Finding(_OK, "release", f"{release.id}, commit {(release.git_commit or 'not known')[:12]}", why)
        if not release.custodian:
            yield Finding(
                _WARN, "custodian", f"release {release.id} is of a version before it: its payload writes the evidence",
                "what runs in a stage's container may change the past", mend,
            )  # fmt: skip
        podman = Podman.of_service(self.runner)
        desk = [] if release.desk is None else [release.desk]
        stored = podman.named([*release.images.values(), *desk])
        for stage, reference in release.images.items():
            if stored[reference] is None:
                yield Finding(_FAIL, "image", f"{reference} of {stage.value} is not in the store", why, mend)
                continue
            yield Finding(_OK, "image", f"{stage.value}: {digest_of(reference)[:19]}", why)
            if stage is Stage.STAGE1:
                yield self._core_in(podman, reference)
        yield self._desk_of(release, stored)

    def _desk_of(self, release: Release, stored: Mapping[str, Image | None]) -> Finding:
        """The image of reports, gates, exports and imports; evolution goes on without it."""
        why = "report, gate, market, pool and genome run in it; no unit does"
        mend = "prometheus-quant release load FILE, of this version; prometheus-quant release use ID"
        if release.desk is None:
            return Finding(_WARN, "desk", f"release {release.id} has no image for the desk", why, mend)
        if stored[release.desk] is None:
            return Finding(_WARN, "desk", f"{release.desk} of the desk is not in the store", why, mend)
        return Finding(_OK, "image", f"desk: {digest_of(release.desk)[:19]}", why)

    def _core_in(self, podman: Podman, reference: str) -> Finding:
        ended = podman.run(reference, "-I", "-m", "prometheus.cli", "core", "check")
        if ended.ok:
            return Finding(_OK, "core", "the image's core is as CORE.lock says", _CORE)
        return Finding(_FAIL, "core", ended.complaint(), _CORE, "load the release again")


_CORE = "the world's rules must be those that every manifest names; a mismatch ends with 78"


def _entered(line: bytes) -> datetime:
    """When an entry was made."""
    try:
        return datetime.fromisoformat(str(object_of_line(line)["ts_utc"])).astimezone(UTC)
    except (ValueError, KeyError, RecursionError) as error:
        raise EvidenceError("an entry of the ledger does not say when it was made", hint="audit") from error


def _short(check: Any) -> str:
    return str(check())[:12]


def _read_wholly(place: Path, layout: Layout) -> None:
    """Every key, where this installation has what that needs."""
    if find_spec("numpy") is not None:
        from prometheus.v10.runs.request.profile import load_profile  # noqa: PLC0415  (needs numpy, which a host may lack)

        load_profile(place, layout)
