"""What is told now, what was told before, and what waits: the memory between two looks (``told.json``).

1. The same thing is told once in `QUIET` seconds, then with the number of times that it came again. What holds until
   it is mended is told again once in `REMIND` seconds, and forgotten when it holds no more.
2. What is told now becomes one message. Without anything critical, at most `AN_HOUR` messages are made in an hour; what
   does not become one is held until it may.
3. A message waits until every channel took it or a day has passed. `MOST_WAITING` wait at most; the oldest go first,
   and the next message says how many went.
4. A moment that lies ahead of now was written before the clock was set back: it counts as long past.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, fields

from prometheus.v10.base.errors import PrometheusError
from prometheus.v10.base.files import write_atomic
from prometheus.v10.base.reading import LARGE, read_if_there
from prometheus.v10.evidence.records.canonical import canonical_line, strict_loads
from prometheus.v10.ops.alerts.alert import CRITICAL, WARNING, Alert, clean, moment_text

FILE = "told.json"
SCHEMA = "told/1"
QUIET = 15 * 60.0
REMIND = 86400.0
AN_HOUR = 6
HOUR = 3600.0
GIVE_UP = 86400.0
MOST_WAITING = 20
MOST_KEYS = 300
MOST_LINES = 20
CLOCK_SLACK = 60.0


@define
class Heard:
    """One thing that was heard: the newest alert of its key.

    Attributes:
        told: when it was last told; 0 for not yet.
        count: how often it came since.
    """

    severity: str
    text: str
    since: float
    command: str
    lasting: bool
    told: float = 0.0
    count: int = 0


@define
class Message:
    """One message; ``to`` are the channels that have not taken it yet."""

    made: float
    critical: bool
    title: str
    text: str
    to: list[str]


@define
class Trouble:
    """A channel that does not work: how often in a row, and when it is tried again."""

    failures: int = 0
    next_try: float = 0.0


@define
class Told:
    """The memory.

    Attributes:
        digested: when the last digest was made; 0 for never.
        counted: what the figures had counted then (`digest.sums_of`).
    """

    cursor: str = ""
    looked: float = 0.0
    heard: dict[str, Heard] = field(factory=dict)
    made: list[float] = field(factory=list)
    waiting: list[Message] = field(factory=list)
    lost: int = 0
    troubles: dict[str, Trouble] = field(factory=dict)
    life_pinged: float = 0.0
    digested: float = 0.0
    counted: dict[str, float] = field(factory=dict)
    schema: str = SCHEMA


def read_told(place: Path) -> Told | None:
    """The memory; None where there is none, or none that can be read: the look begins anew, and says so."""
    try:
        data = read_if_there(place, at_most=LARGE)
        said = None if data is None else strict_loads(data)
        return None if said is None else _told(said)
    except (PrometheusError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _told(said: Any) -> Told:
    told = Told(**said)
    told.heard = {str(key): Heard(**one) for key, one in said["heard"].items()}
    told.waiting = [Message(**one) for one in said["waiting"]]
    told.troubles = {str(key): Trouble(**one) for key, one in said["troubles"].items()}
    for record in (told, *told.heard.values(), *told.waiting, *told.troubles.values()):
        _refuse_other_types(record)
    numbers = [*told.made, *told.counted.values()]
    if told.schema != SCHEMA or not all(type(one) in {int, float} for one in numbers):
        raise ValueError("another schema")
    return told


def _refuse_other_types(record: Any) -> None:
    kinds: dict[str, set[type]] = {"str": {str}, "float": {int, float}, "int": {int}, "bool": {bool}}
    for one in fields(type(record)):
        if (kind := kinds.get(str(one.type))) is not None and type(getattr(record, one.name)) not in kind:
            raise ValueError(f"{one.name} is not in its form")


def write_told(place: Path, told: Told) -> None:
    """Keep it, durably: what was told is not told again after a crash.

    Raises:
        HostError: when the disk refuses.
    """
    write_atomic(place, canonical_line(asdict(told)), mode=0o600)


def mend_clock(told: Told, now: float) -> Alert | None:
    """Take moments that lie ahead for long past; an alert where the clock was set back."""
    ahead = told.looked - now
    for heard in told.heard.values():
        heard.told = 0.0 if heard.told > now + CLOCK_SLACK else heard.told
        heard.since = min(heard.since, now)
    for message in told.waiting:
        message.made = min(message.made, now)
    for trouble in told.troubles.values():
        trouble.next_try = 0.0 if trouble.next_try > now + 2 * HOUR else trouble.next_try
    told.made = [moment for moment in told.made if moment <= now + CLOCK_SLACK]
    told.looked, told.digested = min(told.looked, now), min(told.digested, now)
    if ahead <= CLOCK_SLACK:
        return None
    text = f"the clock of this host was set back by {ahead:,.0f} s"
    return Alert(key="clock", severity=WARNING, text=text, since=now, command="timedatectl")


def take(told: Told, alerts: Iterable[Alert], now: float) -> None:
    """Hear alerts; a lasting thing that is not among them holds no more."""
    holding = set()
    for alert in alerts:
        heard = told.heard.get(alert.key)
        if alert.lasting:
            holding.add(alert.key)
        if heard is None:
            heard = told.heard[alert.key] = Heard(
                alert.severity, alert.text, alert.since, alert.command, alert.lasting
            )  # fmt: skip
        elif heard.count == 0 or alert.lasting:
            heard.since = alert.since if not alert.lasting else min(heard.since, alert.since)
        heard.severity, heard.text, heard.command = alert.severity, alert.text, alert.command
        heard.count = heard.count + 1 if not alert.lasting else 1
    for key, heard in list(told.heard.items()):
        over = key not in holding if heard.lasting else heard.count == 0
        if over and now - heard.told >= QUIET:
            del told.heard[key]
    for key in sorted(told.heard, key=lambda key: told.heard[key].told, reverse=True)[MOST_KEYS:]:
        del told.heard[key]


def make_message(told: Told, host: str, channels: Sequence[str], now: float) -> Message | None:
    """The message of now, put among those that wait; None where nothing is to be told, or not yet."""
    due = [one for one in told.heard.values() if one.count and now - one.told >= (REMIND if one.lasting else QUIET)]
    if not due:
        return None
    critical = any(one.severity == CRITICAL for one in due)
    told.made = [moment for moment in told.made if now - moment < HOUR]
    if not critical and len(told.made) >= AN_HOUR:
        return None
    due.sort(key=lambda one: (one.severity != CRITICAL, one.since))
    title = (
        f"prometheus-quant {host}: {due[0].text}" if len(due) == 1 else f"prometheus-quant {host}: {len(due)} alerts"
    )
    lines = [_line(one) for one in due[:MOST_LINES]]
    if len(due) > MOST_LINES:
        lines.append(f"and {len(due) - MOST_LINES} more: journalctl -u 'prometheus-*' -p warning")
    if told.lost:
        lines.append(f"earlier messages that reached nobody: {told.lost}")
        told.lost = 0
    for one in due:
        one.told, one.count = now, 0
    message = Message(now, critical, clean(title, 200), "\n".join(lines), list(channels))
    told.made.append(now)
    told.waiting.append(message)
    drop_old(told, now)
    return message


def drop_old(told: Told, now: float) -> None:
    """Give up messages that are too many or too old, and count them."""
    kept = [one for one in told.waiting if one.to and now - one.made < GIVE_UP][-MOST_WAITING:]
    told.lost += sum(1 for one in told.waiting if one.to) - len(kept)
    told.waiting = kept


def _line(one: Heard) -> str:
    often = f", {one.count:,} times" if one.count > 1 else ""
    return f"{one.severity.upper()}  {one.text}; since {moment_text(one.since)}{often}. Type: {one.command}"
