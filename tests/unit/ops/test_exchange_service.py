"""Who may trade at an exchange: credentials, their places and modes, and live trading that nobody armed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import ConfigError, ExitCode, UsageError
from prometheus.v10.base.modes import Mode
from prometheus.v10.base.paths import Layout
from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.ops.service.exchange_service import credential, means_of, refuse_unarmed
from prometheus.v10.ops.service.serving import parse, work_of
from prometheus.v10.runs.request.profile import load_profile
from prometheus.v10.runs.workload import RunRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GIVEN = {"key": "k", "secret": "s", "passphrase": "p"}


class At(SystemClock):
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout.under(tmp_path)
    (made.etc / "credentials").mkdir(parents=True)
    return made


def put(layout: Layout, text: str, mode: int = 0o600) -> Path:
    place = layout.etc / "credentials" / "okx.json"
    place.write_text(text)
    place.chmod(mode)
    return place


def armed(layout: Layout, **changes: str) -> None:
    said = {"instance": "LIVE", "until": "2026-01-02T04:00:00Z", "by": "an operator", "why": "a drill", **changes}
    (layout.armed_file).write_text(json.dumps(said))


def request(layout: Layout, mode: Mode, **exchange: str) -> RunRequest:
    found = load_profile("OKX_DEMO", layout)
    assert found.exchange is not None
    changes: Any = exchange
    table = evolve(found.exchange, **changes)
    profile = evolve(found, mode=mode, allow_live=mode is Mode.OKX_LIVE, exchange=table)
    return RunRequest(profile=profile, mode=mode, instance="LIVE")


def test_a_credential_is_read_from_its_place(layout):
    put(layout, json.dumps(GIVEN))
    found = credential(layout)
    assert (found.key, found.address) == ("k", None)
    assert "'s'" not in repr(found)


@pytest.mark.parametrize(("text", "mode", "said"), [
    (json.dumps(GIVEN), 0o644, "can be read by others"),
    ("{", 0o600, "is no credential"),
    (json.dumps({**GIVEN, "secret": ["hunter2"]}), 0o600, "is no credential"),
    (json.dumps({"key": "hunter2"}), 0o600, "is no credential"),
])  # fmt: skip
def test_what_is_no_credential_is_refused_without_a_word_of_it(layout, text, mode, said):
    put(layout, text, mode)
    with pytest.raises(ConfigError, match=said) as caught:
        credential(layout)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint} {caught.value.__cause__!r}"


def test_no_credential_is_a_configuration_that_no_start_mends(layout):
    with pytest.raises(ConfigError, match="there is no credential") as caught:
        credential(layout)
    assert caught.value.exit_code is ExitCode.CONFIG


@pytest.mark.parametrize(("changes", "said"), [
    ({"instance": "OTHER"}, "does not arm LIVE"), ({"by": " "}, "by somebody's word"),
    ({"until": "2026-01-02T03:04:05Z"}, "is over"), ({"until": "2026-01-03T03:04:06Z"}, "more than 24 h ahead"),
    ({"until": "tomorrow"}, "arms nothing"),
])  # fmt: skip
def test_live_trading_that_is_not_armed_now_is_refused(layout, changes, said):
    with pytest.raises(ConfigError, match="is not there, so nothing is armed"):
        refuse_unarmed(layout, "LIVE", NOW)
    armed(layout, **changes)
    with pytest.raises(ConfigError, match=said):
        refuse_unarmed(layout, "LIVE", NOW)


def test_an_armed_instance_is_armed_for_its_time_alone(layout):
    armed(layout)
    refuse_unarmed(layout, "LIVE", NOW)
    with pytest.raises(ConfigError, match="is over"):
        refuse_unarmed(layout, "LIVE", NOW + timedelta(hours=1))
    (layout.armed_file).chmod(0o666)
    with pytest.raises(ConfigError, match="others than an operator can write"):
        refuse_unarmed(layout, "LIVE", NOW)


def test_live_trading_needs_profile_arming_and_credential(layout):
    live = request(layout, Mode.OKX_LIVE)
    with pytest.raises(UsageError, match="does not say allow_live = true"):
        means_of(evolve(live, profile=evolve(live.profile, allow_live=False)), layout, At())
    with pytest.raises(ConfigError, match="nothing is armed"):
        means_of(live, layout, At())
    armed(layout)
    with pytest.raises(ConfigError, match="there is no credential"):
        means_of(live, layout, At())
    put(layout, json.dumps(GIVEN))
    assert means_of(live, layout, At()).site == "global"  # nothing is called before a run asks for its port


@pytest.mark.parametrize(("site", "more"), [("practice", {}), ("global", {"address": "http://127.0.0.1:1"})])
def test_an_address_belongs_to_the_practice_site_alone(layout, site, more):
    put(layout, json.dumps({**GIVEN, **more}))
    with pytest.raises(MisconfiguredError, match="and the credential has"):
        means_of(request(layout, Mode.OKX_DEMO, site=site), layout, At())


def test_an_address_that_is_not_the_loopback_is_refused(layout):
    put(layout, json.dumps({**GIVEN, "address": "http://192.0.2.1:80"}))
    with pytest.raises(MisconfiguredError, match="is not the loopback"):
        means_of(request(layout, Mode.OKX_DEMO, site="practice"), layout, At())


@pytest.mark.parametrize(("mode", "name"), [("offline", "run_stage1"), ("okx_demo", "run_at_exchange"),
                                            ("okx_live", "run_at_exchange")])  # fmt: skip
def test_the_service_trades_where_its_mode_has_an_exchange(mode, name):
    asked = parse(["--mode", mode, "--stage", "stage1", "--instance", "X"])
    assert work_of(asked)[0].__name__ == name
