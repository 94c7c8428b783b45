"""What a manifest must say of the exchange, given its configuration, the chain, the calls and the rounds.

Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from prometheus.v10.evidence.derive.derived_world import timeframe_name
from prometheus.v10.evidence.derive.exchanged.answers_said import Answers
from prometheus.v10.evidence.derive.exchanged.booked_rounds import Booked, end_of
from prometheus.v10.evidence.derive.exchanged.exact_text import exact
from prometheus.v10.evidence.derive.exchanged.exchange_modes import FIDELITY
from prometheus.v10.evidence.derive.exchanged.order_lives import Chain
from prometheus.v10.evidence.derive.netted.rederived_round import digits
from prometheus.v10.evidence.derive.setting import utc
from prometheus.v10.evidence.derive.typed import differing, is_count, is_real, shown, table
from prometheus.v10.evidence.schemas.schema_file import schema_of

Say = Callable[[str], None]
Manifest = Mapping[str, Any]
STAKE, SHARE = 1000, Fraction(4, 5)
RULE = "1000 USDT each, of four fifths of the equity"
NOT_OVER = "the session is not over"
STP_NOTE = (
    "each order names the exchange's own prevention; agents are netted before anything is sent; detection by tradeId, "
    "execType, cancelSource and stpMode of the rows that were kept"
)
SENDERS = {"okx_sdk": "python-okx", "ccxt": "ccxt"}
"""Adapter to the library behind it."""
FIRST = "okx_sdk"
"""The adapter of configurations that name none: they are older than the second."""
COLUMNS = [
    ["open_time", "<i8"], ["open", "<f8"], ["high", "<f8"], ["low", "<f8"], ["close", "<f8"], ["volume", "<f8"],
    ["funding", "<f8"],
]  # fmt: skip
ULPS, TOTAL_ULPS = 4, 1 << 16
"""A share is near its quotient; the world's total is so near to the equity, for of some no share gives the stakes."""


def sender_of(manifest: Manifest) -> str | None:
    """The library that a run's configuration names; None for an adapter that nobody knows."""
    return SENDERS.get(str(table(table(manifest.get("config")).get("exchange")).get("library", FIRST)))


def names_library(manifest: Manifest) -> bool:
    """Whether its configuration names one at all."""
    return "library" in table(table(manifest.get("config")).get("exchange"))


def check_head(manifest: Manifest, say: Say) -> None:
    """What has one form in every run at an exchange."""
    mode, config = manifest.get("mode"), table(manifest.get("config"))
    exchange = table(config.get("exchange"))
    over = manifest.get("positions_quality") is not None
    for path, found, derived in (
        ("env", manifest.get("env"), mode), ("exchange_lib", manifest.get("exchange_lib"), sender_of(manifest)),
        ("impedance_fidelity", manifest.get("impedance_fidelity"), FIDELITY.get(str(mode))),
        ("null_reasons.positions_quality", table(manifest.get("null_reasons")).get("positions_quality"),
         None if over else NOT_OVER),
        ("symbol_in_use", manifest.get("symbol_in_use"), exchange.get("instrument")),
    ):  # fmt: skip
        for what in differing(found, derived, path):
            say(what)
    claim = manifest.get("exchange")
    if claim is not None:
        for what in schema_of("exchange_claim").wrong(claim):
            say(f"exchange.{what}")


def world_given(manifest: Manifest, say: Say) -> dict[str, Any]:
    """The numbers of the world that account and instrument settle; none before the account was opened."""
    claim = manifest.get("exchange")
    if schema_of("exchange_claim").first(claim) is not None:
        return {}
    instrument, bootstrap = table(claim)["instrument"], table(claim)["bootstrap"]
    world = table(manifest.get("world"))
    equity, agents, ratio = float(bootstrap["equity"]), bootstrap["agents"], world.get("allocation_ratio")
    total = world.get("initial_total")
    if not is_real(total) or abs(total - equity) > TOTAL_ULPS * math.ulp(equity):
        total = equity
    near = STAKE * agents / total
    if not is_real(ratio) or abs(ratio - near) > ULPS * 2.0**-52 or total * ratio / agents != float(STAKE):
        say(f"world.allocation_ratio is {shown(ratio)}: it does not give {agents} agents {STAKE} USDT each of {total}")
        ratio = near
    return {
        "founders": agents, "initial_total": total, "allocation_ratio": ratio,
        "contract_btc": float(instrument["contract_value"]), "lot_contracts": float(instrument["lot"]),
        "tick_size": float(instrument["tick"]), "taker_fee": 0.0 - float(instrument["taker"]),
        "maker_fee": 0.0 - float(instrument["maker"]), "leverage_cap": float(instrument["leverage"]),
    }  # fmt: skip


def check_market(manifest: Manifest, say: Say) -> None:
    """The grid of bars against the configuration."""
    config, market = table(manifest.get("config")), table(manifest.get("market"))
    wanted = table(config.get("market"))
    step, bars = wanted.get("timeframe_s"), wanted.get("bars")
    first = utc(market.get("first_time"))
    if not (is_count(step) and step and is_count(bars) and bars) or first is None:
        say("config.market names no bars, or market.first_time is no moment")
        return
    seconds = int(first.timestamp())
    derived = {
        "source": f"{manifest.get('mode')} market/candles", "sha256": market.get("sha256"), "rows": bars,
        "symbol": table(config.get("exchange")).get("instrument"), "timeframe": timeframe_name(step),
        "first_time": market["first_time"], "last_time": _time(seconds + (bars - 1) * step), "funding": "billed",
        "timeframe_s": step,
    }  # fmt: skip
    for what in differing(dict(market), derived, "market"):
        say(what)
    if seconds % step:
        say(f"market.first_time is {market['first_time']}, where no bar of {step} s opens")


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return "behind every calendar"


def grid(manifest: Manifest) -> tuple[int, int]:
    """Unix ms of the first bar's open, and its length; what is not settled is 0 and 1."""
    first = utc(table(manifest.get("market")).get("first_time"))
    step = table(table(manifest.get("config")).get("market")).get("timeframe_s")
    return (0 if first is None else int(first.timestamp()) * 1000), (step * 1000 if is_count(step) and step else 1)


# ---- against what was kept -------------------------------------------------------------------------------------------


def check_claim(manifest: Manifest, chain: Chain, said: Answers, booked: Booked, say: Say) -> None:
    """The claim's account, instrument, arithmetic and end against chain, calls and rounds."""
    claim, config = table(manifest.get("exchange")), table(table(manifest.get("config")).get("exchange"))
    if schema_of("exchange_claim").first(claim) is not None or chain.opening is None or not said.units.taker:
        return
    units, account = said.units, said.account
    equity = exact(chain.opening["equity"])
    agents = min(int(equity * SHARE // STAKE), config.get("most_agents", 0))
    wanted: dict[str, Any] = {
        "site": config.get("site"), "on_stop": config.get("on_stop"), "clock_offset_ms": claim["clock_offset_ms"],
        "library": {**claim["library"], "name": sender_of(manifest)},
        "account": {
            "level": account.get("acctLv"), "position_mode": account.get("posMode"),
            **({"stp_default": account["acctStpMode"]} if account.get("acctStpMode") else {}),
            "stp_of_orders": config.get("stp_mode"), "address_bound": bool(account.get("ip")),
            "permissions": [one for one in str(account.get("perm", "")).split(",") if one],
        },
        "instrument": {
            "inst_id": said.inst_id, "settle_currency": units.settles, "contract_value": digits(exact(units.contract)),
            "lot": digits(exact(units.lot)), "tick": digits(exact(units.tick)), "min_lots": units.min_lots,
            "leverage": config.get("leverage"), "margin_mode": config.get("margin_mode"),
            "taker": digits(exact(units.taker)), "maker": digits(exact(units.maker)), "fee_group": units.group,
            "fee_source": "account/trade-fee",
        },
        "bootstrap": {
            "equity": digits(equity), "agents": agents, "allotted": digits(Fraction(STAKE * agents)),
            "reserve": digits(equity - STAKE * agents), "rule": RULE,
        },
    }  # fmt: skip
    if "world_difference" in claim:  # of two libraries, the run before went through the other one
        other = [name for name in SENDERS.values() if name != sender_of(manifest)]
        wanted["world_difference"] = {"run_id": claim["world_difference"]["run_id"], "library": other[0]}
    if "ended" in claim:
        wanted["ended"] = _ended(claim["ended"], manifest, chain, said, booked)
    for what in differing(claim, wanted, "exchange"):
        say(what)


def _ended(ended: Mapping[str, Any], manifest: Manifest, chain: Chain, said: Answers, booked: Booked) -> dict[str, Any]:
    trading = chain.trading or {"state": "ACTIVE", "reasons": []}
    waiting = [one.client_id for one in chain.lives.values() if one.is_open]
    config = table(table(manifest.get("config")).get("exchange"))
    leave = manifest.get("stop_detected") is True and config.get("on_stop") == "leave" and not waiting
    fees = sum((exact(fill["fee"]) for one in chain.since_opening() for fill in one.fills.values()), Fraction(0))
    funding = exact(chain.looks[-1][0]["funding"]) if chain.looks else Fraction(0)
    reserve = table(table(manifest.get("exchange")).get("bootstrap")).get("reserve", "0")
    derived: dict[str, Any] = {
        "trading_state": trading["state"], "reasons": list(trading["reasons"]),
        "positions": "flat" if not chain.position and not waiting else "left" if leave else "open",
        "position_lots": chain.position, "open_orders": waiting, "cut_bar": _is_cut(manifest, said),
        "bars": len(said.bars) + _is_cut(manifest, said), "surplus": "0", "reserve": reserve,
        "reserve_without_surplus": reserve, **end_of(booked, chain), "fees": digits(fees), "funding": digits(funding),
        "chain_lines": chain.lines, "chain_head": chain.head,
    }  # fmt: skip
    if "equity_after" in ended:
        derived["equity_after"] = digits(exact(said.looked[-1].equity)) if said.looked else None
    return derived


def _is_cut(manifest: Manifest, said: Answers) -> bool:
    """Whether the last bar was cut by a stop: it is forming in the last answer about it."""
    return manifest.get("stop_detected") is True and said.forming is not None


def check_bars(manifest: Manifest, said: Answers, say: Say) -> None:
    """The market's hash over the bars that the exchange told."""
    rows = [*said.bars, said.forming] if _is_cut(manifest, said) else list(said.bars)
    first, step = grid(manifest)
    header = {"columns": COLUMNS, "rows": len(rows), "schema": "prometheus.bars/1", "symbol": said.inst_id,
              "timeframe_s": step // 1000}  # fmt: skip
    digest = hashlib.sha256(json.dumps(header, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n")
    digest.update(b"".join(struct.pack("<q", (first + place * step) // 1000) for place in range(len(rows))))
    for column in range(5):
        digest.update(b"".join(struct.pack("<d", float(row[column]) + 0.0) for row in rows if row is not None))
    digest.update(struct.pack("<d", 0.0) * len(rows))
    if table(manifest.get("market")).get("sha256") != digest.hexdigest():
        say(f"market.sha256 is not that of the {len(rows)} bars that the exchange told")


def check_self_trades(manifest: Manifest, capability: str, say: Say) -> None:
    """How self-trades were prevented, and by what was kept how well one would be seen."""
    mode = table(table(manifest.get("config")).get("exchange")).get("stp_mode")
    over = manifest.get("positions_quality") is not None
    derived = {
        "stp_supported": True, "stp_enabled": True, "execution_netting_enabled": True, "self_trade_policy": "forbid",
        "self_trade_detection_capability": capability if over else "weak", "note": f"{mode}: {STP_NOTE}",
    }  # fmt: skip
    for what in differing(manifest.get("self_trade_prevention"), derived, "self_trade_prevention"):
        say(what)
