"""The account: configuration, balance, leverage, position mode, fees, largest sizes."""

from __future__ import annotations

from typing import Any, Final

from prometheus.venue.accounts.entries import MARGIN
from prometheus.venue.accounts.holdings import LONG_SHORT, NET, Account, Position
from prometheus.venue.accounts.margin import initial, largest_opening, maintenance, standing
from prometheus.venue.error_codes import Refused
from prometheus.venue.floor.trading import Market
from prometheus.venue.gateway.exchange_messages import Call
from prometheus.venue.market.instruments import Instrument
from prometheus.venue.quanta import money, parsed, rate, ratio, text

MODES: Final = frozenset({"cross", "isolated"})


def config(call: Call) -> list[dict[str, Any]]:
    """`account/config`."""
    one, key = call.owner, call.key
    return [{
        "acctLv": one.acct_lv, "acctStpMode": one.stp, "autoLoan": False, "ctIsoMode": "automatic",
        "enableSpotBorrow": False, "feeType": "0", "greeksType": "PA", "ip": ",".join(key.ips) if key else "",
        "kycLv": "3", "label": key.label if key else "", "level": "Lv1", "levelTmp": "", "liquidationGear": "-1",
        "mainUid": one.main_uid, "mgnIsoMode": "automatic",
        "opAuth": "1" if key and "trade" in key.permissions else "0",
        "perm": ",".join(key.permissions) if key else "", "posMode": one.pos_mode, "roleType": "0",
        "settleCcy": "USDT", "settleCcyList": ["USD", "USDT", "USDC"], "spotBorrowAutoRepay": False,
        "spotOffsetType": "", "spotRoleType": "0", "spotTraderInsts": [], "stgyType": "0", "traderInsts": [],
        "type": "0" if one.is_main else "1", "uid": one.uid,
    }]  # fmt: skip


def balance(call: Call) -> list[dict[str, Any]]:
    """`account/balance`; a currency without money is left out."""
    account = call.owner
    wanted = [one for one in call.text("ccy").split(",") if one]
    at = standing(account, call.state.mark)
    shown = at.cash != 0 or at.equity != 0
    details = [_detail(call, account)] if shown and (not wanted or "USDT" in wanted) else []
    return [{
        "adjEq": "", "availEq": "", "borrowFroz": "", "delta": "", "deltaLever": "", "deltaNeutralStatus": "0",
        "details": details, "imr": "", "isoEq": money(at.iso_margin + at.iso_upl), "mgnRatio": "", "mmr": "",
        "notionalUsd": "", "notionalUsdForBorrow": "", "notionalUsdForFutures": "", "notionalUsdForOption": "",
        "notionalUsdForSwap": "", "ordFroz": "", "totalEq": money(at.equity), "uTime": str(call.now), "upl": "",
    }]  # fmt: skip


def _detail(call: Call, account: Account) -> dict[str, Any]:
    at = standing(account, call.state.mark)
    iso_eq = at.iso_margin + at.iso_upl
    frozen = at.cross_imr + at.ordered + iso_eq
    crossed = at.cross_notional > 0
    return {
        "accAvgPx": "", "autoLendAmt": "", "autoLendMtAmt": "", "autoLendStatus": "unsupported",
        "availBal": money(min(at.available, max(0, at.cash))), "availEq": money(at.available), "borrowFroz": "",
        "cashBal": money(at.cash), "ccy": "USDT", "clSpotInUseAmt": "", "colBorrAutoConversion": "0",
        "colRes": "0", "collateralEnabled": False, "collateralRestrict": False, "crossLiab": "",
        "disEq": money(at.equity), "eq": money(at.equity), "eqUsd": money(at.equity), "fixedBal": "0",
        "frozenBal": money(frozen), "frpType": "0", "imr": money(at.cross_imr) if crossed else "0", "interest": "",
        "isoEq": money(iso_eq), "isoLiab": "", "isoUpl": money(at.iso_upl), "liab": "", "maxLoan": "",
        "maxSpotInUseAmt": "", "mgnRatio": ratio(at.cross_equity, at.cross_mmr) if crossed else "",
        "mmr": money(at.cross_mmr) if crossed else "0",
        "notionalLever": ratio(at.cross_notional, at.cross_equity) if crossed else "0", "openAvgPx": "",
        "ordFrozen": money(at.ordered), "rewardBal": "0", "smtSyncEq": "0", "spotBal": "", "spotCopyTradingEq": "0",
        "spotInUseAmt": "", "spotIsoBal": "0", "spotUpl": "", "spotUplRatio": "", "stgyEq": "0", "totalPnl": "",
        "totalPnlRatio": "", "twap": "0", "uTime": str(account.u_time), "upl": money(at.cross_upl + at.iso_upl),
        "uplLiab": "",
    }  # fmt: skip


def set_position_mode(call: Call) -> list[dict[str, Any]]:
    """`account/set-position-mode`: only without positions and orders (59000)."""
    mode, account = call.needed("posMode"), call.owner
    if mode not in {NET, LONG_SHORT}:
        raise Refused("51000", "posMode")
    if mode != account.pos_mode and (account.pending or any(True for _ in account.open_positions())):
        raise Refused("59000")
    account.pos_mode = mode
    if mode == LONG_SHORT:
        account.levers = {(*key[:2], side): value for key, value in account.levers.items()
                          for side in (("long", "short") if key[1] == "isolated" else ("",))}  # fmt: skip
    return [{"posMode": mode}]


def _mode(call: Call) -> str:
    mode = call.needed("mgnMode")
    if mode not in MODES:
        raise Refused("51000", "mgnMode")
    return mode


def _lever_sides(call: Call, account: Account, mode: str) -> list[str]:
    side = call.text("posSide")
    if side and side not in {"net", "long", "short"}:
        raise Refused("51000", "posSide")
    if mode == "isolated" and account.pos_mode == LONG_SHORT:
        return [side] if side in {"long", "short"} else ["long", "short"]
    return [""]


def set_leverage(call: Call) -> list[dict[str, Any]]:
    """`account/set-leverage`; the position keeps its margin, and gets more where a lower leverage asks for it."""
    account, mode = call.owner, _mode(call)
    found = parsed(call.needed("lever"), 2)
    if found is None or not found[1]:
        raise Refused("51000", "lever")
    lever, market = found[0], call.market()
    inst = market.instrument
    if lever > inst.lever * 100:
        raise Refused("59102")
    if lever < 100:
        raise Refused("59105", "1")
    if any(one.td_mode == mode for one in account.orders_of(inst.inst_id)):
        raise Refused("59107" if mode == "cross" else "59101")
    sides = _lever_sides(call, account, mode)
    if mode == "isolated" and account.pos_mode == LONG_SHORT and not call.text("posSide"):
        raise Refused("51000", "posSide")
    for position in list(account.open_positions()):
        if position.instrument is inst and position.mgn_mode == mode and (sides == [""] or position.pos_side in sides):
            _relever(call, account, position, lever)
    rows = []
    for side in sides:
        account.levers[inst.inst_id, mode, side] = lever
        rows.append({"instId": inst.inst_id, "lever": text(lever, 2), "mgnMode": mode, "posSide": side or "net"})
    return rows


def _relever(call: Call, account: Account, position: Position, lever: int) -> None:
    inst, mark = position.instrument, call.state.mark(position.instrument.inst_id)
    if abs(position.pos) > inst.most_at(lever):
        raise Refused("59104")
    if position.mgn_mode == "isolated":
        more = initial(abs(position.cost) * inst.unit, lever) - position.margin
        if more > 0:
            if more > standing(account, call.state.mark).available:
                raise Refused("59103")
            position.margin += more
            call.state.books.bill(account, call.now, MARGIN, "160", -more, inst=inst, mgn_mode="isolated",
                                  pos_bal_chg=more, pos_bal=position.margin)  # fmt: skip
    else:
        more = initial(position.notional(mark), lever) - initial(position.notional(mark), position.lever)
        if more > standing(account, call.state.mark).available:
            raise Refused("59103")
    position.lever = lever


def leverage_info(call: Call) -> list[dict[str, Any]]:
    """`account/leverage-info`."""
    account, mode = call.owner, _mode(call)
    rows = []
    for inst_id in call.needed("instId").split(","):
        if inst_id not in call.state.markets:
            raise Refused("51001")
        sides = ["long", "short"] if account.pos_mode == LONG_SHORT else ["net"]
        rows += [{"ccy": "", "instId": inst_id, "lever": text(account.lever(inst_id, mode, side), 2), "mgnMode": mode,
                  "posSide": side} for side in sides]  # fmt: skip
    return rows


def trade_fee(call: Call) -> list[dict[str, Any]]:
    """`account/trade-fee`: by group; the flat fields are deprecated and empty. Negative is a charge."""
    kind = call.needed("instType")
    if kind not in {"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"}:
        raise Refused("51000", "instType")
    account = call.owner
    maker = rate(-account.maker)
    groups = [{"elpMaker": maker, "groupId": group, "maker": maker, "rpiMaker": maker, "taker": rate(-account.taker)}
              for group in ("1", "2") if not call.text("groupId") or group == call.text("groupId")]  # fmt: skip
    return [{
        "category": "1", "delivery": "", "exercise": "", "feeGroup": groups, "fiat": [], "instType": kind,
        "level": "Lv1", "maker": "", "makerU": "", "makerUSDC": "", "ruleType": "normal", "settle": "", "taker": "",
        "takerU": "", "takerUSDC": "", "ts": str(call.now),
    }]  # fmt: skip


def max_size(call: Call) -> list[dict[str, Any]]:
    """`account/max-size`: what the free money and the tiers let a client buy and sell, in contracts."""
    mode = call.needed("tdMode")
    if mode not in MODES:
        raise Refused("51000", "tdMode")
    account, rows = call.owner, []
    for inst_id in call.needed("instId").split(","):
        market = call.state.markets.get(inst_id)
        if market is None:
            raise Refused("51001")
        buy, sell = (_largest(call, account, market, mode, side) for side in (1, -1))
        rows.append({"ccy": "USDT", "instId": inst_id, "maxBuy": buy, "maxSell": sell})
    return rows


def _largest(call: Call, account: Account, market: Market, mode: str, side: int) -> str:
    inst: Instrument = market.instrument
    said = call.text("px")
    found = parsed(said, inst.px_dp) if said else (market.tape.quote.last, True)
    if found is None or found[0] <= 0:
        raise Refused("51000", "px")
    lever_said = parsed(call.text("leverage"), 2) if call.text("leverage") else None
    if lever_said is not None and lever_said[0] <= 0:
        raise Refused("51000", "leverage")
    lever = lever_said[0] if lever_said else account.lever(inst.inst_id, mode, "long" if side > 0 else "short")
    marks = {name: call.state.mark(name) for name in call.state.markets}
    position = account.positions.get((inst.inst_id, mode, "net"))
    against = max(0, -side * position.pos) if position is not None else 0
    size = largest_opening(account, inst, found[0], lever, marks) + against
    return inst.sz(max(0, min(size, inst.most_at(lever))))


def max_avail_size(call: Call) -> list[dict[str, Any]]:
    """`account/max-avail-size`: the free money, in USDT."""
    free = money(standing(call.owner, call.state.mark).available)
    return [{"instId": inst_id, "availBuy": free, "availSell": free} for inst_id in call.needed("instId").split(",")]


def position_risk(call: Call) -> list[dict[str, Any]]:
    """`account/account-position-risk`: equity and positions of one moment."""
    account = call.owner
    at = standing(account, call.state.mark)
    rows = [{
        "baseBal": "", "ccy": "USDT", "instId": one.instrument.inst_id, "instType": "SWAP", "mgnMode": one.mgn_mode,
        "notionalCcy": "", "notionalUsd": money(one.notional(call.state.mark(one.instrument.inst_id))),
        "pos": one.instrument.sz(one.pos), "posCcy": "", "posId": str(one.pos_id), "posSide": one.pos_side,
        "quoteBal": "", "mmr": money(maintenance(account, one, call.state.mark(one.instrument.inst_id))),
    } for one in account.open_positions()]  # fmt: skip
    return [{"adjEq": "", "balData": [{"ccy": "USDT", "disEq": money(at.equity), "eq": money(at.equity)}],
             "posData": rows, "ts": str(call.now)}]  # fmt: skip


def rate_limit(call: Call) -> list[dict[str, Any]]:
    """`trade/account-rate-limit`: empty below VIP 5."""
    return [{"accRateLimit": "1000", "fillRatio": "", "mainFillRatio": "", "nextAccRateLimit": "1000",
             "ts": str(call.now)}]  # fmt: skip


def funding_balances(call: Call) -> list[dict[str, Any]]:
    """`asset/balances`: all money is in the trading account."""
    del call
    return []


def currencies(call: Call) -> list[dict[str, Any]]:
    """`asset/currencies`: no chain is served, so nothing can be paid in or out."""
    del call
    return []
