"""Raw execution records against lives, world and index: who ordered when, what it cost, and which records are owed.

Prices and impact are the market's, and asserted; fees, sides, positions, flags, kinds and moments follow. Standard
library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from prometheus.v10.base.names import Schema
from prometheus.v10.evidence.derive.lives import Told
from prometheus.v10.evidence.derive.setting import Heard, Setting
from prometheus.v10.evidence.derive.typed import differing, is_count, is_real, plain_json, shown, table
from prometheus.v10.evidence.records.canonical import spell

NOTHING_FILLED = "nothing was filled: there is no price"
_NO_PRICE = f'{{"price":"{NOTHING_FILLED}"}}'
FLAGS = ("partial", "unfilled", "margin_capped", "below_lot", "forced")
EVENT_FLAGS = ["below_lot", "error", "forced", "margin_capped", "timeout", "unfilled"]
EVENT = frozenset(EVENT_FLAGS)
KINDS = {"entry", "exit", "review_flatten", "liquidation", "settlement"}
REALS = ("expected_price", "fee", "filled_lots", "impact", "ordered_lots", "position_after", "realised")
ROTATED = "budget: the oldest part without event records made room for a newer one"
NO_ROOM = "budget: event records left no room for it, so it was not written"
MOST_IMPACT = 0.1
_ALL_REAL = {float}
SELF_TRADE = ("moments", "gross_lots", "net_lots", "crossed_lots")


class Seen(NamedTuple):
    """What was seen of some parts: first and last place among events and samples, the liquidated, ends of parts."""

    first: dict[bool, tuple[int, int]]
    last: dict[bool, tuple[int, int]]
    liquidated: dict[int, set[int]]
    ends: dict[str, list[Any]]
    heard: Heard


class Terms(NamedTuple):
    """What the orders of one experiment have in common: USDT of a lot at a price of 1, fees, and pieces of text."""

    setting: Setting
    lot: float
    taker_fee: float
    liquidation_fee: float
    agent: str
    head: str
    seed: str


class Orders:
    """The raw records of a run, part by part in the order of their numbers."""

    def __init__(self, setting: Setting, manifest: Mapping[str, Any], told: Mapping[int, Told]) -> None:
        self.setting, self.manifest, self.told = setting, manifest, told
        self._symbol = f'"symbol":{spell(manifest.get("symbol_in_use"))}'
        self._run = f'"run_id":{spell(setting.run_id)},"schema":"{Schema.EXECUTION_RAW.value}"'
        self.sample = table(table(manifest.get("config")).get("evidence")).get("order_sample_one_in")
        self.first: dict[bool, tuple[int, int]] = {}
        self.last: dict[bool, tuple[int, int]] = {}
        self.liquidated: dict[int, set[int]] = {}
        self.ends: dict[str, list[Any]] = {}
        self._terms: dict[int, Terms] = {}

    def anew(self) -> Orders:
        """One that has seen no record yet."""
        return Orders(self.setting, self.manifest, self.told)

    def seen(self) -> Seen:
        """What it keeps of the records that it saw, for one that saw those before them (`see`)."""
        return Seen(self.first, self.last, self.liquidated, self.ends, self.setting.heard())

    def see(self, seen: Seen) -> bool:
        """Take in what another saw in the parts that follow; False where the two together are not in order."""
        orderly = all(self.last.get(event, (-1, -1)) < place for event, place in seen.first.items())
        for experiment, agents in seen.liquidated.items():
            mine = self.liquidated.setdefault(experiment, set())
            orderly = orderly and mine.isdisjoint(agents)
            mine |= agents
        self.last |= seen.last
        self.ends |= seen.ends
        return orderly and self.setting.hear(seen.heard)

    def wrong(  # noqa: PLR0911  (a list of rules)
        self, record: Mapping[str, Any], part: Mapping[str, Any], line: bytes
    ) -> str | None:
        """What is wrong with one record, which has all its fields and was read from ``line``; None where nothing is."""
        experiment, tick, order = record.get("experiment"), record.get("tick"), record.get("order")
        told = self.told.get(experiment) if is_count(experiment) else None
        if told is None or not (is_count(tick) and is_count(order)):
            return "experiment, tick or order names nothing that was"
        reals: list[Any] = [record.get(name) for name in REALS]
        if set(map(type, reals)) != _ALL_REAL or not all(map(isfinite, reals)):
            bad = [name for name in REALS if not is_real(record.get(name))]
            return f"{', '.join(bad)} is no finite number"
        flags = record.get("flags")
        if not isinstance(flags, list) or flags != [flag for flag in FLAGS if flag in flags]:
            return f"flags are {shown(flags)}"
        kind, price = record.get("kind"), record.get("price")
        filled = record["filled_lots"]
        if not isinstance(kind, str) or kind not in KINDS or not (is_real(price) if filled else price is None):
            return f"kind is {shown(kind)}, price {shown(price)}"
        agent = self._agent(record.get("agent_id"), int(experiment or 0))
        if agent is None or 2 * agent >= len(told.spans):
            return f"agent_id is {shown(record.get('agent_id'))}: nobody has that name"
        born, died = told.spans[2 * agent], told.spans[2 * agent + 1]
        if not born <= tick <= died:
            return f"agent {agent} lived from tick {born} to {died}, and ordered at tick {tick}"
        what = self._impossible(record, kind, told, agent, flags) or self._place(record, part, told)
        if what is not None:
            return what
        closed = self._of(record["experiment"]).setting.time.close(tick, record.get("ts_utc"))
        place = [experiment, tick, closed]
        ends = self.ends.setdefault(str(part.get("filename")), [place, place])
        ends[1] = place
        derived = self._line(record, kind, closed, flags)
        if derived == line:
            return None
        return "; ".join(differing(dict(record), plain_json(derived))[:5]) or "not a canonical object"

    def _line(self, record: Mapping[str, Any], kind: str, closed: str, flags: list[str]) -> bytes:
        """The bytes that a record must have; what only the market knows is taken from the record itself."""
        experiment, filled, price = record["experiment"], record["filled_lots"], record["price"]
        terms = self._of(experiment)
        rate = terms.liquidation_fee if kind == "liquidation" else terms.taker_fee
        whole = filled == record["ordered_lots"] and bool(filled)
        side = "sell" if record["side"] == "sell" else "buy"
        after = record["position_after"]
        if kind == "entry":
            after = filled if side == "buy" else 0.0 - filled
        elif kind in {"liquidation", "review_flatten", "settlement"} or whole:
            after = 0.0
        fee = filled * terms.lot * price * rate if filled else 0.0
        impact = 0.0 if kind == "liquidation" or not filled else record["impact"]
        realised = 0.0 if kind == "entry" or not filled else record["realised"]
        kept = '"forced"' if kind == "liquidation" else "" if whole else ",".join(f'"{flag}"' for flag in flags)
        return (
            f'{{"agent_id":"{record["agent_id"]}",{terms.head}{record["expected_price"]!r},'
            f'"experiment":{experiment},"fee":{fee!r},"filled_lots":{filled!r},"flags":[{kept}],"impact":{impact!r},'
            f'"kind":"{kind}","null_reasons":{"{}" if filled else _NO_PRICE},"order":{record["order"]},'
            f'"ordered_lots":{filled if not flags else record["ordered_lots"]!r},"position_after":{after!r},'
            f'"price":{price if filled else "null"},"realised":{realised!r},'
            f'{terms.seed}{side}",{self._symbol},'
            f'"tick":{record["tick"]},"ts_basis":"market","ts_utc":"{closed}"}}'
        ).encode("ascii", "replace")

    def _of(self, experiment: int) -> Terms:
        if (known := self._terms.get(experiment)) is None:
            setting = self.setting.at(experiment)
            world = setting.world
            known = self._terms[experiment] = Terms(
                setting,
                world["contract_btc"] * world["lot_contracts"],
                world["taker_fee"],
                world["liquidation_fee"],
                f"e{experiment:04d}a",
                f'"arm":{spell(setting.arm)},"expected_price":',
                f'{self._run},"seed":{setting.seeds[experiment]},"side":"',
            )
        return known

    def _impossible(  # noqa: C901, PLR0911, PLR0912  (a list of rules)
        self, record: Mapping[str, Any], kind: str, told: Told, agent: int, flags: list[str]
    ) -> str | None:
        tick, filled, ordered = record["tick"], record["filled_lots"], record["ordered_lots"]
        if not 0.0 <= filled <= ordered or filled % 1.0 or ordered % 1.0 or not ordered:
            return f"{filled!r} lots filled of {ordered!r}"
        if filled and (record["price"] <= 0.0 or not 0.0 <= record["impact"] <= MOST_IMPACT):
            return f"price {record['price']!r}, impact {record['impact']!r}"
        if record["expected_price"] <= 0.0 and kind != "liquidation":
            return f"expected_price is {record['expected_price']!r}"
        if kind == "review_flatten" and (tick + 1) % self._of(record["experiment"]).setting.review_ticks:
            return f"there is no review at tick {tick}"
        if kind == "settlement" and tick != told.ticks - 1:
            return f"positions are settled at the last tick, {told.ticks - 1}"
        dead = told.liquidated.get(agent)
        side = record.get("side")
        if (kind == "liquidation") != (dead is not None and dead[0] == tick and "forced" in flags):
            return f"agent {agent} was {'not ' if dead is None else ''}liquidated, and this is its {kind}"
        if kind == "liquidation" and dead is not None:
            if side != ("sell" if dead[1] == "long" else "buy"):
                return f"agent {agent} died {dead[1]}, and was closed by a {side}"
            seen = self.liquidated.setdefault(record["experiment"], set())
            if agent in seen:
                return f"agent {agent} was liquidated twice"
            seen.add(agent)
        if kind == "exit" and filled < ordered:
            left = ordered - filled if side == "sell" else filled - ordered
            if record["position_after"] != left:
                return f"position_after is {record['position_after']!r}, {ordered - filled!r} lots are left"
        if kind == "entry" and filled < ordered and not {"partial", "unfilled", "margin_capped"} & set(flags):
            return "not all of it was filled, and no flag says why"
        if ("unfilled" in flags) != (filled == 0.0):
            return f"{filled!r} lots filled, flags {flags}"
        return None

    def _place(self, record: Mapping[str, Any], part: Mapping[str, Any], told: Told) -> str | None:
        """Its class and its number: events apart from samples, each in the order of numbers, samples on the grid."""
        event = bool(EVENT & set(record["flags"])) or (told.collapse is not None and told.collapse[1] == record["tick"])
        if event != (part.get("kind") == "events"):
            return "an event record among samples, or a sample among events"
        place = record["experiment"], record["order"]
        if place <= self.last.get(event, (-1, -1)):
            return f"order {record['order']} does not follow the one before"
        self.first.setdefault(event, place)
        self.last[event] = place
        if not record["flags"] and (not is_count(self.sample) or not self.sample or record["order"] % self.sample):
            return f"order {record['order']} has no flag and is not one of those in {shown(self.sample)}"
        return None

    def _agent(self, name: object, experiment: int) -> int | None:
        prefix = self._of(experiment).agent
        if not isinstance(name, str) or not name.startswith(prefix):
            return None
        digits = name[len(prefix) :]
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 9) or name != f"{prefix}{int(digits):06d}":
            return None
        return int(digits)

    # ---- the index

    def index_findings(self, index: Mapping[str, Any], *, unfinished: bool) -> list[str]:
        """What is wrong with the index beside names, hashes and sums; asked for when all parts were looked at."""
        evidence = table(table(self.manifest.get("config")).get("evidence"))
        policy = {
            "type": "records_count",
            "threshold": 200,
            "sample_one_in": evidence.get("order_sample_one_in"),
            "budget_bytes": evidence.get("raw_budget_bytes"),
            "event_flags": EVENT_FLAGS,
            "in_full": ["partial"],
        }
        found = differing(index.get("policy"), policy, "policy")
        found += differing(index.get("version"), 1, "version")
        found += differing(index.get("created_at"), self.manifest.get("start_time"), "created_at")
        counted = table(self.manifest.get("counts")).get("raw_samples")
        found += differing(index.get("total_records"), counted, "total_records, which counts.raw_samples repeats,")
        for part in index["shards"]:
            ends = self.ends.get(str(part.get("filename")))
            events = part.get("kind") == "events"
            said = [[part.get(f"{end}_{name}") for name in ("experiment", "tick", "ts")] for end in ("start", "end")]
            if part.get("kind") not in {"events", "samples"}:
                found.append(f"{shown(part.get('filename'))}: kind is {shown(part.get('kind'))}")
            if ends is not None and said != ends:
                found.append(f"{shown(part.get('filename'))}: its first and last record are others")
            if part.get("event_records") != (part.get("records_count") if events else 0):
                found.append(f"{shown(part.get('filename'))}: event_records is {shown(part.get('event_records'))}")
        if not unfinished:
            found += self._owed()
            found += self._dropped(index)
        return found + self._self_trade(index)

    def _owed(self) -> list[str]:
        return [
            f"experiment {number}: {len(one.liquidated)} liquidated, {len(self.liquidated.get(number, ()))} forced "
            "orders are there"
            for number, one in sorted(self.told.items())
            if one.whole and len(self.liquidated.get(number, ())) != len(one.liquidated)
        ]

    def _dropped(self, index: Mapping[str, Any]) -> list[str]:
        """Parts are numbered without a gap; the budget drops plain ones, and none before it is reached."""
        dropped = index["dropped"]
        numbers = sorted(_number(part) for part in [*index["shards"], *dropped])
        found = [] if numbers == list(range(1, len(numbers) + 1)) else ["its parts are not numbered from 1 on"]
        if not dropped:
            return found
        budget = index["policy"]["budget_bytes"]
        every = sum(part["bytes"] for part in [*index["shards"], *dropped])
        if every <= budget:
            found.append(f"parts were dropped, and all of them together take {every} bytes of {budget}")
        found += [
            f"{shown(part.get('filename'))}: reason is {shown(part.get('reason'))}"
            for part in dropped
            if part.get("reason") not in {ROTATED, NO_ROOM} or not is_count(part.get("bytes")) or not part.get("bytes")
        ]
        return found

    def _self_trade(self, index: Mapping[str, Any]) -> list[str]:
        said = table(index.get("self_trade"))
        nulls = table(index.get("null_reasons"))
        full = self.sample == 1
        found = differing(said.get("complete"), full, "self_trade.complete")
        if full:
            bad = [name for name in SELF_TRADE[1:] if not is_real(said.get(name)) or said[name] < 0.0]
            if bad or not is_count(said.get("moments")) or nulls:
                return [*found, "self_trade: not a count and three numbers"]
            gross, net, crossed = (said[name] for name in SELF_TRADE[1:])
            if abs(net + 2.0 * crossed - gross) > 1e-6 * max(1.0, gross):
                found.append(f"self_trade: {gross!r} lots in all are not {net!r} net and twice {crossed!r} crossed")
            return found
        found += differing(dict(said), {"complete": False, **dict.fromkeys(SELF_TRADE)}, "self_trade")
        kept = f"one plain order in {self.sample}" if self.sample else "no plain order"
        why = f"{kept} is kept: opposite orders of one moment cannot be counted; a replay with every order kept can"
        return found + differing(dict(nulls), {f"self_trade.{name}": why for name in SELF_TRADE}, "null_reasons")


def _number(part: Mapping[str, Any]) -> int:
    digits = str(part.get("filename")).removeprefix("m_execution_raw_part_").removesuffix(".json")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else 0
