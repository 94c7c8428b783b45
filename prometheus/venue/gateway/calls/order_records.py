"""Orders and fills as they are read: one order, pending ones, history, fills; each with its retention."""

from __future__ import annotations

from typing import Any, Final

from prometheus.venue.accounts.holdings import Fill
from prometheus.venue.accounts.tickets import REASONS, Order, State
from prometheus.venue.error_codes import Refused
from prometheus.venue.gateway.exchange_messages import Call
from prometheus.venue.gateway.result_pages import page, within
from prometheus.venue.matching.execution_steps import VOID_MS
from prometheus.venue.matching.order_changes import find
from prometheus.venue.quanta import money, text

DAY_MS: Final = 86_400_000
STATES: Final = frozenset({"filled", "canceled", "mmp_canceled"})


def order_row(one: Order) -> dict[str, Any]:
    """One order as the interface shows it; the average is empty before a fill."""
    inst, source = one.instrument, one.cancel_source
    traded = one.filled > 0 and one.fill_sz > 0
    return {
        "accFillSz": inst.sz(one.filled), "algoClOrdId": "", "algoId": "", "attachAlgoClOrdId": "",
        "attachAlgoOrds": [], "avgPx": text(one.paid * 10**4 // one.filled, inst.px_dp + 4) if traded else "",
        "cTime": str(one.c_time), "cancelSource": source.value if source is not None else "",
        "cancelSourceReason": REASONS[source] if source is not None else "", "category": one.category, "ccy": "",
        "clOrdId": one.cl_ord_id, "fee": money(one.fee), "feeCcy": "USDT",
        "fillPx": inst.px(one.fill_px) if traded else "", "fillSz": inst.sz(one.fill_sz) if traded else "0",
        "fillTime": str(one.fill_time) if traded else "", "instId": inst.inst_id, "instType": "SWAP",
        "isTpLimit": "false", "lever": text(one.lever, 2), "linkedAlgoOrd": {"algoId": ""}, "ordId": str(one.ord_id),
        "ordType": one.kind.value, "pnl": money(one.pnl), "posSide": one.pos_side,
        "px": inst.px(one.px) if one.px else "", "pxType": "", "pxUsd": "", "pxVol": "", "quickMgnType": "",
        "rebate": "0", "rebateCcy": "USDT", "reduceOnly": "true" if one.reduce_only else "false",
        "side": "buy" if one.side > 0 else "sell", "slOrdPx": "", "slTriggerPx": "", "slTriggerPxType": "",
        "source": one.source, "state": one.state.value, "stpId": "", "stpMode": one.stp.value, "sz": inst.sz(one.sz),
        "tag": one.tag, "tdMode": one.td_mode, "tgtCcy": one.tgt_ccy, "tpOrdPx": "", "tpTriggerPx": "",
        "tpTriggerPxType": "", "tradeId": str(one.trade_id) if traded else "", "tradeQuoteCcy": "",
        "uTime": str(one.u_time),
    }  # fmt: skip


def _kept(call: Call, one: Order, reach: int) -> bool:
    """Whether a terminal order is still on record: two hours without a fill, else ``reach``."""
    return one.u_time > call.now - (reach if one.filled else min(reach, VOID_MS))


def one_order(call: Call) -> list[dict[str, Any]]:
    """`trade/order`: by ordId, which wins, or clOrdId; of several with one client id the latest."""
    market = call.market()
    ord_id, cl_ord_id = call.text("ordId"), call.text("clOrdId")
    if not ord_id and not cl_ord_id:
        raise Refused("51003")
    found = find(call.owner, market.instrument, ord_id, cl_ord_id)
    if found is None or (found.over and not _kept(call, found, 92 * DAY_MS)):
        raise Refused("51603")
    return [order_row(found)]


def _wanted(call: Call, one: Order) -> bool:
    """Whether an order passes the filters of a list."""
    return all(
        not call.text(name) or value in call.text(name).split(",")
        for name, value in (
            ("instId", one.instrument.inst_id), ("ordType", one.kind.value),
            ("state", one.state.value), ("category", one.category), ("instFamily", one.instrument.family),
        )
    )  # fmt: skip


def orders_pending(call: Call) -> list[dict[str, Any]]:
    """`trade/orders-pending`: live and partially filled."""
    if call.text("state") and call.text("state") not in {State.LIVE, State.PARTIALLY_FILLED}:
        raise Refused("51000", "state")
    if not call.of_swaps():
        return []
    rows = [one for one in call.owner.pending.values() if _wanted(call, one)]
    return [order_row(one) for one in page(call, rows, lambda one: one.ord_id)]


def orders_history(call: Call) -> list[dict[str, Any]]:
    """`trade/orders-history`: seven days; cancelled ones without a fill two hours."""
    return _history(call, 7 * DAY_MS)


def orders_archive(call: Call) -> list[dict[str, Any]]:
    """`trade/orders-history-archive`: three months; cancelled ones without a fill two hours."""
    return _history(call, 92 * DAY_MS)


def _history(call: Call, reach: int) -> list[dict[str, Any]]:
    call.needed("instType")
    if call.text("state") and call.text("state") not in STATES:
        raise Refused("51000", "state")
    if not call.of_swaps():
        return []
    account = call.owner
    rows = [one for kept in (account.void, account.done) for one in kept
            if _kept(call, one, reach) and _wanted(call, one) and within(call, one.c_time)]  # fmt: skip
    return [order_row(one) for one in page(call, rows, lambda one: one.ord_id)]


def fill_row(one: Fill) -> dict[str, Any]:
    """One fill as the interface shows it."""
    order, inst = one.order, one.order.instrument
    return {
        "billId": str(one.bill_id), "clOrdId": order.cl_ord_id, "execType": "T" if one.done.taker else "M",
        "fee": money(one.done.fee), "feeCcy": "USDT", "feeRate": "", "fillFwdPx": "",
        "fillIdxPx": inst.px(one.done.index),
        "fillMarkPx": inst.px(one.done.mark), "fillMarkVol": "", "fillPnl": money(one.pnl),
        "fillPx": inst.px(one.done.px),
        "fillPxUsd": "", "fillPxVol": "", "fillSz": inst.sz(one.done.sz), "fillTime": str(one.done.ts),
        "instId": inst.inst_id,
        "instType": "SWAP", "ordId": str(order.ord_id), "posSide": order.pos_side,
        "side": "buy" if order.side > 0 else "sell", "subType": one.sub_type, "tag": order.tag,
        "tradeId": str(one.done.trade_id), "tradeQuoteCcy": "", "ts": str(one.done.ts),
    }  # fmt: skip


def fills(call: Call) -> list[dict[str, Any]]:
    """`trade/fills`: three days, paged by billId."""
    return _fills(call, 3 * DAY_MS)


def fills_history(call: Call) -> list[dict[str, Any]]:
    """`trade/fills-history`: a year, paged by billId."""
    call.needed("instType")
    return _fills(call, 365 * DAY_MS)


def _fills(call: Call, reach: int) -> list[dict[str, Any]]:
    inst_id, ord_id, sub_type = call.text("instId"), call.text("ordId"), call.text("subType")
    if not call.of_swaps():
        return []
    rows = [one for one in call.owner.fills
            if one.done.ts > call.now - reach and within(call, one.done.ts)
            and (not inst_id or one.order.instrument.inst_id == inst_id)
            and (not ord_id or str(one.order.ord_id) == ord_id) and (not sub_type or one.sub_type == sub_type)
            ]  # fmt: skip
    return [fill_row(one) for one in page(call, rows, lambda one: one.bill_id)]
