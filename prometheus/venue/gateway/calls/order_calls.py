"""Orders as they are sent: place, amend, cancel, single and in batches, close a position, cancel all after a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from prometheus.venue.accounts.holdings import LONG_SHORT
from prometheus.venue.accounts.tickets import PRICED, CancelSource, Kind, Stp
from prometheus.venue.error_codes import Refused
from prometheus.venue.gateway.exchange_messages import Call, Envelope
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.matching.execution_steps import end
from prometheus.venue.matching.order_changes import amend, arm, cancel, close_position, find
from prometheus.venue.matching.order_entry import Wish, place
from prometheus.venue.quanta import parsed

MOST_ITEMS: Final = 20
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
_TAG: Final = re.compile(r"[A-Za-z0-9]{1,16}")


def _result(call: Call, **said: str) -> dict[str, Any]:
    return {"clOrdId": "", "ordId": "", "sCode": "0", "sMsg": "", "subCode": "", "tag": "", "ts": str(call.now)} | said


def _envelope(rows: list[dict[str, Any]]) -> Envelope:
    failed = sum(row["sCode"] != "0" for row in rows)
    if failed == 0:
        return Envelope(rows, timed=True)
    if failed == len(rows):
        return Envelope(rows, "1", "All operations failed", timed=True)
    return Envelope(rows, "2", "Bulk operation partially succeeded.", timed=True)


def _item(call: Call, work: Callable[[Call], dict[str, Any]], **always: str) -> dict[str, Any]:
    """One item's result; a refusal of it is its own `sCode`."""
    try:
        return work(call)
    except Refused as refused:
        said = {name: call.params.get(name) for name in ("clOrdId", "ordId", "tag")}
        names = {name: str(value) for name, value in said.items() if type(value) in {str, int}}
        message = refused.message or "Placed"
        return _result(call, **names, **always, sCode=refused.code, sMsg=message)


def _batch(call: Call, work: Callable[[Call], dict[str, Any]], too_many: str, **always: str) -> Envelope:
    """All items in their order. What is refused as a whole is refused before the first item is worked on.

    Raises:
        Refused: 50000 for an empty array, 51111 or 51501 for more than 20, 50002 for an item that is no object.
    """
    if not call.items:
        raise Refused("50000")
    if len(call.items) > MOST_ITEMS:
        raise Refused(too_many, str(MOST_ITEMS))
    if not all(isinstance(item, dict) for item in call.items):
        raise Refused("50002")
    rows = []
    for item in call.items:
        one = Call(call.asked, call.world, call.state, call.account, call.key, item)
        rows.append(_item(one, work, **always))
    return _envelope(rows)


def client_id(call: Call) -> str:
    """`clOrdId`: 1 to 32 letters and digits.

    Raises:
        Refused: 51000.
    """
    said = call.text("clOrdId")
    if said and not _CLIENT_ID.fullmatch(said):
        raise Refused("51000", "clOrdId")
    return said


def _tag(call: Call) -> str:
    said = call.text("tag")
    if said and not _TAG.fullmatch(said):
        raise Refused("51000", "tag")
    return said


def _instrument(call: Call) -> Instrument:
    code = call.params.get("instIdCode")
    if isinstance(code, int) and not isinstance(code, bool) and not call.text("instId"):
        found = next((one.instrument for one in call.state.markets.values() if one.instrument.code == code), None)
        if found is None:
            raise Refused("51001")
        return found
    return call.market().instrument


def _amount(call: Call, name: str, dp: int, refined: str) -> int:
    """A positive size or price in units; ``refined`` is the code for one that is too fine.

    Raises:
        Refused: 51000, or ``refined``.
    """
    found = parsed(call.params.get(name), dp)
    if found is None or found[0] < 0 or (found[0] == 0 and found[1]):
        raise Refused("51000", name)
    if not found[1]:
        raise Refused(refined, name)
    return found[0]


def _sides(call: Call) -> tuple[int, str]:
    side = call.needed("side")
    if side not in {"buy", "sell"}:
        raise Refused("51000", "side")
    return (1 if side == "buy" else -1), position_side(call)


def position_side(call: Call) -> str:
    """`posSide` as the account's mode has it.

    Raises:
        Refused: 51000 when it is missing in long/short mode, or not net in net mode.
    """
    said = call.text("posSide")
    if call.owner.pos_mode == LONG_SHORT:
        if said not in {"long", "short"}:
            raise Refused("51000", "posSide")
        return said
    if said not in {"", "net"}:
        raise Refused("51000", "posSide")
    return "net"


def _wish(call: Call) -> Wish:
    instrument = _instrument(call)
    mode = call.needed("tdMode")
    if mode not in {"cross", "isolated"}:
        raise Refused("51000", "tdMode")
    side, pos_side = _sides(call)
    said = call.needed("ordType")
    kind = next((one for one in Kind if one.value == said), None)
    if kind is None:
        raise Refused("51000", "ordType")
    call.needed("sz")
    sz = _amount(call, "sz", instrument.sz_dp, "51121")
    px = 0
    if kind in PRICED:
        call.needed("px")
        px = _amount(call, "px", instrument.px_dp, "51000")
    reduce_only = call.flag("reduceOnly") and call.owner.pos_mode != LONG_SHORT
    attached = call.params.get("attachAlgoOrds")
    if attached:
        raise Refused("51100" if reduce_only else "51000", "attachAlgoOrds")
    stp = _stp(call, kind)
    return Wish(
        instrument=instrument, side=side, kind=kind, sz=sz, td_mode=mode, pos_side=pos_side, px=px,
        cl_ord_id=client_id(call), tag=_tag(call), reduce_only=reduce_only, stp=stp,
        px_amend=_price_may_move(call), tgt_ccy=call.text("tgtCcy"),
    )  # fmt: skip


def _price_may_move(call: Call) -> bool:
    """`pxAmendType`: whether a price beyond the limit becomes the limit.

    Raises:
        Refused: 51000 for anything but 0 and 1.
    """
    said = call.text("pxAmendType", "0")
    if said not in {"0", "1"}:
        raise Refused("51000", "pxAmendType")
    return said == "1"


def _stp(call: Call, kind: Kind) -> Stp | None:
    said = call.text("stpMode")
    found = next((one for one in Stp if one.value == said), None)
    if (said and found is None) or (found is Stp.CANCEL_BOTH and kind is Kind.FOK):
        raise Refused("51000", "stpMode")
    return found


def _place(call: Call) -> dict[str, Any]:
    wish = _wish(call)
    order = place(call.state, call.owner, wish)
    return _result(call, clOrdId=order.cl_ord_id, ordId=str(order.ord_id), tag=order.tag, sMsg="Order placed")


def place_order(call: Call) -> Envelope:
    """`trade/order`."""
    return _envelope([_item(call, _place)])


def place_batch(call: Call) -> Envelope:
    """`trade/batch-orders`: up to 20."""
    return _batch(call, _place, "51111")


def _names(call: Call) -> tuple[str, str]:
    ord_id, cl_ord_id = call.text("ordId"), call.text("clOrdId")
    if not ord_id and not cl_ord_id:
        raise Refused("51003")
    return ord_id, cl_ord_id


def _cancel(call: Call) -> dict[str, Any]:
    instrument = _instrument(call)
    order = cancel(call.state, call.owner, instrument, *_names(call))
    return _result(call, clOrdId=order.cl_ord_id, ordId=str(order.ord_id))


def cancel_order(call: Call) -> Envelope:
    """`trade/cancel-order`."""
    return _envelope([_item(call, _cancel)])


def cancel_batch(call: Call) -> Envelope:
    """`trade/cancel-batch-orders`: up to 20."""
    return _batch(call, _cancel, "51111")


def _amend(call: Call) -> dict[str, Any]:
    instrument = _instrument(call)
    order = find(call.owner, instrument, *_names(call))
    if order is None:
        raise Refused("51503")
    req_id = call.text("reqId")
    if not call.text("newSz") and not call.text("newPx"):
        raise Refused("50015", "newSz", "newPx")
    try:
        new_sz = _amount(call, "newSz", instrument.sz_dp, "51121") if call.text("newSz") else None
        new_px = _amount(call, "newPx", instrument.px_dp, "51000") if call.text("newPx") else None
        amend(call.state, call.owner, order, new_sz, new_px, px_amend=_price_may_move(call))
    except Refused:
        if call.flag("cxlOnFail") and not order.over:
            end(call.state, order, CancelSource.USER)
        raise
    order.req_id = req_id
    return _result(call, clOrdId=order.cl_ord_id, ordId=str(order.ord_id), reqId=req_id)


def _amend_named(call: Call) -> dict[str, Any]:
    return _item(call, _amend, reqId=call.text("reqId"))


def amend_order(call: Call) -> Envelope:
    """`trade/amend-order`: the results carry `reqId`."""
    return _envelope([_amend_named(call)])


def amend_batch(call: Call) -> Envelope:
    """`trade/amend-batch-orders`: up to 20."""
    return _batch(call, _amend_named, "51501")


def close(call: Call) -> list[dict[str, Any]]:
    """`trade/close-position`: no order id in the answer; the order is found by its client id."""
    instrument = _instrument(call)
    mode = call.needed("mgnMode")
    if mode not in {"cross", "isolated"}:
        raise Refused("51000", "mgnMode")
    wish = Wish(instrument=instrument, side=1, kind=Kind.MARKET, sz=instrument.lot, td_mode=mode,
                pos_side=position_side(call), cl_ord_id=client_id(call), tag=_tag(call))  # fmt: skip
    close_position(call.state, call.owner, wish, auto_cancel=call.flag("autoCxl"))
    return [{"clOrdId": wish.cl_ord_id, "instId": instrument.inst_id, "posSide": wish.pos_side, "tag": wish.tag}]


def cancel_all_after(call: Call) -> list[dict[str, Any]]:
    """`trade/cancel-all-after`: 0 is off; otherwise 10 to 120 s."""
    call.needed("timeOut")
    seconds = call.integer("timeOut")
    tag = _tag(call)
    due = arm(call.state, call.owner, tag, seconds or 0)
    return [{"tag": tag, "triggerTime": str(due), "ts": str(call.now)}]
