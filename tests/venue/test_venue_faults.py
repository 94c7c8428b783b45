"""Section 11: every fault of the catalogue does what it says, to whom it is aimed at, and stands in the journal."""

from __future__ import annotations

import orjson
import pytest

from prometheus.v10.base.errors import UsageError
from prometheus.venue.faults.altered_answers import CURSORS, LIES
from prometheus.venue.faults.fault_catalogue import BY_ID, FAULTS
from prometheus.venue.faults.happenings import HAPPENINGS
from prometheus.venue.faults.injections import Target
from tests.venue.desk import BTC, desk

ORDER = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": "49000", "clOrdId": "f"}


@pytest.fixture
def one():
    return desk()


def journalled(one):
    return [entry["data"] for entry in map(orjson.loads, one.world.journal.tail) if entry["kind"] == "fault"]


def send(client, body=ORDER):
    return client.raw("POST", "/api/v5/trade/order", orjson.dumps(body))


def test_every_fault_has_an_id_of_its_own_a_sentence_and_something_that_does_it():
    assert len(BY_ID) == len(FAULTS) >= 55
    assert all(fault.about.endswith(".") for fault in FAULTS)
    assert {fault.id for fault in FAULTS if fault.stage == "world"} == HAPPENINGS.keys()
    assert {fault.id for fault in FAULTS if fault.stage == "lie"} == LIES.keys() | CURSORS.keys()


def test_a_fault_outside_the_catalogue_cannot_be_injected(one):
    with pytest.raises(UsageError, match="no fault"):
        one.inject("market.fire")
    with pytest.raises(UsageError, match="has no argument"):
        one.inject("market.gap", depth="3")
    with pytest.raises(UsageError, match="percent is"):
        one.inject("market.gap", percent="much")


# ---- unknown outcome -------------------------------------------------------------------------------------------------

FACES = {
    "reset": (200, "reset", None), "timeout": (200, "silent", None), "50004": (400, "sent", b"50004"),
    "502": (502, "sent", b"<html>"), "504": (504, "sent", b"<html>"), "empty": (200, "sent", None),
    "cut": (200, "cut", None), "length": (200, "short", None),
}  # fmt: skip


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("stage", ["accepted", "refused"])
def test_an_unknown_outcome_can_be_told_only_by_a_query(one, stage, face):
    client = one.client()
    one.inject(f"{stage}.{face}", target=Target(path="trade/order", method="POST", count=1))
    reply = send(client)
    status, wire, inside = FACES[face]
    assert (reply.status, reply.wire.how) == (status, wire)
    assert inside is None or inside in reply.body
    assert (reply.body == b"") == (face == "empty")
    found = client.get("trade/order", instId=BTC, clOrdId="f")
    assert found["code"] == ("0" if stage == "accepted" else "51603")
    assert [entry["what"] for entry in journalled(one)] == ["injected", "acted"]


def test_the_faces_of_both_are_the_same_bytes():
    for face in ("50004", "502", "504", "empty"):
        pair = []
        for stage in ("accepted", "refused"):
            one = desk()
            one.inject(f"{stage}.{face}")
            reply = send(one.client())
            pair.append((reply.status, reply.body, reply.content_type))
        assert pair[0] == pair[1]


def test_a_late_answer_is_late(one):
    one.inject("accepted.late", seconds=3)
    reply = send(one.client())
    assert (reply.status, reply.wire.delay_s) == (200, 3.0)


def test_a_remembered_client_id_is_the_other_reading_of_the_rules(one):
    client = one.client()
    client.placed("buy", "1", clOrdId="f")
    one.inject("client_id.remembered")
    assert client.refused("buy", "1", clOrdId="f") == "51016"
    assert client.placed("buy", "1", clOrdId="g")


# ---- targets ---------------------------------------------------------------------------------------------------------


def test_a_fault_acts_from_the_nth_call_on_and_so_often(one):
    client = one.client()
    one.inject("load.50013", target=Target(path="account/balance", first=2, count=2))
    codes = [client.get("account/balance")["code"] for _ in range(5)]
    assert codes == ["0", "50013", "50013", "0", "0"]
    assert client.get("account/config")["code"] == "0"


def test_a_fault_acts_in_its_window_of_the_venues_clock(one):
    client, now = one.client(), one.world.now
    one.inject("load.50026", target=Target(begin_ms=now + 1000, end_ms=now + 2000))
    codes = []
    for _ in range(3):
        codes.append(client.get("account/balance")["code"])
        one.pass_time(1)
    assert codes == ["0", "50026", "0"]


def test_a_fault_acts_on_one_account(one):
    one.inject("load.50001", target=Target(uid=one.client("sub1").key.uid))
    assert one.client("sub1").get("account/balance")["code"] == "50001"
    assert one.client().get("account/balance")["code"] == "0"


def test_a_chance_is_seeded():
    def acted(seed):
        one = desk(seed=seed)
        one.inject("load.50013", target=Target(chance=0.3))
        return [one.client().get("account/balance")["code"] == "50013" for _ in range(200)]

    first = acted(1)
    assert first == acted(1) != acted(2)
    assert 30 < sum(first) < 90


def test_an_injection_ends_when_it_is_cleared(one):
    injected = one.inject("load.50013")
    assert one.mischief.clear(injected.number) == 1
    assert one.client().get("account/balance")["code"] == "0"
    assert [entry["what"] for entry in journalled(one)] == ["injected", "cleared"]


# ---- load ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "status", "code"), [
    ("load.50011", 429, "50011"), ("load.50011_200", 200, "50011"), ("load.50013", 429, "50013"),
    ("load.50026", 500, "50026"), ("load.50001", 503, "50001"), ("load.50061", 200, "50061"),
])  # fmt: skip
def test_a_storm_of_refusals(one, fault, status, code):
    one.inject(fault)
    reply = send(one.client())
    assert (reply.status, orjson.loads(reply.body)["code"]) == (status, code)


def test_latency_is_lognormal_and_seeded():
    def delays(seed):
        one = desk(seed=seed)
        one.inject("load.latency", median_s=0.2, sigma=1.0)
        return sorted(send(one.client()).wire.delay_s for _ in range(101))

    first = delays(1)
    assert first == delays(1) != delays(2)
    assert 0.1 < first[50] < 0.4
    assert first[-1] > 5 * first[50]


def test_a_body_comes_slowly(one):
    one.inject("load.slow_body", pause_s=0.5)
    assert send(one.client()).wire.slow_s == 0.5


def test_what_was_done_to_a_client_is_what_the_journal_says(one):
    client = one.client()
    one.inject("load.50013", target=Target(path="account", chance=0.5))
    done = sum(client.get("account/balance")["code"] == "50013" for _ in range(50))
    acts = [entry for entry in journalled(one) if entry["what"] == "acted"]
    assert len(acts) == done > 5
    assert {entry["path"] for entry in acts} == {"/api/v5/account/balance"}
