"""Faults that were injected: against which requests, from which call on, how often, with what chance, in which window.

Whether an injection acts on a request follows from the venue's seed, the injection and how many requests it has seen.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from attrs import define, field, frozen

from prometheus.v10.base.errors import UsageError
from prometheus.venue.faults.fault_catalogue import BY_ID, Fault
from prometheus.venue.gateway.exchange_messages import Call
from prometheus.venue.quanta import mixed

_CHANCE: Final = 1 << 64


@frozen(kw_only=True)
class Target:
    """What an injection acts on.

    Attributes:
        path: part of the path; empty is every path.
        method: GET, POST, or empty.
        uid: the account; empty is every account.
        first: the first matching call that it acts on, from 1.
        count: on how many calls; 0 is without end.
        chance: of acting on a call, 0 to 1.
        begin_ms, end_ms: window on the venue's clock; 0 is open.
    """

    path: str = ""
    method: str = ""
    uid: str = ""
    first: int = 1
    count: int = 0
    chance: float = 1.0
    begin_ms: int = 0
    end_ms: int = 0


@define
class Injection:
    """A fault at work."""

    number: int
    fault: Fault
    target: Target
    arguments: dict[str, Any]
    seen: int = 0
    acted: int = 0
    memory: dict[str, Any] = field(factory=dict)

    def acts(self, call: Call, seed: int) -> bool:
        """Whether it acts on this request; counts it either way."""
        target = self.target
        uid = call.account.uid if call.account is not None else ""
        if (
            target.path not in call.asked.path
            or (target.method and target.method != call.asked.method)
            or (target.uid and target.uid != uid)
            or call.now < target.begin_ms
            or (target.end_ms and call.now >= target.end_ms)
        ):
            return False
        self.seen += 1
        if self.seen < target.first or (target.count and self.acted >= target.count):
            return False
        if target.chance < 1.0 and mixed(seed, self.number, self.seen) >= int(target.chance * _CHANCE):
            return False
        self.acted += 1
        return True

    def decimal(self, name: str) -> Decimal:
        """An argument as a number."""
        return Decimal(str(self.arguments[name]))


def injection(number: int, name: str, target: Target, arguments: dict[str, Any]) -> Injection:
    """A fault of the catalogue with its usual arguments and those that are given.

    Raises:
        UsageError: for a fault, or an argument, that is not in the catalogue; for a value of another kind.
    """
    fault = BY_ID.get(name)
    if fault is None:
        raise UsageError(f"no fault {name!r}", hint="prometheus-quant venue faults")
    unknown = set(arguments) - set(fault.arguments)
    if unknown:
        raise UsageError(f"{name} has no argument {sorted(unknown)[0]!r}", hint="prometheus-quant venue faults")
    merged = {key: _like(name, key, usual, arguments.get(key, usual)) for key, usual in fault.arguments.items()}
    return Injection(number, fault, target, merged)


def _like(fault: str, key: str, usual: str | float, given: Any) -> str | float:
    """A given argument as the kind of the usual one."""
    try:
        if isinstance(usual, bool) or isinstance(given, bool):
            if isinstance(usual, bool) and isinstance(given, bool):
                return given
        elif isinstance(usual, str):
            if key != "code" and _number(usual):
                Decimal(str(given))
            return str(given)
        else:
            return type(usual)(given)
    except (ValueError, TypeError, InvalidOperation):
        pass
    raise UsageError(f"{fault}: {key} is {given!r}", hint=f"for example {usual!r}")


def _number(said: str) -> bool:
    return said.lstrip("-").replace(".", "", 1).isdigit()
