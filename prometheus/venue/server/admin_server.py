"""The venue's admin socket, a unix socket apart from the clients' port: one JSON object a line in, one out."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
from attrs import asdict, define, field

from prometheus.v10.base.errors import PrometheusError, UsageError, host_error
from prometheus.venue.accounts.margin import standing
from prometheus.venue.faults.fault_catalogue import FAULTS
from prometheus.venue.faults.happenings import account_of
from prometheus.venue.faults.injections import Target
from prometheus.venue.faults.mischief_maker import MischiefMaker
from prometheus.venue.gateway.http_gate import Gate
from prometheus.venue.quanta import MONEY_DP, money, parsed
from prometheus.venue.server.venue_pace import Pace

LONGEST_LINE: Final = 1 << 16
MOST_STEP_MS: Final = 31 * 86_400_000


@define
class Admin:
    """What the operator of the venue may do. `answer` has no I/O."""

    gate: Gate
    mischief: MischiefMaker
    pace: Pace
    stop: Callable[[], None] = field(default=lambda: None)

    def answer(self, asked: Any) -> dict[str, Any]:
        """Do what one object asks: ``{"do": NAME, ...}``; an error is ``{"error": what, "hint": what to do}``."""
        if not isinstance(asked, dict) or not isinstance(asked.get("do"), str):
            return {"error": "no object with a text under do", "hint": 'for example {"do": "state"}'}
        work = {
            "state": self._state, "step": self._step, "speed": self._speed, "inject": self._inject,
            "clear": self._clear, "faults": self._faults, "dump": self._dump, "journal": self._journal,
            "deposit": self._deposit, "stop": self._stop,
        }.get(asked["do"])  # fmt: skip
        if work is None:
            return {"error": f"no command {asked['do']!r}", "hint": "state, step, speed, inject, clear, dump, stop"}
        try:
            return work(asked)
        except PrometheusError as error:
            return {"error": error.message, "hint": error.hint or ""}
        except (TypeError, ValueError) as error:
            return {"error": f"{asked['do']}: {error}", "hint": 'for example {"do": "step", "ms": 1000}'}

    def _state(self, asked: dict[str, Any]) -> dict[str, Any]:
        del asked
        world = self.gate.world
        return {"now_ms": world.now, "speed": self.pace.speed, "served": self.gate.served,
                "journal": {"entries": world.journal.count, "last": world.journal.last},
                "faults": [one.fault.id for one in self.mischief.active]}  # fmt: skip

    def _step(self, asked: dict[str, Any]) -> dict[str, Any]:
        ms = int(asked.get("ms", self.gate.world.step_ms))
        if not 0 < ms <= MOST_STEP_MS:
            raise UsageError(f"step: {ms} ms", hint="between 1 ms and 31 days")
        self.gate.world.advance(self.gate.world.now + ms)
        self.gate.world.check()
        return self._state(asked)

    def _speed(self, asked: dict[str, Any]) -> dict[str, Any]:
        speed = float(asked["speed"]) if "speed" in asked else self.pace.speed
        if not 0 <= speed <= 100_000:
            raise UsageError(f"speed: {speed}", hint="0 stands still; at most 100000")
        self.pace.change(speed)
        return self._state(asked)

    def _inject(self, asked: dict[str, Any]) -> dict[str, Any]:
        target = asked.get("target", {})
        known = {"path": str, "method": str, "uid": str, "first": int, "count": int, "chance": float, "begin_ms": int,
                 "end_ms": int}  # fmt: skip
        if not isinstance(target, dict) or set(target) - set(known):
            raise UsageError("inject: target is no object of " + ", ".join(known))
        made = self.mischief.inject(
            str(asked.get("fault", "")), Target(**{key: known[key](value) for key, value in target.items()}),
            asked.get("arguments", {}),
        )  # fmt: skip
        self.gate.world.check()
        return {"number": made.number, "fault": made.fault.id}

    def _clear(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = asked.get("number")
        return {"cleared": self.mischief.clear(None if number is None else int(number))}

    def _faults(self, asked: dict[str, Any]) -> dict[str, Any]:
        del asked
        return {"faults": [asdict(fault) for fault in FAULTS]}

    def _dump(self, asked: dict[str, Any]) -> dict[str, Any]:
        del asked
        world = self.gate.world
        found = {}
        for name, state in world.environments.items():
            found[name] = {
                uid: {
                    "label": account.label, "cash": money(account.cash), "equity":
                    money(standing(account, state.mark).equity), "pending": len(account.pending),
                    "positions": {" ".join(place): one.instrument.sz(one.pos) for place, one in
                                  account.positions.items()},
                } for uid, account in state.accounts.items()
            }  # fmt: skip
        keys = [{"label": key.label, "environment": key.environment, "uid": key.uid} for key in world.keys.values()]
        return {"accounts": found, "keys": keys, "now_ms": world.now}

    def _journal(self, asked: dict[str, Any]) -> dict[str, Any]:
        count = int(asked.get("count", 100))
        return {"entries": [orjson.loads(line) for line in list(self.gate.world.journal.tail)[-count:]]}

    def _deposit(self, asked: dict[str, Any]) -> dict[str, Any]:
        state, account = account_of(self.gate.world, str(asked.get("uid", "")))
        amount = parsed(asked.get("usdt"), MONEY_DP)
        if amount is None or account.cash + amount[0] < 0:
            raise UsageError(f"deposit: usdt is {asked.get('usdt')!r}", hint="a number; negative takes money out")
        state.books.deposit(account, self.gate.world.now, amount[0])
        state.note("deposit", uid=account.uid, amount=amount[0])
        return {"uid": account.uid, "cash": money(account.cash)}

    def _stop(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.stop()
        return self._state(asked)


async def serve_admin(admin: Admin, place: Path) -> asyncio.Server:
    """Listen on a unix socket that only this user may open.

    Raises:
        HostError: when the socket cannot be made.
    """

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            while line := await reader.readline():
                try:
                    asked = orjson.loads(line)
                except ValueError:
                    asked = None
                admin.pace.follow()
                writer.write(orjson.dumps(admin.answer(asked)) + b"\n")
                await writer.drain()
        writer.close()

    before = os.umask(0o177)
    try:
        place.unlink(missing_ok=True)
        return await asyncio.start_unix_server(talk, str(place), limit=LONGEST_LINE)
    except OSError as error:
        raise host_error(error, f"cannot listen at {place}") from error
    finally:
        os.umask(before)
