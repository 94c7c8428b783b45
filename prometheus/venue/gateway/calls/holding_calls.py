"""What an account holds and held: positions, their history, bills."""

from __future__ import annotations

from typing import Any, Final

from prometheus.venue.accounts.holdings import Account, Bill, Closing, Position
from prometheus.venue.accounts.margin import initial, isolated_ratio, liquidation_price, maintenance, standing
from prometheus.venue.error_codes import Refused
from prometheus.venue.gateway.exchange_messages import Call
from prometheus.venue.gateway.result_pages import page, within
from prometheus.venue.quanta import money, ratio, text

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
MONTHS_MS: Final = 92 * DAY_MS


def positions(call: Call) -> list[dict[str, Any]]:
    """`account/positions`; a flat position that was once held is shown only to who asks for its instrument."""
    account = call.owner
    inst_ids = [one for one in call.text("instId").split(",") if one]
    pos_ids = [one for one in call.text("posId").split(",") if one]
    if not call.of_swaps():
        return []
    if len(inst_ids) > 10 or len(pos_ids) > 20:
        raise Refused("50025", "instId" if len(inst_ids) > 10 else "posId", "10" if len(inst_ids) > 10 else "20")
    if any(one not in call.state.markets for one in inst_ids):
        raise Refused("51001")
    held = list(account.positions.values())
    if inst_ids or pos_ids:
        held += account.held.values()
    return [position_row(call, account, one) for one in held
            if (not inst_ids or one.instrument.inst_id in inst_ids) and (not pos_ids or str(one.pos_id) in pos_ids)
            ]  # fmt: skip


def _average(one: Position) -> str:
    """Average price of what is open, with four decimals more than the price."""
    return text(abs(one.cost) * 10**4 // abs(one.pos), one.instrument.px_dp + 4) if one.pos else ""


def position_row(call: Call, account: Account, one: Position) -> dict[str, Any]:
    """One position as the interface shows it."""
    inst, market = one.instrument, call.state.market(one.instrument)
    mark, last = market.reference.mark, market.tape.quote.last
    upl, isolated = one.upl(mark), one.mgn_mode == "isolated"
    bound = initial(one.notional(mark), one.lever)
    spent = initial(abs(one.cost) * inst.unit, one.lever)
    mmr = maintenance(account, one, mark) - _closing_fee(account, one, mark)
    liquidation = liquidation_price(account, one, call.state.mark) if one.pos else None
    if isolated:
        mgn_ratio = ratio(*isolated_ratio(account, one, mark)) if one.pos else ""
    else:
        at = standing(account, call.state.mark, 0)
        mgn_ratio = ratio(at.cross_equity, at.cross_mmr) if one.pos else ""
    closing = sum(order.left for order in account.pending.values() if order.closes and order.instrument is inst
                  and order.td_mode == one.mgn_mode and order.pos_side == one.pos_side)  # fmt: skip
    usd = money(one.notional(mark))
    return {
        "adl": str(_queue(one, mark)) if one.pos else "", "availPos": inst.sz(max(0, abs(one.pos) - closing)),
        "avgPx": _average(one), "baseBal": "", "baseBorrowed": "", "baseInterest": "",
        "bePx": _break_even(account, one),
        "bizRefId": "", "bizRefType": "", "cTime": str(one.c_time), "ccy": "USDT", "clSpotInUseAmt": "",
        "closeOrderAlgo": [], "deltaBS": "", "deltaPA": "", "fee": money(one.fee),
        "fundingFee": money(one.funding_fee), "gammaBS": "", "gammaPA": "", "hedgedPos": "",
        "idxPx": inst.px(market.reference.index), "imr": "" if isolated else money(bound), "instId": inst.inst_id,
        "instType": "SWAP", "interest": "", "last": inst.px(last), "lever": text(one.lever, 2), "liab": "",
        "liabCcy": "", "liqPenalty": money(one.liq_penalty),
        "liqPx": "" if liquidation is None else inst.px(liquidation),
        "margin": money(one.margin) if isolated else "", "markPx": inst.px(mark), "maxSpotInUseAmt": "",
        "mgnMode": one.mgn_mode, "mgnRatio": mgn_ratio, "mmr": money(mmr), "nonSettleAvgPx": "", "notionalUsd": usd,
        "optVal": "", "pendingCloseOrdLiabVal": "", "pnl": money(one.pnl),
        "pos": inst.sz(abs(one.pos) if one.pos_side != "net" else one.pos), "posCcy": "", "posId": str(one.pos_id),
        "posSide": one.pos_side, "quoteBal": "", "quoteBorrowed": "", "quoteInterest": "",
        "realizedPnl": money(one.realized), "settledPnl": "", "spotInUseAmt": "", "spotInUseCcy": "", "thetaBS": "",
        "thetaPA": "", "tradeId": str(one.trade_id), "uTime": str(one.u_time), "upl": money(upl),
        "uplLastPx": money(one.upl(last)), "uplRatio": ratio(upl, spent) or "0",
        "uplRatioLastPx": ratio(one.upl(last), spent) or "0", "usdPx": "", "vegaBS": "", "vegaPA": "",
    }  # fmt: skip


def _closing_fee(account: Account, one: Position, mark: int) -> int:
    return -(-one.notional(mark) * account.taker // 10**8)


def _queue(one: Position, mark: int) -> int:
    """Place in the queue of auto-deleveraging, 1 to 5: by result over margin."""
    spent = initial(abs(one.cost) * one.instrument.unit, one.lever)
    return max(1, min(5, 1 + 4 * one.upl(mark) // spent)) if spent else 1


def _break_even(account: Account, one: Position) -> str:
    """The price at which closing, with its fee, gives back what was paid so far."""
    if one.pos == 0:
        return ""
    unit, long = one.instrument.unit, one.pos > 0
    paid = one.cost * unit - one.fee - one.funding_fee
    under = abs(one.pos) * unit * (10**8 - account.taker if long else 10**8 + account.taker)
    return text(abs(paid) * 10**8 * 10**4 // under, one.instrument.px_dp + 4)


def positions_history(call: Call) -> list[dict[str, Any]]:
    """`account/positions-history`: three months, by the time of the last change."""
    inst_id, mode, kind = call.text("instId"), call.text("mgnMode"), call.text("type")
    pos_id = call.text("posId")
    if not call.of_swaps():
        return []
    rows = [one for one in call.owner.closings
            if one.u_time > call.now - MONTHS_MS and (not inst_id or one.position.instrument.inst_id == inst_id)
            and (not mode or one.position.mgn_mode == mode) and (not kind or one.kind == kind)
            and (not pos_id or str(one.position.pos_id) == pos_id)]  # fmt: skip
    return [_closing(one) for one in page(call, rows, lambda one: one.u_time)]


def _closing(one: Closing) -> dict[str, Any]:
    inst = one.position.instrument
    spent = initial(one.opened_cost * inst.unit, one.lever)
    return {
        "cTime": str(one.c_time), "ccy": "USDT", "closeAvgPx": _mean(one.closed_cost, one.closed, inst.px_dp),
        "closeTotalPos": inst.sz(one.closed), "direction": "long" if one.long else "short", "fee": money(one.fee),
        "fundingFee": money(one.funding_fee), "instId": inst.inst_id, "instType": "SWAP", "lever": text(one.lever, 2),
        "liqPenalty": money(one.liq_penalty), "mgnMode": one.position.mgn_mode, "nonSettleAvgPx": "",
        "openAvgPx": _mean(one.opened_cost, one.opened, inst.px_dp), "openMaxPos": inst.sz(one.largest),
        "pnl": money(one.pnl), "pnlRatio": ratio(one.realized, spent), "posId": str(one.position.pos_id),
        "posSide": one.position.pos_side, "realizedPnl": money(one.realized), "settledPnl": "",
        "triggerPx": inst.px(one.trigger_px) if one.trigger_px else "", "type": one.kind, "uTime": str(one.u_time),
        "uly": inst.family,
    }  # fmt: skip


def _mean(cost: int, sz: int, dp: int) -> str:
    return text(cost * 10**4 // sz, dp + 4) if sz else ""


def bills(call: Call) -> list[dict[str, Any]]:
    """`account/bills`: seven days."""
    return _bills(call, WEEK_MS)


def bills_archive(call: Call) -> list[dict[str, Any]]:
    """`account/bills-archive`: three months."""
    return _bills(call, MONTHS_MS)


def _bills(call: Call, reach: int) -> list[dict[str, Any]]:
    swaps, typed = call.of_swaps(), bool(call.text("instType"))
    wanted = {name: call.text(name) for name in ("instId", "mgnMode", "type", "subType", "ccy")}
    rows = [one for one in call.owner.bills if one.ts > call.now - reach and within(call, one.ts)
            and (not wanted["instId"] or (one.inst is not None and one.inst.inst_id == wanted["instId"]))
            and (not wanted["mgnMode"] or one.mgn_mode == wanted["mgnMode"])
            and (not wanted["type"] or one.kind == wanted["type"])
            and (not wanted["subType"] or one.sub_type == wanted["subType"])
            and wanted["ccy"] in {"", "USDT"}
            and (not typed or (swaps and one.inst is not None))
            ]  # fmt: skip
    return [bill_row(one) for one in page(call, rows, lambda one: one.bill_id)]


def bill_row(one: Bill) -> dict[str, Any]:
    """One bill as the interface shows it."""
    return {
        "bal": money(one.bal), "balChg": money(one.bal_chg), "billId": str(one.bill_id), "ccy": "USDT",
        "clOrdId": one.cl_ord_id, "earnAmt": "", "earnApr": "", "execType": one.exec_type, "fee": money(one.fee),
        "fillFwdPx": "", "fillIdxPx": "", "fillMarkPx": "", "fillMarkVol": "", "fillPxUsd": "", "fillPxVol": "",
        "fillTime": one.fill_time, "from": "", "instId": one.inst.inst_id if one.inst else "",
        "instType": "SWAP" if one.inst else "", "interest": "0", "mgnMode": one.mgn_mode, "notes": one.notes,
        "ordId": one.ord_id, "pnl": money(one.pnl), "posBal": money(one.pos_bal), "posBalChg": money(one.pos_bal_chg),
        "px": one.px, "subType": one.sub_type, "sz": one.sz, "tag": one.tag, "to": "", "tradeId": one.trade_id,
        "ts": str(one.ts), "type": one.kind,
    }  # fmt: skip


_WORDS: Final = {
    "1": ("Transfer", {"11": "Transfer in", "12": "Transfer out"}),
    "2": ("Trade", {"1": "Buy", "2": "Sell", "3": "Open long", "4": "Open short", "5": "Close long",
                    "6": "Close short"}),
    "5": ("Liquidation", {"100": "Partial liquidation close long", "101": "Partial liquidation close short",
                          "102": "Partial liquidation buy", "103": "Partial liquidation sell",
                          "104": "Liquidation long", "105": "Liquidation short", "106": "Liquidation buy",
                          "107": "Liquidation sell", "111": "Liquidation transfer out"}),
    "6": ("Margin transfer", {"160": "Manual margin increase", "161": "Manual margin decrease",
                              "162": "Auto margin increase"}),
    "8": ("Funding fee", {"173": "Funding fee expense", "174": "Funding fee income"}),
    "9": ("ADL", {"125": "ADL close long", "126": "ADL close short", "127": "ADL buy", "128": "ADL sell"}),
}  # fmt: skip


def subtypes(call: Call) -> list[dict[str, Any]]:
    """`account/subtypes`: the bill types that this venue writes."""
    wanted = [one for one in call.text("type").split(",") if one]
    return [{"type": kind, "typeDesc": word, "subTypeDetails":
             [{"subType": number, "subTypeDesc": about} for number, about in subs.items()]}
            for kind, (word, subs) in _WORDS.items() if not wanted or kind in wanted]  # fmt: skip
