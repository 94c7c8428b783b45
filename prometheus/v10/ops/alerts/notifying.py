"""One look, and what is sent because of it.

The journal and the file of figures are read, the memory is written, and only then is anything sent: whatever a channel
does, nothing is lost, and at worst something is told twice. A channel that fails is tried once a look, then less and
less often, at least once an hour; standard error hears of it once, and once more when it works again.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import field, frozen

from prometheus.v10.base.clock import Clock
from prometheus.v10.base.files import Lock
from prometheus.v10.ops.alerts.alert import WARNING, Alert, clean, moment_text
from prometheus.v10.ops.alerts.channels import Channel, Channels
from prometheus.v10.ops.alerts.digest import is_due, lines_of, sums_of
from prometheus.v10.ops.alerts.forgotten import Figures, life_of, read_figures, what_holds
from prometheus.v10.ops.alerts.https_post import NotTakenError
from prometheus.v10.ops.alerts.journal_alerts import FIRST_LOOK, look_at_journal, trusted_users
from prometheus.v10.ops.alerts.telling import (
    FILE,
    Message,
    Told,
    Trouble,
    drop_old,
    make_message,
    mend_clock,
    read_told,
    take,
    write_told,
)

FIRST_WAIT, LONGEST_WAIT = 60.0, 3600.0
MOST_AT_ONCE = 3
"""Messages that a channel gets in one look: a slow one must not hold the look until systemd ends it."""
ALIVE = "it lives"
_PR_SET_DUMPABLE = 4


@frozen(kw_only=True)
class Notifier:
    """What a look needs.

    Attributes:
        state: directory of the memory.
        figures: file of figures.
        say: hears what the journal of the unit is to have.
        journalctl: how the journal is asked.
        users: whose events are believed.
    """

    state: Path
    figures: Path
    channels: Channels
    clock: Clock
    say: Callable[[str], None]
    journalctl: Sequence[str] = ("journalctl",)
    users: frozenset[str] = field(factory=trusted_users)


@frozen(kw_only=True)
class Done:
    """What came of a look.

    Attributes:
        alerts: heard in this look.
        message: made in this look; None where nothing was to be told.
        sent: names of channels that took something.
        failed: names of channels that did not.
        waiting: messages that still wait.
    """

    alerts: int
    message: Message | None
    sent: list[str]
    failed: list[str]
    waiting: int


def forbid_dumps() -> None:
    """See to it that no memory of this process is written to a core file, nor read by others of its user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")


def notify(job: Notifier) -> Done:
    """Look once, and send what is to be sent.

    Raises:
        LockHeldError: when another look is at work.
        HostError: when the memory cannot be written: then nothing was sent.
    """
    lock = Lock(job.state / "lock", who="a look of notify", mode=0o600)
    lock.acquire()
    try:
        return _look(job)
    finally:
        lock.release()


def _look(job: Notifier) -> Done:
    now, place = job.clock.now().timestamp(), job.state / FILE
    known = read_told(place)
    begun_anew = known is None and os.path.lexists(place)
    told = known or Told()
    figures, missing = read_figures(job.figures)
    alerts = [*_heard(job, told, now, begun_anew=begun_anew), *what_holds(figures, missing, now)]
    take(told, alerts, now)
    told.looked = now
    message = make_message(told, clean(socket.gethostname(), 60), [one.name for one in job.channels.messages], now)
    _make_digest(job, told, figures, missing)
    drop_old(told, now)
    write_told(place, told)
    turn = _Turn(job, told, now)
    turn.send()
    turn.ping(life_of(figures), message)
    drop_old(told, now)
    write_told(place, told)
    return Done(alerts=len(alerts), message=message, sent=turn.sent, failed=turn.failed, waiting=len(told.waiting))


def _make_digest(job: Notifier, told: Told, figures: Figures, missing: str | None) -> None:
    """Put the digest among what waits, where it is due. The first one comes a day after it was asked for, at most."""
    minute, now = job.channels.digest_minute, told.looked
    if minute is None:
        told.digested, told.counted = 0.0, {}
        return
    if is_due(minute, told.digested, now):
        lines = [f"since {moment_text(told.digested)}", *lines_of(figures, missing, told.counted, now)]
        title = f"prometheus-quant {clean(socket.gethostname(), 60)}: the day"
        names = [one.name for one in job.channels.messages]
        told.waiting.append(Message(now, critical=False, title=title, text="\n".join(lines), to=names))
    elif told.digested:
        return
    told.digested, told.counted = now, sums_of(figures) or told.counted


def _heard(job: Notifier, told: Told, now: float, *, begun_anew: bool) -> list[Alert]:
    """What the journal tells, and what is wrong with listening."""
    found = [] if (clock := mend_clock(told, now)) is None else [clock]
    since = told.looked - 60 if told.looked else now - FIRST_LOOK
    heard = look_at_journal(told.cursor or None, since, users=job.users, command=job.journalctl)
    told.cursor = heard.cursor or told.cursor
    what = None
    if heard.failed is not None:
        what = f"the journal cannot be read: {heard.failed}"
    elif heard.gap is not None or begun_anew:
        what = "the place in the journal was lost: what came before may be told again, or not at all"
    if what is not None:
        command = "systemctl status prometheus-notify.service"
        found.append(Alert(key="journal", severity=WARNING, text=what, since=now, command=command))
    return [*found, *heard.alerts]


class _Turn:
    """Each channel's turn in one look."""

    def __init__(self, job: Notifier, told: Told, now: float) -> None:
        self._job, self._told, self._now = job, told, now
        self.sent: list[str] = []
        self.failed: list[str] = []

    def send(self) -> None:
        """Hand over what waits, the oldest first; a channel that fails is left alone until its next turn."""
        for channel in self._job.channels.messages:
            for message in [one for one in self._told.waiting if channel.name in one.to][:MOST_AT_ONCE]:
                if not self._try(channel.name, _sending(channel, message)):
                    break
                message.to.remove(channel.name)
                write_told(self._job.state / FILE, self._told)
        names = {channel.name for channel in self._job.channels.messages}
        for message in self._told.waiting:  # a channel that the credential names no more
            message.to = [name for name in message.to if name in names]

    def ping(self, life: float | None, message: Message | None) -> None:
        """Tell healthchecks of a critical alert, or of a sign of life that it has not heard of."""
        channel, told = self._job.channels.healthchecks, self._told
        if channel is None:
            return
        if message is not None and message.critical:
            self._try(channel.name, lambda: channel.ping(f"{message.title}\n{message.text}", failed=True))
        elif life is not None and life != told.life_pinged and self._try(channel.name, lambda: channel.ping(ALIVE)):
            told.life_pinged = life

    def _try(self, name: str, call: Callable[[], None]) -> bool:
        trouble = self._told.troubles.get(name, Trouble())
        if self._now < trouble.next_try:
            return False
        try:
            call()
        except NotTakenError as error:
            trouble.failures += 1
            wait = min(FIRST_WAIT * 2 ** min(trouble.failures - 1, 10), LONGEST_WAIT)
            trouble.next_try = self._now + wait
            self._told.troubles[name] = trouble
            self.failed.append(name)
            if trouble.failures == 1:
                self._job.say(
                    f"warning: {name} does not take messages: {error}; it is tried again, once an hour at least"
                )
            return False
        if self._told.troubles.pop(name, None) is not None:
            self._job.say(f"notice: {name} takes messages again")
        self.sent.append(name)
        return True


def send_test(channels: Channels, title: str, now: float) -> dict[str, str | None]:
    """Send one message to each channel: what each said, None where it took it."""
    names = [one.name for one in channels.messages]
    message = Message(now, critical=False, title=title, text="This is a test. Nothing is wrong.", to=names)
    calls: dict[str, Callable[[], None]] = {one.name: _sending(one, message) for one in channels.messages}
    if channels.healthchecks is not None:
        health = channels.healthchecks
        calls[health.name] = lambda: health.ping(message.text)
    said: dict[str, str | None] = {}
    for name, call in calls.items():
        try:
            call()
        except NotTakenError as error:
            said[name] = str(error)
        else:
            said[name] = None
    return said


def _sending(channel: Channel, message: Message) -> Callable[[], None]:
    return lambda: channel.send(message)
