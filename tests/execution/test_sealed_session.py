"""A session at an exchange as a sealed run: stopped in several ways, with planted secrets, current while it runs."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from attrs import define, evolve

from prometheus.v10.base.errors import ConfigError, ExitCode, UsageError
from prometheus.v10.base.modes import Mode, Stage
from prometheus.v10.base.names import Artifact, Event
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.records.canonical import pretty_bytes
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.writing.journal import Journal
from prometheus.v10.execution.adapters.library_choice import sender_of
from prometheus.v10.execution.adapters.okx_rest.rest_transport import RestAnswer, RestRequest, TransportError
from prometheus.v10.execution.adapters.senders.library_transport import LibraryTransport
from prometheus.v10.execution.adapters.senders.signing_credentials import Credentials
from prometheus.v10.execution.exchange_run.exchange_means import Means, TradingHaltedError
from prometheus.v10.execution.exchange_run.exchange_setting import table_of, total_and_share
from prometheus.v10.execution.ports.exchange_errors import ForeignActivityError, MisconfiguredError
from tests.execution.sealed_house import Sealed, StopWithin, do_session, in_steps, profile_of, somebody_else_trades

BAR_S = 60
WIDE = {"bars": 4, "review": 50}


def short(root: Path, **more):
    """A profile with bars of a minute, so that little of the venue's day is used."""
    found = profile_of(root, **{**WIDE, **more})
    return evolve(found, market=evolve(found.market, timeframe_s=BAR_S))


def verified(root: Path, run: Path) -> list[str]:
    report = verify_path(run)
    assert audit(Layout.under(root)).exit_code is ExitCode.DONE
    return report.lines()[:-1] if report.exit_code is ExitCode.DONE else report.lines()


def manifest_of(run: Path) -> dict:
    return json.loads((run / Artifact.MANIFEST).read_bytes())


class Watching(StopWithin):
    """Holds fingerprint and index of the raw parts against each other whenever the run says how far it is."""

    run: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def run_opened(self, run_id: str, path: Path) -> None:
        super().run_opened(run_id, path)
        self.run = path
        opening = (path / Artifact.ORDER_CHAIN).read_bytes()
        assert b'"OPENING"' in opening  # READY comes after the bootstrap

    def progress(self, progress) -> None:
        if self.run is None or progress.tick == 0:
            return
        fingerprint = json.loads((self.run / Artifact.FINGERPRINT).read_bytes())
        index = json.loads((self.run / Artifact.EXECUTION_RAW_INDEX).read_bytes())
        assert fingerprint["api_calls"] == sum(fingerprint["api_calls_by_class"].values()) == index["total_records"]
        self.seen.add(fingerprint["api_calls"])


def test_a_session_is_a_sealed_run_whose_fingerprint_is_current_while_it_runs(venue, tmp_path):
    control = Watching()
    outcome = do_session(tmp_path, venue, short(tmp_path), control=control)
    assert (outcome.status, control.opened, len(control.seen) > 2) == ("completed", 1, True)
    assert verified(tmp_path, outcome.path) == []
    made = manifest_of(outcome.path)
    assert (made["mode"], made["exchange_lib"], made["positions_quality"]) == (
        "okx_demo", sender_of(venue.library), "exchange_reported",
    )  # fmt: skip
    assert made["self_trade_prevention"]["self_trade_detection_capability"] == "strong"
    assert not list(outcome.path.glob("*.lock"))


def test_a_stop_within_a_bar_flattens_and_is_sealed(venue, tmp_path):
    outcome = do_session(tmp_path, venue, short(tmp_path, bars=30), control=StopWithin(2), means=in_steps)
    ended = manifest_of(outcome.path)["exchange"]["ended"]
    assert (outcome.status, outcome.stop_reason.value) == ("interrupted", "sigterm")
    assert (ended["positions"], ended["position_lots"], ended["open_orders"]) == ("flat", 0, [])
    assert (ended["trading_state"], ended["reasons"], ended["cut_bar"]) == ("REDUCING", ["STOP"], True)
    assert 0 < ended["bars"] < 30
    assert verified(tmp_path, outcome.path) == []


def test_a_stop_leaves_the_position_where_the_profile_says_so_and_the_next_start_closes_it(venue, tmp_path):
    leave = short(tmp_path, bars=30, on_stop="leave")
    for bars in (2, 3, 4):  # until a bar is cut while the account holds something
        outcome = do_session(tmp_path, venue, leave, control=StopWithin(bars), means=in_steps)
        ended = manifest_of(outcome.path)["exchange"]["ended"]
        assert verified(tmp_path, outcome.path) == []
        if ended["position_lots"]:
            break
    assert (ended["positions"], manifest_of(outcome.path)["config"]["exchange"]["on_stop"]) == ("left", "leave")
    held = sum(one.lots for one in venue.port().positions())
    assert held == ended["position_lots"] != 0
    refusing = evolve(leave, exchange=evolve(leave.exchange, flatten_at_start=False))
    with pytest.raises(ForeignActivityError, match="a position of"):
        do_session(tmp_path, venue, refusing)
    again = do_session(tmp_path, venue, short(tmp_path, bars=1))
    chain = (again.path / Artifact.ORDER_CHAIN).read_text()
    assert '"purpose":"flatten_before_opening"' in chain
    assert verified(tmp_path, again.path) == []


def test_what_a_stop_could_not_prove_in_time_is_named_as_open(venue, tmp_path):
    """The order that flattens is sent, and the time is over before anything says what became of it."""
    hasty = short(tmp_path, bars=30, stop_seconds=0.0)
    outcome = do_session(tmp_path, venue, hasty, control=StopWithin(2), means=in_steps)
    made = manifest_of(outcome.path)
    ended = made["exchange"]["ended"]
    assert (outcome.status, ended["positions"], len(ended["open_orders"])) == ("interrupted", "open", 1)
    assert verified(tmp_path, outcome.path) == []
    venue.pause(10)


def test_a_halt_ends_the_run_as_failed_with_everything_that_is_known(venue, tmp_path):
    with pytest.raises(TradingHaltedError, match="trading is halted") as caught:
        do_session(tmp_path, venue, short(tmp_path, bars=30), means=somebody_else_trades(venue))
    assert caught.value.exit_code is ExitCode.CONFIG  # no unit is started again by itself
    (run,) = (tmp_path / "runs").iterdir()
    made = manifest_of(run)
    assert (made["status"], made["exchange"]["ended"]["trading_state"]) == ("failed", "HALTED")
    assert [line for line in verified(tmp_path, run) if not line.startswith("NOTE")] == []


def test_the_journal_hears_each_reason_once_and_verify_counts_them(venue, tmp_path, notify_socket):
    heard: list[dict[str, str]] = []
    journal = Journal(
        instance="T", mode=Mode.OKX_DEMO, stage=Stage.STAGE1, run_id=None, socket=notify_socket.path,
        sender=lambda message, **fields: heard.append({"MESSAGE": message, **fields}),
    )  # fmt: skip
    outcome = do_session(
        tmp_path, venue, short(tmp_path, bars=30), control=StopWithin(2), means=in_steps, journal=journal
    )
    (told,) = [one for one in heard if one["PROMETHEUS_EVENT"] == str(Event.TRADING_STATE)]
    assert (told["PROMETHEUS_STATE"], told["PROMETHEUS_REASON"], told["PRIORITY"]) == ("REDUCING", "STOP", "4")
    assert manifest_of(outcome.path)["journal"]["sent"]["trading_state"] == 1
    assert verified(tmp_path, outcome.path) == []

    def once_more(files: dict[str, bytes]) -> None:
        found = json.loads(files[Artifact.MANIFEST])
        found["journal"]["sent"]["trading_state"] = 2
        files[Artifact.MANIFEST] = pretty_bytes(found)

    report = Sealed(outcome.path).forge(tmp_path / "forged", once_more)
    assert any("2 entries of trading_state, the chain latched 1" in line for line in report.lines())


@pytest.mark.parametrize("fault", ["accepted.502", "refused.reset", "double.fill_new_bill", "lie.fills_late"])
def test_a_disturbed_session_is_proved_all_the_same(venue, tmp_path, fault):
    path = "/api/v5/trade/fills" if "fill" in fault else "/api/v5/trade/order"

    class Disturbing(StopWithin):
        def run_opened(self, run_id: str, path_of: Path) -> None:
            super().run_opened(run_id, path_of)
            venue.inject(fault, path, count=4)

    outcome = do_session(tmp_path, venue, short(tmp_path), control=Disturbing())
    assert outcome.status == "completed"
    assert verified(tmp_path, outcome.path) == []


# ---- secrets ---------------------------------------------------------------------------------------------------------


@define
class Leaky:
    """A transport whose errors and answers give the secrets back, in several spellings; every ninth call fails."""

    inner: LibraryTransport
    secrets: tuple[str, ...]
    calls: int = 0

    @property
    def library(self):
        return self.inner.library

    def exchange(self, request: RestRequest) -> RestAnswer:
        self.calls += 1
        told = " ".join(self.secrets)
        if self.calls % 9 == 0 and request.method == "GET":
            if self.calls % 2:
                raise TransportError(f"refused with {told}", sent=True, name="ReadTimeout")
            body = f"<html>{told} {quote(told)} {base64.b64encode(self.secrets[1].encode()).decode()}</html>"
            return RestAnswer(status=502, content_type="text/html", body=body.encode())
        return self.inner.exchange(request)

    def redacted(self, text: str) -> str:
        return self.inner.redacted(text)

    def close(self) -> None:
        self.inner.close()


def spelt(secret: str) -> set[bytes]:
    texts = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
    return {one.encode() for one in texts}


def found_in(root: Path, secrets: tuple[str, ...]) -> list[str]:
    return [
        str(place.relative_to(root)) for place in root.rglob("*") if place.is_file()
        for secret in secrets for text in spelt(secret) if text in place.read_bytes()
    ]  # fmt: skip


def leaky(secrets: tuple[str, ...], port_of: Callable | None = None) -> Callable[[Means], Means]:
    def change(means: Means) -> Means:
        def port(sink):
            made = (port_of or means.port)(sink)
            made.caller.transport = Leaky(made.caller.transport, secrets)
            return made

        return evolve(means, port=port)

    return change


def test_secrets_that_errors_and_answers_give_back_are_in_no_file(venue, tmp_path):
    known = venue.credentials()
    secrets = (known.key, known.secret, known.passphrase)
    outcome = do_session(tmp_path, venue, short(tmp_path), means=leaky(secrets))
    fingerprint = json.loads((outcome.path / Artifact.FINGERPRINT).read_bytes())
    assert fingerprint["errors_by_type"].keys() == {"timeout", "http_error"}
    kept = b"".join(one.read_bytes() for one in outcome.path.glob("m_execution_raw_part_*"))
    assert b"<secret>" in kept
    assert found_in(tmp_path, secrets) == []
    assert verified(tmp_path, outcome.path) == []


def test_planted_secrets_of_any_spelling_are_in_no_file_and_no_message(venue, tmp_path):
    secrets = ("key-PLANTED/1+", 'secret"PLANTED<2>&', "phrase\\PLANTED %3")
    planted = Credentials(key=secrets[0], secret=secrets[1], passphrase=secrets[2])
    change = leaky(secrets, lambda sink: venue.port(sink, credentials=planted))
    with pytest.raises(MisconfiguredError) as caught:
        do_session(tmp_path, venue, short(tmp_path), means=change)
    told = f"{caught.value.message} {caught.value.hint} {caught.value!r}".encode()
    assert not any(text in told for secret in secrets for text in spelt(secret))
    assert found_in(tmp_path, secrets) == []
    assert not list((tmp_path / "runs").iterdir())  # refused before there was a run


# ---- what is settled -------------------------------------------------------------------------------------------------


def test_each_agent_gets_exactly_its_stake():
    """Of one equity in eight no share of a double gives it; the world's total is then the next double that has one."""
    draw, moved = random.Random(0), 0
    for equity in [100_000.0, 115_411.43, 1_250.01, 99_686.967838289947, 2_862.148979232548, *(
        draw.uniform(1_250, 10 ** draw.uniform(3.2, 7)) for _ in range(5_000)
    )]:  # fmt: skip
        agents = draw.randint(1, int(equity * 0.8 // 1000))
        total, share = total_and_share(equity, agents)
        assert total * share / agents == 1000.0
        assert abs(total - equity) < 1e-7
        moved += total != equity
    assert moved > 100


def test_an_equity_of_which_no_share_gives_the_stakes_verifies(venue, tmp_path):
    uid = venue.uid()
    cash = Decimal(str(venue.admin(do="dump")["accounts"]["demo"][uid]["cash"]))
    venue.admin(do="deposit", uid=uid, usdt=str(Decimal("99962.987366691805") - cash))
    outcome = do_session(tmp_path, venue, short(tmp_path, most_agents=8))
    manifest = manifest_of(outcome.path)
    assert manifest["world"]["initial_total"] != float(manifest["exchange"]["bootstrap"]["equity"])
    assert verified(tmp_path, outcome.path) == []


def test_a_review_and_an_end_while_funding_is_settled_close_every_position(venue, tmp_path):
    """Orders are refused for a second then (51030): a close that must be whole is asked for again, by a new order."""
    profile = short(tmp_path, bars=6, review=3)
    bar_ms, each_ms = 1000 * profile.market.timeframe_s, 8 * 3_600_000
    refused = []
    for bars_before in (1.5, 5.5):  # from the middle of a bar: the review falls on the settlement, then the last close
        venue.pause((-venue.now_ms() - int(bars_before * bar_ms)) % each_ms / 1000)
        outcome = do_session(tmp_path, venue, profile)
        assert verified(tmp_path, outcome.path) == []
        lines = [json.loads(line) for line in (outcome.path / Artifact.ORDER_CHAIN).read_text().splitlines()]
        asked = {line["client_id"]: line["payload"]["tick"] for line in lines if line["kind"] == "INTENT"}
        refused += [(asked[line["client_id"]], line["payload"]["code"]) for line in lines if line["kind"] == "REFUSED"]
    assert refused == [(2, "51030"), (5, "51030")]


@pytest.mark.parametrize(("changes", "error"), [
    ({"mode": "offline"}, UsageError), ({"mode": "okx_live"}, UsageError), ({"exchange": None}, ConfigError),
])  # fmt: skip
def test_a_profile_that_no_session_can_follow_is_refused(tmp_path, changes, error):
    found = profile_of(tmp_path)
    with pytest.raises(error):
        table_of(evolve(found, **changes))
    with pytest.raises(ConfigError, match="needs source = 'exchange'"):
        table_of(evolve(found, market=evolve(found.market, source="synthetic")))


def test_a_session_whose_population_collapses_verifies(venue, tmp_path):
    profile = short(tmp_path, bars=6, review=3)
    profile = evolve(profile, world=evolve(profile.world, death_roi=1e5, breed_roi=1e6))
    outcome = do_session(tmp_path, venue, profile)
    (event,) = [json.loads(line) for line in (outcome.path / Artifact.COLLAPSES).read_text().splitlines()]
    assert event["reason"] == "extinction"
    assert verified(tmp_path, outcome.path) == []
