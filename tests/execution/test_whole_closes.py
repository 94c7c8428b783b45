"""Closes that must be whole, on a book that is thin or empty: several orders a round, on record, proved, forged.

A session has twelve agents and bars of a minute; each bar's net order is some hundred lots. `THIN` leaves the book with
less than a hundred.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from prometheus.v10.base.errors import ExchangeError, ExitCode
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.derive.netted.rederived_round import unclosed
from prometheus.v10.evidence.records.canonical import canonical_bytes
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.execution.exchange_run.exchange_means import Means
from prometheus.v10.execution.ports.exchange_errors import EmptyBookError
from prometheus.v10.runs.control import StopReason
from tests.execution.compare_records import differences
from tests.execution.practice import PracticeVenue
from tests.execution.sealed_house import Sealed, StopWithin, do_session, in_steps, profile_of

THIN = "0.004"
BARS, REVIEW = 4, 2
CHAIN, ROUNDS = str(Artifact.ORDER_CHAIN), str(Artifact.NETTING_ROUNDS)


class Book(StopWithin):
    """Sets the share of the usual depth, in percent, once so many orders were sent: pairs of a count and a share.

    With ``stop`` a stop comes once so many orders were sent.
    """

    def __init__(self, venue: PracticeVenue, *shares: tuple[int, str], stop: int = 0) -> None:
        super().__init__()
        self.venue, self.shares, self.stop = venue, list(shares), stop
        self.chain: Path | None = None

    def run_opened(self, run_id: str, path: Path) -> None:
        super().run_opened(run_id, path)
        self.chain = path / CHAIN

    def stop_requested(self) -> StopReason | None:
        if self.chain is None:
            return None
        sent = self.chain.read_bytes().count(b'"kind":"SENT"')
        while self.shares and sent >= self.shares[0][0]:
            self.venue.inject("market.liquidity", percent=self.shares.pop(0)[1])
        return StopReason.SIGTERM if self.stop and sent >= self.stop else None


def short(root: Path, **more: Any) -> Any:
    found = profile_of(root, **{"bars": BARS, "review": REVIEW, **more})
    return evolve(found, market=evolve(found.market, timeframe_s=60))


def lines(run: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / name).read_bytes().splitlines()]


def verified(root: Path, run: Path) -> list[str]:
    """What `verify` and `audit` find, without notes."""
    report = verify_path(run)
    assert audit(Layout.under(root)).exit_code is ExitCode.DONE
    said = report.lines()[:-1] if report.exit_code is ExitCode.DONE else report.lines()
    return [line for line in said if not line.startswith("NOTE")]


def ended(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / Artifact.MANIFEST).read_bytes())["exchange"]["ended"])


def the_run(root: Path) -> Path:
    (run,) = (root / "runs").iterdir()
    return run


def once_each(run: Path) -> None:
    """Every order of the run was meant once and sent once at most."""
    chain = lines(run, CHAIN)
    for kind in ("INTENT", "SENT"):
        names = [line["client_id"] for line in chain if line["kind"] == kind]
        assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def thin(tmp_path_factory) -> tuple[PracticeVenue, Path, Sealed]:
    """A session whose reviews meet a thin book, on a venue of its own."""
    place, root = tmp_path_factory.mktemp("thin_venue"), tmp_path_factory.mktemp("thin")
    venue = PracticeVenue(place)
    outcome = do_session(root, venue, short(root), control=Book(venue, (1, THIN), (3, "100"), (4, THIN)))
    venue.close()
    return venue, root, Sealed(outcome.path)


def test_a_review_on_a_thin_book_takes_several_orders_and_is_whole(thin):
    venue, root, sealed = thin
    assert verified(root, sealed.run) == []
    rounds = lines(sealed.run, ROUNDS)
    several = [one for one in rounds if len(one["orders"]) > 1]
    assert several
    assert all(one["left_lots"] == 0 and one["holds"] and all(row[3] for row in one["wishes"]) for one in several)
    assert any(one["left_lots"] for one in rounds if not any(row[3] for row in one["wishes"]))  # those are dropped
    assert (ended(sealed.run)["trading_state"], ended(sealed.run)["positions"]) == ("ACTIVE", "flat")
    once_each(sealed.run)
    assert differences(venue.journal, sealed.run) == []  # the program that imports neither side


# ---- forgeries -------------------------------------------------------------------------------------------------------


def of_several(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The first round in which two orders have fills."""
    return next(
        one for one in rounds if len({fill["client_order_id"] for fill in one["fills"]}) > 1 and len(one["orders"]) > 1
    )


def drop_the_second(one: dict[str, Any]) -> None:
    name = one["orders"].pop(1)["client_order_id"]
    one["fills"] = [fill for fill in one["fills"] if fill["client_order_id"] != name]


def swap_fills(one: dict[str, Any]) -> None:
    names = [order["client_order_id"] for order in one["orders"]]
    first = next(fill for fill in one["fills"] if fill["client_order_id"] == names[0])
    other = next(fill for fill in one["fills"] if fill["client_order_id"] not in {names[0]})
    first["client_order_id"], other["client_order_id"] = other["client_order_id"], first["client_order_id"]


def all_to_the_first(one: dict[str, Any]) -> None:
    """One order that had all fills, as version 1 would tell it."""
    one["orders"] = one["orders"][:1]
    for fill in one["fills"]:
        fill["client_order_id"] = one["client_order_id"]


def as_version_1(one: dict[str, Any]) -> None:
    one["schema"] = "netting_round/1"
    del one["orders"], one["left_lots"]
    for fill in one["fills"]:
        del fill["client_order_id"]


def whole_by_word(one: dict[str, Any]) -> None:
    one["orders"][-1]["lots"] += 1 if one["net_lots"] > 0 else -1


FORGED = {
    "the second order is dropped with its fills": drop_the_second,
    "fills change their orders": swap_fills,
    "another size of the second order": lambda one: one["orders"][1].update(lots=one["orders"][1]["lots"] // 2),
    "the last order is for one lot more": whole_by_word,
    "all fills are the first order's": all_to_the_first,
    "the orders change places": lambda one: one["orders"].reverse(),
    "a round of version 1": as_version_1,
    "lots that are left": lambda one: one.update(left_lots=1),
    "nothing was forced": lambda one: [row.__setitem__(3, 0) for row in one["wishes"]],
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_round_of_several_orders_is_found(thin, tmp_path, name):
    def forge(files: dict[str, bytes]) -> None:
        rounds = [json.loads(line) for line in files[ROUNDS].splitlines()]
        FORGED[name](of_several(rounds))
        files[ROUNDS] = b"".join(canonical_bytes(one) + b"\n" for one in rounds)

    report = thin[2].forge(tmp_path, forge)
    assert report is not None
    assert report.exit_code is ExitCode.VERIFY_FAILED, report.lines()


def test_an_order_that_is_taken_out_of_chain_calls_and_round_is_found(thin, tmp_path):
    """Not the line alone: intent, answer and fills go as well, and the venue's own answers still tell of it."""

    def forge(files: dict[str, bytes]) -> None:
        rounds = [json.loads(line) for line in files[ROUNDS].splitlines()]
        one = of_several(rounds)
        name = one["orders"][1]["client_order_id"]
        drop_the_second(one)
        files[ROUNDS] = b"".join(canonical_bytes(line) + b"\n" for line in rounds)
        chain = [json.loads(line) for line in files[CHAIN].splitlines()]
        files[CHAIN] = b"".join(canonical_bytes(line) + b"\n" for line in chain if line["client_id"] != name)

    report = thin[2].forge(tmp_path, forge)
    assert report is not None
    assert report.exit_code is ExitCode.VERIFY_FAILED, report.lines()


# ---- an empty book ---------------------------------------------------------------------------------------------------


def test_a_close_waits_for_a_book_that_is_empty_for_a_while(venue, tmp_path):
    """Nobody bids or asks when the review is due; the book comes back while the session waits for it."""
    left = [6]

    def refilling(means: Means) -> Means:
        def pause(seconds: float) -> None:
            means.pause(seconds)
            if not control.shares and left[0] > 0:
                left[0] -= 1
                if left[0] == 0:
                    venue.inject("market.liquidity", percent="100")

        return evolve(in_steps(means), pause=pause)

    control = Book(venue, (1, "0"))
    outcome = do_session(tmp_path, venue, short(tmp_path), control=control, means=refilling)
    assert (outcome.status, left) == ("completed", [0])
    assert verified(tmp_path, outcome.path) == []
    assert (ended(outcome.path)["trading_state"], ended(outcome.path)["positions"]) == ("ACTIVE", "flat")


@pytest.mark.parametrize("at", [REVIEW, BARS], ids=["a review", "the end"])
def test_what_the_limit_leaves_open_is_named_and_the_next_start_closes_it(venue, tmp_path, at):
    control = Book(venue, (at - 1, THIN), (at, "0"))  # an order at each open, and the first of the close
    with pytest.raises(ExchangeError, match="must be whole, and leaves"):
        do_session(tmp_path, venue, short(tmp_path, review=at), control=control)
    venue.inject("market.liquidity", percent="100")
    run = the_run(tmp_path)
    end, last = ended(run), lines(run, ROUNDS)[-1]
    assert (end["trading_state"], end["reasons"], end["positions"]) == ("REDUCING", ["CLOSE_INCOMPLETE"], "open")
    assert abs(end["position_lots"]) == abs(last["left_lots"]) == unclosed(last) > 0
    assert last["left_lots"] == -end["position_lots"]
    assert (len(last["orders"]), last["holds"]) == (8, True)
    (latched,) = [line["payload"] for line in lines(run, CHAIN) if line["kind"] == "TRADING"]
    assert latched["detail"].endswith(f"leaves {abs(last['left_lots'])} lots open after 8 orders")
    once_each(run)
    assert verified(tmp_path, run) == []
    venue.pause(30)
    again = do_session(tmp_path, venue, short(tmp_path, bars=1))  # nobody has to release anything
    assert any(line["payload"].get("purpose") == "flatten_before_opening" for line in lines(again.path, CHAIN))
    assert (verified(tmp_path, again.path), ended(again.path)["positions"]) == ([], "flat")

    def without_the_reason(files: dict[str, bytes]) -> None:
        chain = [json.loads(line) for line in files[CHAIN].splitlines()]
        files[CHAIN] = b"".join(canonical_bytes(one) + b"\n" for one in chain if one["kind"] != "TRADING")

    report = Sealed(run).forge(tmp_path / "forged", without_the_reason)
    assert any("the chain does not say CLOSE_INCOMPLETE" in line for line in report.lines())


def test_a_book_that_stays_empty_ends_the_session_with_everything_open(venue, tmp_path):
    with pytest.raises(EmptyBookError, match="has no bids"):
        do_session(tmp_path, venue, short(tmp_path), control=Book(venue, (1, "0")))
    venue.inject("market.liquidity", percent="100")
    run = the_run(tmp_path)
    end = ended(run)
    assert (end["trading_state"], end["reasons"], end["positions"]) == ("REDUCING", ["CLOSE_INCOMPLETE"], "open")
    (latched,) = [line["payload"] for line in lines(run, CHAIN) if line["kind"] == "TRADING"]
    assert latched["detail"].endswith("lots open after 0 orders")
    assert verified(tmp_path, run) == []
    venue.pause(30)


def test_a_stop_in_the_middle_of_a_close_seals_what_is_proved_and_names_the_rest(venue, tmp_path):
    control = Book(venue, (1, THIN), stop=3)
    hasty = short(tmp_path, bars=30, stop_seconds=0.0)
    outcome = do_session(tmp_path, venue, hasty, control=control, means=in_steps)
    venue.inject("market.liquidity", percent="100")
    end, last = ended(outcome.path), lines(outcome.path, ROUNDS)[-1]
    assert (outcome.status, end["positions"], end["reasons"]) == ("interrupted", "open", ["CLOSE_INCOMPLETE"])
    assert 0 < abs(end["position_lots"]) == unclosed(last)
    assert last["status"] == "settled"
    once_each(outcome.path)
    assert verified(tmp_path, outcome.path) == []
    venue.pause(30)
