"""The closed catalogue of what the venue can do wrong on purpose. A fault that is not here cannot be injected.

Stages: ``refuse`` answers in place of the work, ``lose`` works and then loses or delays the answer, ``lie`` changes
what is answered, ``world`` changes the venue itself once, ``stream`` disturbs what is pushed over WebSocket.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen


@frozen
class Fault:
    """A fault: its id, its stage, what it does, and its arguments with their usual values."""

    id: str
    stage: str
    about: str
    arguments: dict[str, str | int | float | bool] = field(factory=dict)

    @property
    def group(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


_FACES: Final = {
    "reset": "the connection is reset",
    "timeout": "no answer ever comes",
    "50004": "400 with code 50004, outcome unknown",
    "502": "an HTML page with status 502",
    "504": "an HTML page with status 504",
    "empty": "status 200 with an empty body",
    "cut": "half of the body, then the connection ends",
    "length": "a Content-Length that is too small",
}

FAULTS: Final = (
    *(Fault(f"accepted.{face}", "lose", f"The request is worked on, then {what}.") for face, what in _FACES.items()),
    Fault("accepted.late", "lose", "The answer comes later than a client waits.", {"seconds": 6.0}),
    *(Fault(f"refused.{face}", "refuse", f"Nothing is done, and {what}.") for face, what in _FACES.items()),
    Fault("client_id.remembered", "refuse", "A client id that a terminal order had is refused (51016)."),
    Fault("lie.balance", "lie", "The balance is off by an amount.", {"usdt": "100"}),
    Fault("lie.positions_empty", "lie", "Positions are an empty list."),
    Fault("lie.positions_stale", "lie", "Positions are as they were some time ago.", {"age_ms": 2000}),
    Fault("lie.order_unknown", "refuse", "An order that exists is not found (51603)."),
    Fault("lie.fills_late", "lie", "Fills appear late.", {"age_ms": 5000}),
    Fault("lie.fill_fee", "lie", "Fills carry the fee of another tier.", {"factor": "1.4"}),
    Fault("lie.equity_jump", "lie", "Equity jumps, once or as long as it lasts.", {"factor": "1.1"}),
    Fault("lie.depeg", "lie", "USDT is worth another number of USD.", {"usd": "0.97"}),
    Fault("double.fill", "lie", "Each fill comes twice, with one billId."),
    Fault("double.fill_new_bill", "lie", "Each fill comes twice, with two billIds."),
    Fault("double.terminal", "lie", "Each order of the history comes twice, the second with a later uTime."),
    Fault("order.fills_shuffled", "lie", "Fills are out of order."),
    Fault("order.state_before_fill", "lie", "The order is filled while the list of fills is still empty."),
    Fault("page.hole", "lie", "A page lacks a row in its middle."),
    Fault("page.repeated", "lie", "The cursor is ignored: the newest page again."),
    Fault("page.short", "lie", "A page is shorter than its limit while more is behind it."),
    Fault("page.limit_ignored", "lie", "A page holds more rows than were asked for."),
    Fault("time.skew", "world", "The venue's time for clients is off.", {"ms": 60_000}),
    Fault("time.jump", "world", "The venue's clock jumps ahead.", {"ms": 60_000}),
    Fault("time.50102", "refuse", "The timestamp is refused (50102)."),
    Fault("time.expired", "refuse", "The order has expired on arrival (50036)."),
    Fault("time.expired_later", "refuse", "The order expired inside the venue (50037)."),
    Fault("venue.maintenance", "world", "A maintenance: a status row, and 50001 to everything private.",
          {"minutes": 10, "on": True}),
    Fault("venue.state", "world", "The instrument's state: suspend, post_only, live.", {"state": "suspend"}),
    Fault("venue.change", "world", "An announced change of tickSz, minSz or maxMktSz takes effect.",
          {"param": "minSz", "value": "0.1", "after_ms": 60_000}),
    Fault("venue.fee", "world", "The account's fee rates change.", {"taker": "0.0007", "maker": "0.0003"}),
    Fault("venue.funding_interval", "world", "The funding interval after the coming settlement.", {"hours": 4}),
    Fault("venue.tiers", "world", "Maintenance rates of all tiers are multiplied.", {"factor": 2}),
    Fault("venue.cool_off", "world", "A cool-off period: only reducing orders pass (54094).", {"minutes": 10}),
    Fault("venue.frozen", "world", "The account is frozen with a code; empty ends it.", {"code": "50022"}),
    Fault("venue.key_revoked", "world", "The account's keys are revoked."),
    Fault("venue.ip_refused", "world", "The account's keys are bound to another address.", {"ip": "192.0.2.1"}),
    Fault("venue.pos_mode", "world", "A person changed the position mode.", {"mode": "long_short_mode"}),
    Fault("venue.manual_order", "world", "A person trades on the account.", {"side": "buy", "sz": "1"}),
    Fault("venue.manual_close", "world", "A person closes the account's positions and cancels its orders."),
    Fault("venue.second_writer", "refuse", "A second writer places an order each time that the client asks.",
          {"side": "buy", "sz": "0.01"}),
    Fault("market.gap", "world", "The price jumps by a share of itself.", {"percent": "-5"}),
    Fault("market.liquidity", "world", "Depth is a share of the usual; 0 is none.", {"percent": "0"}),
    Fault("market.limit_hit", "world", "The price runs away from the index until price limits refuse orders.",
          {"percent": "6"}),
    Fault("market.mark_away", "world", "The mark stands apart from the last price.", {"percent": "3"}),
    Fault("market.index_away", "world", "The index stands apart from the last price.", {"percent": "3"}),
    Fault("market.limits_off", "world", "Price limits do not hold.", {"on": False}),
    Fault("market.liquidation", "world", "The mark moves until the account's position is liquidated, then back."),
    Fault("market.adl", "world", "A part of the account's position is auto-deleveraged.", {"sz": "0.01"}),
    Fault("stream.silence", "stream", "Nothing is pushed."),
    Fault("stream.cut", "stream", "The connection is cut."),
    Fault("stream.twice", "stream", "A push comes twice."),
    Fault("stream.gap", "stream", "A push is left out, so that sequence numbers do not join."),
    Fault("stream.page_missing", "stream", "A snapshot comes in two pages, and the first one is left out."),
    Fault("stream.notice", "stream", "A notice (64008), and the connection ends."),
    Fault("load.50011", "refuse", "Too many requests (429)."),
    Fault("load.50011_200", "refuse", "Too many requests, with status 200."),
    Fault("load.50013", "refuse", "Systems are busy (429)."),
    Fault("load.50026", "refuse", "System error (500)."),
    Fault("load.50001", "refuse", "Service unavailable (503)."),
    Fault("load.50061", "refuse", "The sub-account's order rate is exceeded."),
    Fault("load.latency", "lose", "Answers are late, lognormally.", {"median_s": 0.2, "sigma": 1.0}),
    Fault("load.refused", "world", "Nobody listens for some real seconds: connections are refused.", {"seconds": 1.0}),
    Fault("load.slow_body", "lose", "The body comes in sixteen pieces.", {"pause_s": 0.2}),
)  # fmt: skip
BY_ID: Final = {fault.id: fault for fault in FAULTS}
