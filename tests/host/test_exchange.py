"""An instance that trades, on a host: READY after its bootstrap, its trail in the journal, its ends, and its network.

The exchange is our own, on the host's loopback, which pasta hands to the container's. `make host-test` does all of it;
``PQ_CUT_SECONDS`` says how long the network is away (10 by default).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from lab.exchange import CREDENTIAL, INSTANCE, HostedVenue, Trader
from lab.releases import another
from lab.stage import Stage, passes_the_audit, wait_until

UNITS = Path(__file__).resolve().parents[2] / "units"
ALLOWED, OTHER = "192.0.2.77", "192.0.2.78"
CUT_SECONDS = float(os.environ.get("PQ_CUT_SECONDS", "10"))
COMMAND = "prometheus-quant"
LOOKED = 30
"""Requests after which a bar's round is over, and looks at the account follow each other until the next."""
SECOND = 35
"""Of a minute, at the start: preflight and bootstrap take some ten seconds, and the first bar is over at the minute."""


@pytest.fixture
def trader(host, request):
    """The instance, with further lines of its drop-in where a test gives some."""
    venue = HostedVenue(host)
    made = Trader(host, venue)
    try:
        with made.settings(made.SETTINGS + getattr(request, "param", "")):
            yield made
    finally:
        host.do("ip", "link", "set", "lo", "up")
        made.tidy()
        venue.close()


def events(stage: Stage, run_name: str | None = None) -> list[tuple[str, str]]:
    """Kind and reason of each event, in the order in which the journal has them."""
    entries = stage.journal() if run_name is None else stage.journal(f"PROMETHEUS_RUN_ID={run_name}")
    return [(one["PROMETHEUS_EVENT"], one.get("PROMETHEUS_REASON", "")) for one in entries if "PROMETHEUS_EVENT" in one]


def with_a_position(trader: Trader) -> None:
    """Started, and holding something at the exchange after its first bar."""
    trader.venue.start_at(SECOND)
    trader.start()
    wait_until("it has a position", lambda: trader.venue.positions() != {})


PROBE = """\
#!/usr/local/bin/python3
import json, socket

def reaches(address):
    try:
        socket.create_connection((address, 8443), 5).close()
        return True
    except OSError:
        return False

print("PROBE " + json.dumps({
    "named": socket.gethostbyname("www.okx.com"),
    "reached": [one for one in ("ALLOWED", "OTHER", "169.254.1.2", "127.0.0.1") if reaches(one)],
}), flush=True)
""".replace("ALLOWED", ALLOWED).replace("OTHER", OTHER)


def test_the_container_reaches_the_one_address_that_is_allowed_and_no_other(host):
    """Both are the host's, and would be reached through pasta; the name stands in the host's own list."""
    stage, hosts = Stage(host, "NETPROBE"), host.inside("/etc/hosts")
    stage.profile('mode = "offline"\nstage = "stage1"\n')
    host.write(CREDENTIAL, "{}", 0o600)
    before = hosts.read_text()
    hosts.write_text(f"{before}{ALLOWED} www.okx.com\n")
    for address in (ALLOWED, OTHER):
        host.do("ip", "address", "add", f"{address}/32", "dev", "lo")
    listens = subprocess.Popen(
        host.on_its_network(sys.executable, "-m", "http.server", "8443"), stderr=subprocess.DEVNULL
    )
    found = {}
    try:
        for allowed in (f"IPAddressAllow={ALLOWED}\n", "IPAddressDeny=\n", ""):
            once = "Type=exec\nRestart=no\nWatchdogSec=0\n"
            with stage.program(PROBE, f"{(UNITS / 'networked.conf').read_text()}\n{once}{allowed}"):
                host.do("systemctl", "start", stage.unit)
                stage.wait_until_gone()
                said = [str(entry["MESSAGE"]) for entry in stage.journal()]
                found[allowed] = json.loads(
                    [line for line in said if line.startswith("PROBE ")][-1].removeprefix("PROBE ")
                )
    finally:
        listens.terminate()
        listens.wait(10)
        hosts.write_text(before)
        for address in (ALLOWED, OTHER):
            host.do("ip", "address", "delete", f"{address}/32", "dev", "lo")
        host.inside(CREDENTIAL).unlink()
    one, everybody, nobody = found.values()
    assert one == {"named": ALLOWED, "reached": [ALLOWED]}
    assert everybody["reached"][:2] == [ALLOWED, OTHER]  # so it is the unit that kept it from them
    assert nobody["reached"] == []


def test_it_is_ready_after_its_bootstrap_trades_and_ends_flat_when_it_is_stopped(trader, host):
    with_a_position(trader)
    run = trader.own_runs()[-1]
    opening = next(line for line in trader.chain(run) if line["kind"] == "OPENING")
    (ready,) = trader.journal("PROMETHEUS_EVENT=service_ready", f"PROMETHEUS_INSTANCE={INSTANCE}")[-1:]
    assert datetime.fromisoformat(opening["ts_utc"]).timestamp() < int(ready["__REALTIME_TIMESTAMP"]) / 1e6
    assert [name for name in trader.processes() if name.startswith(("pasta", "passt"))], "the unit's limits hold for it"
    host.do(COMMAND, "stop", "--instance", INSTANCE, "--reason", "a drill")
    trader.wait_until_gone(60)
    assert (trader.show("Result"), trader.venue.positions()) == ("success", {})
    ended = trader.manifest(run)
    assert (ended["status"], ended["exchange"]["ended"]["positions"], ended["exchange"]["ended"]["reasons"]) == (
        "interrupted", "flat", ["STOP"],
    )  # fmt: skip
    assert trader.verifies(run)
    told = events(trader, run.name)
    assert [one for one in told if one[0] in {"run_started", "trading_state", "run_sealed"}] == [
        ("run_started", ""), ("trading_state", "STOP"), ("run_sealed", ""),
    ]  # fmt: skip
    trader.witnesses_agree(run)
    passes_the_audit(host)


@pytest.mark.full
def test_a_halt_keeps_it_from_starting_until_an_operator_releases_it(trader, host):
    """What a person does to the account halts it; the host's own command releases it, in the image."""
    with_a_position(trader)
    run = trader.own_runs()[-1]
    trader.venue.inject("venue.manual_order", side="buy", sz="1")
    trader.wait_until_gone(60)
    assert (trader.show("ExecMainStatus"), trader.show("NRestarts")) == ("78", "0")
    assert ("trading_state", "FOREIGN_ACTIVITY") in events(trader, run.name)
    instances = json.loads(host.do(COMMAND, "status", "--json"))["instances"]
    (halt,) = [one["halt"] for one in instances if one["instance"] == INSTANCE]
    assert "FOREIGN_ACTIVITY" in halt["reasons"]
    heard = len(trader.venue.requests())
    assert host.ask("systemctl", "start", trader.unit).returncode != 0
    assert (trader.show("ExecMainStatus"), len(trader.venue.requests())) == ("78", heard)
    found = json.loads(host.do(COMMAND, "execution", "state", INSTANCE, "--json"))
    assert (found["trading"], found["halt"]["run_id"]) == ("HALTED", run.name)
    host.do(COMMAND, "execution", "release", INSTANCE, "--by", "A. Hand", "--why", "a drill of the test")
    assert host.ask(COMMAND, "execution", "release", INSTANCE, "--by", "A. Hand", "--why", "again").returncode == 64
    assert [one[0] for one in events(trader) if one[0] == "trading_released"] == []  # it is no word of the unit
    trader.start()
    assert trader.venue.positions() == {}, "the bootstrap closed what the halt had left"
    trader.stop()
    assert trader.verifies(run)
    passes_the_audit(host)


@pytest.mark.full
def test_a_network_that_is_away_halts_what_holds_a_position_and_is_waited_for_by_what_does_not(trader, host):
    trader.venue.start_at(SECOND)
    trader.start()
    run = trader.own_runs()[-1]
    host.do("ip", "link", "set", "lo", "down")
    began = time.monotonic()
    trader.wait_for("ExecMainStatus", "69", seconds=120)
    assert trader.manifest(run)["status"] == "failed"
    time.sleep(max(0.0, CUT_SECONDS - (time.monotonic() - began)))
    host.do("ip", "link", "set", "lo", "up")
    trader.wait_for("ActiveState", "active", seconds=180)  # by itself: nobody started it
    run = trader.own_runs()[-1]
    wait_until("it has a position", lambda: trader.venue.positions() != {})
    heard = len(trader.venue.requests())
    wait_until("its round is over, and it looks", lambda: len(trader.venue.requests()) > heard + LOOKED)
    host.do("ip", "link", "set", "lo", "down")
    trader.wait_until_gone(200)  # five calls without an answer, and as many before it is sealed
    assert (trader.show("ExecMainStatus"), trader.venue.positions() != {}) == ("78", True)
    host.do("ip", "link", "set", "lo", "up")
    ended = trader.manifest(run)["exchange"]["ended"]
    assert (ended["trading_state"], ended["positions"]) == ("HALTED", "open")
    assert "TRUTH_INCOMPLETE" in ended["reasons"]
    host.do(COMMAND, "execution", "release", INSTANCE, "--by", "A. Hand", "--why", "the network is back")
    trader.start()
    assert trader.venue.positions() == {}
    trader.stop()
    passes_the_audit(host)


@pytest.mark.full
def test_a_maintenance_is_waited_for_and_nothing_is_sent(trader, host):
    trader.venue.start_at(SECOND)
    trader.venue.inject("venue.maintenance", minutes=10, on=True)
    before = trader.own_runs()
    sent = len([one for one in trader.venue.requests() if one["method"] == "POST"])
    assert host.ask("systemctl", "start", trader.unit).returncode != 0
    assert trader.show("ExecMainStatus") == "75"
    assert len([one for one in trader.venue.requests() if one["method"] == "POST"]) == sent
    assert trader.own_runs() == before, "what preflight refuses leaves no run"
    trader.venue.inject("venue.maintenance", on=False)
    trader.wait_for("ActiveState", "active", seconds=180)  # by itself, at the next start but one at most
    trader.stop()
    passes_the_audit(host)


@pytest.mark.full
@pytest.mark.parametrize("trader", ["WatchdogSec=15\nRestartSec=2\n"], indirect=True, ids=["15s"])
def test_a_venue_that_takes_calls_and_answers_none_is_what_the_watchdog_sees(trader, host):
    """A living socket is no living loop: connections are made, and no answer comes."""
    trader.venue.start_at(SECOND)
    trader.start()
    run = trader.own_runs()[-1]
    trader.venue.freeze()
    trader.wait_for("Result", "watchdog", seconds=90)
    trader.venue.thaw()
    trader.wait_until_closed(run)
    trader.wait_for("ActiveState", "active", seconds=120)
    assert trader.own_runs()[-1] != run
    (stall,) = trader.journal("PROMETHEUS_EVENT=watchdog_stall")[-1:]
    assert run.name in stall["PROMETHEUS_PROGRESS"]
    trader.stop()
    passes_the_audit(host)


@pytest.mark.full
def test_a_rollback_with_an_open_position_closes_it_and_starts_from_nothing(trader, host, images):
    place = host.inside("/srv/other.oci.tar")
    another(images / "prometheus-quant.oci.tar", place, "b")
    loaded = json.loads(host.do(COMMAND, "release", "load", "/srv/other.oci.tar", "--json"))
    place.unlink()
    with_a_position(trader)
    run = trader.own_runs()[-1]
    done = json.loads(host.do(COMMAND, "release", "use", loaded["id"], "--json"))
    assert done["restarted"] == [trader.unit]
    assert trader.manifest(run)["exchange"]["ended"]["positions"] == "flat"
    wait_until("it has a position", lambda: trader.venue.positions() != {})
    run = trader.own_runs()[-1]
    done = json.loads(host.do(COMMAND, "release", "rollback", "--json"))
    assert done["restarted"] == [trader.unit]
    assert trader.manifest(run)["exchange"]["ended"]["positions"] == "flat"
    assert trader.verifies(run)
    trader.stop()
    assert trader.venue.positions() == {}
    passes_the_audit(host)
