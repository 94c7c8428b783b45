"""Restarts: the first one closes what a session left at the exchange, and each further one changes nothing."""

from __future__ import annotations

import json
from collections import Counter

from attrs import evolve

from prometheus.v10.base.errors import ExitCode
from prometheus.v10.base.names import Artifact
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.runs.control import StopReason
from tests.execution.sealed_house import StopWithin, do_session, in_steps, profile_of

RESTARTS = 10


class AtOnce(StopWithin):
    """Says stop as soon as the run is open: before its first bar is over."""

    def stop_requested(self) -> StopReason | None:
        return StopReason.SIGTERM if self.opened else None


def test_ten_restarts_in_a_row_change_nothing_but_what_was_left_open(venue, tmp_path):
    profile = profile_of(tmp_path, bars=30, review=50, on_stop="leave")
    profile = evolve(profile, market=evolve(profile.market, timeframe_s=60))

    def ended(control: StopWithin) -> dict:
        run = do_session(tmp_path, venue, profile, control=control, means=in_steps)
        return json.loads((run.path / Artifact.MANIFEST).read_bytes())["exchange"]

    def account() -> dict:
        return venue.admin(do="dump")["accounts"]["demo"][venue.uid()]

    left = ended(StopWithin(2))["ended"]
    assert (left["positions"], left["position_lots"] != 0) == ("left", True)
    sent, money = len(venue.requests()), None
    for number in range(RESTARTS):
        found = ended(AtOnce())
        assert (found["ended"]["positions"], found["ended"]["position_lots"]) == ("flat", 0)
        now = len(venue.requests())
        assert (now - sent > 0) == (number == 0), "only the first restart has something to close"
        assert (account()["positions"], account()["pending"]) == ({}, 0)
        assert money in {None, account()["cash"]}
        sent, money = now, account()["cash"]
    ids = Counter(json.loads(one["body"])["clOrdId"] for one in venue.requests())
    assert max(ids.values()) == 1
    assert audit(Layout.under(tmp_path)).exit_code is ExitCode.DONE
