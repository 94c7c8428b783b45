"""Runs at an exchange, for the service and the foreground: the credential, the guard of live trading, the clock.

``okx_live`` is refused unless all three hold: the profile says ``allow_live = true``, a credential is there, and an
operator armed this instance by hand, for a time that is not over. Nothing arms by itself.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from attrs import field, frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.paths import SYSTEM_CONFIG, Layout
from prometheus.v10.base.reading import SMALL, read_if_there
from prometheus.v10.evidence.records.canonical import strict_loads
from prometheus.v10.evidence.records.codec import from_plain
from prometheus.v10.execution.adapters.library_choice import port_through
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.okx_rest.okx_sites import SITES, Site, site_of
from prometheus.v10.execution.adapters.senders.signing_credentials import Credentials
from prometheus.v10.execution.exchange_run.exchange_means import Means
from prometheus.v10.execution.exchange_run.exchange_setting import table_of
from prometheus.v10.execution.exchange_run.exchange_work import run_exchange
from prometheus.v10.execution.ports.call_records import CallSink
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.runs.control import RunOutcome
from prometheus.v10.runs.request.exchange_table import ExchangeTable
from prometheus.v10.runs.workload import RunRequest, Surroundings

IN_CONTAINER: Final = Path("/run/credentials")
CREDENTIAL: Final = "okx.json"
LONGEST: Final = timedelta(hours=24)
"""For so long at most an instance is armed."""
STEP_S: Final = 0.5
"""Longest pause at a time: a stop is looked for behind each."""
PRACTICE: Final = "practice"


@frozen(kw_only=True)
class CredentialFile:
    """``okx.json``: what signs requests; ``address`` is that of a venue on the loopback, for the site ``practice``."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    address: str | None = None


@frozen(kw_only=True)
class Armed:
    """``ARMED_LIVE.json``: which instance may trade live, until when, by whose word and why."""

    instance: str
    until: str
    by: str
    why: str


def run_at_exchange(request: RunRequest, around: Surroundings) -> RunOutcome:
    """One run at the exchange that the profile names; errors as `run_exchange`, and `means_of`."""
    return run_exchange(request, around, means_of(request, around.layout, around.clock))


def means_of(request: RunRequest, layout: Layout, clock: Clock) -> Means:
    """How the profile's exchange is reached.

    Raises:
        ConfigError: for a credential that is missing or none, and for live trading that nobody armed.
        MisconfiguredError: for a site that is not what the credential says.
    """
    table = table_of(request.profile)
    if request.profile.mode is Mode.OKX_LIVE:
        refuse_unarmed(layout, request.instance, clock.now())
    found = credential(layout)
    site = _site(request.profile.mode, table, found)
    signing = Credentials(key=found.key, secret=found.secret, passphrase=found.passphrase)
    ahead = [0]

    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + ahead[0]

    def port(sink: CallSink) -> OkxRestPort:
        made = port_through(table.library, site, signing, now_ms=now_ms, sink=sink)
        if site.practice:  # such a venue keeps the time of its bars; every other must keep this machine's
            ahead[0] = made.server_time() - now_ms()
        return made

    return Means(port=port, now_ms=now_ms, pause=time.sleep, site=table.site, step_seconds=STEP_S)


def _site(mode: Mode, table: ExchangeTable, found: CredentialFile) -> Site:
    practice = table.site == PRACTICE
    if practice != (found.address is not None):
        raise MisconfiguredError(
            f"the profile's site is {table.site}, and the credential has {'no' if practice else 'an'} address",
            hint="an address belongs to the site practice, and to no other",
        )
    return site_of(mode, table.site if table.site in SITES else next(iter(SITES)), practice=found.address)


def credential(layout: Layout) -> CredentialFile:
    """The credential of this installation: on a host what systemd handed to the unit, else ``DIR/etc/credentials``.

    Raises:
        ConfigError: when it is not there, is readable by others, or is no credential; nothing of it is in the message.
    """
    place = (IN_CONTAINER if layout.etc == SYSTEM_CONFIG else layout.etc / "credentials") / CREDENTIAL
    data = read_if_there(place, at_most=SMALL)
    if data is None:
        raise ConfigError(
            f"there is no credential {place}",
            hint="on a host the drop-in networked.conf hands it to the unit; elsewhere write it there, mode 0600",
        )
    if place.parent != IN_CONTAINER and place.stat().st_mode & 0o077:
        raise ConfigError(f"{place} can be read by others than its owner", hint=f"chmod 600 {place}")
    try:
        return from_plain(strict_loads(data), CredentialFile, where=str(place))
    except Exception as error:  # noqa: BLE001 - its words may hold a part of the secret
        raise ConfigError(
            f"{place} is no credential ({type(error).__name__})",
            hint='write one JSON object: {"key": "...", "secret": "...", "passphrase": "..."}',
        ) from None


def refuse_unarmed(layout: Layout, instance: str, now: datetime) -> None:
    """Refuse live trading unless this instance is armed now.

    Raises:
        ConfigError: saying what is missing.
    """
    place = layout.armed_file
    hint = f'an operator writes {place} by hand: {{"instance": ..., "until": ..., "by": ..., "why": ...}}'
    data = read_if_there(place, at_most=SMALL)
    if data is None:
        raise ConfigError(f"mode okx_live: {place} is not there, so nothing is armed", hint=hint)
    if place.stat().st_uid not in {0, os.getuid()} or place.stat().st_mode & 0o022:
        raise ConfigError(f"mode okx_live: others than an operator can write {place}", hint=f"chmod 644 {place}")
    try:
        armed = from_plain(strict_loads(data), Armed, where=str(place))
        until = datetime.fromisoformat(armed.until.removesuffix("Z") + "+00:00")
    except Exception as error:
        raise ConfigError(f"mode okx_live: {place} arms nothing: {type(error).__name__}", hint=hint) from error
    if armed.instance != instance or not armed.by.strip() or not armed.why.strip():
        raise ConfigError(f"mode okx_live: {place} does not arm {instance} by somebody's word", hint=hint)
    if not now < until <= now + LONGEST:
        raise ConfigError(
            f"mode okx_live: {place} arms until {armed.until}, which is over or more than "
            f"{LONGEST.total_seconds() / 3600:g} h ahead", hint=hint,
        )  # fmt: skip
