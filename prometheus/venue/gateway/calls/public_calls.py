"""Public data: time, status, instruments, price limits, mark, funding, tiers."""

from __future__ import annotations

from typing import Any, Final

from prometheus.venue.error_codes import Refused
from prometheus.venue.floor.trading import Market
from prometheus.venue.gateway.exchange_messages import Call
from prometheus.venue.gateway.result_pages import page
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.quanta import rate, text

DAY_MS: Final = 86_400_000


def server_time(call: Call) -> list[dict[str, Any]]:
    """`public/time`."""
    return [{"ts": str(call.now + call.world.skew)}]


def status(call: Call) -> list[dict[str, Any]]:
    """`system/status`: the row of a maintenance, when there is one."""
    row = call.world.maintenance
    wanted = call.text("state")
    return [dict(row)] if row and (not wanted or row["state"] == wanted) else []


def _chosen(call: Call) -> list[Market]:
    call.needed("instType")
    if not call.of_swaps():
        return []
    family, inst_id = call.text("instFamily") or call.text("uly"), call.text("instId")
    found = [one for one in call.state.markets.values()
             if (not family or one.instrument.family in family.split(","))
             and (not inst_id or one.instrument.inst_id == inst_id)]  # fmt: skip
    if inst_id and not found:
        raise Refused("51001")
    return found


def instruments(call: Call) -> list[dict[str, Any]]:
    """`public/instruments` and `account/instruments`: swaps; the other types are empty."""
    return [instrument_row(one.instrument) for one in _chosen(call)]


def instrument_row(one: Instrument) -> dict[str, Any]:
    """One instrument as the interface shows it."""
    names = {"tickSz": one.px, "minSz": one.sz, "maxMktSz": one.sz}
    changes = [{"param": change.param, "newValue": names[change.param](change.new_value),
                "effTime": str(change.eff_ms)} for change in one.changes]  # fmt: skip
    largest = one.sz(one.max_lmt_sz)
    return {
        "alias": "", "auctionEndTime": "", "baseCcy": "", "category": "1", "contTdSwTime": "", "ctMult": "1",
        "ctType": "linear", "ctVal": one.ct_val, "ctValCcy": one.base, "expTime": "", "floatPxLmtPct":
        rate(one.float_limit), "futureSettlement": False, "groupId": one.group_id, "initPxLmtPct":
        rate(one.float_limit), "instCategory": "1", "instFamily": one.family, "instId": one.inst_id,
        "instIdCode": one.code, "instType": "SWAP", "lever": str(one.lever), "listTime": str(one.list_ms),
        "lotSz": one.sz(one.lot), "maxIcebergSz": largest, "maxLmtAmt": str(one.max_lmt_usdt), "maxLmtSz": largest,
        "maxMktAmt": "", "maxMktSz": one.sz(one.max_mkt_sz), "maxPlatOILmt": "", "maxPxLmtPct": rate(one.max_limit),
        "maxStopSz": one.sz(one.max_mkt_sz), "maxTriggerSz": largest, "maxTwapSz": largest, "minSz": one.sz(one.min_sz),
        "openType": "", "optType": "", "posLmtAmt": "", "posLmtPct": "", "preMktSwTime": "", "quoteCcy": "",
        "ruleType": "normal", "settleCcy": "USDT", "state": one.state, "stk": "", "tickSz": one.px(one.tick),
        "tradeQuoteCcyList": [], "uly": one.family, "upcChg": changes,
    }  # fmt: skip


def price_limit(call: Call) -> list[dict[str, Any]]:
    """`public/price-limit`: empty texts while limits do not hold."""
    market = call.market()
    high, low = market.reference.limits()
    inst, holds = market.instrument, market.reference.enabled
    return [{"instType": "SWAP", "instId": inst.inst_id, "buyLmt": inst.px(high) if holds else "",
             "sellLmt": inst.px(low) if holds else "", "ts": str(call.now), "enabled": holds}]  # fmt: skip


def mark_price(call: Call) -> list[dict[str, Any]]:
    """`public/mark-price`."""
    return [{"instType": "SWAP", "instId": one.instrument.inst_id, "markPx": one.instrument.px(one.reference.mark),
             "ts": str(call.now)} for one in _chosen(call)]  # fmt: skip


def index_tickers(call: Call) -> list[dict[str, Any]]:
    """`market/index-tickers`: the index as a ticker; its day is that of the last price."""
    wanted = call.text("instId")
    return [{"instId": one.instrument.family, "idxPx": one.instrument.px(one.reference.index), "high24h": "",
             "low24h": "", "open24h": "", "sodUtc0": "", "sodUtc8": "", "ts": str(call.now)}
            for one in call.state.markets.values() if not wanted or one.instrument.family == wanted]  # fmt: skip


def funding_rate(call: Call) -> list[dict[str, Any]]:
    """`public/funding-rate`: of one instrument, or of ANY."""
    wanted = call.needed("instId")
    chosen = list(call.state.markets.values()) if wanted == "ANY" else [call.market()]
    return [_funding_row(call, one) for one in chosen]


def _funding_row(call: Call, market: Market) -> dict[str, Any]:
    reference, inst = market.reference, market.instrument
    last = reference.history[-1] if reference.history else None
    return {
        "formulaType": "withRate", "fundingRate": rate(reference.forecast()), "fundingTime": str(reference.funding_ms),
        "impactValue": "20000", "instId": inst.inst_id, "instType": "SWAP", "interestRate": "0.0001",
        "maxFundingRate": "0.00375", "method": "current_period", "minFundingRate": "-0.00375", "nextFundingRate": "",
        "nextFundingTime": str(reference.funding_ms + reference.next_interval_ms), "premium": rate(reference.premium()),
        "settFundingRate": rate(last.realized) if last else "0",
        "settState": "processing" if call.now < market.settling_until else "settled", "ts": str(call.now),
    }  # fmt: skip


def funding_history(call: Call) -> list[dict[str, Any]]:
    """`public/funding-rate-history`: three months, by funding time."""
    market = call.market()
    rows = [row for row in market.reference.history if row.ts > call.now - 92 * DAY_MS]
    return [{"formulaType": "withRate", "fundingRate": rate(row.forecast), "fundingTime": str(row.ts),
             "instId": market.instrument.inst_id, "instType": "SWAP", "method": "current_period",
             "realizedRate": rate(row.realized)}
            for row in page(call, rows, lambda row: row.ts, most=400, usual=400)]  # fmt: skip


def position_tiers(call: Call) -> list[dict[str, Any]]:
    """`public/position-tiers`; sizes in contracts."""
    mode = call.needed("tdMode")
    if mode not in {"cross", "isolated"}:
        raise Refused("51000", "tdMode")
    wanted = call.text("tier")
    return [{
        "baseMaxLoan": "", "imr": rate(tier.imr), "instFamily": one.instrument.family, "instId": "",
        "maxLever": text(tier.max_lever, 2), "maxSz": one.instrument.sz(tier.max_sz),
        "minSz": one.instrument.sz(tier.min_sz), "mmr": rate(tier.mmr), "optMgnFactor": "0", "quoteMaxLoan": "",
        "tier": str(tier.number), "uly": one.instrument.family,
    } for one in _chosen(call) for tier in one.instrument.tiers if not wanted or wanted == str(tier.number)
    ]  # fmt: skip


def open_interest(call: Call) -> list[dict[str, Any]]:
    """`public/open-interest`: what clients hold on one side."""
    rows = []
    for one in _chosen(call):
        held = sum(max(0, position.pos) for account in call.state.accounts.values()
                   for position in account.open_positions() if position.instrument is one.instrument)  # fmt: skip
        inst = one.instrument
        rows.append({"instId": inst.inst_id, "instType": "SWAP", "oi": inst.sz(held), "oiCcy": "", "oiUsd": "",
                     "ts": str(call.now)})  # fmt: skip
    return rows


def nothing(call: Call) -> list[dict[str, Any]]:
    """What the venue has none of: an empty list."""
    del call
    return []
